// The liveness rule: which blocks a rebuild keeps.
#include "arena.hpp"

#include <vector>

#include "testing/arenas.hpp"

using namespace interproc;
using namespace interproc::testing;

namespace {

constexpr std::uint32_t dead = 99;

}  // namespace

TEST(a_rebuild_keeps_queued_blocks_and_those_of_the_living) {
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
  Store store;
  std::uint64_t block = store.make(1000);
  store.commit(block);
  store.header(block).owner = dead;
  store.rebuild(dead);
  CHECK_EQ(store.header(block).owner, owner_queued);
  CHECK_EQ(store.control().blocks_used, 1);
}

TEST(a_block_taken_by_the_dead_after_the_release_is_free) {
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
  Store store;
  for (int i = 0; i < 10; i++) store.make(1000, dead);
  store.rebuild(dead);
  CHECK_EQ(store.control().arena_end, cache_line);
  CHECK_EQ(store.control().arena_used, 0);
  CHECK_EQ(store.make(500), cache_line);
}

TEST(a_rebuild_does_not_trust_the_lists) {
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

TEST(free_blocks_side_by_side_are_merged_before_an_allocation_fails) {
  Store store({.max_bytes = 8 * mega, .virtual_bytes = 8 * mega});
  std::vector<std::uint64_t> blocks;
  std::uint64_t block = no_block;
  while (store.allocate(60'000, &block) == Status::ok) blocks.push_back(block);
  CHECK(blocks.size() > 60);
  std::uint64_t kept = blocks[blocks.size() / 2];
  std::memset(store.arena().payload(kept), 9, 60'000);
  for (std::uint64_t one : blocks) {
    if (one != kept) store.arena().free(one);
  }
  CHECK_EQ(store.control().blocks_used, 1);
  std::uint64_t large = store.make(3 * mega - 100);
  CHECK(store.arena().payload(kept)[59'999] == 9);
  CHECK_EQ(store.control().blocks_used, 2);
  store.arena().free(large);
  CHECK_EQ(store.make(3 * mega - 100), large);
  store.arena().free(kept);
  store.arena().free(large);
  CHECK_EQ(store.control().blocks_used, 0);
}

TEST(merging_leaves_blocks_that_can_be_walked_and_lists_all_that_are_free) {
  Store store({.max_bytes = 4 * mega, .virtual_bytes = 4 * mega});
  std::uint32_t random = 1;
  auto next = [&random] { return (random = random * 1664525u + 1013904223u) >> 8; };
  std::vector<std::uint64_t> alive;
  std::uint64_t merges = 0;
  for (int i = 0; i < 20'000; i++) {
    std::uint64_t block = no_block;
    std::uint64_t size_bytes = 1 + (next() % 8 == 0 ? next() % 400'000 : next() % 4000);
    std::uint64_t freed = store.control().blocks_freed;
    if (store.allocate(size_bytes, &block) == Status::ok) {
      std::memset(store.arena().payload(block), 1, size_bytes);
      alive.push_back(block);
    }
    if (store.control().blocks_freed < freed) merges++;
    while (alive.size() > 60 || (block == no_block && alive.size() > 1)) {
      std::size_t index = next() % alive.size();
      store.arena().free(alive[index]);
      alive.erase(alive.begin() + static_cast<std::ptrdiff_t>(index));
      block = 0;
      if (next() % 4 == 0) break;
    }
    if (i % 500 != 0) continue;
    std::uint64_t used = 0;
    std::uint64_t walked = cache_line;
    while (walked < store.control().arena_end) {
      auto [header, size_class] = store.arena().look_up(walked, 0);
      CHECK(header != nullptr);
      if (header == nullptr) return;
      if (header->owner != owner_none) used += class_bytes(size_class);
      walked += class_bytes(size_class);
    }
    CHECK_EQ(walked, store.control().arena_end);
    CHECK_EQ(used, store.control().arena_used);
    CHECK_EQ(store.control().blocks_used, alive.size());
  }
  CHECK(merges > 10);
  for (std::uint64_t block : alive) store.arena().free(block);
  CHECK_EQ(store.control().arena_used, 0);
}
