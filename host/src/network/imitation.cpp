// SPDX-License-Identifier: MIT
// What other machines may not say: ARP, neighbour discovery, DHCP.

#include "imitation.hpp"

#include "neighbours.hpp"

namespace auklet::network {

namespace {

constexpr std::size_t arp_size = 28;
constexpr std::size_t arp_sender = 14;

constexpr std::uint8_t redirect = 137; // RFC 4861, section 4.5
/// Where an advertisement has the address that it is about.
constexpr std::size_t target_place = 8;

// Ports of servers.
constexpr std::uint16_t dhcp_server = 67;
constexpr std::uint16_t dhcp6_server = 547;

bool imitates_router(Bytes message, const Settings& settings) {
    if (message.empty())
        return false;
    const auto type = get8(message, 0);
    if (type == router_advertisement || type == redirect)
        return true;
    return type == neighbour_advertisement && message.size() >= target_place + 16 &&
           settings.is_own(Address::of(message.subspan(target_place, 16)));
}

} // namespace

bool imitates(const Frame& frame, const Settings& settings) {
    const auto type = get16(frame.bytes, 12);
    if (type == ethertype_arp) {
        const auto arp = frame.bytes.subspan(ethernet_size);
        return arp.size() < arp_size || settings.is_own(Address::of(arp.subspan(arp_sender, 4)));
    }
    if (type != ethertype_ipv4 && type != ethertype_ipv6)
        return false;
    const auto packet = parse_packet(frame);
    if (!packet || settings.is_own(packet->source))
        return true;
    // Linux ignores neighbour discovery in fragments (RFC 6980). The first one
    // of a datagram has its ports.
    if (packet->fragment && packet->fragment->offset != 0)
        return false;
    if (packet->protocol == protocol_icmp6 && type == ethertype_ipv6)
        return imitates_router(packet->payload, settings);
    if (packet->protocol != protocol_udp || packet->payload.size() < 2)
        return false;
    const auto port = get16(packet->payload, 0);
    return port == (type == ethertype_ipv4 ? dhcp_server : dhcp6_server);
}

} // namespace auklet::network
