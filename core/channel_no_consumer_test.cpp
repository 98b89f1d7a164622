// Who counts as a consumer, and what putting into a full line does without one.
#include <thread>

#include "testing/channels.hpp"

using namespace interproc;
using namespace interproc::testing;

namespace {

constexpr std::uint64_t little_bytes = std::uint64_t{1} << 20;

ChannelOptions without(NoConsumer policy, std::uint64_t max_items = 3, TaskPolicy tasks = TaskPolicy::uncounted) {
  return {.max_items = max_items, .tasks = tasks, .no_consumer = policy};
}

Status put_now(Channel& channel, std::uint32_t seed, std::size_t size_bytes = 40) {
  return put(channel, pattern(size_bytes, seed), 0);
}

void fill(Channel& channel, std::uint32_t count = 3, std::size_t size_bytes = 40) {
  for (std::uint32_t seed = 0; seed < count; seed++) CHECK_EQ(put_now(channel, seed, size_bytes), Status::ok);
}

// A process that has asked for a message and got none, until the gate opens.
template <typename Ask>
pid_t start_consumer(Channel& channel, Gate& asked, Gate& end, Ask ask) {
  return start_child([&, ask] {
    ask(channel);
    asked.open();
    end.pass();
  });
}

void try_to_take(Channel& channel) {
  Bytes none;
  CHECK_EQ(get(channel, &none, 0), Status::timed_out);
}

const std::size_t sizes[] = {40, 700, 5000};

}  // namespace

TEST(a_full_line_without_a_consumer_is_waited_for_unless_asked_otherwise) {
  Channel channel(make_segment(without(NoConsumer::block)), 0);
  fill(channel);
  CHECK_EQ(put_now(channel, 9), Status::timed_out);
}

TEST(a_full_line_without_a_consumer_raises) {
  Channel channel(make_segment(without(NoConsumer::raise)), 0);
  fill(channel);
  CHECK_EQ(put_now(channel, 9), Status::no_consumer);
  CHECK_EQ(put(channel, pattern(40, 9)), Status::no_consumer);
  CHECK_EQ(put(channel, pattern(5000, 9)), Status::no_consumer);
  std::size_t count = 0;
  Fault fault;
  Bytes bytes = pattern(40);
  Outgoing outgoing(bytes);
  CHECK_EQ(channel.put_many(&outgoing.message, 1, {no_deadline}, &count, &fault), Status::no_consumer);
  CHECK_EQ(channel.put_many(&outgoing.message, 1, {0, false}, &count, &fault), Status::lock_busy);
  CHECK_EQ(channel.size(), 3);
}

TEST(a_full_line_without_a_consumer_drops_its_oldest) {
  for (TaskPolicy tasks : {TaskPolicy::uncounted, TaskPolicy::count, TaskPolicy::redeliver}) {
    for (std::size_t size_bytes : sizes) {
      Channel channel(make_segment(without(NoConsumer::drop_oldest, 3, tasks)), 0);
      constexpr std::uint32_t count = 2 * chunk_slots;
      fill(channel, count, size_bytes);
      CHECK_EQ(channel.size(), 3);
      CHECK_EQ(statistics(channel).counters.dropped, count - 3);
      for (std::uint32_t seed = count - 3; seed < count; seed++) {
        expect(channel, pattern(size_bytes, seed));
        Fault fault;
        CHECK_EQ(channel.task_done(&fault), Status::ok);
      }
      Fault fault;
      CHECK_EQ(channel.join({0}, &fault), Status::ok);
      CHECK_EQ(channel.task_done(&fault), Status::too_many_done);
      CHECK_EQ(statistics(channel).counters.failed, 0);
      CHECK_EQ(statistics(channel).blocks_used, 0);
    }
  }
}

TEST(a_line_without_memory_drops_as_many_as_it_takes) {
  Channel channel(make_segment({.max_bytes = little_bytes, .no_consumer = NoConsumer::drop_oldest}), 0);
  fill(channel, 500, 5000);
  std::uint64_t before = channel.size();
  CHECK(before < 500);
  CHECK_EQ(put_now(channel, 900, 200'000), Status::ok);
  CHECK(channel.size() < before);
  std::uint32_t first = 501 - static_cast<std::uint32_t>(channel.size());
  for (std::uint32_t seed = first; seed < 500; seed++) expect(channel, pattern(5000, seed));
  expect(channel, pattern(200'000, 900));
}

TEST(a_message_for_pieces_needs_a_consumer) {
  for (NoConsumer policy : {NoConsumer::raise, NoConsumer::drop_oldest}) {
    Channel channel(make_segment({.max_bytes = little_bytes, .no_consumer = policy}), 0);
    CHECK_EQ(put(channel, pattern(4 * little_bytes)), Status::no_consumer);
    CHECK_EQ(statistics(channel).blocks_used, 1);  // what it withdrew still has its place in line
    CHECK_EQ(put_now(channel, 1), Status::ok);
    Bytes none;
    CHECK_EQ(get(channel, &none), Status::aborted);
    expect(channel, pattern(40, 1));
    CHECK_EQ(statistics(channel).blocks_used, 0);
  }
}

FORK_TEST(who_has_asked_is_a_consumer_until_it_ends) {
  const auto watch = [](Channel& channel) {
    int fd = -1;
    Fault fault;
    CHECK_EQ(channel.arm(&fd, &fault), Status::ok);
  };
  for (NoConsumer policy : {NoConsumer::raise, NoConsumer::drop_oldest}) {
    for (auto ask : {+watch, &try_to_take}) {
      Channel channel(make_segment(without(policy)), 0);
      Shared<Gate> asked, end;
      pid_t consumer = start_consumer(channel, *asked, *end, ask);
      asked->pass();
      fill(channel);
      CHECK_EQ(put_now(channel, 9), Status::timed_out);
      CHECK_EQ(statistics(channel).counters.dropped, 0);
      kill(consumer, SIGSTOP);
      CHECK_EQ(put_now(channel, 9), Status::timed_out);
      kill_child(consumer);
      bool raises = policy == NoConsumer::raise;
      CHECK_EQ(put_now(channel, 9), raises ? Status::no_consumer : Status::ok);
      CHECK_EQ(statistics(channel).counters.dropped, raises ? 0 : 1);
    }
  }
}

FORK_TEST(who_only_puts_or_looks_is_no_consumer) {
  Channel channel(make_segment(without(NoConsumer::raise)), 0);
  Shared<Gate> asked, end;
  pid_t producer = start_consumer(channel, *asked, *end, [](Channel& its) {
    CHECK_EQ(put_now(its, 0), Status::ok);
    statistics(its);
  });
  asked->pass();
  fill(channel, 2);
  CHECK_EQ(put_now(channel, 9), Status::no_consumer);
  end->open();
  finish_child(producer);
}

TEST(this_process_is_no_consumer_for_itself) {
  std::shared_ptr<Segment> segment = make_segment(without(NoConsumer::raise));
  Channel channel(segment, 0);
  Channel other(segment, 0);
  try_to_take(channel);
  try_to_take(other);
  fill(channel);
  CHECK_EQ(put_now(channel, 9), Status::no_consumer);
}

FORK_TEST(a_sleeping_producer_notices_that_the_last_consumer_ended) {
  for (NoConsumer policy : {NoConsumer::raise, NoConsumer::drop_oldest}) {
    for (LockKind kind : lock_kinds()) {
      Channel channel(make_segment(without(policy), kind), 0);
      Shared<Gate> asked, end;
      pid_t consumer = start_consumer(channel, *asked, *end, &try_to_take);
      asked->pass();
      fill(channel);
      std::thread producer([&] {
        CHECK_EQ(put(channel, pattern(40, 9)), policy == NoConsumer::raise ? Status::no_consumer : Status::ok);
      });
      CHECK(eventually([&] { return statistics(channel).counters.put_waits > 0; }));
      kill_child(consumer);
      producer.join();
    }
  }
}

FORK_TEST(a_producer_that_dies_with_what_it_dropped_leaves_no_task) {
  Channel channel(make_segment(without(NoConsumer::drop_oldest, 3, TaskPolicy::count)), 0);
  fill(channel);
  finish_child(start_child([&] {
    for (std::uint32_t seed = 3; seed < 9; seed++) CHECK_EQ(put_now(channel, seed), Status::ok);
  }));
  ChannelTestAccess::sweep(channel);
  for (std::uint32_t seed = 6; seed < 9; seed++) {
    expect(channel, pattern(40, seed));
    Fault fault;
    CHECK_EQ(channel.task_done(&fault), Status::ok);
  }
  Fault fault;
  CHECK_EQ(channel.join({0}, &fault), Status::ok);
  CHECK_EQ(statistics(channel).counters.dropped, 6);
}

FORK_TEST(the_table_says_who_lives_and_what_they_did) {
  for (LockKind kind : lock_kinds()) {
    Channel channel(make_segment({}, kind), 0);
    Channel::Attached who;
    std::uint32_t place = 0;
    CHECK(!channel.next_attached(&place, &who));
    CHECK_EQ(put_now(channel, 0), Status::ok);
    Shared<Gate> asked, end;
    pid_t consumer = start_consumer(channel, *asked, *end, [](Channel& its) { expect(its, pattern(40, 0)); });
    asked->pass();
    place = 0;
    CHECK(channel.next_attached(&place, &who));
    CHECK_EQ(who.pid, static_cast<std::uint32_t>(getpid()));
    CHECK_EQ(who.roles, role_producer);
    CHECK(who.is_alive && who.is_certain);
    place++;
    CHECK(channel.next_attached(&place, &who));
    CHECK_EQ(who.pid, static_cast<std::uint32_t>(consumer));
    CHECK_EQ(who.roles, role_consumer);
    CHECK(who.is_alive && who.is_certain);
    kill(consumer, SIGKILL);
    await_zombie(consumer);
    CHECK(channel.next_attached(&place, &who));
    CHECK(!who.is_alive);
    kill_child(consumer);
    channel.sweep();
    CHECK(!channel.next_attached(&place, &who));
  }
}

TEST(a_process_that_was_given_the_same_number_later_is_not_the_one) {
  Channel channel(make_segment(), 0);
  CHECK_EQ(put_now(channel, 0), Status::ok);
  ChannelTestAccess::memory(channel).participants[0].image++;  // started a little later
  Channel::Attached who;
  std::uint32_t place = 0;
  CHECK(channel.next_attached(&place, &who));
  CHECK(!who.is_alive && !who.is_certain);
  ChannelTestAccess::memory(channel).participants[0].image = 0;  // nobody knows
  CHECK(channel.next_attached(&place, &who));
  CHECK(who.is_alive && !who.is_certain);
  ChannelTestAccess::memory(channel).participants[0].image = platform::self().image;
}
