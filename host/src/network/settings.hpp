// SPDX-License-Identifier: MIT
// The addresses of the link that the translator serves.
#pragma once

#include "address.hpp"
#include "frame.hpp"

namespace auklet::network {

struct Settings {
    /// The translator's own, for all of its addresses. Locally administered.
    Mac mac = {std::byte{0x02}, std::byte{0x61}, std::byte{0x75}, std::byte{0x6b}, std::byte{0x00}, std::byte{0x02}};

    // 10.0.2.0/24, as with QEMU.
    Address gateway = Address::v4(0x0a00'0202);
    Address resolver = Address::v4(0x0a00'0203);
    /// The first that DHCP gives away.
    Address first_guest = Address::v4(0x0a00'020f);

    // fd00::/64
    Address gateway6 = Address::v6(0xfd00'0000, 2);
    Address resolver6 = Address::v6(0xfd00'0000, 3);
    Address link_local = Address::v6(0xfe80'0000, 2);

    /// Without it, the network's addresses come from elsewhere, and there is
    /// only the way out of the machine.
    bool translates = true;
    /// Whether the backend reaches addresses of IPv6. Without, guests get no
    /// default route, and no such addresses of names.
    bool reaches_ipv6 = false;
    std::uint16_t mtu = 1500; ///< at least 1280 (RFC 8200, section 5)
    /// Whether the link takes segments of TCP that are longer than the MTU. It
    /// always completes their checksums.
    bool large_segments = true;

    [[nodiscard]] bool is_own(const Address& address) const {
        return address == gateway || address == resolver || address == gateway6 || address == resolver6 ||
               address == link_local;
    }
    /// Whether an address belongs to the link, or would if somebody had it.
    [[nodiscard]] bool is_local(const Address& address) const {
        return address.is_v4() ? address.shares(gateway, 15) : address.shares(gateway6, 8) || address.is_link_local();
    }
    /// Whether a machine on the link may send from an address.
    [[nodiscard]] bool is_guest(const Address& address) const {
        const std::uint32_t host = address.number() & 0xff;
        return is_local(address) && !is_own(address) && (!address.is_v4() || (host != 0 && host != 0xff));
    }
};

} // namespace auklet::network
