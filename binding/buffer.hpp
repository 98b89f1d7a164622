// Memory and Buffer: what a receiver gets for a buffer that travelled beside its pickle; its own, shared with nobody. Either
// a view of the block that it came in, which goes back to the sender's channel with the last object that uses it, or
// private memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "python.hpp"
#include "state.hpp"

namespace interproc::binding {

// Copies of at least this size happen with the GIL released.
inline constexpr std::size_t most_bytes_with_gil = 64 * 1024;

// Private memory, aligned to cache lines; from 2 MiB on in huge pages where the system has them.
class Memory {
 public:
  // nullptr with MemoryError raised.
  static std::shared_ptr<Memory> make(std::size_t size_bytes);
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  std::uint8_t* data() const { return data_; }

 private:
  Memory(std::uint8_t* data, std::size_t mapped_bytes) : data_(data), mapped_bytes_(mapped_bytes) {}

  std::uint8_t* data_;
  std::size_t mapped_bytes_;  // 0 = from the heap
};

// A Python object with the buffer protocol over a part of `memory`: a Memory or a View.
PyObject* make_buffer(const State& state, std::shared_ptr<void> memory, std::uint8_t* data, std::size_t size_bytes,
                      bool readonly);

// An uninitialised bytes object, in huge pages where it is large and the system has them: touching it the first time is
// most of what a large message costs its receiver. Empty with MemoryError raised.
Ref make_bytes(std::size_t size_bytes);

// memcpy; the GIL, held, is released meanwhile where that pays.
void copy_bytes(void* destination, const void* source, std::size_t size_bytes);

}  // namespace interproc::binding
