// Shared memory that somebody wrote over: every operation must end, and with a documented status.
//
// Each round makes a channel, uses it a little, writes random values where no process should, and goes on using it. Rounds
// run in forked children, so that a crash or an endless loop is one failed check that names its seed; with
// INTERPROC_TEST_SEED=<seed> the rounds begin there. The lock word stays as it is: nobody can tell a wrong owner from a
// slow one.
#include <array>
#include <cinttypes>
#include <random>

#include "testing/channels.hpp"

using namespace interproc;
using namespace interproc::testing;

namespace {

constexpr unsigned hang_seconds = 20;
constexpr std::uint64_t default_seed = 20251125;
constexpr std::uint64_t nap_ns = 200'000;
const Bytes payload = pattern(600'000);

std::uint64_t first_seed() {
  const char* text = getenv("INTERPROC_TEST_SEED");
  return text != nullptr ? strtoull(text, nullptr, 10) : default_seed;
}

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t any() { return engine_(); }
  std::uint64_t below(std::uint64_t limit) { return engine_() % limit; }
  bool once_in(std::uint64_t count) { return below(count) == 0; }

  // Values that break things: ends of ranges, neighbours of what is there, and noise.
  std::uint64_t wrong(std::uint64_t right) {
    switch (below(8)) {
      case 0:
        return 0;
      case 1:
        return UINT64_MAX - below(100);
      case 2:
        return right + 1;
      case 3:
        return right - 1;
      case 4:
        return std::uint64_t{1} << below(64);
      case 5:
        return below(1 << 20) * cache_line;
      case 6:
        return right ^ (std::uint64_t{1} << below(64));
      default:
        return any();
    }
  }

 private:
  std::mt19937_64 engine_;
};

// Writes one wrong value. Plain stores: the writer is another process as far as the core knows.
void damage(Random& random, std::byte* where, std::size_t width_bytes) {
  std::uint64_t value = 0;
  std::memcpy(&value, where, width_bytes);
  value = random.wrong(value);
  std::memcpy(where, &value, width_bytes);
}

class Vandal {
 public:
  Vandal(Channel& channel, Random& random) : memory_(ChannelTestAccess::memory(channel)), random_(random) {}

  void strike() {
    auto* control = reinterpret_cast<std::byte*>(memory_.control);
    switch (random_.below(7)) {
      case 0:
        return strike_in(memory_.chunks, 4 * chunk_bytes);
      case 1:
        return strike_slot();
      case 2:
        return strike_in(reinterpret_cast<std::byte*>(memory_.directory), 64 * sizeof(Shared32));
      case 3:
        return strike_in(reinterpret_cast<std::byte*>(memory_.links), 64 * sizeof(std::uint32_t));
      case 4:
        return strike_block();
      case 5:
        return strike_in(control + offsetof(ChannelControl, free_lists), 40 * sizeof(std::uint64_t));
      default:
        return strike_in(control + offsetof(ChannelControl, head),
                         offsetof(ChannelControl, free_lists) - offsetof(ChannelControl, head));
    }
  }

 private:
  void strike_in(std::byte* begin, std::size_t size_bytes) {
    std::size_t width_bytes = random_.once_in(2) ? 4 : 8;
    damage(random_, begin + random_.below(size_bytes / width_bytes) * width_bytes, width_bytes);
  }
  void strike_slot() {  // one that somebody will read
    std::uint64_t position = memory_.control->head.load(std::memory_order_relaxed) + random_.below(4);
    strike_in(memory_.chunks + (position * slot_bytes) % (2 * chunk_bytes), 32);
  }
  void strike_block() {  // the header of a real block, or the stream header behind it
    std::uint64_t block = cache_line;
    for (std::uint64_t skip = random_.below(8); skip > 0; skip--) {
      auto* header = reinterpret_cast<BlockHeader*>(memory_.arena + block);
      if (header->size_class >= size_class_count) break;
      std::uint64_t next = block + class_bytes(header->size_class);
      if (next + 256 > memory_.arena_bytes) break;
      block = next;
    }
    strike_in(memory_.arena + block, sizeof(BlockHeader) + sizeof(StreamHeader));
  }

  const ChannelMemory& memory_;
  Random& random_;
};

// Does everything that a user can do, in any order, and never for long.
class User {
 public:
  User(std::shared_ptr<Segment> segment, Random& random)
      : segment_(segment), random_(random), channel_(segment, 0), buffer_(4096) {}
  ~User() { end_streams(); }

  Channel& channel() { return channel_; }

  void act() {
    switch (random_.below(20)) {
      case 0:
      case 1:
      case 2:
        return check(channel_.try_put(message(), random_.once_in(2), &fault_));
      case 3:
        return check(channel_.put(message(), wait(), &fault_));
      case 4:
      case 5:
        return put_many();
      case 6:
      case 7:
      case 8:
        return got(channel_.try_get(received_.data(), buffer_.data(), buffer_.size(), true, &fault_), 1);
      case 9:
        return got(channel_.get(received_.data(), buffer_.data(), buffer_.size(), wait(), &fault_), 1);
      case 10:
        return get_many();
      case 11:
        return put_stream();
      case 12:
        return read_stream();
      case 13:
        channel_.statistics(&fault_);
        channel_.is_full();
        return;
      case 14:
        return check(channel_.task_done(&fault_));
      case 15:
        return check(channel_.join({0}, &fault_));
      case 16:
        return ChannelTestAccess::keep_house(channel_);
      case 17:
        return recover();
      case 18:
        return attach();
      default:
        return rare();
    }
  }

 private:
  // The policy for a line without a consumer is among what may be damaged.
  void check(Status status) {
    bool is_known = status >= Status::peer_gone && status <= Status::aborted;
    CHECK(is_known || status == Status::no_consumer);
  }

  Wait wait() { return {random_.once_in(4) ? platform::monotonic_ns() + nap_ns : 0}; }
  std::size_t size() {
    constexpr std::size_t limits[] = {slot_inline_bytes + 1, 1100, 10'000, 600'000};
    return static_cast<std::size_t>(random_.below(limits[random_.below(4)]));
  }
  Message message() {
    part_ = {payload.data(), size()};
    return {test_codec, &part_, 1, part_.size_bytes};
  }
  void put_many() {
    std::array<Part, 30> parts;
    std::array<Message, 30> batch;
    for (std::size_t i = 0; i < batch.size(); i++) {
      parts[i] = {payload.data(), std::min<std::size_t>(size(), 5000)};
      batch[i] = {test_codec, &parts[i], 1, parts[i].size_bytes};
    }
    std::size_t count = 0;
    check(channel_.put_many(batch.data(), batch.size(), wait(), &count, &fault_));
    CHECK(count <= batch.size());
  }
  void get_many() {
    std::size_t count = 0;
    Status status =
        channel_.get_many(received_.data(), received_.size(), buffer_.data(), buffer_.size(), wait(), &count, &fault_);
    CHECK(count <= received_.size());
    got(status, count);
  }
  void got(Status status, std::size_t count) {
    check(status);
    if (status != Status::ok) return;
    for (std::size_t i = 0; i < count; i++) {
      const Received& received = received_[i];
      if (received.stream) {
        if (reading_.block != no_block) channel_.finish_stream(reading_, false);
        reading_ = received;
        offset_ = 0;
        continue;
      }
      for (std::uint64_t at = 0; at < received.length; at += 64) sum_ += received.data[at];
      if (received.block != no_block) channel_.release(received.block);
    }
  }
  void put_stream() {
    Message large{test_codec, &part_, 1, payload.size()};
    part_ = {payload.data(), payload.size()};
    check(channel_.put_stream(large, &writing_, {platform::monotonic_ns() + nap_ns}, &fault_));
    if (random_.once_in(8)) channel_.abort_stream(&writing_);
  }
  void read_stream() {
    if (reading_.block == no_block) return;
    for (int i = 0; i < 3; i++) {
      std::size_t size_bytes = 0;
      Status status =
          channel_.read_stream(reading_, offset_, buffer_.data(), buffer_.size(), &size_bytes, wait(), &fault_);
      check(status);
      CHECK(size_bytes <= buffer_.size());
      offset_ += size_bytes;
      if (status != Status::ok || offset_ >= reading_.length) break;
    }
    if (!random_.once_in(3)) return;
    channel_.finish_stream(reading_, random_.once_in(2));
    reading_ = {};
  }
  void recover() {
    if (ChannelTestAccess::enter(channel_, &fault_) != Status::ok) return;
    ChannelTestAccess::recover(channel_);
    ChannelTestAccess::leave(channel_);
    ChannelTestAccess::sweep(channel_);
  }
  void attach() {
    std::shared_ptr<Segment> attached;
    int fd = fcntl(segment_->fd(), F_DUPFD_CLOEXEC, 0);
    Status status = Segment::attach(fd, nullptr, &attached, &fault_);
    check(status);
    if (status != Status::ok) {
      close(fd);
      return;
    }
    Channel other(attached, 0);
    if (other.check(&fault_) != Status::ok) return;
    check(other.try_put(message(), true, &fault_));
    std::size_t count = 0;
    check(other.get_many(received_.data(), 1, buffer_.data(), buffer_.size(), {0}, &count, &fault_));
  }
  void rare() {
    int fd = -1;
    if (random_.once_in(3)) check(channel_.arm(&fd, &fault_));
    if (random_.once_in(3)) channel_.wake_all();
    if (random_.once_in(20)) check(channel_.shut_down(random_.once_in(2), &fault_));
  }
  void end_streams() {
    channel_.abort_stream(&writing_);
    if (reading_.block != no_block) channel_.finish_stream(reading_, false);
  }

  std::shared_ptr<Segment> segment_;
  Random& random_;
  Channel channel_;
  Bytes buffer_;
  Part part_{};
  std::array<Received, 20> received_{};
  Received reading_{};
  std::uint64_t offset_ = 0;
  StreamPut writing_{};
  Fault fault_{};
  std::uint64_t sum_ = 0;
};

std::shared_ptr<Segment> random_segment(Random& random) {
  std::vector<LockKind> kinds = lock_kinds();
  ChannelOptions options{.max_items = random.once_in(2) ? 0 : random.below(200) + 1,
                         .max_bytes = random.once_in(2) ? 300'000ul : 2'000'000ul,
                         .virtual_bytes = 2 << 20};
  options.no_consumer = static_cast<NoConsumer>(random.below(3));
  return make_segment(options, kinds[random.below(kinds.size())]);
}

// Runs `round(seed)` for many seeds in children; a child that crashes or hangs is reported with its seed.
template <typename Round>
void run_rounds(std::uint64_t round_count, Round round) {
  std::uint64_t seed = first_seed();
  std::uint64_t end = seed + round_count;
  Shared<Shared64> current;
  int deaths = 0;
  while (seed < end && deaths < 5) {
    pid_t child = start_child([&] {
      signal(SIGALRM, SIG_DFL);
      for (std::uint64_t each = seed; each < end && failed_checks() == 0; each++) {
        current->store(each);
        alarm(hang_seconds);
        round(each);
      }
    });
    int status = -1;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    bool good = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
    if (!good) {
      int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
      fail(__FILE__, __LINE__,
           "INTERPROC_TEST_SEED=" + std::to_string(current->load()) + " ended by signal " + std::to_string(number));
      deaths++;
    }
    seed = current->load() + 1;
  }
}

}  // namespace

FORK_TEST(damage_between_operations) {
  std::printf("seed %" PRIu64 "\n", first_seed());
  run_rounds(1000, [](std::uint64_t seed) {
    Random random(seed);
    User user(random_segment(random), random);
    Vandal vandal(user.channel(), random);
    for (std::uint64_t i = random.below(40); i > 0; i--) user.act();
    for (int burst = 0; burst < 4; burst++) {
      for (std::uint64_t i = random.below(6); i > 0; i--) vandal.strike();
      for (std::uint64_t i = random.below(15); i > 0; i--) user.act();
    }
  });
}

FORK_TEST(damage_before_attaching) {
  run_rounds(1000, [](std::uint64_t seed) {
    Random random(seed);
    std::shared_ptr<Segment> segment = random_segment(random);
    std::byte* base = segment->base();
    for (std::uint64_t i = random.below(3) + 1; i > 0; i--) {
      std::byte* page = base + random.below(2) * page_bytes;
      damage(random, page + random.below(16) * 8, random.once_in(2) ? 4 : 8);
    }
    std::shared_ptr<Segment> attached;
    Fault fault;
    int fd = fcntl(segment->fd(), F_DUPFD_CLOEXEC, 0);
    if (Segment::attach(fd, nullptr, &attached, &fault) != Status::ok) {
      close(fd);
      return;
    }
    Channel channel(attached, 0);
    if (channel.check(&fault) != Status::ok) return;
    User user(attached, random);
    for (std::uint64_t i = random.below(30); i > 0; i--) user.act();
  });
}

FORK_TEST(damage_during_operations) {
  run_rounds(6, [](std::uint64_t seed) {
    Random random(seed);
    std::shared_ptr<Segment> segment = random_segment(random);
    User user(segment, random);
    user.act();
    pid_t scribbler = start_child([&] {
      Random own(seed + 1);
      Vandal vandal(user.channel(), own);
      for (;;) vandal.strike();
    });
    for (int i = 0; i < 400; i++) user.act();
    kill_child(scribbler);
  });
}
