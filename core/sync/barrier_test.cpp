#include "barrier.hpp"

#include <thread>
#include <vector>

#include "party.hpp"
#include "testing/sync.hpp"

using namespace interproc;
using namespace interproc::testing;

namespace {

Status arrive(Barrier& barrier, Barrier::Arrival* arrival, std::uint64_t deadline_ns = far_deadline_ns()) {
  Fault fault;
  return insist([&](Patience* patience) { return barrier.arrive(arrival, patience, &fault); }, deadline_ns);
}

Status sleep(Barrier& barrier, const Barrier::Arrival& arrival, std::uint64_t deadline_ns = far_deadline_ns()) {
  Fault fault;
  return insist([&](Patience* patience) { return barrier.sleep(arrival, patience, &fault); }, deadline_ns);
}

Status release(Barrier& barrier, const Barrier::Arrival& arrival) {
  Fault fault;
  return barrier.release(arrival, &fault);
}

void abort(Barrier& barrier) {
  Fault fault;
  CHECK_EQ(barrier.abort(&fault), Status::ok);
}

void reset(Barrier& barrier) {
  Fault fault;
  CHECK_EQ(barrier.reset(&fault), Status::ok);
}

// A whole round.
Status pass(Barrier& barrier, std::uint64_t deadline_ns = far_deadline_ns()) {
  Barrier::Arrival arrival;
  Status status = arrive(barrier, &arrival, deadline_ns);
  if (status != Status::ok) return status;
  return arrival.is_last ? release(barrier, arrival) : sleep(barrier, arrival, deadline_ns);
}

struct Meeting {
  Shared32 arrived;
  Shared32 passed;
  Shared32 rounds[4];
  Gate go_on;
  Gate killed;
};

// A child in its second round of a barrier of two, after one with this process.
pid_t start_partner(Barrier& barrier, Meeting& meeting, Status expected) {
  pid_t child = start_child([&, expected] {
    CHECK_EQ(pass(barrier), Status::ok);
    meeting.go_on.pass();
    CHECK_EQ(pass(barrier), expected);
  });
  CHECK_EQ(pass(barrier), Status::ok);
  return child;
}

}  // namespace

TEST(parties_arrive_in_turn_and_the_last_lets_them_go) {
  with_each_lock([] {
    auto barrier = make<Barrier>(3u);
    CHECK_EQ(barrier->parties(), 3);
    for (int round = 0; round < 200; round++) {
      Barrier::Arrival arrivals[3];
      for (std::uint32_t i = 0; i < 3; i++) {
        CHECK_EQ(barrier->waiting(), i);
        CHECK_EQ(arrive(*barrier, &arrivals[i]), Status::ok);
        CHECK_EQ(arrivals[i].index, i);
        CHECK_EQ(arrivals[i].is_last, i == 2);
      }
      CHECK_EQ(release(*barrier, arrivals[2]), Status::ok);
      CHECK_EQ(barrier->waiting(), 0);
      for (int i : {0, 1}) CHECK_EQ(sleep(*barrier, arrivals[i]), Status::ok);
    }
    CHECK(!barrier->is_broken());
  });
}

TEST(impossible_numbers_of_parties_are_refused) {
  Fault fault;
  std::unique_ptr<Barrier> barrier;
  CHECK_EQ(Barrier::create(0, &barrier, &fault), Status::over_bound);
  CHECK_EQ(Barrier::create(UINT32_MAX, &barrier, &fault), Status::over_bound);
  CHECK(barrier == nullptr);
  auto large = make<Barrier>(100'000u);
  Barrier::Arrival arrival;
  CHECK_EQ(arrive(*large, &arrival), Status::ok);
  CHECK_EQ(large->waiting(), 1);
}

TEST(one_party_alone_passes) {
  auto barrier = make<Barrier>(1u);
  for (int round = 0; round < 10; round++) CHECK_EQ(pass(*barrier), Status::ok);
}

TEST(threads_go_round_together) {
  with_each_lock([] {
    constexpr int parties = 4;
    constexpr int rounds = 300;
    auto barrier = make<Barrier>(static_cast<std::uint32_t>(parties));
    std::atomic<int> inside{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < parties; i++) {
      threads.emplace_back([&] {
        for (int round = 0; round < rounds; round++) {
          inside++;
          CHECK_EQ(pass(*barrier), Status::ok);
          CHECK(inside.load() >= (round + 1) * parties);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK_EQ(inside.load(), parties * rounds);
  });
}

TEST(a_newcomer_waits_for_the_action_of_the_round_before) {
  auto barrier = make<Barrier>(2u);
  Barrier::Arrival first, last, newcomer;
  CHECK_EQ(arrive(*barrier, &first), Status::ok);
  CHECK_EQ(arrive(*barrier, &last), Status::ok);
  CHECK(last.is_last);
  std::atomic<bool> arrived{false};
  std::thread thread([&] {
    CHECK_EQ(arrive(*barrier, &newcomer), Status::ok);
    arrived = true;
  });
  CHECK_EQ(barrier->waiting(), 2);
  CHECK(!arrived);
  CHECK_EQ(release(*barrier, last), Status::ok);
  thread.join();
  CHECK_EQ(newcomer.index, 0);
  CHECK_EQ(sleep(*barrier, first), Status::ok);
}

TEST(an_aborted_barrier_is_broken_until_it_is_reset) {
  auto barrier = make<Barrier>(3u);
  Barrier::Arrival arrival;
  CHECK_EQ(arrive(*barrier, &arrival), Status::ok);
  abort(*barrier);
  CHECK(barrier->is_broken());
  CHECK_EQ(barrier->waiting(), 0);
  CHECK_EQ(sleep(*barrier, arrival), Status::broken);
  CHECK_EQ(pass(*barrier), Status::broken);
  reset(*barrier);
  CHECK(!barrier->is_broken());
  CHECK_EQ(sleep(*barrier, arrival), Status::broken);
  CHECK_EQ(arrive(*barrier, &arrival), Status::ok);
  CHECK_EQ(arrival.index, 0);
}

TEST(a_reset_breaks_the_round_of_those_waiting_only) {
  auto barrier = make<Barrier>(2u);
  Barrier::Arrival before, last, arrival;
  CHECK_EQ(arrive(*barrier, &before), Status::ok);
  CHECK_EQ(arrive(*barrier, &last), Status::ok);
  CHECK_EQ(release(*barrier, last), Status::ok);
  CHECK_EQ(arrive(*barrier, &arrival), Status::ok);
  reset(*barrier);
  CHECK_EQ(sleep(*barrier, arrival), Status::broken);
  CHECK_EQ(sleep(*barrier, before), Status::ok);  // who wakes late still learns what became of its round
  for (int round = 0; round < 20; round++) {
    Barrier::Arrival one, two;
    CHECK_EQ(arrive(*barrier, &one), Status::ok);
    CHECK_EQ(arrive(*barrier, &two), Status::ok);
    CHECK_EQ(release(*barrier, two), Status::ok);
  }
  CHECK_EQ(sleep(*barrier, arrival), Status::broken);
  CHECK_EQ(sleep(*barrier, before), Status::ok);
}

TEST(who_gives_up_breaks_the_barrier) {
  auto barrier = make<Barrier>(2u);
  Barrier::Arrival arrival;
  CHECK_EQ(arrive(*barrier, &arrival), Status::ok);
  CHECK_EQ(sleep(*barrier, arrival, soon_ns()), Status::timed_out);
  CHECK(barrier->is_broken());
  CHECK_EQ(pass(*barrier), Status::broken);
}

TEST(nobody_is_late_while_the_action_runs) {
  auto barrier = make<Barrier>(2u);
  Barrier::Arrival first, last;
  CHECK_EQ(arrive(*barrier, &first), Status::ok);
  CHECK_EQ(arrive(*barrier, &last), Status::ok);
  Fault fault;
  Patience over(0);
  CHECK_EQ(barrier->sleep(first, &over, &fault), Status::interrupted);
  CHECK_EQ(release(*barrier, last), Status::ok);
  CHECK_EQ(barrier->sleep(first, &over, &fault), Status::ok);
}

TEST(a_barrier_that_breaks_during_the_action_tells_the_actor) {
  auto barrier = make<Barrier>(1u);
  Barrier::Arrival arrival;
  CHECK_EQ(arrive(*barrier, &arrival), Status::ok);
  abort(*barrier);
  CHECK_EQ(release(*barrier, arrival), Status::broken);
}

TEST(who_withdraws_does_not_count_any_more) {
  auto barrier = make<Barrier>(2u);
  Barrier::Arrival gone, arrival, last;
  Fault fault;
  CHECK_EQ(arrive(*barrier, &gone), Status::ok);
  CHECK_EQ(barrier->withdraw(gone, &fault), Status::ok);
  CHECK_EQ(barrier->waiting(), 0);
  CHECK_EQ(arrive(*barrier, &arrival), Status::ok);
  CHECK_EQ(arrival.index, 0);
  CHECK_EQ(arrive(*barrier, &last), Status::ok);
  CHECK_EQ(release(*barrier, last), Status::ok);
  CHECK_EQ(barrier->withdraw(arrival, &fault), Status::ok);
  abort(*barrier);
  CHECK_EQ(barrier->withdraw(arrival, &fault), Status::ok);
}

FORK_TEST(processes_go_round_together) {
  with_each_lock([] {
    Shared<Meeting> meeting;
    constexpr std::uint32_t parties = 4;
    constexpr std::uint32_t rounds = 200;
    auto barrier = make<Barrier>(parties);
    std::vector<pid_t> children;
    for (std::uint32_t i = 0; i < parties; i++) {
      children.push_back(start_child([&] {
        for (std::uint32_t round = 0; round < rounds; round++) {
          meeting->arrived++;
          CHECK_EQ(pass(*barrier), Status::ok);
          CHECK(meeting->arrived.load() >= (round + 1) * parties);
        }
      }));
    }
    for (pid_t child : children) finish_child(child);
    CHECK_EQ(meeting->arrived.load(), parties * rounds);
  });
}

FORK_TEST(a_killed_party_that_waits_breaks_the_barrier) {
  with_each_lock([] {
    Shared<Meeting> meeting;
    auto barrier = make<Barrier>(3u);
    pid_t doomed = start_child([&] {
      Barrier::Arrival arrival;
      CHECK_EQ(arrive(*barrier, &arrival), Status::ok);
      meeting->go_on.open();
      await_death();
    });
    meeting->go_on.pass();
    pid_t other = start_child([&] {
      meeting->arrived++;
      CHECK_EQ(pass(*barrier), Status::broken);
    });
    CHECK(eventually([&] { return barrier->waiting() == 2 && is_asleep(other); }));
    kill_child(doomed);
    finish_child(other);
    CHECK(barrier->is_broken());
    reset(*barrier);
    CHECK_EQ(barrier->waiting(), 0);
  });
}

FORK_TEST(a_party_killed_in_its_action_breaks_the_barrier) {
  Shared<Meeting> meeting;
  auto barrier = make<Barrier>(2u);
  pid_t waiter = start_child([&] { CHECK_EQ(pass(*barrier), Status::broken); });
  CHECK(eventually([&] { return barrier->waiting() == 1; }));
  finish_child(start_child([&] {
    Barrier::Arrival arrival;
    CHECK_EQ(arrive(*barrier, &arrival), Status::ok);
    CHECK(arrival.is_last);
  }));
  finish_child(waiter);
}

FORK_TEST(a_party_killed_between_rounds_breaks_the_next_for_those_it_was_with) {
  with_each_lock([] {
    for (bool is_swept_before : {false, true}) {
      Shared<Meeting> meeting;
      auto barrier = make<Barrier>(2u);
      pid_t partner = start_partner(*barrier, *meeting, Status::broken);
      kill_child(partner);
      if (is_swept_before) barrier->pool()->sweep_dead();
      CHECK(!barrier->is_broken());
      CHECK_EQ(pass(*barrier), Status::broken);
      reset(*barrier);
      pid_t successor = start_child([&] { CHECK_EQ(pass(*barrier), Status::ok); });
      CHECK_EQ(pass(*barrier), Status::ok);
      finish_child(successor);
    }
  });
}

FORK_TEST(killed_parties_that_are_replaced_break_nothing) {
  Shared<Meeting> meeting;
  auto barrier = make<Barrier>(2u);
  pid_t old[2];
  for (pid_t& child : old) {
    child = start_child([&] {
      CHECK_EQ(pass(*barrier), Status::ok);
      meeting->passed++;
      await_death();
    });
  }
  CHECK(eventually([&] { return meeting->passed.load() == 2; }));
  for (pid_t child : old) kill_child(child);
  pid_t first = start_child([&] { CHECK_EQ(pass(*barrier), Status::ok); });
  CHECK(eventually([&] { return barrier->waiting() == 1 && is_asleep(first); }));
  barrier->pool()->sweep_dead();
  CHECK(!barrier->is_broken());
  CHECK_EQ(pass(*barrier), Status::ok);
  finish_child(first);
}

FORK_TEST(a_party_that_ends_in_an_orderly_way_between_rounds_breaks_nothing) {
  Shared<Meeting> meeting;
  auto barrier = make<Barrier>(2u);
  pid_t partner = start_child([&] {
    CHECK_EQ(pass(*barrier), Status::ok);
    SyncPool::leave_all();
  });
  CHECK_EQ(pass(*barrier), Status::ok);
  finish_child(partner);
  Barrier::Arrival arrival;
  CHECK_EQ(arrive(*barrier, &arrival), Status::ok);
  barrier->pool()->sweep_dead();
  CHECK(!barrier->is_broken());
  pid_t successor = start_child([&] { CHECK_EQ(pass(*barrier), Status::ok); });
  CHECK_EQ(sleep(*barrier, arrival), Status::ok);
  finish_child(successor);
}

FORK_TEST(a_death_under_the_guard_wakes_those_that_sleep) {
  with_each_lock([] {
    auto barrier = make<Barrier>(2u);
    pid_t waiter = start_child([&] { CHECK_EQ(pass(*barrier), Status::ok); });
    CHECK(eventually([&] { return barrier->waiting() == 1 && is_asleep(waiter); }));
    finish_child(start_child([&] {
      SyncPool& pool = *barrier->pool();
      auto& cell = *pool.cell<BarrierCell>(barrier->index());
      std::uint32_t token = 0;
      Fault fault;
      CHECK_EQ(pool.join(&token, &fault), Status::ok);
      CHECK(pool.guard(cell.guard).acquire(token, true) == Lock::Acquired::clean);
      cell.word.store(pack_round({1, RoundState::filling}));  // committed, and nobody woken
    }));
    Barrier::Arrival arrival;
    CHECK_EQ(arrive(*barrier, &arrival), Status::ok);
    CHECK_EQ(arrival.round, 1);
    finish_child(waiter);
  });
}

FORK_TEST(many_processes_one_after_the_other_find_a_place_at_a_small_barrier) {
  auto barrier = make<Barrier>(1u);
  for (int i = 0; i < 20; i++) {
    finish_child(start_child([&] {
      CHECK_EQ(pass(*barrier), Status::ok);
      if (failed_checks() == 0) SyncPool::leave_all();
    }));
  }
  CHECK_EQ(pass(*barrier), Status::ok);
}
