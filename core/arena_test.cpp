#include "arena.hpp"

#include <algorithm>
#include <map>

#include "testing/channels.hpp"

using namespace interproc;
using namespace interproc::testing;

namespace {

constexpr std::uint32_t me = 77;
constexpr std::uint64_t mega = std::uint64_t{1} << 20;

// An arena alone, beside a ring whose slots can name its blocks.
class Store {
 public:
  explicit Store(const ChannelOptions& options = {.max_bytes = 1024 * mega, .virtual_bytes = 1024 * mega})
      : segment_(make_segment(options)) {
    Fault fault;
    CHECK_EQ(check_channel(*segment_, 0, &memory_, &fault), Status::ok);
  }

  Arena& arena() { return arena_; }
  Ring& ring() { return ring_; }
  ChannelControl& control() { return *memory_.control; }
  const ChannelMemory& memory() const { return memory_; }
  std::uint64_t resident() const { return resident_bytes(*segment_); }
  BlockHeader& header(std::uint64_t block) { return *arena_.find(block, 0); }

  Status allocate(std::uint64_t payload_bytes, std::uint64_t* block, std::uint32_t owner = me) {
    bool unbacked = false;
    Fault fault;
    Status status = arena_.allocate(payload_bytes, owner, block, &unbacked, &fault);
    if (status != Status::ok || !unbacked) return status;
    status = arena_.back(*block, payload_bytes, &fault);
    arena_.note_backed(*block, payload_bytes);
    return status;
  }
  // A block written from end to end, as a message would.
  std::uint64_t make(std::uint64_t payload_bytes, std::uint32_t owner = me) {
    std::uint64_t block = no_block;
    CHECK_EQ(allocate(payload_bytes, &block, owner), Status::ok);
    CHECK(arena_.find(block, payload_bytes) != nullptr);
    std::memset(arena_.payload(block), static_cast<int>(payload_bytes), payload_bytes);
    return block;
  }
  // Puts the block in line.
  void commit(std::uint64_t block) {
    Slot* slot = nullptr;
    Fault fault;
    std::uint64_t position = control().tail.load();
    CHECK_EQ(ring_.claim(position, &slot, &fault), Status::ok);
    slot->kind = SlotKind::block;
    slot->block = block;
    header(block).ticket = position;
    header(block).owner = owner_queued;
    ring_.commit(position + 1);
  }
  void rebuild(std::uint32_t dead) {
    arena_.rebuild(ring_, [dead](std::uint32_t token) { return token == dead; });
  }
  std::uint64_t free_in_class(std::uint32_t size_class) const { return memory_.control->free_lists[size_class]; }

 private:
  std::shared_ptr<Segment> segment_;
  ChannelMemory memory_{};
  Ring ring_{memory_};
  Arena arena_{memory_};
};

}  // namespace

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
      if (store.arena().can_hold(size_bytes)) largest = size_bytes;
    }
    CHECK(largest > max_bytes / 4 || largest > mega / 2);
    std::uint64_t block = no_block;
    CHECK_EQ(store.allocate(largest, &block), Status::ok);
    store.arena().free(block);
  }
  Store store;
  CHECK(!store.arena().can_hold(UINT64_MAX));
  CHECK(!store.arena().can_hold(std::uint64_t{1} << 62));
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

// --- the liveness rule -----------------------------------------------------------------------------------------------

TEST(a_rebuild_keeps_queued_blocks_and_those_of_the_living) {
  constexpr std::uint32_t dead = 99;
  Store store;
  std::uint64_t queued = store.make(1000);
  store.commit(queued);
  std::uint64_t alive = store.make(2000);
  std::uint64_t orphan = store.make(3000, dead);
  std::uint64_t freed = store.make(4000);
  store.arena().free(freed);
  std::uint64_t later = store.make(5000);

  store.rebuild(dead);
  CHECK_EQ(store.header(queued).owner, owner_queued);
  CHECK_EQ(store.header(alive).owner, me);
  CHECK_EQ(store.header(orphan).owner, owner_none);
  CHECK_EQ(store.header(later).owner, me);
  CHECK_EQ(store.control().blocks_used, 3);
  CHECK_EQ(store.control().arena_used,
           class_bytes(size_class_of(1064)) + class_bytes(size_class_of(2064)) + class_bytes(size_class_of(5064)));
  CHECK_EQ(store.make(3000), orphan);
  CHECK_EQ(store.make(4000), freed);
}

TEST(a_block_taken_by_the_dead_before_the_release_is_queued_again) {
  constexpr std::uint32_t dead = 99;
  Store store;
  std::uint64_t block = store.make(1000);
  store.commit(block);
  store.header(block).owner = dead;
  store.rebuild(dead);
  CHECK_EQ(store.header(block).owner, owner_queued);
  CHECK_EQ(store.control().blocks_used, 1);
}

TEST(a_block_taken_by_the_dead_after_the_release_is_free) {
  constexpr std::uint32_t dead = 99;
  Store store;
  store.make(10);
  std::uint64_t block = store.make(1000);
  store.commit(block);
  store.header(block).owner = dead;
  store.ring().release(1);
  store.rebuild(dead);
  CHECK_EQ(store.header(block).owner, owner_none);
  CHECK_EQ(store.make(1000), block);
}

TEST(a_block_that_was_never_committed_is_free) {
  Store store;
  store.make(10);
  std::uint64_t block = store.make(1000);
  store.header(block).owner = owner_queued;  // its producer died before the commit
  store.header(block).ticket = store.control().tail.load();
  store.rebuild(0);
  CHECK_EQ(store.header(block).owner, owner_none);
}

TEST(a_ticket_whose_slot_names_another_block_keeps_nothing) {
  Store store;
  std::uint64_t block = store.make(1000);
  std::uint64_t impostor = store.make(1000);
  store.commit(block);
  store.header(impostor).owner = owner_queued;
  store.header(impostor).ticket = store.header(block).ticket;
  store.rebuild(0);
  CHECK_EQ(store.header(block).owner, owner_queued);
  CHECK_EQ(store.header(impostor).owner, owner_none);
}

TEST(a_co_owner_keeps_a_block_alive) {
  constexpr std::uint32_t dead = 99;
  Store store;
  std::uint64_t consumer_died = store.make(1000, dead);
  store.header(consumer_died).co_owner = me;
  std::uint64_t producer_died = store.make(1000, me);
  store.header(producer_died).co_owner = dead;
  std::uint64_t both_died = store.make(1000, dead);
  store.header(both_died).co_owner = dead;
  store.rebuild(dead);
  CHECK_EQ(store.control().blocks_used, 2);
  CHECK_EQ(store.header(consumer_died).co_owner, me);
  CHECK_EQ(store.header(producer_died).co_owner, owner_none);
  CHECK_EQ(store.header(producer_died).owner, me);
  CHECK_EQ(store.make(1000), both_died);
}

TEST(two_owners_let_go_in_either_order) {
  for (bool owner_first : {true, false}) {
    Store store;
    store.make(10);
    std::uint64_t block = store.make(1000);
    store.header(block).co_owner = me + 1;
    if (owner_first) store.arena().drop_owner(block);
    store.arena().drop_co_owner(block);
    CHECK_EQ(store.control().blocks_used, owner_first ? 1 : 2);
    store.arena().drop_owner(block);
    CHECK_EQ(store.control().blocks_used, 1);
  }
}

TEST(a_rebuild_that_finds_nothing_alive_starts_again) {
  constexpr std::uint32_t dead = 99;
  Store store;
  for (int i = 0; i < 10; i++) store.make(1000, dead);
  store.rebuild(dead);
  CHECK_EQ(store.control().arena_end, cache_line);
  CHECK_EQ(store.control().arena_used, 0);
  CHECK_EQ(store.make(500), cache_line);
}

TEST(a_rebuild_does_not_trust_the_lists) {
  constexpr std::uint32_t dead = 99;
  Store store;
  std::uint64_t alive = store.make(1000);
  store.make(1000, dead);
  for (std::uint64_t& first : store.control().free_lists) first = alive;
  store.control().arena_free = 12345;
  store.control().arena_used = 1;
  store.rebuild(dead);
  CHECK_EQ(store.control().blocks_used, 1);
  CHECK_EQ(store.control().arena_used, class_bytes(store.header(alive).size_class));
  CHECK_EQ(store.control().arena_free, class_bytes(store.header(alive).size_class));
  CHECK(store.make(1000) != alive);
  CHECK(store.make(1000) != alive);
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
  Store store;
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
