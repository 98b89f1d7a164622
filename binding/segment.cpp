#include <new>

#include "arguments.hpp"
#include "errors.hpp"
#include "segment_object.hpp"

namespace interproc::binding {

namespace {

constexpr Py_ssize_t uuid_bytes = 16;

struct SegmentObject {
  PyObject ob_base;
  std::shared_ptr<Segment> segment;
  PyObject* weak_references;
};

SegmentObject* cast(PyObject* self) { return reinterpret_cast<SegmentObject*>(self); }

const SegmentHeader* header_of(PyObject* self) {
  if (cast(self)->segment != nullptr) return &cast(self)->segment->header();
  PyErr_SetString(PyExc_ValueError, "the segment is closed");
  return nullptr;
}

PyObject* wrap(PyTypeObject* type, std::shared_ptr<Segment> segment) {
  PyObject* self = type->tp_alloc(type, 0);
  if (self != nullptr) new (&cast(self)->segment) std::shared_ptr<Segment>(std::move(segment));
  return self;
}

PyObject* create(PyObject* kind, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"channels",      "max_items", "max_bytes",      "max_unread_bytes", "warm_bytes",
                                "virtual_bytes", "tasks",     "max_deliveries", "no_consumer",      nullptr};
  std::uint64_t channels = 1;
  std::uint64_t tasks = 0;
  std::uint64_t max_deliveries = 0;
  std::uint64_t no_consumer = 0;
  ChannelOptions options;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|$O&O&O&O&O&O&O&O&O&:create", const_cast<char**>(names),
                                   to_uint64, &channels, to_uint64, &options.max_items, to_uint64, &options.max_bytes,
                                   to_uint64, &options.max_unread_bytes, to_uint64, &options.warm_bytes, to_uint64,
                                   &options.virtual_bytes, to_uint64, &tasks, to_uint64, &max_deliveries, to_uint64,
                                   &no_consumer)) {
    return nullptr;
  }
  if (tasks > static_cast<std::uint64_t>(TaskPolicy::redeliver) || max_deliveries > UINT32_MAX) {
    PyErr_Format(PyExc_ValueError, "there is no policy %llu for tasks, or %llu deliveries are too many",
                 static_cast<unsigned long long>(tasks), static_cast<unsigned long long>(max_deliveries));
    return nullptr;
  }
  if (no_consumer > static_cast<std::uint64_t>(NoConsumer::drop_oldest)) {
    PyErr_Format(PyExc_ValueError, "there is no policy %llu for queues without a consumer",
                 static_cast<unsigned long long>(no_consumer));
    return nullptr;
  }
  options.tasks = static_cast<TaskPolicy>(tasks);
  options.no_consumer = static_cast<NoConsumer>(no_consumer);
  options.max_deliveries = static_cast<std::uint32_t>(max_deliveries);
  if (channels < 1 || channels > max_channels) {
    PyErr_Format(PyExc_ValueError, "a segment has 1 or %u channels", max_channels);
    return nullptr;
  }
  auto* type = reinterpret_cast<PyTypeObject*>(kind);
  State* state = state_of_type(type);
  if (state == nullptr) return nullptr;
  std::shared_ptr<Segment> segment;
  Fault fault;
  Status status = Segment::create(static_cast<std::uint32_t>(channels), options, &segment, &fault);
  return status == Status::ok ? wrap(type, std::move(segment)) : raise(*state, status, fault);
}

PyObject* attach(PyObject* kind, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"fd", "uuid", nullptr};
  int fd = -1;
  PyObject* uuid = Py_None;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "i|O:attach", const_cast<char**>(names), &fd, &uuid)) {
    return nullptr;
  }
  if (uuid != Py_None && (!PyBytes_Check(uuid) || PyBytes_GET_SIZE(uuid) != uuid_bytes)) {
    PyErr_Format(PyExc_TypeError, "uuid must be None or 16 bytes, not %R", uuid);
    return nullptr;
  }
  auto* type = reinterpret_cast<PyTypeObject*>(kind);
  State* state = state_of_type(type);
  if (state == nullptr) return nullptr;
  const void* wanted = uuid == Py_None ? nullptr : PyBytes_AS_STRING(uuid);
  std::shared_ptr<Segment> segment;
  Fault fault;
  Status status = Segment::attach(fd, static_cast<const std::uint8_t*>(wanted), &segment, &fault);
  return status == Status::ok ? wrap(type, std::move(segment)) : raise(*state, status, fault);
}

PyObject* close(PyObject* self, PyObject*) {
  cast(self)->segment.reset();
  Py_RETURN_NONE;
}

PyObject* get_fileno(PyObject* self, PyObject*) {
  return header_of(self) == nullptr ? nullptr : PyLong_FromLong(cast(self)->segment->fd());
}

PyObject* get_uuid(PyObject* self, void*) {
  const SegmentHeader* header = header_of(self);
  if (header == nullptr) return nullptr;
  return PyBytes_FromStringAndSize(reinterpret_cast<const char*>(header->uuid), uuid_bytes);
}

PyObject* get_size_bytes(PyObject* self, void*) {
  return header_of(self) == nullptr ? nullptr : PyLong_FromSize_t(cast(self)->segment->size_bytes());
}

PyObject* get_lock_kind(PyObject* self, void*) {
  const SegmentHeader* header = header_of(self);
  if (header == nullptr) return nullptr;
  return PyUnicode_FromString(header->lock_kind == LockKind::kernel ? "kernel" : "liveness");
}

PyObject* get_creator(PyObject* self, void*) {
  const SegmentHeader* header = header_of(self);
  if (header == nullptr) return nullptr;
  return Py_BuildValue("(Ii)", header->creator_pid, header->creator_fd);
}

PyObject* get_channels(PyObject* self, void*) {
  const SegmentHeader* header = header_of(self);
  return header == nullptr ? nullptr : PyLong_FromUnsignedLong(header->channel_count);
}

void dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  if (cast(self)->weak_references != nullptr) PyObject_ClearWeakRefs(self);
  cast(self)->segment.~shared_ptr();
  type->tp_free(self);
  Py_DECREF(type);
}

PyMethodDef methods[] = {
    {"create", as_method(create), METH_VARARGS | METH_KEYWORDS | METH_CLASS,
     PyDoc_STR("create($type, /, *, channels=1, max_items=0, max_bytes=0, max_unread_bytes=0, "
               "warm_bytes=33554432, virtual_bytes=0)\n--\n\n"
               "Makes shared memory with one or two channels.\n\n"
               "Raises:\n    OSError: Out of memory or descriptors; names the limit and the remedy.")},
    {"attach", as_method(attach), METH_VARARGS | METH_KEYWORDS | METH_CLASS,
     PyDoc_STR("attach($type, /, fd, uuid=None)\n--\n\n"
               "Maps the segment of a descriptor, which then belongs to it; after an error it stays the caller's.\n\n"
               "Raises:\n"
               "    LayoutMismatch: Made by another version of interproc; names both.\n"
               "    PermissionError: Made in another PID namespace.\n"
               "    OSError: It is no segment, not the one of `uuid`, or memory is out.")},
    {"close", close, METH_NOARGS,
     PyDoc_STR("close($self, /)\n--\n\nLets go; what uses the segment keeps its mapping and descriptor.")},
    {"fileno", get_fileno, METH_NOARGS, PyDoc_STR("fileno($self, /)\n--\n\nReturns the descriptor of the memory.")},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef properties[] = {
    {"uuid", get_uuid, nullptr, "16 bytes that name the segment.", nullptr},
    {"size_bytes", get_size_bytes, nullptr, "The size of the mapping; memory is used only as it is touched.", nullptr},
    {"lock_kind", get_lock_kind, nullptr, "\"kernel\" or \"liveness\".", nullptr},
    {"creator", get_creator, nullptr, "The process that made it, and the number of the descriptor there.", nullptr},
    {"channels", get_channels, nullptr, "How many channels it has.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(SegmentObject, weak_references), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("One piece of shared memory and this process's mapping of it.")},
    {Py_tp_dealloc, as_slot(dealloc)},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {Py_tp_members, members},
    {0, nullptr},
};

PyType_Spec spec = {
    "interproc._core.Segment",
    sizeof(SegmentObject),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    slots,
};

}  // namespace

std::shared_ptr<Segment> segment_of(const State& state, PyObject* object) {
  if (!PyObject_TypeCheck(object, state.segment_type)) {
    PyErr_Format(PyExc_TypeError, "segment must be a Segment, not %.200s", Py_TYPE(object)->tp_name);
    return nullptr;
  }
  return header_of(object) == nullptr ? nullptr : cast(object)->segment;
}

PyObject* wrap_segment(const State& state, std::shared_ptr<Segment> segment) {
  return wrap(state.segment_type, std::move(segment));
}

PyTypeObject* make_segment_type(PyObject* module) {
  return reinterpret_cast<PyTypeObject*>(PyType_FromModuleAndSpec(module, &spec, nullptr));
}

}  // namespace interproc::binding
