#include "sweep/acts.hpp"

namespace interproc::sweep {

// The second victim meets the lock, and what lies under it, as the first left them.
void add_two_deaths(std::vector<Scenario>& all) {
  Act second_put = putting({{201, small_bytes}});
  all.push_back({.name = "twice-put-put",
                 .start = 62,
                 .queued = queued(2, small_bytes),
                 .act = putting(puts(1, small_bytes)),
                 .again = second_put});
  all.push_back({.name = "twice-put-large-get",
                 .queued = queued(2, large_bytes),
                 .act = putting(puts(1, large_bytes)),
                 .again = getting()});
  all.push_back({.name = "twice-get-put",
                 .start = last_of_chunk,
                 .queued = queued(2, small_bytes),
                 .act = getting(),
                 .again = second_put});
  all.push_back({.name = "twice-put-get-to-sleeper",
                 .bystander = Bystander::consumer,
                 .act = putting(puts(1)),
                 .again = second_put});
  all.push_back({.name = "twice-put-put-armed", .armed = true, .act = putting(puts(1)), .again = second_put});
  all.push_back({.name = "twice-shutdown-put",
                 .queued = queued(3, small_bytes),
                 .may_shut_down = true,
                 .act = {.operation = [](Actor& actor) { actor.channel->shut_down(true, &actor.fault); }},
                 .again = second_put});
}

std::vector<Scenario> scenarios() {
  std::vector<Scenario> all;
  add_puts_and_gets(all);
  add_lent(all);
  add_states(all);
  add_two_deaths(all);
  return all;
}

}  // namespace interproc::sweep
