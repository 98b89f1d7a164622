// Item: a message that can be told from every other one, and whose every byte can be checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "channel.hpp"

namespace interproc::sweep {

inline constexpr std::uint8_t item_codec = 7;

struct Item {
  std::uint32_t id = 0;
  std::uint32_t size_bytes = 0;  // at least 8: id and size are part of the bytes
  bool operator==(const Item&) const = default;
};

// Sizes that take different paths: in the slot, in a block copied under the lock, in a block copied outside it, in a
// block whose pages are reserved outside it.
inline constexpr std::uint32_t inline_bytes = 40;
inline constexpr std::uint32_t small_bytes = 200;
inline constexpr std::uint32_t large_bytes = 4096;
inline constexpr std::uint32_t huge_bytes = 58 * 1024;

// Owns the bytes.
class Outgoing {
 public:
  explicit Outgoing(Item item);
  Outgoing(const Outgoing&) = delete;
  Outgoing& operator=(const Outgoing&) = delete;
  const Message& message() const { return message_; }
  // Has a lent block with the same bytes go along.
  Status take_along(Channel& channel, Fault* fault);

 private:
  std::vector<std::uint8_t> bytes_;
  Part part_;
  Message message_;
  std::uint64_t lent_ = no_block;
};

// Of the lent blocks of a message, gives all back. False unless each has the bytes of the item, where that is one.
bool give_back_lent(Channel& channel, const Received& received, const Item& item);

// False unless the bytes are those of an item, all of them.
bool recognise(const std::uint8_t* bytes, std::uint64_t size_bytes, Item* item);

}  // namespace interproc::sweep
