// What the module knows: its types and what Python installed. One per interpreter.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <cstdint>

namespace interproc::binding {

// A pickler and the sink it writes to, used again and again. A nested use (a __reduce__ that itself puts) takes another.
struct PicklerPair {
  PyObject* pickler = nullptr;
  PyObject* sink = nullptr;
  std::uint64_t reducers_version = 0;
};
inline constexpr int most_idle_picklers = 8;

struct ModuleState {
  PyTypeObject* buffer_type;
  PyTypeObject* segment_type;
  PyTypeObject* sink_type;
  PyTypeObject* queue_type;
  PyTypeObject* connection_type;

  // Installed by interproc.codec.
  PyObject* empty_error;
  PyObject* full_error;
  PyObject* shut_down_error;
  PyObject* layout_mismatch_error;
  PyObject* timeout_error;
  PyObject* buffer_too_short_error;
  PyObject* new_pickler;
  PyObject* encode_by_value;
  PyObject* merge_reducers;
  PyObject* loads;
  PyObject* dumps;

  PyObject* watched_dicts[2];  // copyreg's and ForkingPickler's tables of reducers
  int watcher;
  PyObject* reducers;  // what merge_reducers() made of them last
  std::uint64_t reducers_version;
  PicklerPair idle_picklers[most_idle_picklers];
  int idle_pickler_count;

  PyObject* name_dump;
  PyObject* name_clear_memo;
  PyObject* name_dispatch_table;
  PyObject* name_count;
  PyObject* name_closed_error;
  PyObject* keyword_buffers;  // ("buffers",)
};

inline ModuleState* state_of_module(PyObject* module) { return static_cast<ModuleState*>(PyModule_GetState(module)); }

extern PyModuleDef module_definition;

// The state behind an instance of one of the module's types or of a subclass.
inline ModuleState* state_of_type(PyTypeObject* type) {
  PyObject* module = PyType_GetModuleByDef(type, &module_definition);
  return module == nullptr ? nullptr : state_of_module(module);
}

extern PyType_Spec buffer_spec;
extern PyType_Spec segment_spec;
extern PyType_Spec sink_spec;
extern PyType_Spec queue_spec;
extern PyType_Spec connection_spec;

}  // namespace interproc::binding
