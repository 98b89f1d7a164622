// What a channel counts, as a dictionary.
#pragma once

#include "channel.hpp"
#include "state.hpp"

namespace interproc::binding {

PyObject* statistics_of(const State& state, Channel* channel);

}  // namespace interproc::binding
