// Lent blocks, borrowed, put and taken; and free blocks that are merged.
#include "sweep/acts.hpp"
#include "sweep/stage.hpp"

namespace interproc::sweep {

namespace {

void queue_lent(Stage& stage) {
  stage.put_lent({2, small_bytes});
  stage.put_lent({3, large_bytes});
}

// Free blocks of one class side by side up to the arena's end, and one that is in use.
void fill_with_free_blocks(Stage& stage) {
  const std::uint64_t count = (little_memory - cache_line) / class_bytes(size_class_of(huge_bytes + cache_line));
  for (std::uint32_t i = 0; i < count; i++) stage.put({2 + i, huge_bytes});
  for (std::uint32_t i = 1; i < count; i++) stage.take();
}

constexpr std::uint32_t merged_bytes = 3 * huge_bytes;

void borrow(Actor& actor) {
  std::uint64_t block = no_block;
  std::uint8_t* data = nullptr;
  if (actor.channel->lend(huge_bytes, &block, &data, &actor.fault) == Status::ok) actor.channel->release(block);
}

}  // namespace

void add_lent(std::vector<Scenario>& all) {
  const auto consumer = Bystander::consumer;
  all.push_back({.name = "lend-and-give-back", .queued = queued(1, large_bytes), .act = {.operation = borrow}});
  all.push_back({.name = "put-lent", .queued = queued(2), .act = after(lend_all, putting(puts(1)))});
  all.push_back({.name = "put-lent-large", .act = after(lend_all, putting(puts(1, large_bytes)))});
  all.push_back({.name = "put-lent-across-chunks",
                 .start = last_of_chunk,
                 .act = after(lend_all, putting(puts(2, small_bytes)))});
  all.push_back({.name = "put-lent-to-sleeper", .bystander = consumer, .act = after(lend_all, putting(puts(1)))});
  all.push_back({.name = "put-many-lent", .act = after(lend_all, putting_many(puts(3)))});
  all.push_back({.name = "put-lent-full-sleeps",
                 .options = bounded(4),
                 .queued = queued(4),
                 .act = sleepy(after(lend_all, putting(puts(1))))});
  all.push_back({.name = "get-lent", .prepare = queue_lent, .act = getting()});
  all.push_back(
      {.name = "get-lent-large", .prepare = [](Stage& stage) { stage.put_lent({2, large_bytes}); }, .act = getting()});
  all.push_back({.name = "put-merges", .prepare = fill_with_free_blocks, .act = putting(puts(1, merged_bytes))});
}

}  // namespace interproc::sweep
