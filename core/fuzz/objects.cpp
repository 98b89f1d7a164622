// Locks and their kin that somebody wrote over, and heaps.
#include <string.h>

#include <iterator>
#include <vector>

#include "fuzz/damage.hpp"
#include "heap.hpp"
#include "lock.hpp"
#include "sync/barrier.hpp"
#include "sync/condition.hpp"
#include "sync/event.hpp"
#include "sync/owned_lock.hpp"
#include "sync/semaphore.hpp"

namespace interproc::fuzz {

namespace {

template <typename Object>
std::unique_ptr<Object> attach(const std::shared_ptr<SyncPool>& pool, std::uint32_t index) {
  Fault fault;
  std::unique_ptr<Object> object;
  Status status = Object::attach(pool, index, &object, &fault);
  require_documented(status);
  require((status == Status::ok) == (object != nullptr), "attach says one thing and does another");
  return object;
}

void use_lock(OwnedLock& lock) {
  Fault fault;
  Patience patience(soon_ns());
  require_documented(lock.acquire(1, &patience, &fault));
  require_documented(lock.acquire_recursive(1, &patience, &fault));
  lock.abandoned_pid();
  require_documented(lock.release_recursive(1));
  require_documented(lock.release());
}

void use_semaphore(Semaphore& semaphore) {
  Fault fault;
  Patience patience(soon_ns());
  require_documented(semaphore.acquire(&patience, &fault));
  require_documented(semaphore.release(1, &fault));
}

void use_condition(Condition& condition) {
  Fault fault;
  Patience patience(soon_ns());
  Condition::Ticket ticket;
  Status status = condition.enter(&ticket, &fault);
  require_documented(status);
  if (status != Status::ok) return;
  std::uint32_t notified = 0;
  require_documented(condition.notify(1, &notified, &fault));
  require_documented(condition.sleep(ticket, &patience));
  condition.leave(&ticket);
  require_documented(condition.notify(UINT32_MAX, &notified, &fault));
}

void use_barrier(Barrier& barrier) {
  Fault fault;
  Patience patience(soon_ns());
  Barrier::Arrival arrival;
  Status status = barrier.arrive(&arrival, &patience, &fault);
  require_documented(status);
  if (status == Status::ok && arrival.is_last) require_documented(barrier.release(arrival, &fault));
  if (status == Status::ok && !arrival.is_last) require_documented(barrier.sleep(arrival, &patience, &fault));
  require_documented(barrier.abort(&fault));
  require_documented(barrier.reset(&fault));
}

// Nobody can tell a wrong owner from a slow one. `known` are the cells of objects that this process has, whatever is
// written there by now.
void free_guards(SyncPool& pool, const std::vector<Shared32*>& known) {
  for (Shared32* guard : known) guard->store(0);
  for (std::uint32_t i = 0; i < 64; i++) {
    switch (static_cast<CellKind>(pool.cell<Cell>(i)->kind.load())) {
      case CellKind::bounded_semaphore:
        pool.cell<SemaphoreCell>(i)->guard.store(0);
        break;
      case CellKind::condition:
        pool.cell<ConditionCell>(i)->guard.store(0);
        break;
      case CellKind::barrier:
        pool.cell<BarrierCell>(i)->guard.store(0);
        break;
      default:
        break;
    }
  }
}

}  // namespace

void run_sync(Input& input) {
  Fault fault;
  retire_pool();
  std::unique_ptr<OwnedLock> lock;
  std::unique_ptr<Semaphore> semaphore;
  std::unique_ptr<Condition> condition;
  std::unique_ptr<Event> event;
  std::unique_ptr<Barrier> barrier;
  bool made = OwnedLock::create(&lock, &fault) == Status::ok &&
              Semaphore::create(2, 3, true, &semaphore, &fault) == Status::ok &&
              Condition::create(&condition, &fault) == Status::ok && Event::create(&event, &fault) == Status::ok &&
              Barrier::create(2, &barrier, &fault) == Status::ok;
  require(made, "no objects can be made");
  const std::shared_ptr<SyncPool>& pool = lock->pool();
  Fence fence(*pool->segment());
  use_condition(*condition);
  const std::vector<Shared32*> guards = {&pool->cell<SemaphoreCell>(semaphore->index())->guard,
                                         &pool->cell<ConditionCell>(condition->index())->guard,
                                         &pool->cell<BarrierCell>(barrier->index())->guard};
  std::byte* base = pool->segment()->base();
  const Region regions[] = {
      {base, sizeof(SegmentHeader)},
      {base + sync_control_at, sizeof(SyncControl)},
      {base + sync_participants_at, 4 * sizeof(Participant)},
      {base + sync_cells_at, 16 * sizeof(Cell)},
      {base + sync_nodes_at, 16 * sizeof(WaiterNode)},
  };
  while (input.has_more()) {
    write_over(input, regions, std::size(regions));
    free_guards(*pool, guards);
    switch (input.below(8)) {
      case 0:
        use_lock(*lock);
        break;
      case 1:
        use_semaphore(*semaphore);
        break;
      case 2:
        use_condition(*condition);
        break;
      case 3:
        use_barrier(*barrier);
        break;
      case 4: {
        Patience patience(soon_ns());
        require_documented(event->wait(event->begin(), &patience));
        event->set();
        event->clear();
        break;
      }
      case 5:
        pool->sweep_dead();
        break;
      case 6:
        attach_again(*pool->segment());
        break;
      default: {
        auto index = static_cast<std::uint32_t>(input.below(20));
        if (auto object = attach<OwnedLock>(pool, index)) use_lock(*object);
        if (auto object = attach<Semaphore>(pool, index)) use_semaphore(*object);
        if (auto object = attach<Condition>(pool, index)) use_condition(*object);
        if (auto object = attach<Barrier>(pool, index)) use_barrier(*object);
      }
    }
  }
  free_guards(*pool, guards);
}

void run_heap(Input& input) {
  Fault fault;
  std::unique_ptr<HeapBlock> block;
  require(HeapBlock::create(100'000, &block, &fault) == Status::ok, "no block can be made");
  const Region header{block->segment()->base(), sizeof(SegmentHeader)};
  while (input.has_more()) {
    write_over(input, &header, 1);
    std::shared_ptr<Segment> attached = attach_again(*block->segment());
    std::unique_ptr<HeapBlock> other;
    if (attached == nullptr) continue;
    Status status = HeapBlock::attach(attached, input.number(8), input.number(8), &other, &fault);
    require_documented(status);
    if (status == Status::ok) memset(other->data(), 1, other->size_bytes());
  }
}

void run(Input input) {
  Fault fault;
  LockKind kind;
  choose_lock(input.below(2) == 0 ? "liveness" : "auto", &kind, &fault);
  switch (input.below(5)) {
    case 0:
    case 1:
      return run_channel(input);
    case 2:
    case 3:
      return run_sync(input);
    default:
      return run_heap(input);
  }
}

}  // namespace interproc::fuzz
