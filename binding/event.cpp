// EventBase: a flag that can be waited for.
#include "sync/event.hpp"

#include "sync.hpp"

namespace interproc::binding {

namespace {

using EventObject = Holder<Event>;

PyObject* is_set(PyObject* self, PyObject*) {
  Event* event = EventObject::of(self);
  return event != nullptr ? PyBool_FromLong(event->is_set()) : nullptr;
}

PyObject* set(PyObject* self, PyObject*) {
  Event* event = EventObject::of(self);
  if (event == nullptr) return nullptr;
  event->set();
  Py_RETURN_NONE;
}

PyObject* clear(PyObject* self, PyObject*) {
  Event* event = EventObject::of(self);
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
  Event* event = EventObject::of(self);
  if (event == nullptr) return nullptr;
  if (event->is_set()) Py_RETURN_TRUE;
  if (deadline_ns == 0) Py_RETURN_FALSE;
  std::uint32_t begun = event->begin();
  Status status;
  if (!wait_without_gil(deadline_ns, [&](Patience* patience) { return event->wait(begun, patience); }, &status)) {
    return nullptr;
  }
  if (status != Status::ok && status != Status::timed_out)
    return raise_in_sync(*EventObject::cast(self)->state, status, Fault{});
  return PyBool_FromLong(status == Status::ok);
}

// --- life ------------------------------------------------------------------------------------------------------------

int initialise(PyObject* self, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {nullptr};
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, ":EventBase", const_cast<char**>(names))) return -1;
  State* state = state_to_initialise(self, EventObject::cast(self)->held.get());
  if (state == nullptr) return -1;
  Fault fault;
  Status status = Event::create(&EventObject::cast(self)->held, &fault);
  EventObject::cast(self)->state = state;
  if (status == Status::ok) return 0;
  raise_in_sync(*state, status, fault);
  return -1;
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
    {"_reference", EventObject::reference, METH_NOARGS,
     PyDoc_STR("_reference($self, /)\n--\n\nThe arguments of _attach().")},
    {"_attach", as_method(EventObject::attach), METH_FASTCALL | METH_CLASS,
     PyDoc_STR("Returns another object for the event that _reference() named.")},
    {nullptr, nullptr, 0, nullptr},
};

PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(EventObject, weak_references), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("An event in shared memory.")},
    {Py_tp_new, as_slot(EventObject::create)},
    {Py_tp_init, as_slot(initialise)},
    {Py_tp_dealloc, as_slot(EventObject::dealloc)},
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
