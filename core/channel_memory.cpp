#include "channel_memory.hpp"

#include <algorithm>
#include <bit>

#include "platform/platform.hpp"

namespace interproc {

namespace {

constexpr std::uint64_t most_virtual_bytes = std::uint64_t{16} << 30;
constexpr std::uint64_t least_virtual_bytes = std::uint64_t{1} << 20;
// Room for two chunks and for a block or stream window of use: an empty channel is never full.
constexpr std::uint64_t least_max_bytes = std::uint64_t{64} << 10;

// So that a steady stream of big messages finds warm pages.
constexpr std::uint64_t default_warm_bytes = std::uint64_t{32} << 20;

constexpr std::uint64_t round_to_page(std::uint64_t size_bytes) {
  return (size_bytes + page_bytes - 1) / page_bytes * page_bytes;
}

// Address space is free until the process has a limit on it: then a channel takes a sixteenth for each region.
std::uint64_t region_bytes(const ChannelOptions& options, std::uint64_t max_bytes) {
  if (options.virtual_bytes != 0) return std::max(round_to_page(options.virtual_bytes), least_virtual_bytes);
  std::uint64_t wanted = std::min(most_virtual_bytes, std::bit_ceil(max_bytes) * 4);
  std::uint64_t limit = platform::address_space_limit();
  if (limit != UINT64_MAX) wanted = std::min(wanted, limit / 16);
  return std::max(round_to_page(wanted), least_virtual_bytes);
}

}  // namespace

std::uint64_t plan_channel(const ChannelOptions& options, std::uint32_t channel_count, ChannelControl* control) {
  control->max_items = options.max_items;
  control->tasks = options.tasks;
  control->max_deliveries = options.max_deliveries;
  control->no_consumer = options.no_consumer;
  control->max_bytes = options.max_bytes != 0 ? options.max_bytes : platform::physical_bytes() / 2;
  control->max_bytes = std::max(control->max_bytes, least_max_bytes);
  control->max_unread_bytes = options.max_unread_bytes != 0 ? options.max_unread_bytes : control->max_bytes;
  control->max_unread_bytes = std::clamp(control->max_unread_bytes, least_max_bytes, control->max_bytes);
  control->warm_bytes = options.warm_bytes != UINT64_MAX ? options.warm_bytes : default_warm_bytes;
  std::uint64_t region = round_to_page(region_bytes(options, control->max_bytes) / channel_count);
  std::uint64_t chunk_count = region / chunk_bytes;
  if (options.max_items != 0) {
    // A full line may begin and end inside a chunk: one more than it fills, and one to build the next in.
    chunk_count = std::min(chunk_count, options.max_items / chunk_slots + 2);
  }
  std::uint64_t directory = std::bit_ceil(chunk_count + 1);
  control->chunk_count = static_cast<std::uint32_t>(chunk_count);
  control->directory_mask = static_cast<std::uint32_t>(directory - 1);
  control->arena_bytes = region;

  control->participants_offset = page_bytes;
  control->directory_offset =
      control->participants_offset + round_to_page(sizeof(Participant) * std::uint64_t{max_participants});
  control->links_offset = control->directory_offset + round_to_page(directory * sizeof(Shared32));
  control->chunks_offset = control->links_offset + round_to_page(chunk_count * sizeof(std::uint32_t));
  control->arena_offset = control->chunks_offset + chunk_count * chunk_bytes;
  return control->arena_offset + control->arena_bytes;
}

Status check_channel(const Segment& segment, std::uint32_t index, ChannelMemory* memory, Fault* fault) {
  const SegmentHeader& header = segment.header();
  auto refuse = [&](const char* what, std::uint64_t found, std::uint64_t expected) {
    *fault = Fault{0, what, found, expected};
    return Status::bad_segment;
  };
  std::uint32_t channel_count = header.channel_count;
  if (index >= channel_count || channel_count > max_channels) return refuse("channel index", index, channel_count);
  std::uint64_t at = header.channel_offset[index];
  std::uint64_t size = segment.size_bytes();
  if (at % page_bytes != 0 || at >= size || size - at < page_bytes) return refuse("channel offset", at, size);
  auto* control = reinterpret_cast<ChannelControl*>(segment.base() + at);
  std::uint64_t room = size - at;

  ChannelMemory seen{};
  seen.control = control;
  seen.max_items = control->max_items;
  seen.max_bytes = control->max_bytes;
  seen.warm_bytes = control->warm_bytes;
  seen.max_unread_bytes = control->max_unread_bytes;
  seen.chunk_count = control->chunk_count;
  seen.directory_mask = control->directory_mask;
  seen.arena_bytes = control->arena_bytes;
  seen.lock_kind = header.lock_kind;
  seen.tasks = control->tasks;
  seen.max_deliveries = control->max_deliveries;
  seen.no_consumer = control->no_consumer;

  const std::uint64_t directory_entries = std::uint64_t{seen.directory_mask} + 1;
  struct Region {
    const char* name;
    std::uint64_t offset;
    std::uint64_t size_bytes;
  };
  const Region regions[] = {
      {"offset of the participants", control->participants_offset,
       sizeof(Participant) * std::uint64_t{max_participants}},
      {"offset of the directory", control->directory_offset, directory_entries * sizeof(Shared32)},
      {"offset of the chunk links", control->links_offset, std::uint64_t{seen.chunk_count} * sizeof(std::uint32_t)},
      {"offset of the chunks", control->chunks_offset, std::uint64_t{seen.chunk_count} * chunk_bytes},
      {"offset of the arena", control->arena_offset, seen.arena_bytes},
  };
  std::uint64_t free_from = page_bytes;
  for (const Region& region : regions) {
    if (region.offset % page_bytes != 0 || region.offset < free_from || region.offset > room ||
        region.size_bytes > room - region.offset) {
      return refuse(region.name, region.offset, room);
    }
    free_from = region.offset + region.size_bytes;
  }
  if (!std::has_single_bit(directory_entries) || directory_entries <= seen.chunk_count) {
    return refuse("directory size", directory_entries, seen.chunk_count);
  }
  if (seen.arena_bytes < page_bytes) return refuse("size of the arena", seen.arena_bytes, page_bytes);
  if (seen.chunk_count < 2) return refuse("number of chunks", seen.chunk_count, 2);
  if (seen.tasks > TaskPolicy::redeliver) {
    return refuse("policy for tasks", static_cast<std::uint64_t>(seen.tasks), 2);
  }
  if (seen.no_consumer > NoConsumer::drop_oldest) {
    return refuse("policy for lines without a consumer", static_cast<std::uint64_t>(seen.no_consumer), 2);
  }
  if (seen.lock_kind != LockKind::kernel && seen.lock_kind != LockKind::liveness) {
    return refuse("lock kind", static_cast<std::uint64_t>(seen.lock_kind), 1);
  }

  std::byte* base = segment.base() + at;
  seen.participants = reinterpret_cast<Participant*>(base + regions[0].offset);
  seen.directory = reinterpret_cast<Shared32*>(base + regions[1].offset);
  seen.links = reinterpret_cast<std::uint32_t*>(base + regions[2].offset);
  seen.chunks = base + regions[3].offset;
  seen.arena = base + regions[4].offset;
  seen.chunks_at = at + regions[3].offset;
  seen.arena_at = at + regions[4].offset;
  seen.segment = &segment;
  *memory = seen;
  return Status::ok;
}

}  // namespace interproc
