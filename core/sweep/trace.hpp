// Trace: what an act does to shared state, instruction by instruction, when nobody kills it.
//
// A killed process leaves nothing but shared memory, what the kernel did for it, and its death notice. Two kill points
// between which none of these changed are the same death; one of them is enough.
#pragma once

#include <cstdint>
#include <vector>

#include "sweep/stage.hpp"
#include "sweep/stepper.hpp"

namespace interproc::sweep {

// After so many instructions.
struct Point {
  std::uint64_t address;  // of the next one
  bool is_distinct;       // the instruction before it changed something
  bool holds_lock = false;
  bool has_slept = false;    // in the instruction before it
  bool is_nameless = false;  // the lock's owner has no place in the table: others take it for dead
};

using Trace = std::vector<Point>;

// In the child: gets ready, then performs the act between the two marks. Never returns.
[[noreturn]] void perform(Stage& stage, const Act& act);
inline Stepper start_victim(Stage& stage, const Act& act) {
  return Stepper([&] { perform(stage, act); });
}

// Lets the victim go on for `count` instructions, or to the end of its act. Returns how many they were; `see(slept)` is
// called after each.
template <typename See>
std::size_t advance(Stepper& victim, Stage& stage, const Act& act, std::size_t count, See see) {
  bool slept = false;
  for (std::size_t done = 0; done < count;) {
    Stepper::Stop stop = victim.step();
    if (stop == Stepper::Stop::failed || stop == Stepper::Stop::at_end) return done;
    if (stop == Stepper::Stop::asleep && !act.ends_asleep) {
      if (!stage.provoke()) return done;  // somebody else was faster
      slept = true;
      continue;
    }
    done++;
    see(slept || stop == Stepper::Stop::asleep);
    slept = false;
    if (stop == Stepper::Stop::asleep) return done;
  }
  return count;
}

// From one point to a later one, with no sleep between: at full speed to the last place before it that the act rarely
// comes to, and from there step by step. False if it went another way.
bool hurry(Stepper& victim, const Trace& trace, std::size_t from, std::size_t to);

// Brings a victim from its first mark to the point `at` of an earlier run. False if it went another way; then it is
// wherever that way led.
bool follow(Stepper& victim, Stage& stage, const Act& act, const Trace& trace, std::size_t at);

// The act from its first mark to its end. Point 0 is the first mark.
Trace trace_of(Stage& stage, Stepper& victim, const Act& act);

}  // namespace interproc::sweep
