// The sweep of one scenario with synchronisation objects.
#pragma once

#include "sweep/sweep.hpp"
#include "sweep/sync_stage.hpp"

namespace interproc::sweep {

Result sweep_sync_scenario(const SyncScenario& scenario, const Plan& plan, Report& report);

}  // namespace interproc::sweep
