// SPDX-License-Identifier: MIT
// Guest memory on the heap of this process, for tests. Nothing lies behind its
// last byte, so AddressSanitizer sees an access past its end.
#pragma once

#include "../../src/guest_memory.hpp"

#include <atomic>
#include <cstring>
#include <functional>
#include <memory>

namespace auklet::native {

class PlainMemory final : public GuestMemory {
  public:
    explicit PlainMemory(std::size_t size) : GuestMemory(size), bytes_(std::make_unique<std::byte[]>(size)) {}

    [[nodiscard]] std::byte* data() { return bytes_.get(); }
    /// Gets the address of every notification.
    std::function<void(GuestAddress)> notified;
    /// Gets the address and value of every store of 16 bits.
    std::function<void(GuestAddress, std::uint16_t)> stored16;

  private:
    // operator new[] aligns to 16 bytes, so a guest address that is aligned is
    // aligned here too.
    template <typename T> [[nodiscard]] std::atomic_ref<T> word(GuestAddress address) {
        return std::atomic_ref<T>(*reinterpret_cast<T*>(bytes_.get() + address));
    }

    void copy_from(GuestAddress address, std::span<std::byte> destination) override {
        std::memcpy(destination.data(), bytes_.get() + address, destination.size());
    }
    void copy_to(GuestAddress address, std::span<const std::byte> source) override {
        std::memcpy(bytes_.get() + address, source.data(), source.size());
    }
    std::uint16_t load16(GuestAddress address) override { return word<std::uint16_t>(address).load(); }
    void store16(GuestAddress address, std::uint16_t value) override {
        if (stored16)
            stored16(address, value);
        word<std::uint16_t>(address).store(value);
    }
    std::uint32_t load32(GuestAddress address) override { return word<std::uint32_t>(address).load(); }
    void store32(GuestAddress address, std::uint32_t value) override { word<std::uint32_t>(address).store(value); }
    std::uint32_t exchange32(GuestAddress address, std::uint32_t value) override {
        return word<std::uint32_t>(address).exchange(value);
    }
    std::uint32_t or32(GuestAddress address, std::uint32_t value) override {
        return word<std::uint32_t>(address).fetch_or(value);
    }
    std::uint32_t add32(GuestAddress address, std::uint32_t value) override {
        return word<std::uint32_t>(address).fetch_add(value);
    }
    std::uint32_t compare_exchange32(GuestAddress address, std::uint32_t expected, std::uint32_t desired) override {
        word<std::uint32_t>(address).compare_exchange_strong(expected, desired);
        return expected;
    }
    void notify(GuestAddress address) override {
        if (notified)
            notified(address);
    }

    std::unique_ptr<std::byte[]> bytes_;
};

} // namespace auklet::native
