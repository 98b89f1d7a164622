#include "segment.hpp"

#include <string.h>

#include <new>

#include "attempt.hpp"
#include "channel_memory.hpp"
#include "lock.hpp"
#include "platform/platform.hpp"

namespace interproc {

namespace {

// New memory with everything in its header but the magic number and what its kind adds.
Status make_memory(SegmentKind kind, std::uint64_t size_bytes, std::uint64_t reserved_bytes, int* fd, std::byte** base,
                   Fault* fault) {
  Status status = platform::create_memory(size_bytes, fd, fault);
  if (status != Status::ok) return status;
  status = platform::map_memory(*fd, size_bytes, base, fault);
  if (status == Status::ok) {
    // The first pages now, so that a machine without memory says so here and not by a signal.
    status = platform::reserve(*fd, 0, reserved_bytes, fault);
    if (status != Status::ok) platform::unmap_memory(*base, size_bytes);
  }
  if (status != Status::ok) {
    platform::close_descriptor(*fd);
    return status;
  }
  auto* header = new (*base) SegmentHeader{};
  header->version = layout_version;
  header->word_bytes = sizeof(void*);
  platform::random_bytes(header->uuid, sizeof header->uuid);
  header->size_bytes = size_bytes;
  header->pid_namespace = platform::self().pid_namespace;
  header->lock_kind = chosen_lock();
  header->creator_pid = platform::self().pid;
  header->creator_fd = *fd;
  header->kind = kind;
  return Status::ok;
}

}  // namespace

// Takes over the mapping and the descriptor (-1: none); closes both where memory is out.
Status Segment::own(int fd, std::byte* base, std::size_t size_bytes, std::shared_ptr<Segment>* segment, Fault* fault) {
  std::unique_ptr<Segment> made(new (std::nothrow) Segment(fd, base, size_bytes));
  if (made != nullptr && share(made, segment)) return Status::ok;
  if (made == nullptr) {
    if (fd >= 0) platform::close_descriptor(fd);
    platform::unmap_memory(base, size_bytes);
  }
  return out_of_memory(fault);
}

Status Segment::create(std::uint32_t channel_count, const ChannelOptions& options, std::shared_ptr<Segment>* segment,
                       Fault* fault) {
  if (channel_count == 0 || channel_count > max_channels) {
    *fault = Fault{0, "number of channels", channel_count, max_channels};
    return Status::bad_segment;
  }
  ChannelControl plan{};
  std::uint64_t channel_bytes = plan_channel(options, channel_count, &plan);
  std::uint64_t size_bytes = page_bytes + channel_bytes * channel_count;
  int fd = -1;
  std::byte* base = nullptr;
  Status status = make_memory(SegmentKind::channels, size_bytes, 2 * page_bytes, &fd, &base, fault);
  if (status != Status::ok) return status;

  auto* header = reinterpret_cast<SegmentHeader*>(base);
  header->channel_count = channel_count;
  for (std::uint32_t i = 0; i < channel_count; i++) {
    std::uint64_t at = page_bytes + channel_bytes * i;
    header->channel_offset[i] = at;
    auto* control = new (base + at) ChannelControl{};
    plan_channel(options, channel_count, control);
    control->warm_chunks = no_chunk;
    control->cold_chunks = no_chunk;
    control->arena_end = cache_line;  // offset 0 means "no block"
  }
  header->magic = segment_magic;
  return own(fd, base, size_bytes, segment, fault);
}

Status Segment::create_plain(SegmentKind kind, std::uint64_t size_bytes, std::uint64_t reserved_bytes,
                             std::shared_ptr<Segment>* segment, Fault* fault) {
  int fd = -1;
  std::byte* base = nullptr;
  Status status = make_memory(kind, size_bytes, reserved_bytes, &fd, &base, fault);
  if (status != Status::ok) return status;
  reinterpret_cast<SegmentHeader*>(base)->magic = segment_magic;
  return own(fd, base, size_bytes, segment, fault);
}

Status Segment::attach(int fd, const std::uint8_t* uuid, std::shared_ptr<Segment>* segment, Fault* fault) {
  std::uint64_t size_bytes = 0;
  Status status = platform::memory_size(fd, &size_bytes, fault);
  if (status != Status::ok) return status;
  if (size_bytes < 2 * page_bytes || size_bytes % page_bytes != 0) {
    *fault = Fault{0, "size of the segment", size_bytes, 2 * page_bytes};
    return Status::bad_segment;
  }
  std::byte* base = nullptr;
  status = platform::map_memory(fd, size_bytes, &base, fault);
  if (status != Status::ok) return status;

  const auto& header = *reinterpret_cast<const SegmentHeader*>(base);
  const std::uint64_t my_namespace = platform::self().pid_namespace;
  if (header.magic != segment_magic) {
    *fault = Fault{0, "magic number", header.magic, segment_magic};
    status = Status::bad_segment;
  } else if (header.version != layout_version) {
    *fault = Fault{0, "layout version", header.version, layout_version};
    status = Status::layout_mismatch;
  } else if (header.word_bytes != sizeof(void*)) {
    *fault = Fault{0, "word size", header.word_bytes, sizeof(void*)};
    status = Status::layout_mismatch;
  } else if (header.size_bytes != size_bytes) {
    *fault = Fault{0, "size in the header", header.size_bytes, size_bytes};
    status = Status::bad_segment;
  } else if (header.kind < SegmentKind::channels || header.kind > SegmentKind::heap) {
    *fault = Fault{0, "kind of the segment", static_cast<std::uint64_t>(header.kind), 1};
    status = Status::bad_segment;
  } else if ((header.kind == SegmentKind::channels) != (header.channel_count != 0) ||
             header.channel_count > max_channels) {
    *fault = Fault{0, "channel index", header.channel_count, max_channels};
    status = Status::bad_segment;
  } else if (uuid != nullptr && memcmp(uuid, header.uuid, sizeof header.uuid) != 0) {
    *fault = Fault{0, "identity of the segment", 0, 0};
    status = Status::peer_gone;
  } else if (header.pid_namespace != 0 && my_namespace != 0 && header.pid_namespace != my_namespace) {
    *fault = Fault{0, "PID namespace", my_namespace, header.pid_namespace};
    status = Status::foreign_namespace;
  } else if (!lock_supported(header.lock_kind)) {
    *fault = Fault{0, "lock kind", static_cast<std::uint64_t>(header.lock_kind), 0};
    status = Status::lock_unsupported;
  }
  std::shared_ptr<Segment> attached;
  if (status == Status::ok) {
    status = own(-1, base, size_bytes, &attached, fault);
    if (status != Status::ok) return status;
    ChannelMemory memory;
    for (std::uint32_t i = 0; i < header.channel_count && status == Status::ok; i++) {
      status = check_channel(*attached, i, &memory, fault);
    }
    if (status == Status::ok) {
      attached->fd_ = fd;
      *segment = std::move(attached);
    }
    return status;
  }
  platform::unmap_memory(base, size_bytes);
  return status;
}

Segment::~Segment() {
  if (fd_ >= 0) platform::close_descriptor(fd_);  // -1: attach() refused it, and it stays the caller's
  platform::unmap_memory(base_, size_bytes_);
}

}  // namespace interproc
