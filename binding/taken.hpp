// Taken: a message that this process has taken out of a channel and not yet made an object of.
#pragma once

#include <cstdint>
#include <memory>

#include "buffer.hpp"
#include "channel.hpp"
#include "python.hpp"
#include "view.hpp"

namespace interproc::binding {

enum class Codec : std::uint8_t {
  none = 0,
  yes = 1,
  no = 2,
  integer = 3,
  real = 4,
  text = 5,
  bytes = 6,
  pickle = 7,
  pickle_with_buffers = 8,
  raw = 9,  // from send_bytes()
  compact = 10,
  array = 11,
};

// Smaller buffers are copied out of their block: that costs less than keeping it.
inline constexpr std::size_t least_bytes_to_view = 8 * 1024;

// A message that arrives in pieces, and how far it has come.
struct Arrival {
  Received received;
  Ref bytes;  // the destination of what will be a bytes object, else `memory`
  std::shared_ptr<Memory> memory;
  std::uint8_t* data = nullptr;
  std::size_t size_bytes = 0;
  std::size_t arrived_bytes = 0;
};

// Gives its block back at the end.
struct Taken {
  Codec codec;
  const std::uint8_t* data;
  std::size_t length;
  std::uint8_t* own = nullptr;  // the same bytes, in `memory`
  Channel* channel = nullptr;
  std::uint64_t block = no_block;
  bool may_keep = false;         // the block
  Ref bytes;                     // `data` is this object's
  std::shared_ptr<void> memory;  // keeps `data`, which is the receiver's own
  std::uint8_t buffer[copy_under_lock_bytes];

  Taken() {}  // NOLINT: the rest is filled by whoever takes
  ~Taken() {
    if (block != no_block) release();
    if (channel == nullptr || length <= slot_inline_bytes || !channel->is_too_warm()) return;
    Unlocked unlocked;
    channel->cool_down();
  }
  Taken(const Taken&) = delete;
  Taken& operator=(const Taken&) = delete;

  // What lies in the caller's buffer or in a block; not a stream.
  void hold(Channel* from, const Received& received) {
    codec = static_cast<Codec>(received.codec);
    data = received.data;
    length = static_cast<std::size_t>(received.length);
    channel = from;
    block = received.block;
    may_keep = received.may_keep;
  }
  // A message whose pieces have all arrived.
  void hold(Arrival* arrival) {
    codec = static_cast<Codec>(arrival->received.codec);
    data = own = arrival->data;
    length = arrival->size_bytes;
    bytes = std::move(arrival->bytes);
    memory = std::move(arrival->memory);
  }
  // Makes the message's block the receiver's own, to be kept as long as `memory` is. False: it is to be copied.
  bool keep() {
    if (memory != nullptr) return true;
    if (block == no_block || !may_keep) return false;
    std::shared_ptr<View> view = View::make(channel, data, length, block);
    if (view == nullptr) return false;
    block = no_block;
    own = view->data();
    memory = std::move(view);
    return true;
  }
  // Large blocks may go back to the system, which takes a while: without the GIL.
  void release() {
    if (length <= most_bytes_with_gil) {
      channel->release(block);
    } else {
      Unlocked unlocked;
      channel->release(block);
    }
    block = no_block;
  }
};

}  // namespace interproc::binding
