#include "statistics.hpp"

#include "errors.hpp"

namespace interproc::binding {

namespace {

// The counts are not taken at one instant.
std::uint64_t less(std::uint64_t all, std::uint64_t part) { return all > part ? all - part : 0; }

}  // namespace

PyObject* statistics_of(const State& state, Channel* channel) {
  Fault fault;
  Channel::Statistics seen = channel->statistics(&fault);
  if (fault.doing[0] != 0) return raise(state, Status::too_many_participants, fault);
  const Counters& counters = seen.counters;
  const struct {
    const char* name;
    std::uint64_t value;
  } entries[] = {
      {"items", seen.items},
      {"max_items", seen.max_items},
      {"most_items", counters.most_items},
      {"puts", counters.puts},
      {"gets", counters.gets},
      {"put_waits", counters.put_waits},
      {"get_waits", counters.get_waits},
      {"empty_wakes", counters.empty_wakes},
      {"spins", seen.spins},
      {"spin_hits", seen.spin_hits},
      {"bytes_in", counters.bytes_in},
      {"bytes_out", counters.bytes_out},
      {"copied_bytes", less(counters.bytes_in, counters.lent_bytes) + less(counters.bytes_out, seen.viewed_bytes)},
      {"lent", counters.lent},
      {"lent_bytes", counters.lent_bytes},
      {"views", seen.views},
      {"viewed_bytes", seen.viewed_bytes},
      {"bytes_used", seen.bytes_used},
      {"max_bytes", seen.max_bytes},
      {"most_bytes", counters.most_bytes},
      {"resident_bytes", seen.resident_bytes},
      {"warm_bytes", seen.warm_bytes},
      {"blocks_used", seen.blocks_used},
      {"most_blocks", counters.most_blocks},
      {"blocks_taken", seen.blocks_taken},
      {"taken_bytes", seen.taken_bytes},
      {"most_taken_bytes", counters.most_taken_bytes},
      {"blocks_made", counters.blocks_made},
      {"chunks_used", seen.chunks_used},
      {"streams", counters.streams},
      {"leases", seen.leases},
      {"failed", counters.failed},
      {"redelivered", counters.redelivered},
      {"buried", counters.buried},
      {"participants", seen.participants},
      {"recoveries", counters.recoveries},
      {"sweeps", counters.sweeps},
  };
  Ref result(PyDict_New());
  for (const auto& entry : entries) {
    Ref value(result ? PyLong_FromUnsignedLongLong(entry.value) : nullptr);
    if (!value || PyDict_SetItemString(result.get(), entry.name, value.get()) != 0) return nullptr;
  }
  return result.release();
}

}  // namespace interproc::binding
