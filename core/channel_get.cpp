// Taking: copy the slot out, release with one store.
#include <string.h>

#include <algorithm>

#include "channel.hpp"

namespace interproc {

// --- lock held -------------------------------------------------------------------------------------------------------

// Reads the slot without releasing it. A payload in a block is copied if small and the block named in `*emptied_block`, to
// be freed once the slot is released; otherwise the block becomes this process's own. Without a buffer nothing is copied.
Status Channel::read_slot(std::uint64_t position, Received* received, std::uint8_t* buffer, std::size_t buffer_bytes,
                          std::uint64_t* emptied_block, Fault* fault) {
  *emptied_block = no_block;
  Slot* slot = ring_.slot_at(position);
  if (slot == nullptr) {
    *fault = Fault{0, "directory of the ring", position, memory_.chunk_count};
    return Status::bad_segment;
  }
  *received = Received{};
  received->codec = slot->codec;
  SlotKind kind = slot->kind;
  if (kind == SlotKind::inline_bytes) {
    if (buffer == nullptr) return Status::ok;
    std::size_t length = slot->inline_length;
    if (length > slot_inline_bytes || length > buffer_bytes) {
      *fault = Fault{0, "length of a message", length, slot_inline_bytes};
      return Status::bad_segment;
    }
    memcpy(buffer, slot->bytes, length);
    received->length = length;
    received->data = buffer;
    return Status::ok;
  }
  std::uint64_t block = slot->block;
  std::uint64_t length = slot->length;
  received->stream = kind == SlotKind::stream;
  BlockHeader* header = arena_.find(block, received->stream ? sizeof(StreamHeader) : length);
  bool plausible =
      header != nullptr && header->owner != owner_none && (kind == SlotKind::block || kind == SlotKind::stream);
  if (!plausible) {
    *fault = Fault{0, "block of a message", block, memory_.arena_bytes};
    return Status::bad_segment;
  }
  received->length = length;
  bool is_small = length <= copy_under_lock_bytes && length <= buffer_bytes;
  if (leases_ != nullptr && !received->stream) {
    arena_.lease(block, token(), *slot);
    received->lease = block;
    received->deliveries = slot->deliveries;
    received->data = arena_.payload(block);
    if (buffer != nullptr && is_small) {
      memcpy(buffer, received->data, length);
      received->data = buffer;
    } else {
      received->block = block;
    }
    return Status::ok;
  }
  bool all_kept = true;
  if (header->next_lent != no_block && !received->stream) {
    all_kept = take_lent(*header, block, position, received);
    if (received->lent == no_block) {
      *fault = Fault{0, "lent block of a message", header->next_lent, memory_.arena_bytes};
      return Status::bad_segment;
    }
  }
  received->may_keep = all_kept;
  if (!received->stream && buffer != nullptr && is_small) {
    memcpy(buffer, arena_.payload(block), length);
    received->data = buffer;
    *emptied_block = block;
    return Status::ok;
  }
  if (received->stream) {
    header->owner = token();
  } else {
    received->may_keep = arena_.take(block, token()) && all_kept;
  }
  received->block = block;
  received->data = arena_.payload(block);
  return Status::ok;
}

// After `count` slots were released: clears the doorbell if the line is empty, returns how many producers to wake.
std::uint32_t Channel::after_release(std::uint32_t count) {
  ChannelControl& control = *memory_.control;
  if (control.armed.load(std::memory_order_relaxed) > 0 && size() == 0 && !is_shut_down()) doorbell_.clear();
  if (control.memory_waiters == 0) return space().claim(count);
  return claim_for_memory();
}

// After memory was freed: how many producers to wake. Who waits for memory may need more than one message frees, and must
// not keep the others asleep.
std::uint32_t Channel::claim_for_memory() {
  ChannelControl& control = *memory_.control;
  if (control.memory_waiters == 0) return 0;
  control.memory_waiters = 0;
  return space().claim(UINT32_MAX);
}

// --- lock not held ---------------------------------------------------------------------------------------------------

// One attempt at 1..limit messages, up to the end of a chunk. When there is none and `mine` is given, registers there.
Status Channel::take_some(Received* received, std::size_t limit, std::uint8_t* buffer, std::size_t buffer_bytes,
                          bool wait_for_lock, Registration* mine, std::size_t* count, Fault* fault) {
  *count = 0;
  Status status = enter(wait_for_lock, fault);
  if (status != Status::ok) return status;
  note_role(role_consumer);
  ChannelControl& control = *memory_.control;
  std::uint64_t head = control.head.load(std::memory_order_relaxed);
  std::uint64_t tail = control.tail.load(std::memory_order_relaxed);
  if (head >= tail) {
    status = is_shut_down() && !others_have_leases() ? Status::shut_down : Status::empty;
    if (status == Status::empty) {
      if (control.armed.load(std::memory_order_relaxed) > 0) doorbell_.clear();
      if (mine != nullptr) {
        control.counters.get_waits++;
        *mine = items().enter();
      }
    }
    leave();
    return status;
  }

  std::uint64_t until_chunk_end = chunk_slots - head % chunk_slots;
  std::size_t most = std::min({std::uint64_t{limit}, tail - head, until_chunk_end});
  std::uint64_t emptied[chunk_slots];
  std::size_t emptied_count = 0;
  std::size_t taken = 0;
  std::uint64_t size_bytes = 0;
  while (taken < most) {
    Received& message = received[taken];
    std::uint64_t emptied_block = no_block;
    if (taken > 0 && buffer_bytes < copy_under_lock_bytes) break;
    status = read_slot(head + taken, &message, buffer, buffer_bytes, &emptied_block, fault);
    if (status != Status::ok) break;
    if (emptied_block != no_block) emptied[emptied_count++] = emptied_block;
    taken++;
    size_bytes += message.length + message.lent_bytes;
    if (message.block != no_block || message.lent != no_block) break;
    buffer += message.length;
    buffer_bytes -= message.length;
  }
  std::uint32_t claimed = 0;
  if (taken > 0) {
    status = Status::ok;
    release_slots(head + taken, taken);
    for (std::size_t i = 0; i < emptied_count; i++) arena_.free(emptied[i]);
    control.counters.gets += taken;
    control.counters.bytes_out += size_bytes;
    claimed = after_release(static_cast<std::uint32_t>(taken));
  }
  *count = taken;
  leave();
  wake(space(), claimed);
  return status;
}

Status Channel::take(Received* received, std::size_t limit, std::uint8_t* buffer, std::size_t buffer_bytes,
                     bool wait_for_lock, Registration* mine, std::size_t* count, Fault* fault) {
  if (leases_ == nullptr) [[likely]]
    return take_some(received, limit, buffer, buffer_bytes, wait_for_lock, mine, count, fault);
  return take_leases(received, limit, buffer, buffer_bytes, wait_for_lock, mine, count, fault);
}

Status Channel::try_get(Received* received, std::uint8_t* buffer, std::size_t buffer_bytes, bool wait_for_lock,
                        Fault* fault) {
  std::size_t count = 0;
  return take(received, 1, buffer, buffer_bytes, wait_for_lock, nullptr, &count, fault);
}

Status Channel::get(Received* received, std::uint8_t* buffer, std::size_t buffer_bytes, Wait wait, Fault* fault) {
  std::size_t count = 0;
  return get_many(received, 1, buffer, buffer_bytes, wait, &count, fault);
}

Status Channel::get_many(Received* received, std::size_t limit, std::uint8_t* buffer, std::size_t buffer_bytes,
                         Wait wait, std::size_t* count, Fault* fault) {
  Status status = take(received, limit, buffer, buffer_bytes, wait.for_lock, nullptr, count, fault);
  while (status == Status::empty) {
    if (wait.deadline_ns == 0) return Status::timed_out;
    get_spin_.until(wait.deadline_ns, [this] { return size() != 0 || is_shut_down(); });
    Registration mine{};
    status = take(received, limit, buffer, buffer_bytes, true, &mine, count, fault);
    if (status != Status::empty) break;
    Status woken = doze(items(), mine, wait.deadline_ns, fault);
    if (woken != Status::ok) return woken;
    status = take(received, limit, buffer, buffer_bytes, true, nullptr, count, fault);
  }
  return status;
}

Status Channel::await(Wait wait, Fault* fault) {
  auto ready = [this] { return size() != 0 || is_shut_down(); };
  for (;;) {
    if (ready()) return Status::ok;
    if (wait.deadline_ns == 0) return Status::timed_out;
    if (get_spin_.until(wait.deadline_ns, ready)) return Status::ok;
    Status status = enter(true, fault);
    if (status != Status::ok) return status;
    note_role(role_consumer);
    bool came = ready();
    Registration mine{};
    if (!came) mine = items().enter();
    leave();
    if (came) return Status::ok;
    status = doze(items(), mine, wait.deadline_ns, fault);
    if (status != Status::ok) return status;
    // This sleeper may take nothing: the wake belongs to one that does.
    status = enter(true, fault);
    if (status != Status::ok) return status;
    std::uint32_t claimed = size() != 0 ? items().claim(1) : 0;
    leave();
    wake(items(), claimed);
  }
}

void Channel::release(std::uint64_t block) {
  if (leases_ != nullptr) return;  // it is kept until task_done()
  Fault ignored;
  Status status = enter(false, &ignored);
  if (status == Status::ok && arena_.should_cool(block)) {
    leave();
    arena_.cool(block);
    status = enter(false, &ignored);
  }
  if (status == Status::ok) {
    arena_.free(block);
    std::uint32_t claimed = claim_for_memory();
    leave();
    wake(space(), claimed);
    return;
  }
  BlockHeader* header = arena_.find(block, 0);
  if (header == nullptr) return;
  std::uint64_t first = given_back_.load(std::memory_order_relaxed);
  do {
    header->next_free = first;
  } while (!given_back_.compare_exchange_weak(first, block, std::memory_order_release));  // pairs: given-back
}

}  // namespace interproc
