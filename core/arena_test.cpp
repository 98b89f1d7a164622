#include "arena.hpp"

#include <algorithm>
#include <map>

#include "testing/arenas.hpp"

using namespace interproc;
using namespace interproc::testing;

TEST(every_size_gets_the_smallest_class_that_holds_it) {
  auto check = [](std::uint64_t size_bytes) {
    std::uint32_t size_class = size_class_of(size_bytes);
    CHECK(class_bytes(size_class) >= size_bytes);
    if (size_class > 0) CHECK(class_bytes(size_class - 1) < size_bytes);
  };
  for (std::uint64_t size_bytes = 0; size_bytes < 100'000; size_bytes++) check(size_bytes);
  for (std::uint32_t exponent = 17; exponent < 48; exponent++) {
    std::uint64_t power = std::uint64_t{1} << exponent;
    for (std::uint64_t size_bytes : {power - 1, power, power + 1, power + power / 4, power + power / 4 + 1})
      check(size_bytes);
  }
}

TEST(classes_are_exact_grow_by_quarters_and_keep_cache_lines) {
  CHECK_EQ(class_bytes(0), 256);
  CHECK_EQ(class_bytes(1), 320);
  CHECK_EQ(class_bytes(4), 512);
  for (std::uint32_t size_class = 0; size_class < size_class_count; size_class++) {
    CHECK_EQ(class_bytes(size_class) % cache_line, 0);
    CHECK_EQ(size_class_of(class_bytes(size_class)), size_class);
    if (size_class + 1 == size_class_count) break;
    CHECK_EQ(size_class_of(class_bytes(size_class) + 1), size_class + 1);
    CHECK(class_bytes(size_class + 1) * 4 <= class_bytes(size_class) * 5);
  }
}

TEST(blocks_lie_one_behind_the_other_and_do_not_overlap) {
  Store store;
  std::map<std::uint64_t, std::uint64_t> blocks;
  for (std::uint64_t size_bytes = 1; size_bytes < 200'000; size_bytes = size_bytes * 3 / 2 + 1) {
    blocks[store.make(size_bytes)] = size_bytes;
  }
  std::uint64_t end = cache_line;
  for (auto [block, size_bytes] : blocks) {
    CHECK_EQ(block, end);
    end = block + class_bytes(size_class_of(size_bytes + sizeof(BlockHeader)));
    const std::uint8_t* payload = store.arena().payload(block);
    CHECK(
        std::all_of(payload, payload + size_bytes, [n = size_bytes](std::uint8_t byte) { return byte == (n & 255); }));
  }
  CHECK_EQ(store.control().arena_end, end);
  CHECK_EQ(store.control().arena_used, end - cache_line);
  CHECK_EQ(store.control().blocks_used, blocks.size());
}

TEST(the_block_freed_last_is_used_first) {
  Store store;
  std::uint64_t keep = store.make(1000);
  std::uint64_t first = store.make(1000);
  std::uint64_t second = store.make(1000);
  store.arena().free(first);
  store.arena().free(second);
  CHECK_EQ(store.make(1100), second);
  CHECK_EQ(store.make(1000), first);
  CHECK(store.make(1000) > second);
  store.arena().free(keep);
}

TEST(a_class_does_not_serve_another) {
  Store store;
  store.make(1000);
  std::uint64_t freed = store.make(1000);
  store.arena().free(freed);
  CHECK(store.make(5000) != freed);
  CHECK(store.make(100) != freed);
  CHECK_EQ(store.make(1000), freed);
}

TEST(the_arena_starts_again_when_nothing_is_alive) {
  Store store;
  for (int round = 0; round < 3; round++) {
    std::vector<std::uint64_t> blocks;
    for (std::uint64_t i = 0; i < 100; i++) blocks.push_back(store.make(100 + i * 97));
    CHECK_EQ(blocks.front(), cache_line);
    for (std::uint64_t block : blocks) store.arena().free(block);
    CHECK_EQ(store.control().arena_end, cache_line);
    CHECK_EQ(store.control().arena_used, 0);
    CHECK_EQ(store.control().arena_free, 0);
    CHECK_EQ(store.control().blocks_used, 0);
  }
}

TEST(freeing_twice_changes_nothing) {
  Store store;
  store.make(1000);
  std::uint64_t block = store.make(1000);
  store.arena().free(block);
  std::uint64_t used = store.control().arena_used;
  store.arena().free(block);
  CHECK_EQ(store.control().arena_used, used);
  CHECK_EQ(store.control().blocks_used, 1);
  CHECK_EQ(store.make(1000), block);
  CHECK(store.make(1000) != block);
}

TEST(the_memory_limit_counts_blocks_and_chunks) {
  Store store({.max_bytes = 64 * 1024, .virtual_bytes = mega});
  store.control().chunks_used = 2;
  std::uint64_t block = no_block;
  std::uint64_t count = 0;
  while (store.allocate(4096 - sizeof(BlockHeader), &block) == Status::ok) count++;
  CHECK_EQ(count, (64 * 1024 - 2 * chunk_bytes) / 4096);
  store.arena().free(block);
  CHECK_EQ(store.allocate(4096, &block), Status::full);
  CHECK_EQ(store.allocate(4000, &block), Status::ok);
}

TEST(what_can_be_held_is_held_when_all_else_is_free) {
  for (std::uint64_t max_bytes : {64 * 1024ul, 100'000ul, mega, 3 * mega}) {
    Store store({.max_bytes = max_bytes, .virtual_bytes = mega});
    store.control().chunks_used = 2;
    std::uint64_t largest = 0;
    for (std::uint64_t size_bytes = 1; size_bytes < 4 * mega; size_bytes += 509) {
      if (store.arena().can_hold({size_bytes})) largest = size_bytes;
    }
    CHECK(largest > max_bytes / 8 || largest > mega / 4);
    std::uint64_t block = no_block;
    CHECK_EQ(store.allocate(largest, &block), Status::ok);
    store.arena().free(block);
  }
  Store store;
  CHECK(!store.arena().can_hold({UINT64_MAX}));
  CHECK(!store.arena().can_hold({std::uint64_t{1} << 62}));
}

TEST(an_arena_without_room_lends_a_larger_block_and_keeps_count) {
  Store store({.max_bytes = 64 * mega, .virtual_bytes = mega});
  std::vector<std::uint64_t> blocks;
  std::uint64_t block = no_block;
  while (store.allocate(10'000, &block) == Status::ok) blocks.push_back(block);
  while (store.allocate(1, &block) == Status::ok) {
  }
  std::uint64_t used = store.control().arena_used;
  std::uint64_t lent_bytes = class_bytes(store.header(blocks[3]).size_class);
  store.arena().free(blocks[3]);
  CHECK_EQ(store.allocate(5'000, &block), Status::ok);
  CHECK_EQ(block, blocks[3]);
  CHECK_EQ(store.control().arena_used, used);
  CHECK_EQ(store.control().arena_free, 0);
  store.arena().free(block);
  CHECK_EQ(store.control().arena_used, used - lent_bytes);
  CHECK_EQ(store.allocate(50'000, &block), Status::full);
}

TEST(find_refuses_what_is_no_block) {
  Store store;
  std::uint64_t block = store.make(1000);
  std::uint64_t room = class_bytes(store.header(block).size_class) - sizeof(BlockHeader);
  CHECK(store.arena().find(block, room) != nullptr);
  CHECK(store.arena().find(block, room + 1) == nullptr);
  for (std::uint64_t wrong : {no_block, block + 1, block + 8, store.memory().arena_bytes,
                              store.memory().arena_bytes - cache_line + 1, UINT64_MAX, UINT64_MAX - 63}) {
    CHECK(store.arena().find(wrong, 0) == nullptr);
  }
  store.header(block).size_class = size_class_count;
  CHECK(store.arena().find(block, 0) == nullptr);
  BlockHeader* raw = reinterpret_cast<BlockHeader*>(store.memory().arena + block);
  raw->size_class = size_class_count - 1;
  CHECK(store.arena().find(block, 0) == nullptr);
}

TEST(a_damaged_free_list_is_dropped) {
  Store store;
  std::uint64_t alive = store.make(1000);
  std::uint64_t block = store.make(1000);
  for (std::uint64_t wrong : {alive, block + 1, UINT64_MAX, store.memory().arena_bytes - cache_line}) {
    store.control().free_lists[store.header(alive).size_class] = wrong;
    std::uint64_t made = store.make(1000);
    CHECK(made != alive && made > block);
  }
}

// --- memory ----------------------------------------------------------------------------------------------------------

TEST(small_blocks_share_pages) {
  Store store;
  std::uint64_t before = store.resident();
  for (int i = 0; i < 15; i++) store.make(100);
  CHECK(store.resident() <= before + 2 * page_bytes);
}

TEST(a_large_block_holds_its_payload_and_not_its_class) {
  Store store;
  std::uint64_t before = store.resident();
  std::uint64_t payload_bytes = 5 * mega + 1;  // its class has 6 MiB
  std::uint64_t block = no_block;
  CHECK_EQ(store.allocate(payload_bytes, &block), Status::ok);
  CHECK(store.resident() >= before + payload_bytes);
  CHECK(store.resident() <= before + payload_bytes + 3 * page_bytes);
}

TEST(a_cooled_block_gives_its_pages_back_and_is_whole_again_when_used) {
  Store store;
  store.make(10);
  std::uint64_t block = store.make(4 * mega);
  std::uint64_t before = store.resident();
  store.arena().cool(block);
  store.arena().free(block);
  CHECK(store.resident() + 4 * mega - 2 * page_bytes <= before);
  CHECK_EQ(store.make(4 * mega), block);
  CHECK(store.resident() >= before);
}

TEST(a_block_should_cool_once_enough_lies_idle) {
  Store store({.max_bytes = 1024 * mega, .warm_bytes = 8 * mega, .virtual_bytes = 1024 * mega});
  store.make(10);
  std::vector<std::uint64_t> blocks;
  for (int i = 0; i < 40; i++) {
    std::uint64_t block = no_block;
    CHECK_EQ(store.allocate(4 * mega - 128, &block), Status::ok);
    blocks.push_back(block);
  }
  std::size_t cooled = 0;
  for (std::uint64_t block : blocks) {
    if (store.arena().should_cool(block)) {
      store.arena().cool(block);
      cooled++;
    }
    store.arena().free(block);
  }
  CHECK_EQ(cooled, 8u);  // 128 MiB stay warm
  CHECK(store.resident() <= 129 * mega);
}

TEST(trimming_an_idle_arena_gives_everything_back) {
  Store store;
  std::vector<std::uint64_t> blocks;
  for (int i = 0; i < 16; i++) blocks.push_back(store.make(4 * mega));
  for (std::uint64_t block : blocks) store.arena().free(block);
  CHECK(store.resident() >= 64 * mega);
  while (store.arena().trim(mega)) {
  }
  CHECK(store.resident() <= mega + 16 * page_bytes);
  store.make(4 * mega);
}

TEST(trimming_finds_what_lies_behind_a_cooled_block) {
  Store store;
  std::vector<std::uint64_t> blocks;
  for (int i = 0; i < 16; i++) blocks.push_back(store.make(4 * mega));
  store.arena().cool(blocks[0]);
  for (std::uint64_t block : blocks) store.arena().free(block);
  while (store.arena().trim(mega)) {
  }
  CHECK(store.resident() <= mega + 16 * page_bytes);
}

TEST(trimming_leaves_what_is_alive) {
  Store store;
  std::vector<std::uint64_t> blocks;
  for (int i = 0; i < 4; i++) blocks.push_back(store.make(mega));
  store.arena().free(blocks[3]);
  while (store.arena().trim(0)) {
  }
  for (int i = 0; i < 3; i++) {
    const std::uint8_t* payload = store.arena().payload(blocks[static_cast<std::size_t>(i)]);
    CHECK(std::all_of(payload, payload + mega, [](std::uint8_t byte) { return byte == (mega & 255); }));
  }
}

TEST(memory_is_the_same_after_many_rounds) {
  Store store;
  std::uint64_t keep = store.make(10);
  std::uint64_t after_first = 0;
  for (int round = 0; round < 50; round++) {
    std::uint64_t block = store.make(3 * mega);
    std::uint64_t small = store.make(200);
    store.arena().free(block);
    store.arena().free(small);
    if (round == 0) after_first = store.resident();
  }
  CHECK_EQ(store.resident(), after_first);
  store.arena().free(keep);
}
