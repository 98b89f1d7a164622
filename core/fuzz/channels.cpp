// Queues and pipes that somebody wrote over.
#include <iterator>
#include <vector>

#include "channel.hpp"
#include "fuzz/damage.hpp"
#include "testing/access.hpp"
#include "view.hpp"

namespace interproc::fuzz {

namespace {

constexpr std::size_t most_payload = 300'000;

ChannelOptions options_from(Input& input) {
  ChannelOptions options{.max_items = 0, .max_bytes = 300'000, .virtual_bytes = 1 << 20};
  options.tasks = static_cast<TaskPolicy>(input.below(3));
  options.max_deliveries = static_cast<std::uint32_t>(input.below(3));
  return options;
}

class User {
 public:
  explicit User(std::shared_ptr<Segment> segment) : channel_(std::make_shared<Channel>(std::move(segment), 0)) {}
  ~User() {
    channel_->abort_stream(&writing_);
    if (reading_.block != no_block) channel_->finish_stream(reading_, false);
    if (!views_.empty()) channel_->leave_views();
  }
  bool is_open() { return channel_->check(&fault_) == Status::ok; }
  Channel& channel() { return *channel_; }

  void act(Input& input) {
    // Nobody can tell a wrong owner from a slow one.
    ChannelTestAccess::memory(*channel_).control->lock.store(0);
    switch (input.below(12)) {
      case 0:
      case 1:
      case 2:
        return check(channel_->put(message(input), {soon_ns()}, &fault_));
      case 3:
      case 4:
      case 5:
        return get(input.below(4) + 1, input.below(2) == 0);
      case 6: {
        Part part{payload(), most_payload};
        check(channel_->put_stream({1, &part, 1, part.size_bytes}, &writing_, {soon_ns()}, &fault_));
        return;
      }
      case 7:
        return read_stream();
      case 8:
        check(channel_->task_done(&fault_));
        return check(channel_->join({soon_ns()}, &fault_));
      case 9:
        if (ChannelTestAccess::enter(*channel_, &fault_) != Status::ok) return;
        ChannelTestAccess::recover(*channel_);
        ChannelTestAccess::leave(*channel_);
        return ChannelTestAccess::sweep(*channel_);
      case 10:
        ChannelTestAccess::keep_house(*channel_);
        channel_->statistics(&fault_);
        return channel_->wake_all();
      default: {
        int fd = -1;
        check(channel_->arm(&fd, &fault_));
        if (input.below(8) == 0) check(channel_->shut_down(input.below(2) == 0, &fault_));
        return;
      }
    }
  }

 private:
  static const std::uint8_t* payload() {
    static const std::uint8_t bytes[most_payload] = {1};
    return bytes;
  }
  void check(Status status) { require_documented(status); }
  Message message(Input& input) {
    constexpr std::size_t sizes[] = {50, 200, 1100, 40'000};
    part_ = {payload(), sizes[input.below(4)] + input.below(64)};
    return {1, &part_, 1, part_.size_bytes};
  }
  void get(std::size_t limit, bool in_place) {
    Received received[4];
    std::size_t count = 0;
    Status status = channel_->get_many(received, limit, buffer_, sizeof buffer_, {soon_ns()}, &count, &fault_);
    check(status);
    require(count <= limit, "more messages than asked for");
    for (std::size_t i = 0; status == Status::ok && i < count; i++) {
      if (received[i].stream) {
        if (reading_.block != no_block) channel_->finish_stream(reading_, false);
        reading_ = received[i];
        offset_ = 0;
        continue;
      }
      for (std::uint64_t at = 0; at < received[i].length; at += 64) sum_ = sum_ + received[i].data[at];
      if (received[i].block != no_block) keep_or_release(received[i], in_place);
    }
  }
  // Views stay while others damage what lies around them.
  void keep_or_release(const Received& received, bool in_place) {
    constexpr std::size_t most_views = 3;
    auto view = in_place ? View::make(channel_.get(), received.data, received.length, received.block) : nullptr;
    if (view == nullptr) return channel_->release(received.block);
    if (received.length > 0) sum_ = sum_ + view->data()[0] + view->data()[received.length - 1];
    if (views_.size() == most_views) views_.erase(views_.begin());
    views_.push_back(std::move(view));
  }
  void read_stream() {
    if (reading_.block == no_block) return;
    std::size_t size_bytes = 0;
    Status status =
        channel_->read_stream(reading_, offset_, buffer_, sizeof buffer_, &size_bytes, {soon_ns()}, &fault_);
    check(status);
    require(size_bytes <= sizeof buffer_, "a piece larger than its buffer");
    offset_ += size_bytes;
    if (status == Status::ok && offset_ < reading_.length) return;
    channel_->finish_stream(reading_, status == Status::ok);
    reading_ = {};
  }

  std::shared_ptr<Channel> channel_;
  std::vector<std::shared_ptr<View>> views_;
  Fault fault_{};
  Part part_{};
  std::uint8_t buffer_[4 * copy_under_lock_bytes];
  Received reading_{};
  std::uint64_t offset_ = 0;
  StreamPut writing_{};
  volatile std::uint64_t sum_ = 0;
};

}  // namespace

void run_channel(Input& input) {
  Fault fault;
  std::shared_ptr<Segment> segment;
  require(Segment::create(1, options_from(input), &segment, &fault) == Status::ok, "no segment can be made");
  Fence fence(*segment);
  User user(segment);
  for (std::uint64_t acts = input.below(10); acts > 0; acts--) user.act(input);
  ChannelMemory& memory = ChannelTestAccess::memory(user.channel());
  auto* control = reinterpret_cast<std::byte*>(memory.control);
  const Region regions[] = {
      {segment->base(), sizeof(SegmentHeader)},
      {control, offsetof(ChannelControl, lock)},
      {control + offsetof(ChannelControl, head), sizeof(ChannelControl) - offsetof(ChannelControl, head)},
      {reinterpret_cast<std::byte*>(memory.participants), 4 * sizeof(Participant)},
      {reinterpret_cast<std::byte*>(memory.directory), 64 * sizeof(Shared32)},
      {reinterpret_cast<std::byte*>(memory.links), 64 * sizeof(std::uint32_t)},
      {memory.chunks, 2 * chunk_bytes},
      {memory.arena, 64 * 1024},
  };
  while (input.has_more()) {
    write_over(input, regions, std::size(regions));
    for (std::uint64_t acts = input.below(8); acts > 0; acts--) user.act(input);
    std::shared_ptr<Segment> attached = attach_again(*segment);
    if (attached == nullptr) continue;
    User other(attached);
    for (std::uint64_t acts = other.is_open() ? input.below(4) : 0; acts > 0; acts--) other.act(input);
  }
  memory.control->lock.store(0);
}

}  // namespace interproc::fuzz
