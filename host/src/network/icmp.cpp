// SPDX-License-Identifier: MIT
// ICMP: echo, and why a packet went nowhere.

#include "icmp.hpp"

namespace auklet::network {

namespace {

constexpr std::uint8_t echo_reply = 0, echo_request = 8, unreachable = 3;
constexpr std::uint8_t echo_request6 = 128, echo_reply6 = 129, unreachable6 = 1;
/// So much of a packet comes back with the error at most (RFC 1812, 4.3.2.3).
constexpr std::size_t longest_quote = 548;

/// The codes of each reason, in the order of Unreachable: of IPv4 and of IPv6.
constexpr std::uint8_t codes[][2] = {{0, 0}, {1, 3}, {3, 4}, {13, 1}};

void send_error(Wire& wire, Route route, Bytes quote, Unreachable reason) {
    const bool v4 = route.source.is_v4();
    // Only the port is the host's own word.
    if (reason != Unreachable::port)
        route.source = v4 ? wire.settings.gateway : wire.settings.gateway6;
    quote = quote.first(std::min(quote.size(), longest_quote));
    Outgoing packet(wire, route, v4 ? protocol_icmp : protocol_icmp6, 8 + quote.size());
    put8(packet.payload(), 0, v4 ? unreachable : unreachable6);
    put8(packet.payload(), 1, codes[static_cast<std::size_t>(reason)][v4 ? 0 : 1]);
    std::ranges::copy(quote, packet.payload().begin() + 8);
    packet.send(2);
}

/// Whether a packet is one that asks for something: an error is no reason for
/// another one.
bool asks(const Packet& packet) {
    if (packet.protocol != protocol_icmp && packet.protocol != protocol_icmp6)
        return true;
    if (packet.payload.empty())
        return false;
    const auto type = get8(packet.payload, 0);
    return packet.protocol == protocol_icmp ? type == echo_request : type == echo_request6;
}

} // namespace

void take_icmp(Wire& wire, const Packet& packet) {
    const bool v4 = packet.destination.is_v4();
    if (packet.payload.size() < 8 || get8(packet.payload, 0) != (v4 ? echo_request : echo_request6))
        return;
    if (!wire.settings.is_own(packet.destination))
        return send_unreachable(wire, packet, Unreachable::prohibited);
    Outgoing answer(wire, answer_to(packet), packet.protocol, packet.payload.size());
    std::ranges::copy(packet.payload, answer.payload().begin());
    put8(answer.payload(), 0, v4 ? echo_reply : echo_reply6);
    put16(answer.payload(), 2, 0);
    answer.send(2);
}

void send_unreachable(Wire& wire, const Packet& packet, Unreachable reason) {
    if (!asks(packet) || packet.destination.is_multicast())
        return;
    send_error(wire, answer_to(packet), packet.whole, reason);
}

void send_unreachable(Wire& wire, const Mac& mac, const Ends& ends, std::uint8_t protocol, std::uint32_t word,
                      Unreachable reason) {
    // The headers that the packet had, as far as its sender looks at them.
    const Route route{mac, ends.guest, ends.far};
    const std::size_t size = route.headers();
    std::vector<std::byte> bytes(size + 8);
    write_headers(std::span(bytes).first(size), wire, route, protocol, 8);
    put16(bytes, size, ends.guest_port);
    put16(bytes, size + 2, ends.far_port);
    put32(bytes, size + 4, word);
    send_error(wire, {mac, ends.far, ends.guest}, Bytes(bytes).subspan(ethernet_size), reason);
}

} // namespace auklet::network
