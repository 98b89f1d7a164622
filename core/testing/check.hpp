// The smallest test kit that serves the core: one x_test.cpp is one program, and this header holds its main().
//
//   TEST(put_when_full_reports_full) {
//     CHECK(ring.try_put(message) == Status::full);
//     CHECK_EQ(ring.size(), 3);
//   }
//
// A failed check is reported and the test goes on. A check may run in any thread; a forked child reports through its exit
// status: _exit(failed_checks()). After watchdog_seconds the program names the test it is in and kills its process group,
// children included: what is tested here are locks, and a lock that is wrong hangs.
#pragma once

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <concepts>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace interproc::testing {

inline constexpr unsigned watchdog_seconds = 120;

struct Test {
  const char* name;
  void (*body)();
};

inline std::vector<Test>& tests() {
  static std::vector<Test> registered;
  return registered;
}

inline std::atomic<int> failures{0};
inline std::atomic<const char*> running{"no test"};

inline int failed_checks() { return failures.load(); }

struct Registration {
  Registration(const char* name, void (*body)()) { tests().push_back({name, body}); }
};

template <typename T>
std::string text_of(const T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    return value ? "true" : "false";
  } else if constexpr (std::is_enum_v<T>) {
    return std::to_string(static_cast<std::underlying_type_t<T>>(value));
  } else if constexpr (std::is_arithmetic_v<T>) {
    return std::to_string(value);
  } else if constexpr (std::is_convertible_v<T, std::string>) {
    return std::string(value);
  } else {
    return "(no text form)";
  }
}

template <typename T>
concept Comparable = std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char>;

// Integers compare by value whatever their signedness, so that CHECK_EQ(count, 3) needs no cast.
template <typename A, typename B>
bool equal(const A& a, const B& b) {
  if constexpr (Comparable<A> && Comparable<B>) {
    return std::cmp_equal(a, b);
  } else {
    return a == b;
  }
}

inline void fail(const char* file, int line, const std::string& what) {
  failures.fetch_add(1);
  std::fprintf(stderr, "%s:%d: in %s: %s\n", file, line, running.load(), what.c_str());
}

template <typename A, typename B>
void check_equal(const A& a, const B& b, const char* a_text, const char* b_text, const char* file, int line) {
  if (equal(a, b)) return;
  fail(file, line, std::string(a_text) + " == " + b_text + " fails: " + text_of(a) + " against " + text_of(b));
}

// Runs in a signal handler: only async-signal-safe calls.
inline void on_alarm(int) {
  const auto say = [](const char* text) {
    if (write(STDERR_FILENO, text, std::strlen(text)) < 0) kill(0, SIGKILL);
  };
  say("watchdog: still in ");
  say(running.load());
  say("\n");
  kill(0, SIGKILL);
}

// Runs all tests, or those whose name contains `filter`; one that no name contains is an error.
inline int run_all(const char* filter) {
  setpgid(0, 0);
  signal(SIGALRM, on_alarm);
  alarm(watchdog_seconds);
  int passed = 0;
  int failed = 0;
  for (const Test& test : tests()) {
    if (filter != nullptr && std::strstr(test.name, filter) == nullptr) continue;
    running.store(test.name);
    const int before = failed_checks();
    test.body();
    (failed_checks() == before ? passed : failed) += 1;
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 && (passed > 0 || filter == nullptr) ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace interproc::testing

#define TEST(name)                                                                   \
  static void test_##name();                                                         \
  static const interproc::testing::Registration register_##name(#name, test_##name); \
  static void test_##name()

#define CHECK(condition) ((condition) ? (void)0 : interproc::testing::fail(__FILE__, __LINE__, #condition " is false"))

#define CHECK_EQ(a, b) interproc::testing::check_equal((a), (b), #a, #b, __FILE__, __LINE__)

int main(int argc, char** argv) { return interproc::testing::run_all(argc > 1 ? argv[1] : nullptr); }
