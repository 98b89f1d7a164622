// Arena: memory for payloads that do not fit a slot.
//
// Blocks lie one behind the other, header first, each as long as its size class says; classes grow by quarter powers of
// two. Freed blocks go to the list of their class, last in first out, so that their pages and cache lines are warm.
// Whenever nothing is alive the arena starts again from its beginning: no fragment outlives a quiet moment. Where it has
// none, free blocks side by side are merged before an allocation fails (arena_merge.cpp).
//
// A block is alive iff its owner is a living participant, or its owner is `owner_queued` and the slot at its ticket is
// committed and names it, or the block at its `head`, or its co-owner is a living participant (a stream's producer), or it
// is leased. The lists are never trusted after a death: rebuild() walks all headers and decides by that rule. Payloads are
// written outside the lock.
//
// Every function: lock held, unless it says otherwise. A block is named by the offset of its header.
#pragma once

#include <algorithm>

#include "channel_memory.hpp"
#include "layout.hpp"
#include "ring.hpp"
#include "status.hpp"

namespace interproc {

// The class for `size_bytes` including the header, and how long its blocks are.
std::uint32_t size_class_of(std::uint64_t size_bytes);
std::uint64_t class_bytes(std::uint32_t size_class);

// Large blocks: pages reserved outside the lock, given back when too many lie idle.
inline constexpr std::uint64_t large_block_bytes = 64 * 1024;

class Arena {
 public:
  explicit Arena(const ChannelMemory& memory) : memory_(memory) {}

  // What blocks are taken from. `in_place`: the receiver reads it where it lies, so it goes in however large it is, as long
  // as nothing else is unread; anything else only within the limit on unread bytes.
  // `is_lent`: it is not in the line yet; take() says whether it may be kept.
  struct Wanted {
    std::uint64_t payload_bytes;
    bool in_place = false;
    bool is_lent = false;
  };

  // Whether a payload of this size can be a block here, whatever receivers keep: at most half of all memory.
  bool can_hold(const Wanted& wanted) const;

  // The most that can be a block here.
  std::uint64_t most_bytes() const;

  // A block owned by `token`. `*unbacked`: call back() before writing. ok, full (memory limit), bad_segment, out_of_memory.
  Status allocate(const Wanted& wanted, std::uint32_t token, std::uint64_t* block, bool* unbacked, Fault* fault);
  // Reserves the pages; then note_backed(). Also without the lock. out_of_memory: free the block.
  Status back(std::uint64_t block, std::uint64_t payload_bytes, Fault* fault) const;
  // The pages were reserved: remembered for the next user of this range.
  void note_backed(std::uint64_t block, std::uint64_t payload_bytes);

  void free(std::uint64_t block);
  // The block, out of the line, is `token`'s now. False: receivers keep so much that the next payloads could find no room;
  // do not keep it long.
  bool take(std::uint64_t block, std::uint32_t token);
  // A taken block goes into the line, along with the block `head`.
  void put_back(std::uint64_t block, std::uint64_t head, std::uint64_t ticket);
  // Whether the limit on unread bytes lets these taken blocks into the line.
  bool may_put_back(const std::uint64_t* blocks, std::size_t count) const;
  // The blocks that `from` has taken are `to`'s.
  void hand_over(std::uint32_t from, std::uint32_t to);
  // The message in this block, out of the line, is `token`'s until it is freed; should `token` end before, it comes again.
  void lease(std::uint64_t block, std::uint32_t token, const Slot& slot);
  // A leased block whose consumer has ended.
  struct Orphan {
    std::uint64_t ticket;
    std::uint64_t block;
  };
  // The orphans that were put last, at most `limit`, last first. Returns how many.
  std::uint32_t find_orphans(Orphan* latest, std::uint32_t limit) const;
  // The block is back in the line.
  void end_lease(BlockHeader* header);

  // For a stream's block, which two sides keep alive: one lets go; freed when the other has, too.
  void drop_owner(std::uint64_t block);
  void drop_co_owner(std::uint64_t block);
  // Whether the pages of this block should go back to the system before it is freed, because enough lie idle.
  bool should_cool(std::uint64_t block) const;
  // Gives them back. Lock not held; the caller owns the block.
  void cool(std::uint64_t block) const;

  // A block whose header could be true. `size_class` is this process's own copy: the header's may change at any time.
  struct Found {
    BlockHeader* header;  // nullptr: no such block
    std::uint32_t size_class;
  };
  // Also without the lock, for an owner. Nothing unless `block` names a block with room for `payload_bytes`.
  Found look_up(std::uint64_t block, std::uint64_t payload_bytes) const;
  BlockHeader* find(std::uint64_t block, std::uint64_t payload_bytes) const {
    return look_up(block, payload_bytes).header;
  }
  std::uint8_t* payload(std::uint64_t block) const {
    return reinterpret_cast<std::uint8_t*>(memory_.arena + block + sizeof(BlockHeader));
  }

  // After a death: decides every block anew. Owners that `is_dead` lose theirs; queued blocks follow the ring.
  template <typename IsDead>
  void rebuild(const Ring& ring, IsDead is_dead) {
    begin_rebuild();
    ChannelControl& control = *memory_.control;
    std::uint64_t end = std::min(control.arena_end, memory_.arena_bytes);
    for (std::uint64_t block = cache_line; block < end;) {
      auto [header, size_class] = look_up(block, 0);
      if (header == nullptr) break;
      std::uint64_t bytes = class_bytes(size_class);
      if (header->co_owner != owner_none && is_dead(header->co_owner)) header->co_owner = owner_none;
      bool queued = names(ring, block, *header);
      bool owned = header->owner != owner_none && header->owner != owner_queued && !is_dead(header->owner);
      // What a consumer had on lease is nobody's now, and waits to be put back into the line.
      bool leased = !queued && header->owner != owner_none && (header->flags & block_leased) != 0;
      if (!leased) header->flags &= ~block_leased;
      if ((queued || leased) && !owned) header->owner = owner_queued;
      if (queued || owned || leased || header->co_owner != owner_none) {
        if (!owned) header->flags &= ~block_taken;
        keep(bytes, *header);
      } else {
        drop(block, *header, size_class);
      }
      block += bytes;
    }
    end_rebuild();
  }

  // Room for chunks of the ring, or for blocks, of this size.
  bool has_room(std::uint64_t bytes, bool in_place = false, bool is_lent = false) const;

  // How much of the idle memory should be kept from now on; 0: as it is. Also without the lock.
  std::uint64_t kept_warm() const { return memory_.control->arena_keep.load(std::memory_order_relaxed); }
  // Gives idle memory beyond `keep_bytes` back, at most 4 MiB a call. True if more is left to do.
  bool trim(std::uint64_t keep_bytes);

 private:
  BlockHeader* header_at(std::uint64_t block) const { return reinterpret_cast<BlockHeader*>(memory_.arena + block); }
  std::uint64_t most_kept_bytes() const;
  bool names(const Ring& ring, std::uint64_t block, const BlockHeader& header) const;
  Status extend(std::uint32_t size_class, std::uint64_t payload_bytes, std::uint64_t* block, bool* unbacked,
                Fault* fault);
  void count_as_taken(BlockHeader& header, std::uint64_t bytes);
  void count_as_not_taken(BlockHeader& header, std::uint64_t bytes);
  std::uint64_t pop_free(std::uint32_t size_class);
  void count_out(bool is_orphan);
  void push_free(std::uint64_t block, BlockHeader& header, std::uint32_t size_class);
  // Free blocks side by side.
  struct Run {
    std::uint64_t start = 0;
    std::uint64_t bytes = 0;
    std::uint64_t block_count = 0;
    std::uint32_t any_flags = 0;
    std::uint32_t all_flags = 0;
  };
  void merge();
  void end_run(const Run& run);
  bool cut_anew(const Run& run);
  Status find_block(std::uint32_t size_class, std::uint64_t payload_bytes, std::uint64_t* block, bool* unbacked,
                    Fault* fault);
  void begin_rebuild();
  void keep(std::uint64_t bytes, const BlockHeader& header);
  void drop(std::uint64_t block, BlockHeader& header, std::uint32_t size_class);
  void end_rebuild();
  void forget_free();
  void start_again();
  void plan_trim();

  const ChannelMemory& memory_;
};

}  // namespace interproc
