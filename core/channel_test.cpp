#include "channel.hpp"

#include <algorithm>
#include <thread>

#include "testing/channels.hpp"

using namespace interproc;
using namespace interproc::testing;

namespace {

constexpr std::uint64_t mega = std::uint64_t{1} << 20;
const Bytes message = pattern(50);

std::uint64_t now() { return platform::monotonic_ns(); }

Status try_put(Channel& channel, const Bytes& bytes) {
  Fault fault;
  return channel.try_put(Outgoing(bytes).message, true, &fault);
}

Status try_get(Channel& channel) {
  Fault fault;
  Received received;
  std::uint8_t buffer[copy_under_lock_bytes];
  Status status = channel.try_get(&received, buffer, sizeof buffer, true, &fault);
  if (status == Status::ok && received.block != no_block) channel.release(received.block);
  return status;
}

Status shut_down(Channel& channel, bool immediate) {
  Fault fault;
  return channel.shut_down(immediate, &fault);
}

// Waits, through interruptions, until a thread that runs `operation` sleeps in it; gives its status when it ends.
class Sleeper {
 public:
  template <typename Operation>
  explicit Sleeper(Channel& channel, Operation operation) {
    std::uint64_t waits = all_waits(channel);
    thread_ = std::thread([this, operation] {
      id_.store(static_cast<std::uint32_t>(this_thread()));
      status_ = operation();
    });
    CHECK(eventually([&] { return all_waits(channel) > waits && is_asleep(static_cast<pid_t>(id_.load())); }));
  }
  Status finish() {
    thread_.join();
    return status_;
  }

 private:
  static std::uint64_t all_waits(Channel& channel) {
    Counters counters = statistics(channel).counters;
    return counters.get_waits + counters.put_waits;
  }
  std::thread thread_;
  Shared32 id_{0};
  Status status_ = Status::ok;
};

}  // namespace

// --- order, limits, timeouts -----------------------------------------------------------------------------------------

TEST(messages_come_out_in_the_order_they_went_in) {
  for (LockKind kind : lock_kinds()) {
    Channel channel(make_segment({}, kind), 0);
    for (std::uint32_t i = 0; i < 1000; i++) CHECK_EQ(put(channel, pattern(i % 300, i)), Status::ok);
    CHECK_EQ(channel.size(), 1000);
    for (std::uint32_t i = 0; i < 1000; i++) expect(channel, pattern(i % 300, i));
    CHECK_EQ(channel.size(), 0);
    CHECK_EQ(statistics(channel).blocks_used, 0);
  }
}

TEST(every_size_survives) {
  Channel channel(make_segment(), 0);
  for (std::size_t size_bytes = 0; size_bytes <= 5000; size_bytes++) {
    Bytes bytes = pattern(size_bytes, 1);
    CHECK_EQ(put(channel, bytes), Status::ok);
    expect(channel, bytes);
  }
  for (std::size_t power = 8192; power <= 8 * mega; power *= 2) {
    for (std::size_t size_bytes : {power - 1, power, power + 1}) {
      Bytes bytes = pattern(size_bytes, 2);
      CHECK_EQ(put(channel, bytes), Status::ok);
      expect(channel, bytes);
    }
  }
  CHECK_EQ(statistics(channel).blocks_used, 0);
}

TEST(a_message_is_the_concatenation_of_its_parts) {
  Channel channel(make_segment(), 0);
  for (std::size_t size_bytes : {3ul, 100ul, 1000ul, 3000ul, 200'000ul}) {
    Bytes bytes = pattern(size_bytes);
    std::size_t third = size_bytes / 3;
    const Part parts[] = {{nullptr, 0},
                          {bytes.data(), third},
                          {bytes.data() + third, third},
                          {bytes.data(), 0},
                          {bytes.data() + 2 * third, size_bytes - 2 * third}};
    Fault fault;
    CHECK_EQ(put(channel, Message{test_codec, parts, 5, size_bytes}, no_deadline, &fault), Status::ok);
    expect(channel, bytes);
  }
}

TEST(where_the_payload_lies_depends_on_its_size_and_the_buffer) {
  Channel channel(make_segment(), 0);
  Fault fault;
  Received received;
  std::uint8_t buffer[2 * copy_under_lock_bytes];
  for (std::size_t size_bytes : {1ul, slot_inline_bytes, slot_inline_bytes + 1, copy_under_lock_bytes}) {
    CHECK_EQ(put(channel, pattern(size_bytes)), Status::ok);
    CHECK_EQ(channel.try_get(&received, buffer, sizeof buffer, true, &fault), Status::ok);
    CHECK(received.data == buffer && received.block == no_block && !received.stream);
    CHECK_EQ(received.length, size_bytes);
  }
  CHECK_EQ(put(channel, pattern(copy_under_lock_bytes + 1)), Status::ok);
  CHECK_EQ(channel.try_get(&received, buffer, sizeof buffer, true, &fault), Status::ok);
  CHECK(received.block != no_block && !received.stream);
  Bytes expected = pattern(copy_under_lock_bytes + 1);
  CHECK(std::equal(expected.begin(), expected.end(), received.data));
  CHECK_EQ(statistics(channel).blocks_used, 1);
  channel.release(received.block);
  CHECK_EQ(statistics(channel).blocks_used, 0);
}

TEST(a_try_on_an_empty_or_full_channel_does_not_wait) {
  Channel channel(make_segment({.max_items = 2}), 0);
  CHECK_EQ(try_get(channel), Status::empty);
  CHECK(!channel.is_full());
  CHECK_EQ(try_put(channel, message), Status::ok);
  CHECK_EQ(try_put(channel, message), Status::ok);
  CHECK(channel.is_full());
  CHECK_EQ(try_put(channel, message), Status::full);
  CHECK_EQ(try_put(channel, pattern(5000)), Status::full);
  CHECK_EQ(statistics(channel).blocks_used, 0);
  CHECK_EQ(try_get(channel), Status::ok);
  CHECK_EQ(try_put(channel, message), Status::ok);
}

TEST(a_try_that_must_not_wait_for_the_lock_says_so) {
  for (LockKind kind : lock_kinds()) {
    Channel channel(make_segment({}, kind), 0);
    CHECK_EQ(put(channel, message), Status::ok);
    Fault fault;
    CHECK_EQ(ChannelTestAccess::enter(channel, &fault), Status::ok);
    std::thread([&] {
      Received received;
      std::uint8_t buffer[copy_under_lock_bytes];
      Fault other_fault;
      CHECK_EQ(channel.try_put(Outgoing(message).message, false, &other_fault), Status::lock_busy);
      CHECK_EQ(channel.try_get(&received, buffer, sizeof buffer, false, &other_fault), Status::lock_busy);
    }).join();
    ChannelTestAccess::leave(channel);
    expect(channel, message);
  }
}

TEST(timeouts_report_timed_out) {
  Channel channel(make_segment({.max_items = 1}), 0);
  Bytes bytes;
  for (std::uint64_t deadline_ns : {std::uint64_t{0}, now(), now() + 5'000'000}) {
    CHECK_EQ(get(channel, &bytes, deadline_ns), Status::timed_out);
  }
  CHECK_EQ(put(channel, message), Status::ok);
  for (std::uint64_t deadline_ns : {std::uint64_t{0}, now(), now() + 5'000'000}) {
    CHECK_EQ(put(channel, message, deadline_ns), Status::timed_out);
    CHECK_EQ(put(channel, pattern(5000), deadline_ns), Status::timed_out);
  }
  CHECK_EQ(get(channel, &bytes, 0), Status::ok);
  CHECK_EQ(put(channel, message, 0), Status::ok);
  CHECK_EQ(channel.size(), 1);
}

TEST(an_empty_channel_is_never_full) {
  for (std::uint64_t max_bytes : {1ul, 1000ul, 20'000ul, 40'000ul, 100'000ul}) {
    Channel channel(make_segment({.max_bytes = max_bytes, .virtual_bytes = mega}), 0);
    for (std::size_t size_bytes : {0ul, 112ul, 113ul, 1024ul, 1025ul, 5000ul, 60'000ul}) {
      for (int round = 0; round < 70; round++) {
        Status status = try_put(channel, pattern(size_bytes));
        CHECK(status == Status::ok || (status == Status::too_large && size_bytes > copy_under_lock_bytes));
        if (status != Status::ok) break;
        expect(channel, pattern(size_bytes));
      }
    }
  }
}

TEST(a_full_memory_limit_keeps_messages_out_and_lets_them_in_again) {
  Channel channel(make_segment({.max_bytes = 100'000, .virtual_bytes = mega}), 0);
  for (std::size_t size_bytes : {10ul, 200ul, 1024ul, 3000ul, 20'000ul}) {
    std::uint64_t count = 0;
    while (try_put(channel, pattern(size_bytes)) == Status::ok) count++;
    CHECK_EQ(try_put(channel, pattern(size_bytes)), Status::full);
    CHECK(statistics(channel).bytes_used <= 100'000);
    CHECK(count * (size_bytes + 128) >= 100'000 / 3);
    for (std::uint64_t i = 0; i < count; i++) expect(channel, pattern(size_bytes));
    CHECK_EQ(try_get(channel), Status::empty);
  }
}

TEST(no_limit_lets_very_many_messages_in) {
  Channel channel(make_segment(), 0);
  constexpr std::uint64_t count = 200'000;
  for (std::uint64_t i = 0; i < count; i++) {
    Fault fault;
    CHECK_EQ(channel.try_put(Outgoing(&i, sizeof i).message, true, &fault), Status::ok);
  }
  CHECK_EQ(channel.size(), count);
  for (std::uint64_t i = 0; i < count; i++) {
    Received received;
    std::uint64_t buffer[copy_under_lock_bytes / 8];
    Fault fault;
    CHECK_EQ(channel.try_get(&received, reinterpret_cast<std::uint8_t*>(buffer), sizeof buffer, true, &fault),
             Status::ok);
    CHECK_EQ(buffer[0], i);
  }
}

// --- batches ---------------------------------------------------------------------------------------------------------

TEST(batches_of_every_length_keep_order) {
  Channel channel(make_segment(), 0);
  std::vector<Bytes> bytes;
  for (std::uint32_t i = 0; i < 200; i++) bytes.push_back(pattern(i % 40 == 39 ? 3000 : i % 7 * 50, i));
  for (std::size_t length : {0ul, 1ul, 2ul, 63ul, 64ul, 65ul, 200ul}) {
    std::vector<Part> parts;
    for (std::size_t i = 0; i < length; i++) parts.push_back({bytes[i].data(), bytes[i].size()});
    std::vector<Message> batch;
    for (const Part& part : parts) batch.push_back({test_codec, &part, 1, part.size_bytes});
    std::size_t count = 99;
    Fault fault;
    CHECK_EQ(channel.put_many(batch.data(), batch.size(), {no_deadline}, &count, &fault), Status::ok);
    CHECK_EQ(count, length);
    std::size_t taken = 0;
    while (taken < length) {
      std::vector<Received> received(length);
      Bytes buffer(4 * copy_under_lock_bytes);
      CHECK_EQ(channel.get_many(received.data(), length - taken, buffer.data(), buffer.size(), {0}, &count, &fault),
               Status::ok);
      CHECK(count >= 1 && count <= length - taken);
      for (std::size_t i = 0; i < count; i++, taken++) {
        CHECK(Bytes(received[i].data, received[i].data + received[i].length) == bytes[taken]);
        if (received[i].block != no_block) channel.release(received[i].block);
      }
    }
    CHECK_EQ(channel.size(), 0);
  }
}

TEST(a_batch_that_does_not_fit_says_how_many_went_in) {
  Channel channel(make_segment({.max_items = 10}), 0);
  Outgoing one(message);
  std::vector<Message> batch(15, one.message);
  std::size_t count = 0;
  Fault fault;
  CHECK_EQ(channel.put_many(batch.data(), batch.size(), {0}, &count, &fault), Status::timed_out);
  CHECK_EQ(count, 10u);
  CHECK_EQ(channel.put_many(batch.data(), batch.size(), {now() + 1'000'000}, &count, &fault), Status::timed_out);
  CHECK_EQ(count, 0u);
  shut_down(channel, false);
  CHECK_EQ(channel.put_many(batch.data(), batch.size(), {0}, &count, &fault), Status::shut_down);
}

TEST(a_batch_stops_at_a_message_that_is_too_large) {
  Channel channel(make_segment({.max_bytes = 100'000, .virtual_bytes = mega}), 0);
  Outgoing small(message);
  Bytes huge = pattern(200'000);
  Outgoing large(huge);
  const Message batch[] = {small.message, small.message, large.message, small.message};
  std::size_t count = 0;
  Fault fault;
  CHECK_EQ(channel.put_many(batch, 4, {0}, &count, &fault), Status::too_large);
  CHECK_EQ(count, 2u);
}

TEST(an_empty_channel_gives_no_batch) {
  Channel channel(make_segment(), 0);
  Received received[4];
  Bytes buffer(copy_under_lock_bytes);
  std::size_t count = 99;
  Fault fault;
  CHECK_EQ(channel.get_many(received, 4, buffer.data(), buffer.size(), {0}, &count, &fault), Status::timed_out);
  CHECK_EQ(count, 0u);
}

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

TEST(a_put_that_waits_for_memory_is_woken_when_a_block_is_released) {
  Channel channel(make_segment({.max_bytes = mega, .virtual_bytes = mega}), 0);
  CHECK_EQ(put(channel, pattern(600'000)), Status::ok);
  Received received;
  Bytes buffer(copy_under_lock_bytes);
  Fault fault;
  CHECK_EQ(channel.try_get(&received, buffer.data(), buffer.size(), true, &fault), Status::ok);
  Sleeper sleeper(channel, [&] { return put(channel, pattern(700'000)); });
  channel.release(received.block);
  CHECK_EQ(sleeper.finish(), Status::ok);
  expect(channel, pattern(700'000));
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
  CHECK_EQ(try_get(channel), Status::shut_down);
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

// --- participants ----------------------------------------------------------------------------------------------------

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

TEST(the_two_channels_of_a_segment_are_apart) {
  std::shared_ptr<Segment> segment = make_segment({}, LockKind::liveness, 2);
  Channel there(segment, 0);
  Channel back(segment, 1);
  CHECK_EQ(put(there, pattern(5000, 1)), Status::ok);
  CHECK_EQ(put(back, pattern(5000, 2)), Status::ok);
  expect(there, pattern(5000, 1));
  expect(back, pattern(5000, 2));
  Channel none(segment, 2);
  Fault fault;
  CHECK_EQ(none.check(&fault), Status::bad_segment);
}

TEST(counters_count) {
  Channel channel(make_segment({.max_items = 100}), 0);
  for (int i = 0; i < 10; i++) CHECK_EQ(put(channel, pattern(1000)), Status::ok);
  for (int i = 0; i < 4; i++) expect(channel, pattern(1000));
  Channel::Statistics seen = statistics(channel);
  CHECK_EQ(seen.counters.puts, 10);
  CHECK_EQ(seen.counters.gets, 4);
  CHECK_EQ(seen.counters.bytes_in, 10'000);
  CHECK_EQ(seen.counters.bytes_out, 4'000);
  CHECK_EQ(seen.counters.most_items, 10);
  CHECK_EQ(seen.counters.blocks_made, 10);
  CHECK_EQ(seen.items, 6);
  CHECK_EQ(seen.max_items, 100);
  CHECK_EQ(seen.blocks_used, 6);
  CHECK_EQ(seen.chunks_used, 1);
  CHECK_EQ(seen.participants, 1);
}

TEST(housekeeping_gives_idle_memory_back) {
  std::shared_ptr<Segment> segment = make_segment();
  Channel channel(segment, 0);
  for (std::uint32_t i = 0; i < 20; i++) CHECK_EQ(put(channel, pattern(4 * mega - 100)), Status::ok);
  for (std::uint32_t i = 0; i < 64 * 500; i++) CHECK_EQ(put(channel, message), Status::ok);
  for (std::uint32_t i = 0; i < 20; i++) expect(channel, pattern(4 * mega - 100));
  for (std::uint32_t i = 0; i < 64 * 500; i++) expect(channel, message);
  CHECK(resident_bytes(*segment) > 70 * mega);
  ChannelTestAccess::keep_house(channel);
  CHECK(resident_bytes(*segment) < 34 * mega);
  CHECK_EQ(put(channel, pattern(9 * mega)), Status::ok);
  expect(channel, pattern(9 * mega));
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
