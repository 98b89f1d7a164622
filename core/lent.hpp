// Lent: a lent block as its producer writes it, from Channel::lend() until it is put.
//
// A view like those of receivers: given back if it is never put, in a forked child a private copy. Unlike them it lies in a
// mapping of its own, its window, because others may still point into it when it is put, and nobody can find them. So
// putting takes the window's pages to another address, where the next to be lent this block finds them, and leaves zeros of
// this process's own under the old one: whatever still points there neither sees nor changes the message. That costs a few
// system calls, however large the block is. Where the system cannot do it, the payload is copied into another block, and
// the old one stays with those who point into it.
#pragma once

#include <cstdint>
#include <memory>

#include "view.hpp"

namespace interproc {

class Lent : public View {
 public:
  // full: receivers and lenders keep as much as they may, or there is no address space.
  static Status make(Channel* channel, std::uint64_t payload_bytes, std::shared_ptr<Lent>* lent, Fault* fault);
  ~Lent();
  std::uint64_t length() const { return length_; }

  // False in a forked child and once it was put: the memory is private.
  bool can_move() const;
  // Before the put: `*block` is to be Message::lent, and what lies at data() lies at `*payload` until end_move(). Unless
  // ok, nothing has changed. One thread at a time.
  Status begin_move(std::uint64_t* block, const std::uint8_t** payload, Fault* fault);
  // After it. Unless it was put, all is as before.
  void end_move(bool was_put);

 private:
  ViewSpace::Window window_;        // under data()
  std::byte* elsewhere_ = nullptr;  // where the pages are, while data() shows zeros and until they are somebody else's
  std::uint64_t copy_ = no_block;   // the block that goes instead
};

}  // namespace interproc
