// sweep: kills a process at every instruction of every operation, and looks whether the survivors can go on.
//
//   sweep                      every kill point at which shared state differs from the one before, under every lock
//   sweep --full               every kill point
//   sweep --lock kernel        under one lock: kernel, liveness, or auto, the one that new channels get
//   sweep --only NAME [--at K[:J]]   one scenario, one kill point; a second victim's behind the colon
//   sweep --mutant             broken operations instead of the real ones: must fail
//   sweep --limit SECONDS      how long a survivor may take before it counts as hanging
//   sweep --list               the names
//
// Exit status: 0 all survived, 1 some did not, 2 the sweep itself failed, 77 this process may not trace others.
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <new>

#include "lock.hpp"
#include "sweep/stepper.hpp"
#include "sweep/sweep.hpp"
#include "sweep/sync_sweep.hpp"

using namespace interproc;
using namespace interproc::sweep;

namespace {

constexpr int not_permitted = 77;
constexpr unsigned workers_per_cpu = 2;  // survivors sleep a lot
constexpr unsigned most_workers = 16;

// One scenario, of a channel or of synchronisation objects, under one lock.
struct Job {
  std::string name;
  LockKind lock;
  const Scenario* of_channel;
  const SyncScenario* of_sync;

  Result sweep(const Plan& plan, Report& report) const {
    return of_channel != nullptr ? sweep_scenario(*of_channel, plan, report)
                                 : sweep_sync_scenario(*of_sync, plan, report);
  }
};

// Shared by all workers.
struct Board {
  std::atomic<std::size_t> next_job{0};
  std::atomic<std::size_t> tried{0}, points{0}, broken{0}, finished{0};
};

struct Wish {
  Plan plan;
  std::vector<LockKind> locks;
  const char* only = nullptr;
  bool mutant = false;
  bool list = false;
};

template <typename T>
T* share() {
  void* memory = mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) give_up("sharing memory", Fault{});
  return new (memory) T{};
}

const char* name_of(LockKind kind) { return kind == LockKind::kernel ? "kernel" : "liveness"; }

LockKind choose(const char* name) {
  LockKind kind;
  Fault fault;
  if (choose_lock(name, &kind, &fault) != Status::ok) give_up("choosing the lock", fault);
  return kind;
}

Wish parse(int argc, char** argv) {
  Wish wish;
  const char* lock = nullptr;
  for (int i = 1; i < argc; i++) {
    const std::string option = argv[i];
    auto value = [&] {
      if (i + 1 == argc) {
        fprintf(stderr, "sweep: %s wants a value\n", option.c_str());
        exit(2);
      }
      return argv[++i];
    };
    if (option == "--full") {
      wish.plan.every_point = true;
    } else if (option == "--mutant") {
      wish.mutant = true;
    } else if (option == "--list") {
      wish.list = true;
    } else if (option == "--lock") {
      lock = value();
    } else if (option == "--only") {
      wish.only = value();
    } else if (option == "--limit") {
      wish.plan.limit_seconds = static_cast<unsigned>(strtoul(value(), nullptr, 10));
    } else if (option == "--at") {
      for (char* rest = value();; rest++) {
        wish.plan.only_at.push_back(strtoul(rest, &rest, 10));
        if (*rest != ':') break;
      }
    } else {
      fprintf(stderr, "sweep: unknown option %s\n", option.c_str());
      exit(2);
    }
  }
  if (lock != nullptr) {
    wish.locks = {choose(lock)};
  } else {
    if (lock_supported(LockKind::kernel)) wish.locks.push_back(LockKind::kernel);
    wish.locks.push_back(LockKind::liveness);
  }
  return wish;
}

void stay_on_one_cpu(unsigned number) {
  cpu_set_t usable;
  if (sched_getaffinity(0, sizeof usable, &usable) != 0) return;
  unsigned skip = number % static_cast<unsigned>(CPU_COUNT(&usable));
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (!CPU_ISSET(cpu, &usable) || skip-- > 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
    return;
  }
}

// Tracer and victim take turns: on one CPU that costs least, and a waiting victim does not spin.
void work(Board& board, const std::vector<Job>& jobs, const Plan& plan, unsigned number) {
  stay_on_one_cpu(number);
  Report* report = share<Report>();
  for (;;) {
    std::size_t next = board.next_job.fetch_add(1);
    if (next >= jobs.size()) return;
    const Job& job = jobs[next];
    choose(name_of(job.lock));
    Result result = job.sweep(plan, *report);
    printf("%-32s %-8s instructions %5zu  points %5zu  tried %5zu  strayed %3zu  broken %zu  %6.2f s\n%s",
           job.name.c_str(), name_of(job.lock), result.instructions, result.points, result.tried, result.strayed,
           result.broken, result.seconds, result.complaints.c_str());
    fflush(stdout);
    board.points.fetch_add(result.points);
    board.tried.fetch_add(result.tried);
    board.broken.fetch_add(result.broken);
    board.finished.fetch_add(1);
  }
}

}  // namespace

int main(int argc, char** argv) {
  Wish wish = parse(argc, argv);
  const std::vector<Scenario> channels = wish.mutant ? mutants() : scenarios();
  const std::vector<SyncScenario> syncs = wish.mutant ? sync_mutants() : sync_scenarios();
  std::vector<Job> jobs;
  auto add = [&](const std::string& name, const Scenario* of_channel, const SyncScenario* of_sync) {
    if (wish.only != nullptr && name != wish.only) return;
    if (wish.list) printf("%s\n", name.c_str());
    for (LockKind lock : wish.locks) jobs.push_back({name, lock, of_channel, of_sync});
  };
  for (const Scenario& scenario : channels) add(scenario.name, &scenario, nullptr);
  for (const SyncScenario& scenario : syncs) add(scenario.name, nullptr, &scenario);
  if (wish.list) return 0;
  if (jobs.empty()) {
    fprintf(stderr, "sweep: no scenario is named %s\n", wish.only);
    return 2;
  }
  if (!may_trace()) {
    fprintf(stderr, "sweep: this process may not trace others\n");
    return not_permitted;
  }

  std::uint64_t started_ns = platform::monotonic_ns();
  auto* board = share<Board>();
  unsigned workers = std::min(most_workers, workers_per_cpu * platform::usable_cpus());
  for (unsigned number = 0; number < workers; number++) {
    pid_t parent = getpid();
    if (fork() != 0) continue;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent) work(*board, jobs, wish.plan, number);
    _exit(0);
  }
  bool failed = false;
  int status = 0;
  while (wait(&status) > 0) failed = failed || status != 0;
  double seconds = static_cast<double>(platform::monotonic_ns() - started_ns) / 1e9;
  printf("sweep: %zu of %zu scenarios, %zu of %zu kill points tried, %zu broken, %.1f s\n", board->finished.load(),
         jobs.size(), board->tried.load(), board->points.load(), board->broken.load(), seconds);
  if (failed || board->finished.load() != jobs.size()) return 2;
  return board->broken.load() == 0 ? 0 : 1;
}
