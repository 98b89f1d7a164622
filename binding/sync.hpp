// What the types of locks, semaphores, conditions, events and barriers share.
#pragma once

#include "arguments.hpp"
#include "channel.hpp"
#include "errors.hpp"
#include "segment_object.hpp"
#include "sync/object.hpp"
#include "sync/patience.hpp"

namespace interproc::binding {

// Names the calling thread within its process; never 0.
inline std::uint64_t this_thread() { return PyThread_get_thread_ident(); }

// Calls `wait(&patience)` without the GIL until it no longer says `interrupted`. False: a signal handler raised.
template <typename Waiting>
bool wait_without_gil(std::uint64_t deadline_ns, Waiting wait, Status* status) {
  Patience patience(deadline_ns);
  do {
    {
      Unlocked unlocked;
      *status = wait(&patience);
    }
    if (*status == Status::interrupted && PyErr_CheckSignals() != 0) return false;
  } while (*status == Status::interrupted);
  return true;
}

// The arguments of _attach(): a Segment and the index of a cell. False with an exception raised.
bool parse_place(State& state, PyObject* const* arguments, Py_ssize_t count, std::shared_ptr<SyncPool>* pool,
                 std::uint32_t* index);

// For pickling: (segment, index). From then on the cells of `object` are never used for another. `segment` is the Segment
// object that it was attached with, if it was.
PyObject* export_place(State& state, SyncObject& object, PyObject* segment);

// Raises what an operation could not do; always nullptr.
PyObject* raise_in_sync(State& state, Status status, const Fault& fault);

}  // namespace interproc::binding
