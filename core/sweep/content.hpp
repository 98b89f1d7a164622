// Content: which messages may leave the line, and in which order, after one or two deaths.
#pragma once

#include <string>
#include <vector>

#include "sweep/scenario.hpp"

namespace interproc::sweep {

struct Content {
  std::vector<Item> queued;
  std::vector<const Act*> acts;  // in the order in which they ran
  std::vector<Item> others{};    // put by processes that live: each must come once, behind what was queued

  // Empty if `seen` is what may come, else what is wrong with it. What may come: the queued messages and then a prefix
  // of each act's puts, without as many of the first as the acts may have taken with them.
  std::string wrong_with(std::vector<Item> seen) const;

 private:
  std::size_t most_taken() const;
  bool may_come(const std::vector<Item>& seen, std::vector<Item> line, std::size_t act) const;
};

}  // namespace interproc::sweep
