// Putting into a queue and taking out of it.
#include "arguments.hpp"
#include "queue_object.hpp"

namespace interproc::binding {

namespace {

PyObject* put_one(PyObject* self, PyObject* object, std::uint64_t deadline_ns) {
  QueueStay stay(as_queue(self));
  if (!stay) return raise_closed(self);
  Encoder encoder(*as_queue(self)->state, as_queue(self)->line.channel());
  Message message;
  Payload payload;
  if (!encoder.encode(object, &message, &payload)) return nullptr;
  if (!encoder.complete(&message, &payload, 1)) return nullptr;
  if (as_queue(self)->uses.is_closed()) return raise_closed(self);  // by the code that encoding ran
  if (!as_queue(self)->line.put(message, deadline_ns)) return nullptr;
  encoder.confirm(1);
  Py_RETURN_NONE;
}

PyObject* get_one(PyObject* self, std::uint64_t deadline_ns) {
  QueueStay stay(as_queue(self));
  return stay ? as_queue(self)->line.get(deadline_ns) : raise_closed(self);
}

}  // namespace

PyObject* put(PyObject* self, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords) {
  static constexpr Signature signature{"put", 1, 3, {"obj", "block", "timeout"}};
  PyObject* values[3] = {};
  std::uint64_t deadline_ns = no_deadline;
  if (!parse(signature, arguments, positional, keywords, values)) return nullptr;
  if (!deadline_of(values[1], values[2], &deadline_ns)) return nullptr;
  return put_one(self, values[0], deadline_ns);
}

PyObject* get(PyObject* self, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords) {
  static constexpr Signature signature{"get", 0, 2, {"block", "timeout"}};
  PyObject* values[2] = {};
  std::uint64_t deadline_ns = no_deadline;
  if (!parse(signature, arguments, positional, keywords, values)) return nullptr;
  if (!deadline_of(values[0], values[1], &deadline_ns)) return nullptr;
  return get_one(self, deadline_ns);
}

PyObject* put_nowait(PyObject* self, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords) {
  static constexpr Signature signature{"put_nowait", 1, 1, {"obj"}};
  PyObject* values[1] = {};
  return parse(signature, arguments, positional, keywords, values) ? put_one(self, values[0], 0) : nullptr;
}

PyObject* get_nowait(PyObject* self, PyObject*) { return get_one(self, 0); }

PyObject* put_many(PyObject* self, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords) {
  static constexpr Signature signature{"put_many", 1, 3, {"iterable", "block", "timeout"}};
  PyObject* values[3] = {};
  std::uint64_t deadline_ns = no_deadline;
  if (!parse(signature, arguments, positional, keywords, values)) return nullptr;
  if (!deadline_of(values[1], values[2], &deadline_ns)) return nullptr;
  QueueStay stay(as_queue(self));
  return stay ? as_queue(self)->line.put_many(values[0], deadline_ns) : raise_closed(self);
}

PyObject* get_many(PyObject* self, PyObject* const* arguments, Py_ssize_t positional, PyObject* keywords) {
  static constexpr Signature signature{"get_many", 1, 3, {"max_items", "block", "timeout"}};
  PyObject* values[3] = {};
  std::uint64_t deadline_ns = no_deadline;
  Py_ssize_t max_items = 0;
  if (!parse(signature, arguments, positional, keywords, values)) return nullptr;
  if (!at_least_one("max_items", values[0], &max_items)) return nullptr;
  if (!deadline_of(values[1], values[2], &deadline_ns)) return nullptr;
  QueueStay stay(as_queue(self));
  return stay ? as_queue(self)->line.get_many(max_items, deadline_ns) : raise_closed(self);
}

}  // namespace interproc::binding
