#pragma once

#include "port.hpp"

namespace interproc::binding {

// A dict of a channel's counters: a new reference, or nullptr with an exception set.
PyObject* statistics_of(Port& port);

}  // namespace interproc::binding
