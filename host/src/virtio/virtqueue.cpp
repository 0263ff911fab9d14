// SPDX-License-Identifier: MIT
// Split virtqueues: rings, descriptor chains and their validation.

#include "virtqueue.hpp"

#include <algorithm>
#include <bit>

namespace auklet::virtio {

namespace {

// virtio 1.2, 2.7.5: struct virtq_desc {
//     le64 addr; le32 len; le16 flags; le16 next; }
struct Descriptor {
    std::uint64_t address;
    std::uint32_t length;
    std::uint16_t flags;
    std::uint16_t next;
};
static_assert(sizeof(Descriptor) == 16);
constexpr std::uint16_t descriptor_next = 1;
constexpr std::uint16_t descriptor_write = 2;
constexpr std::uint16_t descriptor_indirect = 4;

// 2.7.6: struct virtq_avail {
//     le16 flags; le16 idx; le16 ring[size]; le16 used_event; }
constexpr std::uint64_t available_flags = 0;
constexpr std::uint64_t available_index = 2;
constexpr std::uint64_t available_ring = 4;
constexpr std::uint16_t available_no_interrupt = 1;

// 2.7.8: struct virtq_used {
//     le16 flags; le16 idx; struct { le32 id; le32 len; } ring[size];
//     le16 avail_event; }
struct UsedElement {
    std::uint32_t id;
    std::uint32_t length;
};
constexpr std::uint64_t used_flags = 0;
constexpr std::uint64_t used_index = 2;
constexpr std::uint64_t used_ring = 4;
constexpr std::uint16_t used_no_notify = 1;

// The sizes leave out used_event and avail_event at the ends. These belong to
// VIRTIO_F_EVENT_IDX, which the transport does not offer. Drivers reserve them
// all the same.
constexpr std::uint64_t descriptor_table_bytes(std::uint64_t size) { return size * sizeof(Descriptor); }
constexpr std::uint64_t available_bytes(std::uint64_t size) { return available_ring + size * 2; }
constexpr std::uint64_t used_bytes(std::uint64_t size) { return used_ring + size * sizeof(UsedElement); }

constexpr std::uint64_t longest_chain_bytes = std::uint64_t{1} << 32;

} // namespace

std::string_view message(QueueError error) {
    switch (error) {
    case QueueError::invalid_size:
        return "the queue size is not a power of two within the device's limit";
    case QueueError::misaligned:
        return "a part of the queue is not aligned";
    case QueueError::descriptor_table_out_of_bounds:
        return "the descriptor table is outside of memory";
    case QueueError::available_ring_out_of_bounds:
        return "the available ring is outside of memory";
    case QueueError::used_ring_out_of_bounds:
        return "the used ring is outside of memory";
    case QueueError::invalid_available_index:
        return "the available index is further ahead than the queue is long";
    case QueueError::head_out_of_range:
        return "the available ring names a descriptor that does not exist";
    case QueueError::next_out_of_range:
        return "a descriptor chain goes on to a descriptor that does not exist";
    case QueueError::descriptor_loop:
        return "a descriptor chain is longer than the queue (a loop)";
    case QueueError::indirect_not_negotiated:
        return "an indirect descriptor, which was not negotiated";
    case QueueError::indirect_within_indirect:
        return "an indirect descriptor in a table of indirect descriptors";
    case QueueError::indirect_goes_on:
        return "an indirect descriptor that goes on to another one";
    case QueueError::invalid_indirect_table:
        return "a table of indirect descriptors is empty, too long, or ends within a descriptor";
    case QueueError::indirect_table_out_of_bounds:
        return "a table of indirect descriptors is outside of memory";
    case QueueError::zero_length:
        return "a descriptor of length zero";
    case QueueError::readable_after_writable:
        return "a device-readable descriptor after a device-writable one";
    case QueueError::buffer_out_of_bounds:
        return "a buffer is outside of memory";
    case QueueError::chain_too_long:
        return "a descriptor chain has 2^32 bytes or more";
    }
    return "unknown queue error";
}

void BufferCursor::append(const GuestRegion& buffer) {
    buffers_.push_back(buffer);
    remaining_ += buffer.length();
}

template <typename Each> std::uint64_t BufferCursor::advance(std::uint64_t count, Each&& each) {
    std::uint64_t done = 0;
    while (done < count && current_ < buffers_.size()) {
        const auto& buffer = buffers_[current_];
        const auto part = std::min(count - done, buffer.length() - offset_);
        each(buffer.part(offset_, part));
        done += part;
        offset_ += part;
        if (offset_ == buffer.length()) {
            ++current_;
            offset_ = 0;
        }
    }
    remaining_ -= done;
    return done;
}

BufferCursor BufferCursor::take(std::uint64_t count) {
    BufferCursor taken;
    advance(count, [&](const GuestRegion& part) { taken.append(part); });
    return taken;
}

std::size_t Reader::read(std::span<std::byte> destination) {
    std::size_t done = 0;
    advance(destination.size(), [&](const GuestRegion& part) {
        const auto size = static_cast<std::size_t>(part.length());
        part.read(0, destination.subspan(done, size));
        done += size;
    });
    return done;
}

std::size_t Writer::write(std::span<const std::byte> source) {
    std::size_t done = 0;
    advance(source.size(), [&](const GuestRegion& part) {
        const auto size = static_cast<std::size_t>(part.length());
        part.write(0, source.subspan(done, size));
        done += size;
    });
    written_ += static_cast<std::uint32_t>(done);
    return done;
}

std::vector<GuestRegion> BufferCursor::take_regions() {
    std::vector<GuestRegion> regions;
    advance(remaining(), [&](const GuestRegion& part) { regions.push_back(part); });
    return regions;
}

std::expected<Virtqueue, QueueError> Virtqueue::create(GuestMemory& memory, const QueueAddresses& addresses,
                                                       std::uint32_t largest_size, bool indirect) {
    // 2.7: a queue size is a power of two, and at most 32768. No device has a
    // largest_size above that.
    if (!std::has_single_bit(addresses.size) || addresses.size > largest_size)
        return std::unexpected(QueueError::invalid_size);
    if (addresses.descriptors % 16 != 0 || addresses.available % 2 != 0 || addresses.used % 4 != 0)
        return std::unexpected(QueueError::misaligned);
    auto descriptors = memory.region(addresses.descriptors, descriptor_table_bytes(addresses.size));
    if (!descriptors)
        return std::unexpected(QueueError::descriptor_table_out_of_bounds);
    auto available = memory.region(addresses.available, available_bytes(addresses.size));
    if (!available)
        return std::unexpected(QueueError::available_ring_out_of_bounds);
    auto used = memory.region(addresses.used, used_bytes(addresses.size));
    if (!used)
        return std::unexpected(QueueError::used_ring_out_of_bounds);
    return Virtqueue(memory, addresses.size, *descriptors, *available, *used, indirect ? largest_size : 0);
}

std::expected<std::optional<DescriptorChain>, QueueError> Virtqueue::pop() {
    // Both indices run freely modulo 2^16 (2.7.6).
    seen_available_ = available_.load16(available_index);
    auto pending = static_cast<std::uint16_t>(seen_available_ - next_available_);
    if (pending == 0)
        return std::nullopt;
    if (pending > size_)
        return std::unexpected(QueueError::invalid_available_index);
    auto head = available_.load16(available_ring + std::uint64_t{2} * (next_available_ & (size_ - 1)));
    auto chain = collect(head);
    if (!chain)
        return std::unexpected(chain.error());
    ++next_available_;
    ++popped_;
    return std::move(*chain);
}

std::expected<DescriptorChain, QueueError> Virtqueue::collect(std::uint16_t head) const {
    if (head >= size_)
        return std::unexpected(QueueError::head_out_of_range);
    DescriptorChain chain{head, {}, {}};
    GuestRegion table = descriptors_;
    std::uint64_t entries = size_;
    bool nested = false;
    std::uint16_t index = head;
    for (std::uint64_t left = size_; left != 0; --left) {
        // Copy the descriptor once: the driver may change the table meanwhile.
        auto descriptor = table.read_structure<Descriptor>(std::uint64_t{index} * sizeof(Descriptor));
        if ((descriptor.flags & descriptor_indirect) != 0) {
            if (nested)
                return std::unexpected(QueueError::indirect_within_indirect);
            auto indirect =
                indirect_table(descriptor.address, descriptor.length, (descriptor.flags & descriptor_next) != 0);
            if (!indirect)
                return std::unexpected(indirect.error());
            table = *indirect;
            entries = table.length() / sizeof(Descriptor);
            nested = true;
            index = 0;
            left = entries + 1;
            continue;
        }
        if (descriptor.length == 0)
            return std::unexpected(QueueError::zero_length);
        auto buffer = memory_->region(descriptor.address, descriptor.length);
        if (!buffer)
            return std::unexpected(QueueError::buffer_out_of_bounds);
        if ((descriptor.flags & descriptor_write) != 0) {
            chain.writer.append(*buffer);
        } else {
            if (chain.writer.remaining() != 0)
                return std::unexpected(QueueError::readable_after_writable);
            chain.reader.append(*buffer);
        }
        // The used ring's length has 32 bits, so it could not report exactly
        // 2^32 written bytes either.
        if (chain.reader.remaining() + chain.writer.remaining() >= longest_chain_bytes)
            return std::unexpected(QueueError::chain_too_long);
        if ((descriptor.flags & descriptor_next) == 0)
            return chain;
        if (descriptor.next >= entries)
            return std::unexpected(QueueError::next_out_of_range);
        index = descriptor.next;
    }
    return std::unexpected(QueueError::descriptor_loop);
}

std::expected<GuestRegion, QueueError> Virtqueue::indirect_table(std::uint64_t address, std::uint32_t length,
                                                                 bool goes_on) const {
    if (longest_table_ == 0)
        return std::unexpected(QueueError::indirect_not_negotiated);
    if (goes_on)
        return std::unexpected(QueueError::indirect_goes_on);
    if (length == 0 || length % sizeof(Descriptor) != 0 || length / sizeof(Descriptor) > longest_table_)
        return std::unexpected(QueueError::invalid_indirect_table);
    auto table = memory_->region(address, length);
    if (!table)
        return std::unexpected(QueueError::indirect_table_out_of_bounds);
    return *table;
}

void Virtqueue::stage(std::uint16_t head, std::uint32_t written) {
    used_.write_structure(used_ring + sizeof(UsedElement) * (next_used_ & (size_ - 1)), UsedElement{head, written});
    ++next_used_;
}

void Virtqueue::publish() {
    // The atomic store publishes the elements: the driver reads the index
    // before it reads an element.
    used_.store16(used_index, next_used_);
    pushed_ = true;
}

void Virtqueue::suppress_notifications() {
    popped_ = 0;
    if (!suppressed_)
        used_.store16(used_flags, used_no_notify);
    suppressed_ = true;
    seen_available_ = available_.load16(available_index);
}

/// The driver stores its index, then a barrier, then reads the flag. The device
/// stores the flag, then reads the index; both accesses are sequentially
/// consistent. So one of the two sees what the other has stored: the driver
/// rings for a chain, or the device finds it here.
bool Virtqueue::allow_notifications() {
    if (suppressed_)
        used_.store16(used_flags, 0);
    suppressed_ = false;
    const auto index = available_.load16(available_index);
    // A device may leave chains that it has seen, and looks at them when it can
    // go on. But one that has taken as many as the queue holds may have ended
    // because of its limit. The driver has not rung for those that are left.
    return index != seen_available_ || (popped_ >= size_ && index != next_available_);
}

bool Virtqueue::take_interrupt() {
    if (!pushed_)
        return false;
    pushed_ = false;
    return (available_.load16(available_flags) & available_no_interrupt) == 0;
}

} // namespace auklet::virtio
