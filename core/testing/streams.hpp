// Streams for tests: both sides in steps, so that a test can stop them in the middle.
#pragma once

#include <algorithm>

#include "channels.hpp"

namespace interproc::testing {

inline constexpr std::uint64_t mega = std::uint64_t{1} << 20;
inline constexpr ChannelOptions narrow{.max_bytes = mega, .virtual_bytes = 2 * mega};
inline constexpr std::size_t window_bytes = mega / 4;

inline const Bytes small = pattern(50);
inline const Bytes huge = pattern(3 * mega + 17, 1);

// A stream that is put in steps, as a caller does who looks at signals in between.
class Producer {
 public:
  Producer(Channel& channel, const Bytes& bytes) : channel_(channel), outgoing_(bytes) {}

  Status step(std::uint64_t deadline_ns) {
    Fault fault;
    return channel_.put_stream(outgoing_.message, &progress_, {deadline_ns}, &fault);
  }
  // Until the window is full: whatever the consumer does not take.
  void fill_window() {
    Status status = Status::interrupted;
    while (progress_.written < window_bytes && status == Status::interrupted) status = step(far_deadline_ns());
    CHECK_EQ(status, Status::interrupted);
  }
  void finish() {
    Status status;
    do {
      status = step(far_deadline_ns());
    } while (status == Status::interrupted);
    CHECK_EQ(status, Status::ok);
  }
  void abort() { channel_.abort_stream(&progress_); }
  const StreamPut& progress() const { return progress_; }

 private:
  Channel& channel_;
  Outgoing outgoing_;
  StreamPut progress_;
};

inline Status take(Channel& channel, Received* received) {
  Fault fault;
  std::uint8_t buffer[copy_under_lock_bytes];
  Status status;
  do {
    status = channel.get(received, buffer, sizeof buffer, {far_deadline_ns()}, &fault);
  } while (status == Status::interrupted);
  return status;
}

// Reads on from the end of `*bytes` until at least `size_bytes` came; stops early with what is not ok.
inline Status read_up_to(Channel& channel, const Received& received, std::uint64_t size_bytes, Bytes* bytes) {
  Fault fault;
  while (bytes->size() < size_bytes) {
    std::size_t offset = bytes->size();
    std::size_t piece = 0;
    bytes->resize(std::min<std::uint64_t>(received.length, offset + 100'000));
    Status status = channel.read_stream(received, offset, bytes->data() + offset, bytes->size() - offset, &piece,
                                        {far_deadline_ns()}, &fault);
    bytes->resize(offset + piece);
    if (status != Status::ok && status != Status::interrupted) return status;
  }
  return Status::ok;
}

inline std::uint64_t unfinished_tasks(Channel& channel) {
  const ChannelControl& control = *ChannelTestAccess::memory(channel).control;
  return control.tail.load() - control.done.load();
}

inline void expect_nothing_left(Channel& channel) {
  ChannelTestAccess::sweep(channel);
  CHECK_EQ(channel.size(), 0);
  CHECK_EQ(statistics(channel).blocks_used, 0);
}

}  // namespace interproc::testing
