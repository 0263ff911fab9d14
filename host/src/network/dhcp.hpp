// SPDX-License-Identifier: MIT
// Addresses for machines whose image does not set one: DHCP (RFC 2131).
#pragma once

#include "udp.hpp"

#include <map>

namespace auklet::network {

class Dhcp {
  public:
    explicit Dhcp(Wire& wire) : wire_(wire) {}

    static constexpr std::uint16_t server_port = 67;
    static constexpr std::uint16_t client_port = 68;

    /// Whether a datagram is for a server of DHCP on the link.
    [[nodiscard]] bool is_for(const Packet& packet, const Datagram& datagram) const;
    void take(const Packet& packet, const Datagram& datagram);
    void removed(const Mac& mac);

  private:
    struct Request;

    /// The address of a machine, which it keeps. Nothing if there is none left.
    [[nodiscard]] std::optional<Address> lease(const Mac& mac);
    void answer(const Request& request, std::uint8_t type, const Address& address);

    Wire& wire_;
    /// The last byte of the address, and whose it is. What a machine has
    /// declined is nobody's.
    std::map<std::uint8_t, Mac> leases_;
};

} // namespace auklet::network
