// An arena alone, for tests: beside a ring whose slots can name its blocks.
#pragma once

#include "arena.hpp"
#include "channels.hpp"

namespace interproc::testing {

inline constexpr std::uint32_t me = 77;
inline constexpr std::uint64_t mega = std::uint64_t{1} << 20;

class Store {
 public:
  explicit Store(const ChannelOptions& options = {.max_bytes = 1024 * mega, .virtual_bytes = 1024 * mega})
      : segment_(make_segment(options)) {
    Fault fault;
    CHECK_EQ(check_channel(*segment_, 0, &memory_, &fault), Status::ok);
  }

  Arena& arena() { return arena_; }
  Ring& ring() { return ring_; }
  ChannelControl& control() { return *memory_.control; }
  const ChannelMemory& memory() const { return memory_; }
  std::uint64_t resident() const { return resident_bytes(*segment_); }
  BlockHeader& header(std::uint64_t block) { return *arena_.find(block, 0); }

  Status allocate(std::uint64_t payload_bytes, std::uint64_t* block, std::uint32_t owner = me) {
    bool unbacked = false;
    Fault fault;
    Status status = arena_.allocate({payload_bytes}, owner, block, &unbacked, &fault);
    if (status != Status::ok || !unbacked) return status;
    status = arena_.back(*block, payload_bytes, &fault);
    arena_.note_backed(*block, payload_bytes);
    return status;
  }
  // A block written from end to end, as a message would.
  std::uint64_t make(std::uint64_t payload_bytes, std::uint32_t owner = me) {
    std::uint64_t block = no_block;
    CHECK_EQ(allocate(payload_bytes, &block, owner), Status::ok);
    CHECK(arena_.find(block, payload_bytes) != nullptr);
    std::memset(arena_.payload(block), static_cast<int>(payload_bytes), payload_bytes);
    return block;
  }
  // Puts the block in line.
  void commit(std::uint64_t block) {
    Slot* slot = nullptr;
    Fault fault;
    std::uint64_t position = control().tail.load();
    CHECK_EQ(ring_.claim(position, &slot, &fault), Status::ok);
    slot->kind = SlotKind::block;
    slot->block = block;
    header(block).ticket = position;
    header(block).owner = owner_queued;
    ring_.commit(position + 1);
  }
  void rebuild(std::uint32_t dead) {
    arena_.rebuild(ring_, [dead](std::uint32_t token) { return token == dead; });
  }
  std::uint64_t free_in_class(std::uint32_t size_class) const { return memory_.control->free_lists[size_class]; }

 private:
  std::shared_ptr<Segment> segment_;
  ChannelMemory memory_{};
  Ring ring_{memory_};
  Arena arena_{memory_};
};

}  // namespace interproc::testing
