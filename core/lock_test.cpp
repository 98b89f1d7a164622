#include "lock.hpp"

#include <algorithm>
#include <thread>
#include <vector>

#include "participants.hpp"
#include "testing/channels.hpp"

using namespace interproc;
using namespace interproc::testing;

namespace {

constexpr std::size_t most_waiters = 4;

struct Room {
  Participant participants[max_participants];
  Shared32 word;
  std::uint64_t count;  // only touched by the owner of the lock
  Gate held;
  Gate go_on;
  Shared32 waiter_thread;
  Shared32 acquired[most_waiters];  // Lock::Acquired of each waiter, plus one

  std::uint32_t join() {
    std::uint32_t token = 0;
    CHECK_EQ(join_participants(participants, &token), Status::ok);
    return token;
  }
};

std::uint32_t owner_here(LockKind kind, std::uint32_t token) {
  return kind == LockKind::kernel ? static_cast<std::uint32_t>(this_thread()) : token;
}

// A child that takes the lock and dies with it.
pid_t start_holder(Room& room, LockKind kind) {
  return start_child([&room, kind] {
    Lock lock(room.word, kind, room.participants);
    CHECK_EQ(lock.acquire(room.join(), true), Lock::Acquired::clean);
    room.held.open();
    await_death();
  });
}

}  // namespace

TEST(a_free_lock_is_taken_and_given_back) {
  for (LockKind kind : lock_kinds()) {
    Shared<Room> room;
    std::uint32_t token = room->join();
    Lock lock(room->word, kind, room->participants);
    CHECK_EQ(lock.acquire(token, true), Lock::Acquired::clean);
    CHECK_EQ(room->word.load(), owner_here(kind, token));
    lock.release();
    CHECK_EQ(room->word.load(), 0);
    CHECK_EQ(lock.acquire(token, false), Lock::Acquired::clean);
    lock.release();
  }
}

TEST(threads_exclude_each_other) {
  for (LockKind kind : lock_kinds()) {
    Shared<Room> room;
    std::uint32_t token = room->join();
    constexpr int thread_count = 4;
    constexpr int rounds = 20'000;
    std::vector<std::thread> threads;
    for (int i = 0; i < thread_count; i++) {
      threads.emplace_back([&room, kind, token] {
        Lock lock(room->word, kind, room->participants);
        for (int round = 0; round < rounds; round++) {
          CHECK_EQ(lock.acquire(token, true), Lock::Acquired::clean);
          room->count++;
          lock.release();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK_EQ(room->count, thread_count * rounds);
    CHECK_EQ(room->word.load() & platform::owner_mask, 0);
  }
}

FORK_TEST(processes_exclude_each_other) {
  for (LockKind kind : lock_kinds()) {
    Shared<Room> room;
    constexpr int child_count = 4;
    constexpr int rounds = 50'000;
    std::vector<pid_t> children;
    for (int i = 0; i < child_count; i++) {
      children.push_back(start_child([&room, kind] {
        std::uint32_t token = room->join();
        Lock lock(room->word, kind, room->participants);
        for (int round = 0; round < rounds; round++) {
          CHECK_EQ(lock.acquire(token, true), Lock::Acquired::clean);
          room->count++;
          lock.release();
        }
      }));
    }
    for (pid_t child : children) finish_child(child);
    CHECK_EQ(room->count, child_count * rounds);
  }
}

TEST(a_try_on_a_held_lock_reports_busy_and_leaves_nothing) {
  for (LockKind kind : lock_kinds()) {
    Shared<Room> room;
    std::uint32_t token = room->join();
    Lock lock(room->word, kind, room->participants);
    CHECK_EQ(lock.acquire(token, true), Lock::Acquired::clean);
    std::uint32_t held = room->word.load();
    std::thread([&room, kind, token] {
      Lock other(room->word, kind, room->participants);
      CHECK_EQ(other.acquire(token, false), Lock::Acquired::busy);
    }).join();
    CHECK_EQ(room->word.load(), held);  // also now that a thread has ended which wanted it
    lock.release();
    CHECK_EQ(room->word.load(), 0);
  }
}

TEST(who_has_waited_expects_others_to_wait) {
  for (LockKind kind : lock_kinds()) {
    Shared<Room> room;
    std::uint32_t token = room->join();
    Lock lock(room->word, kind, room->participants);
    CHECK_EQ(lock.acquire(token, true), Lock::Acquired::clean);
    std::thread waiter([&room, kind, token] {
      Lock other(room->word, kind, room->participants);
      CHECK_EQ(other.acquire(token, true), Lock::Acquired::clean);
      CHECK(room->word.load() & platform::waiters_bit);
      other.release();
    });
    CHECK(eventually([&] { return (room->word.load() & platform::waiters_bit) != 0; }));
    lock.release();
    waiter.join();
    CHECK_EQ(room->word.load(), 0);
  }
}

FORK_TEST(of_the_waiters_of_a_killed_owner_one_is_told) {
  for (LockKind kind : lock_kinds()) {
    Shared<Room> room;
    pid_t holder = start_holder(*room, kind);
    room->held.pass();
    std::vector<pid_t> waiters;
    for (std::size_t i = 0; i < most_waiters; i++) {
      waiters.push_back(start_child([&room, kind, i] {
        std::uint32_t token = room->join();
        Lock lock(room->word, kind, room->participants);
        room->acquired[i].store(static_cast<std::uint32_t>(lock.acquire(token, true)) + 1);
        room->count++;
        lock.release();
      }));
    }
    for (pid_t waiter : waiters) CHECK(eventually([waiter] { return is_asleep(waiter); }));
    CHECK(room->word.load() & platform::waiters_bit);
    kill_child(holder);
    for (pid_t waiter : waiters) finish_child(waiter);
    CHECK_EQ(room->count, most_waiters);
    std::size_t told = 0;
    for (Shared32& acquired : room->acquired) {
      if (acquired.load() == static_cast<std::uint32_t>(Lock::Acquired::after_death) + 1) told++;
    }
    CHECK_EQ(told, 1u);
  }
}

FORK_TEST(threads_waiting_for_a_killed_owner_go_on) {
  for (LockKind kind : lock_kinds()) {
    Shared<Room> room;
    pid_t holder = start_holder(*room, kind);
    room->held.pass();
    std::uint32_t token = room->join();
    std::atomic<int> told{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; i++) {
      threads.emplace_back([&] {
        Lock lock(room->word, kind, room->participants);
        if (lock.acquire(token, true) == Lock::Acquired::after_death) told++;
        lock.release();
      });
    }
    CHECK(eventually([&] { return (room->word.load() & platform::waiters_bit) != 0; }));
    kill_child(holder);
    for (std::thread& thread : threads) thread.join();
    CHECK_EQ(told.load(), 1);
  }
}

FORK_TEST(an_owner_that_dies_alone_is_noticed_by_the_next) {
  for (LockKind kind : lock_kinds()) {
    Shared<Room> room;
    for (int i = 0; i < 5; i++) {
      pid_t child = start_child([&room, kind, i] {
        Lock lock(room->word, kind, room->participants);
        CHECK_EQ(lock.acquire(room->join(), true), i == 0 ? Lock::Acquired::clean : Lock::Acquired::after_death);
      });
      finish_child(child);
    }
    Lock lock(room->word, kind, room->participants);
    std::uint32_t token = room->join();
    CHECK_EQ(lock.acquire(token, true), Lock::Acquired::after_death);
    lock.release();
    CHECK_EQ(lock.acquire(token, true), Lock::Acquired::clean);
    lock.release();
  }
}

FORK_TEST(an_owner_that_is_a_zombie_is_dead) {
  for (LockKind kind : lock_kinds()) {
    Shared<Room> room;
    pid_t child =
        start_child([&room, kind] { Lock(room->word, kind, room->participants).acquire(room->join(), true); });
    await_zombie(child);
    Lock lock(room->word, kind, room->participants);
    CHECK_EQ(lock.acquire(room->join(), true), Lock::Acquired::after_death);
    lock.release();
    finish_child(child);
  }
}

FORK_TEST(a_stopped_owner_keeps_the_lock_however_long_others_wait) {
  for (LockKind kind : lock_kinds()) {
    Shared<Room> room;
    pid_t holder = start_child([&room, kind] {
      Lock lock(room->word, kind, room->participants);
      CHECK_EQ(lock.acquire(room->join(), true), Lock::Acquired::clean);
      room->held.open();
      room->go_on.pass();
      lock.release();
    });
    room->held.pass();
    kill(holder, SIGSTOP);
    int status = 0;
    CHECK_EQ(waitpid(holder, &status, WUNTRACED), holder);
    std::uint32_t owner = room->word.load() & platform::owner_mask;

    std::uint32_t token = room->join();
    std::thread waiter([&room, kind, token] {
      room->waiter_thread.store(static_cast<std::uint32_t>(this_thread()));
      Lock lock(room->word, kind, room->participants);
      CHECK_EQ(lock.acquire(token, true), Lock::Acquired::clean);
      lock.release();
    });
    // The waiter has lost patience some times and asked about the owner.
    CHECK(eventually([&] { return sleeps_of(static_cast<pid_t>(room->waiter_thread.load())) > 3; }));
    CHECK_EQ(room->word.load() & platform::owner_mask, owner);
    room->go_on.open();
    kill(holder, SIGCONT);
    waiter.join();
    finish_child(holder);
  }
}

TEST(a_thread_that_ends_with_the_lock_is_noticed_by_the_kernel) {
  if (!lock_supported(LockKind::kernel)) return;
  Shared<Room> room;
  std::uint32_t token = room->join();
  std::thread([&room, token] { Lock(room->word, LockKind::kernel, room->participants).acquire(token, true); }).join();
  CHECK_EQ(room->word.load(), platform::owner_died_bit);
  Lock lock(room->word, LockKind::kernel, room->participants);
  CHECK_EQ(lock.acquire(token, false), Lock::Acquired::after_death);
  lock.release();
}

FORK_TEST(a_forked_child_is_an_owner_of_its_own) {
  for (LockKind kind : lock_kinds()) {
    Shared<Room> room;
    Lock lock(room->word, kind, room->participants);
    std::uint32_t token = room->join();
    CHECK_EQ(lock.acquire(token, true), Lock::Acquired::clean);
    std::uint32_t owner = room->word.load();
    pid_t child = start_child([&] {
      std::uint32_t child_token = room->join();
      CHECK(child_token != token);
      CHECK_EQ(lock.acquire(child_token, false), Lock::Acquired::busy);
      CHECK_EQ(room->word.load(), owner);
      room->held.open();
      CHECK_EQ(lock.acquire(child_token, true), Lock::Acquired::clean);
      CHECK_EQ(room->word.load() & platform::owner_mask, owner_here(kind, child_token));
      CHECK((room->word.load() & platform::owner_mask) != owner);
    });
    room->held.pass();
    lock.release();
    finish_child(child);  // it died with the lock
    CHECK_EQ(lock.acquire(token, true), Lock::Acquired::after_death);
    lock.release();
  }
}

FORK_TEST(a_child_of_a_raw_fork_is_an_owner_of_its_own) {
  for (LockKind kind : lock_kinds()) {
    Shared<Room> room;
    Lock lock(room->word, kind, room->participants);
    std::uint32_t token = room->join();
    CHECK_EQ(lock.acquire(token, true), Lock::Acquired::clean);
    std::uint32_t owner = room->word.load();
    lock.release();
    auto child = static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr));
    if (child == 0) {
      lock.acquire(room->join(), true);
      bool own = (room->word.load() & platform::owner_mask) != owner;
      _exit(own ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    finish_child(child);
    CHECK_EQ(lock.acquire(token, true), Lock::Acquired::after_death);
    lock.release();
  }
}

TEST(choosing_a_lock_by_name) {
  Fault fault;
  LockKind kind;
  CHECK_EQ(choose_lock("liveness", &kind, &fault), Status::ok);
  CHECK_EQ(kind, LockKind::liveness);
  CHECK_EQ(chosen_lock(), LockKind::liveness);
  CHECK_EQ(choose_lock("spin", &kind, &fault), Status::bad_segment);
  CHECK_EQ(chosen_lock(), LockKind::liveness);
  LockKind best = lock_supported(LockKind::kernel) ? LockKind::kernel : LockKind::liveness;
  for (const char* wish : {static_cast<const char*>(nullptr), "", "auto"}) {
    CHECK_EQ(choose_lock(wish, &kind, &fault), Status::ok);
    CHECK_EQ(kind, best);
  }
}
