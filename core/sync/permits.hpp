// Permits: who holds how many permits of a semaphore that tracks its holders.
//
// The entries are the truth: permits left = maximum - all that entries hold. Every change commits with the store of one
// entry's count, and the semaphore's word follows; who takes the guard after a death sets the word right from the
// entries. An entry of token 0 holds what is nobody's: permits that were missing from the start.
#pragma once

#include "entries.hpp"

namespace interproc {

class Permits {
 public:
  Permits(SyncPool& pool, SemaphoreCell& cell, const CellEntries& entries, std::uint32_t maximum)
      : pool_(pool), cell_(cell), entries_(entries), maximum_(maximum) {}

  // Takes the guard, and repairs after a death.
  void enter(std::uint32_t token);
  void leave() { pool_.guard(cell_.guard).release(); }

  // All: guard held.
  bool take(std::uint32_t token);                       // false if none is left
  bool give(std::uint32_t token, std::uint32_t count);  // false if the maximum would be passed
  bool give_all_of(std::uint32_t dead);                 // false if it had none

 private:
  void recount();
  CellEntry* entry_for(std::uint32_t token);
  std::uint32_t take_off(CellEntry& entry, std::uint32_t count);

  SyncPool& pool_;
  SemaphoreCell& cell_;
  CellEntries entries_;
  std::uint32_t maximum_;
};

}  // namespace interproc
