// Party: one process at a barrier, with the barrier's guard in its hand.
//
// A round moves on by one store of the barrier's word. What goes before it (the count of those that have arrived, the
// bit of a broken round, the entries) is bound to a round, so that it means nothing until that store or after the next.
// So a death under the guard leaves nothing to repair but the wake-up of those that sleep.
//
// A killed party breaks the round that it has arrived in, and one in which somebody waits who was in its last round with
// it: that one waits for it. Newcomers do not: who replaces killed parties by new ones need not reset the barrier.
#pragma once

#include "entries.hpp"

namespace interproc {

inline constexpr std::uint32_t round_mask = 0x3fffffff;
inline constexpr std::uint32_t remembered_rounds = 64;  // a bit each in BarrierCell::broken_rounds

struct RoundWord {
  std::uint32_t round;
  RoundState state;
};

constexpr std::uint32_t pack_round(RoundWord word) { return word.round << 2 | static_cast<std::uint32_t>(word.state); }
constexpr RoundWord unpack_round(std::uint32_t word) { return {word >> 2, static_cast<RoundState>(word & 3)}; }
constexpr std::uint64_t bit_of_round(std::uint32_t round) { return std::uint64_t{1} << (round % remembered_rounds); }

class Party {
 public:
  Party(SyncPool& pool, BarrierCell& cell, const CellEntries& entries, std::uint32_t token)
      : pool_(pool), cell_(cell), entries_(entries), token_(token) {}

  void enter();
  void leave();  // and wakes all if the round has moved

  // All: guard held.
  RoundWord now() const { return unpack_round(cell_.word.load(std::memory_order_relaxed)); }
  std::uint32_t arrived() const;
  // Notes this process as a party of the round. False: the barrier broke, because one that it waits for was killed.
  bool join(std::uint32_t round);
  void count_in(std::uint32_t arrived, bool is_full);
  void begin_round(std::uint32_t step);  // the next, or the one after that: of which nobody was in the round before
  void break_round();
  void restart();  // after this nothing is left of the past
  void lose(std::uint32_t dead);

 private:
  void set(RoundWord word);
  bool is_doomed(std::uint32_t round) const;
  CellEntry* place_for(std::uint32_t round);

  SyncPool& pool_;
  BarrierCell& cell_;
  CellEntries entries_;
  std::uint32_t token_;
  bool has_moved_ = false;
};

}  // namespace interproc
