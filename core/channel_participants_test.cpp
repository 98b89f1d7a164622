// Processes as participants of a channel: how they join and leave, and what remains of those that die.
#include <algorithm>
#include <thread>

#include "channel.hpp"
#include "testing/channels.hpp"

using namespace interproc;
using namespace interproc::testing;

namespace {

const Bytes message = pattern(50);

Status try_put(Channel& channel, const Bytes& bytes) {
  Fault fault;
  return channel.try_put(Outgoing(bytes).message, true, &fault);
}

}  // namespace

TEST(a_channel_that_goes_gives_back_its_place_and_its_blocks) {
  std::shared_ptr<Segment> segment = make_segment();
  Channel channel(segment, 0);
  CHECK_EQ(put(channel, pattern(5000)), Status::ok);
  {
    Channel other(segment, 0);
    Received received;
    std::uint8_t buffer[copy_under_lock_bytes];
    Fault fault;
    CHECK_EQ(other.try_get(&received, buffer, sizeof buffer, true, &fault), Status::ok);
    CHECK_EQ(statistics(channel).participants, 2);
    CHECK_EQ(statistics(channel).blocks_used, 1);
  }
  CHECK_EQ(statistics(channel).participants, 1);
  CHECK_EQ(statistics(channel).blocks_used, 0);
}

TEST(a_block_released_while_the_lock_is_held_is_given_back_later) {
  Channel channel(make_segment(), 0);
  Fault fault;
  Received received[3];
  std::uint8_t buffer[copy_under_lock_bytes];
  for (Received& each : received) {
    CHECK_EQ(put(channel, pattern(5000)), Status::ok);
    CHECK_EQ(channel.try_get(&each, buffer, sizeof buffer, true, &fault), Status::ok);
  }
  CHECK_EQ(ChannelTestAccess::enter(channel, &fault), Status::ok);
  std::thread([&] {
    for (Received& each : received) channel.release(each.block);
  }).join();
  ChannelTestAccess::leave(channel);
  CHECK_EQ(statistics(channel).blocks_used, 0);
}

TEST(the_process_too_many_is_refused) {
  std::shared_ptr<Segment> segment = make_segment();
  Channel channel(segment, 0);
  Participant* table = ChannelTestAccess::memory(channel).participants;
  std::uint32_t token = 0;
  while (join_participants(table, &token) == Status::ok) {
  }
  Fault fault;
  CHECK_EQ(channel.try_put(Outgoing(message).message, true, &fault), Status::too_many_participants);
  CHECK_EQ(fault.expected, max_participants);
  CHECK_EQ(put(channel, pattern(5000)), Status::too_many_participants);
  free_participant(table, token);
  CHECK_EQ(try_put(channel, message), Status::ok);
}

FORK_TEST(a_forked_child_is_a_participant_of_its_own) {
  for (LockKind kind : lock_kinds()) {
    Channel channel(make_segment({}, kind), 0);
    CHECK_EQ(put(channel, pattern(5000)), Status::ok);
    finish_child(start_child([&] {
      expect(channel, pattern(5000));
      CHECK_EQ(statistics(channel).participants, 2);
      CHECK_EQ(put(channel, message), Status::ok);
    }));
    expect(channel, message);
    ChannelTestAccess::sweep(channel);
    CHECK_EQ(statistics(channel).participants, 1);
  }
}

FORK_TEST(what_a_dead_process_held_comes_back) {
  for (LockKind kind : lock_kinds()) {
    Channel channel(make_segment({}, kind), 0);
    for (int i = 0; i < 3; i++) CHECK_EQ(put(channel, pattern(5000)), Status::ok);
    finish_child(start_child([&] {
      Received received;
      std::uint8_t buffer[copy_under_lock_bytes];
      Fault fault;
      CHECK_EQ(channel.try_get(&received, buffer, sizeof buffer, true, &fault), Status::ok);
    }));
    CHECK_EQ(statistics(channel).blocks_used, 3);
    ChannelTestAccess::sweep(channel);
    CHECK_EQ(statistics(channel).blocks_used, 2);
    CHECK_EQ(statistics(channel).counters.sweeps, 1);
    expect(channel, pattern(5000));
    expect(channel, pattern(5000));
  }
}

FORK_TEST(short_lived_processes_do_not_fill_the_table) {
  Channel channel(make_segment(), 0);
  for (int i = 0; i < 100; i++) {
    finish_child(start_child([&] { CHECK_EQ(put(channel, message), Status::ok); }));
  }
  CHECK(statistics(channel).participants < 40);
  for (int i = 0; i < 100; i++) expect(channel, message);
}

FORK_TEST(whoever_dies_with_the_lock_is_repaired) {
  for (LockKind kind : lock_kinds()) {
    Channel channel(make_segment({}, kind), 0);
    for (std::uint32_t i = 0; i < 100; i++) CHECK_EQ(put(channel, pattern(i * 30, i)), Status::ok);
    finish_child(start_child([&] {
      Fault fault;
      CHECK_EQ(ChannelTestAccess::enter(channel, &fault), Status::ok);
      ChannelControl& control = *ChannelTestAccess::memory(channel).control;
      control.warm_chunks = 1;
      control.chunks_used = 77;
      control.arena_used = 1;
      std::fill(std::begin(control.free_lists), std::end(control.free_lists), cache_line);
      control.items.waiters = 5;
    }));
    for (std::uint32_t i = 0; i < 100; i++) CHECK_EQ(put(channel, pattern(i * 30, i)), Status::ok);
    CHECK_EQ(statistics(channel).counters.recoveries, 1);
    for (int round = 0; round < 2; round++) {
      for (std::uint32_t i = 0; i < 100; i++) expect(channel, pattern(i * 30, i));
    }
    CHECK_EQ(statistics(channel).blocks_used, 0);
  }
}

FORK_TEST(a_killed_sleeper_does_not_keep_a_message) {
  for (LockKind kind : lock_kinds()) {
    Channel channel(make_segment({}, kind), 0);
    Shared<Shared32> got;
    auto consume = [&] {
      Bytes bytes;
      CHECK_EQ(get(channel, &bytes), Status::ok);
      got->fetch_add(1);
    };
    pid_t doomed = start_child(consume);
    CHECK(eventually([&] { return statistics(channel).counters.get_waits >= 1 && is_asleep(doomed); }));
    pid_t other = start_child(consume);
    CHECK(eventually([&] { return statistics(channel).participants >= 3 && is_asleep(other); }));
    kill_child(doomed);
    CHECK_EQ(put(channel, message), Status::ok);
    finish_child(other);
    CHECK_EQ(got->load(), 1);
  }
}
