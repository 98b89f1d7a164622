// Operations that are broken on purpose, each the way that a careless design would be.
#include <string.h>

#include "sweep/scenario.hpp"
#include "testing/access.hpp"

namespace interproc::sweep {

namespace {

Slot* slot_at_tail(Actor& actor, std::uint64_t tail) {
  Slot* slot = nullptr;
  ChannelTestAccess::ring(*actor.channel).claim(tail, &slot, &actor.fault);
  return slot;
}

void fill(Slot& slot, const Message& message) {
  slot.kind = SlotKind::inline_bytes;
  slot.codec = message.codec;
  slot.inline_length = static_cast<std::uint16_t>(message.size_bytes);
  memcpy(slot.bytes, message.parts[0].data, message.size_bytes);
}

// Makes the message visible before it is there.
void put_commits_first(Actor& actor) {
  Shared64& tail = ChannelTestAccess::memory(*actor.channel).control->tail;
  ChannelTestAccess::enter(*actor.channel, &actor.fault);
  Slot* slot = slot_at_tail(actor, tail.load());
  tail.store(tail.load() + 1);
  fill(*slot, actor.messages[0]);
  ChannelTestAccess::leave(*actor.channel);
}

// Takes the lock without a word about who has it.
void put_under_ownerless_lock(Actor& actor) {
  ChannelMemory& memory = ChannelTestAccess::memory(*actor.channel);
  const std::uint32_t somebody_alive = memory.lock_kind == LockKind::kernel ? 1 : 1u << 11 | 1;
  memory.control->lock.store(somebody_alive);
  fill(*slot_at_tail(actor, memory.control->tail.load()), actor.messages[0]);
  memory.control->tail.store(memory.control->tail.load() + 1);
  memory.control->lock.store(0);
}

// Rings only when the message is there.
void put_rings_last(Actor& actor) {
  Shared64& tail = ChannelTestAccess::memory(*actor.channel).control->tail;
  ChannelTestAccess::enter(*actor.channel, &actor.fault);
  fill(*slot_at_tail(actor, tail.load()), actor.messages[0]);
  tail.store(tail.load() + 1);
  ChannelTestAccess::doorbell(*actor.channel).ring(&actor.fault);
  ChannelTestAccess::leave(*actor.channel);
}

// Frees the block while its slot still names it.
void get_frees_first(Actor& actor) {
  Shared64& head = ChannelTestAccess::memory(*actor.channel).control->head;
  ChannelTestAccess::enter(*actor.channel, &actor.fault);
  Ring& ring = ChannelTestAccess::ring(*actor.channel);
  ChannelTestAccess::arena(*actor.channel).free(ring.slot_at(head.load())->block);
  ring.release(head.load() + 1);
  ChannelTestAccess::leave(*actor.channel);
}

}  // namespace

std::vector<Scenario> mutants() {
  const std::vector<Item> puts{{101, inline_bytes}};
  return {
      {.name = "mutant-put-commits-first",
       .queued = {{2, inline_bytes}},
       .act = {.puts = puts, .operation = put_commits_first}},
      {.name = "mutant-put-under-ownerless-lock",
       .queued = {{2, inline_bytes}},
       .act = {.puts = puts, .operation = put_under_ownerless_lock}},
      {.name = "mutant-put-rings-last", .armed = true, .act = {.puts = puts, .operation = put_rings_last}},
      {.name = "mutant-get-frees-first",
       .queued = {{2, small_bytes}, {3, inline_bytes}},
       .act = {.takes = 1, .operation = get_frees_first}},
  };
}

}  // namespace interproc::sweep
