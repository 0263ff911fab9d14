// SPDX-License-Identifier: MIT
// Frames for the tests of the network, with checksums of their own.
#pragma once

#include "src/network/frame.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace auklet::test {

using FrameBytes = std::vector<std::byte>;

inline constexpr network::Mac mac(unsigned last) {
    return {std::byte{2}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}, static_cast<std::byte>(last)};
}
inline constexpr network::Mac broadcast = {std::byte{0xff}, std::byte{0xff}, std::byte{0xff},
                                           std::byte{0xff}, std::byte{0xff}, std::byte{0xff}};

inline void append16(FrameBytes& frame, unsigned value) {
    frame.push_back(static_cast<std::byte>(value >> 8));
    frame.push_back(static_cast<std::byte>(value));
}
inline unsigned read16(std::span<const std::byte> frame, std::size_t at) {
    return std::to_integer<unsigned>(frame[at]) << 8 | std::to_integer<unsigned>(frame[at + 1]);
}
inline std::uint32_t read32(std::span<const std::byte> frame, std::size_t at) {
    return read16(frame, at) << 16 | read16(frame, at + 2);
}
inline void write16(FrameBytes& frame, std::size_t at, unsigned value) {
    frame[at] = static_cast<std::byte>(value >> 8);
    frame[at + 1] = static_cast<std::byte>(value);
}

/// RFC 1071, word by word.
inline unsigned sum16(std::span<const std::byte> bytes, unsigned before = 0) {
    std::uint32_t sum = before;
    for (std::size_t at = 0; at < bytes.size(); at += 2) {
        sum += at + 1 < bytes.size() ? read16(bytes, at) : std::to_integer<unsigned>(bytes[at]) << 8;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

inline FrameBytes ethernet(const network::Mac& destination, const network::Mac& source, std::size_t payload = 46,
                           unsigned type = 0x88b5) {
    FrameBytes frame(destination.begin(), destination.end());
    frame.insert(frame.end(), source.begin(), source.end());
    append16(frame, type);
    for (std::size_t index = 0; index < payload; ++index)
        frame.push_back(static_cast<std::byte>(index * 7 + index / 251));
    return frame;
}

struct TcpFrame {
    FrameBytes bytes;
    network::Offload offload; ///< asks for checksum and segmentation
    std::size_t ip = 14;
    std::size_t tcp = 34;
    std::size_t header = 54; ///< of all
};

struct TcpShape {
    bool v6 = false;
    std::size_t payload = 4000;
    std::uint16_t gso_size = 1448;
    unsigned flags = 0x99; ///< CWR, ACK, PSH, FIN
    bool vlan = false;
    unsigned ip_options = 0;  ///< words of IPv4, or extension headers of 8 bytes
    unsigned tcp_options = 3; ///< words
};

/// A large segment of TCP, as Linux makes it: its checksum field has the sum of the pseudo header.
inline TcpFrame tcp_frame(const network::Mac& destination, const network::Mac& source, const TcpShape& shape = {}) {
    TcpFrame frame;
    auto& bytes = frame.bytes = ethernet(destination, source, 0, shape.vlan ? 0x8100 : shape.v6 ? 0x86dd : 0x0800);
    if (shape.vlan) {
        append16(bytes, 5);
        append16(bytes, shape.v6 ? 0x86dd : 0x0800);
    }
    frame.ip = bytes.size();
    const std::size_t tcp_length = 20 + 4 * shape.tcp_options + shape.payload;
    unsigned sum = 0;
    if (shape.v6) {
        append16(bytes, 0x6000);
        append16(bytes, 0);
        append16(bytes, static_cast<unsigned>(tcp_length + 8 * shape.ip_options));
        append16(bytes, (shape.ip_options != 0 ? 60U : 6U) << 8 | 64);
        for (unsigned index = 0; index < 16; ++index)
            append16(bytes, 0xfd00 + index * 0x111);
        for (unsigned index = 0; index < shape.ip_options; ++index) {
            append16(bytes, (index + 1 < shape.ip_options ? 60U : 6U) << 8);
            append16(bytes, 0x0104); // PadN
            append16(bytes, 0);
            append16(bytes, 0);
        }
        sum = sum16(std::span(bytes).subspan(frame.ip + 8, 32));
    } else {
        append16(bytes, (0x45 + shape.ip_options) << 8);
        append16(bytes, static_cast<unsigned>(20 + 4 * shape.ip_options + tcp_length));
        append16(bytes, 0xffff); // the id wraps
        append16(bytes, 0x4000); // do not fragment
        append16(bytes, 64U << 8 | 6);
        append16(bytes, 0);
        for (unsigned word : {0x0a00U, 0x020fU, 0x0a00U, 0x0202U})
            append16(bytes, word);
        for (unsigned index = 0; index < 2 * shape.ip_options; ++index)
            append16(bytes, 0x0101); // NOP
        write16(bytes, frame.ip + 10, ~sum16(std::span(bytes).subspan(frame.ip)) & 0xffff);
        sum = sum16(std::span(bytes).subspan(frame.ip + 12, 8));
    }
    sum += static_cast<unsigned>(6 + tcp_length);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    frame.tcp = bytes.size();
    append16(bytes, 0x1234);
    append16(bytes, 80);
    append16(bytes, 0xffff); // the sequence wraps
    append16(bytes, 0xff00);
    append16(bytes, 0x0102);
    append16(bytes, 0x0304);
    append16(bytes, (5 + shape.tcp_options) << 12 | shape.flags);
    append16(bytes, 0xfaf0);
    append16(bytes, sum);
    append16(bytes, 0);
    for (unsigned index = 0; index < 2 * shape.tcp_options; ++index)
        append16(bytes, 0x0101);
    frame.header = bytes.size();
    for (std::size_t index = 0; index < shape.payload; ++index)
        bytes.push_back(static_cast<std::byte>(index * 31 + index / 253));
    frame.offload = {.flags = network::needs_checksum,
                     .gso_type = shape.v6 ? network::gso_tcp6 : network::gso_tcp4,
                     .header_length = static_cast<std::uint16_t>(frame.header),
                     .gso_size = shape.gso_size,
                     .checksum_start = static_cast<std::uint16_t>(frame.tcp),
                     .checksum_offset = 16};
    return frame;
}

/// Whether the lengths and checksums of a segment of TCP are right.
inline bool is_complete(std::span<const std::byte> bytes, const TcpFrame& model, bool v6) {
    const auto tcp = bytes.subspan(model.tcp);
    unsigned sum = 6 + static_cast<unsigned>(tcp.size());
    if (v6) {
        if (read16(bytes, model.ip + 4) != bytes.size() - model.ip - 40)
            return false;
        sum = sum16(bytes.subspan(model.ip + 8, 32), sum);
    } else {
        if (read16(bytes, model.ip + 2) != bytes.size() - model.ip ||
            sum16(bytes.subspan(model.ip, model.tcp - model.ip)) != 0xffff)
            return false;
        sum = sum16(bytes.subspan(model.ip + 12, 8), sum);
    }
    return sum16(tcp, sum) == 0xffff;
}

} // namespace auklet::test
