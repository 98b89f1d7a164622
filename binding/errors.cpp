#include "errors.hpp"

#include <errno.h>
#include <string.h>

namespace interproc::binding {

namespace {

PyObject* raise_os_error(PyObject* type, int error_number, PyObject* text) {
  if (text == nullptr) return nullptr;
  PyObject* arguments = Py_BuildValue("(iN)", error_number, text);
  if (arguments == nullptr) return nullptr;
  PyErr_SetObject(type, arguments);
  Py_DECREF(arguments);
  return nullptr;
}

unsigned long long as_ull(std::uint64_t value) { return static_cast<unsigned long long>(value); }

}  // namespace

PyObject* raise_fault(const ModuleState* state, Status status, const Fault& fault) {
  const char* doing = fault.doing;
  switch (status) {
    case Status::out_of_memory:
      return raise_os_error(
          PyExc_OSError, fault.error_number,
          PyUnicode_FromFormat("out of memory for shared memory: %s of %llu bytes: %s. Free memory, raise the limit "
                               "(ulimit -v, ulimit -f, the container's memory), or give the queue a smaller max_bytes",
                               doing, as_ull(fault.found), strerror(fault.error_number)));
    case Status::out_of_descriptors:
      return raise_os_error(PyExc_OSError, fault.error_number,
                            PyUnicode_FromFormat("out of file descriptors: %s: %s. Close queues and connections that "
                                                 "are no longer used, or raise the limit (ulimit -n)",
                                                 doing, strerror(fault.error_number)));
    case Status::bad_segment:
      return raise_os_error(PyExc_OSError, EBADMSG,
                            PyUnicode_FromFormat("shared memory is damaged or not interproc's: %s is %llu, expected "
                                                 "%llu. Make a new queue or pipe",
                                                 doing, as_ull(fault.found), as_ull(fault.expected)));
    case Status::layout_mismatch:
      return raise_os_error(state->layout_mismatch_error, EPROTO,
                            PyUnicode_FromFormat("shared memory was made by another build of interproc: %s %llu there, "
                                                 "%llu here. Install the same version on both sides",
                                                 doing, as_ull(fault.found), as_ull(fault.expected)));
    case Status::foreign_namespace:
      return raise_os_error(PyExc_PermissionError, EPERM,
                            PyUnicode_FromString("shared memory was made in another PID namespace: processes could not "
                                                 "tell each other's deaths. Run both sides in one container"));
    case Status::lock_unsupported:
      return raise_os_error(PyExc_OSError, ENOTSUP,
                            PyUnicode_FromString("the kernel lock does not work on this system: its notice of a dead "
                                                 "holder does not come. Set INTERPROC_LOCK=liveness for all processes"));
    case Status::too_many_participants:
      return raise_os_error(PyExc_OSError, EUSERS,
                            PyUnicode_FromFormat("%llu processes use this queue or pipe already, the most there can "
                                                 "be. Close it in processes that no longer need it",
                                                 as_ull(fault.found)));
    case Status::too_many_done:
      PyErr_Format(PyExc_ValueError, "task_done() called too many times: %llu for %llu items put", as_ull(fault.found),
                   as_ull(fault.expected));
      return nullptr;
    case Status::peer_gone:
      return raise_os_error(PyExc_OSError, fault.error_number != 0 ? fault.error_number : ESRCH,
                            PyUnicode_FromFormat("%s: the process has ended, or is not this user's", doing));
    default:
      return raise_os_error(PyExc_OSError, fault.error_number,
                            PyUnicode_FromFormat("%s: %s", doing, strerror(fault.error_number)));
  }
}

}  // namespace interproc::binding
