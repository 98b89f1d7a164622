// The inside of a Channel, for tests and for the sweep.
#pragma once

#include "channel.hpp"

namespace interproc {

// Friend of Channel.
struct ChannelTestAccess {
  static ChannelMemory& memory(Channel& channel) { return channel.memory_; }
  static Ring& ring(Channel& channel) { return channel.ring_; }
  static Arena& arena(Channel& channel) { return channel.arena_; }
  static Doorbell& doorbell(Channel& channel) { return channel.doorbell_; }
  static std::uint32_t token(Channel& channel) { return channel.token(); }
  static Status enter(Channel& channel, Fault* fault) { return channel.enter(true, fault); }
  static void leave(Channel& channel) { channel.leave(); }
  static void recover(Channel& channel) { channel.recover(); }
  static void sweep(Channel& channel) { channel.sweep(); }
  static void keep_house(Channel& channel) { channel.keep_house(); }
};

}  // namespace interproc
