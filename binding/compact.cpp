#include "compact.hpp"

#include <string.h>

#include "errors.hpp"

namespace interproc::binding {

namespace {

enum class Kind : std::uint8_t { none, yes, no, integer, real, ascii, text, bytes, tuple, list, dict };

constexpr int most_levels = 8;
constexpr Py_ssize_t most_items = UINT8_MAX;
constexpr std::size_t longest_content = UINT16_MAX;

class Writer {
 public:
  Writer(std::uint8_t* destination, std::size_t capacity)
      : start_(destination), at_(destination), end_(destination + capacity) {}

  std::size_t written() const { return static_cast<std::size_t>(at_ - start_); }

  bool container(PyObject* object, int level) {
    if (PyTuple_CheckExact(object)) {
      return sequence(Kind::tuple, object, PyTuple_GET_SIZE(object), level,
                      [](PyObject* tuple, Py_ssize_t i) { return PyTuple_GET_ITEM(tuple, i); });
    }
    if (PyList_CheckExact(object)) {
      return sequence(Kind::list, object, PyList_GET_SIZE(object), level,
                      [](PyObject* list, Py_ssize_t i) { return PyList_GET_ITEM(list, i); });
    }
    if (!PyDict_CheckExact(object) || !head(Kind::dict, PyDict_GET_SIZE(object))) return false;
    Py_ssize_t position = 0;
    PyObject* key = nullptr;
    PyObject* value = nullptr;
    while (PyDict_Next(object, &position, &key, &value)) {
      if (!item(key, level) || !item(value, level)) return false;
    }
    return true;
  }

 private:
  template <typename ItemAt>
  bool sequence(Kind kind, PyObject* object, Py_ssize_t count, int level, ItemAt item_at) {
    if (!head(kind, count)) return false;
    for (Py_ssize_t i = 0; i < count; i++) {
      if (!item(item_at(object, i), level)) return false;
    }
    return true;
  }

  bool item(PyObject* object, int level) {
    PyTypeObject* type = Py_TYPE(object);
    if (type == &PyUnicode_Type) return text(object);
    if (type == &PyLong_Type) {
      int overflow = 0;
      long long value = PyLong_AsLongLongAndOverflow(object, &overflow);
      return overflow == 0 && number(Kind::integer, &value);
    }
    if (type == &PyFloat_Type) {
      double value = PyFloat_AS_DOUBLE(object);
      return number(Kind::real, &value);
    }
    if (object == Py_None) return kind(Kind::none);
    if (type == &PyBool_Type) return kind(object == Py_True ? Kind::yes : Kind::no);
    if (type == &PyBytes_Type) return content(Kind::bytes, PyBytes_AS_STRING(object), PyBytes_GET_SIZE(object));
    bool is_only_here = Py_REFCNT(object) == 1 || (type == &PyTuple_Type && PyTuple_GET_SIZE(object) == 0);
    return is_only_here && level < most_levels && container(object, level + 1);
  }

  bool text(PyObject* object) {
    if (PyUnicode_IS_COMPACT_ASCII(object)) {
      return content(Kind::ascii, PyUnicode_DATA(object), PyUnicode_GET_LENGTH(object));
    }
    Ref utf8(PyUnicode_AsUTF8String(object));
    if (utf8) return content(Kind::text, PyBytes_AS_STRING(utf8.get()), PyBytes_GET_SIZE(utf8.get()));
    PyErr_Clear();  // surrogates, which a pickle can carry, or out of memory, which it will meet too
    return false;
  }

  bool kind(Kind value) {
    if (at_ == end_) return false;
    *at_++ = static_cast<std::uint8_t>(value);
    return true;
  }
  bool head(Kind value, Py_ssize_t count) {
    if (count > most_items || end_ - at_ < 2) return false;
    *at_++ = static_cast<std::uint8_t>(value);
    *at_++ = static_cast<std::uint8_t>(count);
    return true;
  }
  bool number(Kind value, const void* eight_bytes) {
    if (end_ - at_ < 9) return false;
    *at_++ = static_cast<std::uint8_t>(value);
    memcpy(at_, eight_bytes, 8);
    at_ += 8;
    return true;
  }
  bool content(Kind value, const void* data, Py_ssize_t size) {
    auto size_bytes = static_cast<std::size_t>(size);
    if (size_bytes > longest_content || size_bytes + 3 > static_cast<std::size_t>(end_ - at_)) return false;
    auto length = static_cast<std::uint16_t>(size_bytes);
    *at_++ = static_cast<std::uint8_t>(value);
    memcpy(at_, &length, sizeof length);
    memcpy(at_ + sizeof length, data, size_bytes);
    at_ += sizeof length + size_bytes;
    return true;
  }

  std::uint8_t* start_;
  std::uint8_t* at_;
  std::uint8_t* end_;
};

class Reader {
 public:
  Reader(const State& state, const std::uint8_t* data, std::size_t length)
      : state_(state), at_(data), end_(data + length) {}

  bool is_at_end() const { return at_ == end_; }

  PyObject* item(int level) {
    if (is_at_end()) return damaged("length of a container", 0, 1);
    auto kind = static_cast<Kind>(*at_++);
    switch (kind) {
      case Kind::none:
        Py_RETURN_NONE;
      case Kind::yes:
        Py_RETURN_TRUE;
      case Kind::no:
        Py_RETURN_FALSE;
      case Kind::integer: {
        long long value = 0;
        return take(&value, sizeof value) ? PyLong_FromLongLong(value) : nullptr;
      }
      case Kind::real: {
        double value = 0;
        return take(&value, sizeof value) ? PyFloat_FromDouble(value) : nullptr;
      }
      case Kind::ascii:
      case Kind::text:
      case Kind::bytes:
        return content(kind);
      case Kind::tuple:
      case Kind::list:
      case Kind::dict:
        if (level < most_levels) return container(kind, level + 1);
        break;
    }
    return damaged("kind of an item", static_cast<std::uint64_t>(kind), static_cast<std::uint64_t>(Kind::dict));
  }

 private:
  PyObject* damaged(const char* what, std::uint64_t found, std::uint64_t expected) {
    return raise_damaged(state_, what, found, expected);
  }

  bool take(void* destination, std::size_t size_bytes) {
    if (static_cast<std::size_t>(end_ - at_) < size_bytes) {
      damaged("length of an item", static_cast<std::uint64_t>(end_ - at_), size_bytes);
      return false;
    }
    memcpy(destination, at_, size_bytes);
    at_ += size_bytes;
    return true;
  }

  PyObject* content(Kind kind) {
    std::uint16_t length = 0;
    if (!take(&length, sizeof length)) return nullptr;
    if (end_ - at_ < length) return damaged("length of a text", static_cast<std::uint64_t>(end_ - at_), length);
    const char* text = reinterpret_cast<const char*>(at_);
    at_ += length;
    if (kind == Kind::bytes) return PyBytes_FromStringAndSize(text, length);
    if (kind == Kind::text) return PyUnicode_DecodeUTF8(text, length, nullptr);
    return PyUnicode_DecodeASCII(text, length, nullptr);
  }

  PyObject* container(Kind kind, int level) {
    std::uint8_t count = 0;
    if (!take(&count, sizeof count)) return nullptr;
    if (kind == Kind::dict) return dict(count, level);
    Ref items(kind == Kind::tuple ? PyTuple_New(count) : PyList_New(count));
    for (Py_ssize_t i = 0; items && i < count; i++) {
      PyObject* value = item(level);
      if (value == nullptr) return nullptr;
      if (kind == Kind::tuple) {
        PyTuple_SET_ITEM(items.get(), i, value);
      } else {
        PyList_SET_ITEM(items.get(), i, value);
      }
    }
    return items.release();
  }

  PyObject* dict(std::uint8_t count, int level) {
    Ref items(PyDict_New());
    for (int i = 0; items && i < count; i++) {
      Ref key(item(level));
      Ref value(key ? item(level) : nullptr);
      if (!value || PyDict_SetItem(items.get(), key.get(), value.get()) != 0) return nullptr;
    }
    return items.release();
  }

  const State& state_;
  const std::uint8_t* at_;
  const std::uint8_t* end_;
};

}  // namespace

std::size_t write_compact(PyObject* object, std::uint8_t* destination, std::size_t capacity) {
#ifdef Py_GIL_DISABLED
  return 0;  // other threads may change the containers meanwhile
#else
  Writer writer(destination, capacity);
  return writer.container(object, 1) ? writer.written() : 0;
#endif
}

PyObject* read_compact(const State& state, const std::uint8_t* data, std::size_t length) {
  Reader reader(state, data, length);
  Ref object(reader.item(0));
  if (object && !reader.is_at_end()) return raise_damaged(state, "end of a container", length, 0);
  return object.release();
}

}  // namespace interproc::binding
