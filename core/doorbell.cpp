#include "doorbell.hpp"

#include <utility>

#include "participants.hpp"
#include "platform/platform.hpp"

namespace interproc {

void Doorbell::close() {
  use_lifeline(-1, -1);
  lifeline_ = false;
  if (own_fd_ >= 0) platform::close_descriptor(std::exchange(own_fd_, -1));
}

bool Doorbell::has_own() const { return own_fd_ >= 0 && own_inode_ == memory_.control->doorbell_inode; }

bool Doorbell::should_be_readable() const {
  const ChannelControl& control = *memory_.control;
  bool is_empty = control.head.load(std::memory_order_relaxed) == control.tail.load(std::memory_order_relaxed);
  return !is_empty || control.shutdown.load(std::memory_order_relaxed) != 0;
}

Status Doorbell::arm(std::uint32_t token, int* fd, Fault* fault) {
  Participant* me = find_participant(memory_.participants, token);
  if (me == nullptr) {
    *fault = Fault{0, "place of this process", token, 0};
    return Status::bad_segment;
  }
  count_watchers();
  if (!has_own() && memory_.control->armed.load(std::memory_order_relaxed) > 0) {
    Status status = fetch(fault);
    if (failed(status) && status != Status::peer_gone) return status;
  }
  if (!has_own()) {  // nobody watches: a new pipe
    int made = -1;
    std::uint64_t inode = 0;
    Status status = platform::create_doorbell(&made, &inode, fault);
    if (status != Status::ok) return status;
    if (own_fd_ >= 0) platform::close_descriptor(own_fd_);
    own_fd_ = made;
    own_inode_ = inode;
    memory_.control->doorbell_inode = inode;
  }
  me->doorbell_fd = own_fd_;
  count_watchers();
  if (should_be_readable()) platform::ring_doorbell(own_fd_);
  *fd = own_fd_;
  return Status::ok;
}

Status Doorbell::arm_lifeline(Fault* fault) {
  memory_.control->armed.store(1, std::memory_order_relaxed);
  return should_be_readable() ? platform::ring_reading_end(clear_fd_, fault) : Status::ok;
}

Status Doorbell::ring(Fault* fault) {
  if (lifeline_) {
    if (ring_fd_ >= 0) platform::ring_doorbell(ring_fd_);
    return Status::ok;
  }
  if (!has_own()) {
    Status status = fetch(fault);
    if (status != Status::ok) {
      count_watchers();
      return memory_.control->armed.load(std::memory_order_relaxed) == 0 ? Status::ok : status;
    }
  }
  platform::ring_doorbell(own_fd_);
  return Status::ok;
}

void Doorbell::clear() {
  if (lifeline_) {
    if (clear_fd_ >= 0) platform::clear_doorbell(clear_fd_);
    return;
  }
  Fault ignored;  // a doorbell that stays readable although empty is harmless
  if (has_own() || fetch(&ignored) == Status::ok) platform::clear_doorbell(own_fd_);
}

void Doorbell::repair() {
  count_watchers();
  if (memory_.control->armed.load(std::memory_order_relaxed) == 0) return;
  Fault ignored;  // whoever waits on it looks again at the watchdog's tick
  if (should_be_readable()) {
    ring_here(&ignored);
  } else {
    clear();
  }
}

Status Doorbell::ring_here(Fault* fault) {
  return lifeline_ && ring_fd_ < 0 ? platform::ring_reading_end(clear_fd_, fault) : ring(fault);
}

Status Doorbell::fetch(Fault* fault) {
  std::uint64_t inode = memory_.control->doorbell_inode;
  Status status = Status::peer_gone;
  *fault = Fault{0, "doorbell of a process that has ended", 0, 0};
  Claim claim;
  for (std::uint32_t place = 0; next_participant(memory_.participants, &place, &claim); place++) {
    Participant& entry = memory_.participants[place];
    if (claim.state != ParticipantState::live || entry.doorbell_fd < 0) continue;
    int fd = -1;
    status = platform::open_doorbell(claim.pid, entry.doorbell_fd, inode, &fd, fault);
    if (status == Status::ok) {
      if (own_fd_ >= 0) platform::close_descriptor(own_fd_);
      own_fd_ = fd;
      own_inode_ = inode;
      return status;
    }
    if (status != Status::peer_gone) return status;
    if (!token_is_alive(memory_.participants, make_token(place, claim.generation))) entry.doorbell_fd = -1;
  }
  return status;
}

void Doorbell::count_watchers() {
  if (lifeline_) return;
  std::uint32_t watchers = 0;
  Claim claim;
  for (std::uint32_t place = 0; next_participant(memory_.participants, &place, &claim); place++) {
    const Participant& entry = memory_.participants[place];
    if (claim.state == ParticipantState::live && entry.doorbell_fd >= 0) watchers++;
  }
  memory_.control->armed.store(watchers, std::memory_order_relaxed);
}

}  // namespace interproc
