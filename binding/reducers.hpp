// The dictionary of reducers that picklers use: merged by Python from two, and merged anew when one of them changes.
#pragma once

#include "state.hpp"

namespace interproc::binding {

// Finds the two dictionaries and begins to watch them. False: an exception is raised.
bool watch_reducers(State& state);
void unwatch_reducers(State& state);

// The merged dictionary; none with an exception raised.
Ref current_reducers(State& state);

}  // namespace interproc::binding
