// Tasks: what becomes of messages that were taken and never done.
#include <algorithm>
#include <thread>

#include "channel.hpp"
#include "testing/channels.hpp"

using namespace interproc;
using namespace interproc::testing;

namespace {

ChannelOptions with(TaskPolicy tasks, std::uint32_t max_deliveries = 0) {
  ChannelOptions options;
  options.tasks = tasks;
  options.max_deliveries = max_deliveries;
  return options;
}

Status task_done(Channel& channel) {
  Fault fault;
  return channel.task_done(&fault);
}

Status join(Channel& channel, std::uint64_t deadline_ns = 0) {
  Fault fault;
  Status status;
  do {
    status = channel.join({deadline_ns}, &fault);
  } while (status == Status::interrupted);
  return status;
}

Bytes get_now(Channel& channel) {
  Bytes bytes;
  CHECK_EQ(get(channel, &bytes), Status::ok);
  return bytes;
}

// Small enough for a slot, for a copy under the lock, and neither.
const std::size_t sizes[] = {0, 40, 700, 5000, 300'000};

}  // namespace

// --- counted ---------------------------------------------------------------------------------------------------------

FORK_TEST(what_a_killed_consumer_took_counts_as_failed) {
  for (LockKind kind : lock_kinds()) {
    Channel channel(make_segment(with(TaskPolicy::count), kind), 0);
    for (std::uint32_t i = 0; i < 5; i++) CHECK_EQ(put(channel, pattern(40, i)), Status::ok);
    finish_child(start_child([&] {
      for (int i = 0; i < 3; i++) get_now(channel);
      CHECK_EQ(task_done(channel), Status::ok);
    }));
    for (int i = 0; i < 2; i++) {
      get_now(channel);
      CHECK_EQ(task_done(channel), Status::ok);
    }
    CHECK_EQ(join(channel), Status::timed_out);
    CHECK_EQ(join(channel, far_deadline_ns()), Status::ok);  // its ticks look for the dead
    CHECK_EQ(statistics(channel).counters.failed, 2);
  }
}

FORK_TEST(what_another_process_finishes_after_a_consumer_died_is_forgiven_once) {
  Channel channel(make_segment(with(TaskPolicy::count)), 0);
  CHECK_EQ(put(channel, pattern(40)), Status::ok);
  finish_child(start_child([&] { get_now(channel); }));
  ChannelTestAccess::sweep(channel);
  CHECK_EQ(join(channel), Status::ok);
  CHECK_EQ(task_done(channel), Status::ok);
  CHECK_EQ(task_done(channel), Status::too_many_done);
}

FORK_TEST(what_another_process_finished_before_a_consumer_died_did_not_fail) {
  Channel channel(make_segment(with(TaskPolicy::count)), 0);
  for (int i = 0; i < 2; i++) CHECK_EQ(put(channel, pattern(40)), Status::ok);
  CHECK_EQ(task_done(channel), Status::ok);  // of what nobody has taken yet
  finish_child(start_child([&] { get_now(channel); }));
  ChannelTestAccess::sweep(channel);
  CHECK_EQ(statistics(channel).counters.failed, 0);
  CHECK_EQ(join(channel), Status::timed_out);
  get_now(channel);
  CHECK_EQ(task_done(channel), Status::ok);
  CHECK_EQ(join(channel), Status::ok);
}

TEST(a_consumer_that_leaves_fails_what_it_has_not_finished) {
  std::shared_ptr<Segment> segment = make_segment(with(TaskPolicy::count));
  Channel channel(segment, 0);
  CHECK_EQ(put(channel, pattern(40)), Status::ok);
  std::thread waiting([&] { CHECK_EQ(join(channel, far_deadline_ns()), Status::ok); });
  {
    Channel consumer(segment, 0);
    get_now(consumer);
  }
  waiting.join();
  CHECK_EQ(statistics(channel).counters.failed, 1);
}

FORK_TEST(a_count_of_tasks_changes_with_head_or_not_at_all) {
  for (bool is_true : {false, true}) {
    Channel channel(make_segment(with(TaskPolicy::count)), 0);
    for (int i = 0; i < 2; i++) CHECK_EQ(put(channel, pattern(40)), Status::ok);
    finish_child(start_child([&] {
      get_now(channel);
      Fault fault;
      CHECK_EQ(ChannelTestAccess::enter(channel, &fault), Status::ok);
      ChannelMemory& memory = ChannelTestAccess::memory(channel);
      Participant& me = memory.participants[place_of(ChannelTestAccess::token(channel))];
      me.tasks_then.store(2);
      me.head_then.store(2);
      if (is_true) memory.control->head.store(2);
    }));
    ChannelTestAccess::sweep(channel);
    CHECK_EQ(statistics(channel).counters.failed, is_true ? 2 : 1);
    CHECK_EQ(statistics(channel).items, is_true ? 0 : 1);
  }
}

// --- redelivered -----------------------------------------------------------------------------------------------------

FORK_TEST(what_a_killed_consumer_took_comes_again_first_and_in_order) {
  for (LockKind kind : lock_kinds()) {
    Channel channel(make_segment(with(TaskPolicy::redeliver), kind), 0);
    std::uint32_t seed = 0;
    for (std::size_t size_bytes : sizes) CHECK_EQ(put(channel, pattern(size_bytes, seed++)), Status::ok);
    finish_child(start_child([&] {
      for (int i = 0; i < 4; i++) get_now(channel);
      CHECK_EQ(task_done(channel), Status::ok);
    }));
    CHECK_EQ(statistics(channel).leases, 3);
    ChannelTestAccess::sweep(channel);
    CHECK_EQ(statistics(channel).counters.redelivered, 3);
    for (std::uint32_t i = 1; i < 5; i++) {
      expect(channel, pattern(sizes[i], i));
      CHECK_EQ(channel.deliveries(), i < 4 ? 1 : 0);
      CHECK_EQ(join(channel), Status::timed_out);
      CHECK_EQ(task_done(channel), Status::ok);
      CHECK_EQ(channel.deliveries(), 0);
    }
    CHECK_EQ(join(channel), Status::ok);
    CHECK_EQ(task_done(channel), Status::too_many_done);
    CHECK_EQ(statistics(channel).blocks_used, 0);
  }
}

FORK_TEST(many_come_again_in_order_and_across_chunks) {
  Channel channel(make_segment(with(TaskPolicy::redeliver)), 0);
  constexpr std::uint32_t count = 5 * chunk_slots;
  for (std::uint32_t i = 0; i < count; i++) CHECK_EQ(put(channel, pattern(20, i)), Status::ok);
  for (int death = 0; death < 2; death++) {
    finish_child(start_child([&] {
      for (std::uint32_t i = 0; i < count; i++) CHECK(get_now(channel) == pattern(20, i));
    }));
    ChannelTestAccess::sweep(channel);
    CHECK_EQ(statistics(channel).items, count);
  }
  for (std::uint32_t i = 0; i < count; i++) {
    expect(channel, pattern(20, i));
    CHECK_EQ(channel.deliveries(), 2);
    CHECK_EQ(task_done(channel), Status::ok);
  }
  CHECK_EQ(statistics(channel).blocks_used, 0);
  CHECK_EQ(join(channel), Status::ok);
}

FORK_TEST(a_sleeping_consumer_gets_what_comes_again) {
  for (LockKind kind : lock_kinds()) {
    Channel channel(make_segment(with(TaskPolicy::redeliver), kind), 0);
    CHECK_EQ(put(channel, pattern(40)), Status::ok);
    Gate gate;
    Shared<Shared32> taken;
    pid_t doomed = start_child([&] {
      get_now(channel);
      taken->store(1);
      pause();
    });
    CHECK(eventually([&] { return taken->load() == 1; }));
    pid_t other = start_child([&] { expect(channel, pattern(40)); });
    CHECK(eventually([&] { return is_asleep(other); }));
    kill(doomed, SIGKILL);
    CHECK_EQ(waitpid(doomed, nullptr, 0), doomed);
    finish_child(other);
  }
}

TEST(a_consumer_that_leaves_gives_back_what_it_has_not_acknowledged) {
  std::shared_ptr<Segment> segment = make_segment(with(TaskPolicy::redeliver));
  Channel channel(segment, 0);
  CHECK_EQ(put(channel, pattern(40)), Status::ok);
  {
    Channel consumer(segment, 0);
    get_now(consumer);
    CHECK_EQ(channel.size(), 0);
  }
  expect(channel, pattern(40));
  CHECK_EQ(channel.deliveries(), 1);
}

TEST(after_shutdown_a_consumer_waits_for_what_others_have_not_acknowledged) {
  std::shared_ptr<Segment> segment = make_segment(with(TaskPolicy::redeliver));
  Channel channel(segment, 0);
  Fault fault;
  CHECK_EQ(put(channel, pattern(40)), Status::ok);
  auto consumer = std::make_unique<Channel>(segment, 0);
  get_now(*consumer);
  CHECK_EQ(channel.shut_down(false, &fault), Status::ok);
  Bytes bytes;
  CHECK_EQ(get(channel, &bytes, 0), Status::timed_out);
  CHECK_EQ(get(*consumer, &bytes, 0), Status::shut_down);  // it would wait for itself
  std::thread waiting([&] { expect(channel, pattern(40)); });
  consumer.reset();
  waiting.join();
  CHECK_EQ(task_done(channel), Status::ok);
  CHECK_EQ(get(channel, &bytes, 0), Status::shut_down);
  CHECK_EQ(join(channel), Status::ok);
}

TEST(after_shutdown_the_last_acknowledgement_ends_the_others) {
  std::shared_ptr<Segment> segment = make_segment(with(TaskPolicy::redeliver));
  Channel channel(segment, 0);
  Channel consumer(segment, 0);
  Fault fault;
  CHECK_EQ(put(channel, pattern(40)), Status::ok);
  get_now(consumer);
  CHECK_EQ(channel.shut_down(false, &fault), Status::ok);
  std::thread waiting([&] {
    Bytes bytes;
    CHECK_EQ(get(channel, &bytes), Status::shut_down);
  });
  CHECK_EQ(task_done(consumer), Status::ok);
  waiting.join();
}

TEST(immediate_shutdown_drops_what_is_leased_as_well) {
  std::shared_ptr<Segment> segment = make_segment(with(TaskPolicy::redeliver));
  Channel channel(segment, 0);
  Fault fault;
  for (int i = 0; i < 3; i++) CHECK_EQ(put(channel, pattern(5000)), Status::ok);
  {
    Channel consumer(segment, 0);
    get_now(consumer);
    CHECK_EQ(channel.shut_down(true, &fault), Status::ok);
    CHECK_EQ(statistics(channel).items, 0);
    CHECK_EQ(statistics(channel).leases, 1);
  }
  CHECK_EQ(statistics(channel).leases, 0);
  CHECK_EQ(statistics(channel).blocks_used, 0);
  CHECK_EQ(join(channel), Status::ok);
}

FORK_TEST(poison_goes_to_the_dead_letters) {
  for (LockKind kind : lock_kinds()) {
    auto dead_letters = std::make_shared<Channel>(make_segment({}, kind), 0);
    Channel channel(make_segment(with(TaskPolicy::redeliver, 2), kind), 0);
    channel.bury_in(dead_letters);
    CHECK_EQ(put(channel, pattern(700, 1)), Status::ok);
    CHECK_EQ(put(channel, pattern(700, 2)), Status::ok);
    for (int death = 0; death < 2; death++) {
      finish_child(start_child([&] { expect(channel, pattern(700, 1)); }));
      ChannelTestAccess::sweep(channel);
    }
    expect(channel, pattern(700, 2));
    CHECK_EQ(task_done(channel), Status::ok);
    CHECK_EQ(join(channel), Status::ok);
    expect(*dead_letters, pattern(700, 1));
    CHECK_EQ(statistics(channel).counters.buried, 1);
    CHECK_EQ(statistics(channel).blocks_used, 0);
  }
}

TEST(each_thread_acknowledges_what_it_took) {
  std::shared_ptr<Segment> segment = make_segment(with(TaskPolicy::redeliver));
  Channel channel(segment, 0);
  {
    Channel consumer(segment, 0);
    for (std::uint32_t i = 0; i < 2; i++) CHECK_EQ(put(channel, pattern(40, i)), Status::ok);
    get_now(consumer);
    std::thread([&] {
      get_now(consumer);
      CHECK_EQ(task_done(consumer), Status::ok);
    }).join();
  }
  expect(channel, pattern(40, 0));
  CHECK_EQ(channel.size(), 0);
}

FORK_TEST(a_forked_child_does_not_acknowledge_for_its_parent) {
  Channel channel(make_segment(with(TaskPolicy::redeliver)), 0);
  CHECK_EQ(put(channel, pattern(40)), Status::ok);
  get_now(channel);
  finish_child(start_child([&] {
    Bytes none;
    CHECK_EQ(get(channel, &none, 0), Status::timed_out);
    CHECK_EQ(task_done(channel), Status::too_many_done);
  }));
  CHECK_EQ(statistics(channel).leases, 1);
  CHECK_EQ(task_done(channel), Status::ok);
}

TEST(what_is_too_large_to_keep_is_refused) {
  ChannelOptions options = with(TaskPolicy::redeliver);
  options.max_bytes = 1 << 20;
  Channel channel(make_segment(options), 0);
  Fault fault;
  StreamPut progress;
  Bytes bytes = pattern(2 << 20);
  Outgoing outgoing(bytes);
  CHECK_EQ(channel.put(outgoing.message, {0}, &fault), Status::too_large);
  CHECK_EQ(channel.put_stream(outgoing.message, &progress, {0}, &fault), Status::too_large);
  CHECK_EQ(fault.found, bytes.size());
  CHECK_EQ(put(channel, pattern(fault.expected), 0), Status::ok);
  CHECK_EQ(put(channel, pattern(fault.expected + 1), 0), Status::too_large);
}
