#include "leases.hpp"

#include <algorithm>
#include <new>

namespace interproc {

bool Leases::reserve(std::size_t more) {
  std::lock_guard guard(mutex_);
  if (end_ + more <= capacity_) return true;
  std::size_t count = end_ - first_;
  if (count + more > capacity_ / 2) {
    std::size_t capacity = std::max<std::size_t>(2 * (count + more), 16);
    std::unique_ptr<Lease[]> larger(new (std::nothrow) Lease[capacity]);
    if (larger == nullptr) return false;
    std::copy(leases_.get() + first_, leases_.get() + end_, larger.get());
    leases_ = std::move(larger);
    capacity_ = capacity;
  } else {
    std::copy(leases_.get() + first_, leases_.get() + end_, leases_.get());
  }
  first_ = 0;
  end_ = count;
  return true;
}

void Leases::add(std::uint64_t block, std::uint32_t deliveries) {
  std::lock_guard guard(mutex_);
  leases_[end_++] = Lease{block, std::this_thread::get_id(), deliveries};
}

void Leases::erase(std::size_t place) {
  if (place == first_) {
    first_++;
  } else {
    std::copy(leases_.get() + place + 1, leases_.get() + end_, leases_.get() + place);
    end_--;
  }
}

bool Leases::remove(std::uint64_t block) {
  std::lock_guard guard(mutex_);
  for (std::size_t i = first_; i < end_; i++) {
    if (leases_[i].block != block) continue;
    erase(i);
    return true;
  }
  return false;
}

bool Leases::pop(std::uint64_t* block) {
  std::lock_guard guard(mutex_);
  if (first_ == end_) return false;
  std::size_t place = first_;
  for (std::size_t i = first_; i < end_; i++) {
    if (leases_[i].thread != std::this_thread::get_id()) continue;
    place = i;
    break;
  }
  *block = leases_[place].block;
  erase(place);
  return true;
}

std::size_t Leases::count() {
  std::lock_guard guard(mutex_);
  return end_ - first_;
}

std::uint32_t Leases::deliveries() {
  std::lock_guard guard(mutex_);
  for (std::size_t i = end_; i-- > first_;) {
    if (leases_[i].thread == std::this_thread::get_id()) return leases_[i].deliveries;
  }
  return 0;
}

}  // namespace interproc
