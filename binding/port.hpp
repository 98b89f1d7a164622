// Port: a channel as Python objects use it: encode, put, take, decode, and the loop that waits without the GIL.
//
// Every function needs the GIL. User code (reducers, __setstate__, signal handlers) may run inside and use the same port.
#pragma once

#include <memory>

#include "channel.hpp"
#include "codec.hpp"
#include "state.hpp"

namespace interproc::binding {

// What a waiting call looks at whenever it wakes up without a result: false with an exception set ends it.
class Watcher {
 public:
  virtual bool go_on() = 0;

 protected:
  ~Watcher() = default;
};

class Port {
 public:
  // False with an exception set.
  bool open(ModuleState* state, std::shared_ptr<Segment> segment, std::uint32_t index);
  // Frees the channel now, or when the last call that is inside it comes out. Calls after it must not happen.
  void close();
  bool is_busy() const { return busy_ > 0; }
  bool is_open() const { return channel_ != nullptr; }
  void clear_pending() { Py_CLEAR(pending_); }
  int traverse(visitproc visit, void* arg) const;

  Channel& channel() { return *channel_; }
  ModuleState* state() const { return state_; }

  // ok, timed_out, shut_down; a negative status has set an exception.
  Status put(const Message& message, std::uint64_t deadline_ns, Watcher& watcher);
  Status put_many(const Message* messages, std::size_t message_count, std::uint64_t deadline_ns, Watcher& watcher,
                  std::size_t* count);

  // What take() hands a message to.
  using Decode = PyObject* (*)(ModuleState* state, std::uint8_t tag, const std::uint8_t* data, std::size_t size_bytes);
  // ok with a new reference in `*object`, or nullptr there and the exception that decoding raised.
  Status take(PyObject** object, Decode decode, std::uint64_t deadline_ns, Watcher& watcher);
  // 1..limit objects into `list`. When decoding one fails, it and what was taken after it stay for the next take.
  Status take_many(PyObject* list, std::size_t limit, Decode decode, std::uint64_t deadline_ns, Watcher& watcher);
  // Objects that were taken go back to the front of the line, for this port only. Never fails: drops them if memory is out.
  void put_back(PyObject* list);
  // Until there is something to take, or the channel is shut down.
  Status await(std::uint64_t deadline_ns, Watcher& watcher);
  Status join(std::uint64_t deadline_ns, Watcher& watcher);

  std::uint64_t size() const;

 private:
  template <typename Operation>
  Status wait(Watcher& watcher, Operation operation);
  Status fail(Status status, const Fault& fault);
  Status put_stream(const Message& message, std::uint64_t deadline_ns, Watcher& watcher);
  Status finish(Received& received, PyObject** object, Decode decode, Watcher& watcher);
  Status read_stream(const Received& received, std::uint8_t* memory, Watcher& watcher);
  bool keep(const Received* received, std::size_t count);
  PyObject* take_pending(Decode decode);

  ModuleState* state_ = nullptr;
  std::unique_ptr<Channel> channel_;
  PyObject* pending_ = nullptr;  // list of (tag, bytes): taken, not yet decoded; or (object,)
  int busy_ = 0;
  bool closing_ = false;
};

// A timeout argument as an absolute deadline; nullptr or None is for ever, zero or less 0. False with TypeError.
bool deadline_from(PyObject* timeout, std::uint64_t* deadline_ns);

}  // namespace interproc::binding
