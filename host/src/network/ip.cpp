// SPDX-License-Identifier: MIT
// Packets of IPv4 and IPv6: how they are read and written.

#include "ip.hpp"

namespace auklet::network {

namespace {

// RFC 8200, section 4: headers between that of IPv6 and the transport's.
constexpr std::uint8_t hop_by_hop = 0;
constexpr std::uint8_t routing = 43;
constexpr std::uint8_t fragment_header = 44;
constexpr std::uint8_t destination_options = 60;
/// Real packets have one or two.
constexpr int most_extensions = 8;

bool parse_v4(Bytes bytes, Packet& packet) {
    if (bytes.size() < 20 || get8(bytes, 0) >> 4 != 4)
        return false;
    const std::size_t header = (get8(bytes, 0) & 15U) * 4U;
    const std::size_t length = get16(bytes, 2);
    if (header < 20 || length < header || length > bytes.size() || fold(sum_of(bytes.first(header))) != 0xffff)
        return false;
    packet.source = Address::of(bytes.subspan(12, 4));
    packet.destination = Address::of(bytes.subspan(16, 4));
    packet.hop_limit = get8(bytes, 8);
    packet.protocol = get8(bytes, 9);
    packet.whole = bytes.first(length);
    packet.payload = packet.whole.subspan(header);
    const std::uint16_t fragment = get16(bytes, 6);
    if ((fragment & 0x3fff) != 0)
        packet.fragment = {
            .id = get16(bytes, 4), .offset = (fragment & 0x1fffU) * 8U, .more = (fragment & 0x2000) != 0};
    return true;
}

bool parse_v6(Bytes bytes, Packet& packet) {
    if (bytes.size() < 40 || get8(bytes, 0) >> 4 != 6)
        return false;
    const std::size_t length = 40U + get16(bytes, 4);
    if (length > bytes.size())
        return false;
    packet.source = Address::of(bytes.subspan(8, 16));
    packet.destination = Address::of(bytes.subspan(24, 16));
    if (packet.source.is_v4() || packet.destination.is_v4() || packet.source.is_multicast())
        return false;
    packet.hop_limit = get8(bytes, 7);
    packet.protocol = get8(bytes, 6);
    packet.whole = bytes.first(length);
    packet.payload = packet.whole.subspan(40);
    for (int count = 0; count < most_extensions; ++count) {
        const auto kind = packet.protocol;
        if (kind != hop_by_hop && kind != routing && kind != fragment_header && kind != destination_options)
            return true;
        if (packet.payload.size() < 8)
            return false;
        const std::size_t size = kind == fragment_header ? 8 : (get8(packet.payload, 1) + 1U) * 8U;
        // A route through other hosts is not followed (RFC 5095).
        if (size > packet.payload.size() || (kind == routing && get8(packet.payload, 3) != 0))
            return false;
        packet.protocol = get8(packet.payload, 0);
        if (kind == fragment_header) {
            const std::uint16_t word = get16(packet.payload, 2);
            const Packet::Fragment fragment{
                .id = get32(packet.payload, 4), .offset = word & 0xfff8U, .more = (word & 1) != 0};
            packet.payload = packet.payload.subspan(size);
            // One that is whole (RFC 6946) is no fragment.
            if (fragment.offset == 0 && !fragment.more)
                continue;
            packet.fragment = fragment;
            return true;
        }
        packet.payload = packet.payload.subspan(size);
    }
    return false;
}

} // namespace

std::optional<Packet> parse_packet(const Frame& frame) {
    Packet packet;
    const auto type = get16(frame.bytes, 12);
    std::ranges::copy(frame.bytes.subspan(6, 6), packet.sender.begin());
    packet.checksum_good = (frame.offload.flags & (needs_checksum | data_valid)) != 0;
    const auto bytes = frame.bytes.subspan(ethernet_size);
    const bool good = type == ethertype_ipv4   ? parse_v4(bytes, packet)
                      : type == ethertype_ipv6 ? parse_v6(bytes, packet)
                                               : false;
    return good ? std::optional(packet) : std::nullopt;
}

bool checksum_is_right(const Packet& packet) {
    return packet.checksum_good ||
           fold(sum_of(packet.payload, pseudo_header(packet.source, packet.destination, packet.protocol,
                                                     packet.payload.size()))) == 0xffff;
}

void write_headers(Buffer headers, const Wire& wire, const Route& route, std::uint8_t protocol, std::size_t length,
                   std::uint8_t hop_limit) {
    std::ranges::fill(headers, std::byte{0});
    std::ranges::copy(route.to, headers.begin());
    std::ranges::copy(wire.settings.mac, headers.begin() + 6);
    const auto ip = headers.subspan(ethernet_size);
    if (!route.source.is_v4()) {
        put16(headers, 12, ethertype_ipv6);
        put8(ip, 0, 0x60);
        put16(ip, 4, static_cast<std::uint16_t>(length));
        put8(ip, 6, protocol);
        put8(ip, 7, hop_limit);
        std::ranges::copy(route.source.wire(), ip.begin() + 8);
        std::ranges::copy(route.destination.wire(), ip.begin() + 24);
        return;
    }
    put16(headers, 12, ethertype_ipv4);
    put8(ip, 0, 0x45);
    put16(ip, 2, static_cast<std::uint16_t>(20 + length));
    // No fragments: the id may be 0 then (RFC 6864).
    put16(ip, 6, 0x4000);
    put8(ip, 8, hop_limit);
    put8(ip, 9, protocol);
    std::ranges::copy(route.source.wire(), ip.begin() + 12);
    std::ranges::copy(route.destination.wire(), ip.begin() + 16);
    put16(ip, 10, checksum(sum_of(ip.first(20))));
}

Outgoing::Outgoing(Wire& wire, const Route& route, std::uint8_t protocol, std::size_t length, std::uint8_t hop_limit)
    : wire_(wire), route_(route), protocol_(protocol), bytes_(route.headers() + length) {
    write_headers(std::span(bytes_).first(route.headers()), wire, route, protocol, length, hop_limit);
}

void Outgoing::send(std::size_t place, std::uint16_t zero) {
    const auto message = payload();
    // These packets are small, or rare: their sum costs little. ICMP of IPv4
    // has no pseudo header.
    const Sum before =
        protocol_ == protocol_icmp ? 0 : pseudo_header(route_.source, route_.destination, protocol_, message.size());
    const auto sum = checksum(sum_of(message, before));
    put16(message, place, sum == 0 ? zero : sum);
    if (bytes_.size() - ethernet_size <= wire_.settings.mtu)
        wire_.send_or_keep({}, bytes_);
    else
        send_fragments();
}

void Outgoing::send_fragments() {
    // One id after the other: nobody outside of the link sees them.
    static constexpr std::size_t header6 = 8;
    const std::uint32_t id = wire_.next_fragment_id();
    const std::size_t extra = route_.source.is_v4() ? 0 : header6;
    const std::size_t headers = route_.headers();
    const std::size_t piece = (wire_.settings.mtu - (headers - ethernet_size) - extra) & ~std::size_t{7};
    const auto message = payload();
    for (std::size_t offset = 0; offset < message.size(); offset += piece) {
        const auto part = message.subspan(offset, std::min(piece, message.size() - offset));
        const bool more = offset + part.size() < message.size();
        std::vector<std::byte> frame(headers + extra + part.size());
        write_headers(std::span(frame).first(headers), wire_, route_, extra != 0 ? fragment_header : protocol_,
                      extra + part.size());
        const auto ip = std::span(frame).subspan(ethernet_size);
        if (extra != 0) {
            put8(ip, 40, protocol_);
            put16(ip, 42, static_cast<std::uint16_t>(offset | (more ? 1U : 0U)));
            put32(ip, 44, id);
        } else {
            put16(ip, 4, static_cast<std::uint16_t>(id));
            put16(ip, 6, static_cast<std::uint16_t>(offset / 8 | (more ? 0x2000U : 0U)));
            put16(ip, 10, 0);
            put16(ip, 10, checksum(sum_of(ip.first(20))));
        }
        std::ranges::copy(part, frame.begin() + static_cast<std::ptrdiff_t>(headers + extra));
        wire_.send_or_keep({}, frame);
    }
}

} // namespace auklet::network
