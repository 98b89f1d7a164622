#include "heap.hpp"

#include <string.h>

#include <algorithm>
#include <bit>
#include <new>

#include "attempt.hpp"
#include "platform/platform.hpp"
#include "shelves.hpp"

namespace interproc {

namespace {

constexpr std::uint64_t unit_bytes = 64;
constexpr std::uint64_t largest_shared = std::uint64_t{64} << 10;
constexpr std::uint64_t shelf_bytes = std::uint64_t{4} << 20;
constexpr std::uint64_t step_bytes = 4 * page_bytes;  // reserved at once

// Never destroyed: blocks may outlive static destructors.
Shelves<Segment>& shelves() {
  alignas(Shelves<Segment>) static std::byte room[sizeof(Shelves<Segment>)];
  static auto* const all = new (room) Shelves<Segment>;
  return *all;
}

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t unit) { return (value + unit - 1) / unit * unit; }

// The size class: at most an eighth larger.
constexpr std::uint64_t class_of(std::uint64_t size_bytes) {
  std::uint64_t needed = std::max<std::uint64_t>(size_bytes, 1);
  return round_up(needed, std::max(unit_bytes, std::bit_floor(needed - 1) / 8));
}
static_assert(class_of(0) == 64 && class_of(64) == 64 && class_of(65) == 128 && class_of(1025) == 1152);
static_assert(class_of(largest_shared) == largest_shared);

// Fresh room is zero.
Status take(std::uint64_t size_bytes, std::shared_ptr<Segment>* segment, std::uint64_t* offset, Provenance* given_out,
            bool* is_fresh, Fault* fault) {
  *is_fresh = false;
  auto grow = [fault, is_fresh](Segment& store, std::uint64_t from, std::uint64_t to) {
    *is_fresh = true;
    std::uint64_t backed = page_bytes + round_up(from - page_bytes, step_bytes);
    std::uint64_t needed = page_bytes + round_up(to - page_bytes, step_bytes);
    return needed > backed ? platform::reserve(store.fd(), backed, needed - backed, fault) : Status::ok;
  };
  std::shared_ptr<Segment> made;
  for (;;) {
    std::shared_ptr<Segment> parents, older;  // dropped after the guard
    {
      ProcessGuard guard;
      parents = shelves().renew();
      Status status = shelves().take({0, size_bytes}, segment, offset, grow);
      if (status == Status::full && made != nullptr) {  // else another thread has made one meanwhile
        older = shelves().add(std::move(made), page_bytes, page_bytes + shelf_bytes);
        status = shelves().take({0, size_bytes}, segment, offset, grow);
        if (status == Status::full) return out_of_memory(fault);
      }
      *given_out = Provenance::now();
      if (status != Status::full) return status;
    }
    Status status = Segment::create_plain(SegmentKind::heap, page_bytes + shelf_bytes, page_bytes, &made, fault);
    if (status != Status::ok) return status;
  }
}

}  // namespace

HeapBlock::HeapBlock(std::shared_ptr<Segment> segment, std::uint64_t offset, std::uint64_t size_bytes)
    : segment_(std::move(segment)), offset_(offset), size_bytes_(size_bytes) {}

Status HeapBlock::hold(std::shared_ptr<Segment> segment, std::uint64_t offset, std::uint64_t size_bytes,
                       std::unique_ptr<HeapBlock>* block, Fault* fault) {
  block->reset(new (std::nothrow) HeapBlock(std::move(segment), offset, size_bytes));
  return *block != nullptr ? Status::ok : out_of_memory(fault);
}

Status HeapBlock::create(std::uint64_t size_bytes, std::unique_ptr<HeapBlock>* block, Fault* fault) {
  size_bytes = std::max<std::uint64_t>(size_bytes, 1);
  std::shared_ptr<Segment> segment;
  if (size_bytes > largest_shared) {
    constexpr std::uint64_t most_bytes = std::uint64_t{1} << 62;
    std::uint64_t whole = page_bytes + round_up(std::min(size_bytes, most_bytes), page_bytes);
    Status status = Segment::create_plain(SegmentKind::heap, whole, whole, &segment, fault);
    return status == Status::ok ? hold(std::move(segment), page_bytes, size_bytes, block, fault) : status;
  }
  std::uint64_t offset = 0;
  Provenance given_out;
  bool is_fresh = false;
  Status status = take(class_of(size_bytes), &segment, &offset, &given_out, &is_fresh, fault);
  if (status != Status::ok) return status;
  Segment* store = segment.get();
  status = hold(std::move(segment), offset, size_bytes, block, fault);
  if (status != Status::ok) {
    ProcessGuard guard;
    shelves().put_back({0, class_of(size_bytes)}, store, offset, given_out);
    return status;
  }
  (*block)->given_out_ = given_out;
  if (!is_fresh) memset((*block)->data(), 0, size_bytes);
  return Status::ok;
}

Status HeapBlock::attach(std::shared_ptr<Segment> segment, std::uint64_t offset, std::uint64_t size_bytes,
                         std::unique_ptr<HeapBlock>* block, Fault* fault) {
  auto refuse = [&](const char* what, std::uint64_t found, std::uint64_t expected) {
    *fault = Fault{0, what, found, expected};
    return Status::bad_segment;
  };
  SegmentKind kind = segment->header().kind;
  if (kind != SegmentKind::heap) {
    return refuse("kind of the segment", static_cast<std::uint64_t>(kind),
                  static_cast<std::uint64_t>(SegmentKind::heap));
  }
  std::uint64_t whole = segment->size_bytes();
  if (offset < page_bytes || offset % unit_bytes != 0 || offset >= whole) {
    return refuse("offset of a block", offset, whole);
  }
  if (size_bytes == 0 || size_bytes > whole - offset) return refuse("size of a block", size_bytes, whole - offset);
  return hold(std::move(segment), offset, size_bytes, block, fault);
}

HeapBlock::~HeapBlock() {
  if (given_out_.epoch == 0 || exported_.load(std::memory_order_relaxed)) return;
  ProcessGuard guard;
  shelves().put_back({0, class_of(size_bytes_)}, segment_.get(), offset_, given_out_);
}

}  // namespace interproc
