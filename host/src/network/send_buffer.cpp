// SPDX-License-Identifier: MIT
// Bytes on their way to a guest.

#include "send_buffer.hpp"

#include <bit>

namespace auklet::network {

std::size_t SendBuffer::append(Bytes bytes) {
    const std::size_t wanted = std::min(largest, std::bit_ceil(std::max(smallest, size_ + bytes.size())));
    if (wanted > capacity_) {
        if (capacity_ == 0)
            resize(smallest);
        // As much as the budget allows.
        for (std::size_t capacity = wanted; capacity > capacity_; capacity /= 2)
            if (budget_.take(capacity - capacity_)) {
                resize(capacity);
                break;
            }
    }
    const auto taken = bytes.first(std::min(bytes.size(), capacity_ - size_));
    const std::size_t at = place(size_);
    const std::size_t first = std::min(taken.size(), capacity_ - at);
    const auto ring = Buffer(store_.get() + most_headers, capacity_);
    std::ranges::copy(taken.first(first), ring.subspan(at).begin());
    std::ranges::copy(taken.subspan(first), ring.begin());
    size_ += taken.size();
    return taken.size();
}

void SendBuffer::drop(std::size_t count) {
    start_ = place(count);
    size_ -= count;
    if (size_ != 0)
        return;
    // A new stretch of data lies in one piece. What is idle holds no memory
    // that others need.
    start_ = 0;
    if (capacity_ > smallest)
        resize(0);
}

void SendBuffer::copy_out(Buffer destination) const {
    const auto ring = Bytes(store_.get() + most_headers, capacity_);
    const std::size_t first = std::min(size_, capacity_ - start_);
    std::ranges::copy(ring.subspan(start_, first), destination.begin());
    std::ranges::copy(ring.first(size_ - first), destination.subspan(first).begin());
}

/// The budget for more was taken already.
void SendBuffer::resize(std::size_t capacity) {
    std::unique_ptr<std::byte[]> store;
    if (capacity != 0) {
        store = std::make_unique_for_overwrite<std::byte[]>(most_headers + capacity);
        if (size_ != 0)
            copy_out(Buffer(store.get() + most_headers, capacity));
    } else if (capacity_ > smallest) {
        budget_.give_back(capacity_ - smallest);
    }
    store_ = std::move(store);
    capacity_ = capacity;
    start_ = 0;
}

} // namespace auklet::network
