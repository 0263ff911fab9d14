// SPDX-License-Identifier: MIT
// libFuzzer: the translator with guests, far sides and a resolver that say anything. AddressSanitizer finds accesses
// outside of frames; the link checks each frame that the translator makes, and the backend that it keeps to credit.

#include "require.hpp"
#include "src/network/translator.hpp"

#include <cstring>
#include <map>
#include <set>

namespace {

using namespace auklet;
using namespace auklet::network;

constexpr std::size_t tcp_size = 20;
constexpr Mac guest_mac = {std::byte{2}, {}, {}, {}, {}, std::byte{15}};

class FuzzClock final : public Clock {
  public:
    double now() override { return time; }
    double wall_time() override { return time; }
    void set_timer(double milliseconds) override { due = time + milliseconds; }

    double time = 1000;
    double due = 1e300;
};

class FuzzRandom final : public Random {
  public:
    void random(std::span<std::byte> bytes) override { std::ranges::fill(bytes, std::byte{7}); }
};

class FuzzLink final : public Link {
  public:
    bool send(Port&, const Frame& frame) override {
        require(frame.bytes.size() >= ethernet_size && frame.bytes.size() <= longest_frame);
        const auto& offload = frame.offload;
        if (get16(frame.bytes, 12) == ethertype_arp) {
            require(offload.flags == 0);
            return take();
        }
        const auto packet = parse_packet(frame);
        require(packet.has_value());
        require(packet->whole.size() == frame.bytes.size() - ethernet_size);
        if (offload.gso_type == gso_none) {
            require(packet->whole.size() <= 1500);
        } else {
            require(offload.gso_size != 0 && offload.header_length + offload.gso_size < frame.bytes.size());
            require(offload.flags == needs_checksum);
        }
        if (offload.flags != 0)
            require(offload.checksum_start + offload.checksum_offset + 2U <= frame.bytes.size());
        else if (!packet->fragment && packet->protocol != protocol_icmp)
            require(checksum_is_right(*packet));
        if (packet->protocol == protocol_tcp && take()) {
            last_sequence = get32(packet->payload, 4);
            last_acknowledgement = get32(packet->payload, 8);
            last_ports = get32(packet->payload, 0);
            return true;
        }
        return packet->protocol != protocol_tcp && take();
    }
    bool take() {
        if (room == 0)
            return false;
        --room;
        return true;
    }

    std::uint32_t room = 100;
    // For segments of guests that fit to what they got.
    std::uint32_t last_sequence = 0, last_acknowledgement = 0, last_ports = 0;
};

class FuzzBackend final : public FlowBackend, public NameBackend {
  public:
    void flow_open(FlowId id, FlowKind kind, const Address&, std::uint16_t port) override {
        require(id >= first_guest_flow && (id >= first_datagram_flow) == (kind == FlowKind::datagrams) && port != 0);
        require(flows.emplace(id, Flow{}).second);
        require(flows.size() <= Tcp::most_connections + Udp::most_flows);
        last = id;
    }
    void flow_opened(FlowId id) override {
        require(flows.contains(id) && id < first_guest_flow);
        last = id;
    }
    std::size_t flow_send(FlowId id, std::span<const std::byte> bytes) override {
        auto& flow = flows.at(id);
        if (id >= first_datagram_flow)
            return 0;
        require(!bytes.empty() && bytes.size() <= flow.room && !flow.finished);
        return flow.room -= bytes.size();
    }
    void flow_finish(FlowId id) override {
        require(id < first_datagram_flow && !flows.at(id).finished);
        flows.at(id).finished = true;
    }
    void flow_consumed(FlowId id, std::size_t count) override {
        require(count != 0 && count <= flows.at(id).given);
        flows.at(id).given -= count;
    }
    void flow_closed(FlowId id, bool) override { require(flows.erase(id) == 1); }
    void resolve(QuestionId id, std::string_view name, bool ipv6) override {
        require(!ipv6 && !name.empty() && name.size() <= 253);
        require(std::ranges::all_of(name, [](char letter) { return letter > ' ' && letter < 0x7f; }));
        require(questions.insert(id).second && questions.size() <= 100'000);
    }
    void ask(QuestionId id, std::span<const std::byte> message) override {
        require(message.size() >= 17 && questions.insert(id).second);
    }

    struct Flow {
        std::size_t room = 0;
        std::size_t given = 0;
        bool finished = false;
        bool opened = false; ///< the far side has answered
    };
    std::map<FlowId, Flow> flows;
    std::set<QuestionId> questions;
    FlowId last = 0;
};

/// The input is a list of steps of 8 bytes, with the bytes of a frame behind some.
void drive(std::span<const std::uint8_t> input) {
    FuzzClock clock;
    TimerQueue timers(clock);
    FuzzRandom random;
    FuzzLink link;
    FuzzBackend backend;
    Settings settings;
    settings.large_segments = input.size() % 2 == 0;
    Translator translator(backend, backend, timers, random, settings);
    translator.attach(link);
    const auto give = [&](Bytes bytes, Offload offload) {
        // Of its own, so that AddressSanitizer sees its end.
        const std::vector<std::byte> frame(bytes.begin(), bytes.end());
        require(translator.deliver({offload, frame}));
    };
    struct : Port {
        bool deliver(const Frame&) override { return true; }
    } port;
    Settings own;
    own.mac = guest_mac;
    Wire wire(port, own);
    const Address guests[] = {Address::v4(0x0a00'020f), Address::v6(0xfd00'0000, 15), Address::v4(0),
                              Address::v6(0xfe80'0000, 15)};
    const Address hosts[] = {Address::v4(0xc000'0201),    settings.gateway6,          settings.gateway,
                             settings.resolver,           settings.resolver6,         Address::v4(~0U),
                             Address::v6(0xff02'0000, 2), Address::v6(0x2001'0000, 1)};
    constexpr std::uint8_t protocols[] = {protocol_tcp, protocol_udp, protocol_icmp, protocol_icmp6, 44, 0};
    while (input.size() >= 8) {
        std::array<std::uint8_t, 8> step;
        std::copy_n(input.begin(), 8, step.begin());
        input = input.subspan(8);
        const auto rest = std::as_bytes(input.first(std::min<std::size_t>(step[1], input.size())));
        auto& flow = backend.flows;
        const auto id = backend.last;
        const auto known = flow.find(id);
        switch (step[0] % 16) {
        case 0: { // anything at all
            std::vector<std::byte> bytes(ethernet_size);
            std::ranges::copy(settings.mac, bytes.begin());
            std::ranges::copy(guest_mac, bytes.begin() + 6);
            put16(bytes, 12, step[2] % 3 == 0 ? ethertype_arp : step[2] % 3 == 1 ? ethertype_ipv4 : ethertype_ipv6);
            bytes.insert(bytes.end(), rest.begin(), rest.end());
            give(bytes, {.flags = step[3]});
            input = input.subspan(rest.size());
            break;
        }
        case 1:
        case 2: { // a packet with any payload, or one that begins well
            const auto& source = guests[step[2] % 4];
            Address destination = hosts[step[3] % 8];
            std::uint8_t protocol = protocols[step[4] % 6];
            std::vector<std::byte> payload;
            const auto append = [&](std::initializer_list<std::uint8_t> bytes) {
                for (const auto byte : bytes)
                    payload.push_back(static_cast<std::byte>(byte));
            };
            if (step[7] % 4 == 1) {
                destination = settings.resolver;
                protocol = protocol_udp;
                payload.resize(8 + 12);
                put32(payload, 0, 0x1770'0035);
                put16(payload, 10, 0x0100);
                put16(payload, 12, 1);
                if ((step[6] & 16) != 0)
                    append({1, 'a', 0, 0, static_cast<std::uint8_t>(step[5] % 32), 0, 1});
            } else if (step[7] % 4 == 2) {
                destination = Address::v4(~0U);
                protocol = protocol_udp;
                payload.resize(8 + 240);
                put32(payload, 0, 0x0044'0043);
                put32(payload, 8, 0x0101'0600);
                std::ranges::copy(guest_mac, payload.begin() + 8 + 28);
                put32(payload, 8 + 236, 0x6382'5363);
                append({53, 1, static_cast<std::uint8_t>(step[5] % 9)});
            } else if (step[7] % 4 == 3) {
                protocol = source.is_v4() ? protocol_icmp : protocol_icmp6;
                payload = {static_cast<std::byte>(source.is_v4() ? 8 : 133 + step[6] % 4), {}, {}, {}};
                append({0, 0, 0, 0});
                if ((step[6] & 16) != 0)
                    payload.insert(payload.end(), settings.gateway6.bytes.begin(), settings.gateway6.bytes.end());
            }
            payload.insert(payload.end(), rest.begin(), rest.end());
            if (protocol == protocol_udp && payload.size() >= 8 && step[6] % 8 != 0)
                put16(payload, 4, static_cast<std::uint16_t>(payload.size()));
            if (source.is_v4() != destination.is_v4())
                destination = source.is_v4() ? hosts[0] : hosts[1];
            const Route route{settings.mac, source, destination};
            std::vector<std::byte> bytes(route.headers() + payload.size());
            write_headers(std::span(bytes).first(route.headers()), wire, route, protocol, payload.size(), 255);
            std::ranges::copy(payload, bytes.begin() + static_cast<std::ptrdiff_t>(route.headers()));
            std::ranges::copy(guest_mac, bytes.begin() + 6);
            if (source.is_v4() && step[5] < 64) { // a fragment
                const auto ip = std::span(bytes).subspan(ethernet_size);
                put16(ip, 6, static_cast<std::uint16_t>((step[5] & 1) << 13 | step[6] % 8));
                put16(ip, 10, 0);
                put16(ip, 10, checksum(sum_of(ip.first(20))));
            }
            give(bytes, {.flags = data_valid});
            input = input.subspan(rest.size());
            break;
        }
        case 3:
        case 4:
        case 5:
        case 6:
        case 7: { // a segment that fits, or nearly
            std::vector<std::byte> segment(tcp_size);
            put16(segment, 0, static_cast<std::uint16_t>(1000 + step[1] % 2));
            put16(segment, 2, 80);
            if (step[2] % 4 == 0 && id < first_guest_flow) {
                put16(segment, 0, static_cast<std::uint16_t>(link.last_ports));
                put16(segment, 2, static_cast<std::uint16_t>(link.last_ports >> 16));
            }
            put32(segment, 4, link.last_acknowledgement + (step[3] % 2 ? step[4] - 8U : 0));
            put32(segment, 8, link.last_sequence + (step[5] % 8 ? step[6] * (step[5] % 4U ? 1U : 700U) : 1U));
            put8(segment, 12, 0x50);
            put8(segment, 13, static_cast<std::uint8_t>(step[7] % 64));
            put16(segment, 14, static_cast<std::uint16_t>(step[6] % 4 == 0 ? step[6] : 65'535));
            segment.resize(tcp_size + (step[0] % 16 == 3 ? 0 : step[4] * (step[0] % 16U - 3U)), std::byte{1});
            const bool called = step[2] % 4 == 0 && id < first_guest_flow;
            const Route route{settings.mac, guests[0], called ? settings.gateway : hosts[0]};
            std::vector<std::byte> bytes(route.headers() + segment.size());
            write_headers(std::span(bytes).first(route.headers()), wire, route, protocol_tcp, segment.size());
            std::ranges::copy(segment, bytes.begin() + static_cast<std::ptrdiff_t>(route.headers()));
            give(bytes, {.flags = data_valid});
            break;
        }
        case 8:
            if (known != flow.end() && !known->second.finished)
                known->second.room = std::max<std::size_t>(known->second.room, step[1] * 256U);
            if (known == flow.end())
                break;
            if (step[2] % 2 == 0) {
                known->second.opened = true;
                translator.opened(id, known->second.room);
            } else {
                translator.writable(id, known->second.room);
            }
            break;
        case 9: {
            const std::vector<std::byte> bytes(step[1] * step[2] * 2U);
            if (known != flow.end()) {
                // What is consumed within the call was given before it ended.
                known->second.given += bytes.size();
                const auto taken = translator.data(id, bytes);
                require(taken <= bytes.size());
                if (auto again = flow.find(id); again != flow.end())
                    again->second.given -= bytes.size() - taken;
            }
            break;
        }
        case 10:
            translator.finished(id);
            break;
        case 11:
            if (step[1] % 4 == 0 && flow.erase(id) != 0)
                translator.aborted(id);
            break;
        case 12: {
            const FlowId next = step[1] % 8;
            if (translator.incoming(next, guests[step[2] % 2], 1000 + step[3] % 2, 70'000)) {
                require(flow.emplace(next, FuzzBackend::Flow{.room = 70'000}).second);
                backend.last = next;
            }
            break;
        }
        case 13:
            clock.time += step[1] * (step[2] % 4 == 0 ? 1000.0 : 10.0);
            if (clock.due <= clock.time) {
                clock.due = 1e300;
                timers.run();
            }
            break;
        case 14:
            link.room = step[1] % 32;
            translator.room();
            break;
        default:
            if (!backend.questions.empty()) {
                const auto question = *backend.questions.begin();
                backend.questions.erase(backend.questions.begin());
                if (step[2] % 2 == 0)
                    translator.resolved(question, step[3] % 4 == 0 ? NameError::failed : NameError::none,
                                        std::span(hosts).first(step[4] % 8U), step[5]);
                else
                    translator.answered(question, rest);
            } else if (step[2] % 16 == 0) {
                translator.removed(guest_mac);
            } else if (step[2] % 16 == 1 && known != flow.end() && id >= first_guest_flow &&
                       (id >= first_datagram_flow || !known->second.opened)) {
                flow.erase(known);
                translator.failed(id, FlowError::refused);
            }
        }
    }
    link.room = 1000;
    translator.room();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    drive({data, size});
    return 0;
}
