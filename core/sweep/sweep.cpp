#include "sweep/sweep.hpp"

#include <algorithm>
#include <memory>

#include "sweep/survivor.hpp"
#include "sweep/symbol.hpp"
#include "sweep/trace.hpp"

namespace interproc::sweep {

namespace {

// A hanging survivor costs the whole limit.
constexpr std::size_t most_broken = 3;
// Deaths in a row: so many points of each act at most.
constexpr std::size_t few_first = 6, many_last = 20;           // of two
constexpr std::size_t fewer_first = 4, few_of_the_others = 6;  // of three
// Of three there are a million: so many when all are asked for.
constexpr std::size_t many_of_each = 20;

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
    if (scenario_.again.empty()) {
      one_death();
    } else {
      deaths_after({});
    }
    result_.seconds = static_cast<double>(platform::monotonic_ns() - started_ns) / 1e9;
    return std::move(result_);
  }

 private:
  struct Death {
    Trace trace;
    std::size_t at;
  };
  using Deaths = std::vector<Death>;
  using Victims = std::vector<std::unique_ptr<Stepper>>;

  void one_death();
  void deaths_after(const Deaths& deaths);
  const Act& act_of(std::size_t number) const { return number == 0 ? scenario_.act : scenario_.again[number - 1]; }
  Victims start_victims(Stage& stage) const;
  void kill(Victims& victims, Stage& stage, const Deaths& deaths);
  Points chosen_after(std::size_t number, const Trace& trace) const;
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
  if (!plan_.only_at.empty()) return {plan_.only_at[0]};
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

// All are ready before the first dies.
Sweep::Victims Sweep::start_victims(Stage& stage) const {
  Victims victims;
  for (std::size_t i = 0; i <= scenario_.again.size(); i++) {
    const Act& act = act_of(i);
    victims.push_back(std::unique_ptr<Stepper>(new Stepper([&] { perform(stage, act); })));
  }
  return victims;
}

void Sweep::kill(Victims& victims, Stage& stage, const Deaths& deaths) {
  for (std::size_t i = 0; i < deaths.size(); i++) kill(*victims[i], stage, act_of(i), deaths[i].trace, deaths[i].at);
}

// All but the last die with the lock: else they leave nothing that the next would meet first.
Points Sweep::chosen_after(std::size_t number, const Trace& trace) const {
  bool is_last = number == scenario_.again.size();
  if (number < plan_.only_at.size()) return {plan_.only_at[number]};
  Points points = points_where(trace, [&](const Point& at) { return at.is_distinct && (is_last || at.holds_lock); });
  if (plan_.every_point) return scenario_.again.size() == 1 ? points : thinned(points, many_of_each);
  if (scenario_.again.size() == 1) return thinned(points, is_last ? many_last : few_first);
  return thinned(points, number == 0 ? fewer_first : few_of_the_others);
}

// Each victim is the first to notice what those before it left.
void Sweep::deaths_after(const Deaths& deaths) {
  std::string label;
  for (const Death& death : deaths) label += std::to_string(death.at) + ":";
  std::size_t number = deaths.size();
  Trace trace;
  {
    Stage stage(scenario_, report_);
    Victims victims = start_victims(stage);
    kill(victims, stage, deaths);
    trace = traced(stage, *victims[number], act_of(number), label + "no kill");
  }
  bool is_last = number == scenario_.again.size();
  if (number == 0) result_.instructions = trace.size() - 1;
  if (is_last) result_.points += trace.size();
  for (std::size_t at : chosen_after(number, trace)) {
    if (!may_go_on()) return;
    Deaths next = deaths;
    next.push_back({trace, at});
    if (!is_last) {
      deaths_after(next);
      continue;
    }
    Stage stage(scenario_, report_);
    Victims victims = start_victims(stage);
    kill(victims, stage, next);
    judge(stage, *victims[number], label + std::to_string(at));
  }
}

}  // namespace

Result sweep_scenario(const Scenario& scenario, const Plan& plan, Report& report) {
  return Sweep(scenario, plan, report).run();
}

}  // namespace interproc::sweep
