// attempt: what allocates through the standard library, which throws where memory is out.
//
// The one place in the core that knows exceptions. `call` must be no more than the one expression that allocates: what it
// would have to undo is not undone, and destructors in it do not run.
#pragma once

#include <cerrno>
#include <memory>
#include <utility>

#include "status.hpp"

namespace interproc {

// False if `call(argument)` found no memory.
bool attempt_call(void (*call)(void*), void* argument);

template <typename Call>
bool attempt(Call call) {
  return attempt_call([](void* argument) { (*static_cast<Call*>(argument))(); }, &call);
}

// `*to` takes over what `from` has; where memory is out both stay as they are.
template <typename T>
bool share(std::unique_ptr<T>& from, std::shared_ptr<T>* to) {
  return attempt([&] { *to = std::move(from); });
}

inline Status out_of_memory(Fault* fault) {
  *fault = Fault{ENOMEM, "malloc", 0, 0};
  return Status::out_of_memory;
}

}  // namespace interproc
