#include "ring.hpp"

#include <algorithm>

#include "faults.hpp"
#include "platform/platform.hpp"

namespace interproc {

namespace {
// Free chunks that keep their memory: 32 MiB, a quarter of a million small messages. An idle channel keeps less (trim).
constexpr std::uint32_t most_warm_chunks = 4096;
constexpr std::uint32_t most_reserved_at_once = 128;
constexpr std::uint32_t most_trimmed_at_once = 512;
}  // namespace

Status Ring::begin_chunk(std::uint64_t position, Fault* fault) {
  std::uint32_t chunk = no_chunk;
  Status status = take_chunk(&chunk, fault);
  if (status != Status::ok) return status;
  std::uint32_t index = static_cast<std::uint32_t>(position / chunk_slots) & memory_.directory_mask;
  memory_.directory[index].store(chunk, std::memory_order_relaxed);
  memory_.control->chunks_used++;
  return Status::ok;
}

Status Ring::take_chunk(std::uint32_t* chunk, Fault* fault) {
  if (faults::hit(faults::Point::short_ring)) return Status::full;
  ChannelControl& control = *memory_.control;
  // Read once: what another process writes over it later must not get past the check.
  std::uint32_t warm = __atomic_load_n(&control.warm_chunks, __ATOMIC_RELAXED);
  std::uint32_t cold = __atomic_load_n(&control.cold_chunks, __ATOMIC_RELAXED);
  if (warm < memory_.chunk_count) {
    *chunk = warm;
    control.warm_chunks = memory_.links[*chunk];
    if (control.warm_chunk_count > 0) control.warm_chunk_count--;
    return Status::ok;
  }
  std::uint32_t fresh = __atomic_load_n(&control.fresh_chunk, __ATOMIC_RELAXED);
  if (cold < memory_.chunk_count) {
    *chunk = cold;
    Status status = platform::reserve(memory_.segment->fd(), memory_.chunks_at + std::uint64_t{*chunk} * chunk_bytes,
                                      chunk_bytes, fault);
    if (status == Status::ok) control.cold_chunks = memory_.links[*chunk];
    return status;
  }
  if (fresh >= memory_.chunk_count) return Status::full;
  if (fresh >= control.backed_chunk) {
    // A growing line reserves ever more at once, so that the system call is spread over many messages.
    std::uint32_t count = std::clamp(control.chunks_used / 4, 1u, most_reserved_at_once);
    count = std::min(count, memory_.chunk_count - fresh);
    Status status = platform::reserve(memory_.segment->fd(), memory_.chunks_at + std::uint64_t{fresh} * chunk_bytes,
                                      std::uint64_t{count} * chunk_bytes, fault);
    if (status != Status::ok) return status;
    control.backed_chunk = fresh + count;
  }
  *chunk = fresh;
  control.fresh_chunk = fresh + 1;
  return Status::ok;
}

void Ring::end_chunk(std::uint64_t position) {
  std::uint32_t index = static_cast<std::uint32_t>(position / chunk_slots) & memory_.directory_mask;
  std::uint32_t chunk = memory_.directory[index].load(std::memory_order_relaxed);
  if (chunk >= memory_.chunk_count) return;  // not ours to follow; rebuild() finds what is lost
  ChannelControl& control = *memory_.control;
  if (control.chunks_used > 0) control.chunks_used--;
  if (control.warm_chunk_count >= most_warm_chunks) {
    give_back(chunk);
    return;
  }
  memory_.links[chunk] = control.warm_chunks;
  control.warm_chunks = chunk;
  control.warm_chunk_count++;
}

void Ring::give_back(std::uint32_t chunk) {
  ChannelControl& control = *memory_.control;
  platform::give_back(memory_.segment->fd(), memory_.chunks_at + std::uint64_t{chunk} * chunk_bytes, chunk_bytes);
  memory_.links[chunk] = control.cold_chunks;
  control.cold_chunks = chunk;
}

void Ring::trim(std::uint32_t keep_chunks) {
  ChannelControl& control = *memory_.control;
  // What lies there could be anything, and the list a circle: no more rounds than there are chunks.
  control.warm_chunk_count = std::min(control.warm_chunk_count, memory_.chunk_count);
  for (std::uint32_t i = 0; i < most_trimmed_at_once && control.warm_chunk_count > keep_chunks; i++) {
    std::uint32_t chunk = __atomic_load_n(&control.warm_chunks, __ATOMIC_RELAXED);
    if (chunk >= memory_.chunk_count) {
      control.warm_chunk_count = 0;
      return;
    }
    control.warm_chunks = memory_.links[chunk];
    control.warm_chunk_count--;
    give_back(chunk);
  }
}

void Ring::rebuild() {
  ChannelControl& control = *memory_.control;
  std::uint64_t head = control.head.load(std::memory_order_relaxed);
  std::uint64_t tail = control.tail.load(std::memory_order_relaxed);
  std::uint64_t first = head / chunk_slots;
  std::uint64_t last = (tail + chunk_slots - 1) / chunk_slots;  // an unfinished chunk is in use even when all is taken
  if (last < first || last - first > memory_.chunk_count) last = first + memory_.chunk_count;

  // Marks the chunks in use in their own links, where a free chunk's successor would be.
  constexpr std::uint32_t in_use = no_chunk - 1;
  std::uint32_t fresh = std::min(control.fresh_chunk + 1, memory_.chunk_count);  // the dead may have taken one more
  for (std::uint32_t chunk = 0; chunk < fresh; chunk++) memory_.links[chunk] = no_chunk;
  std::uint32_t used = 0;
  for (std::uint64_t number = first; number < last; number++) {
    std::uint32_t index = static_cast<std::uint32_t>(number) & memory_.directory_mask;
    std::uint32_t chunk = memory_.directory[index].load(std::memory_order_relaxed);
    if (chunk >= memory_.chunk_count) continue;
    memory_.links[chunk] = in_use;
    used++;
  }
  control.chunks_used = used;
  control.warm_chunks = no_chunk;
  control.warm_chunk_count = 0;
  control.cold_chunks = no_chunk;
  control.fresh_chunk = fresh;
  control.backed_chunk = fresh;
  // Which free ones still hold memory is unknown: as cold ones they are reserved again before use.
  for (std::uint32_t chunk = fresh; chunk-- > 0;) {
    if (memory_.links[chunk] == in_use) continue;
    memory_.links[chunk] = control.cold_chunks;
    control.cold_chunks = chunk;
  }
}

}  // namespace interproc
