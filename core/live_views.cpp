#include "live_views.hpp"

#include <string.h>

#include <utility>
#include <vector>

#include "platform/platform.hpp"

namespace interproc {

constinit std::mutex LiveViews::mutex_;
constinit View* LiveViews::first_ = nullptr;
constinit std::byte* LiveViews::copy_ = nullptr;
constinit std::uint64_t LiveViews::copy_bytes_ = 0;

void LiveViews::add(View* view) {
  view->is_live_ = true;
  view->previous_ = nullptr;
  view->next_ = first_;
  if (first_ != nullptr) first_->previous_ = view;
  first_ = view;
}

bool LiveViews::remove(View* view) {
  if (!view->is_live_) return false;
  if (view->previous_ != nullptr) view->previous_->next_ = view->next_;
  if (view->next_ != nullptr) view->next_->previous_ = view->previous_;
  if (first_ == view) first_ = view->next_;
  view->is_live_ = false;
  if (!view->is_shared_) return true;
  static auto* const kept = new std::vector<std::shared_ptr<Channel>>;  // the blocks live as long as their channels
  kept->push_back(view->channel_);
  return false;
}

LiveViews::Pages LiveViews::pages_of(const View* view) {
  auto first = reinterpret_cast<std::uintptr_t>(view->data_) / page_bytes * page_bytes;
  auto end = reinterpret_cast<std::uintptr_t>(view->data_) + view->length_;
  return {reinterpret_cast<std::byte*>(first), (end - first + page_bytes - 1) / page_bytes * page_bytes};
}

void LiveViews::before_fork() {
  mutex_.lock();
  copy_bytes_ = 0;
  for (const View* view = first_; view != nullptr; view = view->next_) copy_bytes_ += pages_of(view).size_bytes;
  if (copy_bytes_ == 0) return;
  Fault ignored;
  if (platform::map_private(copy_bytes_, &copy_, &ignored) != Status::ok) {
    copy_bytes_ = 0;
    for (View* view = first_; view != nullptr; view = view->next_) view->is_shared_ = true;
    return;
  }
  std::byte* to = copy_;
  for (const View* view = first_; view != nullptr; view = view->next_) {
    Pages pages = pages_of(view);
    memcpy(to, pages.start, pages.size_bytes);
    to += pages.size_bytes;
  }
}

void LiveViews::after_fork_in_parent() {
  if (copy_bytes_ > 0) platform::unmap_memory(copy_, copy_bytes_);
  mutex_.unlock();
}

void LiveViews::after_fork_in_child() {
  std::byte* from = copy_;
  std::uint64_t left = copy_bytes_;
  for (View* view = std::exchange(first_, nullptr); view != nullptr;) {
    Pages pages = pages_of(view);
    // Failing leaves these pages shared: there is no way to say so here.
    if (left > 0 && platform::move_mapping(from, pages.size_bytes, pages.start)) left -= pages.size_bytes;
    from += pages.size_bytes;
    view->is_live_ = false;
    view = view->next_;
  }
  mutex_.unlock();
}

namespace {

[[maybe_unused]] const bool is_watching = [] {
  platform::at_fork(LiveViews::before_fork, LiveViews::after_fork_in_parent, LiveViews::after_fork_in_child);
  return true;
}();

}  // namespace

}  // namespace interproc
