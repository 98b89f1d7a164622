#include "sweep/item.hpp"

#include <string.h>

namespace interproc::sweep {

namespace {

// Never zero, so that memory which was given back cannot pass for a payload.
std::uint8_t byte_at(std::uint32_t id, std::size_t offset) {
  return static_cast<std::uint8_t>((id * 31 + offset * 7 + offset / 251) | 1);
}

}  // namespace

Outgoing::Outgoing(Item item)
    : bytes_(item.size_bytes), part_{bytes_.data(), bytes_.size()}, message_{item_codec, &part_, 1, bytes_.size()} {
  memcpy(bytes_.data(), &item, sizeof item);
  for (std::size_t offset = sizeof item; offset < bytes_.size(); offset++) bytes_[offset] = byte_at(item.id, offset);
}

Status Outgoing::take_along(Channel& channel, Fault* fault) {
  std::uint8_t* data = nullptr;
  Status status = channel.lend(bytes_.size(), &lent_, &data, fault);
  if (status != Status::ok) return status;
  memcpy(data, bytes_.data(), bytes_.size());
  message_.lent = &lent_;
  message_.lent_count = 1;
  message_.lent_bytes = bytes_.size();
  return status;
}

bool give_back_lent(Channel& channel, const Received& received, const Item& item) {
  bool all = true;
  for (std::uint64_t block = received.lent; block != no_block;) {
    Channel::LentPart part;
    Item seen;
    if (!channel.read_lent(block, &part)) return false;
    bool is_its = item.size_bytes == 0 || (recognise(part.data, part.length, &seen) && seen == item);
    all = all && is_its;
    channel.release(block);
    block = part.next;
  }
  return all;
}

bool recognise(const std::uint8_t* bytes, std::uint64_t size_bytes, Item* item) {
  if (size_bytes < sizeof *item) return false;
  memcpy(item, bytes, sizeof *item);
  if (item->size_bytes != size_bytes) return false;
  for (std::size_t offset = sizeof *item; offset < size_bytes; offset++) {
    if (bytes[offset] != byte_at(item->id, offset)) return false;
  }
  return true;
}

}  // namespace interproc::sweep
