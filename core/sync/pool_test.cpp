#include "pool.hpp"

#include <fcntl.h>

#include <random>
#include <vector>

#include "barrier.hpp"
#include "condition.hpp"
#include "event.hpp"
#include "heap.hpp"
#include "owned_lock.hpp"
#include "semaphore.hpp"
#include "testing/channels.hpp"
#include "testing/sync.hpp"

using namespace interproc;
using namespace interproc::testing;

namespace {

std::shared_ptr<Segment> map_again(const Segment& segment) {
  Fault fault;
  std::shared_ptr<Segment> again;
  int fd = fcntl(segment.fd(), F_DUPFD_CLOEXEC, 0);
  CHECK_EQ(Segment::attach(fd, segment.header().uuid, &again, &fault), Status::ok);
  return again;
}

template <typename Object>
void expect_refusal(const std::shared_ptr<SyncPool>& pool, std::uint32_t index, const char* doing) {
  Fault fault;
  std::unique_ptr<Object> object;
  CHECK_EQ(Object::attach(pool, index, &object, &fault), Status::bad_segment);
  CHECK(object == nullptr);
  CHECK_EQ(std::string(fault.doing), std::string(doing));
}

Status acquire(OwnedLock& lock, std::uint64_t deadline_ns = far_deadline_ns()) {
  Fault fault;
  return insist([&](Patience* patience) { return lock.acquire(1, patience, &fault); }, deadline_ns);
}

}  // namespace

TEST(a_process_has_one_pool_for_a_segment) {
  retire_pool();
  auto event = make<Event>();
  std::shared_ptr<SyncPool> pool = event->pool();
  std::shared_ptr<SyncPool> again;
  Fault fault;
  CHECK_EQ(SyncPool::attach(map_again(*pool->segment()), &again, &fault), Status::ok);
  CHECK(again == pool);
  event.reset();
  again.reset();
  std::shared_ptr<Segment> kept = map_again(*pool->segment());
  retire_pool();
  pool.reset();
  CHECK_EQ(SyncPool::attach(kept, &again, &fault), Status::ok);
  CHECK(again->segment() == kept);
}

TEST(objects_are_found_again_through_another_mapping) {
  retire_pool();
  auto lock = make<OwnedLock>();
  auto semaphore = make<Semaphore>(2u, 3u, true);
  auto barrier = make<Barrier>(5u);
  CHECK_EQ(acquire(*lock), Status::ok);
  CHECK(attach(*lock)->is_mine(1));
  CHECK_EQ(attach(*semaphore)->value(), 2);
  CHECK(attach(*semaphore)->tracks_holders());
  CHECK_EQ(attach(*barrier)->parties(), 5);
}

TEST(a_segment_of_another_kind_is_no_pool) {
  auto block = make<HeapBlock>(std::uint64_t{64});
  for (const std::shared_ptr<Segment>& segment : {block->segment(), make_segment()}) {
    std::shared_ptr<SyncPool> pool;
    Fault fault;
    CHECK_EQ(SyncPool::attach(segment, &pool, &fault), Status::bad_segment);
    CHECK_EQ(std::string(fault.doing), "kind of the segment");
    CHECK(pool == nullptr);
  }
  auto event = make<Event>();
  Fault fault;
  CHECK_EQ(Channel(event->segment(), 0).check(&fault), Status::bad_segment);
  CHECK_EQ(Channel(block->segment(), 0).check(&fault), Status::bad_segment);
}

TEST(a_segment_of_the_wrong_size_is_no_pool) {
  std::shared_ptr<Segment> segment;
  Fault fault;
  CHECK_EQ(Segment::create_plain(SegmentKind::sync, 2 * page_bytes, page_bytes, &segment, &fault), Status::ok);
  std::shared_ptr<SyncPool> pool;
  CHECK_EQ(SyncPool::attach(segment, &pool, &fault), Status::bad_segment);
  CHECK_EQ(std::string(fault.doing), "size of the segment");
}

TEST(a_header_of_no_kind_is_refused) {
  for (std::uint32_t kind : {0u, 4u, UINT32_MAX}) {
    std::shared_ptr<Segment> segment;
    std::shared_ptr<Segment> attached;
    Fault fault;
    CHECK_EQ(Segment::create_plain(static_cast<SegmentKind>(kind), 2 * page_bytes, page_bytes, &segment, &fault),
             Status::ok);
    CHECK_EQ(Segment::attach(segment->fd(), nullptr, &attached, &fault), Status::bad_segment);
    CHECK_EQ(std::string(fault.doing), "kind of the segment");
    CHECK_EQ(fault.found, kind);
  }
}

TEST(handles_that_name_no_such_object_are_refused) {
  retire_pool();
  auto lock = make<OwnedLock>();
  auto semaphore = make<Semaphore>(1u, 1u, true);
  std::shared_ptr<SyncPool> pool = lock->pool();
  for (std::uint32_t index : {lock->index() + 100, sync_cells, UINT32_MAX}) {
    expect_refusal<OwnedLock>(pool, index, "place of a synchronisation object");
    expect_refusal<Barrier>(pool, index, "place of a synchronisation object");
  }
  expect_refusal<Event>(pool, lock->index(), "kind of a synchronisation object");
  expect_refusal<Semaphore>(pool, lock->index(), "kind of a synchronisation object");
  expect_refusal<OwnedLock>(pool, semaphore->index() + 1, "kind of a synchronisation object");
}

TEST(damaged_cells_are_refused_and_survive_the_sweep) {
  retire_pool();
  auto semaphore = make<Semaphore>(1u, 3u, true);
  auto barrier = make<Barrier>(3u);
  std::shared_ptr<SyncPool> pool = semaphore->pool();
  auto& permits = *pool->cell<SemaphoreCell>(semaphore->index());
  auto& parties = *pool->cell<BarrierCell>(barrier->index());
  for (std::uint32_t count : {0u, 2u, max_participants + 1, UINT32_MAX}) {
    permits.entry_count = count;
    parties.entry_count = count;
    expect_refusal<Semaphore>(pool, semaphore->index(), "number of a semaphore's holders");
    expect_refusal<Barrier>(pool, barrier->index(), "number of a barrier's entries");
    return_permits(*pool, semaphore->index(), 0, 12345);
    lose_party(*pool, barrier->index(), 0, 12345);
  }
  permits.maximum = UINT32_MAX;
  parties.parties = 0;
  expect_refusal<Semaphore>(pool, semaphore->index(), "maximum of a semaphore");
  expect_refusal<Barrier>(pool, barrier->index(), "parties of a barrier");
  pool->control().cells_made.store(UINT32_MAX);
  CHECK_EQ(pool->cells_made(), sync_cells);
  pool->control().nodes_made.store(UINT32_MAX);
  CHECK_EQ(pool->nodes_made(), sync_nodes);
  retire_pool();
}

// Whatever lies in the pool: every call returns, and touches nothing outside.
TEST(arbitrary_bytes_in_a_pool_harm_nobody) {
  Fault fault;
  LockKind kind;
  CHECK_EQ(choose_lock("liveness", &kind, &fault), Status::ok);
  std::uint32_t seed = 20251128;
  std::mt19937 random(seed);
  for (int round = 0; round < 50; round++) {
    retire_pool();
    auto lock = make<OwnedLock>();
    auto semaphore = make<Semaphore>(2u, 40u, true);
    auto condition = make<Condition>();
    auto event = make<Event>();
    auto barrier = make<Barrier>(30u);
    SyncPool& pool = *lock->pool();
    Condition::Ticket ticket;
    CHECK_EQ(condition->enter(&ticket, &fault), Status::ok);
    for (int i = 0; i < 400; i++) {
      std::uint64_t at = random() % 2 == 0 ? sync_nodes_at + random() % 256 * sizeof(WaiterNode)
                                           : sync_cells_at + random() % pool.cells_made() * sizeof(Cell);
      auto* words = reinterpret_cast<Shared32*>(pool.segment()->base() + at);
      // Small numbers name nodes, cells and states; kinds stay, or there is little to come to.
      words[1 + random() % 3].store(static_cast<std::uint32_t>(random() % 3 == 0 ? random() : random() % 300));
    }
    Patience over(0);
    std::uint32_t notified = 0;
    Barrier::Arrival arrival;
    CHECK(lock->try_acquire(1, &fault) == Status::ok || acquire(*lock, 0) == Status::timed_out);
    lock->release();
    semaphore->try_acquire(&fault);
    semaphore->release(1, &fault);
    condition->notify(round % 2 == 0 ? 1 : UINT32_MAX, &notified, &fault);
    condition->sleep(ticket, &over);
    condition->leave(&ticket);
    event->set();
    CHECK(event->is_set());
    barrier->arrive(&arrival, &over, &fault);
    barrier->sleep(arrival, &over, &fault);
    barrier->reset(&fault);
    lose_party(pool, barrier->index(), pool.joined(), 77);
    return_permits(pool, semaphore->index(), pool.joined(), 77);
    pool.sweep_dead();
  }
  retire_pool();
}

TEST(a_process_joins_with_its_first_operation_and_leaves_with_its_last_object) {
  retire_pool();
  auto lock = make<OwnedLock>();
  std::shared_ptr<Segment> segment = lock->segment();
  auto* table = reinterpret_cast<Participant*>(segment->base() + sync_participants_at);
  CHECK(!lock->is_locked());
  CHECK(!lock->is_mine(1));
  CHECK_EQ(participants_of(*lock->pool()), 0);
  CHECK_EQ(acquire(*lock), Status::ok);
  CHECK_EQ(participants_of(*lock->pool()), 1);
  retire_pool();
  lock.reset();
  Claim claim;
  std::uint32_t place = 0;
  CHECK(!next_participant(table, &place, &claim));
}

TEST(after_leaving_a_process_may_join_again) {
  retire_pool();
  auto lock = make<OwnedLock>();
  CHECK_EQ(acquire(*lock), Status::ok);
  std::uint32_t before = lock->pool()->joined();
  SyncPool::leave_all();
  CHECK_EQ(lock->pool()->joined(), 0);
  CHECK(lock->is_locked());
  CHECK(!lock->is_mine(1));
  CHECK_EQ(lock->release(), Status::ok);
  CHECK_EQ(acquire(*lock), Status::ok);
  CHECK(lock->pool()->joined() != before);
  CHECK_EQ(lock->release(), Status::ok);
}

TEST(the_process_too_many_is_refused) {
  retire_pool();
  auto lock = make<OwnedLock>();
  Participant* table = lock->pool()->participants();
  std::uint32_t token = 0;
  while (join_participants(table, &token, max_participants - 1) == Status::ok) {
  }
  Fault fault;
  CHECK_EQ(lock->try_acquire(1, &fault), Status::too_many_participants);
  CHECK_EQ(fault.expected, max_participants - 1);
  CHECK(!lock->is_locked());
  free_participant(table, token);
  CHECK_EQ(lock->try_acquire(1, &fault), Status::ok);
  retire_pool();
}

FORK_TEST(a_newcomer_to_a_table_full_of_dead_sweeps_it) {
  with_each_lock([] {
    auto lock = make<OwnedLock>();
    auto semaphore = make<Semaphore>(1u, 1u, true);
    SyncPool& pool = *lock->pool();
    finish_child(start_child([&] {
      Fault fault;
      CHECK_EQ(lock->try_acquire(1, &fault), Status::ok);
      CHECK_EQ(semaphore->try_acquire(&fault), Status::ok);
      std::uint32_t token = 0;
      while (join_participants(pool.participants(), &token, max_participants - 1) == Status::ok) {
      }
      CHECK_EQ(join_as_guest(pool.participants(), &token), Status::ok);  // who died while it swept
    }));
    CHECK_EQ(acquire(*lock), Status::ok);
    CHECK(lock->abandoned_pid() != 0);
    CHECK_EQ(semaphore->value(), 1);
    CHECK_EQ(participants_of(pool), 1);
  });
}

FORK_TEST(short_lived_processes_do_not_fill_the_table) {
  retire_pool();
  auto lock = make<OwnedLock>();
  for (int i = 0; i < 60; i++) {
    finish_child(start_child([&] {
      CHECK_EQ(acquire(*lock), Status::ok);
      CHECK_EQ(lock->release(), Status::ok);
    }));
  }
  CHECK(participants_of(*lock->pool()) < 40);
}

FORK_TEST(a_sweeper_that_is_killed_leaves_the_rest_to_the_next) {
  with_each_lock([] {
    Shared<Gate> ready;
    std::vector<std::unique_ptr<OwnedLock>> locks;
    for (int i = 0; i < 3; i++) locks.push_back(make<OwnedLock>());
    auto semaphore = make<Semaphore>(1u, 1u, true);
    SyncPool& pool = *semaphore->pool();
    Shared<Shared32> dead;
    pid_t holder = start_child([&] {
      Fault fault;
      for (auto& lock : locks) CHECK_EQ(lock->try_acquire(1, &fault), Status::ok);
      CHECK_EQ(semaphore->try_acquire(&fault), Status::ok);
      dead->store(pool.joined());
      ready->open();
      await_death();
    });
    ready->pass();
    kill_child(holder);
    // It has freed one lock, and dies with the guard of the semaphore.
    finish_child(start_child([&] {
      std::uint32_t token = 0;
      Fault fault;
      CHECK_EQ(pool.join(&token, &fault), Status::ok);
      abandon_lock(*pool.cell<LockCell>(locks[0]->index()), dead->load(), static_cast<std::uint32_t>(holder));
      auto& guard = pool.cell<SemaphoreCell>(semaphore->index())->guard;
      CHECK(pool.guard(guard).acquire(token, true) == Lock::Acquired::clean);
    }));
    CHECK(pool.sweep_if_dead(dead->load()));
    CHECK(!pool.sweep_if_dead(dead->load()));
    for (auto& lock : locks) {
      CHECK(!lock->is_locked());
      CHECK_EQ(acquire(*lock), Status::ok);
      CHECK_EQ(lock->abandoned_pid(), holder);
    }
    CHECK_EQ(semaphore->value(), 1);
  });
}

FORK_TEST(a_forked_child_uses_the_parents_objects_and_makes_its_own_elsewhere) {
  retire_pool();
  auto lock = make<OwnedLock>();
  CHECK_EQ(acquire(*lock), Status::ok);
  finish_child(start_child([&] {
    auto own = make<OwnedLock>();
    CHECK(own->pool() != lock->pool());
    CHECK(lock->is_locked());
    CHECK_EQ(lock->release(), Status::ok);
    CHECK_EQ(acquire(*lock), Status::ok);
    SyncPool::leave_all();
  }));
  CHECK(lock->is_locked());
  CHECK(!lock->is_mine(1));
}
