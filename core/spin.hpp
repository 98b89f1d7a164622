// Spin: how long to look at a word before falling asleep.
//
// With one usable CPU spinning only keeps the other side from running, so never then. Otherwise at most 20 us, about what
// a wake-up costs, and only where it has paid lately: every endpoint keeps a running share of spins that succeeded; below
// a quarter it stops, and tries again once in 32 sleeps. Never sched_yield: beside a busy neighbour one yield costs
// milliseconds.
#pragma once

#include <atomic>
#include <cstdint>

#include "platform/platform.hpp"

namespace interproc {

// Usable CPUs, asked anew at most every 100 ms.
unsigned recent_usable_cpus(std::uint64_t now_ns);

class Spin {
 public:
  // Spins until `done()` or the budget or the deadline ends. True if `done()` became true.
  template <typename Done>
  bool until(std::uint64_t deadline_ns, Done done) {
    std::uint64_t now_ns = platform::monotonic_ns();
    if (now_ns >= deadline_ns || recent_usable_cpus(now_ns) < 2 || !worth_trying()) return false;
    std::uint64_t end_ns = now_ns + budget_ns < deadline_ns ? now_ns + budget_ns : deadline_ns;
    spins_.fetch_add(1, std::memory_order_relaxed);
    do {
      for (int i = 0; i < 16; i++) {
        if (done()) {
          learn(true);
          return true;
        }
        platform::pause();
      }
    } while (platform::monotonic_ns() < end_ns);
    learn(false);
    return false;
  }

  std::uint64_t spins() const { return spins_.load(std::memory_order_relaxed); }
  std::uint64_t hits() const { return hits_.load(std::memory_order_relaxed); }

 private:
  static constexpr std::uint64_t budget_ns = 20'000;
  static constexpr std::uint32_t full = 1024;  // the share is counted in 1/1024

  bool worth_trying() {
    if (share_.load(std::memory_order_relaxed) >= full / 4) return true;
    return rested_.fetch_add(1, std::memory_order_relaxed) % 32 == 31;
  }
  void learn(bool success) {
    // Threads may overwrite each other's lesson; it is only advice.
    std::uint32_t share = share_.load(std::memory_order_relaxed);
    share_.store(share - share / 8 + (success ? full / 8 : 0), std::memory_order_relaxed);
    if (success) hits_.fetch_add(1, std::memory_order_relaxed);
  }

  std::atomic<std::uint32_t> share_{full};
  std::atomic<std::uint32_t> rested_{0};
  std::atomic<std::uint64_t> spins_{0};
  std::atomic<std::uint64_t> hits_{0};
};

}  // namespace interproc
