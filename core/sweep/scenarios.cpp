#include "sweep/scenario.hpp"

#include "sweep/access.hpp"
#include "sweep/stage.hpp"

namespace interproc::sweep {

namespace {

using Items = std::vector<Item>;

constexpr std::uint64_t last_of_chunk = chunk_slots - 1;
constexpr std::uint64_t first_of_chunk = chunk_slots;

Items queued(std::size_t count, std::uint32_t size_bytes = inline_bytes) {
  Items items;
  for (std::size_t i = 0; i < count; i++) items.push_back({2 + static_cast<std::uint32_t>(i), size_bytes});
  return items;
}

Items puts(std::size_t count, std::uint32_t size_bytes = inline_bytes) {
  Items items;
  for (std::size_t i = 0; i < count; i++) items.push_back({101 + static_cast<std::uint32_t>(i), size_bytes});
  return items;
}

ChannelOptions bounded(std::uint64_t max_items) {
  return {.max_items = max_items, .max_bytes = 0, .virtual_bytes = little_memory};
}

// So little that 8 KiB have to go as a stream, in pieces of a kilobyte and a half.
constexpr std::uint64_t narrow_bytes = 3 * chunk_bytes;
constexpr std::uint32_t stream_bytes = 8 * 1024;
ChannelOptions narrow() { return {.max_items = 0, .max_bytes = narrow_bytes, .virtual_bytes = little_memory}; }

Act putting(Items items) {
  return {.puts = std::move(items), .operation = [](Actor& actor) { actor.put(); }};
}

Act putting_many(Items items) {
  return {.puts = std::move(items), .operation = [](Actor& actor) { actor.put_many(); }};
}

Act getting() {
  return {.takes = 1, .operation = [](Actor& actor) {
            actor.get();
            actor.release();
          }};
}

Act getting_many(std::size_t count) {
  return {.takes = count, .operation = [](Actor& actor) {
            actor.get_many(5);
            actor.release();
          }};
}

Act sleepy(Act act) {
  act.ends_asleep = true;
  return act;
}

Act after(void (*before)(Actor&), Act act) {
  act.before = before;
  return act;
}

void take_one(Actor& actor) { actor.get(); }

// A put and a get of its own: this process has opened the doorbell.
void ring_once(Actor& actor) {
  Outgoing outgoing({1, inline_bytes});
  actor.channel->put(outgoing.message(), {no_deadline}, &actor.fault);
  actor.get();
}

void arm(Actor& actor) {
  int fd = -1;
  actor.channel->arm(&fd, &actor.fault);
}

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
                       stage.take();  // both are woken: a place for each
                     },
                 .act = putting(puts(1))});
  all.push_back({.name = "put-full-times-out",
                 .options = bounded(4),
                 .queued = queued(4),
                 .bystander = Bystander::producer,
                 .act = {.puts = puts(1), .operation = [](Actor& actor) { actor.put(1); }}});
  all.push_back({.name = "put-no-memory-sleeps",
                 .options = narrow(),
                 .queued = queued(1, large_bytes),
                 .act = sleepy(putting(puts(1, 5000)))});
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
                 .queued = queued(1, large_bytes),
                 .bystander = Bystander::producer,
                 .bystander_puts = {301, 5000},
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

void add_armed(std::vector<Scenario>& all) {
  all.push_back({.name = "put-armed", .armed = true, .act = putting(puts(1))});
  all.push_back({.name = "put-armed-rung-before", .armed = true, .act = after(ring_once, putting(puts(1)))});
  all.push_back({.name = "put-armed-not-empty", .queued = queued(1), .armed = true, .act = putting(puts(1))});
  all.push_back({.name = "put-armed-small", .armed = true, .act = after(ring_once, putting(puts(1, small_bytes)))});
  all.push_back({.name = "put-armed-large", .armed = true, .act = after(ring_once, putting(puts(1, large_bytes)))});
  all.push_back({.name = "put-armed-many", .armed = true, .act = after(ring_once, putting_many(puts(5)))});
  all.push_back({.name = "put-armed-by-itself", .act = after(arm, putting(puts(1)))});
  all.push_back({.name = "get-armed-last", .queued = queued(1), .armed = true, .act = getting()});
  all.push_back({.name = "get-armed-of-two", .queued = queued(2), .armed = true, .act = getting()});
  all.push_back({.name = "get-armed-many", .queued = queued(5), .armed = true, .act = getting_many(5)});
  all.push_back({.name = "get-armed-empty-sleeps", .armed = true, .act = sleepy(after(ring_once, getting()))});
  all.push_back({.name = "arm-first", .queued = queued(1), .act = {.operation = arm}});
  all.push_back({.name = "arm-second", .queued = queued(1), .armed = true, .act = {.operation = arm}});
}

void add_tasks(std::vector<Scenario>& all) {
  constexpr auto finish = [](Actor& actor) { actor.channel->task_done(&actor.fault); };
  constexpr auto join = [](Actor& actor) { actor.channel->join({no_deadline}, &actor.fault); };
  all.push_back({.name = "task-done", .start = 3, .unfinished = 2, .act = {.finishes = 1, .operation = finish}});
  all.push_back({.name = "task-done-last-frees-sleeper",
                 .start = 2,
                 .unfinished = 1,
                 .bystander = Bystander::joiner,
                 .act = {.finishes = 1, .operation = finish}});
  all.push_back({.name = "join-all-done", .start = 2, .act = {.operation = join}});
  all.push_back({.name = "join-sleeps", .start = 2, .unfinished = 1, .act = sleepy({.operation = join})});
  all.push_back({.name = "join-woken",
                 .start = 2,
                 .unfinished = 1,
                 .when_asleep =
                     [](Stage& stage) {
                       stage.start_bystander(Bystander::joiner);
                       stage.finish();
                     },
                 .act = {.operation = join}});
}

void add_shutdowns(std::vector<Scenario>& all) {
  constexpr auto at_once = [](Actor& actor) { actor.channel->shut_down(true, &actor.fault); };
  constexpr auto gently = [](Actor& actor) { actor.channel->shut_down(false, &actor.fault); };
  Items mixed = queued(4);
  mixed[1].size_bytes = small_bytes;
  mixed[2].size_bytes = large_bytes;
  all.push_back({.name = "shutdown-now",
                 .start = 62,
                 .unfinished = 1,
                 .queued = mixed,
                 .may_shut_down = true,
                 .act = {.operation = at_once}});
  all.push_back({.name = "shutdown-now-armed",
                 .queued = queued(2),
                 .armed = true,
                 .may_shut_down = true,
                 .act = {.operation = at_once}});
  all.push_back({.name = "shutdown-now-empty-frees-consumer",
                 .bystander = Bystander::consumer,
                 .may_shut_down = true,
                 .act = {.operation = at_once}});
  all.push_back({.name = "shutdown-now-full-frees-producer",
                 .options = bounded(4),
                 .queued = queued(4),
                 .bystander = Bystander::producer,
                 .may_shut_down = true,
                 .act = {.operation = at_once}});
  all.push_back({.name = "shutdown", .queued = mixed, .may_shut_down = true, .act = {.operation = gently}});
  all.push_back({.name = "shutdown-armed-empty",
                 .armed = true,
                 .may_shut_down = true,
                 .act = after(ring_once, {.operation = gently})});
  all.push_back({.name = "shutdown-frees-consumer",
                 .bystander = Bystander::consumer,
                 .may_shut_down = true,
                 .act = {.operation = gently}});
  all.push_back({.name = "shutdown-frees-producer",
                 .options = bounded(4),
                 .queued = queued(4),
                 .bystander = Bystander::producer,
                 .may_shut_down = true,
                 .act = {.operation = gently}});
}

void add_membership(std::vector<Scenario>& all) {
  constexpr auto look = [](Actor& actor) { actor.channel->statistics(&actor.fault); };
  constexpr auto leave = [](Actor& actor) { actor.channel.reset(); };
  constexpr auto release = [](Actor& actor) { actor.release(); };
  constexpr auto keep_house = [](Actor& actor) { ChannelTestAccess::keep_house(*actor.channel); };
  constexpr auto wake_all = [](Actor& actor) { actor.channel->wake_all(); };
  all.push_back({.name = "join-channel", .queued = queued(1), .act = {.joins_inside = true, .operation = look}});
  Act first_put = putting(puts(1));
  first_put.joins_inside = true;
  all.push_back({.name = "join-channel-by-put", .act = first_put});
  all.push_back({.name = "leave-channel", .queued = queued(2), .act = {.operation = leave}});
  all.push_back({.name = "leave-channel-with-block",
                 .queued = queued(2, large_bytes),
                 .act = {.takes = 1, .before = take_one, .operation = leave}});
  all.push_back({.name = "release",
                 .queued = queued(1, large_bytes),
                 .act = {.takes = 1, .before = take_one, .operation = release}});
  all.push_back({.name = "release-of-two",
                 .queued = queued(2, large_bytes),
                 .act = {.takes = 1, .before = take_one, .operation = release}});
  all.push_back({.name = "keep-house", .queued = queued(1, large_bytes), .act = {.operation = keep_house}});
  all.push_back({.name = "wake-all", .bystander = Bystander::consumer, .act = {.operation = wake_all}});
}

void add_streams(std::vector<Scenario>& all) {
  Act put_stream{.puts = puts(1, stream_bytes), .operation = [](Actor& actor) { actor.put_stream(); }};
  all.push_back({.name = "stream-put-sleeps", .options = narrow(), .act = sleepy(put_stream)});
  all.push_back({.name = "stream-put-to-reader",
                 .options = narrow(),
                 .bystander = Bystander::consumer,
                 .act = put_stream});
  all.push_back({.name = "stream-get-from-writer",
                 .options = narrow(),
                 .bystander = Bystander::producer,
                 .bystander_puts = {301, stream_bytes},
                 .act = {.operation = [](Actor& actor) {
                   actor.get();
                   actor.read_stream();
                 }}});
}

void add_two_deaths(std::vector<Scenario>& all) {
  Act second_put = putting({{201, small_bytes}});
  all.push_back({.name = "twice-put-put",
                 .start = 62,
                 .queued = queued(2, small_bytes),
                 .act = putting(puts(1, small_bytes)),
                 .again = second_put});
  all.push_back({.name = "twice-put-large-get",
                 .queued = queued(2, large_bytes),
                 .act = putting(puts(1, large_bytes)),
                 .again = getting()});
  all.push_back({.name = "twice-get-put",
                 .start = last_of_chunk,
                 .queued = queued(2, small_bytes),
                 .act = getting(),
                 .again = second_put});
  all.push_back({.name = "twice-put-get-to-sleeper",
                 .bystander = Bystander::consumer,
                 .act = putting(puts(1)),
                 .again = second_put});
  all.push_back({.name = "twice-put-put-armed", .armed = true, .act = putting(puts(1)), .again = second_put});
  all.push_back({.name = "twice-shutdown-put",
                 .queued = queued(3, small_bytes),
                 .may_shut_down = true,
                 .act = {.operation = [](Actor& actor) { actor.channel->shut_down(true, &actor.fault); }},
                 .again = second_put});
}

}  // namespace

std::vector<Scenario> scenarios() {
  std::vector<Scenario> all;
  add_puts(all);
  add_puts_of_many(all);
  add_full(all);
  add_gets(all);
  add_empty(all);
  add_armed(all);
  add_tasks(all);
  add_shutdowns(all);
  add_membership(all);
  add_streams(all);
  add_two_deaths(all);
  return all;
}

}  // namespace interproc::sweep
