#include "allocator.hpp"

#include <sys/resource.h>

#include <set>
#include <thread>
#include <vector>

#include "barrier.hpp"
#include "event.hpp"
#include "owned_lock.hpp"
#include "semaphore.hpp"
#include "testing/sync.hpp"

using namespace interproc;
using namespace interproc::testing;

TEST(objects_lie_in_one_pool_each_in_cells_of_its_own) {
  retire_pool();
  std::vector<std::unique_ptr<OwnedLock>> locks;
  std::set<std::uint32_t> places;
  auto barrier = make<Barrier>(10u);
  for (int i = 0; i < 200; i++) {
    locks.push_back(make<OwnedLock>());
    CHECK(locks.back()->pool() == barrier->pool());
    places.insert(locks.back()->index());
  }
  CHECK_EQ(places.size(), 200);
  auto after = make<Event>();
  CHECK_EQ(after->index(), 200 + 1 + (20 + entries_per_cell - 1) / entries_per_cell);
}

TEST(cells_come_back_for_an_object_of_the_same_kind_and_size) {
  retire_pool();
  std::uint32_t lock_at = make<OwnedLock>()->index();
  std::uint32_t small_at = make<Semaphore>(3u, 3u, true)->index();
  std::uint32_t large_at = make<Semaphore>(30u, 30u, true)->index();
  CHECK(make<Event>()->index() > large_at);
  CHECK_EQ(make<Semaphore>(30u, 30u, true)->index(), large_at);
  CHECK_EQ(make<Semaphore>(2u, 4u, true)->index(), small_at);
  auto lock = make<OwnedLock>();
  CHECK_EQ(lock->index(), lock_at);
  CHECK(make<OwnedLock>()->index() != lock_at);
}

TEST(an_object_on_used_cells_is_like_new) {
  retire_pool();
  Fault fault;
  for (int round = 0; round < 3; round++) {
    auto lock = make<OwnedLock>();
    CHECK(!lock->is_locked());
    CHECK_EQ(lock->try_acquire(1, &fault), Status::ok);
    auto event = make<Event>();
    CHECK(!event->is_set());
    event->set();
    auto semaphore = make<Semaphore>(2u, 3u, true);
    CHECK_EQ(semaphore->value(), 2);
    CHECK_EQ(semaphore->try_acquire(&fault), Status::ok);
    auto barrier = make<Barrier>(2u);
    CHECK(!barrier->is_broken());
    CHECK_EQ(barrier->abort(&fault), Status::ok);
  }
}

TEST(cells_of_an_exported_object_are_not_used_again) {
  retire_pool();
  std::uint32_t exported_at = 0;
  {
    auto lock = make<OwnedLock>();
    exported_at = lock->index();
    lock->mark_exported();
  }
  CHECK(make<OwnedLock>()->index() != exported_at);
}

FORK_TEST(cells_made_before_a_fork_are_not_used_again) {
  retire_pool();
  std::uint32_t before_at = 0;
  {
    auto lock = make<OwnedLock>();
    before_at = lock->index();
    finish_child(start_child([&] {
      CHECK(!lock->is_locked());
      lock.reset();
      CHECK_EQ(make<OwnedLock>()->index(), 0);
    }));
  }
  std::uint32_t after_at = make<OwnedLock>()->index();
  CHECK(after_at != before_at);
  CHECK_EQ(make<OwnedLock>()->index(), after_at);
}

TEST(a_full_pool_is_followed_by_another_and_goes_with_its_last_object) {
  retire_pool();
  std::vector<std::unique_ptr<Event>> events;
  while (events.size() < 2 * sync_cells) events.push_back(make<Event>());
  std::weak_ptr<SyncPool> first = events.front()->pool();
  CHECK(events.back()->pool() != events.front()->pool());
  // What comes back in the older pool is used too.
  std::uint32_t index = events[77]->index();
  events[77].reset();
  events[77] = make<Event>();
  CHECK_EQ(events[77]->index(), index);
  CHECK(events[77]->pool() == first.lock());
  events.erase(events.begin(), events.begin() + sync_cells);
  CHECK(first.expired());
}

TEST(threads_make_objects_at_the_same_time) {
  retire_pool();
  std::vector<std::thread> threads;
  std::vector<std::unique_ptr<Event>> kept[4];
  for (auto& mine : kept) {
    threads.emplace_back([&mine] {
      for (int i = 0; i < 500; i++) {
        make<Event>();
        mine.push_back(make<Event>());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<std::uint32_t> places;
  for (auto& mine : kept) {
    for (auto& event : mine) places.insert(event->index());
  }
  CHECK_EQ(places.size(), 2000);
}

FORK_TEST(too_little_room_for_a_pool_is_a_fault_that_leaves_nothing) {
  finish_child(start_child([] {
    signal(SIGXFSZ, SIG_IGN);
    rlimit limit{1 << 16, RLIM_INFINITY};
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    std::unique_ptr<OwnedLock> lock;
    Fault fault;
    CHECK_EQ(OwnedLock::create(&lock, &fault), Status::out_of_memory);
    CHECK(lock == nullptr);
    limit.rlim_cur = RLIM_INFINITY;
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    CHECK_EQ(OwnedLock::create(&lock, &fault), Status::ok);
  }));
}

FORK_TEST(a_fork_while_threads_make_objects_leaves_the_child_able_to) {
  std::atomic<bool> stop{false};
  std::thread busy([&] {
    while (!stop) make<Event>();
  });
  for (int i = 0; i < 30; i++) {
    finish_child(start_child([] { CHECK(!make<Event>()->is_set()); }));
  }
  stop = true;
  busy.join();
}
