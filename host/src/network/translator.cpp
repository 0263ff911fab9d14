// SPDX-License-Identifier: MIT
// The translator: which part of it a frame is for.

#include "translator.hpp"

#include "icmp.hpp"

namespace auklet::network {

bool Translator::deliver(const Frame& frame) {
    const auto destination = frame.bytes.first(6);
    const bool to_group = (destination[0] & std::byte{1}) != std::byte{0};
    if (!to_group && !std::ranges::equal(destination, wire_.settings.mac))
        return true;
    if (get16(frame.bytes, 12) == ethertype_arp) {
        learned(take_arp(wire_, frame));
        return true;
    }
    auto packet = parse_packet(frame);
    if (packet && packet->fragment)
        packet = reassembly_.take(*packet);
    if (packet && is_valid(*packet))
        take_packet(*packet);
    return true;
}

void Translator::room() {
    wire_.room();
    tcp_.room();
}

void Translator::removed(const Mac& mac) {
    tcp_.removed(mac);
    udp_.removed(mac);
    dhcp_.removed(mac);
    wire_.forget(mac);
}

void Translator::learned(const std::optional<Address>& address) {
    if (address)
        tcp_.learned(*address);
}

bool Translator::is_valid(const Packet& packet) const {
    // A machine that has no address yet asks for one.
    const auto nobody = packet.source.is_v4() ? Address::v4(0) : Address::v6(0, 0);
    if (packet.source == nobody)
        return packet.protocol == protocol_udp || packet.protocol == protocol_icmp6;
    return wire_.settings.is_guest(packet.source);
}

void Translator::take_packet(const Packet& packet) {
    const bool v4 = packet.source.is_v4();
    if (packet.protocol == protocol_icmp6 && !v4)
        return take_icmp6(packet);
    std::optional<Datagram> datagram;
    if (packet.protocol == protocol_udp && !(datagram = Datagram::parse(packet)))
        return;
    // A machine without an address has DHCP only.
    if (datagram && dhcp_.is_for(packet, *datagram))
        return dhcp_.take(packet, *datagram);
    if (packet.destination.is_multicast() || !wire_.settings.is_guest(packet.source) || packet.source.is_link_local())
        return;
    learned(wire_.learn(packet.source, packet.sender) ? std::optional(packet.source) : std::nullopt);
    if (packet.protocol == protocol_icmp && v4)
        return take_icmp(wire_, packet);
    take_transport(packet, datagram);
}

void Translator::take_transport(const Packet& packet, const std::optional<Datagram>& datagram) {
    const auto& settings = wire_.settings;
    const bool own = settings.is_own(packet.destination);
    if (!own && settings.is_local(packet.destination)) {
        // Who is there answers itself. The last address is everybody's.
        if (!packet.destination.is_v4() || settings.is_guest(packet.destination))
            send_unreachable(wire_, packet, Unreachable::host);
    } else if (!own && !packet.destination.is_v4() && !settings.reaches_ipv6) {
        send_unreachable(wire_, packet, Unreachable::network);
    } else if (packet.protocol == protocol_tcp) {
        tcp_.take(packet);
    } else if (datagram && dns_.is_for(packet, *datagram)) {
        dns_.take(packet, *datagram);
    } else if (datagram) {
        udp_.take(packet, *datagram);
    } else {
        send_unreachable(wire_, packet, Unreachable::prohibited);
    }
}

void Translator::take_icmp6(const Packet& packet) {
    if (packet.payload.size() < 8 || !checksum_is_right(packet))
        return;
    const auto type = get8(packet.payload, 0);
    if (type >= router_solicitation && type <= neighbour_advertisement)
        learned(take_neighbour_discovery(wire_, packet));
    else if (!packet.destination.is_multicast())
        take_icmp(wire_, packet);
}

} // namespace auklet::network
