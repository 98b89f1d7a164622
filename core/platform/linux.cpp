// platform.hpp on Linux: memfd, futex, pidfd, /proc. The robust list: linux_death_notice.cpp.
//
// Facts relied upon: memfd seals (Linux 3.17), FUTEX_WAIT_BITSET with an absolute monotonic time (2.6.25), pidfd_open
// (5.3; without it the start time in /proc decides), MADV_WIPEONFORK (4.14; without it pthread_atfork decides), and
// opening /proc/<pid>/fd/<n> of a pipe, which gives a new description of the same pipe to any process of the same user.
#include "platform.hpp"

#include "../faults.hpp"

#if !defined(__linux__)
#error "no platform file for this system yet: see core/platform/platform.hpp for what it must offer"
#endif

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include <climits>

namespace interproc::platform {

namespace {

Status fail(Fault* fault, const char* doing, int error_number) {
  *fault = Fault{error_number, doing, 0, 0};
  switch (error_number) {
    case EMFILE:
    case ENFILE:
      return Status::out_of_descriptors;
    case ENOMEM:
    case ENOSPC:
    case EFBIG:
      return Status::out_of_memory;
    default:
      return Status::system_error;
  }
}

// Reads a small /proc or /sys file into `text` (zero-terminated). False if it cannot be read.
bool read_small_file(const char* path, char* text, std::size_t capacity) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t count = read(fd, text, capacity - 1);
  close(fd);
  if (count < 0) return false;
  text[count] = 0;
  return true;
}

// A program that runs in a process: in the low bits when the process started, which exec() leaves as it is, above them a
// trace of where the program's first stack lies, which exec() lays anew, at random; 0 where either is hidden.
constexpr unsigned started_bits = 40;
constexpr std::uint64_t most_traces = (std::uint64_t{1} << (64 - started_bits)) - 1;
constexpr std::uint64_t started_in(std::uint64_t image) { return image & ((std::uint64_t{1} << started_bits) - 1); }
constexpr std::uint64_t stack_in(std::uint64_t image) { return image >> started_bits; }

// Fields 22 and 28 of /proc/<pid>/stat. The command name in field 2 may hold spaces and parentheses, so count from the
// last one. Of the main thread's file, which says the same: emulators of user mode, like qemu, show a process what they like
// as its own /proc/<pid>/stat, and others something else.
std::uint64_t image_of(std::uint32_t pid) {
  char path[48];
  snprintf(path, sizeof path, "/proc/%u/task/%u/stat", pid, pid);
  char text[1024];
  if (!read_small_file(path, text, sizeof text)) return 0;
  const char* field = strrchr(text, ')');
  std::uint64_t started = 0;
  std::uint64_t stack = 0;
  for (int number = 3; field != nullptr && number <= 28; number++) {
    field = strchr(field + 1, ' ');
    if (field == nullptr) break;
    if (number == 22) started = strtoull(field + 1, nullptr, 10);
    if (number == 28) stack = strtoull(field + 1, nullptr, 10);
  }
  if (started == 0) return 0;
  constexpr std::uint64_t stack_alignment = 16;
  std::uint64_t trace = stack != 0 ? 1 + stack / stack_alignment % most_traces : 0;
  return started_in(started) | trace << started_bits;
}

bool may_be_same(std::uint64_t one, std::uint64_t other) {
  bool is_hidden = stack_in(one) == 0 || stack_in(other) == 0;
  return started_in(one) == started_in(other) && (is_hidden || stack_in(one) == stack_in(other));
}

}  // namespace

// --- time and processors ---------------------------------------------------------------------------------------------

std::uint64_t monotonic_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec);
}

unsigned usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  unsigned cpus = 1;
  if (sched_getaffinity(0, sizeof set, &set) == 0) cpus = static_cast<unsigned>(CPU_COUNT(&set));
  char text[64];
  if (read_small_file("/sys/fs/cgroup/cpu.max", text, sizeof text)) {
    unsigned long long quota = 0, period = 0;
    if (sscanf(text, "%llu %llu", &quota, &period) == 2 && period > 0) {
      unsigned allowed = static_cast<unsigned>(quota / period);
      if (allowed < cpus) cpus = allowed;
    }
  }
  return cpus > 0 ? cpus : 1;
}

// --- sleeping --------------------------------------------------------------------------------------------------------

Sleep sleep_on(const Shared32& word, std::uint32_t expected, std::uint64_t deadline_ns) {
  timespec until;
  until.tv_sec = static_cast<time_t>(deadline_ns / 1'000'000'000u);
  until.tv_nsec = static_cast<long>(deadline_ns % 1'000'000'000u);
  long result = syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, expected, &until, nullptr, FUTEX_BITSET_MATCH_ANY);
  if (result == 0) return Sleep::woken;
  switch (errno) {
    case EAGAIN:
      return Sleep::changed;
    case ETIMEDOUT:
      return Sleep::timed_out;
    default:
      return Sleep::interrupted;
  }
}

int wake(Shared32& word, int count) {
  if (faults::hit(faults::Point::dropped_wake)) return count;
  if (faults::hit(faults::Point::delayed_wake)) poll(nullptr, 0, 5);
  long woken = syscall(SYS_futex, &word, FUTEX_WAKE, count, nullptr, nullptr, 0);
  return woken < 0 ? 0 : static_cast<int>(woken);
}

// --- identity --------------------------------------------------------------------------------------------------------

namespace {

std::uint64_t last_epoch = 0;
std::uint64_t* epoch_word = nullptr;  // on a page that the kernel wipes in a forked child
std::uint64_t epoch_word_without_page = 0;
Identity identity{};
std::uint64_t identity_epoch = 0;

std::uint64_t renew_epoch() {
  if (epoch_word == nullptr) {
    void* page = mmap(nullptr, page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool wiped = page != MAP_FAILED && madvise(page, page_bytes, MADV_WIPEONFORK) == 0;
    epoch_word = wiped ? static_cast<std::uint64_t*>(page) : &epoch_word_without_page;
    pthread_atfork(nullptr, nullptr, [] { __atomic_store_n(epoch_word, 0, __ATOMIC_RELAXED); });
  }
  std::uint64_t epoch = __atomic_add_fetch(&last_epoch, 1, __ATOMIC_RELAXED);
  std::uint64_t none = 0;
  __atomic_compare_exchange_n(epoch_word, &none, epoch, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  return __atomic_load_n(epoch_word, __ATOMIC_RELAXED);
}

// Before main and before any thread of ours, so that the page exists once.
[[maybe_unused]] const std::uint64_t first_epoch = renew_epoch();

}  // namespace

std::uint64_t process_epoch() {
  std::uint64_t epoch = __atomic_load_n(epoch_word, __ATOMIC_RELAXED);
  return epoch != 0 ? epoch : renew_epoch();
}

const Identity& self() {
  std::uint64_t epoch = process_epoch();
  if (__atomic_load_n(&identity_epoch, __ATOMIC_ACQUIRE) != epoch) {
    Identity fresh{};
    fresh.pid = static_cast<std::uint32_t>(getpid());
    fresh.image = image_of(fresh.pid);
    struct stat space;
    fresh.pid_namespace = stat("/proc/self/ns/pid", &space) == 0 ? space.st_ino : 0;
    identity = fresh;  // racing threads write the same values
    __atomic_store_n(&identity_epoch, epoch, __ATOMIC_RELEASE);
  }
  return identity;
}

void at_fork(void (*before)(), void (*parent)(), void (*child)()) { pthread_atfork(before, parent, child); }

bool is_alive(std::uint32_t pid, std::uint64_t image) {
#if defined(SYS_pidfd_open)
  int fd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (fd < 0) {
    if (errno == ESRCH) return false;
  } else {
    pollfd ended{fd, POLLIN, 0};
    int ready = poll(&ended, 1, 0);  // readable once the whole process has ended, zombie or not
    close(fd);
    if (ready > 0) return false;
  }
#endif
  if (image == 0) return true;
  std::uint64_t found = image_of(pid);
  if (found != 0) return may_be_same(found, image);
  char path[40];
  snprintf(path, sizeof path, "/proc/%u", pid);
  // Gone since, unless /proc hides the processes of others, as hidepid does.
  return !(access(path, F_OK) != 0 && errno == ENOENT && access("/proc/1", F_OK) == 0);
}

// --- memory ----------------------------------------------------------------------------------------------------------

namespace {
constexpr int all_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
}  // namespace

std::uint64_t physical_bytes() {
  struct sysinfo info;
  if (sysinfo(&info) != 0) return std::uint64_t{1} << 32;
  return static_cast<std::uint64_t>(info.totalram) * info.mem_unit;
}

std::uint64_t address_space_limit() {
  rlimit limit;
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return UINT64_MAX;
  return limit.rlim_cur;
}

Status create_memory(std::uint64_t size_bytes, int* fd, Fault* fault) {
  int memory = faults::call([] { return memfd_create("interproc", MFD_CLOEXEC | MFD_ALLOW_SEALING); });
  if (memory < 0) return fail(fault, "memfd_create", errno);
  const char* doing = nullptr;
  if (faults::call([&] { return ftruncate(memory, static_cast<off_t>(size_bytes)); }) != 0) {
    doing = "ftruncate";
  } else if (faults::call([&] { return fcntl(memory, F_ADD_SEALS, all_seals); }) != 0) {
    doing = "fcntl(F_ADD_SEALS)";
  }
  if (doing != nullptr) {
    int error_number = errno;
    close(memory);
    return fail(fault, doing, error_number);
  }
  *fd = memory;
  return Status::ok;
}

std::uint64_t resident_bytes(int fd) {
  struct stat info;
  return fstat(fd, &info) == 0 ? static_cast<std::uint64_t>(info.st_blocks) * 512 : 0;
}

Status memory_size(int fd, std::uint64_t* size_bytes, Fault* fault) {
  int seals = faults::call([&] { return fcntl(fd, F_GET_SEALS); });
  if (seals < 0 || (seals & all_seals) != all_seals) {
    *fault = Fault{seals < 0 ? errno : 0, "seals of the descriptor", static_cast<std::uint64_t>(seals < 0 ? 0 : seals),
                   all_seals};
    return Status::bad_segment;
  }
  struct stat info;
  if (faults::call([&] { return fstat(fd, &info); }) != 0) return fail(fault, "fstat", errno);
  *size_bytes = static_cast<std::uint64_t>(info.st_size);
  return Status::ok;
}

Status map_memory(int fd, std::uint64_t size_bytes, std::byte** base, Fault* fault) {
  void* address = faults::call(
      [&] { return mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0); });
  if (address == MAP_FAILED) {
    Status status = fail(fault, "mmap", errno);
    fault->found = size_bytes;
    return status;
  }
  madvise(address, size_bytes, MADV_DONTDUMP);  // a core file of 32 GiB of zeros helps nobody
  *base = static_cast<std::byte*>(address);
  return Status::ok;
}

void unmap_memory(std::byte* base, std::uint64_t size_bytes) { munmap(base, size_bytes); }

Status reserve(int fd, std::uint64_t offset, std::uint64_t size_bytes, Fault* fault) {
  for (;;) {
    auto from = static_cast<off_t>(offset);
    auto length = static_cast<off_t>(size_bytes);
    if (faults::call([&] { return fallocate(fd, FALLOC_FL_KEEP_SIZE, from, length); }) == 0) return Status::ok;
    if (errno == EOPNOTSUPP) return Status::ok;  // a sandbox without it: touching is all there is
    if (errno != EINTR) break;
  }
  Status status = fail(fault, "fallocate", errno);
  fault->found = size_bytes;
  return status;
}

void give_back(int fd, std::uint64_t offset, std::uint64_t size_bytes) {
  std::uint64_t begin = (offset + page_bytes - 1) / page_bytes * page_bytes;
  std::uint64_t end = (offset + size_bytes) / page_bytes * page_bytes;
  if (begin >= end) return;
  // A failure leaves the pages where they are: more memory used, nothing wrong.
  [[maybe_unused]] int result = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(begin),
                                          static_cast<off_t>(end - begin));
}

void random_bytes(std::uint8_t* destination, std::size_t size_bytes) {
  std::size_t filled = 0;
  while (filled < size_bytes) {
    ssize_t count = getrandom(destination + filled, size_bytes - filled, 0);
    if (count > 0) filled += static_cast<std::size_t>(count);
  }
}

// --- doorbells and lifelines -----------------------------------------------------------------------------------------

namespace {

Status open_pipe(const char* path, int flags, std::uint64_t inode, int* fd, Fault* fault) {
  int opened = faults::call([&] { return open(path, flags | O_NONBLOCK | O_CLOEXEC); });
  if (opened < 0) {
    Status status = fail(fault, "open of another process's doorbell", errno);
    return status == Status::system_error ? Status::peer_gone : status;
  }
  struct stat info;
  if (fstat(opened, &info) != 0 || !S_ISFIFO(info.st_mode) || (inode != 0 && info.st_ino != inode)) {
    *fault = Fault{0, "identity of a doorbell", info.st_ino, inode};
    close(opened);
    return Status::peer_gone;
  }
  *fd = opened;
  return Status::ok;
}

}  // namespace

Status create_doorbell(int* fd, std::uint64_t* inode, Fault* fault) {
  int ends[2];
  if (faults::call([&] { return pipe2(ends, O_NONBLOCK | O_CLOEXEC); }) != 0) return fail(fault, "pipe2", errno);
  struct stat info;
  fstat(ends[0], &info);
  char path[40];
  snprintf(path, sizeof path, "/proc/self/fd/%d", ends[1]);
  Status status = open_pipe(path, O_RDWR, info.st_ino, fd, fault);
  close(ends[0]);
  close(ends[1]);
  if (status == Status::ok) *inode = info.st_ino;
  return status;
}

Status open_doorbell(std::uint32_t pid, int peer_fd, std::uint64_t inode, int* fd, Fault* fault) {
  if (inode == 0) {  // would accept any pipe of that process
    *fault = Fault{0, "identity of a doorbell", 0, 0};
    return Status::peer_gone;
  }
  char path[48];
  snprintf(path, sizeof path, "/proc/%u/fd/%d", pid, peer_fd);
  return open_pipe(path, O_RDWR, inode, fd, fault);
}

void ring_doorbell(int fd) {
  static const char byte = 0;
  while (write(fd, &byte, 1) < 0 && errno == EINTR) {
  }
}

void clear_doorbell(int fd) {
  char bytes[256];
  ssize_t count;
  do {
    count = read(fd, bytes, sizeof bytes);
  } while (count == static_cast<ssize_t>(sizeof bytes) || (count < 0 && errno == EINTR));
}

Status ring_reading_end(int fd, Fault* fault) {
  char path[40];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  int writing = -1;
  Status status = open_pipe(path, O_WRONLY, 0, &writing, fault);
  if (status != Status::ok) return status;
  ring_doorbell(writing);
  close(writing);
  return Status::ok;
}

void close_descriptor(int fd) { close(fd); }

}  // namespace interproc::platform
