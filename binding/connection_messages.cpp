// Sending and receiving over a connection.
#include "arguments.hpp"
#include "connection_object.hpp"
#include "errors.hpp"

namespace interproc::binding {

namespace {

// An exported buffer.
class View {
 public:
  View(PyObject* object, int flags) : is_held_(PyObject_GetBuffer(object, &view_, flags) == 0) {}
  ~View() {
    if (is_held_) PyBuffer_Release(&view_);
  }
  View(const View&) = delete;
  View& operator=(const View&) = delete;
  explicit operator bool() const { return is_held_; }
  char* data() const { return static_cast<char*>(view_.buf); }
  Py_ssize_t size() const { return view_.len; }

 private:
  Py_buffer view_;
  bool is_held_;
};

bool raise_value_error(const char* text) {
  PyErr_SetString(PyExc_ValueError, text);
  return false;
}

bool check_part(Py_ssize_t length, Py_ssize_t offset, bool has_size, Py_ssize_t* size) {
  if (offset < 0) return raise_value_error("offset is negative");
  if (length < offset) return raise_value_error("buffer length < offset");
  if (!has_size) *size = length - offset;
  if (*size < 0) return raise_value_error("size is negative");
  if (*size > length - offset) return raise_value_error("buffer length < offset + size");
  return true;
}

bool receive_flat(PyObject* self, Line* line, std::uint64_t deadline_ns, Taken* taken, Flat* flat) {
  State& state = *as_connection(self)->state;
  PyObject* left_over = nullptr;
  if (!line->pop(&left_over)) return line->take(taken, deadline_ns) && flatten(state, *taken, flat);
  Ref object(left_over);
  return object && flatten(state, object.get(), flat);
}

// What recv_bytes() and recv_view() have in common; arguments `maxlength` and `timeout`.
bool receive_bytes(PyObject* self, const ConnectionStay& stay, const Signature& signature, PyObject* const* arguments,
                   Py_ssize_t positional, PyObject* keywords, Taken* taken, Flat* flat) {
  PyObject* values[2] = {};
  Py_ssize_t most_bytes = PY_SSIZE_T_MAX;
  std::uint64_t deadline_ns = no_deadline;
  if (!parse(signature, arguments, positional, keywords, values)) return false;
  if (!optional_size(values[0], &most_bytes) || !deadline_after(values[1], &deadline_ns)) return false;
  Line* line = line_to_receive(self, stay);
  if (line == nullptr) return false;
  if (most_bytes < 0) return raise_value_error("negative maxlength");
  if (!receive_flat(self, line, deadline_ns, taken, flat)) return false;
  if (flat->length <= static_cast<std::size_t>(most_bytes)) return true;
  PyErr_Format(PyExc_OSError, "bad message length: %zu bytes came, maxlength is %zd", flat->length, most_bytes);
  return false;
}

}  // namespace

// --- sending ---------------------------------------------------------------------------------------------------------

PyObject* send(PyObject* self, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords) {
  static constexpr Signature signature{"send", 1, 2, {"obj", "timeout"}};
  PyObject* values[2] = {};
  std::uint64_t deadline_ns = no_deadline;
  if (!parse(signature, arguments, positional, keywords, values)) return nullptr;
  if (!deadline_after(values[1], &deadline_ns)) return nullptr;
  ConnectionStay stay(as_connection(self));
  if (line_to_send(self, stay) == nullptr) return nullptr;
  Encoder encoder(*as_connection(self)->state, as_connection(self)->sending.channel());
  Message message;
  Payload payload;
  if (!encoder.encode(values[0], &message, &payload)) return nullptr;
  if (!encoder.complete(&message, &payload, 1)) return nullptr;
  if (!as_connection(self)->send(message, deadline_ns)) return nullptr;
  encoder.confirm(1);
  Py_RETURN_NONE;
}

PyObject* send_many(PyObject* self, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords) {
  static constexpr Signature signature{"send_many", 1, 2, {"iterable", "timeout"}};
  PyObject* values[2] = {};
  std::uint64_t deadline_ns = no_deadline;
  if (!parse(signature, arguments, positional, keywords, values)) return nullptr;
  if (!deadline_after(values[1], &deadline_ns)) return nullptr;
  ConnectionStay stay(as_connection(self));
  Line* line = line_to_send(self, stay);
  return line != nullptr ? line->put_many(values[0], deadline_ns) : nullptr;
}

PyObject* send_bytes(PyObject* self, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords) {
  static constexpr Signature signature{"send_bytes", 1, 4, {"buf", "offset", "size", "timeout"}};
  PyObject* values[4] = {};
  Py_ssize_t offset = 0;
  Py_ssize_t size = 0;
  std::uint64_t deadline_ns = no_deadline;
  if (!parse(signature, arguments, positional, keywords, values)) return nullptr;
  if (!optional_size(values[1], &offset) || !optional_size(values[2], &size)) return nullptr;
  if (!deadline_after(values[3], &deadline_ns)) return nullptr;
  ConnectionStay stay(as_connection(self));
  if (line_to_send(self, stay) == nullptr) return nullptr;
  View view(values[0], PyBUF_SIMPLE);
  bool has_size = values[2] != nullptr && values[2] != Py_None;
  if (!view || !check_part(view.size(), offset, has_size, &size)) return nullptr;
  Part part{view.data() + offset, static_cast<std::size_t>(size)};
  Message message{static_cast<std::uint8_t>(Codec::raw), &part, 1, part.size_bytes};
  if (!as_connection(self)->send(message, deadline_ns)) return nullptr;
  Py_RETURN_NONE;
}

// --- receiving -------------------------------------------------------------------------------------------------------

PyObject* recv(PyObject* self, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords) {
  static constexpr Signature signature{"recv", 0, 1, {"timeout"}};
  PyObject* values[1] = {};
  std::uint64_t deadline_ns = no_deadline;
  if (!parse(signature, arguments, positional, keywords, values)) return nullptr;
  if (!deadline_after(values[0], &deadline_ns)) return nullptr;
  ConnectionStay stay(as_connection(self));
  Line* line = line_to_receive(self, stay);
  return line != nullptr ? line->get(deadline_ns) : nullptr;
}

PyObject* recv_many(PyObject* self, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords) {
  static constexpr Signature signature{"recv_many", 1, 2, {"max_items", "timeout"}};
  PyObject* values[2] = {};
  Py_ssize_t max_items = 0;
  std::uint64_t deadline_ns = no_deadline;
  if (!parse(signature, arguments, positional, keywords, values)) return nullptr;
  if (!at_least_one("max_items", values[0], &max_items)) return nullptr;
  if (!deadline_after(values[1], &deadline_ns)) return nullptr;
  ConnectionStay stay(as_connection(self));
  Line* line = line_to_receive(self, stay);
  return line != nullptr ? line->get_many(max_items, deadline_ns) : nullptr;
}

PyObject* recv_bytes(PyObject* self, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords) {
  static constexpr Signature signature{"recv_bytes", 0, 2, {"maxlength", "timeout"}};
  ConnectionStay stay(as_connection(self));
  Taken taken;
  Flat flat;
  bool came = receive_bytes(self, stay, signature, arguments, positional, keywords, &taken, &flat);
  return came ? flat.to_bytes() : nullptr;
}

PyObject* recv_view(PyObject* self, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords) {
  static constexpr Signature signature{"recv_view", 0, 2, {"maxlength", "timeout"}};
  ConnectionStay stay(as_connection(self));
  Taken taken;
  taken.wants_memory = true;
  Flat flat;
  if (!receive_bytes(self, stay, signature, arguments, positional, keywords, &taken, &flat)) return nullptr;
  const State& state = *as_connection(self)->state;
  Ref buffer;
  bool is_part = flat.data == taken.data && !flat.bytes;
  if (is_part && flat.length >= least_bytes_to_view && taken.keep()) {
    buffer = Ref(make_buffer(state, taken.memory, taken.own, flat.length, false));
  } else {
    std::shared_ptr<Memory> memory = Memory::make(flat.length);
    if (memory == nullptr) return nullptr;
    copy_bytes(memory->data(), flat.data, flat.length);
    std::uint8_t* data = memory->data();
    buffer = Ref(make_buffer(state, std::move(memory), data, flat.length, false));
  }
  return buffer ? PyMemoryView_FromObject(buffer.get()) : nullptr;
}

PyObject* recv_bytes_into(PyObject* self, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords) {
  static constexpr Signature signature{"recv_bytes_into", 1, 3, {"buf", "offset", "timeout"}};
  PyObject* values[3] = {};
  Py_ssize_t offset = 0;
  std::uint64_t deadline_ns = no_deadline;
  if (!parse(signature, arguments, positional, keywords, values)) return nullptr;
  if (!optional_size(values[1], &offset) || !deadline_after(values[2], &deadline_ns)) return nullptr;
  ConnectionStay stay(as_connection(self));
  Line* line = line_to_receive(self, stay);
  if (line == nullptr) return nullptr;
  View view(values[0], PyBUF_WRITABLE);
  if (!view) {
    if (PyErr_ExceptionMatches(PyExc_BufferError)) {
      PyErr_Format(PyExc_TypeError,
                   "recv_bytes_into() needs a contiguous buffer that it can write into, not this '%.200s'",
                   Py_TYPE(values[0])->tp_name);
    }
    return nullptr;
  }
  if (offset < 0 || offset > view.size()) {
    raise_value_error(offset < 0 ? "negative offset" : "offset too large");
    return nullptr;
  }
  Taken taken;
  taken.destination = reinterpret_cast<std::uint8_t*>(view.data()) + offset;
  taken.destination_bytes = static_cast<std::size_t>(view.size() - offset);
  Flat flat;
  if (!receive_flat(self, line, deadline_ns, &taken, &flat)) return nullptr;
  if (flat.length > static_cast<std::size_t>(view.size() - offset)) {
    Ref message(flat.to_bytes());
    if (message) PyErr_SetObject(as_connection(self)->state->hook(Hook::BufferTooShort), message.get());
    return nullptr;
  }
  if (flat.data != taken.destination) copy_bytes(taken.destination, flat.data, flat.length);
  return PyLong_FromSize_t(flat.length);
}

}  // namespace interproc::binding
