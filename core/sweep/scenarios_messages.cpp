// Putting and taking, with room and without.
#include "sweep/acts.hpp"
#include "sweep/stage.hpp"

namespace interproc::sweep {

namespace {

// Leaves a free block of that class in its list, behind a queued one.
void leave_free_block(Stage& stage) {
  stage.put({2, small_bytes});
  stage.put({3, small_bytes});
  stage.take();
}

// The arena's pages and two chunks are there, and free.
void warm_up(Stage& stage) {
  for (std::uint32_t i = 0; i < 2 * chunk_slots; i++) stage.put({1, i == 0 ? huge_bytes : inline_bytes});
  for (std::uint32_t i = 0; i < 2 * chunk_slots; i++) stage.take();
}

void add_puts(std::vector<Scenario>& all) {
  const auto consumer = Bystander::consumer;
  all.push_back({.name = "put-inline", .queued = queued(2), .act = putting(puts(1))});
  all.push_back({.name = "put-inline-empty", .start = 3, .act = putting(puts(1))});
  all.push_back({.name = "put-inline-fresh", .act = putting(puts(1))});
  all.push_back({.name = "put-inline-last-of-chunk", .start = 61, .queued = queued(2), .act = putting(puts(1))});
  all.push_back({.name = "put-inline-first-of-chunk", .start = 62, .queued = queued(2), .act = putting(puts(1))});
  all.push_back({.name = "put-inline-across-chunks", .start = last_of_chunk, .act = putting(puts(2))});
  all.push_back({.name = "put-inline-warm-chunk", .prepare = warm_up, .act = putting(puts(1))});
  all.push_back({.name = "put-inline-to-sleeper", .start = 3, .bystander = consumer, .act = putting(puts(1))});
  all.push_back({.name = "put-small", .queued = queued(2), .act = putting(puts(1, small_bytes))});
  all.push_back({.name = "put-small-first-of-chunk", .start = first_of_chunk, .act = putting(puts(1, small_bytes))});
  all.push_back({.name = "put-small-free-block", .prepare = leave_free_block, .act = putting(puts(1, small_bytes))});
  all.push_back({.name = "put-small-warm", .prepare = warm_up, .act = putting(puts(1, small_bytes))});
  all.push_back({.name = "put-small-to-sleeper", .bystander = consumer, .act = putting(puts(1, small_bytes))});
  all.push_back({.name = "put-large", .queued = queued(2), .act = putting(puts(1, large_bytes))});
  all.push_back({.name = "put-large-warm", .prepare = warm_up, .act = putting(puts(1, large_bytes))});
  all.push_back({.name = "put-large-first-of-chunk", .start = first_of_chunk, .act = putting(puts(1, large_bytes))});
  all.push_back({.name = "put-large-to-sleeper", .bystander = consumer, .act = putting(puts(1, large_bytes))});
  all.push_back({.name = "put-huge", .queued = queued(1, large_bytes), .act = putting(puts(1, huge_bytes))});
}

void add_puts_of_many(std::vector<Scenario>& all) {
  Items mixed = puts(5);
  mixed[1].size_bytes = small_bytes;
  mixed[3].size_bytes = large_bytes;
  all.push_back({.name = "put-many", .queued = queued(2), .act = putting_many(puts(5))});
  all.push_back({.name = "put-many-across-chunks", .start = 61, .queued = queued(1), .act = putting_many(puts(5))});
  all.push_back({.name = "put-many-small", .start = 62, .act = putting_many(puts(5, small_bytes))});
  all.push_back({.name = "put-many-mixed", .start = 61, .act = putting_many(mixed)});
  all.push_back({.name = "put-many-to-sleeper", .bystander = Bystander::consumer, .act = putting_many(puts(5))});
  all.push_back({.name = "put-many-fills-and-sleeps",
                 .options = bounded(4),
                 .queued = queued(1),
                 .act = sleepy(putting_many(puts(5)))});
}

void add_full(std::vector<Scenario>& all) {
  all.push_back(
      {.name = "put-full-sleeps", .options = bounded(4), .queued = queued(4), .act = sleepy(putting(puts(1)))});
  all.push_back({.name = "put-full-sleeps-behind-another",
                 .options = bounded(4),
                 .queued = queued(4),
                 .bystander = Bystander::producer,
                 .act = sleepy(putting(puts(1, small_bytes)))});
  all.push_back({.name = "put-full-large-sleeps",
                 .options = bounded(4),
                 .queued = queued(4),
                 .act = sleepy(putting(puts(1, large_bytes)))});
  all.push_back({.name = "put-full-woken",
                 .options = bounded(4),
                 .queued = queued(4),
                 .when_asleep =
                     [](Stage& stage) {
                       stage.start_bystander(Bystander::producer);
                       stage.take();
                     },
                 .act = putting(puts(1))});
  all.push_back({.name = "put-full-times-out",
                 .options = bounded(4),
                 .queued = queued(4),
                 .bystander = Bystander::producer,
                 .act = {.puts = puts(1), .operation = [](Actor& actor) { actor.put(1); }}});
  all.push_back({.name = "put-no-memory-sleeps",
                 .options = narrow(),
                 .queued = queued(2, large_bytes),
                 .act = sleepy(putting(puts(1, narrow_fit_bytes)))});
}

void add_gets(std::vector<Scenario>& all) {
  all.push_back({.name = "get-inline", .start = 3, .queued = queued(3), .act = getting()});
  all.push_back({.name = "get-inline-only-one", .queued = queued(1), .act = getting()});
  all.push_back({.name = "get-inline-last-of-chunk", .start = last_of_chunk, .queued = queued(1), .act = getting()});
  all.push_back({.name = "get-inline-ends-chunk", .start = last_of_chunk, .queued = queued(3), .act = getting()});
  all.push_back({.name = "get-inline-first-of-chunk", .start = first_of_chunk, .queued = queued(3), .act = getting()});
  all.push_back({.name = "get-small", .queued = queued(1, small_bytes), .act = getting()});
  all.push_back({.name = "get-small-of-three", .queued = queued(3, small_bytes), .act = getting()});
  all.push_back(
      {.name = "get-small-ends-chunk", .start = last_of_chunk, .queued = queued(3, small_bytes), .act = getting()});
  all.push_back({.name = "get-large", .queued = queued(1, large_bytes), .act = getting()});
  all.push_back({.name = "get-large-of-three", .queued = queued(3, large_bytes), .act = getting()});
  all.push_back({.name = "get-huge", .queued = queued(2, huge_bytes), .act = getting()});
  all.push_back({.name = "get-frees-sleeper",
                 .options = bounded(4),
                 .queued = queued(4),
                 .bystander = Bystander::producer,
                 .act = getting()});
  all.push_back({.name = "get-large-frees-memory",
                 .options = narrow(),
                 .queued = queued(2, large_bytes),
                 .bystander = Bystander::producer,
                 .bystander_puts = {301, narrow_fit_bytes},
                 .act = getting()});
  all.push_back({.name = "get-many", .queued = queued(7), .act = getting_many(5)});
  all.push_back({.name = "get-many-ends-chunk", .start = 60, .queued = queued(6), .act = getting_many(5)});
  all.push_back({.name = "get-many-small", .start = 59, .queued = queued(6, small_bytes), .act = getting_many(5)});
  all.push_back({.name = "get-many-frees-sleeper",
                 .options = bounded(4),
                 .queued = queued(4),
                 .bystander = Bystander::producer,
                 .act = getting_many(5)});
}

void add_empty(std::vector<Scenario>& all) {
  all.push_back({.name = "get-empty-sleeps", .act = sleepy(getting())});
  all.push_back({.name = "get-empty-sleeps-behind-another",
                 .start = 5,
                 .bystander = Bystander::consumer,
                 .act = sleepy(getting())});
  all.push_back({.name = "get-empty-woken",
                 .when_asleep =
                     [](Stage& stage) {
                       stage.start_bystander(Bystander::consumer);
                       stage.put({2, small_bytes});
                     },
                 .act = getting()});
  all.push_back({.name = "get-empty-times-out",
                 .bystander = Bystander::consumer,
                 .act = {.takes = 1, .operation = [](Actor& actor) { actor.get(1); }}});
}

}  // namespace

void add_puts_and_gets(std::vector<Scenario>& all) {
  add_puts(all);
  add_puts_of_many(all);
  add_full(all);
  add_gets(all);
  add_empty(all);
}

}  // namespace interproc::sweep
