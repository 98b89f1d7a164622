#include "lent.hpp"

#include <string.h>

#include <mutex>
#include <utility>

#include "live_views.hpp"
#include "platform/platform.hpp"

namespace interproc {

Status Lent::make(Channel* channel, std::uint64_t payload_bytes, std::shared_ptr<Lent>* lent, Fault* fault) {
  std::uint64_t block = no_block;
  std::uint8_t* data = nullptr;
  Status status = channel->lend(payload_bytes, &block, &data, fault);
  if (status != Status::ok) return status;
  const Segment& segment = channel->segment();
  auto from = static_cast<std::uint64_t>(reinterpret_cast<std::byte*>(data) - segment.base());
  std::uint64_t offset = from / page_bytes * page_bytes;
  std::uint64_t size_bytes = (from + payload_bytes - offset + page_bytes - 1) / page_bytes * page_bytes;

  std::shared_ptr<Lent> made(new Lent);
  made->channel_ = channel->shared_from_this();
  made->length_ = payload_bytes;
  made->block_ = block;
  made->space_ = ViewSpace::of(segment);
  ViewSpace::Window window;
  if (made->space_ != nullptr) {
    std::lock_guard guard(LiveViews::mutex());
    window = made->space_->find_window(offset, size_bytes);
  }
  bool is_mapped = window.base != nullptr;
  if (made->space_ != nullptr && !is_mapped) {
    window = {nullptr, offset, size_bytes};
    is_mapped = platform::map_part(segment.fd(), offset, size_bytes, &window.base, fault) == Status::ok;
  }
  if (!is_mapped) {
    channel->release(block);
    return Status::full;
  }
  made->window_ = window;
  made->data_ = reinterpret_cast<std::uint8_t*>(window.base) + (from - offset);
  {
    std::lock_guard guard(LiveViews::mutex());
    LiveViews::add(made.get());
  }
  *lent = std::move(made);
  return Status::ok;
}

bool Lent::can_move() const {
  std::lock_guard guard(LiveViews::mutex());
  return is_live_ && !is_shared_;
}

Status Lent::begin_move(std::uint64_t* block, const std::uint8_t** payload, Fault* fault) {
  {
    std::lock_guard guard(LiveViews::mutex());
    if (platform::take_mapping(window_.base, window_.size_bytes, &elsewhere_)) {
      LiveViews::remove(this);
      *block = block_;
      *payload = reinterpret_cast<std::uint8_t*>(elsewhere_) + (reinterpret_cast<std::byte*>(data_) - window_.base);
      return Status::ok;
    }
  }
  std::uint8_t* copy = nullptr;
  Status status = channel_->lend(length_, &copy_, &copy, fault);
  if (status != Status::ok) return status;
  memcpy(copy, data_, length_);
  *block = copy_;
  *payload = data_;
  return Status::ok;
}

void Lent::end_move(bool was_put) {
  std::uint64_t copy = std::exchange(copy_, no_block);
  if (copy != no_block) {
    if (!was_put) channel_->release(copy);
    return;
  }
  std::uint64_t back = no_block;
  {
    std::lock_guard guard(LiveViews::mutex());
    if (elsewhere_ == nullptr || space_->epoch() != platform::process_epoch()) return;
    std::byte* pages = std::exchange(elsewhere_, nullptr);
    std::uint64_t block = std::exchange(block_, no_block);
    if (was_put) {
      space_->leave_window({pages, window_.offset, window_.size_bytes});
    } else if (platform::move_mapping(pages, window_.size_bytes, window_.base)) {
      block_ = block;
      LiveViews::add(this);
    } else {  // no memory for the kernel's books: private from here on
      memcpy(window_.base, pages, window_.size_bytes);
      space_->leave_window({pages, window_.offset, window_.size_bytes});
      back = block;
    }
  }
  if (back != no_block) channel_->release(back);
}

// The pages stay mapped while they are the block's; private ones go back to the system.
Lent::~Lent() {
  bool is_block = false;
  {
    std::lock_guard guard(LiveViews::mutex());
    is_block = is_live_ && !is_shared_;
    if (is_block) space_->leave_window(window_);
    if (!is_live_) platform::unmap_memory(window_.base, window_.size_bytes);
  }
  if (elsewhere_ != nullptr) platform::unmap_memory(elsewhere_, window_.size_bytes);
}

}  // namespace interproc
