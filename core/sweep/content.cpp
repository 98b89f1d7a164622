#include "sweep/content.hpp"

#include <algorithm>

namespace interproc::sweep {

namespace {

std::string text_of(const std::vector<Item>& items) {
  std::string text;
  for (Item item : items) text += " " + std::to_string(item.id);
  return text.empty() ? " nothing" : text;
}

}  // namespace

std::string Content::wrong_with(std::vector<Item> seen) const {
  const std::string all = text_of(seen);
  std::size_t takes = most_taken();
  for (Item other : others) {
    auto place = std::find(seen.begin(), seen.end(), other);
    bool may_be_taken = takes > queued.size();
    if (place == seen.end() && may_be_taken) {
      takes--;
      continue;
    }
    if (place == seen.end()) return "item " + std::to_string(other.id) + " is missing:" + all;
    bool overtook =
        std::any_of(place, seen.end(), [&](Item item) { return std::count(queued.begin(), queued.end(), item); });
    if (overtook) return "item " + std::to_string(other.id) + " came too early:" + all;
    seen.erase(place);
  }
  return may_come(seen, queued, 0) ? "" : "something is missing, doubled or out of order:" + all;
}

std::size_t Content::most_taken() const {
  std::size_t takes = 0;
  for (const Act* act : acts) takes += act->takes;
  return takes;
}

bool Content::may_come(const std::vector<Item>& seen, std::vector<Item> line, std::size_t act) const {
  if (act == acts.size()) {
    std::size_t takes = most_taken();
    bool short_enough = line.size() <= seen.size() + takes && seen.size() <= line.size();
    return short_enough && std::equal(seen.rbegin(), seen.rend(), line.rbegin());
  }
  for (std::size_t count = 0;; count++) {
    if (may_come(seen, line, act + 1)) return true;
    if (count == acts[act]->puts.size()) return false;
    line.push_back(acts[act]->puts[count]);
  }
}

}  // namespace interproc::sweep
