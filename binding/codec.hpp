// Objects to messages and back.
//
// Exact None, bool, 64-bit int, float, str and bytes travel under a tag of their own, small containers of them as compact.hpp
// says, arrays of numbers as arrays.hpp says. Everything else is pickled; large buffers then travel beside the pickle:
//
//   BesideHeader | BesideEntry[buffer_count] | the pickle | each buffer, at the next multiple of 64 bytes
//
// What lies in shared memory is never trusted: every length is checked against that of the message.
#pragma once

#include <cstddef>
#include <cstdint>

#include "arrays.hpp"
#include "compact.hpp"
#include "picklers.hpp"
#include "taken.hpp"

namespace interproc::binding {

// What a message that is on its way out points to, as long as it is.
struct Payload {
  Part part;
  std::uint8_t number[8];
  Ref owner;
  std::size_t first_part;  // of the pickle, in the sink
  ArrayExport array;
};

inline constexpr std::size_t scratch_bytes = 8192;

// Makes messages. They, and the objects they were made of, stay in use until forget() or the end.
class Encoder {
 public:
  Encoder(State& state, Channel* channel) : state_(state), channel_(channel) {}
  ~Encoder() { forget(); }
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;

  // False: an exception is raised, earlier messages are unharmed.
  bool encode(PyObject* object, Message* message, Payload* payload) {
    if (object == Py_None) {
      *message = Message{static_cast<std::uint8_t>(Codec::none), nullptr, 0, 0};
      return true;
    }
    PyTypeObject* type = Py_TYPE(object);
    if (type == &PyLong_Type) {
      int overflow = 0;
      long long value = PyLong_AsLongLongAndOverflow(object, &overflow);
      if (overflow != 0) return pickle(object, message, payload);
      return number(Codec::integer, &value, message, payload);
    }
    if (type == &PyFloat_Type) {
      double value = PyFloat_AS_DOUBLE(object);
      return number(Codec::real, &value, message, payload);
    }
    if (type == &PyBytes_Type) {
      return bytes(Codec::bytes, PyBytes_AS_STRING(object), PyBytes_GET_SIZE(object), message, payload);
    }
    if (type == &PyUnicode_Type) return text(object, message, payload);
    if (type == &PyBool_Type) {
      Codec codec = object == Py_True ? Codec::yes : Codec::no;
      *message = Message{static_cast<std::uint8_t>(codec), nullptr, 0, 0};
      return true;
    }
    if (type == &PyDict_Type || type == &PyTuple_Type || type == &PyList_Type) {
      std::size_t size_bytes = write_compact(object, scratch_ + scratch_used_, scratch_room());
      if (size_bytes > 0) {
        const std::uint8_t* data = scratch_ + scratch_used_;
        scratch_used_ += size_bytes;
        return bytes(Codec::compact, data, static_cast<Py_ssize_t>(size_bytes), message, payload);
      }
    }
    if (is_array(state_, object)) return array(object, message, payload);
    return pickle(object, message, payload);
  }

  // Messages of pickles are complete only now, and what was lent is on its way. Nothing may be encoded between this and
  // the put. False with an exception raised.
  bool complete(Message* messages, Payload* payloads, std::size_t count) {
    return pickler_ == nullptr || complete_pickles(messages, payloads, count);
  }
  // The first `count` messages were put. What was lent for others is as it was, at the latest after forget().
  void confirm(std::size_t count) {
    if (pickler_ != nullptr && pickler_->sink()->moves.count() > 0) end_moves(count);
  }

  void forget() {
    scratch_used_ = 0;
    if (pickler_ == nullptr) return;
    ReusedPickler* pickler = std::exchange(pickler_, nullptr);
    give_back_pickler(state_, pickler);
  }

 private:
  static bool bytes(Codec codec, const void* data, Py_ssize_t size_bytes, Message* message, Payload* payload) {
    payload->part = Part{data, static_cast<std::size_t>(size_bytes)};
    *message = Message{static_cast<std::uint8_t>(codec), &payload->part, 1, payload->part.size_bytes};
    return true;
  }
  static bool number(Codec codec, const void* value, Message* message, Payload* payload) {
    __builtin_memcpy(payload->number, value, sizeof payload->number);
    return bytes(codec, payload->number, sizeof payload->number, message, payload);
  }
  std::size_t scratch_room() const {
    std::size_t room = sizeof scratch_ - scratch_used_;
    return room < copy_under_lock_bytes ? room : copy_under_lock_bytes;
  }
  bool array(PyObject* object, Message* message, Payload* payload);
  bool text(PyObject* object, Message* message, Payload* payload);
  bool pickle(PyObject* object, Message* message, Payload* payload);
  bool pickle_by_value(PyObject* object, std::size_t first_part, std::size_t held_count);
  bool seal(std::size_t first_part, Message* message, Payload* payload);
  std::uint64_t choose_moves(std::size_t first_part, std::uint64_t head_bytes);
  bool complete_pickles(Message* messages, Payload* payloads, std::size_t count);
  bool begin_moves(Message* messages, Payload* payloads, std::size_t count);
  void end_moves(std::size_t count);

  State& state_;
  Channel* channel_;
  ReusedPickler* pickler_ = nullptr;
  std::size_t scratch_used_ = 0;
  std::uint8_t scratch_[scratch_bytes];  // of compact messages; what no longer fits is pickled
};

// A new object; nullptr with an exception raised, which may be the unpickled object's own.
PyObject* decode(State& state, Taken& taken);

// A message as bytes: what send_bytes() sent, or the pickle of what send() sent. Lives no longer than the Taken.
struct Flat {
  const std::uint8_t* data = nullptr;
  std::size_t length = 0;
  Ref bytes;  // the object that `data` lies in, if it is one

  PyObject* to_bytes() const;
};

// False with an exception raised.
bool flatten(State& state, Taken& taken, Flat* flat);
bool flatten(State& state, PyObject* object, Flat* flat);

}  // namespace interproc::binding
