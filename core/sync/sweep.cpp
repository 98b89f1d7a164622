// The sweep: what a process leaves behind that was killed while it used a pool.
//
// It walks the pool once: locks it held become nobody's, permits come back, barriers break, waiters go. Last it frees the
// dead one's place. Everything in it may be done twice, also by two sweepers at a time, and a sweeper that is killed
// leaves the rest to the next: what it looks for is the dead one's token, which nobody else ever has. So it needs no lock
// of its own, only the guards of the cells, one at a time.
#include <algorithm>

#include "barrier.hpp"
#include "owned_lock.hpp"
#include "participants.hpp"
#include "pool.hpp"
#include "semaphore.hpp"
#include "waiters.hpp"

namespace interproc {

namespace {

constexpr std::uint32_t most_dead_at_once = 64;
constexpr std::uint64_t least_pause_ns = 100'000'000;
constexpr std::uint64_t pause_per_look = 100;  // looks take a hundredth of one processor at most

void sweep(SyncPool& pool, std::uint32_t dead, std::uint32_t pid, std::uint32_t me) {
  std::uint32_t made = pool.cells_made();
  for (std::uint32_t i = 0; i < made; i++) {
    switch (static_cast<CellKind>(pool.cell<Cell>(i)->kind.load(std::memory_order_acquire))) {  // pairs: cell-made
      case CellKind::lock:
        abandon_lock(*pool.cell<LockCell>(i), dead, pid);
        break;
      case CellKind::bounded_semaphore:
        return_permits(pool, i, me, dead);
        break;
      case CellKind::barrier:
        lose_party(pool, i, me, dead);
        break;
      case CellKind::free:
      case CellKind::semaphore:
      case CellKind::condition:
      case CellKind::event:
      case CellKind::continuation:
        break;
    }
  }
  drop_waiters(pool, dead, me);
  free_participant(pool.participants(), dead);
  pool.control().sweeps.fetch_add(1, std::memory_order_relaxed);
}

// The process behind a token, 0 if the token is nobody's by now.
std::uint32_t pid_of(const SyncPool& pool, std::uint32_t token) {
  const Participant* entry = find_participant(pool.participants(), token);
  return entry != nullptr ? unpack_claim(entry->claim.load(std::memory_order_acquire)).pid : 0;
}

// Who is no participant, because the table is full of the dead, sweeps as a guest.
class Sweeper {
 public:
  explicit Sweeper(SyncPool& pool) : table_(pool.participants()), token_(pool.joined()) {
    is_guest_ = token_ == 0;
    if (is_guest_ && join_as_guest(table_, &token_) != Status::ok) token_ = 0;
  }
  ~Sweeper() {
    if (is_guest_ && token_ != 0) free_participant(table_, token_);
  }
  Sweeper(const Sweeper&) = delete;
  Sweeper& operator=(const Sweeper&) = delete;
  std::uint32_t token() const { return token_; }  // 0: another guest is at it

 private:
  Participant* table_;
  std::uint32_t token_;
  bool is_guest_;
};

}  // namespace

bool SyncPool::sweep_if_dead(std::uint32_t token) {
  std::uint32_t pid = pid_of(*this, token);
  if (pid == 0 || token_is_alive(participants(), token)) return false;
  Sweeper sweeper(*this);
  if (sweeper.token() == 0) return false;
  sweep(*this, token, pid, sweeper.token());
  return true;
}

void SyncPool::sweep_dead() {
  std::uint32_t dead[most_dead_at_once];
  for (std::uint32_t swept = 0; swept < max_participants; swept += most_dead_at_once) {
    std::uint32_t count = find_dead_participants(participants(), dead, most_dead_at_once);
    if (count == 0) return;
    Sweeper sweeper(*this);
    if (sweeper.token() == 0) return;
    for (std::uint32_t i = 0; i < count; i++) {
      std::uint32_t pid = pid_of(*this, dead[i]);
      if (pid != 0) sweep(*this, dead[i], pid, sweeper.token());
    }
  }
}

void SyncPool::look_for_dead() {
  std::uint64_t begun_ns = platform::monotonic_ns();
  std::uint64_t due_ns = control().next_look_ns.load(std::memory_order_relaxed);
  // What lies there could be anything: never believe in more than a minute.
  constexpr std::uint64_t most_pause_ns = 60'000'000'000;
  if (begun_ns < due_ns && due_ns - begun_ns < most_pause_ns) return;
  if (!control().next_look_ns.compare_exchange_strong(due_ns, begun_ns + least_pause_ns, std::memory_order_relaxed)) {
    return;
  }
  sweep_dead();
  std::uint64_t ended_ns = platform::monotonic_ns();
  std::uint64_t pause_ns = std::clamp((ended_ns - begun_ns) * pause_per_look, least_pause_ns, most_pause_ns / 2);
  control().next_look_ns.store(begun_ns + pause_ns, std::memory_order_relaxed);
}

}  // namespace interproc
