// DeathNotice on Linux: the pending slot of the thread's robust list.
#include <linux/futex.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "platform.hpp"

namespace interproc::platform {

namespace {

#if defined(__GLIBC__)
#define INTERPROC_STATIC_TLS __attribute__((tls_model("initial-exec")))
#else
#define INTERPROC_STATIC_TLS
#endif
thread_local DeathNotice notice_of_thread INTERPROC_STATIC_TLS;

// For a thread that has no list: musl before its first robust mutex, a child made by a raw clone.
thread_local robust_list_head own_list;

}  // namespace

struct DeathNoticeAccess {
  static DeathNotice* renew(DeathNotice* notice, std::uint64_t epoch) {
    robust_list_head* head = nullptr;
    std::size_t length = 0;
    notice->epoch_ = epoch;
    notice->head_ = nullptr;
    if (syscall(SYS_get_robust_list, 0, &head, &length) != 0) return nullptr;
    if (head == nullptr) {
      own_list = robust_list_head{{&own_list.list}, 0, nullptr};
      length = sizeof own_list;
      if (syscall(SYS_set_robust_list, &own_list, length) != 0) return nullptr;
      head = &own_list;
    }
    if (length != sizeof *head) return nullptr;
    notice->head_ = head;
    notice->word_offset_ = head->futex_offset;
    notice->owner_ = static_cast<std::uint32_t>(syscall(SYS_gettid));
    return notice;
  }
  static DeathNotice* find(std::uint64_t epoch) {
    DeathNotice* notice = &notice_of_thread;
    if (notice->epoch_ != epoch) return renew(notice, epoch);
    return notice->head_ != nullptr ? notice : nullptr;
  }
};

DeathNotice* DeathNotice::of_this_thread() { return DeathNoticeAccess::find(process_epoch()); }

// The compiler must keep the order of the slot and the word; the kernel reads both on this very thread's death.
void DeathNotice::expect(Shared32& word) {
  auto* head = static_cast<robust_list_head*>(head_);
  auto* entry = reinterpret_cast<robust_list*>(reinterpret_cast<std::intptr_t>(&word) - word_offset_);
  __atomic_store_n(&head->list_op_pending, entry, __ATOMIC_RELAXED);
  asm volatile("" ::: "memory");
}

void DeathNotice::forget() {
  auto* head = static_cast<robust_list_head*>(head_);
  asm volatile("" ::: "memory");
  __atomic_store_n(&head->list_op_pending, nullptr, __ATOMIC_RELAXED);
}

namespace {

bool probe_death_notice() {
  void* page = mmap(nullptr, page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return false;
  auto* word = static_cast<Shared32*>(page);
  auto die_holding = [](void* argument) -> void* {
    DeathNotice* notice = DeathNotice::of_this_thread();
    if (notice != nullptr) {
      auto* held = static_cast<Shared32*>(argument);
      notice->expect(*held);
      held->store(notice->owner() | waiters_bit);
    }
    return nullptr;
  };
  pthread_t thread;
  bool works = pthread_create(&thread, nullptr, die_holding, page) == 0;
  if (works) {
    pthread_join(thread, nullptr);
    works = word->load() == (owner_died_bit | waiters_bit);
  }
  munmap(page, page_bytes);
  return works;
}

}  // namespace

bool death_notice_works() {
  static const bool works = probe_death_notice();
  return works;
}

}  // namespace interproc::platform
