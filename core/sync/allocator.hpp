// Gives out the cells of the pools that this process made; what is free is known to it alone (shelves.hpp).
//
// A cell keeps its kind for ever: it comes back only for an object of the same kind and size. So a sweeper of another
// process, which looks at a cell at any time, never takes one object's word for another's.
// Costs: no system call but one per page of 64 new cells, and a segment per 4096.
#pragma once

#include <cstdint>
#include <memory>

#include "pool.hpp"
#include "shelves.hpp"

namespace interproc {

// `count` cells from `index` on.
struct CellRun {
  std::uint32_t index = 0;
  std::uint32_t count = 1;
  CellKind kind = CellKind::free;
  Provenance given_out;
};

// What an attached object has: cells that were not given out to it.
constexpr CellRun attached_cells(std::uint32_t index) { return {index, 1, CellKind::free, {}}; }

// Cells for one object of this kind: zeroed and of kind `free` if they are new, else as the last object left them.
// Faults of SyncPool::create; out_of_memory.
Status take_cells(CellKind kind, std::uint32_t count, std::shared_ptr<SyncPool>* pool, CellRun* run, Fault* fault);

// Objects made from now on get a new pool, which has the lock that is chosen by then.
void retire_pool();

// For the object that got them, if nobody else ever knew it.
void give_back_cells(const SyncPool& pool, const CellRun& run);

}  // namespace interproc
