#include "ring.hpp"

#include <algorithm>
#include <set>

#include "testing/channels.hpp"

using namespace interproc;
using namespace interproc::testing;

namespace {

// A ring alone: every slot holds its position.
class Line {
 public:
  explicit Line(std::uint64_t max_items = 0, std::uint64_t virtual_bytes = 16 << 20)
      : segment_(make_segment({.max_items = max_items, .virtual_bytes = virtual_bytes})) {
    Fault fault;
    CHECK_EQ(check_channel(*segment_, 0, &memory_, &fault), Status::ok);
  }

  std::uint64_t head() const { return memory_.control->head.load(); }
  std::uint64_t tail() const { return memory_.control->tail.load(); }
  ChannelControl& control() { return *memory_.control; }
  const ChannelMemory& memory() const { return memory_; }
  Ring& ring() { return ring_; }
  std::uint64_t resident() const { return resident_bytes(*segment_); }

  Status put() {
    Slot* slot = nullptr;
    Fault fault;
    std::uint64_t position = tail();
    Status status = ring_.claim(position, &slot, &fault);
    if (status != Status::ok) return status;
    slot->length = position;
    ring_.commit(position + 1);
    return status;
  }
  void put(std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; i++) CHECK_EQ(put(), Status::ok);
  }
  void get(std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; i++) {
      check_slot(head());
      ring_.release(head() + 1);
    }
  }
  void check_all() {
    for (std::uint64_t position = head(); position < tail(); position++) check_slot(position);
  }
  // The chunks named in a free list, which must be distinct and not in use.
  std::set<std::uint32_t> free_chunks() {
    std::set<std::uint32_t> found;
    for (std::uint32_t first : {control().warm_chunks, control().cold_chunks}) {
      for (std::uint32_t chunk = first; chunk < memory_.chunk_count; chunk = memory_.links[chunk]) {
        if (!found.insert(chunk).second) {
          CHECK(!"a chunk that is free twice");
          return found;
        }
      }
    }
    for (std::uint64_t number = head() / chunk_slots; number * chunk_slots < tail(); number++) {
      CHECK(!found.contains(memory_.directory[number & memory_.directory_mask].load()));
    }
    return found;
  }

 private:
  void check_slot(std::uint64_t position) {
    Slot* slot = ring_.slot_at(position);
    CHECK(slot != nullptr && slot->length == position);
  }

  std::shared_ptr<Segment> segment_;
  ChannelMemory memory_{};
  Ring ring_{memory_};
};

}  // namespace

TEST(a_chunk_begins_with_its_first_slot_and_ends_with_its_last) {
  Line line;
  CHECK_EQ(line.control().chunks_used, 0);
  line.put(1);
  CHECK_EQ(line.control().chunks_used, 1);
  line.put(chunk_slots - 1);
  CHECK_EQ(line.control().chunks_used, 1);
  line.put(1);
  CHECK_EQ(line.control().chunks_used, 2);
  line.get(chunk_slots - 1);
  CHECK_EQ(line.control().chunks_used, 2);
  line.get(1);
  CHECK_EQ(line.control().chunks_used, 1);
  line.get(1);  // empty, but the chunk is not filled yet
  CHECK_EQ(line.control().chunks_used, 1);
}

TEST(a_short_line_cycles_through_the_same_chunks) {
  Line line;
  for (int round = 0; round < 1000; round++) {
    line.put(37);
    line.get(37);
  }
  CHECK(line.control().fresh_chunk <= 2);
  CHECK(line.control().chunks_used <= 1);
}

TEST(every_length_around_the_chunk_boundaries_works) {
  for (std::uint64_t offset = 0; offset < chunk_slots; offset += 9) {
    Line line;
    line.put(offset);
    line.get(offset);
    for (std::uint64_t length : {std::uint64_t{1}, chunk_slots - 1ul, chunk_slots + 0ul, chunk_slots + 1ul,
                                 2ul * chunk_slots, 5ul * chunk_slots - 1}) {
      line.put(length);
      line.check_all();
      line.get(length);
    }
  }
}

TEST(the_line_grows_to_many_chunks_and_back) {
  Line line;
  constexpr std::uint64_t count = 1000ul * chunk_slots;
  line.put(count);
  CHECK_EQ(line.control().chunks_used, 1000);
  CHECK(line.resident() >= 1000ul * chunk_bytes);
  line.get(count);
  CHECK_EQ(line.control().chunks_used, 0);
  CHECK_EQ(line.free_chunks().size(), line.control().fresh_chunk);
  CHECK_EQ(line.control().warm_chunk_count, line.control().fresh_chunk);
  line.put(count);  // from the warm list
  CHECK_EQ(line.control().fresh_chunk, 1000);
  line.check_all();
}

TEST(trimming_gives_the_memory_of_free_chunks_back) {
  Line line;
  line.put(1000ul * chunk_slots);
  line.get(999ul * chunk_slots + 1);
  std::uint64_t before = line.resident();
  while (line.control().warm_chunk_count > 10) line.ring().trim(10);
  CHECK(line.resident() + 980ul * chunk_bytes <= before);
  CHECK_EQ(line.free_chunks().size(), 999u);
  line.check_all();
  line.put(1000ul * chunk_slots);  // cold ones too
  line.check_all();
  line.get(line.tail() - line.head());
}

TEST(a_full_line_of_every_limit_has_chunks_enough) {
  for (std::uint64_t max_items : {1, 2, 63, 64, 65, 128, 1000}) {
    Line line(max_items);
    for (std::uint64_t offset = 0; offset <= chunk_slots; offset++) {
      line.put(max_items);
      line.get(max_items);
      line.put(1);
      line.get(1);
    }
  }
}

TEST(a_line_without_chunks_left_is_full_and_goes_on_after_a_get) {
  Line line(0, 1 << 20);
  std::uint64_t capacity = std::uint64_t{line.memory().chunk_count} * chunk_slots;
  line.put(capacity);
  CHECK_EQ(line.put(), Status::full);
  CHECK_EQ(line.put(), Status::full);
  line.get(chunk_slots - 1);
  CHECK_EQ(line.put(), Status::full);
  line.get(1);
  line.put(chunk_slots);
  CHECK_EQ(line.put(), Status::full);
  line.get(capacity);
}

TEST(positions_beyond_32_bits_work) {
  Line line;
  std::uint64_t start = (std::uint64_t{1} << 40) - 3 * chunk_slots;
  line.control().head.store(start);
  line.control().tail.store(start);
  line.put(10ul * chunk_slots);
  line.check_all();
  line.get(10ul * chunk_slots);
}

TEST(a_rebuild_of_an_undamaged_line_loses_no_message) {
  for (std::uint64_t length :
       {0ul, 1ul, chunk_slots - 1ul, chunk_slots + 0ul, chunk_slots + 1ul, 300ul * chunk_slots + 5}) {
    for (std::uint64_t taken : {0ul, 1ul, chunk_slots + 0ul, length}) {
      if (taken > length) continue;
      Line line;
      line.put(length);
      line.get(taken);
      line.ring().rebuild();
      line.check_all();
      line.free_chunks();
      line.put(3ul * chunk_slots);
      line.check_all();
      line.get(line.tail() - line.head());
    }
  }
}

TEST(a_rebuild_repairs_the_free_lists_and_counts) {
  Line line;
  line.put(20ul * chunk_slots + 7);
  line.get(12ul * chunk_slots + 3);
  std::size_t free_before = line.free_chunks().size();
  ChannelControl& control = line.control();
  std::fill_n(line.memory().links, control.fresh_chunk, 3u);  // rings, wrong ends, chunks in use
  control.warm_chunks = line.memory().directory[line.head() / chunk_slots].load();
  control.cold_chunks = control.warm_chunks;
  control.warm_chunk_count = 12345;
  control.chunks_used = 0;

  line.ring().rebuild();
  CHECK_EQ(control.chunks_used, 9);
  CHECK(line.free_chunks().size() >= free_before);
  line.check_all();
  line.put(500ul * chunk_slots);
  line.check_all();
  line.get(line.tail() - line.head());
}

TEST(a_chunk_taken_but_never_committed_is_free_again) {
  Line line;
  line.put(chunk_slots);
  Slot* slot = nullptr;
  Fault fault;
  CHECK_EQ(line.ring().claim(line.tail(), &slot, &fault), Status::ok);  // and dies
  line.ring().rebuild();
  CHECK_EQ(line.control().chunks_used, 1);
  line.put(chunk_slots + 1);
  line.check_all();
  line.free_chunks();
}

TEST(a_chunk_released_but_not_put_into_the_list_is_free_again) {
  Line line;
  line.put(3ul * chunk_slots);
  line.get(chunk_slots - 1);
  line.control().head.store(chunk_slots);  // release() died behind its store
  line.ring().rebuild();
  CHECK_EQ(line.control().chunks_used, 2);
  CHECK(!line.free_chunks().empty());
  line.check_all();
}

TEST(a_directory_that_cannot_be_true_is_noticed) {
  Line line;
  line.put(chunk_slots + 1);
  line.memory().directory[1].store(line.memory().chunk_count);
  CHECK(line.ring().slot_at(chunk_slots) == nullptr);
  Slot* slot = nullptr;
  Fault fault;
  CHECK_EQ(line.ring().claim(line.tail(), &slot, &fault), Status::bad_segment);
  CHECK_EQ(fault.found, line.tail());
  line.get(chunk_slots);
}
