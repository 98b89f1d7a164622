// The contract with the operating system. The files of one system keep it; nothing else in the core makes system calls.
//
// Every function may be called from any thread. None allocates unless it says so. "Sleeps" marks the only ones that may
// block for long. Faults carry errno and the name of the failing call.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../layout.hpp"
#include "../status.hpp"

namespace interproc::platform {

// --- time and processors -------------------------------------------------------------------------------------------
std::uint64_t monotonic_ns();  // the same clock in every process of this boot
unsigned usable_cpus();        // affinity, capped by the control group's quota; at least 1. Two system calls.

// --- sleeping on a word in shared memory ---------------------------------------------------------------------------
enum class Sleep { woken, changed, timed_out, interrupted };
// Sleeps until a wake, a signal or the deadline; `changed` at once if the word is not `expected`.
Sleep sleep_on(const Shared32& word, std::uint32_t expected, std::uint64_t deadline_ns);
int wake(Shared32& word, int count);  // how many sleepers were woken

// --- identity ------------------------------------------------------------------------------------------------------
// Differs in every process made by fork, also by a raw clone. Cheap: one load.
std::uint64_t process_epoch();

struct Identity {
  std::uint32_t pid;
  std::uint64_t image;          // with the pid, names one program in one process of one boot; 0 where unknown
  std::uint64_t pid_namespace;  // 0 where unknown
};
const Identity& self();  // cached per process; correct after fork

// Calls these around every fork() of this process, in the forking thread; not around a raw clone. Allocates.
void at_fork(void (*before)(), void (*after_in_parent)(), void (*after_in_child)());

// Conservative: false only if that process has surely ended (a zombie has) or another program runs in it since. About 5 us.
bool is_alive(std::uint32_t pid, std::uint64_t image);

// --- memory --------------------------------------------------------------------------------------------------------
std::uint64_t physical_bytes();
std::uint64_t address_space_limit();  // UINT64_MAX = none

// Anonymous, sparse, close-on-exec, sealed against resizing. out_of_memory, out_of_descriptors, system_error.
Status create_memory(std::uint64_t size_bytes, int* fd, Fault* fault);
// The size of sealed memory; bad_segment for anything else.
Status memory_size(int fd, std::uint64_t* size_bytes, Fault* fault);
Status map_memory(int fd, std::uint64_t size_bytes, std::byte** base, Fault* fault);
void unmap_memory(std::byte* base, std::uint64_t size_bytes);
// Reserves pages, so that touching them cannot fail later. out_of_memory.
Status reserve(int fd, std::uint64_t offset, std::uint64_t size_bytes, Fault* fault);
// Gives whole pages inside the range back to the system; they read as zero afterwards.
void give_back(int fd, std::uint64_t offset, std::uint64_t size_bytes);
// How much memory it really holds.
std::uint64_t resident_bytes(int fd);
// New private memory, in huge pages where the system has them. out_of_memory.
Status map_private(std::uint64_t size_bytes, std::byte** base, Fault* fault);
// Lays what is mapped at `from` over what is mapped at `to`. Whole pages. False: nothing has changed.
bool move_mapping(std::byte* from, std::uint64_t size_bytes, std::byte* to);
// A part of shared memory, whole pages, at an address from which it can be taken cheaply. out_of_memory.
Status map_part(int fd, std::uint64_t offset, std::uint64_t size_bytes, std::byte** base, Fault* fault);
// Takes what map_part() mapped at `base` to another address, where its pages need not be touched anew, and leaves zeros of
// this process's own. The time does not depend on its size. False: nothing has changed.
bool take_mapping(std::byte* base, std::uint64_t size_bytes, std::byte** elsewhere);
void random_bytes(std::uint8_t* destination, std::size_t size_bytes);

// --- doorbells and lifelines ---------------------------------------------------------------------------------------
// One descriptor on a new pipe, open for reading and writing, non-blocking; `*inode` identifies the pipe.
Status create_doorbell(int* fd, std::uint64_t* inode, Fault* fault);
// Another process's pipe, opened anew. peer_gone, out_of_descriptors; bad_segment if it is not that pipe.
Status open_doorbell(std::uint32_t pid, int peer_fd, std::uint64_t inode, int* fd, Fault* fault);
void ring_doorbell(int fd);   // one byte; a full pipe is already readable
void clear_doorbell(int fd);  // takes all bytes
// Rings a pipe of which this process holds only the reading end.
Status ring_reading_end(int fd, Fault* fault);
void close_descriptor(int fd);

// --- death notice for lock words -----------------------------------------------------------------------------------
// The thread's own slot that the kernel looks at when the thread dies (Linux: the pending operation of its robust list).
class DeathNotice {
 public:
  // nullptr where the system has none. The result is this thread's and must not outlive it.
  static DeathNotice* of_this_thread();
  std::uint32_t owner() const { return owner_; }  // what the lock word holds while this thread owns it
  void expect(Shared32& word);                    // from now on the kernel repairs `word` if this thread dies
  void forget();

 private:
  friend struct DeathNoticeAccess;
  void* head_;
  std::intptr_t word_offset_;
  std::uint32_t owner_;
  std::uint64_t epoch_;
};
inline constexpr std::uint32_t owner_mask = 0x3fffffff;
inline constexpr std::uint32_t owner_died_bit = 0x40000000;
inline constexpr std::uint32_t waiters_bit = 0x80000000;
// Whether the kernel really keeps the notice: some sandboxes accept the calls and do nothing. Runs a short thread once
// per process. Allocates.
bool death_notice_works();

inline void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield" ::: "memory");
#endif
}

}  // namespace interproc::platform
