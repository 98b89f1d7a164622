#include "condition.hpp"

#include <thread>
#include <vector>

#include "owned_lock.hpp"
#include "testing/sync.hpp"
#include "waiters.hpp"

using namespace interproc;
using namespace interproc::testing;

namespace {

std::uint32_t notify(Condition& condition, std::uint32_t count = 1) {
  Fault fault;
  std::uint32_t notified = 0;
  CHECK_EQ(condition.notify(count, &notified, &fault), Status::ok);
  return notified;
}

Condition::Ticket enter(Condition& condition) {
  Fault fault;
  Condition::Ticket ticket;
  CHECK_EQ(condition.enter(&ticket, &fault), Status::ok);
  return ticket;
}

Status sleep(Condition& condition, const Condition::Ticket& ticket, std::uint64_t deadline_ns = far_deadline_ns()) {
  return insist([&](Patience* patience) { return condition.sleep(ticket, patience); }, deadline_ns);
}

ConditionCell& cell_of(Condition& condition) { return *condition.pool()->cell<ConditionCell>(condition.index()); }

std::uint32_t nodes_in_use(const SyncPool& pool) {
  std::uint32_t count = 0;
  for (std::uint32_t i = 1; i < pool.nodes_made(); i++) count += pool.node(i).token.load() != 0 ? 1 : 0;
  return count;
}

constexpr std::uint32_t all = UINT32_MAX;

struct Meeting {
  Shared32 waiting;
  Shared32 woken;
  Shared32 order[8];
  Gate go_on;
};

// A child that waits, and then reports itself as number `woken` of those notified.
pid_t start_waiter(Condition& condition, Meeting& meeting, std::uint32_t name) {
  std::uint32_t before = meeting.waiting.load();
  pid_t child = start_child([&, name] {
    Condition::Ticket ticket = enter(condition);
    meeting.waiting++;
    CHECK_EQ(sleep(condition, ticket), Status::ok);
    CHECK(condition.leave(&ticket));
    meeting.order[meeting.woken++] = name;
  });
  CHECK(eventually([&] { return meeting.waiting.load() == before + 1 && is_asleep(child); }));
  return child;
}

}  // namespace

TEST(without_waiters_a_notification_is_lost) {
  auto condition = make<Condition>();
  CHECK(!condition->has_waiters());
  CHECK_EQ(notify(*condition), 0);
  CHECK_EQ(notify(*condition, all), 0);
  Condition::Ticket ticket = enter(*condition);
  CHECK(condition->has_waiters());
  CHECK_EQ(sleep(*condition, ticket, 0), Status::timed_out);
  CHECK_EQ(sleep(*condition, ticket, soon_ns()), Status::timed_out);
  CHECK(!condition->leave(&ticket));
  CHECK(!condition->has_waiters());
  CHECK(!condition->leave(&ticket));
  CHECK_EQ(nodes_in_use(*condition->pool()), 0);
}

TEST(waiters_are_notified_in_the_order_in_which_they_came) {
  with_each_lock([] {
    auto condition = make<Condition>();
    std::vector<Condition::Ticket> tickets;
    for (int i = 0; i < 5; i++) tickets.push_back(enter(*condition));
    auto is_notified = [&](std::size_t i) { return sleep(*condition, tickets[i], 0) == Status::ok; };
    CHECK_EQ(notify(*condition, 2), 2);
    CHECK(is_notified(0) && is_notified(1) && !is_notified(2));
    CHECK(!condition->leave(&tickets[3]));  // from the middle
    CHECK_EQ(notify(*condition), 1);
    CHECK(is_notified(2) && !is_notified(4));
    CHECK(!condition->leave(&tickets[4]));  // the last
    tickets.push_back(enter(*condition));
    tickets.push_back(enter(*condition));
    CHECK_EQ(notify(*condition, all), 2);
    CHECK(is_notified(5) && is_notified(6));
    for (std::size_t i : {0, 1, 2, 5, 6}) CHECK(condition->leave(&tickets[i]));
    CHECK(!condition->has_waiters());
    CHECK_EQ(nodes_in_use(*condition->pool()), 0);
  });
}

TEST(a_notification_that_comes_before_the_sleep_or_after_its_end_is_not_lost) {
  auto condition = make<Condition>();
  Condition::Ticket ticket = enter(*condition);
  CHECK_EQ(notify(*condition), 1);
  CHECK_EQ(sleep(*condition, ticket, 0), Status::ok);
  CHECK(condition->leave(&ticket));
  ticket = enter(*condition);
  CHECK_EQ(sleep(*condition, ticket, 0), Status::timed_out);
  CHECK_EQ(notify(*condition), 1);
  CHECK(condition->leave(&ticket));
}

TEST(hundreds_of_waiters_are_notified_at_once_and_no_later_one) {
  retire_pool();
  auto condition = make<Condition>();
  auto later = make<Condition>();
  std::vector<Condition::Ticket> tickets;
  for (int i = 0; i < 700; i++) tickets.push_back(enter(*condition));
  Condition::Ticket of_another = enter(*later);
  CHECK_EQ(notify(*condition, 100), 100);
  CHECK_EQ(notify(*condition, 5000), 600);
  for (Condition::Ticket& ticket : tickets) {
    CHECK_EQ(sleep(*condition, ticket, 0), Status::ok);
    CHECK(condition->leave(&ticket));
  }
  CHECK(!later->leave(&of_another));
  CHECK_EQ(nodes_in_use(*condition->pool()), 0);
}

TEST(threads_hand_each_other_a_turn) {
  with_each_lock([] {
    auto condition = make<Condition>();
    auto lock = make<OwnedLock>();
    int turn = 0;
    constexpr int parties = 3;
    constexpr int rounds = 500;
    std::vector<std::thread> threads;
    for (int i = 0; i < parties; i++) {
      threads.emplace_back([&, i] {
        Fault fault;
        auto thread = static_cast<std::uint64_t>(i + 1);
        auto acquire = [&](Patience* patience) { return lock->acquire(thread, patience, &fault); };
        for (int round = 0; round < rounds; round++) {
          CHECK_EQ(insist(acquire), Status::ok);
          while (turn % parties != i) {
            Condition::Ticket ticket = enter(*condition);
            std::uint32_t depth = 0;
            CHECK_EQ(lock->release_all(thread, &depth), Status::ok);
            CHECK_EQ(sleep(*condition, ticket), Status::ok);
            CHECK(condition->leave(&ticket));
            CHECK_EQ(insist(acquire), Status::ok);
          }
          turn++;
          notify(*condition, all);
          CHECK_EQ(lock->release(), Status::ok);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK_EQ(turn, parties * rounds);
    CHECK(!condition->has_waiters());
  });
}

TEST(every_notification_wakes_exactly_one) {
  auto condition = make<Condition>();
  std::atomic<int> woken{0};
  std::atomic<int> entered{0};
  constexpr int rounds = 300;
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; i++) {
    threads.emplace_back([&] {
      for (int round = 0; round < rounds; round++) {
        Condition::Ticket ticket = enter(*condition);
        entered++;
        CHECK_EQ(sleep(*condition, ticket), Status::ok);
        CHECK(condition->leave(&ticket));
        woken++;
      }
    });
  }
  int notified = 0;
  while (notified < 3 * rounds) {
    CHECK(eventually([&] { return condition->has_waiters(); }));
    notified += static_cast<int>(notify(*condition));
    CHECK(woken <= notified);
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(woken.load(), 3 * rounds);
  CHECK_EQ(entered.load(), notified);
}

TEST(one_waiter_too_many_is_refused) {
  retire_pool();
  auto condition = make<Condition>();
  SyncPool& pool = *condition->pool();
  std::uint32_t token = 0;
  std::uint32_t node = no_node;
  Fault fault;
  CHECK_EQ(pool.join(&token, &fault), Status::ok);
  for (std::uint32_t i = 1; i < sync_nodes; i++) {
    // Taken wholesale: claiming them one by one looks at each again and again.
    if (i < pool.nodes_made()) {
      pool.node(i).token.store(token);
    } else {
      CHECK_EQ(claim_waiter(pool, token, &node, &fault), Status::ok);
      CHECK(node >= i || i == 1);
    }
  }
  Condition::Ticket ticket;
  CHECK_EQ(condition->enter(&ticket, &fault), Status::too_many_waiters);
  CHECK_EQ(fault.expected, sync_nodes - 1);
  free_waiter(pool, 17, token);
  CHECK_EQ(condition->enter(&ticket, &fault), Status::ok);
  CHECK_EQ(ticket.node, 17);
  pool.leave();
  CHECK_EQ(nodes_in_use(pool), 0);
  retire_pool();
}

FORK_TEST(processes_are_woken_in_order) {
  with_each_lock([] {
    Shared<Meeting> meeting;
    auto condition = make<Condition>();
    std::vector<pid_t> children;
    for (std::uint32_t name = 1; name <= 4; name++) children.push_back(start_waiter(*condition, *meeting, name));
    for (std::uint32_t name = 1; name <= 4; name++) {
      CHECK_EQ(notify(*condition), 1);
      CHECK(eventually([&] { return meeting->woken.load() == name; }));
      CHECK_EQ(meeting->order[name - 1].load(), name);
    }
    for (pid_t child : children) finish_child(child);
  });
}

FORK_TEST(a_killed_waiter_is_passed_over) {
  with_each_lock([] {
    Shared<Meeting> meeting;
    auto condition = make<Condition>();
    std::vector<pid_t> children;
    for (std::uint32_t name = 1; name <= 4; name++) children.push_back(start_waiter(*condition, *meeting, name));
    kill_child(children[0]);
    kill_child(children[2]);
    CHECK_EQ(notify(*condition), 1);
    CHECK(eventually([&] { return meeting->woken.load() == 1; }));
    CHECK_EQ(meeting->order[0].load(), 2);
    CHECK_EQ(notify(*condition, all), 1);
    finish_child(children[1]);
    finish_child(children[3]);
    CHECK_EQ(notify(*condition), 0);
    condition->pool()->sweep_dead();
    CHECK_EQ(nodes_in_use(*condition->pool()), 0);
  });
}

FORK_TEST(the_notification_of_one_that_is_killed_before_it_leaves_goes_to_the_next) {
  with_each_lock([] {
    Shared<Meeting> meeting;
    auto condition = make<Condition>();
    pid_t doomed = start_child([&] {
      Condition::Ticket ticket = enter(*condition);
      meeting->waiting++;
      CHECK_EQ(sleep(*condition, ticket), Status::ok);
      meeting->go_on.open();
      await_death();
    });
    CHECK(eventually([&] { return meeting->waiting.load() == 1 && is_asleep(doomed); }));
    pid_t next = start_waiter(*condition, *meeting, 2);
    CHECK_EQ(notify(*condition), 1);
    meeting->go_on.pass();
    CHECK_EQ(meeting->woken.load(), 0);
    kill_child(doomed);
    finish_child(next);
    CHECK_EQ(meeting->order[0].load(), 2);
    CHECK(!condition->has_waiters());
  });
}

FORK_TEST(a_stopped_waiter_counts_as_notified_and_nobody_waits_for_it) {
  Shared<Meeting> meeting;
  auto condition = make<Condition>();
  pid_t stopped = start_waiter(*condition, *meeting, 1);
  kill(stopped, SIGSTOP);
  int status = 0;
  CHECK_EQ(waitpid(stopped, &status, WUNTRACED), stopped);
  CHECK_EQ(notify(*condition), 1);
  CHECK_EQ(notify(*condition), 0);
  kill(stopped, SIGCONT);
  finish_child(stopped);
}

FORK_TEST(a_notifier_killed_half_way_leaves_nothing_undone) {
  with_each_lock([] {
    for (bool has_taken_out : {false, true}) {
      Shared<Meeting> meeting;
      auto condition = make<Condition>();
      pid_t first = start_waiter(*condition, *meeting, 1);
      pid_t second = start_waiter(*condition, *meeting, 2);
      finish_child(start_child([&] {
        SyncPool& pool = *condition->pool();
        ConditionCell& cell = cell_of(*condition);
        std::uint32_t token = 0;
        Fault fault;
        CHECK_EQ(pool.join(&token, &fault), Status::ok);
        CHECK(pool.guard(cell.guard).acquire(token, true) == Lock::Acquired::clean);
        WaiterNode& node = pool.node(cell.head.load());
        node.word.store(static_cast<std::uint32_t>(WaiterState::notified));
        if (has_taken_out) cell.head.store(node.next.load());
        cell.tail.store(12345);
      }));
      finish_child(first);
      pid_t third = start_waiter(*condition, *meeting, 3);
      CHECK_EQ(notify(*condition), 1);
      finish_child(second);
      CHECK_EQ(notify(*condition), 1);
      finish_child(third);
      CHECK_EQ(meeting->order[2].load(), 3);
    }
  });
}

FORK_TEST(a_waiter_killed_half_way_into_the_line_leaves_nothing_undone) {
  with_each_lock([] {
    Shared<Meeting> meeting;
    auto condition = make<Condition>();
    pid_t first = start_waiter(*condition, *meeting, 1);
    finish_child(start_child([&] {
      SyncPool& pool = *condition->pool();
      ConditionCell& cell = cell_of(*condition);
      std::uint32_t token = 0;
      std::uint32_t node = no_node;
      Fault fault;
      CHECK_EQ(pool.join(&token, &fault), Status::ok);
      CHECK_EQ(claim_waiter(pool, token, &node, &fault), Status::ok);
      pool.node(node).cell.store(condition->index());
      pool.node(node).word.store(static_cast<std::uint32_t>(WaiterState::waiting));
      CHECK(pool.guard(cell.guard).acquire(token, true) == Lock::Acquired::clean);
      cell.tail.store(node);
    }));
    pid_t second = start_waiter(*condition, *meeting, 2);
    CHECK_EQ(notify(*condition, all), 2);
    finish_child(first);
    finish_child(second);
    condition->pool()->sweep_dead();
    CHECK_EQ(nodes_in_use(*condition->pool()), 0);
  });
}

FORK_TEST(a_process_that_leaves_takes_its_waiters_with_it) {
  auto condition = make<Condition>();
  finish_child(start_child([&] {
    enter(*condition);
    enter(*condition);
    SyncPool::leave_all();
  }));
  CHECK(!condition->has_waiters());
  CHECK_EQ(nodes_in_use(*condition->pool()), 0);
}

FORK_TEST(a_forked_child_cannot_leave_for_its_parent) {
  auto condition = make<Condition>();
  Condition::Ticket ticket = enter(*condition);
  finish_child(start_child([&] { CHECK(!condition->leave(&ticket)); }));
  CHECK(condition->has_waiters());
  CHECK(!condition->leave(&ticket));
  CHECK(!condition->has_waiters());
}

TEST(links_that_lead_nowhere_or_in_a_circle_end_the_line) {
  retire_pool();
  auto condition = make<Condition>();
  ConditionCell& cell = cell_of(*condition);
  Condition::Ticket ticket = enter(*condition);
  SyncPool& pool = *condition->pool();
  cell.head.store(UINT32_MAX);
  cell.tail.store(UINT32_MAX);
  CHECK_EQ(notify(*condition), 0);
  CHECK(!condition->leave(&ticket));
  ticket = enter(*condition);
  cell.head.store(ticket.node);
  pool.node(ticket.node).next.store(ticket.node);
  notify(*condition, all);
  condition->leave(&ticket);
  retire_pool();
}
