// Wakes that come late or not at all, and a ring that is short: everybody goes on.
#include <thread>

#include "faults.hpp"
#include "sync/barrier.hpp"
#include "sync/condition.hpp"
#include "sync/event.hpp"
#include "sync/owned_lock.hpp"
#include "sync/semaphore.hpp"
#include "testing/channels.hpp"
#include "testing/sync.hpp"

using namespace interproc;
using namespace interproc::testing;

static_assert(faults::enabled);

namespace {

constexpr std::uint64_t us = 1;
constexpr std::uint64_t them = 2;
constexpr std::int64_t many = 1000;
const Bytes payload = pattern(50);

// `act` while another thread sleeps in `wait`, under each lock, with each kind of bad wake.
template <typename Wait, typename Act>
void while_asleep(Wait wait, Act act) {
  for (faults::Point point : {faults::Point::delayed_wake, faults::Point::dropped_wake}) {
    std::atomic<pid_t> sleeper{0};
    std::thread thread([&] {
      sleeper.store(this_thread());
      wait();
    });
    CHECK(eventually([&] { return sleeper.load() != 0 && is_asleep(sleeper.load()); }));
    faults::Rule rule(point, 1, many);
    act();
    thread.join();
    CHECK(rule.has_hit());
  }
}

}  // namespace

TEST(a_consumer_gets_what_nobody_woke_it_for) {
  for (LockKind kind : lock_kinds()) {
    Channel channel(make_segment({}, kind), 0);
    while_asleep([&] { expect(channel, payload); }, [&] { CHECK_EQ(put(channel, payload), Status::ok); });
  }
}

TEST(a_producer_gets_the_place_that_nobody_woke_it_for) {
  for (LockKind kind : lock_kinds()) {
    Channel channel(make_segment({.max_items = 1}, kind), 0);
    CHECK_EQ(put(channel, payload), Status::ok);
    while_asleep([&] { CHECK_EQ(put(channel, payload), Status::ok); }, [&] { expect(channel, payload); });
  }
}

TEST(join_returns_when_nobody_woke_it) {
  Channel channel(make_segment({}), 0);
  Fault fault;
  auto join = [&] {
    while (channel.join({far_deadline_ns()}, &fault) == Status::interrupted) {
    }
  };
  for (int round = 0; round < 2; round++) {
    CHECK_EQ(put(channel, payload), Status::ok);
    expect(channel, payload);
    std::thread thread(join);
    faults::Rule rule(faults::Point::dropped_wake, 1, many);
    CHECK_EQ(channel.task_done(&fault), Status::ok);
    thread.join();
  }
}

TEST(locks_and_permits_are_got_when_nobody_woke_for_them) {
  with_each_lock([] {
    auto lock = make<OwnedLock>();
    Fault fault;
    for (bool tracks_holders : {false, true}) {
      auto permits = make<Semaphore>(0u, 1u, tracks_holders);
      if (tracks_holders) permits = make<Semaphore>(1u, 1u, true);
      if (tracks_holders) CHECK_EQ(permits->try_acquire(&fault), Status::ok);
      auto take = [&] {
        Fault theirs;
        CHECK_EQ(insist([&](Patience* patience) { return permits->acquire(patience, &theirs); }), Status::ok);
      };
      while_asleep(take, [&] { CHECK_EQ(permits->release(1, &fault), Status::ok); });
    }
    auto take = [&] {
      Fault theirs;
      CHECK_EQ(insist([&](Patience* patience) { return lock->acquire(them, patience, &theirs); }), Status::ok);
    };
    CHECK_EQ(lock->try_acquire(us, &fault), Status::ok);
    while_asleep(take, [&] { CHECK_EQ(lock->release(), Status::ok); });
  });
}

TEST(who_waits_for_others_goes_on_when_nobody_woke_it) {
  with_each_lock([] {
    auto event = make<Event>();
    auto condition = make<Condition>();
    auto barrier = make<Barrier>(2u);
    Fault fault;
    while_asleep(
        [&] {
          std::uint32_t begun = event->begin();
          CHECK_EQ(insist([&](Patience* patience) { return event->wait(begun, patience); }), Status::ok);
          event->clear();
        },
        [&] { event->set(); });
    while_asleep(
        [&] {
          Fault theirs;
          Condition::Ticket ticket;
          CHECK_EQ(condition->enter(&ticket, &theirs), Status::ok);
          CHECK_EQ(insist([&](Patience* patience) { return condition->sleep(ticket, patience); }), Status::ok);
          CHECK(condition->leave(&ticket));
        },
        [&] {
          std::uint32_t notified = 0;
          CHECK_EQ(condition->notify(1, &notified, &fault), Status::ok);
          CHECK_EQ(notified, 1);
        });
    while_asleep(
        [&] {
          Fault theirs;
          Barrier::Arrival arrival;
          CHECK_EQ(insist([&](Patience* patience) { return barrier->arrive(&arrival, patience, &theirs); }),
                   Status::ok);
          CHECK_EQ(insist([&](Patience* patience) { return barrier->sleep(arrival, patience, &theirs); }), Status::ok);
        },
        [&] {
          Barrier::Arrival arrival;
          CHECK_EQ(insist([&](Patience* patience) { return barrier->arrive(&arrival, patience, &fault); }), Status::ok);
          CHECK(arrival.is_last);
          CHECK_EQ(barrier->release(arrival, &fault), Status::ok);
        });
  });
}

TEST(a_short_ring_is_a_full_one) {
  for (LockKind kind : lock_kinds()) {
    Channel channel(make_segment({}, kind), 0);
    Fault fault;
    for (const Bytes& each : {pattern(50), pattern(500), pattern(50'000)}) {
      faults::Rule rule(faults::Point::short_ring, 1, 3);
      Outgoing outgoing(each);
      CHECK_EQ(channel.try_put(outgoing.message, true, &fault), Status::full);
      CHECK_EQ(statistics(channel).blocks_used, 0);
      CHECK_EQ(put(channel, each), Status::ok);
      for (std::uint32_t i = 1; i < chunk_slots; i++) CHECK_EQ(put(channel, payload), Status::ok);
      expect(channel, each);
      for (std::uint32_t i = 1; i < chunk_slots; i++) expect(channel, payload);
      CHECK(rule.has_hit());
    }
  }
}
