// Shelves: what is free in the segments that this process made, in private memory.
//
// A shelf is one segment: fresh room at its end, and lists of pieces that came back, by kind and size. A piece is given
// out again only for the kind and size it had. Private, so that no death can damage it; a forked child, which could not
// agree with its parent about it, starts without shelves. A piece comes back only where nobody else can know it: it was
// never exported, and this process has not forked since it was given out.
// Everything here is called with the ProcessGuard held. What it hands back to be dropped is dropped after that.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "attempt.hpp"
#include "platform/platform.hpp"
#include "process_guard.hpp"
#include "status.hpp"

namespace interproc {

// When and by whom a piece was given out.
struct Provenance {
  std::uint64_t epoch = 0;
  std::uint64_t forks = 0;

  static Provenance now() { return {platform::process_epoch(), forks_so_far()}; }
  bool operator==(const Provenance&) const = default;
};

template <typename Store>
class Shelves {
 public:
  struct Kind {
    std::uint32_t kind;
    std::uint64_t size;
    auto operator<=>(const Kind&) const = default;
  };

  // In a forked child: forgets the parent's shelves. Drop the result.
  [[nodiscard]] std::shared_ptr<Store> renew() {
    if (epoch_ == platform::process_epoch()) return nullptr;
    epoch_ = platform::process_epoch();
    return retire();
  }

  // Forgets all shelves. Drop the result.
  [[nodiscard]] std::shared_ptr<Store> retire() {
    shelves_.clear();
    return std::exchange(newest_, nullptr);
  }

  // `grow(store, from, to)` makes fresh room usable. ok, full (add a shelf), what `grow` returns.
  template <typename Grow>
  Status take(Kind kind, std::shared_ptr<Store>* store, std::uint64_t* at, Grow grow) {
    for (Shelf& shelf : shelves_) {
      auto found = shelf.free.find(kind);
      if (found == shelf.free.end() || found->second.empty()) continue;
      *store = shelf.store.lock();
      if (*store == nullptr) continue;
      *at = found->second.back();
      found->second.pop_back();
      return Status::ok;
    }
    if (newest_ == nullptr || kind.size > shelves_.front().end - shelves_.front().fresh) return Status::full;
    Shelf& shelf = shelves_.front();
    Status status = grow(*newest_, shelf.fresh, shelf.fresh + kind.size);
    if (status != Status::ok) return status;
    *store = newest_;
    *at = std::exchange(shelf.fresh, shelf.fresh + kind.size);
    return Status::ok;
  }

  // A new segment with room from `begin` to `end`. It stays at least until the next is added. Drop the result, which is
  // `store` itself where memory is out.
  [[nodiscard]] std::shared_ptr<Store> add(std::shared_ptr<Store> store, std::uint64_t begin, std::uint64_t end) {
    std::erase_if(shelves_, [](const Shelf& shelf) { return shelf.store.expired(); });
    if (!attempt([this] { shelves_.reserve(shelves_.size() + 1); })) return store;
    shelves_.insert(shelves_.begin(), Shelf{store, store.get(), begin, end, {}});
    return std::exchange(newest_, std::move(store));
  }

  void put_back(Kind kind, const Store* store, std::uint64_t at, const Provenance& given_out) {
    if (!(given_out == Provenance::now())) return;
    for (Shelf& shelf : shelves_) {
      if (shelf.key == store) {
        // Where memory is out the piece stays unused until its segment goes.
        attempt([&] { shelf.free[kind].push_back(at); });
        return;
      }
    }
  }

 private:
  struct Shelf {
    std::weak_ptr<Store> store;
    const Store* key;
    std::uint64_t fresh;
    std::uint64_t end;
    std::map<Kind, std::vector<std::uint64_t>> free;
  };

  std::vector<Shelf> shelves_;  // the newest first
  std::shared_ptr<Store> newest_;
  std::uint64_t epoch_ = 0;
};

}  // namespace interproc
