#include "barrier.hpp"

#include "party.hpp"
#include "spin.hpp"

namespace interproc {

namespace {

constexpr int most_pauses = 60;  // about 2 us

// The parties of two rounds.
std::uint32_t entries_for(std::uint32_t parties) {
  return parties < max_participants / 2 ? 2 * parties : max_participants;
}

}  // namespace

Barrier::Barrier(std::shared_ptr<SyncPool> pool, const CellRun& run, std::uint32_t parties, const CellEntries& entries)
    : SyncObject(std::move(pool), run),
      cell_(pool_->cell<BarrierCell>(run.index)),
      parties_(parties),
      entries_(entries) {}

Status Barrier::create(std::uint32_t parties, std::unique_ptr<Barrier>* barrier, Fault* fault) {
  if (parties == 0 || parties > most_parties) {
    *fault = Fault{0, "parties of a barrier", parties, parties == 0 ? 1 : most_parties};
    return Status::over_bound;
  }
  std::uint32_t entry_count = entries_for(parties);
  std::shared_ptr<SyncPool> pool;
  CellRun run;
  Status status = take_cells(CellKind::barrier, 1 + CellEntries::cells_for(entry_count), &pool, &run, fault);
  if (status != Status::ok) return status;
  CellEntries entries = CellEntries::make(*pool, run.index, entry_count);
  BarrierCell& cell = *pool->cell<BarrierCell>(run.index);
  cell.word.store(0, std::memory_order_relaxed);
  cell.parties = parties;
  cell.entry_count = entry_count;
  cell.has_killed.store(0, std::memory_order_relaxed);
  cell.arrived.store(0, std::memory_order_relaxed);
  cell.broken_rounds.store(0, std::memory_order_relaxed);
  cell.kind.store(static_cast<std::uint32_t>(CellKind::barrier), std::memory_order_release);  // pairs: cell-made
  if (!make(new (std::nothrow) Barrier(pool, run, parties, entries), *pool, run, barrier)) return out_of_memory(fault);
  return Status::ok;
}

Status Barrier::attach(std::shared_ptr<SyncPool> pool, std::uint32_t index, std::unique_ptr<Barrier>* barrier,
                       Fault* fault) {
  Status status = check(*pool, index, CellKind::barrier, fault);
  if (status != Status::ok) return status;
  const BarrierCell& cell = *pool->cell<BarrierCell>(index);
  std::uint32_t parties = cell.parties;
  std::uint32_t entry_count = cell.entry_count;
  if (parties == 0 || parties > most_parties) {
    *fault = Fault{0, "parties of a barrier", parties, most_parties};
    return Status::bad_segment;
  }
  CellEntries entries;
  if (entry_count != entries_for(parties) || !CellEntries::open(*pool, index, entry_count, &entries)) {
    *fault = Fault{0, "number of a barrier's entries", entry_count, entries_for(parties)};
    return Status::bad_segment;
  }
  barrier->reset(new (std::nothrow) Barrier(std::move(pool), attached_cells(index), parties, entries));
  return *barrier != nullptr ? Status::ok : out_of_memory(fault);
}

// Does something that cannot sleep with the guard held. ok, too_many_participants.
template <typename Step>
Status Barrier::as_party(Fault* fault, Step step) {
  std::uint32_t token;
  Status status = pool_->join(&token, fault);
  if (status != Status::ok) return status;
  Party party(*pool_, *cell_, entries_, token);
  party.enter();
  step(party);
  party.leave();
  return Status::ok;
}

// --- a party's way through a round -----------------------------------------------------------------------------------

Status Barrier::arrive(Arrival* arrival, Patience* patience, Fault* fault) {
  std::uint32_t token;
  Status status = pool_->join(&token, fault);
  if (status != Status::ok) return status;
  for (;;) {
    Party party(*pool_, *cell_, entries_, token);
    party.enter();
    RoundWord now = party.now();
    if (now.state == RoundState::filling && party.join(now.round)) {
      std::uint32_t before_me = party.arrived();
      bool is_last = before_me + 1 >= parties_;
      party.count_in(before_me + 1, is_last);
      party.leave();
      *arrival = Arrival{now.round, before_me, is_last};
      return Status::ok;
    }
    if (now.state != RoundState::acting) {
      party.leave();
      return Status::broken;
    }
    party.leave();
    Patience unhurried(UINT64_MAX);  // the action takes as long as it takes: nobody is late for that
    Patience::Slept slept = (patience->is_over() ? unhurried : *patience).sleep(cell_->word, pack_round(now));
    if (slept == Patience::Slept::ticked) pool_->look_for_dead();
    if (slept == Patience::Slept::ticked || slept == Patience::Slept::interrupted) return Status::interrupted;
  }
}

// What became of a round that is over. ok, broken.
Status Barrier::outcome(std::uint32_t round) const {
  RoundWord now = unpack_round(cell_->word.load(std::memory_order_acquire));  // pairs: barrier-round
  if (now.round == round) return Status::broken;
  bool was_broken = (cell_->broken_rounds.load(std::memory_order_acquire) & bit_of_round(round)) != 0;
  // Read after the bit: by then it may stand for a later round. So many rounds cannot have gone on without this party
  // unless they were broken and reset.
  now = unpack_round(cell_->word.load(std::memory_order_acquire));
  bool is_remembered = ((now.round - round) & round_mask) < remembered_rounds;
  return was_broken || !is_remembered ? Status::broken : Status::ok;
}

Status Barrier::sleep(const Arrival& arrival, Patience* patience, Fault* fault) {
  int pauses = -1;
  for (;;) {
    std::uint32_t seen = cell_->word.load(std::memory_order_acquire);  // pairs: barrier-round
    RoundWord now = unpack_round(seen);
    if (now.round != arrival.round || now.state == RoundState::broken) return outcome(arrival.round);
    if (pauses < 0) pauses = recent_usable_cpus(platform::monotonic_ns()) > 1 ? most_pauses : 0;
    if (pauses > 0) {
      pauses--;
      platform::pause();
      continue;
    }
    Patience::Slept slept;
    if (patience->is_over()) {
      // Once all have arrived nobody is late: the action takes as long as it takes.
      if (now.state == RoundState::filling) return give_up(arrival, fault);
      Patience unhurried(UINT64_MAX);
      slept = unhurried.sleep(cell_->word, seen);
    } else {
      slept = patience->sleep(cell_->word, seen);
    }
    if (slept == Patience::Slept::ticked) pool_->look_for_dead();
    if (slept != Patience::Slept::ticked && slept != Patience::Slept::interrupted) continue;
    now = unpack_round(cell_->word.load(std::memory_order_acquire));  // pairs: barrier-round
    if (now.round == arrival.round && now.state != RoundState::broken) return Status::interrupted;
  }
}

Status Barrier::give_up(const Arrival& arrival, Fault* fault) {
  RoundWord now{};
  bool gives_up = false;
  Status status = as_party(fault, [&](Party& party) {
    now = party.now();
    gives_up = now.round == arrival.round && now.state == RoundState::filling;
    if (gives_up) party.break_round();
  });
  if (status != Status::ok) return status;
  if (gives_up) return Status::timed_out;
  if (now.round != arrival.round || now.state == RoundState::broken) return outcome(arrival.round);
  return Status::interrupted;  // all have arrived meanwhile
}

Status Barrier::release(const Arrival& arrival, Fault* fault) {
  bool releases = false;
  Status status = as_party(fault, [&](Party& party) {
    RoundWord now = party.now();
    releases = now.round == arrival.round && now.state == RoundState::acting;
    if (releases) party.begin_round(1);
  });
  if (status != Status::ok) return status;
  return releases ? Status::ok : Status::broken;
}

Status Barrier::withdraw(const Arrival& arrival, Fault* fault) {
  bool is_over = false;
  Status status = as_party(fault, [&](Party& party) {
    RoundWord now = party.now();
    is_over = now.round != arrival.round || now.state == RoundState::broken;
    bool may_leave = !is_over && now.state == RoundState::filling && party.arrived() > 0;
    if (may_leave) party.count_in(party.arrived() - 1, false);
  });
  if (status != Status::ok) return status;
  return is_over ? outcome(arrival.round) : Status::ok;
}

// --- state -----------------------------------------------------------------------------------------------------------

Status Barrier::abort(Fault* fault) {
  return as_party(fault, [](Party& party) { party.break_round(); });
}

Status Barrier::reset(Fault* fault) {
  return as_party(fault, [](Party& party) { party.restart(); });
}

std::uint32_t Barrier::waiting() const {
  RoundWord now = unpack_round(cell_->word.load(std::memory_order_acquire));
  std::uint64_t arrived = cell_->arrived.load(std::memory_order_acquire);
  return now.state != RoundState::broken && (arrived >> 32) == now.round ? static_cast<std::uint32_t>(arrived) : 0;
}

bool Barrier::is_broken() const {
  return unpack_round(cell_->word.load(std::memory_order_acquire)).state == RoundState::broken;
}

void lose_party(SyncPool& pool, std::uint32_t index, std::uint32_t me, std::uint32_t dead) {
  BarrierCell& cell = *pool.cell<BarrierCell>(index);
  CellEntries entries;
  if (!CellEntries::open(pool, index, cell.entry_count, &entries)) return;
  Party party(pool, cell, entries, me);
  party.enter();
  party.lose(dead);
  party.leave();
}

}  // namespace interproc
