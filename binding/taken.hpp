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

// A lent block that came with a message. Gives it back, unless it is `memory`'s.
struct LentTaken {
  const std::uint8_t* data = nullptr;
  std::size_t length = 0;
  std::uint8_t* own = nullptr;  // the same bytes, in `memory`
  std::shared_ptr<void> memory;
  Channel* channel = nullptr;
  std::uint64_t block = no_block;

  LentTaken() = default;
  ~LentTaken() {
    if (block != no_block) channel->release(block);
  }
  LentTaken(const LentTaken&) = delete;
  LentTaken& operator=(const LentTaken&) = delete;
};

// Gives its blocks back at the end.
struct Taken {
  Codec codec;
  const std::uint8_t* data;
  std::size_t length;
  std::uint8_t* own = nullptr;  // the same bytes, in `memory`
  Channel* channel = nullptr;
  std::uint64_t block = no_block;
  std::uint64_t lent = no_block;  // the next of the lent blocks that came along
  bool may_keep = false;          // the blocks
  Ref bytes;                      // `data` is this object's
  std::shared_ptr<void> memory;   // keeps `data`, which is the receiver's own
  // What the taker wishes for bytes that arrive in pieces: this place, if they fit, or no bytes object.
  std::uint8_t* destination = nullptr;
  std::size_t destination_bytes = 0;
  bool wants_memory = false;
  std::uint8_t buffer[copy_under_lock_bytes];

  Taken() {}  // NOLINT: the rest is filled by whoever takes
  ~Taken() {
    if (block != no_block) release();
    if (lent != no_block) release_lent();
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
    lent = received.lent;
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
  // The next lent block, to be kept where that may be. False: there is none.
  bool take_lent(LentTaken* taken) {
    Channel::LentPart part;
    if (lent == no_block || !channel->read_lent(lent, &part)) return false;
    taken->channel = channel;
    taken->block = lent;
    taken->data = part.data;
    taken->length = static_cast<std::size_t>(part.length);
    lent = part.next;
    std::shared_ptr<View> view = may_keep ? View::make(channel, part.data, part.length, taken->block) : nullptr;
    if (view == nullptr) return true;
    taken->block = no_block;
    taken->own = view->data();
    taken->memory = std::move(view);
    return true;
  }
  void release_lent() {
    for (std::size_t i = 0; i < most_lent; i++) {
      LentTaken dropped;
      if (!take_lent(&dropped)) return;
    }
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
