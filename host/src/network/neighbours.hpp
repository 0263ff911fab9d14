// SPDX-License-Identifier: MIT
// Who has which address on the link: ARP (RFC 826), neighbour discovery
// (RFC 4861).
#pragma once

#include "ip.hpp"

namespace auklet::network {

/// Answers who asks for the translator's addresses. Returns the address whose
/// owner's MAC is known by this frame, if any.
std::optional<Address> take_arp(Wire& wire, const Frame& frame);
/// The same of an ICMPv6 packet with a type from router_solicitation to
/// neighbour_advertisement, whose checksum is right.
std::optional<Address> take_neighbour_discovery(Wire& wire, const Packet& packet);
/// Asks the link who has an address.
void ask_for_neighbour(Wire& wire, const Address& address);

inline constexpr std::uint8_t router_solicitation = 133;
inline constexpr std::uint8_t router_advertisement = 134;
inline constexpr std::uint8_t neighbour_solicitation = 135;
inline constexpr std::uint8_t neighbour_advertisement = 136;

} // namespace auklet::network
