#include "buffer.hpp"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <new>

#include "layout.hpp"

namespace interproc::binding {

namespace {

constexpr std::size_t huge_page_bytes = std::size_t{2} << 20;

struct BufferObject {
  PyObject ob_base;
  std::shared_ptr<void> memory;
  std::uint8_t* data;
  Py_ssize_t size_bytes;
  int readonly;
};

// Mapped with its start on a huge page; MAP_FAILED as nullptr.
std::uint8_t* map_huge(std::size_t size_bytes) {
  std::size_t with_slack = size_bytes + huge_page_bytes;
  void* mapped = mmap(nullptr, with_slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  auto* start = static_cast<std::uint8_t*>(mapped);
  std::size_t before = (huge_page_bytes - reinterpret_cast<std::uintptr_t>(start) % huge_page_bytes) % huge_page_bytes;
  if (before > 0) munmap(start, before);
  munmap(start + before + size_bytes, huge_page_bytes - before);
  madvise(start + before, size_bytes, MADV_HUGEPAGE);  // advice: small pages do as well
  return start + before;
}

int get_buffer(PyObject* self, Py_buffer* view, int flags) {
  auto* buffer = reinterpret_cast<BufferObject*>(self);
  return PyBuffer_FillInfo(view, self, buffer->data, buffer->size_bytes, buffer->readonly, flags);
}

Py_ssize_t length(PyObject* self) { return reinterpret_cast<BufferObject*>(self)->size_bytes; }

PyObject* get_readonly(PyObject* self, void*) {
  return PyBool_FromLong(reinterpret_cast<BufferObject*>(self)->readonly);
}

void dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  auto* buffer = reinterpret_cast<BufferObject*>(self);
  if (static_cast<std::size_t>(buffer->size_bytes) > most_bytes_with_gil) {
    Unlocked unlocked;  // large memory may go back to the system, which takes a while
    buffer->memory.~shared_ptr();
  } else {
    buffer->memory.~shared_ptr();
  }
  type->tp_free(self);
  Py_DECREF(type);
}

PyGetSetDef properties[] = {
    {"readonly", get_readonly, nullptr, "Whether the sender's buffer was read-only.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("A buffer that came with a message; it belongs to the receiver.")},
    {Py_tp_dealloc, as_slot(dealloc)},
    {Py_tp_getset, properties},
    {Py_bf_getbuffer, as_slot(get_buffer)},
    {Py_sq_length, as_slot(length)},
    {0, nullptr},
};

PyType_Spec spec = {
    "interproc._core.Buffer",
    sizeof(BufferObject),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    slots,
};

}  // namespace

std::shared_ptr<Memory> Memory::make(std::size_t size_bytes) {
  std::uint8_t* data = nullptr;
  std::size_t mapped_bytes = 0;
  if (size_bytes >= huge_page_bytes && size_bytes < SIZE_MAX - 2 * huge_page_bytes) {
    mapped_bytes = (size_bytes + page_bytes - 1) / page_bytes * page_bytes;
    data = map_huge(mapped_bytes);
  } else if (size_bytes < huge_page_bytes) {
    data = static_cast<std::uint8_t*>(aligned_alloc(cache_line, (size_bytes / cache_line + 1) * cache_line));
  }
  if (data == nullptr) {
    PyErr_NoMemory();
    return nullptr;
  }
  return std::shared_ptr<Memory>(new Memory(data, mapped_bytes));
}

Memory::~Memory() {
  if (mapped_bytes_ > 0) {
    munmap(data_, mapped_bytes_);
  } else {
    free(data_);
  }
}

PyObject* make_buffer(const State& state, std::shared_ptr<void> memory, std::uint8_t* data, std::size_t size_bytes,
                      bool readonly) {
  PyObject* self = state.buffer_type->tp_alloc(state.buffer_type, 0);
  if (self == nullptr) return nullptr;
  auto* buffer = reinterpret_cast<BufferObject*>(self);
  new (&buffer->memory) std::shared_ptr<void>(std::move(memory));
  buffer->data = data;
  buffer->size_bytes = static_cast<Py_ssize_t>(size_bytes);
  buffer->readonly = readonly;
  return self;
}

Ref make_bytes(std::size_t size_bytes) {
  Ref bytes(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(size_bytes)));
  if (!bytes || size_bytes < 2 * huge_page_bytes) return bytes;
  auto start = reinterpret_cast<std::uintptr_t>(PyBytes_AS_STRING(bytes.get()));
  std::uintptr_t first = (start + huge_page_bytes - 1) / huge_page_bytes * huge_page_bytes;
  std::uintptr_t last = (start + size_bytes) / huge_page_bytes * huge_page_bytes;
  madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);  // advice: small pages do as well
  return bytes;
}

void copy_bytes(void* destination, const void* source, std::size_t size_bytes) {
  if (size_bytes <= most_bytes_with_gil) {
    if (size_bytes > 0) memcpy(destination, source, size_bytes);
    return;
  }
  Unlocked unlocked;
  memcpy(destination, source, size_bytes);
}

PyTypeObject* make_buffer_type(PyObject* module) {
  return reinterpret_cast<PyTypeObject*>(PyType_FromModuleAndSpec(module, &spec, nullptr));
}

}  // namespace interproc::binding
