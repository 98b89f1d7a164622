// Streams: one message that is larger than the channel takes in one piece.
//
// Its slot is committed first and keeps its place in the line; the payload then flows through a window in one block, from
// the producer that waits in put to the consumer that took the slot. `written` and `read` count payload bytes. The block
// has two owners, so that neither side's death frees it under the other:
//   producer dies unfinished: the consumer gets `aborted` and goes on with the next message
//   consumer dies unfinished: the producer starts again with a new slot at the end of the line
#include <string.h>

#include <algorithm>

#include "channel.hpp"
#include "participants.hpp"
#include "platform/platform.hpp"

namespace interproc {

namespace {

constexpr std::uint64_t most_window_bytes = std::uint64_t{1} << 20;

// The longest piece of `message` that lies in one part, from `offset` on.
Part piece_at(const Message& message, std::uint64_t offset) {
  for (std::size_t i = 0; i < message.part_count; i++) {
    const Part& part = message.parts[i];
    if (offset < part.size_bytes) {
      return Part{static_cast<const std::uint8_t*>(part.data) + offset,
                  part.size_bytes - static_cast<std::size_t>(offset)};
    }
    offset -= part.size_bytes;
  }
  return Part{nullptr, 0};
}

std::uint8_t* window_of(StreamHeader* stream) { return reinterpret_cast<std::uint8_t*>(stream + 1); }

StreamState state_of(const Shared32& state) { return static_cast<StreamState>(state.load(std::memory_order_acquire)); }

}  // namespace

StreamHeader* Channel::stream_at(std::uint64_t block, std::uint64_t* capacity) const {
  auto [header, size_class] = arena_.look_up(block, sizeof(StreamHeader));
  if (header == nullptr) return nullptr;
  auto* stream = reinterpret_cast<StreamHeader*>(arena_.payload(block));
  std::uint64_t room = class_bytes(size_class) - sizeof(BlockHeader) - sizeof(StreamHeader);
  *capacity = __atomic_load_n(&stream->capacity, __ATOMIC_RELAXED);
  return *capacity > 0 && *capacity <= room ? stream : nullptr;
}

void Channel::end_stream(std::uint64_t block, StreamState state) {
  std::uint64_t capacity = 0;
  StreamHeader* stream = stream_at(block, &capacity);
  if (stream == nullptr) return;
  stream->state.store(static_cast<std::uint32_t>(state), std::memory_order_release);
  for (EventWord event : {EventWord(stream->data), EventWord(stream->room)}) {
    event.restart();
    event.wake_all();
  }
}

Status Channel::begin_stream(const Message& message, StreamPut* progress, Registration* mine, Fault* fault) {
  Status status = enter(true, fault);
  if (status != Status::ok) return status;
  ChannelControl& control = *memory_.control;
  std::uint64_t tail = control.tail.load(std::memory_order_relaxed);
  std::uint64_t window = std::min({most_window_bytes, memory_.max_unread_bytes / 4, memory_.arena_bytes / 4});
  std::uint64_t block = no_block;
  bool unbacked = false;
  status = room_at(tail, fault);
  if (status == Status::ok) status = ring_if_empty(fault);
  if (status == Status::ok)
    status = arena_.allocate({sizeof(StreamHeader) + window}, token(), &block, &unbacked, fault);
  if (status == Status::ok && unbacked) status = arena_.back(block, sizeof(StreamHeader) + window, fault);
  if (status == Status::ok) {
    if (unbacked) arena_.note_backed(block, sizeof(StreamHeader) + window);
    auto* stream = new (arena_.payload(block)) StreamHeader{};
    stream->capacity = window;
    if (BlockHeader* header = arena_.find(block, 0); header != nullptr) header->co_owner = token();
    status = fill_slot(tail, SlotKind::stream, message, block, fault);
  }
  std::uint32_t claimed = 0;
  if (status == Status::ok) {
    claimed = commit(tail + 1, 1, message.size_bytes);
    control.counters.streams++;
    *progress = StreamPut{block, 0};
  } else {
    if (block != no_block) arena_.free(block);
    if (status == Status::full) *mine = wait_for_space(tail);
  }
  leave();
  wake(items(), claimed);
  return status;
}

// Sleeps until `moving` is no longer `seen`, or `state` no longer what the caller saw before. ok = look again.
Status Channel::await_stream(EventWord event, Shared64& moving, std::uint64_t seen, Shared32& state,
                             StreamState seen_state, Wait wait, Fault* fault) {
  auto moved = [&] { return moving.load(std::memory_order_acquire) != seen || state_of(state) != seen_state; };
  if (get_spin_.until(wait.deadline_ns, moved)) return Status::ok;
  if (wait.deadline_ns == 0) return Status::timed_out;
  Status status = enter(true, fault);
  if (status != Status::ok) return status;
  bool already = moved();
  Registration mine{};
  if (!already) mine = event.enter();
  leave();
  return already ? Status::ok : doze(event, mine, wait.deadline_ns, fault);
}

// The participant that is the block's owner or co-owner.
std::uint32_t Channel::side_of_stream(std::uint64_t block, std::uint32_t BlockHeader::* side) {
  Fault ignored;
  if (enter(true, &ignored) != Status::ok) return owner_none;
  const BlockHeader* header = arena_.find(block, 0);
  std::uint32_t participant = header != nullptr ? header->*side : owner_none;
  leave();
  return participant;
}

// Whether the process that took the slot died over it. One that let go properly is owner_none.
bool Channel::consumer_has_died(std::uint64_t block) {
  std::uint32_t consumer = side_of_stream(block, &BlockHeader::owner);
  bool is_process = consumer != owner_queued && consumer != owner_none;
  return is_process && !token_is_alive(memory_.participants, consumer);
}

// Whether the producer will write no more: it died, was swept, or let go after its last byte.
bool Channel::producer_has_gone(std::uint64_t block) {
  std::uint32_t producer = side_of_stream(block, &BlockHeader::co_owner);
  return producer == owner_none || !token_is_alive(memory_.participants, producer);
}

Status Channel::put_stream(const Message& message, StreamPut* progress, Wait wait, Fault* fault) {
  if (leases_ != nullptr) {  // nobody could keep it for another delivery
    *fault = Fault{0, "put", message.size_bytes, arena_.most_bytes()};
    return Status::too_large;
  }
  while (progress->block == no_block) {
    if (wait.deadline_ns == 0) return Status::timed_out;
    Registration mine{};
    Status status = begin_stream(message, progress, &mine, fault);
    if (status == Status::full && is_without_consumer()) return Status::no_consumer;
    if (status == Status::full) status = doze(space(), mine, wait.deadline_ns, fault);
    if (status != Status::ok) return status;
  }
  std::uint64_t capacity = 0;
  StreamHeader* stream = stream_at(progress->block, &capacity);
  if (stream == nullptr) {
    *fault = Fault{0, "window of a stream", progress->block, 0};
    return Status::bad_segment;
  }
  while (progress->written < message.size_bytes) {
    StreamState state = state_of(stream->state);
    if (state == StreamState::finished || state == StreamState::aborted) break;  // the consumer wants no more
    std::uint64_t read = stream->read.load(std::memory_order_acquire);
    std::uint64_t room = capacity - std::min(capacity, progress->written - read);
    if (room == 0) {
      if (is_without_consumer()) {
        abort_stream(progress);
        return Status::no_consumer;
      }
      Status status = await_stream(EventWord(stream->room), stream->read, read, stream->state, state, wait, fault);
      if (status == Status::ok || state_of(stream->state) != state) continue;
      if (status == Status::timed_out) abort_stream(progress);
      if (status != Status::interrupted) return status;
      // A dead consumer: start again with a new slot for another one.
      if (consumer_has_died(progress->block)) abort_stream(progress);
      return Status::interrupted;
    }
    std::uint64_t at = progress->written % capacity;
    Part piece = piece_at(message, progress->written);
    std::size_t size_bytes = std::min({std::uint64_t{piece.size_bytes}, room, capacity - at, capacity / 4 + 1});
    memcpy(window_of(stream) + at, piece.data, size_bytes);
    Status status = enter(true, fault);
    if (status != Status::ok) return status;
    progress->written += size_bytes;
    stream->written.store(progress->written, std::memory_order_release);
    EventWord data(stream->data);
    std::uint32_t claimed = data.claim(1);
    leave();
    wake(data, claimed);
  }
  Status status = enter(true, fault);
  if (status != Status::ok) return status;
  BlockHeader* header = arena_.find(progress->block, 0);
  bool is_taken = header != nullptr && header->owner != owner_queued && header->owner != owner_none;
  // By a consumer that died and was swept meanwhile: no sweep will find its name again.
  if (is_taken && find_participant(memory_.participants, header->owner) == nullptr) header->owner = owner_none;
  arena_.drop_co_owner(progress->block);
  std::uint32_t claimed = claim_for_memory();
  *progress = StreamPut{};
  leave();
  wake(space(), claimed);
  return Status::ok;
}

void Channel::abort_stream(StreamPut* progress) {
  if (progress->block == no_block) return;
  Fault ignored;
  if (enter(true, &ignored) != Status::ok) return;
  end_stream(progress->block, StreamState::aborted);
  BlockHeader* header = arena_.find(progress->block, 0);
  bool queued = header != nullptr && header->owner == owner_queued;
  bool is_taken = header != nullptr && !queued && header->owner != owner_none;
  bool orphaned = is_taken && !token_is_alive(memory_.participants, header->owner);
  if (orphaned) header->owner = owner_none;
  // The dead consumer's slot was for this message, which comes again in another.
  bool all_done = orphaned && memory_.tasks != TaskPolicy::count && count_as_done();
  arena_.drop_co_owner(progress->block);
  std::uint32_t claimed = claim_for_memory();
  *progress = StreamPut{};
  leave();
  wake(space(), claimed);
  if (all_done) finished().wake_all();
}

Status Channel::read_stream(const Received& received, std::uint64_t offset, std::uint8_t* destination,
                            std::size_t capacity, std::size_t* size_bytes, Wait wait, Fault* fault) {
  *size_bytes = 0;
  std::uint64_t window = 0;
  StreamHeader* stream = stream_at(received.block, &window);
  if (stream == nullptr) {
    *fault = Fault{0, "window of a stream", received.block, 0};
    return Status::bad_segment;
  }
  std::uint32_t waiting = static_cast<std::uint32_t>(StreamState::waiting);
  stream->state.compare_exchange_strong(waiting, static_cast<std::uint32_t>(StreamState::taken));
  for (;;) {
    std::uint64_t written = stream->written.load(std::memory_order_acquire);
    if (written - offset > window) {
      *fault = Fault{0, "progress of a stream", written, offset};
      return Status::bad_segment;
    }
    if (written > offset) {
      std::uint64_t at = offset % window;
      std::size_t piece = std::min({written - offset, window - at, std::uint64_t{capacity}, window / 4 + 1});
      memcpy(destination, window_of(stream) + at, piece);
      Status status = enter(true, fault);
      if (status != Status::ok) return status;
      stream->read.store(offset + piece, std::memory_order_release);
      EventWord room(stream->room);
      std::uint32_t claimed = room.claim(1);
      leave();
      wake(room, claimed);
      *size_bytes = piece;
      return Status::ok;
    }
    StreamState state = state_of(stream->state);
    if (state == StreamState::aborted) return Status::aborted;
    Status status = await_stream(EventWord(stream->data), stream->written, written, stream->state, state, wait, fault);
    if (status == Status::ok || state_of(stream->state) != state) continue;
    // In this order: a living producer may write its last byte and let go between the two looks.
    bool has_gone = status == Status::interrupted && producer_has_gone(received.block);
    if (has_gone && stream->written.load(std::memory_order_acquire) == written) return Status::aborted;
    return status;
  }
}

void Channel::finish_stream(const Received& received, bool complete) {
  Fault ignored;
  if (enter(true, &ignored) != Status::ok) return;
  end_stream(received.block, complete ? StreamState::finished : StreamState::aborted);
  arena_.drop_owner(received.block);
  // Nobody gets a message that did not come whole, so nobody will call task_done() for it.
  bool all_done = !complete && finish_task();
  std::uint32_t claimed = claim_for_memory();
  leave();
  wake(space(), claimed);
  if (all_done) finished().wake_all();
}

}  // namespace interproc
