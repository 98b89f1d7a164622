// Stepper: a child process that can be stopped, and killed, between any two instructions.
//
// The child runs until its first mark, stays there, and from then on moves only when told to. Because it is a fork of
// this process, its code lies at the same addresses here: instructions are read from this process's own memory.
#pragma once

#include <sys/ptrace.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstdint>

namespace interproc::sweep {

// Where the swept part begins and ends.
inline void mark() { asm volatile("int3" ::: "memory"); }

// Whether this process may trace a child of its own.
bool may_trace();

// 'S' asleep, 't' stopped by its tracer, 'Z' ended, ...; 0 if there is no such process.
char state_of(pid_t pid);

class Stepper {
 public:
  template <typename Body>
  explicit Stepper(Body body) : pid_(fork_traced()) {
    if (pid_ == 0) {
      body();
      _exit(0);
    }
    await_first_mark();
  }
  ~Stepper();
  Stepper(const Stepper&) = delete;
  Stepper& operator=(const Stepper&) = delete;

  enum class Stop {
    stepped,
    at_end,  // at the second mark
    asleep,  // inside a system call; the next step() waits for its end
    failed,  // see failure()
  };
  // One instruction. A repeated string instruction counts as one, a system call too.
  Stop step();
  // At full speed to the next time it comes to `address`. False, and wherever it is, if it does not get there.
  bool run_to(std::uint64_t address);

  // Afterwards it is a zombie, as a killed child of a busy parent is.
  void kill();

  // 0, or what stopped it: the signal, or -1 if it ended by itself.
  int failure() const { return failure_; }
  std::uint64_t instruction() const { return instruction_; }  // address of the next one
  bool is_at_system_call() const;
  std::uint64_t peek(const void* address) const;  // a word of the child's memory

 private:
  static pid_t fork_traced();
  void await_first_mark();
  bool await_stop(bool may_sleep, bool* asleep);
  void move_to(std::uint64_t address);

  pid_t pid_;
  std::uint64_t instruction_ = 0;
  bool asleep_ = false;
  int failure_ = 0;
};

}  // namespace interproc::sweep
