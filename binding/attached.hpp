// Who uses a channel, for Python.
#pragma once

#include "channel.hpp"
#include "python.hpp"

namespace interproc::binding {

// A list of (pid, is_alive, is_consumer, is_producer, is_certain), one for each place in the table. `channel` may be null.
PyObject* attached_to(const Channel* channel);

}  // namespace interproc::binding
