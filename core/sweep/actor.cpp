#include "sweep/scenario.hpp"

namespace interproc::sweep {

void Actor::put(std::uint64_t deadline_ns) {
  for (const auto& item : outgoing) {
    while (channel->put(item->message(), {deadline_ns}, &fault) == Status::interrupted) {
    }
  }
}

void Actor::put_many() {
  std::size_t done = 0;
  while (done < messages.size()) {
    std::size_t count = 0;
    Status status = channel->put_many(messages.data() + done, messages.size() - done, {no_deadline}, &count, &fault);
    done += count;
    if (status != Status::ok && status != Status::interrupted) return;
  }
}

void Actor::put_stream() {
  while (channel->put_stream(messages[0], &stream, {no_deadline}, &fault) == Status::interrupted) {
  }
}

void Actor::get(std::uint64_t deadline_ns) {
  while (channel->get(received, buffer, sizeof buffer, {deadline_ns}, &fault) == Status::interrupted) {
  }
  received_count = 1;
}

void Actor::get_many(std::size_t limit) {
  while (channel->get_many(received, limit, buffer, sizeof buffer, {no_deadline}, &received_count, &fault) ==
         Status::interrupted) {
  }
}

void Actor::read_stream(std::uint64_t size_bytes) {
  Status status = Status::ok;
  for (std::uint64_t offset = 0; offset < size_bytes && (status == Status::ok || status == Status::interrupted);) {
    std::size_t piece_bytes = 0;
    status = channel->read_stream(received[0], offset, buffer, sizeof buffer, &piece_bytes, {no_deadline}, &fault);
    offset += piece_bytes;
  }
}

void Actor::finish_stream() { channel->finish_stream(received[0], true); }

void Actor::release() {
  for (std::size_t i = 0; i < received_count; i++) {
    if (received[i].block != no_block) channel->release(received[i].block);
    give_back_lent(*channel, received[i], {});
  }
}

void Actor::make_view() { view = View::make(channel.get(), received[0].data, received[0].length, received[0].block); }

}  // namespace interproc::sweep
