#include "permits.hpp"

#include <algorithm>

#include "participants.hpp"
#include "semaphore.hpp"

namespace interproc {

namespace {
std::uint32_t count_of(const CellEntry& entry) { return entry.count.load(std::memory_order_relaxed); }
std::uint32_t token_of(const CellEntry& entry) { return entry.token.load(std::memory_order_relaxed); }
}  // namespace

void Permits::enter(std::uint32_t token) {
  if (pool_.guard(cell_.guard).acquire(token, true) != Lock::Acquired::after_death) return;
  recount();
  platform::wake(cell_.word, INT32_MAX);
}

void Permits::recount() {
  std::uint64_t held = 0;
  for (std::uint32_t i = 0; i < entries_.count(); i++) held += count_of(entries_[i]);
  auto left = static_cast<std::uint32_t>(maximum_ - std::min<std::uint64_t>(held, maximum_));
  std::uint32_t seen = cell_.word.load(std::memory_order_relaxed);
  while (!cell_.word.compare_exchange_weak(seen, (seen & platform::waiters_bit) | left, std::memory_order_release,
                                           std::memory_order_relaxed)) {
  }
}

// The entry of this process, else a free one made its own.
CellEntry* Permits::entry_for(std::uint32_t token) {
  CellEntry* free = nullptr;
  CellEntry* ended = nullptr;
  for (std::uint32_t i = 0; i < entries_.count(); i++) {
    CellEntry& entry = entries_[(place_of(token) + i) % entries_.count()];
    if (token_of(entry) == token) return &entry;
    if (count_of(entry) == 0 && free == nullptr) free = &entry;
  }
  // More holders than entries: some of them have ended, and two of those can share one entry. Between the two stores
  // their permits are given back, should this process die there: nobody would have done that any more.
  for (std::uint32_t i = 0; free == nullptr && i < entries_.count(); i++) {
    CellEntry& entry = entries_[i];
    if (find_participant(pool_.participants(), token_of(entry)) != nullptr) continue;
    if (ended == nullptr) {
      ended = &entry;
      continue;
    }
    std::uint32_t moved = count_of(entry);
    entry.count.store(0, std::memory_order_relaxed);
    ended->count.store(count_of(*ended) + moved, std::memory_order_relaxed);
    free = &entry;
  }
  if (free == nullptr) return &entries_[0];  // cannot be: each participant has one entry at most
  free->token.store(token, std::memory_order_relaxed);
  return free;
}

bool Permits::take(std::uint32_t token) {
  if ((cell_.word.load(std::memory_order_relaxed) & most_permits) == 0) return false;
  CellEntry* mine = entry_for(token);
  mine->count.store(count_of(*mine) + 1, std::memory_order_release);  // the commit
  cell_.word.fetch_sub(1, std::memory_order_acquire);
  return true;
}

std::uint32_t Permits::take_off(CellEntry& entry, std::uint32_t count) {
  std::uint32_t held = count_of(entry);
  std::uint32_t taken = std::min(held, count);
  if (taken != 0) entry.count.store(held - taken, std::memory_order_release);  // the commit
  return count - taken;
}

bool Permits::give(std::uint32_t token, std::uint32_t count) {
  if (count > maximum_ - (cell_.word.load(std::memory_order_relaxed) & most_permits)) return false;
  std::uint32_t left = count;
  for (std::uint32_t i = 0; left != 0 && i < entries_.count(); i++) {
    CellEntry& entry = entries_[(place_of(token) + i) % entries_.count()];
    if (token_of(entry) == token) left = take_off(entry, left);
  }
  for (std::uint32_t i = 0; left != 0 && i < entries_.count(); i++) {
    bool has_ended = find_participant(pool_.participants(), token_of(entries_[i])) == nullptr;
    if (has_ended) left = take_off(entries_[i], left);
  }
  for (std::uint32_t i = 0; left != 0 && i < entries_.count(); i++) left = take_off(entries_[i], left);
  cell_.word.fetch_add(count, std::memory_order_release);
  return true;
}

bool Permits::give_all_of(std::uint32_t dead) {
  bool had = false;
  for (std::uint32_t i = 0; i < entries_.count(); i++) {
    if (token_of(entries_[i]) != dead || count_of(entries_[i]) == 0) continue;
    entries_[i].count.store(0, std::memory_order_release);  // the commit
    had = true;
  }
  if (had) recount();
  return had;
}

}  // namespace interproc
