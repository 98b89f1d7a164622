#include <new>

#include "errors.hpp"
#include "lock.hpp"
#include "segment_object.hpp"

#include <structmember.h>  // after Python.h

namespace interproc::binding {

namespace {

struct SegmentObject {
  PyObject_HEAD
  std::shared_ptr<Segment> segment;
  PyObject* weak_references;
};

SegmentObject* as_segment(PyObject* object) { return reinterpret_cast<SegmentObject*>(object); }

PyObject* wrap(PyTypeObject* type, std::shared_ptr<Segment> segment) {
  PyObject* object = type->tp_alloc(type, 0);
  if (object == nullptr) return nullptr;
  SegmentObject* self = as_segment(object);
  new (&self->segment) std::shared_ptr<Segment>(std::move(segment));
  self->weak_references = nullptr;
  return object;
}

void segment_dealloc(PyObject* object) {
  SegmentObject* self = as_segment(object);
  PyTypeObject* type = Py_TYPE(object);
  if (self->weak_references != nullptr) PyObject_ClearWeakRefs(object);
  self->segment.~shared_ptr<Segment>();
  type->tp_free(object);
  Py_DECREF(type);
}

PyObject* segment_create(PyObject* cls, PyObject* args, PyObject* kwargs) {
  static const char* keywords[] = {"channels", "max_items", "max_bytes", "virtual_bytes", nullptr};
  unsigned int channels = 1;
  unsigned long long max_items = 0, max_bytes = 0, virtual_bytes = 0;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$IKKK:create", const_cast<char**>(keywords), &channels, &max_items,
                                   &max_bytes, &virtual_bytes)) {
    return nullptr;
  }
  auto* type = reinterpret_cast<PyTypeObject*>(cls);
  ModuleState* state = state_of_type(type);
  if (state == nullptr) return nullptr;
  ChannelOptions options{max_items, max_bytes, virtual_bytes};
  std::shared_ptr<Segment> segment;
  Fault fault;
  Status status = Segment::create(channels, options, &segment, &fault);
  if (status != Status::ok) return raise_fault(state, status, fault);
  return wrap(type, std::move(segment));
}

PyObject* segment_attach(PyObject* cls, PyObject* args, PyObject* kwargs) {
  static const char* keywords[] = {"fd", "uuid", nullptr};
  int fd = -1;
  PyObject* uuid = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "i|O:attach", const_cast<char**>(keywords), &fd, &uuid)) return nullptr;
  const std::uint8_t* wanted = nullptr;
  if (uuid != Py_None) {
    if (!PyBytes_Check(uuid) || PyBytes_GET_SIZE(uuid) != 16) {
      PyErr_Format(PyExc_TypeError, "uuid must be 16 bytes or None, not %R", uuid);
      return nullptr;
    }
    wanted = reinterpret_cast<const std::uint8_t*>(PyBytes_AS_STRING(uuid));
  }
  auto* type = reinterpret_cast<PyTypeObject*>(cls);
  ModuleState* state = state_of_type(type);
  if (state == nullptr) return nullptr;
  std::shared_ptr<Segment> segment;
  Fault fault;
  Status status = Segment::attach(fd, wanted, &segment, &fault);
  if (status != Status::ok) return raise_fault(state, status, fault);
  return wrap(type, std::move(segment));
}

bool check_open(SegmentObject* self) {
  if (self->segment) return true;
  PyErr_SetString(PyExc_ValueError, "the segment is closed");
  return false;
}

PyObject* segment_fileno(PyObject* object, PyObject*) {
  SegmentObject* self = as_segment(object);
  return check_open(self) ? PyLong_FromLong(self->segment->fd()) : nullptr;
}

PyObject* segment_close(PyObject* object, PyObject*) {
  as_segment(object)->segment.reset();
  Py_RETURN_NONE;
}

PyObject* segment_uuid(PyObject* object, void*) {
  SegmentObject* self = as_segment(object);
  if (!check_open(self)) return nullptr;
  const auto& uuid = self->segment->header().uuid;
  return PyBytes_FromStringAndSize(reinterpret_cast<const char*>(uuid), sizeof uuid);
}

PyObject* segment_size(PyObject* object, void*) {
  SegmentObject* self = as_segment(object);
  return check_open(self) ? PyLong_FromSize_t(self->segment->size_bytes()) : nullptr;
}

PyObject* segment_channels(PyObject* object, void*) {
  SegmentObject* self = as_segment(object);
  return check_open(self) ? PyLong_FromUnsignedLong(self->segment->header().channel_count) : nullptr;
}

PyObject* segment_lock_kind(PyObject* object, void*) {
  SegmentObject* self = as_segment(object);
  if (!check_open(self)) return nullptr;
  return PyUnicode_FromString(self->segment->header().lock_kind == LockKind::kernel ? "kernel" : "liveness");
}

PyMethodDef segment_methods[] = {
    {"create", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(segment_create)),
     METH_CLASS | METH_VARARGS | METH_KEYWORDS, "Makes a segment with one or two channels."},
    {"attach", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(segment_attach)),
     METH_CLASS | METH_VARARGS | METH_KEYWORDS, "Maps the segment behind a descriptor and takes the descriptor over."},
    {"fileno", segment_fileno, METH_NOARGS, "Returns the descriptor of the memory."},
    {"close", segment_close, METH_NOARGS, "Lets go; the mapping goes with the last queue or connection that uses it."},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef segment_properties[] = {
    {"uuid", segment_uuid, nullptr, "The 16 bytes that identify the segment.", nullptr},
    {"size_bytes", segment_size, nullptr, "The size of the mapping; memory is used as it is touched.", nullptr},
    {"channels", segment_channels, nullptr, "How many channels it holds.", nullptr},
    {"lock_kind", segment_lock_kind, nullptr, "\"kernel\" or \"liveness\".", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyMemberDef segment_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(SegmentObject, weak_references), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyType_Slot segment_slots[] = {
    {Py_tp_doc, const_cast<char*>("One piece of shared memory and this process's mapping of it.")},
    {Py_tp_dealloc, reinterpret_cast<void*>(segment_dealloc)},
    {Py_tp_methods, segment_methods},
    {Py_tp_getset, segment_properties},
    {Py_tp_members, segment_members},
    {0, nullptr},
};

}  // namespace

PyType_Spec segment_spec = {
    "interproc._core.Segment",
    sizeof(SegmentObject),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    segment_slots,
};

std::shared_ptr<Segment> segment_of(const ModuleState* state, PyObject* object) {
  if (!PyObject_TypeCheck(object, state->segment_type)) {
    PyErr_Format(PyExc_TypeError, "segment must be an interproc._core.Segment, not %R", object);
    return nullptr;
  }
  SegmentObject* self = as_segment(object);
  return check_open(self) ? self->segment : nullptr;
}

}  // namespace interproc::binding
