// SPDX-License-Identifier: MIT
// Who has which address on the link: ARP, neighbour discovery, and the
// advertisement of the router.

#include "neighbours.hpp"

namespace auklet::network {

namespace {

constexpr std::size_t arp_size = 28;
constexpr std::uint16_t arp_request = 1;
constexpr std::uint16_t arp_reply = 2;
constexpr Mac broadcast = {std::byte{255}, std::byte{255}, std::byte{255},
                           std::byte{255}, std::byte{255}, std::byte{255}};

// RFC 4861, section 4.6: options, in units of 8 bytes
constexpr std::uint8_t option_source = 1;
constexpr std::uint8_t option_target = 2;
constexpr std::uint8_t option_prefix = 3;
constexpr std::uint8_t option_mtu = 5;
constexpr std::uint8_t option_resolver = 25; // RFC 8106
/// Only a packet from the link itself has it.
constexpr std::uint8_t link_hops = 255;
constexpr std::uint32_t forever = ~0U;

/// Ethernet and IPv4, and the sender's addresses.
void send_arp(Wire& wire, std::uint16_t operation, const Address& source, const Mac& to, const Address& target) {
    std::array<std::byte, ethernet_size + arp_size> frame{};
    std::ranges::copy(to, frame.begin());
    std::ranges::copy(wire.settings.mac, frame.begin() + 6);
    put16(frame, 12, ethertype_arp);
    const auto arp = std::span(frame).subspan(ethernet_size);
    put16(arp, 0, 1);
    put16(arp, 2, ethertype_ipv4);
    put8(arp, 4, 6);
    put8(arp, 5, 4);
    put16(arp, 6, operation);
    std::ranges::copy(wire.settings.mac, arp.begin() + 8);
    std::ranges::copy(source.wire(), arp.begin() + 14);
    if (operation == arp_reply)
        std::ranges::copy(to, arp.begin() + 18);
    std::ranges::copy(target.wire(), arp.begin() + 24);
    wire.send_or_keep({}, frame);
}

void put_link_option(Buffer option, std::uint8_t kind, const Mac& mac) {
    put8(option, 0, kind);
    put8(option, 1, 1);
    std::ranges::copy(mac, option.begin() + 2);
}

void advertise_router(Wire& wire, const Mac& to, const Address& destination) {
    const auto& settings = wire.settings;
    constexpr std::size_t header = 16, link = 8, mtu = 8, prefix = 32, resolver = 24;
    Outgoing packet(wire, {to, settings.link_local, destination}, protocol_icmp6,
                    header + link + mtu + prefix + resolver, link_hops);
    auto bytes = packet.payload();
    put8(bytes, 0, router_advertisement);
    put8(bytes, 4, 64); // hops
    // Seconds as a default router: the longest time there is, or none.
    put16(bytes, 6, settings.reaches_ipv6 ? 9000 : 0);
    bytes = bytes.subspan(header);
    put_link_option(bytes, option_source, settings.mac);
    bytes = bytes.subspan(link);
    put8(bytes, 0, option_mtu);
    put8(bytes, 1, 1);
    put32(bytes, 4, settings.mtu);
    bytes = bytes.subspan(mtu);
    put8(bytes, 0, option_prefix);
    put8(bytes, 1, prefix / 8);
    put8(bytes, 2, 64);
    put8(bytes, 3, 0xc0); // on the link, and for addresses that machines make
    put32(bytes, 4, forever);
    put32(bytes, 8, forever);
    std::ranges::copy(std::span(settings.gateway6.bytes).first(8), bytes.begin() + 16);
    bytes = bytes.subspan(prefix);
    put8(bytes, 0, option_resolver);
    put8(bytes, 1, resolver / 8);
    put32(bytes, 4, forever);
    std::ranges::copy(settings.resolver6.bytes, bytes.begin() + 8);
    packet.send(2);
}

void advertise_neighbour(Wire& wire, const Mac& to, const Address& own, const Address& destination, bool solicited) {
    Outgoing packet(wire, {to, own, destination}, protocol_icmp6, 32, link_hops);
    auto bytes = packet.payload();
    put8(bytes, 0, neighbour_advertisement);
    put8(bytes, 4, solicited ? 0xe0 : 0xa0); // a router, an answer, replaces others
    std::ranges::copy(own.bytes, bytes.begin() + 8);
    put_link_option(bytes.subspan(24), option_target, wire.settings.mac);
    packet.send(2);
}

const Address all_nodes = Address::v6(0xff02'0000, 1);
const Mac all_nodes_mac = {std::byte{0x33}, std::byte{0x33}, {}, {}, {}, std::byte{1}};

} // namespace

std::optional<Address> take_arp(Wire& wire, const Frame& frame) {
    const auto arp = frame.bytes.subspan(ethernet_size);
    if (arp.size() < arp_size || get16(arp, 0) != 1 || get16(arp, 2) != ethertype_ipv4 || get16(arp, 4) != 0x0604)
        return std::nullopt;
    Mac mac;
    std::ranges::copy(arp.subspan(8, 6), mac.begin());
    const auto source = Address::of(arp.subspan(14, 4));
    const auto target = Address::of(arp.subspan(24, 4));
    const auto operation = get16(arp, 6);
    // Linux asks from 0.0.0.0 whether somebody has its address (RFC 5227).
    // Nobody sends for others.
    const bool probe = source == Address::v4(0);
    if (!std::ranges::equal(frame.bytes.subspan(6, 6), mac) || (!probe && !wire.settings.is_guest(source)))
        return std::nullopt;
    if (operation == arp_request && target.is_v4() && wire.settings.is_own(target))
        send_arp(wire, arp_reply, target, mac, source);
    if (probe || !wire.learn(source, mac))
        return std::nullopt;
    return source;
}

std::optional<Address> take_neighbour_discovery(Wire& wire, const Packet& packet) {
    const auto message = packet.payload;
    const auto type = get8(message, 0);
    const bool from_nobody = packet.source == Address::v6(0, 0);
    if (packet.hop_limit != link_hops || get8(message, 1) != 0 ||
        (!from_nobody && !wire.settings.is_guest(packet.source)))
        return std::nullopt;
    if (type == router_solicitation && message.size() >= 8) {
        if (from_nobody)
            advertise_router(wire, all_nodes_mac, all_nodes);
        else
            advertise_router(wire, packet.sender, packet.source);
        return std::nullopt;
    }
    if (message.size() < 24)
        return std::nullopt;
    const auto target = Address::of(message.subspan(8, 16));
    if (type == neighbour_solicitation && wire.settings.is_own(target)) {
        if (from_nobody)
            advertise_neighbour(wire, all_nodes_mac, target, all_nodes, false);
        else
            advertise_neighbour(wire, packet.sender, target, packet.source, true);
    }
    // An option has the MAC, too. But nobody speaks for others.
    const auto& owner = type == neighbour_solicitation ? packet.source : target;
    if ((type != neighbour_solicitation && type != neighbour_advertisement) || !wire.settings.is_guest(owner) ||
        owner.is_v4() || !wire.learn(owner, packet.sender))
        return std::nullopt;
    return owner;
}

void ask_for_neighbour(Wire& wire, const Address& address) {
    const auto& settings = wire.settings;
    if (address.is_v4())
        return send_arp(wire, arp_request, settings.gateway, broadcast, address);
    // RFC 4291, 2.7.1: each address has a group of who may have it.
    auto group = Address::v6(0xff02'0000, 0xff00'0000 | (address.number() & 0x00ff'ffff));
    group.bytes[11] = std::byte{1};
    Mac to = {std::byte{0x33}, std::byte{0x33}};
    std::ranges::copy(std::span(group.bytes).last(4), to.begin() + 2);
    Outgoing packet(wire, {to, settings.link_local, group}, protocol_icmp6, 32, link_hops);
    auto bytes = packet.payload();
    put8(bytes, 0, neighbour_solicitation);
    std::ranges::copy(address.bytes, bytes.begin() + 8);
    put_link_option(bytes.subspan(24), option_source, settings.mac);
    packet.send(2);
}

} // namespace auklet::network
