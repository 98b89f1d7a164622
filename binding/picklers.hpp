// Picklers that are used again: making one costs several times what pickling a small object does.
#pragma once

#include "sink.hpp"
#include "state.hpp"

namespace interproc::binding {

// A pickler and its sink. Whoever holds one has it alone, user code that it runs included: an object that puts while it
// is pickled gets another.
struct ReusedPickler {
  Ref sink_object;
  Ref pickler;
  Ref dump;  // bound methods
  Ref clear_memo;
  PyObject* reducers = nullptr;   // what the pickler uses now, owned by it
  std::size_t largest_bytes = 0;  // of its pickles so far

  SinkObject* sink() const { return reinterpret_cast<SinkObject*>(sink_object.get()); }

  // Pickles into the sink. False: an exception is raised, and the sink may hold a part of the pickle.
  bool pickle(State& state, PyObject* object);
  // After every pickle. A memo never shrinks and is wiped in full every time, so that after one large pickle all small ones
  // would be slow: then the next is made by a new pickler.
  void note_size(std::size_t pickle_bytes) {
    bool is_oversized = largest_bytes > 4096 && largest_bytes / 16 > pickle_bytes;
    if (is_oversized) forget();
    if (pickle_bytes > largest_bytes) largest_bytes = pickle_bytes;
  }

 private:
  bool renew(State& state);
  void forget();
};

// For messages to this channel. nullptr with an exception raised.
ReusedPickler* claim_pickler(State& state, Channel* channel);
void give_back_pickler(State& state, ReusedPickler* reused);
int traverse_pickler(const ReusedPickler* reused, visitproc visit, void* arg);
void free_pickler(ReusedPickler* reused);

}  // namespace interproc::binding
