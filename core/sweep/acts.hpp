// What scenarios are made of: lines of messages, and acts upon them.
#pragma once

#include <utility>

#include "sweep/scenario.hpp"

namespace interproc::sweep {

using Items = std::vector<Item>;

inline constexpr std::uint64_t last_of_chunk = chunk_slots - 1;
inline constexpr std::uint64_t first_of_chunk = chunk_slots;

inline Items queued(std::size_t count, std::uint32_t size_bytes = inline_bytes) {
  Items items;
  for (std::size_t i = 0; i < count; i++) items.push_back({2 + static_cast<std::uint32_t>(i), size_bytes});
  return items;
}

inline Items puts(std::size_t count, std::uint32_t size_bytes = inline_bytes) {
  Items items;
  for (std::size_t i = 0; i < count; i++) items.push_back({101 + static_cast<std::uint32_t>(i), size_bytes});
  return items;
}

inline ChannelOptions bounded(std::uint64_t max_items) {
  return {.max_items = max_items, .max_bytes = 0, .virtual_bytes = little_memory};
}

// The least memory a channel may have: 48 KiB go as a stream, in pieces of 4 KiB, and a little less fits beside one
// large message but not beside two.
inline constexpr std::uint64_t narrow_bytes = 64 * 1024;
inline constexpr std::uint32_t stream_bytes = 48 * 1024;
inline constexpr std::uint32_t narrow_fit_bytes = 48'000;
inline ChannelOptions narrow() { return {.max_items = 0, .max_bytes = narrow_bytes, .virtual_bytes = little_memory}; }

inline ChannelOptions with(TaskPolicy tasks) {
  return {.max_items = 0, .max_bytes = 0, .virtual_bytes = little_memory, .tasks = tasks};
}

inline Act putting(Items items) {
  return {.puts = std::move(items), .operation = [](Actor& actor) { actor.put(); }};
}

inline Act putting_many(Items items) {
  return {.puts = std::move(items), .operation = [](Actor& actor) { actor.put_many(); }};
}

inline Act getting() {
  return {.takes = 1, .operation = [](Actor& actor) {
            actor.get();
            actor.release();
          }};
}

inline Act getting_many(std::size_t count) {
  return {.takes = count, .operation = [](Actor& actor) {
            actor.get_many(5);
            actor.release();
          }};
}

inline Act sleepy(Act act) {
  act.ends_asleep = true;
  return act;
}

inline Act after(void (*before)(Actor&), Act act) {
  act.before = before;
  return act;
}

inline void take_one(Actor& actor) { actor.get(); }
inline void view_one(Actor& actor) {
  actor.get();
  actor.make_view();
}

// A put and a get of its own: this process has opened the doorbell.
inline void ring_once(Actor& actor) {
  Outgoing outgoing({1, inline_bytes});
  actor.channel->put(outgoing.message(), {no_deadline}, &actor.fault);
  actor.get();
  actor.channel->task_done(&actor.fault);
}

inline void arm(Actor& actor) {
  int fd = -1;
  actor.channel->arm(&fd, &actor.fault);
}

// All that is put takes a lent block along.
inline void lend_all(Actor& actor) {
  for (std::size_t i = 0; i < actor.outgoing.size(); i++) {
    actor.outgoing[i]->take_along(*actor.channel, &actor.fault);
    actor.messages[i] = actor.outgoing[i]->message();
  }
}

// The parts of scenarios().
void add_puts_and_gets(std::vector<Scenario>& all);
void add_leases(std::vector<Scenario>& all);
void add_lent(std::vector<Scenario>& all);
void add_states(std::vector<Scenario>& all);
void add_deaths_in_a_row(std::vector<Scenario>& all);

}  // namespace interproc::sweep
