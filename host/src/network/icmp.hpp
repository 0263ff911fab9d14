// SPDX-License-Identifier: MIT
// ICMP (RFC 792) and ICMPv6 (RFC 4443): echo, and why a packet went nowhere.
#pragma once

#include "../backends/flows.hpp"
#include "ip.hpp"

namespace auklet::network {

enum class Unreachable : std::uint8_t { network, host, port, prohibited };
/// What a guest is told of a flow that did not open.
[[nodiscard]] inline Unreachable reason_of(FlowError error) {
    return error == FlowError::prohibited ? Unreachable::prohibited : Unreachable::host;
}

/// Answers an echo request to one of the translator's addresses. Says of others
/// that they are prohibited: nobody asked them.
void take_icmp(Wire& wire, const Packet& packet);
/// Tells the sender of a packet that it went nowhere. Errors, and packets to
/// groups, get no such answer.
void send_unreachable(Wire& wire, const Packet& packet, Unreachable reason);
/// The same, for a packet of the guest's of which only this is known. `word` is
/// what its transport's header has behind the ports.
void send_unreachable(Wire& wire, const Mac& mac, const Ends& ends, std::uint8_t protocol, std::uint32_t word,
                      Unreachable reason);

} // namespace auklet::network
