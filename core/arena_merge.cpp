// Merging: free blocks that lie side by side become larger ones, when an allocation has found no room else.
//
// Whoever keeps blocks for long lets the others between them be cut ever smaller. A walk over all headers joins them again.
// A death in the middle leaves a row of headers that can be walked: the new ones of a run are written from the last to the
// first, so that each leads to one that is there, and the run's first last. The lists are rebuilt after a death anyway.
#include <algorithm>

#include "arena.hpp"
#include "platform/platform.hpp"

namespace interproc {

namespace {

constexpr std::size_t most_pieces = 64;

// The longest class that fits and leaves nothing, or enough for another block. `bytes` are those of whole blocks.
std::uint32_t largest_class_in(std::uint64_t bytes) {
  std::uint32_t size_class = std::min(size_class_of(bytes), size_class_count - 1);
  auto fits = [&] {
    std::uint64_t length = class_bytes(size_class);
    return length == bytes || (length < bytes && bytes - length >= class_bytes(0));
  };
  while (size_class > 0 && !fits()) size_class--;
  return size_class;
}

}  // namespace

void Arena::merge() {
  ChannelControl& control = *memory_.control;
  forget_free();
  std::uint64_t end = std::min(control.arena_end, memory_.arena_bytes);
  std::uint64_t block = cache_line;
  Run run;
  while (block < end) {
    auto [header, size_class] = look_up(block, 0);
    if (header == nullptr) return;  // what lies behind it is not to be found
    std::uint64_t bytes = class_bytes(size_class);
    if (header->owner == owner_none && header->co_owner == owner_none) {
      if (run.block_count == 0) run = Run{block, 0, 0, 0, block_cold};
      run.bytes += bytes;
      run.block_count++;
      run.any_flags |= header->flags;
      run.all_flags &= header->flags;
    } else {
      end_run(run);
      run = Run{};
    }
    block += bytes;
  }
  if (run.block_count > 0) control.arena_end = run.start;
}

void Arena::end_run(const Run& run) {
  if (run.block_count > 1 && cut_anew(run)) return;
  std::uint64_t block = run.start;
  for (std::uint64_t i = 0; i < run.block_count; i++) {
    auto [header, size_class] = look_up(block, 0);
    if (header == nullptr) return;
    push_free(block, *header, size_class);
    block += class_bytes(size_class);
  }
}

// False: the run is as it was.
bool Arena::cut_anew(const Run& run) {
  struct Piece {
    std::uint64_t start;
    std::uint32_t size_class;
  };
  Piece pieces[most_pieces];
  std::size_t count = 0;
  std::uint64_t start = run.start;
  std::uint64_t end = run.start + run.bytes;
  while (start < end) {
    std::uint32_t size_class = largest_class_in(end - start);
    if (count == most_pieces || class_bytes(size_class) > end - start) return false;
    pieces[count++] = {start, size_class};
    start += class_bytes(size_class);
  }
  // Where a block's pages were given back, a header that is new there needs one.
  Fault ignored;
  for (std::size_t i = 1; i < count && (run.any_flags & block_unbacked) != 0; i++) {
    std::uint64_t page = pieces[i].start / page_bytes * page_bytes;
    Status status = platform::reserve(memory_.segment->fd(), memory_.arena_at + page, page_bytes, &ignored);
    if (status != Status::ok) return false;
  }
  for (std::size_t i = count; i-- > 0;) {
    BlockHeader* header = header_at(pieces[i].start);
    header->owner = owner_none;
    header->co_owner = owner_none;
    header->flags = (run.any_flags & block_unbacked) | (run.all_flags & block_cold);
    __atomic_store_n(&header->size_class, pieces[i].size_class, __ATOMIC_RELEASE);
    push_free(pieces[i].start, *header, pieces[i].size_class);
  }
  return true;
}

}  // namespace interproc
