// Survivor: comes after the kill, attaches to the segment, and finds out whether anything is wrong with the channel.
#pragma once

#include "sweep/stage.hpp"

namespace interproc::sweep {

// A forked process that inspects `stage`. True if it found everything right within `limit_seconds`; else
// `stage.report().failure` says what was wrong.
bool survives(Stage& stage, unsigned limit_seconds);

}  // namespace interproc::sweep
