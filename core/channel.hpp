// Channel: a first-in first-out line of messages between processes; the one object behind every queue and pipe direction.
//
// Threads and processes may call anything at any time. Only functions that take a Wait may sleep, and only they return
// timed_out or interrupted; `interrupted` also comes at every watchdog tick (at most 1 s apart), so that the caller can
// look at signals and lifelines. A killed participant leaves nothing to repair but what recover() repairs.
//
// A Channel is this process's view; it keeps its Segment alive. After fork the child joins as a participant of its own
// with its first call.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "arena.hpp"
#include "channel_memory.hpp"
#include "doorbell.hpp"
#include "event_word.hpp"
#include "layout.hpp"
#include "leases.hpp"
#include "lock.hpp"
#include "ring.hpp"
#include "segment.hpp"
#include "spin.hpp"
#include "status.hpp"

namespace interproc {

// One piece of a payload. The message is the concatenation of its parts.
struct Part {
  const void* data;
  std::size_t size_bytes;
};

struct Message {
  std::uint8_t codec;
  const Part* parts;
  std::size_t part_count;
  std::size_t size_bytes;  // sum over the parts
  bool in_place = false;   // the receiver reads it in its block: see Arena::Wanted
  // Blocks of lend() that go along, in this order; the channel's once it is put. Not through put_stream().
  const std::uint64_t* lent = nullptr;
  std::size_t lent_count = 0;
  std::uint64_t lent_bytes = 0;  // payload in them
};

// A message may have no more lent blocks than this.
inline constexpr std::size_t most_lent = 64;

// A message taken. Exactly one of these holds:
//   block == no_block, !stream: `data` points into the caller's buffer;
//   block != no_block, !stream: `data` points into the arena and stays valid until release(block);
//   stream: read it with Channel::read_stream() until `length` bytes came.
struct Received {
  std::uint8_t codec = 0;
  bool stream = false;
  std::uint64_t length = 0;
  const std::uint8_t* data = nullptr;
  std::uint64_t block = no_block;
  std::uint64_t lease = no_block;  // the block that keeps it until task_done(), where the channel redelivers
  std::uint32_t deliveries = 0;    // before this one
  bool may_keep = false;           // its blocks, for as long as the receiver likes; else only for moments
  // The first of the lent blocks that came along; all are the receiver's, to be released one by one. See read_lent().
  std::uint64_t lent = no_block;
  std::uint64_t lent_bytes = 0;
};

inline constexpr std::uint64_t no_deadline = UINT64_MAX;

struct Wait {
  std::uint64_t deadline_ns;  // CLOCK_MONOTONIC; no_deadline = for ever; 0 = do not sleep at all
  bool for_lock = true;       // false, of put_many and get_many: lock_busy instead of waiting for the (short) lock
};

// Payloads up to this size are copied while the lock is held, so that they cost one lock round instead of two.
inline constexpr std::size_t copy_under_lock_bytes = 1024;

// Progress of a message that goes through in pieces. Zero-initialised by the caller, kept between calls.
struct StreamPut {
  std::uint64_t block = no_block;
  std::uint64_t written = 0;
};

class Channel : public std::enable_shared_from_this<Channel> {
 public:
  Channel(std::shared_ptr<Segment> segment, std::uint32_t index);
  ~Channel();  // leaves: gives back blocks that this process still owns
  // For the last user but views of blocks (view.hpp): leaves, except that it keeps those. Only release() may follow.
  void leave_views();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // Whether the control page could be true; call it first, and nothing else unless it is ok.
  Status check(Fault* fault) const;

  // --- putting ---------------------------------------------------------------------------------------------------
  // Never sleeps. With `wait_for_lock` false returns lock_busy instead of waiting for the (short) lock.
  // ok, full, shut_down, lock_busy, too_large (use put_stream), faults.
  Status try_put(const Message& message, bool wait_for_lock, Fault* fault);
  // Also sleeps while full. ok, timed_out, interrupted, shut_down, too_large, faults.
  Status put(const Message& message, Wait wait, Fault* fault);
  // Puts a prefix of the messages with one commit where they are small; `*count` says how many went in, also when the
  // status is not ok (then messages[*count] is the one it is about).
  Status put_many(const Message* messages, std::size_t message_count, Wait wait, std::size_t* count, Fault* fault);
  // For too_large. Resumable: call again with the same `progress` after interrupted. timed_out withdraws the message.
  Status put_stream(const Message& message, StreamPut* progress, Wait wait, Fault* fault);
  // A block to write a message's data in before it is put along with it, as Message::lent, or released. Its payload begins
  // at `*data`. ok, full (receivers and lenders keep as much as they may, or the channel redelivers), shut_down, faults.
  Status lend(std::uint64_t payload_bytes, std::uint64_t* block, std::uint8_t** data, Fault* fault);
  // Whether a message of this size that is read in place goes in as one block.
  bool takes_whole(std::uint64_t payload_bytes) const { return arena_.can_hold({payload_bytes, true}); }
  // Withdraws a stream that will not be continued (the caller got an exception).
  void abort_stream(StreamPut* progress);

  // --- taking ----------------------------------------------------------------------------------------------------
  // Never sleeps. Copies payloads that fit into `buffer`; others stay in their block or stream.
  // `buffer_bytes` >= copy_under_lock_bytes. ok, empty, shut_down, lock_busy, faults.
  Status try_get(Received* received, std::uint8_t* buffer, std::size_t buffer_bytes, bool wait_for_lock, Fault* fault);
  // Also sleeps while empty. ok, timed_out, interrupted, shut_down, faults.
  Status get(Received* received, std::uint8_t* buffer, std::size_t buffer_bytes, Wait wait, Fault* fault);
  // At least one, at most `limit`; stops early when `buffer` is used up or after a message that is not in the buffer.
  Status get_many(Received* received, std::size_t limit, std::uint8_t* buffer, std::size_t buffer_bytes, Wait wait,
                  std::size_t* count, Fault* fault);
  // Sleeps until there is something to take, and takes nothing. ok (also when shut down), timed_out, interrupted, faults.
  Status await(Wait wait, Fault* fault);
  // A lent block that came with a message, for its owner. False: there is no such block.
  struct LentPart {
    const std::uint8_t* data;
    std::uint64_t length;
    std::uint64_t next;  // no_block after the last
  };
  bool read_lent(std::uint64_t block, LentPart* part) const;
  // For statistics(): this process reads so much where it lies.
  void count_view(std::uint64_t size_bytes) {
    memory_.control->views.fetch_add(1, std::memory_order_relaxed);
    memory_.control->viewed_bytes.fetch_add(size_bytes, std::memory_order_relaxed);
  }
  // Gives a block back. Never sleeps, never fails: where the lock is busy the block is given back by the next operation
  // of this process.
  void release(std::uint64_t block);
  // After taking or releasing: whether the last message of a burst has gone, so that memory should go back to the system.
  bool is_too_warm() const { return arena_.kept_warm() != 0; }
  // Gives it back; takes a quarter of a second per GiB.
  void cool_down();
  // Copies the next piece of a stream. ok (piece in `*size_bytes`, > 0), interrupted, timed_out, aborted, faults.
  Status read_stream(const Received& received, std::uint64_t offset, std::uint8_t* destination, std::size_t capacity,
                     std::size_t* size_bytes, Wait wait, Fault* fault);
  // For a taker that breaks off half through a stream and will come back: keeps an armed doorbell readable.
  void stay_readable();
  // After the last piece, or instead of it: lets the producer go and gives the stream's block back.
  void finish_stream(const Received& received, bool complete);

  // --- state -----------------------------------------------------------------------------------------------------
  std::uint64_t size() const;  // exact at one point in time
  bool is_full() const;
  std::uint64_t max_items() const;
  bool is_shut_down() const { return memory_.control->shutdown.load(std::memory_order_relaxed) != 0; }
  // Done is: what was put longest ago; where the channel redelivers, what this thread took longest ago, else this process.
  Status task_done(Fault* fault);        // ok, too_many_done
  Status join(Wait wait, Fault* fault);  // ok, timed_out, interrupted
  Status shut_down(bool immediate, Fault* fault);
  // How often the message that this thread took last, and has not done, was delivered before.
  std::uint32_t deliveries() const;
  // Where what was delivered max_deliveries times goes. Call it before anything is taken.
  void bury_in(std::shared_ptr<Channel> dead_letters);
  // Makes every sleeper of every process return `interrupted` once.
  void wake_all();
  struct Statistics {
    Counters counters;
    std::uint64_t items, max_items, bytes_used, max_bytes, blocks_used, chunks_used;
    std::uint64_t resident_bytes;             // of the whole segment
    std::uint64_t warm_bytes;                 // idle, and kept
    std::uint64_t taken_bytes, blocks_taken;  // in the hands of receivers and lenders, views included
    std::uint64_t views, viewed_bytes;        // received without a copy
    std::uint64_t leases;                     // taken and to be acknowledged
    std::uint64_t participants, spins, spin_hits;
  };
  Statistics statistics(Fault* fault);
  const Segment& segment() const { return *segment_; }

  // --- who uses it -----------------------------------------------------------------------------------------------
  // One of the processes in its table: has used it, and neither left nor been swept since. What it still has of it, like
  // views, keeps it there when it has left.
  struct Attached {
    std::uint32_t pid, roles;
    bool is_alive;    // maybe: see platform::is_alive()
    bool is_certain;  // it is surely that process which has this pid now
  };
  // Moves `*place` on to the first there or after it, without the lock. False if there is none. For loops.
  bool next_attached(std::uint32_t* place, Attached* who) const;
  // Makes what the dead held free, or come again, now instead of with the next tick. May wait for the lock.
  void sweep();
  bool blocks_without_consumer() const { return memory_.no_consumer == NoConsumer::block; }

  // --- doorbell --------------------------------------------------------------------------------------------------
  // A queue's own pipe, made or fetched on first use: readable while not empty (for takers). The descriptor stays owned
  // by the channel. Faults: out_of_descriptors, peer_gone, system_error.
  Status arm(int* fd, Fault* fault);
  // For pipes: ring by writing to `ring_fd`, clear by reading from `clear_fd`; -1 = not from here. Both stay the
  // caller's and must outlive the channel.
  void use_lifeline(int ring_fd, int clear_fd);
  // Starts ringing the lifeline; needs clear_fd.
  Status arm_lifeline(Fault* fault);

 private:
  friend struct ChannelTestAccess;

  // The lock. `enter` joins first if this process has not yet, and recovers if the last owner died.
  // ok, lock_busy, too_many_participants.
  Status enter(bool may_wait, Fault* fault);
  void leave() { lock().release(); }
  Status be_participant(Fault* fault);
  Status become_participant(std::uint64_t epoch, Fault* fault);
  std::uint32_t token() const;

  // Lock held.
  void recover();
  void drop_items();
  void drop_item(std::uint64_t head, bool is_task);
  void forget_participants(const std::uint32_t* dead, std::uint32_t count);
  void take_given_back();
  void restart_all();  // forgets all sleepers; wake_sleepers() then
  bool count_as_done();
  bool has_just_finished();
  bool finish_task();
  bool finish_tasks(Participant& who, std::uint64_t count, std::int64_t tasks);
  void fail_tasks(std::uint32_t token);
  void note_change(Participant& who, std::int64_t tasks, std::uint64_t head, std::uint64_t done);
  void settle(Participant& who);
  void settle_all();
  Participant& own_place() const;
  // Process-local memory remembers what is written there, so that this costs a look.
  void note_role(std::uint32_t role) {
    if ((roles_.load(std::memory_order_relaxed) & role) == 0) [[unlikely]]
      add_role(role);
  }
  void add_role(std::uint32_t role);
  void release_slots(std::uint64_t head, std::size_t taken);
  void requeue();
  bool put_back(std::uint64_t block);
  bool others_have_leases() const;
  Status room_at(std::uint64_t position, Fault* fault);
  Status room_for(const Message& message, std::uint64_t position, Fault* fault);
  void link_lent(const Message& message, std::uint64_t block, std::uint64_t position);
  bool take_lent(const BlockHeader& header, std::uint64_t block, std::uint64_t position, Received* received);
  void drop_lent(std::uint64_t block);
  Status write_slot(const Message& message, std::uint64_t position, Fault* fault);
  Status fill_slot(std::uint64_t position, SlotKind kind, const Message& message, std::uint64_t block, Fault* fault);
  Status ring_if_empty(Fault* fault);
  EventWord::Registration wait_for_space(std::uint64_t tail);
  std::uint32_t commit(std::uint64_t tail, std::size_t count, std::uint64_t size_bytes);
  Status read_slot(std::uint64_t position, Received* received, std::uint8_t* buffer, std::size_t buffer_bytes,
                   std::uint64_t* emptied_block, Fault* fault);
  std::uint32_t after_release(std::uint32_t count);
  std::uint32_t claim_for_memory();

  // Lock not held.
  using Registration = EventWord::Registration;
  Status place(const Message& message, bool wait_for_lock, Registration* mine, Fault* fault);
  Status place_large(const Message& message, bool wait_for_lock, Registration* mine, Fault* fault);
  Status place_small(const Message* messages, std::size_t message_count, bool wait_for_lock, std::size_t* count,
                     Fault* fault);
  Status take(Received* received, std::size_t limit, std::uint8_t* buffer, std::size_t buffer_bytes, bool wait_for_lock,
              Registration* mine, std::size_t* count, Fault* fault);
  Status take_some(Received* received, std::size_t limit, std::uint8_t* buffer, std::size_t buffer_bytes,
                   bool wait_for_lock, Registration* mine, std::size_t* count, Fault* fault);
  Status take_leases(Received* received, std::size_t limit, std::uint8_t* buffer, std::size_t buffer_bytes,
                     bool wait_for_lock, Registration* mine, std::size_t* count, Fault* fault);
  bool bury(const Received& received);
  Status acknowledge(std::uint64_t block, bool is_buried);
  Status doze(EventWord event, const Registration& mine, std::uint64_t deadline_ns, Fault* fault);
  void wake(EventWord event, std::uint32_t claimed);
  void wake_sleepers();
  void keep_house();  // on a watchdog tick: sweep the dead, give idle memory back
  void sweep_if_due();
  Status begin_stream(const Message& message, StreamPut* progress, Registration* mine, Fault* fault);
  bool has_consumer() const;
  bool is_without_consumer() const { return !blocks_without_consumer() && !has_consumer(); }
  Status put_without_consumer(const Message& message, Fault* fault);
  bool drop_oldest(std::uint64_t head);

  // Streams. `end_stream` with the lock held, the rest without.
  StreamHeader* stream_at(std::uint64_t block, std::uint64_t* capacity) const;
  void end_stream(std::uint64_t block, StreamState state);
  std::uint32_t side_of_stream(std::uint64_t block, std::uint32_t BlockHeader::* side);
  bool consumer_has_died(std::uint64_t block);
  bool producer_has_gone(std::uint64_t block);
  Status await_stream(EventWord event, Shared64& moving, std::uint64_t seen, Shared32& state, StreamState seen_state,
                      Wait wait, Fault* fault);

  Lock lock() { return Lock(memory_.control->lock, memory_.lock_kind, memory_.participants); }
  EventWord items() { return EventWord(memory_.control->items); }
  EventWord space() { return EventWord(memory_.control->space); }
  EventWord finished() { return EventWord(memory_.control->finished); }
  bool is_finished() const;

  std::shared_ptr<Segment> segment_;
  ChannelMemory memory_{};
  Status opened_;
  Fault open_fault_{};
  Ring ring_{memory_};
  Arena arena_{memory_};
  Doorbell doorbell_{memory_};
  Spin put_spin_;
  Spin get_spin_;
  std::atomic<std::uint64_t> membership_{0};         // epoch << 30 | token: this process's, not its parent's
  std::atomic<std::uint32_t> roles_{0};              // what this process's place says
  std::unique_ptr<Leases> leases_;                   // null unless the channel redelivers
  std::shared_ptr<Channel> dead_letters_;            // may be null
  std::atomic<std::uint64_t> given_back_{no_block};  // blocks released while the lock was busy, linked by next_free
};

}  // namespace interproc
