#include "condition.hpp"

#include "waiters.hpp"

namespace interproc {

namespace {
constexpr std::uint32_t word_of(WaiterState state) { return static_cast<std::uint32_t>(state); }
}  // namespace

Condition::Condition(std::shared_ptr<SyncPool> pool, const CellRun& run)
    : SyncObject(std::move(pool), run), cell_(pool_->cell<ConditionCell>(run.index)) {}

Status Condition::create(std::unique_ptr<Condition>* condition, Fault* fault) {
  std::shared_ptr<SyncPool> pool;
  CellRun run;
  Status status = take_cells(CellKind::condition, 1, &pool, &run, fault);
  if (status != Status::ok) return status;
  if (!make(new (std::nothrow) Condition(pool, run), *pool, run, condition)) return out_of_memory(fault);
  ConditionCell& cell = *(*condition)->cell_;
  cell.head.store(no_node, std::memory_order_relaxed);
  cell.kind.store(static_cast<std::uint32_t>(CellKind::condition), std::memory_order_release);  // pairs: cell-made
  return Status::ok;
}

Status Condition::attach(std::shared_ptr<SyncPool> pool, std::uint32_t index, std::unique_ptr<Condition>* condition,
                         Fault* fault) {
  Status status = check(*pool, index, CellKind::condition, fault);
  if (status != Status::ok) return status;
  condition->reset(new (std::nothrow) Condition(std::move(pool), attached_cells(index)));
  return *condition != nullptr ? Status::ok : out_of_memory(fault);
}

Status Condition::enter(Ticket* ticket, Fault* fault) {
  Status status = pool_->join(&ticket->token, fault);
  if (status != Status::ok) return status;
  status = claim_waiter(*pool_, ticket->token, &ticket->node, fault);
  if (status != Status::ok) return status;
  WaiterNode& node = pool_->node(ticket->node);
  node.next.store(no_node, std::memory_order_relaxed);
  node.cell.store(index(), std::memory_order_relaxed);
  node.word.store(word_of(WaiterState::waiting), std::memory_order_relaxed);
  WaiterLine(*pool_, index(), ticket->token).append(ticket->node);
  return Status::ok;
}

Status Condition::sleep(const Ticket& ticket, Patience* patience) {
  Shared32& word = pool_->node(ticket.node).word;
  for (;;) {
    std::uint32_t seen = word.load(std::memory_order_acquire);  // pairs: notified
    if (seen == word_of(WaiterState::notified)) return Status::ok;
    if (patience->is_over()) return Status::timed_out;
    // So that who notifies knows when a wake that meets nobody is worth a question.
    if (!word.compare_exchange_strong(seen, word_of(WaiterState::asleep), std::memory_order_acquire)) continue;
    Patience::Slept slept = patience->sleep(word, word_of(WaiterState::asleep));
    if (slept == Patience::Slept::changed) continue;
    // A notified one may have died before it left: only the sweep passes that notification on.
    if (slept == Patience::Slept::ticked) pool_->look_for_dead();
    if (word.load(std::memory_order_acquire) == word_of(WaiterState::notified)) return Status::ok;
    return slept == Patience::Slept::timed_out ? Status::timed_out : Status::interrupted;
  }
}

bool Condition::leave(Ticket* ticket) {
  Ticket mine = *ticket;
  *ticket = Ticket{};
  // After a fork, or after this process left the pool, the place is not this one's any more.
  if (mine.node == no_node || pool_->joined() != mine.token) return false;
  bool notified = WaiterLine(*pool_, index(), mine.token).remove(mine.node);
  free_waiter(*pool_, mine.node, mine.token);
  return notified;
}

Status Condition::notify_waiters(std::uint32_t count, std::uint32_t* notified, Fault* fault) {
  std::uint32_t token;
  Status status = pool_->join(&token, fault);
  if (status == Status::ok) *notified = WaiterLine(*pool_, index(), token).notify(count);
  return status;
}

}  // namespace interproc
