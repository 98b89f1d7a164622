// The extension module interproc._core: its state, and what the Python floors install into it.
#include <new>

#include "channel.hpp"
#include "errors.hpp"
#include "lent_buffer.hpp"
#include "lock.hpp"
#include "picklers.hpp"
#include "platform/platform.hpp"
#include "reducers.hpp"
#include "state.hpp"
#include "sync/pool.hpp"

namespace interproc::binding {

namespace {

State* state_of(PyObject* module) { return static_cast<State*>(PyModule_GetState(module)); }

PyObject* install(PyObject* module, PyObject* arguments, PyObject* keywords) {
  State* state = state_of(module);
  Py_ssize_t given = keywords == nullptr ? 0 : PyDict_GET_SIZE(keywords);
  if (PyTuple_GET_SIZE(arguments) != 0 || given != hook_count) {
    PyErr_Format(PyExc_TypeError, "install() takes %d keyword arguments", hook_count);
    return nullptr;
  }
  for (int i = 0; i < hook_count; i++) {
    if (PyDict_GetItemString(keywords, hook_names[i]) != nullptr) continue;
    PyErr_Format(PyExc_TypeError, "install() missing required argument '%s'", hook_names[i]);
    return nullptr;
  }
  if (!watch_reducers(*state)) return nullptr;
  for (int i = 0; i < hook_count; i++) {
    Ref old(std::exchange(state->hooks[i], Py_NewRef(PyDict_GetItemString(keywords, hook_names[i]))));
  }
  Py_RETURN_NONE;
}

PyObject* choose_lock_by_name(PyObject* module, PyObject* wish) {
  const char* name = wish == Py_None ? nullptr : PyUnicode_AsUTF8(wish);
  if (name == nullptr && wish != Py_None) return nullptr;
  LockKind kind{};
  Fault fault;
  Status status = choose_lock(name, &kind, &fault);
  if (status == Status::ok) return PyUnicode_FromString(kind == LockKind::kernel ? "kernel" : "liveness");
  if (status != Status::bad_segment) return raise(*state_of(module), status, fault);
  PyErr_Format(PyExc_ValueError, "the lock must be 'kernel', 'liveness' or 'auto', not %R (INTERPROC_LOCK)", wish);
  return nullptr;
}

PyObject* leave_all(PyObject*, PyObject*) {
  SyncPool::leave_all();
  Py_RETURN_NONE;
}

PyObject* usable_cpus(PyObject*, PyObject*) { return PyLong_FromUnsignedLong(platform::usable_cpus()); }

PyMethodDef functions[] = {
    {"install", as_method(install), METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR("Tells the native codec about Python: which exceptions to raise, and how to pickle.")},
    {"install_arrays", install_arrays, METH_VARARGS,
     PyDoc_STR("Tells the classes of lent arrays, of what stands for one in a pickle, and of those that were put.")},
    {"choose_lock", choose_lock_by_name, METH_O,
     PyDoc_STR(
         "choose_lock(wish, /)\n--\n\n"
         "Chooses the lock of segments made from now on: \"kernel\", \"liveness\", or None for the best that works.\n\n"
         "Returns:\n    The kind chosen.\n\n"
         "Raises:\n    ValueError: No such kind.\n    OSError: This system cannot.")},
    {"leave_all", leave_all, METH_NOARGS,
     PyDoc_STR("leave_all()\n--\n\n"
               "Says that this process ends in an orderly way: the locks it holds stay locked, and nobody takes it for "
               "killed. Using one of them joins again.")},
    {"usable_cpus", usable_cpus, METH_NOARGS,
     PyDoc_STR(
         "usable_cpus()\n--\n\nReturns how many processors this process may use: by affinity and control group.")},
    {nullptr, nullptr, 0, nullptr},
};

bool add_type(PyObject* module, PyTypeObject* type, PyTypeObject** place) {
  *place = type;
  return type != nullptr && PyModule_AddType(module, type) == 0;
}

int execute(PyObject* module) {
  State* state = new (state_of(module)) State{};
  state->watcher = -1;
  state->loads_keywords = Py_BuildValue("(s)", "buffers");
  state->dispatch_table_name = PyUnicode_InternFromString("dispatch_table");
  state->closed_error_name = PyUnicode_InternFromString("_closed_error");
  state->numpy_name = PyUnicode_InternFromString("numpy");
  state->dtype_name = PyUnicode_InternFromString("dtype");
  state->fortran_order = PyUnicode_InternFromString("F");
  state->zero = PyLong_FromLong(0);
  bool made = state->loads_keywords != nullptr && state->dispatch_table_name != nullptr &&
              state->closed_error_name != nullptr && state->numpy_name != nullptr && state->dtype_name != nullptr &&
              state->fortran_order != nullptr && state->zero != nullptr &&
              add_type(module, make_sink_type(module), &state->sink_type) &&
              add_type(module, make_buffer_type(module), &state->buffer_type) &&
              add_type(module, make_lent_buffer_type(module), &state->lent_buffer_type) &&
              add_type(module, make_segment_type(module), &state->segment_type) &&
              add_type(module, make_queue_type(module), &state->queue_type) &&
              add_type(module, make_connection_type(module), &state->connection_type) &&
              add_type(module, make_sem_lock_type(module), &state->sem_lock_type) &&
              add_type(module, make_condition_type(module), &state->condition_type) &&
              add_type(module, make_event_type(module), &state->event_type) &&
              add_type(module, make_barrier_type(module), &state->barrier_type) &&
              add_type(module, make_heap_block_type(module), &state->heap_block_type) &&
              add_type(module, make_atomic_type(module), &state->atomic_type);
  return made ? PyModule_AddIntConstant(module, "layout_version", layout_version) : -1;
}

int traverse(PyObject* module, visitproc visit, void* arg) {
  State* state = state_of(module);
  for (PyObject* hook : state->hooks) Py_VISIT(hook);
  for (PyObject* reducers : state->registered_reducers) Py_VISIT(reducers);
  Py_VISIT(state->merged_reducers);
  for (std::atomic<ReusedPickler*>& idle : state->idle_picklers) {
    int result = traverse_pickler(idle.load(std::memory_order_relaxed), visit, arg);
    if (result != 0) return result;
  }
  Py_VISIT(state->array_type);
  for (PyObject* dtype : state->array_dtypes) Py_VISIT(dtype);
  Py_VISIT(state->sink_type);
  Py_VISIT(state->lent_array_type);
  Py_VISIT(state->carrier_array_type);
  Py_VISIT(state->moved_array_type);
  Py_VISIT(state->buffer_type);
  Py_VISIT(state->lent_buffer_type);
  Py_VISIT(state->segment_type);
  Py_VISIT(state->queue_type);
  Py_VISIT(state->connection_type);
  Py_VISIT(state->sem_lock_type);
  Py_VISIT(state->condition_type);
  Py_VISIT(state->event_type);
  Py_VISIT(state->barrier_type);
  Py_VISIT(state->heap_block_type);
  Py_VISIT(state->atomic_type);
  return 0;
}

int clear(PyObject* module) {
  State* state = state_of(module);
  for (std::atomic<ReusedPickler*>& idle : state->idle_picklers) free_pickler(idle.exchange(nullptr));
  for (PyObject*& hook : state->hooks) Py_CLEAR(hook);
  unwatch_reducers(*state);
  Py_CLEAR(state->array_type);
  for (PyObject*& dtype : state->array_dtypes) Py_CLEAR(dtype);
  Py_CLEAR(state->sink_type);
  Py_CLEAR(state->lent_array_type);
  Py_CLEAR(state->carrier_array_type);
  Py_CLEAR(state->moved_array_type);
  Py_CLEAR(state->buffer_type);
  Py_CLEAR(state->lent_buffer_type);
  Py_CLEAR(state->segment_type);
  Py_CLEAR(state->queue_type);
  Py_CLEAR(state->connection_type);
  Py_CLEAR(state->sem_lock_type);
  Py_CLEAR(state->condition_type);
  Py_CLEAR(state->event_type);
  Py_CLEAR(state->barrier_type);
  Py_CLEAR(state->heap_block_type);
  Py_CLEAR(state->atomic_type);
  Py_CLEAR(state->loads_keywords);
  Py_CLEAR(state->dispatch_table_name);
  Py_CLEAR(state->closed_error_name);
  Py_CLEAR(state->numpy_name);
  Py_CLEAR(state->dtype_name);
  Py_CLEAR(state->fortran_order);
  Py_CLEAR(state->zero);
  return 0;
}

void free(void* module) { clear(static_cast<PyObject*>(module)); }

PyModuleDef_Slot slots[] = {
    {Py_mod_exec, as_slot(execute)},
#if PY_VERSION_HEX >= 0x030c0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030d0000
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, nullptr},
};

PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    "interproc._core",
    PyDoc_STR("The native core: segments, queues, connections, locks and values in shared memory."),
    sizeof(State),
    functions,
    slots,
    traverse,
    clear,
    free,
};

}  // namespace

State* state_of_type(PyTypeObject* type) {
  PyObject* module = PyType_GetModuleByDef(type, &definition);
  return module != nullptr ? state_of(module) : nullptr;
}

State* state_to_initialise(PyObject* self, const void* initialised) {
  State* state = state_of_type(Py_TYPE(self));
  if (state == nullptr) return nullptr;
  if (initialised != nullptr) {
    PyErr_SetString(PyExc_RuntimeError, "__init__() was called before");
    return nullptr;
  }
  return state;
}

State* state_with_codec(PyObject* self, const void* initialised) {
  State* state = state_to_initialise(self, initialised);
  if (state == nullptr || state->is_installed()) return state;
  PyErr_SetString(PyExc_RuntimeError, "the codec is not installed: import interproc.codec first");
  return nullptr;
}

}  // namespace interproc::binding

PyMODINIT_FUNC PyInit__core() { return PyModuleDef_Init(&interproc::binding::definition); }
