// Ring: the line of slots, in chunks.
//
// A position counts messages since the channel was made; it never wraps. Slot(position) lies in the chunk that
// directory[position / chunk_slots] names, so the line grows and shrinks by whole chunks: no copying, no longest put, and
// a small queue keeps cycling through one or two warm chunks of 8 KiB.
//
// COMMIT  is one store of `tail`, RELEASE one store of `head`. Whatever a dying process did before its store has not
// happened; what it did to the lists of free chunks is repaired by rebuild(), which keeps nothing but head, tail and the
// directory: a chunk is in use iff a position in [head, tail) or the unfinished chunk of `tail` needs it.
//
// Every function: lock held.
#pragma once

#include "channel_memory.hpp"
#include "layout.hpp"
#include "status.hpp"

namespace interproc {

class Ring {
 public:
  explicit Ring(const ChannelMemory& memory) : memory_(memory) {}

  // The slot of a committed position; nullptr if the directory cannot be true.
  Slot* slot_at(std::uint64_t position) const {
    std::uint32_t index = static_cast<std::uint32_t>(position / chunk_slots) & memory_.directory_mask;
    std::uint32_t chunk = memory_.directory[index].load(std::memory_order_relaxed);
    if (chunk >= memory_.chunk_count) return nullptr;
    return slot_in(chunk, position);
  }

  // The slot to fill for `position` (the tail, or a later one of the same batch): makes its chunk where it begins one.
  // ok, full (no chunk left), bad_segment, out_of_memory.
  Status claim(std::uint64_t position, Slot** slot, Fault* fault) {
    if (position % chunk_slots == 0) {
      Status status = begin_chunk(position, fault);
      if (status != Status::ok) return status;
    }
    *slot = slot_at(position);
    if (*slot != nullptr) return Status::ok;
    *fault = Fault{0, "directory of the ring", position, memory_.chunk_count};
    return Status::bad_segment;
  }

  // The slot before `head`, to be filled and put back with take_back(); nullptr where there is no room for it.
  Slot* reclaim(std::uint64_t head, Fault* fault) {
    if (head == 0) return nullptr;
    if (head % chunk_slots == 0 && begin_chunk(head - 1, fault) != Status::ok) return nullptr;
    return slot_at(head - 1);
  }
  // Makes a reclaimed slot the first of the line. pairs: ring-commit
  void take_back(std::uint64_t head) { memory_.control->head.store(head, std::memory_order_release); }

  // Makes everything before `tail` visible. pairs: ring-commit
  void commit(std::uint64_t tail) { memory_.control->tail.store(tail, std::memory_order_release); }

  // Gives up everything before `head`. At most one chunk may end between the old head and the new.
  void release(std::uint64_t head) {
    memory_.control->head.store(head, std::memory_order_release);
    if (head % chunk_slots == 0) end_chunk(head - 1);
  }

  void rebuild();                        // after a death: the free lists anew
  void trim(std::uint32_t keep_chunks);  // gives the memory of free chunks beyond these back, at most 512 chunks a call

 private:
  Slot* slot_in(std::uint32_t chunk, std::uint64_t position) const {
    auto* slots = reinterpret_cast<Slot*>(memory_.chunks + std::size_t{chunk} * chunk_bytes);
    return slots + position % chunk_slots;
  }
  Status begin_chunk(std::uint64_t position, Fault* fault);
  void end_chunk(std::uint64_t position);
  Status take_chunk(std::uint32_t* chunk, Fault* fault);
  void give_back(std::uint32_t chunk);

  const ChannelMemory& memory_;
};

}  // namespace interproc
