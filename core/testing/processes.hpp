// Forked children and shared words for the tests of what happens between processes.
//
// Nothing here waits for time to pass: a test waits for a word, for a child, or for a condition that it polls. The only
// times are deadlines that nothing but a bug reaches.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <new>

#include "check.hpp"
#include "platform/platform.hpp"

#if defined(__SANITIZE_ADDRESS__)
#define INTERPROC_ADDRESS_SANITIZER 1
#endif
#if defined(__SANITIZE_THREAD__)
#define INTERPROC_THREAD_SANITIZER 1
#endif
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define INTERPROC_ADDRESS_SANITIZER 1
#endif
#if __has_feature(thread_sanitizer)
#define INTERPROC_THREAD_SANITIZER 1
#endif
#endif

// A test that forks. The thread sanitizer sees one process only: there it is compiled, not run.
#if defined(INTERPROC_THREAD_SANITIZER)
#define FORK_TEST(name) [[maybe_unused]] static void test_##name()
#else
#define FORK_TEST(name) TEST(name)
#endif

namespace interproc::testing {

inline std::uint64_t far_deadline_ns() { return platform::monotonic_ns() + 60'000'000'000; }

// One T in memory that forked children share, zero at first.
template <typename T>
class Shared {
 public:
  Shared() {
    void* memory = mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) abort();
    value_ = new (memory) T{};
  }
  ~Shared() { munmap(value_, sizeof(T)); }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  T* operator->() { return value_; }
  T& operator*() { return *value_; }

 private:
  T* value_;
};

// Opened once, for everybody. Lies in shared memory.
class Gate {
 public:
  void open() {
    opened_.store(1, std::memory_order_release);
    platform::wake(opened_, INT32_MAX);
  }
  void pass() {
    std::uint64_t deadline_ns = far_deadline_ns();
    while (opened_.load(std::memory_order_acquire) == 0) {
      if (platform::sleep_on(opened_, 0, deadline_ns) == platform::Sleep::timed_out) {
        CHECK(!"a gate that nobody opened");
        return;
      }
    }
  }
  bool is_open() const { return opened_.load(std::memory_order_acquire) != 0; }

 private:
  Shared32 opened_{0};
};

// Polls until the condition holds.
template <typename Condition>
bool eventually(Condition condition) {
  std::uint64_t deadline_ns = far_deadline_ns();
  while (!condition()) {
    if (platform::monotonic_ns() > deadline_ns) return false;
    poll(nullptr, 0, 1);
  }
  return true;
}

template <typename Body>
pid_t start_child(Body body) {
  std::fflush(nullptr);
  pid_t parent = getpid();
  pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(EXIT_FAILURE);
    failures.store(0);
    body();
    _exit(failed_checks() == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
  }
  if (pid < 0) abort();  // every signal to -1 would go to everybody
  return pid;
}

// Waits for the end of the child; what it found wrong counts here.
inline void finish_child(pid_t pid) {
  int status = -1;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS);
}

inline void kill_child(pid_t pid) {
  kill(pid, SIGKILL);
  int status = -1;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

// Waits until the child has ended and leaves it a zombie.
inline void await_zombie(pid_t pid) {
  siginfo_t info;
  CHECK_EQ(waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT), 0);
}

// For a child that its parent will kill.
[[noreturn]] inline void await_death() {
  for (;;) pause();
}

inline pid_t this_thread() { return static_cast<pid_t>(syscall(SYS_gettid)); }

// A field of /proc/<thread>/stat or /proc/<thread>/status, as text behind `key`; empty if the thread is gone.
inline std::string proc_field(pid_t thread, const char* file, const char* key) {
  std::string path = "/proc/" + std::to_string(thread) + "/" + file;
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";
  char text[4096];
  ssize_t count = read(fd, text, sizeof text - 1);
  close(fd);
  text[count > 0 ? count : 0] = 0;
  const char* found = std::strstr(text, key);
  return found != nullptr ? found + std::strlen(key) : "";
}

// Whether the thread sleeps in the kernel; a thread whose only sleep is the tested one sleeps there.
inline bool is_asleep(pid_t thread) { return proc_field(thread, "stat", ") ").starts_with("S"); }

// How often the thread has gone to sleep in its life.
inline unsigned long sleeps_of(pid_t thread) {
  return strtoul(proc_field(thread, "status", "\nvoluntary_ctxt_switches:").c_str(), nullptr, 10);
}

}  // namespace interproc::testing
