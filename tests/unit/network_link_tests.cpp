// SPDX-License-Identifier: MIT
// The translator's link: addresses, echo, fragments, and packets that lie.

#include "network_fixture.hpp"

using namespace auklet;
using namespace auklet::test;

namespace {

const auto guest = address("10.0.2.15");
const auto gateway = address("10.0.2.2");
const auto guest6 = address("fd00::f");
const auto gateway6 = address("fd00::2");

struct LinkFixture : NetworkFixture {
    Translator translator{flows, names, timers, random, settings};

    LinkFixture() { translator.attach(link); }
    void give(Bytes bytes, Offload offload = {.flags = data_valid}) {
        // Of its own, so that AddressSanitizer sees its end.
        const std::vector<std::byte> copy(bytes.begin(), bytes.end());
        CHECK(translator.deliver({offload, copy}));
    }
    void give_packet(const Address& source, const Address& destination, std::uint8_t protocol, std::string_view payload,
                     std::uint8_t hops = 64) {
        give(frame(source, destination, protocol, from_hex(payload), hops));
    }
    /// Who has 10.0.2.2? asks the guest.
    static std::string arp(std::string_view source, std::string_view target, std::string_view mac = "02000000000f") {
        return text_of("ffffffffffff02000000000f0806 0001 0800 06 04 0001 ", mac, source, "000000000000", target);
    }
};

} // namespace

TEST_CASE("sums are those of RFC 1071") {
    const auto example = from_hex("00 01 f2 03 f4 f5 f6 f7");
    CHECK(fold(sum_of(example)) == 0xddf2);
    CHECK(checksum(sum_of(example)) == 0x220d);
    CHECK(fold(sum_of(from_hex("01 02 03"))) == 0x0402);
    CHECK(fold(sum_of(from_hex("ffffffffffff"))) == 0xffff);
    // Of pieces that have an even size, the sum is that of all.
    CHECK(fold(sum_of(std::span(example).subspan(2), sum_of(std::span(example).first(2)))) == 0xddf2);
}

TEST_CASE("timers come in their order, once, and at the time that was set last") {
    NetworkFixture f;
    struct Recorder {
        Recorder(TimerQueue& queue, std::string& out, char letter)
            : timer(queue, [](void* self) { static_cast<Recorder*>(self)->come(); }, this), out(out), letter(letter) {}
        void come() { out += letter; }
        Timer timer;
        std::string& out;
        char letter;
    };
    std::string out;
    Recorder a(f.timers, out, 'a'), b(f.timers, out, 'b');
    auto c = std::make_unique<Recorder>(f.timers, out, 'c');
    a.timer.set(100);
    b.timer.set(50);
    c->timer.set(60);
    a.timer.set(200); // later
    c.reset();        // gone
    f.wait(150);
    CHECK(out == "b");
    f.wait(60);
    CHECK(out == "ba");
    a.timer.set(500);
    a.timer.set(20); // earlier
    b.timer.set(30);
    b.timer.cancel();
    f.wait(25);
    CHECK(out == "baa");
    f.wait(1000);
    CHECK(out == "baa");
    CHECK_FALSE(a.timer.is_set());
    a.timer.set_at_latest(100);
    a.timer.set_at_latest(200);
    b.timer.set_at_latest(50);
    a.timer.set_at_latest(40);
    f.wait(45);
    CHECK(out == "baaa");
    f.wait(200);
    CHECK(out == "baaab");
}

TEST_CASE("the translator answers ARP for its own addresses") {
    LinkFixture f;
    f.give(from_hex(LinkFixture::arp("0a00020f", "0a000202")));
    CHECK(f.next().bytes == from_hex("02000000000f 02617 56b0002 0806 0001 0800 06 04 0002"
                                     "0261756b0002 0a000202 02000000000f 0a00020f"));
    // 10.0.2.3, and a machine without an address that asks whether it is free
    f.give(from_hex(LinkFixture::arp("00000000", "0a000203")));
    CHECK(f.link.sent.size() == 1);
}

TEST_CASE("ARP that is none of the translator's business, or a lie") {
    LinkFixture f;
    f.give(from_hex(LinkFixture::arp("0a00020f", "0a000204")));                 // another machine
    f.give(from_hex(LinkFixture::arp("0a00020f", "0a000202", "020000000010"))); // another's MAC
    f.give(from_hex(LinkFixture::arp("0a000202", "0a000202")));                 // the gateway's own address
    f.give(from_hex(LinkFixture::arp("c0a80001", "0a000202")));                 // another network
    auto wrong = from_hex(LinkFixture::arp("0a00020f", "0a000202"));
    for (std::size_t length = ethernet_size; length < wrong.size(); ++length)
        f.give(std::span(wrong).first(length));
    for (const std::size_t place : {14, 16, 18, 19}) {
        auto changed = wrong;
        changed[place] ^= std::byte{1};
        f.give(changed);
    }
    CHECK(f.link.sent.empty());
}

TEST_CASE("neighbour discovery and the advertisement of the router") {
    LinkFixture f;
    const auto ask = "87 00 0000 00000000 fd000000000000000000000000000002 0101 02000000000f";
    f.give_packet(guest6, address("ff02::2"), protocol_icmp6, ask, 255);
    auto sent = f.next();
    auto packet = NetworkFixture::checked(sent);
    CHECK(packet.source == gateway6);
    CHECK(packet.destination == guest6);
    CHECK(packet.hop_limit == 255);
    CHECK(to_text(packet.payload.subspan(4)) ==
          to_text(from_hex("e0000000 fd000000000000000000000000000002 0201 0261756b0002")));
    // A router on the way has forwarded it: it is from another link.
    f.give_packet(guest6, address("ff02::2"), protocol_icmp6, ask, 254);
    CHECK(f.link.sent.empty());
    SECTION("without IPv6 outside") {
        f.give_packet(address("fe80::f"), address("ff02::2"), protocol_icmp6, "85 00 0000 00000000", 255);
        sent = f.next();
        packet = NetworkFixture::checked(sent);
        CHECK(packet.source == address("fe80::2"));
        CHECK(get8(packet.payload, 0) == 134);
        CHECK(get16(packet.payload, 6) == 0); // no default router
        CHECK(to_text(packet.payload.subspan(16)) ==
              to_text(from_hex("0101 0261756b0002 0501 0000 000005dc 0304 40c0 ffffffff ffffffff 00000000"
                               "fd000000000000000000000000000000 1903 0000 ffffffff"
                               "fd000000000000000000000000000003")));
    }
    SECTION("with it") {
        Settings settings;
        settings.reaches_ipv6 = true;
        Translator translator(f.flows, f.names, f.timers, f.random, settings);
        translator.attach(f.link);
        const auto bytes =
            f.frame(address("::"), address("ff02::2"), protocol_icmp6, from_hex("85 00 0000 00000000"), 255);
        CHECK(translator.deliver({{.flags = data_valid}, bytes}));
        sent = f.next();
        packet = NetworkFixture::checked(sent);
        CHECK(packet.destination == address("ff02::1"));
        CHECK(get16(packet.payload, 6) == 9000);
    }
    SECTION("options that lie") {
        for (const auto* options : {"0100 02000000000f", "0102 02000000000f", "01"})
            f.give_packet(guest6, address("ff02::2"), protocol_icmp6,
                          text_of("88 00 0000 00000000 fd00000000000000000000000000000f ", options), 255);
        CHECK(f.link.sent.empty());
    }
}

TEST_CASE("the gateway answers echo, and no other host's name is used") {
    LinkFixture f;
    f.give_packet(guest, gateway, protocol_icmp, "08 00 0000 1234 0001 616263");
    auto sent = f.next();
    auto packet = NetworkFixture::checked(sent);
    CHECK(packet.source == gateway);
    CHECK(packet.destination == guest);
    CHECK(packet.sender == f.settings.mac);
    CHECK(get16(packet.payload, 0) == 0);
    CHECK(to_text(packet.payload.subspan(4)) == to_text(from_hex("1234 0001 616263")));

    f.give_packet(guest, address("192.0.2.1"), protocol_icmp, "08 00 0000 1234 0002");
    sent = f.next();
    packet = NetworkFixture::checked(sent);
    CHECK(packet.source == gateway);
    CHECK(get16(packet.payload, 0) == 0x030d); // administratively prohibited
    // with what was asked
    const auto quote = packet.payload.subspan(8);
    CHECK(Address::of(quote.subspan(16, 4)) == address("192.0.2.1"));
    CHECK(get16(quote, 26) == 2);

    f.give_packet(guest6, gateway6, protocol_icmp6, "80 00 0000 1234 0001");
    sent = f.next();
    CHECK(get8(NetworkFixture::checked(sent).payload, 0) == 129);
    f.give_packet(guest6, address("2001::1"), protocol_icmp6, "80 00 0000 1234 0001");
    sent = f.next();
    packet = NetworkFixture::checked(sent);
    CHECK(packet.source == gateway6);
    CHECK(get16(packet.payload, 0) == 0x0101);
}

TEST_CASE("answers wait for room, and there is a limit to them") {
    LinkFixture f;
    const std::string digits(2 * 1000, '0');
    // What has gone makes room for others.
    for (int round = 0; round < 2; ++round) {
        f.link.room = 0;
        for (int count = 0; count < 1000; ++count)
            f.give_packet(guest, gateway, protocol_icmp, "08 00 0000 1234 0001" + digits);
        CHECK(f.link.sent.empty());
        f.link.room = 1;
        f.translator.room();
        CHECK(f.link.sent.size() == 1);
        f.link.room = 10'000;
        f.translator.room();
        CHECK(f.link.sent.size() == 256 * 1024 / (34 + 8 + 1000));
        f.translator.room();
        CHECK(f.link.sent.size() == 256 * 1024 / (34 + 8 + 1000));
        f.link.sent.clear();
    }
}

TEST_CASE("packets that break a rule are dropped, and errors get no error") {
    LinkFixture f;
    const auto good = f.frame(guest, gateway, protocol_icmp, from_hex("08 00 0000 1234 0001"));
    const auto with = [&](std::size_t place, int value) {
        auto frame = good;
        frame[place] = static_cast<std::byte>(value);
        // with the sum of the header put right
        put16(frame, 24, 0);
        put16(frame, 24, checksum(sum_of(std::span(frame).subspan(14, 20))));
        f.give(frame);
    };
    with(14, 0x65); // version
    with(14, 0x44); // a header of 16 bytes
    with(14, 0x4f); // one longer than the packet
    with(17, 0x05); // shorter than its header
    with(17, 0xff); // longer than the frame
    with(26, 11);   // 11.0.2.15
    with(29, 2);    // from the gateway
    with(29, 255);  // from all
    with(29, 0);
    with(0, 0x06);  // another machine's MAC
    with(34, 3);    // an error
    with(30, 0xe0); // to a group
    auto sum = good;
    sum[24] ^= std::byte{1};
    f.give(sum);
    for (std::size_t length = ethernet_size; length < good.size(); ++length)
        f.give(std::span(good).first(length));
    auto six = f.frame(guest6, gateway6, protocol_icmp6, from_hex("80 00 0000 1234 0001"));
    for (std::size_t length = ethernet_size; length < six.size(); ++length)
        f.give(std::span(six).first(length));
    f.give(six, {}); // the sum is not right
    std::ranges::copy(address("10.0.2.15").bytes, six.begin() + 22);
    f.give(six); // a mapped address is no address of a packet
    CHECK(f.link.sent.empty());
    with(15, 0);
    CHECK(f.link.sent.size() == 1);
}

TEST_CASE("headers of IPv6 between the packet and its payload") {
    LinkFixture f;
    const auto echo = "80 00 0000 1234 0001";
    f.give_packet(guest6, gateway6, 0, text_of("3c 00 0000 0000 0000 3a 00 0000 0000 0000", echo));
    CHECK(f.link.sent.size() == 1);
    f.give_packet(guest6, gateway6, 0, "3a 01 0000 0000 0000");                 // longer than the packet
    f.give_packet(guest6, gateway6, 43, text_of("3a 00 0001 0000 0000", echo)); // a route to follow
    f.give_packet(guest6, gateway6, 44, text_of("3a 00 0000 00000001", echo));  // a fragment that is all
    CHECK(f.link.sent.size() == 2);
    std::string many;
    for (int count = 0; count < 20; ++count)
        many += "3c 00 0000 0000 0000";
    f.give_packet(guest6, gateway6, 60, many + echo);
    CHECK(f.link.sent.size() == 2);
}

TEST_CASE("fragments become a packet, in any order, and go as fragments again") {
    LinkFixture f;
    std::vector<std::byte> echo = from_hex("08 00 0000 1234 0001");
    for (int count = 0; count < 3992; ++count)
        echo.push_back(static_cast<std::byte>(count * 7));
    const auto piece = [&](std::size_t offset, std::size_t length, std::uint16_t id = 7) {
        auto frame = f.frame(guest, gateway, protocol_icmp, std::span(echo).subspan(offset, length));
        put16(frame, 18, id);
        put16(frame, 20, static_cast<std::uint16_t>(offset / 8 | (offset + length < echo.size() ? 0x2000U : 0U)));
        put16(frame, 24, 0);
        put16(frame, 24, checksum(sum_of(std::span(frame).subspan(14, 20))));
        f.give(frame);
    };
    SECTION("all of them") {
        piece(2960, 1040);
        piece(0, 1480);
        CHECK(f.link.sent.empty());
        piece(1480, 1480);
        REQUIRE(f.link.sent.size() == 3);
        std::vector<std::byte> answer;
        for (const auto& sent : f.link.sent) {
            auto packet = NetworkFixture::checked(sent);
            REQUIRE(packet.fragment);
            CHECK(packet.whole.size() <= 1500);
            CHECK(packet.fragment->offset == answer.size());
            answer.insert(answer.end(), packet.payload.begin(), packet.payload.end());
            CHECK(packet.fragment->more == (answer.size() < echo.size()));
        }
        CHECK(fold(sum_of(answer)) == 0xffff);
        CHECK(to_text(std::span(answer).subspan(4)) == to_text(std::span(echo).subspan(4)));
    }
    SECTION("some that overlap") {
        piece(0, 1480);
        piece(1472, 1488);
        piece(1480, 1480);
        piece(2960, 1040);
        CHECK(f.link.sent.empty());
    }
    SECTION("an end in front of the end") {
        piece(1480, 1480);
        piece(0, 1480);
        auto end = f.frame(guest, gateway, protocol_icmp, std::span(echo).first(8));
        put16(end, 18, 7);
        put16(end, 20, 1480 / 8);
        put16(end, 24, 0);
        put16(end, 24, checksum(sum_of(std::span(end).subspan(14, 20))));
        f.give(end);
        piece(2960, 1040);
        CHECK(f.link.sent.empty());
    }
    SECTION("too late") {
        piece(0, 1480);
        f.wait(30'000);
        piece(0, 1480, 8);
        f.wait(30'001);
        piece(1480, 1480);
        piece(2960, 1040);
        CHECK(f.link.sent.empty());
        piece(1480, 1480, 8);
        piece(2960, 1040, 8);
        CHECK(f.link.sent.size() == 3);
    }
    SECTION("too many packets at once: the oldest is lost") {
        piece(0, 1480);
        for (std::uint16_t id = 100; id < 100 + Reassembly::most_packets; ++id)
            piece(0, 1480, id);
        piece(1480, 1480);
        piece(2960, 1040);
        CHECK(f.link.sent.empty());
    }
}

TEST_CASE("fragments of IPv6, and one that would be longer than any packet") {
    LinkFixture f;
    f.give_packet(guest6, gateway6, 44, "3a 00 0001 00000001 80 00 0000 1234 0001");
    f.give_packet(guest6, gateway6, 44, "3a 00 0008 00000001 6162636465666768");
    auto sent = f.next();
    CHECK(NetworkFixture::checked(sent).payload.size() == 16);
    f.give_packet(guest6, gateway6, 44, "3a 00 fff8 00000002 6162636465666768");
    f.give_packet(guest6, gateway6, 44, "3a 00 0001 00000003 616263");
    f.give_packet(guest6, gateway6, 44, "3a 00 0000 0000");
    CHECK(f.link.sent.empty());
}
