// SPDX-License-Identifier: MIT
// DHCP.

#include "dhcp.hpp"

namespace auklet::network {

namespace {

// RFC 2131, section 2: places of fields
constexpr std::size_t transaction_place = 4;
constexpr std::size_t flags_place = 10;
constexpr std::size_t client_place = 12; // ciaddr
constexpr std::size_t your_place = 16;   // yiaddr
constexpr std::size_t relay_place = 24;  // giaddr
constexpr std::size_t mac_place = 28;    // chaddr
constexpr std::size_t cookie_place = 236;
constexpr std::uint32_t cookie = 0x6382'5363;
constexpr std::size_t options_place = 240;
constexpr std::uint16_t broadcast_flag = 0x8000;

// RFC 2132
constexpr std::uint8_t option_mask = 1, option_router = 3, option_resolver = 6, option_mtu = 26;
constexpr std::uint8_t option_requested = 50, option_time = 51, option_type = 53, option_server = 54;
constexpr std::uint8_t option_end = 255;
constexpr std::uint8_t discover = 1, offer = 2, request_type = 3, decline = 4, ack = 5, nak = 6, release = 7,
                       inform = 8;
/// Seconds. A machine keeps its address as long as it is there anyhow.
constexpr std::uint32_t lease_time = 86'400;
constexpr std::uint8_t last_host = 254;
/// Old clients want so many bytes (RFC 1542, section 2.1). All options have
/// room in it.
constexpr std::size_t answer_size = 300;

} // namespace

struct Dhcp::Request {
    Bytes message;
    Mac mac;
    std::uint8_t type = 0;
    std::optional<Address> requested = {};
    std::optional<Address> server = {};

    [[nodiscard]] Address client() const { return Address::of(message.subspan(client_place, 4)); }

    [[nodiscard]] static std::optional<Request> parse(const Packet& packet, Bytes message) {
        Request request{message, packet.sender};
        // Of Ethernet, from the machine itself, and by no relay.
        if (message.size() < options_place || get32(message, 0) >> 8 != 0x01'0106 ||
            get32(message, cookie_place) != cookie || get32(message, relay_place) != 0 ||
            !std::ranges::equal(message.subspan(mac_place, request.mac.size()), request.mac))
            return std::nullopt;
        for (auto options = message.subspan(options_place); !options.empty() && get8(options, 0) != option_end;) {
            const auto kind = get8(options, 0);
            if (kind == 0) {
                options = options.subspan(1);
                continue;
            }
            if (options.size() < 2 || options.size() - 2 < get8(options, 1))
                return std::nullopt;
            const auto value = options.subspan(2, get8(options, 1));
            if (kind == option_type && value.size() == 1)
                request.type = get8(value, 0);
            if (kind == option_requested && value.size() == 4)
                request.requested = Address::of(value);
            if (kind == option_server && value.size() == 4)
                request.server = Address::of(value);
            options = options.subspan(2 + value.size());
        }
        return request;
    }
};

bool Dhcp::is_for(const Packet& packet, const Datagram& datagram) const {
    return packet.source.is_v4() && datagram.source_port == client_port && datagram.destination_port == server_port &&
           (packet.destination == Address::v4(~0U) || packet.destination == wire_.settings.gateway);
}

void Dhcp::take(const Packet& packet, const Datagram& datagram) {
    const auto request = Request::parse(packet, datagram.data);
    if (!request || (request->server && *request->server != wire_.settings.gateway))
        return;
    if (request->type == inform)
        return answer(*request, ack, Address::v4(0));
    if (request->type == release)
        return removed(request->mac);
    const auto address = lease(request->mac);
    if (!address)
        return;
    if (request->type == decline) {
        // Somebody has it who has not asked.
        leases_[static_cast<std::uint8_t>(address->number())] = Mac{};
    } else if (request->type == discover) {
        answer(*request, offer, *address);
    } else if (request->type == request_type) {
        const bool good = request->requested.value_or(request->client()) == *address;
        answer(*request, good ? ack : nak, good ? *address : Address::v4(0));
    }
}

void Dhcp::removed(const Mac& mac) {
    std::erase_if(leases_, [&](const auto& each) { return each.second == mac; });
}

std::optional<Address> Dhcp::lease(const Mac& mac) {
    const auto& first = wire_.settings.first_guest;
    const std::uint32_t network = first.number() & ~0xffU;
    for (const auto& [host, owner] : leases_)
        if (owner == mac)
            return Address::v4(network | host);
    for (std::uint32_t host = first.number() & 0xff; host <= last_host; ++host) {
        const auto address = Address::v4(network | host);
        const auto* other = wire_.find(address);
        if (leases_.contains(static_cast<std::uint8_t>(host)) || (other != nullptr && *other != mac))
            continue;
        leases_.emplace(static_cast<std::uint8_t>(host), mac);
        return address;
    }
    return std::nullopt;
}

void Dhcp::answer(const Request& request, std::uint8_t type, const Address& address) {
    const auto& settings = wire_.settings;
    std::array<std::byte, answer_size> message{};
    put32(message, 0, 0x0201'0600);
    put32(message, transaction_place, get32(request.message, transaction_place));
    put16(message, flags_place, get16(request.message, flags_place));
    if (type == ack)
        std::ranges::copy(request.client().wire(), message.begin() + client_place);
    std::ranges::copy(address.wire(), message.begin() + your_place);
    std::ranges::copy(request.mac, message.begin() + mac_place);
    put32(message, cookie_place, cookie);
    std::size_t at = options_place;
    const auto option = [&](std::uint8_t kind, std::uint8_t size, std::uint32_t value) {
        put8(message, at, kind);
        put8(message, at + 1, size);
        for (at += 2; size > 0; ++at)
            put8(message, at, static_cast<std::uint8_t>(value >> 8 * --size));
    };
    option(option_type, 1, type);
    option(option_server, 4, settings.gateway.number());
    if (type != nak) {
        option(option_mask, 4, ~0xffU);
        option(option_router, 4, settings.gateway.number());
        option(option_resolver, 4, settings.resolver.number());
        option(option_mtu, 2, settings.mtu);
        if (address != Address::v4(0))
            option(option_time, 4, lease_time);
    }
    put8(message, at, option_end);
    // RFC 2131, section 4.1: to the address that the machine has or gets, or to
    // all if it wants so.
    Route route{request.mac, settings.gateway, request.client() != Address::v4(0) ? request.client() : address};
    if (type == nak || route.destination == Address::v4(0) || get16(message, flags_place) >= broadcast_flag) {
        route.to.fill(std::byte{0xff});
        route.destination = Address::v4(~0U);
    }
    send_datagram(wire_, route, server_port, client_port, message);
}

} // namespace auklet::network
