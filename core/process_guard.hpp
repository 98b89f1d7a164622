// ProcessGuard: the mutex of what this process keeps for itself, such as what is free in the segments it made.
//
// Held for a moment and around every fork, so that a child finds all of it whole and the guard free. Nothing that takes
// it again may be called under it, nor anything that sleeps.
#pragma once

#include <cstdint>

namespace interproc {

class ProcessGuard {
 public:
  ProcessGuard();
  ~ProcessGuard();
  ProcessGuard(const ProcessGuard&) = delete;
  ProcessGuard& operator=(const ProcessGuard&) = delete;
};

// How often this process has forked, or tried to. Guard held.
std::uint64_t forks_so_far();

}  // namespace interproc
