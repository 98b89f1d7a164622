// SyncStage: a fresh pool with one object of each kind, in the state of a scenario, and who looks at it after the kill.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "heap.hpp"
#include "sweep/stage.hpp"
#include "sync/barrier.hpp"
#include "sync/condition.hpp"
#include "sync/event.hpp"
#include "sync/owned_lock.hpp"
#include "sync/semaphore.hpp"

namespace interproc::sweep {

class SyncStage;

struct SyncScenario {
  std::string name;
  bool joins_inside = false;                  // the operation is the first thing the victim does with the pool
  bool ends_asleep = false;                   // the operation is followed to its first sleep
  bool bystander_comes_first = false;         // else when the victim is ready
  void (*prepare)(SyncStage&) = nullptr;      // by the stage
  void (*bystand)(SyncStage&) = nullptr;      // by a process that sleeps in it when the victim begins
  void (*before)(SyncStage&) = nullptr;       // by the victim
  void (*operation)(SyncStage&) = nullptr;    // by the victim; it is killed in it
  void (*when_asleep)(SyncStage&) = nullptr;  // by the stage, when the victim first sleeps, to wake it
  void (*help)(SyncStage&) = nullptr;         // by the survivor, at least once and until the bystander is done
};

std::vector<SyncScenario> sync_scenarios();
// Broken on purpose: the sweep must find each of them.
std::vector<SyncScenario> sync_mutants();

inline constexpr std::uint32_t staged_permits = 3;  // of both semaphores, at most and at first
inline constexpr std::uint32_t staged_parties = 2;
inline constexpr std::int64_t staged_additions = 3;

class SyncStage {
 public:
  SyncStage(const SyncScenario& scenario, Report& report);
  ~SyncStage();
  SyncStage(const SyncStage&) = delete;
  SyncStage& operator=(const SyncStage&) = delete;

  // The victim has come to its mark.
  void victim_is_ready();
  // A forked process that finds out whether anything is wrong; if so `report.failure` says what.
  bool survives(unsigned limit_seconds);
  // The victim sleeps: lets happen what the scenario has in store for that. False the second time.
  bool provoke();
  // A process does this and dies.
  void lose(void (*act)(SyncStage&));

  const SyncScenario& scenario;
  Report& report;
  std::unique_ptr<OwnedLock> lock;
  std::unique_ptr<Semaphore> plain;
  std::unique_ptr<Semaphore> tracked;
  std::unique_ptr<Condition> condition;
  std::unique_ptr<Event> event;
  std::unique_ptr<Barrier> barrier;
  std::unique_ptr<HeapBlock> block;  // two numbers: what was added, and its opposite
  std::uint32_t token = 0;           // of the stage
  Condition::Ticket ticket;          // of this process
  Barrier::Arrival arrival;          // of this process
  Fault fault;
  SyncPool& pool() { return *lock->pool(); }

  // Operations to the end, however often they are interrupted. The deadline is that of the survivor, or none.
  Status acquire();
  Status acquire(Semaphore& semaphore);
  Status sleep();
  Status wait();
  Status pass();
  std::uint64_t deadline_ns = UINT64_MAX;

 private:
  void start_bystander();
  void survive();
  void settle_bystander();
  void check_books();
  void check_use();
  [[noreturn]] void fail(const char* what, std::uint64_t value);
  void require(bool holds, const char* what, std::uint64_t value = 0) {
    if (!holds) fail(what, value);
  }

  pid_t bystander_ = 0;
  bool provoked_ = false;
};

}  // namespace interproc::sweep
