#include "event_word.hpp"

#include <algorithm>

namespace interproc {

namespace {
constexpr std::uint64_t watchdog_ns = 100'000'000;
constexpr std::uint64_t watchdog_limit_ns = 1'000'000'000;
}  // namespace

EventWord::Outcome EventWord::sleep(const Registration& mine, std::uint64_t deadline_ns) {
  std::uint64_t bound_ns = std::min(watchdog_limit_ns, watchdog_ns * (1 + std::uint64_t{mine.before_me}));
  std::uint64_t until_ns = std::min(deadline_ns, platform::monotonic_ns() + bound_ns);
  switch (platform::sleep_on(words_.ev, mine.ev, until_ns)) {
    case platform::Sleep::woken:
      return Outcome::woken;
    case platform::Sleep::changed:
      return Outcome::moved;
    case platform::Sleep::interrupted:
      return Outcome::interrupted;
    case platform::Sleep::timed_out:
      break;
  }
  return until_ns == deadline_ns ? Outcome::timed_out : Outcome::interrupted;
}

}  // namespace interproc
