// Line: a channel as a Python object uses it, and the one place of the binding that waits.
//
// First the attempt that cannot sleep, with the GIL held: tens of nanoseconds, less than giving the GIL away. Only then
// the core's waiting call without the GIL; whenever that says `interrupted`, signal handlers run and the object looks
// after itself, and it goes on with the same deadline.
#pragma once

#include "codec.hpp"
#include "leftover.hpp"

namespace interproc::binding {

// GIL held, before every sleep: whether the object may go on. False: an exception is raised, because it is closed or its
// peer is gone. `*ended`: nobody puts any more, so take what is left and do not wait.
using Look = bool (*)(PyObject* self, bool* ended);

class Line {
 public:
  Line() = default;
  ~Line() { leftover_.free(); }
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;

  // `full` and `empty` are what to raise when the deadline has passed.
  void open(State* state, PyObject* self, Look look, Hook full, Hook empty) {
    state_ = state;
    self_ = self;
    look_ = look;
    full_ = full;
    empty_ = empty;
  }
  // False with an exception raised.
  bool join(std::shared_ptr<Segment> segment, std::uint64_t index);
  // Leaves the channel, and drops what was left over.
  void leave();
  Channel* channel() const { return channel_.get(); }  // nullptr before join and after leave
  std::shared_ptr<Channel> share_channel() const { return channel_; }
  void wake_all();
  void drop_leftover() { leftover_.drop(); }
  // Keeps an armed doorbell readable as long as something is left over.
  void keep_readable() {
    if (!leftover_.is_empty()) channel_->stay_readable();
  }
  int traverse(visitproc visit, void* arg) { return leftover_.traverse(visit, arg); }

  // All: false or nullptr with an exception raised.
  bool put(const Message& message, std::uint64_t deadline_ns);
  PyObject* put_many(PyObject* iterable, std::uint64_t deadline_ns);
  bool take(Taken* taken, std::uint64_t deadline_ns) {
    if (leftover_.is_empty()) [[likely]] {
      Received received;
      Fault fault;
      Status status = channel_->try_get(&received, taken->buffer, sizeof taken->buffer, false, &fault);
      if (status == Status::ok && !received.stream) {
        taken->hold(channel_.get(), received);
        return true;
      }
      return take_slowly(status, received, fault, taken, deadline_ns);
    }
    return take_leftover(taken, deadline_ns);
  }
  // Whether something that was decoded before was left over: `*object`, or nullptr with what its decoding raised.
  bool pop(PyObject** object) {
    if (leftover_.is_empty()) [[likely]]
      return false;
    leftover_.check_process();
    return leftover_.pop(object);
  }
  PyObject* get(std::uint64_t deadline_ns) {
    PyObject* object = nullptr;
    if (pop(&object)) return object;
    Taken taken;
    return take(&taken, deadline_ns) ? decode(*state_, taken) : nullptr;
  }
  PyObject* get_many(Py_ssize_t max_items, std::uint64_t deadline_ns);

  // How many messages the next takers find, those left over included.
  std::uint64_t size();
  // Sleeps until there is something to take or nobody will put any more: True; False when the deadline has passed.
  PyObject* poll(std::uint64_t deadline_ns);
  // Sleeps until all tasks are done: True; False when the deadline has passed.
  PyObject* join_tasks(std::uint64_t deadline_ns);

 private:
  bool put_batch(const Message* messages, std::size_t count, std::uint64_t deadline_ns, std::size_t* done);
  bool take_slowly(Status status, const Received& first, const Fault& fault, Taken* taken, std::uint64_t deadline_ns);
  bool take_leftover(Taken* taken, std::uint64_t deadline_ns);
  bool await(Received* received, std::size_t limit, std::uint8_t* buffer, std::size_t buffer_bytes,
             std::uint64_t deadline_ns, Status status, Fault fault, std::size_t* count);
  bool begin_arrival(Arrival* arrival, const Taken& taken);
  bool move_arrival(Arrival* arrival);
  enum class Progress { arrived, aborted, failed };
  Progress finish_arrival(std::unique_ptr<Arrival> arrival, Taken* taken, std::uint64_t deadline_ns);
  // Appends to `list`, or raises and leaves over all others, those in `list` included.
  bool decode_batch(PyObject* list, const Received* received, std::size_t count, std::uint64_t deadline_ns);
  PyObject* decode_last(const Received& received, std::uint64_t deadline_ns);
  PyObject* decode_one(const Received& received);
  void leave_over(PyObject* list, const Received* received, std::size_t count);
  bool raise_late(Hook late, bool ended);
  // Whether the condition came before the deadline; nullptr with an exception raised.
  PyObject* wait_for(Status (Channel::*condition)(Wait, Fault*), std::uint64_t deadline_ns);

  State* state_ = nullptr;
  std::shared_ptr<Channel> channel_;
  PyObject* self_ = nullptr;
  Look look_ = nullptr;
  Hook full_ = Hook::Full;
  Hook empty_ = Hook::Empty;
  Leftover leftover_;
};

}  // namespace interproc::binding
