#include "sweep/sweep.hpp"

#include <algorithm>

#include "sweep/survivor.hpp"
#include "sweep/symbol.hpp"
#include "sweep/trace.hpp"

namespace interproc::sweep {

namespace {

// A hanging survivor costs the whole limit.
constexpr std::size_t most_broken = 3;
// Two deaths: so many points of each act at most, unless all are asked for.
constexpr std::size_t first_deaths = 6;
constexpr std::size_t second_deaths = 20;

using Points = std::vector<std::size_t>;

// About `count` of them, evenly spread, the first and the last included.
Points thinned(const Points& points, std::size_t count) {
  if (points.size() <= count) return points;
  Points few;
  for (std::size_t i = 0; i < count; i++) few.push_back(points[i * (points.size() - 1) / (count - 1)]);
  return few;
}

std::string text_of_failure(const Stepper& victim) {
  return "died by itself, of signal " + std::to_string(victim.failure());
}

template <typename Wanted>
Points points_where(const Trace& trace, Wanted wanted) {
  Points points;
  for (std::size_t at = 0; at < trace.size(); at++) {
    if (wanted(trace[at])) points.push_back(at);
  }
  return points;
}

class Sweep {
 public:
  Sweep(const Scenario& scenario, const Plan& plan, Report& report)
      : scenario_(scenario), plan_(plan), report_(report) {}

  Result run() {
    std::uint64_t started_ns = platform::monotonic_ns();
    scenario_.again ? two_deaths() : one_death();
    result_.seconds = static_cast<double>(platform::monotonic_ns() - started_ns) / 1e9;
    return std::move(result_);
  }

 private:
  void one_death();
  void two_deaths();
  bool may_go_on() const { return result_.broken < most_broken; }
  Trace first_trace();
  Trace traced(Stage& stage, Stepper& victim, const Act& act, const std::string& at);
  Points chosen(const Trace& trace) const;
  void kill(Stepper& victim, Stage& stage, const Act& act, const Trace& trace, std::size_t at);
  void judge(Stage& stage, const Stepper& victim, const std::string& at);
  void complain(Stage& stage, const Stepper& victim, const std::string& at, const std::string& what);

  const Scenario& scenario_;
  const Plan& plan_;
  Report& report_;
  Result result_;
};

Trace Sweep::traced(Stage& stage, Stepper& victim, const Act& act, const std::string& at) {
  Trace trace = trace_of(stage, victim, act);
  if (victim.failure() != 0) complain(stage, victim, at, text_of_failure(victim));
  for (std::size_t point = 0; point < trace.size(); point++) {
    if (!trace[point].is_nameless) continue;
    complain(stage, victim, at, "holds the lock without a place after " + std::to_string(point) + " instructions");
    break;
  }
  return trace;
}

Points Sweep::chosen(const Trace& trace) const {
  if (plan_.only_at >= 0) return {static_cast<std::size_t>(plan_.only_at)};
  return points_where(trace, [&](const Point& point) { return plan_.every_point || point.is_distinct; });
}

void Sweep::kill(Stepper& victim, Stage& stage, const Act& act, const Trace& trace, std::size_t at) {
  if (!follow(victim, stage, act, trace, std::min(at, trace.size() - 1))) result_.strayed++;
  victim.kill();
}

void Sweep::complain(Stage& stage, const Stepper& victim, const std::string& at, const std::string& what) {
  stage.abandon();
  result_.broken++;
  result_.complaints += "  at " + at + ", before " + symbol_at(victim.instruction()) + "\n    " + what + "\n";
}

void Sweep::judge(Stage& stage, const Stepper& victim, const std::string& at) {
  result_.tried++;
  if (victim.failure() != 0) {
    complain(stage, victim, at, text_of_failure(victim));
  } else if (!survives(stage, plan_.limit_seconds)) {
    complain(stage, victim, at, report_.failure);
  }
}

Trace Sweep::first_trace() {
  Stage stage(scenario_, report_);
  Stepper victim = start_victim(stage, scenario_.act);
  return traced(stage, victim, scenario_.act, "no kill");
}

void Sweep::one_death() {
  Trace trace = first_trace();
  result_.instructions = trace.size() - 1;
  result_.points = trace.size();
  for (std::size_t at : chosen(trace)) {
    if (!may_go_on()) return;
    Stage stage(scenario_, report_);
    Stepper victim = start_victim(stage, scenario_.act);
    kill(victim, stage, scenario_.act, trace, at);
    judge(stage, victim, std::to_string(at));
  }
}

// The second victim is ready before the first dies, and is the first to notice.
void Sweep::two_deaths() {
  Trace trace = first_trace();
  Points held = points_where(trace, [](const Point& point) { return point.is_distinct && point.holds_lock; });
  if (!plan_.every_point) held = thinned(held, first_deaths);
  if (plan_.only_at >= 0) held = {static_cast<std::size_t>(plan_.only_at)};
  result_.instructions = trace.size() - 1;
  for (std::size_t at : held) {
    Trace second_trace;
    {
      Stage stage(scenario_, report_);
      Stepper first = start_victim(stage, scenario_.act);
      Stepper second = start_victim(stage, *scenario_.again);
      kill(first, stage, scenario_.act, trace, at);
      second_trace = traced(stage, second, *scenario_.again, std::to_string(at));
    }
    result_.points += second_trace.size();
    Points again = points_where(second_trace, [](const Point& point) { return point.is_distinct; });
    if (!plan_.every_point) again = thinned(again, second_deaths);
    if (plan_.only_again_at >= 0) again = {static_cast<std::size_t>(plan_.only_again_at)};
    for (std::size_t again_at : again) {
      if (!may_go_on()) return;
      Stage stage(scenario_, report_);
      Stepper first = start_victim(stage, scenario_.act);
      Stepper second = start_victim(stage, *scenario_.again);
      kill(first, stage, scenario_.act, trace, at);
      kill(second, stage, *scenario_.again, second_trace, again_at);
      judge(stage, second, std::to_string(at) + ":" + std::to_string(again_at));
    }
  }
}

}  // namespace

Result sweep_scenario(const Scenario& scenario, const Plan& plan, Report& report) {
  return Sweep(scenario, plan, report).run();
}

}  // namespace interproc::sweep
