// The channel's membership, lock, sleep and repair. Putting, taking, streams and tasks: channel_put.cpp, channel_get.cpp,
// channel_stream.cpp, channel_tasks.cpp.
#include "channel.hpp"

#include <algorithm>
#include <new>

#include "attempt.hpp"
#include "participants.hpp"
#include "platform/platform.hpp"

namespace interproc {

namespace {

constexpr std::uint32_t token_bits = 30;
constexpr std::uint32_t token_mask = (1u << token_bits) - 1;
constexpr std::uint32_t most_dead_at_once = 64;

// What an idle channel keeps warm, besides warm_bytes.
constexpr std::uint32_t idle_chunks = 128;

// Looking for the dead costs microseconds per participant: a crowd of idle sleepers shares one look a second.
constexpr std::uint64_t sweep_pause_ns = 1'000'000'000;

}  // namespace

Channel::Channel(std::shared_ptr<Segment> segment, std::uint32_t index) : segment_(std::move(segment)) {
  opened_ = check_channel(*segment_, index, &memory_, &open_fault_);
  if (memory_.tasks != TaskPolicy::redeliver || opened_ != Status::ok) return;
  leases_.reset(new (std::nothrow) Leases());
  if (leases_ == nullptr) opened_ = out_of_memory(&open_fault_);
}

Status Channel::check(Fault* fault) const {
  *fault = open_fault_;
  return opened_;
}

Channel::~Channel() {
  std::uint64_t mine = membership_.load(std::memory_order_relaxed);
  if (opened_ != Status::ok || (mine >> token_bits) != platform::process_epoch()) return;
  Fault ignored;
  if (enter(true, &ignored) != Status::ok) return;
  std::uint32_t me = token();
  forget_participants(&me, 1);
  bool tasks_ended = memory_.tasks != TaskPolicy::uncounted;
  if (tasks_ended) restart_all();
  leave();
  if (tasks_ended) wake_sleepers();
  free_participant(memory_.participants, me);
}

void Channel::leave_views() {
  std::uint64_t mine = membership_.load(std::memory_order_relaxed);
  if ((mine >> token_bits) != platform::process_epoch()) return;
  std::uint32_t old = token();
  std::uint32_t kept = 0;
  Fault ignored;
  if (join_participants(memory_.participants, &kept) != Status::ok) return;  // the table is full: stays what it was
  if (enter(true, &ignored) != Status::ok) return;
  arena_.hand_over(old, kept);
  membership_.store((mine >> token_bits) << token_bits | kept, std::memory_order_release);
  forget_participants(&old, 1);
  bool tasks_ended = memory_.tasks != TaskPolicy::uncounted;
  if (tasks_ended) restart_all();
  doorbell_.close();
  leave();
  if (tasks_ended) wake_sleepers();
  free_participant(memory_.participants, old);
}

// --- membership and lock ---------------------------------------------------------------------------------------------

std::uint32_t Channel::token() const {
  return static_cast<std::uint32_t>(membership_.load(std::memory_order_relaxed)) & token_mask;
}

Status Channel::become_participant(std::uint64_t epoch, Fault* fault) {
  std::uint64_t old = membership_.load(std::memory_order_acquire);
  std::uint32_t token = 0;
  Status status = join_participants(memory_.participants, &token);
  if (status != Status::ok) {
    *fault = Fault{0, "places for processes", max_participants, max_participants};
    return status;
  }
  given_back_.store(no_block, std::memory_order_relaxed);  // after a fork: those are the parent's
  if (leases_ != nullptr &&
      old != 0) {  // so are these; they stay behind, for a thread of the parent may be changing them
    std::unique_ptr<Leases> own(new (std::nothrow) Leases());
    if (own == nullptr) {
      free_participant(memory_.participants, token);
      return out_of_memory(fault);
    }
    static_cast<void>(leases_.release());
    leases_ = std::move(own);
  }
  std::uint64_t mine = (epoch << token_bits) | token;
  if (!membership_.compare_exchange_strong(old, mine, std::memory_order_acq_rel)) {
    free_participant(memory_.participants, token);  // another thread was faster
    return Status::ok;
  }
  // Short-lived processes would fill the table with their dead: every sixteenth newcomer looks.
  if (place_of(token) % 16 == 15) sweep();
  return Status::ok;
}

Status Channel::be_participant(Fault* fault) {
  std::uint64_t epoch = platform::process_epoch();
  if ((membership_.load(std::memory_order_acquire) >> token_bits) == epoch) [[likely]]
    return Status::ok;
  return become_participant(epoch, fault);
}

Status Channel::enter(bool may_wait, Fault* fault) {
  Status status = be_participant(fault);
  if (status != Status::ok) return status;
  switch (lock().acquire(token(), may_wait)) {
    case Lock::Acquired::busy:
      return Status::lock_busy;
    case Lock::Acquired::after_death:
      recover();
      break;
    case Lock::Acquired::clean:
      break;
  }
  if (given_back_.load(std::memory_order_relaxed) != no_block) [[unlikely]]
    take_given_back();
  return Status::ok;
}

void Channel::take_given_back() {
  std::uint64_t block = given_back_.exchange(no_block, std::memory_order_acquire);  // pairs: given-back
  std::uint64_t most = memory_.arena_bytes / cache_line;  // the links lie in shared memory: they could lead in a circle
  for (std::uint64_t i = 0; block != no_block && i < most; i++) {
    BlockHeader* header = arena_.find(block, 0);
    if (header == nullptr) return;
    std::uint64_t next = header->next_free;
    arena_.free(block);
    block = next;
  }
  if (memory_.control->memory_waiters == 0) return;
  memory_.control->memory_waiters = 0;
  space().restart();
  space().wake_all();
}

// --- repair ----------------------------------------------------------------------------------------------------------

// The last owner of the lock died inside. Nothing it did not commit has happened; what it may have left half done are the
// lists of free chunks and blocks, the counts of sleepers, and the doorbell.
void Channel::recover() {
  ChannelControl& control = *memory_.control;
  ring_.rebuild();
  settle_all();
  auto is_dead = [this](std::uint32_t token) { return !token_is_alive(memory_.participants, token); };
  arena_.rebuild(ring_, is_dead);
  if (control.shutdown.load(std::memory_order_relaxed) == 2) drop_items();
  requeue();
  doorbell_.repair();
  control.counters.recoveries++;
  restart_all();
  wake_sleepers();
}

// Their places are the caller's to free: its own not before the unlock, for the owner of the lock without a place is dead
// to whoever waits for it.
void Channel::forget_participants(const std::uint32_t* dead, std::uint32_t count) {
  // A stream's block may name one that was swept before, and was kept for the sake of the other side.
  auto is_dead = [&](std::uint32_t token) {
    return std::find(dead, dead + count, token) != dead + count ||
           find_participant(memory_.participants, token) == nullptr;
  };
  if (memory_.tasks == TaskPolicy::count) {
    for (std::uint32_t i = 0; i < count; i++) fail_tasks(dead[i]);
  }
  arena_.rebuild(ring_, is_dead);
  requeue();
  for (std::uint32_t i = 0; i < count; i++) {
    if (Participant* entry = find_participant(memory_.participants, dead[i]); entry != nullptr) entry->doorbell_fd = -1;
  }
  doorbell_.count_watchers();
}

void Channel::sweep() {
  std::uint32_t dead[most_dead_at_once];
  std::uint32_t count = find_dead_participants(memory_.participants, dead, most_dead_at_once);
  if (count == 0) return;
  Fault ignored;
  if (enter(true, &ignored) != Status::ok) return;
  forget_participants(dead, count);
  for (std::uint32_t i = 0; i < count; i++) free_participant(memory_.participants, dead[i]);
  memory_.control->counters.sweeps++;
  bool tasks_ended = memory_.tasks != TaskPolicy::uncounted;
  tasks_ended ? restart_all() : space().restart();
  leave();
  tasks_ended ? wake_sleepers() : space().wake_all();
}

void Channel::sweep_if_due() {
  std::uint64_t now_ns = platform::monotonic_ns();
  std::uint64_t swept_ns = memory_.control->swept_ns.load(std::memory_order_relaxed);
  bool due = now_ns - swept_ns > sweep_pause_ns;
  if (due && memory_.control->swept_ns.compare_exchange_strong(swept_ns, now_ns, std::memory_order_relaxed)) sweep();
}

void Channel::keep_house() {
  sweep_if_due();
  for (bool more = true; more;) {
    Fault ignored;
    if (enter(true, &ignored) != Status::ok) return;
    std::uint64_t orphans = memory_.control->orphans;
    if (orphans > 0) requeue();
    bool came_back = memory_.control->orphans != orphans;
    if (came_back) items().restart();
    more = arena_.trim(memory_.warm_bytes);
    ring_.trim(idle_chunks);
    more = more || memory_.control->warm_chunk_count > idle_chunks;
    leave();
    if (came_back) items().wake_all();
  }
}

void Channel::cool_down() {
  for (bool more = true; more;) {
    Fault ignored;
    if (enter(true, &ignored) != Status::ok) return;
    std::uint64_t keep = arena_.kept_warm();
    more = keep != 0 && arena_.trim(keep);
    leave();
  }
}

// --- sleeping and waking ---------------------------------------------------------------------------------------------

Status Channel::doze(EventWord event, const Registration& mine, std::uint64_t deadline_ns, Fault* fault) {
  EventWord::Outcome outcome = event.sleep(mine, deadline_ns);
  if (event.generation() != mine.generation) return Status::interrupted;
  if (outcome == EventWord::Outcome::woken) return Status::ok;
  Status status = enter(true, fault);
  if (status != Status::ok) return status;
  bool untouched = event.leave(mine);
  // A wake that was meant for this sleeper, which now goes away, belongs to the next one.
  std::uint32_t claimed = !untouched && outcome != EventWord::Outcome::moved ? event.claim(1) : 0;
  leave();
  wake(event, claimed);
  if (outcome == EventWord::Outcome::moved) return Status::ok;
  if (outcome == EventWord::Outcome::timed_out) return Status::timed_out;
  keep_house();
  return Status::interrupted;
}

void Channel::wake(EventWord event, std::uint32_t claimed) {
  if (claimed == 0 || event.wake(claimed)) return;
  Fault ignored;
  if (enter(true, &ignored) != Status::ok) return;
  memory_.control->counters.empty_wakes++;
  bool left = event.has_waiters();
  if (left) event.restart();
  leave();
  if (left) event.wake_all();
}

void Channel::restart_all() {
  for (EventWord event : {items(), space(), finished()}) event.restart();
}

void Channel::wake_sleepers() {
  for (EventWord event : {items(), space(), finished()}) event.wake_all();
}

void Channel::wake_all() {
  Fault ignored;
  if (enter(true, &ignored) != Status::ok) return;
  restart_all();
  leave();
  wake_sleepers();
}

// --- state -----------------------------------------------------------------------------------------------------------

std::uint64_t Channel::size() const {
  // Head first: a tail read later can only be larger, so the difference is never negative.
  std::uint64_t head = memory_.control->head.load(std::memory_order_acquire);
  for (;;) {
    std::uint64_t tail = memory_.control->tail.load(std::memory_order_acquire);
    std::uint64_t again = memory_.control->head.load(std::memory_order_acquire);
    if (again == head) return tail - head;
    head = again;
  }
}

bool Channel::is_full() const { return memory_.max_items != 0 && size() >= memory_.max_items; }

std::uint64_t Channel::max_items() const { return memory_.max_items; }

Status Channel::shut_down(bool immediate, Fault* fault) {
  Status status = enter(true, fault);
  if (status != Status::ok) return status;
  ChannelControl& control = *memory_.control;
  std::uint32_t level = immediate ? 2 : 1;
  std::uint32_t before = control.shutdown.load(std::memory_order_relaxed);
  if (immediate && before < 2) control.dropped_from = control.head.load(std::memory_order_relaxed);
  if (before < level) control.shutdown.store(level, std::memory_order_release);
  if (immediate) drop_items();
  status = ring_if_empty(fault);  // who watches a descriptor must learn it too
  restart_all();
  leave();
  wake_sleepers();
  return status;
}

void Channel::drop_items() {
  ChannelControl& control = *memory_.control;
  std::uint64_t tail = control.tail.load(std::memory_order_relaxed);
  std::uint64_t head = control.head.load(std::memory_order_relaxed);
  std::uint64_t most = std::uint64_t{memory_.chunk_count} * chunk_slots;
  if (tail - head > most) ring_.release(head = tail);  // cannot be true: nothing to save
  for (; head < tail; head++) {
    Received dropped;
    std::uint64_t emptied_block = no_block;
    Fault ignored;
    Status status = read_slot(head, &dropped, nullptr, 0, &emptied_block, &ignored);
    ring_.release(head + 1);
    if (status == Status::ok && dropped.lease != no_block) arena_.free(dropped.lease);
    drop_lent(dropped.lent);
    if (status != Status::ok || dropped.block == no_block || dropped.lease != no_block) continue;
    if (dropped.stream) end_stream(dropped.block, StreamState::finished);
    arena_.drop_owner(dropped.block);
  }
}

Channel::Statistics Channel::statistics(Fault* fault) {
  Statistics result{};
  if (enter(true, fault) != Status::ok) return result;
  const ChannelControl& control = *memory_.control;
  result.counters = control.counters;
  result.items = control.tail.load(std::memory_order_relaxed) - control.head.load(std::memory_order_relaxed);
  result.max_items = memory_.max_items;
  result.bytes_used = control.arena_used + std::uint64_t{control.chunks_used} * chunk_bytes;
  result.max_bytes = memory_.max_bytes;
  std::uint64_t beyond = control.arena_touched - std::min(control.arena_touched, control.arena_end);
  result.warm_bytes = control.arena_free + beyond + std::uint64_t{control.warm_chunk_count} * chunk_bytes;
  result.blocks_used = control.blocks_used;
  result.chunks_used = control.chunks_used;
  result.taken_bytes = control.arena_taken;
  result.blocks_taken = control.blocks_taken;
  result.leases = control.leases;
  Claim claim;
  for (std::uint32_t place = 0; next_participant(memory_.participants, &place, &claim); place++) result.participants++;
  leave();
  result.resident_bytes = platform::resident_bytes(segment_->fd());
  result.warm_bytes = std::min(result.warm_bytes, result.resident_bytes);
  result.views = control.views.load(std::memory_order_relaxed);
  result.viewed_bytes = control.viewed_bytes.load(std::memory_order_relaxed);
  result.spins = put_spin_.spins() + get_spin_.spins();
  result.spin_hits = put_spin_.hits() + get_spin_.hits();
  return result;
}

// --- doorbell --------------------------------------------------------------------------------------------------------

Status Channel::arm(int* fd, Fault* fault) {
  Status status = enter(true, fault);
  if (status != Status::ok) return status;
  status = doorbell_.arm(token(), fd, fault);
  leave();
  return status;
}

void Channel::stay_readable() {
  Fault ignored;  // who waits on the descriptor looks again at the next message
  if (enter(true, &ignored) != Status::ok) return;
  if (memory_.control->armed.load(std::memory_order_relaxed) > 0) doorbell_.ring_here(&ignored);
  leave();
}

void Channel::use_lifeline(int ring_fd, int clear_fd) { doorbell_.use_lifeline(ring_fd, clear_fd); }

Status Channel::arm_lifeline(Fault* fault) {
  Status status = enter(true, fault);
  if (status != Status::ok) return status;
  status = doorbell_.arm_lifeline(fault);
  leave();
  return status;
}

}  // namespace interproc
