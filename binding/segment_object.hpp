// Segment objects: one piece of shared memory and this process's mapping of it.
#pragma once

#include <memory>

#include "segment.hpp"
#include "state.hpp"

namespace interproc::binding {

// The core's segment behind a Segment object; nullptr with an exception raised for another object or a closed one.
std::shared_ptr<Segment> segment_of(const State& state, PyObject* object);

// A new Segment object; nullptr with an exception raised.
PyObject* wrap_segment(const State& state, std::shared_ptr<Segment> segment);

}  // namespace interproc::binding
