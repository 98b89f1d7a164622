// Lock: one word that holds its owner, and survives the owner's death.
//
// Two kinds, chosen once per segment. `kernel`: the word holds a thread id; the kernel marks it when that thread dies
// (platform.hpp, DeathNotice) and wakes a waiter. `liveness`: the word holds a participant's token; whoever has waited
// for a while asks whether that participant is alive. Either way the next owner is told and must recover what the dead
// one left half done.
//
// The rules that keep it correct: at most one such lock at a time per thread; no call-outs, no allocation and no Python
// while it is held; whoever takes the word in the slow path keeps `waiters` set, so that no waiter is forgotten.
// Model: models/lock.pml.
#pragma once

#include "layout.hpp"
#include "platform/platform.hpp"
#include "status.hpp"

namespace interproc {

// Decides which lock new segments get. `wish`: nullptr or "auto", "kernel", "liveness". lock_unsupported when "kernel"
// is asked for and the system does not keep its death notice; bad_segment for another word.
Status choose_lock(const char* wish, LockKind* kind, Fault* fault);
LockKind chosen_lock();
bool lock_supported(LockKind kind);

class Lock {
 public:
  // `participants` is the channel's table; needed by the liveness kind to judge an owner.
  Lock(Shared32& word, LockKind kind, const Participant* participants)
      : word_(word), participants_(participants), kind_(kind) {}

  enum class Acquired { clean, after_death, busy };

  // `token` is the caller's participant token. Never `busy` when `may_wait`. Waits tens of nanoseconds as a rule, as
  // long as the owner is stopped at worst.
  Acquired acquire(std::uint32_t token, bool may_wait) {
    std::uint32_t owner = token;
    if (kind_ == LockKind::kernel) {
      platform::DeathNotice* notice = platform::DeathNotice::of_this_thread();
      owner = notice->owner();
      notice->expect(word_);
    }
    std::uint32_t none = 0;
    if (word_.compare_exchange_strong(none, owner, std::memory_order_acquire, std::memory_order_relaxed)) {
      return Acquired::clean;  // pairs: lock-release
    }
    return acquire_slowly(owner, may_wait);
  }

  void release() {
    std::uint32_t old = word_.exchange(0, std::memory_order_release);  // pairs: lock-release
    if (old & platform::waiters_bit) platform::wake(word_, 1);
    if (kind_ == LockKind::kernel) platform::DeathNotice::of_this_thread()->forget();
  }

 private:
  Acquired acquire_slowly(std::uint32_t owner, bool may_wait);

  Shared32& word_;
  const Participant* participants_;
  LockKind kind_;
};

}  // namespace interproc
