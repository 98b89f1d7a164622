// fuzz: segments that somebody wrote over. Every operation ends, says a documented status, and touches nothing outside.
//
//   fuzz [--seed S] [--rounds N] [--seconds T]   rounds from seed S on, until N are done or T seconds have passed
//
// Each round is one seed, from which all its bytes follow; a round that crashes or hangs ends the run and names it.
// Under libFuzzer: link input.hpp's run() by LLVMFuzzerTestOneInput instead of this main().
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <new>
#include <random>
#include <vector>

#include "fuzz/input.hpp"
#include "platform/platform.hpp"

using namespace interproc;

namespace {

constexpr unsigned hang_seconds = 20;
constexpr std::size_t most_bytes = 600;

void run_round(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::uint8_t> bytes(1 + random() % most_bytes);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
  fuzz::run(fuzz::Input(bytes.data(), bytes.size()));
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t seed = 1;
  std::uint64_t rounds = 1000;
  std::uint64_t seconds = 0;
  for (int i = 1; i + 1 < argc; i += 2) {
    std::uint64_t value = strtoull(argv[i + 1], nullptr, 10);
    (strcmp(argv[i], "--seed") == 0 ? seed : strcmp(argv[i], "--rounds") == 0 ? rounds : seconds) = value;
  }
  void* memory = mmap(nullptr, sizeof(Shared64), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 2;
  auto* current = new (memory) Shared64(seed);
  std::uint64_t until_ns = seconds != 0 ? platform::monotonic_ns() + seconds * 1'000'000'000 : UINT64_MAX;
  pid_t parent = getpid();
  pid_t child = fork();  // so that a crash has somebody to name it
  if (child < 0) return 2;
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(2);
    for (std::uint64_t each = seed; each < seed + rounds && platform::monotonic_ns() < until_ns; each++) {
      current->store(each);
      alarm(hang_seconds);
      run_round(each);
    }
    _exit(0);
  }
  int status = -1;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  std::uint64_t last = current->load();
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
    printf("fuzz: seeds %llu to %llu, nothing wrong\n", static_cast<unsigned long long>(seed),
           static_cast<unsigned long long>(last));
    return 0;
  }
  printf("fuzz: --seed %llu --rounds 1 ended by signal %d, exit status %d\n", static_cast<unsigned long long>(last),
         WIFSIGNALED(status) ? WTERMSIG(status) : 0, WIFEXITED(status) ? WEXITSTATUS(status) : 0);
  return 1;
}
