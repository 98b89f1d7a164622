#include "view.hpp"

#include <string.h>

#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "platform/platform.hpp"

namespace interproc {

// Of this process; held around every fork.
class LiveViews {
 public:
  static void add(View* view) {
    std::lock_guard guard(mutex_);
    view->is_live_ = true;
    view->next_ = first_;
    if (first_ != nullptr) first_->previous_ = view;
    first_ = view;
  }

  // Whether the block is to be given back.
  static bool remove(View* view) {
    std::lock_guard guard(mutex_);
    if (!view->is_live_) return false;
    if (view->previous_ != nullptr) view->previous_->next_ = view->next_;
    if (view->next_ != nullptr) view->next_->previous_ = view->previous_;
    if (first_ == view) first_ = view->next_;
    if (!view->is_shared_) return true;
    static auto* const kept = new std::vector<std::shared_ptr<Channel>>;  // the blocks live as long as their channels
    kept->push_back(view->channel_);
    return false;
  }

  static std::mutex& mutex() { return mutex_; }

  static void before_fork() {
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

  static void after_fork_in_parent() {
    if (copy_bytes_ > 0) platform::unmap_memory(copy_, copy_bytes_);
    mutex_.unlock();
  }

  static void after_fork_in_child() {
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

 private:
  // What lies in the pages at both ends beside the view is copied, too, and read by nobody.
  struct Pages {
    std::byte* start;
    std::uint64_t size_bytes;
  };
  static Pages pages_of(const View* view) {
    auto first = reinterpret_cast<std::uintptr_t>(view->data_) / page_bytes * page_bytes;
    auto end = reinterpret_cast<std::uintptr_t>(view->data_) + view->length_;
    return {reinterpret_cast<std::byte*>(first), (end - first + page_bytes - 1) / page_bytes * page_bytes};
  }

  static constinit std::mutex mutex_;
  static constinit View* first_;
  static constinit std::byte* copy_;
  static constinit std::uint64_t copy_bytes_;
};

constinit std::mutex LiveViews::mutex_;
constinit View* LiveViews::first_ = nullptr;
constinit std::byte* LiveViews::copy_ = nullptr;
constinit std::uint64_t LiveViews::copy_bytes_ = 0;

namespace {

[[maybe_unused]] const bool is_watching = [] {
  platform::at_fork(LiveViews::before_fork, LiveViews::after_fork_in_parent, LiveViews::after_fork_in_child);
  return true;
}();

}  // namespace

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

ViewSpace::~ViewSpace() { platform::unmap_memory(base_, size_bytes_); }

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
  LiveViews::add(view.get());
  return view;
}

View::~View() {
  if (!LiveViews::remove(this)) return;
  channel_->release(block_);
  if (channel_->is_too_warm()) channel_->cool_down();
}

}  // namespace interproc
