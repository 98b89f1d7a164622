// Barrier: parties wait until all have arrived; the last runs an action before they go on.
//
//   status = barrier.arrive(&arrival, &patience, &fault);       // again after `interrupted`
//   if (arrival.is_last) run the action, then barrier.release(arrival, &fault) or barrier.abort(&fault);
//   else status = barrier.sleep(arrival, &patience, &fault);    // again after `interrupted`
//
// Rounds follow each other at once: a party of a new round need not wait until all of the last have woken.
// Broken, all waiting ones return `broken`, and so does every arrival until reset(). It breaks when a party gives up in
// sleep(), by abort(), and when one is killed that waits, acts, or was in the last round with one that waits now. A
// party that ends in an orderly way between rounds breaks nothing.
#pragma once

#include "entries.hpp"
#include "object.hpp"
#include "patience.hpp"

namespace interproc {

inline constexpr std::uint32_t most_parties = 0x7fffffff;

class Barrier : public SyncObject {
 public:
  // over_bound unless 0 < parties <= most_parties.
  static Status create(std::uint32_t parties, std::unique_ptr<Barrier>* barrier, Fault* fault);
  static Status attach(std::shared_ptr<SyncPool> pool, std::uint32_t index, std::unique_ptr<Barrier>* barrier,
                       Fault* fault);

  struct Arrival {
    std::uint32_t round = 0;
    std::uint32_t index = 0;  // 0 to parties - 1, in order of arrival
    bool is_last = false;
  };
  // Sleeps only while the action of the round before runs, however long: no deadline counts then. ok, broken,
  // interrupted (not arrived), too_many_participants.
  Status arrive(Arrival* arrival, Patience* patience, Fault* fault);
  // ok = released, broken, timed_out (this party broke the barrier), interrupted.
  Status sleep(const Arrival& arrival, Patience* patience, Fault* fault);
  // For the last, after its action: lets the others go. ok; broken if the barrier broke during the action.
  Status release(const Arrival& arrival, Fault* fault);
  // For a party that leaves sleep() with an exception: no longer counts as arrived, and the others wait on. ok where it
  // was released already; broken.
  Status withdraw(const Arrival& arrival, Fault* fault);

  // ok, too_many_participants.
  Status abort(Fault* fault);
  // Begins a new round; those waiting return `broken`. ok, too_many_participants.
  Status reset(Fault* fault);

  std::uint32_t parties() const { return parties_; }
  std::uint32_t waiting() const;  // arrived in this round; 0 when broken
  bool is_broken() const;

 private:
  Barrier(std::shared_ptr<SyncPool> pool, const CellRun& run, std::uint32_t parties, const CellEntries& entries);
  template <typename Step>
  Status as_party(Fault* fault, Step step);
  Status give_up(const Arrival& arrival, Fault* fault);
  Status outcome(std::uint32_t round) const;

  BarrierCell* cell_;
  std::uint32_t parties_;  // this process's own copies, checked
  CellEntries entries_;
};

// For the sweep: `dead` was killed.
void lose_party(SyncPool& pool, std::uint32_t index, std::uint32_t me, std::uint32_t dead);

}  // namespace interproc
