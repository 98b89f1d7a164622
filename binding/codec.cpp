#include "codec.hpp"

#include <string.h>

#include <atomic>

#include "buffer.hpp"
#include "sink.hpp"

namespace interproc::binding {

namespace {

constexpr std::size_t buffer_alignment = 64;
const std::uint8_t zeros[buffer_alignment] = {};

constexpr std::size_t padding_after(std::size_t size_bytes) {
  return (buffer_alignment - size_bytes % buffer_alignment) % buffer_alignment;
}

// --- noticing new reducers -------------------------------------------------------------------------------------------

#if PY_VERSION_HEX >= 0x030C0000
// One count for all interpreters: a change in one makes the others merge once more than they must.
std::atomic<std::uint64_t> reducer_changes{1};

int on_change(PyDict_WatchEvent, PyObject*, PyObject*, PyObject*) {
  reducer_changes.fetch_add(1, std::memory_order_relaxed);
  return 0;
}

std::uint64_t current_version(ModuleState*) { return reducer_changes.load(std::memory_order_relaxed); }
#else
std::uint64_t version_of(PyObject* dict) { return reinterpret_cast<PyDictObject*>(dict)->ma_version_tag; }

// Version tags never repeat in a process, so their sum with a factor changes whenever one does.
std::uint64_t current_version(ModuleState* state) {
  return version_of(state->watched_dicts[0]) * 0x9e3779b97f4a7c15u + version_of(state->watched_dicts[1]);
}
#endif

bool refresh_reducers(ModuleState* state, std::uint64_t version) {
  PyObject* merged = PyObject_CallNoArgs(state->merge_reducers);
  if (merged == nullptr) return false;
  Py_XSETREF(state->reducers, merged);
  state->reducers_version = version;
  return true;
}

// --- picklers --------------------------------------------------------------------------------------------------------

void drop_pair(PicklerPair* pair) {
  Py_CLEAR(pair->pickler);
  Py_CLEAR(pair->sink);
}

bool take_pair(ModuleState* state, PicklerPair* pair) {
  std::uint64_t version = current_version(state);
  if (state->reducers == nullptr || state->reducers_version != version) {
    if (!refresh_reducers(state, version)) return false;
  }
  if (state->idle_pickler_count > 0) {
    *pair = state->idle_picklers[--state->idle_pickler_count];
  } else {
    pair->sink = new_sink(state);
    if (pair->sink == nullptr) return false;
    pair->pickler = PyObject_CallOneArg(state->new_pickler, pair->sink);
    pair->reducers_version = 0;
    if (pair->pickler == nullptr) {
      drop_pair(pair);
      return false;
    }
  }
  if (pair->reducers_version == version) return true;
  if (PyObject_SetAttr(pair->pickler, state->name_dispatch_table, state->reducers) < 0) {
    drop_pair(pair);
    return false;
  }
  pair->reducers_version = version;
  return true;
}

void give_pair_back(ModuleState* state, PicklerPair pair) {
  empty_sink(pair.sink);
  if (state->idle_pickler_count < most_idle_picklers) {
    state->idle_picklers[state->idle_pickler_count++] = pair;
  } else {
    drop_pair(&pair);
  }
}

bool dump(ModuleState* state, const PicklerPair& pair, PyObject* object) {
  PyObject* done = PyObject_CallMethodOneArg(pair.pickler, state->name_dump, object);
  if (done == nullptr) return false;
  Py_DECREF(done);
  // The memo keeps what was pickled alive, and would refer to it in the next pickle.
  PyObject* cleared = PyObject_CallMethodNoArgs(pair.pickler, state->name_clear_memo);
  Py_XDECREF(cleared);
  return cleared != nullptr;
}

}  // namespace

bool watch_reducers(ModuleState* state) {
  PyObject* copyreg = PyImport_ImportModule("copyreg");
  PyObject* reduction = PyImport_ImportModule("multiprocessing.reduction");
  PyObject* pickler = reduction == nullptr ? nullptr : PyObject_GetAttrString(reduction, "ForkingPickler");
  PyObject* dicts[2] = {copyreg == nullptr ? nullptr : PyObject_GetAttrString(copyreg, "dispatch_table"),
                        pickler == nullptr ? nullptr : PyObject_GetAttrString(pickler, "_extra_reducers")};
  Py_XDECREF(copyreg);
  Py_XDECREF(reduction);
  Py_XDECREF(pickler);
  bool ok = dicts[0] != nullptr && dicts[1] != nullptr && PyDict_Check(dicts[0]) && PyDict_Check(dicts[1]);
#if PY_VERSION_HEX >= 0x030C0000
  if (ok && state->watcher < 0) state->watcher = PyDict_AddWatcher(on_change);
  for (PyObject* dict : dicts) ok = ok && PyDict_Watch(state->watcher, dict) == 0;
  ok = ok && state->watcher >= 0;
#endif
  if (!ok) {
    Py_XDECREF(dicts[0]);
    Py_XDECREF(dicts[1]);
    if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "the tables of reducers are not dicts");
    return false;
  }
  for (int i = 0; i < 2; i++) Py_XSETREF(state->watched_dicts[i], dicts[i]);
  return true;
}

void copy_large(void* destination, const void* source, std::size_t size_bytes) {
  if (size_bytes < release_gil_bytes) {
    memcpy(destination, source, size_bytes);
    return;
  }
  Py_BEGIN_ALLOW_THREADS;
  memcpy(destination, source, size_bytes);
  Py_END_ALLOW_THREADS;
}

// --- encoding --------------------------------------------------------------------------------------------------------

void Encoded::clear() {
  Py_CLEAR(kept_);
  Py_CLEAR(also_kept_);
  PyMem_Free(parts_);
  PyMem_Free(header_);
  parts_ = nullptr;
  header_ = nullptr;
  message_ = Message{};
}

void Encoded::set_single(Tag tag, const void* data, std::size_t size_bytes) {
  single_ = Part{data, size_bytes};
  message_ = Message{static_cast<std::uint8_t>(tag), &single_, 1, size_bytes};
}

void Encoded::set_raw(const void* data, std::size_t size_bytes) { set_single(Tag::raw, data, size_bytes); }

bool Encoded::encode(ModuleState* state, PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  if (type == &PyLong_Type) {
    int overflow = 0;
    long long value = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (overflow == 0) {
      if (value == -1 && PyErr_Occurred()) return false;
      memcpy(&scalar_, &value, sizeof value);
      set_single(Tag::int64, &scalar_, sizeof scalar_);
      return true;
    }
  } else if (type == &PyUnicode_Type) {
    Py_ssize_t size_bytes = 0;
    const char* text = PyUnicode_AsUTF8AndSize(object, &size_bytes);
    if (text != nullptr) {
      kept_ = Py_NewRef(object);
      set_single(Tag::str, text, static_cast<std::size_t>(size_bytes));
      return true;
    }
    if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) return false;
    PyErr_Clear();  // lone surrogates: pickle knows how
  } else if (type == &PyBytes_Type) {
    kept_ = Py_NewRef(object);
    set_single(Tag::bytes, PyBytes_AS_STRING(object), static_cast<std::size_t>(PyBytes_GET_SIZE(object)));
    return true;
  } else if (type == &PyFloat_Type) {
    double value = PyFloat_AS_DOUBLE(object);
    memcpy(&scalar_, &value, sizeof value);
    set_single(Tag::float64, &scalar_, sizeof scalar_);
    return true;
  } else if (object == Py_None) {
    set_single(Tag::none, &scalar_, 0);
    return true;
  } else if (type == &PyBool_Type) {
    set_single(object == Py_True ? Tag::true_value : Tag::false_value, &scalar_, 0);
    return true;
  }
  return encode_pickled(state, object);
}

bool Encoded::encode_pickled(ModuleState* state, PyObject* object) {
  if (state->new_pickler == nullptr) {
    PyErr_SetString(PyExc_RuntimeError, "interproc._core is not installed: import interproc.codec first");
    return false;
  }
  PicklerPair pair;
  if (!take_pair(state, &pair)) return false;
  PyObject* pickle = nullptr;
  PyObject* buffers = nullptr;
  if (dump(state, pair, object) && take_from_sink(pair.sink, &pickle, &buffers)) {
    give_pair_back(state, pair);
    return take_output(pickle, buffers);
  }
  drop_pair(&pair);  // after an error its memo holds half an object

  PyObject *type, *value, *traceback;
  PyErr_Fetch(&type, &value, &traceback);
  PyErr_NormalizeException(&type, &value, &traceback);
  if (traceback != nullptr) PyException_SetTraceback(value, traceback);
  PyObject* by_value = nullptr;
  if (PyErr_GivenExceptionMatches(type, PyExc_Exception)) {
    by_value = PyObject_CallFunctionObjArgs(state->encode_by_value, object, value, nullptr);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
  } else {
    PyErr_Restore(type, value, traceback);  // KeyboardInterrupt, SystemExit
  }
  if (by_value == nullptr) return false;
  bool ok = PyArg_ParseTuple(by_value, "SO!:encode_by_value", &pickle, &PyList_Type, &buffers);
  if (ok) {
    Py_INCREF(pickle);
    Py_INCREF(buffers);
  }
  Py_DECREF(by_value);
  return ok && take_output(pickle, buffers);
}

// Owns the references it is given.
bool Encoded::take_output(PyObject* pickle, PyObject* buffers) {
  kept_ = pickle;
  also_kept_ = buffers;
  if (buffers == nullptr || PyList_GET_SIZE(buffers) == 0) {
    set_single(Tag::pickle, PyBytes_AS_STRING(pickle), static_cast<std::size_t>(PyBytes_GET_SIZE(pickle)));
    return true;
  }
  return lay_out(pickle, buffers);
}

bool Encoded::lay_out(PyObject* pickle, PyObject* buffers) {
  std::size_t count = static_cast<std::size_t>(PyList_GET_SIZE(buffers));
  std::size_t header_bytes = 16 + 16 * count;
  header_ = static_cast<std::uint64_t*>(PyMem_Malloc(header_bytes));
  parts_ = static_cast<Part*>(PyMem_Malloc(sizeof(Part) * (2 + 2 * count)));
  if (header_ == nullptr || parts_ == nullptr) {
    PyErr_NoMemory();
    return false;
  }
  std::size_t pickle_bytes = static_cast<std::size_t>(PyBytes_GET_SIZE(pickle));
  header_[0] = count;
  header_[1] = pickle_bytes;
  parts_[0] = Part{header_, header_bytes};
  parts_[1] = Part{PyBytes_AS_STRING(pickle), pickle_bytes};
  std::size_t size_bytes = header_bytes + pickle_bytes;
  for (std::size_t i = 0; i < count; i++) {
    const Py_buffer* view = PyPickleBuffer_GetBuffer(PyList_GET_ITEM(buffers, static_cast<Py_ssize_t>(i)));
    if (view == nullptr) return false;
    std::size_t buffer_bytes = static_cast<std::size_t>(view->len);
    header_[2 + 2 * i] = buffer_bytes;
    header_[3 + 2 * i] = view->readonly ? 1 : 0;
    parts_[2 + 2 * i] = Part{zeros, padding_after(size_bytes)};
    parts_[3 + 2 * i] = Part{view->buf, buffer_bytes};
    size_bytes += padding_after(size_bytes) + buffer_bytes;
  }
  message_ = Message{static_cast<std::uint8_t>(Tag::pickle_with_buffers), parts_, 2 + 2 * count, size_bytes};
  return true;
}

// --- decoding --------------------------------------------------------------------------------------------------------

namespace {

PyObject* damaged(const char* what, std::size_t found) {
  PyErr_Format(PyExc_OSError, "a message in shared memory is damaged: %s is %zu", what, found);
  return nullptr;
}

PyObject* load(ModuleState* state, PyObject* data, PyObject* buffers) {
  if (data == nullptr) return nullptr;
  PyObject* arguments[] = {nullptr, data, buffers};
  std::size_t count = 1 | PY_VECTORCALL_ARGUMENTS_OFFSET;
  PyObject* keywords = buffers == nullptr ? nullptr : state->keyword_buffers;
  PyObject* object = PyObject_Vectorcall(state->loads, arguments + 1, count, keywords);
  Py_DECREF(data);
  return object;
}

// Small pickles are copied into bytes, which costs less than a memoryview; large ones are read where they lie.
PyObject* pickle_data(const std::uint8_t* data, std::size_t size_bytes) {
  constexpr std::size_t worth_a_view = 4096;
  const char* start = reinterpret_cast<const char*>(data);
  if (size_bytes < worth_a_view) return PyBytes_FromStringAndSize(start, static_cast<Py_ssize_t>(size_bytes));
  return PyMemoryView_FromMemory(const_cast<char*>(start), static_cast<Py_ssize_t>(size_bytes), PyBUF_READ);
}

PyObject* decode_with_buffers(ModuleState* state, const std::uint8_t* data, std::size_t size_bytes) {
  std::uint64_t fixed[2];
  if (size_bytes < sizeof fixed) return damaged("its length", size_bytes);
  memcpy(fixed, data, sizeof fixed);
  std::uint64_t count = fixed[0];
  if (count > (size_bytes - sizeof fixed) / 16) return damaged("its number of buffers", count);
  std::size_t at = sizeof fixed + 16 * count;
  if (fixed[1] > size_bytes - at) return damaged("the length of its pickle", fixed[1]);
  const std::uint8_t* pickle = data + at;
  at += fixed[1];
  PyObject* buffers = PyList_New(static_cast<Py_ssize_t>(count));
  if (buffers == nullptr) return nullptr;
  for (std::uint64_t i = 0; i < count; i++) {
    std::uint64_t entry[2];
    memcpy(entry, data + sizeof fixed + 16 * i, sizeof entry);
    at += padding_after(at);
    std::uint8_t* memory = nullptr;
    PyObject* buffer = nullptr;
    if (at > size_bytes || entry[0] > size_bytes - at) {
      damaged("the length of a buffer", entry[0]);
    } else {
      buffer = new_buffer(state, entry[0], entry[1] != 0, &memory);
    }
    if (buffer == nullptr) {
      Py_DECREF(buffers);
      return nullptr;
    }
    copy_large(memory, data + at, entry[0]);
    at += entry[0];
    PyList_SET_ITEM(buffers, static_cast<Py_ssize_t>(i), buffer);
  }
  PyObject* object = load(state, pickle_data(pickle, fixed[1]), buffers);
  Py_DECREF(buffers);
  return object;
}

PyObject* bytes_from(const std::uint8_t* data, std::size_t size_bytes) {
  PyObject* bytes = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(size_bytes));
  if (bytes != nullptr) copy_large(PyBytes_AS_STRING(bytes), data, size_bytes);
  return bytes;
}

}  // namespace

PyObject* decode(ModuleState* state, std::uint8_t tag, const std::uint8_t* data, std::size_t size_bytes) {
  switch (static_cast<Tag>(tag)) {
    case Tag::int64: {
      long long value = 0;
      if (size_bytes != sizeof value) return damaged("the length of an int", size_bytes);
      memcpy(&value, data, sizeof value);
      return PyLong_FromLongLong(value);
    }
    case Tag::str:
      return PyUnicode_DecodeUTF8(reinterpret_cast<const char*>(data), static_cast<Py_ssize_t>(size_bytes), nullptr);
    case Tag::bytes:
      return bytes_from(data, size_bytes);
    case Tag::float64: {
      double value = 0;
      if (size_bytes != sizeof value) return damaged("the length of a float", size_bytes);
      memcpy(&value, data, sizeof value);
      return PyFloat_FromDouble(value);
    }
    case Tag::none:
      Py_RETURN_NONE;
    case Tag::true_value:
      Py_RETURN_TRUE;
    case Tag::false_value:
      Py_RETURN_FALSE;
    case Tag::pickle:
    case Tag::raw:
      return load(state, pickle_data(data, size_bytes), nullptr);
    case Tag::pickle_with_buffers:
      return decode_with_buffers(state, data, size_bytes);
  }
  return damaged("its tag", tag);
}

PyObject* decode_to_bytes(ModuleState* state, std::uint8_t tag, const std::uint8_t* data, std::size_t size_bytes) {
  auto kind = static_cast<Tag>(tag);
  if (kind == Tag::raw || kind == Tag::pickle) return bytes_from(data, size_bytes);
  PyObject* object = decode(state, tag, data, size_bytes);
  if (object == nullptr) return nullptr;
  PyObject* bytes = PyObject_CallOneArg(state->dumps, object);
  Py_DECREF(object);
  return bytes;
}

}  // namespace interproc::binding
