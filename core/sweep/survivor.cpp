#include "sweep/survivor.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "sweep/audit.hpp"
#include "sweep/content.hpp"
#include "testing/access.hpp"

namespace interproc::sweep {

namespace {

constexpr Item rescue{401, inline_bytes};
constexpr std::uint32_t round_id = 1000;
constexpr std::size_t round_items = 2 * chunk_slots + 12;
constexpr std::size_t most_in_line = chunk_slots + 6;
constexpr std::uint64_t look_pause_ns = 2'000'000;

bool is_readable(int fd) {
  pollfd looked{fd, POLLIN, 0};
  return poll(&looked, 1, 0) > 0;
}

class Survivor {
 public:
  Survivor(Stage& stage, unsigned limit_seconds)
      : stage_(stage),
        scenario_(stage.scenario()),
        report_(stage.report()),
        deadline_ns_(platform::monotonic_ns() + limit_seconds * std::uint64_t{1'000'000'000}) {}

  void run() {
    attach();
    check_doorbell("after the kill");
    settle_bystander();
    drain();
    check_content();
    check_shutdown();
    finish_tasks();
    if (!is_shut_down()) {
      go_round();
      fill_up();
    }
    check_books();
  }

 private:
  void attach();
  void check_doorbell(const char* when);
  void settle_bystander();
  void help_bystander();
  void drain();
  void check_content();
  void check_shutdown();
  void finish_tasks();
  void go_round();
  void fill_up();
  void check_books();

  void take(const Received& received);
  Status try_take();
  void put(Item item);
  Item get();
  TaskPolicy tasks() const { return scenario_.options.tasks; }
  bool is_shut_down() { return control().shutdown.load() != 0; }
  bool is_bystander_done() const { return report_.bystander_done.load(std::memory_order_acquire) != 0; }
  Wait wait() const { return {deadline_ns_}; }
  ChannelControl& control() { return *ChannelTestAccess::memory(*channel_).control; }

  [[noreturn]] __attribute__((format(printf, 2, 3))) void fail(const char* format, ...);
  void require(Status found, Status wanted, const char* what) {
    if (found != wanted) fail("%s: status %d and not %d (%s)", what, int(found), int(wanted), fault_.doing);
  }

  Stage& stage_;
  const Scenario& scenario_;
  Report& report_;
  const std::uint64_t deadline_ns_;
  std::shared_ptr<Segment> segment_;
  std::unique_ptr<Channel> channel_;
  std::vector<Item> seen_;      // in the order in which they left the line
  std::size_t broken_off_ = 0;  // streams whose producer died
  std::uint64_t finished_ = 0;  // task_done() calls
  bool rescued_ = false;
  Fault fault_;
};

void Survivor::fail(const char* format, ...) {
  va_list values;
  va_start(values, format);
  int length = snprintf(report_.failure, sizeof report_.failure, "%s: ", report_.doing);
  vsnprintf(report_.failure + length, sizeof report_.failure - static_cast<std::size_t>(length), format, values);
  va_end(values);
  _exit(1);
}

void Survivor::attach() {
  report_.doing = "attaching";
  int fd = fcntl(stage_.segment()->fd(), F_DUPFD_CLOEXEC, 0);
  require(Segment::attach(fd, stage_.segment()->header().uuid, &segment_, &fault_), Status::ok, "attach");
  channel_ = stage_.open_channel(segment_);
  require(channel_->check(&fault_), Status::ok, "check");
  report_.doing = "looking at what is there";
}

void Survivor::check_doorbell(const char* when) {
  if (!scenario_.armed) return;
  if (channel_->size() > 0 && !is_readable(stage_.doorbell())) fail("the doorbell is silent %s", when);
}

// Does what the sleeper waits for, unless somebody else has: then it must come by itself.
void Survivor::help_bystander() {
  bool bounded = scenario_.options.max_items != 0;
  switch (stage_.bystander()) {
    case Bystander::none:
      return;
    case Bystander::consumer:
      if (channel_->size() != 0 || rescued_) return;
      put(rescue);
      rescued_ = true;
      return;
    case Bystander::producer:
      if (bounded ? channel_->is_full() : channel_->size() > 0) try_take();
      return;
    case Bystander::joiner:
      if (control().done.load() >= control().tail.load()) return;
      require(channel_->task_done(&fault_), Status::ok, "task_done");
      finished_++;
  }
}

void Survivor::settle_bystander() {
  report_.doing = "waiting for the sleeper";
  while (stage_.bystander() != Bystander::none && !is_bystander_done()) {
    if (!is_shut_down()) help_bystander();
    if (platform::monotonic_ns() > deadline_ns_) fail("it never woke");
    platform::sleep_on(report_.bystander_done, 0, platform::monotonic_ns() + look_pause_ns);
  }
  if (stage_.bystander() == Bystander::none) return;
  Status status = report_.bystander_status;
  if (status == Status::shut_down && is_shut_down()) return;
  require(status, Status::ok, "what the sleeper was told");
  if (stage_.bystander() == Bystander::consumer) seen_.insert(seen_.begin(), report_.bystander_item);
}

void Survivor::take(const Received& received) {
  std::vector<std::uint8_t> bytes;
  const std::uint8_t* data = received.data;
  if (received.stream) {
    bytes.resize(received.length);
    Status status = Status::ok;
    for (std::uint64_t offset = 0; offset < received.length;) {
      std::size_t size_bytes = 0;
      status = channel_->read_stream(received, offset, bytes.data() + offset, bytes.size() - offset, &size_bytes,
                                     wait(), &fault_);
      offset += size_bytes;
      if (status != Status::ok && status != Status::interrupted) break;
    }
    channel_->finish_stream(received, status == Status::ok);
    if (status == Status::aborted) {
      broken_off_++;
      return;
    }
    require(status, Status::ok, "reading a stream");
    data = bytes.data();
  }
  Item item;
  if (received.codec != item_codec) fail("a message has codec %u", received.codec);
  if (!recognise(data, received.length, &item)) fail("a message of %lu bytes is torn", received.length);
  seen_.push_back(item);
  if (!give_back_lent(*channel_, received, item)) fail("what was lent for message %u is torn", item.id);
  if (received.block != no_block && !received.stream) channel_->release(received.block);
  if (tasks() == TaskPolicy::redeliver) require(channel_->task_done(&fault_), Status::ok, "acknowledging");
}

Status Survivor::try_take() {
  Received received;
  std::uint8_t buffer[copy_under_lock_bytes];
  Status status = channel_->try_get(&received, buffer, sizeof buffer, true, &fault_);
  if (status == Status::ok) take(received);
  return status;
}

void Survivor::put(Item item) {
  Outgoing outgoing(item);
  Status status;
  do {
    status = channel_->put(outgoing.message(), wait(), &fault_);
  } while (status == Status::interrupted);
  require(status, Status::ok, "put");
}

Item Survivor::get() {
  Received received;
  std::uint8_t buffer[copy_under_lock_bytes];
  Status status;
  do {
    status = channel_->get(&received, buffer, sizeof buffer, wait(), &fault_);
  } while (status == Status::interrupted);
  require(status, Status::ok, "get");
  take(received);
  Item item = seen_.back();
  seen_.pop_back();
  return item;
}

void Survivor::drain() {
  report_.doing = "draining";
  channel_->statistics(&fault_);  // a death is noticed with the first operation
  if (tasks() != TaskPolicy::uncounted) ChannelTestAccess::sweep(*channel_);
  std::uint64_t size = channel_->size();
  std::size_t before = seen_.size() + broken_off_;
  Status status;
  do {
    status = try_take();
  } while (status == Status::ok);
  require(status, is_shut_down() ? Status::shut_down : Status::empty, "get after the last message");
  std::size_t drained = seen_.size() + broken_off_ - before;
  if (drained != size) fail("size() was %lu, but %zu messages came", size, drained);
  if (channel_->size() != 0) fail("size() is %lu when all is taken", channel_->size());
  if (!scenario_.armed) return;
  if (is_readable(stage_.doorbell()) != is_shut_down()) fail("the doorbell of an empty line is in the wrong state");
}

void Survivor::check_content() {
  report_.doing = "comparing";
  if (control().shutdown.load() == 2) {
    if (!seen_.empty()) fail("a message outlived an immediate shutdown");
    return;
  }
  Content content{stage_.line(), {&scenario_.act}};
  for (const Act& act : scenario_.again) content.acts.push_back(&act);
  if (rescued_) content.others.push_back(rescue);
  bool bystander_put = stage_.bystander() == Bystander::producer;
  if (bystander_put && report_.bystander_status == Status::ok) content.others.push_back(scenario_.bystander_puts);
  std::string wrong = content.wrong_with(seen_);
  if (!wrong.empty()) fail("%s", wrong.c_str());
}

void Survivor::check_shutdown() {
  report_.doing = "comparing the shutdown";
  if (!is_shut_down()) return;
  if (!scenario_.may_shut_down) fail("nobody shut this down");
  Outgoing outgoing(rescue);
  require(channel_->put(outgoing.message(), wait(), &fault_), Status::shut_down, "put");
}

// join() must hold exactly as long as messages are unfinished: those that the living took, and those that a victim took
// with it. What was withdrawn or dropped counts as done.
void Survivor::finish_tasks() {
  report_.doing = "counting tasks";
  if (tasks() == TaskPolicy::redeliver) {
    require(channel_->join(wait(), &fault_), Status::ok, "join");
    require(channel_->task_done(&fault_), Status::too_many_done, "acknowledging what was not taken");
    return;
  }
  std::uint64_t taken = stage_.unfinished() + seen_.size() - finished_;
  std::uint64_t dropped = control().shutdown.load() == 2 ? control().head.load() - control().dropped_from : 0;
  std::uint64_t unfinished = control().tail.load() - control().done.load() - dropped;
  std::uint64_t takes = tasks() == TaskPolicy::count ? 0 : scenario_.takes();  // what the dead took has failed
  if (unfinished + scenario_.finishes() < taken || unfinished > taken + takes) {
    fail("%lu messages are unfinished, but %lu were taken", unfinished, taken);
  }
  if (unfinished > 0) require(channel_->join({0}, &fault_), Status::timed_out, "join of the unfinished");
  for (; unfinished > 0; unfinished--) require(channel_->task_done(&fault_), Status::ok, "task_done");
  require(channel_->join(wait(), &fault_), Status::ok, "join");
  for (std::uint64_t i = control().forgiven; i > 0; i--) channel_->task_done(&fault_);
  require(channel_->task_done(&fault_), Status::too_many_done, "one task_done too many");
}

// Beyond a chunk, through every kind of payload that fits.
void Survivor::go_round() {
  report_.doing = "going a round";
  std::vector<std::uint32_t> sizes{inline_bytes, inline_bytes, small_bytes, inline_bytes};
  bool roomy = scenario_.options.max_bytes == 0;
  if (roomy) sizes.insert(sizes.end(), {large_bytes, inline_bytes, 1024, inline_bytes, 2000, inline_bytes});
  std::size_t at_once = most_in_line;
  if (scenario_.options.max_items != 0) at_once = std::min<std::size_t>(at_once, scenario_.options.max_items);
  if (!roomy) at_once = std::min<std::size_t>(at_once, 2);
  auto item_of = [&](std::size_t number) {
    std::uint32_t size_bytes = roomy && number == most_in_line + 1 ? huge_bytes : sizes[number % sizes.size()];
    return Item{round_id + static_cast<std::uint32_t>(number), size_bytes};
  };
  for (std::size_t first = 0; first < round_items; first += at_once) {
    std::size_t end = std::min(first + at_once, round_items);
    for (std::size_t number = first; number < end; number++) {
      put(item_of(number));
      check_doorbell("after a put");
    }
    for (std::size_t number = first; number < end; number++) {
      Item item = get();
      if (item != item_of(number)) fail("message %zu is item %u of %u bytes", number, item.id, item.size_bytes);
      check_doorbell("after a get");
    }
  }
  for (std::size_t number = 0; number < round_items && tasks() != TaskPolicy::redeliver; number++) {
    require(channel_->task_done(&fault_), Status::ok, "task_done");
  }
}

// No place may be lost.
void Survivor::fill_up() {
  report_.doing = "filling up";
  const std::uint64_t max_items = scenario_.options.max_items;
  if (max_items == 0) return;
  Outgoing outgoing(rescue);
  std::uint64_t count = 0;
  while (channel_->try_put(outgoing.message(), true, &fault_) == Status::ok) count++;
  if (count != max_items) fail("%lu places, not %lu", count, max_items);
  require(channel_->put(outgoing.message(), {1}, &fault_), Status::timed_out, "put on full");
  while (count-- > 0) get();
}

void Survivor::check_books() {
  report_.doing = "checking the books";
  ChannelTestAccess::sweep(*channel_);
  Channel::Statistics statistics = channel_->statistics(&fault_);
  constexpr std::uint64_t stage_and_survivor = 2;
  if (statistics.participants != stage_and_survivor) fail("%lu participants", statistics.participants);
  if (statistics.items != 0) fail("%lu items", statistics.items);
  if (statistics.blocks_used != 0) fail("%lu blocks in use", statistics.blocks_used);
  std::string wrong = audit(ChannelTestAccess::memory(*channel_));
  if (!wrong.empty()) fail("%s", wrong.c_str());
}

}  // namespace

bool survives(Stage& stage, unsigned limit_seconds) {
  Report& report = stage.report();
  pid_t parent = getpid();
  pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent) Survivor(stage, limit_seconds).run();
    _exit(0);
  }
  if (pid < 0) give_up("starting a survivor", Fault{});
  int ended = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  pollfd looked{ended, POLLIN, 0};
  bool hangs = poll(&looked, 1, static_cast<int>(limit_seconds + 1) * 1000) == 0;
  close(ended);
  if (hangs) kill(pid, SIGKILL);
  int status = 0;
  waitpid(pid, &status, 0);
  if (hangs) {
    snprintf(report.failure, sizeof report.failure, "%s: it hangs", report.doing);
  } else if (WIFSIGNALED(status)) {
    snprintf(report.failure, sizeof report.failure, "%s: killed by signal %d", report.doing, WTERMSIG(status));
  }
  return !hangs && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace interproc::sweep
