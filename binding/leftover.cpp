#include "leftover.hpp"

#include "platform/platform.hpp"

namespace interproc::binding {

void Leftover::check_process() {
  if (epoch_ != platform::process_epoch()) drop();
}

bool Leftover::pop_outcome(bool also_exception, Outcome* outcome) {
  Mutex::Guard guard(mutex_);
  if (first_ == outcomes_.count() || (outcomes_[first_].is_exception && !also_exception)) return false;
  *outcome = outcomes_[first_++];
  if (first_ == outcomes_.count()) outcomes_.cut(first_ = 0);
  return true;
}

bool Leftover::pop(PyObject** object) {
  Outcome outcome;
  if (!pop_outcome(true, &outcome)) return false;
  *object = outcome.is_exception ? nullptr : outcome.value;
  if (outcome.is_exception) raise_again(Ref(outcome.value));
  return true;
}

bool Leftover::pop_object(PyObject** object) {
  Outcome outcome;
  if (!pop_outcome(false, &outcome)) return false;
  *object = outcome.value;
  return true;
}

bool Leftover::push(PyObject* value, bool is_exception) {
  Mutex::Guard guard(mutex_);
  epoch_ = platform::process_epoch();
  if (outcomes_.push(Outcome{value, is_exception})) return true;
  Py_DECREF(value);
  return false;
}

Arrival* Leftover::pop_arrival() {
  Mutex::Guard guard(mutex_);
  if (arrivals_.count() == 0) return nullptr;
  Arrival* first = arrivals_[0];
  for (std::size_t i = 1; i < arrivals_.count(); i++) arrivals_[i - 1] = arrivals_[i];
  arrivals_.cut(arrivals_.count() - 1);
  return first;
}

bool Leftover::push_arrival(Arrival* arrival) {
  Mutex::Guard guard(mutex_);
  epoch_ = platform::process_epoch();
  if (arrivals_.push(arrival)) return true;
  delete arrival;
  return false;
}

void Leftover::drop() {
  Outcome outcome;
  while (pop_outcome(true, &outcome)) Py_DECREF(outcome.value);
  while (Arrival* arrival = pop_arrival()) delete arrival;
}

void Leftover::free() {
  drop();
  outcomes_.free();
  arrivals_.free();
}

int Leftover::traverse(visitproc visit, void* arg) {
  for (std::size_t i = first_; i < outcomes_.count(); i++) Py_VISIT(outcomes_[i].value);
  return 0;
}

}  // namespace interproc::binding
