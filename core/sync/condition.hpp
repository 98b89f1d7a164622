// Condition: waiters in line, woken first come first served. Exact: notify(n) wakes the first n that wait, no other.
//
// The user's lock is the caller's affair. A wait is four steps:
//
//   Ticket ticket;
//   condition.enter(&ticket, &fault);                        // lock held
//   lock.release_all(thread, &depth);
//   status = condition.sleep(ticket, &patience);              // again after `interrupted`
//   lock.restore(thread, depth, ...);
//   bool notified = condition.leave(&ticket);                 // always; see there
//
// notify() never waits for those it notifies. A waiter that was killed is passed over, also one that was notified and
// killed before it left: its notification goes to the next.
#pragma once

#include "object.hpp"
#include "patience.hpp"

namespace interproc {

class Condition : public SyncObject {
 public:
  static Status create(std::unique_ptr<Condition>* condition, Fault* fault);
  static Status attach(std::shared_ptr<SyncPool> pool, std::uint32_t index, std::unique_ptr<Condition>* condition,
                       Fault* fault);

  // A place in line.
  struct Ticket {
    std::uint32_t node = no_node;
    std::uint32_t token = 0;
  };
  // Never sleeps. ok, too_many_participants, too_many_waiters, out_of_memory.
  Status enter(Ticket* ticket, Fault* fault);
  // ok = notified, timed_out, interrupted. At once where the notification is there already.
  Status sleep(const Ticket& ticket, Patience* patience);
  // Gives the place up, and says whether a notification had come by then, which the caller now has: also after timed_out
  // or interrupted it may. Who cannot use it (it raises an exception) passes it on with notify(1).
  bool leave(Ticket* ticket);

  // Wakes the first `count` waiters, UINT32_MAX = all that wait now; `*notified` = how many. Never sleeps. Fails only
  // where there are waiters: too_many_participants.
  Status notify(std::uint32_t count, std::uint32_t* notified, Fault* fault) {
    *notified = 0;
    if (!has_waiters()) return Status::ok;  // the user's lock, which both hold, orders this load after enter()
    return notify_waiters(count, notified, fault);
  }
  bool has_waiters() const { return cell_->head.load(std::memory_order_relaxed) != no_node; }

 private:
  Condition(std::shared_ptr<SyncPool> pool, const CellRun& run);
  Status notify_waiters(std::uint32_t count, std::uint32_t* notified, Fault* fault);

  ConditionCell* cell_;
};

}  // namespace interproc
