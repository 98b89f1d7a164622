#include "sink.hpp"

namespace interproc::binding {

namespace {

// Smaller buffers travel inside the pickle: beside it they cost a header entry, a Buffer object and a callback.
constexpr Py_ssize_t out_of_band_bytes = 16 * 1024;

struct SinkObject {
  PyObject_HEAD
  PyObject* first;    // bytes: the whole pickle, as a rule
  PyObject* rest;     // list of further bytes
  PyObject* buffers;  // list of PickleBuffer
};

SinkObject* as_sink(PyObject* object) { return reinterpret_cast<SinkObject*>(object); }

void sink_dealloc(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  empty_sink(object);
  type->tp_free(object);
  Py_DECREF(type);
}

int sink_traverse(PyObject* object, visitproc visit, void* arg) {
  SinkObject* self = as_sink(object);
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(self->first);
  Py_VISIT(self->rest);
  Py_VISIT(self->buffers);
  return 0;
}

int sink_clear(PyObject* object) {
  empty_sink(object);
  return 0;
}

// The C pickler hands over bytes for a frame or a large bytes object, and a memoryview that dies with the call otherwise.
PyObject* sink_write(PyObject* object, PyObject* data) {
  SinkObject* self = as_sink(object);
  PyObject* bytes = PyBytes_CheckExact(data) ? Py_NewRef(data) : PyBytes_FromObject(data);
  if (bytes == nullptr) return nullptr;
  if (self->first == nullptr) {
    self->first = bytes;
    Py_RETURN_NONE;
  }
  if (self->rest == nullptr) self->rest = PyList_New(0);
  int failed = self->rest == nullptr ? -1 : PyList_Append(self->rest, bytes);
  Py_DECREF(bytes);
  if (failed) return nullptr;
  Py_RETURN_NONE;
}

// True keeps the buffer inside the pickle.
PyObject* sink_add_buffer(PyObject* object, PyObject* buffer) {
  SinkObject* self = as_sink(object);
  const Py_buffer* view = PyPickleBuffer_GetBuffer(buffer);
  if (view == nullptr) return nullptr;
  if (view->len < out_of_band_bytes || !PyBuffer_IsContiguous(view, 'A')) Py_RETURN_TRUE;
  if (self->buffers == nullptr) self->buffers = PyList_New(0);
  if (self->buffers == nullptr || PyList_Append(self->buffers, buffer) < 0) return nullptr;
  Py_RETURN_FALSE;
}

PyMethodDef sink_methods[] = {
    {"write", sink_write, METH_O, "Takes a piece of the pickle."},
    {"add_buffer", sink_add_buffer, METH_O, "Takes a buffer out of band if it is large and contiguous."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot sink_slots[] = {
    {Py_tp_doc, const_cast<char*>("Where a pickler leaves its output.")},
    {Py_tp_dealloc, reinterpret_cast<void*>(sink_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(sink_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(sink_clear)},
    {Py_tp_methods, sink_methods},
    {0, nullptr},
};

}  // namespace

PyType_Spec sink_spec = {
    "interproc._core.Sink",
    sizeof(SinkObject),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    sink_slots,
};

PyObject* new_sink(const ModuleState* state) { return state->sink_type->tp_alloc(state->sink_type, 0); }

void empty_sink(PyObject* sink) {
  SinkObject* self = as_sink(sink);
  Py_CLEAR(self->first);
  Py_CLEAR(self->rest);
  Py_CLEAR(self->buffers);
}

bool take_from_sink(PyObject* sink, PyObject** pickle, PyObject** buffers) {
  SinkObject* self = as_sink(sink);
  PyObject* first = self->first;
  PyObject* rest = self->rest;
  *buffers = self->buffers;
  self->first = self->rest = self->buffers = nullptr;
  if (first == nullptr) {
    PyErr_SetString(PyExc_RuntimeError, "the pickler wrote nothing");
    Py_CLEAR(*buffers);
    return false;
  }
  if (rest == nullptr) {
    *pickle = first;
    return true;
  }
  PyObject* nothing = PyBytes_FromStringAndSize(nullptr, 0);
  PyObject* all = PyList_New(0);
  bool ok = nothing != nullptr && all != nullptr && PyList_Append(all, first) == 0 &&
            PyList_SetSlice(all, 1, 1, rest) == 0;
  *pickle = ok ? PyObject_CallMethod(nothing, "join", "O", all) : nullptr;
  Py_XDECREF(nothing);
  Py_XDECREF(all);
  Py_DECREF(first);
  Py_DECREF(rest);
  if (*pickle == nullptr) Py_CLEAR(*buffers);
  return *pickle != nullptr;
}

}  // namespace interproc::binding
