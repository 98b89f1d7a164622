#include "sweep/audit.hpp"

#include <vector>

namespace interproc::sweep {

namespace {

std::string differs(const char* what, std::uint64_t found, std::uint64_t expected) {
  if (found == expected) return "";
  return std::string(what) + " is " + std::to_string(found) + " and not " + std::to_string(expected);
}

// Every chunk that was ever taken is in exactly one place: in use, in the warm list or in the cold one.
std::string audit_chunks(const ChannelMemory& memory) {
  const ChannelControl& control = *memory.control;
  const std::uint64_t tail = control.tail.load();
  const std::uint32_t used = tail % chunk_slots != 0 ? 1 : 0;
  if (control.chunks_used != used) return differs("chunks_used", control.chunks_used, used);
  if (control.fresh_chunk > memory.chunk_count) return differs("fresh_chunk", control.fresh_chunk, memory.chunk_count);
  std::vector<const char*> place_of(control.fresh_chunk, nullptr);
  auto put_down = [&](std::uint32_t chunk, const char* place) -> std::string {
    if (chunk >= place_of.size()) return std::string("a chunk that was never taken is ") + place;
    if (place_of[chunk] != nullptr) return std::string("a chunk is ") + place + " and " + place_of[chunk];
    place_of[chunk] = place;
    return "";
  };
  std::string wrong;
  if (used > 0) wrong = put_down(memory.directory[tail / chunk_slots & memory.directory_mask].load(), "in use");
  std::uint32_t warm = 0;
  for (std::uint32_t chunk = control.warm_chunks; wrong.empty() && chunk != no_chunk; chunk = memory.links[chunk]) {
    wrong = put_down(chunk, "warm");
    warm++;
  }
  for (std::uint32_t chunk = control.cold_chunks; wrong.empty() && chunk != no_chunk; chunk = memory.links[chunk]) {
    wrong = put_down(chunk, "cold");
  }
  if (!wrong.empty()) return wrong;
  if (control.warm_chunk_count != warm) return differs("warm_chunk_count", control.warm_chunk_count, warm);
  for (const char* place : place_of) {
    if (place == nullptr) return "a chunk is lost";
  }
  return "";
}

std::string audit_arena(const ChannelControl& control) {
  std::string wrong = differs("blocks_used", control.blocks_used, 0);
  if (wrong.empty()) wrong = differs("arena_used", control.arena_used, 0);
  if (wrong.empty()) wrong = differs("arena_free", control.arena_free, 0);
  if (wrong.empty()) wrong = differs("arena_end", control.arena_end, cache_line);
  for (std::uint64_t block : control.free_lists) {
    if (wrong.empty()) wrong = differs("a list of free blocks", block, no_block);
  }
  return wrong;
}

}  // namespace

std::string audit(const ChannelMemory& memory) {
  const ChannelControl& control = *memory.control;
  std::string wrong = differs("head", control.head.load(), control.tail.load());
  if (wrong.empty()) wrong = differs("the lock", control.lock.load(), 0);
  if (wrong.empty()) wrong = audit_chunks(memory);
  if (wrong.empty()) wrong = audit_arena(control);
  return wrong;
}

}  // namespace interproc::sweep
