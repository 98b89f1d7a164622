#include "event.hpp"

#include <pthread.h>

#include <thread>
#include <vector>

#include "testing/sync.hpp"

using namespace interproc;
using namespace interproc::testing;

namespace {

Status wait(Event& event, std::uint64_t deadline_ns = far_deadline_ns()) {
  std::uint32_t begun = event.begin();
  return insist([&](Patience* patience) { return event.wait(begun, patience); }, deadline_ns);
}

struct Meeting {
  Shared32 begun[4];
  Shared32 woken;
};

}  // namespace

TEST(an_event_is_set_and_cleared) {
  auto event = make<Event>();
  CHECK(!event->is_set());
  CHECK_EQ(wait(*event, 0), Status::timed_out);
  CHECK_EQ(wait(*event, soon_ns()), Status::timed_out);
  event->set();
  CHECK(event->is_set());
  event->set();
  CHECK(event->is_set());
  CHECK_EQ(wait(*event, 0), Status::ok);
  event->clear();
  CHECK(!event->is_set());
  event->clear();
  CHECK_EQ(wait(*event, 0), Status::timed_out);
}

TEST(a_wait_sees_that_it_was_set_though_it_was_cleared_at_once) {
  auto event = make<Event>();
  std::uint32_t begun = event->begin();
  event->set();
  event->clear();
  CHECK(!event->is_set());
  Patience patience(0);
  CHECK_EQ(event->wait(begun, &patience), Status::ok);
  begun = event->begin();
  CHECK_EQ(event->wait(begun, &patience), Status::timed_out);
}

TEST(setting_wakes_every_waiter_even_when_cleared_at_once) {
  auto event = make<Event>();
  for (int round = 0; round < 50; round++) {
    std::atomic<int> begun{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++) {
      threads.emplace_back([&] {
        std::uint32_t at = event->begin();
        begun++;
        CHECK_EQ(insist([&](Patience* patience) { return event->wait(at, patience); }), Status::ok);
      });
    }
    CHECK(eventually([&] { return begun.load() == 4; }));
    event->set();
    event->clear();
    for (std::thread& thread : threads) thread.join();
  }
}

TEST(what_was_written_before_setting_is_seen_after_waiting) {
  auto ping = make<Event>();
  auto pong = make<Event>();
  std::uint64_t word = 0;
  constexpr std::uint64_t rounds = 2000;
  std::thread partner([&] {
    for (std::uint64_t round = 0; round < rounds; round++) {
      CHECK_EQ(wait(*ping), Status::ok);
      ping->clear();
      CHECK_EQ(word, round);
      word++;
      pong->set();
    }
  });
  for (std::uint64_t round = 0; round < rounds; round++) {
    ping->set();
    CHECK_EQ(wait(*pong), Status::ok);
    pong->clear();
    CHECK_EQ(word, round + 1);
  }
  partner.join();
}

TEST(an_event_is_set_in_a_signal_handler) {
  static Event* handled;
  auto event = make<Event>();
  handled = event.get();
  struct sigaction action{};
  action.sa_handler = [](int) { handled->set(); };
  sigaction(SIGUSR1, &action, nullptr);
  std::thread waiter([&] { CHECK_EQ(wait(*event), Status::ok); });
  pthread_kill(waiter.native_handle(), SIGUSR1);
  waiter.join();
  CHECK(event->is_set());
}

FORK_TEST(setting_wakes_all_processes_and_killed_waiters_cost_nothing) {
  Shared<Meeting> meeting;
  auto event = make<Event>();
  std::vector<pid_t> children;
  for (int i = 0; i < 4; i++) {
    children.push_back(start_child([&, i] {
      meeting->begun[i].store(1);
      CHECK_EQ(wait(*event), Status::ok);
      meeting->woken++;
    }));
    CHECK(eventually([&] { return meeting->begun[i].load() != 0 && is_asleep(children.back()); }));
  }
  kill_child(children[1]);
  event->set();
  for (int i : {0, 2, 3}) finish_child(children[static_cast<std::size_t>(i)]);
  CHECK_EQ(meeting->woken.load(), 3);
}

FORK_TEST(a_wake_that_a_killed_setter_owed_is_made_good) {
  Shared<Meeting> meeting;
  auto event = make<Event>();
  pid_t waiter = start_child([&] {
    std::uint32_t begun = event->begin();
    meeting->begun[0].store(1);
    CHECK_EQ(insist([&](Patience* patience) { return event->wait(begun, patience); }), Status::ok);
  });
  CHECK(eventually([&] { return meeting->begun[0].load() != 0 && is_asleep(waiter); }));
  // What a setter leaves that dies before it wakes anybody.
  event->pool()->cell<EventCell>(event->index())->word.store(3);
  finish_child(waiter);
}

TEST(a_pool_of_events_needs_no_participant) {
  retire_pool();
  auto event = make<Event>();
  event->set();
  CHECK_EQ(wait(*event), Status::ok);
  CHECK_EQ(participants_of(*event->pool()), 0);
}
