#include "picklers.hpp"

#include "reducers.hpp"

namespace interproc::binding {

bool ReusedPickler::renew(State& state) {
  reducers = nullptr;
  pickler = Ref(PyObject_CallOneArg(state.hook(Hook::new_pickler), sink_object.get()));
  if (pickler) dump = Ref(PyObject_GetAttrString(pickler.get(), "dump"));
  if (dump) clear_memo = Ref(PyObject_GetAttrString(pickler.get(), "clear_memo"));
  return static_cast<bool>(clear_memo);
}

void ReusedPickler::forget() {
  clear_memo = Ref();
  dump = Ref();
  pickler = Ref();
  largest_bytes = 0;
}

bool ReusedPickler::pickle(State& state, PyObject* object) {
  if (!clear_memo && !renew(state)) return false;
  Ref current = current_reducers(state);
  if (!current) return false;
  if (current.get() != reducers) {
    if (PyObject_SetAttr(pickler.get(), state.dispatch_table_name, current.get()) != 0) return false;
    reducers = current.get();
  }
  Ref done(PyObject_CallOneArg(dump.get(), object));
  if (done) done = Ref(PyObject_CallNoArgs(clear_memo.get()));
  if (done) return true;
  // A pickler that failed half-way begins its next pickle with the rest of this one.
  Ref error = take_raised();
  forget();
  raise_again(std::move(error));
  return false;
}

namespace {

ReusedPickler* open_for(ReusedPickler* reused, State& state, Channel* channel) {
  SinkObject* sink = reused->sink();
  sink->is_open = true;
  sink->state = &state;
  sink->channel = channel;
  return reused;
}

}  // namespace

ReusedPickler* claim_pickler(State& state, Channel* channel) {
  for (std::atomic<ReusedPickler*>& idle : state.idle_picklers) {
    if (idle.load(std::memory_order_relaxed) == nullptr) continue;
    ReusedPickler* reused = idle.exchange(nullptr, std::memory_order_acquire);
    if (reused == nullptr) continue;
    return open_for(reused, state, channel);
  }
  Ref sink(state.sink_type->tp_alloc(state.sink_type, 0));
  if (!sink) return nullptr;
  auto* reused = new ReusedPickler;
  reused->sink_object = std::move(sink);
  return open_for(reused, state, channel);
}

void give_back_pickler(State& state, ReusedPickler* reused) {
  SinkObject* sink = reused->sink();
  sink->clear();
  sink->is_open = false;
  for (std::atomic<ReusedPickler*>& idle : state.idle_picklers) {
    ReusedPickler* none = nullptr;
    if (idle.compare_exchange_strong(none, reused, std::memory_order_release, std::memory_order_relaxed)) return;
  }
  free_pickler(reused);
}

int traverse_pickler(const ReusedPickler* reused, visitproc visit, void* arg) {
  if (reused == nullptr) return 0;
  Py_VISIT(reused->sink_object.get());
  Py_VISIT(reused->pickler.get());
  Py_VISIT(reused->dump.get());
  Py_VISIT(reused->clear_memo.get());
  return 0;
}

void free_pickler(ReusedPickler* reused) { delete reused; }

}  // namespace interproc::binding
