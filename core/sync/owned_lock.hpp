// OwnedLock: the lock behind Lock and RLock. It knows who holds it, process and thread, and outlives the holder's death.
//
// Holder killed: the lock goes to the next who acquires it, and abandoned_pid() tells that one; what the lock protects
// may be half done. A holder whose process ended in an orderly way (SyncPool::leave_all) leaves it locked: as with the
// standard library anybody may release it.
//
// `thread` names the calling thread within its process, and is never 0.
#pragma once

#include "object.hpp"
#include "patience.hpp"

namespace interproc {

class OwnedLock : public SyncObject {
 public:
  static Status create(std::unique_ptr<OwnedLock>* lock, Fault* fault);
  static Status attach(std::shared_ptr<SyncPool> pool, std::uint32_t index, std::unique_ptr<OwnedLock>* lock,
                       Fault* fault);

  // --- Lock ----------------------------------------------------------------------------------------------------------
  // Never sleeps. A lock that a killed process held is taken here too, at the latest 20 ms after its death.
  // ok, not_available, too_many_participants.
  Status try_acquire(std::uint64_t thread, Fault* fault) {
    std::uint32_t token;
    Status status = pool_->join(&token, fault);
    if (status != Status::ok) [[unlikely]]
      return status;
    std::uint32_t none = 0;
    if (cell_->word.compare_exchange_strong(none, token, std::memory_order_acquire, std::memory_order_relaxed))
        [[likely]] {
      own(thread, 1);  // pairs: owned-lock
      return Status::ok;
    }
    return try_slowly(token, none, thread);
  }
  // ok, timed_out, interrupted, too_many_participants. A thread that holds the lock already waits for itself.
  Status acquire(std::uint64_t thread, Patience* patience, Fault* fault) {
    Status status = try_acquire(thread, fault);
    return status == Status::not_available ? acquire_slowly(thread, patience) : status;
  }
  // By anybody. ok, not_locked.
  Status release();

  // --- RLock ---------------------------------------------------------------------------------------------------------
  // Like the two above; a thread that holds the lock takes it once more. over_bound after 2^32 - 1 times.
  Status try_acquire_recursive(std::uint64_t thread, Fault* fault) {
    return is_mine(thread) ? deepen() : try_acquire(thread, fault);
  }
  Status acquire_recursive(std::uint64_t thread, Patience* patience, Fault* fault) {
    return is_mine(thread) ? deepen() : acquire(thread, patience, fault);
  }
  // One acquisition less. ok, not_owner (also where nobody holds it).
  Status release_recursive(std::uint64_t thread) {
    if (!is_mine(thread)) return Status::not_owner;
    std::uint32_t depth = cell_->depth.load(std::memory_order_relaxed);
    if (depth <= 1) return release();
    cell_->depth.store(depth - 1, std::memory_order_relaxed);
    return Status::ok;
  }

  // --- Condition: lets go however deep, and takes as deep again ------------------------------------------------------
  // ok, not_owner.
  Status release_all(std::uint64_t thread, std::uint32_t* depth);
  // As acquire().
  Status restore(std::uint64_t thread, std::uint32_t depth, Patience* patience, Fault* fault);

  // --- state ---------------------------------------------------------------------------------------------------------
  bool is_locked() const { return (cell_->word.load(std::memory_order_relaxed) & platform::owner_mask) != 0; }
  bool is_mine(std::uint64_t thread) const {
    std::uint32_t holder = cell_->word.load(std::memory_order_relaxed) & platform::owner_mask;
    return holder != 0 && holder == pool_->joined() && cell_->thread.load(std::memory_order_relaxed) == thread;
  }
  bool is_held_by_this_process() const {
    std::uint32_t holder = cell_->word.load(std::memory_order_relaxed) & platform::owner_mask;
    return holder != 0 && holder == pool_->joined();
  }
  // How often this thread holds it; 0 if it does not.
  std::uint32_t depth(std::uint64_t thread) const {
    return is_mine(thread) ? cell_->depth.load(std::memory_order_relaxed) : 0;
  }
  // The process that was killed while it held the lock; 0 if none was. Look after every acquire; stays until the release
  // or until it is cleared.
  std::uint32_t abandoned_pid() const {
    bool abandoned = (cell_->word.load(std::memory_order_relaxed) & platform::owner_died_bit) != 0;
    return abandoned ? cell_->abandoned_pid.load(std::memory_order_relaxed) : 0;
  }
  // For who holds it. As release(), but the mark stays for the next holder. ok, not_locked.
  Status release_abandoned();
  // For who holds it.
  void clear_abandoned() { cell_->word.fetch_and(~platform::owner_died_bit, std::memory_order_relaxed); }

 private:
  OwnedLock(std::shared_ptr<SyncPool> pool, const CellRun& run);
  void own(std::uint64_t thread, std::uint32_t depth) {
    cell_->depth.store(depth, std::memory_order_relaxed);
    cell_->thread.store(thread, std::memory_order_relaxed);
  }
  Status deepen();
  bool take_if_free(std::uint32_t token, std::uint32_t seen, std::uint32_t bits, std::uint64_t thread);
  Status try_slowly(std::uint32_t token, std::uint32_t seen, std::uint64_t thread);
  Status acquire_slowly(std::uint64_t thread, Patience* patience);

  LockCell* cell_;
  std::atomic<std::uint64_t> looked_ns_{0};  // when a failing try last asked about the holder
};

// For the sweep: if `dead` holds the lock, it is nobody's, abandoned by `pid`.
void abandon_lock(LockCell& cell, std::uint32_t dead, std::uint32_t pid);

}  // namespace interproc
