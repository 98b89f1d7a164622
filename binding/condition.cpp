// ConditionBase: waiting for what others say, in the steps that Python's Condition.wait() is made of.
#include <new>

#include "sem_lock.hpp"
#include "sync/condition.hpp"

namespace interproc::binding {

namespace {

struct ConditionObject {
  PyObject ob_base;
  State* state;
  PyObject* weak_references;
  PyObject* segment;  // that it was attached with
  PyObject* lock;     // ours, or one with _is_mine()
  bool lock_is_ours;
  std::unique_ptr<Condition> condition;
};

ConditionObject* cast(PyObject* self) { return reinterpret_cast<ConditionObject*>(self); }

bool is_ready(PyObject* self) {
  if (cast(self)->state != nullptr) return true;
  PyErr_SetString(PyExc_RuntimeError, "__init__() was not called");
  return false;
}

// A waiter as a number, for the moments between the steps.
PyObject* ticket_to_number(const Condition::Ticket& ticket) {
  return PyLong_FromUnsignedLongLong((std::uint64_t{ticket.token} << 32) | ticket.node);
}
bool number_to_ticket(PyObject* number, Condition::Ticket* ticket) {
  std::uint64_t packed = 0;
  if (to_uint64(number, &packed) == 0) return false;
  ticket->node = static_cast<std::uint32_t>(packed);
  ticket->token = static_cast<std::uint32_t>(packed >> 32);
  if (ticket->node > no_node && ticket->node < sync_nodes) return true;
  PyErr_SetString(PyExc_ValueError, "this is no waiter");
  return false;
}

// False with an exception raised, AssertionError where another holds the lock.
bool check_owned(PyObject* self) {
  if (!is_ready(self)) return false;
  int owned = 0;
  if (cast(self)->lock_is_ours) {
    owned = as_sem_lock(cast(self)->lock)->is_mine();
  } else {
    Ref answer(PyObject_CallMethod(cast(self)->lock, "_is_mine", nullptr));
    owned = answer ? PyObject_IsTrue(answer.get()) : -1;
  }
  if (owned == 0) PyErr_SetString(PyExc_AssertionError, "lock is not owned: acquire() the condition first");
  return owned > 0;
}

PyObject* notify_first(PyObject* self, std::uint32_t count) {
  std::uint32_t notified = 0;
  Fault fault;
  Status status = cast(self)->condition->notify(count, &notified, &fault);
  if (status != Status::ok) return raise_in_sync(*cast(self)->state, status, fault);
  Py_RETURN_NONE;
}

PyObject* notify(PyObject* self, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords) {
  static constexpr Signature signature{"notify", 0, 1, {"n"}};
  PyObject* values[1] = {};
  if (!parse(signature, arguments, positional, keywords, values)) return nullptr;
  Py_ssize_t count = 1;
  if (values[0] != nullptr) {
    count = PyNumber_AsSsize_t(values[0], nullptr);
    if (count == -1 && PyErr_Occurred()) return nullptr;
  }
  if (!check_owned(self)) return nullptr;
  if (count <= 0) Py_RETURN_NONE;
  return notify_first(self, count < UINT32_MAX ? static_cast<std::uint32_t>(count) : UINT32_MAX);
}

PyObject* notify_all(PyObject* self, PyObject*) { return check_owned(self) ? notify_first(self, UINT32_MAX) : nullptr; }

PyObject* enter(PyObject* self, PyObject*) {
  if (!is_ready(self)) return nullptr;
  Condition::Ticket ticket;
  Fault fault;
  Status status = cast(self)->condition->enter(&ticket, &fault);
  if (status != Status::ok) return raise_in_sync(*cast(self)->state, status, fault);
  return ticket_to_number(ticket);
}

PyObject* sleep(PyObject* self, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords) {
  static constexpr Signature signature{"_sleep", 2, 2, {"waiter", "timeout"}};
  PyObject* values[2] = {};
  Condition::Ticket ticket;
  std::uint64_t deadline_ns = no_deadline;
  if (!parse(signature, arguments, positional, keywords, values) || !number_to_ticket(values[0], &ticket) ||
      !deadline_after(values[1], &deadline_ns) || !is_ready(self)) {
    return nullptr;
  }
  Status status;
  auto wait = [&](Patience* patience) { return cast(self)->condition->sleep(ticket, patience); };
  if (!wait_without_gil(deadline_ns, wait, &status)) return nullptr;
  if (status != Status::ok && status != Status::timed_out) return raise_in_sync(*cast(self)->state, status, Fault{});
  Py_RETURN_NONE;
}

PyObject* leave(PyObject* self, PyObject* waiter) {
  Condition::Ticket ticket;
  if (!is_ready(self) || !number_to_ticket(waiter, &ticket)) return nullptr;
  return PyBool_FromLong(cast(self)->condition->leave(&ticket));
}

PyObject* has_waiters(PyObject* self, PyObject*) {
  return is_ready(self) ? PyBool_FromLong(cast(self)->condition->has_waiters()) : nullptr;
}

PyObject* reference(PyObject* self, PyObject*) {
  return is_ready(self) ? export_place(*cast(self)->state, *cast(self)->condition, cast(self)->segment) : nullptr;
}

// --- life ------------------------------------------------------------------------------------------------------------

PyObject* create(PyTypeObject* type, PyObject*, PyObject*) {
  PyObject* self = type->tp_alloc(type, 0);
  if (self != nullptr) new (&cast(self)->condition) std::unique_ptr<Condition>();
  return self;
}

// With a segment and an index, another object for a condition that exists.
int initialise(PyObject* self, PyObject* arguments, PyObject* keywords) {
  State* state = state_to_initialise(self, cast(self)->state);
  if (state == nullptr) return -1;
  static const char* names[] = {"lock", "segment", "index", nullptr};
  PyObject* lock = nullptr;
  PyObject* place[2] = {};
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|OO:ConditionBase", const_cast<char**>(names), &lock,
                                   &place[0], &place[1])) {
    return -1;
  }
  Fault fault;
  Status status;
  if (place[0] == nullptr) {
    status = Condition::create(&cast(self)->condition, &fault);
  } else {
    std::shared_ptr<SyncPool> pool;
    std::uint32_t index = 0;
    if (!parse_place(*state, place, place[1] != nullptr ? 2 : 1, &pool, &index)) return -1;
    status = Condition::attach(std::move(pool), index, &cast(self)->condition, &fault);
  }
  if (status != Status::ok) {
    raise_in_sync(*state, status, fault);
    return -1;
  }
  cast(self)->segment = Py_XNewRef(place[0]);
  cast(self)->lock = Py_NewRef(lock);
  cast(self)->lock_is_ours = PyObject_TypeCheck(lock, state->sem_lock_type) && as_sem_lock(lock)->state != nullptr;
  cast(self)->state = state;
  return 0;
}

int traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(cast(self)->lock);
  return 0;
}

void dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  if (cast(self)->weak_references != nullptr) PyObject_ClearWeakRefs(self);
  cast(self)->condition.~unique_ptr();
  Py_CLEAR(cast(self)->segment);
  Py_CLEAR(cast(self)->lock);
  type->tp_free(self);
  Py_DECREF(type);
}

PyMethodDef methods[] = {
    {"notify", as_method(notify), fastcall,
     PyDoc_STR(
         "notify($self, /, n=1)\n--\n\n"
         "Wakes up to `n` of those who wait, the longest waiting first. Never blocks and waits for none of them.\n\n"
         "Raises:\n    AssertionError: This thread does not hold the lock.")},
    {"notify_all", notify_all, METH_NOARGS,
     PyDoc_STR("notify_all($self, /)\n--\n\n"
               "Wakes everybody who waits. Never blocks.\n\n"
               "Raises:\n    AssertionError: This thread does not hold the lock.")},
    {"_enter", enter, METH_NOARGS, PyDoc_STR("_enter($self, /)\n--\n\nStands in line, with the lock held.")},
    {"_sleep", as_method(sleep), fastcall,
     PyDoc_STR("_sleep($self, /, waiter, timeout)\n--\n\nSleeps until notified or the timeout has passed.")},
    {"_leave", leave, METH_O,
     PyDoc_STR("_leave($self, waiter, /)\n--\n\nLeaves the line; says whether the waiter was notified.")},
    {"_has_waiters", has_waiters, METH_NOARGS, PyDoc_STR("_has_waiters($self, /)\n--\n\nWhether anybody waits.")},
    {"_reference", reference, METH_NOARGS,
     PyDoc_STR("_reference($self, /)\n--\n\nThe last arguments of __init__() for another object.")},
    {nullptr, nullptr, 0, nullptr},
};

PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(ConditionObject, weak_references), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("A condition in shared memory.")},
    {Py_tp_new, as_slot(create)},
    {Py_tp_init, as_slot(initialise)},
    {Py_tp_dealloc, as_slot(dealloc)},
    {Py_tp_traverse, as_slot(traverse)},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {0, nullptr},
};

PyType_Spec spec = {
    "interproc._core.ConditionBase",
    sizeof(ConditionObject),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    slots,
};

}  // namespace

PyTypeObject* make_condition_type(PyObject* module) {
  return reinterpret_cast<PyTypeObject*>(PyType_FromModuleAndSpec(module, &spec, nullptr));
}

}  // namespace interproc::binding
