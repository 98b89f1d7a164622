// Processes that use everything at once and are killed wherever they happen to be: inside system calls too, and while
// others contend. What the kill sweep (core/sweep) does instruction by instruction for one at a time.
#include <random>
#include <vector>

#include "barrier.hpp"
#include "condition.hpp"
#include "event.hpp"
#include "owned_lock.hpp"
#include "semaphore.hpp"
#include "testing/sync.hpp"

using namespace interproc;
using namespace interproc::testing;

namespace {

constexpr std::uint64_t me = 1;
constexpr std::uint32_t permits = 2;
constexpr std::uint32_t workers = 4;
constexpr int kills = 120;

struct Yard {
  Shared32 stop;
  Shared32 done[6];  // operations of each kind
  // Only touched by who has the lock; equal whenever it is free and nobody died with it.
  std::uint64_t left;
  std::uint64_t right;
};

class Worker {
 public:
  Worker(Yard& yard, std::uint32_t seed) : yard_(yard), random_(seed) {}

  OwnedLock* lock = nullptr;
  Semaphore* semaphore = nullptr;
  Condition* condition = nullptr;
  Event* event = nullptr;
  Barrier* barrier = nullptr;

  void run() {
    while (yard_.stop.load() == 0) {
      auto kind = static_cast<std::uint32_t>(random_() % 6);
      act(kind);
      yard_.done[kind]++;
    }
    SyncPool::leave_all();
  }

 private:
  std::uint64_t shortly() { return platform::monotonic_ns() + random_() % 3'000'000; }

  void act(std::uint32_t kind) {
    Fault fault;
    switch (kind) {
      case 0:
        return count();
      case 1: {
        auto acquire = [&](Patience* patience) { return semaphore->acquire(patience, &fault); };
        CHECK_EQ(insist(acquire), Status::ok);
        CHECK(semaphore->value() < permits);
        CHECK_EQ(semaphore->release(1, &fault), Status::ok);
        return;
      }
      case 2: {
        Condition::Ticket ticket;
        CHECK_EQ(condition->enter(&ticket, &fault), Status::ok);
        Status status = insist([&](Patience* patience) { return condition->sleep(ticket, patience); }, shortly());
        bool notified = condition->leave(&ticket);
        CHECK(notified || status == Status::timed_out);
        return;
      }
      case 3: {
        std::uint32_t notified = 0;
        CHECK_EQ(condition->notify(random_() % 2 == 0 ? 1 : UINT32_MAX, &notified, &fault), Status::ok);
        return;
      }
      case 4: {
        std::uint32_t begun = event->begin();
        insist([&](Patience* patience) { return event->wait(begun, patience); }, shortly());
        random_() % 2 == 0 ? event->set() : event->clear();
        return;
      }
      default:
        return meet();
    }
  }

  void count() {
    Fault fault;
    CHECK_EQ(insist([&](Patience* patience) { return lock->acquire_recursive(me, patience, &fault); }), Status::ok);
    if (lock->abandoned_pid() != 0) yard_.right = yard_.left;
    CHECK_EQ(yard_.left, yard_.right);
    yard_.left++;
    CHECK_EQ(lock->try_acquire_recursive(me, &fault), Status::ok);
    yard_.right++;
    CHECK_EQ(lock->release_recursive(me), Status::ok);
    CHECK_EQ(lock->release_recursive(me), Status::ok);
  }

  void meet() {
    Fault fault;
    Barrier::Arrival arrival;
    Status status = insist([&](Patience* patience) { return barrier->arrive(&arrival, patience, &fault); });
    if (status == Status::ok && arrival.is_last) {
      status = barrier->release(arrival, &fault);
    } else if (status == Status::ok) {
      status = insist([&](Patience* patience) { return barrier->sleep(arrival, patience, &fault); }, shortly());
    }
    if (status != Status::ok) CHECK_EQ(barrier->reset(&fault), Status::ok);
  }

  Yard& yard_;
  std::mt19937 random_;
};

}  // namespace

FORK_TEST(whoever_is_killed_the_others_go_on) {
  std::uint32_t seed = 20251128;
  with_each_lock([&] {
    Shared<Yard> yard;
    auto lock = make<OwnedLock>();
    auto semaphore = make<Semaphore>(permits, permits, true);
    auto condition = make<Condition>();
    auto event = make<Event>();
    auto barrier = make<Barrier>(2u);
    std::mt19937 random(seed);
    auto start = [&] {
      auto worker_seed = static_cast<std::uint32_t>(random());
      return start_child([&, worker_seed] {
        Worker worker(*yard, worker_seed);
        worker.lock = lock.get();
        worker.semaphore = semaphore.get();
        worker.condition = condition.get();
        worker.event = event.get();
        worker.barrier = barrier.get();
        worker.run();
      });
    };
    std::vector<pid_t> children;
    for (std::uint32_t i = 0; i < workers; i++) children.push_back(start());
    for (int i = 0; i < kills; i++) {
      poll(nullptr, 0, static_cast<int>(random() % 8));
      pid_t& child = children[random() % workers];
      kill_child(child);
      child = start();
    }
    // Each kind of operation still goes on.
    for (Shared32& done : yard->done) {
      std::uint32_t before = done.load();
      CHECK(eventually([&] { return done.load() > before + 3; }));
    }
    yard->stop.store(1);
    for (pid_t child : children) finish_child(child);

    SyncPool& pool = *lock->pool();
    pool.sweep_dead();
    CHECK_EQ(participants_of(pool), pool.joined() != 0 ? 1 : 0);
    CHECK_EQ(semaphore->value(), permits);
    CHECK(!lock->is_locked());
    CHECK(!condition->has_waiters());
    for (std::uint32_t i = 1; i < pool.nodes_made(); i++) CHECK_EQ(pool.node(i).token.load(), 0);
    for (std::uint32_t done : {0, 1, 2, 3, 4, 5}) CHECK(yard->done[done].load() > 0);
  });
}
