// Arguments of methods that are called often: parsed by hand, without building a tuple or a dictionary.
#pragma once

#include <cstdint>
#include <string_view>

#include "python.hpp"

namespace interproc::binding {

inline constexpr int most_arguments = 4;

struct Signature {
  const char* function;
  int required;
  int count;
  std::string_view names[most_arguments];
};

bool parse_slowly(const Signature& signature, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords,
                  PyObject** values);

// Fills `values` with borrowed references, nullptr where an argument is missing. False: TypeError is raised.
inline bool parse(const Signature& signature, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords,
                  PyObject** values) {
  if (keywords != nullptr || positional < signature.required || positional > signature.count) [[unlikely]] {
    return parse_slowly(signature, arguments, positional, keywords, values);
  }
  for (Py_ssize_t i = 0; i < positional; i++) values[i] = arguments[i];
  return true;
}

// Seconds from now as a moment of the monotonic clock: no_deadline for nullptr and None, 0 for zero or less.
// TypeError for what is no number, ValueError for NaN.
bool deadline_after(PyObject* timeout, std::uint64_t* deadline_ns);

// The same for methods with `block`: 0 where that is false. Without arguments `*deadline_ns` stays as it is.
bool deadline_of_both(PyObject* block, PyObject* timeout, std::uint64_t* deadline_ns);
inline bool deadline_of(PyObject* block, PyObject* timeout, std::uint64_t* deadline_ns) {
  return (block == nullptr && timeout == nullptr) || deadline_of_both(block, timeout, deadline_ns);
}

// An optional size; `*size` stays as it is for nullptr and None.
bool optional_size(PyObject* value, Py_ssize_t* size);

// A size of at least one; ValueError for less.
bool at_least_one(const char* name, PyObject* value, Py_ssize_t* size);

// For PyArg_Parse's O&.
int to_uint64(PyObject* value, void* result);

}  // namespace interproc::binding
