// HeapBlock: a piece of shared memory for values and arrays, with the buffer protocol.
#include "heap.hpp"

#include <new>

#include "arguments.hpp"
#include "errors.hpp"
#include "segment_object.hpp"

namespace interproc::binding {

namespace {

struct HeapBlockObject {
  PyObject ob_base;
  State* state;
  PyObject* weak_references;
  PyObject* segment;  // that it was attached with
  std::unique_ptr<HeapBlock> block;
};

HeapBlockObject* cast(PyObject* self) { return reinterpret_cast<HeapBlockObject*>(self); }

PyObject* wrap(PyTypeObject* type, State* state, std::unique_ptr<HeapBlock> block, PyObject* segment) {
  PyObject* self = type->tp_alloc(type, 0);
  if (self == nullptr) return nullptr;
  new (&cast(self)->block) std::unique_ptr<HeapBlock>(std::move(block));
  cast(self)->segment = Py_XNewRef(segment);
  cast(self)->state = state;
  return self;
}

PyObject* create(PyTypeObject* type, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"nbytes", nullptr};
  long long size_bytes = 0;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "L:HeapBlock", const_cast<char**>(names), &size_bytes)) {
    return nullptr;
  }
  if (size_bytes < 0) return PyErr_Format(PyExc_ValueError, "nbytes must not be negative: %lld", size_bytes);
  State* state = state_of_type(type);
  if (state == nullptr) return nullptr;
  std::unique_ptr<HeapBlock> block;
  Fault fault;
  Status status = HeapBlock::create(static_cast<std::uint64_t>(size_bytes), &block, &fault);
  return status == Status::ok ? wrap(type, state, std::move(block), nullptr) : raise(*state, status, fault);
}

PyObject* attach(PyObject* kind, PyObject* const* arguments, Py_ssize_t count) {
  auto* type = reinterpret_cast<PyTypeObject*>(kind);
  State* state = state_of_type(type);
  if (state == nullptr) return nullptr;
  std::uint64_t offset = 0;
  std::uint64_t size_bytes = 0;
  if (count != 3) {
    PyErr_SetString(PyExc_TypeError, "attach() takes a segment, an offset and a size");
    return nullptr;
  }
  std::shared_ptr<Segment> segment = segment_of(*state, arguments[0]);
  if (segment == nullptr || to_uint64(arguments[1], &offset) == 0 || to_uint64(arguments[2], &size_bytes) == 0) {
    return nullptr;
  }
  std::unique_ptr<HeapBlock> block;
  Fault fault;
  Status status = HeapBlock::attach(std::move(segment), offset, size_bytes, &block, &fault);
  return status == Status::ok ? wrap(type, state, std::move(block), arguments[0]) : raise(*state, status, fault);
}

int get_buffer(PyObject* self, Py_buffer* view, int flags) {
  HeapBlock* block = cast(self)->block.get();
  return PyBuffer_FillInfo(view, self, block->data(), static_cast<Py_ssize_t>(block->size_bytes()), 0, flags);
}

Py_ssize_t length(PyObject* self) { return static_cast<Py_ssize_t>(cast(self)->block->size_bytes()); }

PyObject* reduce(PyObject* self, PyObject*) {
  HeapBlock* block = cast(self)->block.get();
  block->mark_exported();
  PyObject* known = cast(self)->segment;
  Ref segment(known != nullptr ? Py_NewRef(known) : wrap_segment(*cast(self)->state, block->segment()));
  Ref rebuild(PyObject_GetAttrString(reinterpret_cast<PyObject*>(Py_TYPE(self)), "attach"));
  if (!segment || !rebuild) return nullptr;
  return Py_BuildValue("(O(OKK))", rebuild.get(), segment.get(), static_cast<unsigned long long>(block->offset()),
                       static_cast<unsigned long long>(block->size_bytes()));
}

void dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  if (cast(self)->weak_references != nullptr) PyObject_ClearWeakRefs(self);
  cast(self)->block.~unique_ptr();
  Py_CLEAR(cast(self)->segment);
  type->tp_free(self);
  Py_DECREF(type);
}

PyMethodDef methods[] = {
    {"attach", as_method(attach), METH_FASTCALL | METH_CLASS,
     PyDoc_STR("attach($type, segment, offset, nbytes, /)\n--\n\nReturns another object for a block that exists.")},
    {"__reduce__", reduce, METH_NOARGS,
     PyDoc_STR("__reduce__($self, /)\n--\n\nPickles a handle; keep this object until it has arrived.")},
    {nullptr, nullptr, 0, nullptr},
};

PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(HeapBlockObject, weak_references), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("HeapBlock(nbytes)\n--\n\n"
                                  "Shared memory, zeroed; any buffer on it keeps it alive.\n\n"
                                  "Raises:\n    OSError: Out of memory or descriptors.")},
    {Py_tp_new, as_slot(create)},
    {Py_tp_dealloc, as_slot(dealloc)},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {Py_bf_getbuffer, as_slot(get_buffer)},
    {Py_sq_length, as_slot(length)},
    {0, nullptr},
};

PyType_Spec spec = {
    "interproc._core.HeapBlock", sizeof(HeapBlockObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, slots,
};

}  // namespace

PyTypeObject* make_heap_block_type(PyObject* module) {
  return reinterpret_cast<PyTypeObject*>(PyType_FromModuleAndSpec(module, &spec, nullptr));
}

}  // namespace interproc::binding
