// Stage: a fresh channel in the state of a scenario, with everybody but the victim and the survivor.
#pragma once

#include <sys/types.h>

#include <deque>
#include <memory>

#include "sweep/scenario.hpp"

namespace interproc::sweep {

// What the processes of one kill tell each other. Lies in memory that all of them share.
struct Report {
  Shared32 bystander_ready;  // about to fall asleep; only of synchronisation objects
  Shared32 bystander_done;
  Status bystander_status;
  Item bystander_item;  // what the consumer got
  const char* doing;    // the survivor's present check; the text lies at the same address in every fork
  char failure[256];
};

class Stage {
 public:
  Stage(const Scenario& scenario, Report& report);
  ~Stage();
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  const Scenario& scenario() const { return scenario_; }
  Report& report() const { return report_; }
  Channel& channel() { return *channel_; }
  ChannelMemory& memory();
  const std::shared_ptr<Segment>& segment() const { return segment_; }
  int doorbell() const { return doorbell_; }  // -1 unless armed
  std::vector<Item> line() const {
    return {line_.begin(), line_.end()};
  }  // what was put and not taken before the victim came
  std::uint64_t unfinished() const { return unfinished_; }  // messages taken without task_done()
  Bystander bystander() const { return bystander_kind_; }

  // A view of the channel as every process of this stage has it.
  std::unique_ptr<Channel> open_channel(const std::shared_ptr<Segment>& segment) const;

  // Never sleeps.
  void put(Item item);
  void put_lent(Item item);  // with a lent block
  void take();               // the next message, and drops it
  void finish();             // task_done()
  // A process joins, takes the next message and dies with it.
  void lose_consumer();
  // The victim sleeps: lets happen what the scenario has in store for that. False the second time.
  bool provoke();
  // The channel cannot be trusted any more: not even to leave it.
  void abandon() { static_cast<void>(channel_.release()); }
  // Starts it and waits until it sleeps in the channel.
  void start_bystander(Bystander kind);

 private:
  void arm();
  void run_bystander(Bystander kind);
  bool bystander_is_registered(Bystander kind);

  const Scenario& scenario_;
  Report& report_;
  std::shared_ptr<Segment> segment_;
  std::unique_ptr<Channel> channel_;
  std::deque<Item> line_;
  Bystander bystander_kind_ = Bystander::none;
  pid_t bystander_ = 0;
  int doorbell_ = -1;
  int lifeline_[2] = {-1, -1};
  bool provoked_ = false;
  std::uint64_t unfinished_ = 0;
};

// For what cannot fail unless the machine is out of something: says so and ends the process.
[[noreturn]] void give_up(const char* doing, const Fault& fault);

}  // namespace interproc::sweep
