// SPDX-License-Identifier: MIT
// The translator on a link whose other end is the test.
#pragma once

#include "src/network/translator.hpp"

#include <catch2/catch_test_macros.hpp>

#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace auklet::test {

using namespace auklet::network;

/// A clock that goes on when it is told to.
class FakeClock final : public Clock {
  public:
    double now() override { return time; }
    double wall_time() override { return time; }
    void set_timer(double milliseconds) override { due = time + milliseconds; }

    double time = 1000;
    std::optional<double> due;
};

/// Bytes of hexadecimal digits; blanks between them mean nothing.
inline std::vector<std::byte> from_hex(std::string_view digits) {
    std::vector<std::byte> bytes;
    std::string pair;
    for (const char digit : digits) {
        if (digit == ' ')
            continue;
        pair += digit;
        if (pair.size() == 2) {
            bytes.push_back(static_cast<std::byte>(std::stoi(pair, nullptr, 16)));
            pair.clear();
        }
    }
    REQUIRE(pair.empty());
    return bytes;
}

inline std::string to_text(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
inline Bytes to_bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

/// "10.0.2.15", or of IPv6 "fd00::f": the first and the last group.
inline Address address(std::string_view text) {
    const std::string all(text);
    if (const auto gap = all.find("::"); gap != std::string::npos) {
        const auto first = static_cast<std::uint32_t>(std::stoul("0" + all.substr(0, gap), nullptr, 16)) << 16;
        return Address::v6(first, static_cast<std::uint32_t>(std::stoul("0" + all.substr(gap + 2), nullptr, 16)));
    }
    std::uint32_t value = 0;
    std::size_t at = 0;
    for (int part = 0; part < 4; ++part) {
        std::size_t used = 0;
        value = value << 8 | static_cast<std::uint32_t>(std::stoul(all.substr(at), &used));
        at += used + 1;
    }
    return Address::v4(value);
}

inline constexpr Mac guest_mac = {std::byte{2}, {}, {}, {}, {}, std::byte{15}};

struct Sent {
    Offload offload;
    std::vector<std::byte> bytes;

    [[nodiscard]] Frame frame() const { return {offload, bytes}; }
};

/// Records frames. Has as much room as the test says.
class FakeLink final : public Link {
  public:
    bool send(Port&, const Frame& frame) override {
        REQUIRE(frame.bytes.size() >= ethernet_size);
        REQUIRE(frame.bytes.size() <= longest_frame);
        if (room == 0)
            return false;
        --room;
        sent.push_back({frame.offload, {frame.bytes.begin(), frame.bytes.end()}});
        return true;
    }

    std::size_t room = 1'000'000;
    std::deque<Sent> sent;
};

class FakeRandom final : public Random {
  public:
    void random(std::span<std::byte> bytes) override { std::ranges::fill(bytes, std::byte{0x5a}); }
};

/// Writes down what the translator asks for. Takes as much as the test says.
class FakeFlows final : public FlowBackend {
  public:
    void flow_open(FlowId id, FlowKind kind, const Address& address, std::uint16_t port) override {
        last = id;
        const auto wire = address.wire();
        std::string name;
        for (std::size_t index = 0; index < wire.size(); ++index)
            name += text_of(index == 0 ? "" : ".", std::to_integer<int>(wire[index]));
        note(kind == FlowKind::stream ? "open " : "datagrams ", name, " ", port);
    }
    void flow_opened(FlowId id) override { note("accepted ", id); }
    std::size_t flow_send(FlowId id, std::span<const std::byte> bytes) override {
        last = id;
        REQUIRE(bytes.size() <= room);
        room = refills ? room : room - bytes.size();
        received.insert(received.end(), bytes.begin(), bytes.end());
        note("sent ", bytes.size());
        return room;
    }
    void flow_finish(FlowId) override { note("finish"); }
    void flow_consumed(FlowId, std::size_t count) override { note("consumed ", count); }
    void flow_closed(FlowId, bool reset) override { note(reset ? "reset" : "closed"); }

    template <typename... Parts> void note(const Parts&... parts) {
        events += text_of(events.empty() ? "" : ", ", parts...);
    }
    std::string take() { return std::exchange(events, {}); }

    std::string events;
    std::vector<std::byte> received;
    FlowId last = 0;
    std::size_t room = 0;
    bool refills = true; ///< what is sent goes on at once
};

/// Writes down the questions.
class FakeNames final : public NameBackend {
  public:
    void resolve(QuestionId id, std::string_view name, bool ipv6) override {
        asked.push_back(text_of(id, ipv6 ? " AAAA " : " A ", name));
    }
    void ask(QuestionId id, std::span<const std::byte> message) override {
        asked.push_back(text_of(id, " of ", message.size(), " bytes"));
    }
    std::vector<std::string> take() { return std::exchange(asked, {}); }

    std::vector<std::string> asked;
};

/// What both the translator and the tests' own packets are made with.
struct NetworkFixture {
    explicit NetworkFixture(bool large_segments = false) { settings.large_segments = large_segments; }

    FakeClock clock;
    TimerQueue timers{clock};
    FakeLink link;
    FakeRandom random;
    FakeFlows flows;
    FakeNames names;
    Settings settings;

    /// Goes on to a time, and runs each timer at its own.
    void wait(double milliseconds) {
        const double end = clock.time + milliseconds;
        while (clock.due && *clock.due <= end) {
            clock.time = std::max(clock.time, *clock.due);
            clock.due.reset();
            timers.run();
        }
        clock.time = end;
    }
    /// The oldest frame that the test has not looked at.
    Sent next() {
        REQUIRE_FALSE(link.sent.empty());
        auto sent = std::move(link.sent.front());
        link.sent.pop_front();
        return sent;
    }
    /// A frame of the guest's with an IP packet, whose checksums are not
    /// calculated.
    std::vector<std::byte> frame(const Address& source, const Address& destination, std::uint8_t protocol,
                                 Bytes payload, std::uint8_t hops = 64) const {
        FakeLink none;
        struct : Port {
            bool deliver(const Frame&) override { return true; }
        } port;
        Settings own;
        own.mac = guest_mac;
        Wire wire(port, own);
        const Route route{settings.mac, source, destination};
        std::vector<std::byte> bytes(route.headers() + payload.size());
        write_headers(std::span(bytes).first(route.headers()), wire, route, protocol, payload.size(), hops);
        std::ranges::copy(payload, bytes.begin() + static_cast<std::ptrdiff_t>(route.headers()));
        return bytes;
    }
    /// Takes a packet apart, and looks at all of its sums.
    static Packet checked(const Sent& sent) {
        auto packet = parse_packet(sent.frame());
        REQUIRE(packet);
        if ((sent.offload.flags & needs_checksum) != 0) {
            const auto place = sent.offload.checksum_start + sent.offload.checksum_offset;
            CHECK(get16(sent.bytes, place) ==
                  fold(pseudo_header(packet->source, packet->destination, packet->protocol, packet->payload.size())));
        } else if (!packet->fragment) {
            const Sum before =
                packet->protocol == protocol_icmp
                    ? 0
                    : pseudo_header(packet->source, packet->destination, packet->protocol, packet->payload.size());
            CHECK(fold(sum_of(packet->payload, before)) == 0xffff);
        }
        return *packet;
    }
};

} // namespace auklet::test
