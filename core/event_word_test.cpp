#include "event_word.hpp"

#include <thread>
#include <vector>

#include "testing/processes.hpp"

using namespace interproc;
using namespace interproc::testing;

namespace {

using Outcome = EventWord::Outcome;

// The lock is the tests' own order of steps where one thread acts, and this word where several do.
struct Room {
  EventWords words;
  Shared32 lock;
  Shared32 thread;

  EventWord event() { return EventWord(words); }
  template <typename Body>
  auto locked(Body body) {
    while (lock.exchange(1, std::memory_order_acquire) != 0) platform::pause();
    auto result = body(EventWord(words));
    lock.store(0, std::memory_order_release);
    return result;
  }
};

constexpr std::uint64_t for_ever = UINT64_MAX;

// Sleeps until taken off, as the channel does.
void sleep_until_claimed(Room& room) {
  room.thread.store(static_cast<std::uint32_t>(this_thread()));
  for (;;) {
    EventWord::Registration mine = room.locked([](EventWord event) { return event.enter(); });
    Outcome outcome = room.event().sleep(mine, for_ever);
    if (outcome == Outcome::woken || room.event().generation() != mine.generation) return;
    bool untouched = room.locked([&](EventWord event) { return event.leave(mine); });
    if (!untouched) return;
  }
}

bool someone_sleeps(Room& room) { return room.thread.load() != 0 && is_asleep(static_cast<pid_t>(room.thread.load())); }

}  // namespace

TEST(registrations_are_counted) {
  Room room{};
  CHECK(!room.event().has_waiters());
  EventWord::Registration first = room.event().enter();
  EventWord::Registration second = room.event().enter();
  CHECK_EQ(first.before_me, 0);
  CHECK_EQ(second.before_me, 1);
  CHECK(room.event().leave(first));
  CHECK(room.event().has_waiters());
  CHECK(room.event().leave(second));
  CHECK(!room.event().has_waiters());
}

TEST(a_claim_takes_off_at_most_those_who_are_there) {
  Room room{};
  CHECK_EQ(room.event().claim(5), 0);
  for (int i = 0; i < 3; i++) room.event().enter();
  CHECK_EQ(room.event().claim(0), 0);
  CHECK_EQ(room.event().claim(2), 2);
  CHECK_EQ(room.event().claim(2), 1);
  CHECK(!room.event().has_waiters());
  CHECK(room.event().wake(0));
}

TEST(a_claim_between_registering_and_sleeping_is_not_lost) {
  Room room{};
  EventWord::Registration mine = room.event().enter();
  CHECK_EQ(room.event().claim(1), 1);
  CHECK_EQ(room.event().sleep(mine, for_ever), Outcome::moved);
  CHECK(!room.event().leave(mine));
  CHECK(!room.event().wake(1));  // nobody sleeps: the waker is told
}

TEST(a_sleep_ends_at_its_deadline_and_takes_itself_off) {
  Room room{};
  EventWord::Registration mine = room.event().enter();
  CHECK_EQ(room.event().sleep(mine, platform::monotonic_ns()), Outcome::timed_out);
  CHECK(room.event().leave(mine));
  CHECK(!room.event().has_waiters());
}

TEST(a_sleep_without_deadline_ends_at_the_watchdog) {
  Room room{};
  EventWord::Registration mine = room.event().enter();
  CHECK_EQ(room.event().sleep(mine, for_ever), Outcome::interrupted);
  CHECK(room.event().leave(mine));
}

TEST(a_claim_during_a_timed_out_sleep_is_seen_when_leaving) {
  Room room{};
  EventWord::Registration mine = room.event().enter();
  room.event().enter();  // another sleeper
  CHECK_EQ(room.event().sleep(mine, platform::monotonic_ns()), Outcome::timed_out);
  CHECK_EQ(room.event().claim(1), 1);
  CHECK(!room.event().leave(mine));    // the wake may have been meant for this one
  CHECK_EQ(room.event().claim(1), 1);  // and is passed on to the other
}

TEST(a_restart_forgets_everybody) {
  Room room{};
  EventWord::Registration mine = room.event().enter();
  std::uint32_t generation = room.event().generation();
  room.event().restart();
  CHECK_EQ(room.event().generation(), generation + 1);
  CHECK(!room.event().has_waiters());
  CHECK_EQ(room.event().sleep(mine, for_ever), Outcome::moved);
  CHECK(!room.event().leave(mine));
  room.event().enter();
  CHECK(!room.event().leave(mine));  // an old registration takes nobody else off
  CHECK(room.event().has_waiters());
}

TEST(a_sleeping_thread_is_woken) {
  Room room{};
  std::thread sleeper([&] { sleep_until_claimed(room); });
  CHECK(eventually([&] { return someone_sleeps(room); }));
  std::uint32_t claimed = room.locked([](EventWord event) { return event.claim(1); });
  room.event().wake(claimed);
  sleeper.join();
}

TEST(as_many_wakes_as_sleepers_wake_all_of_them) {
  Room room{};
  constexpr int sleeper_count = 4;
  std::atomic<int> woken{0};
  std::vector<std::thread> sleepers;
  for (int i = 0; i < sleeper_count; i++) {
    sleepers.emplace_back([&] {
      sleep_until_claimed(room);
      woken++;
    });
  }
  CHECK(eventually([&] {
    std::uint32_t claimed = room.locked([](EventWord event) { return event.claim(1); });
    if (!room.event().wake(claimed)) {
      room.locked([](EventWord event) {
        event.restart();
        return true;
      });
      room.event().wake_all();
    }
    return woken.load() == sleeper_count;
  }));
  for (std::thread& sleeper : sleepers) sleeper.join();
}

TEST(a_restart_wakes_all_sleepers) {
  Room room{};
  std::vector<std::thread> sleepers;
  std::atomic<int> entered{0};
  std::atomic<int> left{0};
  for (int i = 0; i < 4; i++) {
    sleepers.emplace_back([&] {
      EventWord::Registration mine = room.locked([](EventWord event) { return event.enter(); });
      entered++;
      while (room.event().generation() == mine.generation) room.event().sleep(mine, for_ever);
      left++;
    });
  }
  CHECK(eventually([&] { return entered.load() == 4; }));
  room.locked([](EventWord event) {
    event.restart();
    return true;
  });
  room.event().wake_all();
  for (std::thread& sleeper : sleepers) sleeper.join();
  CHECK_EQ(left.load(), 4);
}

FORK_TEST(a_process_is_woken) {
  Shared<Room> room;
  pid_t child = start_child([&] { sleep_until_claimed(*room); });
  CHECK(eventually([&] { return someone_sleeps(*room); }));
  std::uint32_t claimed = room->locked([](EventWord event) { return event.claim(1); });
  room->event().wake(claimed);
  finish_child(child);
}

FORK_TEST(a_killed_sleeper_stays_counted_until_a_waker_finds_nobody) {
  Shared<Room> room;
  pid_t child = start_child([&] { sleep_until_claimed(*room); });
  CHECK(eventually([&] { return someone_sleeps(*room); }));
  kill_child(child);
  CHECK(room->event().has_waiters());
  std::uint32_t claimed = room->event().claim(1);
  CHECK_EQ(claimed, 1);
  CHECK(!room->event().wake(claimed));
  room->event().restart();
  CHECK(!room->event().has_waiters());
}

FORK_TEST(a_killed_sleeper_does_not_swallow_the_wake_of_another) {
  Shared<Room> room;
  pid_t doomed = start_child([&] { sleep_until_claimed(*room); });
  CHECK(eventually([&] { return someone_sleeps(*room); }));
  kill_child(doomed);
  room->thread.store(0);
  pid_t child = start_child([&] { sleep_until_claimed(*room); });
  CHECK(eventually([&] { return someone_sleeps(*room); }));
  std::uint32_t claimed = room->locked([](EventWord event) { return event.claim(1); });
  CHECK_EQ(claimed, 1);
  room->event().wake(claimed);
  finish_child(child);
}
