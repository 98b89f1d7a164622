// LiveViews: the row of this process's live views, and what a fork makes of them (see view.hpp).
//
// Its mutex is held around every fork. Everything here is called with it held, unless it says otherwise.
#pragma once

#include <mutex>

#include "layout.hpp"
#include "view.hpp"

namespace interproc {

class LiveViews {
 public:
  static std::mutex& mutex() { return mutex_; }
  static void add(View* view);
  // Whether the block is to be given back.
  static bool remove(View* view);

  static void before_fork();  // not held; holds it from here on
  static void after_fork_in_parent();
  static void after_fork_in_child();

  // What lies in the pages at both ends beside the view belongs to others.
  struct Pages {
    std::byte* start;
    std::uint64_t size_bytes;
  };
  static Pages pages_of(const View* view);

 private:
  static constinit std::mutex mutex_;
  static constinit View* first_;
  static constinit std::byte* copy_;
  static constinit std::uint64_t copy_bytes_;
};

}  // namespace interproc
