#include "allocator.hpp"

#include <new>

#include "attempt.hpp"
#include "platform/platform.hpp"

namespace interproc {

namespace {

// Never destroyed: objects may outlive static destructors.
Shelves<SyncPool>& shelves() {
  alignas(Shelves<SyncPool>) static std::byte room[sizeof(Shelves<SyncPool>)];
  static auto* const all = new (room) Shelves<SyncPool>;
  return *all;
}

constexpr std::uint64_t round_to_page(std::uint64_t size_bytes) {
  return (size_bytes + page_bytes - 1) / page_bytes * page_bytes;
}

}  // namespace

Status take_cells(CellKind kind, std::uint32_t count, std::shared_ptr<SyncPool>* pool, CellRun* run, Fault* fault) {
  auto grow = [fault](SyncPool& store, std::uint64_t from, std::uint64_t to) {
    std::uint64_t backed = round_to_page(from * sizeof(Cell));
    std::uint64_t needed = round_to_page(to * sizeof(Cell));
    if (needed > backed) {
      Status status = platform::reserve(store.segment()->fd(), sync_cells_at + backed, needed - backed, fault);
      if (status != Status::ok) return status;
    }
    store.control().cells_made.store(static_cast<std::uint32_t>(to), std::memory_order_release);  // pairs: cells-made
    return Status::ok;
  };
  std::shared_ptr<SyncPool> made;
  for (;;) {
    std::shared_ptr<SyncPool> parents, older;  // dropped after the guard
    {
      ProcessGuard guard;
      parents = shelves().renew();
      std::uint64_t index = 0;
      Shelves<SyncPool>::Kind wanted{static_cast<std::uint32_t>(kind), count};
      Status status = shelves().take(wanted, pool, &index, grow);
      if (status == Status::full && made != nullptr) {  // else another thread has made one meanwhile
        older = shelves().add(std::move(made), 0, sync_cells);
        status = shelves().take(wanted, pool, &index, grow);
        if (status == Status::full) return out_of_memory(fault);
      }
      if (status == Status::ok) *run = {static_cast<std::uint32_t>(index), count, kind, Provenance::now()};
      if (status != Status::full) return status;
    }
    Status status = SyncPool::create(&made, fault);
    if (status != Status::ok) return status;
  }
}

void retire_pool() {
  std::shared_ptr<SyncPool> dropped;
  ProcessGuard guard;
  dropped = shelves().retire();
}

void give_back_cells(const SyncPool& pool, const CellRun& run) {
  ProcessGuard guard;
  shelves().put_back({static_cast<std::uint32_t>(run.kind), run.count}, &pool, run.index, run.given_out);
}

}  // namespace interproc
