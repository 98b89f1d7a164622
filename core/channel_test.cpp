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

// --- state -----------------------------------------------------------------------------------------------------------

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
  const Bytes large = pattern(4 * mega - 100);
  constexpr int small_count = 500 * chunk_slots;
  for (int i = 0; i < 12; i++) CHECK_EQ(put(channel, large), Status::ok);
  for (int i = 0; i < small_count; i++) CHECK_EQ(put(channel, message), Status::ok);
  for (int i = 0; i < 12; i++) expect(channel, large);
  for (int i = 0; i < small_count; i++) expect(channel, message);
  CHECK(resident_bytes(*segment) > 50 * mega);
  ChannelTestAccess::keep_house(channel);
  CHECK(resident_bytes(*segment) < 34 * mega);
  CHECK_EQ(put(channel, large), Status::ok);
  expect(channel, large);
}
