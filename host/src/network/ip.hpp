// SPDX-License-Identifier: MIT
// Packets of IPv4 (RFC 791) and IPv6 (RFC 8200) in frames.
#pragma once

#include "checksum.hpp"
#include "wire.hpp"

#include <optional>
#include <vector>

namespace auklet::network {

inline constexpr std::size_t ethernet_size = 14;
inline constexpr std::uint16_t ethertype_ipv4 = 0x0800;
inline constexpr std::uint16_t ethertype_arp = 0x0806;
inline constexpr std::uint16_t ethertype_ipv6 = 0x86dd;

inline constexpr std::uint8_t protocol_icmp = 1;
inline constexpr std::uint8_t protocol_tcp = 6;
inline constexpr std::uint8_t protocol_udp = 17;
inline constexpr std::uint8_t protocol_icmp6 = 58;

/// A packet that was received.
struct Packet {
    Mac sender{};
    Address source;
    Address destination;
    std::uint8_t protocol = 0;
    std::uint8_t hop_limit = 0;
    /// The header of the transport, and what follows.
    Bytes payload;
    /// From the header of IP on, for ICMP errors. Of a packet in fragments, the
    /// last one.
    Bytes whole;
    /// The frame's offload says so: nobody has to look.
    bool checksum_good = false;

    struct Fragment {
        std::uint32_t id;
        std::size_t offset;
        bool more;
    };
    std::optional<Fragment> fragment = {};
};

/// Returns nothing for bytes that are no packet.
[[nodiscard]] std::optional<Packet> parse_packet(const Frame& frame);
/// Whether the transport's checksum, of a payload with a pseudo header, is
/// right or not needed.
[[nodiscard]] bool checksum_is_right(const Packet& packet);

/// The ends of a flow.
struct Ends {
    Address guest, far;
    std::uint16_t guest_port, far_port;
    auto operator<=>(const Ends&) const = default;
};

/// Where a packet goes.
struct Route {
    Mac to;
    Address source;
    Address destination;

    /// Bytes of the headers of Ethernet and IP.
    [[nodiscard]] std::size_t headers() const { return ethernet_size + (source.is_v4() ? 20 : 40); }
};
/// The way back to who sent `packet`.
[[nodiscard]] inline Route answer_to(const Packet& packet) {
    return {packet.sender, packet.destination, packet.source};
}

/// Writes the headers of Ethernet and IP, `route.headers()` bytes, for a
/// payload of `length` bytes.
void write_headers(Buffer headers, const Wire& wire, const Route& route, std::uint8_t protocol, std::size_t length,
                   std::uint8_t hop_limit = 64);

/// A packet of anything but TCP, in the making.
class Outgoing {
  public:
    Outgoing(Wire& wire, const Route& route, std::uint8_t protocol, std::size_t length, std::uint8_t hop_limit = 64);

    /// Zeros at first. `length` bytes.
    [[nodiscard]] Buffer payload() { return std::span(bytes_).subspan(route_.headers()); }
    /// Sends it, or its fragments if it is longer than the MTU. The checksum is
    /// at `place` of the payload. A sum of 0 is written as `zero`.
    void send(std::size_t place, std::uint16_t zero = 0);

  private:
    void send_fragments();

    Wire& wire_;
    Route route_;
    std::uint8_t protocol_;
    std::vector<std::byte> bytes_;
};

} // namespace auklet::network
