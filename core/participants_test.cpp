#include "participants.hpp"

#include <memory>
#include <thread>
#include <vector>

#include "testing/processes.hpp"

using namespace interproc;
using namespace interproc::testing;

namespace {

struct Table {
  Participant entries[max_participants];

  std::uint32_t join() {
    std::uint32_t token = 0;
    CHECK_EQ(join_participants(entries, &token), Status::ok);
    return token;
  }
  std::vector<std::uint32_t> dead(std::uint32_t limit = max_participants) {
    std::vector<std::uint32_t> tokens(limit);
    tokens.resize(find_dead_participants(entries, tokens.data(), limit));
    return tokens;
  }
  Claim claim(std::uint32_t place) { return unpack_claim(entries[place].claim.load()); }
};

struct Meeting {
  Table table;
  Shared32 tokens[4];
  Gate go_on;
};

// A child that joins and dies without leaving.
std::uint32_t token_of_a_dead_child(Meeting& meeting) {
  finish_child(start_child([&] { meeting.tokens[0].store(meeting.table.join()); }));
  return meeting.tokens[0].load();
}

}  // namespace

TEST(a_claim_survives_packing) {
  for (Claim claim : {Claim{0, 0, ParticipantState::free}, Claim{1, 1, ParticipantState::joining},
                      Claim{UINT32_MAX, (1u << generation_bits) - 1, ParticipantState::live}}) {
    Claim again = unpack_claim(pack_claim(claim));
    CHECK_EQ(again.pid, claim.pid);
    CHECK_EQ(again.generation, claim.generation);
    CHECK_EQ(again.state, claim.state);
  }
}

TEST(a_guest_takes_the_last_place_one_at_a_time) {
  auto table = std::make_unique<Table>();
  std::uint32_t guest = 0;
  std::uint32_t second = 0;
  CHECK_EQ(join_as_guest(table->entries, &guest), Status::ok);
  CHECK_EQ(place_of(guest), max_participants - 1);
  CHECK_EQ(join_as_guest(table->entries, &second), Status::too_many_participants);
  std::uint32_t token = 0;
  for (std::uint32_t place = 0; place + 1 < max_participants; place++) {
    CHECK_EQ(join_participants(table->entries, &token, max_participants - 1), Status::ok);
  }
  CHECK_EQ(join_participants(table->entries, &token, max_participants - 1), Status::too_many_participants);
  free_participant(table->entries, guest);
  CHECK_EQ(join_as_guest(table->entries, &second), Status::ok);
  CHECK(second != guest);
}

FORK_TEST(a_guest_that_died_is_put_out) {
  Shared<Meeting> meeting;
  finish_child(start_child([&] {
    std::uint32_t token = 0;
    CHECK_EQ(join_as_guest(meeting->table.entries, &token), Status::ok);
    meeting->tokens[0].store(token);
  }));
  std::uint32_t guest = 0;
  CHECK_EQ(join_as_guest(meeting->table.entries, &guest), Status::ok);
  CHECK(guest != meeting->tokens[0].load());
  CHECK(!token_is_alive(meeting->table.entries, meeting->tokens[0].load()));
}

TEST(a_token_fits_the_owner_bits_and_names_its_place) {
  for (std::uint32_t place : {0u, 1u, max_participants - 1}) {
    std::uint32_t token = make_token(place, (1u << generation_bits) - 1);
    CHECK_EQ(token & ~platform::owner_mask, 0);
    CHECK_EQ(place_of(token), place);
    CHECK(token != owner_none && token != owner_queued);
  }
  CHECK(place_of(owner_none) >= max_participants);
  CHECK(place_of(owner_queued) >= max_participants);
}

TEST(joining_makes_a_living_participant_of_this_process) {
  auto table = std::make_unique<Table>();
  std::uint32_t token = table->join();
  CHECK_EQ(place_of(token), 0);
  CHECK_EQ(table->claim(0).pid, getpid());
  CHECK_EQ(table->claim(0).generation, 1);
  CHECK_EQ(table->claim(0).state, ParticipantState::live);
  CHECK_EQ(table->entries[0].image, platform::self().image);
  CHECK_EQ(table->entries[0].doorbell_fd, -1);
  CHECK(find_participant(table->entries, token) == &table->entries[0]);
  CHECK(token_is_alive(table->entries, token));
  CHECK(table->dead().empty());
}

TEST(leaving_frees_the_place_and_ends_the_token) {
  auto table = std::make_unique<Table>();
  std::uint32_t first = table->join();
  std::uint32_t second = table->join();
  free_participant(table->entries, first);
  CHECK_EQ(table->claim(0).state, ParticipantState::free);
  CHECK(find_participant(table->entries, first) == nullptr);
  CHECK(!token_is_alive(table->entries, first));
  CHECK(token_is_alive(table->entries, second));
  CHECK(table->dead().empty());
}

TEST(a_place_that_is_used_again_gets_another_generation) {
  auto table = std::make_unique<Table>();
  std::uint32_t old_token = table->join();
  free_participant(table->entries, old_token);
  std::uint32_t new_token = table->join();
  CHECK_EQ(place_of(new_token), place_of(old_token));
  CHECK(new_token != old_token);
  CHECK(find_participant(table->entries, old_token) == nullptr);
  CHECK(!token_is_alive(table->entries, old_token));
  free_participant(table->entries, old_token);  // not its place any more
  CHECK(token_is_alive(table->entries, new_token));
}

TEST(generations_wrap_past_zero) {
  auto table = std::make_unique<Table>();
  table->entries[0].claim.store(pack_claim({0, (1u << generation_bits) - 1, ParticipantState::free}));
  std::uint32_t token = table->join();
  CHECK_EQ(table->claim(0).generation, 1);
  CHECK(token_is_alive(table->entries, token));
}

TEST(the_table_holds_its_limit_and_no_more) {
  auto table = std::make_unique<Table>();
  std::vector<std::uint32_t> tokens;
  for (std::uint32_t place = 0; place < max_participants; place++) {
    tokens.push_back(table->join());
    CHECK_EQ(place_of(tokens.back()), place);
  }
  std::uint32_t token = 0;
  CHECK_EQ(join_participants(table->entries, &token), Status::too_many_participants);
  CHECK(table->dead().empty());
  free_participant(table->entries, tokens[500]);
  CHECK_EQ(place_of(table->join()), 500);
  CHECK_EQ(join_participants(table->entries, &token), Status::too_many_participants);
}

TEST(tokens_that_make_no_sense_are_nobody) {
  auto table = std::make_unique<Table>();
  table->join();
  for (std::uint32_t token : {owner_none, owner_queued, make_token(0, 2), make_token(1, 1), make_token(1500, 1)}) {
    CHECK(find_participant(table->entries, token) == nullptr);
    CHECK(!token_is_alive(table->entries, token));
    free_participant(table->entries, token);
  }
  CHECK_EQ(table->claim(0).state, ParticipantState::live);
}

TEST(threads_that_join_at_once_get_places_of_their_own) {
  auto table = std::make_unique<Table>();
  constexpr std::uint32_t thread_count = 4;
  constexpr std::uint32_t each = max_participants / thread_count;
  std::vector<std::thread> threads;
  for (std::uint32_t i = 0; i < thread_count; i++) {
    threads.emplace_back([&] {
      for (std::uint32_t round = 0; round < each; round++) table->join();
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::uint32_t place = 0; place < max_participants; place++) {
    CHECK_EQ(table->claim(place).state, ParticipantState::live);
    CHECK_EQ(table->claim(place).generation, 1);
  }
}

FORK_TEST(the_dead_are_found_and_the_living_left_alone) {
  Shared<Meeting> meeting;
  std::uint32_t me = meeting->table.join();
  std::uint32_t dead = token_of_a_dead_child(*meeting);
  pid_t living = start_child([&] {
    meeting->tokens[1].store(meeting->table.join());
    meeting->go_on.pass();
  });
  CHECK(eventually([&] { return meeting->tokens[1].load() != 0; }));
  CHECK(token_is_alive(meeting->table.entries, me));
  CHECK(token_is_alive(meeting->table.entries, meeting->tokens[1].load()));
  CHECK(!token_is_alive(meeting->table.entries, dead));
  CHECK(meeting->table.dead() == std::vector{dead});

  free_participant(meeting->table.entries, dead);
  CHECK(meeting->table.dead().empty());
  CHECK_EQ(place_of(meeting->table.join()), place_of(dead));
  meeting->go_on.open();
  finish_child(living);
}

FORK_TEST(a_zombie_is_dead) {
  Shared<Meeting> meeting;
  pid_t child = start_child([&] { meeting->tokens[0].store(meeting->table.join()); });
  await_zombie(child);
  CHECK(!token_is_alive(meeting->table.entries, meeting->tokens[0].load()));
  CHECK_EQ(meeting->table.dead().size(), 1u);
  finish_child(child);
}

FORK_TEST(a_stopped_process_is_alive) {
  Shared<Meeting> meeting;
  pid_t child = start_child([&] {
    meeting->tokens[0].store(meeting->table.join());
    raise(SIGSTOP);
  });
  int status = 0;
  CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
  CHECK(token_is_alive(meeting->table.entries, meeting->tokens[0].load()));
  CHECK(meeting->table.dead().empty());
  kill(child, SIGCONT);
  finish_child(child);
}

FORK_TEST(who_died_while_joining_is_found) {
  Shared<Meeting> meeting;
  std::uint32_t dead = token_of_a_dead_child(*meeting);
  Shared64& claim = meeting->table.entries[place_of(dead)].claim;
  Claim half_done = unpack_claim(claim.load());
  half_done.state = ParticipantState::joining;
  claim.store(pack_claim(half_done));
  CHECK(meeting->table.dead() == std::vector{dead});

  half_done.pid = static_cast<std::uint32_t>(getpid());  // still at it
  meeting->table.entries[place_of(dead)].image = 1;      // left by the last user of the place
  claim.store(pack_claim(half_done));
  CHECK(meeting->table.dead().empty());
}

FORK_TEST(a_pid_that_is_used_again_is_another_process) {
  Shared<Meeting> meeting;
  std::uint32_t token = meeting->table.join();
  meeting->table.entries[place_of(token)].image -= 1;
  CHECK(!token_is_alive(meeting->table.entries, token));
}

FORK_TEST(a_process_that_became_another_program_is_dead) {
  Shared<Meeting> meeting;
  int ends[2];
  CHECK_EQ(pipe(ends), 0);
  pid_t child = fork();
  if (child == 0) {
    meeting->tokens[0].store(meeting->table.join());
    dup2(ends[0], STDIN_FILENO);
    close(ends[1]);
    execlp("cat", "cat", nullptr);
    _exit(1);
  }
  close(ends[0]);
  while (meeting->tokens[0].load() == 0 || token_is_alive(meeting->table.entries, meeting->tokens[0].load())) {
    CHECK_EQ(waitpid(child, nullptr, WNOHANG), 0);
  }
  close(ends[1]);
  finish_child(child);
}

FORK_TEST(at_most_as_many_dead_are_reported_as_fit) {
  Shared<Meeting> meeting;
  for (int i = 0; i < 3; i++) token_of_a_dead_child(*meeting);
  CHECK_EQ(meeting->table.dead(2).size(), 2u);
  for (std::uint32_t token : meeting->table.dead(2)) free_participant(meeting->table.entries, token);
  CHECK_EQ(meeting->table.dead(2).size(), 1u);
}
