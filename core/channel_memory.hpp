// ChannelMemory: where the parts of one channel lie in this process's mapping, checked once.
//
// After check_channel() the offsets and counts kept here are this process's own copies: what another process writes into
// shared memory later cannot move them outside the segment.
#pragma once

#include "layout.hpp"
#include "segment.hpp"
#include "status.hpp"

namespace interproc {

struct ChannelMemory {
  ChannelControl* control;
  Participant* participants;
  Shared32* directory;   // directory[(position / chunk_slots) & directory_mask] = chunk
  std::uint32_t* links;  // links[chunk] = next chunk in its free list
  std::byte* chunks;
  std::byte* arena;
  std::uint64_t arena_bytes;
  std::uint64_t max_items;
  std::uint64_t max_bytes;
  std::uint64_t max_unread_bytes;
  std::uint64_t warm_bytes;
  std::uint32_t chunk_count;
  std::uint32_t directory_mask;
  LockKind lock_kind;
  TaskPolicy tasks;
  std::uint32_t max_deliveries;
  NoConsumer no_consumer;
  const Segment* segment;   // for reserving and giving back pages
  std::uint64_t chunks_at;  // offsets in the memfd
  std::uint64_t arena_at;
};

// Fills the offsets and limits of a channel with these options in `control`; returns the bytes that all of it takes.
std::uint64_t plan_channel(const ChannelOptions& options, std::uint32_t channel_count, ChannelControl* control);

Status check_channel(const Segment& segment, std::uint32_t index, ChannelMemory* memory, Fault* fault);

}  // namespace interproc
