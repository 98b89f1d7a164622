// ConnectionBase: one end of a pipe; a line for each direction, and lifelines that tell when the other end is gone.
#include <errno.h>
#include <poll.h>
#include <string.h>

#include <new>

#include "arguments.hpp"
#include "connection_docs.hpp"
#include "connection_object.hpp"
#include "errors.hpp"
#include "lent_buffer.hpp"
#include "platform/platform.hpp"
#include "segment_object.hpp"
#include "statistics.hpp"

namespace interproc::binding {

ConnectionObject* as_connection(PyObject* self) { return reinterpret_cast<ConnectionObject*>(self); }

// --- lifelines -------------------------------------------------------------------------------------------------------

namespace {

// The kernel closes an end with its last holder, however that comes to its end.
bool has_lost_its_peer(int fd) {
  pollfd look{fd, 0, 0};
  return ::poll(&look, 1, 0) > 0 && (look.revents & (POLLHUP | POLLERR)) != 0;
}

bool raise_os_error(const char* text) {
  PyErr_SetString(PyExc_OSError, text);
  return false;
}

bool look_for_receiver(PyObject* self, bool*) {
  if (as_connection(self)->uses.is_closed()) return raise_os_error("handle is closed");
  if (!has_lost_its_peer(as_connection(self)->write_fd)) return true;
  errno = EPIPE;
  PyErr_SetFromErrno(PyExc_OSError);
  return false;
}

bool look_for_sender(PyObject* self, bool* ended) {
  if (as_connection(self)->uses.is_closed()) return raise_os_error("handle is closed");
  *ended = has_lost_its_peer(as_connection(self)->read_fd);
  return true;
}

}  // namespace

Line* line_to_send(PyObject* self, const ConnectionStay& stay) {
  if (stay && as_connection(self)->writable) return &as_connection(self)->sending;
  raise_os_error(stay ? "connection is read-only" : "handle is closed");
  return nullptr;
}

Line* line_to_receive(PyObject* self, const ConnectionStay& stay) {
  if (stay && as_connection(self)->readable) return &as_connection(self)->receiving;
  raise_os_error(stay ? "connection is write-only" : "handle is closed");
  return nullptr;
}

bool ConnectionObject::send(const Message& message, std::uint64_t deadline_ns) {
  bool ended = false;
  return look_for_receiver(reinterpret_cast<PyObject*>(this), &ended) && sending.put(message, deadline_ns);
}

// First the lifelines, then the wake: who wakes up sees that this end is gone.
void ConnectionObject::tear_down() {
  for (Line* line : {&sending, &receiving}) {
    if (line->channel() != nullptr) line->channel()->use_lifeline(-1, -1);
  }
  if (read_fd >= 0) platform::close_descriptor(std::exchange(read_fd, -1));
  if (write_fd >= 0) platform::close_descriptor(std::exchange(write_fd, -1));
  for (Line* line : {&sending, &receiving}) {
    if (line->channel() != nullptr) line->wake_all();
    line->leave();
  }
}

// --- state -----------------------------------------------------------------------------------------------------------

namespace {

PyObject* poll(PyObject* self, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords) {
  static constexpr Signature signature{"poll", 0, 1, {"timeout"}};
  PyObject* values[1] = {};
  std::uint64_t deadline_ns = 0;
  if (!parse(signature, arguments, positional, keywords, values)) return nullptr;
  if (values[0] != nullptr && !deadline_after(values[0], &deadline_ns)) return nullptr;
  ConnectionStay stay(as_connection(self));
  Line* line = line_to_receive(self, stay);
  return line != nullptr ? line->poll(deadline_ns) : nullptr;
}

PyObject* fileno(PyObject* self, PyObject*) {
  ConnectionStay stay(as_connection(self));
  if (!stay) {
    raise_os_error("handle is closed");
    return nullptr;
  }
  if (!as_connection(self)->readable) return PyLong_FromLong(as_connection(self)->write_fd);
  Fault fault;
  Status status = as_connection(self)->receiving.channel()->arm_lifeline(&fault);
  if (status != Status::ok) return raise(*as_connection(self)->state, status, fault);
  as_connection(self)->receiving.keep_readable();
  return PyLong_FromLong(as_connection(self)->read_fd);
}

PyObject* empty_buffer(PyObject* self, PyObject* size_bytes) {
  ConnectionStay stay(as_connection(self));
  Line* line = line_to_send(self, stay);
  return line != nullptr ? lend_buffer(*as_connection(self)->state, line->channel(), size_bytes) : nullptr;
}

PyObject* statistics(PyObject* self, PyObject*) {
  ConnectionStay stay(as_connection(self));
  if (!stay) {
    raise_os_error("handle is closed");
    return nullptr;
  }
  ConnectionObject* connection = as_connection(self);
  Ref result(PyDict_New());
  if (!result) return nullptr;
  const std::pair<const char*, Line*> directions[] = {{"sending", &connection->sending},
                                                      {"receiving", &connection->receiving}};
  for (auto [name, line] : directions) {
    if (line->channel() == nullptr) continue;
    Ref counted(statistics_of(*connection->state, line->channel()));
    if (!counted || PyDict_SetItemString(result.get(), name, counted.get()) != 0) return nullptr;
  }
  return result.release();
}

PyObject* get_closed(PyObject* self, void*) { return PyBool_FromLong(as_connection(self)->uses.is_closed()); }
PyObject* get_readable(PyObject* self, void*) { return PyBool_FromLong(as_connection(self)->readable); }
PyObject* get_writable(PyObject* self, void*) { return PyBool_FromLong(as_connection(self)->writable); }
PyObject* get_side(PyObject* self, void*) { return PyLong_FromUnsignedLong(as_connection(self)->side); }
PyObject* get_read_fd(PyObject* self, void*) { return PyLong_FromLong(as_connection(self)->read_fd); }
PyObject* get_write_fd(PyObject* self, void*) { return PyLong_FromLong(as_connection(self)->write_fd); }
PyObject* get_segment(PyObject* self, void*) {
  PyObject* segment = as_connection(self)->segment;
  return Py_NewRef(segment != nullptr ? segment : Py_None);
}

// --- life ------------------------------------------------------------------------------------------------------------

PyObject* create(PyTypeObject* type, PyObject*, PyObject*) {
  PyObject* self = type->tp_alloc(type, 0);
  if (self == nullptr) return nullptr;
  ConnectionObject* connection = as_connection(self);
  connection->read_fd = connection->write_fd = -1;
  new (&connection->uses) Uses();
  new (&connection->sending) Line();
  new (&connection->receiving) Line();
  return self;
}

int initialise(PyObject* self, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"segment", "side", "read_fd", "write_fd", nullptr};
  PyObject* segment_object = nullptr;
  int side = 0;
  int read_fd = -1;
  int write_fd = -1;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "Oi|ii:ConnectionBase", const_cast<char**>(names),
                                   &segment_object, &side, &read_fd, &write_fd)) {
    return -1;
  }
  ConnectionObject* connection = as_connection(self);
  State* state = state_with_codec(self, connection->segment);
  if (state == nullptr) return -1;
  std::shared_ptr<Segment> segment = segment_of(*state, segment_object);
  if (segment == nullptr) return -1;
  // Side 0 sends on channel 0 and receives on channel 1, side 1 the other way round; a simplex pipe has channel 0 only.
  bool is_duplex = segment->header().channel_count == 2;
  int simplex_fd = side == 0 ? read_fd : write_fd;
  if ((side != 0 && side != 1) || (!is_duplex && simplex_fd >= 0) || (read_fd < 0 && write_fd < 0)) {
    PyErr_Format(PyExc_ValueError, "no end of this pipe has side %d, read_fd %d and write_fd %d", side, read_fd,
                 write_fd);
    return -1;
  }
  auto sends_on = static_cast<std::uint64_t>(side);
  connection->sending.open(state, self, look_for_receiver, Hook::TimeoutError, Hook::TimeoutError);
  connection->receiving.open(state, self, look_for_sender, Hook::TimeoutError, Hook::TimeoutError);
  bool joined = (write_fd < 0 || connection->sending.join(segment, sends_on)) &&
                (read_fd < 0 || connection->receiving.join(segment, is_duplex ? 1 - sends_on : 0));
  if (!joined) {
    connection->sending.leave();
    return -1;
  }
  if (write_fd >= 0) connection->sending.channel()->use_lifeline(write_fd, -1);
  if (read_fd >= 0) connection->receiving.channel()->use_lifeline(-1, read_fd);
  connection->state = state;
  connection->segment = Py_NewRef(segment_object);
  connection->side = static_cast<std::uint32_t>(side);
  connection->readable = read_fd >= 0;
  connection->writable = write_fd >= 0;
  connection->read_fd = read_fd;
  connection->write_fd = write_fd;
  connection->uses.open();
  return 0;
}

PyObject* close(PyObject* self, PyObject*) {
  ConnectionObject* connection = as_connection(self);
  ConnectionStay stay(connection);
  if (!stay) Py_RETURN_NONE;
  connection->uses.close();
  if (!connection->uses.is_shared()) Py_RETURN_NONE;
  for (Line* line : {&connection->sending, &connection->receiving}) {  // who sleeps in it must notice
    if (line->channel() != nullptr) line->wake_all();
  }
  Py_RETURN_NONE;
}

int traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(as_connection(self)->segment);
  return as_connection(self)->receiving.traverse(visit, arg);
}

int clear(PyObject* self) {
  as_connection(self)->receiving.drop_leftover();
  return 0;
}

void dealloc(PyObject* self) {
  ConnectionObject* connection = as_connection(self);
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  if (connection->weak_references != nullptr) PyObject_ClearWeakRefs(self);
  connection->tear_down();
  connection->sending.~Line();
  connection->receiving.~Line();
  connection->uses.~Uses();
  Py_CLEAR(connection->segment);
  type->tp_free(self);
  Py_DECREF(type);
}

PyMethodDef methods[] = {
    {"send", as_method(send), fastcall, docs::send},
    {"recv", as_method(recv), fastcall, docs::recv},
    {"send_bytes", as_method(send_bytes), fastcall, docs::send_bytes},
    {"recv_bytes", as_method(recv_bytes), fastcall, docs::recv_bytes},
    {"recv_view", as_method(recv_view), fastcall, docs::recv_view},
    {"recv_bytes_into", as_method(recv_bytes_into), fastcall, docs::recv_bytes_into},
    {"send_many", as_method(send_many), fastcall, docs::send_many},
    {"recv_many", as_method(recv_many), fastcall, docs::recv_many},
    {"empty_buffer", empty_buffer, METH_O, docs::connection_empty_buffer},
    {"poll", as_method(poll), fastcall, docs::poll},
    {"close", close, METH_NOARGS, docs::close_connection},
    {"fileno", fileno, METH_NOARGS, docs::connection_fileno},
    {"statistics", statistics, METH_NOARGS, docs::connection_statistics},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef properties[] = {
    {"closed", get_closed, nullptr, "True once this end is closed in this process.", nullptr},
    {"readable", get_readable, nullptr, "Whether this end receives.", nullptr},
    {"writable", get_writable, nullptr, "Whether this end sends.", nullptr},
    {"segment", get_segment, nullptr, "The shared memory it lies in.", nullptr},
    {"side", get_side, nullptr, "Which end it is: 0 or 1.", nullptr},
    {"read_fd", get_read_fd, nullptr, "The reading end of the peer's lifeline; -1 for none.", nullptr},
    {"write_fd", get_write_fd, nullptr, "The writing end of this end's lifeline; -1 for none.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(ConnectionObject, weak_references), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>(docs::connection)},
    {Py_tp_new, as_slot(create)},
    {Py_tp_init, as_slot(initialise)},
    {Py_tp_dealloc, as_slot(dealloc)},
    {Py_tp_traverse, as_slot(traverse)},
    {Py_tp_clear, as_slot(clear)},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {Py_tp_members, members},
    {0, nullptr},
};

PyType_Spec spec = {
    "interproc._core.ConnectionBase",
    sizeof(ConnectionObject),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    slots,
};

}  // namespace

PyTypeObject* make_connection_type(PyObject* module) {
  return reinterpret_cast<PyTypeObject*>(PyType_FromModuleAndSpec(module, &spec, nullptr));
}

}  // namespace interproc::binding
