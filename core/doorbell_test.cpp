#include "doorbell.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>

#include "testing/channels.hpp"

using namespace interproc;
using namespace interproc::testing;

namespace {

bool is_readable(int fd) {
  pollfd watched{fd, POLLIN, 0};
  CHECK(poll(&watched, 1, 0) >= 0);
  return (watched.revents & POLLIN) != 0;
}

void await_readable(int fd) {
  pollfd watched{fd, POLLIN, 0};
  CHECK_EQ(poll(&watched, 1, 60'000), 1);
}

int arm(Channel& channel) {
  int fd = -1;
  Fault fault;
  CHECK_EQ(channel.arm(&fd, &fault), Status::ok);
  return fd;
}

std::uint32_t armed(Channel& channel) { return ChannelTestAccess::memory(channel).control->armed.load(); }

ino_t pipe_of(int fd) {
  struct stat info;
  CHECK_EQ(fstat(fd, &info), 0);
  return info.st_ino;
}

const Bytes message = pattern(50);
const Bytes big_message = pattern(50'000);

struct Room {
  Gate ready[3];
  Gate go_on[3];
  Gate finish;
};

// A child that watches the channel until `finish`.
pid_t start_watcher(Channel& channel, Room& room, std::size_t index) {
  return start_child([&channel, &room, index] {
    int fd = arm(channel);
    CHECK(!is_readable(fd));
    room.ready[index].open();
    await_readable(fd);
    room.go_on[index].open();
    room.finish.pass();
  });
}

}  // namespace

TEST(readable_exactly_while_not_empty) {
  for (LockKind kind : lock_kinds()) {
    Channel channel(make_segment({}, kind), 0);
    int fd = arm(channel);
    CHECK(!is_readable(fd));
    for (int round = 0; round < 3; round++) {
      CHECK_EQ(put(channel, message), Status::ok);
      CHECK(is_readable(fd));
      CHECK_EQ(put(channel, big_message), Status::ok);
      CHECK(is_readable(fd));
      expect(channel, message);
      CHECK(is_readable(fd));
      expect(channel, big_message);
      CHECK(!is_readable(fd));
    }
  }
}

TEST(arming_a_line_that_holds_messages_is_readable_at_once) {
  Channel channel(make_segment(), 0);
  CHECK_EQ(put(channel, message), Status::ok);
  int fd = arm(channel);
  CHECK(is_readable(fd));
  expect(channel, message);
  CHECK(!is_readable(fd));
}

TEST(arming_again_gives_the_same_descriptor) {
  Channel channel(make_segment(), 0);
  int fd = arm(channel);
  CHECK_EQ(arm(channel), fd);
  CHECK_EQ(armed(channel), 1);
  CHECK_EQ(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  CHECK_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
}

TEST(a_channel_that_nobody_watches_makes_no_descriptor) {
  Channel channel(make_segment(), 0);
  int before = open("/dev/null", O_RDONLY | O_CLOEXEC);
  close(before);
  CHECK_EQ(put(channel, message), Status::ok);
  expect(channel, message);
  int after = open("/dev/null", O_RDONLY | O_CLOEXEC);
  close(after);
  CHECK_EQ(before, after);
}

TEST(a_batch_rings_and_taking_a_batch_clears) {
  Channel channel(make_segment(), 0);
  int fd = arm(channel);
  Outgoing one(message);
  std::vector<Message> batch(100, one.message);
  std::size_t count = 0;
  Fault fault;
  CHECK_EQ(channel.put_many(batch.data(), batch.size(), {no_deadline}, &count, &fault), Status::ok);
  CHECK(is_readable(fd));
  std::vector<Received> received(100);
  Bytes buffer(100 * copy_under_lock_bytes);
  std::size_t taken = 0;
  while (taken < batch.size()) {
    CHECK(is_readable(fd));
    CHECK_EQ(channel.get_many(received.data(), 100, buffer.data(), buffer.size(), {0}, &count, &fault), Status::ok);
    taken += count;
  }
  CHECK(!is_readable(fd));
}

TEST(a_ring_without_need_is_cleared_by_the_next_taker_that_finds_nothing) {
  Channel channel(make_segment(), 0);
  int fd = arm(channel);
  platform::ring_doorbell(fd);  // a producer that died between the ring and the commit
  CHECK(is_readable(fd));
  Received received;
  Bytes buffer(copy_under_lock_bytes);
  Fault fault;
  CHECK_EQ(channel.try_get(&received, buffer.data(), buffer.size(), true, &fault), Status::empty);
  CHECK(!is_readable(fd));
}

TEST(shutting_down_makes_it_readable_for_good) {
  for (bool immediate : {false, true}) {
    Channel channel(make_segment(), 0);
    int fd = arm(channel);
    Fault fault;
    CHECK_EQ(channel.shut_down(immediate, &fault), Status::ok);
    CHECK(is_readable(fd));
    Bytes bytes;
    CHECK_EQ(get(channel, &bytes), Status::shut_down);
    CHECK(is_readable(fd));
  }
}

TEST(draining_after_a_shutdown_leaves_it_readable) {
  Channel channel(make_segment(), 0);
  int fd = arm(channel);
  CHECK_EQ(put(channel, message), Status::ok);
  Fault fault;
  CHECK_EQ(channel.shut_down(false, &fault), Status::ok);
  expect(channel, message);
  CHECK(is_readable(fd));
}

TEST(arming_a_channel_that_is_shut_down_is_readable_at_once) {
  Channel channel(make_segment(), 0);
  Fault fault;
  CHECK_EQ(channel.shut_down(false, &fault), Status::ok);
  CHECK(is_readable(arm(channel)));
}

TEST(a_repair_leaves_it_readable_exactly_while_not_empty) {
  Channel channel(make_segment(), 0);
  int fd = arm(channel);
  Fault fault;
  auto repair = [&] {
    CHECK_EQ(ChannelTestAccess::enter(channel, &fault), Status::ok);
    ChannelTestAccess::recover(channel);
    ChannelTestAccess::leave(channel);
  };
  platform::ring_doorbell(fd);
  repair();
  CHECK(!is_readable(fd));
  CHECK_EQ(put(channel, message), Status::ok);
  platform::clear_doorbell(fd);
  repair();
  CHECK(is_readable(fd));
  CHECK_EQ(channel.shut_down(true, &fault), Status::ok);
  repair();
  CHECK(is_readable(fd));
}

TEST(without_a_descriptor_left_arming_is_a_fault_and_harmless) {
  Channel channel(make_segment(), 0);
  CHECK_EQ(put(channel, message), Status::ok);
  rlimit before;
  CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
  close(next);
  rlimit none{static_cast<rlim_t>(next), before.rlim_max};
  CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  int fd = -1;
  Fault fault;
  CHECK_EQ(channel.arm(&fd, &fault), Status::out_of_descriptors);
  CHECK_EQ(fault.error_number, EMFILE);
  CHECK_EQ(put(channel, message), Status::ok);
  CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  CHECK(is_readable(arm(channel)));
}

// --- several processes -----------------------------------------------------------------------------------------------

FORK_TEST(rung_by_another_process) {
  for (LockKind kind : lock_kinds()) {
    std::shared_ptr<Segment> segment = make_segment({}, kind);
    Channel channel(segment, 0);
    Shared<Room> room;
    pid_t child = start_child([&] {
      Channel mine(segment, 0);
      room->ready[0].pass();
      CHECK_EQ(put(mine, message), Status::ok);
      room->go_on[0].pass();
      expect(mine, message);
    });
    int fd = arm(channel);
    room->ready[0].open();
    await_readable(fd);
    room->go_on[0].open();
    finish_child(child);
    CHECK(!is_readable(fd));
  }
}

FORK_TEST(all_watchers_share_one_pipe) {
  std::shared_ptr<Segment> segment = make_segment();
  Channel channel(segment, 0);
  Shared<Room> room;
  pid_t watcher = start_child([&] {
    Channel mine(segment, 0);
    arm(mine);
    room->ready[0].open();
    room->finish.pass();
  });
  room->ready[0].pass();
  int fd = arm(channel);
  CHECK_EQ(armed(channel), 2);
  CHECK_EQ(pipe_of(fd), ChannelTestAccess::memory(channel).control->doorbell_inode);
  room->finish.open();
  finish_child(watcher);
  CHECK_EQ(put(channel, message), Status::ok);
  CHECK(is_readable(fd));
}

FORK_TEST(several_watchers_see_the_same_message) {
  Channel channel(make_segment(), 0);
  Shared<Room> room;
  pid_t watchers[3];
  for (std::size_t i = 0; i < 3; i++) {
    watchers[i] = start_watcher(channel, *room, i);
    room->ready[i].pass();
  }
  CHECK_EQ(armed(channel), 3);
  CHECK_EQ(put(channel, message), Status::ok);
  for (Gate& seen : room->go_on) seen.pass();
  expect(channel, message);
  room->finish.open();
  for (pid_t watcher : watchers) finish_child(watcher);
}

FORK_TEST(the_pipe_outlives_the_watcher_that_made_it) {
  Channel channel(make_segment(), 0);
  Shared<Room> room;
  pid_t maker = start_watcher(channel, *room, 0);
  room->ready[0].pass();
  pid_t other = start_watcher(channel, *room, 1);
  room->ready[1].pass();
  kill_child(maker);
  CHECK_EQ(put(channel, message), Status::ok);
  room->go_on[1].pass();
  room->finish.open();
  finish_child(other);
}

FORK_TEST(dead_watchers_do_not_keep_anybody_from_putting) {
  Channel channel(make_segment(), 0);
  Shared<Room> room;
  pid_t watcher = start_watcher(channel, *room, 0);
  room->ready[0].pass();
  kill_child(watcher);
  CHECK_EQ(put(channel, message), Status::ok);
  CHECK_EQ(armed(channel), 0);
  CHECK(is_readable(arm(channel)));  // a new pipe
  expect(channel, message);
}

FORK_TEST(who_cannot_ring_puts_nothing) {
  Channel channel(make_segment(), 0);
  Shared<Room> room;
  pid_t watcher = start_watcher(channel, *room, 0);
  room->ready[0].pass();
  finish_child(start_child([&] {
    int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(next);
    rlimit before;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    rlimit none{static_cast<rlim_t>(next), before.rlim_max};
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    for (const Bytes& bytes : {message, big_message}) CHECK_EQ(put(channel, bytes), Status::out_of_descriptors);
    CHECK_EQ(channel.size(), 0);
    CHECK_EQ(statistics(channel).blocks_used, 0);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK_EQ(put(channel, message), Status::ok);
  }));
  room->go_on[0].pass();
  room->finish.open();
  finish_child(watcher);
}

FORK_TEST(a_watcher_that_leaves_is_no_watcher) {
  std::shared_ptr<Segment> segment = make_segment();
  Channel channel(segment, 0);
  finish_child(start_child([&] {
    Channel mine(segment, 0);
    arm(mine);
    CHECK_EQ(armed(mine), 1);
  }));
  ChannelTestAccess::sweep(channel);
  CHECK_EQ(put(channel, message), Status::ok);
  CHECK_EQ(armed(channel), 0);
}

FORK_TEST(a_forked_child_does_not_disturb_its_parents_watching) {
  Channel channel(make_segment(), 0);
  int fd = arm(channel);
  finish_child(start_child([&] {
    CHECK_EQ(put(channel, message), Status::ok);
    expect(channel, message);
    CHECK_EQ(put(channel, big_message), Status::ok);
  }));
  CHECK(is_readable(fd));
  expect(channel, big_message);
  CHECK(!is_readable(fd));
}

// --- lifelines -------------------------------------------------------------------------------------------------------

TEST(a_lifeline_rings_at_the_other_end) {
  std::shared_ptr<Segment> segment = make_segment();
  int ends[2];
  CHECK_EQ(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
  {
    Channel producer(segment, 0);
    Channel consumer(segment, 0);
    producer.use_lifeline(ends[1], -1);
    consumer.use_lifeline(-1, ends[0]);
    CHECK_EQ(put(producer, message), Status::ok);
    CHECK(!is_readable(ends[0]));  // nobody has armed it
    Fault fault;
    CHECK_EQ(consumer.arm_lifeline(&fault), Status::ok);
    CHECK(is_readable(ends[0]));
    expect(consumer, message);
    CHECK(!is_readable(ends[0]));
    CHECK_EQ(put(producer, message), Status::ok);
    CHECK(is_readable(ends[0]));
    expect(consumer, message);
    CHECK(!is_readable(ends[0]));
  }
  CHECK(fcntl(ends[0], F_GETFD) >= 0 && fcntl(ends[1], F_GETFD) >= 0);  // they stay the caller's
  close(ends[0]);
  close(ends[1]);
}

FORK_TEST(a_lifeline_shows_the_end_of_the_other_side) {
  std::shared_ptr<Segment> segment = make_segment();
  int ends[2];
  CHECK_EQ(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
  pid_t child = start_child([&] {
    close(ends[0]);
    Channel producer(segment, 0);
    producer.use_lifeline(ends[1], -1);
    CHECK_EQ(put(producer, message), Status::ok);
  });
  close(ends[1]);
  Channel consumer(segment, 0);
  consumer.use_lifeline(-1, ends[0]);
  Fault fault;
  CHECK_EQ(consumer.arm_lifeline(&fault), Status::ok);
  finish_child(child);
  expect(consumer, message);
  pollfd watched{ends[0], POLLIN, 0};
  CHECK_EQ(poll(&watched, 1, 0), 1);
  CHECK(watched.revents & POLLHUP);
  close(ends[0]);
}
