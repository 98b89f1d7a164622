#include "arguments.hpp"

namespace interproc::binding {

bool parse_arguments(const char* function, const char* const* names, Py_ssize_t name_count, Py_ssize_t required,
                     PyObject* const* args, Py_ssize_t arg_count, PyObject* keywords, PyObject** values) {
  if (arg_count > name_count) {
    PyErr_Format(PyExc_TypeError, "%s() takes at most %zd arguments (%zd given)", function, name_count, arg_count);
    return false;
  }
  for (Py_ssize_t i = 0; i < arg_count; i++) values[i] = args[i];
  Py_ssize_t keyword_count = keywords == nullptr ? 0 : PyTuple_GET_SIZE(keywords);
  for (Py_ssize_t k = 0; k < keyword_count; k++) {
    PyObject* keyword = PyTuple_GET_ITEM(keywords, k);
    Py_ssize_t i = 0;
    while (i < name_count && PyUnicode_CompareWithASCIIString(keyword, names[i]) != 0) i++;
    if (i == name_count) {
      PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument %R", function, keyword);
      return false;
    }
    if (values[i] != nullptr) {
      PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%s'", function, names[i]);
      return false;
    }
    values[i] = args[arg_count + k];
  }
  for (Py_ssize_t i = 0; i < required; i++) {
    if (values[i] != nullptr) continue;
    PyErr_Format(PyExc_TypeError, "%s() missing required argument '%s'", function, names[i]);
    return false;
  }
  return true;
}

}  // namespace interproc::binding
