#include "patience.hpp"

#include <algorithm>

namespace interproc {

namespace {
constexpr std::uint64_t first_tick_ns = 20'000'000;
constexpr std::uint32_t most_doublings = 4;
}  // namespace

Patience::Slept Patience::sleep(const Shared32& word, std::uint32_t expected) {
  std::uint64_t bound_ns = platform::monotonic_ns() + (first_tick_ns << std::min(ticks_, most_doublings));
  std::uint64_t until_ns = std::min(deadline_ns_, bound_ns);
  switch (platform::sleep_on(word, expected, until_ns)) {
    case platform::Sleep::woken:
    case platform::Sleep::changed:
      return Slept::changed;
    case platform::Sleep::interrupted:
      return Slept::interrupted;
    case platform::Sleep::timed_out:
      break;
  }
  if (until_ns == deadline_ns_) return Slept::timed_out;
  ticks_++;
  return Slept::ticked;
}

}  // namespace interproc
