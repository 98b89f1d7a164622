// Scenario: an operation, the state of the channel it meets, and what survivors may find after a death inside it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sweep/item.hpp"
#include "view.hpp"

namespace interproc::sweep {

class Stage;

// The least a channel takes: 128 chunks of slots and 1 MiB for blocks.
inline constexpr std::uint64_t little_memory = std::uint64_t{1} << 20;

// What a victim has at hand. Made before the first mark, so that nothing is allocated between the marks.
struct Actor {
  std::shared_ptr<Channel> channel;
  std::vector<std::unique_ptr<Outgoing>> outgoing;  // the act's puts
  std::vector<Message> messages;                    // the same, for put_many
  std::uint8_t buffer[8 * copy_under_lock_bytes];
  Received received[8];
  std::size_t received_count = 0;
  StreamPut stream;
  std::shared_ptr<View> view;
  Fault fault;

  void put(std::uint64_t deadline_ns = no_deadline);  // all of them, one by one
  void put_many();                                    // all of them at once
  void put_stream();                                  // the first
  void get(std::uint64_t deadline_ns = no_deadline);  // one, kept in `received`
  void get_many(std::size_t limit);
  void read_stream(std::uint64_t size_bytes);  // so much of what get() received
  void finish_stream();
  void release();    // the blocks of what was received
  void make_view();  // of the first
};

// One process's part that ends in a kill.
struct Act {
  std::vector<Item> puts{};   // what it may add: a prefix of these
  std::size_t takes = 0;      // how many messages it may take at most
  std::size_t finishes = 0;   // how many task_done() it calls at most
  bool joins_inside = false;  // its operation is the first thing it does with the channel
  bool ends_asleep = false;   // the operation is followed to its first sleep
  void (*before)(Actor&) = nullptr;
  void (*operation)(Actor&) = nullptr;
};

// A process that sleeps in the channel when the victim is killed.
enum class Bystander { none, consumer, producer, joiner };

struct Scenario {
  std::string name;
  ChannelOptions options{.max_items = 0, .max_bytes = 0, .virtual_bytes = little_memory};
  std::uint64_t start = 0;       // messages that went through before
  std::uint64_t unfinished = 0;  // of these, for how many task_done() was not called
  std::vector<Item> queued{};    // in the line when the victim begins
  Bystander bystander = Bystander::none;
  Item bystander_puts{301, inline_bytes};
  bool armed = false;     // the stage watches the doorbell
  bool lifeline = false;  // which is a pipe of its own making
  bool may_shut_down = false;
  void (*prepare)(Stage&) = nullptr;      // whatever else the state needs
  void (*when_asleep)(Stage&) = nullptr;  // runs when the victim first sleeps, to wake it
  Act act{};
  std::vector<Act> again{};  // further victims, each of which meets what those before it left behind

  // What all acts may do together.
  std::size_t takes() const { return sum(&Act::takes); }
  std::size_t finishes() const { return sum(&Act::finishes); }
  std::size_t sum(std::size_t Act::* what) const {
    std::size_t result = act.*what;
    for (const Act& each : again) result += each.*what;
    return result;
  }
};

std::vector<Scenario> scenarios();
// Broken on purpose: the sweep must find each of them.
std::vector<Scenario> mutants();

}  // namespace interproc::sweep
