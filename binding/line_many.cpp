// Batches: one turn of the core's lock, and of the GIL, for many messages.
#include "errors.hpp"
#include "line.hpp"

namespace interproc::binding {

namespace {

constexpr std::size_t most_messages = 64;
constexpr std::size_t most_batch_bytes = 256 * 1024;
constexpr std::size_t receive_bytes = 32 * 1024;

// Messages made of the next objects of an iterable.
class Batch {
 public:
  Batch(State& state, Channel* channel) : encoder_(state, channel) {}

  // Encodes until the batch is full, the iterable ends or something raises. True: there may be more.
  bool fill(PyObject* iterator) {
    std::size_t size_bytes = 0;
    while (count_ < most_messages && size_bytes < most_batch_bytes) {
      Ref object(PyIter_Next(iterator));
      if (!object || !encoder_.encode(object.get(), &messages_[count_], &payloads_[count_])) return false;
      size_bytes += messages_[count_].size_bytes;
      objects_[count_++] = std::move(object);
    }
    return true;
  }
  // nullptr with an exception raised.
  const Message* complete() { return encoder_.complete(messages_, payloads_, count_) ? messages_ : nullptr; }
  void confirm(std::size_t count) { encoder_.confirm(count); }
  std::size_t count() const { return count_; }
  void clear() {
    encoder_.forget();
    for (std::size_t i = 0; i < count_; i++) {
      payloads_[i].owner = Ref();
      payloads_[i].array.release();
      objects_[i] = Ref();
    }
    count_ = 0;
  }

 private:
  Encoder encoder_;
  Message messages_[most_messages];
  Payload payloads_[most_messages];
  Ref objects_[most_messages];
  std::size_t count_ = 0;
};

// Says in the exception that is being raised how many objects went in before.
void add_count(std::size_t count) {
  Ref error = take_raised();
  Ref number(PyLong_FromSize_t(count));
  if (!number || PyObject_SetAttrString(error.get(), "count", number.get()) != 0) {
    PyErr_Clear();  // an exception of the user's that takes no attributes: itself matters more
  }
  raise_again(std::move(error));
}

}  // namespace

// --- putting ---------------------------------------------------------------------------------------------------------

PyObject* Line::put_many(PyObject* iterable, std::uint64_t deadline_ns) {
  std::size_t total = 0;
  Ref iterator(PyObject_GetIter(iterable));
  Batch batch(*state_, channel_.get());
  bool more = static_cast<bool>(iterator);
  while (more) {
    more = batch.fill(iterator.get());
    Ref error = take_raised();
    bool ended = false;
    std::size_t done = 0;
    bool all = batch.count() == 0;
    if (!all && look_(self_, &ended)) {
      const Message* messages = batch.complete();
      all = messages != nullptr && put_batch(messages, batch.count(), deadline_ns, &done);
      batch.confirm(done);
    }
    total += done;
    if (!all) break;
    batch.clear();
    if (error) raise_again(std::move(error));
  }
  if (!PyErr_Occurred()) Py_RETURN_NONE;
  add_count(total);
  return nullptr;
}

bool Line::put_batch(const Message* messages, std::size_t count, std::uint64_t deadline_ns, std::size_t* done) {
  std::size_t size_bytes = 0;
  for (std::size_t i = 0; i < count; i++) size_bytes += messages[i].size_bytes;
  bool with_gil = size_bytes <= most_bytes_with_gil;
  while (*done < count) {
    std::size_t placed = 0;
    Fault fault;
    Status status = Status::ok;
    if (with_gil) {
      status = channel_->put_many(messages + *done, count - *done, Wait{0, false}, &placed, &fault);
    } else {
      Unlocked unlocked;
      status = channel_->put_many(messages + *done, count - *done, Wait{deadline_ns}, &placed, &fault);
    }
    *done += placed;
    switch (status) {
      case Status::ok:
        break;
      case Status::timed_out:
        if (!with_gil || deadline_ns == 0) return raise_late(full_, false);
        with_gil = false;
        break;
      case Status::lock_busy:  // who holds it may be stopped, and the other threads need the GIL
        with_gil = false;
        break;
      case Status::interrupted:
        break;
      case Status::too_large:
        if (!put(messages[*done], deadline_ns)) return false;
        ++*done;
        break;
      default:
        raise(*state_, status, fault);
        return false;
    }
    if (*done == count) break;
    bool ended = false;
    if (PyErr_CheckSignals() != 0 || !look_(self_, &ended)) return false;
  }
  return true;
}

// --- taking ----------------------------------------------------------------------------------------------------------

PyObject* Line::get_many(Py_ssize_t max_items, std::uint64_t deadline_ns) {
  Ref list(PyList_New(0));
  if (!list) return nullptr;
  if (!leftover_.is_empty()) {
    leftover_.check_process();
    PyObject* object = nullptr;
    while (PyList_GET_SIZE(list.get()) < max_items && leftover_.pop_object(&object)) {
      Ref owned(object);
      if (PyList_Append(list.get(), object) != 0) return nullptr;
    }
    if (PyList_GET_SIZE(list.get()) > 0) return list.release();
    if (leftover_.pop(&object)) return object;  // nullptr: an exception
    if (!leftover_.is_empty()) {
      object = get(deadline_ns);
      if (object == nullptr || PyList_Append(list.get(), object) != 0) return nullptr;
      Py_DECREF(object);
      return list.release();
    }
  }

  std::uint8_t buffer[receive_bytes];
  Received received[most_messages];
  for (;;) {
    auto left = static_cast<std::size_t>(max_items - PyList_GET_SIZE(list.get()));
    std::size_t limit = left < most_messages ? left : most_messages;
    std::size_t count = 0;
    Fault fault;
    Status status = channel_->get_many(received, limit, buffer, sizeof buffer, Wait{0, false}, &count, &fault);
    bool is_first = PyList_GET_SIZE(list.get()) == 0;
    if (status == Status::timed_out && deadline_ns != 0) status = Status::empty;
    if (is_first && !await(received, limit, buffer, sizeof buffer, deadline_ns, status, fault, &count)) return nullptr;
    if (!is_first && status != Status::ok) return list.release();  // whatever it is, the next call meets it too
    if (!decode_batch(list.get(), received, count, deadline_ns)) return nullptr;
    bool waits = PyList_GET_SIZE(list.get()) == 0;  // what came was a message whose producer gave up
    if (!waits && (PyList_GET_SIZE(list.get()) >= max_items || !leftover_.is_empty())) return list.release();
  }
}

bool Line::decode_batch(PyObject* list, const Received* received, std::size_t count, std::uint64_t deadline_ns) {
  for (std::size_t i = 0; i < count; i++) {
    if (received[i].stream && PyList_GET_SIZE(list) > 0) {  // takes its time: what is here goes first
      leave_over(nullptr, received + i, 1);
      return !PyErr_Occurred();
    }
    PyObject* object = received[i].stream ? decode_last(received[i], deadline_ns) : decode_one(received[i]);
    if (object == nullptr && !PyErr_Occurred()) continue;
    if (object != nullptr && PyList_Append(list, object) == 0) {
      Py_DECREF(object);
      continue;
    }
    Py_XDECREF(object);
    Ref error = take_raised();
    leave_over(list, received + i + 1, count - i - 1);
    raise_again(std::move(error));
    return false;
  }
  return true;
}

PyObject* Line::decode_one(const Received& received) {
  Taken taken;
  taken.hold(channel_.get(), received);
  return decode(*state_, taken);
}

// A message in pieces. nullptr without an exception: its producer gave up.
PyObject* Line::decode_last(const Received& received, std::uint64_t deadline_ns) {
  auto arrival = std::make_unique<Arrival>();
  arrival->received = received;
  Taken taken;
  Progress progress = finish_arrival(std::move(arrival), &taken, deadline_ns);
  return progress == Progress::arrived ? decode(*state_, taken) : nullptr;
}

// Keeps the objects of `list` and what decoding the messages gives. No exception is set before; MemoryError may be after.
void Line::leave_over(PyObject* list, const Received* received, std::size_t count) {
  for (Py_ssize_t i = 0; list != nullptr && i < PyList_GET_SIZE(list); i++) {
    if (!leftover_.push(Py_NewRef(PyList_GET_ITEM(list, i)), false)) return;
  }
  for (std::size_t i = 0; i < count; i++) {
    if (received[i].stream) {
      auto arrival = std::make_unique<Arrival>();
      arrival->received = received[i];
      leftover_.push_arrival(arrival.release());
      continue;
    }
    PyObject* object = decode_one(received[i]);
    bool is_exception = object == nullptr;
    if (is_exception) object = take_raised().release();
    if (!leftover_.push(object, is_exception)) return;
  }
  keep_readable();
}

}  // namespace interproc::binding
