// Codec: from an object to the parts of a message, and from a message's bytes to an object.
//
// Exact None, bool, 64-bit int, float, str and bytes have tags of their own. Everything else goes through a pickler that
// is used again and again, with large buffers beside the pickle:
//   u32 buffer count, u32 0, u64 pickle bytes, {u64 bytes, u64 readonly} per buffer, pickle, then each buffer at the next
//   multiple of 64 from the start of the payload.
#pragma once

#include <cstdint>

#include "channel.hpp"
#include "state.hpp"

namespace interproc::binding {

enum class Tag : std::uint8_t {
  none = 0,
  true_value = 1,
  false_value = 2,
  int64 = 3,
  float64 = 4,
  str = 5,
  bytes = 6,
  pickle = 7,
  pickle_with_buffers = 8,
  raw = 9,  // send_bytes()
};

// An object made ready to send. Holds references to what its parts point to, until cleared or destroyed (with the GIL).
class Encoded {
 public:
  Encoded() = default;
  ~Encoded() { clear(); }
  Encoded(const Encoded&) = delete;
  Encoded& operator=(const Encoded&) = delete;

  // False with an exception set. Runs user code unless the object has a tag of its own.
  bool encode(ModuleState* state, PyObject* object);
  // Bytes as send_bytes() takes them; keeps no reference.
  void set_raw(const void* data, std::size_t size_bytes);
  void clear();

  const Message& message() const { return message_; }

 private:
  bool encode_pickled(ModuleState* state, PyObject* object);
  bool take_output(PyObject* pickle, PyObject* buffers);
  bool lay_out(PyObject* pickle, PyObject* buffers);
  void set_single(Tag tag, const void* data, std::size_t size_bytes);

  Message message_{};
  Part single_{};
  std::uint64_t scalar_ = 0;
  PyObject* kept_ = nullptr;       // what the parts point into
  PyObject* also_kept_ = nullptr;
  Part* parts_ = nullptr;          // allocated: more than one part
  std::uint64_t* header_ = nullptr;
};

// A new reference, or nullptr with an exception set. `data` need only live during the call. Runs user code for pickles.
PyObject* decode(ModuleState* state, std::uint8_t tag, const std::uint8_t* data, std::size_t size_bytes);

// The message as recv_bytes() returns it: raw bytes, or the object's pickle.
PyObject* decode_to_bytes(ModuleState* state, std::uint8_t tag, const std::uint8_t* data, std::size_t size_bytes);

// Copies with the GIL released where that is worth it.
void copy_large(void* destination, const void* source, std::size_t size_bytes);
inline constexpr std::size_t release_gil_bytes = 64 * 1024;

// Starts to notice new reducers in a dict such as copyreg.dispatch_table.
bool watch_reducers(ModuleState* state);

}  // namespace interproc::binding
