// One message at a time. Batches: line_many.cpp.
#include "line.hpp"

#include "errors.hpp"

namespace interproc::binding {

bool Line::join(std::shared_ptr<Segment> segment, std::uint64_t index) {
  if (index >= max_channels) {
    PyErr_Format(PyExc_ValueError, "there is no channel %llu", static_cast<unsigned long long>(index));
    return false;
  }
  auto channel = std::make_shared<Channel>(std::move(segment), static_cast<std::uint32_t>(index));
  Fault fault;
  Status status = channel->check(&fault);
  if (status != Status::ok) {
    raise(*state_, status, fault);
    return false;
  }
  channel_ = std::move(channel);
  return true;
}

void Line::leave() {
  leftover_.drop();
  if (channel_ == nullptr) return;
  std::shared_ptr<Channel> channel = std::move(channel_);
  Unlocked unlocked;
  if (channel.use_count() > 1) channel->leave_views();
  channel.reset();
}

void Line::wake_all() {
  Unlocked unlocked;
  channel_->wake_all();
}

bool Line::raise_late(Hook late, bool ended) {
  PyErr_SetNone(ended ? PyExc_EOFError : state_->hook(late));
  return false;
}

// --- putting ---------------------------------------------------------------------------------------------------------

bool Line::put(const Message& message, std::uint64_t deadline_ns) {
  Fault fault;
  Status status = Status::lock_busy;
  if (message.size_bytes <= most_bytes_with_gil) {
    status = channel_->try_put(message, false, &fault);
    if (status == Status::ok) return true;
    if (status == Status::full && deadline_ns == 0) return raise_late(full_, false);
  }
  StreamPut progress;
  bool in_pieces = false;
  bool waits = true;
  while (waits) {
    if (status == Status::too_large) in_pieces = true;
    bool ended = false;
    if (!look_(self_, &ended)) break;
    {
      Unlocked unlocked;
      Wait wait{deadline_ns};
      status =
          in_pieces ? channel_->put_stream(message, &progress, wait, &fault) : channel_->put(message, wait, &fault);
    }
    if (status == Status::ok) return true;
    waits = status == Status::interrupted || (status == Status::too_large && !in_pieces);
    if (status == Status::interrupted && PyErr_CheckSignals() != 0) break;
  }
  if (progress.block != no_block) {
    Unlocked unlocked;
    channel_->abort_stream(&progress);
  }
  if (PyErr_Occurred()) return false;
  if (status == Status::timed_out) return raise_late(full_, false);
  raise(*state_, status, fault);
  return false;
}

// --- taking ----------------------------------------------------------------------------------------------------------

// From the `status` of an attempt on: until at least one message came, or an exception is raised.
bool Line::await(Received* received, std::size_t limit, std::uint8_t* buffer, std::size_t buffer_bytes,
                 std::uint64_t deadline_ns, Status status, Fault fault, std::size_t* count) {
  bool ended = false;
  while (status != Status::ok) {
    if (status == Status::timed_out) return raise_late(empty_, ended);
    if (status != Status::empty && status != Status::lock_busy && status != Status::interrupted) {
      raise(*state_, status, fault);
      return false;
    }
    if (!look_(self_, &ended)) return false;
    if (status == Status::empty && deadline_ns == 0 && !ended) return raise_late(empty_, false);
    {
      Unlocked unlocked;
      Wait wait{ended ? 0 : deadline_ns};
      status = channel_->get_many(received, limit, buffer, buffer_bytes, wait, count, &fault);
    }
    if (status == Status::interrupted && PyErr_CheckSignals() != 0) return false;
  }
  return true;
}

bool Line::take_slowly(Status status, const Received& first, const Fault& fault, Taken* taken,
                       std::uint64_t deadline_ns) {
  Received received = first;
  for (;;) {
    std::size_t count = 0;
    if (!await(&received, 1, taken->buffer, sizeof taken->buffer, deadline_ns, status, fault, &count)) return false;
    if (!received.stream) {
      taken->hold(channel_.get(), received);
      return true;
    }
    auto arrival = std::make_unique<Arrival>();
    arrival->received = received;
    Progress progress = finish_arrival(std::move(arrival), taken, deadline_ns);
    if (progress != Progress::aborted) return progress == Progress::arrived;
    status = Status::interrupted;  // its producer gave up: on to the next
  }
}

bool Line::take_leftover(Taken* taken, std::uint64_t deadline_ns) {
  leftover_.check_process();
  std::unique_ptr<Arrival> arrival(leftover_.pop_arrival());
  if (arrival != nullptr) {
    Progress progress = finish_arrival(std::move(arrival), taken, deadline_ns);
    if (progress != Progress::aborted) return progress == Progress::arrived;
  }
  return take_slowly(Status::lock_busy, Received{}, Fault{}, taken, deadline_ns);
}

// --- waiting without taking ------------------------------------------------------------------------------------------

std::uint64_t Line::size() {
  if (!leftover_.is_empty()) leftover_.check_process();
  return channel_->size() + leftover_.count();
}

PyObject* Line::wait_for(Status (Channel::*condition)(Wait, Fault*), std::uint64_t deadline_ns) {
  for (;;) {
    bool ended = false;
    if (!look_(self_, &ended)) return nullptr;
    if (ended) Py_RETURN_TRUE;
    Fault fault;
    Status status = Status::ok;
    {
      Unlocked unlocked;
      status = (channel()->*condition)(Wait{deadline_ns}, &fault);
    }
    if (status == Status::ok || status == Status::shut_down) Py_RETURN_TRUE;
    if (status == Status::timed_out) Py_RETURN_FALSE;
    if (status != Status::interrupted) return raise(*state_, status, fault);
    if (PyErr_CheckSignals() != 0) return nullptr;
  }
}

PyObject* Line::poll(std::uint64_t deadline_ns) {
  if (size() > 0) Py_RETURN_TRUE;
  return wait_for(&Channel::await, deadline_ns);
}

PyObject* Line::join_tasks(std::uint64_t deadline_ns) { return wait_for(&Channel::join, deadline_ns); }

// --- messages in pieces ----------------------------------------------------------------------------------------------

// Makes the place for all pieces.
bool Line::begin_arrival(Arrival* arrival, const Taken& taken) {
  const Received& received = arrival->received;
  if (received.length > PY_SSIZE_T_MAX) {
    raise_damaged(*state_, "length of a message", received.length, PY_SSIZE_T_MAX);
    return false;
  }
  arrival->size_bytes = static_cast<std::size_t>(received.length);
  auto codec = static_cast<Codec>(received.codec);
  if (codec == Codec::raw && taken.destination != nullptr && arrival->size_bytes <= taken.destination_bytes) {
    arrival->data = taken.destination;
    return true;
  }
  if (codec == Codec::bytes || (codec == Codec::raw && !taken.wants_memory)) {
    arrival->bytes = make_bytes(arrival->size_bytes);
    if (!arrival->bytes) return false;
    arrival->data = reinterpret_cast<std::uint8_t*>(PyBytes_AS_STRING(arrival->bytes.get()));
    return true;
  }
  arrival->memory = Memory::make(arrival->size_bytes);
  if (arrival->memory == nullptr) return false;
  arrival->data = arrival->memory->data();
  return true;
}

// Out of the taker's place, which will be somebody else's when the rest comes. Without memory what has arrived is lost, and
// the message with it.
bool Line::move_arrival(Arrival* arrival) {
  arrival->memory = Memory::make(arrival->size_bytes);
  if (arrival->memory == nullptr) {
    Unlocked unlocked;
    channel_->finish_stream(arrival->received, false);
    return false;
  }
  copy_bytes(arrival->memory->data(), arrival->data, arrival->arrived_bytes);
  arrival->data = arrival->memory->data();
  return true;
}

Line::Progress Line::finish_arrival(std::unique_ptr<Arrival> arrival, Taken* taken, std::uint64_t deadline_ns) {
  Status status = Status::ok;
  Fault fault;
  bool has_place = arrival->data != nullptr || begin_arrival(arrival.get(), *taken);
  bool looks = true;
  while (has_place && looks && arrival->arrived_bytes < arrival->size_bytes) {
    std::size_t piece_bytes = 0;
    {
      Unlocked unlocked;
      status =
          channel_->read_stream(arrival->received, arrival->arrived_bytes, arrival->data + arrival->arrived_bytes,
                                arrival->size_bytes - arrival->arrived_bytes, &piece_bytes, Wait{deadline_ns}, &fault);
    }
    arrival->arrived_bytes += piece_bytes;
    if (status == Status::ok) continue;
    if (status != Status::interrupted) break;
    bool ended = false;
    looks = PyErr_CheckSignals() == 0 && look_(self_, &ended);
  }
  if (has_place && (!looks || status == Status::timed_out)) {
    Ref error = take_raised();
    bool kept = (arrival->data != taken->destination || move_arrival(arrival.get())) &&
                leftover_.push_arrival(arrival.release());
    keep_readable();
    if (kept && error) raise_again(std::move(error));
    if (kept && looks) raise_late(empty_, false);
    return Progress::failed;
  }
  bool is_complete = has_place && arrival->arrived_bytes == arrival->size_bytes;
  {
    Unlocked unlocked;
    channel_->finish_stream(arrival->received, is_complete);
  }
  if (is_complete) {
    taken->hold(arrival.get());
    return Progress::arrived;
  }
  if (status == Status::aborted) return Progress::aborted;
  if (has_place) raise(*state_, status, fault);
  return Progress::failed;
}

}  // namespace interproc::binding
