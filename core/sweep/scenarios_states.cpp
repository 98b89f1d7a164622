// Doorbells, tasks, shutdown, membership and streams.
#include <fcntl.h>

#include "sweep/acts.hpp"
#include "sweep/stage.hpp"
#include "testing/access.hpp"

namespace interproc::sweep {

namespace {

void lose_two(Stage& stage) {
  stage.lose_consumer();
  stage.lose_consumer();
}

// Their places are taken and only their death can free them: the next to join has the sixteenth, and looks.
void lose_fourteen(Stage& stage) {
  for (int i = 0; i < 14; i++) stage.lose_consumer();
}

// More of them than an idle channel keeps.
void leave_many_chunks(Stage& stage) {
  constexpr std::uint32_t count = 134 * chunk_slots;
  for (std::uint32_t i = 0; i < count; i++) stage.put({1, inline_bytes});
  for (std::uint32_t i = 0; i < count; i++) {
    stage.take();
    stage.finish();
  }
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
  all.push_back({.name = "put-lifeline", .armed = true, .lifeline = true, .act = putting(puts(1))});
  all.push_back({.name = "put-lifeline-many", .armed = true, .lifeline = true, .act = putting_many(puts(5))});
  all.push_back({.name = "get-lifeline-last", .queued = queued(1), .armed = true, .lifeline = true, .act = getting()});
  all.push_back({.name = "get-lifeline-empty-sleeps", .armed = true, .lifeline = true, .act = sleepy(getting())});
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
  constexpr auto sweep = [](Actor& actor) { ChannelTestAccess::sweep(*actor.channel); };
  constexpr auto wake_all = [](Actor& actor) { actor.channel->wake_all(); };
  constexpr auto attach = [](Actor& actor) {
    int fd = fcntl(ChannelTestAccess::memory(*actor.channel).segment->fd(), F_DUPFD_CLOEXEC, 0);
    std::shared_ptr<Segment> segment;
    if (Segment::attach(fd, nullptr, &segment, &actor.fault) != Status::ok) return;
    Channel other(segment, 0);
    other.statistics(&actor.fault);
  };
  all.push_back({.name = "attach-channel", .queued = queued(1), .act = {.operation = attach}});
  all.push_back({.name = "join-channel", .queued = queued(1), .act = {.joins_inside = true, .operation = look}});
  Act first_put = putting(puts(1));
  first_put.joins_inside = true;
  all.push_back({.name = "join-channel-by-put", .act = first_put});
  Items fifteen = queued(15);
  fifteen[4].size_bytes = large_bytes;
  all.push_back({.name = "join-channel-as-sixteenth",
                 .queued = fifteen,
                 .prepare = lose_fourteen,
                 .act = {.joins_inside = true, .operation = look}});
  all.push_back({.name = "sweep", .queued = queued(3, large_bytes), .prepare = lose_two, .act = {.operation = sweep}});
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
  all.push_back({.name = "keep-house-trims",
                 .options = {.max_items = 0, .max_bytes = 0, .virtual_bytes = 2 * little_memory},
                 .prepare = leave_many_chunks,
                 .act = {.operation = keep_house}});
  all.push_back({.name = "wake-all", .bystander = Bystander::consumer, .act = {.operation = wake_all}});
}

void add_views(std::vector<Scenario>& all) {
  constexpr auto borrow = [](Actor& actor) {
    view_one(actor);
    actor.view.reset();
  };
  constexpr auto give_back = [](Actor& actor) { actor.view.reset(); };
  // The queue goes first, the view later.
  constexpr auto outlive = [](Actor& actor) {
    actor.channel->leave_views();
    actor.channel.reset();
    actor.view.reset();
  };
  const Items two = queued(2, large_bytes);
  all.push_back({.name = "view", .queued = two, .act = {.takes = 1, .operation = borrow}});
  all.push_back(
      {.name = "view-given-back", .queued = two, .act = {.takes = 1, .before = view_one, .operation = give_back}});
  all.push_back({.name = "view-frees-memory",
                 .options = narrow(),
                 .queued = two,
                 .bystander = Bystander::producer,
                 .bystander_puts = {301, narrow_fit_bytes},
                 .act = {.takes = 1, .operation = borrow}});
  all.push_back(
      {.name = "view-outlives-channel", .queued = two, .act = {.takes = 1, .before = view_one, .operation = outlive}});
}

void add_streams(std::vector<Scenario>& all) {
  Act put_stream{.puts = puts(1, stream_bytes), .operation = [](Actor& actor) { actor.put_stream(); }};
  all.push_back({.name = "stream-put-sleeps", .options = narrow(), .act = sleepy(put_stream)});
  all.push_back(
      {.name = "stream-put-to-reader", .options = narrow(), .bystander = Bystander::consumer, .act = put_stream});
  all.push_back({.name = "stream-get-part",
                 .options = narrow(),
                 .bystander = Bystander::producer,
                 .bystander_puts = {301, stream_bytes},
                 .act = {.operation = [](Actor& actor) {
                   actor.get();
                   actor.read_stream(stream_bytes / 4);
                 }}});
  all.push_back({.name = "stream-get-whole",
                 .options = narrow(),
                 .bystander = Bystander::producer,
                 .bystander_puts = {301, stream_bytes},
                 .act = {.takes = 1, .operation = [](Actor& actor) {
                           actor.get();
                           actor.read_stream(stream_bytes);
                           actor.finish_stream();
                         }}});
}

}  // namespace

void add_states(std::vector<Scenario>& all) {
  add_armed(all);
  add_tasks(all);
  add_shutdowns(all);
  add_membership(all);
  add_views(all);
  add_streams(all);
}

}  // namespace interproc::sweep
