// SPDX-License-Identifier: MIT
// UDP: flows, their limits, and datagrams that lie.

#include "network_fixture.hpp"

using namespace auklet;
using namespace auklet::test;

namespace {

struct UdpFixture : NetworkFixture {
    Translator translator{flows, names, timers, random, settings};
    Address guest = address("10.0.2.15");
    Address far = address("192.0.2.1");

    UdpFixture() {
        translator.attach(link);
        flows.room = 65'536;
    }
    void give(Bytes payload, Offload offload = {.flags = data_valid}) {
        const auto bytes = frame(guest, far, protocol_udp, payload);
        CHECK(translator.deliver({offload, bytes}));
    }
    void give(std::uint16_t from, std::uint16_t to, std::string_view text) {
        std::vector<std::byte> payload(8);
        put16(payload, 0, from);
        put16(payload, 2, to);
        put16(payload, 4, static_cast<std::uint16_t>(8 + text.size()));
        const auto data = to_bytes(text);
        payload.insert(payload.end(), data.begin(), data.end());
        give(payload);
    }
};

} // namespace

TEST_CASE("datagrams go both ways") {
    UdpFixture f;
    f.give(5000, 123, "time?");
    f.give(5000, 123, "");
    f.give(5001, 123, "again");
    CHECK(f.flows.take() == "datagrams 192.0.2.1 123, sent 5, sent 0, datagrams 192.0.2.1 123, sent 5");
    CHECK(to_text(f.flows.received) == "time?again");
    CHECK(f.translator.data(f.flows.last - 1, to_bytes("noon")) == 4);
    const auto sent = f.next();
    const auto packet = NetworkFixture::checked(sent);
    CHECK(packet.source == f.far);
    CHECK(packet.destination == f.guest);
    const auto datagram = Datagram::parse(packet);
    REQUIRE(datagram);
    CHECK(datagram->source_port == 123);
    CHECK(datagram->destination_port == 5000);
    CHECK(to_text(datagram->data) == "noon");
}

TEST_CASE("large datagrams come in fragments, and what fits in no packet is lost") {
    UdpFixture f;
    f.give(5000, 9, "x");
    const std::vector<std::byte> large(65'507, std::byte{'y'});
    CHECK(f.translator.data(f.flows.last, large) == 65'507);
    CHECK(f.link.sent.size() == 45);
    Reassembly reassembly(f.timers);
    std::optional<Packet> whole;
    for (const auto& sent : f.link.sent) {
        CHECK(sent.bytes.size() <= 1514);
        whole = reassembly.take(NetworkFixture::checked(sent));
    }
    REQUIRE(whole);
    const auto datagram = Datagram::parse(*whole);
    REQUIRE(datagram);
    CHECK(datagram->data.size() == 65'507);
    f.link.sent.clear();
    CHECK(f.translator.data(f.flows.last, std::vector<std::byte>(65'508)) == 65'508);
    CHECK(f.link.sent.empty());
}

TEST_CASE("a flow that does not open, or is refused later") {
    UdpFixture f;
    f.give(5000, 9, "x");
    const auto check = [&](FlowError error, int code) {
        f.translator.failed(f.flows.last, error);
        const auto sent = f.next();
        const auto packet = NetworkFixture::checked(sent);
        CHECK(get16(packet.payload, 0) == (0x0300 | code));
        CHECK(get16(packet.payload, 8 + 20) == 5000);
        CHECK(get16(packet.payload, 8 + 22) == 9);
        CHECK(packet.source == (code == 3 ? f.far : address("10.0.2.2")));
    };
    check(FlowError::refused, 3);
    f.flows.take();
    f.give(5000, 9, "x");
    CHECK(f.flows.take() == "datagrams 192.0.2.1 9, sent 1");
    f.translator.opened(f.flows.last, 1000);
    check(FlowError::prohibited, 13);
    f.give(5000, 9, "x");
    f.translator.aborted(f.flows.last);
    CHECK(f.translator.data(f.flows.last, to_bytes("x")) == 0);
    CHECK(f.link.sent.empty());
}

TEST_CASE("idle flows end, and questions to name servers sooner") {
    UdpFixture f;
    f.give(5000, 9, "x");
    const auto first = f.flows.last;
    f.give(5000, 53, "x");
    f.flows.take();
    f.wait(9'999);
    CHECK(f.flows.take().empty());
    f.wait(1);
    CHECK(f.flows.take() == "closed");
    CHECK(f.translator.data(first, to_bytes("y")) == 1);
    f.wait(59'999);
    CHECK(f.flows.take().empty());
    f.wait(1);
    CHECK(f.flows.take() == "closed");
    f.give(5000, 9, "x");
    CHECK(f.flows.take() == "datagrams 192.0.2.1 9, sent 1");
}

TEST_CASE("flows are limited: a new one ends the one that is idle for longest") {
    UdpFixture f;
    for (std::size_t count = 0; count < Udp::most_flows; ++count) {
        f.give(static_cast<std::uint16_t>(1000 + count), 9, "x");
        f.clock.time += 1;
    }
    f.give(1000, 9, "x");
    f.flows.take();
    f.give(10, 9, "x");
    CHECK(f.flows.take() == "closed, datagrams 192.0.2.1 9, sent 1");
    f.give(1000, 9, "x");
    CHECK(f.flows.take() == "sent 1");
    f.give(1001, 9, "x");
    CHECK(f.flows.take() == "closed, datagrams 192.0.2.1 9, sent 1");
    f.translator.removed(guest_mac);
    CHECK(f.flows.take().size() == Udp::most_flows * std::string_view("closed, ").size() - 2);
}

TEST_CASE("datagrams that lie, and sums") {
    UdpFixture f;
    for (const auto* digits : {"1388 0009 0007 0000", "1388 0009 000a 0000 61", "1388 0009 0008", "1388"})
        f.give(from_hex(digits));
    f.give(from_hex("1388 0009 0009 1234 61"), {});
    CHECK(f.flows.take().empty());
    CHECK(f.link.sent.empty());
    // Port 0 is nobody's.
    f.give(from_hex("1388 0000 0009 0000 61"));
    auto sent = f.next();
    CHECK(get16(NetworkFixture::checked(sent).payload, 0) == 0x0303);
    // No sum, a right one, and more bytes than the datagram has.
    f.give(from_hex("1388 0009 0009 0000 61 6263"), {});
    auto right = from_hex("1388 0009 0009 0000 61");
    put16(right, 6, checksum(sum_of(right, pseudo_header(f.guest, f.far, protocol_udp, right.size()))));
    f.give(right, {});
    CHECK(f.flows.take() == "datagrams 192.0.2.1 9, sent 1, sent 1");
    // IPv6 has no datagrams without a sum.
    f.guest = address("fd00::f");
    f.far = address("fd00::2");
    f.give(from_hex("1388 0009 0009 0000 61"), {});
    CHECK(f.flows.take().empty());
    f.far = address("255.255.255.255");
    f.guest = address("10.0.2.15");
    f.give(5000, 9, "x");
    f.far = address("224.0.0.251");
    f.give(5353, 5353, "x");
    CHECK(f.flows.take().empty());
    CHECK(f.link.sent.empty());
}
