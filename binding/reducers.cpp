#include "reducers.hpp"

namespace interproc::binding {

namespace {

#if PY_VERSION_HEX >= 0x030c0000
// Counts changes of all watched dictionaries of all interpreters: a change elsewhere costs one needless merge.
std::atomic<std::uint64_t> changes{1};

int on_change(PyDict_WatchEvent, PyObject*, PyObject*, PyObject*) {
  changes.fetch_add(1, std::memory_order_release);
  return 0;
}

bool watch(State& state) {
  state.watcher = PyDict_AddWatcher(on_change);
  if (state.watcher < 0) return false;
  for (PyObject* reducers : state.registered_reducers) {
    if (PyDict_Watch(state.watcher, reducers) != 0) return false;
  }
  return true;
}

void unwatch(State& state) {
  if (state.watcher >= 0) PyDict_ClearWatcher(state.watcher);
  state.watcher = -1;
}

std::uint64_t present_version(const State&) { return changes.load(std::memory_order_acquire); }
#else
bool watch(State&) { return true; }

void unwatch(State&) {}

// Tags are unique over all dictionaries and only grow, so their sum changes when one of them does.
std::uint64_t present_version(const State& state) {
  std::uint64_t sum = 0;
  for (PyObject* reducers : state.registered_reducers) sum += reinterpret_cast<PyDictObject*>(reducers)->ma_version_tag;
  return sum;
}
#endif

Ref attribute_of(const char* module_name, const char* first, const char* second) {
  Ref found(PyImport_ImportModule(module_name));
  if (found) found = Ref(PyObject_GetAttrString(found.get(), first));
  if (found && second != nullptr) found = Ref(PyObject_GetAttrString(found.get(), second));
  if (found && !PyDict_Check(found.get())) {
    PyErr_Format(PyExc_TypeError, "%s.%s is no dictionary", module_name, first);
    return Ref();
  }
  return found;
}

}  // namespace

bool watch_reducers(State& state) {
  Ref ours = attribute_of("copyreg", "dispatch_table", nullptr);
  if (!ours) return false;
  Ref theirs = attribute_of("multiprocessing.reduction", "ForkingPickler", "_extra_reducers");
  if (!theirs) return false;
  unwatch_reducers(state);
  state.registered_reducers[0] = ours.release();
  state.registered_reducers[1] = theirs.release();
  return watch(state);
}

void unwatch_reducers(State& state) {
  unwatch(state);
  Py_CLEAR(state.registered_reducers[0]);
  Py_CLEAR(state.registered_reducers[1]);
  Py_CLEAR(state.merged_reducers);
}

Ref current_reducers(State& state) {
  std::uint64_t version = present_version(state);
  {
    Mutex::Guard guard(state.reducers_mutex);
    if (state.merged_reducers != nullptr && state.merged_version == version) return Ref::to(state.merged_reducers);
  }
  Ref merged(PyObject_CallNoArgs(state.hook(Hook::merge_reducers)));
  if (!merged) return merged;
  Ref old = Ref::to(merged.get());
  {
    Mutex::Guard guard(state.reducers_mutex);
    state.merged_version = version;
    old = Ref(std::exchange(state.merged_reducers, old.release()));
  }
  return merged;
}

}  // namespace interproc::binding
