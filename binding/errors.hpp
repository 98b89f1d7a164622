// From the core's status to Python's exceptions.
#pragma once

#include "state.hpp"
#include "status.hpp"

namespace interproc::binding {

// Sets the exception for a fault; returns nullptr.
PyObject* raise_fault(const ModuleState* state, Status status, const Fault& fault);

}  // namespace interproc::binding
