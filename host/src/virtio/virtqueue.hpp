// SPDX-License-Identifier: MIT
// Split virtqueues, device side (virtio 1.2, section 2.7).
//
// Virtqueue validates each chain once, as a whole, when it takes the chain from
// the available ring. The device gets only a Reader and a Writer, which cannot
// leave the chain's buffers.
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

/// All that a driver can do wrong with a queue. Each error stops the device
/// until the driver resets it.
enum class QueueError : std::uint8_t {
    invalid_size, ///< 0, more than the device allows, or no power of two
    /// 2.7: descriptors at 16, available ring at 2, used ring at 4 bytes
    misaligned,
    descriptor_table_out_of_bounds,
    available_ring_out_of_bounds,
    used_ring_out_of_bounds,
    invalid_available_index, ///< more new chains than descriptors
    head_out_of_range,       ///< an available entry is no descriptor number
    next_out_of_range,       ///< a `next` field is no descriptor number
    descriptor_loop,         ///< a chain longer than the queue
    indirect_not_negotiated,
    indirect_within_indirect, ///< 2.7.5.3.1
    indirect_goes_on,         ///< 2.7.5.3.1: flags INDIRECT and NEXT
    invalid_indirect_table,   ///< empty, no whole number of descriptors, or too long
    indirect_table_out_of_bounds,
    zero_length,
    readable_after_writable, ///< 2.7.4.2
    buffer_out_of_bounds,
    /// 2^32 bytes or more in one chain. 2.7.5 forbids only more than 2^32, but
    /// a used ring cannot report 2^32.
    chain_too_long,
};

[[nodiscard]] std::string_view message(QueueError error);

/// A position in a list of buffers. Reader and Writer have this in common.
class BufferCursor {
  public:
    /// How many bytes are left.
    [[nodiscard]] std::uint64_t remaining() const { return remaining_; }
    /// Takes all that is left, and returns where it is in guest memory, for a
    /// backend that reads or writes there itself. A Writer does not count what
    /// the backend writes.
    [[nodiscard]] std::vector<GuestRegion> take_regions();

  protected:
    void append(const GuestRegion& buffer);
    /// Goes on by `count` bytes, or by all that are left. Calls `each(region)`
    /// for each part of a buffer on the way. Returns how many bytes it went on.
    template <typename Each> std::uint64_t advance(std::uint64_t count, Each&& each);
    /// Takes the next `count` bytes, or all that are left, away from this
    /// cursor.
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
    /// Fills `destination`, or as much of it as there are bytes left. Returns
    /// how many bytes it read.
    std::size_t read(std::span<std::byte> destination);
    /// Reads a structure of the protocol, such as a request's header. If fewer
    /// bytes are left, returns nothing and takes none.
    template <typename T> [[nodiscard]] std::optional<T> read_structure() {
        static_assert(std::is_trivially_copyable_v<T>);
        T value;
        if (remaining() < sizeof value)
            return std::nullopt;
        read(std::as_writable_bytes(std::span(&value, 1)));
        return value;
    }
    /// Returns a reader of the next `count` bytes. This one goes on after them.
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
    /// Writes `source`, or as much of it as fits. Returns how many bytes it
    /// wrote.
    std::size_t write(std::span<const std::byte> source);
    /// Writes `value` and returns true, or writes nothing if `value` does not
    /// fit.
    template <typename T> [[nodiscard]] bool write_structure(const T& value) {
        static_assert(std::is_trivially_copyable_v<T>);
        if (remaining() < sizeof value)
            return false;
        write(std::as_bytes(std::span(&value, 1)));
        return true;
    }
    /// Returns a writer of the next `count` bytes, which counts what it writes
    /// itself. This one goes on after them.
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
    /// Fails if the size is not valid, or one of the three parts is misaligned
    /// or not inside the guest's memory. `indirect`: the driver may use tables
    /// of descriptors elsewhere (2.7.5.3).
    [[nodiscard]] static std::expected<Virtqueue, QueueError>
    create(GuestMemory& memory, const QueueAddresses& addresses, std::uint32_t largest_size, bool indirect = false);

    /// Takes the next chain that the driver made available, if there is one.
    [[nodiscard]] std::expected<std::optional<DescriptorChain>, QueueError> pop();
    /// Gives a chain back to the driver, and tells how many bytes were written
    /// to it.
    void push(const DescriptorChain& chain) { push(chain.head, chain.writer.written()); }
    void push(std::uint16_t head, std::uint32_t written) {
        stage(head, written);
        publish();
    }
    /// push() in two steps, for chains that the driver must get all at once.
    void stage(std::uint16_t head, std::uint32_t written);
    void publish();
    /// Returns true if chains were pushed since the last call, and the driver
    /// wants an interrupt for them (2.7.7).
    [[nodiscard]] bool take_interrupt();

    /// 2.7.10: asks the driver not to ring for chains that it adds.
    void suppress_notifications();
    /// Asks the driver to ring again. Returns true if the device has to look
    /// for chains now, because the driver has not rung for them.
    [[nodiscard]] bool allow_notifications();

    [[nodiscard]] std::uint32_t size() const { return size_; }

  private:
    Virtqueue(GuestMemory& memory, std::uint32_t size, GuestRegion descriptors, GuestRegion available, GuestRegion used,
              std::uint32_t longest_table)
        : memory_(&memory), size_(size), descriptors_(descriptors), available_(available), used_(used),
          longest_table_(longest_table) {}

    [[nodiscard]] std::expected<DescriptorChain, QueueError> collect(std::uint16_t head) const;
    /// The table that a descriptor of a chain points to.
    [[nodiscard]] std::expected<GuestRegion, QueueError> indirect_table(std::uint64_t address, std::uint32_t length,
                                                                        bool goes_on) const;

    GuestMemory* memory_;
    std::uint32_t size_;
    GuestRegion descriptors_;
    GuestRegion available_;
    GuestRegion used_;
    std::uint16_t next_available_ = 0;
    std::uint16_t next_used_ = 0;
    bool pushed_ = false;
    // What suppress_notifications() and allow_notifications() remember.
    bool suppressed_ = false;
    std::uint16_t seen_available_ = 0; ///< the driver's index, when last read
    std::uint32_t popped_ = 0;         ///< chains since suppress_notifications()
    /// Of indirect descriptors. 0 if there may be none. Linux makes tables for
    /// the device's largest queue, also where its own queue is smaller.
    std::uint32_t longest_table_;
};

} // namespace auklet::virtio
