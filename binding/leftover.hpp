// Leftover: what was taken out of a channel but not handed over: the next taker of this object gets it first.
//
// Objects of a batch of which another could not be decoded, and messages that arrive in pieces and had not fully come
// when the timeout passed or a signal handler raised. It belongs to the process that took it, not to its forked children.
#pragma once

#include "sink.hpp"
#include "taken.hpp"

namespace interproc::binding {

class Leftover {
 public:
  bool is_empty() const { return first_ == outcomes_.count() && arrivals_.count() == 0; }
  std::size_t count() const { return outcomes_.count() - first_ + arrivals_.count(); }

  // Drops everything in a forked child.
  void check_process();

  // The next outcome: true and a new reference, or nullptr with the exception raised that decoding it raised.
  bool pop(PyObject** object);
  // The same, but leaves an exception where it is.
  bool pop_object(PyObject** object);
  // Takes the reference over. False with MemoryError raised.
  bool push(PyObject* value, bool is_exception);

  // Owned by whoever popped it; nullptr if there is none.
  Arrival* pop_arrival();
  // Takes it over. False with MemoryError raised.
  bool push_arrival(Arrival* arrival);

  void drop();
  void free();  // the memory too
  int traverse(visitproc visit, void* arg);

 private:
  struct Outcome {
    PyObject* value;
    bool is_exception;
  };

  bool pop_outcome(bool also_exception, Outcome* outcome);

  Mutex mutex_;
  Row<Outcome> outcomes_{};
  Row<Arrival*> arrivals_{};
  std::size_t first_ = 0;
  std::uint64_t epoch_ = 0;
};

}  // namespace interproc::binding
