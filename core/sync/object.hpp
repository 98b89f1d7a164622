// SyncObject: this process's hold on the cells of one synchronisation object; base of OwnedLock and its kin.
//
// Any thread may call anything on an object at any time, but for making and destroying it. Only calls that take a
// Patience may sleep, and only they return timed_out or interrupted. After a fork the child goes on using its copy.
// A handle to it is the identity of segment() and index(); attach() of the same class takes these two.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <new>

#include "allocator.hpp"
#include "attempt.hpp"
#include "pool.hpp"

namespace interproc {

class SyncObject {
 public:
  const std::shared_ptr<Segment>& segment() const { return pool_->segment(); }
  const std::shared_ptr<SyncPool>& pool() const { return pool_; }
  std::uint32_t index() const { return run_.index; }

  // Call it before a handle to the object leaves: from then on its cells are never used for another object.
  void mark_exported() { exported_.store(true, std::memory_order_relaxed); }

  SyncObject(const SyncObject&) = delete;
  SyncObject& operator=(const SyncObject&) = delete;

 protected:
  // Made here if the run has a kind, attached otherwise.
  SyncObject(std::shared_ptr<SyncPool> pool, const CellRun& run) : pool_(std::move(pool)), run_(run) {}
  ~SyncObject() {
    if (run_.kind != CellKind::free && !exported_.load(std::memory_order_relaxed)) give_back_cells(*pool_, run_);
  }

  // False, and the cells come back, where memory was out.
  template <typename Object>
  static bool make(Object* made, const SyncPool& pool, const CellRun& run, std::unique_ptr<Object>* object) {
    if (made == nullptr) give_back_cells(pool, run);
    object->reset(made);
    return made != nullptr;
  }

  // Whether there is an object of this kind at `index`. bad_segment.
  static Status check(const SyncPool& pool, std::uint32_t index, CellKind kind, Fault* fault);

  std::shared_ptr<SyncPool> pool_;

 private:
  CellRun run_;
  std::atomic<bool> exported_{false};
};

}  // namespace interproc
