// State: what one interpreter's copy of the module keeps; nothing of Python lives in static variables.
#pragma once

#include <atomic>
#include <cstdint>

#include "python.hpp"

namespace interproc::binding {

struct ReusedPickler;

// What install() brings from the Python floors, in the order of hook_names.
enum class Hook {
  Empty,
  Full,
  ShutDown,
  LayoutMismatch,
  TimeoutError,
  BufferTooShort,
  new_pickler,
  encode_by_value,
  merge_reducers,
  loads,
  dumps,
};
inline constexpr const char* hook_names[] = {
    "Empty",           "Full",           "ShutDown", "LayoutMismatch", "TimeoutError", "BufferTooShort", "new_pickler",
    "encode_by_value", "merge_reducers", "loads",    "dumps",
};
inline constexpr int hook_count = sizeof hook_names / sizeof *hook_names;
inline constexpr int idle_pickler_count = 8;

// numpy's letters of the dtypes that travel without pickle.
inline constexpr char array_kinds[] = "?bBhHiIlLqQefdgFDG";
inline constexpr int array_kind_count = sizeof array_kinds - 1;

struct State {
  PyTypeObject* sink_type;
  PyTypeObject* buffer_type;
  PyTypeObject* lent_buffer_type;
  PyTypeObject* segment_type;
  PyTypeObject* queue_type;
  PyTypeObject* connection_type;
  PyTypeObject* sem_lock_type;
  PyTypeObject* condition_type;
  PyTypeObject* event_type;
  PyTypeObject* barrier_type;
  PyTypeObject* heap_block_type;
  PyTypeObject* atomic_type;

  PyObject* hooks[hook_count];  // nullptr before install()
  PyObject* loads_keywords;     // ("buffers",)
  PyObject* dispatch_table_name;
  PyObject* closed_error_name;
  PyObject* numpy_name;
  PyObject* dtype_name;
  PyObject* zero;
  PyObject* fortran_order;

  // numpy's, nullptr before the first array.
  PyTypeObject* array_type;
  PyObject* array_dtypes[array_kind_count];
  // Of interproc.lent_arrays, nullptr before the first.
  PyTypeObject* lent_array_type;
  PyTypeObject* carrier_array_type;
  PyTypeObject* moved_array_type;

  Mutex reducers_mutex;
  PyObject* registered_reducers[2];  // copyreg's dictionary and ForkingPickler's
  PyObject* merged_reducers;
  std::uint64_t merged_version;
  int watcher;  // of those two, -1 = none

  std::atomic<ReusedPickler*> idle_picklers[idle_pickler_count];

  PyObject* hook(Hook which) const { return hooks[static_cast<int>(which)]; }
  bool is_installed() const { return hook(Hook::loads) != nullptr; }
};

// The state behind a type of this module or a subclass of one; nullptr with an exception set for others.
State* state_of_type(PyTypeObject* type);

// The state for an object that is being initialised; nullptr with an exception raised where `initialised` shows that it
// happened before.
State* state_to_initialise(PyObject* self, const void* initialised);
// For one that needs the codec: raises also where install() was not called.
State* state_with_codec(PyObject* self, const void* initialised);

PyTypeObject* make_sink_type(PyObject* module);
PyTypeObject* make_buffer_type(PyObject* module);
PyTypeObject* make_lent_buffer_type(PyObject* module);
PyTypeObject* make_segment_type(PyObject* module);
PyTypeObject* make_queue_type(PyObject* module);
PyTypeObject* make_connection_type(PyObject* module);
PyTypeObject* make_sem_lock_type(PyObject* module);
PyTypeObject* make_condition_type(PyObject* module);
PyTypeObject* make_event_type(PyObject* module);
PyTypeObject* make_barrier_type(PyObject* module);
PyTypeObject* make_heap_block_type(PyObject* module);
PyTypeObject* make_atomic_type(PyObject* module);

}  // namespace interproc::binding
