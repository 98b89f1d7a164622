// Buffer: memory of a received message, the receiver's own.
#pragma once

#include "state.hpp"

namespace interproc::binding {

// A new, uninitialised Buffer of `size_bytes`; its memory in `*data`. nullptr with MemoryError.
PyObject* new_buffer(const ModuleState* state, std::size_t size_bytes, bool readonly, std::uint8_t** data);

}  // namespace interproc::binding
