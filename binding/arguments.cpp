#include "arguments.hpp"

#include <math.h>

#include "channel.hpp"

namespace interproc::binding {

namespace {

int index_of(const Signature& signature, PyObject* name) {
  if (!PyUnicode_IS_COMPACT_ASCII(name)) return -1;
  std::string_view text(static_cast<const char*>(PyUnicode_DATA(name)),
                        static_cast<std::size_t>(PyUnicode_GET_LENGTH(name)));
  for (int i = 0; i < signature.count; i++) {
    if (text == signature.names[i]) return i;
  }
  return -1;
}

}  // namespace

bool parse_slowly(const Signature& signature, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords,
                  PyObject** values) {
  if (positional > signature.count) {
    PyErr_Format(PyExc_TypeError, "%s() takes at most %d arguments (%zd given)", signature.function, signature.count,
                 positional);
    return false;
  }
  for (Py_ssize_t i = 0; i < positional; i++) values[i] = arguments[i];
  Py_ssize_t keyword_count = keywords != nullptr ? PyTuple_GET_SIZE(keywords) : 0;
  for (Py_ssize_t i = 0; i < keyword_count; i++) {
    PyObject* name = PyTuple_GET_ITEM(keywords, i);
    int index = index_of(signature, name);
    if (index < 0) {
      PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", signature.function, name);
      return false;
    }
    if (values[index] != nullptr) {
      PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%U'", signature.function, name);
      return false;
    }
    values[index] = arguments[positional + i];
  }
  for (int i = 0; i < signature.required; i++) {
    if (values[i] != nullptr) continue;
    PyErr_Format(PyExc_TypeError, "%s() missing required argument '%s'", signature.function, signature.names[i].data());
    return false;
  }
  return true;
}

bool deadline_after(PyObject* timeout, std::uint64_t* deadline_ns) {
  *deadline_ns = no_deadline;
  if (timeout == nullptr || timeout == Py_None) return true;
  double seconds = PyFloat_AsDouble(timeout);
  if (seconds == -1.0 && PyErr_Occurred()) {
    // An integer beyond the range of floats is as good as never, on either side.
    if (!PyLong_Check(timeout) || !PyErr_ExceptionMatches(PyExc_OverflowError)) return false;
    PyErr_Clear();
    int sign = 0;
    PyLong_AsLongLongAndOverflow(timeout, &sign);
    seconds = sign < 0 ? -1.0 : HUGE_VAL;
  }
  if (isnan(seconds)) {
    PyErr_SetString(PyExc_ValueError, "timeout is NaN (not a number)");
    return false;
  }
  constexpr double most_seconds = 3e9;  // a century; the clock's 64 bits end after five
  if (seconds <= 0) {
    *deadline_ns = 0;
  } else if (seconds < most_seconds) {
    *deadline_ns = platform::monotonic_ns() + static_cast<std::uint64_t>(seconds * 1e9);
  }
  return true;
}

bool deadline_of_both(PyObject* block, PyObject* timeout, std::uint64_t* deadline_ns) {
  int blocks = block == nullptr ? 1 : PyObject_IsTrue(block);
  if (blocks < 0) return false;
  if (blocks != 0) return deadline_after(timeout, deadline_ns);
  *deadline_ns = 0;
  return true;
}

bool optional_size(PyObject* value, Py_ssize_t* size) {
  if (value == nullptr || value == Py_None) return true;
  *size = PyNumber_AsSsize_t(value, PyExc_OverflowError);
  return *size != -1 || !PyErr_Occurred();
}

bool at_least_one(const char* name, PyObject* value, Py_ssize_t* size) {
  *size = PyNumber_AsSsize_t(value, nullptr);
  if (*size == -1 && PyErr_Occurred()) return false;
  if (*size < 1) PyErr_Format(PyExc_ValueError, "%s must be at least 1, not %zd", name, *size);
  return *size >= 1;
}

int to_uint64(PyObject* value, void* result) {
  Ref index(PyNumber_Index(value));
  if (!index) return 0;
  unsigned long long number = PyLong_AsUnsignedLongLong(index.get());
  if (number == static_cast<unsigned long long>(-1) && PyErr_Occurred()) return 0;
  *static_cast<std::uint64_t*>(result) = number;
  return 1;
}

}  // namespace interproc::binding
