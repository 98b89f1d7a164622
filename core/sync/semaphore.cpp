#include "semaphore.hpp"

#include <algorithm>

#include "permits.hpp"
#include "spin.hpp"

namespace interproc {

namespace {

using platform::waiters_bit;

constexpr int most_pauses = 60;  // about 2 us

// As many holders as can have permits at a time.
std::uint32_t entries_for(std::uint32_t maximum) { return std::clamp(maximum, 1u, max_participants); }

}  // namespace

Semaphore::Semaphore(std::shared_ptr<SyncPool> pool, const CellRun& run, std::uint32_t maximum,
                     const CellEntries& entries)
    : SyncObject(std::move(pool), run),
      cell_(pool_->cell<SemaphoreCell>(run.index)),
      maximum_(maximum),
      entries_(entries) {}

Status Semaphore::create(std::uint32_t value, std::uint32_t maximum, bool tracks_holders,
                         std::unique_ptr<Semaphore>* semaphore, Fault* fault) {
  if (maximum > most_permits || value > maximum) {
    *fault = maximum > most_permits ? Fault{0, "maximum of a semaphore", maximum, most_permits}
                                    : Fault{0, "value of a semaphore", value, maximum};
    return Status::over_bound;
  }
  CellKind kind = tracks_holders ? CellKind::bounded_semaphore : CellKind::semaphore;
  std::uint32_t entry_count = tracks_holders ? entries_for(maximum) : 0;
  std::shared_ptr<SyncPool> pool;
  CellRun run;
  Status status = take_cells(kind, 1 + CellEntries::cells_for(entry_count), &pool, &run, fault);
  if (status != Status::ok) return status;
  CellEntries entries = CellEntries::make(*pool, run.index, entry_count);
  if (tracks_holders) entries[0].count.store(maximum - value, std::memory_order_relaxed);
  SemaphoreCell& cell = *pool->cell<SemaphoreCell>(run.index);
  cell.word.store(value, std::memory_order_relaxed);
  cell.maximum = maximum;
  cell.entry_count = entry_count;
  cell.kind.store(static_cast<std::uint32_t>(kind), std::memory_order_release);  // pairs: cell-made
  if (!make(new (std::nothrow) Semaphore(pool, run, maximum, entries), *pool, run, semaphore))
    return out_of_memory(fault);
  return Status::ok;
}

Status Semaphore::attach(std::shared_ptr<SyncPool> pool, std::uint32_t index, std::unique_ptr<Semaphore>* semaphore,
                         Fault* fault) {
  Fault ignored;
  bool tracks_holders = check(*pool, index, CellKind::bounded_semaphore, &ignored) == Status::ok;
  Status status = tracks_holders ? Status::ok : check(*pool, index, CellKind::semaphore, fault);
  if (status != Status::ok) return status;
  const SemaphoreCell& cell = *pool->cell<SemaphoreCell>(index);
  std::uint32_t maximum = cell.maximum;
  std::uint32_t entry_count = cell.entry_count;
  if (maximum > most_permits) {
    *fault = Fault{0, "maximum of a semaphore", maximum, most_permits};
    return Status::bad_segment;
  }
  CellEntries entries;
  std::uint32_t expected = tracks_holders ? entries_for(maximum) : 0;
  if (entry_count != expected || !CellEntries::open(*pool, index, entry_count, &entries)) {
    *fault = Fault{0, "number of a semaphore's holders", entry_count, expected};
    return Status::bad_segment;
  }
  semaphore->reset(new (std::nothrow) Semaphore(std::move(pool), attached_cells(index), maximum, entries));
  return *semaphore != nullptr ? Status::ok : out_of_memory(fault);
}

Status Semaphore::acquire(Patience* patience, Fault* fault) {
  int pauses = -1;
  for (;;) {
    Status status = try_acquire(fault);
    if (status != Status::not_available) return status;
    if (pauses < 0) pauses = recent_usable_cpus(platform::monotonic_ns()) > 1 ? most_pauses : 0;
    if (pauses > 0) {
      pauses--;
      platform::pause();
      continue;
    }
    if (patience->is_over()) return Status::timed_out;
    std::uint32_t seen = cell_->word.load(std::memory_order_relaxed);
    if ((seen & most_permits) != 0) continue;
    if ((seen & waiters_bit) == 0) {
      if (!cell_->word.compare_exchange_weak(seen, seen | waiters_bit, std::memory_order_relaxed)) continue;
      seen |= waiters_bit;
    }
    Patience::Slept slept = patience->sleep(cell_->word, seen);
    if (slept == Patience::Slept::changed) continue;
    if (slept == Patience::Slept::ticked && tracks_holders()) pool_->look_for_dead();
    status = try_acquire(fault);
    if (status != Status::not_available) return status;
    return slept == Patience::Slept::timed_out ? Status::timed_out : Status::interrupted;
  }
}

// After a release that found the waiters bit. The bit goes only where a permit is left: who would then fall asleep sees
// that one, or is woken by the release that it came from.
void Semaphore::wake(std::uint32_t count) {
  int most = static_cast<int>(std::min<std::uint32_t>(count, INT32_MAX));
  if (platform::wake(cell_->word, most) >= most) return;
  std::uint32_t seen = cell_->word.load(std::memory_order_relaxed);
  if ((seen & waiters_bit) != 0 && (seen & most_permits) != 0) {
    cell_->word.compare_exchange_strong(seen, seen & ~waiters_bit, std::memory_order_relaxed);
  }
}

// --- with holders ----------------------------------------------------------------------------------------------------

Status Semaphore::try_acquire_tracked(Fault* fault) {
  if (value() == 0) {
    std::uint64_t now_ns = platform::monotonic_ns();
    // A program that polls with tries alone must get a dead one's permits too.
    if (now_ns - looked_ns_.load(std::memory_order_relaxed) < look_pause_ns) return Status::not_available;
    looked_ns_.store(now_ns, std::memory_order_relaxed);
    pool_->look_for_dead();
    if (value() == 0) return Status::not_available;
  }
  std::uint32_t token;
  Status status = pool_->join(&token, fault);
  if (status != Status::ok) return status;
  Permits permits(*pool_, *cell_, entries_, maximum_);
  permits.enter(token);
  bool taken = permits.take(token);
  permits.leave();
  return taken ? Status::ok : Status::not_available;
}

Status Semaphore::release_tracked(std::uint32_t count, Fault* fault) {
  std::uint32_t token;
  Status status = pool_->join(&token, fault);
  if (status != Status::ok) return status;
  Permits permits(*pool_, *cell_, entries_, maximum_);
  permits.enter(token);
  bool given = permits.give(token, count);
  permits.leave();
  if (!given) return Status::over_bound;
  if (cell_->word.load(std::memory_order_relaxed) & waiters_bit) wake(count);
  return Status::ok;
}

void return_permits(SyncPool& pool, std::uint32_t index, std::uint32_t me, std::uint32_t dead) {
  SemaphoreCell& cell = *pool.cell<SemaphoreCell>(index);
  std::uint32_t maximum = cell.maximum;
  CellEntries entries;
  if (maximum > most_permits || !CellEntries::open(pool, index, cell.entry_count, &entries)) return;
  Permits permits(pool, cell, entries, maximum);
  permits.enter(me);
  bool had = permits.give_all_of(dead);
  permits.leave();
  if (had) platform::wake(cell.word, INT32_MAX);
}

}  // namespace interproc
