// Event: a flag that can be waited for.
//
// is_set, set and clear are lock-free, take no place in any table and may be called in a signal handler.
#pragma once

#include "object.hpp"
#include "patience.hpp"

namespace interproc {

class Event : public SyncObject {
 public:
  static Status create(std::unique_ptr<Event>* event, Fault* fault);
  static Status attach(std::shared_ptr<SyncPool> pool, std::uint32_t index, std::unique_ptr<Event>* event,
                       Fault* fault);

  bool is_set() const { return (cell_->word.load(std::memory_order_acquire) & set_bit) != 0; }  // pairs: event-set
  // Wakes all that wait: those return though it be cleared at once.
  void set() {
    std::uint32_t seen = cell_->word.load(std::memory_order_relaxed);
    // Also where it is set: what the caller wrote before must be seen by who finds it set.
    while (!cell_->word.compare_exchange_weak(seen, after_set(seen), std::memory_order_acq_rel,  // pairs: event-set
                                              std::memory_order_relaxed)) {
    }
    if (seen & platform::waiters_bit) [[unlikely]]
      platform::wake(cell_->word, INT32_MAX);
  }
  void clear() { cell_->word.fetch_and(~set_bit, std::memory_order_acq_rel); }

  // What a wait begins with; keep it while the wait is interrupted.
  std::uint32_t begin() const { return cell_->word.load(std::memory_order_acquire); }
  // ok if it is set or was at any time since `begun`. Otherwise timed_out, interrupted.
  Status wait(std::uint32_t begun, Patience* patience);

 private:
  Event(std::shared_ptr<SyncPool> pool, const CellRun& run);
  static constexpr std::uint32_t set_bit = 1;
  static constexpr std::uint32_t count_mask = 0x7ffffffe;
  static constexpr std::uint32_t one_time = 2;
  static constexpr std::uint32_t after_set(std::uint32_t seen) {
    std::uint32_t count = (seen & set_bit) != 0 ? seen & count_mask : (seen + one_time) & count_mask;
    return count | set_bit;
  }

  EventCell* cell_;
};

}  // namespace interproc
