// Damage: what a segment is written over with, and what must hold whatever lies in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "fuzz/input.hpp"
#include "segment.hpp"

namespace interproc::fuzz {

// A moment from now: nobody comes to wake who sleeps here.
std::uint64_t soon_ns();

// Ends the process unless it holds.
void require(bool holds, const char* what);
void require_documented(Status status);

// Pages beside the mapping that nobody may touch, where the place is free.
class Fence {
 public:
  explicit Fence(const Segment& segment);
  ~Fence();
  Fence(const Fence&) = delete;
  Fence& operator=(const Fence&) = delete;

 private:
  std::byte* before_;
  std::byte* after_;
};

struct Region {
  std::byte* begin;
  std::size_t size_bytes;
};

// Up to twelve words of these regions, each with a value that breaks things.
void write_over(Input& input, const Region* regions, std::size_t count);

// As another process would; nullptr if it is refused.
std::shared_ptr<Segment> attach_again(const Segment& segment);

void run_channel(Input& input);
void run_sync(Input& input);
void run_heap(Input& input);

}  // namespace interproc::fuzz
