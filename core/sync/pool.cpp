// Which pools this process has, and its place in each. The dead: sweep.cpp.
#include "pool.hpp"

#include <string.h>

#include <algorithm>
#include <new>
#include <utility>
#include <vector>

#include "attempt.hpp"
#include "participants.hpp"
#include "process_guard.hpp"
#include "waiters.hpp"

namespace interproc {

namespace {

struct Known {
  std::uint8_t uuid[sizeof(SegmentHeader::uuid)];
  std::weak_ptr<SyncPool> pool;
};

// ProcessGuard held. Never destroyed: objects may outlive static destructors.
std::vector<Known>& known_pools() {
  alignas(std::vector<Known>) static std::byte room[sizeof(std::vector<Known>)];
  static auto* const pools = new (room) std::vector<Known>;
  return *pools;
}

constexpr std::uint32_t joiners_per_look = 16;

}  // namespace

Status SyncPool::create(std::shared_ptr<SyncPool>* pool, Fault* fault) {
  std::shared_ptr<Segment> segment;
  Status status =
      Segment::create_plain(SegmentKind::sync, sync_segment_bytes, sync_cells_at + page_bytes, &segment, fault);
  return status == Status::ok ? attach(std::move(segment), pool, fault) : status;
}

Status SyncPool::attach(std::shared_ptr<Segment> segment, std::shared_ptr<SyncPool>* pool, Fault* fault) {
  const SegmentHeader& header = segment->header();
  LockKind lock_kind = header.lock_kind;
  if (header.kind != SegmentKind::sync) {
    *fault = Fault{0, "kind of the segment", static_cast<std::uint64_t>(header.kind),
                   static_cast<std::uint64_t>(SegmentKind::sync)};
    return Status::bad_segment;
  }
  if (segment->size_bytes() != sync_segment_bytes) {
    *fault = Fault{0, "size of the segment", segment->size_bytes(), sync_segment_bytes};
    return Status::bad_segment;
  }
  if (lock_kind != LockKind::kernel && lock_kind != LockKind::liveness) {
    *fault = Fault{0, "lock kind", static_cast<std::uint64_t>(lock_kind), 1};
    return Status::bad_segment;
  }
  pool->reset();  // not under the guard: it may be the last hold on another pool, and `made` the only one on its own
  std::unique_ptr<SyncPool> made(new (std::nothrow) SyncPool(segment, lock_kind));
  if (made == nullptr) return out_of_memory(fault);
  ProcessGuard guard;
  for (const Known& known : known_pools()) {
    if (memcmp(known.uuid, header.uuid, sizeof known.uuid) != 0) continue;
    *pool = known.pool.lock();
    if (*pool != nullptr) return Status::ok;
  }
  Known known{};
  memcpy(known.uuid, header.uuid, sizeof known.uuid);
  if (!attempt([] { known_pools().reserve(known_pools().size() + 1); })) return out_of_memory(fault);
  if (!share(made, pool)) return out_of_memory(fault);
  known.pool = *pool;
  known_pools().push_back(std::move(known));
  return Status::ok;
}

SyncPool::~SyncPool() {
  leave();
  ProcessGuard guard;
  std::erase_if(known_pools(), [](const Known& known) { return known.pool.expired(); });
}

std::uint32_t SyncPool::cells_made() const {
  return std::min(control().cells_made.load(std::memory_order_acquire), sync_cells);  // pairs: cells-made
}

std::uint32_t SyncPool::nodes_made() const {
  return std::min(control().nodes_made.load(std::memory_order_acquire), sync_nodes);
}

// --- membership ------------------------------------------------------------------------------------------------------

Status SyncPool::join_now(std::uint32_t* token, Fault* fault) {
  // The last place is left to guests: see sweep_dead().
  constexpr std::uint32_t places = max_participants - 1;
  std::uint64_t epoch = platform::process_epoch();
  while ((*token = joined()) == 0) {
    std::uint64_t old = membership_.load(std::memory_order_acquire);
    Status status = join_participants(participants(), token, places);
    if (status != Status::ok) {
      sweep_dead();
      status = join_participants(participants(), token, places);
    }
    if (status != Status::ok) {
      *fault = Fault{0, "places for processes", places, places};
      return status;
    }
    if (membership_.compare_exchange_strong(old, (epoch << token_bits) | *token, std::memory_order_acq_rel)) {
      // Short-lived processes would fill the table with their dead.
      if (place_of(*token) % joiners_per_look == joiners_per_look - 1) sweep_dead();
      return Status::ok;
    }
    free_participant(participants(), *token);  // another thread was faster
  }
  return Status::ok;
}

void SyncPool::leave() {
  std::uint64_t mine = membership_.load(std::memory_order_acquire);
  if ((mine >> token_bits) != platform::process_epoch()) return;
  if (!membership_.compare_exchange_strong(mine, 0, std::memory_order_acq_rel)) return;
  std::uint32_t token = static_cast<std::uint32_t>(mine) & token_mask;
  drop_waiters(*this, token, token);
  free_participant(participants(), token);
}

void SyncPool::leave_all() {
  std::vector<std::shared_ptr<SyncPool>> pools;
  {
    ProcessGuard guard;
    // Who finds no memory for the list leaves nothing, and counts as killed.
    if (!attempt([&] { pools.reserve(known_pools().size()); })) return;
    for (const Known& known : known_pools()) {
      if (std::shared_ptr<SyncPool> pool = known.pool.lock()) pools.push_back(std::move(pool));
    }
  }
  for (const std::shared_ptr<SyncPool>& pool : pools) pool->leave();
}

}  // namespace interproc
