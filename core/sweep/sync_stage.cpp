#include "sweep/sync_stage.hpp"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "atomics.hpp"
#include "participants.hpp"
#include "sweep/stepper.hpp"
#include "sync/allocator.hpp"

namespace interproc::sweep {

namespace {

constexpr std::uint64_t me = 1;  // every process here has one thread

template <typename Call>
Status insist(std::uint64_t deadline_ns, Call call) {
  Patience patience(deadline_ns);
  Status status;
  do {
    status = call(&patience);
  } while (status == Status::interrupted);
  return status;
}

template <typename Object, typename... Arguments>
std::unique_ptr<Object> make(Arguments... arguments) {
  std::unique_ptr<Object> object;
  Fault fault;
  if (Object::create(arguments..., &object, &fault) != Status::ok) give_up("making an object", fault);
  return object;
}

std::uint32_t nodes_in_use(const SyncPool& pool) {
  std::uint32_t count = 0;
  for (std::uint32_t i = 1; i < pool.nodes_made(); i++) count += pool.node(i).token.load() != 0 ? 1 : 0;
  return count;
}

std::uint32_t participants_of(const SyncPool& pool) {
  std::uint32_t count = 0;
  Claim claim;
  for (std::uint32_t place = 0; next_participant(pool.participants(), &place, &claim); place++) count++;
  return count;
}

}  // namespace

SyncStage::SyncStage(const SyncScenario& of, Report& to) : scenario(of), report(to) {
  retire_pool();
  lock = make<OwnedLock>();
  plain = make<Semaphore>(staged_permits, staged_permits, false);
  tracked = make<Semaphore>(staged_permits, staged_permits, true);
  condition = make<Condition>();
  event = make<Event>();
  barrier = make<Barrier>(staged_parties);
  block = make<HeapBlock>(std::uint64_t{64});
  report.bystander_ready.store(0);
  report.bystander_done.store(0);
  report.doing = "nothing yet";
  report.failure[0] = 0;
  if (pool().join(&token, &fault) != Status::ok) give_up("joining", fault);
  if (scenario.prepare != nullptr) scenario.prepare(*this);
  if (scenario.bystander_comes_first) start_bystander();
}

void SyncStage::victim_is_ready() {
  if (scenario.bystand != nullptr && !scenario.bystander_comes_first) start_bystander();
}

SyncStage::~SyncStage() {
  if (bystander_ <= 0) return;
  kill(bystander_, SIGKILL);
  waitpid(bystander_, nullptr, 0);
}

void SyncStage::start_bystander() {
  pid_t parent = getpid();
  bystander_ = fork();
  if (bystander_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(0);
    std::uint32_t mine = 0;
    pool().join(&mine, &fault);
    report.bystander_ready.store(1);
    scenario.bystand(*this);
    SyncPool::leave_all();  // whoever sees the flag sees no trace of this process
    report.bystander_done.store(1, std::memory_order_release);
    _exit(0);
  }
  if (bystander_ < 0) give_up("starting a bystander", Fault{});
  for (;; sched_yield()) {
    bool is_ready = report.bystander_ready.load() != 0;
    char state = state_of(bystander_);
    if (is_ready && state == 'S') return;
    if (state == 'Z') give_up("letting a bystander fall asleep", Fault{});
  }
}

bool SyncStage::provoke() {
  if (scenario.when_asleep == nullptr) return true;
  if (provoked_) return false;
  provoked_ = true;
  scenario.when_asleep(*this);
  return true;
}

void SyncStage::lose(void (*act)(SyncStage&)) {
  pid_t pid = fork();
  if (pid == 0) {
    act(*this);
    _exit(0);
  }
  int status = 0;
  if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) give_up("losing a process", Fault{});
}

// --- operations ------------------------------------------------------------------------------------------------------

Status SyncStage::acquire() {
  return insist(deadline_ns, [&](Patience* patience) { return lock->acquire(me, patience, &fault); });
}

Status SyncStage::acquire(Semaphore& semaphore) {
  return insist(deadline_ns, [&](Patience* patience) { return semaphore.acquire(patience, &fault); });
}

Status SyncStage::sleep() {
  return insist(deadline_ns, [&](Patience* patience) { return condition->sleep(ticket, patience); });
}

Status SyncStage::wait() {
  std::uint32_t begun = event->begin();
  return insist(deadline_ns, [&](Patience* patience) { return event->wait(begun, patience); });
}

Status SyncStage::pass() {
  Status status = insist(deadline_ns, [&](Patience* patience) { return barrier->arrive(&arrival, patience, &fault); });
  if (status != Status::ok) return status;
  if (arrival.is_last) return barrier->release(arrival, &fault);
  return insist(deadline_ns, [&](Patience* patience) { return barrier->sleep(arrival, patience, &fault); });
}

// --- the survivor ----------------------------------------------------------------------------------------------------

void SyncStage::fail(const char* what, std::uint64_t value) {
  snprintf(report.failure, sizeof report.failure, "%s: %s (%llu)", report.doing, what,
           static_cast<unsigned long long>(value));
  _exit(1);
}

bool SyncStage::survives(unsigned limit_seconds) {
  pid_t parent = getpid();
  pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(0);
    alarm(limit_seconds + 1);  // for a wait that no deadline ends
    deadline_ns = platform::monotonic_ns() + limit_seconds * std::uint64_t{1'000'000'000};
    survive();
    _exit(0);
  }
  if (pid < 0) give_up("starting a survivor", Fault{});
  int status = 0;
  waitpid(pid, &status, 0);
  if (WIFSIGNALED(status)) {
    snprintf(report.failure, sizeof report.failure, "%s: ended by signal %d", report.doing, WTERMSIG(status));
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void SyncStage::survive() {
  settle_bystander();
  check_books();
  check_use();
}

void SyncStage::settle_bystander() {
  report.doing = "waiting for the bystander";
  for (;; poll(nullptr, 0, 2)) {
    if (scenario.help != nullptr) scenario.help(*this);
    if (scenario.bystand == nullptr || report.bystander_done.load(std::memory_order_acquire) != 0) return;
    require(platform::monotonic_ns() < deadline_ns, "it hangs");
  }
}

void SyncStage::check_books() {
  report.doing = "checking the books";
  std::uint32_t mine = 0;
  require(pool().join(&mine, &fault) == Status::ok, "no place is left");
  pool().sweep_dead();
  constexpr std::uint32_t stage_and_survivor = 2;
  require(participants_of(pool()) == stage_and_survivor, "participants", participants_of(pool()));
  require(tracked->value() == staged_permits, "permits that are tracked", tracked->value());
  require(plain->value() <= staged_permits, "permits", plain->value());
  require(!condition->has_waiters(), "a condition has waiters");
  require(nodes_in_use(pool()) == 0, "nodes in use", nodes_in_use(pool()));
}

void SyncStage::check_use() {
  report.doing = "using the lock";
  for (bool is_first : {true, false}) {
    require(acquire() == Status::ok, "acquire");
    require(is_first || lock->abandoned_pid() == 0, "it stays abandoned");
    require(lock->depth(me) == 1, "depth", lock->depth(me));
    require(lock->release() == Status::ok, "release");
  }
  report.doing = "using the heap";
  auto number = atomics::load<std::int64_t>(block->data());
  require(number >= 0 && number <= staged_additions, "a number that nobody added up",
          static_cast<std::uint64_t>(number));
  std::unique_ptr<HeapBlock> mine;
  require(HeapBlock::create(1000, &mine, &fault) == Status::ok, "no block can be made");
  for (std::uint64_t i = 0; i < mine->size_bytes(); i++)
    require(mine->data()[i] == std::byte{0}, "a block is not empty", i);
  report.doing = "using the semaphores";
  while (plain->value() < staged_permits) require(plain->release(1, &fault) == Status::ok, "release");
  for (Semaphore* semaphore : {plain.get(), tracked.get()}) {
    for (std::uint32_t i = 0; i < staged_permits; i++) require(acquire(*semaphore) == Status::ok, "acquire");
    require(semaphore->try_acquire(&fault) == Status::not_available, "a permit too many");
    require(semaphore->release(staged_permits, &fault) == Status::ok, "release");
    require(semaphore->release(1, &fault) == Status::over_bound, "release over the bound");
  }
  report.doing = "using the event";
  event->set();
  require(wait() == Status::ok, "wait");
  event->clear();
  require(!event->is_set(), "it stays set");
  report.doing = "using the condition";
  for (int round = 0; round < 2; round++) {
    std::uint32_t notified = 0;
    Condition::Ticket second;
    require(condition->enter(&ticket, &fault) == Status::ok, "enter");
    require(condition->enter(&second, &fault) == Status::ok, "enter again");
    require(condition->notify(1, &notified, &fault) == Status::ok && notified == 1, "notify", notified);
    require(sleep() == Status::ok && condition->leave(&ticket), "the first was not notified");
    require(!condition->leave(&second), "the second was notified");
  }
  report.doing = "using the barrier";
  require(barrier->reset(&fault) == Status::ok, "reset");
  for (int round = 0; round < 3; round++) {
    Barrier::Arrival first, last;
    Patience patience(deadline_ns);
    require(barrier->arrive(&first, &patience, &fault) == Status::ok && first.index == 0, "the first", first.index);
    require(barrier->arrive(&last, &patience, &fault) == Status::ok && last.is_last, "the last", last.index);
    require(barrier->release(last, &fault) == Status::ok, "release");
    require(barrier->sleep(first, &patience, &fault) == Status::ok, "the round broke");
  }
}

}  // namespace interproc::sweep
