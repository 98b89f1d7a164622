#include "participants.hpp"

#include "platform/platform.hpp"

namespace interproc {

namespace {

// Takes a place that looks like `seen`. False if somebody else was faster.
bool take_place(Participant* table, std::uint32_t place, std::uint64_t seen, std::uint32_t* token) {
  const platform::Identity& me = platform::self();
  Participant& entry = table[place];
  Claim claim = unpack_claim(seen);
  claim.pid = me.pid;
  claim.generation = (claim.generation + 1) & ((1u << generation_bits) - 1);
  if (claim.generation == 0) claim.generation = 1;  // 0 marks a place that was never used
  claim.state = ParticipantState::joining;
  if (!entry.claim.compare_exchange_strong(seen, pack_claim(claim), std::memory_order_acquire)) return false;
  entry.image = me.image;
  entry.doorbell_fd = -1;
  entry.roles.store(0, std::memory_order_relaxed);
  entry.head_then.store(0, std::memory_order_relaxed);
  entry.done_then.store(0, std::memory_order_relaxed);
  entry.tasks.store(0, std::memory_order_relaxed);
  claim.state = ParticipantState::live;
  entry.claim.store(pack_claim(claim), std::memory_order_release);  // pairs: participant-live
  *token = make_token(place, claim.generation);
  return true;
}

}  // namespace

Status join_participants(Participant* table, std::uint32_t* token, std::uint32_t places) {
  for (std::uint32_t place = 0; place < places; place++) {
    std::uint64_t seen = table[place].claim.load(std::memory_order_relaxed);
    if (unpack_claim(seen).state != ParticipantState::free) continue;
    if (take_place(table, place, seen, token)) return Status::ok;
  }
  return Status::too_many_participants;
}

Status join_as_guest(Participant* table, std::uint32_t* token) {
  constexpr std::uint32_t place = max_participants - 1;
  std::uint64_t seen = table[place].claim.load(std::memory_order_acquire);  // pairs: participant-live
  Claim claim = unpack_claim(seen);
  bool is_taken = claim.state != ParticipantState::free && token_is_alive(table, make_token(place, claim.generation));
  return !is_taken && take_place(table, place, seen, token) ? Status::ok : Status::too_many_participants;
}

Participant* find_participant(Participant* table, std::uint32_t token) {
  std::uint32_t place = place_of(token);
  if (place >= max_participants) return nullptr;
  Claim claim = unpack_claim(table[place].claim.load(std::memory_order_acquire));  // pairs: participant-live
  bool same = claim.state != ParticipantState::free && make_token(place, claim.generation) == token;
  return same ? &table[place] : nullptr;
}

void free_participant(Participant* table, std::uint32_t token) {
  std::uint32_t place = place_of(token);
  if (place >= max_participants) return;
  // One look only: by a second one somebody else may have freed the place and a newcomer taken it.
  std::uint64_t seen = table[place].claim.load(std::memory_order_relaxed);
  Claim claim = unpack_claim(seen);
  if (claim.state == ParticipantState::free || make_token(place, claim.generation) != token) return;
  claim.pid = 0;
  claim.state = ParticipantState::free;
  table[place].claim.compare_exchange_strong(seen, pack_claim(claim), std::memory_order_release);
}

bool token_is_alive(const Participant* table, std::uint32_t token) {
  const Participant* entry = find_participant(const_cast<Participant*>(table), token);
  if (entry == nullptr) return false;
  Claim claim = unpack_claim(entry->claim.load(std::memory_order_acquire));  // pairs: participant-live
  // Until the entry is live its image may be another's.
  std::uint64_t image = claim.state == ParticipantState::live ? entry->image : 0;
  return platform::is_alive(claim.pid, image);
}

bool next_participant(const Participant* table, std::uint32_t* place, Claim* claim) {
  for (; *place < max_participants; ++*place) {
    *claim = unpack_claim(table[*place].claim.load(std::memory_order_acquire));  // pairs: participant-live
    if (claim->generation == 0) return false;                                    // never used, nor any after it
    if (claim->state != ParticipantState::free) return true;
  }
  return false;
}

std::uint32_t find_dead_participants(const Participant* table, std::uint32_t* tokens, std::uint32_t limit) {
  std::uint32_t found = 0;
  Claim claim;
  for (std::uint32_t place = 0; found < limit && next_participant(table, &place, &claim); place++) {
    std::uint32_t token = make_token(place, claim.generation);
    if (!token_is_alive(table, token)) tokens[found++] = token;
  }
  return found;
}

}  // namespace interproc
