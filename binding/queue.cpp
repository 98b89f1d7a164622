#include <new>

#include "arguments.hpp"
#include "errors.hpp"
#include "port.hpp"
#include "segment_object.hpp"
#include "statistics.hpp"

namespace interproc::binding {

namespace {

struct QueueObject {
  PyObject_HEAD
  Port port;
  PyObject* segment;
  std::uint32_t channel;
  bool opened;
  bool closed;
};

QueueObject* as_queue(PyObject* object) { return reinterpret_cast<QueueObject*>(object); }

// The subclass says how a closed queue of its kind complains: `_closed_error = (type, text)`.
void raise_closed(PyObject* object) {
  QueueObject* self = as_queue(object);
  if (!self->opened) {
    PyErr_SetString(PyExc_ValueError, "the queue was never initialised: call super().__init__()");
    return;
  }
  PyObject* error = PyObject_GetAttr(object, self->port.state()->name_closed_error);
  PyObject* type = nullptr;
  PyObject* text = nullptr;
  if (error != nullptr && PyArg_ParseTuple(error, "OO", &type, &text)) PyErr_SetObject(type, text);
  Py_XDECREF(error);
}

bool check_open(PyObject* object) {
  QueueObject* self = as_queue(object);
  if (self->opened && !self->closed) return true;
  raise_closed(object);
  return false;
}

class QueueWatcher final : public Watcher {
 public:
  explicit QueueWatcher(PyObject* object) : object_(object) {}
  bool go_on() override { return check_open(object_); }

 private:
  PyObject* object_;
};

// What a call with `block` and `timeout` may wait until. False with an exception set.
bool deadline_of(PyObject* block, PyObject* timeout, std::uint64_t* deadline_ns) {
  *deadline_ns = no_deadline;
  if (timeout != nullptr && timeout != Py_None && !deadline_from(timeout, deadline_ns)) return false;
  if (block == nullptr || block == Py_True) return true;
  int blocks = PyObject_IsTrue(block);
  if (blocks == 0) *deadline_ns = 0;
  return blocks >= 0;
}

PyObject* raise_status(QueueObject* self, Status status, bool putting) {
  ModuleState* state = self->port.state();
  if (status == Status::timed_out) PyErr_SetNone(putting ? state->full_error : state->empty_error);
  if (status == Status::shut_down) PyErr_SetNone(state->shut_down_error);
  return nullptr;
}

// --- put -------------------------------------------------------------------------------------------------------------

PyObject* put_object(PyObject* object, PyObject* item, std::uint64_t deadline_ns) {
  QueueObject* self = as_queue(object);
  if (!check_open(object)) return nullptr;
  Encoded encoded;
  if (!encoded.encode(self->port.state(), item)) return nullptr;
  if (!check_open(object)) return nullptr;  // user code ran
  QueueWatcher watcher(object);
  Status status = self->port.put(encoded.message(), deadline_ns, watcher);
  if (status == Status::ok) Py_RETURN_NONE;
  return raise_status(self, status, true);
}

PyObject* queue_put(PyObject* object, PyObject* const* args, Py_ssize_t arg_count, PyObject* keywords) {
  static const char* const names[] = {"obj", "block", "timeout"};
  PyObject* values[3] = {};
  std::uint64_t deadline_ns = no_deadline;
  if (!parse("put", names, 1, args, arg_count, keywords, values)) return nullptr;
  if (!deadline_of(values[1], values[2], &deadline_ns)) return nullptr;
  return put_object(object, values[0], deadline_ns);
}

PyObject* queue_put_nowait(PyObject* object, PyObject* item) { return put_object(object, item, 0); }

constexpr Py_ssize_t put_batch = 64;

// Adds `count`, how many went in, to the exception that is set.
void note_count(const ModuleState* state, std::size_t count) {
  PyObject *type, *value, *traceback;
  PyErr_Fetch(&type, &value, &traceback);
  PyErr_NormalizeException(&type, &value, &traceback);
  PyObject* number = PyLong_FromSize_t(count);
  if (number == nullptr || PyObject_SetAttr(value, state->name_count, number) < 0) PyErr_Clear();  // has no room for it
  Py_XDECREF(number);
  PyErr_Restore(type, value, traceback);
}

// Encodes up to a batch from the iterator and puts it. False with an exception set; `*ended` once the iterator is through.
bool put_batch_from(PyObject* object, PyObject* iterator, std::uint64_t deadline_ns, std::size_t* count, bool* ended) {
  QueueObject* self = as_queue(object);
  Encoded encoded[put_batch];
  Message messages[put_batch];
  std::size_t ready = 0;
  bool ok = true;
  while (ready < put_batch && !*ended) {
    PyObject* item = PyIter_Next(iterator);
    if (item == nullptr) {
      *ended = true;
      ok = PyErr_Occurred() == nullptr;
      break;
    }
    ok = encoded[ready].encode(self->port.state(), item);
    Py_DECREF(item);
    if (!ok) {
      *ended = true;
      break;
    }
    messages[ready] = encoded[ready].message();
    ready++;
  }
  PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);  // what came before the culprit still goes in
  std::size_t placed = 0;
  Status status = Status::ok;
  if (ready > 0) {
    QueueWatcher watcher(object);
    status = check_open(object) ? self->port.put_many(messages, ready, deadline_ns, watcher, &placed)
                                : Status::system_error;
  }
  *count += placed;
  if (status != Status::ok) {
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
    raise_status(self, status, true);
    return false;
  }
  PyErr_Restore(type, value, traceback);
  return ok;
}

PyObject* queue_put_many(PyObject* object, PyObject* const* args, Py_ssize_t arg_count, PyObject* keywords) {
  static const char* const names[] = {"iterable", "block", "timeout"};
  PyObject* values[3] = {};
  std::uint64_t deadline_ns = no_deadline;
  if (!parse("put_many", names, 1, args, arg_count, keywords, values)) return nullptr;
  if (!deadline_of(values[1], values[2], &deadline_ns) || !check_open(object)) return nullptr;
  PyObject* iterator = PyObject_GetIter(values[0]);
  if (iterator == nullptr) return nullptr;
  std::size_t count = 0;
  bool ended = false;
  bool ok = true;
  while (ok && !ended) ok = put_batch_from(object, iterator, deadline_ns, &count, &ended);
  Py_DECREF(iterator);
  if (ok) Py_RETURN_NONE;
  note_count(as_queue(object)->port.state(), count);
  return nullptr;
}

// --- get -------------------------------------------------------------------------------------------------------------

PyObject* get_object(PyObject* object, std::uint64_t deadline_ns) {
  QueueObject* self = as_queue(object);
  if (!check_open(object)) return nullptr;
  QueueWatcher watcher(object);
  PyObject* item = nullptr;
  Status status = Status::aborted;
  // An aborted message is one whose producer died half through: the next one, then.
  while (status == Status::aborted) status = self->port.take(&item, decode, deadline_ns, watcher);
  return status == Status::ok ? item : raise_status(self, status, false);
}

PyObject* queue_get(PyObject* object, PyObject* const* args, Py_ssize_t arg_count, PyObject* keywords) {
  static const char* const names[] = {"block", "timeout"};
  PyObject* values[2] = {};
  std::uint64_t deadline_ns = no_deadline;
  if (!parse("get", names, 0, args, arg_count, keywords, values)) return nullptr;
  if (!deadline_of(values[0], values[1], &deadline_ns)) return nullptr;
  return get_object(object, deadline_ns);
}

PyObject* queue_get_nowait(PyObject* object, PyObject*) { return get_object(object, 0); }

PyObject* queue_get_many(PyObject* object, PyObject* const* args, Py_ssize_t arg_count, PyObject* keywords) {
  static const char* const names[] = {"max_items", "block", "timeout"};
  PyObject* values[3] = {};
  std::uint64_t deadline_ns = no_deadline;
  if (!parse("get_many", names, 1, args, arg_count, keywords, values)) return nullptr;
  if (!deadline_of(values[1], values[2], &deadline_ns) || !check_open(object)) return nullptr;
  Py_ssize_t limit = PyNumber_AsSsize_t(values[0], PyExc_OverflowError);
  if (limit == -1 && PyErr_Occurred()) return nullptr;
  if (limit < 1) {
    PyErr_Format(PyExc_ValueError, "max_items must be at least 1, not %zd", limit);
    return nullptr;
  }
  PyObject* list = PyList_New(0);
  if (list == nullptr) return nullptr;
  QueueWatcher watcher(object);
  QueueObject* self = as_queue(object);
  Status status = self->port.take_many(list, static_cast<std::size_t>(limit), decode, deadline_ns, watcher);
  if (status == Status::ok && PyErr_Occurred() == nullptr) return list;
  // What was decoded before the error goes back to the front of the line.
  if (!PyErr_Occurred()) raise_status(self, status, false);
  self->port.put_back(list);
  Py_DECREF(list);
  return nullptr;
}

// --- the rest --------------------------------------------------------------------------------------------------------

PyObject* queue_qsize(PyObject* object, PyObject*) {
  return check_open(object) ? PyLong_FromUnsignedLongLong(as_queue(object)->port.size()) : nullptr;
}

PyObject* queue_empty(PyObject* object, PyObject*) {
  return check_open(object) ? PyBool_FromLong(as_queue(object)->port.size() == 0) : nullptr;
}

PyObject* queue_full(PyObject* object, PyObject*) {
  return check_open(object) ? PyBool_FromLong(as_queue(object)->port.channel().is_full()) : nullptr;
}

PyObject* queue_task_done(PyObject* object, PyObject*) {
  if (!check_open(object)) return nullptr;
  Port& port = as_queue(object)->port;
  Fault fault;
  Status status = port.channel().task_done(&fault);
  if (status != Status::ok) return raise_fault(port.state(), status, fault);
  Py_RETURN_NONE;
}

PyObject* queue_join(PyObject* object, PyObject* const* args, Py_ssize_t arg_count, PyObject* keywords) {
  static const char* const names[] = {"timeout"};
  PyObject* values[1] = {};
  std::uint64_t deadline_ns = no_deadline;
  if (!parse("join", names, 0, args, arg_count, keywords, values)) return nullptr;
  if (!deadline_from(values[0], &deadline_ns) || !check_open(object)) return nullptr;
  QueueWatcher watcher(object);
  Status status = as_queue(object)->port.join(deadline_ns, watcher);
  if (status == Status::ok) Py_RETURN_TRUE;
  if (status == Status::timed_out) Py_RETURN_FALSE;
  return nullptr;
}

PyObject* queue_shutdown(PyObject* object, PyObject* const* args, Py_ssize_t arg_count, PyObject* keywords) {
  static const char* const names[] = {"immediate"};
  PyObject* values[1] = {};
  if (!parse("shutdown", names, 0, args, arg_count, keywords, values) || !check_open(object)) return nullptr;
  int immediate = values[0] == nullptr ? 0 : PyObject_IsTrue(values[0]);
  if (immediate < 0) return nullptr;
  Port& port = as_queue(object)->port;
  if (immediate) port.clear_pending();
  Fault fault;
  Status status = port.channel().shut_down(immediate != 0, &fault);
  if (status != Status::ok) return raise_fault(port.state(), status, fault);
  Py_RETURN_NONE;
}

PyObject* queue_close(PyObject* object, PyObject*) {
  QueueObject* self = as_queue(object);
  if (self->opened && !self->closed) {
    self->closed = true;
    self->port.close();
    Py_CLEAR(self->segment);
  }
  Py_RETURN_NONE;
}

PyObject* queue_fileno(PyObject* object, PyObject*) {
  if (!check_open(object)) return nullptr;
  Port& port = as_queue(object)->port;
  int fd = -1;
  Fault fault;
  Status status = port.channel().arm(&fd, &fault);
  return status == Status::ok ? PyLong_FromLong(fd) : raise_fault(port.state(), status, fault);
}

PyObject* queue_statistics(PyObject* object, PyObject*) {
  return check_open(object) ? statistics_of(as_queue(object)->port) : nullptr;
}

PyObject* queue_class_getitem(PyObject* cls, PyObject* item) { return Py_GenericAlias(cls, item); }

PyObject* queue_get_closed(PyObject* object, void*) {
  QueueObject* self = as_queue(object);
  return PyBool_FromLong(!self->opened || self->closed);
}

PyObject* queue_get_is_shut_down(PyObject* object, void*) {
  return check_open(object) ? PyBool_FromLong(as_queue(object)->port.channel().is_shut_down()) : nullptr;
}

PyObject* queue_get_segment(PyObject* object, void*) {
  return check_open(object) ? Py_NewRef(as_queue(object)->segment) : nullptr;
}

PyObject* queue_get_channel(PyObject* object, void*) { return PyLong_FromUnsignedLong(as_queue(object)->channel); }

PyObject* queue_get_maxsize(PyObject* object, void*) {
  return check_open(object) ? PyLong_FromUnsignedLongLong(as_queue(object)->port.channel().max_items()) : nullptr;
}

// --- life ------------------------------------------------------------------------------------------------------------

PyObject* queue_new(PyTypeObject* type, PyObject*, PyObject*) {
  PyObject* object = type->tp_alloc(type, 0);
  if (object == nullptr) return nullptr;
  new (&as_queue(object)->port) Port();
  return object;
}

int queue_init(PyObject* object, PyObject* args, PyObject* kwargs) {
  static const char* keywords[] = {"segment", "channel", nullptr};
  PyObject* segment_object = nullptr;
  unsigned int channel = 0;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|I", const_cast<char**>(keywords), &segment_object, &channel)) {
    return -1;
  }
  QueueObject* self = as_queue(object);
  if (self->opened) {
    PyErr_SetString(PyExc_ValueError, "the queue is initialised already");
    return -1;
  }
  ModuleState* state = state_of_type(Py_TYPE(object));
  if (state == nullptr) return -1;
  std::shared_ptr<Segment> segment = segment_of(state, segment_object);
  if (!segment || !self->port.open(state, std::move(segment), channel)) return -1;
  self->segment = Py_NewRef(segment_object);
  self->channel = channel;
  self->opened = true;
  return 0;
}

int queue_traverse(PyObject* object, visitproc visit, void* arg) {
  QueueObject* self = as_queue(object);
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(self->segment);
  return self->port.traverse(visit, arg);
}

int queue_clear(PyObject* object) {
  as_queue(object)->port.clear_pending();
  return 0;
}

void queue_dealloc(PyObject* object) {
  QueueObject* self = as_queue(object);
  PyTypeObject* type = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  self->port.~Port();
  Py_CLEAR(self->segment);
  type->tp_free(object);
  Py_DECREF(type);
}

template <typename Function>
PyCFunction as_method(Function function) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(function));
}

constexpr int with_keywords = METH_FASTCALL | METH_KEYWORDS;

PyMethodDef queue_methods[] = {
    {"put", as_method(queue_put), with_keywords,
     PyDoc_STR("put($self, obj, block=True, timeout=None)\n--\n\n"
               "Puts an object at the end of the line.\n\n"
               "The object is pickled before the call returns; when it has returned, the object is in shared memory,\n"
               "survives this process and is seen by every other. Blocks while the queue is full, until room, shutdown\n"
               "or the timeout (seconds, for the whole call).\n\n"
               "Raises:\n"
               "    queue.Full: No room, and block was false or the timeout passed.\n"
               "    ShutDown: The queue was shut down.\n"
               "    ValueError: This queue object is closed.\n"
               "    UnsendableError: The object cannot be pickled; names the part that is to blame.\n"
               "    OSError: Out of memory.\n\n"
               "Differs: pickles in the caller, so errors are raised here and later changes do not travel.")},
    {"get", as_method(queue_get), with_keywords,
     PyDoc_STR("get($self, block=True, timeout=None)\n--\n\n"
               "Takes the object at the head of the line; the result is this process's own copy.\n\n"
               "Blocks while the queue is empty, until an object comes, shutdown or the timeout (seconds, for the whole\n"
               "call). Signal handlers run while it waits. A consumer that is killed takes at most the object in its\n"
               "hands with it.\n\n"
               "Raises:\n"
               "    queue.Empty: Nothing there, and block was false or the timeout passed.\n"
               "    ShutDown: The queue was shut down and is empty.\n"
               "    ValueError: This queue object is closed.\n"
               "    Exception: What unpickling raised; the object is gone, the queue goes on.")},
    {"put_nowait", queue_put_nowait, METH_O,
     PyDoc_STR("put_nowait($self, obj, /)\n--\n\nLike put(obj, block=False).")},
    {"get_nowait", queue_get_nowait, METH_NOARGS, PyDoc_STR("get_nowait($self, /)\n--\n\nLike get(block=False).")},
    {"put_many", as_method(queue_put_many), with_keywords,
     PyDoc_STR("put_many($self, iterable, block=True, timeout=None)\n--\n\n"
               "Puts the objects of an iterable in order, up to 64 with one lock round.\n\n"
               "Other producers' objects may come between. The timeout bounds each batch. An exception carries `count`:\n"
               "how many objects are in the queue; the others are not.")},
    {"get_many", as_method(queue_get_many), with_keywords,
     PyDoc_STR("get_many($self, max_items, block=True, timeout=None)\n--\n\n"
               "Takes between 1 and max_items objects: waits as get() for the first, then takes what is there.\n\n"
               "When one cannot be unpickled its exception is raised; the others of the batch come with the next get.")},
    {"qsize", queue_qsize, METH_NOARGS,
     PyDoc_STR("qsize($self, /)\n--\n\nReturns how many objects are in the queue: exact at one point in time.")},
    {"empty", queue_empty, METH_NOARGS,
     PyDoc_STR("empty($self, /)\n--\n\nReturns whether the queue is empty: exact at one point in time.")},
    {"full", queue_full, METH_NOARGS,
     PyDoc_STR("full($self, /)\n--\n\nReturns whether maxsize is reached: exact at one point in time.")},
    {"task_done", queue_task_done, METH_NOARGS,
     PyDoc_STR("task_done($self, /)\n--\n\n"
               "Says that an object taken from the queue has been worked on.\n\n"
               "Raises:\n    ValueError: Called more often than objects were put.")},
    {"join", as_method(queue_join), with_keywords,
     PyDoc_STR("join($self, timeout=None)\n--\n\n"
               "Blocks until task_done() was called for every object that was put, or the timeout has passed.\n\n"
               "Returns:\n    Whether everything is done.\n\n"
               "Differs: takes a timeout and returns whether all is done.")},
    {"shutdown", as_method(queue_shutdown), with_keywords,
     PyDoc_STR("shutdown($self, immediate=False)\n--\n\n"
               "Ends the queue for all processes: put raises ShutDown, get too once the queue is empty.\n\n"
               "With immediate, what is in the queue is dropped and counts as done. Wakes everybody who waits.")},
    {"close", queue_close, METH_NOARGS,
     PyDoc_STR("close($self, /)\n--\n\nLets go of the queue in this object; other objects and processes keep it.")},
    {"fileno", queue_fileno, METH_NOARGS,
     PyDoc_STR("fileno($self, /)\n--\n\n"
               "Returns a descriptor that is readable while the queue is not empty or was shut down.\n\n"
               "For select, asyncio and GUI loops; a spurious wake-up is possible, so take with get_nowait(). Never read\n"
               "from it or close it.")},
    {"statistics", queue_statistics, METH_NOARGS,
     PyDoc_STR("statistics($self, /)\n--\n\nReturns counters of the queue, of all processes together.")},
    {"__class_getitem__", queue_class_getitem, METH_O | METH_CLASS, PyDoc_STR("Queue[int] for annotations.")},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef queue_properties[] = {
    {"closed", queue_get_closed, nullptr, "True once this object is closed.", nullptr},
    {"is_shut_down", queue_get_is_shut_down, nullptr, "Whether shutdown() was called by any process.", nullptr},
    {"segment", queue_get_segment, nullptr, "The shared memory that the queue lies in.", nullptr},
    {"channel", queue_get_channel, nullptr, "Which of the segment's channels this is.", nullptr},
    {"maxsize", queue_get_maxsize, nullptr, "How many objects fit; 0 = no limit.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot queue_slots[] = {
    {Py_tp_doc, const_cast<char*>("A line of objects in shared memory.")},
    {Py_tp_new, reinterpret_cast<void*>(queue_new)},
    {Py_tp_init, reinterpret_cast<void*>(queue_init)},
    {Py_tp_dealloc, reinterpret_cast<void*>(queue_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(queue_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(queue_clear)},
    {Py_tp_methods, queue_methods},
    {Py_tp_getset, queue_properties},
    {0, nullptr},
};

}  // namespace

PyType_Spec queue_spec = {
    "interproc._core.QueueBase",
    sizeof(QueueObject),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    queue_slots,
};

}  // namespace interproc::binding
