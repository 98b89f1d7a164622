// Every byte that lies in shared memory, and nothing else.
//
//   segment   = SegmentHeader, then by kind: `channel_count` channels at `channel_offset[i]`, a pool of synchronisation
//               objects (sync/cells.hpp), or a heap: raw memory to its end
//   channel   = ChannelControl | Participant[max_participants] | directory | chunk links | chunks of slots | arena
//
// All regions start on a page. The memfd is sparse: a page costs memory only once touched.
// Fields say who writes them. "lock" = only while holding ChannelControl::lock. Any change here bumps layout_version.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace interproc {

inline constexpr std::uint64_t segment_magic = 0x31434f5250544e49;  // "INTPROC1", little endian
inline constexpr std::uint32_t layout_version = 3;

inline constexpr std::size_t page_bytes = 4096;
inline constexpr std::size_t cache_line = 64;
inline constexpr std::uint32_t max_channels = 2;
inline constexpr std::uint32_t max_participants = 1024;

inline constexpr std::size_t slot_bytes = 128;
inline constexpr std::size_t slot_inline_bytes = 112;
inline constexpr std::uint32_t chunk_slots = 64;  // power of two
inline constexpr std::size_t chunk_bytes = slot_bytes * chunk_slots;

inline constexpr std::uint32_t size_class_count = 160;
inline constexpr std::uint32_t no_chunk = 0xffffffff;
inline constexpr std::uint64_t no_block = 0;

using Shared32 = std::atomic<std::uint32_t>;
using Shared64 = std::atomic<std::uint64_t>;
static_assert(Shared32::is_always_lock_free && Shared64::is_always_lock_free);
static_assert(sizeof(Shared32) == 4 && sizeof(Shared64) == 8);

enum class LockKind : std::uint32_t { kernel = 1, liveness = 2 };

// What becomes of the messages that a consumer has taken when it ends before task_done().
enum class TaskPolicy : std::uint32_t {
  uncounted = 0,  // nothing
  count = 1,      // they count as done, and failed, so that join() returns
  redeliver = 2,  // they come again
};

enum class SegmentKind : std::uint32_t { channels = 1, sync = 2, heap = 3 };

// Written once by the creator before anybody else can see the segment; read-only ever after.
struct SegmentHeader {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t word_bytes;  // sizeof(void*)
  std::uint8_t uuid[16];
  std::uint64_t size_bytes;
  std::uint64_t pid_namespace;  // inode of /proc/self/ns/pid, 0 where unknown
  LockKind lock_kind;
  std::uint32_t channel_count;  // 0 in segments of other kinds
  std::uint32_t creator_pid;    // who can be asked for the descriptor, and under which number it has it
  std::int32_t creator_fd;
  std::uint64_t channel_offset[max_channels];
  SegmentKind kind;
  std::uint32_t reserved;
};

// {ev, waiters, generation}: the counted sleep. Protocol in event_word.hpp.
struct EventWords {
  Shared32 ev;            // futex word; writer: lock
  std::uint32_t waiters;  // may be too high, never too low; lock
  Shared32 generation;    // lock
  std::uint32_t reserved;
};

enum class ParticipantState : std::uint32_t { free = 0, joining = 1, live = 2 };

// One process that uses the channel. `claim` packs pid, generation and state so that joining is one CAS and a process
// that dies while joining can still be found.
struct alignas(cache_line) Participant {
  Shared64 claim;            // pid << 32 | generation << 2 | state; writer: CAS
  std::uint64_t image;       // platform::Identity; writer: owner while joining
  std::int32_t doorbell_fd;  // descriptor number in that process, -1 = none; lock
  std::uint32_t reserved;
  // With TaskPolicy::count. The three last: a change of `tasks` that comes true with a store of head or done; see
  // channel_tasks.cpp.
  Shared64 tasks;       // taken here less done here, signed; lock
  Shared64 tasks_then;  // lock
  Shared64 head_then;   // 0 = no such change; lock
  Shared64 done_then;   // 0 = no such change; lock
};
static_assert(sizeof(Participant) == cache_line);

enum class SlotKind : std::uint8_t { inline_bytes = 1, block = 2, stream = 3 };

struct alignas(cache_line) Slot {
  SlotKind kind;
  std::uint8_t codec;
  std::uint16_t inline_length;
  std::uint32_t deliveries;  // that the message has behind it
  std::uint64_t block;       // offset in the arena + 1 of the block, for kinds block and stream; 0 otherwise
  union {
    std::uint8_t bytes[slot_inline_bytes];
    std::uint64_t length;  // payload bytes in the block, or in the whole stream
  };
};
static_assert(sizeof(Slot) == slot_bytes);

// Who keeps a block alive. Participant tokens are > 0; see participants.hpp.
inline constexpr std::uint32_t owner_none = 0;
inline constexpr std::uint32_t owner_queued = 0xffffffff;  // alive iff slot(ticket) is committed and names it

struct alignas(cache_line) BlockHeader {
  std::uint32_t size_class;
  std::uint32_t owner;       // token, owner_none or owner_queued; lock
  std::uint32_t co_owner;    // token of a stream's producer, else owner_none; lock
  std::uint32_t flags;       // BlockFlag; lock
  std::uint64_t next_free;   // block reference, in the free list; lock
  std::uint64_t ticket;      // position of the slot that names it; lock
  std::uint64_t length;      // payload bytes; lock
  std::uint64_t head;        // of a lent block: the one that the slot names for it; no_block for others; lock
  std::uint64_t next_lent;   // the lent block that goes along with this one; lock
  std::uint32_t deliveries;  // of a leased message, before this one; lock
  std::uint32_t codec;       // of a leased message; lock
};
static_assert(sizeof(BlockHeader) == cache_line);

inline constexpr std::uint32_t block_unbacked = 1;  // its pages were given back: reserve them before use
inline constexpr std::uint32_t block_taken = 2;     // out of the line, and kept by the process that took it
inline constexpr std::uint32_t block_cold = 4;      // free, its pages were given back: holds no memory
inline constexpr std::uint32_t block_leased = 8;    // out of the line, and to come again unless it is acknowledged

// The buffer of one message that is larger than the arena lets through in one piece. Lies at the start of a block.
struct StreamHeader {
  std::uint64_t capacity;  // bytes of the window behind this header
  Shared64 written;        // producer, lock
  Shared64 read;           // consumer, lock
  Shared32 state;          // StreamState; lock
  std::uint32_t reserved;
  EventWords data;
  EventWords room;
};

enum class StreamState : std::uint32_t { waiting = 0, taken = 1, finished = 2, aborted = 3 };

struct Counters {  // all: lock
  std::uint64_t puts, gets, bytes_in, bytes_out;
  std::uint64_t put_waits, get_waits, empty_wakes;
  std::uint64_t blocks_made, streams, recoveries, sweeps;
  std::uint64_t most_items, most_bytes, most_taken_bytes;
  std::uint64_t failed, redelivered, buried;
  std::uint64_t lent, lent_bytes;  // blocks that were put without a copy
  std::uint64_t most_blocks;
};

struct ChannelControl {
  // Written once by the creator.
  std::uint64_t max_items;         // 0 = unbounded
  std::uint64_t max_bytes;         // of ring chunks and blocks in use together
  std::uint64_t warm_bytes;        // of idle blocks keep their memory
  std::uint64_t max_unread_bytes;  // of those, without the blocks that receivers keep
  std::uint64_t participants_offset, directory_offset, links_offset, chunks_offset, arena_offset;  // from the channel
  std::uint64_t arena_bytes;
  std::uint32_t chunk_count;
  std::uint32_t directory_mask;
  TaskPolicy tasks;
  std::uint32_t max_deliveries;  // of one message, with TaskPolicy::redeliver; 0 = no limit

  alignas(cache_line) Shared32 lock;
  alignas(cache_line) Shared64 head;  // position of the next message to take; consumers, lock
  alignas(cache_line) Shared64 tail;  // position of the next message to put; producers, lock
  Shared64 done;                      // task_done() calls; lock
  std::uint64_t dropped_from;         // head when shutdown became 2: what was released since was dropped; lock

  alignas(cache_line) EventWords items;  // consumers sleep here
  EventWords space;                      // producers sleep here
  EventWords finished;                   // join() sleeps here
  Shared32 shutdown;                     // 0, 1 = no more puts, 2 = immediate; lock
  Shared32 armed;                        // > 0: a doorbell must be rung; lock
  Shared64 swept_ns;                     // when the dead were last looked for; whoever looks

  alignas(cache_line) std::uint32_t warm_chunks;  // head of the list of backed free chunks; lock
  std::uint32_t cold_chunks;                      // head of the list of punched free chunks; lock
  std::uint32_t warm_chunk_count;                 // lock
  std::uint32_t chunks_used;                      // lock
  std::uint32_t fresh_chunk;                      // chunks from here on were never used; lock
  std::uint32_t backed_chunk;                     // chunks before this one were reserved once; lock
  std::uint64_t memory_waiters;                   // 1 = a producer waits for memory, not for a place in line; lock
  std::uint64_t doorbell_inode;                   // identity of the doorbell pipe; lock

  alignas(cache_line) std::uint64_t arena_end;  // blocks lie before it; lock
  std::uint64_t arena_backed;                   // bytes before it are all backed by memory; lock
  std::uint64_t arena_touched;                  // bytes from here on were never touched, or given back; lock
  std::uint64_t arena_used;                     // bytes in live blocks, headers included; lock
  std::uint64_t arena_taken;                    // of these, in blocks that receivers keep; lock
  std::uint64_t arena_free;                     // bytes in free lists that hold memory; lock
  std::uint64_t
      arena_last_peak;  // arena_end when last nothing was alive any more, with more than warm_bytes touched; lock
  std::uint64_t arena_emptied_ns;  // when that was; lock
  Shared64 arena_keep;             // != 0: memory from here on should go back to the system now; lock
  std::uint64_t blocks_used;       // lock
  std::uint64_t blocks_taken;      // lock
  std::uint64_t leases;            // messages taken and neither acknowledged nor back in the line; lock
  std::uint64_t orphans;           // of these, whose consumer has ended; lock
  std::uint64_t forgiven;          // task_done() calls that may still come for messages that count as failed; lock
  std::uint64_t blocks_free;       // in the free lists; lock
  std::uint64_t blocks_freed;      // since free ones were last merged; lock
  Counters counters;
  Shared64 views, viewed_bytes;                // received without a copy; whoever receives
  std::uint64_t free_lists[size_class_count];  // heads, block references; lock
};
static_assert(sizeof(ChannelControl) <= page_bytes);
static_assert(offsetof(ChannelControl, lock) % cache_line == 0);
static_assert(offsetof(ChannelControl, head) % cache_line == 0);
static_assert(offsetof(ChannelControl, tail) % cache_line == 0);

}  // namespace interproc
