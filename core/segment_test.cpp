#include "segment.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>

#include <fstream>
#include <functional>

#include "channel_memory.hpp"
#include "testing/channels.hpp"

using namespace interproc;
using namespace interproc::testing;

namespace {

constexpr ChannelOptions small{.max_items = 100, .max_bytes = 1 << 20, .virtual_bytes = 1 << 20};
constexpr int all_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

int open_descriptors() {
  int count = 0;
  DIR* folder = opendir("/proc/self/fd");
  while (readdir(folder) != nullptr) count++;
  closedir(folder);
  return count;
}

int segment_mappings() {
  int count = 0;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find("memfd:interproc") != std::string::npos) count++;
  }
  return count;
}

struct Footprint {
  int descriptors = open_descriptors();
  int mappings = segment_mappings();
  bool operator==(const Footprint&) const = default;
};

std::uint64_t address_space_in_use() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t pages = 0;
  statm >> pages;
  return pages * page_bytes;
}

void limit(int resource, std::uint64_t value) {
  rlimit now;
  CHECK_EQ(getrlimit(static_cast<__rlimit_resource_t>(resource), &now), 0);
  now.rlim_cur = value;
  CHECK_EQ(setrlimit(static_cast<__rlimit_resource_t>(resource), &now), 0);
}

// The first pages of a real segment, changed, in a memfd of its own.
class Forgery {
 public:
  Forgery(std::uint32_t channel_count, std::function<void(SegmentHeader&, std::byte*)> change,
          std::int64_t growth_bytes = 0, int seals = all_seals) {
    std::shared_ptr<Segment> real = make_segment(small, LockKind::liveness, channel_count);
    std::uint64_t size_bytes = real->size_bytes();
    fd_ = memfd_create("forgery", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    CHECK_EQ(ftruncate(fd_, static_cast<off_t>(size_bytes) + growth_bytes), 0);
    void* memory = mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
    auto* base = static_cast<std::byte*>(memory);
    std::memcpy(base, real->base(), page_bytes);
    for (std::uint32_t i = 0; i < channel_count; i++) {
      std::uint64_t at = real->header().channel_offset[i];
      std::memcpy(base + at, real->base() + at, page_bytes);
    }
    change(*reinterpret_cast<SegmentHeader*>(base), base);
    munmap(memory, size_bytes);
    if (seals != 0) CHECK_EQ(fcntl(fd_, F_ADD_SEALS, seals), 0);
  }
  ~Forgery() { close(fd_); }
  Forgery(const Forgery&) = delete;
  Forgery& operator=(const Forgery&) = delete;

  void expect_refusal(Status expected, const char* doing, const Fault* values = nullptr) {
    Footprint before;
    std::shared_ptr<Segment> segment;
    Fault fault;
    CHECK_EQ(Segment::attach(fd_, nullptr, &segment, &fault), expected);
    CHECK(segment == nullptr);
    CHECK_EQ(std::string(fault.doing), std::string(doing));
    if (values != nullptr) {
      CHECK_EQ(fault.found, values->found);
      CHECK_EQ(fault.expected, values->expected);
    }
    CHECK(Footprint() == before);
    CHECK(fcntl(fd_, F_GETFD) >= 0);  // the descriptor stays the caller's
  }
  int fd() const { return fd_; }

 private:
  int fd_ = -1;
};

using Header = SegmentHeader;

ChannelControl& control_of(const Header& header, std::byte* base, std::uint32_t index = 0) {
  return *reinterpret_cast<ChannelControl*>(base + header.channel_offset[index]);
}

}  // namespace

TEST(a_new_segment_is_sealed_and_stamped) {
  for (std::uint32_t channel_count : {1u, 2u}) {
    std::shared_ptr<Segment> segment = make_segment(small, LockKind::liveness, channel_count);
    CHECK_EQ(fcntl(segment->fd(), F_GET_SEALS), all_seals);
    CHECK_EQ(fcntl(segment->fd(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    CHECK(ftruncate(segment->fd(), 0) != 0);
    CHECK(ftruncate(segment->fd(), static_cast<off_t>(segment->size_bytes() + page_bytes)) != 0);
    const SegmentHeader& header = segment->header();
    CHECK_EQ(header.magic, segment_magic);
    CHECK_EQ(header.version, layout_version);
    CHECK_EQ(header.word_bytes, sizeof(void*));
    CHECK_EQ(header.size_bytes, segment->size_bytes());
    CHECK_EQ(header.channel_count, channel_count);
    CHECK_EQ(header.lock_kind, LockKind::liveness);
    for (std::uint32_t i = 0; i < channel_count; i++) {
      ChannelMemory memory;
      Fault fault;
      CHECK_EQ(check_channel(*segment, i, &memory, &fault), Status::ok);
      CHECK_EQ(memory.max_items, small.max_items);
      CHECK_EQ(memory.max_bytes, small.max_bytes);
    }
    ChannelMemory memory;
    Fault fault;
    CHECK_EQ(check_channel(*segment, channel_count, &memory, &fault), Status::bad_segment);
  }
}

TEST(an_idle_segment_holds_few_pages) {
  std::shared_ptr<Segment> segment = make_segment();
  CHECK(resident_bytes(*segment) <= 4 * page_bytes);
}

TEST(a_number_of_channels_that_no_segment_has_is_refused) {
  for (std::uint32_t channel_count : {0u, max_channels + 1}) {
    Fault fault;
    std::shared_ptr<Segment> segment;
    CHECK_EQ(Segment::create(channel_count, small, &segment, &fault), Status::bad_segment);
    CHECK_EQ(fault.found, channel_count);
  }
}

TEST(two_segments_have_two_identities) {
  std::shared_ptr<Segment> one = make_segment(small);
  std::shared_ptr<Segment> other = make_segment(small);
  CHECK(std::memcmp(one->header().uuid, other->header().uuid, 16) != 0);
}

TEST(attaching_maps_the_same_memory) {
  Footprint before;
  {
    std::shared_ptr<Segment> segment = make_segment(small);
    std::shared_ptr<Segment> attached;
    Fault fault;
    int fd = fcntl(segment->fd(), F_DUPFD_CLOEXEC, 0);
    CHECK_EQ(Segment::attach(fd, segment->header().uuid, &attached, &fault), Status::ok);
    CHECK_EQ(attached->fd(), fd);
    CHECK(attached->base() != segment->base());
    Channel producer(segment, 0);
    Channel consumer(attached, 0);
    CHECK_EQ(put(producer, pattern(100)), Status::ok);
    segment.reset();
    expect(consumer, pattern(100));
  }
  CHECK(Footprint() == before);
}

TEST(a_forgery_without_change_is_accepted) {
  Forgery forgery(2, [](Header&, std::byte*) {});
  std::shared_ptr<Segment> segment;
  Fault fault;
  CHECK_EQ(Segment::attach(fcntl(forgery.fd(), F_DUPFD_CLOEXEC, 0), nullptr, &segment, &fault), Status::ok);
}

TEST(a_wrong_header_is_refused_with_what_was_found) {
  Fault values;
  values = {0, "", 0x1122334455667788, segment_magic};
  Forgery(1, [](Header& header, std::byte*) {
    header.magic = 0x1122334455667788;
  }).expect_refusal(Status::bad_segment, "magic number", &values);
  values = {0, "", layout_version + 41, layout_version};
  Forgery(1, [](Header& header, std::byte*) {
    header.version += 41;
  }).expect_refusal(Status::layout_mismatch, "layout version", &values);
  values = {0, "", 4, sizeof(void*)};
  Forgery(1, [](Header& header, std::byte*) {
    header.word_bytes = 4;
  }).expect_refusal(Status::layout_mismatch, "word size", &values);
  values = {0, "", platform::self().pid_namespace, 99};
  Forgery(1, [](Header& header, std::byte*) {
    header.pid_namespace = 99;
  }).expect_refusal(Status::foreign_namespace, "PID namespace", &values);
  values = {0, "", 17, 1};
  Forgery(1, [](Header& header, std::byte*) {
    header.lock_kind = static_cast<LockKind>(17);
  }).expect_refusal(Status::bad_segment, "lock kind", &values);
  Forgery(1, [](Header& header, std::byte*) {
    header.size_bytes += page_bytes;
  }).expect_refusal(Status::bad_segment, "size in the header");
}

TEST(another_identity_is_refused) {
  std::shared_ptr<Segment> segment = make_segment(small);
  std::uint8_t other[16] = {1, 2, 3};
  Fault fault;
  std::shared_ptr<Segment> attached;
  CHECK_EQ(Segment::attach(segment->fd(), other, &attached, &fault), Status::peer_gone);
  CHECK_EQ(std::string(fault.doing), "identity of the segment");
  CHECK(attached == nullptr);
  CHECK(fcntl(segment->fd(), F_GETFD) >= 0);
}

TEST(memory_of_another_size_is_refused) {
  Forgery(1, [](Header&, std::byte*) {}, page_bytes).expect_refusal(Status::bad_segment, "size in the header");
  Forgery(1, [](Header&, std::byte*) {}, 1).expect_refusal(Status::bad_segment, "size of the segment");
  auto shrunk = -static_cast<std::int64_t>(page_bytes);
  Forgery(1, [](Header&, std::byte*) {}, shrunk).expect_refusal(Status::bad_segment, "size in the header");
}

TEST(memory_without_the_seals_is_refused) {
  for (int seals : {0, F_SEAL_SHRINK, F_SEAL_SHRINK | F_SEAL_GROW, F_SEAL_GROW | F_SEAL_SEAL}) {
    Fault values{0, "", static_cast<std::uint64_t>(seals), all_seals};
    Forgery(
        1, [](Header&, std::byte*) {}, 0, seals)
        .expect_refusal(Status::bad_segment, "seals of the descriptor", &values);
  }
}

TEST(descriptors_of_other_things_are_refused) {
  int ends[2];
  CHECK_EQ(pipe(ends), 0);
  int closed = fcntl(ends[0], F_DUPFD_CLOEXEC, 100);
  close(closed);
  int empty = memfd_create("empty", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  CHECK_EQ(fcntl(empty, F_ADD_SEALS, all_seals), 0);
  int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  for (int fd : {ends[0], ends[1], closed, empty, file, -1}) {
    std::shared_ptr<Segment> segment;
    Fault fault;
    CHECK_EQ(Segment::attach(fd, nullptr, &segment, &fault), Status::bad_segment);
    CHECK(segment == nullptr);
  }
  for (int fd : {ends[0], ends[1], empty, file}) close(fd);
}

TEST(regions_that_cannot_be_true_are_refused) {
  using Change = void (*)(ChannelControl&);
  struct Case {
    const char* doing;
    Change change;
  };
  const Case cases[] = {
      {"offset of the participants", [](ChannelControl& control) { control.participants_offset = 0; }},
      {"offset of the participants", [](ChannelControl& control) { control.participants_offset += 8; }},
      {"offset of the directory", [](ChannelControl& control) { control.directory_offset = page_bytes; }},
      {"offset of the directory", [](ChannelControl& control) { control.directory_mask = UINT32_MAX; }},
      {"offset of the chunk links", [](ChannelControl& control) { control.links_offset = UINT64_MAX - 4095; }},
      {"offset of the chunk links", [](ChannelControl& control) { control.chunk_count = UINT32_MAX; }},
      {"offset of the chunks", [](ChannelControl& control) { control.chunks_offset = std::uint64_t{1} << 62; }},
      {"offset of the arena", [](ChannelControl& control) { control.arena_offset -= page_bytes; }},
      {"offset of the arena", [](ChannelControl& control) { control.arena_bytes += page_bytes; }},
      {"offset of the arena", [](ChannelControl& control) { control.arena_bytes = UINT64_MAX; }},
      {"size of the arena", [](ChannelControl& control) { control.arena_bytes = 0; }},
      {"size of the arena", [](ChannelControl& control) { control.arena_bytes = cache_line; }},
      {"directory size", [](ChannelControl& control) { control.directory_mask -= 1; }},
      {"directory size", [](ChannelControl& control) { control.directory_mask = 0; }},
      {"number of chunks", [](ChannelControl& control) { control.chunk_count = 1; }},
      {"number of chunks", [](ChannelControl& control) { control.chunk_count = 0; }},
  };
  for (const Case& wrong : cases) {
    Forgery(2, [&](Header& header, std::byte* base) {
      wrong.change(control_of(header, base, 1));
    }).expect_refusal(Status::bad_segment, wrong.doing);
  }
  Forgery(2, [](Header& header, std::byte*) {
    header.channel_offset[1] = header.size_bytes;
  }).expect_refusal(Status::bad_segment, "channel offset");
  Forgery(2, [](Header& header, std::byte*) {
    header.channel_offset[0] += 64;
  }).expect_refusal(Status::bad_segment, "channel offset");
  Forgery(2, [](Header& header, std::byte*) {
    header.channel_count = max_channels + 1;
  }).expect_refusal(Status::bad_segment, "channel index");
  Forgery(2, [](Header& header, std::byte*) {
    header.channel_count = 0;
  }).expect_refusal(Status::bad_segment, "channel index");
}

FORK_TEST(too_few_descriptors_are_a_fault_that_leaves_nothing) {
  finish_child(start_child([] {
    Footprint before;
    int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(next);
    limit(RLIMIT_NOFILE, static_cast<std::uint64_t>(next));
    Fault fault;
    std::shared_ptr<Segment> segment;
    CHECK_EQ(Segment::create(1, small, &segment, &fault), Status::out_of_descriptors);
    CHECK_EQ(fault.error_number, EMFILE);
    CHECK(segment == nullptr);
    limit(RLIMIT_NOFILE, 256);
    CHECK(Footprint() == before);
    CHECK_EQ(Segment::create(1, small, &segment, &fault), Status::ok);
  }));
}

FORK_TEST(too_little_address_space_is_a_fault_that_leaves_nothing) {
  finish_child(start_child([] {
    constexpr std::uint64_t gigabyte = std::uint64_t{1} << 30;
    std::shared_ptr<Segment> there = make_segment({.virtual_bytes = gigabyte});
    std::shared_ptr<Segment> segment;
    Footprint before;
    limit(RLIMIT_AS, address_space_in_use() + gigabyte / 4);
    Fault fault;
    CHECK_EQ(Segment::create(1, {.virtual_bytes = gigabyte}, &segment, &fault), Status::out_of_memory);
    CHECK_EQ(fault.error_number, ENOMEM);
    CHECK(fault.found > gigabyte);
    CHECK_EQ(Segment::attach(there->fd(), nullptr, &segment, &fault), Status::out_of_memory);
    CHECK(segment == nullptr);
    limit(RLIMIT_AS, RLIM_INFINITY);
    CHECK(Footprint() == before);
  }));
}

// The sanitizers' own mappings are larger than any limit.
#if !defined(INTERPROC_ADDRESS_SANITIZER)
FORK_TEST(segments_fit_a_limited_address_space) {
  finish_child(start_child([] {
    limit(RLIMIT_AS, address_space_in_use() + (std::uint64_t{1} << 30));
    for (int i = 0; i < 3; i++) {
      Fault fault;
      std::shared_ptr<Segment> segment;
      CHECK_EQ(Segment::create(2, {}, &segment, &fault), Status::ok);
      Channel channel(segment, 1);
      CHECK_EQ(put(channel, pattern(100'000)), Status::ok);
      expect(channel, pattern(100'000));
    }
  }));
}
#endif

FORK_TEST(a_limit_on_file_sizes_is_a_fault_that_leaves_nothing) {
  finish_child(start_child([] {
    signal(SIGXFSZ, SIG_IGN);
    Footprint before;
    limit(RLIMIT_FSIZE, 1 << 20);
    Fault fault;
    std::shared_ptr<Segment> segment;
    CHECK_EQ(Segment::create(1, {.virtual_bytes = 16 << 20}, &segment, &fault), Status::out_of_memory);
    CHECK_EQ(fault.error_number, EFBIG);
    CHECK(segment == nullptr);
    CHECK(Footprint() == before);
  }));
}
