// EventBase: a flag that can be waited for.
#include "sync/event.hpp"

#include <new>

#include "sync.hpp"

namespace interproc::binding {

namespace {

struct EventObject {
  PyObject ob_base;
  State* state;
  PyObject* weak_references;
  PyObject* segment;  // that it was attached with
  std::unique_ptr<Event> event;
};

EventObject* cast(PyObject* self) { return reinterpret_cast<EventObject*>(self); }

Event* event_of(PyObject* self) {
  if (cast(self)->event == nullptr) PyErr_SetString(PyExc_RuntimeError, "__init__() was not called");
  return cast(self)->event.get();
}

PyObject* is_set(PyObject* self, PyObject*) {
  Event* event = event_of(self);
  return event != nullptr ? PyBool_FromLong(event->is_set()) : nullptr;
}

PyObject* set(PyObject* self, PyObject*) {
  Event* event = event_of(self);
  if (event == nullptr) return nullptr;
  event->set();
  Py_RETURN_NONE;
}

PyObject* clear(PyObject* self, PyObject*) {
  Event* event = event_of(self);
  if (event == nullptr) return nullptr;
  event->clear();
  Py_RETURN_NONE;
}

PyObject* wait(PyObject* self, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords) {
  static constexpr Signature signature{"wait", 0, 1, {"timeout"}};
  PyObject* values[1] = {};
  std::uint64_t deadline_ns = no_deadline;
  if (!parse(signature, arguments, positional, keywords, values)) return nullptr;
  if (!deadline_after(values[0], &deadline_ns)) return nullptr;
  Event* event = event_of(self);
  if (event == nullptr) return nullptr;
  if (event->is_set()) Py_RETURN_TRUE;
  if (deadline_ns == 0) Py_RETURN_FALSE;
  std::uint32_t begun = event->begin();
  Status status;
  if (!wait_without_gil(deadline_ns, [&](Patience* patience) { return event->wait(begun, patience); }, &status)) {
    return nullptr;
  }
  if (status != Status::ok && status != Status::timed_out) return raise_in_sync(*cast(self)->state, status, Fault{});
  return PyBool_FromLong(status == Status::ok);
}

PyObject* reference(PyObject* self, PyObject*) {
  Event* event = event_of(self);
  return event != nullptr ? export_place(*cast(self)->state, *event, cast(self)->segment) : nullptr;
}

// --- life ------------------------------------------------------------------------------------------------------------

PyObject* create(PyTypeObject* type, PyObject*, PyObject*) {
  PyObject* self = type->tp_alloc(type, 0);
  if (self != nullptr) new (&cast(self)->event) std::unique_ptr<Event>();
  return self;
}

int initialise(PyObject* self, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {nullptr};
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, ":EventBase", const_cast<char**>(names))) return -1;
  if (cast(self)->event != nullptr) {
    PyErr_SetString(PyExc_RuntimeError, "__init__() was called before");
    return -1;
  }
  State* state = state_of_type(Py_TYPE(self));
  if (state == nullptr) return -1;
  Fault fault;
  Status status = Event::create(&cast(self)->event, &fault);
  cast(self)->state = state;
  if (status == Status::ok) return 0;
  raise_in_sync(*state, status, fault);
  return -1;
}

PyObject* attach(PyObject* kind, PyObject* const* arguments, Py_ssize_t count) {
  auto* type = reinterpret_cast<PyTypeObject*>(kind);
  State* state = state_of_type(type);
  std::shared_ptr<SyncPool> pool;
  std::uint32_t index = 0;
  if (state == nullptr || !parse_place(*state, arguments, count, &pool, &index)) return nullptr;
  Ref self(create(type, nullptr, nullptr));
  if (!self) return nullptr;
  Fault fault;
  Status status = Event::attach(std::move(pool), index, &cast(self.get())->event, &fault);
  if (status != Status::ok) return raise_in_sync(*state, status, fault);
  cast(self.get())->segment = Py_NewRef(arguments[0]);
  cast(self.get())->state = state;
  return self.release();
}

void dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  if (cast(self)->weak_references != nullptr) PyObject_ClearWeakRefs(self);
  cast(self)->event.~unique_ptr();
  Py_CLEAR(cast(self)->segment);
  type->tp_free(self);
  Py_DECREF(type);
}

PyMethodDef methods[] = {
    {"is_set", is_set, METH_NOARGS,
     PyDoc_STR("is_set($self, /)\n--\n\nReturns whether the flag is set. Never blocks; fit for signal handlers.")},
    {"set", set, METH_NOARGS,
     PyDoc_STR(
         "set($self, /)\n--\n\n"
         "Sets the flag and wakes everybody who waits. Never blocks and waits for none; fit for signal handlers.")},
    {"clear", clear, METH_NOARGS,
     PyDoc_STR("clear($self, /)\n--\n\nTakes the flag back. Never blocks; fit for signal handlers.")},
    {"wait", as_method(wait), fastcall,
     PyDoc_STR("wait($self, /, timeout=None)\n--\n\n"
               "Waits until the flag is set.\n\n"
               "Args:\n    timeout: Seconds to wait at most; None for ever.\n\n"
               "Returns:\n    Whether it was set: now, or at any time since the call began.")},
    {"_reference", reference, METH_NOARGS, PyDoc_STR("_reference($self, /)\n--\n\nThe arguments of _attach().")},
    {"_attach", as_method(attach), METH_FASTCALL | METH_CLASS,
     PyDoc_STR("Returns another object for the event that _reference() named.")},
    {nullptr, nullptr, 0, nullptr},
};

PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(EventObject, weak_references), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("An event in shared memory.")},
    {Py_tp_new, as_slot(create)},
    {Py_tp_init, as_slot(initialise)},
    {Py_tp_dealloc, as_slot(dealloc)},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {0, nullptr},
};

PyType_Spec spec = {
    "interproc._core.EventBase", sizeof(EventObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots,
};

}  // namespace

PyTypeObject* make_event_type(PyObject* module) {
  return reinterpret_cast<PyTypeObject*>(PyType_FromModuleAndSpec(module, &spec, nullptr));
}

}  // namespace interproc::binding
