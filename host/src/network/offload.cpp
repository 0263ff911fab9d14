// SPDX-License-Identifier: MIT
// Offloads: checks, checksums, segmentation of TCP (RFC 9293, RFC 3168).

#include "offload.hpp"

#include "checksum.hpp"

#include <algorithm>

namespace auklet::network {

namespace {

constexpr std::size_t ethernet_header = 14;
constexpr std::size_t type_place = 12;
constexpr std::size_t vlan_tag = 4;
constexpr std::uint16_t type_ipv4 = 0x0800;
constexpr std::uint16_t type_ipv6 = 0x86dd;
constexpr std::uint16_t type_vlan = 0x8100;
constexpr std::uint16_t type_service_vlan = 0x88a8;

// IPv4, RFC 791
constexpr std::size_t ipv4_header = 20;
constexpr std::size_t ipv4_length = 2;
constexpr std::size_t ipv4_id = 4;
constexpr std::size_t ipv4_fragment = 6;
constexpr std::uint16_t ipv4_is_fragment = 0x3fff; ///< more, or not the first
constexpr std::size_t ipv4_protocol = 9;
constexpr std::size_t ipv4_checksum = 10;
constexpr std::size_t ipv4_addresses = 12;
// IPv6, RFC 8200
constexpr std::size_t ipv6_header = 40;
constexpr std::size_t ipv6_length = 4;
constexpr std::size_t ipv6_next = 6;
constexpr std::size_t ipv6_addresses = 8;
constexpr std::uint8_t hop_by_hop = 0;
constexpr std::uint8_t destination_options = 60;

constexpr std::uint8_t protocol_tcp = 6;
constexpr std::size_t tcp_header = 20;
constexpr std::size_t tcp_sequence = 4;
constexpr std::size_t tcp_offset = 12;
constexpr std::size_t tcp_flags = 13;
constexpr std::size_t tcp_checksum = 16;
constexpr std::size_t udp_checksum = 6;
// Flags that only the last segment has, and only the first.
constexpr std::uint8_t tcp_fin_push = 0x01 | 0x08;
constexpr std::uint8_t tcp_cwr = 0x80;

/// Linux's least: an MSS of 48 without 40 bytes of options. It limits how many
/// segments a frame stands for.
constexpr std::uint16_t least_gso_size = 8;

bool is_tag(std::uint16_t type) { return type == type_vlan || type == type_service_vlan; }

/// Where the header of IP begins, if a frame has one.
std::size_t network_place(Bytes frame, std::uint16_t& type) {
    std::size_t place = ethernet_header;
    type = get16(frame, type_place);
    for (int tags = 0; tags < 2 && is_tag(type) && frame.size() >= place + vlan_tag; ++tags) {
        type = get16(frame, place + 2);
        place += vlan_tag;
    }
    return place;
}

/// Where the header of TCP begins, if the frame is a whole segment of IPv4, and
/// its length says so. 0: it is not.
std::size_t tcp_place4(Bytes frame, std::size_t ip) {
    if (frame.size() < ip + ipv4_header || get8(frame, ip) >> 4 != 4)
        return 0;
    const std::size_t header = (get8(frame, ip) & 15U) * 4;
    if (header < ipv4_header || get16(frame, ip + ipv4_length) != frame.size() - ip ||
        (get16(frame, ip + ipv4_fragment) & ipv4_is_fragment) != 0 || get8(frame, ip + ipv4_protocol) != protocol_tcp)
        return 0;
    return ip + header;
}

/// The same of IPv6.
std::size_t tcp_place6(Bytes frame, std::size_t ip) {
    if (frame.size() < ip + ipv6_header || get8(frame, ip) >> 4 != 6 ||
        get16(frame, ip + ipv6_length) != frame.size() - ip - ipv6_header)
        return 0;
    std::size_t place = ip + ipv6_header;
    auto next = get8(frame, ip + ipv6_next);
    // A routing header would change the address in the checksum.
    while (next == hop_by_hop || next == destination_options) {
        if (frame.size() < place + 2)
            return 0;
        next = get8(frame, place);
        place += (get8(frame, place + 1) + 1U) * 8;
    }
    return next == protocol_tcp ? place : 0;
}

/// Completes what a frame says about segmentation. False: it is wrong.
bool check_segmentation(Offload& offload, Bytes frame) {
    std::uint16_t type = 0;
    const auto ip = network_place(frame, type);
    const bool v4 = offload.gso_type == gso_tcp4;
    if (type != (v4 ? type_ipv4 : type_ipv6))
        return false;
    const auto tcp = v4 ? tcp_place4(frame, ip) : tcp_place6(frame, ip);
    if (tcp == 0 || frame.size() < tcp + tcp_header)
        return false;
    // 5.1.6.2.1: such a frame needs a checksum, too: that of TCP.
    if (offload.flags != needs_checksum || offload.checksum_start != tcp || offload.checksum_offset != tcp_checksum)
        return false;
    const std::size_t header = (get8(frame, tcp + tcp_offset) >> 4) * std::size_t{4};
    if (header < tcp_header || frame.size() < tcp + header || offload.gso_size < least_gso_size)
        return false;
    // header_length cannot say more, and a frame may be a little longer.
    if (tcp + header > 65'535)
        return false;
    offload.header_length = static_cast<std::uint16_t>(tcp + header);
    // A single segment is a frame like any other.
    if (frame.size() - offload.header_length <= offload.gso_size) {
        offload.gso_type = gso_none;
        offload.header_length = offload.gso_size = 0;
    }
    return true;
}

} // namespace

std::optional<Frame> checked_frame(const Offload& claimed, Bytes bytes, const Offloads& allowed) {
    if (bytes.size() < ethernet_header || bytes.size() > longest_frame)
        return std::nullopt;
    // 5.1.6.2.2: the other flags are ignored.
    Offload offload{.flags = static_cast<std::uint8_t>(claimed.flags & needs_checksum), .gso_type = claimed.gso_type};
    if (!allowed.allow(offload))
        return std::nullopt;
    if ((offload.flags & needs_checksum) != 0) {
        offload.checksum_start = claimed.checksum_start;
        offload.checksum_offset = claimed.checksum_offset;
        const std::size_t end = std::size_t{claimed.checksum_start} + claimed.checksum_offset + 2;
        if (claimed.checksum_start < ethernet_header || end > bytes.size())
            return std::nullopt;
    }
    switch (claimed.gso_type) {
    case gso_none:
        break;
    case gso_tcp4:
    case gso_tcp6:
        offload.gso_size = claimed.gso_size;
        if (!check_segmentation(offload, bytes))
            return std::nullopt;
        break;
    default:
        return std::nullopt;
    }
    return Frame{offload, bytes};
}

std::size_t longest_of(Bytes frame, std::size_t mtu) {
    std::uint16_t type = 0;
    return network_place(frame, type) + mtu;
}

bool is_within(const Frame& frame, std::size_t mtu) {
    const auto& offload = frame.offload;
    const std::size_t length =
        offload.gso_type == gso_none ? frame.bytes.size() : std::size_t{offload.header_length} + offload.gso_size;
    return length <= longest_of(frame.bytes, mtu);
}

void complete_checksum(Buffer frame, const Offload& offload) {
    // The field has the sum of the pseudo header.
    const auto value = checksum(sum_of(frame.subspan(offload.checksum_start)));
    // 0 is "no checksum" in UDP, which has 0xffff instead. Both are right
    // elsewhere, but no sum gives 0xffff (RFC 1624), and readers wonder.
    const bool is_none = value == 0 && offload.checksum_offset == udp_checksum;
    put16(frame, std::size_t{offload.checksum_start} + offload.checksum_offset,
          is_none ? std::uint16_t{0xffff} : value);
}

bool Segmenter::next(std::vector<std::byte>& result) {
    if (ended_)
        return false;
    const auto& offload = frame_.offload;
    if (offload.gso_type == gso_none) {
        ended_ = true;
        result.assign(frame_.bytes.begin(), frame_.bytes.end());
        if ((offload.flags & needs_checksum) != 0)
            complete_checksum(result, offload);
        return true;
    }
    const auto payload = frame_.bytes.subspan(offload.header_length);
    const auto size = std::min<std::size_t>(offload.gso_size, payload.size() - offset_);
    const auto part = payload.subspan(offset_, size);
    result.assign(frame_.bytes.begin(), frame_.bytes.begin() + offload.header_length);
    result.insert(result.end(), part.begin(), part.end());
    ended_ = offset_ + size == payload.size();
    write_headers(result, offset_, ended_);
    offset_ += size;
    ++count_;
    return true;
}

void Segmenter::write_headers(Buffer segment, std::size_t offset, bool last) const {
    std::uint16_t type = 0;
    const auto ip = network_place(frame_.bytes, type);
    const std::size_t tcp = frame_.offload.checksum_start;
    Sum sum = protocol_tcp + (segment.size() - tcp);
    if (type == type_ipv4) {
        put16(segment, ip + ipv4_length, static_cast<std::uint16_t>(segment.size() - ip));
        put16(segment, ip + ipv4_id, static_cast<std::uint16_t>(get16(segment, ip + ipv4_id) + count_));
        put16(segment, ip + ipv4_checksum, 0);
        put16(segment, ip + ipv4_checksum, checksum(sum_of(segment.subspan(ip, tcp - ip))));
        sum = sum_of(segment.subspan(ip + ipv4_addresses, 8), sum);
    } else {
        put16(segment, ip + ipv6_length, static_cast<std::uint16_t>(segment.size() - ip - ipv6_header));
        sum = sum_of(segment.subspan(ip + ipv6_addresses, 32), sum);
    }
    put32(segment, tcp + tcp_sequence, get32(segment, tcp + tcp_sequence) + static_cast<std::uint32_t>(offset));
    auto flags = get8(segment, tcp + tcp_flags);
    if (!last)
        flags = static_cast<std::uint8_t>(flags & ~tcp_fin_push);
    if (offset != 0)
        flags = static_cast<std::uint8_t>(flags & ~tcp_cwr);
    put8(segment, tcp + tcp_flags, flags);
    put16(segment, tcp + tcp_checksum, 0);
    put16(segment, tcp + tcp_checksum, checksum(sum_of(segment.subspan(tcp), sum)));
}

} // namespace auklet::network
