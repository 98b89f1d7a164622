#include "heap.hpp"

#include <fcntl.h>
#include <string.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "testing/channels.hpp"
#include "testing/sync.hpp"

using namespace interproc;
using namespace interproc::testing;

namespace {

bool is_zero(const HeapBlock& block) {
  const std::byte* data = block.data();
  return std::all_of(data, data + block.size_bytes(), [](std::byte byte) { return byte == std::byte{0}; });
}

std::unique_ptr<HeapBlock> make_block(std::uint64_t size_bytes) { return make<HeapBlock>(size_bytes); }

}  // namespace

TEST(blocks_are_zeroed_aligned_and_apart) {
  std::vector<std::unique_ptr<HeapBlock>> blocks;
  for (std::uint64_t size_bytes : {0, 1, 8, 64, 65, 1000, 1024, 1025, 5000, 65536, 65537, 1 << 20}) {
    for (int i = 0; i < 3; i++) {
      blocks.push_back(make_block(size_bytes));
      HeapBlock& block = *blocks.back();
      CHECK_EQ(block.size_bytes(), std::max<std::uint64_t>(size_bytes, 1));
      CHECK_EQ(reinterpret_cast<std::uintptr_t>(block.data()) % 64, 0);
      CHECK(is_zero(block));
      memset(block.data(), static_cast<int>(blocks.size()), block.size_bytes());
    }
  }
  for (std::size_t i = 0; i < blocks.size(); i++) {
    auto mark = static_cast<std::byte>(i + 1);
    const std::byte* data = blocks[i]->data();
    CHECK(std::all_of(data, data + blocks[i]->size_bytes(), [mark](std::byte byte) { return byte == mark; }));
  }
}

TEST(a_block_comes_back_zeroed_for_one_of_its_size_class) {
  auto block = make_block(1030);
  std::uint64_t offset = block->offset();
  std::shared_ptr<Segment> segment = block->segment();
  memset(block->data(), 255, 1030);
  block.reset();
  CHECK(make_block(10)->offset() != offset);
  block = make_block(1100);
  CHECK_EQ(block->offset(), offset);
  CHECK(block->segment() == segment);
  CHECK(is_zero(*block));
}

TEST(an_exported_block_is_not_used_again) {
  auto block = make_block(300);
  std::uint64_t offset = block->offset();
  block->mark_exported();
  block.reset();
  CHECK(make_block(300)->offset() != offset);
}

FORK_TEST(a_block_made_before_a_fork_is_not_used_again) {
  auto block = make_block(300);
  std::uint64_t offset = block->offset();
  memset(block->data(), 1, 300);
  finish_child(start_child([&] {
    auto own = make_block(300);
    CHECK(own->segment() != block->segment());
    CHECK(is_zero(*own));
    block->data()[0] = std::byte{2};
    block.reset();
  }));
  CHECK(block->data()[0] == std::byte{2});
  block.reset();
  CHECK(make_block(300)->offset() != offset);
}

TEST(a_handle_names_the_same_memory) {
  for (std::uint64_t size_bytes : {100, 100'000}) {
    auto block = make_block(size_bytes);
    block->mark_exported();
    std::shared_ptr<Segment> segment;
    Fault fault;
    int fd = fcntl(block->segment()->fd(), F_DUPFD_CLOEXEC, 0);
    CHECK_EQ(Segment::attach(fd, block->segment()->header().uuid, &segment, &fault), Status::ok);
    std::unique_ptr<HeapBlock> again;
    CHECK_EQ(HeapBlock::attach(segment, block->offset(), size_bytes, &again, &fault), Status::ok);
    CHECK(again->data() != block->data());
    block->data()[99] = std::byte{7};
    block.reset();
    CHECK(again->data()[99] == std::byte{7});
  }
}

TEST(handles_that_lead_outside_are_refused) {
  auto block = make_block(100);
  std::shared_ptr<Segment> segment = block->segment();
  std::uint64_t whole = segment->size_bytes();
  struct Case {
    std::uint64_t offset;
    std::uint64_t size_bytes;
  };
  for (Case wrong :
       {Case{0, 64}, Case{page_bytes - 64, 64}, Case{page_bytes + 1, 64}, Case{whole, 64}, Case{whole - 64, 65},
        Case{page_bytes, whole}, Case{page_bytes, UINT64_MAX}, Case{page_bytes, 0}, Case{UINT64_MAX - 63, 64}}) {
    std::unique_ptr<HeapBlock> attached;
    Fault fault;
    CHECK_EQ(HeapBlock::attach(segment, wrong.offset, wrong.size_bytes, &attached, &fault), Status::bad_segment);
    CHECK(attached == nullptr);
  }
  std::unique_ptr<HeapBlock> attached;
  Fault fault;
  CHECK_EQ(HeapBlock::attach(make_segment(), page_bytes, 64, &attached, &fault), Status::bad_segment);
  CHECK_EQ(std::string(fault.doing), "kind of the segment");
}

TEST(a_block_too_large_for_any_machine_is_a_fault) {
  for (std::uint64_t size_bytes : {std::uint64_t{1} << 50, std::uint64_t{1} << 62, UINT64_MAX}) {
    std::unique_ptr<HeapBlock> block;
    Fault fault;
    Status status = HeapBlock::create(size_bytes, &block, &fault);
    CHECK(failed(status));
    CHECK(block == nullptr);
  }
}

TEST(a_large_block_goes_with_its_last_object) {
  auto block = make_block(1 << 20);
  std::weak_ptr<Segment> segment = block->segment();
  CHECK(resident_bytes(*block->segment()) >= 1 << 20);
  block.reset();
  CHECK(segment.expired());
}

TEST(many_blocks_fill_more_than_one_segment) {
  std::vector<std::unique_ptr<HeapBlock>> blocks;
  for (int i = 0; i < 200; i++) blocks.push_back(make_block(60'000));
  CHECK(blocks.front()->segment() != blocks.back()->segment());
  std::weak_ptr<Segment> segment = blocks[100]->segment();
  blocks.clear();
  CHECK(segment.expired());
}

TEST(threads_make_blocks_at_the_same_time) {
  std::vector<std::thread> threads;
  for (int i = 1; i <= 4; i++) {
    threads.emplace_back([i] {
      for (int round = 0; round < 500; round++) {
        auto block = make_block(static_cast<std::uint64_t>(round) * 3 + 1);
        CHECK(is_zero(*block));
        memset(block->data(), i, block->size_bytes());
        CHECK(block->data()[block->size_bytes() - 1] == static_cast<std::byte>(i));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}
