// The extension module interproc._core: its types, and what interproc.codec installs into it.
#include "layout.hpp"
#include "codec.hpp"
#include "errors.hpp"
#include "lock.hpp"
#include "platform/platform.hpp"
#include "state.hpp"

namespace interproc::binding {

namespace {

PyObject* install(PyObject* module, PyObject* args, PyObject* kwargs) {
  static const char* keywords[] = {"Empty",        "Full",           "ShutDown",      "LayoutMismatch",
                                   "TimeoutError", "BufferTooShort", "new_pickler",   "encode_by_value",
                                   "merge_reducers", "loads",        "dumps",         nullptr};
  constexpr int count = 11;
  PyObject* values[count] = {};
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "$OOOOOOOOOOO:install", const_cast<char**>(keywords), &values[0],
                                   &values[1], &values[2], &values[3], &values[4], &values[5], &values[6], &values[7],
                                   &values[8], &values[9], &values[10])) {
    return nullptr;
  }
  ModuleState* state = state_of_module(module);
  PyObject** slots[count] = {&state->empty_error,     &state->full_error,    &state->shut_down_error,
                             &state->layout_mismatch_error, &state->timeout_error, &state->buffer_too_short_error,
                             &state->new_pickler,     &state->encode_by_value, &state->merge_reducers,
                             &state->loads,           &state->dumps};
  for (int i = 0; i < count; i++) {
    if (values[i] == nullptr) {
      PyErr_Format(PyExc_TypeError, "install() missing required argument '%s'", keywords[i]);
      return nullptr;
    }
    Py_XSETREF(*slots[i], Py_NewRef(values[i]));
  }
  if (!watch_reducers(state)) return nullptr;
  Py_RETURN_NONE;
}

PyObject* choose_lock_by_name(PyObject* module, PyObject* wish) {
  const char* name = nullptr;
  if (wish != Py_None) {
    name = PyUnicode_AsUTF8(wish);
    if (name == nullptr) return nullptr;
  }
  LockKind kind = LockKind::liveness;
  Fault fault;
  Status status = choose_lock(name, &kind, &fault);
  if (status == Status::lock_unsupported) return raise_fault(state_of_module(module), status, fault);
  if (status != Status::ok) {
    PyErr_Format(PyExc_ValueError, "INTERPROC_LOCK must be 'kernel', 'liveness' or 'auto', not %R", wish);
    return nullptr;
  }
  return PyUnicode_FromString(kind == LockKind::kernel ? "kernel" : "liveness");
}

PyObject* count_usable_cpus(PyObject*, PyObject*) { return PyLong_FromUnsignedLong(platform::usable_cpus()); }

PyMethodDef module_methods[] = {
    {"install", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(install)), METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR("Tells the native codec about Python: the exceptions to raise and how to pickle.")},
    {"choose_lock", choose_lock_by_name, METH_O,
     PyDoc_STR("Chooses the lock of new segments by name, None for the best that works; returns the choice.")},
    {"usable_cpus", count_usable_cpus, METH_NOARGS,
     PyDoc_STR("Returns how many CPUs this process may use: affinity and control group.")},
    {nullptr, nullptr, 0, nullptr},
};

PyTypeObject* add_type(PyObject* module, PyType_Spec* spec) {
  auto* type = reinterpret_cast<PyTypeObject*>(PyType_FromModuleAndSpec(module, spec, nullptr));
  if (type != nullptr && PyModule_AddType(module, type) < 0) Py_CLEAR(type);
  return type;
}

int execute(PyObject* module) {
  ModuleState* state = state_of_module(module);
  state->watcher = -1;
  state->buffer_type = add_type(module, &buffer_spec);
  state->segment_type = add_type(module, &segment_spec);
  state->sink_type = add_type(module, &sink_spec);
  state->queue_type = add_type(module, &queue_spec);
  state->connection_type = add_type(module, &connection_spec);
  state->name_dump = PyUnicode_InternFromString("dump");
  state->name_clear_memo = PyUnicode_InternFromString("clear_memo");
  state->name_dispatch_table = PyUnicode_InternFromString("dispatch_table");
  state->name_count = PyUnicode_InternFromString("count");
  state->name_closed_error = PyUnicode_InternFromString("_closed_error");
  state->keyword_buffers = Py_BuildValue("(s)", "buffers");
  if (PyErr_Occurred()) return -1;
  // How a closed queue complains unless its subclass says otherwise.
  PyObject* closed_error = Py_BuildValue("(Os)", PyExc_ValueError, "Queue is closed");
  int added = closed_error == nullptr ? -1
                                      : PyObject_SetAttr(reinterpret_cast<PyObject*>(state->queue_type),
                                                         state->name_closed_error, closed_error);
  Py_XDECREF(closed_error);
  if (added < 0) return -1;
  return PyModule_AddIntConstant(module, "layout_version", layout_version);
}

template <typename Visit>
int for_each_reference(ModuleState* state, Visit visit) {
  PyObject** references[] = {reinterpret_cast<PyObject**>(&state->buffer_type),
                             reinterpret_cast<PyObject**>(&state->segment_type),
                             reinterpret_cast<PyObject**>(&state->sink_type),
                             reinterpret_cast<PyObject**>(&state->queue_type),
                             reinterpret_cast<PyObject**>(&state->connection_type),
                             &state->empty_error,
                             &state->full_error,
                             &state->shut_down_error,
                             &state->layout_mismatch_error,
                             &state->timeout_error,
                             &state->buffer_too_short_error,
                             &state->new_pickler,
                             &state->encode_by_value,
                             &state->merge_reducers,
                             &state->loads,
                             &state->dumps,
                             &state->reducers,
                             &state->watched_dicts[0],
                             &state->watched_dicts[1],
                             &state->name_dump,
                             &state->name_clear_memo,
                             &state->name_dispatch_table,
                             &state->name_count,
                             &state->name_closed_error,
                             &state->keyword_buffers};
  for (PyObject** reference : references) {
    if (int result = visit(reference); result != 0) return result;
  }
  for (int i = 0; i < state->idle_pickler_count; i++) {
    if (int result = visit(&state->idle_picklers[i].pickler); result != 0) return result;
    if (int result = visit(&state->idle_picklers[i].sink); result != 0) return result;
  }
  return 0;
}

int traverse(PyObject* module, visitproc visit, void* arg) {
  return for_each_reference(state_of_module(module), [&](PyObject** reference) {
    Py_VISIT(*reference);
    return 0;
  });
}

int clear(PyObject* module) {
  ModuleState* state = state_of_module(module);
  for_each_reference(state, [](PyObject** reference) {
    Py_CLEAR(*reference);
    return 0;
  });
  state->idle_pickler_count = 0;
  return 0;
}

void free_state(void* module) { clear(static_cast<PyObject*>(module)); }

PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, reinterpret_cast<void*>(execute)},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, nullptr},
};

}  // namespace

PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT,
    "interproc._core",
    "The native core: segments, queues and connections in shared memory.",
    sizeof(ModuleState),
    module_methods,
    module_slots,
    traverse,
    clear,
    free_state,
};

}  // namespace interproc::binding

PyMODINIT_FUNC PyInit__core() { return PyModuleDef_Init(&interproc::binding::module_definition); }
