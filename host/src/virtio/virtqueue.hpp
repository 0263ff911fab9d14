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
#include <type_traits>
#include <utility>
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

/// A position in a list of buffers: what Reader and Writer have in common.
class BufferCursor {
  public:
    [[nodiscard]] std::uint64_t remaining() const { return remaining_; }
    /// Passes over all that is left: the places in guest memory that a backend may read or write itself. What it writes
    /// there does not count as written by a Writer.
    [[nodiscard]] std::vector<GuestRegion> take_regions();

  protected:
    void append(const GuestRegion& buffer);
    /// Goes on by at most `count` bytes, with `each(region)` for each part of a buffer on the way. Returns how many.
    template <typename Each> std::uint64_t advance(std::uint64_t count, Each&& each);
    /// Takes the next `count` bytes away from this cursor, fewer if there are not as many.
    [[nodiscard]] BufferCursor take(std::uint64_t count);

  private:
    std::vector<GuestRegion> buffers_;
    std::size_t current_ = 0;
    std::uint64_t offset_ = 0; ///< in buffers_[current_]
    std::uint64_t remaining_ = 0;
};

/// The device-readable bytes of a chain.
class Reader : public BufferCursor {
  public:
    Reader() = default;
    /// Fills as much of `destination` as there is left; returns how much.
    std::size_t read(std::span<std::byte> destination);
    /// A structure of the protocol, such as a request's header. Nothing if fewer bytes are left; they stay.
    template <typename T> [[nodiscard]] std::optional<T> read_structure() {
        static_assert(std::is_trivially_copyable_v<T>);
        T value;
        if (remaining() < sizeof value)
            return std::nullopt;
        read(std::as_writable_bytes(std::span(&value, 1)));
        return value;
    }
    /// The next `count` bytes as a reader of their own; this one goes on behind them.
    [[nodiscard]] Reader split(std::uint64_t count) { return Reader(take(count)); }

  private:
    friend class Virtqueue;
    explicit Reader(BufferCursor cursor) : BufferCursor(std::move(cursor)) {}
};

/// The device-writable bytes of a chain.
class Writer : public BufferCursor {
  public:
    Writer() = default;
    [[nodiscard]] std::uint32_t written() const { return written_; }
    /// Writes as much of `source` as fits; returns how much.
    std::size_t write(std::span<const std::byte> source);
    /// True if all of it fitted. Nothing is written otherwise.
    template <typename T> [[nodiscard]] bool write_structure(const T& value) {
        static_assert(std::is_trivially_copyable_v<T>);
        if (remaining() < sizeof value)
            return false;
        write(std::as_bytes(std::span(&value, 1)));
        return true;
    }
    /// The next `count` bytes as a writer of their own, which counts for itself; this one goes on behind them.
    [[nodiscard]] Writer split(std::uint64_t count) { return Writer(take(count)); }

  private:
    friend class Virtqueue;
    explicit Writer(BufferCursor cursor) : BufferCursor(std::move(cursor)) {}
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
    void push(const DescriptorChain& chain) { push(chain.head, chain.writer.written()); }
    void push(std::uint16_t head, std::uint32_t written);
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
