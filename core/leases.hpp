// Leases: the messages that this process has taken from a redelivering channel and not yet acknowledged, in the order of
// taking, each with the thread that took it.
//
// Process-local, and guarded by a lock of its own. What other processes see is in the blocks: Arena::lease.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>

namespace interproc {

class Leases {
 public:
  // Room for so many more, so that add() cannot fail. False: no memory.
  bool reserve(std::size_t more);
  void add(std::uint64_t block, std::uint32_t deliveries);
  bool remove(std::uint64_t block);
  // Takes out the oldest of the calling thread; where it has none, the oldest. False: there are none.
  bool pop(std::uint64_t* block);
  std::size_t count();
  // How often the message that the calling thread took last, of those here, had been delivered before; 0 without one.
  std::uint32_t deliveries();

 private:
  struct Lease {
    std::uint64_t block;
    std::thread::id thread;
    std::uint32_t deliveries;
  };
  void erase(std::size_t place);

  std::mutex mutex_;
  std::unique_ptr<Lease[]> leases_;
  std::size_t capacity_ = 0;
  std::size_t first_ = 0;
  std::size_t end_ = 0;
};

}  // namespace interproc
