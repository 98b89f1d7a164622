// Sink: where a pickler leaves its output.
#pragma once

#include "state.hpp"

namespace interproc::binding {

PyObject* new_sink(const ModuleState* state);
// Takes the pickle (bytes, new reference) and the buffers (a list, or nullptr if none; new reference) out of the sink.
bool take_from_sink(PyObject* sink, PyObject** pickle, PyObject** buffers);
void empty_sink(PyObject* sink);

}  // namespace interproc::binding
