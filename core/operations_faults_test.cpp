// Every operation with its first, second, third, ... system call or allocation failing, until none fails any more: each
// time it says so, leaves nothing half made, and works when it is called again.
#include <dirent.h>
#include <sys/stat.h>

#include <functional>
#include <new>

#include "faults.hpp"
#include "heap.hpp"
#include "sync/barrier.hpp"
#include "sync/condition.hpp"
#include "sync/event.hpp"
#include "sync/owned_lock.hpp"
#include "sync/semaphore.hpp"
#include "testing/channels.hpp"
#include "testing/sync.hpp"

using namespace interproc;
using namespace interproc::testing;

static_assert(faults::enabled);

namespace {

std::atomic<std::int64_t> allocations_until_failure{-1};
std::atomic<bool> allocation_failed{false};

}  // namespace

#pragma GCC diagnostic ignored "-Wmismatched-new-delete"  // these are the matching ones
void* operator new(std::size_t size_bytes) {
  if (allocations_until_failure.load() >= 0 && allocations_until_failure.fetch_sub(1) == 0) {
    allocation_failed.store(true);
    std::__throw_bad_alloc();
  }
  void* memory = std::malloc(size_bytes);
  if (memory == nullptr) std::__throw_bad_alloc();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

// Makes one thing go wrong while it lives.
struct FailingCall {
  explicit FailingCall(std::int64_t number) : rule(faults::Point::system_call, number) {}
  bool has_hit() const { return rule.has_hit(); }
  faults::Rule rule;
};
struct FailingAllocation {
  explicit FailingAllocation(std::int64_t number) {
    allocation_failed.store(false);
    allocations_until_failure.store(number - 1);
  }
  ~FailingAllocation() { allocations_until_failure.store(-1); }
  bool has_hit() const { return allocation_failed.load(); }
};

constexpr std::int64_t most_faults = 100;
constexpr ChannelOptions small_memory{.max_items = 0, .max_bytes = 1 << 20, .virtual_bytes = 2 << 20};
const Bytes inline_payload = pattern(50);
const Bytes small_payload = pattern(500);
const Bytes large_payload = pattern(200'000);
const Bytes stream_payload = pattern(2'000'000);

std::size_t descriptors() {
  std::size_t count = 0;
  DIR* folder = opendir("/proc/self/fd");
  while (readdir(folder) != nullptr) count++;
  closedir(folder);
  return count;
}

std::size_t mappings() {
  std::FILE* maps = std::fopen("/proc/self/maps", "r");
  char line[512];
  std::size_t count = 0;
  while (std::fgets(line, sizeof line, maps) != nullptr) count += std::strstr(line, "memfd:interproc") != nullptr;
  std::fclose(maps);
  return count;
}

// `operation` in a state that `World` makes anew each time; `World` is destroyed before anything is counted.
template <typename Failing, typename World>
void fail_each(const char* name, Status (*operation)(World&)) {
  std::int64_t number = 1;
  for (bool has_hit = true; has_hit; number++) {
    if (number > most_faults) return fail(__FILE__, __LINE__, std::string(name) + ": faults never end");
    retire_pool();
    std::size_t open = descriptors();
    std::size_t mapped = mappings();
    {
      World world;
      Status status;
      {
        Failing failing(number);
        status = operation(world);
        has_hit = failing.has_hit();
      }
      if (!has_hit) {
        if (status != Status::ok) fail(__FILE__, __LINE__, std::string(name) + " fails without a fault");
        continue;
      }
      bool is_told = status == Status::ok || failed(status);
      if (!is_told) fail(__FILE__, __LINE__, std::string(name) + " hides fault " + std::to_string(number));
      if (status != Status::ok) world.check_nothing_half_made(name);
      if (status != Status::ok && operation(world) != Status::ok) {
        fail(__FILE__, __LINE__, std::string(name) + " cannot be repeated after fault " + std::to_string(number));
      }
    }
    retire_pool();
    if (descriptors() != open || mappings() != mapped) {
      fail(__FILE__, __LINE__, std::string(name) + " leaves something open after fault " + std::to_string(number));
    }
  }
  std::printf("%-28s %lld faults\n", name, static_cast<long long>(number - 2));
}

struct Nothing {
  void check_nothing_half_made(const char*) {}
  Fault fault;
  std::shared_ptr<Segment> segment;
  std::unique_ptr<OwnedLock> lock;
  std::unique_ptr<Semaphore> semaphore;
  std::unique_ptr<Condition> condition;
  std::unique_ptr<Event> event;
  std::unique_ptr<Barrier> barrier;
  std::unique_ptr<HeapBlock> block;
};

struct OneChannel {
  OneChannel() : channel(make_segment(small_memory), 0) { statistics(channel); }
  void check_nothing_half_made(const char* name) {
    auto seen = statistics(channel);
    bool is_clean = seen.items == 0 && seen.blocks_used == 0 && channel.size() == 0;
    if (!is_clean) fail(__FILE__, __LINE__, std::string(name) + " leaves something half made");
  }
  Status put(const Bytes& bytes) { return testing::put(channel, bytes, platform::monotonic_ns() + 1'000'000); }
  Fault fault;
  Channel channel;
};

// A segment, and a second descriptor of it.
struct SecondDescriptor {
  SecondDescriptor() : segment(make_segment(small_memory)), fd(fcntl(segment->fd(), F_DUPFD_CLOEXEC, 0)) {}
  ~SecondDescriptor() {
    if (attached == nullptr) close(fd);
  }
  void check_nothing_half_made(const char* name) {
    if (fcntl(fd, F_GETFD) < 0) fail(__FILE__, __LINE__, std::string(name) + " closes a foreign descriptor");
  }
  Fault fault;
  std::shared_ptr<Segment> segment;
  std::shared_ptr<Segment> attached;
  int fd;
};

struct OneOfEach {
  OneOfEach()
      : lock(make<OwnedLock>()),
        semaphore(make<Semaphore>(2u, 2u, true)),
        condition(make<Condition>()),
        event(make<Event>()),
        barrier(make<Barrier>(2u)) {}
  void check_nothing_half_made(const char* name) {
    for (std::uint32_t i = 1; i < condition->pool()->nodes_made(); i++) {
      if (condition->pool()->node(i).token.load() != 0) fail(__FILE__, __LINE__, std::string(name) + " keeps a node");
    }
    if (condition->has_waiters()) fail(__FILE__, __LINE__, std::string(name) + " leaves a waiter");
  }
  Fault fault;
  std::unique_ptr<OwnedLock> lock;
  std::unique_ptr<Semaphore> semaphore;
  std::unique_ptr<Condition> condition;
  std::unique_ptr<Event> event;
  std::unique_ptr<Barrier> barrier;
};

Status stand_in_line(OneOfEach& world) {
  Condition::Ticket ticket;
  Status status = world.condition->enter(&ticket, &world.fault);
  if (status == Status::ok) world.condition->leave(&ticket);
  return status;
}

template <typename Failing>
void fail_making() {
  fail_each<Failing, Nothing>("make a segment",
                              [](Nothing& w) { return Segment::create(2, small_memory, &w.segment, &w.fault); });
  fail_each<Failing, SecondDescriptor>(
      "attach", [](SecondDescriptor& w) { return Segment::attach(w.fd, nullptr, &w.attached, &w.fault); });
  fail_each<Failing, Nothing>("make a lock", [](Nothing& w) { return OwnedLock::create(&w.lock, &w.fault); });
  fail_each<Failing, Nothing>("make a semaphore",
                              [](Nothing& w) { return Semaphore::create(1, 2, true, &w.semaphore, &w.fault); });
  fail_each<Failing, Nothing>("make a condition", [](Nothing& w) { return Condition::create(&w.condition, &w.fault); });
  fail_each<Failing, Nothing>("make an event", [](Nothing& w) { return Event::create(&w.event, &w.fault); });
  fail_each<Failing, Nothing>("make a barrier", [](Nothing& w) { return Barrier::create(3, &w.barrier, &w.fault); });
  fail_each<Failing, Nothing>("make a large block",
                              [](Nothing& w) { return HeapBlock::create(100'000, &w.block, &w.fault); });
  fail_each<Failing, OneOfEach>("attach a lock", [](OneOfEach& w) {
    std::unique_ptr<OwnedLock> attached;
    return OwnedLock::attach(w.lock->pool(), w.lock->index(), &attached, &w.fault);
  });
  fail_each<Failing, OneOfEach>("attach a barrier", [](OneOfEach& w) {
    std::unique_ptr<Barrier> attached;
    return Barrier::attach(w.barrier->pool(), w.barrier->index(), &attached, &w.fault);
  });
}

template <typename Failing>
void fail_messages() {
  fail_each<Failing, OneChannel>("put inline", [](OneChannel& w) { return w.put(inline_payload); });
  fail_each<Failing, OneChannel>("put small", [](OneChannel& w) { return w.put(small_payload); });
  fail_each<Failing, OneChannel>("put large", [](OneChannel& w) { return w.put(large_payload); });
  fail_each<Failing, OneChannel>("put the window of a stream", [](OneChannel& w) {
    Outgoing outgoing(stream_payload);
    StreamPut progress;
    Status status = w.channel.put_stream(outgoing.message, &progress, {platform::monotonic_ns() + 1'000'000}, &w.fault);
    w.channel.abort_stream(&progress);
    return status == Status::timed_out ? Status::ok : status;
  });
  fail_each<Failing, OneChannel>("put many", [](OneChannel& w) {
    Outgoing one(small_payload);
    Message messages[3] = {one.message, one.message, one.message};
    std::size_t count = 0;
    return w.channel.put_many(messages, 3, {0}, &count, &w.fault);
  });
  fail_each<Failing, OneChannel>("arm", [](OneChannel& w) {
    int fd = -1;
    return w.channel.arm(&fd, &w.fault);
  });
  fail_each<Failing, OneOfEach>("stand in line", stand_in_line);
}

}  // namespace

TEST(a_failing_system_call_leaves_nothing_half_made) {
  fail_making<FailingCall>();
  fail_messages<FailingCall>();
}

TEST(a_failing_allocation_leaves_nothing_half_made) {
  fail_making<FailingAllocation>();
  fail_messages<FailingAllocation>();
}

// The shelves stay: a small block is made with and without a system call.
TEST(a_small_block_is_made_or_not) {
  for (std::int64_t number = 1; number < 20; number++) {
    Fault fault;
    std::unique_ptr<HeapBlock> block;
    {
      FailingCall failing(number);
      Status status = HeapBlock::create(40'000, &block, &fault);
      CHECK((status == Status::ok) == (block != nullptr));
    }
    if (block == nullptr) CHECK_EQ(HeapBlock::create(40'000, &block, &fault), Status::ok);
    block->mark_exported();
  }
}

// Whoever uses it next must not run into pages that were never there.
TEST(pages_that_could_not_be_reserved_are_reserved_by_the_next) {
  Channel channel(make_segment(small_memory), 0);
  CHECK_EQ(put(channel, large_payload), Status::ok);  // so that the arena does not start again
  for (std::uint32_t number : {1u, 2u}) {
    const Bytes payload = pattern(100'000 * number);
    Fault fault;
    Outgoing outgoing(payload);
    {
      faults::Rule rule(faults::Point::system_call, number, 100);
      CHECK_EQ(channel.try_put(outgoing.message, true, &fault), Status::out_of_memory);
    }
    faults::Rule none(faults::Point::system_call, 1, 0);
    CHECK_EQ(channel.try_put(outgoing.message, true, &fault), Status::ok);
    CHECK(none.passed() > 0);
  }
}
