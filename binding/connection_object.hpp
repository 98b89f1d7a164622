// ConnectionObject: what connection.cpp (lifelines, life) and connection_messages.cpp (sending, receiving) share.
#pragma once

#include "line.hpp"
#include "uses.hpp"

namespace interproc::binding {

struct ConnectionObject {
  PyObject ob_base;
  State* state;
  PyObject* segment;
  PyObject* weak_references;
  int read_fd;   // reading end of the peer's lifeline, which is this end's doorbell too; -1 for none
  int write_fd;  // writing end of this end's lifeline; -1 for none
  std::uint32_t side;
  bool readable;
  bool writable;
  Uses uses;
  Line sending;
  Line receiving;

  // False with an exception raised.
  bool send(const Message& message, std::uint64_t deadline_ns);
  void tear_down();
};

ConnectionObject* as_connection(PyObject* self);

using ConnectionStay = Stay<ConnectionObject>;

// The line of a direction for a method that stays inside; nullptr with OSError raised: closed, or no such direction.
Line* line_to_send(PyObject* self, const ConnectionStay& stay);
Line* line_to_receive(PyObject* self, const ConnectionStay& stay);

PyObject* send(PyObject* self, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords);
PyObject* recv(PyObject* self, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords);
PyObject* send_bytes(PyObject* self, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords);
PyObject* recv_bytes(PyObject* self, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords);
PyObject* recv_view(PyObject* self, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords);
PyObject* recv_bytes_into(PyObject* self, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords);
PyObject* send_many(PyObject* self, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords);
PyObject* recv_many(PyObject* self, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords);

}  // namespace interproc::binding
