// Input: bytes that a fuzzer chose, read as decisions. When they are used up everything is zero.
#pragma once

#include <cstddef>
#include <cstdint>

namespace interproc::fuzz {

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size_bytes) : data_(data), left_(size_bytes) {}
  bool has_more() const { return left_ != 0; }
  std::uint64_t number(std::size_t width_bytes) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < width_bytes && left_ > 0; i++, left_--) value |= std::uint64_t{*data_++} << (8 * i);
    return value;
  }
  std::uint64_t below(std::uint64_t limit) { return number(limit > 256 ? 8 : 1) % limit; }

 private:
  const std::uint8_t* data_;
  std::size_t left_;
};

// Makes a segment, writes over it as the bytes say, and does everything with it that a process can do. Ends the process
// where something comes back that no operation documents.
void run(Input input);

}  // namespace interproc::fuzz
