// Statuses of the core as Python exceptions.
#pragma once

#include "state.hpp"
#include "status.hpp"

namespace interproc::binding {

// Raises what `status` means; the text names the limit that was reached and the remedy. Always returns nullptr.
PyObject* raise(const State& state, Status status, const Fault& fault);

// What lies in a message cannot be true.
PyObject* raise_damaged(const State& state, const char* what, std::uint64_t found, std::uint64_t expected);

}  // namespace interproc::binding
