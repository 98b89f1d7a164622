// BarrierBase: parties that wait for one another.
#include "sync/barrier.hpp"

#include "sync.hpp"

namespace interproc::binding {

namespace {

using BarrierObject = Holder<Barrier>;

// The party's number; None where the barrier is broken; nullptr with an exception raised.
PyObject* conclude(PyObject* self, Status status, std::uint32_t index, const Fault& fault) {
  if (status == Status::ok) return PyLong_FromUnsignedLong(index);
  if (status == Status::broken || status == Status::timed_out) Py_RETURN_NONE;
  return raise_in_sync(*BarrierObject::cast(self)->state, status, fault);
}

// The last one to come: the action, then the others may go.
PyObject* act(PyObject* self, const Barrier::Arrival& arrival, PyObject* action) {
  Fault fault;
  if (action != Py_None) {
    Ref done(PyObject_CallNoArgs(action));
    if (!done) {
      Ref error = take_raised();
      BarrierObject::cast(self)->held->abort(&fault);
      raise_again(std::move(error));
      return nullptr;
    }
  }
  Status status = BarrierObject::cast(self)->held->release(arrival, &fault);
  return conclude(self, status, arrival.index, fault);
}

PyObject* pass(PyObject* self, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords) {
  static constexpr Signature signature{"_pass", 2, 2, {"action", "timeout"}};
  PyObject* values[2] = {};
  std::uint64_t deadline_ns = no_deadline;
  if (!parse(signature, arguments, positional, keywords, values)) return nullptr;
  if (!deadline_after(values[1], &deadline_ns)) return nullptr;
  Barrier* barrier = BarrierObject::of(self);
  if (barrier == nullptr) return nullptr;
  Barrier::Arrival arrival;
  Fault fault;
  Status status;
  auto arrive = [&](Patience* patience) { return barrier->arrive(&arrival, patience, &fault); };
  if (!wait_without_gil(deadline_ns, arrive, &status)) return nullptr;
  if (status != Status::ok) return conclude(self, status, 0, fault);
  if (arrival.is_last) return act(self, arrival, values[0]);
  auto sleep = [&](Patience* patience) { return barrier->sleep(arrival, patience, &fault); };
  if (wait_without_gil(deadline_ns, sleep, &status)) return conclude(self, status, arrival.index, fault);
  Ref error = take_raised();
  barrier->withdraw(arrival, &fault);
  raise_again(std::move(error));
  return nullptr;
}

PyObject* change(PyObject* self, Status (Barrier::*how)(Fault*)) {
  Barrier* barrier = BarrierObject::of(self);
  if (barrier == nullptr) return nullptr;
  Fault fault;
  Status status = (barrier->*how)(&fault);
  if (status != Status::ok) return raise_in_sync(*BarrierObject::cast(self)->state, status, fault);
  Py_RETURN_NONE;
}

PyObject* abort(PyObject* self, PyObject*) { return change(self, &Barrier::abort); }

PyObject* reset(PyObject* self, PyObject*) { return change(self, &Barrier::reset); }

PyObject* get_parties(PyObject* self, void*) {
  Barrier* barrier = BarrierObject::of(self);
  return barrier != nullptr ? PyLong_FromUnsignedLong(barrier->parties()) : nullptr;
}

PyObject* get_waiting(PyObject* self, void*) {
  Barrier* barrier = BarrierObject::of(self);
  return barrier != nullptr ? PyLong_FromUnsignedLong(barrier->waiting()) : nullptr;
}

PyObject* get_broken(PyObject* self, void*) {
  Barrier* barrier = BarrierObject::of(self);
  return barrier != nullptr ? PyBool_FromLong(barrier->is_broken()) : nullptr;
}

// --- life ------------------------------------------------------------------------------------------------------------

int initialise(PyObject* self, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"parties", nullptr};
  long long parties = 0;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "L:BarrierBase", const_cast<char**>(names), &parties))
    return -1;
  State* state = state_to_initialise(self, BarrierObject::cast(self)->held.get());
  if (state == nullptr) return -1;
  Fault fault;
  Status status = Status::over_bound;
  if (parties > 0 && parties <= INT32_MAX) {
    status = Barrier::create(static_cast<std::uint32_t>(parties), &BarrierObject::cast(self)->held, &fault);
  }
  BarrierObject::cast(self)->state = state;
  if (status == Status::ok) return 0;
  if (status == Status::over_bound) {
    PyErr_Format(PyExc_ValueError, "parties must be from 1 to %d, not %lld", INT32_MAX, parties);
  } else {
    raise_in_sync(*state, status, fault);
  }
  return -1;
}

PyMethodDef methods[] = {
    {"_pass", as_method(pass), fastcall,
     PyDoc_STR("_pass($self, /, action, timeout)\n--\n\n"
               "Waits for the others; returns the party's number, or None where the barrier is broken.")},
    {"abort", abort, METH_NOARGS,
     PyDoc_STR(
         "abort($self, /)\n--\n\n"
         "Breaks the barrier: those who wait, and who come until reset(), get BrokenBarrierError. Never blocks.")},
    {"reset", reset, METH_NOARGS,
     PyDoc_STR("reset($self, /)\n--\n\n"
               "Makes the barrier as new; those who wait get BrokenBarrierError. Never blocks.")},
    {"_reference", BarrierObject::reference, METH_NOARGS,
     PyDoc_STR("_reference($self, /)\n--\n\nThe arguments of _attach().")},
    {"_attach", as_method(BarrierObject::attach), METH_FASTCALL | METH_CLASS,
     PyDoc_STR("Returns another object for the barrier that _reference() named.")},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef properties[] = {
    {"parties", get_parties, nullptr, "How many have to come.", nullptr},
    {"n_waiting", get_waiting, nullptr, "How many wait now.", nullptr},
    {"broken", get_broken, nullptr, "True if the barrier is broken.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(BarrierObject, weak_references), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("A barrier in shared memory.")},
    {Py_tp_new, as_slot(BarrierObject::create)},
    {Py_tp_init, as_slot(initialise)},
    {Py_tp_dealloc, as_slot(BarrierObject::dealloc)},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {Py_tp_members, members},
    {0, nullptr},
};

PyType_Spec spec = {
    "interproc._core.BarrierBase", sizeof(BarrierObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots,
};

}  // namespace

PyTypeObject* make_barrier_type(PyObject* module) {
  return reinterpret_cast<PyTypeObject*>(PyType_FromModuleAndSpec(module, &spec, nullptr));
}

}  // namespace interproc::binding
