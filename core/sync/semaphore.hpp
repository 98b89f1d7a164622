// Semaphore: a count of permits.
//
// One that tracks its holders knows how many permits each process has; those of a killed process come back. A permit
// that is released by another process than took it is taken off some other holder, first one whose process has ended.
// Its operations cost one short lock more. One that does not track loses the permits of a killed process.
#pragma once

#include "entries.hpp"
#include "object.hpp"
#include "patience.hpp"

namespace interproc {

inline constexpr std::uint32_t most_permits = 0x7fffffff;

class Semaphore : public SyncObject {
 public:
  // over_bound if value > maximum or maximum > most_permits.
  static Status create(std::uint32_t value, std::uint32_t maximum, bool tracks_holders,
                       std::unique_ptr<Semaphore>* semaphore, Fault* fault);
  static Status attach(std::shared_ptr<SyncPool> pool, std::uint32_t index, std::unique_ptr<Semaphore>* semaphore,
                       Fault* fault);

  // Never sleeps. ok, not_available; with holders also too_many_participants.
  Status try_acquire(Fault* fault) {
    if (tracks_holders()) return try_acquire_tracked(fault);
    std::uint32_t seen = cell_->word.load(std::memory_order_relaxed);
    while ((seen & most_permits) != 0) {
      if (cell_->word.compare_exchange_weak(seen, seen - 1, std::memory_order_acquire, std::memory_order_relaxed)) {
        return Status::ok;  // pairs: semaphore-release
      }
    }
    return Status::not_available;
  }
  // ok, timed_out, interrupted; with holders also too_many_participants.
  Status acquire(Patience* patience, Fault* fault);

  // All `count` permits or none. ok, over_bound; with holders also too_many_participants.
  Status release(std::uint32_t count, Fault* fault) {
    if (tracks_holders()) return release_tracked(count, fault);
    std::uint32_t seen = cell_->word.load(std::memory_order_relaxed);
    do {
      if (count > maximum_ - (seen & most_permits)) return Status::over_bound;
    } while (!cell_->word.compare_exchange_weak(seen, seen + count,
                                                std::memory_order_release,  // pairs: semaphore-release
                                                std::memory_order_relaxed));
    if (seen & platform::waiters_bit) wake(count);
    return Status::ok;
  }

  std::uint32_t value() const { return cell_->word.load(std::memory_order_acquire) & most_permits; }
  std::uint32_t maximum() const { return maximum_; }
  bool tracks_holders() const { return entries_.count() != 0; }

 private:
  static constexpr std::uint64_t look_pause_ns = 20'000'000;

  Semaphore(std::shared_ptr<SyncPool> pool, const CellRun& run, std::uint32_t maximum, const CellEntries& entries);
  void wake(std::uint32_t count);
  Status try_acquire_tracked(Fault* fault);
  Status release_tracked(std::uint32_t count, Fault* fault);

  SemaphoreCell* cell_;
  std::uint32_t maximum_;  // this process's own copies, checked
  CellEntries entries_;    // none where holders are not tracked
  std::atomic<std::uint64_t> looked_ns_{0};
};

// For the sweep: the permits of `dead` come back.
void return_permits(SyncPool& pool, std::uint32_t index, std::uint32_t me, std::uint32_t dead);

}  // namespace interproc
