#include "sweep/trace.hpp"

#include <linux/futex.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>

#include <algorithm>
#include <unordered_map>

#include "participants.hpp"

namespace interproc::sweep {

namespace {

// Further instructions than any act has.
constexpr std::size_t most_instructions = 50'000;
// In a row of stores of payload only every sixteenth makes a kill point of its own.
constexpr std::size_t payload_stride = 16;
constexpr std::size_t field_bytes = 8;

constexpr std::size_t watched_chunks_bytes = 4 * chunk_bytes;
constexpr std::size_t watched_arena_bytes = 160 * 1024;

enum class Change { none, payload, fields };

// The parts of a channel that a scenario writes to, as they were at the last look.
class Snapshot {
 public:
  explicit Snapshot(const ChannelMemory& memory) {
    watch(memory.control, page_bytes, false);
    watch(memory.participants, page_bytes, false);
    watch(memory.directory, page_bytes, false);
    watch(memory.links, memory.chunk_count * sizeof(std::uint32_t), false);
    watch(memory.chunks, std::min(watched_chunks_bytes, memory.chunk_count * chunk_bytes), true);
    watch(memory.arena, std::min<std::size_t>(watched_arena_bytes, memory.arena_bytes), true);
  }

  // What is different since the last look. A store of more than a field, where payloads lie, is a payload's.
  Change renew() {
    Change change = Change::none;
    for (Region& region : regions_) {
      std::size_t size_bytes = region.copy.size();
      if (memcmp(region.memory, region.copy.data(), size_bytes) == 0) continue;
      std::size_t first = 0;
      while (region.memory[first] == region.copy[first]) first++;
      std::size_t last = size_bytes - 1;
      while (region.memory[last] == region.copy[last]) last--;
      memcpy(&region.copy[first], &region.memory[first], last - first + 1);
      bool is_field = !region.holds_payloads || last - first < field_bytes;
      change = std::max(change, is_field ? Change::fields : Change::payload);
    }
    return change;
  }

 private:
  struct Region {
    const std::uint8_t* memory;
    std::vector<std::uint8_t> copy;
    bool holds_payloads;
  };
  void watch(const void* memory, std::size_t size_bytes, bool holds_payloads) {
    const auto* bytes = static_cast<const std::uint8_t*>(memory);
    regions_.push_back({bytes, {bytes, bytes + size_bytes}, holds_payloads});
  }
  std::vector<Region> regions_;
};

// A fork's death notice lies where this process's does.
const void* pending_notice() {
  robust_list_head* head = nullptr;
  std::size_t length = 0;
  if (syscall(SYS_get_robust_list, 0, &head, &length) != 0) give_up("get_robust_list", Fault{});
  return &head->list_op_pending;
}

// Code of the kernel's, in which no breakpoint can be set.
bool is_in_vdso(std::uint64_t address) {
  constexpr std::uint64_t most_bytes = 4 * page_bytes;
  return address - getauxval(AT_SYSINFO_EHDR) < most_bytes;
}

// Whether a waiter would find the owner of the lock gone, although it lives.
bool is_nameless(const ChannelMemory& memory) {
  std::uint32_t owner = memory.control->lock.load() & platform::owner_mask;
  return memory.lock_kind == LockKind::liveness && owner != 0 &&
         find_participant(memory.participants, owner) == nullptr;
}

}  // namespace

bool hurry(Stepper& victim, const Trace& trace, std::size_t from, std::size_t to) {
  constexpr std::size_t steps_per_run = 3;  // what a run costs
  std::unordered_map<std::uint64_t, std::size_t> visits;
  std::size_t least_cost = to - from;
  std::size_t best = from;
  for (std::size_t place = from + 1; place <= to; place++) {
    std::uint64_t address = trace[place].address;
    std::size_t cost = ++visits[address] * steps_per_run + (to - place);
    if (cost >= least_cost || is_in_vdso(address)) continue;
    least_cost = cost;
    best = place;
  }
  std::uint64_t address = trace[best].address;
  auto runs =
      std::count_if(&trace[from] + 1, &trace[best] + 1, [&](const Point& point) { return point.address == address; });
  for (; runs > 0; runs--) {
    if (!victim.run_to(address)) return false;
  }
  for (; best < to; best++) {
    if (victim.step() != Stepper::Stop::stepped) return false;
  }
  return victim.instruction() == trace[to].address;
}

void perform(Stage& stage, const Act& act) {
  static Actor actor;
  actor.channel = stage.open_channel(stage.segment());
  for (Item item : act.puts) {
    actor.outgoing.push_back(std::make_unique<Outgoing>(item));
    actor.messages.push_back(actor.outgoing.back()->message());
  }
  if (act.joins_inside) {
    platform::self();
    platform::DeathNotice::of_this_thread();
  } else {
    actor.channel->statistics(&actor.fault);
  }
  if (act.before != nullptr) act.before(actor);
  mark();
  act.operation(actor);
  mark();
  for (;;) pause();
}

bool follow(Stepper& victim, Stage& stage, const Act& act, const Trace& trace, std::size_t at) {
  for (std::size_t here = 0; here < at;) {
    std::size_t sleep = here + 1;
    while (sleep <= at && !trace[sleep].has_slept) sleep++;
    if (!hurry(victim, trace, here, sleep - 1)) return false;
    here = sleep - 1;
    if (here == at) return true;
    advance(victim, stage, act, 1, [](bool) {});
    here++;
  }
  return victim.instruction() == trace[at].address;
}

Trace trace_of(Stage& stage, Stepper& victim, const Act& act) {
  const void* notice = pending_notice();
  Snapshot snapshot(stage.memory());
  Trace trace{{victim.instruction(), true, stage.memory().control->lock.load() != 0}};
  std::uint64_t noticed = victim.peek(notice);
  std::size_t payload_row = 0;
  bool entered_kernel = victim.is_at_system_call();
  advance(victim, stage, act, most_instructions, [&](bool slept) {
    Change change = snapshot.renew();
    std::uint64_t notices = victim.peek(notice);
    if (change != Change::none) payload_row = change == Change::payload ? payload_row + 1 : 0;
    bool counts = change == Change::fields || (change == Change::payload && payload_row % payload_stride == 1);
    bool is_distinct = counts || notices != noticed || entered_kernel;
    trace.push_back({victim.instruction(), is_distinct, stage.memory().control->lock.load() != 0, slept,
                     is_nameless(stage.memory())});
    noticed = notices;
    entered_kernel = victim.is_at_system_call();
  });
  if (trace.size() > most_instructions) give_up("following an act to its end", Fault{});
  trace.back().is_distinct = true;
  return trace;
}

}  // namespace interproc::sweep
