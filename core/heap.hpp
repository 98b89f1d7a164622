// HeapBlock: a piece of raw shared memory for values and arrays.
//
// Blocks lie in heap segments, 64-byte aligned and zeroed, with nothing of ours between them. What is free is known only
// to the process that made the segment (shelves.hpp): a forked child makes segments of its own, and a block comes back
// for reuse only if it was never exported and its process has not forked since. Blocks above 64 KiB have a segment of
// their own, which goes with its last block object in any process.
// The memory of a block is reserved when it is made: out of memory is a fault here, never a signal later.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "segment.hpp"
#include "shelves.hpp"
#include "status.hpp"

namespace interproc {

class HeapBlock {
 public:
  // Zeroed; a size of 0 is taken for 1. Faults of Segment::create_plain; out_of_memory.
  static Status create(std::uint64_t size_bytes, std::unique_ptr<HeapBlock>* block, Fault* fault);
  // A handle to a block is the identity of its segment, offset() and size_bytes(). bad_segment unless these lie inside a
  // heap segment.
  static Status attach(std::shared_ptr<Segment> segment, std::uint64_t offset, std::uint64_t size_bytes,
                       std::unique_ptr<HeapBlock>* block, Fault* fault);
  ~HeapBlock();
  HeapBlock(const HeapBlock&) = delete;
  HeapBlock& operator=(const HeapBlock&) = delete;

  std::byte* data() const { return segment_->base() + offset_; }
  std::uint64_t size_bytes() const { return size_bytes_; }
  std::uint64_t offset() const { return offset_; }
  const std::shared_ptr<Segment>& segment() const { return segment_; }

  // Call it before a handle to the block leaves: from then on its memory is never used for another block.
  void mark_exported() { exported_.store(true, std::memory_order_relaxed); }

 private:
  HeapBlock(std::shared_ptr<Segment> segment, std::uint64_t offset, std::uint64_t size_bytes);
  static Status hold(std::shared_ptr<Segment> segment, std::uint64_t offset, std::uint64_t size_bytes,
                     std::unique_ptr<HeapBlock>* block, Fault* fault);

  std::shared_ptr<Segment> segment_;
  std::uint64_t offset_;
  std::uint64_t size_bytes_;
  Provenance given_out_;  // stays empty where the block cannot come back: attached, or alone in its segment
  std::atomic<bool> exported_{false};
};

}  // namespace interproc
