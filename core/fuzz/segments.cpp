// What may lie in a segment that somebody wrote over, and what is done with it.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "channel.hpp"
#include "fuzz/input.hpp"
#include "heap.hpp"
#include "sync/barrier.hpp"
#include "sync/condition.hpp"
#include "sync/event.hpp"
#include "sync/owned_lock.hpp"
#include "sync/semaphore.hpp"
#include "testing/access.hpp"

namespace interproc::fuzz {

namespace {

constexpr std::size_t guard_bytes = std::size_t{1} << 20;
constexpr std::uint64_t nap_ns = 100'000;
constexpr std::size_t most_payload = 300'000;
constexpr ChannelOptions little{.max_items = 0, .max_bytes = 300'000, .virtual_bytes = 1 << 20};

std::uint64_t soon_ns() { return platform::monotonic_ns() + nap_ns; }

void require(bool holds, const char* what) {
  if (holds) return;
  fprintf(stderr, "fuzz: %s\n", what);
  abort();
}

void require_documented(Status status) {
  require(status >= Status::too_many_waiters && status <= Status::broken, "a status that is none");
}

// Pages beside the mapping that nobody may touch, where the place is free.
class Fence {
 public:
  explicit Fence(const Segment& segment) : before_(segment.base() - guard_bytes), after_(segment.base()) {
    after_ += segment.size_bytes();
    before_ = raise(before_);
    after_ = raise(after_);
  }
  ~Fence() {
    for (std::byte* place : {before_, after_}) {
      if (place != nullptr) munmap(place, guard_bytes);
    }
  }
  Fence(const Fence&) = delete;
  Fence& operator=(const Fence&) = delete;

 private:
  static std::byte* raise(std::byte* place) {
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE;
    void* made = mmap(place, guard_bytes, PROT_NONE, flags, -1, 0);
    if (made == place) return place;
    if (made != MAP_FAILED) munmap(made, guard_bytes);
    return nullptr;
  }
  std::byte* before_;
  std::byte* after_;
};

// Values that break things: ends of ranges, neighbours of what is there, and noise.
std::uint64_t wrong(Input& input, std::uint64_t right) {
  switch (input.below(7)) {
    case 0:
      return 0;
    case 1:
      return UINT64_MAX - input.below(100);
    case 2:
      return right + 1;
    case 3:
      return right - 1;
    case 4:
      return right ^ (std::uint64_t{1} << input.below(64));
    case 5:
      return input.number(3) * cache_line;
    default:
      return input.number(8);
  }
}

struct Region {
  std::byte* begin;
  std::size_t size_bytes;
};

void write_over(Input& input, const Region* regions, std::size_t count) {
  for (std::uint64_t strikes = input.below(12) + 1; strikes > 0; strikes--) {
    const Region& region = regions[input.below(count)];
    std::size_t width_bytes = input.below(2) == 0 ? 4 : 8;
    std::byte* at = region.begin + input.number(3) % (region.size_bytes / width_bytes) * width_bytes;
    std::uint64_t value = 0;
    memcpy(&value, at, width_bytes);
    value = wrong(input, value);
    memcpy(at, &value, width_bytes);
  }
}

std::shared_ptr<Segment> attach_again(const Segment& segment) {
  Fault fault;
  std::shared_ptr<Segment> attached;
  int fd = fcntl(segment.fd(), F_DUPFD_CLOEXEC, 0);
  Status status = Segment::attach(fd, nullptr, &attached, &fault);
  require_documented(status);
  require((status == Status::ok) == (attached != nullptr), "attach says one thing and does another");
  if (status != Status::ok) close(fd);
  return attached;
}

// --- channels --------------------------------------------------------------------------------------------------------

class User {
 public:
  explicit User(std::shared_ptr<Segment> segment) : channel_(std::move(segment), 0) {}
  ~User() {
    channel_.abort_stream(&writing_);
    if (reading_.block != no_block) channel_.finish_stream(reading_, false);
  }
  bool is_open() { return channel_.check(&fault_) == Status::ok; }
  Channel& channel() { return channel_; }

  void act(Input& input) {
    // Nobody can tell a wrong owner from a slow one.
    ChannelTestAccess::memory(channel_).control->lock.store(0);
    switch (input.below(12)) {
      case 0:
      case 1:
      case 2:
        return check(channel_.put(message(input), {soon_ns()}, &fault_));
      case 3:
      case 4:
      case 5:
        return get(input.below(4) + 1);
      case 6: {
        Part part{payload(), most_payload};
        check(channel_.put_stream({1, &part, 1, part.size_bytes}, &writing_, {soon_ns()}, &fault_));
        return;
      }
      case 7:
        return read_stream();
      case 8:
        check(channel_.task_done(&fault_));
        return check(channel_.join({soon_ns()}, &fault_));
      case 9:
        if (ChannelTestAccess::enter(channel_, &fault_) != Status::ok) return;
        ChannelTestAccess::recover(channel_);
        ChannelTestAccess::leave(channel_);
        return ChannelTestAccess::sweep(channel_);
      case 10:
        ChannelTestAccess::keep_house(channel_);
        channel_.statistics(&fault_);
        return channel_.wake_all();
      default: {
        int fd = -1;
        check(channel_.arm(&fd, &fault_));
        if (input.below(8) == 0) check(channel_.shut_down(input.below(2) == 0, &fault_));
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
  void get(std::size_t limit) {
    Received received[4];
    std::size_t count = 0;
    Status status = channel_.get_many(received, limit, buffer_, sizeof buffer_, {soon_ns()}, &count, &fault_);
    check(status);
    require(count <= limit, "more messages than asked for");
    for (std::size_t i = 0; status == Status::ok && i < count; i++) {
      if (received[i].stream) {
        if (reading_.block != no_block) channel_.finish_stream(reading_, false);
        reading_ = received[i];
        offset_ = 0;
        continue;
      }
      for (std::uint64_t at = 0; at < received[i].length; at += 64) sum_ = sum_ + received[i].data[at];
      if (received[i].block != no_block) channel_.release(received[i].block);
    }
  }
  void read_stream() {
    if (reading_.block == no_block) return;
    std::size_t size_bytes = 0;
    Status status = channel_.read_stream(reading_, offset_, buffer_, sizeof buffer_, &size_bytes, {soon_ns()}, &fault_);
    check(status);
    require(size_bytes <= sizeof buffer_, "a piece larger than its buffer");
    offset_ += size_bytes;
    if (status == Status::ok && offset_ < reading_.length) return;
    channel_.finish_stream(reading_, status == Status::ok);
    reading_ = {};
  }

  Channel channel_;
  Fault fault_{};
  Part part_{};
  std::uint8_t buffer_[4 * copy_under_lock_bytes];
  Received reading_{};
  std::uint64_t offset_ = 0;
  StreamPut writing_{};
  volatile std::uint64_t sum_ = 0;
};

void run_channel(Input& input) {
  Fault fault;
  std::shared_ptr<Segment> segment;
  require(Segment::create(1, little, &segment, &fault) == Status::ok, "no segment can be made");
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

// --- synchronisation objects -----------------------------------------------------------------------------------------

template <typename Object>
std::unique_ptr<Object> attach(const std::shared_ptr<SyncPool>& pool, std::uint32_t index) {
  Fault fault;
  std::unique_ptr<Object> object;
  Status status = Object::attach(pool, index, &object, &fault);
  require_documented(status);
  require((status == Status::ok) == (object != nullptr), "attach says one thing and does another");
  return object;
}

void use_lock(OwnedLock& lock) {
  Fault fault;
  Patience patience(soon_ns());
  require_documented(lock.acquire(1, &patience, &fault));
  require_documented(lock.acquire_recursive(1, &patience, &fault));
  lock.abandoned_pid();
  require_documented(lock.release_recursive(1));
  require_documented(lock.release());
}

void use_semaphore(Semaphore& semaphore) {
  Fault fault;
  Patience patience(soon_ns());
  require_documented(semaphore.acquire(&patience, &fault));
  require_documented(semaphore.release(1, &fault));
}

void use_condition(Condition& condition) {
  Fault fault;
  Patience patience(soon_ns());
  Condition::Ticket ticket;
  Status status = condition.enter(&ticket, &fault);
  require_documented(status);
  if (status != Status::ok) return;
  std::uint32_t notified = 0;
  require_documented(condition.notify(1, &notified, &fault));
  require_documented(condition.sleep(ticket, &patience));
  condition.leave(&ticket);
  require_documented(condition.notify(UINT32_MAX, &notified, &fault));
}

void use_barrier(Barrier& barrier) {
  Fault fault;
  Patience patience(soon_ns());
  Barrier::Arrival arrival;
  Status status = barrier.arrive(&arrival, &patience, &fault);
  require_documented(status);
  if (status == Status::ok && arrival.is_last) require_documented(barrier.release(arrival, &fault));
  if (status == Status::ok && !arrival.is_last) require_documented(barrier.sleep(arrival, &patience, &fault));
  require_documented(barrier.abort(&fault));
  require_documented(barrier.reset(&fault));
}

// Nobody can tell a wrong owner from a slow one. `known` are the cells of objects that this process has, whatever is
// written there by now.
void free_guards(SyncPool& pool, const std::vector<Shared32*>& known) {
  for (Shared32* guard : known) guard->store(0);
  for (std::uint32_t i = 0; i < 64; i++) {
    switch (static_cast<CellKind>(pool.cell<Cell>(i)->kind.load())) {
      case CellKind::bounded_semaphore:
        pool.cell<SemaphoreCell>(i)->guard.store(0);
        break;
      case CellKind::condition:
        pool.cell<ConditionCell>(i)->guard.store(0);
        break;
      case CellKind::barrier:
        pool.cell<BarrierCell>(i)->guard.store(0);
        break;
      default:
        break;
    }
  }
}

void run_sync(Input& input) {
  Fault fault;
  retire_pool();
  std::unique_ptr<OwnedLock> lock;
  std::unique_ptr<Semaphore> semaphore;
  std::unique_ptr<Condition> condition;
  std::unique_ptr<Event> event;
  std::unique_ptr<Barrier> barrier;
  bool made = OwnedLock::create(&lock, &fault) == Status::ok &&
              Semaphore::create(2, 3, true, &semaphore, &fault) == Status::ok &&
              Condition::create(&condition, &fault) == Status::ok && Event::create(&event, &fault) == Status::ok &&
              Barrier::create(2, &barrier, &fault) == Status::ok;
  require(made, "no objects can be made");
  const std::shared_ptr<SyncPool>& pool = lock->pool();
  Fence fence(*pool->segment());
  use_condition(*condition);
  const std::vector<Shared32*> guards = {&pool->cell<SemaphoreCell>(semaphore->index())->guard,
                                         &pool->cell<ConditionCell>(condition->index())->guard,
                                         &pool->cell<BarrierCell>(barrier->index())->guard};
  std::byte* base = pool->segment()->base();
  const Region regions[] = {
      {base, sizeof(SegmentHeader)},
      {base + sync_control_at, sizeof(SyncControl)},
      {base + sync_participants_at, 4 * sizeof(Participant)},
      {base + sync_cells_at, 16 * sizeof(Cell)},
      {base + sync_nodes_at, 16 * sizeof(WaiterNode)},
  };
  while (input.has_more()) {
    write_over(input, regions, std::size(regions));
    free_guards(*pool, guards);
    switch (input.below(8)) {
      case 0:
        use_lock(*lock);
        break;
      case 1:
        use_semaphore(*semaphore);
        break;
      case 2:
        use_condition(*condition);
        break;
      case 3:
        use_barrier(*barrier);
        break;
      case 4: {
        Patience patience(soon_ns());
        require_documented(event->wait(event->begin(), &patience));
        event->set();
        event->clear();
        break;
      }
      case 5:
        pool->sweep_dead();
        break;
      case 6:
        attach_again(*pool->segment());
        break;
      default: {
        auto index = static_cast<std::uint32_t>(input.below(20));
        if (auto object = attach<OwnedLock>(pool, index)) use_lock(*object);
        if (auto object = attach<Semaphore>(pool, index)) use_semaphore(*object);
        if (auto object = attach<Condition>(pool, index)) use_condition(*object);
        if (auto object = attach<Barrier>(pool, index)) use_barrier(*object);
      }
    }
  }
  free_guards(*pool, guards);
}

// --- heap ------------------------------------------------------------------------------------------------------------

void run_heap(Input& input) {
  Fault fault;
  std::unique_ptr<HeapBlock> block;
  require(HeapBlock::create(100'000, &block, &fault) == Status::ok, "no block can be made");
  const Region header{block->segment()->base(), sizeof(SegmentHeader)};
  while (input.has_more()) {
    write_over(input, &header, 1);
    std::shared_ptr<Segment> attached = attach_again(*block->segment());
    std::unique_ptr<HeapBlock> other;
    if (attached == nullptr) continue;
    Status status = HeapBlock::attach(attached, input.number(8), input.number(8), &other, &fault);
    require_documented(status);
    if (status == Status::ok) memset(other->data(), 1, other->size_bytes());
  }
}

}  // namespace

void run(Input input) {
  Fault fault;
  LockKind kind;
  choose_lock(input.below(2) == 0 ? "liveness" : "auto", &kind, &fault);
  switch (input.below(5)) {
    case 0:
    case 1:
      return run_channel(input);
    case 2:
    case 3:
      return run_sync(input);
    default:
      return run_heap(input);
  }
}

}  // namespace interproc::fuzz
