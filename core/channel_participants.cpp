// Who uses a channel, and what putting does when nobody takes.
//
// A consumer is a process that has asked for a message at least once, or for a descriptor to watch, and has neither left the
// channel nor ended since. It need not have got one: who sleeps in an empty line must not look like nobody to a producer
// that fills the line before the sleeper has run. The caller's own process does not count.
#include "channel.hpp"
#include "participants.hpp"
#include "platform/platform.hpp"

namespace interproc {

// --- lock held -------------------------------------------------------------------------------------------------------

void Channel::add_role(std::uint32_t role) {
  own_place().roles.fetch_or(role, std::memory_order_relaxed);
  roles_.fetch_or(role, std::memory_order_relaxed);
}

// --- lock not held ---------------------------------------------------------------------------------------------------

bool Channel::next_attached(std::uint32_t* place, Attached* who) const {
  Claim claim;
  if (!next_participant(memory_.participants, place, &claim)) return false;
  const Participant& entry = memory_.participants[*place];
  bool is_live = claim.state == ParticipantState::live;
  *who = Attached{claim.pid, entry.roles.load(std::memory_order_relaxed),
                  token_is_alive(memory_.participants, make_token(*place, claim.generation)),
                  is_live && platform::is_the_same(claim.pid, entry.image)};
  return true;
}

bool Channel::has_consumer() const {
  Claim claim;
  for (std::uint32_t place = 0; next_participant(memory_.participants, &place, &claim); place++) {
    bool takes = (memory_.participants[place].roles.load(std::memory_order_relaxed) & role_consumer) != 0;
    if (!takes || claim.pid == platform::self().pid) continue;
    if (token_is_alive(memory_.participants, make_token(place, claim.generation))) return true;
  }
  return false;
}

// For a message that found no room, where that is not simply waited for. full: there is a consumer to wait for, or nothing to
// drop.
Status Channel::put_without_consumer(const Message& message, Fault* fault) {
  sweep_if_due();  // for who puts and drops never sleeps
  for (;;) {
    if (has_consumer()) return Status::full;
    if (memory_.no_consumer == NoConsumer::raise) return Status::no_consumer;
    std::uint64_t head = memory_.control->head.load(std::memory_order_acquire);
    Status status = place(message, true, nullptr, fault);
    if (status != Status::full) return status;
    if (!drop_oldest(head)) return Status::full;
  }
}

// Drops the message at `head` unless it went meanwhile. False: the line is empty, or cannot be as long as it says. Whoever
// dies in the middle has taken the message, as a consumer would have: its task fails, its lease comes again.
bool Channel::drop_oldest(std::uint64_t head) {
  Fault ignored;
  if (enter(true, &ignored) != Status::ok) return false;
  ChannelControl& control = *memory_.control;
  std::uint64_t first = control.head.load(std::memory_order_relaxed);
  std::uint64_t tail = control.tail.load(std::memory_order_relaxed);
  bool is_empty = first >= tail || tail - first > std::uint64_t{memory_.chunk_count} * chunk_slots;
  bool all_done = false;
  std::uint32_t claimed = 0;
  if (!is_empty && first == head) {
    drop_item(first, true);
    control.counters.dropped++;
    all_done = leases_ != nullptr ? has_just_finished() : finish_task();
    claimed = after_release(1);
  }
  leave();
  wake(space(), claimed);
  if (all_done) finished().wake_all();
  return !is_empty;
}

}  // namespace interproc
