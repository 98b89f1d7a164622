#include "atomics.hpp"

#include <cmath>
#include <limits>
#include <thread>
#include <tuple>
#include <vector>

#include "testing/processes.hpp"

using namespace interproc;
using namespace interproc::testing;

namespace {

template <typename... T>
void for_each_type(auto body, std::tuple<T...>*) {
  (body(T{}), ...);
}

using Integers = std::tuple<std::int8_t, std::uint8_t, std::int16_t, std::uint16_t, std::int32_t, std::uint32_t,
                            std::int64_t, std::uint64_t>;
using Floats = std::tuple<float, double>;

}  // namespace

TEST(numbers_of_every_type_are_loaded_stored_and_exchanged) {
  auto body = []<typename T>(T) {
    T word{};
    atomics::store<T>(&word, 5);
    CHECK(atomics::load<T>(&word) == 5);
    CHECK(atomics::exchange<T>(&word, 7) == 5);
    CHECK(atomics::add<T>(&word, 3) == 7);
    CHECK(atomics::sub<T>(&word, 4) == 10);
    CHECK(atomics::max<T>(&word, 4) == 6);
    CHECK(atomics::max<T>(&word, 9) == 6);
    CHECK(atomics::min<T>(&word, 11) == 9);
    CHECK(atomics::min<T>(&word, 2) == 9);
    T expected = 3;
    CHECK(!atomics::compare_exchange<T>(&word, &expected, 8));
    CHECK(expected == 2);
    CHECK(atomics::compare_exchange<T>(&word, &expected, 8));
    CHECK(word == 8);
  };
  for_each_type(body, static_cast<Integers*>(nullptr));
  for_each_type(body, static_cast<Floats*>(nullptr));
}

TEST(integers_wrap_around_and_compare_by_sign) {
  for_each_type(
      []<typename T>(T) {
        T word = std::numeric_limits<T>::max();
        CHECK(atomics::add<T>(&word, 1) == std::numeric_limits<T>::max());
        CHECK(word == std::numeric_limits<T>::min());
        CHECK(atomics::sub<T>(&word, 1) == std::numeric_limits<T>::min());
        CHECK(word == std::numeric_limits<T>::max());
        if constexpr (std::is_signed_v<T>) {
          CHECK(atomics::min<T>(&word, -3) == std::numeric_limits<T>::max());
          CHECK(atomics::max<T>(&word, -5) == -3);
          CHECK(word == -3);
        }
      },
      static_cast<Integers*>(nullptr));
}

TEST(bits_are_set_cleared_and_flipped) {
  for_each_type(
      []<typename T>(T) {
        T word = 0b1100;
        CHECK(atomics::bit_and<T>(&word, 0b0110) == 0b1100);
        CHECK(atomics::bit_or<T>(&word, 0b0001) == 0b0100);
        CHECK(atomics::bit_xor<T>(&word, 0b0111) == 0b0101);
        CHECK(word == 0b0010);
      },
      static_cast<Integers*>(nullptr));
}

TEST(floating_point_goes_by_value) {
  double word = -0.0;
  double expected = 0.0;
  CHECK(atomics::compare_exchange<double>(&word, &expected, 1.5));
  CHECK_EQ(word, 1.5);
  word = std::nan("");
  expected = word;
  CHECK(!atomics::compare_exchange<double>(&word, &expected, 1.0));
  CHECK(std::isnan(atomics::max<double>(&word, 2.0)));
  CHECK_EQ(word, 2.0);
  CHECK_EQ(atomics::max<double>(&word, std::nan("")), 2.0);
  CHECK_EQ(atomics::min<double>(&word, std::nan("")), 2.0);
  CHECK_EQ(word, 2.0);
}

TEST(neighbours_are_left_alone) {
  std::uint8_t bytes[3] = {1, 255, 3};
  atomics::add<std::uint8_t>(&bytes[1], 1);
  CHECK_EQ(bytes[0], 1);
  CHECK_EQ(bytes[1], 0);
  CHECK_EQ(bytes[2], 3);
}

TEST(threads_lose_no_addition) {
  std::int64_t whole = 0;
  double real = 0;
  float small = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++) {
    threads.emplace_back([&] {
      for (int round = 0; round < 10'000; round++) {
        atomics::add<std::int64_t>(&whole, 1);
        atomics::add<double>(&real, 0.5);
        atomics::add<float>(&small, 1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(whole, 40'000);
  CHECK_EQ(real, 20'000.0);
  CHECK_EQ(small, 40'000.0f);
}

FORK_TEST(processes_lose_no_addition) {
  struct Words {
    std::int32_t whole;
    double real;
  };
  Shared<Words> words;
  std::vector<pid_t> children;
  for (int i = 0; i < 4; i++) {
    children.push_back(start_child([&] {
      for (int round = 0; round < 10'000; round++) {
        atomics::add<std::int32_t>(&words->whole, 1);
        atomics::add<double>(&words->real, 0.25);
      }
    }));
  }
  for (pid_t child : children) finish_child(child);
  CHECK_EQ(words->whole, 40'000);
  CHECK_EQ(words->real, 10'000.0);
}
