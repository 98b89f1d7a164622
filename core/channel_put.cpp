// Putting: claim a slot, fill it, commit with one store.
#include <string.h>

#include <algorithm>

#include "channel.hpp"

namespace interproc {

namespace {

constexpr std::size_t most_puts_per_lock = chunk_slots;

void gather(const Message& message, std::uint8_t* destination) {
  for (std::size_t i = 0; i < message.part_count; i++) {
    const Part& part = message.parts[i];
    if (part.size_bytes == 0) continue;
    memcpy(destination, part.data, part.size_bytes);
    destination += part.size_bytes;
  }
}

}  // namespace

// --- lock held -------------------------------------------------------------------------------------------------------

Status Channel::room_at(std::uint64_t position, Fault* fault) {
  ChannelControl& control = *memory_.control;
  if (is_shut_down()) return Status::shut_down;
  std::uint64_t head = control.head.load(std::memory_order_relaxed);
  if (position < head) {
    *fault = Fault{0, "head of the ring", head, position};
    return Status::bad_segment;
  }
  if (memory_.max_items != 0 && position - head >= memory_.max_items) return Status::full;
  bool begins_chunk = position % chunk_slots == 0 && control.chunks_used > 0;
  return begins_chunk && !arena_.has_room(chunk_bytes) ? Status::full : Status::ok;
}

Status Channel::fill_slot(std::uint64_t position, SlotKind kind, const Message& message, std::uint64_t block,
                          Fault* fault) {
  Slot* slot = nullptr;
  Status status = ring_.claim(position, &slot, fault);
  if (status != Status::ok) return status;
  slot->kind = kind;
  slot->codec = message.codec;
  slot->deliveries = 0;
  slot->block = block;
  if (kind == SlotKind::inline_bytes) {
    slot->inline_length = static_cast<std::uint16_t>(message.size_bytes);
    gather(message, slot->bytes);
    return Status::ok;
  }
  slot->inline_length = 0;
  slot->length = message.size_bytes;
  BlockHeader* header = arena_.find(block, 0);
  if (header == nullptr) {
    *fault = Fault{0, "header of a block", block, memory_.arena_bytes};
    return Status::bad_segment;
  }
  header->ticket = position;
  header->owner = owner_queued;
  return Status::ok;
}

// Small messages only: up to copy_under_lock_bytes.
Status Channel::write_slot(const Message& message, std::uint64_t position, Fault* fault) {
  if (message.size_bytes <= slot_inline_bytes && message.lent_count == 0 && leases_ == nullptr) {
    return fill_slot(position, SlotKind::inline_bytes, message, no_block, fault);
  }
  std::uint64_t block = no_block;
  bool unbacked = false;
  Status status = arena_.allocate({message.size_bytes}, token(), &block, &unbacked, fault);
  if (status == Status::ok && unbacked) status = arena_.back(block, message.size_bytes, fault);
  if (status == Status::ok) {
    if (unbacked) arena_.note_backed(block, message.size_bytes);
    gather(message, arena_.payload(block));
    status = fill_slot(position, SlotKind::block, message, block, fault);
  }
  if (status == Status::ok && message.lent_count > 0) link_lent(message, block, position);
  if (status != Status::ok && block != no_block) arena_.free(block);
  return status;
}

// Before the slot is filled, so that a doorbell that cannot be rung leaves nothing half made, and no death leaves the line
// full and the doorbell silent.
Status Channel::ring_if_empty(Fault* fault) {
  const ChannelControl& control = *memory_.control;
  if (control.armed.load(std::memory_order_relaxed) == 0) return Status::ok;
  bool is_empty = control.head.load(std::memory_order_relaxed) == control.tail.load(std::memory_order_relaxed);
  return is_empty ? doorbell_.ring(fault) : Status::ok;
}

// Registers a producer that found no room at `tail`.
EventWord::Registration Channel::wait_for_space(std::uint64_t tail) {
  ChannelControl& control = *memory_.control;
  std::uint64_t head = control.head.load(std::memory_order_relaxed);
  bool has_place = memory_.max_items == 0 || tail - head < memory_.max_items;
  if (has_place) control.memory_waiters = 1;
  control.counters.put_waits++;
  return space().enter();
}

// Makes `count` filled slots visible; returns how many consumers to wake after the unlock.
std::uint32_t Channel::commit(std::uint64_t tail, std::size_t count, std::uint64_t size_bytes) {
  ChannelControl& control = *memory_.control;
  ring_.commit(tail);
  note_role(role_producer);
  control.counters.puts += count;
  control.counters.bytes_in += size_bytes;
  std::uint64_t waiting = tail - control.head.load(std::memory_order_relaxed);
  if (waiting > control.counters.most_items) control.counters.most_items = waiting;
  if (control.arena_used > control.counters.most_bytes) control.counters.most_bytes = control.arena_used;
  return items().claim(static_cast<std::uint32_t>(count));
}

// --- lock not held ---------------------------------------------------------------------------------------------------

// One attempt. When there is no room and `mine` is given, registers there for the wake that room will bring.
Status Channel::place(const Message& message, bool wait_for_lock, Registration* mine, Fault* fault) {
  if (message.size_bytes > copy_under_lock_bytes) return place_large(message, wait_for_lock, mine, fault);
  Status status = enter(wait_for_lock, fault);
  if (status != Status::ok) return status;
  ChannelControl& control = *memory_.control;
  std::uint64_t tail = control.tail.load(std::memory_order_relaxed);
  std::uint32_t claimed = 0;
  status = room_for(message, tail, fault);
  if (status == Status::ok) status = ring_if_empty(fault);
  if (status == Status::ok) status = write_slot(message, tail, fault);
  if (status == Status::ok) {
    claimed = commit(tail + 1, 1, message.size_bytes + message.lent_bytes);
  } else if (status == Status::full && mine != nullptr) {
    *mine = wait_for_space(tail);
  }
  leave();
  wake(items(), claimed);
  return status;
}

Status Channel::place_large(const Message& message, bool wait_for_lock, Registration* mine, Fault* fault) {
  Arena::Wanted wanted{message.size_bytes, message.in_place};
  if (!arena_.can_hold(wanted)) return Status::too_large;
  ChannelControl& control = *memory_.control;
  std::uint64_t block = no_block;
  bool unbacked = false;
  auto give_up = [&](Status why) {
    if (why == Status::full && mine != nullptr) *mine = wait_for_space(control.tail.load(std::memory_order_relaxed));
    if (block != no_block) arena_.free(block);
    leave();
    return why;
  };

  Status status = enter(wait_for_lock, fault);
  if (status != Status::ok) return status;
  status = room_for(message, control.tail.load(std::memory_order_relaxed), fault);
  if (status == Status::ok) status = arena_.allocate(wanted, token(), &block, &unbacked, fault);
  if (status != Status::ok) return give_up(status);
  leave();

  // The block is this process's own now: the lock is free while the pages are reserved and the payload is copied.
  if (unbacked) status = arena_.back(block, message.size_bytes, fault);
  if (status == Status::ok) gather(message, arena_.payload(block));

  Status entered = enter(true, fault);
  if (entered != Status::ok) return entered;
  if (status != Status::ok) return give_up(status);
  arena_.note_backed(block, message.size_bytes);
  std::uint64_t tail = control.tail.load(std::memory_order_relaxed);
  status = room_at(tail, fault);
  if (status == Status::ok) status = ring_if_empty(fault);
  if (status == Status::ok) status = fill_slot(tail, SlotKind::block, message, block, fault);
  if (status != Status::ok) return give_up(status);
  if (message.lent_count > 0) link_lent(message, block, tail);
  std::uint32_t claimed = commit(tail + 1, 1, message.size_bytes + message.lent_bytes);
  leave();
  wake(items(), claimed);
  return Status::ok;
}

// As many small messages as fit now, with one commit.
Status Channel::place_small(const Message* messages, std::size_t message_count, bool wait_for_lock, std::size_t* count,
                            Fault* fault) {
  Status status = enter(wait_for_lock, fault);
  if (status != Status::ok) return status;
  std::uint64_t tail = memory_.control->tail.load(std::memory_order_relaxed);
  std::size_t limit = std::min(message_count, most_puts_per_lock);
  std::size_t placed = 0;
  std::uint64_t size_bytes = 0;
  status = ring_if_empty(fault);
  while (status == Status::ok && placed < limit && messages[placed].size_bytes <= copy_under_lock_bytes) {
    status = room_for(messages[placed], tail + placed, fault);
    if (status == Status::ok) status = write_slot(messages[placed], tail + placed, fault);
    if (status != Status::ok) break;
    size_bytes += messages[placed].size_bytes + messages[placed].lent_bytes;
    placed++;
  }
  std::uint32_t claimed = placed > 0 ? commit(tail + placed, placed, size_bytes) : 0;
  leave();
  wake(items(), claimed);
  *count = placed;
  return placed > 0 ? Status::ok : status;
}

Status Channel::try_put(const Message& message, bool wait_for_lock, Fault* fault) {
  return place(message, wait_for_lock, nullptr, fault);
}

Status Channel::put(const Message& message, Wait wait, Fault* fault) {
  Status status = place(message, wait.for_lock, nullptr, fault);
  while (status == Status::full) {
    if (!blocks_without_consumer()) {
      if (!wait.for_lock) return Status::lock_busy;  // what follows waits for it
      status = put_without_consumer(message, fault);
      if (status != Status::full) return status;
    }
    if (wait.deadline_ns == 0) return Status::timed_out;
    if (memory_.max_items != 0) {
      put_spin_.until(wait.deadline_ns, [this] { return !is_full() || is_shut_down(); });
    }
    Registration mine{};
    status = place(message, true, &mine, fault);
    if (status != Status::full) break;
    Status woken = doze(space(), mine, wait.deadline_ns, fault);
    if (woken != Status::ok) return woken;
    status = place(message, true, nullptr, fault);
  }
  return status;
}

Status Channel::put_many(const Message* messages, std::size_t message_count, Wait wait, std::size_t* count,
                         Fault* fault) {
  *count = 0;
  while (*count < message_count) {
    std::size_t placed = 0;
    Status status = Status::full;
    if (messages[*count].size_bytes <= copy_under_lock_bytes) {
      status = place_small(messages + *count, message_count - *count, wait.for_lock, &placed, fault);
    }
    if (status == Status::full) {
      status = put(messages[*count], wait, fault);
      placed = status == Status::ok ? 1 : 0;
    }
    *count += placed;
    if (status != Status::ok) return status;
  }
  return Status::ok;
}

}  // namespace interproc
