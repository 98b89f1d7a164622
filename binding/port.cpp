#include "port.hpp"

#include <math.h>

#include <new>

#include "errors.hpp"
#include "platform/platform.hpp"

namespace interproc::binding {

namespace {
constexpr std::size_t batch_messages = 64;
constexpr std::size_t batch_bytes = 64 * 1024;
}  // namespace

bool deadline_from(PyObject* timeout, std::uint64_t* deadline_ns) {
  *deadline_ns = no_deadline;
  if (timeout == nullptr || timeout == Py_None) return true;
  double seconds = PyFloat_AsDouble(timeout);
  if (seconds == -1.0 && PyErr_Occurred()) return false;
  if (isnan(seconds)) {
    PyErr_SetString(PyExc_ValueError, "timeout must be a number of seconds, not NaN");
    return false;
  }
  constexpr double longest_seconds = 1e9;  // 30 years
  if (seconds > longest_seconds) return true;
  *deadline_ns = seconds <= 0 ? 0 : platform::monotonic_ns() + static_cast<std::uint64_t>(seconds * 1e9);
  return true;
}

bool Port::open(ModuleState* state, std::shared_ptr<Segment> segment, std::uint32_t index) {
  state_ = state;
  auto* channel = new (std::nothrow) Channel(std::move(segment), index);
  if (channel == nullptr) {
    PyErr_NoMemory();
    return false;
  }
  channel_.reset(channel);
  Fault fault;
  Status status = channel->check(&fault);
  if (status == Status::ok) return true;
  channel_.reset();
  raise_fault(state, status, fault);
  return false;
}

void Port::close() {
  Py_CLEAR(pending_);
  if (busy_ > 0) {
    closing_ = true;
    channel_->wake_all();
  } else {
    channel_.reset();
  }
}

int Port::traverse(visitproc visit, void* arg) const {
  Py_VISIT(pending_);
  return 0;
}

std::uint64_t Port::size() const {
  std::uint64_t waiting = channel_->size();
  return pending_ == nullptr ? waiting : waiting + static_cast<std::uint64_t>(PyList_GET_SIZE(pending_));
}

Status Port::fail(Status status, const Fault& fault) {
  if (failed(status)) raise_fault(state_, status, fault);
  return status;
}

// Runs a waiting operation without the GIL, again and again until it has a result or the watcher objects.
template <typename Operation>
Status Port::wait(Watcher& watcher, Operation operation) {
  Fault fault;
  Status status = Status::interrupted;
  for (;;) {
    busy_++;
    Py_BEGIN_ALLOW_THREADS;
    status = operation(&fault);
    Py_END_ALLOW_THREADS;
    busy_--;
    bool go_on = status != Status::interrupted || (PyErr_CheckSignals() == 0 && !closing_ && watcher.go_on());
    if (!go_on && !PyErr_Occurred()) watcher.go_on();  // closed meanwhile: the watcher says so
    if (closing_ && busy_ == 0 && !go_on) channel_.reset();
    if (!go_on) return Status::system_error;
    if (status != Status::interrupted) return fail(status, fault);
  }
}

// --- putting ---------------------------------------------------------------------------------------------------------

Status Port::put(const Message& message, std::uint64_t deadline_ns, Watcher& watcher) {
  if (message.size_bytes <= release_gil_bytes) {
    Fault fault;
    Status status = channel_->try_put(message, false, &fault);
    if (status == Status::ok || status == Status::shut_down) return status;
    if (failed(status)) return fail(status, fault);
    if (status == Status::full && deadline_ns == 0) return Status::timed_out;
  }
  Status status = wait(watcher, [&](Fault* fault) { return channel_->put(message, Wait{deadline_ns}, fault); });
  return status == Status::too_large ? put_stream(message, deadline_ns, watcher) : status;
}

Status Port::put_stream(const Message& message, std::uint64_t deadline_ns, Watcher& watcher) {
  StreamPut progress;
  Status status =
      wait(watcher, [&](Fault* f) { return channel_->put_stream(message, &progress, Wait{deadline_ns}, f); });
  if (status != Status::ok && channel_) channel_->abort_stream(&progress);
  return status;
}

Status Port::put_many(const Message* messages, std::size_t message_count, std::uint64_t deadline_ns, Watcher& watcher,
                      std::size_t* count) {
  *count = 0;
  while (*count < message_count) {
    std::size_t done = 0;
    std::size_t first = *count;
    Status status = wait(watcher, [&](Fault* f) {
      std::size_t placed = 0;
      Status result = channel_->put_many(messages + first + done, message_count - first - done, Wait{deadline_ns},
                                         &placed, f);
      done += placed;
      return result;
    });
    *count += done;
    if (status == Status::too_large) {
      status = put_stream(messages[*count], deadline_ns, watcher);
      if (status == Status::ok) ++*count;
    }
    if (status != Status::ok) return status;
  }
  return Status::ok;
}

// --- taking ----------------------------------------------------------------------------------------------------------

Status Port::take(PyObject** object, Decode decode, std::uint64_t deadline_ns, Watcher& watcher) {
  *object = nullptr;
  if (pending_ != nullptr) {
    *object = take_pending(decode);
    return Status::ok;
  }
  std::uint8_t buffer[copy_under_lock_bytes];
  Received received;
  Fault fault;
  Status status = channel_->try_get(&received, buffer, sizeof buffer, false, &fault);
  if (status == Status::empty && deadline_ns == 0) return Status::timed_out;
  if (status == Status::empty || status == Status::lock_busy) {
    if (status == Status::empty && !watcher.go_on()) return Status::system_error;
    status = wait(watcher,
                  [&](Fault* f) { return channel_->get(&received, buffer, sizeof buffer, Wait{deadline_ns}, f); });
    if (status == Status::ok) return finish(received, object, decode, watcher);
    return status;
  }
  if (status != Status::ok) return fail(status, fault);
  return finish(received, object, decode, watcher);
}

// Decodes a message that was taken, and gives its block back. `aborted`: its producer died half through.
Status Port::finish(Received& received, PyObject** object, Decode decode, Watcher& watcher) {
  if (received.block == no_block) {
    *object = decode(state_, received.codec, received.data, received.length);
    return Status::ok;
  }
  busy_++;  // the block lies in the channel
  Status status = Status::ok;
  if (!received.stream) {
    *object = decode(state_, received.codec, received.data, received.length);
    channel_->release(received.block);
  } else {
    auto* memory = static_cast<std::uint8_t*>(PyMem_RawMalloc(received.length > 0 ? received.length : 1));
    if (memory == nullptr) {
      PyErr_NoMemory();
      status = Status::system_error;
    } else {
      status = read_stream(received, memory, watcher);
    }
    channel_->finish_stream(received, status == Status::ok);
    if (status == Status::ok) *object = decode(state_, received.codec, memory, received.length);
    PyMem_RawFree(memory);
  }
  busy_--;
  if (closing_ && busy_ == 0) channel_.reset();
  return status;
}

Status Port::read_stream(const Received& received, std::uint8_t* memory, Watcher& watcher) {
  std::uint64_t offset = 0;
  return wait(watcher, [&](Fault* f) {
    while (offset < received.length) {
      std::size_t piece = 0;
      Status status = channel_->read_stream(received, offset, memory + offset, received.length - offset, &piece,
                                            Wait{no_deadline}, f);
      if (status != Status::ok) return status;
      offset += piece;
    }
    return Status::ok;
  });
}

PyObject* Port::take_pending(Decode decode) {
  PyObject* message = PyList_GetItem(pending_, 0);
  if (message == nullptr) return nullptr;
  Py_INCREF(message);
  if (PyList_SetSlice(pending_, 0, 1, nullptr) < 0) {
    Py_DECREF(message);
    return nullptr;
  }
  if (PyList_GET_SIZE(pending_) == 0) Py_CLEAR(pending_);
  unsigned char tag = 0;
  PyObject* bytes = nullptr;
  PyObject* object = nullptr;
  if (PyTuple_GET_SIZE(message) == 1) {
    PyObject* kept = PyTuple_GET_ITEM(message, 0);
    object = decode == decode_to_bytes ? PyObject_CallOneArg(state_->dumps, kept) : Py_NewRef(kept);
  } else if (PyArg_ParseTuple(message, "bS", &tag, &bytes)) {
    object = decode(state_, tag, reinterpret_cast<const std::uint8_t*>(PyBytes_AS_STRING(bytes)),
                    static_cast<std::size_t>(PyBytes_GET_SIZE(bytes)));
  }
  Py_DECREF(message);
  return object;
}

// Keeps messages that were taken but not decoded, before what is pending already.
bool Port::keep(const Received* received, std::size_t count) {
  PyObject* kept = PyList_New(0);
  for (std::size_t i = 0; kept != nullptr && i < count; i++) {
    PyObject* message = Py_BuildValue("(by#)", received[i].codec, received[i].data,
                                      static_cast<Py_ssize_t>(received[i].length));
    if (message == nullptr || PyList_Append(kept, message) < 0) Py_CLEAR(kept);
    Py_XDECREF(message);
  }
  if (kept == nullptr) return false;
  if (pending_ != nullptr && PyList_SetSlice(kept, PyList_GET_SIZE(kept), PyList_GET_SIZE(kept), pending_) < 0) {
    Py_DECREF(kept);
    return false;
  }
  Py_XSETREF(pending_, kept);
  return true;
}

void Port::put_back(PyObject* list) {
  PyObject *type, *value, *traceback;
  PyErr_Fetch(&type, &value, &traceback);
  Py_ssize_t count = PyList_GET_SIZE(list);
  PyObject* front = PyList_New(count);
  for (Py_ssize_t i = 0; front != nullptr && i < count; i++) {
    PyObject* entry = PyTuple_Pack(1, PyList_GET_ITEM(list, i));
    if (entry == nullptr) {
      Py_CLEAR(front);
    } else {
      PyList_SET_ITEM(front, i, entry);
    }
  }
  if (front != nullptr && count > 0) {
    if (pending_ == nullptr || PyList_SetSlice(front, count, count, pending_) == 0) Py_XSETREF(pending_, Py_NewRef(front));
  }
  Py_XDECREF(front);
  PyErr_Restore(type, value, traceback);
}

Status Port::take_many(PyObject* list, std::size_t limit, Decode decode, std::uint64_t deadline_ns, Watcher& watcher) {
  auto append = [list](PyObject* object) {
    bool ok = object != nullptr && PyList_Append(list, object) == 0;
    Py_XDECREF(object);
    return ok;
  };
  auto* buffer = static_cast<std::uint8_t*>(PyMem_RawMalloc(batch_bytes));
  auto* batch = static_cast<Received*>(PyMem_RawCalloc(batch_messages, sizeof(Received)));
  Status status = Status::ok;
  if (buffer == nullptr || batch == nullptr) {
    PyErr_NoMemory();
    status = Status::system_error;
  }
  bool has_error = status != Status::ok;
  while (!has_error && static_cast<std::size_t>(PyList_GET_SIZE(list)) < limit) {
    std::size_t wanted = limit - static_cast<std::size_t>(PyList_GET_SIZE(list));
    if (pending_ != nullptr) {
      has_error = !append(take_pending(decode));
      continue;
    }
    std::size_t count = 0;
    bool is_first = PyList_GET_SIZE(list) == 0;
    std::uint64_t until_ns = is_first ? deadline_ns : 0;
    if (is_first && channel_->size() == 0 && !watcher.go_on()) {
      status = Status::system_error;
      break;
    }
    status = wait(watcher, [&](Fault* f) {
      return channel_->get_many(batch, wanted < batch_messages ? wanted : batch_messages, buffer, batch_bytes,
                                Wait{until_ns}, &count, f);
    });
    if (status == Status::timed_out || status == Status::shut_down) {
      if (!is_first) status = Status::ok;
      break;
    }
    if (status != Status::ok) break;
    for (std::size_t i = 0; i < count && !has_error; i++) {
      PyObject* object = nullptr;
      Status finished = finish(batch[i], &object, decode, watcher);
      if (finished == Status::aborted) continue;
      if (finished != Status::ok) {
        status = finished;
        has_error = true;
      } else if (!append(object)) {
        has_error = true;
      }
      if (!has_error || i + 1 == count) continue;
      PyObject *type, *value, *traceback;
      PyErr_Fetch(&type, &value, &traceback);
      if (keep(batch + i + 1, count - i - 1)) PyErr_Restore(type, value, traceback);
    }
  }
  PyMem_RawFree(buffer);
  PyMem_RawFree(batch);
  return status;
}

Status Port::await(std::uint64_t deadline_ns, Watcher& watcher) {
  if (size() > 0) return Status::ok;
  return wait(watcher, [&](Fault* f) { return channel_->await(Wait{deadline_ns}, f); });
}

Status Port::join(std::uint64_t deadline_ns, Watcher& watcher) {
  return wait(watcher, [&](Fault* f) { return channel_->join(Wait{deadline_ns}, f); });
}

}  // namespace interproc::binding
