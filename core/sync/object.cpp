#include "object.hpp"

namespace interproc {

Status SyncObject::check(const SyncPool& pool, std::uint32_t index, CellKind kind, Fault* fault) {
  std::uint32_t made = pool.cells_made();
  if (index >= made) {
    *fault = Fault{0, "place of a synchronisation object", index, made};
    return Status::bad_segment;
  }
  auto found = pool.cell<Cell>(index)->kind.load(std::memory_order_acquire);  // pairs: cell-made
  if (found != static_cast<std::uint32_t>(kind)) {
    *fault = Fault{0, "kind of a synchronisation object", found, static_cast<std::uint64_t>(kind)};
    return Status::bad_segment;
  }
  return Status::ok;
}

}  // namespace interproc
