// Lent blocks: written by their producer before they are put, so that putting copies nothing.
//
// A message's slot names an ordinary block with its bytes, whose header leads to the first lent one, and each of those to
// the next. They are alive as long as that slot is committed, like the block that it names: each knows it as its `head`.
// Before the commit they are their producer's, after the take their consumer's, so no death leaves anything to repair.
#include "channel.hpp"

namespace interproc {

// --- lock held -------------------------------------------------------------------------------------------------------

Status Channel::room_for(const Message& message, std::uint64_t position, Fault* fault) {
  Status status = room_at(position, fault);
  if (status != Status::ok || message.lent_count == 0) return status;
  return arena_.may_put_back(message.lent, message.lent_count) ? Status::ok : Status::full;
}

// The last step before the commit: nothing that could fail comes after it.
void Channel::link_lent(const Message& message, std::uint64_t block, std::uint64_t position) {
  BlockHeader* last = arena_.find(block, 0);
  for (std::size_t i = 0; i < message.lent_count && last != nullptr; i++) {
    arena_.put_back(message.lent[i], block, position);
    last->next_lent = message.lent[i];
    last = arena_.find(message.lent[i], 0);
  }
  memory_.control->counters.lent += message.lent_count;
  memory_.control->counters.lent_bytes += message.lent_bytes;
}

// Makes the lent blocks of a message this process's own; returns whether it may keep them. One that cannot be true ends
// the row.
bool Channel::take_lent(const BlockHeader& header, std::uint64_t block, std::uint64_t position, Received* received) {
  bool may_keep = true;
  std::uint64_t lent = header.next_lent;
  std::uint64_t* link = &received->lent;
  for (std::size_t i = 0; i < most_lent && lent != no_block; i++) {
    BlockHeader* found = arena_.find(lent, 0);
    bool is_of_message = found != nullptr && found->head == block && found->ticket == position &&
                         (found->owner == owner_queued || found->owner == token());
    if (!is_of_message) break;
    if (!arena_.take(lent, token())) may_keep = false;
    *link = lent;
    link = &found->next_lent;
    received->lent_bytes += found->length;
    lent = found->next_lent;
  }
  *link = no_block;
  return may_keep;
}

void Channel::drop_lent(std::uint64_t block) {
  for (std::size_t i = 0; i < most_lent && block != no_block; i++) {
    const BlockHeader* header = arena_.find(block, 0);
    if (header == nullptr) return;
    std::uint64_t next = header->next_lent;
    arena_.free(block);
    block = next;
  }
}

// --- lock not held ---------------------------------------------------------------------------------------------------

Status Channel::lend(std::uint64_t payload_bytes, std::uint64_t* block, std::uint8_t** data, Fault* fault) {
  *block = no_block;
  if (leases_ != nullptr) return Status::full;  // a message that may come again is kept by the one block of its lease
  Arena::Wanted wanted{payload_bytes, true, true};
  if (!arena_.can_hold(wanted)) return Status::full;
  Status status = enter(true, fault);
  if (status != Status::ok) return status;
  bool unbacked = false;
  status = is_shut_down() ? Status::shut_down : arena_.allocate(wanted, token(), block, &unbacked, fault);
  if (status == Status::ok && !arena_.take(*block, token())) {
    arena_.free(*block);
    status = Status::full;
  }
  leave();
  if (status != Status::ok) return status;
  *data = arena_.payload(*block);
  if (!unbacked) return status;

  status = arena_.back(*block, payload_bytes, fault);
  Status entered = enter(true, fault);
  if (entered != Status::ok) return entered;
  if (status == Status::ok) {
    arena_.note_backed(*block, payload_bytes);
  } else {
    arena_.free(*block);
  }
  leave();
  return status;
}

bool Channel::read_lent(std::uint64_t block, LentPart* part) const {
  auto [header, size_class] = arena_.look_up(block, 0);
  if (header == nullptr) return false;
  part->data = arena_.payload(block);
  part->length = __atomic_load_n(&header->length, __ATOMIC_RELAXED);
  part->next = __atomic_load_n(&header->next_lent, __ATOMIC_RELAXED);
  return part->length <= class_bytes(size_class) - sizeof(BlockHeader);
}

}  // namespace interproc
