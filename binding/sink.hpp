// Sink: where a pickler leaves its output. Nothing is copied: it keeps what it is given until the messages were put.
#pragma once

#include <cstddef>

#include "channel.hpp"
#include "lent_buffer.hpp"
#include "python.hpp"

namespace interproc::binding {

// A row that grows, of what needs neither construction nor destruction.
template <typename T>
class Row {
 public:
  // False with MemoryError raised.
  bool push(const T& item) {
    if (count_ == capacity_ && !grow()) return false;
    items_[count_++] = item;
    return true;
  }
  void cut(std::size_t count) { count_ = count; }
  void free() {
    PyMem_Free(items_);
    items_ = nullptr;
    count_ = capacity_ = 0;
  }
  std::size_t count() const { return count_; }
  T& operator[](std::size_t index) { return items_[index]; }

 private:
  bool grow() {
    std::size_t capacity = capacity_ == 0 ? 16 : 2 * capacity_;
    void* items = PyMem_Realloc(items_, capacity * sizeof(T));
    if (items == nullptr) {
      PyErr_NoMemory();
      return false;
    }
    items_ = static_cast<T*>(items);
    capacity_ = capacity;
    return true;
  }

  T* items_;
  std::size_t count_;
  std::size_t capacity_;
};

// A buffer that travels beside its pickle.
struct Beside {
  Py_buffer view;
  std::size_t move;  // index of the one that it is; no_move for others
};
inline constexpr std::size_t no_move = SIZE_MAX;

struct SinkObject {
  PyObject ob_base;
  bool is_open;      // somebody collects what is written
  State* state;      // these two: of whoever does
  Channel* channel;  // that the messages go to
  Row<Part> parts;   // point into `held`
  Row<Py_buffer> held;
  Row<Beside> beside;  // of the message being pickled
  Row<Move> moves;     // of all messages
  Row<std::uint64_t> blocks;

  // Keeps `source` and adds its bytes as a part.
  bool add(PyObject* source);
  bool add_beside(PyObject* pickle_buffer);
  // Forgets what came after these counts.
  void cut(std::size_t part_count, std::size_t held_count);
  void clear() { cut(0, 0); }

 private:
  void cut_moves(std::size_t held_count);
};

}  // namespace interproc::binding
