// QueueBase: one channel as a queue.
#include <new>

#include "arguments.hpp"
#include "errors.hpp"
#include "lent_buffer.hpp"
#include "queue_docs.hpp"
#include "queue_object.hpp"
#include "segment_object.hpp"
#include "statistics.hpp"

namespace interproc::binding {

PyObject* raise_closed(PyObject* self) {
  State* state = state_of_type(Py_TYPE(self));
  if (state == nullptr) return nullptr;
  Ref error(PyObject_GetAttr(reinterpret_cast<PyObject*>(Py_TYPE(self)), state->closed_error_name));
  PyObject* kind = nullptr;
  PyObject* text = nullptr;
  if (error && PyArg_ParseTuple(error.get(), "OO", &kind, &text)) PyErr_SetObject(kind, text);
  return nullptr;
}

namespace {

bool look(PyObject* self, bool*) {
  if (!as_queue(self)->uses.is_closed()) return true;
  raise_closed(self);
  return false;
}

// --- state -----------------------------------------------------------------------------------------------------------

PyObject* qsize(PyObject* self, PyObject*) {
  QueueStay stay(as_queue(self));
  return stay ? PyLong_FromUnsignedLongLong(as_queue(self)->line.size()) : raise_closed(self);
}

PyObject* empty(PyObject* self, PyObject*) {
  QueueStay stay(as_queue(self));
  return stay ? PyBool_FromLong(as_queue(self)->line.size() == 0) : raise_closed(self);
}

PyObject* full(PyObject* self, PyObject*) {
  QueueStay stay(as_queue(self));
  return stay ? PyBool_FromLong(as_queue(self)->line.channel()->is_full()) : raise_closed(self);
}

PyObject* task_done(PyObject* self, PyObject*) {
  QueueStay stay(as_queue(self));
  if (!stay) return raise_closed(self);
  Fault fault;
  Status status = as_queue(self)->line.channel()->task_done(&fault);
  if (status != Status::ok) return raise(*as_queue(self)->state, status, fault);
  Py_RETURN_NONE;
}

PyObject* join(PyObject* self, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords) {
  static constexpr Signature signature{"join", 0, 1, {"timeout"}};
  PyObject* values[1] = {};
  std::uint64_t deadline_ns = no_deadline;
  if (!parse(signature, arguments, positional, keywords, values)) return nullptr;
  if (!deadline_after(values[0], &deadline_ns)) return nullptr;
  QueueStay stay(as_queue(self));
  return stay ? as_queue(self)->line.join_tasks(deadline_ns) : raise_closed(self);
}

PyObject* shutdown(PyObject* self, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords) {
  static constexpr Signature signature{"shutdown", 0, 1, {"immediate"}};
  PyObject* values[1] = {};
  if (!parse(signature, arguments, positional, keywords, values)) return nullptr;
  int immediate = values[0] == nullptr ? 0 : PyObject_IsTrue(values[0]);
  if (immediate < 0) return nullptr;
  QueueStay stay(as_queue(self));
  if (!stay) return raise_closed(self);
  Fault fault;
  Status status = Status::ok;
  {
    Unlocked unlocked;
    status = as_queue(self)->line.channel()->shut_down(immediate != 0, &fault);
  }
  if (status != Status::ok) return raise(*as_queue(self)->state, status, fault);
  if (immediate != 0) as_queue(self)->line.drop_leftover();
  Py_RETURN_NONE;
}

PyObject* fileno(PyObject* self, PyObject*) {
  QueueStay stay(as_queue(self));
  if (!stay) return raise_closed(self);
  int fd = -1;
  Fault fault;
  Status status = as_queue(self)->line.channel()->arm(&fd, &fault);
  if (status != Status::ok) return raise(*as_queue(self)->state, status, fault);
  as_queue(self)->line.keep_readable();
  return PyLong_FromLong(fd);
}

PyObject* empty_buffer(PyObject* self, PyObject* size_bytes) {
  QueueStay stay(as_queue(self));
  return stay ? lend_buffer(*as_queue(self)->state, as_queue(self)->line.channel(), size_bytes) : raise_closed(self);
}

PyObject* statistics(PyObject* self, PyObject*) {
  QueueStay stay(as_queue(self));
  return stay ? statistics_of(*as_queue(self)->state, as_queue(self)->line.channel()) : raise_closed(self);
}

PyObject* get_closed(PyObject* self, void*) { return PyBool_FromLong(as_queue(self)->uses.is_closed()); }

PyObject* get_is_shut_down(PyObject* self, void*) {
  QueueStay stay(as_queue(self));
  if (!stay) return raise_closed(self);
  return PyBool_FromLong(as_queue(self)->line.channel()->is_shut_down());
}

PyObject* get_maxsize(PyObject* self, void*) {
  QueueStay stay(as_queue(self));
  return stay ? PyLong_FromUnsignedLongLong(as_queue(self)->line.channel()->max_items()) : raise_closed(self);
}

PyObject* get_redelivered(PyObject* self, void*) {
  QueueStay stay(as_queue(self));
  return stay ? PyLong_FromUnsignedLong(as_queue(self)->line.channel()->deliveries()) : raise_closed(self);
}

PyObject* get_segment(PyObject* self, void*) {
  return as_queue(self)->segment != nullptr ? Py_NewRef(as_queue(self)->segment) : raise_closed(self);
}

PyObject* get_channel(PyObject* self, void*) { return PyLong_FromUnsignedLong(as_queue(self)->index); }

PyObject* class_getitem(PyObject* kind, PyObject* item) { return Py_GenericAlias(kind, item); }

// --- life ------------------------------------------------------------------------------------------------------------

PyObject* create(PyTypeObject* type, PyObject*, PyObject*) {
  PyObject* self = type->tp_alloc(type, 0);
  if (self == nullptr) return nullptr;
  new (&as_queue(self)->uses) Uses();
  new (&as_queue(self)->line) Line();
  return self;
}

// What is delivered too often goes to another queue.
bool bury_in(const State& state, QueueObject* queue, PyObject* dead_letters) {
  if (!PyObject_TypeCheck(dead_letters, state.queue_type)) {
    PyErr_Format(PyExc_TypeError, "dead_letters must be a queue of interproc, not %R", dead_letters);
    return false;
  }
  QueueStay stay(as_queue(dead_letters));
  if (!stay) {
    raise_closed(dead_letters);
    return false;
  }
  queue->line.channel()->bury_in(as_queue(dead_letters)->line.share_channel());
  return true;
}

int initialise(PyObject* self, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"segment", "channel", "dead_letters", nullptr};
  PyObject* segment_object = nullptr;
  PyObject* dead_letters = Py_None;
  std::uint64_t index = 0;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|O&O:QueueBase", const_cast<char**>(names), &segment_object,
                                   to_uint64, &index, &dead_letters)) {
    return -1;
  }
  QueueObject* queue = as_queue(self);
  State* state = state_with_codec(self, queue->segment);
  if (state == nullptr) return -1;
  std::shared_ptr<Segment> segment = segment_of(*state, segment_object);
  if (segment == nullptr) return -1;
  queue->line.open(state, self, look, Hook::Full, Hook::Empty);
  if (!queue->line.join(std::move(segment), index)) return -1;
  if (dead_letters != Py_None && !bury_in(*state, queue, dead_letters)) return -1;
  queue->state = state;
  queue->segment = Py_NewRef(segment_object);
  queue->index = static_cast<std::uint32_t>(index);
  queue->uses.open();
  return 0;
}

PyObject* close(PyObject* self, PyObject*) {
  QueueStay stay(as_queue(self));
  if (!stay) Py_RETURN_NONE;
  as_queue(self)->uses.close();
  if (as_queue(self)->uses.is_shared()) as_queue(self)->line.wake_all();  // who sleeps in it must notice
  Py_RETURN_NONE;
}

int traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(as_queue(self)->segment);
  return as_queue(self)->line.traverse(visit, arg);
}

int clear(PyObject* self) {
  as_queue(self)->line.drop_leftover();
  return 0;
}

void dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  if (as_queue(self)->weak_references != nullptr) PyObject_ClearWeakRefs(self);
  as_queue(self)->tear_down();
  as_queue(self)->line.~Line();
  as_queue(self)->uses.~Uses();
  Py_CLEAR(as_queue(self)->segment);
  type->tp_free(self);
  Py_DECREF(type);
}

PyMethodDef methods[] = {
    {"put", as_method(put), fastcall, docs::put},
    {"get", as_method(get), fastcall, docs::get},
    {"put_nowait", as_method(put_nowait), fastcall, docs::put_nowait},
    {"get_nowait", get_nowait, METH_NOARGS, docs::get_nowait},
    {"put_many", as_method(put_many), fastcall, docs::put_many},
    {"get_many", as_method(get_many), fastcall, docs::get_many},
    {"empty_buffer", empty_buffer, METH_O, docs::empty_buffer},
    {"qsize", qsize, METH_NOARGS, docs::qsize},
    {"empty", empty, METH_NOARGS, docs::empty},
    {"full", full, METH_NOARGS, docs::full},
    {"task_done", task_done, METH_NOARGS, docs::task_done},
    {"join", as_method(join), fastcall, docs::join},
    {"shutdown", as_method(shutdown), fastcall, docs::shutdown},
    {"close", close, METH_NOARGS, docs::close},
    {"fileno", fileno, METH_NOARGS, docs::fileno},
    {"statistics", statistics, METH_NOARGS, docs::statistics},
    {"__class_getitem__", class_getitem, METH_O | METH_CLASS, docs::class_getitem},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef properties[] = {
    {"closed", get_closed, nullptr, "True once this object is closed; others and other processes may go on.", nullptr},
    {"is_shut_down", get_is_shut_down, nullptr, "True once shutdown() was called, in any process.", nullptr},
    {"maxsize", get_maxsize, nullptr, "How many objects it holds before put() blocks; 0 for no limit.", nullptr},
    {"redelivered", get_redelivered, nullptr,
     "How often the object that this thread took last, and has not acknowledged, was delivered to others before.",
     nullptr},
    {"segment", get_segment, nullptr, "The shared memory it lies in.", nullptr},
    {"channel", get_channel, nullptr, "Which of the segment's channels it is.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(QueueObject, weak_references), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>(docs::queue)},
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
    "interproc._core.QueueBase",
    sizeof(QueueObject),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    slots,
};

}  // namespace

PyTypeObject* make_queue_type(PyObject* module) {
  Ref type(PyType_FromModuleAndSpec(module, &spec, nullptr));
  Ref closed_error(Py_BuildValue("(Os)", PyExc_ValueError, "Queue is closed"));
  if (!type || !closed_error || PyObject_SetAttrString(type.get(), "_closed_error", closed_error.get()) != 0) {
    return nullptr;
  }
  return reinterpret_cast<PyTypeObject*>(type.release());
}

}  // namespace interproc::binding
