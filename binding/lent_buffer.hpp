// LentBuffer: memory that a queue or a connection lends, to be filled and then put without a copy.
//
// Large ones lie in a block of the channel (lent.hpp). Small ones, those for which the channel has no memory left and those
// of a forked child are private memory, copied when it is put. Either way it is put once: then using it raises.
#pragma once

#include <atomic>
#include <memory>

#include "buffer.hpp"
#include "channel.hpp"
#include "lent.hpp"
#include "python.hpp"
#include "state.hpp"

namespace interproc::binding {

struct LentBufferObject {
  PyObject ob_base;
  std::shared_ptr<Lent> lent;  // nullptr: `memory` instead
  std::shared_ptr<Memory> memory;
  std::weak_ptr<Channel> channel;
  std::uint8_t* data;
  Py_ssize_t size_bytes;
  std::atomic<bool> is_moved;  // or on its way: whoever sets it puts it

  bool can_move() const { return lent != nullptr && lent->can_move(); }
};

// nullptr with an exception raised.
PyObject* lend_buffer(const State& state, Channel* channel, PyObject* size_bytes);

// install_arrays() of the module.
PyObject* install_arrays(PyObject* module, PyObject* arguments);

// A lent buffer on its way out through the channel that lent it, from when it is pickled until the message was put.
struct Move {
  LentBufferObject* buffer;  // owned
  PyObject* holder;          // owned: the buffer, or the array over it
  std::size_t held_index;    // in the sink
  std::size_t first_part;    // of its message, in the sink
  std::size_t message;       // in the batch
  bool goes_along;           // as a block; else it is copied like others
  bool has_begun;

  // What lay at buffer->data lies at `*payload` from now on, and whoever uses it raises. False with an exception raised.
  bool begin(const State& state, std::uint64_t* block, const std::uint8_t** payload);
  void end(const State& state, bool was_put);
  void forget();
};

// Whether the exporter is a lent buffer or an array over one.
bool is_lent(const State& state, const Py_buffer& view);

// Whether the exporter of `view` is, as a whole, what this channel has lent: then `*move` owns it. False also for any other.
bool find_move(const State& state, const Channel* channel, const Py_buffer& view, Move* move);

}  // namespace interproc::binding
