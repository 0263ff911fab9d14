// SPDX-License-Identifier: MIT
// The switch: where frames go, and who waits.

#include "fake_platform.hpp"
#include "net_driver.hpp"
#include "src/network/switch.hpp"

using namespace auklet;
using namespace auklet::test;
using network::Switch;
using network::WhenFull;

namespace {

class RecordedPort final : public network::Port {
  public:
    bool deliver(const network::Frame& frame) override {
        if (on_deliver)
            on_deliver();
        if (full)
            return false;
        frames.emplace_back(frame.bytes.begin(), frame.bytes.end());
        offload = frame.offload;
        return true;
    }
    void room() override {
        ++rooms;
        if (on_room)
            on_room();
    }
    [[nodiscard]] std::size_t take() { return std::exchange(frames, {}).size(); }

    std::function<void()> on_deliver;
    std::function<void()> on_room;
    std::vector<FrameBytes> frames;
    network::Offload offload;
    int rooms = 0;
    bool full = false;
};

struct Fixture {
    FakePlatform platform;
    Switch link{platform};
    RecordedPort a, b, c;

    explicit Fixture(WhenFull when_full = WhenFull::lose) {
        for (auto* port : {&a, &b})
            REQUIRE(link.attach(*port, when_full));
        REQUIRE(link.attach(c, WhenFull::lose));
    }
    bool send(RecordedPort& from, const network::Mac& source, const network::Mac& destination) {
        const auto frame = ethernet(destination, source);
        return link.send(from, {{}, frame});
    }
    [[nodiscard]] std::array<std::size_t, 3> taken() { return {a.take(), b.take(), c.take()}; }
};

using Taken = std::array<std::size_t, 3>;

} // namespace

TEST_CASE("a frame goes to all until its destination has sent one") {
    Fixture f;
    CHECK(f.send(f.a, mac(1), mac(2)));
    CHECK(f.taken() == Taken{0, 1, 1});
    CHECK(f.send(f.b, mac(2), mac(1)));
    CHECK(f.taken() == Taken{1, 0, 0});
    CHECK(f.send(f.a, mac(1), mac(2)));
    CHECK(f.taken() == Taken{0, 1, 0});
    CHECK(f.link.counters().flooded == 1);
    CHECK(f.link.counters().forwarded == 2);
}

TEST_CASE("what is for a group goes to all, and what is at its place to nobody") {
    Fixture f;
    CHECK(f.send(f.a, mac(1), broadcast));
    network::Mac group = mac(7);
    group[0] |= std::byte{1};
    CHECK(f.send(f.a, mac(1), group));
    CHECK(f.taken() == Taken{0, 2, 2});
    CHECK(f.send(f.b, mac(2), mac(2)));
    CHECK(f.send(f.b, mac(3), mac(2)));
    CHECK(f.taken() == Taken{0, 0, 0});
}

TEST_CASE("a frame has its offloads at the other end") {
    Fixture f;
    const auto made = tcp_frame(mac(2), mac(1));
    CHECK(f.link.send(f.a, {made.offload, made.bytes}));
    CHECK(f.b.frames == std::vector<FrameBytes>{made.bytes});
    CHECK(f.b.offload.gso_size == made.offload.gso_size);
    CHECK(f.b.offload.checksum_start == made.offload.checksum_start);
}

TEST_CASE("an address moves with its owner, and is forgotten when that is silent") {
    Fixture f;
    CHECK(f.send(f.a, mac(1), broadcast));
    CHECK(f.send(f.b, mac(1), broadcast));
    (void)f.taken();
    CHECK(f.send(f.c, mac(3), mac(1)));
    CHECK(f.taken() == Taken{0, 1, 0});
    f.platform.time += Switch::longest_silence;
    CHECK(f.send(f.c, mac(3), mac(1)));
    CHECK(f.taken() == Taken{0, 1, 0});
    CHECK(f.send(f.b, mac(1), broadcast));
    (void)f.taken();
    f.platform.time += Switch::longest_silence + 1;
    CHECK(f.send(f.c, mac(3), mac(1)));
    CHECK(f.taken() == Taken{1, 1, 0});
    CHECK(f.link.addresses() == 1);
}

TEST_CASE("a port with many addresses pushes out its own, the oldest") {
    Fixture f;
    const auto address = [](unsigned number) {
        auto result = mac(number & 0xff);
        result[4] = static_cast<std::byte>(number >> 8);
        return result;
    };
    CHECK(f.send(f.b, mac(2), broadcast));
    for (unsigned number = 0x100; number < 0x100 + Switch::most_addresses; ++number) {
        f.platform.time += 1;
        CHECK(f.send(f.a, address(number), mac(2)));
    }
    CHECK(f.send(f.a, address(0x100), mac(2)));
    CHECK(f.link.addresses() == Switch::most_addresses + 1);
    CHECK(f.send(f.a, address(0x1000), mac(2)));
    CHECK(f.link.addresses() == Switch::most_addresses + 1);
    (void)f.taken();
    // 0x101 is gone, 0x100 was heard again, and b's is there.
    CHECK(f.send(f.b, mac(2), address(0x101)));
    CHECK(f.taken() == Taken{1, 0, 1});
    CHECK(f.send(f.b, mac(2), address(0x100)));
    CHECK(f.taken() == Taken{1, 0, 0});
    CHECK(f.send(f.c, mac(3), mac(2)));
    CHECK(f.taken() == Taken{0, 1, 0});
}

TEST_CASE("nobody else sends from a port's own address, and it stays there") {
    Fixture f;
    RecordedPort owner;
    CHECK(f.send(f.a, mac(9), broadcast));
    REQUIRE(f.link.attach(owner, WhenFull::lose, mac(9)));
    (void)f.taken();
    CHECK(f.send(f.a, mac(9), broadcast));
    CHECK(f.taken() == Taken{0, 0, 0});
    CHECK(f.link.counters().refused == 1);
    f.platform.time += 10 * Switch::longest_silence;
    CHECK(f.send(f.b, mac(2), mac(9)));
    CHECK(owner.take() == 1);
    CHECK(f.taken() == Taken{0, 0, 0});
    CHECK(f.send(owner, mac(9), mac(2)));
    CHECK(f.taken() == Taken{0, 1, 0});
    RecordedPort second;
    CHECK_FALSE(f.link.attach(second, WhenFull::lose, mac(9)));
    f.link.detach(owner);
    CHECK(f.link.attach(second, WhenFull::lose, mac(9)));
}

TEST_CASE("sources that cannot be, and senders that are not attached, are refused") {
    Fixture f;
    CHECK(f.send(f.a, broadcast, mac(2)));
    RecordedPort stranger;
    CHECK(f.send(stranger, mac(5), broadcast));
    CHECK(f.taken() == Taken{0, 0, 0});
    CHECK(f.link.counters().refused == 2);
    CHECK(f.link.addresses() == 0);
}

TEST_CASE("between machines, a frame without room is lost, and counted") {
    Fixture f;
    CHECK(f.send(f.b, mac(2), broadcast));
    f.b.full = true;
    CHECK(f.send(f.a, mac(1), mac(2)));
    CHECK(f.link.counters().lost == 1);
    CHECK(f.send(f.a, mac(1), broadcast));
    CHECK(f.link.counters().lost == 2);
    f.link.room(f.b);
    CHECK(f.a.rooms == 0);
}

TEST_CASE("the translator waits for a machine, and a machine for the translator") {
    Fixture f(WhenFull::wait); // a and b; c is a machine
    CHECK(f.send(f.b, mac(2), broadcast));
    CHECK(f.send(f.c, mac(3), broadcast));
    f.c.full = true;
    f.b.full = true;
    CHECK_FALSE(f.send(f.a, mac(1), mac(3)));
    CHECK_FALSE(f.send(f.a, mac(1), mac(3)));
    CHECK_FALSE(f.send(f.b, mac(2), mac(3)));
    CHECK_FALSE(f.send(f.c, mac(3), mac(2)));
    CHECK(f.link.counters().lost == 0);
    f.link.room(f.a);
    CHECK(f.a.rooms + f.b.rooms + f.c.rooms == 0);
    // Who is refused again waits again.
    f.a.on_room = [&] { CHECK_FALSE(f.send(f.a, mac(1), mac(3))); };
    f.link.room(f.c);
    CHECK(f.a.rooms == 1);
    CHECK(f.b.rooms == 1);
    f.a.on_room = nullptr;
    f.link.room(f.c);
    CHECK(f.a.rooms == 2);
    CHECK(f.b.rooms == 1);
    f.link.room(f.b);
    CHECK(f.c.rooms == 1);
    // Nobody waits for one of many.
    CHECK(f.send(f.a, mac(1), broadcast));
}

TEST_CASE("who waits for a port that goes hears of it, and one that went hears nothing") {
    Fixture f(WhenFull::wait);
    CHECK(f.send(f.c, mac(3), broadcast));
    f.c.full = true;
    CHECK_FALSE(f.send(f.a, mac(1), mac(3)));
    CHECK_FALSE(f.send(f.b, mac(2), mac(3)));
    f.link.detach(f.b);
    // The address went with its port.
    f.a.on_room = [&] { CHECK(f.send(f.a, mac(1), mac(3))); };
    f.link.detach(f.c);
    CHECK(f.a.rooms == 1);
    CHECK(f.b.rooms == 0);
    f.link.detach(f.c);
    f.link.room(f.c);
    CHECK(f.a.rooms == 1);
}

TEST_CASE("a port may answer from within a delivery") {
    Fixture f;
    bool answered = false;
    f.b.on_deliver = [&] {
        if (!std::exchange(answered, true))
            CHECK(f.send(f.b, mac(2), mac(1)));
    };
    CHECK(f.send(f.a, mac(1), mac(2)));
    CHECK(f.taken() == Taken{1, 1, 1});
}

TEST_CASE("two machines on a switch exchange large frames, and each gets what it can") {
    FakePlatform platform;
    Switch link(platform);
    struct Machine {
        explicit Machine(Switch& link, unsigned number)
            : device({.mac = mac(number)}, link), driver(device), receive(driver.set_queue(0, 64)),
              transmit(driver.set_queue(1, 64)) {
            REQUIRE(link.attach(device, WhenFull::lose, mac(number)));
        }
        void start(std::uint64_t features) {
            REQUIRE(driver.start(features) == 15);
            for (std::uint16_t index = 0; index < 64; ++index)
                receive.offer_buffer(index, FakeDriver::buffers + index * 2048U, 2048, flag_write);
        }
        void send(const TcpFrame& frame) {
            const auto header = header_of(frame.offload);
            const GuestAddress address = FakeDriver::buffers + (1 << 20);
            driver.put(address, {reinterpret_cast<const char*>(&header), sizeof header});
            std::ranges::copy(frame.bytes, driver.memory.data() + address + sizeof header);
            transmit.offer_buffer(0, address, static_cast<std::uint32_t>(sizeof header + frame.bytes.size()), 0);
            driver.kick(1);
        }
        virtio::NetDevice device;
        FakeDriver driver;
        FakeQueue& receive;
        FakeQueue& transmit;
    };
    Machine first(link, 1);
    Machine second(link, 2);
    first.start(net_all);
    second.start(net_mac | net_merge);
    first.send(tcp_frame(mac(2), mac(1), {.payload = 10 * 1448}));
    CHECK(second.device.counters().received == 10);
    auto plain = tcp_frame(mac(1), mac(2), {.payload = 1000});
    plain.offload = {};
    second.send(plain);
    CHECK(first.device.counters().received == 1);
    // There are 54 buffers for 84 segments. The card keeps 30 until there are more, and the third frame is lost.
    for (int round = 0; round < 3; ++round)
        first.send(tcp_frame(mac(2), mac(1), {.payload = 60'000}));
    CHECK(second.device.counters().received == 64);
    CHECK(link.counters().forwarded == 4);
    CHECK(link.counters().lost == 1);
}
