#include "codec.hpp"

#include <string.h>

#include "errors.hpp"

namespace interproc::binding {

namespace {

struct BesideHeader {
  std::uint32_t buffer_count;
  std::uint32_t reserved;
  std::uint64_t pickle_bytes;
};
static_assert(sizeof(BesideHeader) == 16);

struct BesideEntry {
  std::uint64_t size_bytes;
  std::uint32_t readonly;
  std::uint32_t is_lent;  // lies in the next lent block of the message, not in the message
};
static_assert(sizeof(BesideEntry) == 16);

constexpr std::uint8_t padding[cache_line] = {};

constexpr std::uint64_t padding_after(std::uint64_t size_bytes) { return -size_bytes % cache_line; }

// Up to here a copy costs less than a memoryview.
constexpr std::size_t most_bytes_to_copy = 4096;
// Up to here a small part of a large message is copied, which costs a few microseconds.
constexpr std::size_t most_sliver_bytes = 64 * 1024;

}  // namespace

// --- objects to messages ---------------------------------------------------------------------------------------------

bool Encoder::text(PyObject* object, Message* message, Payload* payload) {
  if (PyUnicode_IS_COMPACT_ASCII(object)) {
    return bytes(Codec::text, PyUnicode_DATA(object), PyUnicode_GET_LENGTH(object), message, payload);
  }
  // Not PyUnicode_AsUTF8: that would keep the copy for as long as the user keeps the text.
  Ref utf8(PyUnicode_AsUTF8String(object));
  if (!utf8) {
    if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) return false;
    PyErr_Clear();  // surrogates: a pickle can carry them
    return pickle(object, message, payload);
  }
  payload->owner = std::move(utf8);
  PyObject* owner = payload->owner.get();
  return bytes(Codec::text, PyBytes_AS_STRING(owner), PyBytes_GET_SIZE(owner), message, payload);
}

bool Encoder::array(PyObject* object, Message* message, Payload* payload) {
  switch (payload->array.make(state_, object)) {
    case ArrayExport::Outcome::failed:
      return false;
    case ArrayExport::Outcome::pickle_it:
      return pickle(object, message, payload);
    case ArrayExport::Outcome::made:
      break;
  }
  std::size_t size_bytes = payload->array.size_bytes();
  *message = Message{static_cast<std::uint8_t>(Codec::array), payload->array.parts(), 2, size_bytes,
                     size_bytes >= least_bytes_to_view};
  return true;
}

bool Encoder::pickle(PyObject* object, Message* message, Payload* payload) {
  if (pickler_ == nullptr) {
    pickler_ = claim_pickler(state_, channel_);
    if (pickler_ == nullptr) return false;
  }
  SinkObject* sink = pickler_->sink();
  std::size_t first_part = sink->parts.count();
  std::size_t held_count = sink->held.count();
  bool done = sink->parts.push(Part{nullptr, 0});  // the place of a header
  if (done && !pickler_->pickle(state_, object)) done = pickle_by_value(object, first_part, held_count);
  if (done) done = seal(first_part, message, payload);
  if (done) return true;
  Ref error = take_raised();
  sink->cut(first_part, held_count);
  raise_again(std::move(error));
  return false;
}

bool Encoder::pickle_by_value(PyObject* object, std::size_t first_part, std::size_t held_count) {
  Ref error = take_raised();
  SinkObject* sink = pickler_->sink();
  sink->cut(first_part + 1, held_count);
  Ref result(PyObject_CallFunctionObjArgs(state_.hook(Hook::encode_by_value), object, error.get(), nullptr));
  if (!result) return false;
  PyObject* pickle = nullptr;
  PyObject* buffers = nullptr;
  if (!PyArg_ParseTuple(result.get(), "SO!", &pickle, &PyList_Type, &buffers)) return false;
  if (!sink->add(pickle)) return false;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(buffers); i++) {
    if (!sink->add_beside(PyList_GET_ITEM(buffers, i))) return false;
  }
  return true;
}

bool Encoder::seal(std::size_t first_part, Message* message, Payload* payload) {
  SinkObject* sink = pickler_->sink();
  std::uint64_t pickle_bytes = 0;
  for (std::size_t i = first_part + 1; i < sink->parts.count(); i++) pickle_bytes += sink->parts[i].size_bytes;
  pickler_->note_size(static_cast<std::size_t>(pickle_bytes));
  std::size_t buffer_count = sink->beside.count();
  if (buffer_count == 0) {
    payload->first_part = first_part + 1;
    *message = Message{static_cast<std::uint8_t>(Codec::pickle), nullptr, sink->parts.count() - payload->first_part,
                       static_cast<std::size_t>(pickle_bytes)};
    return true;
  }

  std::size_t header_bytes = sizeof(BesideHeader) + buffer_count * sizeof(BesideEntry);
  Ref header(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(header_bytes)));
  if (!header || !sink->add(header.get())) return false;
  sink->parts[first_part] = sink->parts[sink->parts.count() - 1];
  sink->parts.cut(sink->parts.count() - 1);
  char* at = PyBytes_AS_STRING(header.get());
  BesideHeader fields{static_cast<std::uint32_t>(buffer_count), 0, pickle_bytes};
  memcpy(at, &fields, sizeof fields);
  at += sizeof fields;
  std::uint64_t size_bytes = header_bytes + pickle_bytes;
  std::uint64_t lent_bytes = choose_moves(first_part, size_bytes);
  for (std::size_t i = 0; i < buffer_count; i++) {
    const Py_buffer& view = sink->beside[i].view;
    std::size_t move = sink->beside[i].move;
    bool goes_along = move != no_move && sink->moves[move].goes_along;
    BesideEntry entry{static_cast<std::uint64_t>(view.len), view.readonly ? 1u : 0u, goes_along ? 1u : 0u};
    memcpy(at, &entry, sizeof entry);
    at += sizeof entry;
    if (goes_along) continue;
    std::uint64_t gap = padding_after(size_bytes);
    if (!sink->parts.push(Part{padding, static_cast<std::size_t>(gap)})) return false;
    if (!sink->parts.push(Part{view.buf, static_cast<std::size_t>(view.len)})) return false;
    size_bytes += gap + entry.size_bytes;
  }
  sink->beside.cut(0);
  payload->first_part = first_part;
  *message = Message{static_cast<std::uint8_t>(Codec::pickle_with_buffers), nullptr, sink->parts.count() - first_part,
                     static_cast<std::size_t>(size_bytes), true};
  message->lent_bytes = lent_bytes;
  return true;
}

// Decides which lent buffers of the message go along with it as blocks: all, as long as it is not too large itself.
// `head_bytes` come before its buffers. Returns how many bytes lie in them.
std::uint64_t Encoder::choose_moves(std::size_t first_part, std::uint64_t head_bytes) {
  SinkObject* sink = pickler_->sink();
  std::uint64_t size_bytes = head_bytes;
  std::uint64_t lent_bytes = 0;
  std::size_t move_count = 0;
  for (std::size_t i = 0; i < sink->beside.count(); i++) {
    const Beside& beside = sink->beside[i];
    auto length = static_cast<std::uint64_t>(beside.view.len);
    if (beside.move != no_move) sink->moves[beside.move].first_part = first_part;
    if (beside.move != no_move && move_count < most_lent && sink->moves[beside.move].buffer->can_move()) {
      sink->moves[beside.move].goes_along = true;
      move_count++;
      lent_bytes += length;
    } else {
      size_bytes += padding_after(size_bytes) + length;
    }
  }
  if (channel_->takes_whole(size_bytes)) return lent_bytes;
  for (std::size_t i = 0; i < sink->beside.count(); i++) {
    if (sink->beside[i].move != no_move) sink->moves[sink->beside[i].move].goes_along = false;
  }
  return 0;
}

bool Encoder::begin_moves(Message* messages, Payload* payloads, std::size_t count) {
  SinkObject* sink = pickler_->sink();
  sink->blocks.cut(0);
  std::size_t message = 0;
  for (std::size_t i = 0; i < sink->moves.count(); i++) {
    Move& move = sink->moves[i];
    auto is_its = [&](std::size_t index) {
      return messages[index].parts == nullptr && messages[index].part_count > 0 &&
             payloads[index].first_part == move.first_part;
    };
    while (message < count && !is_its(message)) message++;
    move.message = message;
    std::uint64_t block = no_block;
    const std::uint8_t* payload = nullptr;
    if (!move.begin(state_, &block, &payload)) return false;
    if (!move.goes_along) continue;
    if (!sink->blocks.push(block)) return false;
    if (message < count) messages[message].lent_count++;
    const std::uint8_t* begin = move.buffer->data;
    if (payload == begin) continue;
    // Other parts of the messages may lie there, too.
    const std::uint8_t* end = begin + move.buffer->size_bytes;
    for (std::size_t part = 0; part < sink->parts.count(); part++) {
      shift_part(&sink->parts[part], begin, end, payload - begin);
    }
    for (std::size_t index = 0; index < count; index++) {
      if (static_cast<Codec>(messages[index].codec) == Codec::array)
        payloads[index].array.shift(begin, end, payload - begin);
    }
  }
  std::size_t first = 0;
  for (std::size_t index = 0; index < count; index++) {
    if (messages[index].lent_count > 0) messages[index].lent = &sink->blocks[first];
    first += messages[index].lent_count;
  }
  return true;
}

void Encoder::end_moves(std::size_t count) {
  SinkObject* sink = pickler_->sink();
  for (std::size_t i = 0; i < sink->moves.count(); i++) {
    if (sink->moves[i].message < count) sink->moves[i].end(state_, true);
  }
}

bool Encoder::complete_pickles(Message* messages, Payload* payloads, std::size_t count) {
  SinkObject* sink = pickler_->sink();
  if (sink->moves.count() > 0 && !begin_moves(messages, payloads, count)) return false;
  for (std::size_t i = 0; i < count; i++) {
    if (messages[i].parts == nullptr && messages[i].part_count > 0)
      messages[i].parts = &sink->parts[payloads[i].first_part];
  }
  return true;
}

// --- messages to objects ---------------------------------------------------------------------------------------------

namespace {

PyObject* load(const State& state, const std::uint8_t* data, std::size_t length, PyObject* buffers) {
  const char* text = reinterpret_cast<const char*>(data);
  auto size = static_cast<Py_ssize_t>(length);
  Ref source(length <= most_bytes_to_copy ? PyBytes_FromStringAndSize(text, size)
                                          : PyMemoryView_FromMemory(const_cast<char*>(text), size, PyBUF_READ));
  if (!source) return nullptr;
  if (buffers == nullptr) return PyObject_CallOneArg(state.hook(Hook::loads), source.get());
  PyObject* arguments[] = {source.get(), buffers};
  return PyObject_Vectorcall(state.hook(Hook::loads), arguments, 1, state.loads_keywords);
}

// Whether it should not keep the whole message in memory for as long as it is used.
bool is_sliver(std::size_t size_bytes, std::size_t message_bytes) {
  return size_bytes <= most_sliver_bytes && size_bytes < message_bytes / 32;
}

// A buffer of the receiver's own: a part of the message where that is, else a copy.
PyObject* receive_buffer(const State& state, Taken& taken, std::uint64_t offset, const BesideEntry& entry) {
  auto size_bytes = static_cast<std::size_t>(entry.size_bytes);
  bool readonly = entry.readonly != 0;
  if (size_bytes >= least_bytes_to_view && !is_sliver(size_bytes, taken.length) && taken.keep()) {
    return make_buffer(state, taken.memory, taken.own + offset, size_bytes, readonly);
  }
  std::shared_ptr<Memory> memory = Memory::make(size_bytes);
  if (memory == nullptr) return nullptr;
  copy_bytes(memory->data(), taken.data + offset, size_bytes);
  std::uint8_t* data = memory->data();
  return make_buffer(state, std::move(memory), data, size_bytes, readonly);
}

// The same of a lent block.
PyObject* receive_lent(const State& state, Taken& taken, const BesideEntry& entry) {
  auto size_bytes = static_cast<std::size_t>(entry.size_bytes);
  LentTaken lent;
  if (!taken.take_lent(&lent)) return raise_damaged(state, "row of a message's lent blocks", 0, 1);
  if (size_bytes > lent.length) return raise_damaged(state, "length of a lent block", size_bytes, lent.length);
  if (lent.memory != nullptr) return make_buffer(state, lent.memory, lent.own, size_bytes, entry.readonly != 0);
  std::shared_ptr<Memory> memory = Memory::make(size_bytes);
  if (memory == nullptr) return nullptr;
  copy_bytes(memory->data(), lent.data, size_bytes);
  std::uint8_t* data = memory->data();
  return make_buffer(state, std::move(memory), data, size_bytes, entry.readonly != 0);
}

PyObject* load_with_buffers(const State& state, Taken& taken) {
  std::uint64_t left = taken.length;
  BesideHeader header;
  if (left < sizeof header) return raise_damaged(state, "length of a message with buffers", left, sizeof header);
  memcpy(&header, taken.data, sizeof header);
  left -= sizeof header;
  std::uint64_t table_bytes = std::uint64_t{header.buffer_count} * sizeof(BesideEntry);
  if (table_bytes > left) return raise_damaged(state, "number of a message's buffers", header.buffer_count, left / 16);
  left -= table_bytes;
  if (header.pickle_bytes > left) return raise_damaged(state, "length of a pickle", header.pickle_bytes, left);

  Ref buffers(PyTuple_New(header.buffer_count));
  if (!buffers) return nullptr;
  std::uint64_t pickle_offset = sizeof header + table_bytes;
  std::uint64_t offset = pickle_offset + header.pickle_bytes;
  for (std::uint32_t i = 0; i < header.buffer_count; i++) {
    BesideEntry entry;
    memcpy(&entry, taken.data + sizeof header + i * sizeof entry, sizeof entry);
    if (entry.is_lent != 0) {
      PyObject* buffer = receive_lent(state, taken, entry);
      if (buffer == nullptr) return nullptr;
      PyTuple_SET_ITEM(buffers.get(), i, buffer);
      continue;
    }
    offset += padding_after(offset);
    if (offset > taken.length || entry.size_bytes > taken.length - offset) {
      return raise_damaged(state, "length of a message's buffer", entry.size_bytes, taken.length);
    }
    PyObject* buffer = receive_buffer(state, taken, offset, entry);
    if (buffer == nullptr) return nullptr;
    PyTuple_SET_ITEM(buffers.get(), i, buffer);
    offset += entry.size_bytes;
  }
  return load(state, taken.data + pickle_offset, static_cast<std::size_t>(header.pickle_bytes), buffers.get());
}

}  // namespace

PyObject* decode(State& state, Taken& taken) {
  switch (taken.codec) {
    case Codec::none:
      Py_RETURN_NONE;
    case Codec::yes:
      Py_RETURN_TRUE;
    case Codec::no:
      Py_RETURN_FALSE;
    case Codec::integer: {
      long long value;
      if (taken.length != sizeof value) return raise_damaged(state, "length of an integer", taken.length, sizeof value);
      memcpy(&value, taken.data, sizeof value);
      return PyLong_FromLongLong(value);
    }
    case Codec::real: {
      double value;
      if (taken.length != sizeof value) return raise_damaged(state, "length of a float", taken.length, sizeof value);
      memcpy(&value, taken.data, sizeof value);
      return PyFloat_FromDouble(value);
    }
    case Codec::text:
      return PyUnicode_DecodeUTF8(reinterpret_cast<const char*>(taken.data), static_cast<Py_ssize_t>(taken.length),
                                  nullptr);
    case Codec::bytes:
      return Flat{taken.data, taken.length, Ref::to(taken.bytes.get())}.to_bytes();
    case Codec::pickle:
    case Codec::raw:
      return load(state, taken.data, taken.length, nullptr);
    case Codec::pickle_with_buffers:
      return load_with_buffers(state, taken);
    case Codec::compact:
      return read_compact(state, taken.data, taken.length);
    case Codec::array:
      return load_array(state, taken);
  }
  return raise_damaged(state, "codec of a message", static_cast<std::uint64_t>(taken.codec),
                       static_cast<std::uint64_t>(Codec::array));
}

// --- messages to bytes -----------------------------------------------------------------------------------------------

PyObject* Flat::to_bytes() const {
  if (bytes) return Py_NewRef(bytes.get());
  Ref copy = make_bytes(length);
  if (copy) copy_bytes(PyBytes_AS_STRING(copy.get()), data, length);
  return copy.release();
}

bool flatten(State& state, Taken& taken, Flat* flat) {
  if (taken.codec != Codec::raw && taken.codec != Codec::pickle) {
    Ref object(decode(state, taken));
    return object && flatten(state, object.get(), flat);
  }
  flat->data = taken.data;
  flat->length = taken.length;
  flat->bytes = Ref::to(taken.bytes.get());
  return true;
}

bool flatten(State& state, PyObject* object, Flat* flat) {
  Ref pickle(PyObject_CallOneArg(state.hook(Hook::dumps), object));
  char* data = nullptr;
  Py_ssize_t length = 0;
  if (!pickle || PyBytes_AsStringAndSize(pickle.get(), &data, &length) != 0) return false;
  flat->data = reinterpret_cast<const std::uint8_t*>(data);
  flat->length = static_cast<std::size_t>(length);
  flat->bytes = std::move(pickle);
  return true;
}

}  // namespace interproc::binding
