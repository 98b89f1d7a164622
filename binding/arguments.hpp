// Arguments: fast parsing of (positional, keyword) arguments for METH_FASTCALL | METH_KEYWORDS methods.
#pragma once

#include "state.hpp"

namespace interproc::binding {

// Fills `values` (zeroed by the caller) with borrowed references in the order of `names`. False with TypeError.
bool parse_arguments(const char* function, const char* const* names, Py_ssize_t name_count, Py_ssize_t required,
                     PyObject* const* args, Py_ssize_t arg_count, PyObject* keywords, PyObject** values);

template <Py_ssize_t count>
bool parse(const char* function, const char* const (&names)[count], Py_ssize_t required, PyObject* const* args,
           Py_ssize_t arg_count, PyObject* keywords, PyObject* (&values)[count]) {
  if (keywords == nullptr && arg_count <= count && arg_count >= required) {
    for (Py_ssize_t i = 0; i < count; i++) {
      if (i < arg_count) values[i] = args[i];
    }
    return true;
  }
  return parse_arguments(function, names, count, required, args, arg_count, keywords, values);
}

}  // namespace interproc::binding
