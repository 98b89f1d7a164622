// Streams whose producer or consumer dies before the end.
#include <thread>

#include "channel.hpp"
#include "testing/streams.hpp"

using namespace interproc;
using namespace interproc::testing;

FORK_TEST(between_processes_a_stream_goes_through) {
  for (LockKind kind : lock_kinds()) {
    Channel channel(make_segment(narrow, kind), 0);
    pid_t child = start_child([&] { CHECK_EQ(put(channel, huge), Status::ok); });
    expect(channel, huge);
    finish_child(child);
    expect_nothing_left(channel);
  }
}

FORK_TEST(a_producer_that_dies_in_the_middle_aborts_the_stream) {
  for (LockKind kind : lock_kinds()) {
    Channel channel(make_segment(narrow, kind), 0);
    for (bool swept : {false, true}) {
      pid_t child = start_child([&] { put(channel, huge); });
      Received received;
      CHECK_EQ(take(channel, &received), Status::ok);
      Bytes bytes;
      CHECK_EQ(read_up_to(channel, received, 1, &bytes), Status::ok);
      kill_child(child);
      if (swept) ChannelTestAccess::sweep(channel);
      CHECK_EQ(read_up_to(channel, received, huge.size(), &bytes), Status::aborted);
      CHECK(bytes.size() < huge.size());
      channel.finish_stream(received, false);
      CHECK_EQ(unfinished_tasks(channel), swept ? 1 : 0);  // of the round before
      CHECK_EQ(put(channel, small), Status::ok);
      expect(channel, small);
      expect_nothing_left(channel);
    }
  }
}

FORK_TEST(a_producer_that_dies_before_anybody_took_the_stream_is_skipped) {
  for (LockKind kind : lock_kinds()) {
    Channel channel(make_segment(narrow, kind), 0);
    for (bool swept : {false, true}) {
      finish_child(start_child([&] {
        Producer producer(channel, huge);
        producer.fill_window();
      }));
      if (swept) ChannelTestAccess::sweep(channel);
      CHECK_EQ(put(channel, small), Status::ok);
      Bytes bytes;
      CHECK_EQ(get(channel, &bytes), Status::aborted);
      expect(channel, small);
      expect_nothing_left(channel);
    }
  }
}

FORK_TEST(a_producer_that_died_after_its_last_byte_has_sent_its_message) {
  Channel channel(make_segment(narrow), 0);
  pid_t child = start_child([&] { CHECK_EQ(put(channel, huge), Status::ok); });
  Received received;
  CHECK_EQ(take(channel, &received), Status::ok);
  Bytes bytes;
  CHECK_EQ(read_up_to(channel, received, huge.size() - window_bytes, &bytes), Status::ok);
  finish_child(child);
  ChannelTestAccess::sweep(channel);
  CHECK_EQ(read_up_to(channel, received, huge.size(), &bytes), Status::ok);
  channel.finish_stream(received, true);
  CHECK(bytes == huge);
  expect_nothing_left(channel);
}

FORK_TEST(a_consumer_that_dies_in_the_middle_leaves_the_message_to_another) {
  for (LockKind kind : lock_kinds()) {
    for (bool swept : {false, true}) {
      Channel channel(make_segment(narrow, kind), 0);
      Shared<Gate> half_read;
      pid_t child = start_child([&] {
        Received received;
        CHECK_EQ(take(channel, &received), Status::ok);
        Bytes bytes;
        CHECK_EQ(read_up_to(channel, received, huge.size() / 2, &bytes), Status::ok);
        half_read->open();
        await_death();
      });
      std::thread producer([&] { CHECK_EQ(put(channel, huge), Status::ok); });
      half_read->pass();
      kill_child(child);
      if (swept) ChannelTestAccess::sweep(channel);
      expect(channel, huge);
      producer.join();
      CHECK_EQ(unfinished_tasks(channel), 1);
      expect_nothing_left(channel);
    }
  }
}

FORK_TEST(when_both_sides_die_nothing_is_left) {
  Channel channel(make_segment(narrow), 0);
  Shared<Gate> half_read;
  pid_t consumer = start_child([&] {
    Received received;
    CHECK_EQ(take(channel, &received), Status::ok);
    Bytes bytes;
    CHECK_EQ(read_up_to(channel, received, 1, &bytes), Status::ok);
    half_read->open();
    await_death();
  });
  pid_t producer = start_child([&] { put(channel, huge); });
  half_read->pass();
  kill_child(consumer);
  kill_child(producer);
  CHECK_EQ(put(channel, small), Status::ok);
  Bytes bytes;
  Status status;
  while ((status = get(channel, &bytes)) == Status::aborted) {
  }
  CHECK(bytes == small);
  expect_nothing_left(channel);
}

// Its death was cleaned up after while the producer still had its own hold on the window.
FORK_TEST(a_consumer_that_was_swept_before_the_last_byte_leaves_no_block) {
  for (LockKind kind : lock_kinds()) {
    Channel channel(make_segment(narrow, kind), 0);
    const Bytes message = pattern(window_bytes + 1);
    Producer producer(channel, message);
    producer.fill_window();
    finish_child(start_child([&] {
      Received received;
      CHECK_EQ(take(channel, &received), Status::ok);
      Bytes bytes;
      CHECK_EQ(read_up_to(channel, received, 1, &bytes), Status::ok);
    }));
    ChannelTestAccess::sweep(channel);
    producer.finish();
    expect_nothing_left(channel);
  }
}

FORK_TEST(a_producer_that_dies_after_its_consumer_was_swept_leaves_no_block) {
  for (LockKind kind : lock_kinds()) {
    Channel channel(make_segment(narrow, kind), 0);
    Shared<Gate> filled;
    pid_t dying_producer = start_child([&] {
      Producer producer(channel, huge);
      producer.fill_window();
      filled->open();
      await_death();
    });
    filled->pass();
    finish_child(start_child([&] {
      Received received;
      CHECK_EQ(take(channel, &received), Status::ok);
    }));
    ChannelTestAccess::sweep(channel);
    kill_child(dying_producer);
    expect_nothing_left(channel);
  }
}
