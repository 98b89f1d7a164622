// Compact: small tuples, lists and dicts of plain values, without pickle.
//
//   item = kind (1 byte), then
//     none, yes, no       nothing
//     integer, real       8 bytes
//     ascii, text, bytes  length (2 bytes), content
//     tuple, list, dict   number of items (1 byte; a dict's pairs count once), the items
//
// Only exact types, and only containers that nothing but the one around them refers to: nothing inside can appear twice, so
// there is no identity to keep, and no user code runs. What does not fit is for pickle, which costs three times as much.
#pragma once

#include <cstddef>
#include <cstdint>

#include "state.hpp"

namespace interproc::binding {

// How many of the `capacity` bytes an item takes; 0 if it is not for Compact. Raises nothing.
std::size_t write_compact(PyObject* object, std::uint8_t* destination, std::size_t capacity);

// A new object; nullptr with an exception raised.
PyObject* read_compact(const State& state, const std::uint8_t* data, std::size_t length);

}  // namespace interproc::binding
