// Private memory on Linux.
#include <errno.h>
#include <sys/mman.h>

#include "platform.hpp"

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

}  // namespace interproc::platform
