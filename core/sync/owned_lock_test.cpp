#include "owned_lock.hpp"

#include <pthread.h>

#include <thread>
#include <vector>

#include "testing/sync.hpp"

using namespace interproc;
using namespace interproc::testing;

namespace {

constexpr std::uint64_t me = 7;
constexpr std::uint64_t other = 8;

Status try_acquire(OwnedLock& lock, std::uint64_t thread = me) {
  Fault fault;
  return lock.try_acquire(thread, &fault);
}

Status try_recursive(OwnedLock& lock, std::uint64_t thread = me) {
  Fault fault;
  return lock.try_acquire_recursive(thread, &fault);
}

Status acquire(OwnedLock& lock, std::uint64_t thread = me, std::uint64_t deadline_ns = far_deadline_ns()) {
  Fault fault;
  return insist([&](Patience* patience) { return lock.acquire(thread, patience, &fault); }, deadline_ns);
}

struct Meeting {
  Gate held;
  Gate go_on;
  Shared32 told;
  Shared32 waiting[4];
  std::uint64_t count;  // only touched by who has the lock
};

// A child that takes the lock and waits for its end.
pid_t start_holder(OwnedLock& lock, Meeting& meeting) {
  return start_child([&] {
    CHECK_EQ(acquire(lock), Status::ok);
    meeting.held.open();
    await_death();
  });
}

}  // namespace

TEST(a_lock_is_taken_once_and_given_back) {
  with_each_lock([] {
    auto lock = make<OwnedLock>();
    CHECK(!lock->is_locked());
    CHECK_EQ(lock->depth(me), 0);
    for (int round = 0; round < 3; round++) {
      CHECK_EQ(try_acquire(*lock), Status::ok);
      CHECK(lock->is_locked());
      CHECK(lock->is_mine(me));
      CHECK(!lock->is_mine(other));
      CHECK_EQ(lock->depth(me), 1);
      CHECK_EQ(lock->depth(other), 0);
      CHECK_EQ(try_acquire(*lock), Status::not_available);
      CHECK_EQ(try_acquire(*lock, other), Status::not_available);
      CHECK_EQ(lock->release(), Status::ok);
      CHECK(!lock->is_locked());
      CHECK(!lock->is_mine(me));
      CHECK_EQ(lock->abandoned_pid(), 0);
    }
  });
}

TEST(what_nobody_holds_cannot_be_released) {
  auto lock = make<OwnedLock>();
  CHECK_EQ(lock->release(), Status::not_locked);
  CHECK_EQ(lock->release_recursive(me), Status::not_owner);
  std::uint32_t depth = 0;
  CHECK_EQ(lock->release_all(me, &depth), Status::not_owner);
  CHECK_EQ(try_acquire(*lock), Status::ok);
  CHECK_EQ(lock->release(), Status::ok);
  CHECK_EQ(lock->release(), Status::not_locked);
}

TEST(anybody_releases_a_lock_but_only_its_owner_a_recursive_one) {
  auto lock = make<OwnedLock>();
  CHECK_EQ(try_acquire(*lock), Status::ok);
  CHECK_EQ(lock->release_recursive(other), Status::not_owner);
  CHECK(lock->is_mine(me));
  CHECK_EQ(lock->release(), Status::ok);
}

TEST(a_recursive_lock_counts_its_depth) {
  auto lock = make<OwnedLock>();
  for (std::uint32_t depth = 1; depth <= 3; depth++) {
    CHECK_EQ(try_recursive(*lock), Status::ok);
    CHECK_EQ(lock->depth(me), depth);
  }
  CHECK_EQ(try_recursive(*lock, other), Status::not_available);
  for (std::uint32_t depth = 3; depth > 0; depth--) {
    CHECK(lock->is_mine(me));
    CHECK_EQ(lock->depth(me), depth);
    CHECK_EQ(lock->release_recursive(me), Status::ok);
  }
  CHECK(!lock->is_locked());
}

TEST(a_condition_lets_go_however_deep_and_takes_as_deep_again) {
  auto lock = make<OwnedLock>();
  for (int i = 0; i < 3; i++) CHECK_EQ(try_recursive(*lock), Status::ok);
  std::uint32_t depth = 0;
  CHECK_EQ(lock->release_all(me, &depth), Status::ok);
  CHECK_EQ(depth, 3);
  CHECK_EQ(try_acquire(*lock, other), Status::ok);
  CHECK_EQ(lock->release(), Status::ok);
  Fault fault;
  CHECK_EQ(insist([&](Patience* patience) { return lock->restore(me, depth, patience, &fault); }), Status::ok);
  CHECK_EQ(lock->depth(me), 3);
}

TEST(all_objects_of_a_process_on_one_lock_are_one_owner) {
  auto lock = make<OwnedLock>();
  auto again = attach(*lock);
  CHECK_EQ(try_recursive(*lock), Status::ok);
  CHECK_EQ(try_recursive(*again), Status::ok);
  CHECK_EQ(again->depth(me), 2);
  CHECK_EQ(lock->release_recursive(me), Status::ok);
  CHECK_EQ(again->release_recursive(me), Status::ok);
  CHECK(!lock->is_locked());
}

TEST(a_deadline_ends_the_wait) {
  auto lock = make<OwnedLock>();
  CHECK_EQ(try_acquire(*lock), Status::ok);
  CHECK_EQ(acquire(*lock, other, 0), Status::timed_out);
  CHECK_EQ(acquire(*lock, other, soon_ns()), Status::timed_out);
  CHECK_EQ(lock->release(), Status::ok);
  CHECK_EQ(acquire(*lock, other, 0), Status::ok);
}

TEST(threads_exclude_each_other) {
  with_each_lock([] {
    auto lock = make<OwnedLock>();
    std::uint64_t count = 0;
    constexpr int rounds = 20'000;
    std::vector<std::thread> threads;
    for (std::uint64_t thread = 1; thread <= 4; thread++) {
      threads.emplace_back([&, thread] {
        for (int round = 0; round < rounds; round++) {
          CHECK_EQ(acquire(*lock, thread), Status::ok);
          CHECK(lock->is_mine(thread));
          count++;
          CHECK_EQ(lock->release(), Status::ok);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK_EQ(count, 4 * rounds);
  });
}

TEST(a_signal_interrupts_the_wait) {
  struct sigaction action{};
  action.sa_handler = [](int) {};
  sigaction(SIGUSR1, &action, nullptr);
  auto lock = make<OwnedLock>();
  CHECK_EQ(try_acquire(*lock), Status::ok);
  std::atomic<bool> was_interrupted{false};
  std::atomic<bool> is_done{false};
  std::thread waiter([&] {
    Fault fault;
    Patience patience(far_deadline_ns());
    Status status;
    while ((status = lock->acquire(other, &patience, &fault)) == Status::interrupted) was_interrupted = true;
    CHECK_EQ(status, Status::ok);
    is_done = true;
  });
  CHECK(eventually([&] {
    pthread_kill(waiter.native_handle(), SIGUSR1);
    return was_interrupted.load();
  }));
  CHECK(!is_done);
  CHECK_EQ(lock->release(), Status::ok);
  waiter.join();
}

FORK_TEST(processes_exclude_each_other) {
  with_each_lock([] {
    Shared<Meeting> meeting;
    auto lock = make<OwnedLock>();
    constexpr int rounds = 30'000;
    std::vector<pid_t> children;
    for (int i = 0; i < 4; i++) {
      children.push_back(start_child([&] {
        for (int round = 0; round < rounds; round++) {
          CHECK_EQ(acquire(*lock), Status::ok);
          meeting->count++;
          CHECK_EQ(lock->release(), Status::ok);
        }
      }));
    }
    for (pid_t child : children) finish_child(child);
    CHECK_EQ(meeting->count, 4 * rounds);
    CHECK(!lock->is_locked());
  });
}

FORK_TEST(a_forked_child_does_not_own_what_its_parent_holds) {
  auto lock = make<OwnedLock>();
  CHECK_EQ(try_recursive(*lock), Status::ok);
  finish_child(start_child([&] {
    CHECK(!lock->is_mine(me));
    CHECK_EQ(try_recursive(*lock), Status::not_available);
    CHECK_EQ(lock->release_recursive(me), Status::not_owner);
    CHECK_EQ(lock->release(), Status::ok);
  }));
  CHECK(!lock->is_locked());
}

FORK_TEST(a_killed_holders_lock_goes_to_one_who_waits_and_only_that_one_is_told) {
  with_each_lock([] {
    Shared<Meeting> meeting;
    auto lock = make<OwnedLock>();
    pid_t holder = start_holder(*lock, *meeting);
    meeting->held.pass();
    std::vector<pid_t> waiters;
    for (int i = 0; i < 4; i++) {
      waiters.push_back(start_child([&, i] {
        meeting->waiting[i].store(1);
        CHECK_EQ(acquire(*lock), Status::ok);
        if (lock->abandoned_pid() != 0) {
          CHECK_EQ(lock->abandoned_pid(), holder);
          meeting->told++;
        }
        CHECK_EQ(lock->release(), Status::ok);
      }));
    }
    for (int i = 0; i < 4; i++) {
      CHECK(eventually(
          [&] { return meeting->waiting[i].load() != 0 && is_asleep(waiters[static_cast<std::size_t>(i)]); }));
    }
    kill_child(holder);
    for (pid_t waiter : waiters) finish_child(waiter);
    CHECK_EQ(meeting->told.load(), 1);
  });
}

FORK_TEST(abandonment_is_seen_until_the_release_or_until_it_is_cleared) {
  Shared<Meeting> meeting;
  auto lock = make<OwnedLock>();
  for (bool clears : {false, true}) {
    pid_t holder = start_child([&] { CHECK_EQ(acquire(*lock), Status::ok); });
    finish_child(holder);
    CHECK_EQ(acquire(*lock), Status::ok);
    CHECK_EQ(lock->abandoned_pid(), holder);
    if (clears) {
      lock->clear_abandoned();
      CHECK_EQ(lock->abandoned_pid(), 0);
      CHECK(lock->is_mine(me));
    }
    CHECK_EQ(lock->release(), Status::ok);
    CHECK_EQ(acquire(*lock), Status::ok);
    CHECK_EQ(lock->abandoned_pid(), 0);
    CHECK_EQ(lock->release(), Status::ok);
  }
}

FORK_TEST(who_only_tries_gets_a_killed_holders_lock_too) {
  with_each_lock([] {
    Shared<Meeting> meeting;
    auto lock = make<OwnedLock>();
    pid_t holder = start_holder(*lock, *meeting);
    meeting->held.pass();
    CHECK_EQ(try_acquire(*lock), Status::not_available);
    kill_child(holder);
    CHECK(eventually([&] { return try_acquire(*lock) == Status::ok; }));
    CHECK_EQ(lock->abandoned_pid(), holder);
  });
}

FORK_TEST(two_holders_killed_in_a_row_leave_a_lock_that_works) {
  auto lock = make<OwnedLock>();
  pid_t last = 0;
  for (int i = 0; i < 3; i++) {
    last = start_child([&] { CHECK_EQ(acquire(*lock), Status::ok); });
    finish_child(last);
  }
  CHECK_EQ(acquire(*lock), Status::ok);
  CHECK_EQ(lock->abandoned_pid(), last);
  CHECK_EQ(lock->release(), Status::ok);
}

FORK_TEST(a_holder_that_ends_in_an_orderly_way_leaves_it_locked) {
  auto lock = make<OwnedLock>();
  finish_child(start_child([&] {
    CHECK_EQ(acquire(*lock), Status::ok);
    SyncPool::leave_all();
  }));
  CHECK(lock->is_locked());
  CHECK_EQ(acquire(*lock, me, soon_ns()), Status::timed_out);
  CHECK_EQ(lock->release(), Status::ok);
  CHECK_EQ(acquire(*lock), Status::ok);
  CHECK_EQ(lock->abandoned_pid(), 0);
}

FORK_TEST(a_stopped_holder_keeps_the_lock) {
  Shared<Meeting> meeting;
  auto lock = make<OwnedLock>();
  pid_t holder = start_holder(*lock, *meeting);
  meeting->held.pass();
  kill(holder, SIGSTOP);
  int status = 0;
  CHECK_EQ(waitpid(holder, &status, WUNTRACED), holder);
  CHECK_EQ(acquire(*lock, me, platform::monotonic_ns() + 100'000'000), Status::timed_out);
  kill_child(holder);
  CHECK_EQ(acquire(*lock), Status::ok);
}

FORK_TEST(a_killed_waiter_costs_nobody_the_lock) {
  with_each_lock([] {
    Shared<Meeting> meeting;
    auto lock = make<OwnedLock>();
    CHECK_EQ(acquire(*lock), Status::ok);
    std::vector<pid_t> waiters;
    for (int i = 0; i < 2; i++) {
      waiters.push_back(start_child([&, i] {
        meeting->waiting[i].store(1);
        CHECK_EQ(acquire(*lock), Status::ok);
        CHECK_EQ(lock->release(), Status::ok);
      }));
      CHECK(eventually([&] { return meeting->waiting[i].load() != 0 && is_asleep(waiters.back()); }));
    }
    kill(waiters[0], SIGSTOP);
    int status = 0;
    CHECK_EQ(waitpid(waiters[0], &status, WUNTRACED), waiters[0]);
    CHECK_EQ(lock->release(), Status::ok);  // this wake may be for the stopped one, which never runs again
    kill_child(waiters[0]);
    finish_child(waiters[1]);
    CHECK(!lock->is_locked() || acquire(*lock) == Status::ok);
  });
}
