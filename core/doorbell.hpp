// Doorbell: a descriptor that is readable while the channel is not empty.
//
// Rung only while somebody has armed it, only when the line turns from empty to not empty, and before the commit store;
// cleared only when the line was seen empty. All under the lock, so no death breaks "not empty => readable"; a death may
// leave it readable although empty, which every event loop must bear anyway.
//
// Two kinds. A queue has one pipe, made by the first process that asks; others open it through that process, so a queue
// that nobody watches costs no descriptor. A Connection uses its lifeline pipes, which both ends hold already.
//
// Every function: lock held.
#pragma once

#include "channel_memory.hpp"
#include "status.hpp"

namespace interproc {

class Doorbell {
 public:
  explicit Doorbell(const ChannelMemory& memory) : memory_(memory) {}
  ~Doorbell() { close(); }
  Doorbell(const Doorbell&) = delete;
  Doorbell& operator=(const Doorbell&) = delete;

  // Gives its descriptors back; rings and clears nothing any more.
  void close();
  void use_lifeline(int ring_fd, int clear_fd) {
    ring_fd_ = ring_fd;
    clear_fd_ = clear_fd;
    lifeline_ = true;
  }

  // Arms for the participant `token` and returns the descriptor, which stays the doorbell's.
  Status arm(std::uint32_t token, int* fd, Fault* fault);
  Status arm_lifeline(Fault* fault);
  Status ring(Fault* fault);
  void clear();
  // From the taking side, too: makes it readable although the line may be empty.
  Status ring_here(Fault* fault);
  // After a death: readable or not, as it should be.
  void repair();
  // After participants went: how many watchers are left.
  void count_watchers();

 private:
  Status fetch(Fault* fault);
  bool has_own() const;
  bool should_be_readable() const;

  const ChannelMemory& memory_;
  int own_fd_ = -1;
  std::uint64_t own_inode_ = 0;
  int ring_fd_ = -1;
  int clear_fd_ = -1;
  bool lifeline_ = false;
};

}  // namespace interproc
