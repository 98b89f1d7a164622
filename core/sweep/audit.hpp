// Audit: whether the books of a quiet, empty channel are in order. Nobody else may be inside.
#pragma once

#include <string>

#include "channel_memory.hpp"

namespace interproc::sweep {

// Empty if they are, else what is wrong.
std::string audit(const ChannelMemory& memory);

}  // namespace interproc::sweep
