#include <poll.h>

#include <new>

#include "arguments.hpp"
#include "errors.hpp"
#include "platform/platform.hpp"
#include "port.hpp"
#include "segment_object.hpp"
#include "statistics.hpp"

namespace interproc::binding {

namespace {

struct ConnectionObject {
  PyObject_HEAD
  ModuleState* state;
  Port sending;
  Port receiving;
  PyObject* segment;
  int read_fd;   // reading end of the peer's lifeline; -1: this end does not receive
  int write_fd;  // writing end of our lifeline; -1: this end does not send
  std::uint32_t side;
  bool opened;
  bool closed;
};

ConnectionObject* as_connection(PyObject* object) { return reinterpret_cast<ConnectionObject*>(object); }

bool check_open(PyObject* object) {
  ConnectionObject* self = as_connection(object);
  if (self->opened && !self->closed) return true;
  PyErr_SetString(PyExc_OSError, "handle is closed");
  return false;
}

bool check_readable(PyObject* object) {
  if (!check_open(object)) return false;
  if (as_connection(object)->read_fd >= 0) return true;
  PyErr_SetString(PyExc_OSError, "connection is write-only");
  return false;
}

bool check_writable(PyObject* object) {
  if (!check_open(object)) return false;
  if (as_connection(object)->write_fd >= 0) return true;
  PyErr_SetString(PyExc_OSError, "connection is read-only");
  return false;
}

// The kernel closes the peer's end of a lifeline with its last holder, however that ends.
bool peer_has_closed(int fd) {
  pollfd end{fd, 0, 0};
  return poll(&end, 1, 0) > 0 && (end.revents & (POLLHUP | POLLERR)) != 0;
}

bool nobody_will_send(ConnectionObject* self) {
  // The order matters: what was sent before the peer went is received first.
  return peer_has_closed(self->read_fd) && self->receiving.size() == 0;
}

class ReceiveWatcher final : public Watcher {
 public:
  explicit ReceiveWatcher(PyObject* object) : object_(object) {}
  bool go_on() override {
    if (!check_open(object_)) return false;
    if (!nobody_will_send(as_connection(object_))) return true;
    PyErr_SetNone(PyExc_EOFError);
    return false;
  }

 private:
  PyObject* object_;
};

class SendWatcher final : public Watcher {
 public:
  explicit SendWatcher(PyObject* object) : object_(object) {}
  bool go_on() override {
    if (!check_open(object_)) return false;
    if (!peer_has_closed(as_connection(object_)->write_fd)) return true;
    PyObject* arguments = Py_BuildValue("(is)", EPIPE, "Broken pipe: the other end is closed");
    if (arguments != nullptr) PyErr_SetObject(PyExc_BrokenPipeError, arguments);
    Py_XDECREF(arguments);
    return false;
  }

 private:
  PyObject* object_;
};

PyObject* raise_status(ConnectionObject* self, Status status) {
  if (status == Status::timed_out) {
    PyErr_SetString(self->state->timeout_error, "the timeout passed first");
  }
  if (status == Status::shut_down) PyErr_SetNone(PyExc_EOFError);
  return nullptr;
}

// --- sending ---------------------------------------------------------------------------------------------------------

PyObject* send_encoded(PyObject* object, const Encoded& encoded, std::uint64_t deadline_ns) {
  ConnectionObject* self = as_connection(object);
  SendWatcher watcher(object);
  if (!watcher.go_on()) return nullptr;
  Status status = self->sending.put(encoded.message(), deadline_ns, watcher);
  if (status == Status::ok) Py_RETURN_NONE;
  return raise_status(self, status);
}

PyObject* connection_send(PyObject* object, PyObject* const* args, Py_ssize_t arg_count, PyObject* keywords) {
  static const char* const names[] = {"obj", "timeout"};
  PyObject* values[2] = {};
  std::uint64_t deadline_ns = no_deadline;
  if (!parse("send", names, 1, args, arg_count, keywords, values)) return nullptr;
  if (!deadline_from(values[1], &deadline_ns) || !check_writable(object)) return nullptr;
  Encoded encoded;
  if (!encoded.encode(as_connection(object)->state, values[0]) || !check_writable(object)) return nullptr;
  return send_encoded(object, encoded, deadline_ns);
}

PyObject* connection_send_many(PyObject* object, PyObject* const* args, Py_ssize_t arg_count, PyObject* keywords) {
  static const char* const names[] = {"iterable", "timeout"};
  PyObject* values[2] = {};
  if (!parse("send_many", names, 1, args, arg_count, keywords, values)) return nullptr;
  std::uint64_t deadline_ns = no_deadline;
  if (!deadline_from(values[1], &deadline_ns) || !check_writable(object)) return nullptr;
  PyObject* iterator = PyObject_GetIter(values[0]);
  if (iterator == nullptr) return nullptr;
  PyObject* done = Py_NewRef(Py_None);
  while (done != nullptr) {
    PyObject* item = PyIter_Next(iterator);
    if (item == nullptr) break;
    Py_DECREF(done);
    Encoded encoded;
    bool ok = encoded.encode(as_connection(object)->state, item) && check_writable(object);
    done = ok ? send_encoded(object, encoded, deadline_ns) : nullptr;
    Py_DECREF(item);
  }
  Py_DECREF(iterator);
  if (done != nullptr && PyErr_Occurred()) Py_CLEAR(done);
  return done;
}

// The part of a buffer that send_bytes() is asked to send. False with the standard library's ValueError.
bool choose_range(Py_ssize_t length, PyObject* offset_object, PyObject* size_object, Py_ssize_t* offset,
                  Py_ssize_t* size) {
  const char* wrong = nullptr;
  *offset = offset_object == nullptr ? 0 : PyNumber_AsSsize_t(offset_object, PyExc_OverflowError);
  if (*offset == -1 && PyErr_Occurred()) return false;
  if (*offset < 0) wrong = "offset is negative";
  if (wrong == nullptr && length < *offset) wrong = "buffer length < offset";
  *size = length - *offset;
  if (wrong == nullptr && size_object != nullptr && size_object != Py_None) {
    *size = PyNumber_AsSsize_t(size_object, PyExc_OverflowError);
    if (*size == -1 && PyErr_Occurred()) return false;
    if (*size < 0) {
      wrong = "size is negative";
    } else if (*offset + *size > length) {
      wrong = "buffer length < offset + size";
    }
  }
  if (wrong != nullptr) PyErr_SetString(PyExc_ValueError, wrong);
  return wrong == nullptr;
}

PyObject* connection_send_bytes(PyObject* object, PyObject* const* args, Py_ssize_t arg_count, PyObject* keywords) {
  static const char* const names[] = {"buf", "offset", "size", "timeout"};
  PyObject* values[4] = {};
  if (!parse("send_bytes", names, 1, args, arg_count, keywords, values)) return nullptr;
  std::uint64_t deadline_ns = no_deadline;
  if (!deadline_from(values[3], &deadline_ns) || !check_writable(object)) return nullptr;
  Py_buffer view;
  if (PyObject_GetBuffer(values[0], &view, PyBUF_SIMPLE) < 0) return nullptr;
  Py_ssize_t offset = 0;
  Py_ssize_t size = 0;
  PyObject* result = nullptr;
  if (choose_range(view.len, values[1], values[2], &offset, &size)) {
    Encoded encoded;
    encoded.set_raw(static_cast<const char*>(view.buf) + offset, static_cast<std::size_t>(size));
    result = send_encoded(object, encoded, deadline_ns);
  }
  PyBuffer_Release(&view);
  return result;
}

// --- receiving -------------------------------------------------------------------------------------------------------

PyObject* receive(PyObject* object, Port::Decode decode_message, std::uint64_t deadline_ns) {
  ConnectionObject* self = as_connection(object);
  ReceiveWatcher watcher(object);
  PyObject* item = nullptr;
  Status status = Status::aborted;
  while (status == Status::aborted) status = self->receiving.take(&item, decode_message, deadline_ns, watcher);
  return status == Status::ok ? item : raise_status(self, status);
}

PyObject* connection_recv(PyObject* object, PyObject* const* args, Py_ssize_t arg_count, PyObject* keywords) {
  static const char* const names[] = {"timeout"};
  PyObject* values[1] = {};
  std::uint64_t deadline_ns = no_deadline;
  if (!parse("recv", names, 0, args, arg_count, keywords, values)) return nullptr;
  if (!deadline_from(values[0], &deadline_ns) || !check_readable(object)) return nullptr;
  return receive(object, decode, deadline_ns);
}

PyObject* connection_recv_many(PyObject* object, PyObject* const* args, Py_ssize_t arg_count, PyObject* keywords) {
  static const char* const names[] = {"max_items", "timeout"};
  PyObject* values[2] = {};
  std::uint64_t deadline_ns = no_deadline;
  if (!parse("recv_many", names, 1, args, arg_count, keywords, values)) return nullptr;
  if (!deadline_from(values[1], &deadline_ns) || !check_readable(object)) return nullptr;
  Py_ssize_t limit = PyNumber_AsSsize_t(values[0], PyExc_OverflowError);
  if (limit == -1 && PyErr_Occurred()) return nullptr;
  if (limit < 1) {
    PyErr_Format(PyExc_ValueError, "max_items must be at least 1, not %zd", limit);
    return nullptr;
  }
  PyObject* list = PyList_New(0);
  if (list == nullptr) return nullptr;
  ConnectionObject* self = as_connection(object);
  ReceiveWatcher watcher(object);
  Status status = self->receiving.take_many(list, static_cast<std::size_t>(limit), decode, deadline_ns, watcher);
  if (status == Status::ok && PyErr_Occurred() == nullptr) return list;
  if (!PyErr_Occurred()) raise_status(self, status);
  self->receiving.put_back(list);
  Py_DECREF(list);
  return nullptr;
}

PyObject* connection_recv_bytes(PyObject* object, PyObject* const* args, Py_ssize_t arg_count, PyObject* keywords) {
  static const char* const names[] = {"maxlength", "timeout"};
  PyObject* values[2] = {};
  std::uint64_t deadline_ns = no_deadline;
  if (!parse("recv_bytes", names, 0, args, arg_count, keywords, values)) return nullptr;
  if (!deadline_from(values[1], &deadline_ns) || !check_readable(object)) return nullptr;
  Py_ssize_t most = PY_SSIZE_T_MAX;
  if (values[0] != nullptr && values[0] != Py_None) {
    most = PyNumber_AsSsize_t(values[0], PyExc_OverflowError);
    if (most == -1 && PyErr_Occurred()) return nullptr;
    if (most < 0) {
      PyErr_SetString(PyExc_ValueError, "negative maxlength");
      return nullptr;
    }
  }
  PyObject* bytes = receive(object, decode_to_bytes, deadline_ns);
  if (bytes != nullptr && PyBytes_GET_SIZE(bytes) > most) {
    PyErr_Format(PyExc_OSError, "bad message length: %zd bytes came, maxlength is %zd", PyBytes_GET_SIZE(bytes), most);
    Py_CLEAR(bytes);
  }
  return bytes;
}

PyObject* connection_recv_bytes_into(PyObject* object, PyObject* const* args, Py_ssize_t arg_count,
                                     PyObject* keywords) {
  static const char* const names[] = {"buf", "offset", "timeout"};
  PyObject* values[3] = {};
  std::uint64_t deadline_ns = no_deadline;
  if (!parse("recv_bytes_into", names, 1, args, arg_count, keywords, values)) return nullptr;
  if (!deadline_from(values[2], &deadline_ns) || !check_readable(object)) return nullptr;
  Py_ssize_t offset = values[1] == nullptr ? 0 : PyNumber_AsSsize_t(values[1], PyExc_OverflowError);
  if (offset == -1 && PyErr_Occurred()) return nullptr;
  Py_buffer view;
  if (PyObject_GetBuffer(values[0], &view, PyBUF_WRITABLE) < 0) return nullptr;
  PyObject* result = nullptr;
  if (offset < 0) {
    PyErr_SetString(PyExc_ValueError, "negative offset");
  } else if (offset > view.len) {
    PyErr_SetString(PyExc_ValueError, "offset too large");
  } else if (PyObject* bytes = receive(object, decode_to_bytes, deadline_ns); bytes != nullptr) {
    Py_ssize_t size = PyBytes_GET_SIZE(bytes);
    if (size > view.len - offset) {
      PyErr_SetObject(as_connection(object)->state->buffer_too_short_error, bytes);
    } else {
      copy_large(static_cast<char*>(view.buf) + offset, PyBytes_AS_STRING(bytes), static_cast<std::size_t>(size));
      result = PyLong_FromSsize_t(size);
    }
    Py_DECREF(bytes);
  }
  PyBuffer_Release(&view);
  return result;
}

PyObject* connection_poll(PyObject* object, PyObject* const* args, Py_ssize_t arg_count, PyObject* keywords) {
  static const char* const names[] = {"timeout"};
  PyObject* values[1] = {};
  std::uint64_t deadline_ns = 0;
  if (!parse("poll", names, 0, args, arg_count, keywords, values)) return nullptr;
  if (values[0] != nullptr && !deadline_from(values[0], &deadline_ns)) return nullptr;
  if (!check_readable(object)) return nullptr;
  ConnectionObject* self = as_connection(object);
  if (self->receiving.size() > 0 || peer_has_closed(self->read_fd)) Py_RETURN_TRUE;
  if (deadline_ns == 0) Py_RETURN_FALSE;
  ReceiveWatcher watcher(object);
  Status status = self->receiving.await(deadline_ns, watcher);
  if (status == Status::timed_out) Py_RETURN_FALSE;
  if (status == Status::ok || status == Status::shut_down) Py_RETURN_TRUE;
  if (!PyErr_ExceptionMatches(PyExc_EOFError)) return nullptr;
  PyErr_Clear();  // recv() would not block: it raises that
  Py_RETURN_TRUE;
}

// --- the rest --------------------------------------------------------------------------------------------------------

PyObject* connection_fileno(PyObject* object, PyObject*) {
  if (!check_open(object)) return nullptr;
  ConnectionObject* self = as_connection(object);
  if (self->read_fd < 0) return PyLong_FromLong(self->write_fd);
  Fault fault;
  Status status = self->receiving.channel().arm_lifeline(&fault);
  if (status != Status::ok) return raise_fault(self->state, status, fault);
  return PyLong_FromLong(self->read_fd);
}

void close_lifelines(ConnectionObject* self) {
  if (self->read_fd >= 0) platform::close_descriptor(self->read_fd);
  if (self->write_fd >= 0) platform::close_descriptor(self->write_fd);
  self->read_fd = self->write_fd = -1;
}

PyObject* connection_close(PyObject* object, PyObject*) {
  ConnectionObject* self = as_connection(object);
  if (!self->opened || self->closed) Py_RETURN_NONE;
  self->closed = true;
  const bool busy = self->sending.is_busy() || self->receiving.is_busy();
  // A thread inside may still use the descriptors; they go with the object then.
  if (!busy) close_lifelines(self);
  for (Port* port : {&self->sending, &self->receiving}) {
    if (!port->is_open()) continue;
    port->channel().wake_all();  // the peer looks at its lifeline
    port->close();
  }
  Py_CLEAR(self->segment);
  Py_RETURN_NONE;
}

PyObject* connection_statistics(PyObject* object, PyObject*) {
  if (!check_open(object)) return nullptr;
  ConnectionObject* self = as_connection(object);
  PyObject* result = PyDict_New();
  const struct {
    const char* name;
    Port* port;
    bool exists;
  } directions[] = {{"sending", &self->sending, self->write_fd >= 0}, {"receiving", &self->receiving, self->read_fd >= 0}};
  for (const auto& direction : directions) {
    if (!direction.exists || result == nullptr) continue;
    PyObject* counters = statistics_of(*direction.port);
    if (counters == nullptr || PyDict_SetItemString(result, direction.name, counters) < 0) Py_CLEAR(result);
    Py_XDECREF(counters);
  }
  return result;
}

PyObject* connection_get_closed(PyObject* object, void*) {
  ConnectionObject* self = as_connection(object);
  return PyBool_FromLong(!self->opened || self->closed);
}

PyObject* connection_get_readable(PyObject* object, void*) {
  return PyBool_FromLong(as_connection(object)->read_fd >= 0);
}

PyObject* connection_get_writable(PyObject* object, void*) {
  return PyBool_FromLong(as_connection(object)->write_fd >= 0);
}

PyObject* connection_get_segment(PyObject* object, void*) {
  return check_open(object) ? Py_NewRef(as_connection(object)->segment) : nullptr;
}

PyObject* connection_get_side(PyObject* object, void*) { return PyLong_FromUnsignedLong(as_connection(object)->side); }

PyObject* connection_get_read_fd(PyObject* object, void*) { return PyLong_FromLong(as_connection(object)->read_fd); }

PyObject* connection_get_write_fd(PyObject* object, void*) { return PyLong_FromLong(as_connection(object)->write_fd); }

// --- life ------------------------------------------------------------------------------------------------------------

PyObject* connection_new(PyTypeObject* type, PyObject*, PyObject*) {
  PyObject* object = type->tp_alloc(type, 0);
  if (object == nullptr) return nullptr;
  ConnectionObject* self = as_connection(object);
  new (&self->sending) Port();
  new (&self->receiving) Port();
  self->read_fd = self->write_fd = -1;
  return object;
}

int connection_init(PyObject* object, PyObject* args, PyObject* kwargs) {
  static const char* keywords[] = {"segment", "side", "read_fd", "write_fd", nullptr};
  PyObject* segment_object = nullptr;
  unsigned int side = 0;
  int read_fd = -1;
  int write_fd = -1;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OI|ii", const_cast<char**>(keywords), &segment_object, &side, &read_fd,
                                   &write_fd)) {
    return -1;
  }
  ConnectionObject* self = as_connection(object);
  if (self->opened || side > 1 || (read_fd < 0 && write_fd < 0)) {
    PyErr_Format(PyExc_ValueError, "a connection is made once, with side 0 or 1 (not %u) and a descriptor at least", side);
    return -1;
  }
  ModuleState* state = state_of_type(Py_TYPE(object));
  if (state == nullptr) return -1;
  std::shared_ptr<Segment> segment = segment_of(state, segment_object);
  if (!segment) return -1;
  const bool duplex = segment->header().channel_count == 2;
  const std::uint32_t send_channel = duplex ? side : 0;
  const std::uint32_t receive_channel = duplex ? 1 - side : 0;
  if (write_fd >= 0 && !self->sending.open(state, segment, send_channel)) return -1;
  if (read_fd >= 0 && !self->receiving.open(state, segment, receive_channel)) return -1;
  if (write_fd >= 0) self->sending.channel().use_lifeline(write_fd, -1);
  if (read_fd >= 0) self->receiving.channel().use_lifeline(-1, read_fd);
  self->state = state;
  self->segment = Py_NewRef(segment_object);
  self->read_fd = read_fd;
  self->write_fd = write_fd;
  self->side = side;
  self->opened = true;
  return 0;
}

int connection_traverse(PyObject* object, visitproc visit, void* arg) {
  ConnectionObject* self = as_connection(object);
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(self->segment);
  return self->receiving.traverse(visit, arg);
}

int connection_clear(PyObject* object) {
  as_connection(object)->receiving.clear_pending();
  return 0;
}

void connection_dealloc(PyObject* object) {
  ConnectionObject* self = as_connection(object);
  PyTypeObject* type = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  Py_XDECREF(connection_close(object, nullptr));
  close_lifelines(self);
  self->sending.~Port();
  self->receiving.~Port();
  Py_CLEAR(self->segment);
  type->tp_free(object);
  Py_DECREF(type);
}

template <typename Function>
PyCFunction as_method(Function function) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(function));
}

constexpr int with_keywords = METH_FASTCALL | METH_KEYWORDS;

PyMethodDef connection_methods[] = {
    {"send", as_method(connection_send), with_keywords,
     PyDoc_STR("send($self, obj, timeout=None)\n--\n\n"
               "Sends an object to the other end.\n\n"
               "Pickled before the call returns. Blocks while 8192 messages or 16 MiB are unread, until room or the\n"
               "timeout (seconds, for the whole call).\n\n"
               "Raises:\n"
               "    BrokenPipeError: The other end is closed, or its last holder ended.\n"
               "    TimeoutError: The timeout passed first; nothing was sent.\n"
               "    OSError: This end is closed or read-only.\n"
               "    UnsendableError: The object cannot be pickled.")},
    {"recv", as_method(connection_recv), with_keywords,
     PyDoc_STR("recv($self, timeout=None)\n--\n\n"
               "Returns the next object from the other end.\n\n"
               "Blocks until one comes or the timeout (seconds, for the whole call).\n\n"
               "Raises:\n"
               "    EOFError: Nothing is left and the other end is closed, or its last holder ended.\n"
               "    TimeoutError: The timeout passed first.\n"
               "    OSError: This end is closed or write-only.")},
    {"send_bytes", as_method(connection_send_bytes), with_keywords,
     PyDoc_STR("send_bytes($self, buf, offset=0, size=None, timeout=None)\n--\n\n"
               "Sends the bytes of a C-contiguous buffer as one message; otherwise like send().")},
    {"recv_bytes", as_method(connection_recv_bytes), with_keywords,
     PyDoc_STR("recv_bytes($self, maxlength=None, timeout=None)\n--\n\n"
               "Returns the next message as bytes; otherwise like recv().\n\n"
               "Raises:\n    OSError: The message is longer than maxlength; it is dropped.\n\n"
               "Differs: the connection stays usable after that.")},
    {"recv_bytes_into", as_method(connection_recv_bytes_into), with_keywords,
     PyDoc_STR("recv_bytes_into($self, buf, offset=0, timeout=None)\n--\n\n"
               "Copies the next message into a writable buffer and returns its length in bytes.\n\n"
               "Raises:\n    BufferTooShort: The message is longer; it is the exception's argument.")},
    {"poll", as_method(connection_poll), with_keywords,
     PyDoc_STR("poll($self, timeout=0.0)\n--\n\n"
               "Returns whether recv() would not block, waiting up to timeout seconds for that; None waits for ever.")},
    {"send_many", as_method(connection_send_many), with_keywords,
     PyDoc_STR("send_many($self, iterable, timeout=None)\n--\n\nSends the objects of an iterable in order.")},
    {"recv_many", as_method(connection_recv_many), with_keywords,
     PyDoc_STR("recv_many($self, max_items, timeout=None)\n--\n\n"
               "Returns between 1 and max_items objects: waits as recv() for the first, then takes what is there.")},
    {"close", connection_close, METH_NOARGS,
     PyDoc_STR("close($self, /)\n--\n\nCloses this end in this process. The other end sees it once no process has it.")},
    {"fileno", connection_fileno, METH_NOARGS,
     PyDoc_STR("fileno($self, /)\n--\n\n"
               "Returns a descriptor that is readable while there is something to receive or the other end is closed.\n\n"
               "For select, asyncio and GUI loops. Never read from it or close it.")},
    {"statistics", connection_statistics, METH_NOARGS,
     PyDoc_STR("statistics($self, /)\n--\n\nReturns counters of both directions, of all processes together.")},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef connection_properties[] = {
    {"closed", connection_get_closed, nullptr, "True once this end is closed in this object.", nullptr},
    {"readable", connection_get_readable, nullptr, "Whether this end receives.", nullptr},
    {"writable", connection_get_writable, nullptr, "Whether this end sends.", nullptr},
    {"segment", connection_get_segment, nullptr, "The shared memory that the pipe lies in.", nullptr},
    {"side", connection_get_side, nullptr, "Which end this is: 0 or 1.", nullptr},
    {"read_fd", connection_get_read_fd, nullptr, "Reading end of the peer's lifeline, or -1.", nullptr},
    {"write_fd", connection_get_write_fd, nullptr, "Writing end of this end's lifeline, or -1.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot connection_slots[] = {
    {Py_tp_doc, const_cast<char*>("One end of a pipe in shared memory.")},
    {Py_tp_new, reinterpret_cast<void*>(connection_new)},
    {Py_tp_init, reinterpret_cast<void*>(connection_init)},
    {Py_tp_dealloc, reinterpret_cast<void*>(connection_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(connection_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(connection_clear)},
    {Py_tp_methods, connection_methods},
    {Py_tp_getset, connection_properties},
    {0, nullptr},
};

}  // namespace

PyType_Spec connection_spec = {
    "interproc._core.ConnectionBase",
    sizeof(ConnectionObject),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    connection_slots,
};

}  // namespace interproc::binding
