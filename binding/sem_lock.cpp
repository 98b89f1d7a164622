// SemLock: Lock, RLock, Semaphore and BoundedSemaphore.
#include "sem_lock.hpp"

#include <new>

namespace interproc::binding {

namespace {

constexpr long recursive_mutex = 0;
constexpr long semaphore_kind = 1;

bool is_ready(PyObject* self) {
  if (as_sem_lock(self)->state != nullptr) return true;
  PyErr_SetString(PyExc_RuntimeError, "__init__() was not called");
  return false;
}

Status try_take(SemLockObject* self, Fault* fault) {
  if (self->lock == nullptr) return self->semaphore->try_acquire(fault);
  if (self->is_recursive) return self->lock->try_acquire_recursive(this_thread(), fault);
  return self->lock->try_acquire(this_thread(), fault);
}

Status take(SemLockObject* self, Patience* patience, Fault* fault) {
  if (self->lock == nullptr) return self->semaphore->acquire(patience, fault);
  if (self->is_recursive) return self->lock->acquire_recursive(this_thread(), patience, fault);
  return self->lock->acquire(this_thread(), patience, fault);
}

// Tells that the holder before was killed. False: an exception is raised, and the lock is free again, still marked.
bool tell_abandoned(PyObject* self, std::uint32_t pid) {
  SemLockObject* object = as_sem_lock(self);
  if (object->raises_abandoned) object->lock->release_abandoned();
  Ref told(PyObject_CallMethod(self, "_on_abandoned", "IO", pid, object->raises_abandoned ? Py_True : Py_False));
  if (told) return true;
  if (!object->raises_abandoned) {  // a warning that became an exception
    Ref error = take_raised();
    object->lock->release_abandoned();
    raise_again(std::move(error));
  }
  return false;
}

}  // namespace

int acquire_until(PyObject* self, std::uint64_t deadline_ns, bool minds_abandoned) {
  if (!is_ready(self)) return -1;
  SemLockObject* object = as_sem_lock(self);
  Fault fault;
  Status status = try_take(object, &fault);
  if (status == Status::not_available) {
    if (deadline_ns == 0) return 0;
    auto wait = [&](Patience* patience) { return take(object, patience, &fault); };
    if (!wait_without_gil(deadline_ns, wait, &status)) return -1;
  }
  if (status == Status::timed_out) return 0;
  if (status != Status::ok) {
    raise_in_sync(*object->state, status, fault);
    return -1;
  }
  if (!minds_abandoned || object->lock == nullptr) return 1;
  std::uint32_t pid = object->lock->abandoned_pid();
  if (pid == 0 || (object->is_recursive && object->lock->depth(this_thread()) > 1)) [[likely]]
    return 1;
  return tell_abandoned(self, pid) ? 1 : -1;
}

namespace {

PyObject* acquire(PyObject* self, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords) {
  static constexpr Signature signature{"acquire", 0, 2, {"block", "timeout"}};
  PyObject* values[2] = {};
  std::uint64_t deadline_ns = no_deadline;
  if (!parse(signature, arguments, positional, keywords, values)) return nullptr;
  if (!deadline_of(values[0], values[1], &deadline_ns)) return nullptr;
  int taken = acquire_until(self, deadline_ns, true);
  return taken < 0 ? nullptr : PyBool_FromLong(taken);
}

PyObject* enter(PyObject* self, PyObject*) {
  return acquire_until(self, no_deadline, true) < 0 ? nullptr : Py_NewRef(Py_True);
}

PyObject* recover(PyObject* self, PyObject*) {
  if (acquire_until(self, no_deadline, false) < 0) return nullptr;
  if (as_sem_lock(self)->lock != nullptr) as_sem_lock(self)->lock->clear_abandoned();
  Py_RETURN_NONE;
}

}  // namespace

PyObject* release(PyObject* self, PyObject*) {
  if (!is_ready(self)) return nullptr;
  SemLockObject* object = as_sem_lock(self);
  Fault fault;
  Status status;
  if (object->lock == nullptr) {
    status = object->semaphore->release(1, &fault);
  } else if (object->is_recursive) {
    status = object->lock->release_recursive(this_thread());
  } else {
    status = object->lock->release();
  }
  if (status != Status::ok) [[unlikely]]
    return raise_in_sync(*object->state, status, fault);
  Py_RETURN_NONE;
}

namespace {

PyObject* leave(PyObject* self, PyObject* const*, Py_ssize_t) { return release(self, nullptr); }

long value_of(const SemLockObject* object) {
  if (object->lock == nullptr) return static_cast<long>(object->semaphore->value());
  return object->lock->is_locked() ? 0 : 1;
}

PyObject* get_value(PyObject* self, PyObject*) {
  return is_ready(self) ? PyLong_FromLong(value_of(as_sem_lock(self))) : nullptr;
}

PyObject* locked(PyObject* self, PyObject*) {
  return is_ready(self) ? PyBool_FromLong(value_of(as_sem_lock(self)) == 0) : nullptr;
}

PyObject* is_mine(PyObject* self, PyObject*) {
  return is_ready(self) ? PyBool_FromLong(as_sem_lock(self)->is_mine()) : nullptr;
}

PyObject* is_held_here(PyObject* self, PyObject*) {
  if (!is_ready(self)) return nullptr;
  const SemLockObject* object = as_sem_lock(self);
  return PyBool_FromLong(object->lock != nullptr && object->lock->is_held_by_this_process());
}

PyObject* count(PyObject* self, PyObject*) {
  if (!is_ready(self)) return nullptr;
  const SemLockObject* object = as_sem_lock(self);
  return PyLong_FromUnsignedLong(object->lock == nullptr ? 1 : object->lock->depth(this_thread()));
}

PyObject* reference(PyObject* self, PyObject*) {
  if (!is_ready(self)) return nullptr;
  SemLockObject* object = as_sem_lock(self);
  SyncObject& place = object->lock != nullptr ? static_cast<SyncObject&>(*object->lock) : *object->semaphore;
  Ref pair(export_place(*object->state, place, object->segment));
  if (!pair) return nullptr;
  return Py_BuildValue("(OOOO)", PyTuple_GET_ITEM(pair.get(), 0), PyTuple_GET_ITEM(pair.get(), 1),
                       object->is_recursive ? Py_True : Py_False, object->raises_abandoned ? Py_True : Py_False);
}

PyObject* get_abandoned(PyObject* self, void*) {
  if (!is_ready(self)) return nullptr;
  const SemLockObject* object = as_sem_lock(self);
  return PyBool_FromLong(object->lock != nullptr && object->lock->abandoned_pid() != 0);
}

PyObject* get_maxvalue(PyObject* self, void*) {
  if (!is_ready(self)) return nullptr;
  const SemLockObject* object = as_sem_lock(self);
  return PyLong_FromUnsignedLong(object->lock != nullptr ? 1 : object->semaphore->maximum());
}

PyObject* get_kind(PyObject* self, void*) {
  return is_ready(self) ? PyLong_FromLong(as_sem_lock(self)->is_recursive ? recursive_mutex : semaphore_kind) : nullptr;
}

// --- life ------------------------------------------------------------------------------------------------------------

PyObject* allocate(PyTypeObject* type) {
  PyObject* self = type->tp_alloc(type, 0);
  if (self == nullptr) return nullptr;
  new (&as_sem_lock(self)->lock) std::unique_ptr<OwnedLock>();
  new (&as_sem_lock(self)->semaphore) std::unique_ptr<Semaphore>();
  return self;
}

PyObject* create(PyTypeObject* type, PyObject*, PyObject*) { return allocate(type); }

bool check_values(long kind, long long value, long long most) {
  if (kind != recursive_mutex && kind != semaphore_kind) {
    PyErr_Format(PyExc_ValueError, "kind must be RECURSIVE_MUTEX or SEMAPHORE, not %ld", kind);
    return false;
  }
  if (value >= 0 && value <= most && most <= static_cast<long long>(most_permits)) return true;
  PyErr_Format(PyExc_ValueError,
               "a semaphore's value must be from 0 to its maximum, which is at most %u: not %lld of %lld", most_permits,
               value, most);
  return false;
}

int initialise(PyObject* self, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"kind", "value", "maxvalue", "raises_abandoned", "tracks_holders", nullptr};
  long kind = 0;
  long long value = 0;
  long long most = 0;
  int raises = 0;
  int tracks = 0;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "lLL|pp:SemLock", const_cast<char**>(names), &kind, &value,
                                   &most, &raises, &tracks) ||
      !check_values(kind, value, most)) {
    return -1;
  }
  SemLockObject* object = as_sem_lock(self);
  State* state = state_to_initialise(self, object->state);
  if (state == nullptr) return -1;
  Fault fault;
  Status status;
  bool is_lock = kind == recursive_mutex || (most == 1 && tracks == 0);
  if (is_lock) {
    status = OwnedLock::create(&object->lock, &fault);
    if (status == Status::ok && value == 0) status = object->lock->try_acquire(this_thread(), &fault);
  } else {
    status = Semaphore::create(static_cast<std::uint32_t>(value), static_cast<std::uint32_t>(most), tracks != 0,
                               &object->semaphore, &fault);
  }
  if (status != Status::ok) {
    raise_in_sync(*state, status, fault);
    return -1;
  }
  object->is_recursive = kind == recursive_mutex;
  object->raises_abandoned = raises != 0;
  object->state = state;
  return 0;
}

PyObject* attach(PyObject* kind, PyObject* const* arguments, Py_ssize_t count) {
  auto* type = reinterpret_cast<PyTypeObject*>(kind);
  State* state = state_of_type(type);
  std::shared_ptr<SyncPool> pool;
  std::uint32_t index = 0;
  if (state == nullptr || !parse_place(*state, arguments, count, &pool, &index)) return nullptr;
  if (count != 4) {
    PyErr_SetString(PyExc_TypeError, "_attach() of a lock takes four arguments");
    return nullptr;
  }
  Ref self(allocate(type));
  if (!self) return nullptr;
  SemLockObject* object = as_sem_lock(self.get());
  Fault fault;
  Status status = OwnedLock::attach(pool, index, &object->lock, &fault);
  if (status == Status::bad_segment) status = Semaphore::attach(std::move(pool), index, &object->semaphore, &fault);
  if (status != Status::ok) return raise_in_sync(*state, status, fault);
  object->is_recursive = PyObject_IsTrue(arguments[2]) == 1;
  object->raises_abandoned = PyObject_IsTrue(arguments[3]) == 1;
  object->segment = Py_NewRef(arguments[0]);
  object->state = state;
  return self.release();
}

void dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  if (as_sem_lock(self)->weak_references != nullptr) PyObject_ClearWeakRefs(self);
  as_sem_lock(self)->lock.~unique_ptr();
  as_sem_lock(self)->semaphore.~unique_ptr();
  Py_CLEAR(as_sem_lock(self)->segment);
  type->tp_free(self);
  Py_DECREF(type);
}

PyMethodDef methods[] = {
    {"acquire", as_method(acquire), fastcall,
     PyDoc_STR("acquire($self, /, block=True, timeout=None)\n--\n\n"
               "Takes it, waiting until others release it.\n\n"
               "Args:\n"
               "    block: False takes it at once or not at all.\n"
               "    timeout: Seconds to wait at most; None for ever, zero or less not at all.\n\n"
               "Returns:\n    Whether it was taken.\n\n"
               "Raises:\n"
               "    AbandonedError: Its holder was killed, and it was made with on_abandoned=\"raise\".\n\n"
               "Differs: a lock whose holder was killed is taken, within about 20 ms; see `abandoned`.")},
    {"release", release, METH_NOARGS,
     PyDoc_STR(
         "release($self, /)\n--\n\n"
         "Gives it back; any process may release a Lock or a semaphore, only its holder an RLock. Never blocks.\n\n"
         "Raises:\n"
         "    ValueError: Nobody holds it, or the semaphore would rise above its maximum.\n"
         "    AssertionError: Another thread holds the RLock.")},
    {"locked", locked, METH_NOARGS,
     PyDoc_STR("locked($self, /)\n--\n\nReturns whether acquire() would have to wait now.")},
    {"__enter__", enter, METH_NOARGS, PyDoc_STR("__enter__($self, /)\n--\n\nTakes it: see acquire().")},
    {"__exit__", as_method(leave), METH_FASTCALL, PyDoc_STR("Gives it back: see release().")},
    {"_recover", recover, METH_NOARGS, PyDoc_STR("_recover($self, /)\n--\n\nTakes it and clears the mark.")},
    {"_get_value", get_value, METH_NOARGS, PyDoc_STR("_get_value($self, /)\n--\n\nHow often it can be taken now.")},
    {"_is_zero", locked, METH_NOARGS, PyDoc_STR("_is_zero($self, /)\n--\n\nWhether it cannot be taken now.")},
    {"_is_mine", is_mine, METH_NOARGS, PyDoc_STR("_is_mine($self, /)\n--\n\nWhether this thread holds it.")},
    {"_is_held_here", is_held_here, METH_NOARGS,
     PyDoc_STR("_is_held_here($self, /)\n--\n\nWether a thread of this process holds it.")},
    {"_count", count, METH_NOARGS, PyDoc_STR("_count($self, /)\n--\n\nHow often this thread holds it.")},
    {"_reference", reference, METH_NOARGS, PyDoc_STR("_reference($self, /)\n--\n\nThe arguments of _attach().")},
    {"_attach", as_method(attach), METH_FASTCALL | METH_CLASS,
     PyDoc_STR("Returns another object for the lock that _reference() named.")},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef properties[] = {
    {"abandoned", get_abandoned, nullptr,
     "True from when its holder was killed until it is next released, or recover() was called.", nullptr},
    {"maxvalue", get_maxvalue, nullptr, "The most that its value can become.", nullptr},
    {"kind", get_kind, nullptr, "RECURSIVE_MUTEX or SEMAPHORE.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(SemLockObject, weak_references), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("A lock or a semaphore in shared memory.")},
    {Py_tp_new, as_slot(create)},
    {Py_tp_init, as_slot(initialise)},
    {Py_tp_dealloc, as_slot(dealloc)},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {Py_tp_members, members},
    {0, nullptr},
};

PyType_Spec spec = {
    "interproc._core.SemLock", sizeof(SemLockObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots,
};

}  // namespace

PyTypeObject* make_sem_lock_type(PyObject* module) {
  Ref type(PyType_FromModuleAndSpec(module, &spec, nullptr));
  Ref most(PyLong_FromUnsignedLong(most_permits));
  if (!type || !most || PyObject_SetAttrString(type.get(), "SEM_VALUE_MAX", most.get()) != 0) return nullptr;
  return reinterpret_cast<PyTypeObject*>(type.release());
}

}  // namespace interproc::binding
