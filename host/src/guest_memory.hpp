// SPDX-License-Identifier: MIT
// The only way to the guest's bytes. GuestMemory checks a range once, and
// returns a GuestRegion, which reaches only that range.
#pragma once

#include "error.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

namespace auklet {

/// An address in K. It means nothing in the host's own memory.
using GuestAddress = std::uint32_t;

class GuestRegion;

/// K. A platform implements the primitives. They are private, so that every
/// access goes through a GuestRegion.
class GuestMemory {
  public:
    explicit GuestMemory(std::uint64_t size) : size_(size) {}
    virtual ~GuestMemory() = default;
    GuestMemory(const GuestMemory&) = delete;
    GuestMemory& operator=(const GuestMemory&) = delete;

    /// Bytes. A wasm memory has up to 4 GiB, and 32 bits cannot hold that
    /// number.
    [[nodiscard]] std::uint64_t size() const { return size_; }

    /// Returns the range of `length` bytes at `address`. Fails if it is not
    /// inside the memory. An empty range may be anywhere up to the end.
    [[nodiscard]] Result<GuestRegion> region(std::uint64_t address, std::uint64_t length);

  private:
    friend class GuestRegion;

    // GuestRegion has checked every range, and the alignment for all but the
    // two copies. The 16- and 32-bit accesses are sequentially consistent
    // atomic operations.
    virtual void copy_from(GuestAddress address, std::span<std::byte> destination) = 0;
    virtual void copy_to(GuestAddress address, std::span<const std::byte> source) = 0;
    virtual std::uint16_t load16(GuestAddress address) = 0;
    virtual void store16(GuestAddress address, std::uint16_t value) = 0;
    virtual std::uint32_t load32(GuestAddress address) = 0;
    virtual void store32(GuestAddress address, std::uint32_t value) = 0;
    virtual std::uint32_t exchange32(GuestAddress address, std::uint32_t value) = 0;
    virtual std::uint32_t or32(GuestAddress address, std::uint32_t value) = 0;
    virtual std::uint32_t add32(GuestAddress address, std::uint32_t value) = 0;
    virtual std::uint32_t compare_exchange32(GuestAddress address, std::uint32_t expected, std::uint32_t desired) = 0;
    virtual void notify(GuestAddress address) = 0;

    std::uint64_t size_;
};

/// A checked range of guest memory. Only a bug of the host, not the guest, can
/// cause an access outside of it, or a misaligned atomic access. std::abort
/// then ends the host before the access.
class GuestRegion {
  public:
    [[nodiscard]] GuestAddress address() const { return address_; }
    [[nodiscard]] std::uint64_t length() const { return length_; }
    [[nodiscard]] GuestRegion part(std::uint64_t offset, std::uint64_t length) const;
    /// Takes in `next` if it begins where this range ends; false if it does
    /// not.
    [[nodiscard]] bool join(const GuestRegion& next) {
        if (address_ + length_ != next.address_)
            return false;
        length_ += next.length_;
        return true;
    }

    void read(std::uint64_t offset, std::span<std::byte> destination) const;
    void write(std::uint64_t offset, std::span<const std::byte> source) const;

    /// Copies a structure from memory. The guest may write meanwhile, so the
    /// fields may belong to different moments.
    template <typename T> [[nodiscard]] T read_structure(std::uint64_t offset) const {
        static_assert(std::is_trivially_copyable_v<T>);
        T value;
        read(offset, std::as_writable_bytes(std::span(&value, 1)));
        return value;
    }
    template <typename T> void write_structure(std::uint64_t offset, const T& value) const {
        static_assert(std::is_trivially_copyable_v<T>);
        write(offset, std::as_bytes(std::span(&value, 1)));
    }

    // Sequentially consistent atomic operations. exchange32, or32 and add32
    // return the old value. The offset must be aligned.
    [[nodiscard]] std::uint16_t load16(std::uint64_t offset) const;
    void store16(std::uint64_t offset, std::uint16_t value) const;
    [[nodiscard]] std::uint32_t load32(std::uint64_t offset) const;
    void store32(std::uint64_t offset, std::uint32_t value) const;
    std::uint32_t exchange32(std::uint64_t offset, std::uint32_t value) const;
    std::uint32_t or32(std::uint64_t offset, std::uint32_t bits) const;
    std::uint32_t add32(std::uint64_t offset, std::uint32_t value) const;
    /// Stores `desired` if the word equals `expected`. Returns whether it did.
    [[nodiscard]] bool compare_exchange32(std::uint64_t offset, std::uint32_t expected, std::uint32_t desired) const;
    /// Wakes everyone who waits on the word.
    void notify(std::uint64_t offset) const;

  private:
    friend class GuestMemory;
    GuestRegion(GuestMemory& memory, GuestAddress address, std::uint64_t length)
        : memory_(&memory), length_(length), address_(address) {}

    [[nodiscard]] GuestAddress checked(std::uint64_t offset, std::uint64_t length, std::uint64_t alignment) const;

    GuestMemory* memory_;
    std::uint64_t length_;
    GuestAddress address_;
};

} // namespace auklet
