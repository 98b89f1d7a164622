// View: a taken block that this process reads and writes where it lies, for as long as it likes.
//
// The block stays this participant's until the view goes; a killed process's are swept like all it owned. Views keep their
// Channel, which outlives the queue object for them (Channel::leave_views).
//
// At fork, parent and child must not see each other write, nor may the parent's giving a block back change what the child
// reads. So views lie in a mapping of their own (ViewSpace), where nothing else does: before a fork the bytes of all live
// views are copied to private memory, which in the child, before it runs, takes the place of the shared pages under the
// views; the parent drops its copy. A fork thus costs a memcpy of what is being viewed. Where there is no memory for the
// copy, the blocks stay where they are, shared, and the parent never gives them back. A raw clone shares them as well.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "channel.hpp"

namespace interproc {

// A second mapping of a segment.
class ViewSpace {
 public:
  // The segment's, made anew in a forked child, where the old one belongs to inherited views. nullptr: no address space.
  static std::shared_ptr<ViewSpace> of(const Segment& segment);
  ~ViewSpace();
  ViewSpace(const ViewSpace&) = delete;
  ViewSpace& operator=(const ViewSpace&) = delete;
  std::byte* base() const { return base_; }

  // Pages of the segment that are mapped once more, apart, for a lent block (lent.hpp). Idle ones are kept: their pages
  // need not be touched anew. Both with the mutex of LiveViews held.
  struct Window {
    std::byte* base = nullptr;  // nullptr: none
    std::uint64_t offset = 0;
    std::uint64_t size_bytes = 0;
  };
  Window find_window(std::uint64_t offset, std::uint64_t size_bytes);
  void leave_window(const Window& window);
  std::uint64_t epoch() const { return epoch_; }

 private:
  static constexpr std::size_t most_idle_windows = 64;

  ViewSpace(std::byte* base, std::size_t size_bytes, std::uint64_t epoch)
      : base_(base), size_bytes_(size_bytes), epoch_(epoch) {}

  std::byte* base_;
  std::size_t size_bytes_;
  std::uint64_t epoch_;
  std::vector<Window> idle_windows_;
};

class View {
 public:
  // Takes the block over. nullptr: it cannot be viewed here, and stays the caller's; copy it.
  static std::shared_ptr<View> make(Channel* channel, const std::uint8_t* data, std::uint64_t length,
                                    std::uint64_t block);
  // Gives the block back. Never sleeps.
  ~View();
  View(const View&) = delete;
  View& operator=(const View&) = delete;
  std::uint8_t* data() const { return data_; }

 protected:
  friend class LiveViews;
  View() = default;

  std::shared_ptr<Channel> channel_;
  std::shared_ptr<ViewSpace> space_;
  std::uint8_t* data_ = nullptr;
  std::uint64_t length_ = 0;
  std::uint64_t block_ = no_block;
  // In the row of live views: guarded by it.
  View* previous_ = nullptr;
  View* next_ = nullptr;
  bool is_live_ = false;    // false in a forked child: private memory
  bool is_shared_ = false;  // with a child that could not get a copy
};

}  // namespace interproc
