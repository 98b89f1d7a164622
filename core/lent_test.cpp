// Lent blocks: written first and put without a copy, alone and many at a time; who owns them when somebody dies.
#include "lent.hpp"

#include <thread>
#include <vector>

#include "testing/channels.hpp"

using namespace interproc;
using namespace interproc::testing;

namespace {

constexpr std::uint64_t mega = std::uint64_t{1} << 20;
constexpr std::size_t some_bytes = 3 * mega + 100;
const Bytes note = pattern(40, 9);

std::shared_ptr<Channel> make_channel(const ChannelOptions& options = {}, LockKind kind = LockKind::liveness) {
  return std::make_shared<Channel>(make_segment(options, kind), 0);
}

std::shared_ptr<Lent> lend(Channel& channel, const Bytes& bytes) {
  std::shared_ptr<Lent> lent;
  Fault fault;
  CHECK_EQ(Lent::make(&channel, bytes.size(), &lent, &fault), Status::ok);
  std::memcpy(lent->data(), bytes.data(), bytes.size());
  return lent;
}

bool shows(const std::uint8_t* data, const Bytes& bytes) { return std::memcmp(data, bytes.data(), bytes.size()) == 0; }

// A message of `bytes` and these blocks.
class Moving {
 public:
  Moving(const Bytes& bytes, std::vector<std::shared_ptr<Lent>> lent) : outgoing_(bytes), lent_(std::move(lent)) {
    for (const std::shared_ptr<Lent>& one : lent_) {
      std::uint64_t block = no_block;
      const std::uint8_t* payload = nullptr;
      Fault fault;
      CHECK(one->can_move());
      CHECK_EQ(one->begin_move(&block, &payload, &fault), Status::ok);
      blocks_.push_back(block);
      payloads_.push_back(payload);
      outgoing_.message.lent_bytes += one->length();
    }
    outgoing_.message.lent = blocks_.data();
    outgoing_.message.lent_count = blocks_.size();
  }
  const Message& message() const { return outgoing_.message; }
  const std::uint8_t* payload(std::size_t index) const { return payloads_[index]; }
  void end(bool was_put) {
    for (const std::shared_ptr<Lent>& one : lent_) one->end_move(was_put);
  }

 private:
  Outgoing outgoing_;
  std::vector<std::shared_ptr<Lent>> lent_;
  std::vector<std::uint64_t> blocks_;
  std::vector<const std::uint8_t*> payloads_;
};

Status put_lent(Channel& channel, const Bytes& bytes, std::vector<std::shared_ptr<Lent>> lent) {
  Moving moving(bytes, std::move(lent));
  Fault fault;
  Status status = channel.try_put(moving.message(), true, &fault);
  moving.end(status == Status::ok);
  return status;
}

// What came with the next message, in order; the message itself must be `bytes`.
std::vector<Channel::LentPart> take(Channel& channel, const Bytes& bytes, Received* received) {
  Fault fault;
  Bytes buffer(copy_under_lock_bytes);
  CHECK_EQ(channel.try_get(received, buffer.data(), buffer.size(), true, &fault), Status::ok);
  CHECK_EQ(received->length, bytes.size());
  CHECK(shows(received->data, bytes));
  std::vector<Channel::LentPart> parts;
  for (std::uint64_t block = received->lent; block != no_block; block = parts.back().next) {
    parts.emplace_back();
    CHECK(channel.read_lent(block, &parts.back()));
  }
  return parts;
}

void give_back(Channel& channel, const Received& received) {
  if (received.block != no_block) channel.release(received.block);
  for (std::uint64_t block = received.lent; block != no_block;) {
    Channel::LentPart part;
    CHECK(channel.read_lent(block, &part));
    channel.release(block);
    block = part.next;
  }
}

void expect_lent(Channel& channel, const Bytes& bytes, const std::vector<Bytes>& lent) {
  Received received;
  std::vector<Channel::LentPart> parts = take(channel, bytes, &received);
  CHECK_EQ(parts.size(), lent.size());
  for (std::size_t i = 0; i < parts.size(); i++) {
    CHECK_EQ(parts[i].length, lent[i].size());
    CHECK(shows(parts[i].data, lent[i]));
  }
  give_back(channel, received);
}

}  // namespace

TEST(what_was_written_into_a_lent_block_arrives_with_its_message_in_that_block) {
  auto channel = make_channel();
  auto lent = lend(*channel, pattern(some_bytes, 1));
  CHECK_EQ(statistics(*channel).blocks_taken, 1);
  CHECK_EQ(put_lent(*channel, note, {lent}), Status::ok);
  CHECK_EQ(statistics(*channel).blocks_taken, 0);
  CHECK_EQ(statistics(*channel).counters.lent, 1);
  CHECK_EQ(statistics(*channel).counters.bytes_in, note.size() + some_bytes);
  CHECK_EQ(statistics(*channel).counters.blocks_made, 2);
  CHECK(!lent->can_move());
  expect_lent(*channel, note, {pattern(some_bytes, 1)});
  CHECK_EQ(statistics(*channel).counters.bytes_out, note.size() + some_bytes);
  CHECK_EQ(statistics(*channel).blocks_used, 0);
}

TEST(many_lent_blocks_go_along_with_one_message_small_or_large) {
  auto channel = make_channel();
  for (std::size_t size_bytes : {std::size_t{1}, std::size_t{500}, std::size_t{100'000}}) {
    std::vector<std::shared_ptr<Lent>> lent;
    std::vector<Bytes> bytes;
    for (std::uint32_t i = 0; i < most_lent; i++) {
      bytes.push_back(pattern(5000 + 1000 * i, i));
      lent.push_back(lend(*channel, bytes.back()));
    }
    CHECK_EQ(put(*channel, note), Status::ok);
    CHECK_EQ(put_lent(*channel, pattern(size_bytes), lent), Status::ok);
    lent.clear();
    CHECK_EQ(put(*channel, note), Status::ok);
    expect(*channel, note);
    expect_lent(*channel, pattern(size_bytes), bytes);
    expect(*channel, note);
    CHECK_EQ(statistics(*channel).blocks_used, 0);
  }
}

TEST(after_the_put_its_producer_neither_sees_nor_changes_the_message) {
  auto channel = make_channel();
  auto lent = lend(*channel, pattern(some_bytes, 1));
  CHECK_EQ(put_lent(*channel, note, {lent}), Status::ok);
  CHECK(shows(lent->data(), Bytes(some_bytes)));
  std::memset(lent->data(), 7, some_bytes);
  auto next = lend(*channel, pattern(some_bytes, 2));
  std::memset(lent->data(), 8, some_bytes);
  CHECK(shows(next->data(), pattern(some_bytes, 2)));
  expect_lent(*channel, note, {pattern(some_bytes, 1)});
  lent.reset();
  CHECK(shows(next->data(), pattern(some_bytes, 2)));
}

TEST(a_lent_block_that_is_not_put_goes_back) {
  auto channel = make_channel();
  auto lent = lend(*channel, pattern(some_bytes, 1));
  auto other = lend(*channel, pattern(some_bytes, 2));
  lent.reset();
  CHECK_EQ(statistics(*channel).blocks_used, 1);
  auto again = lend(*channel, pattern(some_bytes, 3));
  CHECK(shows(other->data(), pattern(some_bytes, 2)));
  other.reset();
  again.reset();
  CHECK_EQ(statistics(*channel).blocks_used, 0);
  CHECK_EQ(statistics(*channel).taken_bytes, 0);
}

TEST(the_next_lender_finds_the_pages_where_they_were_taken_to) {
  auto channel = make_channel();
  auto lent = lend(*channel, pattern(some_bytes, 1));
  Moving moving(note, {lent});
  const std::uint8_t* payload = moving.payload(0);
  CHECK(shows(payload, pattern(some_bytes, 1)));
  Fault fault;
  CHECK_EQ(channel->try_put(moving.message(), true, &fault), Status::ok);
  moving.end(true);
  expect_lent(*channel, note, {pattern(some_bytes, 1)});
  auto next = lend(*channel, pattern(some_bytes, 2));
  CHECK(next->data() == payload);
  CHECK(shows(lent->data(), Bytes(some_bytes)));
}

TEST(a_put_that_finds_no_room_leaves_the_block_as_it_was) {
  auto channel = make_channel({.max_items = 1});
  CHECK_EQ(put(*channel, note), Status::ok);
  auto lent = lend(*channel, pattern(some_bytes, 1));
  for (int i = 0; i < 3; i++) {
    CHECK_EQ(put_lent(*channel, note, {lent}), Status::full);
    CHECK(lent->can_move());
    CHECK(shows(lent->data(), pattern(some_bytes, 1)));
    CHECK_EQ(statistics(*channel).blocks_used, 1);
  }
  expect(*channel, note);
  CHECK_EQ(put_lent(*channel, note, {lent}), Status::ok);
  expect_lent(*channel, note, {pattern(some_bytes, 1)});
}

TEST(where_little_may_be_unread_a_large_lent_block_goes_in_alone) {
  auto channel = make_channel({.max_bytes = 64 * mega, .max_unread_bytes = mega});
  auto first = lend(*channel, pattern(some_bytes, 1));
  auto second = lend(*channel, pattern(some_bytes, 2));
  CHECK_EQ(put_lent(*channel, note, {first}), Status::ok);
  CHECK_EQ(put_lent(*channel, note, {second}), Status::full);
  std::thread putter([&] {
    Moving moving(note, {second});
    CHECK_EQ(put(*channel, moving.message(), far_deadline_ns(), nullptr), Status::ok);
    moving.end(true);
  });
  while (statistics(*channel).counters.put_waits == 0) std::this_thread::yield();
  expect_lent(*channel, note, {pattern(some_bytes, 1)});
  putter.join();
  expect_lent(*channel, note, {pattern(some_bytes, 2)});
}

TEST(who_has_borrowed_half_gets_no_more_and_never_keeps_put_out) {
  auto channel = make_channel({.max_bytes = 8 * mega, .virtual_bytes = 32 * mega});
  std::vector<std::shared_ptr<Lent>> all;
  Fault fault;
  Status status = Status::ok;
  while (status == Status::ok && all.size() < 100) {
    all.emplace_back();
    status = Lent::make(channel.get(), mega / 2, &all.back(), &fault);
  }
  CHECK_EQ(status, Status::full);
  CHECK(statistics(*channel).taken_bytes <= 4 * mega);
  CHECK_EQ(put(*channel, pattern(mega)), Status::ok);
  expect(*channel, pattern(mega));
  std::shared_ptr<Lent> large;
  CHECK_EQ(Lent::make(channel.get(), 5 * mega, &large, &fault), Status::full);
  all.clear();
  CHECK_EQ(statistics(*channel).blocks_used, 0);
}

TEST(a_shutdown_that_drops_the_messages_drops_their_lent_blocks) {
  auto channel = make_channel();
  for (std::uint32_t i = 0; i < 3; i++) {
    CHECK_EQ(put_lent(*channel, note, {lend(*channel, pattern(some_bytes, i)), lend(*channel, note)}), Status::ok);
  }
  Fault fault;
  CHECK_EQ(channel->shut_down(true, &fault), Status::ok);
  CHECK_EQ(statistics(*channel).blocks_used, 0);
  std::shared_ptr<Lent> lent;
  CHECK_EQ(Lent::make(channel.get(), some_bytes, &lent, &fault), Status::shut_down);
}

TEST(batches_carry_lent_blocks_too) {
  auto channel = make_channel();
  std::vector<std::unique_ptr<Moving>> moving;
  std::vector<Message> messages;
  for (std::uint32_t i = 0; i < 5; i++) {
    std::vector<std::shared_ptr<Lent>> lent;
    if (i % 2 == 1) lent.push_back(lend(*channel, pattern(some_bytes, i)));
    moving.push_back(std::make_unique<Moving>(note, std::move(lent)));
    messages.push_back(moving.back()->message());
  }
  std::size_t count = 0;
  Fault fault;
  CHECK_EQ(channel->put_many(messages.data(), messages.size(), {0}, &count, &fault), Status::ok);
  CHECK_EQ(count, 5);
  for (const auto& one : moving) one->end(true);
  for (std::uint32_t i = 0; i < 5; i++) {
    std::vector<Bytes> lent;
    if (i % 2 == 1) lent.push_back(pattern(some_bytes, i));
    expect_lent(*channel, note, lent);
  }
  CHECK_EQ(statistics(*channel).blocks_used, 0);
}

TEST(lent_blocks_of_queued_messages_survive_a_rebuild_and_only_they) {
  auto channel = make_channel();
  CHECK_EQ(put_lent(*channel, note, {lend(*channel, pattern(some_bytes, 1)), lend(*channel, note)}), Status::ok);
  auto lent = lend(*channel, pattern(some_bytes, 2));
  Fault fault;
  CHECK_EQ(ChannelTestAccess::enter(*channel, &fault), Status::ok);
  ChannelTestAccess::recover(*channel);
  ChannelTestAccess::leave(*channel);
  CHECK_EQ(statistics(*channel).blocks_used, 4);
  CHECK_EQ(statistics(*channel).blocks_taken, 1);
  expect_lent(*channel, note, {pattern(some_bytes, 1), note});
  CHECK_EQ(put_lent(*channel, note, {lent}), Status::ok);
  expect_lent(*channel, note, {pattern(some_bytes, 2)});
  CHECK_EQ(statistics(*channel).blocks_used, 0);
}

TEST(a_row_of_lent_blocks_that_leads_astray_is_refused) {
  auto channel = make_channel();
  auto stranger = lend(*channel, note);
  CHECK_EQ(put_lent(*channel, note, {lend(*channel, pattern(some_bytes, 1))}), Status::ok);
  ChannelMemory& memory = ChannelTestAccess::memory(*channel);
  auto header_at = [&](std::uint64_t block) { return reinterpret_cast<BlockHeader*>(memory.arena + block); };
  Slot* slot = ChannelTestAccess::ring(*channel).slot_at(0);
  for (std::uint64_t wrong : {std::uint64_t{64}, std::uint64_t{77}, memory.arena_bytes, UINT64_MAX - 63}) {
    header_at(slot->block)->next_lent = wrong;
    Fault fault;
    Received received;
    Bytes buffer(copy_under_lock_bytes);
    CHECK_EQ(channel->try_get(&received, buffer.data(), buffer.size(), true, &fault), Status::bad_segment);
  }
}

FORK_TEST(in_a_forked_child_a_lent_block_is_a_private_copy) {
  auto channel = make_channel();
  auto lent = lend(*channel, pattern(some_bytes, 1));
  Shared<Gate> written, put_it;
  pid_t child = start_child([&] {
    CHECK(!lent->can_move());
    CHECK(shows(lent->data(), pattern(some_bytes, 1)));
    std::memset(lent->data(), 3, some_bytes);
    written->open();
    put_it->pass();
    CHECK(shows(lent->data(), Bytes(some_bytes, 3)));
    auto mine = lend(*channel, pattern(some_bytes, 2));
    lent.reset();
    CHECK_EQ(put_lent(*channel, note, {mine}), Status::ok);
  });
  written->pass();
  CHECK_EQ(put_lent(*channel, note, {lent}), Status::ok);
  put_it->open();
  finish_child(child);
  expect_lent(*channel, note, {pattern(some_bytes, 1)});
  expect_lent(*channel, note, {pattern(some_bytes, 2)});
  CHECK_EQ(statistics(*channel).blocks_used, 0);
}

FORK_TEST(a_killed_lender_loses_what_it_did_not_put_and_nothing_else) {
  for (LockKind kind : lock_kinds()) {
    auto channel = make_channel({}, kind);
    Shared<Gate> done;
    pid_t lender = start_child([&] {
      std::vector<std::shared_ptr<Lent>> kept;
      for (std::uint32_t i = 0; i < 10; i++) kept.push_back(lend(*channel, pattern(some_bytes, i)));
      CHECK_EQ(put_lent(*channel, note, {kept[3], kept[4]}), Status::ok);
      Moving moving(note, {kept[5]});  // taken away, and not put
      done->open();
      await_death();
    });
    done->pass();
    CHECK_EQ(statistics(*channel).blocks_taken, 8);
    kill_child(lender);
    ChannelTestAccess::sweep(*channel);
    CHECK_EQ(statistics(*channel).blocks_taken, 0);
    CHECK_EQ(statistics(*channel).blocks_used, 3);
    expect_lent(*channel, note, {pattern(some_bytes, 3), pattern(some_bytes, 4)});
    CHECK_EQ(statistics(*channel).blocks_used, 0);
  }
}

FORK_TEST(a_killed_takers_lent_blocks_come_back) {
  auto channel = make_channel();
  CHECK_EQ(put_lent(*channel, note, {lend(*channel, pattern(some_bytes, 1)), lend(*channel, note)}), Status::ok);
  Shared<Gate> done;
  pid_t taker = start_child([&] {
    Received received;
    CHECK_EQ(take(*channel, note, &received).size(), 2);
    done->open();
    await_death();
  });
  done->pass();
  CHECK_EQ(statistics(*channel).blocks_taken, 2);
  kill_child(taker);
  ChannelTestAccess::sweep(*channel);
  CHECK_EQ(statistics(*channel).blocks_used, 0);
}
