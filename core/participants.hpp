// Participants: the processes that use a channel, each with a place in its table.
//
// A token names one participant for ever: place and generation. Joining takes no lock (the liveness lock needs a token
// before it can be taken): one CAS claims a free place together with the pid, so that a process that dies while joining
// can be found too. A place is freed by its process when it leaves, or by the sweep after its death.
#pragma once

#include "layout.hpp"
#include "status.hpp"

namespace interproc {

inline constexpr std::uint32_t place_bits = 11;  // place + 1 fits
inline constexpr std::uint32_t generation_bits = 19;
static_assert(max_participants < (1u << place_bits));
static_assert(place_bits + generation_bits == 30, "a token must fit the owner bits of a lock word");

struct Claim {
  std::uint32_t pid;
  std::uint32_t generation;
  ParticipantState state;
};

constexpr std::uint64_t pack_claim(Claim claim) {
  return (std::uint64_t{claim.pid} << 32) | (std::uint64_t{claim.generation} << 2) |
         static_cast<std::uint64_t>(claim.state);
}

constexpr Claim unpack_claim(std::uint64_t word) {
  return Claim{static_cast<std::uint32_t>(word >> 32),
               static_cast<std::uint32_t>(word >> 2) & ((1u << generation_bits) - 1),
               static_cast<ParticipantState>(word & 3)};
}

constexpr std::uint32_t make_token(std::uint32_t place, std::uint32_t generation) {
  return (generation << place_bits) | (place + 1);
}

// The place of a token; max_participants or more if the token makes no sense.
constexpr std::uint32_t place_of(std::uint32_t token) { return (token & ((1u << place_bits) - 1)) - 1; }

// Makes this process a participant, in one of the first `places` of the table. ok, too_many_participants.
Status join_participants(Participant* table, std::uint32_t* token, std::uint32_t places = max_participants);

// Takes the last place of a table whose users otherwise leave it free: for who finds the table full and must clean up
// before it can join. A guest who died there is put out; it must have held nothing but liveness locks.
// ok, too_many_participants while another guest is there.
Status join_as_guest(Participant* table, std::uint32_t* token);

// Frees the place of `token` if it still is that participant's.
void free_participant(Participant* table, std::uint32_t token);

// The table entry of `token`, nullptr if somebody else has the place by now.
Participant* find_participant(Participant* table, std::uint32_t token);

// Whether the process of `token` may still run. False for a place that was freed or taken by another.
bool token_is_alive(const Participant* table, std::uint32_t token);

// Moves `*place` on to the first participant there or after it. False if there is none. For loops over the table.
bool next_participant(const Participant* table, std::uint32_t* place, Claim* claim);

// Dead participants found in the table, at most `limit` tokens. Asks the system about every live entry: no lock held.
std::uint32_t find_dead_participants(const Participant* table, std::uint32_t* tokens, std::uint32_t limit);

}  // namespace interproc
