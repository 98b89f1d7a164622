// WaiterLine: the waiters of one condition, in line, each with a node of its own to sleep on.
//
// The line changes under the cell's guard, each time by one store that counts: of a waiter's place, of its notification,
// of its removal. Whoever takes the guard after a death finishes what is half done: a notified node that is still in line
// goes, and the tail is found anew. A node is marked first and taken out then: a notifier that dies between the two has
// notified it.
#pragma once

#include "pool.hpp"

namespace interproc {

class WaiterLine {
 public:
  // `index` of a condition's cell; `token` of this process, or of a guest.
  WaiterLine(SyncPool& pool, std::uint32_t index, std::uint32_t token)
      : pool_(pool), cell_(*pool.cell<ConditionCell>(index)), index_(index), token_(token) {}

  // Guard not held.
  void append(std::uint32_t node);
  // Takes the node out if it is in line; whether it was notified.
  bool remove(std::uint32_t node);
  // Notifies and wakes the first `count` that live; how many.
  std::uint32_t notify(std::uint32_t count);

 private:
  void enter();
  void leave() { pool_.guard(cell_.guard).release(); }
  void repair();
  WaiterNode* find(std::uint32_t node) const;
  void unlink(std::uint32_t node);
  std::uint32_t length() const;

  SyncPool& pool_;
  ConditionCell& cell_;
  std::uint32_t index_;
  std::uint32_t token_;
};

// A free node, now this process's. ok, too_many_waiters, out_of_memory.
Status claim_waiter(SyncPool& pool, std::uint32_t token, std::uint32_t* node, Fault* fault);
void free_waiter(SyncPool& pool, std::uint32_t node, std::uint32_t token);

// For the sweep, and for a process that leaves: frees the nodes of `gone`, and passes on the notifications that it got
// and did not take. `me` is the caller's token.
void drop_waiters(SyncPool& pool, std::uint32_t gone, std::uint32_t me);

}  // namespace interproc
