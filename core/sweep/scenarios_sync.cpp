// Locks, semaphores, conditions, events and barriers, and the sweep itself.
#include <fcntl.h>
#include <sched.h>

#include "atomics.hpp"
#include "sweep/sync_stage.hpp"

namespace interproc::sweep {

namespace {

constexpr std::uint64_t me = 1;
constexpr std::uint32_t all_of_them = UINT32_MAX;
using S = SyncStage&;

void hold_lock(S stage) { stage.acquire(); }
void free_lock(S stage) { stage.lock->release(); }
void take_and_free_lock(S stage) {
  stage.acquire();
  stage.lock->release();
}
void free_lock_of_stage(S stage) {
  std::uint32_t word = stage.pool().cell<LockCell>(stage.lock->index())->word.load();
  if ((word & platform::owner_mask) == stage.token) stage.lock->release();
}

void take_all_permits(S stage) {
  for (std::uint32_t i = 0; i < staged_permits; i++) stage.acquire(*stage.tracked);
}
void free_all_permits(S stage) { stage.tracked->release(staged_permits, &stage.fault); }
void take_and_free_permit(S stage) {
  stage.acquire(*stage.tracked);
  stage.tracked->release(1, &stage.fault);
}
void empty_plain(S stage) {
  for (std::uint32_t i = 0; i < staged_permits; i++) stage.acquire(*stage.plain);
}
void take_plain(S stage) { stage.acquire(*stage.plain); }
void free_plain(S stage) { stage.plain->release(1, &stage.fault); }
void refill_plain(S stage) {
  if (stage.plain->value() == 0) free_plain(stage);
}

void notify(S stage, std::uint32_t count) {
  std::uint32_t notified = 0;
  stage.condition->notify(count, &notified, &stage.fault);
}
void notify_one(S stage) { notify(stage, 1); }
void notify_all(S stage) { notify(stage, all_of_them); }
void enter_line(S stage) { stage.condition->enter(&stage.ticket, &stage.fault); }
void leave_line(S stage) { stage.condition->leave(&stage.ticket); }
void stand_in_line(S stage) {
  enter_line(stage);
  stage.sleep();
  leave_line(stage);
}
void enter_and_leave_line(S stage) {
  enter_line(stage);
  leave_line(stage);
}
void enter_line_notified(S stage) {
  enter_line(stage);
  notify_one(stage);
}

void wait_for_event(S stage) { stage.wait(); }
void set_event(S stage) { stage.event->set(); }

void meet(S stage) { stage.pass(); }
void meet_twice(S stage) {
  stage.pass();
  stage.pass();
}
// And waits until the other is there for the next time.
void meet_once(S stage) {
  stage.pass();
  while (stage.barrier->waiting() != 1) sched_yield();
}
void arrive(S stage) {
  Patience patience(UINT64_MAX);
  stage.barrier->arrive(&stage.arrival, &patience, &stage.fault);
}
// Who waits alone waits for somebody who never came.
void break_lonely_round(S stage) {
  if (stage.barrier->waiting() == 1) stage.barrier->abort(&stage.fault);
}

void leave_pool(S) { SyncPool::leave_all(); }
void sweep_pool(S stage) { stage.pool().sweep_dead(); }

// All that a process can have when it dies.
void hold_everything(S stage) {
  stage.acquire();
  stage.acquire(*stage.tracked);
  enter_line(stage);
  arrive(stage);
}
void lose_holder(S stage) { stage.lose(hold_everything); }
void lose_waiter(S stage) { stage.lose(enter_line); }
void lose_notified(S stage) { stage.lose(enter_line_notified); }

// Dies under a guard, half way through what goes on there.
void lose_notifier(S stage) {
  stage.lose(enter_line);
  stage.lose([](S lost) {
    std::uint32_t mine = 0;
    lost.pool().join(&mine, &lost.fault);
    auto& cell = *lost.pool().cell<ConditionCell>(lost.condition->index());
    lost.pool().guard(cell.guard).acquire(mine, true);
    lost.pool().node(cell.head.load()).word.store(static_cast<std::uint32_t>(WaiterState::notified));
    cell.tail.store(no_node);
  });
}
void lose_permit_taker(S stage) {
  stage.lose([](S lost) {
    std::uint32_t mine = 0;
    lost.pool().join(&mine, &lost.fault);
    auto& cell = *lost.pool().cell<SemaphoreCell>(lost.tracked->index());
    lost.pool().guard(cell.guard).acquire(mine, true);
    cell.word.store(77);
  });
}

// A barrier's guard, with a round half broken behind it.
void lose_party_in_its_guard(S stage) {
  stage.lose([](S lost) {
    std::uint32_t mine = 0;
    lost.pool().join(&mine, &lost.fault);
    auto& cell = *lost.pool().cell<BarrierCell>(lost.barrier->index());
    lost.pool().guard(cell.guard).acquire(mine, true);
    cell.broken_rounds.store(1);
  });
}

void add_numbers(S stage) {
  for (std::int64_t i = 0; i < staged_additions; i++) atomics::add<std::int64_t>(stage.block->data(), 1);
}
void make_and_drop_block(S stage) {
  std::unique_ptr<HeapBlock> made;
  HeapBlock::create(100, &made, &stage.fault);
  made.reset();
}
void attach_objects(S stage) {
  int fd = fcntl(stage.pool().segment()->fd(), F_DUPFD_CLOEXEC, 0);
  std::shared_ptr<Segment> segment;
  if (Segment::attach(fd, nullptr, &segment, &stage.fault) != Status::ok) return;
  std::shared_ptr<SyncPool> pool;
  std::unique_ptr<OwnedLock> lock;
  std::unique_ptr<Barrier> barrier;
  SyncPool::attach(std::move(segment), &pool, &stage.fault);
  OwnedLock::attach(pool, stage.lock->index(), &lock, &stage.fault);
  Barrier::attach(pool, stage.barrier->index(), &barrier, &stage.fault);
}

// Takes the first page of nodes, so that the next waiter needs another; the survivor frees them.
void take_page_of_nodes(S stage) {
  enter_line(stage);
  leave_line(stage);
  for (std::uint32_t i = 1; i < stage.pool().nodes_made(); i++) stage.pool().node(i).token.store(stage.token);
}
void free_page_of_nodes(S stage) {
  for (std::uint32_t i = 1; i < stage.pool().nodes_made(); i++) {
    std::uint32_t owner = stage.token;
    stage.pool().node(i).token.compare_exchange_strong(owner, 0);
  }
}

void add_locks(std::vector<SyncScenario>& all) {
  all.push_back({.name = "lock", .operation = take_and_free_lock});
  all.push_back({.name = "lock-joins", .joins_inside = true, .operation = take_and_free_lock});
  all.push_back({.name = "lock-recursive", .operation = [](S stage) {
                   for (int i = 0; i < 3; i++) stage.lock->try_acquire_recursive(me, &stage.fault);
                   for (int i = 0; i < 3; i++) stage.lock->release_recursive(me);
                 }});
  all.push_back(
      {.name = "lock-to-sleeper", .bystand = take_and_free_lock, .before = hold_lock, .operation = free_lock});
  all.push_back({.name = "lock-sleeps",
                 .ends_asleep = true,
                 .prepare = hold_lock,
                 .operation = take_and_free_lock,
                 .help = free_lock_of_stage});
  all.push_back({.name = "lock-woken",
                 .prepare = hold_lock,
                 .operation = take_and_free_lock,
                 .when_asleep = free_lock,
                 .help = free_lock_of_stage});
  all.push_back({.name = "lock-woken-beside-another",
                 .prepare = hold_lock,
                 .bystand = take_and_free_lock,
                 .operation = take_and_free_lock,
                 .when_asleep = free_lock,
                 .help = free_lock_of_stage});
  all.push_back({.name = "lock-of-the-dead", .prepare = lose_holder, .operation = [](S stage) {
                   stage.lock->try_acquire(me, &stage.fault);
                   stage.lock->release();
                 }});
}

void add_semaphores(std::vector<SyncScenario>& all) {
  all.push_back({.name = "semaphore", .operation = [](S stage) {
                   take_plain(stage);
                   free_plain(stage);
                 }});
  all.push_back({.name = "semaphore-to-sleeper",
                 .prepare = empty_plain,
                 .bystand = take_plain,
                 .operation = free_plain,
                 .help = refill_plain});
  all.push_back(
      {.name = "semaphore-woken", .prepare = empty_plain, .operation = take_plain, .when_asleep = free_plain});
  all.push_back({.name = "permit", .operation = take_and_free_permit});
  all.push_back({.name = "permits", .operation = [](S stage) {
                   take_all_permits(stage);
                   free_all_permits(stage);
                 }});
  all.push_back({.name = "permits-to-sleeper",
                 .bystand = take_and_free_permit,
                 .before = take_all_permits,
                 .operation = free_all_permits});
  all.push_back({.name = "permit-woken",
                 .prepare = take_all_permits,
                 .operation = take_and_free_permit,
                 .when_asleep = free_all_permits,
                 .help = free_all_permits});
  all.push_back(
      {.name = "permits-of-another", .prepare = take_all_permits, .operation = free_all_permits, .help = [](S stage) {
         while (stage.tracked->value() < staged_permits) stage.tracked->release(1, &stage.fault);
       }});
  all.push_back({.name = "permit-repair", .prepare = lose_permit_taker, .operation = take_and_free_permit});
}

void add_conditions(std::vector<SyncScenario>& all) {
  all.push_back({.name = "condition-enter-leave", .operation = enter_and_leave_line});
  all.push_back({.name = "condition-sleeps", .ends_asleep = true, .operation = stand_in_line});
  all.push_back({.name = "condition-woken", .operation = stand_in_line, .when_asleep = notify_one});
  all.push_back({.name = "condition-leave-notified", .before = enter_line_notified, .operation = leave_line});
  all.push_back({.name = "condition-notify", .bystand = stand_in_line, .operation = notify_one, .help = notify_one});
  all.push_back(
      {.name = "condition-notify-all", .bystand = stand_in_line, .operation = notify_all, .help = notify_all});
  all.push_back({.name = "condition-notify-past-the-dead",
                 .prepare = lose_waiter,
                 .bystand = stand_in_line,
                 .operation = notify_one,
                 .help = notify_one});
  all.push_back({.name = "condition-grows",
                 .prepare = take_page_of_nodes,
                 .operation = enter_and_leave_line,
                 .help = free_page_of_nodes});
  all.push_back({.name = "condition-notify-repair", .prepare = lose_notifier, .operation = notify_one});
  all.push_back({.name = "condition-repair", .prepare = lose_notifier, .operation = enter_and_leave_line});
}

void add_events(std::vector<SyncScenario>& all) {
  all.push_back({.name = "event-set", .bystand = wait_for_event, .operation = set_event, .help = set_event});
  all.push_back({.name = "event-sleeps", .ends_asleep = true, .operation = wait_for_event});
  all.push_back({.name = "event-woken", .operation = wait_for_event, .when_asleep = set_event});
}

void add_barriers(std::vector<SyncScenario>& all) {
  all.push_back({.name = "barrier-first", .ends_asleep = true, .operation = meet});
  all.push_back({.name = "barrier-last", .bystand = meet, .operation = meet, .help = break_lonely_round});
  all.push_back({.name = "barrier-again",
                 .bystander_comes_first = true,
                 .bystand = meet_twice,
                 .before = meet_once,
                 .operation = meet});
  all.push_back({.name = "barrier-abort-and-reset",
                 .bystand = meet,
                 .operation =
                     [](S stage) {
                       stage.barrier->abort(&stage.fault);
                       stage.barrier->reset(&stage.fault);
                     },
                 .help = break_lonely_round});
}

void add_memory(std::vector<SyncScenario>& all) {
  all.push_back({.name = "atomic-add", .operation = add_numbers});
  all.push_back({.name = "make-block", .operation = make_and_drop_block});
  all.push_back({.name = "make-object", .operation = [](S stage) {
                   std::unique_ptr<Event> made;
                   Event::create(&made, &stage.fault);
                 }});
  all.push_back({.name = "attach-object", .operation = attach_objects});
}

// The second death lies inside the recovery from the first.
void add_pool(std::vector<SyncScenario>& all) {
  all.push_back({.name = "barrier-repair", .prepare = lose_party_in_its_guard, .operation = [](S stage) {
                   stage.barrier->reset(&stage.fault);
                 }});
  all.push_back({.name = "pool-sweep-of-two",
                 .prepare =
                     [](S stage) {
                       lose_holder(stage);
                       lose_waiter(stage);
                     },
                 .operation = sweep_pool});
  all.push_back({.name = "pool-sweep-repairs", .prepare = lose_notifier, .operation = sweep_pool});
  all.push_back({.name = "pool-sweep", .prepare = lose_holder, .operation = sweep_pool});
  all.push_back(
      {.name = "pool-sweep-passes-on", .prepare = lose_notified, .bystand = stand_in_line, .operation = sweep_pool});
  all.push_back({.name = "pool-leave", .before = enter_line, .operation = leave_pool});
}

// --- broken on purpose -----------------------------------------------------------------------------------------------

// Takes the waiter out of the line before it is marked.
void notify_takes_out_first(S stage) {
  auto& cell = *stage.pool().cell<ConditionCell>(stage.condition->index());
  Lock guard = stage.pool().guard(cell.guard);
  guard.acquire(stage.pool().joined(), true);
  WaiterNode& node = stage.pool().node(cell.head.load());
  cell.head.store(node.next.load());
  node.word.store(static_cast<std::uint32_t>(WaiterState::notified));
  guard.release();
  platform::wake(node.word, 1);
}

// Takes the lock in the name of somebody who lives.
void lock_under_a_false_name(S stage) {
  Shared32& word = stage.pool().cell<LockCell>(stage.lock->index())->word;
  word.store(stage.token);
  word.store(0);
}

// Takes a permit and tells nobody.
void take_permit_unrecorded(S stage) {
  Shared32& word = stage.pool().cell<SemaphoreCell>(stage.tracked->index())->word;
  word.fetch_sub(1);
  word.fetch_add(1);
}

}  // namespace

std::vector<SyncScenario> sync_scenarios() {
  std::vector<SyncScenario> all;
  add_locks(all);
  add_semaphores(all);
  add_conditions(all);
  add_events(all);
  add_barriers(all);
  add_memory(all);
  add_pool(all);
  return all;
}

std::vector<SyncScenario> sync_mutants() {
  return {
      {.name = "mutant-notify-takes-out-first",
       .bystand = stand_in_line,
       .operation = notify_takes_out_first,
       .help = notify_one},
      {.name = "mutant-lock-under-a-false-name", .operation = lock_under_a_false_name},
      {.name = "mutant-permit-unrecorded", .operation = take_permit_unrecorded},
  };
}

}  // namespace interproc::sweep
