// SPDX-License-Identifier: MIT
// The switch's port to other machines: what goes out, what may come in, and who waits.

#include "machine_fixture.hpp"
#include "net_driver.hpp"
#include "src/network/local_network.hpp"

using namespace auklet;
using namespace auklet::test;
using network::Offload;
using network::RemoteDescription;
using network::RemotePort;
using network::WhenFull;

namespace {

constexpr network::Mac own = mac(1);
constexpr network::Mac other = mac(2);
const network::Mac translator = network::Settings{}.mac;

class RecordedBackend final : public LinkBackend {
  public:
    bool link_send(const network::Frame& frame) override {
        if (full)
            return false;
        frames.push_back({frame.offload, {frame.bytes.begin(), frame.bytes.end()}});
        return true;
    }
    void link_ready() override { ++ready; }

    std::vector<KeptFrame> frames;
    int ready = 0;
    bool full = false;
};

/// A card's place on the switch.
class Card final : public network::Port {
  public:
    bool deliver(const network::Frame& frame) override {
        if (full)
            return false;
        frames.push_back({frame.offload, {frame.bytes.begin(), frame.bytes.end()}});
        return true;
    }
    void room() override { ++rooms; }

    std::vector<KeptFrame> frames;
    int rooms = 0;
    bool full = false;
};

struct Fixture {
    FakePlatform platform;
    TimerQueue timers{platform};
    RecordedBackend backend;
    network::LocalNetwork local;
    Card card;

    explicit Fixture(const RemoteDescription& description = {}, const network::Settings& settings = {})
        : local(platform, timers, platform, platform, platform, settings) {
        local.add_remote(backend, description);
        REQUIRE(local.link().attach(card, WhenFull::lose, own));
    }
    RemotePort& remote() { return *local.remote(); }
    bool receive(const FrameBytes& bytes, const Offload& offload = {}) { return remote().receive(offload, bytes); }
    bool send(const FrameBytes& bytes, const Offload& offload = {}) {
        return local.link().send(card, {offload, bytes});
    }
};

FrameBytes arp_request(const network::Mac& source, std::uint32_t sender, std::uint32_t target) {
    auto frame = ethernet(broadcast, source, 0, 0x0806);
    for (unsigned value : {1U, 0x0800U, 0x0604U, 1U})
        append16(frame, value);
    frame.insert(frame.end(), source.begin(), source.end());
    append16(frame, sender >> 16);
    append16(frame, sender);
    frame.resize(frame.size() + 6);
    append16(frame, target >> 16);
    append16(frame, target);
    return frame;
}

} // namespace

TEST_CASE("frames leave and enter with their offloads") {
    Fixture f;
    const auto out = tcp_frame(other, own);
    CHECK(f.send(out.bytes, out.offload));
    REQUIRE(f.backend.frames.size() == 1);
    CHECK(f.backend.frames[0].bytes == out.bytes);
    CHECK(f.backend.frames[0].offload.gso_size == out.offload.gso_size);
    const auto in = tcp_frame(own, other);
    CHECK(f.receive(in.bytes, in.offload));
    REQUIRE(f.card.frames.size() == 1);
    CHECK(f.card.frames[0].bytes == in.bytes);
    CHECK(f.card.frames[0].offload.gso_size == in.offload.gso_size);
    CHECK(f.remote().counters().sent == 1);
    CHECK(f.remote().counters().received == 1);
}

TEST_CASE("a network without offloads gets segments with checksums, and sends none") {
    Fixture f({.offloads = false});
    const auto out = tcp_frame(other, own, {.payload = 4000, .gso_size = 1448});
    CHECK(f.send(out.bytes, out.offload));
    CHECK(f.backend.frames.size() == 3);
    std::size_t payload = 0;
    for (const auto& frame : f.backend.frames) {
        CHECK(frame.offload.flags == 0);
        CHECK(frame.offload.gso_type == network::gso_none);
        CHECK(frame.bytes.size() <= 1514);
        CHECK(sum16(std::span(frame.bytes).subspan(14, 20)) == 0xffff);
        payload += frame.bytes.size() - out.offload.header_length;
    }
    CHECK(payload == 4000);
    const auto in = tcp_frame(own, other);
    CHECK(f.receive(in.bytes, in.offload));
    CHECK(f.card.frames.empty());
    CHECK(f.remote().counters().refused == 1);
    // Segments that find no room are lost, and nobody waits for them.
    f.backend.full = true;
    CHECK(f.send(out.bytes, out.offload));
    CHECK(f.remote().counters().dropped == 3);
}

TEST_CASE("what comes from outside is checked") {
    Fixture f;
    const auto good = tcp_frame(own, other);
    const auto refused = [&](const FrameBytes& bytes, const Offload& offload) {
        const auto before = f.remote().counters().refused;
        CHECK(f.receive(bytes, offload));
        CHECK(f.card.frames.empty());
        return f.remote().counters().refused == before + 1;
    };
    CHECK(refused({}, {}));
    CHECK(refused(FrameBytes(13), {}));
    CHECK(refused(ethernet(own, other, network::longest_frame), {}));
    CHECK(refused(ethernet(own, other, 1501), {}));
    auto lie = good.offload;
    lie.gso_size = 1461;
    CHECK(refused(good.bytes, lie));
    lie = good.offload;
    lie.gso_size = 1;
    CHECK(refused(good.bytes, lie));
    lie = good.offload;
    lie.gso_type = 3; // UDP
    CHECK(refused(good.bytes, lie));
    lie = good.offload;
    lie.gso_type = network::gso_tcp6;
    CHECK(refused(good.bytes, lie));
    lie = good.offload;
    lie.checksum_start = 0xffff;
    CHECK(refused(good.bytes, lie));
    lie = good.offload;
    lie.checksum_offset = 0xffff;
    CHECK(refused(good.bytes, lie));
    lie = good.offload;
    lie.flags = 0;
    CHECK(refused(good.bytes, lie));
    auto cut = good.bytes;
    cut.pop_back();
    CHECK(refused(cut, good.offload));
    // What it says of its header's length is not asked.
    lie = good.offload;
    lie.header_length = 0xffff;
    CHECK(f.receive(good.bytes, lie));
    REQUIRE(f.card.frames.size() == 1);
    CHECK(f.card.frames[0].offload.header_length == good.header);
}

TEST_CASE("nobody outside has the address of a card or of the translator") {
    Fixture f;
    CHECK(f.receive(ethernet(broadcast, own)));
    CHECK(f.receive(ethernet(broadcast, translator)));
    CHECK(f.card.frames.empty());
    CHECK(f.local.link().counters().refused == 2);
}

TEST_CASE("the translator and other machines do not hear each other") {
    Fixture f;
    // It answers the card, and only the card.
    CHECK(f.send(arp_request(own, 0x0a00'020f, 0x0a00'0202)));
    CHECK(f.card.frames.size() == 1);
    CHECK(f.backend.frames.size() == 1);
    CHECK(f.receive(arp_request(other, 0x0a00'0210, 0x0a00'0202)));
    CHECK(f.card.frames.size() == 2);
    CHECK(f.backend.frames.size() == 1);
    CHECK(f.receive(ethernet(translator, other)));
    CHECK(f.local.link().counters().refused == 1);
    // Another machine says that it has this guest's address. The translator goes on to ask for it, and asks inside.
    CHECK(f.receive(arp_request(other, 0x0a00'020f, 0x0a00'0210)));
    CHECK(f.local.translator().incoming(1, network::Address::v4(0x0a00'020f), 80, 65536));
    CHECK(f.card.frames.size() == 4);
    CHECK(f.backend.frames.size() == 1);
}

TEST_CASE("nobody outside passes himself off as the translator") {
    Fixture f;
    const auto passes = [&](const FrameBytes& bytes) {
        const auto before = f.card.frames.size();
        CHECK(f.receive(bytes));
        return f.card.frames.size() == before + 1;
    };
    const auto ipv4 = [](const char* source, unsigned protocol, unsigned port, unsigned fragment = 0) {
        auto frame = ethernet(broadcast, other, 0, 0x0800);
        for (unsigned word : {0x4500U, 28U, 7U, fragment, 64U << 8 | protocol, 0U})
            append16(frame, word);
        for (const auto& each : {network::Address::v4(0x0a00'0210), network::Address::v4(0x0a00'020f)})
            append16(frame, each.number() >> 16), append16(frame, each.number());
        if (std::string_view(source) == "gateway")
            write16(frame, 14 + 14, 0x0202);
        write16(frame, 14 + 10, ~sum16(std::span(frame).subspan(14)) & 0xffff);
        for (unsigned word : {port, 68U, 8U, 0U})
            append16(frame, word);
        return frame;
    };
    const auto icmp6 = [](unsigned type, const network::Address& source, const network::Address& target,
                          unsigned options = 0) {
        auto frame = ethernet(broadcast, other, 0, 0x86dd);
        for (unsigned word : {0x6000U, 0U, 24U + 8 * options, (options != 0 ? 60U : 58U) << 8 | 255})
            append16(frame, word);
        for (const auto& each : {source, network::Address::v6(0xff02'0000, 1)})
            frame.insert(frame.end(), each.bytes.begin(), each.bytes.end());
        for (unsigned index = 1; index <= options; ++index)
            for (unsigned word : {(index == options ? 58U : 60U) << 8, 0x0104U, 0U, 0U})
                append16(frame, word);
        for (unsigned word : {type << 8, 0U, 0xa000U, 0U})
            append16(frame, word);
        frame.insert(frame.end(), target.bytes.begin(), target.bytes.end());
        return frame;
    };
    const network::Settings settings;
    const auto neighbour = network::Address::v6(0xfd00'0000, 16);
    for (unsigned last : {2U, 3U})
        CHECK_FALSE(passes(arp_request(other, 0x0a00'0200 + last, 0x0a00'020f)));
    CHECK(passes(arp_request(other, 0x0a00'0210, 0x0a00'020f)));
    CHECK_FALSE(passes(ethernet(broadcast, other, 27, 0x0806)));

    CHECK(passes(ipv4("neighbour", 17, 68)));
    CHECK_FALSE(passes(ipv4("neighbour", 17, 67)));
    CHECK_FALSE(passes(ipv4("gateway", 17, 68)));
    CHECK_FALSE(passes(ipv4("gateway", 1, 0)));
    CHECK(passes(ipv4("neighbour", 6, 67)));
    // The first fragment has the ports, others have any bytes there.
    CHECK_FALSE(passes(ipv4("neighbour", 17, 67, 0x2000)));
    CHECK(passes(ipv4("neighbour", 17, 67, 0x2001)));
    auto broken = ipv4("neighbour", 17, 68);
    broken[14 + 10] ^= std::byte{1};
    CHECK_FALSE(passes(broken));

    CHECK(passes(icmp6(135, neighbour, settings.gateway6)));
    CHECK(passes(icmp6(136, neighbour, neighbour)));
    CHECK_FALSE(passes(icmp6(135, settings.link_local, neighbour)));
    for (const auto& own_address : {settings.gateway6, settings.resolver6, settings.link_local})
        for (unsigned options : {0U, 1U, 9U})
            CHECK_FALSE(passes(icmp6(136, neighbour, own_address, options)));
    for (unsigned type : {134U, 137U})
        CHECK_FALSE(passes(icmp6(type, neighbour, neighbour)));
    CHECK(passes(ethernet(broadcast, other)));

    // A fragment of IPv6 that hides what comes behind another header.
    const auto fragment6 = [&](unsigned port, bool hides, unsigned offset = 0) {
        auto frame = ethernet(broadcast, other, 0, 0x86dd);
        for (unsigned word : {0x6000U, 0U, hides ? 24U : 16U, 44U << 8 | 64})
            append16(frame, word);
        for (const auto& each : {neighbour, network::Address::v6(0xff02'0000, 1)})
            frame.insert(frame.end(), each.bytes.begin(), each.bytes.end());
        for (unsigned word : {(hides ? 60U : 17U) << 8, offset | 1, 0U, 7U})
            append16(frame, word);
        if (hides)
            for (unsigned word : {17U << 8, 0x0104U, 0U, 0U})
                append16(frame, word);
        for (unsigned word : {port, 546U, 8U, 0U})
            append16(frame, word);
        return frame;
    };
    CHECK(passes(fragment6(546, false)));
    CHECK_FALSE(passes(fragment6(547, false)));
    CHECK_FALSE(passes(fragment6(547, true)));
    CHECK(passes(fragment6(547, true, 8)));

    // A tag of a VLAN in front changes nothing.
    const auto tagged = [](FrameBytes frame, unsigned type, unsigned vlan) {
        FrameBytes tag;
        append16(tag, type);
        append16(tag, 0xe000 | vlan);
        frame.insert(frame.begin() + 12, tag.begin(), tag.end());
        return frame;
    };
    const auto lie = arp_request(other, 0x0a00'0202, 0x0a00'020f);
    const auto truth = arp_request(other, 0x0a00'0210, 0x0a00'020f);
    for (unsigned type : {0x8100U, 0x88a8U})
        for (unsigned vlan : {0U, 5U}) {
            CHECK_FALSE(passes(tagged(lie, type, vlan)));
            CHECK_FALSE(passes(tagged(tagged(lie, 0x8100, vlan), type, 0)));
            CHECK_FALSE(passes(tagged(ipv4("neighbour", 17, 67), type, vlan)));
            CHECK(passes(tagged(truth, type, vlan)));
            CHECK(passes(tagged(tagged(truth, 0x8100, vlan), type, 5)));
            for (std::size_t rest = 0; rest < 4; ++rest)
                CHECK_FALSE(passes(ethernet(broadcast, other, rest, type)));
        }
    auto tags = ethernet(broadcast, other, 1400, 0x8100);
    for (std::size_t at = 12; at + 2 <= tags.size(); at += 4)
        write16(tags, at, 0x8100);
    CHECK_FALSE(passes(tags));
}

TEST_CASE("without a translator the network outside is all there is") {
    Fixture f({.offloads = false}, {.translates = false});
    CHECK(f.send(arp_request(own, 0, 0x0a00'0202)));
    CHECK(f.card.frames.empty());
    CHECK(f.backend.frames.size() == 1);
    // Its address is one like any other.
    CHECK(f.receive(ethernet(own, translator)));
    CHECK(f.card.frames.size() == 1);
}

TEST_CASE("a card waits for other machines, and they for the card") {
    Fixture f;
    CHECK(f.receive(ethernet(broadcast, other)));
    f.card.frames.clear();
    f.backend.full = true;
    CHECK_FALSE(f.send(ethernet(other, own)));
    // Frames for all wait for nobody.
    CHECK(f.send(ethernet(broadcast, own)));
    CHECK(f.card.rooms == 0);
    f.backend.full = false;
    f.remote().writable();
    CHECK(f.card.rooms == 1);
    CHECK(f.send(ethernet(other, own)));

    f.card.full = true;
    CHECK_FALSE(f.receive(ethernet(own, other)));
    CHECK(f.backend.ready == 0);
    f.card.full = false;
    f.local.link().room(f.card);
    CHECK(f.backend.ready == 1);
    CHECK(f.receive(ethernet(own, other)));
    CHECK(f.card.frames.size() == 1);
    CHECK(f.remote().counters().received == 2);
}

TEST_CASE("a machine has one link, which needs a card") {
    MachineFixture f;
    auto& machine = *f.machine;
    CHECK_FALSE(machine.add_remote({}));
    CHECK(machine.remote() == nullptr);
    REQUIRE(machine.add_network({.mac = own}, {}));
    CHECK(machine.remote() == nullptr);
    CHECK(machine.add_remote({}));
    CHECK(machine.remote() != nullptr);
    CHECK_FALSE(machine.add_remote({}));
}
