#include "fuzz/damage.hpp"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "platform/platform.hpp"

namespace interproc::fuzz {

namespace {

constexpr std::size_t guard_bytes = std::size_t{1} << 20;
constexpr std::uint64_t nap_ns = 100'000;

std::byte* raise(std::byte* place) {
  int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE;
  void* made = mmap(place, guard_bytes, PROT_NONE, flags, -1, 0);
  if (made == place) return place;
  if (made != MAP_FAILED) munmap(made, guard_bytes);
  return nullptr;
}

// Values that break things: ends of ranges, neighbours of what is there, and noise.
std::uint64_t wrong(Input& input, std::uint64_t right) {
  switch (input.below(7)) {
    case 0:
      return 0;
    case 1:
      return UINT64_MAX - input.below(100);
    case 2:
      return right + 1;
    case 3:
      return right - 1;
    case 4:
      return right ^ (std::uint64_t{1} << input.below(64));
    case 5:
      return input.number(3) * cache_line;
    default:
      return input.number(8);
  }
}

}  // namespace

std::uint64_t soon_ns() { return platform::monotonic_ns() + nap_ns; }

void require(bool holds, const char* what) {
  if (holds) return;
  fprintf(stderr, "fuzz: %s\n", what);
  abort();
}

void require_documented(Status status) {
  require(status >= Status::too_many_waiters && status <= Status::no_consumer, "a status that is none");
}

Fence::Fence(const Segment& segment)
    : before_(raise(segment.base() - guard_bytes)), after_(raise(segment.base() + segment.size_bytes())) {}

Fence::~Fence() {
  for (std::byte* place : {before_, after_}) {
    if (place != nullptr) munmap(place, guard_bytes);
  }
}

void write_over(Input& input, const Region* regions, std::size_t count) {
  for (std::uint64_t strikes = input.below(12) + 1; strikes > 0; strikes--) {
    const Region& region = regions[input.below(count)];
    std::size_t width_bytes = input.below(2) == 0 ? 4 : 8;
    std::byte* at = region.begin + input.number(3) % (region.size_bytes / width_bytes) * width_bytes;
    std::uint64_t value = 0;
    memcpy(&value, at, width_bytes);
    value = wrong(input, value);
    memcpy(at, &value, width_bytes);
  }
}

std::shared_ptr<Segment> attach_again(const Segment& segment) {
  Fault fault;
  std::shared_ptr<Segment> attached;
  int fd = fcntl(segment.fd(), F_DUPFD_CLOEXEC, 0);
  Status status = Segment::attach(fd, nullptr, &attached, &fault);
  require_documented(status);
  require((status == Status::ok) == (attached != nullptr), "attach says one thing and does another");
  if (status != Status::ok) close(fd);
  return attached;
}

}  // namespace interproc::fuzz
