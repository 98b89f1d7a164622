#include <algorithm>
#include <thread>

#include "channel.hpp"
#include "testing/access.hpp"
#include "testing/streams.hpp"

using namespace interproc;
using namespace interproc::testing;

TEST(a_message_larger_than_the_channel_goes_through) {
  for (LockKind kind : lock_kinds()) {
    Channel channel(make_segment(narrow, kind), 0);
    Fault fault;
    CHECK_EQ(channel.try_put(Outgoing(huge).message, true, &fault), Status::too_large);
    CHECK_EQ(channel.put(Outgoing(huge).message, {0}, &fault), Status::too_large);
    std::thread producer([&] { CHECK_EQ(put(channel, huge), Status::ok); });
    expect(channel, huge);
    producer.join();
    CHECK_EQ(statistics(channel).counters.streams, 1);
    CHECK_EQ(statistics(channel).counters.bytes_in, huge.size());
    expect_nothing_left(channel);
  }
}

TEST(who_waits_for_memory_is_called_when_a_stream_ends) {
  Channel channel(make_segment(narrow), 0);
  ChannelControl& control = *ChannelTestAccess::memory(channel).control;
  std::thread producer([&] { CHECK_EQ(put(channel, huge), Status::ok); });
  Received received;
  CHECK_EQ(take(channel, &received), Status::ok);
  Bytes bytes(huge.size());
  std::uint64_t offset = 0;
  Fault fault;
  while (offset < bytes.size()) {
    std::size_t size_bytes = 0;
    channel.read_stream(received, offset, bytes.data() + offset, bytes.size() - offset, &size_bytes,
                        {far_deadline_ns()}, &fault);
    offset += size_bytes;
  }
  producer.join();
  CHECK_EQ(ChannelTestAccess::enter(channel, &fault), Status::ok);
  control.memory_waiters = 1;
  EventWord(control.space).enter();
  ChannelTestAccess::leave(channel);
  channel.finish_stream(received, true);
  CHECK_EQ(control.memory_waiters, 0);
  CHECK_EQ(control.space.waiters, 0);
  expect_nothing_left(channel);
}

TEST(a_stream_keeps_its_place_in_line) {
  Channel channel(make_segment(narrow), 0);
  std::thread producer([&] {
    CHECK_EQ(put(channel, small), Status::ok);
    CHECK_EQ(put(channel, huge), Status::ok);
    CHECK_EQ(put(channel, pattern(5000)), Status::ok);
  });
  expect(channel, small);
  expect(channel, huge);
  expect(channel, pattern(5000));
  producer.join();
  expect_nothing_left(channel);
}

TEST(a_stream_of_many_parts_is_their_concatenation) {
  Channel channel(make_segment(narrow), 0);
  std::vector<Part> parts{{nullptr, 0}};
  for (std::size_t offset = 0; offset < huge.size();) {
    std::size_t size_bytes = std::min<std::size_t>(huge.size() - offset, 1 + offset % 70'001);
    parts.push_back({huge.data() + offset, size_bytes});
    parts.push_back({nullptr, 0});
    offset += size_bytes;
  }
  std::thread producer([&] {
    Fault fault;
    CHECK_EQ(put(channel, Message{test_codec, parts.data(), parts.size(), huge.size()}, far_deadline_ns(), &fault),
             Status::ok);
  });
  expect(channel, huge);
  producer.join();
}

TEST(a_stream_is_read_in_pieces_of_any_size) {
  Channel channel(make_segment(narrow), 0);
  for (std::size_t piece_bytes : {997ul, 65'536ul, 10 * mega}) {
    std::thread producer([&] { CHECK_EQ(put(channel, huge), Status::ok); });
    Received received;
    CHECK_EQ(take(channel, &received), Status::ok);
    CHECK(received.stream);
    CHECK_EQ(received.length, huge.size());
    Bytes bytes(huge.size());
    std::uint64_t offset = 0;
    while (offset < bytes.size()) {
      std::size_t size_bytes = 0;
      Fault fault;
      Status status = channel.read_stream(received, offset, bytes.data() + offset,
                                          std::min<std::size_t>(piece_bytes, bytes.size() - offset), &size_bytes,
                                          {far_deadline_ns()}, &fault);
      if (status == Status::interrupted) continue;
      CHECK_EQ(status, Status::ok);
      if (status != Status::ok) break;
      CHECK(size_bytes > 0 && size_bytes <= piece_bytes);
      offset += size_bytes;
    }
    channel.finish_stream(received, true);
    producer.join();
    CHECK(bytes == huge);
  }
  expect_nothing_left(channel);
}

TEST(every_limit_lets_a_larger_message_through) {
  for (std::uint64_t max_bytes : {1ul, 1000ul, 20'000ul, 40'000ul, 100'000ul}) {
    Channel channel(make_segment({.max_bytes = max_bytes, .virtual_bytes = mega}), 0);
    std::thread consumer([&] {
      Bytes bytes;
      CHECK_EQ(get(channel, &bytes), Status::ok);
      CHECK(bytes == huge);
    });
    Fault fault;
    StreamPut progress;
    Status status = channel.put_stream(Outgoing(huge).message, &progress, {0}, &fault);
    CHECK(status == Status::timed_out || status == Status::interrupted);
    CHECK_EQ(put(channel, huge), Status::ok);
    consumer.join();
  }
}

TEST(several_streams_at_once_do_not_mix) {
  for (LockKind kind : lock_kinds()) {
    Channel channel(make_segment({.max_bytes = 4 * mega, .virtual_bytes = 8 * mega}, kind), 0);
    constexpr std::uint32_t stream_count = 6;
    std::vector<std::thread> threads;
    std::atomic<std::uint32_t> seen{0};
    for (std::uint32_t i = 0; i < 3; i++) {
      threads.emplace_back([&channel, i] {
        for (std::uint32_t j : {i, i + 3}) CHECK_EQ(put(channel, pattern(4 * mega + j, j)), Status::ok);
      });
      threads.emplace_back([&] {
        for (int round = 0; round < 2; round++) {
          Bytes bytes;
          CHECK_EQ(get(channel, &bytes), Status::ok);
          std::uint32_t index = static_cast<std::uint32_t>(bytes.size() - 4 * mega);
          CHECK(index < stream_count && bytes == pattern(4 * mega + index, index));
          seen.fetch_or(1u << index);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK_EQ(seen.load(), (1u << stream_count) - 1);
    expect_nothing_left(channel);
  }
}

TEST(without_time_nothing_is_put) {
  Channel channel(make_segment(narrow), 0);
  Producer producer(channel, huge);
  CHECK_EQ(producer.step(0), Status::timed_out);
  CHECK_EQ(channel.size(), 0);
  CHECK_EQ(producer.progress().block, no_block);
}

TEST(a_timeout_withdraws_the_message) {
  Channel channel(make_segment(narrow), 0);
  for (bool taken : {false, true}) {
    Producer producer(channel, huge);
    producer.fill_window();
    Received received;
    if (taken) CHECK_EQ(take(channel, &received), Status::ok);
    CHECK_EQ(producer.step(platform::monotonic_ns()), Status::timed_out);
    CHECK_EQ(producer.progress().block, no_block);
    CHECK_EQ(put(channel, small), Status::ok);
    if (!taken) CHECK_EQ(take(channel, &received), Status::ok);
    Bytes bytes;
    CHECK_EQ(read_all(channel, received, &bytes, far_deadline_ns()), Status::aborted);
    expect(channel, small);
    expect_nothing_left(channel);
  }
}

TEST(a_message_that_nobody_gets_is_no_unfinished_task) {
  enum class End { withdrawn, withdrawn_while_read, given_up, given_up_and_aborted, given_up_when_all_was_written };
  for (End end : {End::withdrawn, End::withdrawn_while_read, End::given_up, End::given_up_and_aborted,
                  End::given_up_when_all_was_written}) {
    Channel channel(make_segment(narrow), 0);
    Producer producer(channel, huge);
    producer.fill_window();
    CHECK_EQ(put(channel, small), Status::ok);
    Received received;
    Bytes bytes;
    if (end != End::withdrawn) {
      CHECK_EQ(take(channel, &received), Status::ok);
      CHECK_EQ(read_up_to(channel, received, 1, &bytes), Status::ok);
    }
    switch (end) {
      case End::withdrawn:
        producer.abort();
        CHECK_EQ(get(channel, &bytes), Status::aborted);
        break;
      case End::withdrawn_while_read:
        producer.abort();
        CHECK_EQ(read_all(channel, received, &bytes, far_deadline_ns()), Status::aborted);
        break;
      case End::given_up:
        channel.finish_stream(received, false);
        CHECK_EQ(producer.step(far_deadline_ns()), Status::ok);
        break;
      case End::given_up_and_aborted:
        channel.finish_stream(received, false);
        producer.abort();
        break;
      case End::given_up_when_all_was_written: {
        std::thread rest([&] { producer.finish(); });
        CHECK_EQ(read_up_to(channel, received, huge.size() - window_bytes, &bytes), Status::ok);
        rest.join();
        channel.finish_stream(received, false);
        break;
      }
    }
    CHECK_EQ(unfinished_tasks(channel), 1);  // the small one
    expect(channel, small);
    Fault fault;
    CHECK_EQ(channel.task_done(&fault), Status::ok);
    CHECK_EQ(channel.join({0}, &fault), Status::ok);
    expect_nothing_left(channel);
  }
}

TEST(an_aborted_stream_is_skipped) {
  Channel channel(make_segment(narrow), 0);
  Producer producer(channel, huge);
  producer.fill_window();
  CHECK_EQ(put(channel, small), Status::ok);
  producer.abort();
  producer.abort();
  Bytes bytes;
  CHECK_EQ(get(channel, &bytes), Status::aborted);
  expect(channel, small);
  expect_nothing_left(channel);
}

TEST(a_consumer_that_gives_up_lets_the_producer_go) {
  Channel channel(make_segment(narrow), 0);
  for (std::uint64_t read_bytes : {0ul, 300'000ul}) {
    std::thread producer([&] { CHECK_EQ(put(channel, huge), Status::ok); });
    Received received;
    CHECK_EQ(take(channel, &received), Status::ok);
    Bytes bytes;
    CHECK_EQ(read_up_to(channel, received, read_bytes, &bytes), Status::ok);
    channel.finish_stream(received, false);
    producer.join();
    expect_nothing_left(channel);
  }
}

TEST(reading_ends_at_its_deadline_and_goes_on_later) {
  Channel channel(make_segment(narrow), 0);
  Producer producer(channel, huge);
  producer.fill_window();
  Received received;
  CHECK_EQ(take(channel, &received), Status::ok);
  Bytes bytes(huge.size());
  Fault fault;
  std::uint64_t offset = 0;
  std::size_t size_bytes = 0;
  Status status;
  while ((status = channel.read_stream(received, offset, bytes.data() + offset, bytes.size() - offset, &size_bytes, {0},
                                       &fault)) == Status::ok) {
    offset += size_bytes;
  }
  CHECK_EQ(status, Status::timed_out);
  CHECK_EQ(offset, producer.progress().written);
  std::thread rest([&] { producer.finish(); });
  bytes.resize(offset);
  CHECK_EQ(read_up_to(channel, received, huge.size(), &bytes), Status::ok);
  channel.finish_stream(received, true);
  rest.join();
  CHECK(bytes == huge);
  expect_nothing_left(channel);
}

TEST(a_shutdown_in_the_middle_ends_or_finishes_the_stream) {
  for (bool immediate : {false, true}) {
    Channel channel(make_segment(narrow), 0);
    Producer producer(channel, huge);
    producer.fill_window();
    Fault fault;
    CHECK_EQ(channel.shut_down(immediate, &fault), Status::ok);
    Bytes bytes;
    std::thread consumer([&] { CHECK_EQ(get(channel, &bytes), immediate ? Status::shut_down : Status::ok); });
    producer.finish();
    consumer.join();
    CHECK(immediate || bytes == huge);
    expect_nothing_left(channel);
  }
}
