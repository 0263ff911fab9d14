// SPDX-License-Identifier: MIT
// Addresses of IP, of both versions.
#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>

namespace auklet::network {

/// An IPv6 address, or an IPv4 address as ::ffff:a.b.c.d. No packet of IPv6 has
/// such an address (RFC 4291, 2.5.5.2), so that none is taken for one of IPv4.
struct Address {
    std::array<std::byte, 16> bytes{};

    static constexpr std::size_t prefix = 12; ///< bytes in front of an IPv4 address

    [[nodiscard]] static constexpr Address v4(std::uint32_t value) {
        Address address;
        address.bytes[10] = address.bytes[11] = std::byte{0xff};
        for (std::size_t index = 0; index < 4; ++index)
            address.bytes[prefix + index] = static_cast<std::byte>(value >> (24 - 8 * index));
        return address;
    }
    /// Of 4 or 16 bytes, as packets have them.
    [[nodiscard]] static constexpr Address of(std::span<const std::byte> wire) {
        Address address = v4(0);
        std::ranges::copy(wire, address.bytes.begin() + (wire.size() == 4 ? prefix : 0));
        return address;
    }
    /// Of the first and last 32 bits of an IPv6 address.
    [[nodiscard]] static constexpr Address v6(std::uint32_t first, std::uint32_t last) {
        Address address = v4(last);
        address.bytes[10] = address.bytes[11] = std::byte{0};
        for (std::size_t index = 0; index < 4; ++index)
            address.bytes[index] = static_cast<std::byte>(first >> (24 - 8 * index));
        return address;
    }

    [[nodiscard]] constexpr bool is_v4() const {
        return std::equal(bytes.begin(), bytes.begin() + prefix, v4(0).bytes.begin());
    }
    /// As packets have it.
    [[nodiscard]] constexpr std::span<const std::byte> wire() const {
        return std::span(bytes).subspan(is_v4() ? prefix : 0);
    }
    /// The last 32 bits: an IPv4 address.
    [[nodiscard]] constexpr std::uint32_t number() const {
        std::uint32_t value = 0;
        for (std::size_t index = prefix; index < 16; ++index)
            value = value << 8 | std::to_integer<std::uint32_t>(bytes[index]);
        return value;
    }
    [[nodiscard]] constexpr bool is_multicast() const {
        return is_v4() ? number() >= 0xe000'0000U : bytes[0] == std::byte{0xff};
    }
    [[nodiscard]] constexpr bool is_link_local() const {
        return bytes[0] == std::byte{0xfe} && (bytes[1] & std::byte{0xc0}) == std::byte{0x80};
    }
    /// Whether the first `count` bytes of both are the same.
    [[nodiscard]] constexpr bool shares(const Address& other, std::size_t count) const {
        return std::equal(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count), other.bytes.begin());
    }

    auto operator<=>(const Address&) const = default;
};

} // namespace auklet::network
