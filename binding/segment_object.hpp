// Segment objects: a core Segment behind a Python object.
#pragma once

#include <memory>

#include "segment.hpp"
#include "state.hpp"

namespace interproc::binding {

// The core segment of a Segment object; empty with an exception set if it is none or closed.
std::shared_ptr<Segment> segment_of(const ModuleState* state, PyObject* object);

}  // namespace interproc::binding
