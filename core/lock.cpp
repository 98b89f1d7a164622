#include "lock.hpp"

#include <string.h>

#include <atomic>

#include "participants.hpp"
#include "spin.hpp"

namespace interproc {

namespace {

// How long a waiter of the liveness lock sleeps before it asks about the owner. The kernel kind sleeps longer: there the
// bound only covers a kernel that woke somebody who died before taking the lock.
constexpr std::uint64_t liveness_patience_ns = 20'000'000;
constexpr std::uint64_t kernel_patience_ns = 100'000'000;

// About 2 us, longer than the lock is held as a rule. With one usable CPU the holder needs it more.
constexpr int most_pauses = 60;

std::atomic<LockKind> chosen{LockKind::liveness};

}  // namespace

bool lock_supported(LockKind kind) { return kind == LockKind::liveness || platform::death_notice_works(); }

Status choose_lock(const char* wish, LockKind* kind, Fault* fault) {
  if (wish == nullptr || strcmp(wish, "auto") == 0 || wish[0] == 0) {
    *kind = lock_supported(LockKind::kernel) ? LockKind::kernel : LockKind::liveness;
  } else if (strcmp(wish, "kernel") == 0) {
    *kind = LockKind::kernel;
  } else if (strcmp(wish, "liveness") == 0) {
    *kind = LockKind::liveness;
  } else {
    *fault = Fault{0, "name of a lock kind", 0, 0};
    return Status::bad_segment;
  }
  if (!lock_supported(*kind)) {
    *fault = Fault{0, "death notice of the kernel", 0, 1};
    return Status::lock_unsupported;
  }
  chosen.store(*kind, std::memory_order_relaxed);
  return Status::ok;
}

LockKind chosen_lock() { return chosen.load(std::memory_order_relaxed); }

Lock::Acquired Lock::acquire_slowly(std::uint32_t owner, bool may_wait) {
  using namespace platform;
  std::uint32_t keep_waiters = 0;  // once asleep here, others may be too: never clear the bit for them
  int pauses = may_wait && recent_usable_cpus(monotonic_ns()) > 1 ? most_pauses : 0;
  for (;;) {
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    std::uint32_t holder = seen & owner_mask;
    if (holder == 0) {
      std::uint32_t mine = owner | (seen & waiters_bit) | keep_waiters;
      if (word_.compare_exchange_weak(seen, mine, std::memory_order_acquire, std::memory_order_relaxed)) {
        return (seen & owner_died_bit) ? Acquired::after_death : Acquired::clean;
      }
      continue;
    }
    if (!may_wait) {
      if (kind_ == LockKind::kernel) DeathNotice::of_this_thread()->forget();
      return Acquired::busy;
    }
    if (pauses > 0) {
      pauses--;
      pause();
      continue;
    }
    if (!(seen & waiters_bit)) {
      if (!word_.compare_exchange_weak(seen, seen | waiters_bit, std::memory_order_relaxed)) continue;
      seen |= waiters_bit;
    }
    keep_waiters = waiters_bit;
    std::uint64_t patience_ns = kind_ == LockKind::kernel ? kernel_patience_ns : liveness_patience_ns;
    Sleep slept = sleep_on(word_, seen, monotonic_ns() + patience_ns);
    if (kind_ == LockKind::liveness && slept == Sleep::timed_out && !token_is_alive(participants_, holder)) {
      if (word_.compare_exchange_strong(seen, owner | waiters_bit, std::memory_order_acquire,
                                        std::memory_order_relaxed)) {
        return Acquired::after_death;
      }
    }
  }
}

}  // namespace interproc
