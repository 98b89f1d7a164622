#include "sweep/sync_sweep.hpp"

#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>

#include <algorithm>

#include "spin.hpp"
#include "sweep/stepper.hpp"
#include "sweep/symbol.hpp"
#include "sweep/trace.hpp"

namespace interproc::sweep {

namespace {

// A hanging survivor costs the whole limit.
constexpr std::size_t most_broken = 3;
// Further instructions than any act has.
constexpr std::size_t most_instructions = 100'000;

// The pages that the objects of a stage lie in, as they were at the last look.
class Snapshot {
 public:
  explicit Snapshot(const std::byte* base) {
    for (std::uint64_t at :
         {sync_control_at, sync_participants_at, sync_cells_at - page_bytes, sync_cells_at, sync_nodes_at}) {
      pages_.push_back({base + at, {base + at, base + at + page_bytes}});
    }
  }
  bool renew() {
    bool changed = false;
    for (Page& page : pages_) {
      if (memcmp(page.memory, page.copy.data(), page_bytes) == 0) continue;
      memcpy(page.copy.data(), page.memory, page_bytes);
      changed = true;
    }
    return changed;
  }

 private:
  struct Page {
    const std::byte* memory;
    std::vector<std::byte> copy;
  };
  std::vector<Page> pages_;
};

// A fork's death notice lies where this process's does.
const void* pending_notice() {
  robust_list_head* head = nullptr;
  std::size_t length = 0;
  if (syscall(SYS_get_robust_list, 0, &head, &length) != 0) give_up("get_robust_list", Fault{});
  return &head->list_op_pending;
}

class SyncSweep {
 public:
  SyncSweep(const SyncScenario& scenario, const Plan& plan, Report& report)
      : scenario_(scenario), plan_(plan), report_(report) {}

  Result run() {
    std::uint64_t started_ns = platform::monotonic_ns();
    Trace trace = traced();
    result_.instructions = trace.size() - 1;
    result_.points = trace.size();
    for (std::size_t at = 0; at < trace.size() && result_.broken < most_broken; at++) {
      bool is_chosen = plan_.only_at.empty() ? plan_.every_point || trace[at].is_distinct : at == plan_.only_at[0];
      if (is_chosen) kill_at(trace, at);
    }
    result_.seconds = static_cast<double>(platform::monotonic_ns() - started_ns) / 1e9;
    return std::move(result_);
  }

 private:
  [[noreturn]] static void perform(SyncStage& stage);
  template <typename See>
  void advance(Stepper& victim, SyncStage& stage, std::size_t count, See see);
  Trace traced();
  bool follow(Stepper& victim, SyncStage& stage, const Trace& trace, std::size_t at);
  void kill_at(const Trace& trace, std::size_t at);

  const SyncScenario& scenario_;
  const Plan& plan_;
  Report& report_;
  Result result_;
};

void SyncSweep::perform(SyncStage& stage) {
  platform::self();
  platform::DeathNotice::of_this_thread();
  recent_usable_cpus(platform::monotonic_ns());  // so that it is not asked in one run and known in another
  std::uint32_t mine = 0;
  if (!stage.scenario.joins_inside) stage.pool().join(&mine, &stage.fault);
  if (stage.scenario.before != nullptr) stage.scenario.before(stage);
  mark();
  stage.scenario.operation(stage);
  mark();
  for (;;) pause();
}

// Lets the victim go on for `count` instructions, or to the end of its act; `see(slept)` is called after each.
template <typename See>
void SyncSweep::advance(Stepper& victim, SyncStage& stage, std::size_t count, See see) {
  bool slept = false;
  for (std::size_t done = 0; done < count;) {
    Stepper::Stop stop = victim.step();
    if (stop == Stepper::Stop::failed || stop == Stepper::Stop::at_end) return;
    if (stop == Stepper::Stop::asleep && !scenario_.ends_asleep) {
      if (!stage.provoke()) return;
      slept = true;
      continue;
    }
    done++;
    see(slept || stop == Stepper::Stop::asleep);
    slept = false;
    if (stop == Stepper::Stop::asleep) return;
  }
}

Trace SyncSweep::traced() {
  SyncStage stage(scenario_, report_);
  Stepper victim([&] { perform(stage); });
  stage.victim_is_ready();
  const void* notice = pending_notice();
  Snapshot snapshot(stage.lock->segment()->base());
  Trace trace{{victim.instruction(), true}};
  std::uint64_t noticed = victim.peek(notice);
  bool entered_kernel = victim.is_at_system_call();
  advance(victim, stage, most_instructions, [&](bool slept) {
    std::uint64_t notices = victim.peek(notice);
    bool changed = snapshot.renew();
    bool is_distinct = changed || notices != noticed || entered_kernel;
    trace.push_back({victim.instruction(), is_distinct, false, slept});
    noticed = notices;
    entered_kernel = victim.is_at_system_call();
  });
  if (trace.size() > most_instructions) give_up("following an act to its end", Fault{});
  trace.back().is_distinct = true;
  return trace;
}

// False if the victim went another way; then it is wherever that way led.
bool SyncSweep::follow(Stepper& victim, SyncStage& stage, const Trace& trace, std::size_t at) {
  for (std::size_t here = 0; here < at; here++) {
    std::size_t sleep = here + 1;
    while (sleep <= at && !trace[sleep].has_slept) sleep++;
    if (!hurry(victim, trace, here, sleep - 1)) return false;
    here = sleep - 1;
    if (here == at) return true;
    advance(victim, stage, 1, [](bool) {});
  }
  return victim.instruction() == trace[at].address;
}

void SyncSweep::kill_at(const Trace& trace, std::size_t at) {
  SyncStage stage(scenario_, report_);
  Stepper victim([&] { perform(stage); });
  stage.victim_is_ready();
  if (!follow(victim, stage, trace, std::min(at, trace.size() - 1))) result_.strayed++;
  victim.kill();
  result_.tried++;
  bool died_early = victim.failure() != 0;
  if (!died_early && stage.survives(plan_.limit_seconds)) return;
  result_.broken++;
  std::string what = died_early ? "died by itself, of signal " + std::to_string(victim.failure()) : report_.failure;
  result_.complaints +=
      "  at " + std::to_string(at) + ", before " + symbol_at(victim.instruction()) + "\n    " + what + "\n";
}

}  // namespace

Result sweep_sync_scenario(const SyncScenario& scenario, const Plan& plan, Report& report) {
  return SyncSweep(scenario, plan, report).run();
}

}  // namespace interproc::sweep
