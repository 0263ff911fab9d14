// SPDX-License-Identifier: MIT
// A frame on the link, with the offloads that its receiver has to do.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace auklet::network {

/// virtio 1.2, 5.1.6: what a frame asks of offloads, without num_buffers.
struct Offload {
    std::uint8_t flags = 0;
    std::uint8_t gso_type = 0;
    std::uint16_t header_length = 0;
    std::uint16_t gso_size = 0;
    std::uint16_t checksum_start = 0;
    std::uint16_t checksum_offset = 0;
};

// Offload::flags
inline constexpr std::uint8_t needs_checksum = 1;
inline constexpr std::uint8_t data_valid = 2;
// Offload::gso_type
inline constexpr std::uint8_t gso_none = 0;
inline constexpr std::uint8_t gso_tcp4 = 1;
inline constexpr std::uint8_t gso_tcp6 = 4;

inline constexpr std::size_t longest_frame = 14 + 65'535;

/// An Ethernet frame without FCS. The bytes are valid during the call only.
/// Whoever makes a Frame has checked: it has at least 14 bytes and at most
/// longest_frame. header_length, checksum_start + checksum_offset + 2 and
/// gso_size are within the frame, and consistent with each other.
struct Frame {
    Offload offload;
    std::span<const std::byte> bytes;
};

using Mac = std::array<std::byte, 6>;

} // namespace auklet::network
