#include "arena.hpp"

#include <string.h>

#include <algorithm>
#include <bit>

#include "platform/platform.hpp"

namespace interproc {

namespace {

constexpr std::uint64_t least_block_bytes = 256;
// While blocks are alive, idle ones may keep this many times what an idle arena keeps.
constexpr std::uint64_t warm_while_busy = 4;
// An arena that has emptied twice within this time is a line of big messages that comes and goes: it keeps what it needed
// both times, until somebody has slept.
constexpr std::uint64_t cycle_ns = 1'000'000'000;
constexpr std::uint64_t trim_step_bytes = std::uint64_t{4} << 20;
constexpr std::uint64_t reserve_step_bytes = std::uint64_t{1} << 20;

}  // namespace

std::uint32_t size_class_of(std::uint64_t size_bytes) {
  if (size_bytes <= least_block_bytes) return 0;
  // size - 1 lies in [2^exponent, 2^(exponent + 1)), cut into quarters.
  auto exponent = static_cast<std::uint32_t>(std::bit_width(size_bytes - 1)) - 1;
  auto quarter = static_cast<std::uint32_t>(((size_bytes - 1) >> (exponent - 2)) & 3);
  return (exponent - 8) * 4 + quarter + 1;
}

std::uint64_t class_bytes(std::uint32_t size_class) {
  return (std::uint64_t{4} + size_class % 4) << (size_class / 4 + 6);
}

std::uint64_t Arena::most_kept_bytes() const {
  return std::min(memory_.arena_bytes - cache_line, memory_.max_bytes) / 2;
}

bool Arena::can_hold(const Wanted& wanted) const {
  std::uint64_t limit = most_kept_bytes();
  if (!wanted.in_place) limit = std::min(limit, memory_.max_unread_bytes);
  if (wanted.payload_bytes > limit) return false;
  return class_bytes(size_class_of(wanted.payload_bytes + sizeof(BlockHeader))) + 2 * chunk_bytes <= limit;
}

std::uint64_t Arena::most_bytes() const {
  std::uint32_t size_class = size_class_of(most_kept_bytes() - 2 * chunk_bytes + 1) - 1;
  return class_bytes(size_class) - sizeof(BlockHeader);
}

bool Arena::has_room(std::uint64_t bytes, bool in_place, bool is_lent) const {
  const ChannelControl& control = *memory_.control;
  std::uint64_t used = control.arena_used + bytes + std::uint64_t{control.chunks_used} * chunk_bytes;
  if (used > memory_.max_bytes) return false;
  if (is_lent) return true;
  if (used - std::min(used, control.arena_taken) <= memory_.max_unread_bytes) return true;
  return in_place && control.arena_used <= control.arena_taken;
}

Arena::Found Arena::look_up(std::uint64_t block, std::uint64_t payload_bytes) const {
  constexpr Found nothing{nullptr, 0};
  if (block == no_block || block % cache_line != 0 || block > memory_.arena_bytes - sizeof(BlockHeader)) return nothing;
  BlockHeader* header = header_at(block);
  std::uint32_t size_class = __atomic_load_n(&header->size_class, __ATOMIC_RELAXED);  // once
  if (size_class >= size_class_count) return nothing;
  std::uint64_t bytes = class_bytes(size_class);
  if (bytes > memory_.arena_bytes - block || payload_bytes > bytes - sizeof(BlockHeader)) return nothing;
  return {header, size_class};
}

Status Arena::allocate(const Wanted& wanted, std::uint32_t token, std::uint64_t* block, bool* unbacked, Fault* fault) {
  ChannelControl& control = *memory_.control;
  std::uint64_t payload_bytes = wanted.payload_bytes;
  std::uint32_t size_class = size_class_of(payload_bytes + sizeof(BlockHeader));
  if (!has_room(class_bytes(size_class), wanted.in_place, wanted.is_lent)) return Status::full;
  *unbacked = false;
  std::uint64_t found = no_block;
  Status status = find_block(size_class, payload_bytes, &found, unbacked, fault);
  if (status == Status::full && control.blocks_freed > 0) {
    merge();
    status = find_block(size_class, payload_bytes, &found, unbacked, fault);
  }
  if (status != Status::ok) return status;
  auto [header, found_class] = look_up(found, payload_bytes);
  if (header == nullptr) {
    *fault = Fault{0, "header of a block", found, memory_.arena_bytes};
    return Status::bad_segment;
  }
  std::uint64_t bytes = class_bytes(found_class);  // may be a larger class than asked for
  if (header->flags & block_unbacked) *unbacked = true;
  header->owner = token;
  header->co_owner = owner_none;
  header->flags = *unbacked ? block_unbacked : 0;  // until note_backed()
  header->ticket = 0;
  header->length = payload_bytes;
  header->head = no_block;
  header->next_lent = no_block;
  control.arena_used += bytes;
  control.blocks_used++;
  control.counters.blocks_made++;
  control.counters.most_blocks = std::max(control.counters.most_blocks, control.blocks_used);
  *block = found;
  return Status::ok;
}

Status Arena::find_block(std::uint32_t size_class, std::uint64_t payload_bytes, std::uint64_t* block, bool* unbacked,
                         Fault* fault) {
  *block = pop_free(size_class);
  return *block != no_block ? Status::ok : extend(size_class, payload_bytes, block, unbacked, fault);
}

void Arena::push_free(std::uint64_t block, BlockHeader& header, std::uint32_t size_class) {
  ChannelControl& control = *memory_.control;
  header.next_free = control.free_lists[size_class];
  control.free_lists[size_class] = block;
  control.blocks_free++;
  if ((header.flags & block_cold) == 0) control.arena_free += class_bytes(size_class);
}

std::uint64_t Arena::pop_free(std::uint32_t size_class) {
  ChannelControl& control = *memory_.control;
  std::uint64_t block = control.free_lists[size_class];
  if (block == no_block) return no_block;
  auto [header, found_class] = look_up(block, 0);
  if (header == nullptr || found_class != size_class || header->owner != owner_none) {
    control.free_lists[size_class] = no_block;  // not a free block: somebody wrote here who should not have
    return no_block;
  }
  control.free_lists[size_class] = header->next_free;
  if (control.blocks_free > 0) control.blocks_free--;
  if ((header->flags & block_cold) == 0) {
    control.arena_free -= std::min(control.arena_free, class_bytes(size_class));
  }
  return block;
}

Status Arena::extend(std::uint32_t size_class, std::uint64_t payload_bytes, std::uint64_t* block, bool* unbacked,
                     Fault* fault) {
  ChannelControl& control = *memory_.control;
  std::uint64_t bytes = class_bytes(size_class);
  std::uint64_t start = control.arena_end;
  bool plausible = start >= cache_line && start % cache_line == 0 && start <= memory_.arena_bytes;
  if (!plausible || bytes > memory_.arena_bytes - start) {
    for (std::uint32_t larger = size_class + 1; larger < size_class_count; larger++) {
      std::uint64_t found = pop_free(larger);
      if (found == no_block) continue;
      *block = found;
      return Status::ok;
    }
    return Status::full;
  }
  std::uint64_t needed = start + sizeof(BlockHeader) + payload_bytes;
  if (needed > control.arena_backed) {
    if (bytes >= large_block_bytes) {
      *unbacked = true;
      needed = start + sizeof(BlockHeader);
    }
    if (needed > control.arena_backed) {
      // Small blocks share pages: reserved here, ahead, ever more at once while the arena grows.
      std::uint64_t ahead = std::clamp<std::uint64_t>(start / 4, page_bytes, reserve_step_bytes);
      std::uint64_t upto = std::min(std::max(needed, control.arena_backed + ahead), memory_.arena_bytes);
      upto = std::min((upto + page_bytes - 1) / page_bytes * page_bytes, memory_.arena_bytes);
      std::uint64_t from = std::min(control.arena_backed, start) / page_bytes * page_bytes;
      if (start > control.arena_backed + ahead) from = start / page_bytes * page_bytes;
      Status status = platform::reserve(memory_.segment->fd(), memory_.arena_at + from, upto - from, fault);
      if (status != Status::ok) return status;
      if (control.arena_backed >= from) control.arena_backed = upto;
      control.arena_touched = std::max(control.arena_touched, upto);
    }
  }
  BlockHeader* header = header_at(start);
  header->size_class = size_class;
  header->owner = owner_none;
  header->flags = 0;
  control.arena_end = start + bytes;
  *block = start;
  return Status::ok;
}

Status Arena::back(std::uint64_t block, std::uint64_t payload_bytes, Fault* fault) const {
  std::uint64_t size_bytes = sizeof(BlockHeader) + payload_bytes;
  return platform::reserve(memory_.segment->fd(), memory_.arena_at + block, size_bytes, fault);
}

void Arena::note_backed(std::uint64_t block, std::uint64_t payload_bytes) {
  ChannelControl& control = *memory_.control;
  if (BlockHeader* header = find(block, 0); header != nullptr) header->flags &= ~block_unbacked;
  std::uint64_t end = block + sizeof(BlockHeader) + payload_bytes;
  if (block <= control.arena_backed && end > control.arena_backed) control.arena_backed = end;
  control.arena_touched = std::max(control.arena_touched, end);
}

void Arena::free(std::uint64_t block) {
  ChannelControl& control = *memory_.control;
  auto [header, size_class] = look_up(block, 0);
  if (header == nullptr || header->owner == owner_none) return;
  std::uint64_t bytes = class_bytes(size_class);
  bool is_orphan = header->owner == owner_queued;
  header->owner = owner_none;
  header->co_owner = owner_none;
  if (header->flags & block_leased) {
    header->flags &= ~block_leased;
    count_out(is_orphan);
  }
  if (header->flags & block_unbacked)
    control.arena_backed = std::min(control.arena_backed, block + sizeof(BlockHeader));
  count_as_not_taken(*header, bytes);
  control.arena_used -= std::min(control.arena_used, bytes);
  if (control.blocks_used > 0) control.blocks_used--;
  if (control.blocks_used == 0) {
    start_again();
    return;
  }
  control.blocks_freed++;
  push_free(block, *header, size_class);
}

bool Arena::take(std::uint64_t block, std::uint32_t token) {
  ChannelControl& control = *memory_.control;
  auto [header, size_class] = look_up(block, 0);
  if (header == nullptr) return false;
  header->owner = token;
  count_as_taken(*header, class_bytes(size_class));
  return control.arena_taken <= most_kept_bytes();
}

bool Arena::may_put_back(const std::uint64_t* blocks, std::size_t count) const {
  const ChannelControl& control = *memory_.control;
  std::uint64_t unread = control.arena_used - std::min(control.arena_used, control.arena_taken);
  if (unread == 0) return true;
  unread += std::uint64_t{control.chunks_used} * chunk_bytes;
  for (std::size_t i = 0; i < count; i++) {
    auto [header, size_class] = look_up(blocks[i], 0);
    if (header != nullptr) unread += class_bytes(size_class);
  }
  return unread <= memory_.max_unread_bytes;
}

void Arena::put_back(std::uint64_t block, std::uint64_t head, std::uint64_t ticket) {
  auto [header, size_class] = look_up(block, 0);
  if (header == nullptr) return;
  count_as_not_taken(*header, class_bytes(size_class));
  header->ticket = ticket;
  header->head = head;
  header->next_lent = no_block;
  header->owner = owner_queued;
}

void Arena::count_as_taken(BlockHeader& header, std::uint64_t bytes) {
  if ((header.flags & block_taken) != 0) return;
  ChannelControl& control = *memory_.control;
  header.flags |= block_taken;
  control.arena_taken += bytes;
  control.blocks_taken++;
  control.counters.most_taken_bytes = std::max(control.counters.most_taken_bytes, control.arena_taken);
}

void Arena::count_as_not_taken(BlockHeader& header, std::uint64_t bytes) {
  if ((header.flags & block_taken) == 0) return;
  ChannelControl& control = *memory_.control;
  header.flags &= ~block_taken;
  control.arena_taken -= std::min(control.arena_taken, bytes);
  if (control.blocks_taken > 0) control.blocks_taken--;
}

void Arena::lease(std::uint64_t block, std::uint32_t token, const Slot& slot) {
  BlockHeader* header = find(block, 0);
  if (header == nullptr) return;
  header->deliveries = slot.deliveries;
  header->codec = slot.codec;
  header->flags |= block_leased;
  header->owner = token;
  memory_.control->leases++;
}

void Arena::end_lease(BlockHeader* header) {
  header->flags &= ~block_leased;
  count_out(true);
}

void Arena::count_out(bool is_orphan) {
  ChannelControl& control = *memory_.control;
  if (control.leases > 0) control.leases--;
  if (is_orphan && control.orphans > 0) control.orphans--;
}

std::uint32_t Arena::find_orphans(Orphan* latest, std::uint32_t limit) const {
  std::uint32_t count = 0;
  std::uint64_t end = std::min(memory_.control->arena_end, memory_.arena_bytes);
  for (std::uint64_t block = cache_line; block < end;) {
    auto [header, size_class] = look_up(block, 0);
    if (header == nullptr) break;
    if (header->owner == owner_queued && (header->flags & block_leased) != 0) {
      Orphan found{header->ticket, block};
      std::uint32_t place = count;
      while (place > 0 && latest[place - 1].ticket < found.ticket) place--;
      if (count < limit) count++;
      for (std::uint32_t i = count; i-- > place + 1;) latest[i] = latest[i - 1];
      if (place < limit) latest[place] = found;
    }
    block += class_bytes(size_class);
  }
  return count;
}

void Arena::hand_over(std::uint32_t from, std::uint32_t to) {
  std::uint64_t end = std::min(memory_.control->arena_end, memory_.arena_bytes);
  for (std::uint64_t block = cache_line; block < end;) {
    auto [header, size_class] = look_up(block, 0);
    if (header == nullptr) return;
    if (header->owner == from && (header->flags & block_taken) != 0) header->owner = to;
    block += class_bytes(size_class);
  }
}

void Arena::drop_owner(std::uint64_t block) {
  BlockHeader* header = find(block, 0);
  if (header == nullptr) return;
  if (header->co_owner == owner_none) {
    free(block);
  } else {
    header->owner = owner_none;
  }
}

void Arena::drop_co_owner(std::uint64_t block) {
  BlockHeader* header = find(block, 0);
  if (header == nullptr) return;
  if (header->owner == owner_none) {
    header->owner = header->co_owner;  // free() takes owned blocks only
    free(block);
  } else {
    header->co_owner = owner_none;
  }
}

bool Arena::should_cool(std::uint64_t block) const {
  auto [header, size_class] = look_up(block, 0);
  if (header == nullptr || memory_.control->arena_free / warm_while_busy < memory_.warm_bytes) return false;
  return class_bytes(size_class) >= large_block_bytes;
}

void Arena::cool(std::uint64_t block) const {
  auto [header, size_class] = look_up(block, 0);
  if (header == nullptr) return;
  header->flags |= block_unbacked | block_cold;
  platform::give_back(memory_.segment->fd(), memory_.arena_at + block + sizeof(BlockHeader),
                      class_bytes(size_class) - sizeof(BlockHeader));
}

void Arena::forget_free() {
  ChannelControl& control = *memory_.control;
  memset(control.free_lists, 0, sizeof control.free_lists);
  control.arena_free = 0;
  control.blocks_free = 0;
  control.blocks_freed = 0;
}

void Arena::start_again() {
  ChannelControl& control = *memory_.control;
  if (control.blocks_free != 0) forget_free();
  control.arena_used = 0;
  control.arena_taken = 0;
  control.blocks_taken = 0;
  control.leases = 0;
  control.orphans = 0;
  if (control.arena_touched > memory_.warm_bytes) [[unlikely]]
    plan_trim();
  control.arena_end = cache_line;
}

void Arena::plan_trim() {
  ChannelControl& control = *memory_.control;
  std::uint64_t now_ns = platform::monotonic_ns();
  bool cycles = now_ns - control.arena_emptied_ns < cycle_ns;
  std::uint64_t needed = cycles ? std::min(control.arena_end, control.arena_last_peak) : 0;
  std::uint64_t keep = std::max({needed, memory_.warm_bytes, std::uint64_t{1}});
  control.arena_last_peak = control.arena_end;
  control.arena_emptied_ns = now_ns;
  if (control.arena_touched > keep) control.arena_keep.store(keep, std::memory_order_relaxed);
}

bool Arena::names(const Ring& ring, std::uint64_t block, const BlockHeader& header) const {
  std::uint64_t head = memory_.control->head.load(std::memory_order_relaxed);
  std::uint64_t tail = memory_.control->tail.load(std::memory_order_relaxed);
  if (header.owner == owner_none || header.ticket < head || header.ticket >= tail) return false;
  const Slot* slot = ring.slot_at(header.ticket);
  std::uint64_t named = header.head == no_block ? block : header.head;
  return slot != nullptr && slot->kind != SlotKind::inline_bytes && slot->block == named;
}

void Arena::begin_rebuild() {
  ChannelControl& control = *memory_.control;
  forget_free();
  control.arena_used = 0;
  control.arena_taken = 0;
  control.blocks_used = 0;
  control.blocks_taken = 0;
  control.leases = 0;
  control.orphans = 0;
}

void Arena::keep(std::uint64_t bytes, const BlockHeader& header) {
  ChannelControl& control = *memory_.control;
  control.arena_used += bytes;
  control.blocks_used++;
  if (header.flags & block_taken) {
    control.arena_taken += bytes;
    control.blocks_taken++;
  }
  if (header.flags & block_leased) {
    control.leases++;
    if (header.owner == owner_queued) control.orphans++;
  }
}

void Arena::drop(std::uint64_t block, BlockHeader& header, std::uint32_t size_class) {
  header.owner = owner_none;
  header.flags = block_unbacked;  // unknown after a death: reserve again before use
  memory_.control->arena_backed = std::min(memory_.control->arena_backed, block + sizeof(BlockHeader));
  memory_.control->blocks_freed++;
  push_free(block, header, size_class);
}

void Arena::end_rebuild() {
  if (memory_.control->blocks_used == 0) start_again();
}

bool Arena::trim(std::uint64_t keep_bytes) {
  ChannelControl& control = *memory_.control;
  auto to_page = [](std::uint64_t offset) { return (offset + page_bytes - 1) / page_bytes * page_bytes; };
  std::uint64_t end = std::min(control.arena_end, memory_.arena_bytes);
  std::uint64_t touched = to_page(std::min(control.arena_touched, memory_.arena_bytes));
  std::uint64_t keep = to_page(std::max(end, keep_bytes));
  if (touched <= keep) {
    control.arena_keep.store(0, std::memory_order_relaxed);
    return false;
  }
  std::uint64_t from = std::max(keep, touched - std::min(touched, trim_step_bytes));
  platform::give_back(memory_.segment->fd(), memory_.arena_at + from, touched - from);
  control.arena_touched = from;
  control.arena_backed = std::min(control.arena_backed, from);
  if (from <= keep) control.arena_keep.store(0, std::memory_order_relaxed);
  return from > keep;
}

}  // namespace interproc
