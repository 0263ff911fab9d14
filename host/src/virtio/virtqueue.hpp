// SPDX-License-Identifier: MIT
// Split virtqueues, device side (virtio 1.2, section 2.7).
//
// A chain is validated once, as a whole, when it is taken from the available ring. The device then has only a Reader
// and a Writer, which cannot leave the chain's buffers.
#pragma once

#include "../guest_memory.hpp"

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace auklet::virtio {

/// Everything a driver can do wrong with a queue. Each stops the device until it is reset.
enum class QueueError : std::uint8_t {
    invalid_size, ///< 0, more than the device allows, or not a power of two
    misaligned,   ///< 2.7: descriptors at 16, available ring at 2, used ring at 4 bytes
    descriptor_table_out_of_bounds,
    available_ring_out_of_bounds,
    used_ring_out_of_bounds,
    invalid_available_index, ///< more new chains than the queue has descriptors
    head_out_of_range,       ///< an available ring entry is no descriptor number
    next_out_of_range,       ///< a `next` field is no descriptor number
    descriptor_loop,         ///< a chain longer than the queue
    indirect_not_negotiated,
    zero_length,
    readable_after_writable, ///< 2.7.4.2
    buffer_out_of_bounds,
    chain_too_long, ///< 2.7.5: more than 2^32 bytes in one chain
};

[[nodiscard]] std::string_view message(QueueError error);

/// The device-readable bytes of a chain.
class Reader {
  public:
    [[nodiscard]] std::uint64_t remaining() const { return remaining_; }
    /// Fills as much of `destination` as there is left; returns how much.
    std::size_t read(std::span<std::byte> destination);

  private:
    friend class Virtqueue;
    std::vector<GuestRegion> buffers_;
    std::size_t current_ = 0;
    std::uint64_t offset_ = 0;
    std::uint64_t remaining_ = 0;
};

/// The device-writable bytes of a chain.
class Writer {
  public:
    [[nodiscard]] std::uint64_t remaining() const { return remaining_; }
    [[nodiscard]] std::uint32_t written() const { return written_; }
    /// Writes as much of `source` as fits; returns how much.
    std::size_t write(std::span<const std::byte> source);

  private:
    friend class Virtqueue;
    std::vector<GuestRegion> buffers_;
    std::size_t current_ = 0;
    std::uint64_t offset_ = 0;
    std::uint64_t remaining_ = 0;
    std::uint32_t written_ = 0;
};

struct DescriptorChain {
    std::uint16_t head;
    Reader reader;
    Writer writer;
};

/// Where the driver put a queue.
struct QueueAddresses {
    std::uint32_t size;
    GuestAddress descriptors;
    GuestAddress available;
    GuestAddress used;
};

class Virtqueue {
  public:
    /// Checks that all three parts are inside the guest's memory.
    [[nodiscard]] static std::expected<Virtqueue, QueueError>
    create(GuestMemory& memory, const QueueAddresses& addresses, std::uint32_t largest_size);

    /// The next chain that the driver made available, if there is one.
    [[nodiscard]] std::expected<std::optional<DescriptorChain>, QueueError> pop();
    /// Gives a chain back, with what was written to it.
    void push(const DescriptorChain& chain);
    /// Whether chains were pushed since the last call and the driver wants to hear of it (2.7.7).
    [[nodiscard]] bool take_interrupt();

    [[nodiscard]] std::uint32_t size() const { return size_; }

  private:
    Virtqueue(GuestMemory& memory, std::uint32_t size, GuestRegion descriptors, GuestRegion available, GuestRegion used)
        : memory_(&memory), size_(size), descriptors_(descriptors), available_(available), used_(used) {}

    [[nodiscard]] std::expected<DescriptorChain, QueueError> collect(std::uint16_t head) const;

    GuestMemory* memory_;
    std::uint32_t size_;
    GuestRegion descriptors_;
    GuestRegion available_;
    GuestRegion used_;
    std::uint16_t next_available_ = 0;
    std::uint16_t next_used_ = 0;
    bool pushed_ = false;
};

} // namespace auklet::virtio
