// Many producers and many consumers on one channel: every message comes out exactly once, in its producer's order.
#include <algorithm>
#include <array>
#include <thread>

#include "channel.hpp"
#include "testing/channels.hpp"

using namespace interproc;
using namespace interproc::testing;

namespace {

constexpr std::uint32_t producer_count = 3;
constexpr std::uint32_t consumer_count = 3;
constexpr std::uint32_t each = 4000;

struct Ledger {
  Shared32 seen[producer_count][each];
  Shared32 consumed;

  std::uint32_t missing_from(std::uint32_t producer) const {
    std::uint32_t missing = 0;
    for (const Shared32& count : seen[producer]) missing += count.load() == 0 ? 1 : 0;
    return missing;
  }
  void check_nothing_came_twice() const {
    for (const auto& row : seen) {
      for (const Shared32& count : row) CHECK(count.load() <= 1);
    }
  }
};

// What every message begins with. Sizes run through inline ones, small blocks and large blocks.
struct Label {
  std::uint32_t producer;
  std::uint32_t number;
};

Bytes labelled(std::uint32_t producer, std::uint32_t number) {
  std::size_t size_bytes = sizeof(Label) + (number % 50 == 7 ? 20'000 : number % 5 == 3 ? 600 : number % 90);
  Bytes bytes = pattern(size_bytes, number);
  Label label{producer, number};
  std::memcpy(bytes.data(), &label, sizeof label);
  return bytes;
}

void produce(Channel& channel, std::uint32_t producer) {
  for (std::uint32_t number = 0; number < each; number++) {
    Status status = put(channel, labelled(producer, number));
    if (status != Status::ok) return CHECK_EQ(status, Status::ok);
  }
}

void produce_in_batches(Channel& channel, std::uint32_t producer) {
  std::uint32_t number = 0;
  while (number < each) {
    std::array<Bytes, 40> bytes;
    std::array<Part, 40> parts;
    std::array<Message, 40> batch;
    std::size_t length = std::min<std::size_t>(batch.size(), each - number);
    for (std::size_t i = 0; i < length; i++) {
      bytes[i] = labelled(producer, number + static_cast<std::uint32_t>(i));
      parts[i] = {bytes[i].data(), bytes[i].size()};
      batch[i] = {test_codec, &parts[i], 1, bytes[i].size()};
    }
    std::size_t count = 0;
    Fault fault;
    Status status = channel.put_many(batch.data(), length, {far_deadline_ns()}, &count, &fault);
    if (status != Status::ok && status != Status::interrupted) return CHECK_EQ(status, Status::ok);
    number += static_cast<std::uint32_t>(count);
  }
}

class Consumer {
 public:
  Consumer(Channel& channel, Ledger& ledger) : channel_(channel), ledger_(ledger) { next_.fill(0); }

  void consume() {
    Bytes bytes;
    Status status;
    while ((status = get(channel_, &bytes)) == Status::ok) check(bytes);
    CHECK_EQ(status, Status::shut_down);
  }
  void consume_in_batches() {
    std::array<Received, 50> received;
    Bytes buffer(8 * copy_under_lock_bytes);
    for (;;) {
      std::size_t count = 0;
      Fault fault;
      Status status = channel_.get_many(received.data(), received.size(), buffer.data(), buffer.size(),
                                        {far_deadline_ns()}, &count, &fault);
      if (status == Status::interrupted) continue;
      if (status != Status::ok) return CHECK_EQ(status, Status::shut_down);
      for (std::size_t i = 0; i < count; i++) {
        check(Bytes(received[i].data, received[i].data + received[i].length));
        if (received[i].block != no_block) channel_.release(received[i].block);
      }
    }
  }

 private:
  void check(const Bytes& bytes) {
    Label label{};
    CHECK(bytes.size() >= sizeof label);
    std::memcpy(&label, bytes.data(), sizeof label);
    bool known = label.producer < producer_count && label.number < each;
    CHECK(known);
    if (!known) return;
    CHECK(bytes == labelled(label.producer, label.number));
    CHECK(label.number >= next_[label.producer]);
    next_[label.producer] = label.number + 1;
    ledger_.seen[label.producer][label.number].fetch_add(1);
    ledger_.consumed.fetch_add(1);
  }

  Channel& channel_;
  Ledger& ledger_;
  std::array<std::uint32_t, producer_count> next_;
};

constexpr ChannelOptions crowded[] = {{.max_items = 20}, {.max_bytes = 200'000, .virtual_bytes = 1 << 20}, {}};

void shut_down(Channel& channel) {
  Fault fault;
  CHECK_EQ(channel.shut_down(false, &fault), Status::ok);
}

}  // namespace

TEST(threads_pass_everything_exactly_once) {
  for (LockKind kind : lock_kinds()) {
    for (const ChannelOptions& options : crowded) {
      Channel channel(make_segment(options, kind), 0);
      auto ledger = std::make_unique<Ledger>();
      std::vector<std::thread> producers;
      std::vector<std::thread> consumers;
      for (std::uint32_t i = 0; i < producer_count; i++) producers.emplace_back([&, i] { produce(channel, i); });
      for (std::uint32_t i = 0; i < consumer_count; i++) {
        consumers.emplace_back([&] { Consumer(channel, *ledger).consume(); });
      }
      for (std::thread& producer : producers) producer.join();
      shut_down(channel);
      for (std::thread& consumer : consumers) consumer.join();
      for (std::uint32_t i = 0; i < producer_count; i++) CHECK_EQ(ledger->missing_from(i), 0);
      ledger->check_nothing_came_twice();
      CHECK_EQ(statistics(channel).blocks_used, 0);
    }
  }
}

TEST(threads_pass_batches_exactly_once) {
  for (const ChannelOptions& options : crowded) {
    Channel channel(make_segment(options), 0);
    auto ledger = std::make_unique<Ledger>();
    std::vector<std::thread> producers;
    std::vector<std::thread> consumers;
    for (std::uint32_t i = 0; i < producer_count; i++) {
      producers.emplace_back([&, i] { produce_in_batches(channel, i); });
    }
    for (std::uint32_t i = 0; i < consumer_count; i++) {
      consumers.emplace_back([&] { Consumer(channel, *ledger).consume_in_batches(); });
    }
    for (std::thread& producer : producers) producer.join();
    shut_down(channel);
    for (std::thread& consumer : consumers) consumer.join();
    for (std::uint32_t i = 0; i < producer_count; i++) CHECK_EQ(ledger->missing_from(i), 0);
    ledger->check_nothing_came_twice();
  }
}

FORK_TEST(processes_pass_everything_exactly_once) {
  for (LockKind kind : lock_kinds()) {
    for (const ChannelOptions& options : crowded) {
      Channel channel(make_segment(options, kind), 0);
      Shared<Ledger> ledger;
      std::vector<pid_t> producers;
      std::vector<pid_t> consumers;
      for (std::uint32_t i = 0; i < producer_count; i++) {
        producers.push_back(start_child([&, i] { i % 2 == 0 ? produce(channel, i) : produce_in_batches(channel, i); }));
      }
      for (std::uint32_t i = 0; i < consumer_count; i++) {
        consumers.push_back(start_child([&, i] {
          Consumer consumer(channel, *ledger);
          i % 2 == 0 ? consumer.consume() : consumer.consume_in_batches();
        }));
      }
      for (pid_t producer : producers) finish_child(producer);
      shut_down(channel);
      for (pid_t consumer : consumers) finish_child(consumer);
      for (std::uint32_t i = 0; i < producer_count; i++) CHECK_EQ(ledger->missing_from(i), 0);
      ledger->check_nothing_came_twice();
      CHECK_EQ(statistics(channel).blocks_used, 0);
    }
  }
}

FORK_TEST(the_rest_goes_on_when_a_producer_and_a_consumer_are_killed) {
  for (LockKind kind : lock_kinds()) {
    for (const ChannelOptions& options : crowded) {
      Channel channel(make_segment(options, kind), 0);
      Shared<Ledger> ledger;
      std::vector<pid_t> producers;
      std::vector<pid_t> consumers;
      for (std::uint32_t i = 0; i < producer_count; i++) {
        producers.push_back(start_child([&, i] { produce(channel, i); }));
      }
      for (std::uint32_t i = 0; i < consumer_count; i++) {
        consumers.push_back(start_child([&] { Consumer(channel, *ledger).consume(); }));
      }
      CHECK(eventually([&] { return ledger->consumed.load() > each / 4; }));
      kill(producers.back(), SIGKILL);
      kill(consumers.back(), SIGKILL);
      waitpid(producers.back(), nullptr, 0);
      waitpid(consumers.back(), nullptr, 0);
      producers.pop_back();
      consumers.pop_back();
      for (pid_t producer : producers) finish_child(producer);
      shut_down(channel);
      for (pid_t consumer : consumers) finish_child(consumer);
      ledger->check_nothing_came_twice();
      // The killed consumer may have held one message.
      std::uint32_t missing = 0;
      for (std::uint32_t i = 0; i + 1 < producer_count; i++) missing += ledger->missing_from(i);
      CHECK(missing <= 1);
      ChannelTestAccess::sweep(channel);
      CHECK_EQ(statistics(channel).blocks_used, 0);
      CHECK_EQ(channel.size(), 0);
    }
  }
}
