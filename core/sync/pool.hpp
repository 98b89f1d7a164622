// SyncPool: a segment of synchronisation objects, seen by this process.
//
// There is one SyncPool per segment and process, however often the segment was attached: a process is one owner. It
// joins as a participant with its first operation that needs a name (reading needs none), again after a fork, and leaves
// when the last object on the pool goes, or with leave_all() when the process ends in an orderly way. Who is still in
// the table when its process is gone was killed: sweep.cpp cleans up after it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "cells.hpp"
#include "lock.hpp"
#include "segment.hpp"
#include "status.hpp"

namespace interproc {

class SyncPool {
 public:
  // The pool on this segment. Where this process has one already, that one, and `segment` is dropped. bad_segment for a
  // segment of another kind.
  static Status attach(std::shared_ptr<Segment> segment, std::shared_ptr<SyncPool>* pool, Fault* fault);
  // A new segment, made by this process. Faults of Segment::create_plain.
  static Status create(std::shared_ptr<SyncPool>* pool, Fault* fault);
  ~SyncPool();
  SyncPool(const SyncPool&) = delete;
  SyncPool& operator=(const SyncPool&) = delete;

  // Leaves all pools of this process: for its orderly end, as late as can be. What it holds stays held, and anybody may
  // release it; without this call it would count as killed. A later operation joins again.
  static void leave_all();
  void leave();

  const std::shared_ptr<Segment>& segment() const { return segment_; }

  // This process's token; joins where it has none yet. ok, too_many_participants.
  Status join(std::uint32_t* token, Fault* fault) {
    *token = joined();
    if (*token != 0) [[likely]]
      return Status::ok;
    return join_now(token, fault);
  }
  // 0 where this process has not joined.
  std::uint32_t joined() const {
    std::uint64_t mine = membership_.load(std::memory_order_acquire);
    return (mine >> token_bits) == platform::process_epoch() ? static_cast<std::uint32_t>(mine) & token_mask : 0;
  }

  // --- the dead ----------------------------------------------------------------------------------------------------
  // For waiters, at every tick. Looks for dead participants and sweeps them; who comes too early after the last look of
  // any process leaves it to the next: all looks together take a hundredth of one processor at most.
  void look_for_dead();
  // Looks now.
  void sweep_dead();
  // Cleans up after the participant `token` if its process is dead; true if it was. May wait for the guards of cells.
  bool sweep_if_dead(std::uint32_t token);

  // --- the parts, for the objects ------------------------------------------------------------------------------------
  template <typename Kind>
  Kind* cell(std::uint32_t index) const {
    return reinterpret_cast<Kind*>(segment_->base() + sync_cells_at + std::uint64_t{index} * sizeof(Cell));
  }
  std::uint32_t cells_made() const;  // never more than sync_cells
  std::uint32_t nodes_made() const;  // never more than sync_nodes
  WaiterNode& node(std::uint32_t index) const {
    return reinterpret_cast<WaiterNode*>(segment_->base() + sync_nodes_at)[index];
  }
  SyncControl& control() const { return *reinterpret_cast<SyncControl*>(segment_->base() + sync_control_at); }
  Participant* participants() const { return reinterpret_cast<Participant*>(segment_->base() + sync_participants_at); }
  Lock guard(Shared32& word) const { return Lock(word, lock_kind_, participants()); }
  LockKind lock_kind() const { return lock_kind_; }
  std::atomic<std::uint32_t>& node_hint() { return node_hint_; }  // where a free node was seen last

 private:
  static constexpr std::uint32_t token_bits = 30;
  static constexpr std::uint32_t token_mask = (1u << token_bits) - 1;

  SyncPool(std::shared_ptr<Segment> segment, LockKind lock_kind)
      : segment_(std::move(segment)), lock_kind_(lock_kind) {}
  Status join_now(std::uint32_t* token, Fault* fault);

  std::shared_ptr<Segment> segment_;
  LockKind lock_kind_;
  std::atomic<std::uint64_t> membership_{0};  // epoch << 30 | token: this process's, not its parent's
  std::atomic<std::uint32_t> node_hint_{1};
};

}  // namespace interproc
