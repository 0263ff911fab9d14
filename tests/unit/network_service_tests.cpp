// SPDX-License-Identifier: MIT
// DHCP and DNS: what machines ask the translator itself, and lies.

#include "network_fixture.hpp"

using namespace auklet;
using namespace auklet::test;

namespace {

using Lines = std::vector<std::string>;

struct ServiceFixture : NetworkFixture {
    Translator translator{flows, names, timers, random, settings};
    Address guest = address("10.0.2.15");
    Address resolver = address("10.0.2.3");
    Mac mac = guest_mac;

    ServiceFixture() { translator.attach(link); }

    void give(const Address& source, const Address& destination, std::uint16_t from, std::uint16_t to, Bytes data) {
        std::vector<std::byte> payload(8);
        put16(payload, 0, from);
        put16(payload, 2, to);
        put16(payload, 4, static_cast<std::uint16_t>(8 + data.size()));
        payload.insert(payload.end(), data.begin(), data.end());
        auto bytes = frame(source, destination, protocol_udp, payload);
        std::ranges::copy(mac, bytes.begin() + 6);
        if (destination == address("255.255.255.255"))
            std::ranges::fill(std::span(bytes).first(6), std::byte{0xff});
        CHECK(translator.deliver({{.flags = data_valid}, bytes}));
    }

    // ---- DHCP

    std::vector<std::byte> request(std::string_view options, std::uint16_t flags = 0, std::uint32_t client = 0) const {
        std::vector<std::byte> message(240);
        put32(message, 0, 0x0101'0600);
        put32(message, 4, 0x1234'5678);
        put16(message, 10, flags);
        put32(message, 12, client);
        std::ranges::copy(mac, message.begin() + 28);
        put32(message, 236, 0x6382'5363);
        const auto bytes = from_hex(options);
        message.insert(message.end(), bytes.begin(), bytes.end());
        return message;
    }
    void ask(Bytes message, std::string_view source = "0.0.0.0") {
        give(address(source), address("255.255.255.255"), 68, 67, message);
    }
    /// The type, address and options of the answer.
    std::string answer() {
        const auto sent = next();
        const auto packet = checked(sent);
        const auto datagram = Datagram::parse(packet);
        REQUIRE(datagram);
        CHECK(packet.source == address("10.0.2.2"));
        CHECK(datagram->source_port == 67);
        CHECK(datagram->destination_port == 68);
        const auto message = datagram->data;
        REQUIRE(message.size() >= 300);
        CHECK(get32(message, 0) == 0x0201'0600);
        CHECK(get32(message, 4) == 0x1234'5678);
        CHECK(std::ranges::equal(message.subspan(28, 6), mac));
        CHECK(get32(message, 236) == 0x6382'5363);
        CHECK(get16(message, 240) == 0x3501);
        const bool to_all = packet.destination == address("255.255.255.255");
        CHECK(std::ranges::equal(
            std::span(sent.bytes).first(6),
            to_all ? Mac{std::byte{255}, std::byte{255}, std::byte{255}, std::byte{255}, std::byte{255}, std::byte{255}}
                   : mac));
        last = message.size();
        options.assign(message.begin() + 243, message.end());
        return text_of(get8(message, 242), to_all ? " to all " : " ", get8(message, 19));
    }

    // ---- DNS

    static std::vector<std::byte> question(std::string_view name, std::uint16_t type, std::uint16_t id = 0x4321) {
        std::vector<std::byte> message(12);
        put16(message, 0, id);
        put16(message, 2, 0x0100);
        put16(message, 4, 1);
        while (!name.empty()) {
            const auto label = name.substr(0, name.find('.'));
            message.push_back(static_cast<std::byte>(label.size()));
            const auto bytes = to_bytes(label);
            message.insert(message.end(), bytes.begin(), bytes.end());
            name.remove_prefix(std::min(name.size(), label.size() + 1));
        }
        message.resize(message.size() + 5);
        put16(message, message.size() - 4, type);
        put16(message, message.size() - 2, 1);
        return message;
    }
    void resolve(Bytes message, std::uint16_t port = 6000) { give(guest, resolver, port, 53, message); }
    std::vector<std::byte> reply() {
        const auto sent = next();
        const auto packet = checked(sent);
        CHECK(packet.source == resolver);
        CHECK(packet.destination == guest);
        const auto datagram = Datagram::parse(packet);
        REQUIRE(datagram);
        CHECK(datagram->source_port == 53);
        CHECK(datagram->destination_port == 6000);
        return {datagram->data.begin(), datagram->data.end()};
    }
    /// The code of the answer, and how many addresses it has.
    std::string code() {
        const auto message = reply();
        REQUIRE(message.size() >= 12);
        CHECK(get16(message, 0) == 0x4321);
        CHECK((get16(message, 2) & 0x8080) == 0x8080);
        return text_of(get16(message, 2) & 15, " ", get16(message, 6));
    }

    std::size_t last = 0;
    std::vector<std::byte> options;
};

} // namespace

TEST_CASE("a machine gets an address, and keeps it") {
    ServiceFixture f;
    f.ask(f.request("350101ff"));
    CHECK(f.answer() == "2 15");
    CHECK(to_text(std::span(f.options).first(37)) ==
          to_text(from_hex("3604 0a000202 0104 ffffff00 0304 0a000202 0604 0a000203 1a02 05dc 3304 00015180 ff0000")));
    f.ask(f.request("350103 3204 0a00020f 3604 0a000202 ff"));
    CHECK(f.answer() == "5 15");
    // renews
    f.give(f.guest, address("10.0.2.2"), 68, 67, f.request("350103 ff", 0, 0x0a00'020f));
    CHECK(f.answer() == "5 15");
    f.ask(f.request("350101ff", 0x8000));
    CHECK(f.answer() == "2 to all 15");
    // what it may not have
    f.ask(f.request("350103 3204 0a000210 ff"));
    CHECK(f.answer() == "6 to all 0");
    // another server's
    f.ask(f.request("350103 3204 0a00020f 3604 0a000201 ff"));
    CHECK(f.link.sent.empty());
    // has one, and wants to know the rest
    f.give(f.guest, address("10.0.2.2"), 68, 67, f.request("350108 ff", 0, 0x0a00'020f));
    CHECK(f.answer() == "5 0");
    CHECK_FALSE(std::ranges::contains(f.options, std::byte{0x33}));
}

TEST_CASE("each machine has another address, until there is none") {
    ServiceFixture f;
    // Who has one without DHCP keeps it.
    f.give(f.guest, f.resolver, 6000, 53, ServiceFixture::question("a", 28));
    f.link.sent.clear();
    for (int count = 16; count <= 254; ++count) {
        f.mac[4] = std::byte{1};
        f.mac[5] = static_cast<std::byte>(count);
        f.ask(f.request("350101ff"));
        CHECK(f.answer() == text_of("2 ", count));
    }
    f.mac[4] = std::byte{2};
    f.ask(f.request("350101ff"));
    CHECK(f.link.sent.empty());
    f.mac[4] = std::byte{1};
    f.mac[5] = std::byte{100};
    SECTION("one gives its own back") { f.ask(f.request("350107 ff")); }
    SECTION("one is gone") { f.translator.removed(f.mac); }
    f.mac[4] = std::byte{2};
    f.ask(f.request("350101ff"));
    CHECK(f.answer() == "2 100");
}

TEST_CASE("an address that a machine declines is not given again") {
    ServiceFixture f;
    f.ask(f.request("350101ff"));
    CHECK(f.answer() == "2 15");
    f.ask(f.request("350104 3204 0a00020f ff"));
    f.ask(f.request("350101ff"));
    CHECK(f.answer() == "2 16");
}

TEST_CASE("messages of DHCP that lie") {
    ServiceFixture f;
    const auto good = f.request("350101ff");
    for (std::size_t length = 0; length < 243; ++length)
        f.ask(std::span(good).first(length));
    for (const std::size_t place : {0, 1, 2, 24, 28, 236}) {
        auto changed = good;
        changed[place] ^= std::byte{1};
        f.ask(changed);
    }
    for (const auto* options : {"", "ff", "35", "3501", "3502 0101 ff", "350109 ff", "3304 350101 ff", "350102ff"})
        f.ask(f.request(options));
    // from another network
    f.ask(good, "10.0.9.1");
    CHECK(f.link.sent.empty());
    f.ask(f.request("00 00 0c 02 6162 350101 ff 35"));
    CHECK(f.answer() == "2 15");
}

TEST_CASE("addresses of names") {
    ServiceFixture f;
    f.resolve(ServiceFixture::question("Example.org", 1));
    CHECK(f.names.take() == Lines{"0 A Example.org"});
    // It asks again while it waits.
    f.resolve(ServiceFixture::question("Example.org", 1));
    CHECK(f.names.take().empty());
    const Address addresses[] = {address("192.0.2.7"), address("2001::1"), address("192.0.2.8")};
    f.translator.resolved(0, NameError::none, addresses, 60);
    auto expected = ServiceFixture::question("Example.org", 1);
    put16(expected, 2, 0x8180);
    put16(expected, 6, 2);
    for (const auto* answer : {"c00c 0001 0001 0000003c 0004 c0000207", "c00c 0001 0001 0000003c 0004 c0000208"}) {
        const auto bytes = from_hex(answer);
        expected.insert(expected.end(), bytes.begin(), bytes.end());
    }
    CHECK(f.reply() == expected);
    // An answer is an answer once.
    f.translator.resolved(0, NameError::none, addresses, 60);
    f.translator.answered(0, expected);
    CHECK(f.link.sent.empty());

    f.resolve(ServiceFixture::question("nobody.example", 1));
    f.translator.resolved(1, NameError::unknown, {}, 0);
    CHECK(f.code() == "3 0");
    f.resolve(ServiceFixture::question("example.org", 1));
    f.translator.resolved(2, NameError::failed, addresses, 0);
    CHECK(f.code() == "2 0");
    // IPv6 that leads nowhere is not asked for.
    f.names.take();
    f.resolve(ServiceFixture::question("example.org", 28));
    CHECK(f.code() == "0 0");
    CHECK(f.names.take().empty());
}

TEST_CASE("addresses of IPv6, if something reaches them") {
    ServiceFixture f;
    Settings settings;
    settings.reaches_ipv6 = true;
    Translator translator(f.flows, f.names, f.timers, f.random, settings);
    translator.attach(f.link);
    std::vector<std::byte> payload = from_hex("1770 0035 0000 0000");
    const auto question = ServiceFixture::question("example.org", 28);
    payload.insert(payload.end(), question.begin(), question.end());
    put16(payload, 4, static_cast<std::uint16_t>(payload.size()));
    const auto bytes = f.frame(f.guest, f.resolver, protocol_udp, payload);
    CHECK(translator.deliver({{.flags = data_valid}, bytes}));
    CHECK(f.names.take() == Lines{"0 AAAA example.org"});
    const Address addresses[] = {address("192.0.2.7"), address("2001::1")};
    translator.resolved(0, NameError::none, addresses, 60);
    const auto reply = f.reply();
    CHECK(get16(reply, 6) == 1);
    CHECK(to_text(std::span(reply).last(16)) == to_text(address("2001::1").bytes));
}

TEST_CASE("an answer is as long as the guest takes it") {
    ServiceFixture f;
    const std::vector<Address> addresses(1000, address("192.0.2.7"));
    auto question = ServiceFixture::question("example.org", 1);
    f.resolve(question);
    f.translator.resolved(0, NameError::none, addresses, 60);
    CHECK(f.code() == text_of("0 ", (512 - question.size()) / 16));
    // EDNS
    const auto option = from_hex("00 0029 ffff 00000000 0000");
    question.insert(question.end(), option.begin(), option.end());
    put16(question, 10, 1);
    f.resolve(question);
    f.translator.resolved(1, NameError::none, addresses, 60);
    CHECK(f.code() == text_of("0 ", (1232 - question.size() + option.size()) / 16));
}

TEST_CASE("other questions go on as they are, and their answers are looked at") {
    ServiceFixture f;
    const auto question = ServiceFixture::question("example.org", 16);
    f.resolve(question);
    CHECK(f.names.take() == Lines{"0 of 29 bytes"});
    auto good = ServiceFixture::question("EXAMPLE.org", 16, 0x9999);
    put16(good, 2, 0x8180);
    good.resize(good.size() + 100);
    SECTION("a good one") {
        f.translator.answered(0, good);
        put16(good, 0, 0x4321);
        CHECK(f.reply() == good);
    }
    SECTION("too long") {
        good.resize(513);
        f.translator.answered(0, good);
        const auto reply = f.reply();
        CHECK(reply.size() == question.size());
        CHECK(get16(reply, 2) == 0x8380);
    }
    SECTION("to another question") {
        good[14] = std::byte{'y'};
        f.translator.answered(0, good);
        CHECK(f.code() == "2 0");
    }
    SECTION("no answer") {
        put16(good, 2, 0x0180);
        f.translator.answered(0, good);
        CHECK(f.code() == "2 0");
    }
    SECTION("none") {
        f.translator.answered(0, {});
        CHECK(f.code() == "2 0");
    }
    SECTION("too late") {
        f.wait(9'999);
        CHECK(f.link.sent.empty());
        f.wait(1);
        CHECK(f.code() == "2 0");
        f.translator.answered(0, good);
        CHECK(f.link.sent.empty());
    }
}

TEST_CASE("open questions are limited") {
    ServiceFixture f;
    for (std::uint16_t id = 0; id < Dns::most_questions; ++id)
        f.resolve(ServiceFixture::question("example.org", 1, id));
    CHECK(f.names.take().size() == Dns::most_questions);
    CHECK(f.link.sent.empty());
    f.resolve(ServiceFixture::question("example.org", 1));
    CHECK(f.code() == "2 0");
    f.wait(10'000);
    CHECK(f.link.sent.size() == Dns::most_questions);
    f.resolve(ServiceFixture::question("example.org", 1));
    CHECK(f.names.take().size() == 1);
}

TEST_CASE("questions that lie") {
    ServiceFixture f;
    const auto good = ServiceFixture::question("example.org", 1);
    const auto with = [&](std::size_t place, std::uint16_t value) {
        auto changed = good;
        put16(changed, place, value);
        f.resolve(changed);
        return f.code();
    };
    CHECK(with(2, 0x2800) == "4 0");  // an update
    CHECK(with(4, 0) == "1 0");       // no question
    CHECK(with(4, 2) == "1 0");       // two
    CHECK(with(6, 1) == "1 0");       // an answer in it
    CHECK(with(12, 0xc00c) == "1 0"); // a name that points at itself
    CHECK(with(12, 0x4061) == "1 0"); // a label of 64 bytes
    CHECK(with(12, 0x3f61) == "1 0"); // one longer than the message
    CHECK(with(14, 0x2e61) == "5 0"); // a dot in a label
    CHECK(with(14, 0x0061) == "5 0"); // a NUL
    CHECK(with(27, 3) == "5 0");      // CHAOS
    for (std::size_t length = 12; length < good.size(); ++length) {
        f.resolve(std::span(good).first(length));
        CHECK(f.code() == "1 0");
    }
    std::string name;
    for (int count = 0; count < 127; ++count)
        name += name.empty() ? "a" : ".a";
    f.resolve(ServiceFixture::question(name, 1)); // 253 letters
    CHECK(f.names.take().size() == 1);
    f.resolve(ServiceFixture::question(name + ".a", 1));
    CHECK(f.code() == "1 0");
    for (std::size_t length = 0; length < 12; ++length)
        f.resolve(std::span(good).first(length));
    auto answer = good;
    put16(answer, 2, 0x8180);
    f.resolve(answer); // else two servers would answer each other for ever
    CHECK(f.link.sent.empty());
    f.resolve(ServiceFixture::question("", 1));
    CHECK(f.code() == "0 0");
    f.resolve(ServiceFixture::question("", 2));
    CHECK(f.names.take().size() == 1);
}
