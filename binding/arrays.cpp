#include "arrays.hpp"

#include <string.h>

#include "errors.hpp"
#include "reducers.hpp"

namespace interproc::binding {

namespace {

// Learns numpy's types; false with an exception raised.
bool know_numpy(State& state, PyObject* numpy) {
  Ref make_dtype(PyObject_GetAttrString(numpy, "dtype"));
  Ref type(PyObject_GetAttrString(numpy, "ndarray"));
  if (!make_dtype || !type) return false;
  if (!PyType_Check(type.get())) {
    PyErr_SetString(PyExc_TypeError, "numpy.ndarray is no type");
    return false;
  }
  Ref dtypes[array_kind_count];
  for (int i = 0; i < array_kind_count; i++) {
    dtypes[i] = Ref(PyObject_CallFunction(make_dtype.get(), "C", array_kinds[i]));
    if (!dtypes[i]) return false;
  }
  Mutex::Guard guard(state.reducers_mutex);
  if (state.array_type != nullptr) return true;  // another thread was faster
  for (int i = 0; i < array_kind_count; i++) state.array_dtypes[i] = dtypes[i].release();
  state.array_type = reinterpret_cast<PyTypeObject*>(type.release());
  return true;
}

// A new array; over `buffer`, unless that is None.
Ref make_array(const State& state, const ArrayHeader& header, PyObject* buffer) {
  Ref shape(PyTuple_New(header.dimension_count));
  if (!shape) return shape;
  for (int i = 0; i < header.dimension_count; i++) {
    PyObject* length = PyLong_FromUnsignedLongLong(header.shape[i]);
    if (length == nullptr) return Ref();
    PyTuple_SET_ITEM(shape.get(), i, length);
  }
  PyObject* arguments[] = {
      nullptr,
      shape.get(),
      state.array_dtypes[header.kind],
      buffer,
      state.zero,
      Py_None,
      header.is_fortran ? state.fortran_order : Py_None,
  };
  return Ref(PyObject_Vectorcall(reinterpret_cast<PyObject*>(state.array_type), arguments + 1,
                                 6 | PY_VECTORCALL_ARGUMENTS_OFFSET, nullptr));
}

Ref copy_array(const State& state, const ArrayHeader& header, const std::uint8_t* data, std::size_t size_bytes) {
  Ref array = make_array(state, header, Py_None);
  Py_buffer view;
  if (!array || PyObject_GetBuffer(array.get(), &view, PyBUF_FULL) != 0) return Ref();
  bool fits = static_cast<std::size_t>(view.len) == size_bytes;
  if (fits) copy_bytes(view.buf, data, size_bytes);
  PyBuffer_Release(&view);
  if (fits) return array;
  raise_damaged(state, "length of an array", size_bytes, static_cast<std::uint64_t>(view.len));
  return Ref();
}

}  // namespace

bool is_array(State& state, PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  if (state.array_type != nullptr) return type == state.array_type;
  if (strcmp(type->tp_name, "numpy.ndarray") != 0) return false;
  Ref numpy(PyImport_GetModule(state.numpy_name));
  if (!numpy || !know_numpy(state, numpy.get())) PyErr_Clear();  // not the numpy we know: pickle decides
  return type == state.array_type;
}

ArrayExport::Outcome ArrayExport::make(State& state, PyObject* array) {
  Ref dtype(PyObject_GetAttr(array, state.dtype_name));
  if (!dtype) return Outcome::failed;
  int kind = 0;
  while (kind < array_kind_count && state.array_dtypes[kind] != dtype.get()) kind++;
  if (kind == array_kind_count) return Outcome::pickle_it;
  Ref reducers = current_reducers(state);
  if (!reducers) return Outcome::failed;
  int is_registered = PyDict_Contains(reducers.get(), reinterpret_cast<PyObject*>(state.array_type));
  if (is_registered != 0) return is_registered < 0 ? Outcome::failed : Outcome::pickle_it;

  if (!hold(array)) return Outcome::failed;
  if (view_.ndim > most_array_dimensions || view_.readonly != 0) {
    release();
    return Outcome::pickle_it;
  }
  if (!PyBuffer_IsContiguous(&view_, 'A')) {
    Ref in_one_piece(PyObject_CallMethod(array, "copy", nullptr));  // the view keeps it
    release();
    if (!in_one_piece || !hold(in_one_piece.get())) return Outcome::failed;
  }
  bool is_fortran = !PyBuffer_IsContiguous(&view_, 'C');
  header_ = ArrayHeader{};
  header_.kind = static_cast<std::uint8_t>(kind);
  header_.is_fortran = is_fortran ? 1 : 0;
  header_.dimension_count = static_cast<std::uint8_t>(view_.ndim);
  for (int i = 0; i < view_.ndim; i++) header_.shape[i] = static_cast<std::uint64_t>(view_.shape[i]);
  parts_[0] = Part{&header_, sizeof header_};
  parts_[1] = Part{view_.buf, static_cast<std::size_t>(view_.len)};
  return Outcome::made;
}

bool ArrayExport::hold(PyObject* array) {
  is_held_ = PyObject_GetBuffer(array, &view_, PyBUF_STRIDED_RO) == 0;
  return is_held_;
}

PyObject* load_array(State& state, Taken& taken) {
  ArrayHeader header;
  if (taken.length < sizeof header) return raise_damaged(state, "length of an array", taken.length, sizeof header);
  memcpy(&header, taken.data, sizeof header);
  if (header.kind >= array_kind_count) return raise_damaged(state, "kind of an array", header.kind, array_kind_count);
  if (header.dimension_count > most_array_dimensions) {
    return raise_damaged(state, "dimensions of an array", header.dimension_count, most_array_dimensions);
  }
  if (state.array_type == nullptr) {
    Ref numpy(PyImport_Import(state.numpy_name));
    if (!numpy || !know_numpy(state, numpy.get())) return nullptr;
  }
  std::size_t size_bytes = taken.length - sizeof header;
  if (size_bytes < least_bytes_to_view || !taken.keep()) {
    return copy_array(state, header, taken.data + sizeof header, size_bytes).release();
  }
  Ref buffer(make_buffer(state, taken.memory, taken.own + sizeof header, size_bytes, false));
  return buffer ? make_array(state, header, buffer.get()).release() : nullptr;
}

}  // namespace interproc::binding
