// Private memory on Linux.
#include <errno.h>
#include <sys/mman.h>

#include "layout.hpp"
#include "platform.hpp"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

namespace interproc::platform {

Status map_private(std::uint64_t size_bytes, std::byte** base, Fault* fault) {
  void* address = mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED) {
    *fault = Fault{errno, "mmap", size_bytes, 0};
    return Status::out_of_memory;
  }
  madvise(address, size_bytes, MADV_HUGEPAGE);  // advice: small pages do as well
  *base = static_cast<std::byte*>(address);
  return Status::ok;
}

bool move_mapping(std::byte* from, std::uint64_t size_bytes, std::byte* to) {
  return mremap(from, size_bytes, size_bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to) != MAP_FAILED;
}

namespace {

// What the kernel can move as a whole, if it begins at such a boundary before and after.
constexpr std::uint64_t page_table_bytes = std::uint64_t{2} << 20;

// Address space; nullptr if there is none.
std::byte* find_place(std::uint64_t size_bytes) {
  std::uint64_t alignment = size_bytes < page_table_bytes ? page_bytes : page_table_bytes;
  std::uint64_t with_slack = size_bytes + alignment - page_bytes;
  void* address = mmap(nullptr, with_slack, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (address == MAP_FAILED) return nullptr;
  auto* start = static_cast<std::byte*>(address);
  std::uint64_t before = -reinterpret_cast<std::uintptr_t>(start) % alignment;
  std::uint64_t after = with_slack - before - size_bytes;
  if (before > 0) munmap(start, before);
  if (after > 0) munmap(start + before + size_bytes, after);
  return start + before;
}

}  // namespace

Status map_part(int fd, std::uint64_t offset, std::uint64_t size_bytes, std::byte** base, Fault* fault) {
  std::byte* place = find_place(size_bytes);
  void* address = MAP_FAILED;
  if (place != nullptr) {
    address = mmap(place, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, static_cast<off_t>(offset));
  }
  if (address == MAP_FAILED) {
    *fault = Fault{errno, "mmap", size_bytes, 0};
    if (place != nullptr) munmap(place, size_bytes);
    return Status::out_of_memory;
  }
  *base = place;
  return Status::ok;
}

// The old pages' place stays taken all the time, so that nobody else's mapping gets there. For shared memory the kernel can
// do so since 5.13.
bool take_mapping(std::byte* base, std::uint64_t size_bytes, std::byte** elsewhere) {
  std::byte* place = find_place(size_bytes);
  if (place == nullptr) return false;
  void* moved = mremap(base, size_bytes, size_bytes, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, place);
  if (moved == MAP_FAILED) {
    munmap(place, size_bytes);
    return false;
  }
  void* zeros =
      mmap(base, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  if (zeros == MAP_FAILED) {
    munmap(place, size_bytes);  // the old place still shows the same memory
    return false;
  }
  *elsewhere = place;
  return true;
}

}  // namespace interproc::platform
