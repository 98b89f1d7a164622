// Compiled with exceptions, unlike everything else here.
#include "attempt.hpp"

#include <new>

namespace interproc {

bool attempt_call(void (*call)(void*), void* argument) {
  try {
    call(argument);
  } catch (const std::bad_alloc&) {
    return false;
  }
  return true;
}

}  // namespace interproc
