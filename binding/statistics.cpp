#include "statistics.hpp"

#include "errors.hpp"

namespace interproc::binding {

PyObject* statistics_of(Port& port) {
  Fault fault{0, "statistics", 0, 0};
  Channel::Statistics seen = port.channel().statistics(&fault);
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
      {"bytes_in", counters.bytes_in},
      {"bytes_out", counters.bytes_out},
      {"bytes_used", seen.bytes_used},
      {"max_bytes", seen.max_bytes},
      {"most_bytes", counters.most_bytes},
      {"resident_bytes", seen.resident_bytes},
      {"blocks_used", seen.blocks_used},
      {"blocks_made", counters.blocks_made},
      {"chunks_used", seen.chunks_used},
      {"streams", counters.streams},
      {"put_waits", counters.put_waits},
      {"get_waits", counters.get_waits},
      {"empty_wakes", counters.empty_wakes},
      {"spins", seen.spins},
      {"spin_hits", seen.spin_hits},
      {"recoveries", counters.recoveries},
      {"sweeps", counters.sweeps},
      {"participants", seen.participants},
  };
  PyObject* result = PyDict_New();
  for (const auto& entry : entries) {
    PyObject* value = result == nullptr ? nullptr : PyLong_FromUnsignedLongLong(entry.value);
    if (value == nullptr || PyDict_SetItemString(result, entry.name, value) < 0) Py_CLEAR(result);
    Py_XDECREF(value);
    if (result == nullptr) return nullptr;
  }
  return result;
}

}  // namespace interproc::binding
