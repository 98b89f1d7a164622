// Uses: how many threads are inside an object's methods. The last one out of a closed object tears it down, so that
// nothing vanishes under a thread that sleeps without the GIL.
#pragma once

#include <atomic>
#include <cstdint>

#include "platform/platform.hpp"
#include "python.hpp"

namespace interproc::binding {

class Uses {
 public:
  void open() { word_.store(0, std::memory_order_relaxed); }
  bool is_closed() const { return (word_.load(std::memory_order_relaxed) & closed_bit) != 0; }
  bool is_shared() const { return word_.load(std::memory_order_relaxed) >= 2 * one_use; }

  bool begin() {
    if (is_closed()) return false;
    std::uint64_t epoch = platform::process_epoch();
    if (epoch != epoch_) [[unlikely]] {
      epoch_ = epoch;
      word_.store(0, std::memory_order_relaxed);  // after a fork: the other threads are the parent's
    }
    add(one_use);
    return true;
  }
  // True: nobody is inside any more and the object is closed.
  bool end() { return add(0u - one_use) == closed_bit; }
  // For somebody inside.
  void close() {
    if (!is_closed()) add(closed_bit);
  }

 private:
  static constexpr std::uint32_t closed_bit = 1;
  static constexpr std::uint32_t one_use = 2;

  std::uint32_t add(std::uint32_t difference) {
#ifdef Py_GIL_DISABLED
    return word_.fetch_add(difference, std::memory_order_acq_rel) + difference;
#else
    std::uint32_t sum = word_.load(std::memory_order_relaxed) + difference;
    word_.store(sum, std::memory_order_relaxed);
    return sum;
#endif
  }

  std::atomic<std::uint32_t> word_{closed_bit};
  std::uint64_t epoch_ = 0;
};

// A method's stay inside an object. Converts to false, and does nothing, where the object is closed.
template <typename Object>
class Stay {
 public:
  explicit Stay(Object* object) : object_(object->uses.begin() ? object : nullptr) {}
  ~Stay() {
    if (object_ == nullptr || !object_->uses.end()) return;
    Ref error = take_raised();
    object_->tear_down();
    if (error) raise_again(std::move(error));
  }
  Stay(const Stay&) = delete;
  Stay& operator=(const Stay&) = delete;
  explicit operator bool() const { return object_ != nullptr; }

 private:
  Object* object_;
};

}  // namespace interproc::binding
