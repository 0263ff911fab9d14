// SPDX-License-Identifier: MIT
// libFuzzer: requests of DHCP from several machines, in any order. A second reader of requests, written from RFC 2131
// alone, knows who has which address, and what the answer has to be.

#include "src/network/dhcp.hpp"
#include "network_fakes.hpp"

#include <map>

namespace {

using namespace fuzz;

constexpr std::size_t fixed = 240; ///< bytes in front of the options

/// The options of a message, the last of each kind. Nothing if one goes beyond the end.
std::optional<std::map<unsigned, std::vector<std::byte>>> options_of(Bytes message) {
    std::map<unsigned, std::vector<std::byte>> options;
    std::size_t at = fixed;
    while (at < message.size()) {
        const auto kind = std::to_integer<unsigned>(message[at]);
        if (kind == 255)
            return options;
        if (kind == 0) {
            ++at;
            continue;
        }
        if (at + 1 >= message.size())
            return std::nullopt;
        const auto size = std::to_integer<std::size_t>(message[at + 1]);
        if (at + 2 + size > message.size())
            return std::nullopt;
        const auto value = message.subspan(at + 2, size);
        // An option of another length than its kind has is none.
        if (size == (kind == 53 ? 1U : 4U) || (kind != 50 && kind != 53 && kind != 54))
            options[kind].assign(value.begin(), value.end());
        at += 2 + size;
    }
    return options;
}

/// Who has which address, as RFC 2131 and the header of the server tell.
class Model {
  public:
    explicit Model(const Wire& wire) : wire_(wire) {}

    std::optional<std::uint32_t> lease(const Mac& mac) {
        for (const auto& [address, owner] : leases_)
            if (owner == mac)
                return address;
        for (std::uint32_t address = 0x0a00'020f; address <= 0x0a00'02fe; ++address) {
            const auto* other = wire_.find(Address::v4(address));
            if (leases_.contains(address) || (other != nullptr && *other != mac))
                continue;
            leases_[address] = mac;
            return address;
        }
        return std::nullopt;
    }
    void decline(std::uint32_t address) { leases_[address] = Mac{}; }
    void release(const Mac& mac) {
        std::erase_if(leases_, [&](const auto& lease) { return lease.second == mac; });
    }

  private:
    const Wire& wire_;
    std::map<std::uint32_t, Mac> leases_;
};

/// The type of the answer and the address in it, if there is one.
std::optional<std::pair<std::uint8_t, std::uint32_t>> expect(Model& model, const Mac& mac, Bytes message) {
    if (message.size() < fixed || get32(message, 0) >> 8 != 0x01'0106 || get32(message, 236) != 0x6382'5363 ||
        get32(message, 24) != 0 || !std::ranges::equal(message.subspan(28, 6), mac))
        return std::nullopt;
    const auto options = options_of(message);
    if (!options)
        return std::nullopt;
    const auto number = [&](unsigned kind) -> std::optional<std::uint32_t> {
        const auto found = options->find(kind);
        return found == options->end() ? std::nullopt : std::optional(get32(found->second, 0));
    };
    const auto type = options->contains(53) ? get8(options->at(53), 0) : 0;
    if (const auto server = number(54); server && *server != 0x0a00'0202)
        return std::nullopt;
    if (type == 8)
        return {{5, 0}};
    if (type == 7)
        return model.release(mac), std::nullopt;
    const auto address = model.lease(mac);
    if (!address)
        return std::nullopt;
    if (type == 4)
        model.decline(*address);
    if (type == 1)
        return {{2, *address}};
    if (type != 3)
        return std::nullopt;
    if (number(50).value_or(get32(message, 12)) == *address)
        return {{5, *address}};
    return {{6, 0}};
}

void check(const Sent& sent, Bytes request, const Mac& mac, std::uint8_t type, std::uint32_t address) {
    const auto message = sent.datagram.data;
    require(sent.datagram.source_port == 67 && sent.datagram.destination_port == 68 && message.size() >= 300);
    require(get32(message, 0) == 0x0201'0600 && get32(message, 4) == get32(request, 4));
    require(get16(message, 10) == get16(request, 10));
    require(get32(message, 12) == (type == 5 ? get32(request, 12) : 0));
    require(get32(message, 16) == address);
    require(std::ranges::equal(message.subspan(28, 6), mac) && get32(message, 236) == 0x6382'5363);
    const auto options = options_of(message);
    require(options && get8(options->at(53), 0) == type && get32(options->at(54), 0) == 0x0a00'0202);
    require(options->contains(51) == (address != 0));
    for (const unsigned kind : {1U, 3U, 6U, 26U})
        require(options->contains(kind) == (type != 6));
    // To its address, or to all (RFC 2131, section 4.1).
    const auto client = get32(request, 12);
    const auto own = client != 0 ? client : address;
    const bool to_all = type == 6 || own == 0 || (get8(request, 10) & 0x80U) != 0;
    require(sent.packet.destination == Address::v4(to_all ? ~0U : own));
    const auto to = Bytes(sent.frame).first(6);
    require(to_all ? std::ranges::all_of(to, [](std::byte byte) { return byte == std::byte{255}; })
                   : std::ranges::equal(to, mac));
}

void drive(Input input) {
    DatagramLink link;
    NoPort port;
    const Settings settings;
    Wire wire(port, settings);
    wire.attach(&link);
    Dhcp dhcp(wire);
    Model model(wire);
    while (!input.empty()) {
        const auto step = input.byte();
        Mac mac = guest_mac;
        // Few machines as a rule, and sometimes more than there are addresses.
        mac[5] = static_cast<std::byte>(input.byte() % (step % 2 == 0 ? 4 : 256));
        if (step % 32 == 31) {
            dhcp.removed(mac);
            model.release(mac);
            wire.forget(mac);
            continue;
        }
        if (step % 32 == 30) {
            // Somebody uses an address without a lease.
            wire.learn(Address::v4(0x0a00'0200U | input.byte()), mac);
            continue;
        }
        std::vector<std::byte> message(fixed);
        put32(message, 0, 0x0101'0600U | step);
        put32(message, 4, 0x1234'5678);
        std::ranges::copy(mac, message.begin() + 28);
        put32(message, 236, 0x6382'5363);
        const auto flags = input.byte();
        if ((flags & 1) != 0)
            put16(message, 10, 0x8000);
        if ((flags & 2) != 0)
            put32(message, 12, 0x0a00'0200U | input.byte());
        const auto option = [&](std::initializer_list<unsigned> bytes) {
            for (const auto byte : bytes)
                message.push_back(static_cast<std::byte>(byte));
        };
        if ((flags & 4) == 0)
            option({53, 1, input.byte() % 9U});
        if ((flags & 8) != 0)
            option({50, 4, 10, 0, 2, input.byte()});
        if ((flags & 16) != 0)
            option({54, 4, 10, 0, 2, input.byte() % 4U});
        const auto rest = input.take(flags >> 5 == 7 ? input.byte() : flags >> 5);
        message.insert(message.end(), rest.begin(), rest.end());
        if (step % 16 == 14)
            message[input.byte() % message.size()] = static_cast<std::byte>(input.byte());
        if (step % 16 == 12)
            message.resize(input.byte());
        const auto exact = message;
        const Packet packet{
            .sender = mac, .source = Address::v4(0), .destination = Address::v4(~0U), .payload = {}, .whole = {}};
        const Datagram datagram{Dhcp::client_port, Dhcp::server_port, exact};
        require(dhcp.is_for(packet, datagram));
        link.sent.clear();
        dhcp.take(packet, datagram);
        const auto expected = expect(model, mac, exact);
        require(link.sent.size() == (expected ? 1 : 0));
        if (expected)
            check(link.sent[0], exact, mac, expected->first, expected->second);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    drive({data, size});
    return 0;
}
