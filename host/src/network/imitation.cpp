// SPDX-License-Identifier: MIT
// What other machines may not say: ARP, neighbour discovery, DHCP.

#include "imitation.hpp"

#include "neighbours.hpp"

namespace auklet::network {

namespace {

constexpr std::size_t arp_size = 28;
constexpr std::size_t arp_sender = 14;

constexpr std::size_t type_place = 12;
constexpr std::uint16_t type_vlan = 0x8100;
constexpr std::uint16_t type_service_vlan = 0x88a8;
constexpr std::size_t vlan_tag = 4;

constexpr std::uint8_t hop_by_hop = 0, routing = 43, fragment_header = 44, destination_options = 60;
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

/// RFC 8200, section 4.
bool is_extension(std::uint8_t protocol) {
    return protocol == hop_by_hop || protocol == routing || protocol == fragment_header ||
           protocol == destination_options;
}

bool is_tag(std::uint16_t type) { return type == type_vlan || type == type_service_vlan; }

bool imitates_untagged(const Frame& frame, const Settings& settings) {
    const auto type = get16(frame.bytes, type_place);
    if (type == ethertype_arp) {
        const auto arp = frame.bytes.subspan(ethernet_size);
        return arp.size() < arp_size || settings.is_own(Address::of(arp.subspan(arp_sender, 4)));
    }
    if (type != ethertype_ipv4 && type != ethertype_ipv6)
        return false;
    const auto packet = parse_packet(frame);
    if (!packet || settings.is_own(packet->source))
        return true;
    // The first fragment has all headers (RFC 7112). Here, not even the
    // protocol would be known.
    if (packet->fragment && packet->fragment->offset == 0 && type == ethertype_ipv6 && is_extension(packet->protocol))
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

} // namespace

bool imitates(const Frame& frame, const Settings& settings) {
    // Linux takes a frame of VLAN 0 as one without a tag. And packet sockets,
    // such as that of a client of DHCP, get those of other VLANs, too.
    std::size_t end = type_place;
    while (is_tag(get16(frame.bytes, end))) {
        end += vlan_tag;
        if (frame.bytes.size() < end + 2)
            return true;
    }
    if (end == type_place)
        return imitates_untagged(frame, settings);
    std::vector<std::byte> bytes(frame.bytes.begin(), frame.bytes.begin() + type_place);
    const auto rest = frame.bytes.subspan(end);
    bytes.insert(bytes.end(), rest.begin(), rest.end());
    return imitates_untagged({.offload = {}, .bytes = bytes}, settings);
}

} // namespace auklet::network
