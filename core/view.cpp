#include "view.hpp"

#include <algorithm>
#include <utility>

#include "live_views.hpp"
#include "platform/platform.hpp"

namespace interproc {

std::shared_ptr<ViewSpace> ViewSpace::of(const Segment& segment) {
  std::shared_ptr<ViewSpace> old;  // unmapped after the guard
  std::lock_guard guard(LiveViews::mutex());
  std::uint64_t epoch = platform::process_epoch();
  if (segment.view_space_ != nullptr && segment.view_space_->epoch_ == epoch) return segment.view_space_;
  std::byte* base = nullptr;
  Fault ignored;
  if (platform::map_memory(segment.fd(), segment.size_bytes(), &base, &ignored) != Status::ok) return nullptr;
  old =
      std::exchange(segment.view_space_, std::shared_ptr<ViewSpace>(new ViewSpace(base, segment.size_bytes(), epoch)));
  return segment.view_space_;
}

ViewSpace::~ViewSpace() {
  platform::unmap_memory(base_, size_bytes_);
  for (const Window& window : idle_windows_) platform::unmap_memory(window.base, window.size_bytes);
}

ViewSpace::Window ViewSpace::find_window(std::uint64_t offset, std::uint64_t size_bytes) {
  auto fits = [&](const Window& window) { return window.offset == offset && window.size_bytes == size_bytes; };
  auto found = std::find_if(idle_windows_.begin(), idle_windows_.end(), fits);
  if (found == idle_windows_.end()) return {};
  Window window = *found;
  idle_windows_.erase(found);
  return window;
}

void ViewSpace::leave_window(const Window& window) {
  if (idle_windows_.size() == most_idle_windows) {
    platform::unmap_memory(idle_windows_.front().base, idle_windows_.front().size_bytes);
    idle_windows_.erase(idle_windows_.begin());
  }
  idle_windows_.push_back(window);
}

std::shared_ptr<View> View::make(Channel* channel, const std::uint8_t* data, std::uint64_t length,
                                 std::uint64_t block) {
  const Segment& segment = channel->segment();
  std::shared_ptr<ViewSpace> space = ViewSpace::of(segment);
  if (space == nullptr) return nullptr;
  std::shared_ptr<View> view(new View);
  view->channel_ = channel->shared_from_this();
  view->data_ =
      reinterpret_cast<std::uint8_t*>(space->base() + (reinterpret_cast<const std::byte*>(data) - segment.base()));
  view->length_ = length;
  view->block_ = block;
  view->space_ = std::move(space);
  channel->count_view(length);
  std::lock_guard guard(LiveViews::mutex());
  LiveViews::add(view.get());
  return view;
}

View::~View() {
  {
    std::lock_guard guard(LiveViews::mutex());
    if (!LiveViews::remove(this)) return;
  }
  channel_->release(block_);
  if (channel_->is_too_warm()) channel_->cool_down();
}

}  // namespace interproc
