#include "waiters.hpp"

#include <algorithm>

#include "participants.hpp"

namespace interproc {

namespace {

constexpr auto relaxed = std::memory_order_relaxed;
constexpr std::uint32_t nodes_per_page = page_bytes / sizeof(WaiterNode);
constexpr std::uint32_t most_at_once = 64;

constexpr std::uint32_t word_of(WaiterState state) { return static_cast<std::uint32_t>(state); }

}  // namespace

// --- the line --------------------------------------------------------------------------------------------------------

void WaiterLine::enter() {
  if (pool_.guard(cell_.guard).acquire(token_, true) == Lock::Acquired::after_death) repair();
}

// Links lie in shared memory: what does not name a node ends the line.
WaiterNode* WaiterLine::find(std::uint32_t node) const {
  return node != no_node && node < pool_.nodes_made() ? &pool_.node(node) : nullptr;
}

std::uint32_t WaiterLine::length() const {
  std::uint32_t length = 0;
  std::uint32_t most = pool_.nodes_made();
  for (std::uint32_t node = cell_.head.load(relaxed); length < most; length++) {
    const WaiterNode* at = find(node);
    if (at == nullptr) break;
    node = at->next.load(relaxed);
  }
  return length;
}

void WaiterLine::append(std::uint32_t node) {
  enter();
  WaiterNode* last = cell_.head.load(relaxed) != no_node ? find(cell_.tail.load(relaxed)) : nullptr;
  cell_.tail.store(node, std::memory_order_release);
  (last != nullptr ? last->next : cell_.head).store(node, std::memory_order_release);  // the commit
  leave();
}

void WaiterLine::unlink(std::uint32_t node) {
  std::uint32_t before = no_node;
  std::uint32_t at = cell_.head.load(relaxed);
  for (std::uint32_t steps = pool_.nodes_made(); at != node && steps > 0; steps--) {
    const WaiterNode* passed = find(at);
    if (passed == nullptr) return;  // not in line
    before = at;
    at = passed->next.load(relaxed);
  }
  WaiterNode* found = find(at);
  if (at != node || found == nullptr) return;
  Shared32& link = before != no_node ? pool_.node(before).next : cell_.head;
  link.store(found->next.load(relaxed), std::memory_order_release);  // the commit
  if (cell_.tail.load(relaxed) == node) cell_.tail.store(before, relaxed);
}

bool WaiterLine::remove(std::uint32_t node) {
  enter();
  bool notified = pool_.node(node).word.load(std::memory_order_acquire) == word_of(WaiterState::notified);
  unlink(node);
  leave();
  return notified;
}

// The last holder of the guard died. It may have marked nodes and neither taken them out nor woken them, and have left
// the tail wrong.
void WaiterLine::repair() {
  std::uint32_t made = pool_.nodes_made();
  for (std::uint32_t node = 1; node < made; node++) {
    WaiterNode& at = pool_.node(node);
    if (at.cell.load(relaxed) != index_ || at.word.load(relaxed) != word_of(WaiterState::notified)) continue;
    unlink(node);
    platform::wake(at.word, INT32_MAX);
  }
  std::uint32_t last = no_node;
  std::uint32_t steps = made;
  for (std::uint32_t node = cell_.head.load(relaxed); find(node) != nullptr && steps > 0; steps--) {
    last = node;
    node = pool_.node(node).next.load(relaxed);
  }
  cell_.tail.store(last, relaxed);
  if (last == no_node) {
    cell_.head.store(no_node, relaxed);
  } else {
    pool_.node(last).next.store(no_node, relaxed);
  }
}

std::uint32_t WaiterLine::notify(std::uint32_t count) {
  struct Called {
    std::uint32_t node;
    std::uint32_t token;
    bool sleeps;
  };
  Called called[most_at_once];
  std::uint32_t notified = 0;
  for (bool first = true; notified < count; first = false) {
    std::uint32_t taken = 0;
    enter();
    // Whoever comes meanwhile waits for the next notification.
    if (first && count > most_at_once) count = std::min(count, length());
    while (taken < std::min(count - notified, most_at_once)) {
      std::uint32_t node = cell_.head.load(relaxed);
      WaiterNode* at = find(node);
      if (at == nullptr) break;
      std::uint32_t token = at->token.load(relaxed);
      // The commit, then out of the line. pairs: notified
      std::uint32_t before = at->word.exchange(word_of(WaiterState::notified), std::memory_order_acq_rel);
      cell_.head.store(at->next.load(relaxed), std::memory_order_release);
      called[taken++] = {node, token, before == word_of(WaiterState::asleep)};
    }
    leave();
    if (taken == 0) break;
    for (std::uint32_t i = 0; i < taken; i++) {
      WaiterNode& at = pool_.node(called[i].node);
      notified++;
      if (!called[i].sleeps || platform::wake(at.word, 1) > 0) continue;
      // Nobody there: it handles a signal, or it is dead. Then the notification is taken back for the next, unless
      // whoever cleaned up after it has passed it on already.
      if (called[i].token == 0 || token_is_alive(pool_.participants(), called[i].token)) continue;
      std::uint32_t mark = word_of(WaiterState::notified);
      if (at.token.load(relaxed) == called[i].token &&
          at.word.compare_exchange_strong(mark, word_of(WaiterState::idle))) {
        notified--;
      }
    }
  }
  return notified;
}

// --- nodes -----------------------------------------------------------------------------------------------------------

namespace {

// Makes a page more of nodes usable, unless somebody else has.
Status add_nodes(SyncPool& pool, std::uint32_t made, Fault* fault) {
  std::uint64_t at = sync_nodes_at + std::uint64_t{made} * sizeof(WaiterNode);
  Status status = platform::reserve(pool.segment()->fd(), at, page_bytes, fault);
  if (status != Status::ok) return status;
  pool.control().nodes_made.compare_exchange_strong(made, made + nodes_per_page, std::memory_order_release);
  return Status::ok;
}

bool claim_free(SyncPool& pool, std::uint32_t token, std::uint32_t made, std::uint32_t* node) {
  std::uint32_t hint = pool.node_hint().load(relaxed);
  for (std::uint32_t i = 0; i + 1 < made; i++) {
    std::uint32_t at = 1 + (hint - 1 + i) % (made - 1);
    std::uint32_t nobody = 0;
    if (pool.node(at).token.load(relaxed) != 0) continue;
    if (!pool.node(at).token.compare_exchange_strong(nobody, token, std::memory_order_acquire)) continue;
    pool.node_hint().store(at, relaxed);
    *node = at;
    return true;
  }
  return false;
}

}  // namespace

Status claim_waiter(SyncPool& pool, std::uint32_t token, std::uint32_t* node, Fault* fault) {
  for (bool has_swept = false;;) {
    std::uint32_t made = pool.nodes_made();
    if (claim_free(pool, token, made, node)) return Status::ok;
    if (made + nodes_per_page <= sync_nodes) {
      Status status = add_nodes(pool, made, fault);
      if (status != Status::ok) return status;
    } else if (!has_swept) {
      has_swept = true;
      pool.sweep_dead();
    } else {
      *fault = Fault{0, "waiters on the conditions of one pool", sync_nodes - 1, sync_nodes - 1};
      return Status::too_many_waiters;
    }
  }
}

void free_waiter(SyncPool& pool, std::uint32_t node, std::uint32_t token) {
  WaiterNode& at = pool.node(node);
  if (at.token.load(relaxed) != token) return;
  at.word.store(word_of(WaiterState::idle), relaxed);
  at.cell.store(0, relaxed);
  at.token.compare_exchange_strong(token, 0, std::memory_order_release);
  pool.node_hint().store(node, relaxed);
}

void drop_waiters(SyncPool& pool, std::uint32_t gone, std::uint32_t me) {
  std::uint32_t made = pool.nodes_made();
  for (std::uint32_t node = 1; node < made; node++) {
    WaiterNode& at = pool.node(node);
    if (at.token.load(std::memory_order_acquire) != gone) continue;
    std::uint32_t index = at.cell.load(relaxed);
    bool is_condition = index < pool.cells_made() && pool.cell<Cell>(index)->kind.load(std::memory_order_acquire) ==
                                                         static_cast<std::uint32_t>(CellKind::condition);
    if (is_condition) {
      WaiterLine line(pool, index, me);
      if (line.remove(node)) line.notify(1);
    }
    free_waiter(pool, node, gone);
  }
}

}  // namespace interproc
