// QueueObject: what queue.cpp (state, life) and queue_messages.cpp (putting, taking) share.
#pragma once

#include "line.hpp"
#include "uses.hpp"

namespace interproc::binding {

struct QueueObject {
  PyObject ob_base;
  State* state;
  PyObject* segment;
  PyObject* weak_references;
  std::uint32_t index;
  Uses uses;
  Line line;

  void tear_down() { line.leave(); }
};

using QueueStay = Stay<QueueObject>;

inline QueueObject* as_queue(PyObject* self) { return reinterpret_cast<QueueObject*>(self); }

// Raises what the class says in `_closed_error`. Always returns nullptr.
PyObject* raise_closed(PyObject* self);

PyObject* put(PyObject* self, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords);
PyObject* get(PyObject* self, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords);
PyObject* put_nowait(PyObject* self, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords);
PyObject* get_nowait(PyObject* self, PyObject*);
PyObject* put_many(PyObject* self, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords);
PyObject* get_many(PyObject* self, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords);

}  // namespace interproc::binding
