#include "party.hpp"

#include "participants.hpp"

namespace interproc {

namespace {

constexpr auto relaxed = std::memory_order_relaxed;

// CellEntry::count: the last round of a process, and whether it was in the one before.
constexpr std::uint32_t stamp(std::uint32_t round, bool is_mate) { return round << 1 | (is_mate ? 1u : 0u); }
std::uint32_t round_of(const CellEntry& entry) { return entry.count.load(relaxed) >> 1; }
bool is_mate(const CellEntry& entry) { return (entry.count.load(relaxed) & 1) != 0; }
std::uint32_t token_of(const CellEntry& entry) { return entry.token.load(relaxed); }

constexpr std::uint32_t round_before(std::uint32_t round) { return (round - 1) & round_mask; }

}  // namespace

void Party::enter() {
  if (pool_.guard(cell_.guard).acquire(token_, true) == Lock::Acquired::after_death) has_moved_ = true;
}

void Party::leave() {
  pool_.guard(cell_.guard).release();
  if (has_moved_) platform::wake(cell_.word, INT32_MAX);
}

std::uint32_t Party::arrived() const {
  std::uint64_t arrived = cell_.arrived.load(relaxed);
  return (arrived >> 32) == now().round ? static_cast<std::uint32_t>(arrived) : 0;
}

void Party::set(RoundWord word) {
  cell_.word.store(pack_round(word), std::memory_order_release);  // the commit. pairs: barrier-round
  has_moved_ = true;
}

void Party::count_in(std::uint32_t arrived, bool is_full) {
  std::uint32_t round = now().round;
  cell_.arrived.store(std::uint64_t{round} << 32 | arrived, std::memory_order_release);
  if (!is_full) return;
  // Nobody is woken: the others sleep on until the action is done.
  cell_.word.store(pack_round({round, RoundState::acting}), std::memory_order_release);
}

void Party::begin_round(std::uint32_t step) {
  std::uint32_t next = (now().round + step) & round_mask;
  cell_.broken_rounds.fetch_and(~bit_of_round(next), relaxed);
  set({next, RoundState::filling});
}

void Party::break_round() {
  std::uint32_t round = now().round;
  cell_.broken_rounds.fetch_or(bit_of_round(round), relaxed);
  set({round, RoundState::broken});
}

void Party::restart() {
  cell_.broken_rounds.fetch_or(bit_of_round(now().round), relaxed);
  begin_round(2);
}

// --- who is there ----------------------------------------------------------------------------------------------------

// Where a process can be noted: its own entry, a free one, or that of one that means nothing any more.
CellEntry* Party::place_for(std::uint32_t round) {
  CellEntry* free = nullptr;
  CellEntry* stale = nullptr;
  CellEntry* ended = nullptr;
  for (std::uint32_t i = 0; i < entries_.count(); i++) {
    CellEntry& entry = entries_[(place_of(token_) + i) % entries_.count()];
    std::uint32_t token = token_of(entry);
    if (token == token_) return &entry;
    if (token == 0) {
      if (free == nullptr) free = &entry;
    } else if (round_of(entry) != round && round_of(entry) != round_before(round)) {
      if (stale == nullptr) stale = &entry;
    } else if (ended == nullptr && token != killed_party && find_participant(pool_.participants(), token) == nullptr) {
      ended = &entry;
    }
  }
  return free != nullptr ? free : stale != nullptr ? stale : ended;
}

bool Party::join(std::uint32_t round) {
  CellEntry* mine = place_for(round);
  if (mine != nullptr) {  // else more processes than the table of participants holds: cannot be
    bool was_mine = token_of(*mine) == token_;
    bool mate = was_mine && (round_of(*mine) == round_before(round) || (round_of(*mine) == round && is_mate(*mine)));
    if (!was_mine) mine->token.store(0, relaxed);
    mine->count.store(stamp(round, mate), std::memory_order_release);
    mine->token.store(token_, std::memory_order_release);
  }
  if (cell_.has_killed.load(relaxed) == 0 || !is_doomed(round)) return true;
  break_round();
  return false;
}

// Whether somebody in this round waits for one that was killed.
bool Party::is_doomed(std::uint32_t round) const {
  bool lost_here = false;
  bool lost_before = false;
  bool has_mate = false;
  for (std::uint32_t i = 0; i < entries_.count(); i++) {
    const CellEntry& entry = entries_[i];
    if (token_of(entry) == 0) continue;
    bool is_here = round_of(entry) == round;
    if (token_of(entry) == killed_party) {
      lost_here = lost_here || is_here;
      lost_before = lost_before || round_of(entry) == round_before(round);
    } else {
      has_mate = has_mate || (is_here && is_mate(entry));
    }
  }
  return lost_here || (lost_before && has_mate);
}

void Party::lose(std::uint32_t dead) {
  RoundWord word = now();
  bool had = false;
  for (std::uint32_t i = 0; i < entries_.count(); i++) {
    CellEntry& entry = entries_[i];
    if (token_of(entry) != dead) continue;
    cell_.has_killed.store(1, relaxed);
    entry.token.store(killed_party, std::memory_order_release);
    had = true;
  }
  if (had && word.state != RoundState::broken && is_doomed(word.round)) break_round();
}

}  // namespace interproc
