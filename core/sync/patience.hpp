// Patience: how long a call may still wait, and how often it looks around meanwhile.
//
// Made once per blocking call, from its deadline, and kept while the call is interrupted and goes on:
//
//   Patience patience(deadline_ns);
//   while ((status = lock.acquire(thread, &patience, &fault)) == Status::interrupted) { run signal handlers }
//
// Every sleep is bounded: 20 ms at first, doubling to 320 ms. The bound makes good what a killed process left undone: a
// wake that never came, and a lock that is nobody's. At each bound, and at each signal, the waiting call looks around
// and returns `interrupted`, so that a signal that came between the caller's look and the sleep is seen soon too.
#pragma once

#include <cstdint>

#include "platform/platform.hpp"

namespace interproc {

class Patience {
 public:
  // CLOCK_MONOTONIC; UINT64_MAX = for ever; 0 = do not sleep at all.
  explicit Patience(std::uint64_t deadline_ns) : deadline_ns_(deadline_ns) {}

  enum class Slept {
    changed,      // woken, or the word is no longer what was expected: look again
    ticked,       // the bound: look whether those waited for still live, then return `interrupted`
    interrupted,  // a signal
    timed_out,
  };
  Slept sleep(const Shared32& word, std::uint32_t expected);

  bool is_over() const { return deadline_ns_ != UINT64_MAX && platform::monotonic_ns() >= deadline_ns_; }
  std::uint64_t deadline_ns() const { return deadline_ns_; }

 private:
  std::uint64_t deadline_ns_;
  std::uint32_t ticks_ = 0;
};

}  // namespace interproc
