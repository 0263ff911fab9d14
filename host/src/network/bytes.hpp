// SPDX-License-Identifier: MIT
// Fields of network headers: big endian, at any place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

namespace auklet::network {

using Bytes = std::span<const std::byte>;
using Buffer = std::span<std::byte>;

/// The value of `T` at a place. The caller has checked the length. A mistake of
/// the caller's ends the host before the access.
template <typename T> [[nodiscard]] constexpr T get(Bytes bytes, std::size_t at) {
    if (at > bytes.size() || bytes.size() - at < sizeof(T))
        std::abort();
    std::uint64_t value = 0;
    for (std::size_t index = 0; index < sizeof(T); ++index)
        value = value << 8 | std::to_integer<std::uint64_t>(bytes[at + index]);
    return static_cast<T>(value);
}

template <typename T> constexpr void put(Buffer bytes, std::size_t at, T value) {
    if (at > bytes.size() || bytes.size() - at < sizeof(T))
        std::abort();
    for (std::size_t index = 0; index < sizeof(T); ++index)
        bytes[at + index] = static_cast<std::byte>(static_cast<std::uint64_t>(value) >> 8 * (sizeof(T) - 1 - index));
}

[[nodiscard]] constexpr std::uint8_t get8(Bytes bytes, std::size_t at) { return get<std::uint8_t>(bytes, at); }
[[nodiscard]] constexpr std::uint16_t get16(Bytes bytes, std::size_t at) { return get<std::uint16_t>(bytes, at); }
[[nodiscard]] constexpr std::uint32_t get32(Bytes bytes, std::size_t at) { return get<std::uint32_t>(bytes, at); }
constexpr void put8(Buffer bytes, std::size_t at, std::uint8_t value) { put(bytes, at, value); }
constexpr void put16(Buffer bytes, std::size_t at, std::uint16_t value) { put(bytes, at, value); }
constexpr void put32(Buffer bytes, std::size_t at, std::uint32_t value) { put(bytes, at, value); }

} // namespace auklet::network
