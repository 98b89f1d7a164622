// Every byte of a SyncPool's segment.
//
//   segment = SegmentHeader | SyncControl | Participant[max_participants] | cells | waiter nodes
//
// Each part begins on a page. A cell is one object, or the first of a run: barriers and semaphores that track their
// holders are followed by continuation cells. Only the process that made the segment gives cells out; how is its own
// affair (allocator.hpp) and nothing of it lies here. Nodes are claimed by anybody.
// Fields say who writes them. "guard" = only while holding the cell's own `guard`, a Lock of core/lock.hpp.
#pragma once

#include "layout.hpp"

namespace interproc {

inline constexpr std::uint32_t sync_cells = 4096;
inline constexpr std::uint32_t sync_nodes = 65536;  // the first is never used: 0 is the end of a list
inline constexpr std::uint32_t no_node = 0;

enum class CellKind : std::uint32_t {
  free = 0,
  lock = 1,
  semaphore = 2,
  bounded_semaphore = 3,  // tracks its holders
  condition = 4,
  event = 5,
  barrier = 6,
  continuation = 7,
};

struct SyncControl {
  Shared32 cells_made;    // cells from here on were never used; creator
  Shared32 nodes_made;    // nodes from here on were never used; whoever adds a page of them, by CAS
  Shared64 next_look_ns;  // the dead are not looked for before; whoever looks, by CAS
  Shared64 sweeps;        // dead participants cleaned up after; whoever did
};

// What every cell begins with. `kind` is written last when the cell is first used, and stays: see allocator.hpp.
struct alignas(cache_line) Cell {
  Shared32 kind;
  std::uint32_t reserved[15];
};

// `word`: token of the owner | abandoned (platform::owner_died_bit) | waiters (platform::waiters_bit). Zero is free; a
// free word with the abandoned bit was its dead owner's.
struct alignas(cache_line) LockCell {
  Shared32 kind;
  Shared32 word;           // CAS
  Shared64 thread;         // of the owner; 0 when free or not yet written; owner
  Shared32 depth;          // acquisitions by that thread; owner
  Shared32 abandoned_pid;  // who died with it, while the word's abandoned bit is set; sweeper
};

// `word`: permits that are left | waiters_bit.
struct alignas(cache_line) SemaphoreCell {
  Shared32 kind;
  Shared32 word;              // CAS; with holders: guard, but for the waiters bit
  Shared32 guard;             // with holders
  std::uint32_t maximum;      // creator
  std::uint32_t entry_count;  // places for holders in the continuation cells; creator
};

struct alignas(cache_line) ConditionCell {
  Shared32 kind;
  Shared32 guard;
  Shared32 head;  // first waiter's node; guard
  Shared32 tail;  // last waiter's node where head is not no_node; guard
};

// `word`: waiters_bit | times it was set (30 bits) | set (bit 0).
struct alignas(cache_line) EventCell {
  Shared32 kind;
  Shared32 word;  // CAS
};

// `word`: round << 2 | RoundState. A round is filled, then its last party acts, then the next round begins.
struct alignas(cache_line) BarrierCell {
  Shared32 kind;
  Shared32 guard;
  Shared32 word;              // guard
  std::uint32_t parties;      // creator
  std::uint32_t entry_count;  // places for parties in the continuation cells; creator
  Shared32 has_killed;        // 1: an entry may hold killed_party; guard
  Shared64 arrived;           // round << 32 | parties that have arrived in it; guard
  Shared64 broken_rounds;     // bit round % 64: that round was broken; guard
};

enum class RoundState : std::uint32_t { filling = 0, acting = 1, broken = 2 };

// One process that holds permits or takes part in a barrier.
struct CellEntry {
  Shared32 token;  // 0 = free; guard
  Shared32 count;  // semaphore: its permits, 0 = free entry. barrier: round << 1 | it was in the round before; guard
};

inline constexpr std::uint32_t entries_per_cell = 7;
inline constexpr std::uint32_t killed_party = 0xffffffff;  // no token: stands where a killed party stood

struct alignas(cache_line) ContinuationCell {
  Shared32 kind;
  std::uint32_t reserved;
  CellEntry entries[entries_per_cell];
};

// One waiter of a condition.
struct WaiterNode {
  Shared32 word;   // WaiterState, slept on; waiter, guard
  Shared32 token;  // of the waiter's process, 0 = free; CAS
  Shared32 next;   // guard
  Shared32 cell;   // of the condition; waiter, before it is linked
};

enum class WaiterState : std::uint32_t { idle = 0, waiting = 1, asleep = 2, notified = 3 };

static_assert(sizeof(Cell) == cache_line && sizeof(LockCell) == cache_line && sizeof(SemaphoreCell) == cache_line);
static_assert(sizeof(ConditionCell) == cache_line && sizeof(EventCell) == cache_line);
static_assert(sizeof(BarrierCell) == cache_line && sizeof(ContinuationCell) == cache_line);
static_assert(sizeof(WaiterNode) == 16 && sizeof(SyncControl) <= page_bytes);

inline constexpr std::uint64_t sync_control_at = page_bytes;
inline constexpr std::uint64_t sync_participants_at = sync_control_at + page_bytes;
inline constexpr std::uint64_t sync_cells_at = sync_participants_at + sizeof(Participant) * max_participants;
inline constexpr std::uint64_t sync_nodes_at = sync_cells_at + sizeof(Cell) * sync_cells;
inline constexpr std::uint64_t sync_segment_bytes = sync_nodes_at + sizeof(WaiterNode) * sync_nodes;
static_assert(sync_cells_at % page_bytes == 0 && sync_nodes_at % page_bytes == 0);
static_assert(sync_segment_bytes % page_bytes == 0);

}  // namespace interproc
