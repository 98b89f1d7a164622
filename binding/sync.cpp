#include "sync.hpp"

namespace interproc::binding {

bool parse_place(State& state, PyObject* const* arguments, Py_ssize_t count, std::shared_ptr<SyncPool>* pool,
                 std::uint32_t* index) {
  if (count < 2) {
    PyErr_SetString(PyExc_TypeError, "_attach() takes a segment and the index of a cell");
    return false;
  }
  std::uint64_t number = 0;
  std::shared_ptr<Segment> segment = segment_of(state, arguments[0]);
  if (segment == nullptr || to_uint64(arguments[1], &number) == 0) return false;
  Fault fault;
  Status status = SyncPool::attach(std::move(segment), pool, &fault);
  if (status != Status::ok) {
    raise(state, status, fault);
    return false;
  }
  *index = number < sync_cells ? static_cast<std::uint32_t>(number) : sync_cells;
  return true;
}

PyObject* export_place(State& state, SyncObject& object, PyObject* segment) {
  object.mark_exported();
  Ref known = segment != nullptr ? Ref::to(segment) : Ref(wrap_segment(state, object.segment()));
  return known ? Py_BuildValue("(OI)", known.get(), object.index()) : nullptr;
}

PyObject* raise_in_sync(State& state, Status status, const Fault& fault) {
  switch (status) {
    case Status::not_owner:
      PyErr_SetString(PyExc_AssertionError,
                      "attempt to release recursive lock not owned by thread: only the thread that took it may");
      return nullptr;
    case Status::not_locked:
      PyErr_SetString(PyExc_ValueError, "semaphore or lock released too many times: nobody holds this lock");
      return nullptr;
    case Status::over_bound:
      PyErr_SetString(PyExc_ValueError,
                      "semaphore or lock released too many times: its value would rise above its maximum");
      return nullptr;
    case Status::too_many_participants:
      PyErr_Format(PyExc_OSError, "%u processes use the locks of one process, which is the most there can be",
                   max_participants);
      return nullptr;
    case Status::too_many_waiters:
      PyErr_Format(PyExc_OSError, "%u threads wait for conditions of one process, which is the most there can be",
                   sync_nodes - 1);
      return nullptr;
    default:
      return raise(state, status, fault);
  }
}

}  // namespace interproc::binding
