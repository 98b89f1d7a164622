#include "buffer.hpp"

#include <stdlib.h>
#include <sys/mman.h>

namespace interproc::binding {

namespace {

// From here on huge pages make the first touch about eight times cheaper.
constexpr std::size_t mapped_bytes = std::size_t{2} << 20;
constexpr std::size_t alignment = 64;

struct BufferObject {
  PyObject_HEAD
  std::uint8_t* data;
  std::size_t size_bytes;
  bool readonly;
};

BufferObject* as_buffer(PyObject* object) { return reinterpret_cast<BufferObject*>(object); }

void buffer_dealloc(PyObject* object) {
  BufferObject* self = as_buffer(object);
  PyTypeObject* type = Py_TYPE(object);
  if (self->size_bytes >= mapped_bytes) {
    munmap(self->data, self->size_bytes);
  } else {
    free(self->data);
  }
  type->tp_free(object);
  Py_DECREF(type);
}

int buffer_getbuffer(PyObject* object, Py_buffer* view, int flags) {
  BufferObject* self = as_buffer(object);
  return PyBuffer_FillInfo(view, object, self->data, static_cast<Py_ssize_t>(self->size_bytes), self->readonly ? 1 : 0,
                           flags);
}

Py_ssize_t buffer_length(PyObject* object) { return static_cast<Py_ssize_t>(as_buffer(object)->size_bytes); }

PyType_Slot buffer_slots[] = {
    {Py_tp_doc, const_cast<char*>("Memory of a received message, the receiver's own; use it through memoryview().")},
    {Py_tp_dealloc, reinterpret_cast<void*>(buffer_dealloc)},
    {Py_bf_getbuffer, reinterpret_cast<void*>(buffer_getbuffer)},
    {Py_sq_length, reinterpret_cast<void*>(buffer_length)},
    {0, nullptr},
};

}  // namespace

PyType_Spec buffer_spec = {
    "interproc._core.Buffer",
    sizeof(BufferObject),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    buffer_slots,
};

PyObject* new_buffer(const ModuleState* state, std::size_t size_bytes, bool readonly, std::uint8_t** data) {
  void* memory = nullptr;
  if (size_bytes >= mapped_bytes) {
    memory = mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return PyErr_NoMemory();
    madvise(memory, size_bytes, MADV_HUGEPAGE);
  } else if (posix_memalign(&memory, alignment, size_bytes > 0 ? size_bytes : 1) != 0) {
    return PyErr_NoMemory();
  }
  PyObject* object = state->buffer_type->tp_alloc(state->buffer_type, 0);
  if (object == nullptr) {
    if (size_bytes >= mapped_bytes) {
      munmap(memory, size_bytes);
    } else {
      free(memory);
    }
    return nullptr;
  }
  BufferObject* self = as_buffer(object);
  self->data = static_cast<std::uint8_t*>(memory);
  self->size_bytes = size_bytes;
  self->readonly = readonly;
  *data = self->data;
  return object;
}

}  // namespace interproc::binding
