// Segment: one sealed memfd and this process's mapping of it. It holds channels, a pool of synchronisation objects, or a
// heap; attach() takes any, and check_channel, SyncPool and HeapBlock each refuse the other kinds.
//
// No name, so nothing can leak: the kernel frees it with its last descriptor and mapping. The trap: unmapping while a
// thread of this process is inside an operation. Therefore whoever runs operations (a Channel) keeps the Segment alive.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "layout.hpp"
#include "status.hpp"

namespace interproc {

struct ChannelOptions {
  std::uint64_t max_items = 0;            // 0 = unbounded
  std::uint64_t max_bytes = 0;            // 0 = half of the machine's memory; at least 64 KiB
  std::uint64_t max_unread_bytes = 0;     // of max_bytes, for what nobody has taken yet; 0 = all of it
  std::uint64_t warm_bytes = UINT64_MAX;  // memory that idle blocks keep; UINT64_MAX = 32 MiB
  std::uint64_t virtual_bytes = 0;        // address space for each of ring and arena; 0 = by machine and RLIMIT_AS
  TaskPolicy tasks = TaskPolicy::uncounted;
  std::uint32_t max_deliveries = 0;  // see ChannelControl
  NoConsumer no_consumer = NoConsumer::block;
};

class ViewSpace;

class Segment {
 public:
  // Blocks: never. On success `*segment` owns a descriptor and a mapping. Faults: out_of_memory, out_of_descriptors,
  // system_error; nothing is left behind.
  static Status create(std::uint32_t channel_count, const ChannelOptions& options, std::shared_ptr<Segment>* segment,
                       Fault* fault);

  // A segment without channels, of exactly `size_bytes` (whole pages), zero but for its header, its first
  // `reserved_bytes` reserved. Faults as above.
  static Status create_plain(SegmentKind kind, std::uint64_t size_bytes, std::uint64_t reserved_bytes,
                             std::shared_ptr<Segment>* segment, Fault* fault);

  // Takes ownership of `fd` on success only. `uuid` (16 bytes) may be null; peer_gone if it does not match. Faults:
  // bad_segment, layout_mismatch, foreign_namespace, lock_unsupported, peer_gone, out_of_memory, system_error.
  static Status attach(int fd, const std::uint8_t* uuid, std::shared_ptr<Segment>* segment, Fault* fault);

  ~Segment();
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  int fd() const { return fd_; }
  const SegmentHeader& header() const { return *reinterpret_cast<const SegmentHeader*>(base_); }
  std::byte* base() const { return base_; }
  std::size_t size_bytes() const { return size_bytes_; }

 private:
  friend class ViewSpace;
  Segment(int fd, std::byte* base, std::size_t size_bytes) : fd_(fd), base_(base), size_bytes_(size_bytes) {}

  static Status own(int fd, std::byte* base, std::size_t size_bytes, std::shared_ptr<Segment>* segment, Fault* fault);

  int fd_;
  std::byte* base_;
  std::size_t size_bytes_;
  mutable std::shared_ptr<ViewSpace> view_space_;  // made with the first view; guarded by view.cpp
};

}  // namespace interproc
