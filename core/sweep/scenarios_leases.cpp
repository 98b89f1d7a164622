// What consumers took that end before task_done(): it comes again, or counts as failed. What is dropped for want of any.
#include "sweep/acts.hpp"
#include "sweep/stage.hpp"
#include "testing/access.hpp"

namespace interproc::sweep {

namespace {

void lose_three(Stage& stage) {
  for (int i = 0; i < 3; i++) stage.lose_consumer();
}

constexpr auto finish = [](Actor& actor) { actor.channel->task_done(&actor.fault); };
constexpr auto leave = [](Actor& actor) { actor.channel.reset(); };
constexpr auto sweep = [](Actor& actor) { ChannelTestAccess::sweep(*actor.channel); };
constexpr auto shut_down = [](Actor& actor) { actor.channel->shut_down(true, &actor.fault); };

// What is taken comes again.
Act leasing(Act act) {
  act.takes = 0;
  return act;
}

void add_redelivered(std::vector<Scenario>& all) {
  ChannelOptions options = with(TaskPolicy::redeliver);
  Items mixed = queued(4);
  mixed[1].size_bytes = small_bytes;
  mixed[2].size_bytes = large_bytes;
  constexpr std::uint64_t before_chunk = last_of_chunk - 1;  // the third in line is the first of the next chunk
  all.push_back({.name = "lease-put", .options = options, .queued = mixed, .act = putting(puts(1))});
  all.push_back({.name = "lease-get", .options = options, .queued = mixed, .act = leasing(getting())});
  all.push_back(
      {.name = "lease-get-large", .options = options, .queued = queued(2, large_bytes), .act = leasing(getting())});
  all.push_back({.name = "lease-get-last-of-chunk",
                 .options = options,
                 .start = last_of_chunk,
                 .queued = queued(1),
                 .act = leasing(getting())});
  all.push_back({.name = "lease-get-many",
                 .options = options,
                 .start = before_chunk,
                 .queued = queued(5),
                 .act = leasing(getting_many(5))});
  all.push_back({.name = "lease-done",
                 .options = options,
                 .queued = mixed,
                 .act = {.takes = 1, .before = take_one, .operation = finish}});
  all.push_back({.name = "lease-done-last",
                 .options = options,
                 .queued = queued(1),
                 .act = {.takes = 1, .before = take_one, .operation = finish}});
  all.push_back(
      {.name = "lease-leave", .options = options, .queued = mixed, .act = {.before = take_one, .operation = leave}});
  all.push_back({.name = "lease-sweep",
                 .options = options,
                 .start = before_chunk,
                 .queued = mixed,
                 .prepare = lose_three,
                 .act = {.operation = sweep}});
  all.push_back({.name = "lease-sweep-all-armed",
                 .options = options,
                 .queued = queued(3),
                 .armed = true,
                 .prepare = lose_three,
                 .act = {.operation = sweep}});
  all.push_back({.name = "lease-shutdown-now",
                 .options = options,
                 .queued = mixed,
                 .may_shut_down = true,
                 .prepare = lose_three,
                 .act = {.operation = shut_down}});
  all.push_back({.name = "lease-twice-get-sweep",
                 .options = options,
                 .queued = mixed,
                 .act = leasing(getting()),
                 .again = {{.operation = sweep}}});
  all.push_back({.name = "lease-thrice-get-sweep-get",
                 .options = options,
                 .start = last_of_chunk,
                 .queued = queued(3),
                 .act = leasing(getting()),
                 .again = {{.operation = sweep}, leasing(getting())}});
}

void add_counted(std::vector<Scenario>& all) {
  ChannelOptions options = with(TaskPolicy::count);
  all.push_back({.name = "count-get", .options = options, .queued = queued(2), .act = getting()});
  all.push_back({.name = "count-get-many", .options = options, .queued = queued(5), .act = getting_many(5)});
  all.push_back({.name = "count-done",
                 .options = options,
                 .start = 3,
                 .unfinished = 2,
                 .act = {.finishes = 1, .operation = finish}});
  all.push_back({.name = "count-done-own",
                 .options = options,
                 .queued = queued(2),
                 .act = {.takes = 1, .before = take_one, .operation = finish}});
  all.push_back({.name = "count-leave",
                 .options = options,
                 .queued = queued(2),
                 .act = {.takes = 1, .before = take_one, .operation = leave}});
  all.push_back({.name = "count-sweep",
                 .options = options,
                 .queued = queued(4),
                 .prepare = lose_three,
                 .act = {.operation = sweep}});
  all.push_back({.name = "count-twice-get-sweep",
                 .options = options,
                 .queued = queued(4),
                 .prepare = lose_three,
                 .act = getting(),
                 .again = {{.operation = sweep}}});
}

// Nobody takes what fills the line: the victim drops the first and puts another.
void add_dropped(std::vector<Scenario>& all) {
  auto dropping = [](TaskPolicy tasks) {
    ChannelOptions options = bounded(4);
    options.tasks = tasks;
    options.no_consumer = NoConsumer::drop_oldest;
    return options;
  };
  Act act = putting(puts(1));
  act.takes = 1;
  Items mixed = queued(4);
  mixed[0].size_bytes = large_bytes;
  mixed[1].size_bytes = small_bytes;
  const auto plain = dropping(TaskPolicy::uncounted);
  all.push_back({.name = "drop", .options = plain, .queued = queued(4), .act = act});
  all.push_back({.name = "drop-block", .options = plain, .queued = mixed, .act = act});
  all.push_back({.name = "drop-armed", .options = plain, .queued = queued(4), .act = after(arm, act)});
  all.push_back({.name = "drop-of-the-dead",
                 .options = plain,
                 .queued = queued(4),
                 .prepare =
                     [](Stage& stage) {
                       stage.lose_consumer();
                       stage.put({6, inline_bytes});
                     },
                 .act = act});
  all.push_back({.name = "drop-count", .options = dropping(TaskPolicy::count), .queued = mixed, .act = act});
  all.push_back({.name = "drop-lease", .options = dropping(TaskPolicy::redeliver), .queued = mixed, .act = act});
  all.push_back({.name = "drop-twice", .options = plain, .queued = mixed, .act = act, .again = {act}});
}

}  // namespace

void add_leases(std::vector<Scenario>& all) {
  add_redelivered(all);
  add_counted(all);
  add_dropped(all);
}

}  // namespace interproc::sweep
