// SPDX-License-Identifier: MIT
// The network card and a driver that breaks each rule. net_offload_tests.cpp has the lies about offloads.

#include "net_driver.hpp"

using namespace auklet;
using namespace auklet::test;

TEST_CASE("frames that are none are refused, and stop nothing") {
    NetFixture f;
    f.start();
    std::uint64_t refused = 1;
    SECTION("shorter than its header") { f.send(FrameBytes(13)); }
    SECTION("empty") { f.send(FrameBytes{}); }
    SECTION("longer than a frame can be") { f.send(FrameBytes(network::longest_frame + 1)); }
    SECTION("all of memory") {
        f.transmit->offer_buffer(0, 0, FakeDriver::memory_size, 0);
        ++f.sent;
        f.ring();
    }
    SECTION("another's address") {
        f.send(ethernet(mac(2), mac(3)));
        f.send(ethernet(mac(2), broadcast));
        refused = 2;
    }
    SECTION("a checksum outside of it") {
        f.send(ethernet(mac(2), mac(1)), {.flags = 1, .checksum_start = 50, .checksum_offset = 10});
    }
    SECTION("segmentation of what has no segments") {
        f.send(ethernet(mac(2), mac(1)), {.flags = 1, .gso_type = 1, .gso_size = 1448, .checksum_start = 34});
    }
    SECTION("segments longer than the MTU") {
        // 14 + 20 + 32 + 1449 bytes, and 4 more with a tag.
        f.send(tcp_frame(mac(2), mac(1), {.gso_size = 1449}));
        f.send(tcp_frame(mac(2), mac(1), {.gso_size = 1449, .vlan = true}));
        refused = 2;
    }
    SECTION("segmentation of more than fits into the length of IP") {
        auto frame = tcp_frame(mac(2), mac(1), {.payload = 65'483});
        frame.bytes.push_back({});
        f.send(frame);
    }
    CHECK(f.device.counters().refused == refused);
    CHECK(f.link.tries == 0);
    CHECK(f.all_returned());
    f.send(ethernet(mac(2), mac(1)));
    CHECK(f.link.frames.size() == 1);
    CHECK(f.driver.events.failures.empty());
}

TEST_CASE("offloads that the driver has not accepted are refused") {
    NetFixture f;
    const auto frame = tcp_frame(mac(2), mac(1));
    auto checksum = frame;
    checksum.offload.gso_type = network::gso_none;
    checksum.bytes.resize(1000);
    SECTION("none") {
        f.start(net_mac);
        f.send(frame);
        f.send(checksum);
        CHECK(f.device.counters().refused == 2);
    }
    SECTION("segmentation without checksums, on which it depends") {
        f.start(net_mac | net_host_tso4);
        f.send(frame);
        f.send(checksum);
        CHECK(f.device.counters().refused == 2);
    }
    SECTION("of the other version only") {
        f.start(net_mac | net_csum | net_host_tso6);
        f.send(frame);
        CHECK(f.device.counters().refused == 1);
        f.send(checksum);
        CHECK(f.link.frames.size() == 1);
    }
    CHECK(f.all_returned());
}

TEST_CASE("a chain without a header stops the device") {
    NetFixture f;
    f.start();
    f.offer_chain(11);
    f.driver.kick(1);
    CHECK(f.driver.events.failures == std::vector<std::string>{"queue 1: a frame without its header"});
    const auto frame = ethernet(mac(1), mac(2));
    CHECK(f.deliver(frame));
    CHECK(f.received().empty());
    f.restart();
    CHECK(f.deliver(frame));
    CHECK(f.only().bytes == frame);
}

TEST_CASE("bad buffers stop the device when a frame comes, wherever it comes from") {
    const bool within = GENERATE(false, true);
    NetFixture f;
    f.start(net_all, 0);
    std::string expected;
    SECTION("without room for a header") {
        f.receive->offer_buffer(0, FakeDriver::buffers, 11, flag_write);
        expected = "a receive buffer of 11 bytes, which holds no header";
    }
    SECTION("a later one without room for a header") {
        f.receive->offer_buffer(0, FakeDriver::buffers, 20, flag_write);
        f.receive->offer_buffer(1, FakeDriver::buffers, 11, flag_write);
        expected = "a receive buffer of 11 bytes, which holds no header";
    }
    SECTION("only to be read") {
        f.receive->offer_buffer(0, FakeDriver::buffers, 2000, 0);
        expected = "a receive buffer of 0 bytes, which holds no header";
    }
    SECTION("outside of memory") {
        f.receive->offer_buffer(0, FakeDriver::memory_size - 4, 2000, flag_write);
        expected = "a buffer is outside of memory";
    }
    SECTION("an index that makes no sense") {
        f.receive->set_available_index(1000);
        expected = "the available index is further ahead than the queue is long";
    }
    const auto frame = ethernet(mac(1), mac(2));
    if (within) {
        f.link.on_send = [&] {
            CHECK(f.deliver(frame));
            CHECK(f.deliver(frame));
            CHECK(f.driver.events.failures.empty());
        };
        f.send(ethernet(mac(2), mac(1)));
    } else {
        CHECK(f.deliver(frame));
    }
    REQUIRE(f.driver.events.failures.size() == 1);
    CHECK(f.driver.events.failures[0] == text_of("queue ", within ? 1 : 0, ": ", expected));
    CHECK(f.receive->used_index() == 0);
    // Whoever waits goes on, but not from within its own call. Nothing else happens until a reset.
    CHECK(f.link.rooms == (within ? 1 : 0));
    CHECK(f.deliver(frame));
    f.device.room();
    f.driver.kick(0);
    f.driver.kick(1);
    CHECK(f.driver.events.failures.size() == 1);
    f.link.on_send = nullptr;
    f.driver.set_status(0);
    CHECK(f.link.rooms == (within ? 2 : 1));
    f.restart();
    CHECK(f.deliver(frame));
    CHECK(f.only().bytes == frame);
}

TEST_CASE("bad buffers between the segments of a frame stop the device, and its sender goes on") {
    NetFixture f;
    f.start(net_mac | net_merge, 1);
    const auto made = tcp_frame(mac(1), mac(2));
    CHECK(f.deliver(made.bytes, made.offload));
    CHECK_FALSE(f.deliver(made.bytes, made.offload));
    f.receive->offer_buffer(1, FakeDriver::buffers, 5, flag_write);
    f.driver.kick(0);
    CHECK(f.driver.events.failures ==
          std::vector<std::string>{"queue 0: a receive buffer of 5 bytes, which holds no header"});
    CHECK(f.link.rooms == 1);
    CHECK(f.deliver(made.bytes, made.offload));
}

TEST_CASE("a buffer that is offered over and over is no way to the host's memory") {
    NetFixture f;
    f.buffer_size = 12;
    f.start(net_all, 0);
    const auto large = tcp_frame(mac(1), mac(2), {.payload = 60'000});
    for (int round = 0; round < 100; ++round) {
        for (int count = 0; count < f.size; ++count)
            f.receive->offer_buffer(0, FakeDriver::buffers, 12, flag_write);
        f.driver.kick(0);
        CHECK(f.deliver(large.bytes, large.offload));
    }
    CHECK(f.device.counters().dropped == 100);
    // It has taken one queue of them, and then looked no further.
    CHECK(f.receive->used_index() == 0);
}
