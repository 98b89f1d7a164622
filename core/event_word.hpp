// EventWord: the one place where threads sleep, and how they are woken.
//
// A sleeper registers under the lock, unlocks, and sleeps on `ev`. Whoever makes something happen claims registrations
// under the lock (waiters--, ev++) and wakes after the unlock. It is the waker who takes a registration off, so that
// until the woken process has run, further messages pay no further wake call. The count may therefore be too high
// (sleepers that died) but never too low; every sleep is bounded, which covers a woken process that dies before it acts.
// A waker who meets nobody although the count says so starts a new generation: count zero, everybody wakes.
// Source: measured variants in the design notes; model: models/wake.pml.
#pragma once

#include "layout.hpp"
#include "platform/platform.hpp"

namespace interproc {

class EventWord {
 public:
  explicit EventWord(EventWords& words) : words_(words) {}

  struct Registration {
    std::uint32_t ev;
    std::uint32_t generation;
    std::uint32_t before_me;
  };
  enum class Outcome {
    woken,        // taken off by a waker: look again
    moved,        // the word moved before or while falling asleep: look again
    interrupted,  // by a signal, by the watchdog's bound or by wake_all
    timed_out,
  };

  // Lock held.
  Registration enter() {
    std::uint32_t before_me = words_.waiters++;
    return {words_.ev.load(std::memory_order_relaxed), generation(), before_me};
  }

  // Lock not held. Sleeps at most until the deadline or the watchdog's bound, which grows with the sleepers before this
  // one: an idle crowd wakes about as often as one sleeper.
  Outcome sleep(const Registration& mine, std::uint64_t deadline_ns);

  // Lock held; after every sleep that did not end with `woken`. False if a waker may have meant this sleeper: then the
  // wake must be used or passed on.
  bool leave(const Registration& mine) {
    bool untouched = generation() == mine.generation && words_.ev.load(std::memory_order_relaxed) == mine.ev;
    if (untouched && words_.waiters > 0) words_.waiters--;
    return untouched;
  }

  // Lock held: takes off up to `count` registrations. Wake the result after the unlock.
  std::uint32_t claim(std::uint32_t count) {
    if (words_.waiters == 0 || count == 0) return 0;
    std::uint32_t claimed = count < words_.waiters ? count : words_.waiters;
    words_.waiters -= claimed;
    bump();
    return claimed;
  }

  // Lock not held. False: nobody was there, although registrations are left: call restart() under the lock.
  bool wake(std::uint32_t claimed) {
    if (claimed == 0) return true;
    return platform::wake(words_.ev, static_cast<int>(claimed)) > 0;
  }

  // Lock held: forgets all registrations; everybody must be woken by wake_all() after the unlock.
  void restart() {
    words_.waiters = 0;
    words_.generation.store(generation() + 1, std::memory_order_relaxed);
    bump();
  }
  void wake_all() { platform::wake(words_.ev, INT32_MAX); }

  bool has_waiters() const { return words_.waiters > 0; }
  std::uint32_t generation() const { return words_.generation.load(std::memory_order_relaxed); }

 private:
  void bump() { words_.ev.store(words_.ev.load(std::memory_order_relaxed) + 1, std::memory_order_release); }

  EventWords& words_;
};

}  // namespace interproc
