// Atomic: one number in shared memory: its value under a lock, and operations that need none.
#include "atomics.hpp"

#include <limits>
#include <type_traits>

#include "arguments.hpp"
#include "sem_lock.hpp"

namespace interproc::binding {

namespace {

// --- numbers ---------------------------------------------------------------------------------------------------------

template <typename T>
bool from_python(PyObject* object, T* value) {
  if constexpr (std::is_floating_point_v<T>) {
    double number = PyFloat_AsDouble(object);
    if (number == -1.0 && PyErr_Occurred()) return false;
    *value = static_cast<T>(number);
    return true;
  } else {
    Ref index(PyNumber_Index(object));
    if (!index) return false;
    using Wide = std::conditional_t<std::is_signed_v<T>, long long, unsigned long long>;
    Wide number;
    if constexpr (std::is_signed_v<T>) {
      number = PyLong_AsLongLong(index.get());
    } else {
      number = PyLong_AsUnsignedLongLong(index.get());
    }
    bool failed = number == static_cast<Wide>(-1) && PyErr_Occurred();
    if (failed && !PyErr_ExceptionMatches(PyExc_OverflowError)) return false;
    if (!failed && number >= std::numeric_limits<T>::min() && number <= std::numeric_limits<T>::max()) {
      *value = static_cast<T>(number);
      return true;
    }
    PyErr_Clear();
    PyErr_Format(PyExc_OverflowError, "%R does not fit the %d %s bits of this value", object,
                 static_cast<int>(sizeof(T) * 8), std::is_signed_v<T> ? "signed" : "unsigned");
    return false;
  }
}

template <typename T>
PyObject* to_python(T value) {
  if constexpr (std::is_floating_point_v<T>) {
    return PyFloat_FromDouble(static_cast<double>(value));
  } else if constexpr (std::is_signed_v<T>) {
    return PyLong_FromLongLong(value);
  } else {
    return PyLong_FromUnsignedLongLong(value);
  }
}

// --- operations, by the type of the number -----------------------------------------------------------------------------

using Change = PyObject* (*)(void* at, PyObject* operand);

template <typename T, T (*change)(void*, T)>
PyObject* apply(void* at, PyObject* operand) {
  T value;
  return from_python(operand, &value) ? to_python(change(at, value)) : nullptr;
}

template <typename T>
PyObject* compare_exchange_of(void* at, PyObject* expected_object, PyObject* desired_object) {
  T expected;
  T desired;
  if (!from_python(expected_object, &expected) || !from_python(desired_object, &desired)) return nullptr;
  return PyBool_FromLong(atomics::compare_exchange(at, &expected, desired));
}

// As ctypes stores: integers lose the bits that do not fit.
template <typename T>
bool store_of(void* at, PyObject* object) {
  T value;
  if constexpr (std::is_floating_point_v<T>) {
    if (!from_python(object, &value)) return false;
  } else {
    unsigned long long bits = PyLong_Check(object) ? PyLong_AsUnsignedLongLongMask(object) : 0;
    if (!PyLong_Check(object)) {
      PyErr_Format(PyExc_TypeError, "an integer is required (got type %.100s)", Py_TYPE(object)->tp_name);
    }
    if (PyErr_Occurred()) return false;
    value = static_cast<T>(bits);
  }
  atomics::store(at, value);
  return true;
}

template <typename T>
PyObject* load_of(const void* at) {
  return to_python(atomics::load<T>(at));
}

struct Operations {
  char code;  // of the struct and array modules
  std::size_t size_bytes;
  PyObject* (*load)(const void* at);
  bool (*store)(void* at, PyObject* value);
  PyObject* (*compare_exchange)(void* at, PyObject* expected, PyObject* desired);
  Change exchange, add, sub, max, min;
  Change bit_and, bit_or, bit_xor;  // nullptr for floating point
};

template <typename T>
constexpr Operations operations_on(char code) {
  Operations operations{code,
                        sizeof(T),
                        load_of<T>,
                        store_of<T>,
                        compare_exchange_of<T>,
                        apply<T, atomics::exchange<T>>,
                        apply<T, atomics::add<T>>,
                        apply<T, atomics::sub<T>>,
                        apply<T, atomics::max<T>>,
                        apply<T, atomics::min<T>>,
                        nullptr,
                        nullptr,
                        nullptr};
  if constexpr (std::is_integral_v<T>) {
    operations.bit_and = apply<T, atomics::bit_and<T>>;
    operations.bit_or = apply<T, atomics::bit_or<T>>;
    operations.bit_xor = apply<T, atomics::bit_xor<T>>;
  }
  return operations;
}

constexpr Operations all_operations[] = {
    operations_on<signed char>('b'), operations_on<unsigned char>('B'),
    operations_on<short>('h'),       operations_on<unsigned short>('H'),
    operations_on<int>('i'),         operations_on<unsigned int>('I'),
    operations_on<long>('l'),        operations_on<unsigned long>('L'),
    operations_on<long long>('q'),   operations_on<unsigned long long>('Q'),
    operations_on<float>('f'),       operations_on<double>('d'),
};

// --- the object --------------------------------------------------------------------------------------------------------

struct AtomicObject {
  PyObject ob_base;
  PyObject* weak_references;
  PyObject* lock;
  bool lock_is_ours;
  const Operations* operations;
  Py_buffer view;  // held as long as `operations` is set
};

AtomicObject* cast(PyObject* self) { return reinterpret_cast<AtomicObject*>(self); }

bool is_ready(PyObject* self) {
  if (cast(self)->operations != nullptr) return true;
  PyErr_Format(PyExc_TypeError, "%.100s has no atomic operations: they are for single integers and floats",
               Py_TYPE(self)->tp_name);
  return false;
}

PyObject* run(PyObject* self, PyObject* operand, Change Operations::* which) {
  if (!is_ready(self)) return nullptr;
  Change change = cast(self)->operations->*which;
  if (change != nullptr) return change(cast(self)->view.buf, operand);
  PyErr_Format(PyExc_TypeError, "operations on bits are for integers, not for type code '%c'",
               cast(self)->operations->code);
  return nullptr;
}

PyObject* add(PyObject* self, PyObject* operand) { return run(self, operand, &Operations::add); }
PyObject* sub(PyObject* self, PyObject* operand) { return run(self, operand, &Operations::sub); }
PyObject* max(PyObject* self, PyObject* operand) { return run(self, operand, &Operations::max); }
PyObject* min(PyObject* self, PyObject* operand) { return run(self, operand, &Operations::min); }
PyObject* exchange(PyObject* self, PyObject* operand) { return run(self, operand, &Operations::exchange); }
PyObject* bit_and(PyObject* self, PyObject* operand) { return run(self, operand, &Operations::bit_and); }
PyObject* bit_or(PyObject* self, PyObject* operand) { return run(self, operand, &Operations::bit_or); }
PyObject* bit_xor(PyObject* self, PyObject* operand) { return run(self, operand, &Operations::bit_xor); }

PyObject* load(PyObject* self, PyObject*) {
  return is_ready(self) ? cast(self)->operations->load(cast(self)->view.buf) : nullptr;
}

PyObject* compare_exchange(PyObject* self, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords) {
  static constexpr Signature signature{"compare_exchange", 2, 2, {"expected", "desired"}};
  PyObject* values[2] = {};
  if (!parse(signature, arguments, positional, keywords, values) || !is_ready(self)) return nullptr;
  return cast(self)->operations->compare_exchange(cast(self)->view.buf, values[0], values[1]);
}

// --- under the lock ----------------------------------------------------------------------------------------------------

// False with an exception raised.
bool take(PyObject* self) {
  if (cast(self)->lock_is_ours) return acquire_until(cast(self)->lock, no_deadline, true) > 0;
  Ref done(PyObject_CallMethod(cast(self)->lock, "acquire", nullptr));
  return static_cast<bool>(done);
}
bool give_back(PyObject* self) {
  Ref done(cast(self)->lock_is_ours ? release(cast(self)->lock, nullptr)
                                    : PyObject_CallMethod(cast(self)->lock, "release", nullptr));
  return static_cast<bool>(done);
}

PyObject* get_value(PyObject* self, void*) {
  if (!is_ready(self) || !take(self)) return nullptr;
  Ref value(cast(self)->operations->load(cast(self)->view.buf));
  return give_back(self) ? value.release() : nullptr;
}

int set_value(PyObject* self, PyObject* value, void*) {
  if (value == nullptr) {
    PyErr_SetString(PyExc_AttributeError, "the value cannot be deleted");
    return -1;
  }
  if (!is_ready(self) || !take(self)) return -1;
  bool stored = cast(self)->operations->store(cast(self)->view.buf, value);
  Ref error = take_raised();
  if (!give_back(self)) return -1;
  if (error) raise_again(std::move(error));
  return stored ? 0 : -1;
}

// --- life ------------------------------------------------------------------------------------------------------------

const Operations* operations_for(PyObject* typecode) {
  if (PyUnicode_GET_LENGTH(typecode) == 1) {
    for (const Operations& operations : all_operations) {
      if (static_cast<Py_UCS4>(operations.code) == PyUnicode_READ_CHAR(typecode, 0)) return &operations;
    }
  }
  PyErr_Format(PyExc_TypeError, "typecode must be one of bBhHiIlLqQfd, not %R", typecode);
  return nullptr;
}

int initialise(PyObject* self, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"memory", "typecode", "lock", nullptr};
  PyObject* memory = nullptr;
  PyObject* typecode = nullptr;
  PyObject* lock = nullptr;
  State* state = state_to_initialise(self, cast(self)->operations);
  if (state == nullptr || !PyArg_ParseTupleAndKeywords(arguments, keywords, "OUO:Atomic", const_cast<char**>(names),
                                                       &memory, &typecode, &lock)) {
    return -1;
  }
  const Operations* operations = operations_for(typecode);
  if (operations == nullptr || PyObject_GetBuffer(memory, &cast(self)->view, PyBUF_WRITABLE) != 0) return -1;
  bool is_aligned = reinterpret_cast<std::uintptr_t>(cast(self)->view.buf) % operations->size_bytes == 0;
  if (cast(self)->view.len == static_cast<Py_ssize_t>(operations->size_bytes) && is_aligned) {
    cast(self)->operations = operations;
    cast(self)->lock = Py_NewRef(lock);
    cast(self)->lock_is_ours = PyObject_TypeCheck(lock, state->sem_lock_type);
    return 0;
  }
  PyErr_Format(PyExc_ValueError, "memory must be %zu bytes at a multiple of as many, not %zd bytes at %p",
               operations->size_bytes, cast(self)->view.len, cast(self)->view.buf);
  PyBuffer_Release(&cast(self)->view);
  return -1;
}

void dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  if (cast(self)->weak_references != nullptr) PyObject_ClearWeakRefs(self);
  if (cast(self)->operations != nullptr) PyBuffer_Release(&cast(self)->view);
  Py_CLEAR(cast(self)->lock);
  type->tp_free(self);
  Py_DECREF(type);
}

int traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(cast(self)->lock);
  return 0;
}

PyMethodDef methods[] = {
    {"load", load, METH_NOARGS, PyDoc_STR("load($self, /)\n--\n\nReturns the value, without taking the lock.")},
    {"exchange", exchange, METH_O,
     PyDoc_STR("exchange($self, value, /)\n--\n\nStores a value; returns the one before.")},
    {"compare_exchange", as_method(compare_exchange), fastcall,
     PyDoc_STR("compare_exchange($self, /, expected, desired)\n--\n\n"
               "Stores `desired` if the value is `expected`; returns whether it was.")},
    {"add", add, METH_O,
     PyDoc_STR("add($self, value, /)\n--\n\n"
               "Adds in one step that nothing can come between, and takes no lock; returns the value before.\n\n"
               "Integers wrap around.\n\n"
               "Raises:\n    OverflowError: The operand does not fit the type.")},
    {"sub", sub, METH_O, PyDoc_STR("sub($self, value, /)\n--\n\nSubtracts, like add(); returns the value before.")},
    {"max", max, METH_O,
     PyDoc_STR("max($self, value, /)\n--\n\nStores the larger of the two values; returns the one before.")},
    {"min", min, METH_O,
     PyDoc_STR("min($self, value, /)\n--\n\nStores the smaller of the two values; returns the one before.")},
    {"bit_and", bit_and, METH_O,
     PyDoc_STR("bit_and($self, value, /)\n--\n\nClears the bits that `value` lacks; returns the value before.")},
    {"bit_or", bit_or, METH_O,
     PyDoc_STR("bit_or($self, value, /)\n--\n\nSets the bits of `value`; returns the value before.")},
    {"bit_xor", bit_xor, METH_O,
     PyDoc_STR("bit_xor($self, value, /)\n--\n\nTurns the bits of `value` over; returns the value before.")},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef properties[] = {
    {"value", get_value, set_value, "The value, read and written under the lock.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(AtomicObject, weak_references), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("The number that a writable buffer holds.")},
    {Py_tp_new, as_slot(PyType_GenericNew)},
    {Py_tp_init, as_slot(initialise)},
    {Py_tp_dealloc, as_slot(dealloc)},
    {Py_tp_traverse, as_slot(traverse)},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {Py_tp_members, members},
    {0, nullptr},
};

PyType_Spec spec = {
    "interproc._core.Atomic",
    sizeof(AtomicObject),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    slots,
};

}  // namespace

PyTypeObject* make_atomic_type(PyObject* module) {
  return reinterpret_cast<PyTypeObject*>(PyType_FromModuleAndSpec(module, &spec, nullptr));
}

}  // namespace interproc::binding
