// Who sleeps in a channel, and what ends the sleep.
#include <atomic>
#include <thread>

#include "channel.hpp"
#include "testing/channels.hpp"

using namespace interproc;
using namespace interproc::testing;

namespace {

constexpr std::uint64_t mega = std::uint64_t{1} << 20;
const Bytes message = pattern(50);
// For what a wake must do: a watchdog's tick may come first on a busy machine, but not every time.
constexpr int attempts = 20;

std::uint64_t now() { return platform::monotonic_ns(); }

Status shut_down(Channel& channel, bool immediate) {
  Fault fault;
  return channel.shut_down(immediate, &fault);
}

Status await(Channel& channel) {
  Fault fault;
  Status status;
  do {
    status = channel.await({no_deadline}, &fault);
  } while (status == Status::interrupted);
  return status;
}

// A thread that runs `operation` and sleeps in it once the constructor is done, unless a watchdog's tick has ended it.
class Sleeper {
 public:
  template <typename Operation>
  explicit Sleeper(Channel& channel, Operation operation) {
    std::uint32_t before = sleepers(channel);
    thread_ = std::thread([this, operation] {
      id_.store(static_cast<std::uint32_t>(this_thread()));
      status_ = operation();
      has_ended_.store(true);
    });
    CHECK(eventually([&] {
      return has_ended_.load() || (sleepers(channel) > before && is_asleep(static_cast<pid_t>(id_.load())));
    }));
  }
  Status finish() {
    thread_.join();
    return status_;
  }

 private:
  // Registrations that are not taken off; a watchdog's tick takes one off and on again.
  static std::uint32_t sleepers(Channel& channel) {
    Fault fault;
    CHECK_EQ(ChannelTestAccess::enter(channel, &fault), Status::ok);
    ChannelControl& control = *ChannelTestAccess::memory(channel).control;
    std::uint32_t count = control.items.waiters + control.space.waiters + control.finished.waiters;
    ChannelTestAccess::leave(channel);
    return count;
  }
  std::thread thread_;
  Shared32 id_{0};
  std::atomic<bool> has_ended_{false};
  Status status_ = Status::ok;
};

}  // namespace

// --- sleeping and waking ---------------------------------------------------------------------------------------------

TEST(a_sleeping_get_is_woken_by_a_put) {
  for (LockKind kind : lock_kinds()) {
    Channel channel(make_segment({}, kind), 0);
    Sleeper sleeper(channel, [&] {
      expect(channel, message);
      return Status::ok;
    });
    CHECK_EQ(put(channel, message), Status::ok);
    CHECK_EQ(sleeper.finish(), Status::ok);
  }
}

TEST(a_sleeping_put_is_woken_by_a_get) {
  for (std::size_t size_bytes : {10ul, 5000ul}) {
    Channel channel(make_segment({.max_items = 1}), 0);
    CHECK_EQ(put(channel, pattern(size_bytes, 1)), Status::ok);
    Sleeper sleeper(channel, [&] { return put(channel, pattern(size_bytes, 2)); });
    expect(channel, pattern(size_bytes, 1));
    CHECK_EQ(sleeper.finish(), Status::ok);
    expect(channel, pattern(size_bytes, 2));
  }
}

TEST(it_is_the_wake_that_wakes_and_not_the_watchdog) {
  Fault fault;
  std::uint8_t buffer[copy_under_lock_bytes];
  Received received;
  Status woken = Status::interrupted;
  for (int i = 0; i < attempts && woken == Status::interrupted; i++) {
    Channel channel(make_segment(), 0);
    Sleeper getter(channel, [&] { return channel.get(&received, buffer, sizeof buffer, {no_deadline}, &fault); });
    CHECK_EQ(put(channel, message), Status::ok);
    woken = getter.finish();
  }
  CHECK_EQ(woken, Status::ok);

  woken = Status::interrupted;
  for (int i = 0; i < attempts && woken == Status::interrupted; i++) {
    Channel channel(make_segment({.max_items = 1}), 0);
    CHECK_EQ(put(channel, message), Status::ok);
    Sleeper putter(channel, [&] { return channel.put(Outgoing(message).message, {no_deadline}, &fault); });
    expect(channel, message);
    woken = putter.finish();
  }
  CHECK_EQ(woken, Status::ok);
}

TEST(a_put_that_waits_for_memory_is_woken_when_a_block_is_released) {
  Channel channel(make_segment({.max_bytes = mega, .virtual_bytes = mega}), 0);
  CHECK_EQ(put(channel, pattern(400'000)), Status::ok);
  CHECK_EQ(put(channel, pattern(400'000, 1)), Status::ok);
  Received received;
  Bytes buffer(copy_under_lock_bytes);
  Fault fault;
  CHECK_EQ(channel.try_get(&received, buffer.data(), buffer.size(), true, &fault), Status::ok);
  Sleeper sleeper(channel, [&] { return put(channel, pattern(400'000, 2)); });
  channel.release(received.block);
  CHECK_EQ(sleeper.finish(), Status::ok);
  expect(channel, pattern(400'000, 1));
  expect(channel, pattern(400'000, 2));
}

TEST(awaiting_takes_nothing_and_passes_its_wake_on) {
  Fault fault;
  std::uint8_t buffer[copy_under_lock_bytes];
  Received received;
  Status woken = Status::interrupted;
  for (int i = 0; i < attempts && woken == Status::interrupted; i++) {
    Channel channel(make_segment(), 0);
    CHECK_EQ(channel.await({0}, &fault), Status::timed_out);
    CHECK_EQ(channel.await({now()}, &fault), Status::timed_out);
    Sleeper watcher(channel, [&] { return await(channel); });  // sleeps first, so is woken first
    Sleeper getter(channel, [&] { return channel.get(&received, buffer, sizeof buffer, {no_deadline}, &fault); });
    CHECK_EQ(put(channel, message), Status::ok);
    woken = getter.finish();
    CHECK_EQ(channel.size(), woken == Status::ok ? 0 : 1);
    CHECK_EQ(put(channel, message), Status::ok);
    CHECK_EQ(watcher.finish(), Status::ok);
  }
  CHECK_EQ(woken, Status::ok);
}

TEST(awaiting_ends_with_a_shutdown) {
  Channel channel(make_segment(), 0);
  Sleeper watcher(channel, [&] { return await(channel); });
  CHECK_EQ(shut_down(channel, false), Status::ok);
  CHECK_EQ(watcher.finish(), Status::ok);
  CHECK_EQ(await(channel), Status::ok);
}

TEST(wake_all_interrupts_every_sleeper) {
  Channel channel(make_segment({.max_items = 1}), 0);
  Received received;
  std::uint8_t buffer[copy_under_lock_bytes];
  Sleeper getter(channel, [&] {
    Fault fault;
    return channel.get(&received, buffer, sizeof buffer, {no_deadline}, &fault);
  });
  channel.wake_all();
  CHECK_EQ(getter.finish(), Status::interrupted);
  CHECK_EQ(put(channel, message), Status::ok);
  Sleeper putter(channel, [&] {
    Fault fault;
    return channel.put(Outgoing(message).message, {no_deadline}, &fault);
  });
  channel.wake_all();
  CHECK_EQ(putter.finish(), Status::interrupted);
}

// --- shutdown --------------------------------------------------------------------------------------------------------

TEST(after_a_shutdown_nothing_goes_in_and_the_rest_comes_out) {
  Channel channel(make_segment(), 0);
  for (std::uint32_t i = 0; i < 3; i++) CHECK_EQ(put(channel, pattern(2000, i)), Status::ok);
  CHECK_EQ(shut_down(channel, false), Status::ok);
  CHECK_EQ(put(channel, message), Status::shut_down);
  CHECK_EQ(put(channel, pattern(5000)), Status::shut_down);
  for (std::uint32_t i = 0; i < 3; i++) expect(channel, pattern(2000, i));
  Bytes bytes;
  CHECK_EQ(get(channel, &bytes), Status::shut_down);
  CHECK_EQ(get(channel, &bytes, 0), Status::shut_down);
}

TEST(an_immediate_shutdown_drops_what_was_there) {
  Channel channel(make_segment(), 0);
  for (std::uint32_t i = 0; i < 300; i++) CHECK_EQ(put(channel, pattern(i * 10, i)), Status::ok);
  CHECK_EQ(shut_down(channel, true), Status::ok);
  CHECK_EQ(channel.size(), 0);
  CHECK_EQ(statistics(channel).blocks_used, 0);
  CHECK(statistics(channel).chunks_used <= 1);
  Bytes bytes;
  CHECK_EQ(get(channel, &bytes), Status::shut_down);
  CHECK_EQ(put(channel, message), Status::shut_down);
  Fault fault;
  CHECK_EQ(channel.join({0}, &fault), Status::ok);
}

TEST(a_shutdown_cannot_be_softened) {
  Channel channel(make_segment(), 0);
  CHECK_EQ(shut_down(channel, true), Status::ok);
  CHECK_EQ(shut_down(channel, false), Status::ok);
  CHECK_EQ(ChannelTestAccess::memory(channel).control->shutdown.load(), 2);
}

TEST(a_shutdown_wakes_sleepers_on_both_sides) {
  for (bool immediate : {false, true}) {
    Channel channel(make_segment({.max_items = 1}), 0);
    Bytes bytes;
    Sleeper getter(channel, [&] { return get(channel, &bytes); });
    CHECK_EQ(shut_down(channel, immediate), Status::ok);
    CHECK_EQ(getter.finish(), Status::shut_down);

    Channel full(make_segment({.max_items = 1}), 0);
    CHECK_EQ(put(full, message), Status::ok);
    Sleeper putter(full, [&] { return put(full, message); });
    CHECK_EQ(shut_down(full, immediate), Status::ok);
    CHECK_EQ(putter.finish(), Status::shut_down);
  }
}

// --- task_done and join ----------------------------------------------------------------------------------------------

TEST(join_waits_until_every_message_is_done) {
  Channel channel(make_segment(), 0);
  Fault fault;
  CHECK_EQ(channel.join({0}, &fault), Status::ok);
  for (int i = 0; i < 3; i++) CHECK_EQ(put(channel, message), Status::ok);
  CHECK_EQ(channel.join({0}, &fault), Status::timed_out);
  for (int i = 0; i < 3; i++) {
    expect(channel, message);
    CHECK_EQ(channel.join({now() + 1'000'000}, &fault), Status::timed_out);
    CHECK_EQ(channel.task_done(&fault), Status::ok);
  }
  CHECK_EQ(channel.join({0}, &fault), Status::ok);
  CHECK_EQ(channel.task_done(&fault), Status::too_many_done);
  CHECK_EQ(fault.found, 4);
  CHECK_EQ(fault.expected, 3);
  CHECK_EQ(channel.join({0}, &fault), Status::ok);
}

TEST(a_sleeping_join_is_woken_by_the_last_task_done) {
  Channel channel(make_segment(), 0);
  CHECK_EQ(put(channel, message), Status::ok);
  std::atomic<std::uint32_t> joiner{0};
  std::thread thread([&] {
    joiner.store(static_cast<std::uint32_t>(this_thread()));
    Fault fault;
    Status status;
    do {
      status = channel.join({no_deadline}, &fault);
    } while (status == Status::interrupted);
    CHECK_EQ(status, Status::ok);
  });
  CHECK(eventually([&] { return joiner.load() != 0 && is_asleep(static_cast<pid_t>(joiner.load())); }));
  Fault fault;
  CHECK_EQ(channel.task_done(&fault), Status::ok);
  thread.join();
}

TEST(wake_all_interrupts_a_join) {
  Channel channel(make_segment(), 0);
  CHECK_EQ(put(channel, message), Status::ok);
  auto someone_waits = [&] {
    Fault fault;
    CHECK_EQ(ChannelTestAccess::enter(channel, &fault), Status::ok);
    bool waits = EventWord(ChannelTestAccess::memory(channel).control->finished).has_waiters();
    ChannelTestAccess::leave(channel);
    return waits;
  };
  std::atomic<bool> returned{false};
  std::thread thread([&] {
    Fault fault;
    CHECK_EQ(channel.join({no_deadline}, &fault), Status::interrupted);
    returned.store(true);
  });
  CHECK(eventually([&] { return someone_waits() || returned.load(); }));
  channel.wake_all();
  bool waited_again = false;
  CHECK(eventually([&] {
    waited_again = waited_again || someone_waits();
    return returned.load();
  }));
  CHECK(!waited_again);
  thread.join();
}
