#include "sweep/stage.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sweep/stepper.hpp"
#include "testing/access.hpp"

namespace interproc::sweep {

namespace {

constexpr std::size_t most_stream_bytes = 64 * 1024;

// Takes messages until one came whole. shut_down if none will come.
Status get_whole(Channel& channel, Item* item) {
  static std::uint8_t bytes[most_stream_bytes];
  for (;;) {
    Received received;
    Fault fault;
    Status status = channel.get(&received, bytes, sizeof bytes, {no_deadline}, &fault);
    if (status == Status::interrupted) continue;
    if (status != Status::ok) return status;
    std::uint64_t offset = received.stream ? 0 : received.length;
    while (offset < received.length && (status == Status::ok || status == Status::interrupted)) {
      std::size_t size_bytes = 0;
      status = channel.read_stream(received, offset, bytes + offset, sizeof bytes - offset, &size_bytes, {no_deadline},
                                   &fault);
      offset += size_bytes;
    }
    bool whole = offset == received.length;
    const std::uint8_t* data = received.stream ? bytes : received.data;
    if (whole && !recognise(data, received.length, item)) return Status::bad_segment;
    if (received.stream) {
      channel.finish_stream(received, whole);
    } else if (received.block != no_block) {
      channel.release(received.block);
    }
    give_back_lent(channel, received, {});
    if (whole) return Status::ok;
    if (status != Status::aborted) return status;
  }
}

Status put_whole(Channel& channel, Item item) {
  Outgoing outgoing(item);
  Fault fault;
  Status status;
  do {
    status = channel.put(outgoing.message(), {no_deadline}, &fault);
  } while (status == Status::interrupted);
  if (status != Status::too_large) return status;
  StreamPut progress;
  do {
    status = channel.put_stream(outgoing.message(), &progress, {no_deadline}, &fault);
  } while (status == Status::interrupted);
  return status;
}

}  // namespace

void give_up(const char* doing, const Fault& fault) {
  fprintf(stderr, "sweep: %s failed: %s, errno %d\n", doing, fault.doing, fault.error_number);
  exit(2);
}

Stage::Stage(const Scenario& scenario, Report& report) : scenario_(scenario), report_(report) {
  Fault fault;
  if (Segment::create(1, scenario.options, &segment_, &fault) != Status::ok) give_up("making a segment", fault);
  report_.bystander_done.store(0);
  report_.doing = "nothing yet";
  report_.failure[0] = 0;
  if (scenario.lifeline && pipe2(lifeline_, O_NONBLOCK | O_CLOEXEC) != 0) give_up("making a pipe", Fault{});
  channel_ = open_channel(segment_);
  if (channel_->statistics(&fault).participants != 1) give_up("joining", fault);
  for (std::uint64_t i = 0; i < scenario.start; i++) {
    put(Item{1, inline_bytes});
    take();
    if (i >= scenario.unfinished) finish();
  }
  for (Item item : scenario.queued) put(item);
  if (scenario.armed) arm();
  if (scenario.prepare != nullptr) scenario.prepare(*this);
  if (scenario.bystander != Bystander::none) start_bystander(scenario.bystander);
}

Stage::~Stage() {
  for (int fd : lifeline_) {
    if (fd >= 0) close(fd);
  }
  if (bystander_ <= 0) return;
  kill(bystander_, SIGKILL);
  waitpid(bystander_, nullptr, 0);
}

std::unique_ptr<Channel> Stage::open_channel(const std::shared_ptr<Segment>& segment) const {
  auto channel = std::make_unique<Channel>(segment, 0);
  if (scenario_.lifeline) channel->use_lifeline(lifeline_[1], lifeline_[0]);
  return channel;
}

void Stage::arm() {
  Fault fault;
  doorbell_ = lifeline_[0];
  Status status = scenario_.lifeline ? channel_->arm_lifeline(&fault) : channel_->arm(&doorbell_, &fault);
  if (status != Status::ok) give_up("arming", fault);
}

ChannelMemory& Stage::memory() { return ChannelTestAccess::memory(*channel_); }

void Stage::put(Item item) {
  Fault fault;
  if (channel_->try_put(Outgoing(item).message(), true, &fault) != Status::ok) give_up("putting", fault);
  line_.push_back(item);
}

void Stage::put_lent(Item item) {
  Fault fault;
  Outgoing outgoing(item);
  bool done = outgoing.take_along(*channel_, &fault) == Status::ok &&
              channel_->try_put(outgoing.message(), true, &fault) == Status::ok;
  if (!done) give_up("putting what was lent", fault);
  line_.push_back(item);
}

void Stage::take() {
  Fault fault;
  Received received;
  std::uint8_t buffer[copy_under_lock_bytes];
  if (channel_->try_get(&received, buffer, sizeof buffer, true, &fault) != Status::ok) give_up("taking", fault);
  line_.pop_front();
  unfinished_++;
  if (received.block != no_block) channel_->release(received.block);
  give_back_lent(*channel_, received, {});
}

void Stage::finish() {
  Fault fault;
  if (channel_->task_done(&fault) != Status::ok) give_up("task_done", fault);
  unfinished_--;
}

void Stage::lose_consumer() {
  pid_t pid = fork();
  if (pid == 0) {
    Fault fault;
    Received received;
    std::uint8_t buffer[copy_under_lock_bytes];
    Channel* channel = open_channel(segment_).release();
    _exit(channel->try_get(&received, buffer, sizeof buffer, true, &fault) == Status::ok ? 0 : 1);
  }
  int status = 0;
  if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) give_up("losing a consumer", Fault{});
  if (scenario_.options.tasks != TaskPolicy::redeliver) line_.pop_front();  // else it comes again
  if (scenario_.options.tasks == TaskPolicy::uncounted) unfinished_++;
}

bool Stage::provoke() {
  if (scenario_.when_asleep == nullptr) return true;
  if (provoked_) return false;
  provoked_ = true;
  scenario_.when_asleep(*this);
  return true;
}

bool Stage::bystander_is_registered(Bystander kind) {
  const ChannelControl& control = *memory().control;
  const volatile std::uint32_t* waiters = kind == Bystander::consumer   ? &control.items.waiters
                                          : kind == Bystander::producer ? &control.space.waiters
                                                                        : &control.finished.waiters;
  const volatile std::uint64_t* streams = &control.counters.streams;
  return *waiters > 0 || (kind == Bystander::producer && *streams > 0);
}

void Stage::start_bystander(Bystander kind) {
  pid_t parent = getpid();
  bystander_kind_ = kind;
  bystander_ = fork();
  if (bystander_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent) run_bystander(kind);
    _exit(0);
  }
  if (bystander_ < 0) give_up("starting a bystander", Fault{});
  for (;; sched_yield()) {
    bool is_registered = bystander_is_registered(kind);
    char state = state_of(bystander_);
    if (is_registered && state == 'S') return;
    if (state == 'Z') give_up("letting a bystander fall asleep", Fault{});
  }
}

void Stage::run_bystander(Bystander kind) {
  auto channel = open_channel(segment_);
  Status status = Status::interrupted;
  if (kind == Bystander::consumer) {
    status = get_whole(*channel, &report_.bystander_item);
  } else if (kind == Bystander::producer) {
    status = put_whole(*channel, scenario_.bystander_puts);
  } else {
    Fault fault;
    while (status == Status::interrupted) status = channel->join({no_deadline}, &fault);
  }
  channel.reset();  // leaves first: whoever sees the flag sees no trace of this process
  report_.bystander_status = status;
  report_.bystander_done.store(1, std::memory_order_release);
  platform::wake(report_.bystander_done, 1);
}

}  // namespace interproc::sweep
