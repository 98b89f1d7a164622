#include "errors.hpp"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

namespace interproc::binding {

namespace {

// Raises an OSError, or the subclass that belongs to the error number, with this text.
PyObject* raise_os_error(PyObject* kind, int error_number, Ref text) {
  if (!text) return nullptr;
  Ref arguments(Py_BuildValue("(iO)", error_number, text.get()));
  if (arguments) PyErr_SetObject(kind, arguments.get());
  return nullptr;
}

Ref text_of(const rlimit& limit) {
  if (limit.rlim_cur == RLIM_INFINITY) return Ref(PyUnicode_FromString("unlimited"));
  return Ref(PyUnicode_FromFormat("%llu", static_cast<unsigned long long>(limit.rlim_cur)));
}

PyObject* raise_out_of_memory(const Fault& fault) {
  if (fault.error_number == EFBIG) {
    return raise_os_error(
        PyExc_OSError, EFBIG,
        Ref(PyUnicode_FromFormat("%s: larger than RLIMIT_FSIZE allows. Raise it (ulimit -f)", fault.doing)));
  }
  int error_number = fault.error_number != 0 ? fault.error_number : ENOMEM;
  rlimit address_space{RLIM_INFINITY, RLIM_INFINITY};
  getrlimit(RLIMIT_AS, &address_space);
  Ref limit = text_of(address_space);
  if (!limit) return nullptr;
  return raise_os_error(PyExc_OSError, error_number,
                        Ref(PyUnicode_FromFormat(
                            "out of memory: %s failed (%s). Free memory, or raise what limits it: the control group's "
                            "memory.max, or RLIMIT_AS (ulimit -v, now %U bytes)",
                            fault.doing, strerror(error_number), limit.get())));
}

PyObject* raise_out_of_descriptors(const Fault& fault) {
  if (fault.error_number == ENFILE) {
    return raise_os_error(PyExc_OSError, ENFILE,
                          Ref(PyUnicode_FromFormat("too many open files in the system: %s failed. Close some, or raise "
                                                   "the sysctl fs.file-max",
                                                   fault.doing)));
  }
  rlimit files{RLIM_INFINITY, RLIM_INFINITY};
  getrlimit(RLIMIT_NOFILE, &files);
  Ref limit = text_of(files);
  if (!limit) return nullptr;
  return raise_os_error(PyExc_OSError, EMFILE,
                        Ref(PyUnicode_FromFormat("too many open files in this process: %s failed. Close some, or raise "
                                                 "RLIMIT_NOFILE (ulimit -n, now %U)",
                                                 fault.doing, limit.get())));
}

PyObject* raise_bad_segment(const Fault& fault) {
  return raise_os_error(PyExc_OSError, EBADMSG,
                        Ref(PyUnicode_FromFormat("this is no shared memory of interproc, or it is damaged: %s is %llu, "
                                                 "expected %llu",
                                                 fault.doing, static_cast<unsigned long long>(fault.found),
                                                 static_cast<unsigned long long>(fault.expected))));
}

PyObject* raise_layout_mismatch(const State& state, const Fault& fault) {
  PyObject* kind = state.hook(Hook::LayoutMismatch);
  return raise_os_error(
      kind != nullptr ? kind : PyExc_OSError, EPROTO,
      Ref(PyUnicode_FromFormat("the shared memory has %s %llu, this process understands %llu: use the "
                               "same version of interproc in all processes",
                               fault.doing, static_cast<unsigned long long>(fault.found),
                               static_cast<unsigned long long>(fault.expected))));
}

}  // namespace

PyObject* raise(const State& state, Status status, const Fault& fault) {
  switch (status) {
    case Status::out_of_memory:
      return raise_out_of_memory(fault);
    case Status::out_of_descriptors:
      return raise_out_of_descriptors(fault);
    case Status::layout_mismatch:
      return raise_layout_mismatch(state, fault);
    case Status::foreign_namespace:
      return raise_os_error(
          PyExc_OSError, EPERM,
          Ref(PyUnicode_FromString("the shared memory was made in another PID namespace, where "
                                   "processes cannot be told alive from here: start both sides in one "
                                   "container, or share its PID namespace")));
    case Status::lock_unsupported:
      return raise_os_error(
          PyExc_OSError, ENOTSUP,
          Ref(PyUnicode_FromString("this system's kernel does not tell when the holder of a lock "
                                   "dies: set INTERPROC_LOCK=liveness in all processes, or unset it")));
    case Status::too_many_participants:
      return raise_os_error(PyExc_OSError, EUSERS,
                            Ref(PyUnicode_FromFormat("%llu objects use this queue or pipe, which is the most there can "
                                                     "be: close it where it is no longer used",
                                                     static_cast<unsigned long long>(fault.expected))));
    case Status::too_large:
      PyErr_Format(PyExc_ValueError,
                   "the message has %llu bytes, and a queue that redelivers keeps at most %llu of one: make it with a "
                   "larger max_bytes, or put less at once",
                   static_cast<unsigned long long>(fault.found), static_cast<unsigned long long>(fault.expected));
      return nullptr;
    case Status::too_many_done:
      PyErr_SetString(PyExc_ValueError, "task_done() called too many times");
      return nullptr;
    case Status::peer_gone:
      return raise_os_error(
          PyExc_OSError, ESTALE,
          Ref(PyUnicode_FromFormat("the %s is not to be had: its process has ended or closed it", fault.doing)));
    case Status::shut_down:
      PyErr_SetNone(state.hook(Hook::ShutDown));
      return nullptr;
    case Status::no_consumer:
      PyErr_SetString(state.hook(Hook::NoConsumer),
                      "the queue is full, and no other process that lives has asked it for objects: start one that "
                      "does, or make the queue with on_no_consumer='block' or 'drop_oldest'");
      return nullptr;
    case Status::system_error:
      return raise_os_error(PyExc_OSError, fault.error_number,
                            Ref(PyUnicode_FromFormat("%s: %s", fault.doing, strerror(fault.error_number))));
    case Status::bad_segment:
      return raise_bad_segment(fault);
    case Status::ok:
    case Status::empty:
    case Status::full:
    case Status::timed_out:
    case Status::interrupted:
    case Status::lock_busy:
    case Status::aborted:
    case Status::not_available:
    case Status::not_owner:
    case Status::not_locked:
    case Status::over_bound:
    case Status::broken:
    case Status::too_many_waiters:
      break;  // conditions: whoever got them handles them
  }
  PyErr_Format(PyExc_SystemError, "status %d of interproc's core was not handled", static_cast<int>(status));
  return nullptr;
}

PyObject* raise_damaged(const State& state, const char* what, std::uint64_t found, std::uint64_t expected) {
  return raise(state, Status::bad_segment, Fault{0, what, found, expected});
}

}  // namespace interproc::binding
