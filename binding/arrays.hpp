// Arrays: exact numpy.ndarray of plain numbers, in one piece of memory, without pickle.
//
//   ArrayHeader, 64 bytes | the elements, in the order that the header says
//
// Only where the array's dtype is numpy's own object for its kind: nothing else says as much in one letter. Arrays of other
// dtypes (dates, text, structures, objects, foreign byte order), of other shapes of memory, of subclasses, read-only
// ones, and those that the user has registered a reducer for are pickled.
#pragma once

#include "taken.hpp"

namespace interproc::binding {

inline constexpr int most_array_dimensions = 7;

struct ArrayHeader {
  std::uint8_t kind;  // index in array_kinds
  std::uint8_t is_fortran;
  std::uint8_t dimension_count;
  std::uint8_t reserved[5];
  std::uint64_t shape[most_array_dimensions];
};
static_assert(sizeof(ArrayHeader) == cache_line);

inline void shift_part(Part* part, const void* begin, const void* end, std::ptrdiff_t distance) {
  auto* data = static_cast<const std::uint8_t*>(part->data);
  if (data >= begin && data < end) part->data = data + distance;
}

// An array on its way out, exported so that nobody resizes it; a copy of one whose elements lie apart.
class ArrayExport {
 public:
  ArrayExport() {}  // NOLINT: the rest is filled by make()
  ~ArrayExport() { release(); }
  ArrayExport(const ArrayExport&) = delete;
  ArrayExport& operator=(const ArrayExport&) = delete;

  enum class Outcome { made, pickle_it, failed };  // failed: an exception is raised
  Outcome make(State& state, PyObject* array);
  void release() {
    if (std::exchange(is_held_, false)) PyBuffer_Release(&view_);
  }
  // Its elements lie `distance` further on, if they lay between `begin` and `end`.
  void shift(const void* begin, const void* end, std::ptrdiff_t distance) {
    if (is_held_) shift_part(&parts_[1], begin, end, distance);
  }
  const Part* parts() const { return parts_; }
  std::size_t size_bytes() const { return parts_[0].size_bytes + parts_[1].size_bytes; }

 private:
  bool hold(PyObject* array);

  bool is_held_ = false;
  Py_buffer view_;
  Part parts_[2];
  ArrayHeader header_;
};

// Whether the object is of exactly numpy's array type. Imports nothing.
bool is_array(State& state, PyObject* object);

// nullptr with an exception raised.
PyObject* load_array(State& state, Taken& taken);

}  // namespace interproc::binding
