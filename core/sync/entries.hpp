// CellEntries: the continuation cells of one object, seen as a table of processes.
//
// How many there are comes from shared memory: open() checks it, and this view keeps its own copy.
#pragma once

#include "pool.hpp"

namespace interproc {

class CellEntries {
 public:
  static constexpr std::uint32_t cells_for(std::uint32_t entry_count) {
    return (entry_count + entries_per_cell - 1) / entries_per_cell;
  }

  // The entries of the object at `index`, which begin in the cell behind it. False if they cannot be there.
  static bool open(const SyncPool& pool, std::uint32_t index, std::uint32_t entry_count, CellEntries* entries) {
    std::uint32_t made = pool.cells_made();
    if (index >= made || entry_count > max_participants || cells_for(entry_count) > made - index - 1) return false;
    for (std::uint32_t i = 1; i <= cells_for(entry_count); i++) {
      auto kind = pool.cell<Cell>(index + i)->kind.load(std::memory_order_acquire);
      if (kind != static_cast<std::uint32_t>(CellKind::continuation)) return false;
    }
    *entries = CellEntries(pool.cell<ContinuationCell>(index + 1), entry_count);
    return true;
  }

  // For the creator: all free.
  static CellEntries make(const SyncPool& pool, std::uint32_t index, std::uint32_t entry_count) {
    CellEntries entries(pool.cell<ContinuationCell>(index + 1), entry_count);
    for (std::uint32_t i = 0; i < entry_count; i++) {
      entries[i].token.store(0, std::memory_order_relaxed);
      entries[i].count.store(0, std::memory_order_relaxed);
    }
    for (std::uint32_t i = 0; i < cells_for(entry_count); i++) {
      entries.cells_[i].kind.store(static_cast<std::uint32_t>(CellKind::continuation), std::memory_order_release);
    }
    return entries;
  }

  CellEntries() = default;
  std::uint32_t count() const { return count_; }
  CellEntry& operator[](std::uint32_t i) const { return cells_[i / entries_per_cell].entries[i % entries_per_cell]; }

 private:
  CellEntries(ContinuationCell* cells, std::uint32_t count) : cells_(cells), count_(count) {}

  ContinuationCell* cells_ = nullptr;
  std::uint32_t count_ = 0;
};

}  // namespace interproc
