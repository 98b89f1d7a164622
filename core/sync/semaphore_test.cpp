#include "semaphore.hpp"

#include <thread>
#include <vector>

#include "testing/sync.hpp"

using namespace interproc;
using namespace interproc::testing;

namespace {

Status try_acquire(Semaphore& semaphore) {
  Fault fault;
  return semaphore.try_acquire(&fault);
}

Status acquire(Semaphore& semaphore, std::uint64_t deadline_ns = far_deadline_ns()) {
  Fault fault;
  return insist([&](Patience* patience) { return semaphore.acquire(patience, &fault); }, deadline_ns);
}

Status release(Semaphore& semaphore, std::uint32_t count = 1) {
  Fault fault;
  return semaphore.release(count, &fault);
}

struct Meeting {
  Shared32 inside;
  Shared32 most_inside;
  Shared32 entered;
  Gate go_on;
};

// A child that takes permits and is dead when this returns.
void die_holding(Semaphore& semaphore, int count) {
  finish_child(start_child([&] {
    for (int i = 0; i < count; i++) CHECK_EQ(acquire(semaphore), Status::ok);
  }));
}

template <typename Body>
void with_each_kind(Body body) {
  with_each_lock([&] {
    for (bool tracks_holders : {false, true}) body(tracks_holders);
  });
}

}  // namespace

TEST(permits_are_taken_until_none_is_left) {
  with_each_kind([](bool tracks) {
    auto semaphore = make<Semaphore>(3u, 5u, tracks);
    CHECK_EQ(semaphore->tracks_holders(), tracks);
    CHECK_EQ(semaphore->maximum(), 5);
    for (std::uint32_t left = 3; left > 0; left--) {
      CHECK_EQ(semaphore->value(), left);
      CHECK_EQ(try_acquire(*semaphore), Status::ok);
    }
    CHECK_EQ(try_acquire(*semaphore), Status::not_available);
    CHECK_EQ(acquire(*semaphore, 0), Status::timed_out);
    CHECK_EQ(acquire(*semaphore, soon_ns()), Status::timed_out);
    CHECK_EQ(release(*semaphore, 5), Status::ok);
    CHECK_EQ(semaphore->value(), 5);
    CHECK_EQ(release(*semaphore), Status::over_bound);
    CHECK_EQ(acquire(*semaphore), Status::ok);
    CHECK_EQ(release(*semaphore, 2), Status::over_bound);
    CHECK_EQ(semaphore->value(), 4);
    CHECK_EQ(release(*semaphore, UINT32_MAX), Status::over_bound);
    CHECK_EQ(release(*semaphore, 0), Status::ok);
    CHECK_EQ(release(*semaphore, 1), Status::ok);
  });
}

TEST(impossible_values_are_refused) {
  Fault fault;
  std::unique_ptr<Semaphore> semaphore;
  CHECK_EQ(Semaphore::create(2, 1, false, &semaphore, &fault), Status::over_bound);
  CHECK_EQ(Semaphore::create(1, most_permits + 1, false, &semaphore, &fault), Status::over_bound);
  CHECK(semaphore == nullptr);
  auto largest = make<Semaphore>(most_permits, most_permits, false);
  CHECK_EQ(largest->value(), most_permits);
  CHECK_EQ(release(*largest), Status::over_bound);
}

TEST(threads_share_the_permits) {
  with_each_kind([](bool tracks) {
    auto semaphore = make<Semaphore>(2u, 2u, tracks);
    std::atomic<int> inside{0};
    std::atomic<int> count{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++) {
      threads.emplace_back([&] {
        for (int round = 0; round < 5000; round++) {
          CHECK_EQ(acquire(*semaphore), Status::ok);
          CHECK(++inside <= 2);
          inside--;
          count++;
          CHECK_EQ(release(*semaphore), Status::ok);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK_EQ(count.load(), 20'000);
    CHECK_EQ(semaphore->value(), 2);
  });
}

FORK_TEST(processes_share_the_permits) {
  with_each_kind([](bool tracks) {
    Shared<Meeting> meeting;
    auto semaphore = make<Semaphore>(2u, 2u, tracks);
    std::vector<pid_t> children;
    for (int i = 0; i < 4; i++) {
      children.push_back(start_child([&] {
        for (int round = 0; round < 5000; round++) {
          CHECK_EQ(acquire(*semaphore), Status::ok);
          CHECK(++meeting->inside <= 2);
          meeting->inside--;
          meeting->entered++;
          CHECK_EQ(release(*semaphore), Status::ok);
        }
      }));
    }
    for (pid_t child : children) finish_child(child);
    CHECK_EQ(meeting->entered.load(), 20'000);
    CHECK_EQ(semaphore->value(), 2);
  });
}

FORK_TEST(one_release_of_many_permits_wakes_as_many) {
  with_each_kind([](bool tracks) {
    Shared<Meeting> meeting;
    auto semaphore = make<Semaphore>(0u, 10u, tracks);
    std::vector<pid_t> children;
    for (int i = 0; i < 4; i++) {
      children.push_back(start_child([&] {
        meeting->entered++;
        CHECK_EQ(acquire(*semaphore), Status::ok);
        meeting->inside++;
        meeting->go_on.pass();
      }));
      CHECK(eventually(
          [&] { return meeting->entered.load() == static_cast<std::uint32_t>(i) + 1 && is_asleep(children.back()); }));
    }
    CHECK_EQ(release(*semaphore, 3), Status::ok);
    CHECK(eventually([&] { return meeting->inside.load() == 3; }));
    CHECK_EQ(semaphore->value(), 0);
    CHECK_EQ(release(*semaphore), Status::ok);
    CHECK(eventually([&] { return meeting->inside.load() == 4; }));
    meeting->go_on.open();
    for (pid_t child : children) finish_child(child);
  });
}

FORK_TEST(a_killed_waiter_takes_no_permit_with_it) {
  with_each_kind([](bool tracks) {
    Shared<Meeting> meeting;
    auto semaphore = make<Semaphore>(0u, 10u, tracks);
    std::vector<pid_t> waiters;
    for (std::uint32_t i = 0; i < 2; i++) {
      waiters.push_back(start_child([&] {
        meeting->entered++;
        CHECK_EQ(acquire(*semaphore), Status::ok);
      }));
      CHECK(eventually([&] { return meeting->entered.load() == i + 1 && is_asleep(waiters.back()); }));
    }
    kill_child(waiters[0]);
    CHECK_EQ(release(*semaphore), Status::ok);
    finish_child(waiters[1]);
  });
}

FORK_TEST(the_permits_of_a_killed_process_come_back_where_they_are_tracked) {
  with_each_lock([] {
    auto tracked = make<Semaphore>(3u, 3u, true);
    auto plain = make<Semaphore>(3u, 3u, false);
    die_holding(*tracked, 3);
    die_holding(*plain, 3);
    CHECK_EQ(acquire(*tracked), Status::ok);
    CHECK_EQ(tracked->value(), 2);
    CHECK_EQ(acquire(*plain, soon_ns()), Status::timed_out);
  });
}

FORK_TEST(a_waiter_gets_the_permit_of_one_that_is_killed) {
  with_each_lock([] {
    Shared<Meeting> meeting;
    auto semaphore = make<Semaphore>(1u, 1u, true);
    pid_t holder = start_child([&] {
      CHECK_EQ(acquire(*semaphore), Status::ok);
      meeting->go_on.open();
      await_death();
    });
    meeting->go_on.pass();
    pid_t waiter = start_child([&] {
      meeting->entered++;
      CHECK_EQ(acquire(*semaphore), Status::ok);
      CHECK_EQ(release(*semaphore), Status::ok);
    });
    CHECK(eventually([&] { return meeting->entered.load() != 0 && is_asleep(waiter); }));
    kill_child(holder);
    finish_child(waiter);
    CHECK_EQ(semaphore->value(), 1);
  });
}

FORK_TEST(who_only_tries_gets_the_permit_of_one_that_was_killed) {
  auto semaphore = make<Semaphore>(1u, 1u, true);
  die_holding(*semaphore, 1);
  CHECK(eventually([&] { return try_acquire(*semaphore) == Status::ok; }));
}

FORK_TEST(a_permit_released_by_another_process_does_not_come_back_twice) {
  auto semaphore = make<Semaphore>(2u, 2u, true);
  Shared<Meeting> meeting;
  pid_t child = start_child([&] {
    CHECK_EQ(acquire(*semaphore), Status::ok);
    meeting->go_on.open();
    await_death();
  });
  meeting->go_on.pass();
  CHECK_EQ(release(*semaphore), Status::ok);
  CHECK_EQ(semaphore->value(), 2);
  kill_child(child);
  semaphore->pool()->sweep_dead();
  CHECK_EQ(semaphore->value(), 2);
  CHECK_EQ(acquire(*semaphore), Status::ok);
  CHECK_EQ(acquire(*semaphore), Status::ok);
  CHECK_EQ(try_acquire(*semaphore), Status::not_available);
}

FORK_TEST(a_holder_that_ends_in_an_orderly_way_keeps_its_permits) {
  auto semaphore = make<Semaphore>(2u, 2u, true);
  finish_child(start_child([&] {
    CHECK_EQ(acquire(*semaphore), Status::ok);
    SyncPool::leave_all();
  }));
  semaphore->pool()->sweep_dead();
  CHECK_EQ(semaphore->value(), 1);
  CHECK_EQ(acquire(*semaphore), Status::ok);
  CHECK_EQ(release(*semaphore, 2), Status::ok);
  CHECK_EQ(semaphore->value(), 2);
}

FORK_TEST(permits_missing_from_the_start_are_nobodys) {
  auto semaphore = make<Semaphore>(1u, 4u, true);
  die_holding(*semaphore, 1);
  semaphore->pool()->sweep_dead();
  CHECK_EQ(semaphore->value(), 1);
  CHECK_EQ(release(*semaphore, 3), Status::ok);
  CHECK_EQ(semaphore->value(), 4);
  die_holding(*semaphore, 4);
  semaphore->pool()->sweep_dead();
  CHECK_EQ(semaphore->value(), 4);
}

FORK_TEST(a_death_under_the_guard_is_repaired_from_the_entries) {
  with_each_lock([] {
    auto semaphore = make<Semaphore>(3u, 3u, true);
    CHECK_EQ(acquire(*semaphore), Status::ok);
    SyncPool& pool = *semaphore->pool();
    auto& cell = *pool.cell<SemaphoreCell>(semaphore->index());
    finish_child(start_child([&] {
      std::uint32_t token = 0;
      Fault fault;
      CHECK_EQ(pool.join(&token, &fault), Status::ok);
      CHECK(pool.guard(cell.guard).acquire(token, true) == Lock::Acquired::clean);
      cell.word.store(77);
    }));
    CHECK_EQ(acquire(*semaphore), Status::ok);
    CHECK_EQ(semaphore->value(), 1);
    CHECK_EQ(release(*semaphore, 2), Status::ok);
    CHECK_EQ(semaphore->value(), 3);
  });
}

FORK_TEST(more_holders_than_entries_share_those_of_the_ended) {
  auto semaphore = make<Semaphore>(3u, 3u, true);
  for (int round = 0; round < 5; round++) {
    for (int i = 0; i < 3; i++) {
      finish_child(start_child([&] {
        CHECK_EQ(acquire(*semaphore), Status::ok);
        SyncPool::leave_all();
      }));
    }
    CHECK_EQ(semaphore->value(), 0);
    CHECK_EQ(release(*semaphore, 3), Status::ok);
  }
}
