// What the types of locks, semaphores, conditions, events and barriers share.
#pragma once

#include <memory>
#include <new>

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

// A Python object that is one synchronisation object and nothing else, and the part of its type that is the same for all.
template <typename Kind>
struct Holder {
  PyObject ob_base;
  State* state;
  PyObject* weak_references;
  PyObject* segment;  // that it was attached with, so that the next object on it finds it known
  std::unique_ptr<Kind> held;

  static Holder* cast(PyObject* self) { return reinterpret_cast<Holder*>(self); }

  // nullptr with an exception raised before __init__().
  static Kind* of(PyObject* self) {
    if (cast(self)->held == nullptr) PyErr_SetString(PyExc_RuntimeError, "__init__() was not called");
    return cast(self)->held.get();
  }

  static PyObject* create(PyTypeObject* type, PyObject*, PyObject*) {
    PyObject* self = type->tp_alloc(type, 0);
    if (self != nullptr) new (&cast(self)->held) std::unique_ptr<Kind>();
    return self;
  }

  static PyObject* reference(PyObject* self, PyObject*) {
    Kind* held = of(self);
    return held != nullptr ? export_place(*cast(self)->state, *held, cast(self)->segment) : nullptr;
  }

  static PyObject* attach(PyObject* kind, PyObject* const* arguments, Py_ssize_t count) {
    auto* type = reinterpret_cast<PyTypeObject*>(kind);
    State* state = state_of_type(type);
    std::shared_ptr<SyncPool> pool;
    std::uint32_t index = 0;
    if (state == nullptr || !parse_place(*state, arguments, count, &pool, &index)) return nullptr;
    Ref self(create(type, nullptr, nullptr));
    if (!self) return nullptr;
    Fault fault;
    Status status = Kind::attach(std::move(pool), index, &cast(self.get())->held, &fault);
    if (status != Status::ok) return raise_in_sync(*state, status, fault);
    cast(self.get())->segment = Py_NewRef(arguments[0]);
    cast(self.get())->state = state;
    return self.release();
  }

  static void dealloc(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    if (cast(self)->weak_references != nullptr) PyObject_ClearWeakRefs(self);
    cast(self)->held.~unique_ptr();
    Py_CLEAR(cast(self)->segment);
    type->tp_free(self);
    Py_DECREF(type);
  }
};

}  // namespace interproc::binding
