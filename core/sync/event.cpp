#include "event.hpp"

#include "spin.hpp"

namespace interproc {

namespace {
constexpr int most_pauses = 60;  // about 2 us
}

Event::Event(std::shared_ptr<SyncPool> pool, const CellRun& run)
    : SyncObject(std::move(pool), run), cell_(pool_->cell<EventCell>(run.index)) {}

Status Event::create(std::unique_ptr<Event>* event, Fault* fault) {
  std::shared_ptr<SyncPool> pool;
  CellRun run;
  Status status = take_cells(CellKind::event, 1, &pool, &run, fault);
  if (status != Status::ok) return status;
  if (!make(new (std::nothrow) Event(pool, run), *pool, run, event)) return out_of_memory(fault);
  EventCell& cell = *(*event)->cell_;
  cell.word.store(0, std::memory_order_relaxed);
  cell.kind.store(static_cast<std::uint32_t>(CellKind::event), std::memory_order_release);  // pairs: cell-made
  return Status::ok;
}

Status Event::attach(std::shared_ptr<SyncPool> pool, std::uint32_t index, std::unique_ptr<Event>* event, Fault* fault) {
  Status status = check(*pool, index, CellKind::event, fault);
  if (status != Status::ok) return status;
  event->reset(new (std::nothrow) Event(std::move(pool), attached_cells(index)));
  return *event != nullptr ? Status::ok : out_of_memory(fault);
}

Status Event::wait(std::uint32_t begun, Patience* patience) {
  auto has_come = [begun](std::uint32_t seen) {
    return ((seen | begun) & set_bit) != 0 || (seen & count_mask) != (begun & count_mask);
  };
  int pauses = -1;
  for (;;) {
    std::uint32_t seen = cell_->word.load(std::memory_order_acquire);  // pairs: event-set
    if (has_come(seen)) return Status::ok;
    if (pauses < 0) pauses = recent_usable_cpus(platform::monotonic_ns()) > 1 ? most_pauses : 0;
    if (pauses > 0) {
      pauses--;
      platform::pause();
      continue;
    }
    if (patience->is_over()) return Status::timed_out;
    if ((seen & platform::waiters_bit) == 0) {
      std::uint32_t with_me = seen | platform::waiters_bit;
      if (!cell_->word.compare_exchange_weak(seen, with_me, std::memory_order_relaxed)) continue;
      seen = with_me;
    }
    Patience::Slept slept = patience->sleep(cell_->word, seen);
    if (slept == Patience::Slept::changed) continue;
    if (has_come(cell_->word.load(std::memory_order_acquire))) return Status::ok;  // pairs: event-set
    return slept == Patience::Slept::timed_out ? Status::timed_out : Status::interrupted;
  }
}

}  // namespace interproc
