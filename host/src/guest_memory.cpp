// SPDX-License-Identifier: MIT
// Checks bounds and alignment before each of the platform's memory primitives.

#include "guest_memory.hpp"

#include <cstdlib>

namespace auklet {

Result<GuestRegion> GuestMemory::region(std::uint64_t address, std::uint64_t length) {
    // Compare with a difference, which cannot wrap: address + length could.
    if (length > size_ || address > size_ - length)
        return failure("guest range at ", address, " of ", length, " bytes is outside of the memory of ", size_,
                       " bytes");
    return GuestRegion(*this, static_cast<GuestAddress>(address), length);
}

GuestAddress GuestRegion::checked(std::uint64_t offset, std::uint64_t length, std::uint64_t alignment) const {
    if (length > length_ || offset > length_ - length || (address_ + offset) % alignment != 0)
        std::abort();
    return static_cast<GuestAddress>(address_ + offset);
}

GuestRegion GuestRegion::part(std::uint64_t offset, std::uint64_t length) const {
    return GuestRegion(*memory_, checked(offset, length, 1), length);
}

void GuestRegion::read(std::uint64_t offset, std::span<std::byte> destination) const {
    auto address = checked(offset, destination.size(), 1);
    if (!destination.empty())
        memory_->copy_from(address, destination);
}

void GuestRegion::write(std::uint64_t offset, std::span<const std::byte> source) const {
    auto address = checked(offset, source.size(), 1);
    if (!source.empty())
        memory_->copy_to(address, source);
}

std::uint16_t GuestRegion::load16(std::uint64_t offset) const { return memory_->load16(checked(offset, 2, 2)); }

void GuestRegion::store16(std::uint64_t offset, std::uint16_t value) const {
    memory_->store16(checked(offset, 2, 2), value);
}

std::uint32_t GuestRegion::load32(std::uint64_t offset) const { return memory_->load32(checked(offset, 4, 4)); }

void GuestRegion::store32(std::uint64_t offset, std::uint32_t value) const {
    memory_->store32(checked(offset, 4, 4), value);
}

std::uint32_t GuestRegion::exchange32(std::uint64_t offset, std::uint32_t value) const {
    return memory_->exchange32(checked(offset, 4, 4), value);
}

std::uint32_t GuestRegion::or32(std::uint64_t offset, std::uint32_t bits) const {
    return memory_->or32(checked(offset, 4, 4), bits);
}

std::uint32_t GuestRegion::add32(std::uint64_t offset, std::uint32_t value) const {
    return memory_->add32(checked(offset, 4, 4), value);
}

bool GuestRegion::compare_exchange32(std::uint64_t offset, std::uint32_t expected, std::uint32_t desired) const {
    return memory_->compare_exchange32(checked(offset, 4, 4), expected, desired) == expected;
}

void GuestRegion::notify(std::uint64_t offset) const { memory_->notify(checked(offset, 4, 4)); }

} // namespace auklet
