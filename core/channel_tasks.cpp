// Tasks: what was put and still has to be worked on, and what becomes of those whose consumer ends before task_done().
//
// TaskPolicy::count. Each participant's `tasks` says how many it has taken and not done. When it ends, they count as done
// and as failed. `tasks` changes in one step with the store of head or done that makes the change true, whichever instant
// its process is killed at: note_change() writes down what will be, settle() carries it out if that store was made.
//
// TaskPolicy::redeliver. Every message lies in a block, and a taker leases it: what it gets is a copy. task_done() frees
// the block; when the taker ends, put_back() makes it the first of the line again. A message that was delivered
// max_deliveries times goes to the dead letters instead of to the next taker.
#include <algorithm>

#include "attempt.hpp"
#include "channel.hpp"
#include "participants.hpp"

namespace interproc {

namespace {

constexpr std::uint32_t orphans_at_once = 64;

std::int64_t tasks_of(const Participant& who) {
  return static_cast<std::int64_t>(who.tasks.load(std::memory_order_relaxed));
}

}  // namespace

// --- lock held -------------------------------------------------------------------------------------------------------

// Whether everything that was put has been worked on, or dropped. What shutdown dropped is counted by `head` alone, so that
// a death in the middle cannot count a message twice.
bool Channel::is_finished() const {
  const ChannelControl& control = *memory_.control;
  std::uint64_t head = control.head.load(std::memory_order_relaxed);
  std::uint64_t tail = control.tail.load(std::memory_order_relaxed);
  if (memory_.tasks == TaskPolicy::redeliver) return head == tail && control.leases == 0;
  std::uint64_t done = control.done.load(std::memory_order_relaxed);
  if (control.shutdown.load(std::memory_order_relaxed) == 2) done += head - control.dropped_from;
  return done >= tail;
}

// One message was worked on, or will reach nobody; true if join() callers must be woken after the unlock.
bool Channel::count_as_done() {
  if (is_finished()) return false;
  memory_.control->done.fetch_add(1, std::memory_order_relaxed);
  return has_just_finished();
}

bool Channel::has_just_finished() {
  if (!is_finished()) return false;
  finished().restart();
  return true;
}

Participant& Channel::own_place() const { return memory_.participants[place_of(token()) % max_participants]; }

void Channel::note_change(Participant& who, std::int64_t tasks, std::uint64_t head, std::uint64_t done) {
  who.tasks_then.store(static_cast<std::uint64_t>(tasks), std::memory_order_relaxed);
  who.head_then.store(head, std::memory_order_release);
  who.done_then.store(done, std::memory_order_release);
}

void Channel::settle(Participant& who) {
  const ChannelControl& control = *memory_.control;
  std::uint64_t head = who.head_then.load(std::memory_order_relaxed);
  std::uint64_t done = who.done_then.load(std::memory_order_relaxed);
  bool is_true = (head != 0 && control.head.load(std::memory_order_relaxed) >= head) ||
                 (done != 0 && control.done.load(std::memory_order_relaxed) >= done);
  if (is_true) who.tasks.store(who.tasks_then.load(std::memory_order_relaxed), std::memory_order_release);
  who.head_then.store(0, std::memory_order_release);
  who.done_then.store(0, std::memory_order_release);
}

void Channel::settle_all() {
  Claim claim;
  for (std::uint32_t place = 0; next_participant(memory_.participants, &place, &claim); place++) {
    settle(memory_.participants[place]);
  }
}

// Releases slots up to `head`, which this process has taken.
void Channel::release_slots(std::uint64_t head, std::size_t taken) {
  if (memory_.tasks != TaskPolicy::count) {
    ring_.release(head);
    return;
  }
  Participant& me = own_place();
  note_change(me, tasks_of(me) + static_cast<std::int64_t>(taken), head, 0);
  ring_.release(head);
  settle(me);
}

// So many tasks are done, which leaves `who` with `tasks`. As count_as_done().
bool Channel::finish_tasks(Participant& who, std::uint64_t count, std::int64_t tasks) {
  Shared64& done = memory_.control->done;
  std::uint64_t then = done.load(std::memory_order_relaxed) + count;
  note_change(who, tasks, 0, then);
  done.store(then, std::memory_order_release);
  settle(who);
  return has_just_finished();
}

// This process is done with a message that it took, or with what came of it.
bool Channel::finish_task() {
  if (memory_.tasks != TaskPolicy::count) return count_as_done();
  if (is_finished()) return false;
  Participant& me = own_place();
  return finish_tasks(me, 1, tasks_of(me) - 1);
}

// What a participant that has ended took and did not finish counts as done. Others may have finished some of it, or will,
// which is theirs to do in multiprocessing: what was done already counts once, and what comes later is forgiven.
void Channel::fail_tasks(std::uint32_t token) {
  Participant* who = find_participant(memory_.participants, token);
  if (who == nullptr || tasks_of(*who) == 0) return;
  ChannelControl& control = *memory_.control;
  std::int64_t open = 0;
  Claim claim;
  for (std::uint32_t place = 0; next_participant(memory_.participants, &place, &claim); place++) {
    open += tasks_of(memory_.participants[place]);
  }
  std::int64_t failed = std::min(tasks_of(*who), open);
  std::uint64_t done = control.done.load(std::memory_order_relaxed);
  std::uint64_t tail = control.tail.load(std::memory_order_relaxed);
  if (failed <= 0 || done >= tail || is_finished()) return;
  std::uint64_t count = std::min(static_cast<std::uint64_t>(failed), tail - done);
  control.counters.failed += count;
  control.forgiven += count;
  finish_tasks(*who, count, 0);
}

// Makes what consumers that have ended had on lease the first of the line again, in the order in which it was put. What
// finds no room now is found by the next tick.
void Channel::requeue() {
  Arena::Orphan latest[orphans_at_once];
  while (memory_.control->orphans > 0) {
    std::uint32_t count = arena_.find_orphans(latest, orphans_at_once);
    if (count == 0) memory_.control->orphans = 0;
    for (std::uint32_t i = 0; i < count; i++) {
      if (!put_back(latest[i].block)) return;
    }
  }
}

bool Channel::put_back(std::uint64_t block) {
  ChannelControl& control = *memory_.control;
  BlockHeader* header = arena_.find(block, 0);
  if (header == nullptr) return false;
  if (control.shutdown.load(std::memory_order_relaxed) == 2) {
    arena_.free(block);
    return true;
  }
  std::uint64_t length = header->length;
  std::uint64_t head = control.head.load(std::memory_order_relaxed);
  Fault ignored;
  if (arena_.find(block, length) == nullptr || ring_if_empty(&ignored) != Status::ok) return false;
  Slot* slot = ring_.reclaim(head, &ignored);
  if (slot == nullptr) return false;
  slot->kind = SlotKind::block;
  slot->codec = static_cast<std::uint8_t>(header->codec);
  slot->inline_length = 0;
  slot->deliveries = header->deliveries + 1;
  slot->block = block;
  slot->length = length;
  header->ticket = head - 1;
  ring_.take_back(head - 1);
  arena_.end_lease(header);
  control.counters.redelivered++;
  return true;
}

// Whether something may yet come back into the line, from other consumers.
bool Channel::others_have_leases() const { return leases_ != nullptr && memory_.control->leases > leases_->count(); }

// --- lock not held ---------------------------------------------------------------------------------------------------

Status Channel::take_leases(Received* received, std::size_t limit, std::uint8_t* buffer, std::size_t buffer_bytes,
                            bool wait_for_lock, Registration* mine, std::size_t* count, Fault* fault) {
  sweep_if_due();  // also where nobody ever sleeps
  for (;;) {
    Status status = be_participant(fault);  // whose leases are the child's own after a fork
    if (status == Status::ok && !leases_->reserve(std::min<std::size_t>(limit, chunk_slots))) {
      status = out_of_memory(fault);
    }
    if (status != Status::ok) return status;
    status = take_some(received, limit, buffer, buffer_bytes, wait_for_lock, mine, count, fault);
    if (status != Status::ok) return status;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < *count; i++) {
      leases_->add(received[i].lease, received[i].deliveries);
      if (!bury(received[i])) received[kept++] = received[i];
    }
    *count = kept;
    if (kept > 0) return Status::ok;
  }
}

// Moves a message that was delivered too often to the dead letters. Where those have no room it is delivered once more.
bool Channel::bury(const Received& received) {
  bool is_poison = memory_.max_deliveries != 0 && received.deliveries >= memory_.max_deliveries;
  if (!is_poison || dead_letters_ == nullptr) return false;
  Part part{received.data, static_cast<std::size_t>(received.length)};
  Message message{received.codec, &part, 1, part.size_bytes, true};
  Fault ignored;
  if (dead_letters_->try_put(message, true, &ignored) != Status::ok) return false;
  leases_->remove(received.lease);
  acknowledge(received.lease, true);
  return true;
}

Status Channel::acknowledge(std::uint64_t block, bool is_buried) {
  Fault ignored;
  Status status = enter(true, &ignored);
  if (status != Status::ok) return status;
  BlockHeader* header = arena_.find(block, 0);
  bool is_mine = header != nullptr && header->owner == token() && (header->flags & block_leased) != 0;
  if (is_mine) arena_.free(block);
  if (is_buried) memory_.control->counters.buried++;
  bool all = has_just_finished();
  bool is_last = is_shut_down();  // others may wait for what this process had
  if (is_last) items().restart();
  std::uint32_t claimed = claim_for_memory();
  leave();
  wake(space(), claimed);
  if (is_last) items().wake_all();
  if (all) finished().wake_all();
  return Status::ok;
}

Status Channel::task_done(Fault* fault) {
  if (leases_ != nullptr) {
    std::uint64_t block = no_block;
    if (leases_->pop(&block)) return acknowledge(block, false);
    *fault = Fault{0, "task_done", 1, 0};
    return Status::too_many_done;
  }
  Status status = enter(true, fault);
  if (status != Status::ok) return status;
  ChannelControl& control = *memory_.control;
  std::uint64_t tail = control.tail.load(std::memory_order_relaxed);
  if (is_finished()) {
    bool is_forgiven = control.forgiven > 0;
    if (is_forgiven) control.forgiven--;
    leave();
    if (is_forgiven) return Status::ok;
    *fault = Fault{0, "task_done", tail + 1, tail};
    return Status::too_many_done;
  }
  bool all = finish_task();
  leave();
  if (all) finished().wake_all();
  return Status::ok;
}

std::uint32_t Channel::deliveries() const { return leases_ != nullptr ? leases_->deliveries() : 0; }

void Channel::bury_in(std::shared_ptr<Channel> dead_letters) { dead_letters_ = std::move(dead_letters); }

Status Channel::join(Wait wait, Fault* fault) {
  for (;;) {
    Status status = enter(true, fault);
    if (status != Status::ok) return status;
    bool all = is_finished();
    if (all || wait.deadline_ns == 0) {
      leave();
      return all ? Status::ok : Status::timed_out;
    }
    Registration mine = finished().enter();
    leave();
    status = doze(finished(), mine, wait.deadline_ns, fault);
    if (status == Status::ok) continue;
    if (status != Status::interrupted) return status;
    // Whoever finishes the last task restarts the event word, like wake_all(): look once more.
    status = enter(true, fault);
    if (status != Status::ok) return status;
    all = is_finished();
    leave();
    return all ? Status::ok : Status::interrupted;
  }
}

}  // namespace interproc
