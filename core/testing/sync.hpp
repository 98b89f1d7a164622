// Synchronisation objects for tests: made in one line, waited for however often the wait is interrupted.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "lock.hpp"
#include "participants.hpp"
#include "processes.hpp"
#include "sync/allocator.hpp"
#include "sync/patience.hpp"
#include "sync/pool.hpp"

namespace interproc::testing {

// Every lock that this system has, each with a pool of its own for the objects made in `body`.
template <typename Body>
void with_each_lock(Body body) {
  for (const char* wish : {"liveness", "kernel"}) {
    Fault fault;
    LockKind kind;
    if (choose_lock(wish, &kind, &fault) != Status::ok) continue;
    retire_pool();
    body();
  }
  retire_pool();
}

template <typename Object, typename... Arguments>
std::unique_ptr<Object> make(Arguments... arguments) {
  Fault fault;
  std::unique_ptr<Object> object;
  CHECK_EQ(Object::create(arguments..., &object, &fault), Status::ok);
  if (object == nullptr) abort();
  return object;
}

// Another object on the same cells, as who gets a handle has it.
template <typename Object>
std::unique_ptr<Object> attach(Object& object) {
  Fault fault;
  std::unique_ptr<Object> attached;
  object.mark_exported();
  CHECK_EQ(Object::attach(object.pool(), object.index(), &attached, &fault), Status::ok);
  if (attached == nullptr) abort();
  return attached;
}

// Calls until it is not `interrupted`.
template <typename Call>
Status insist(Call call, std::uint64_t deadline_ns = far_deadline_ns()) {
  Patience patience(deadline_ns);
  Status status;
  do {
    status = call(&patience);
  } while (status == Status::interrupted);
  return status;
}

inline std::uint64_t soon_ns() { return platform::monotonic_ns() + 30'000'000; }

inline std::uint32_t participants_of(const SyncPool& pool) {
  std::uint32_t count = 0;
  Claim claim;
  for (std::uint32_t place = 0; next_participant(pool.participants(), &place, &claim); place++) count++;
  return count;
}

}  // namespace interproc::testing
