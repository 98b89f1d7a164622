#include "sink.hpp"

#include "state.hpp"

namespace interproc::binding {

namespace {

// Smaller buffers are cheaper inside the pickle. src/interproc/codec/pickling.py knows the same number.
constexpr Py_ssize_t least_bytes_beside = 8 * 1024;

SinkObject* sink_of(PyObject* self) { return reinterpret_cast<SinkObject*>(self); }

bool check_open(const SinkObject* sink) {
  if (!sink->is_open) PyErr_SetString(PyExc_ValueError, "this pickler belongs to interproc and is not in use");
  return sink->is_open;
}

PyObject* write(PyObject* self, PyObject* data) {
  SinkObject* sink = sink_of(self);
  if (!check_open(sink) || !sink->add(data)) return nullptr;
  Py_RETURN_NONE;
}

PyObject* add_buffer(PyObject* self, PyObject* pickle_buffer) {
  SinkObject* sink = sink_of(self);
  if (!check_open(sink)) return nullptr;
  const Py_buffer* view = PyPickleBuffer_GetBuffer(pickle_buffer);
  if (view == nullptr) return nullptr;
  bool is_small = view->len < least_bytes_beside && !is_lent(*sink->state, *view);
  if (is_small || !PyBuffer_IsContiguous(view, 'A')) Py_RETURN_TRUE;
  if (!sink->add_beside(pickle_buffer)) return nullptr;
  Py_RETURN_FALSE;
}

// What it holds are exporters of buffers: not visited, since they are held for moments only. Its type leads to the module,
// whose state holds sinks.
int traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  return 0;
}

void dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  SinkObject* sink = sink_of(self);
  sink->clear();
  sink->parts.free();
  sink->held.free();
  sink->beside.free();
  sink->moves.free();
  sink->blocks.free();
  type->tp_free(self);
  Py_DECREF(type);
}

PyMethodDef methods[] = {
    {"write", write, METH_O, "Keeps a piece of the pickle."},
    {"add_buffer", add_buffer, METH_O, "Takes a buffer to travel beside the pickle; true: keep it inside."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("Where interproc's picklers leave their output.")},
    {Py_tp_dealloc, as_slot(dealloc)},
    {Py_tp_traverse, as_slot(traverse)},
    {Py_tp_methods, methods},
    {0, nullptr},
};

PyType_Spec spec = {
    "interproc._core.Sink",
    sizeof(SinkObject),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    slots,
};

}  // namespace

bool SinkObject::add(PyObject* source) {
  Py_buffer view;
  if (PyObject_GetBuffer(source, &view, PyBUF_SIMPLE) != 0) return false;
  if (!held.push(view)) {
    PyBuffer_Release(&view);
    return false;
  }
  return parts.push(Part{view.buf, static_cast<std::size_t>(view.len)});
}

bool SinkObject::add_beside(PyObject* pickle_buffer) {
  Py_buffer view;
  if (PyObject_GetBuffer(pickle_buffer, &view, PyBUF_FULL_RO) != 0) return false;
  if (!held.push(view)) {
    PyBuffer_Release(&view);
    return false;
  }
  Move move;
  std::size_t index = no_move;
  if (find_move(*state, channel, view, &move)) {
    move.held_index = held.count() - 1;
    index = moves.count();
    for (std::size_t i = 0; i < moves.count(); i++) {
      if (moves[i].buffer == move.buffer) index = no_move;  // goes already: what comes after is a copy
    }
    if (index == no_move || !moves.push(move)) move.forget();
    if (PyErr_Occurred()) return false;
  }
  return beside.push(Beside{view, index});
}

// What was not put is as it was.
void SinkObject::cut_moves(std::size_t held_count) {
  Ref error = take_raised();
  while (moves.count() > 0 && moves[moves.count() - 1].held_index >= held_count) {
    Move move = moves[moves.count() - 1];
    moves.cut(moves.count() - 1);
    move.end(*state, false);
    move.forget();
  }
  if (error) raise_again(std::move(error));
}

void SinkObject::cut(std::size_t part_count, std::size_t held_count) {
  parts.cut(part_count);
  beside.cut(0);
  if (moves.count() > 0) cut_moves(held_count);
  // Releasing runs code of the exporters, which may pickle: with another sink, since this one is still in use.
  for (std::size_t i = held.count(); i > held_count; i--) {
    Py_buffer view = held[i - 1];
    held.cut(i - 1);
    PyBuffer_Release(&view);
  }
}

PyTypeObject* make_sink_type(PyObject* module) {
  return reinterpret_cast<PyTypeObject*>(PyType_FromModuleAndSpec(module, &spec, nullptr));
}

}  // namespace interproc::binding
