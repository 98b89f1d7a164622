#include "owned_lock.hpp"

#include "spin.hpp"

namespace interproc {

namespace {

using platform::owner_died_bit;
using platform::owner_mask;
using platform::waiters_bit;

// About 2 us. With one usable CPU the holder needs it more.
constexpr int most_pauses = 60;

// A program that polls with tries alone must get a dead one's lock too, but asking costs microseconds.
constexpr std::uint64_t look_pause_ns = 20'000'000;

}  // namespace

OwnedLock::OwnedLock(std::shared_ptr<SyncPool> pool, const CellRun& run)
    : SyncObject(std::move(pool), run), cell_(pool_->cell<LockCell>(run.index)) {}

Status OwnedLock::create(std::unique_ptr<OwnedLock>* lock, Fault* fault) {
  std::shared_ptr<SyncPool> pool;
  CellRun run;
  Status status = take_cells(CellKind::lock, 1, &pool, &run, fault);
  if (status != Status::ok) return status;
  if (!make(new (std::nothrow) OwnedLock(pool, run), *pool, run, lock)) return out_of_memory(fault);
  LockCell& cell = *(*lock)->cell_;
  cell.word.store(0, std::memory_order_relaxed);
  cell.thread.store(0, std::memory_order_relaxed);
  cell.kind.store(static_cast<std::uint32_t>(CellKind::lock), std::memory_order_release);  // pairs: cell-made
  return Status::ok;
}

Status OwnedLock::attach(std::shared_ptr<SyncPool> pool, std::uint32_t index, std::unique_ptr<OwnedLock>* lock,
                         Fault* fault) {
  Status status = check(*pool, index, CellKind::lock, fault);
  if (status != Status::ok) return status;
  lock->reset(new (std::nothrow) OwnedLock(std::move(pool), attached_cells(index)));
  return *lock != nullptr ? Status::ok : out_of_memory(fault);
}

// --- acquiring -------------------------------------------------------------------------------------------------------

// `seen` is a free word. What it says about a death, and that others wait, stays.
bool OwnedLock::take_if_free(std::uint32_t token, std::uint32_t seen, std::uint32_t bits, std::uint64_t thread) {
  if ((seen & owner_mask) != 0) return false;
  if (!cell_->word.compare_exchange_strong(seen, seen | token | bits, std::memory_order_acquire,  // pairs: owned-lock
                                           std::memory_order_relaxed)) {
    return false;
  }
  own(thread, 1);
  return true;
}

Status OwnedLock::try_slowly(std::uint32_t token, std::uint32_t seen, std::uint64_t thread) {
  for (;;) {
    if (take_if_free(token, seen, 0, thread)) return Status::ok;
    std::uint32_t holder = seen & owner_mask;
    if (holder != 0) {
      if (holder == token) return Status::not_available;
      std::uint64_t now_ns = platform::monotonic_ns();
      if (now_ns - looked_ns_.load(std::memory_order_relaxed) < look_pause_ns) return Status::not_available;
      looked_ns_.store(now_ns, std::memory_order_relaxed);
      if (!pool_->sweep_if_dead(holder)) return Status::not_available;
    }
    seen = cell_->word.load(std::memory_order_relaxed);
  }
}

Status OwnedLock::acquire_slowly(std::uint64_t thread, Patience* patience) {
  std::uint32_t token = pool_->joined();
  std::uint32_t keep_waiters = 0;  // once asleep here, others may be too: never clear the bit for them
  int pauses = recent_usable_cpus(platform::monotonic_ns()) > 1 ? most_pauses : 0;
  for (;;) {
    std::uint32_t seen = cell_->word.load(std::memory_order_relaxed);
    std::uint32_t holder = seen & owner_mask;
    if (holder == 0) {
      if (take_if_free(token, seen, keep_waiters, thread)) return Status::ok;
      continue;
    }
    if (pauses > 0) {
      pauses--;
      platform::pause();
      continue;
    }
    if (patience->is_over()) return Status::timed_out;
    if ((seen & waiters_bit) == 0) {
      if (!cell_->word.compare_exchange_weak(seen, seen | waiters_bit, std::memory_order_relaxed)) continue;
      seen |= waiters_bit;
    }
    keep_waiters = waiters_bit;
    Patience::Slept slept = patience->sleep(cell_->word, seen);
    if (slept == Patience::Slept::changed) continue;
    if (slept == Patience::Slept::ticked && holder != token) pool_->sweep_if_dead(holder);
    if (take_if_free(token, cell_->word.load(std::memory_order_relaxed), keep_waiters, thread)) return Status::ok;
    return slept == Patience::Slept::timed_out ? Status::timed_out : Status::interrupted;
  }
}

Status OwnedLock::deepen() {
  std::uint32_t depth = cell_->depth.load(std::memory_order_relaxed);
  if (depth == UINT32_MAX) return Status::over_bound;
  cell_->depth.store(depth + 1, std::memory_order_relaxed);
  return Status::ok;
}

// --- releasing -------------------------------------------------------------------------------------------------------

Status OwnedLock::release() {
  if (!is_locked()) return Status::not_locked;
  // Before the word: the next holder may be another thread of this process, and this one must not take it for its own.
  cell_->thread.store(0, std::memory_order_relaxed);
  std::uint32_t old = cell_->word.exchange(0, std::memory_order_release);  // pairs: owned-lock
  if (old & waiters_bit) platform::wake(cell_->word, 1);
  return (old & owner_mask) != 0 ? Status::ok : Status::not_locked;
}

Status OwnedLock::release_abandoned() {
  if (!is_locked()) return Status::not_locked;
  cell_->thread.store(0, std::memory_order_relaxed);
  std::uint32_t old = cell_->word.fetch_and(owner_died_bit, std::memory_order_release);  // pairs: owned-lock
  if (old & waiters_bit) platform::wake(cell_->word, 1);
  return Status::ok;
}

Status OwnedLock::release_all(std::uint64_t thread, std::uint32_t* depth) {
  if (!is_mine(thread)) return Status::not_owner;
  *depth = cell_->depth.load(std::memory_order_relaxed);
  return release();
}

Status OwnedLock::restore(std::uint64_t thread, std::uint32_t depth, Patience* patience, Fault* fault) {
  Status status = acquire(thread, patience, fault);
  if (status == Status::ok) cell_->depth.store(depth, std::memory_order_relaxed);
  return status;
}

void abandon_lock(LockCell& cell, std::uint32_t dead, std::uint32_t pid) {
  std::uint32_t seen = cell.word.load(std::memory_order_relaxed);
  while ((seen & owner_mask) == dead) {
    cell.abandoned_pid.store(pid, std::memory_order_relaxed);
    std::uint32_t freed = (seen & waiters_bit) | owner_died_bit;
    if (!cell.word.compare_exchange_weak(seen, freed, std::memory_order_release, std::memory_order_relaxed)) continue;
    if (seen & waiters_bit) platform::wake(cell.word, 1);
    return;
  }
}

}  // namespace interproc
