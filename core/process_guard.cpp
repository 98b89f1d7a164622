#include "process_guard.hpp"

#include <mutex>

#include "platform/platform.hpp"

namespace interproc {

namespace {

constinit std::mutex mutex;
constinit std::uint64_t forks = 0;

[[maybe_unused]] const bool is_watching = [] {
  platform::at_fork(
      [] {
        mutex.lock();
        forks++;
      },
      [] { mutex.unlock(); }, [] { mutex.unlock(); });
  return true;
}();

}  // namespace

ProcessGuard::ProcessGuard() { mutex.lock(); }
ProcessGuard::~ProcessGuard() { mutex.unlock(); }

std::uint64_t forks_so_far() { return forks; }

}  // namespace interproc
