// Channels for tests: made in one line, fed with byte patterns, opened up where a test must look inside.
#pragma once

#include <sys/stat.h>

#include <memory>
#include <vector>

#include "access.hpp"
#include "channel.hpp"
#include "participants.hpp"
#include "processes.hpp"

namespace interproc::testing {

using Bytes = std::vector<std::uint8_t>;
inline constexpr std::uint8_t test_codec = 7;

// The kinds that this system has.
inline std::vector<LockKind> lock_kinds() {
  std::vector<LockKind> kinds{LockKind::liveness};
  if (lock_supported(LockKind::kernel)) kinds.push_back(LockKind::kernel);
  return kinds;
}

inline std::shared_ptr<Segment> make_segment(const ChannelOptions& options = {}, LockKind kind = LockKind::liveness,
                                             std::uint32_t channel_count = 1) {
  Fault fault;
  LockKind chosen;
  CHECK_EQ(choose_lock(kind == LockKind::kernel ? "kernel" : "liveness", &chosen, &fault), Status::ok);
  std::shared_ptr<Segment> segment;
  CHECK_EQ(Segment::create(channel_count, options, &segment, &fault), Status::ok);
  if (segment == nullptr) abort();
  return segment;
}

// Bytes that tell which message they belong to and where in it they lie.
inline Bytes pattern(std::size_t size_bytes, std::uint32_t seed = 0) {
  std::vector<std::uint32_t> words(size_bytes / 4 + 1);
  std::uint32_t state = seed * 2654435761u + static_cast<std::uint32_t>(size_bytes) + 1;
  for (std::uint32_t& word : words) word = state = state * 1664525u + 1013904223u;
  Bytes bytes(size_bytes);
  if (size_bytes > 0) std::memcpy(bytes.data(), words.data(), size_bytes);
  return bytes;
}

// A message of one part; does not own its bytes.
struct Outgoing {
  explicit Outgoing(const Bytes& bytes) : Outgoing(bytes.data(), bytes.size()) {}
  Outgoing(const void* data, std::size_t size_bytes)
      : part{data, size_bytes}, message{test_codec, &part, 1, size_bytes} {}
  Outgoing(const Outgoing&) = delete;
  Outgoing& operator=(const Outgoing&) = delete;
  Part part;
  Message message;
};

// Puts however large it is, however often it is interrupted.
inline Status put(Channel& channel, const Message& message, std::uint64_t deadline_ns, Fault* fault) {
  Status status;
  do {
    status = channel.put(message, {deadline_ns}, fault);
  } while (status == Status::interrupted);
  if (status != Status::too_large) return status;
  StreamPut progress;
  do {
    status = channel.put_stream(message, &progress, {deadline_ns}, fault);
  } while (status == Status::interrupted);
  return status;
}

inline Status put(Channel& channel, const Bytes& bytes, std::uint64_t deadline_ns = far_deadline_ns()) {
  Fault fault;
  return put(channel, Outgoing(bytes).message, deadline_ns, &fault);
}

// The rest of a stream that was taken.
inline Status read_all(Channel& channel, const Received& received, Bytes* bytes, std::uint64_t deadline_ns) {
  Fault fault;
  bytes->resize(received.length);
  std::uint64_t offset = 0;
  while (offset < received.length) {
    std::size_t piece = 0;
    Status status = channel.read_stream(received, offset, bytes->data() + offset, received.length - offset, &piece,
                                        {deadline_ns}, &fault);
    if (status == Status::interrupted) continue;
    if (status != Status::ok) {
      channel.finish_stream(received, false);
      return status;
    }
    offset += piece;
  }
  channel.finish_stream(received, true);
  return Status::ok;
}

inline Status get(Channel& channel, Bytes* bytes, std::uint64_t deadline_ns = far_deadline_ns()) {
  Fault fault;
  Received received;
  std::uint8_t buffer[4 * copy_under_lock_bytes];
  Status status;
  do {
    status = channel.get(&received, buffer, sizeof buffer, {deadline_ns}, &fault);
  } while (status == Status::interrupted);
  if (status != Status::ok) return status;
  CHECK_EQ(received.codec, test_codec);
  if (received.stream) return read_all(channel, received, bytes, deadline_ns);
  bytes->assign(received.data, received.data + received.length);
  if (received.block != no_block) channel.release(received.block);
  return Status::ok;
}

// Takes what must be there, and be exactly this.
inline void expect(Channel& channel, const Bytes& expected) {
  Bytes bytes;
  CHECK_EQ(get(channel, &bytes), Status::ok);
  CHECK(bytes == expected);
}

inline Channel::Statistics statistics(Channel& channel) {
  Fault fault;
  return channel.statistics(&fault);
}

// Memory that the segment really holds.
inline std::uint64_t resident_bytes(const Segment& segment) {
  struct stat info;
  CHECK_EQ(fstat(segment.fd(), &info), 0);
  return static_cast<std::uint64_t>(info.st_blocks) * 512;
}

}  // namespace interproc::testing
