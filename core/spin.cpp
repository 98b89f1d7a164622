#include "spin.hpp"

namespace interproc {

unsigned recent_usable_cpus(std::uint64_t now_ns) {
  static std::atomic<std::uint64_t> asked_ns{0};
  static std::atomic<unsigned> cpus{1};
  constexpr std::uint64_t fresh_ns = 100'000'000;
  std::uint64_t last_ns = asked_ns.load(std::memory_order_relaxed);
  if (last_ns == 0 || now_ns - last_ns > fresh_ns) {
    cpus.store(platform::usable_cpus(), std::memory_order_relaxed);
    asked_ns.store(now_ns, std::memory_order_relaxed);
  }
  return cpus.load(std::memory_order_relaxed);
}

}  // namespace interproc
