#include "sweep/acts.hpp"
#include "testing/access.hpp"

namespace interproc::sweep {

// Each victim meets the lock, and what lies under it, as those before it left them.
void add_deaths_in_a_row(std::vector<Scenario>& all) {
  Act second_put = putting({{201, small_bytes}});
  all.push_back({.name = "twice-put-put",
                 .start = 62,
                 .queued = queued(2, small_bytes),
                 .act = putting(puts(1, small_bytes)),
                 .again = {second_put}});
  all.push_back({.name = "twice-put-large-get",
                 .queued = queued(2, large_bytes),
                 .act = putting(puts(1, large_bytes)),
                 .again = {getting()}});
  all.push_back({.name = "twice-get-put",
                 .start = last_of_chunk,
                 .queued = queued(2, small_bytes),
                 .act = getting(),
                 .again = {second_put}});
  all.push_back({.name = "twice-put-get-to-sleeper",
                 .bystander = Bystander::consumer,
                 .act = putting(puts(1)),
                 .again = {second_put}});
  all.push_back({.name = "twice-put-put-armed", .armed = true, .act = putting(puts(1)), .again = {second_put}});
  all.push_back({.name = "twice-shutdown-put",
                 .queued = queued(3, small_bytes),
                 .may_shut_down = true,
                 .act = {.operation = [](Actor& actor) { actor.channel->shut_down(true, &actor.fault); }},
                 .again = {second_put}});
  // The second dies inside the sweep after the first.
  Act sweeping{.operation = [](Actor& actor) { ChannelTestAccess::sweep(*actor.channel); }};
  all.push_back({.name = "twice-put-large-sweep",
                 .queued = queued(2, large_bytes),
                 .act = putting(puts(1, large_bytes)),
                 .again = {sweeping}});
  all.push_back(
      {.name = "twice-get-large-sweep", .queued = queued(3, large_bytes), .act = getting(), .again = {sweeping}});
  all.push_back({.name = "thrice-put-large-sweep-put",
                 .queued = queued(2, large_bytes),
                 .act = putting(puts(1, large_bytes)),
                 .again = {sweeping, second_put}});
  all.push_back({.name = "thrice-get-put-get",
                 .start = last_of_chunk,
                 .queued = queued(3, small_bytes),
                 .act = getting(),
                 .again = {second_put, getting()}});
}

std::vector<Scenario> scenarios() {
  std::vector<Scenario> all;
  add_puts_and_gets(all);
  add_lent(all);
  add_states(all);
  add_leases(all);
  add_deaths_in_a_row(all);
  return all;
}

}  // namespace interproc::sweep
