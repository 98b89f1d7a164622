#include "sweep/stepper.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <cstddef>

namespace interproc::sweep {

namespace {

constexpr int untraceable = 77;
constexpr int looks_before_asking = 4;
constexpr int looks_before_asleep = 3;

constexpr std::uint8_t breakpoint = 0xcc;
bool is_mark(const std::uint8_t* code) { return code[0] == breakpoint; }
bool is_system_call(const std::uint8_t* code) { return code[0] == 0x0f && code[1] == 0x05; }

// The length of a string instruction with rep or repne, of which every repetition would trap; 0 if it is none.
unsigned repeated_length(const std::uint8_t* code) {
  if (code[0] != 0xf3 && code[0] != 0xf2) return 0;
  unsigned length = code[1] >> 4 == 4 ? 3 : 2;  // with a REX prefix or without
  std::uint8_t operation = code[length - 1];
  bool is_string = (operation >= 0xa4 && operation <= 0xa7) || (operation >= 0xaa && operation <= 0xaf);
  return is_string ? length : 0;
}

}  // namespace

bool may_trace() {
  pid_t pid = fork();
  if (pid == 0) _exit(ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0 ? 0 : untraceable);
  int status = 0;
  return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

char state_of(pid_t pid) {
  char path[32];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  char text[256];
  ssize_t count = read(fd, text, sizeof text - 1);
  close(fd);
  text[count > 0 ? count : 0] = 0;
  const char* name_end = strrchr(text, ')');
  return name_end != nullptr && name_end[1] != 0 ? name_end[2] : 0;
}

pid_t Stepper::fork_traced() {
  pid_t parent = getpid();
  pid_t pid = fork();
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent || ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(untraceable);
  return 0;
}

void Stepper::await_first_mark() {
  bool asleep = false;
  if (pid_ < 0) {
    failure_ = -1;
  } else {
    await_stop(false, &asleep);
  }
}

Stepper::~Stepper() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

// False if it ended, or was stopped by anything but the trap.
bool Stepper::await_stop(bool may_sleep, bool* asleep) {
  int status = 0;
  int looks = 0;
  int seen_asleep = 0;
  while (may_sleep) {
    pid_t found = waitpid(pid_, &status, WNOHANG);
    if (found == pid_) break;
    sched_yield();
    if (++looks <= looks_before_asking) continue;
    seen_asleep = state_of(pid_) == 'S' ? seen_asleep + 1 : 0;
    if (seen_asleep >= looks_before_asleep) {
      *asleep = true;
      return true;
    }
  }
  if (!may_sleep) waitpid(pid_, &status, 0);
  if (WIFSTOPPED(status)) {
    failure_ = WSTOPSIG(status) != SIGTRAP ? WSTOPSIG(status) : 0;
  } else {
    failure_ = WIFSIGNALED(status) ? WTERMSIG(status) : -1;
    pid_ = 0;
  }
  if (failure_ != 0) return false;
  instruction_ = static_cast<std::uint64_t>(ptrace(PTRACE_PEEKUSER, pid_, offsetof(user_regs_struct, rip), nullptr));
  return true;
}

Stepper::Stop Stepper::step() {
  if (failure_ != 0) return Stop::failed;
  const auto* code = reinterpret_cast<const std::uint8_t*>(instruction_);
  if (is_mark(code)) return Stop::at_end;
  if (unsigned length = repeated_length(code); length > 0) {
    return run_to(instruction_ + length) ? Stop::stepped : Stop::failed;
  }
  bool may_sleep = is_system_call(code) && !asleep_;
  if (!asleep_) ptrace(PTRACE_SINGLESTEP, pid_, nullptr, nullptr);
  asleep_ = false;
  if (!await_stop(may_sleep, &asleep_)) return Stop::failed;
  return asleep_ ? Stop::asleep : Stop::stepped;
}

bool Stepper::run_to(std::uint64_t address) {
  if (failure_ != 0 || (instruction_ == address && step() != Stop::stepped)) return false;
  auto* place = reinterpret_cast<void*>(address);
  std::uint64_t code = peek(place);
  std::uint64_t with_breakpoint = (code & ~std::uint64_t{0xff}) | breakpoint;
  if (ptrace(PTRACE_POKETEXT, pid_, place, with_breakpoint) != 0) return false;
  ptrace(PTRACE_CONT, pid_, nullptr, nullptr);
  bool asleep = false;
  if (!await_stop(true, &asleep) || asleep) return false;
  ptrace(PTRACE_POKETEXT, pid_, place, code);
  move_to(instruction_ - 1);  // behind the breakpoint, or behind the second mark
  return instruction_ == address;
}

void Stepper::move_to(std::uint64_t address) {
  ptrace(PTRACE_POKEUSER, pid_, offsetof(user_regs_struct, rip), address);
  instruction_ = address;
}

void Stepper::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  siginfo_t info;
  waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT);
}

bool Stepper::is_at_system_call() const { return is_system_call(reinterpret_cast<const std::uint8_t*>(instruction_)); }

std::uint64_t Stepper::peek(const void* address) const {
  return static_cast<std::uint64_t>(ptrace(PTRACE_PEEKDATA, pid_, address, nullptr));
}

}  // namespace interproc::sweep
