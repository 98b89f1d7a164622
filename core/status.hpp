// The outcome of every core call that can fail.
//
// `ok` is zero. Conditions (positive) are documented outcomes that the caller must handle. Faults (negative) come with a
// Fault that says what failed; the core only forwards them.
#pragma once

#include <cstdint>

namespace interproc {

enum class Status : int {
  ok = 0,

  // Conditions.
  empty = 1,          // nothing to take now
  full = 2,           // no room now: item limit, memory limit or ring
  timed_out = 3,      // the deadline passed first
  interrupted = 4,    // look at signals, closed flags and lifelines, then call again with the same deadline
  shut_down = 5,      // shutdown() was called (and, for takers, nothing is left)
  lock_busy = 6,      // only from a try that was told not to wait for the lock
  too_large = 7,      // does not fit this channel in one piece: use a stream
  aborted = 8,        // the stream's other side gave up or died
  not_available = 9,  // from a try: the lock is held, no permit is left
  not_owner = 10,     // this thread does not hold the lock
  not_locked = 11,    // a release of what nobody holds
  over_bound = 12,    // a release of more permits than the maximum lets be
  broken = 13,        // the barrier was aborted or reset, a party timed out or died
  no_consumer = 14,   // no room, and no other living process takes messages; only with NoConsumer

  // Faults.
  out_of_memory = -1,       // fault.error_number says which limit
  out_of_descriptors = -2,  // EMFILE, ENFILE
  bad_segment = -3,         // what lies in shared memory cannot be true
  layout_mismatch = -4,     // another layout version or word size
  foreign_namespace = -5,   // made in another PID namespace
  lock_unsupported = -6,    // the segment wants a lock that this system lacks
  too_many_participants = -7,
  too_many_done = -8,  // task_done() called more often than items were put
  system_error = -9,
  peer_gone = -10,         // a descriptor had to come from a process that has ended or hides it
  too_many_waiters = -11,  // no node is left for one more waiter of a condition
};

constexpr bool failed(Status status) { return static_cast<int>(status) < 0; }

// What went wrong, for the error text. Filled only when a fault is returned.
struct Fault {
  int error_number = 0;        // errno, 0 if none
  const char* doing = "";      // static text: the call or the check that failed
  std::uint64_t found = 0;     // the offending value, where there is one
  std::uint64_t expected = 0;  // what it should have been
};

}  // namespace interproc
