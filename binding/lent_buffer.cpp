#include "lent_buffer.hpp"

#include <new>

#include "errors.hpp"

namespace interproc::binding {

namespace {

LentBufferObject* as_lent(PyObject* self) { return reinterpret_cast<LentBufferObject*>(self); }

bool raise_moved() {
  PyErr_SetString(
      PyExc_ValueError,
      "this buffer was put, and belongs to its receiver: take a new one from empty_buffer() or empty_array()");
  return false;
}

bool raise_if_moved(const LentBufferObject* buffer) { return !buffer->is_moved || raise_moved(); }

int get_buffer(PyObject* self, Py_buffer* view, int flags) {
  LentBufferObject* buffer = as_lent(self);
  if (!raise_if_moved(buffer)) {
    view->obj = nullptr;
    return -1;
  }
  return PyBuffer_FillInfo(view, self, buffer->data, buffer->size_bytes, 0, flags);
}

Py_ssize_t length(PyObject* self) { return as_lent(self)->size_bytes; }

PyObject* get_is_moved(PyObject* self, void*) { return PyBool_FromLong(as_lent(self)->is_moved); }

PyObject* reduce(PyObject* self, PyObject*) {
  if (!raise_if_moved(as_lent(self))) return nullptr;
  Ref pickled(PyPickleBuffer_FromObject(self));
  return pickled ? Py_BuildValue("O(O)", &PyMemoryView_Type, pickled.get()) : nullptr;
}

void dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  LentBufferObject* buffer = as_lent(self);
  {
    Unlocked unlocked;  // memory may go back to the system, which takes a while
    buffer->lent.~shared_ptr();
    buffer->memory.~shared_ptr();
    buffer->channel.~weak_ptr();
  }
  type->tp_free(self);
  Py_DECREF(type);
}

PyMethodDef methods[] = {
    {"__reduce__", reduce, METH_NOARGS, "Arrives as a memoryview; moves where it is put into what it was lent by."},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef properties[] = {
    {"is_moved", get_is_moved, nullptr, "Whether it was put: using it raises ValueError then.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc,
     const_cast<char*>(
         "Memory lent by a queue or a connection, to be filled through a memoryview and put there, without a "
         "copy, once.")},
    {Py_tp_dealloc, as_slot(dealloc)},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {Py_bf_getbuffer, as_slot(get_buffer)},
    {Py_sq_length, as_slot(length)},
    {0, nullptr},
};

PyType_Spec spec = {
    "interproc._core.LentBuffer",
    sizeof(LentBufferObject),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    slots,
};

// The array shows, from now on, what it is: one to use, or one that was put.
bool change_class(PyObject* holder, PyTypeObject* kind) {
  Ref name(PyUnicode_InternFromString("__class__"));
  return name && PyObject_GenericSetAttr(holder, name.get(), reinterpret_cast<PyObject*>(kind)) == 0;
}

// None where there is no such attribute: no array that we know.
Ref attribute_of(PyObject* array, const char* name) {
  Ref value(PyObject_GetAttrString(array, name));
  if (!value) PyErr_Clear();
  return value;
}

}  // namespace

PyObject* lend_buffer(const State& state, Channel* channel, PyObject* size) {
  Ref index(PyNumber_Index(size));
  if (!index) return nullptr;
  Py_ssize_t size_bytes = PyLong_AsSsize_t(index.get());
  if (size_bytes < 0) {
    if (!PyErr_Occurred()) PyErr_Format(PyExc_ValueError, "a buffer cannot have %zd bytes", size_bytes);
    return nullptr;
  }
  std::shared_ptr<Lent> lent;
  std::shared_ptr<Memory> memory;
  if (static_cast<std::uint64_t>(size_bytes) >= large_block_bytes) {
    Fault fault;
    Status status = Status::ok;
    {
      Unlocked unlocked;  // large memory comes from the system, which takes a while
      status = Lent::make(channel, static_cast<std::uint64_t>(size_bytes), &lent, &fault);
    }
    if (status != Status::ok && status != Status::full) return raise(state, status, fault);
  }
  if (lent == nullptr) {
    memory = Memory::make(static_cast<std::size_t>(size_bytes));
    if (memory == nullptr) return nullptr;
  }
  PyObject* self = state.lent_buffer_type->tp_alloc(state.lent_buffer_type, 0);
  if (self == nullptr) return nullptr;
  LentBufferObject* buffer = as_lent(self);
  buffer->data = lent != nullptr ? lent->data() : memory->data();
  buffer->size_bytes = size_bytes;
  new (&buffer->is_moved) std::atomic<bool>(false);
  new (&buffer->lent) std::shared_ptr<Lent>(std::move(lent));
  new (&buffer->memory) std::shared_ptr<Memory>(std::move(memory));
  new (&buffer->channel) std::weak_ptr<Channel>(channel->shared_from_this());
  return self;
}

bool is_lent(const State& state, const Py_buffer& view) {
  if (view.obj == nullptr) return false;
  PyTypeObject* type = Py_TYPE(view.obj);
  return type == state.lent_buffer_type || type == state.lent_array_type || type == state.carrier_array_type;
}

bool find_move(const State& state, const Channel* channel, const Py_buffer& view, Move* move) {
  if (!is_lent(state, view)) return false;
  Ref holder = Ref::to(view.obj);
  if (Py_TYPE(view.obj) == state.carrier_array_type) holder = attribute_of(view.obj, "lent");
  Ref base = holder && Py_TYPE(holder.get()) == state.lent_array_type ? attribute_of(holder.get(), "base")
                                                                      : Ref::to(holder.get());
  if (!base || Py_TYPE(base.get()) != state.lent_buffer_type) return false;
  LentBufferObject* buffer = as_lent(base.get());
  if (buffer->is_moved || view.buf != buffer->data || view.len > buffer->size_bytes) return false;
  if (buffer->channel.lock().get() != channel) return false;
  *move = Move{as_lent(base.release()), holder.release(), 0, 0, 0, false, false};
  return true;
}

bool Move::begin(const State& state, std::uint64_t* block, const std::uint8_t** payload) {
  *block = no_block;
  *payload = buffer->data;
  if (buffer->is_moved.exchange(true)) return raise_moved();  // another thread was faster
  if (goes_along) {
    Fault fault;
    Status status = buffer->lent->begin_move(block, payload, &fault);
    if (status != Status::ok) buffer->is_moved = false;
    if (status == Status::full) {
      PyErr_Format(PyExc_MemoryError, "there is no room to move a lent buffer of %zd bytes", buffer->size_bytes);
      return false;
    }
    if (status != Status::ok) {
      raise(state, status, fault);
      return false;
    }
  }
  has_begun = true;
  return holder == &buffer->ob_base || change_class(holder, state.moved_array_type);
}

void Move::end(const State& state, bool was_put) {
  if (!has_begun) return;
  has_begun = false;
  if (goes_along) buffer->lent->end_move(was_put);
  if (was_put) return;
  buffer->is_moved = false;
  if (holder != &buffer->ob_base && !change_class(holder, state.lent_array_type)) PyErr_Clear();  // it was one before
}

void Move::forget() {
  Py_DECREF(holder);
  Py_DECREF(&buffer->ob_base);
}

PyObject* install_arrays(PyObject* module, PyObject* arguments) {
  auto* state = static_cast<State*>(PyModule_GetState(module));
  PyObject* kinds[3] = {};
  if (!PyArg_ParseTuple(arguments, "O!O!O!:install_arrays", &PyType_Type, &kinds[0], &PyType_Type, &kinds[1],
                        &PyType_Type, &kinds[2])) {
    return nullptr;
  }
  PyTypeObject** places[] = {&state->lent_array_type, &state->carrier_array_type, &state->moved_array_type};
  for (int i = 0; i < 3; i++) {
    auto* kind = reinterpret_cast<PyTypeObject*>(Py_NewRef(kinds[i]));
    Ref old(reinterpret_cast<PyObject*>(std::exchange(*places[i], kind)));
  }
  Py_RETURN_NONE;
}

PyTypeObject* make_lent_buffer_type(PyObject* module) {
  return reinterpret_cast<PyTypeObject*>(PyType_FromModuleAndSpec(module, &spec, nullptr));
}

}  // namespace interproc::binding
