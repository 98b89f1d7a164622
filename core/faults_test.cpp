// In a release build there are no fault points.
#include "faults.hpp"

#include "testing/check.hpp"

static_assert(!interproc::faults::enabled);
static_assert(!interproc::faults::hit(interproc::faults::Point::system_call));

TEST(a_call_is_the_call_itself) {
  constexpr int result = interproc::faults::call([] { return 7; });
  static_assert(result == 7);
  CHECK_EQ(result, 7);
}
