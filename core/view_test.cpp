// Blocks that are read where they lie: who owns them, when they come back, and what a fork makes of them.
#include "view.hpp"

#include <sys/resource.h>

#include <thread>
#include <vector>

#include "testing/channels.hpp"

using namespace interproc;
using namespace interproc::testing;

namespace {

constexpr std::uint64_t mega = std::uint64_t{1} << 20;
const Bytes large = pattern(100'000, 1);

std::shared_ptr<Channel> make_channel(const ChannelOptions& options = {}) {
  return std::make_shared<Channel>(make_segment(options), 0);
}

Received take(Channel& channel) {
  Fault fault;
  Received received;
  Bytes buffer(copy_under_lock_bytes);
  CHECK_EQ(channel.try_get(&received, buffer.data(), buffer.size(), true, &fault), Status::ok);
  CHECK(received.block != no_block);
  return received;
}

std::shared_ptr<View> view(Channel& channel) {
  Received received = take(channel);
  CHECK(received.may_keep);
  return View::make(&channel, received.data, received.length, received.block);
}

std::shared_ptr<View> pass(Channel& channel, const Bytes& bytes) {
  CHECK_EQ(put(channel, bytes), Status::ok);
  return view(channel);
}

Status try_put(Channel& channel, const Bytes& bytes) {
  Fault fault;
  return channel.try_put(Outgoing(bytes).message, true, &fault);
}

bool shows(const View& view, const Bytes& bytes) { return std::memcmp(view.data(), bytes.data(), bytes.size()) == 0; }

}  // namespace

TEST(a_view_shows_the_payload_until_it_goes_and_then_gives_the_block_back) {
  auto channel = make_channel();
  std::shared_ptr<View> first = pass(*channel, large);
  CHECK(shows(*first, large));
  CHECK_EQ(statistics(*channel).blocks_used, 1);
  CHECK_EQ(statistics(*channel).blocks_taken, 1);
  std::shared_ptr<View> second = pass(*channel, pattern(100'000, 2));
  CHECK(shows(*first, large));
  CHECK_EQ(statistics(*channel).blocks_taken, 2);
  first.reset();
  second.reset();
  CHECK_EQ(statistics(*channel).blocks_used, 0);
  CHECK_EQ(statistics(*channel).blocks_taken, 0);
  CHECK_EQ(statistics(*channel).taken_bytes, 0);
}

TEST(what_is_written_into_a_view_is_read_from_it_and_reaches_nobody_else) {
  auto channel = make_channel();
  std::shared_ptr<View> first = pass(*channel, large);
  std::memset(first->data(), 7, large.size());
  std::shared_ptr<View> second = pass(*channel, large);
  CHECK(shows(*second, large));
  CHECK(shows(*first, Bytes(large.size(), 7)));
}

TEST(views_outlive_the_object_that_made_them_and_the_others_get_their_blocks_back) {
  auto segment = make_segment();
  auto receiver = std::make_shared<Channel>(segment, 0);
  auto other = std::make_shared<Channel>(segment, 0);
  std::shared_ptr<View> kept = pass(*receiver, large);
  CHECK_EQ(put(*receiver, large), Status::ok);
  take(*receiver);  // neither viewed nor given back
  receiver->leave_views();
  receiver.reset();
  CHECK(shows(*kept, large));
  CHECK_EQ(statistics(*other).participants, 2);
  for (std::uint32_t i = 0; i < 5; i++) expect(*other, (put(*other, pattern(100'000, i)), pattern(100'000, i)));
  CHECK(shows(*kept, large));
  kept.reset();
  CHECK_EQ(statistics(*other).participants, 1);
  CHECK_EQ(statistics(*other).blocks_used, 0);
}

TEST(a_view_may_go_in_any_thread) {
  auto channel = make_channel();
  std::vector<std::shared_ptr<View>> views;
  for (std::uint32_t i = 0; i < 200; i++) views.push_back(pass(*channel, pattern(20'000, i)));
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 4; t++) {
    threads.emplace_back([&views, t] {
      for (std::size_t i = t; i < views.size(); i += 4) views[i].reset();
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(statistics(*channel).blocks_used, 0);
}

TEST(who_keeps_more_than_half_is_told_to_copy_and_never_keeps_put_out) {
  auto channel = make_channel({.max_bytes = 4 * mega, .virtual_bytes = 16 * mega});
  std::vector<std::shared_ptr<View>> views;
  for (int i = 0; i < 100; i++) {
    CHECK_EQ(put(*channel, large), Status::ok);
    Received received = take(*channel);
    if (received.may_keep) {
      views.push_back(View::make(channel.get(), received.data, received.length, received.block));
    } else {
      channel->release(received.block);
    }
  }
  CHECK(views.size() >= 10 && views.size() <= 20);
  CHECK(statistics(*channel).taken_bytes <= 2 * mega);
  Bytes largest = pattern(2 * mega - 400'000);
  CHECK_EQ(put(*channel, largest), Status::ok);
  expect(*channel, largest);
  views.clear();
  CHECK_EQ(statistics(*channel).blocks_used, 0);
}

TEST(a_message_to_be_read_in_place_goes_in_whole_where_only_so_much_may_be_unread) {
  auto channel = make_channel({.max_bytes = 64 * mega, .max_unread_bytes = mega});
  Bytes bytes = pattern(20 * mega);
  Outgoing outgoing(bytes);
  Fault fault;
  CHECK_EQ(channel->try_put(outgoing.message, true, &fault), Status::too_large);
  outgoing.message.in_place = true;
  CHECK_EQ(channel->try_put(outgoing.message, true, &fault), Status::ok);
  CHECK_EQ(channel->try_put(outgoing.message, true, &fault), Status::full);
  CHECK_EQ(try_put(*channel, large), Status::full);
  std::shared_ptr<View> kept = view(*channel);
  CHECK_EQ(try_put(*channel, large), Status::ok);
  expect(*channel, large);
  CHECK_EQ(channel->try_put(outgoing.message, true, &fault), Status::ok);
  Received received = take(*channel);
  CHECK(!received.may_keep);
  channel->release(received.block);
  CHECK(shows(*kept, bytes));
}

TEST(a_put_that_waits_for_memory_goes_on_when_a_view_goes) {
  auto channel = make_channel({.max_bytes = mega, .virtual_bytes = 4 * mega});
  std::shared_ptr<View> kept = pass(*channel, pattern(400'000));
  CHECK_EQ(put(*channel, pattern(400'000, 1)), Status::ok);
  std::thread putter([&] { CHECK_EQ(put(*channel, pattern(400'000, 2)), Status::ok); });
  while (statistics(*channel).counters.put_waits == 0) std::this_thread::yield();
  kept.reset();
  putter.join();
  expect(*channel, pattern(400'000, 1));
  expect(*channel, pattern(400'000, 2));
}

FORK_TEST(after_a_fork_neither_side_sees_the_other_write) {
  auto channel = make_channel();
  std::shared_ptr<View> kept = pass(*channel, large);
  std::shared_ptr<View> beside = pass(*channel, pattern(30'000, 5));  // shares a page with the first
  Shared<Gate> written, seen;
  pid_t child = start_child([&] {
    CHECK(shows(*kept, large) && shows(*beside, pattern(30'000, 5)));
    std::memset(beside->data(), 3, 30'000);
    written->open();
    seen->pass();
    CHECK(shows(*kept, large));
    CHECK(shows(*beside, Bytes(30'000, 3)));
  });
  written->pass();
  CHECK(shows(*beside, pattern(30'000, 5)));
  std::memset(kept->data(), 9, large.size());
  seen->open();
  finish_child(child);
  CHECK(shows(*kept, Bytes(large.size(), 9)));
}

FORK_TEST(a_child_keeps_its_view_when_the_parent_gives_the_block_back_and_frees_nothing_of_the_parents) {
  auto channel = make_channel();
  std::shared_ptr<View> kept = pass(*channel, large);
  std::shared_ptr<View> other = pass(*channel, pattern(50'000, 8));
  Shared<Gate> reused;
  pid_t child = start_child([&] {
    other.reset();
    reused->pass();
    // The child takes messages that come to lie where its view seems to be.
    for (std::uint32_t i = 0; i < 4; i++) {
      std::shared_ptr<View> mine = pass(*channel, pattern(100'000, 20 + i));
      CHECK(shows(*mine, pattern(100'000, 20 + i)));
      CHECK(shows(*kept, large));
      finish_child(start_child([&] { CHECK(shows(*mine, pattern(100'000, 20 + i)) && shows(*kept, large)); }));
    }
    kept.reset();
  });
  kept.reset();
  for (std::uint32_t i = 0; i < 4; i++) expect(*channel, (put(*channel, pattern(100'000, i)), pattern(100'000, i)));
  reused->open();
  finish_child(child);
  CHECK(shows(*other, pattern(50'000, 8)));
  CHECK_EQ(statistics(*channel).blocks_taken, 1);
}

// A sanitizer needs address space of its own.
#if !defined(INTERPROC_ADDRESS_SANITIZER) && !defined(INTERPROC_THREAD_SANITIZER)
FORK_TEST(where_a_fork_finds_no_memory_for_the_copy_the_block_is_never_given_back) {
  finish_child(start_child([] {
    auto channel = make_channel({.max_bytes = 128 * mega, .virtual_bytes = 256 * mega});
    std::shared_ptr<View> kept = pass(*channel, pattern(16 * mega, 3));
    std::shared_ptr<View> later;
    Shared<Gate> reused;
    rlimit before;
    getrlimit(RLIMIT_AS, &before);
    rlimit none{4096, before.rlim_max};
    CHECK_EQ(setrlimit(RLIMIT_AS, &none), 0);
    pid_t child = fork();
    if (child == 0) {
      reused->pass();
      _exit(shows(*kept, pattern(16 * mega, 3)) ? 0 : 1);
    }
    setrlimit(RLIMIT_AS, &before);
    CHECK(child > 0);
    kept.reset();
    CHECK_EQ(statistics(*channel).blocks_taken, 1);
    later = pass(*channel, pattern(16 * mega, 4));
    reused->open();
    int status = 0;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
  }));
}
#endif

FORK_TEST(a_killed_receivers_blocks_come_back) {
  auto channel = make_channel();
  Shared<Gate> holds;
  for (std::uint32_t i = 0; i < 1000; i++) CHECK_EQ(put(*channel, pattern(2000, i)), Status::ok);
  pid_t receiver = start_child([&] {
    std::vector<std::shared_ptr<View>> views;
    for (std::uint32_t i = 0; i < 1000; i++) views.push_back(view(*channel));
    holds->open();
    await_death();
  });
  holds->pass();
  CHECK_EQ(statistics(*channel).blocks_taken, 1000);
  kill_child(receiver);
  ChannelTestAccess::sweep(*channel);
  CHECK_EQ(statistics(*channel).blocks_used, 0);
  CHECK_EQ(statistics(*channel).blocks_taken, 0);
}

TEST(after_a_burst_the_last_to_go_gives_the_memory_back) {
  for (bool viewed : {false, true}) {
    auto channel = make_channel();
    const std::uint64_t count = 24;
    const Bytes bytes = pattern(8 * mega - 200);
    for (std::uint64_t i = 0; i < count; i++) CHECK_EQ(put(*channel, bytes), Status::ok);
    CHECK(resident_bytes(channel->segment()) > 180 * mega);
    std::vector<std::shared_ptr<View>> views;
    for (std::uint64_t i = 0; i < count; i++) {
      if (viewed) {
        views.push_back(view(*channel));
      } else {
        channel->release(take(*channel).block);
      }
    }
    views.clear();
    if (channel->is_too_warm()) channel->cool_down();
    CHECK(!channel->is_too_warm());
    CHECK(resident_bytes(channel->segment()) < 34 * mega);
    expect(*channel, (put(*channel, bytes), bytes));
  }
}

TEST(what_comes_and_goes_again_and_again_stays_warm) {
  auto channel = make_channel({.warm_bytes = mega});
  const Bytes bytes = pattern(8 * mega - 200);
  for (int i = 0; i < 3; i++) pass(*channel, bytes);
  CHECK(resident_bytes(channel->segment()) >= 8 * mega);
  ChannelTestAccess::keep_house(*channel);
  CHECK(resident_bytes(channel->segment()) < 3 * mega);
}
