// Fault points: in builds with INTERPROC_FAULTS, what the system or the timing may do to us, made to happen.
//
//   faults::Rule rule(faults::Point::system_call, 3);        // the third from now on fails, once
//   faults::Rule rule(faults::Point::dropped_wake, 1, 100);  // the next hundred are not issued
//
// Everywhere else `enabled` is false and nothing of it is left: not a load, not a byte.
#pragma once

#include <cerrno>
#include <cstdint>

#if defined(INTERPROC_FAULTS)
#include <atomic>
#endif

namespace interproc::faults {

enum class Point {
  system_call,   // fails with ENOMEM
  short_ring,    // no chunk of slots is to be had
  delayed_wake,  // a wake comes late
  dropped_wake,  // a wake does not come
  count,
};

#if defined(INTERPROC_FAULTS)

inline constexpr bool enabled = true;
inline constexpr std::uint64_t delay_ns = 5'000'000;

struct State {
  std::atomic<std::int64_t> until{0};  // how many pass before the first that is hit
  std::atomic<std::int64_t> left{0};   // how many are hit then
  std::atomic<std::uint64_t> passed{0};
};
inline State states[static_cast<int>(Point::count)];

inline bool hit(Point point) {
  State& state = states[static_cast<int>(point)];
  state.passed.fetch_add(1, std::memory_order_relaxed);
  if (state.left.load(std::memory_order_relaxed) <= 0) return false;
  if (state.until.fetch_sub(1, std::memory_order_relaxed) > 0) return false;
  return state.left.fetch_sub(1, std::memory_order_relaxed) > 0;
}

// For the time it lives. One for each point at a time; forked children inherit it.
class Rule {
 public:
  // The `number`th from now on is hit (1 = the next), and `times - 1` after it.
  Rule(Point point, std::int64_t number, std::int64_t times = 1) : state_(states[static_cast<int>(point)]) {
    state_.until.store(number - 1, std::memory_order_relaxed);
    state_.passed.store(0, std::memory_order_relaxed);
    state_.left.store(times, std::memory_order_relaxed);
    times_ = times;
  }
  ~Rule() { state_.left.store(0, std::memory_order_relaxed); }
  Rule(const Rule&) = delete;
  Rule& operator=(const Rule&) = delete;
  bool has_hit() const { return state_.left.load(std::memory_order_relaxed) < times_; }
  std::uint64_t passed() const { return state_.passed.load(std::memory_order_relaxed); }

 private:
  State& state_;
  std::int64_t times_;
};

#else

inline constexpr bool enabled = false;
constexpr bool hit(Point) { return false; }

#endif

// A system call whose failure is -1 and errno.
template <typename Call>
constexpr auto call(Call make) -> decltype(make()) {
  if (hit(Point::system_call)) {
    errno = ENOMEM;
    return (decltype(make()))(-1);
  }
  return make();
}

}  // namespace interproc::faults
