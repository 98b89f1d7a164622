// Sweep: one scenario, killed at one point after the other.
#pragma once

#include <string>
#include <vector>

#include "sweep/stage.hpp"

namespace interproc::sweep {

struct Plan {
  bool every_point = false;  // else only where shared state changed
  std::vector<std::size_t>
      only_at{};                // one kill point of each victim, as far as they go; else as many as the plan says
  unsigned limit_seconds = 30;  // how long a survivor may take
};

struct Result {
  std::size_t instructions = 0;  // of the whole act
  std::size_t points = 0;        // kill points there are
  std::size_t tried = 0;
  std::size_t strayed = 0;  // tried ones that did not lie where the traced run had them
  std::size_t broken = 0;
  double seconds = 0;
  std::string complaints;  // one line for each broken survivor, up to a few
};

Result sweep_scenario(const Scenario& scenario, const Plan& plan, Report& report);

}  // namespace interproc::sweep
