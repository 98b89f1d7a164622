#include "attached.hpp"

namespace interproc::binding {

PyObject* attached_to(const Channel* channel) {
  Ref result(PyList_New(0));
  Channel::Attached who;
  for (std::uint32_t place = 0; result && channel != nullptr && channel->next_attached(&place, &who); place++) {
    Ref entry(Py_BuildValue("(INNNN)", who.pid, PyBool_FromLong(who.is_alive),
                            PyBool_FromLong((who.roles & role_consumer) != 0),
                            PyBool_FromLong((who.roles & role_producer) != 0), PyBool_FromLong(who.is_certain)));
    if (!entry || PyList_Append(result.get(), entry.get()) != 0) return nullptr;
  }
  return result.release();
}

}  // namespace interproc::binding
