// Atomic operations on numbers in shared memory.
//
// T is an integer of 1, 2, 4 or 8 bytes (uint8_t for a bool), float or double; `at` is aligned to its size. Lock-free, sequentially
// consistent, safe against the death of any process. All that change something return the value before.
// Integers wrap around. Floating-point operations go by value: compare_exchange takes 0.0 and -0.0 for the same and a
// NaN for nothing, and max and min keep a number rather than a NaN.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>

namespace interproc::atomics {

template <typename T>
concept Integer = std::integral<T> && !std::same_as<T, bool>;

template <typename T>
concept Number = Integer<T> || std::same_as<T, float> || std::same_as<T, double>;

namespace detail {

template <std::size_t size>
struct Bits;
template <>
struct Bits<1> {
  using type = std::uint8_t;
};
template <>
struct Bits<2> {
  using type = std::uint16_t;
};
template <>
struct Bits<4> {
  using type = std::uint32_t;
};
template <>
struct Bits<8> {
  using type = std::uint64_t;
};

template <Number T>
using BitsOf = typename Bits<sizeof(T)>::type;

template <Number T>
BitsOf<T>* word(void* at) {
  return static_cast<BitsOf<T>*>(at);
}

template <Number T>
BitsOf<T> bits(T value) {
  return std::bit_cast<BitsOf<T>>(value);
}

// Replaces the value by next(value) in one step.
template <Number T, typename Next>
T update(void* at, Next next) {
  BitsOf<T> seen = __atomic_load_n(word<T>(at), __ATOMIC_RELAXED);
  while (!__atomic_compare_exchange_n(word<T>(at), &seen, bits<T>(next(std::bit_cast<T>(seen))), true, __ATOMIC_SEQ_CST,
                                      __ATOMIC_RELAXED)) {
  }
  return std::bit_cast<T>(seen);
}

}  // namespace detail

template <Number T>
T load(const void* at) {
  return std::bit_cast<T>(__atomic_load_n(static_cast<const detail::BitsOf<T>*>(at), __ATOMIC_SEQ_CST));
}

template <Number T>
void store(void* at, T value) {
  __atomic_store_n(detail::word<T>(at), detail::bits(value), __ATOMIC_SEQ_CST);
}

template <Number T>
T exchange(void* at, T value) {
  return std::bit_cast<T>(__atomic_exchange_n(detail::word<T>(at), detail::bits(value), __ATOMIC_SEQ_CST));
}

// True if the value was `*expected` and is `desired` now; otherwise `*expected` becomes the value.
template <Number T>
bool compare_exchange(void* at, T* expected, T desired) {
  detail::BitsOf<T> seen = __atomic_load_n(detail::word<T>(at), __ATOMIC_SEQ_CST);
  for (;;) {
    T found = std::bit_cast<T>(seen);
    if (!(found == *expected)) {
      *expected = found;
      return false;
    }
    if (__atomic_compare_exchange_n(detail::word<T>(at), &seen, detail::bits(desired), false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST)) {
      return true;
    }
  }
}

template <Number T>
T add(void* at, T value) {
  if constexpr (std::integral<T>) {
    return static_cast<T>(__atomic_fetch_add(detail::word<T>(at), detail::bits(value), __ATOMIC_SEQ_CST));
  } else {
    return detail::update<T>(at, [value](T seen) { return seen + value; });
  }
}

template <Number T>
T sub(void* at, T value) {
  if constexpr (std::integral<T>) {
    return static_cast<T>(__atomic_fetch_sub(detail::word<T>(at), detail::bits(value), __ATOMIC_SEQ_CST));
  } else {
    return detail::update<T>(at, [value](T seen) { return seen - value; });
  }
}

template <Number T>
T max(void* at, T value) {
  return detail::update<T>(at, [value](T seen) { return seen < value || seen != seen ? value : seen; });
}

template <Number T>
T min(void* at, T value) {
  return detail::update<T>(at, [value](T seen) { return value < seen || seen != seen ? value : seen; });
}

template <Integer T>
T bit_and(void* at, T value) {
  return static_cast<T>(__atomic_fetch_and(detail::word<T>(at), detail::bits(value), __ATOMIC_SEQ_CST));
}

template <Integer T>
T bit_or(void* at, T value) {
  return static_cast<T>(__atomic_fetch_or(detail::word<T>(at), detail::bits(value), __ATOMIC_SEQ_CST));
}

template <Integer T>
T bit_xor(void* at, T value) {
  return static_cast<T>(__atomic_fetch_xor(detail::word<T>(at), detail::bits(value), __ATOMIC_SEQ_CST));
}

}  // namespace interproc::atomics
