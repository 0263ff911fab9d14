// SPDX-License-Identifier: MIT
// Bytes on their way to a guest, which stay until it has acknowledged them.
#pragma once

#include "bytes.hpp"

#include <algorithm>
#include <array>
#include <memory>

namespace auklet::network {

/// Memory that all connections share, beyond the little that each one has for
/// itself: so none can starve another.
class Budget {
  public:
    explicit Budget(std::size_t limit) : left_(limit) {}

    [[nodiscard]] bool take(std::size_t count) {
        if (count > left_)
            return false;
        left_ -= count;
        return true;
    }
    void give_back(std::size_t count) { left_ += count; }
    [[nodiscard]] std::size_t left() const { return left_; }

  private:
    std::size_t left_;
};

/// A ring. A frame is made in it, without a copy: the headers are written in
/// front of the data, over bytes that are put back afterwards.
class SendBuffer {
  public:
    explicit SendBuffer(Budget& budget) : budget_(budget) {}
    ~SendBuffer() { resize(0); }
    SendBuffer(const SendBuffer&) = delete;
    SendBuffer& operator=(const SendBuffer&) = delete;

    static constexpr std::size_t smallest = 32 * 1024; ///< bytes that need no budget
    static constexpr std::size_t largest = 1024 * 1024;
    static constexpr std::size_t most_headers = 128;

    [[nodiscard]] std::size_t size() const { return size_; }
    /// Returns how many of the bytes it took.
    std::size_t append(Bytes bytes);
    /// Forgets the oldest bytes.
    void drop(std::size_t count);

    /// How many bytes from `offset` on lie in one piece.
    [[nodiscard]] std::size_t contiguous(std::size_t offset) const {
        return std::min(size_ - offset, capacity_ - place(offset));
    }
    /// Calls `use` with a buffer that has room for headers, and behind it the
    /// bytes at `offset`, which lie in one piece.
    template <typename Use> auto with_headers(std::size_t headers, std::size_t offset, std::size_t length, Use use) {
        const auto frame =
            Buffer(store_.get(), most_headers + capacity_).subspan(most_headers + place(offset) - headers);
        std::array<std::byte, most_headers> covered;
        std::copy_n(frame.begin(), headers, covered.begin());
        const auto result = use(frame.first(headers + length));
        std::copy_n(covered.begin(), headers, frame.begin());
        return result;
    }

  private:
    [[nodiscard]] std::size_t place(std::size_t offset) const {
        const std::size_t at = start_ + offset;
        return at < capacity_ ? at : at - capacity_;
    }
    void copy_out(Buffer destination) const;
    void resize(std::size_t capacity);

    Budget& budget_;
    std::unique_ptr<std::byte[]> store_; ///< most_headers, then the ring
    std::size_t capacity_ = 0;           ///< 0, or from smallest to largest
    std::size_t start_ = 0;
    std::size_t size_ = 0;
};

} // namespace auklet::network
