// SemLockObject: one lock or semaphore, as condition.cpp needs to see it.
#pragma once

#include "sync.hpp"
#include "sync/owned_lock.hpp"
#include "sync/semaphore.hpp"

namespace interproc::binding {

struct SemLockObject {
  PyObject ob_base;
  State* state;
  PyObject* weak_references;
  PyObject* segment;                     // that it was attached with, so that the next object on it finds it known
  std::unique_ptr<OwnedLock> lock;       // of Lock and RLock
  std::unique_ptr<Semaphore> semaphore;  // of the others
  bool is_recursive;
  bool raises_abandoned;

  // Whether this thread may use what the lock guards. A semaphore does not know.
  bool is_mine() const { return lock == nullptr || lock->is_mine(this_thread()); }
};

inline SemLockObject* as_sem_lock(PyObject* self) { return reinterpret_cast<SemLockObject*>(self); }

// Waits without the GIL. 1 = taken, 0 = not before the deadline, -1 = an exception is raised. Minding it, the new holder
// is told in its own way that the one before was killed.
int acquire_until(PyObject* self, std::uint64_t deadline_ns, bool minds_abandoned);

// None; nullptr with an exception raised where it was not held.
PyObject* release(PyObject* self, PyObject*);

}  // namespace interproc::binding
