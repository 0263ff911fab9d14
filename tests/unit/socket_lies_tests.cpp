// SPDX-License-Identifier: MIT
// The socket device and a driver that breaks each rule.

#include "socket_driver.hpp"

using namespace auklet;
using namespace auklet::test;

TEST_CASE("a guest that sends more than there is room for loses the connection") {
    SocketFixture f;
    f.start();
    auto port = f.connect(1);
    f.fill(port);
    f.send(f.from_guest(port, op_data), "x");
    CHECK(f.only().header.operation == op_reset);
    CHECK(f.sockets.take() == Events{"closed 1 by a reset"});
    CHECK(f.sockets.data.size() == 4 * 65536);
}

TEST_CASE("packets that break the protocol end their connection, or are refused") {
    SocketFixture f;
    f.start();
    auto port = f.connect(1);
    SECTION("data after the end") {
        auto end = f.from_guest(port, op_shutdown);
        end.flags = 2;
        f.send(end);
        f.send(f.from_guest(port, op_data), "x");
        CHECK(f.only().header.operation == op_reset);
        CHECK(f.sockets.take() == Events{"ended 1", "closed 1 by a reset"});
    }
    SECTION("a response to a connection that is open") {
        f.send(f.from_guest(port, op_response));
        CHECK(f.sockets.take() == Events{"closed 1 by a reset"});
    }
    SECTION("an operation that does not exist") {
        f.send(f.from_guest(port, 99));
        CHECK(f.sockets.take() == Events{"closed 1 by a reset"});
    }
    SECTION("data before the connection is open") {
        f.device.connect(2, 80);
        auto second = f.only().header.source_port;
        f.send(f.from_guest(second, op_data), "x");
        CHECK(f.sockets.take() == Events{"closed 2 by a reset"});
    }
    SECTION("a connection that does not exist") {
        f.send(f.from_guest(port + 1, op_data), "x");
        CHECK(f.only().header.operation == op_reset);
        CHECK(f.sockets.take().empty());
        // A reset is not answered: two sides would do so for ever.
        f.send(f.from_guest(port + 1, op_reset));
        CHECK(f.received().empty());
    }
    SECTION("another computer's, and another type") {
        auto packet = f.from_guest(port, op_data);
        packet.source = 9;
        f.send(packet, "x");
        packet = f.from_guest(port, op_data);
        packet.destination = 1;
        f.send(packet, "x");
        packet = f.from_guest(port, op_data);
        packet.type = 2;
        f.send(packet, "x");
        CHECK(f.receive->used_index() == f.taken + 3);
        CHECK(f.sockets.data.empty());
        CHECK(f.sockets.take().empty());
    }
    CHECK(f.driver.events.failures.empty());
}

TEST_CASE("packets that are none stop the device") {
    SocketFixture f;
    f.start();
    auto port = f.connect(1);
    std::string expected;
    SECTION("shorter than a header") {
        f.transmit->offer_buffer(0, SocketFixture::outgoing, 43, 0);
        expected = "queue 1: a packet shorter than its header";
    }
    SECTION("shorter than they say") {
        auto packet = f.from_guest(port, op_data);
        packet.length = 0xffff'ffff;
        f.put(packet, "x");
        f.transmit->offer_buffer(0, SocketFixture::outgoing, 45, 0);
        expected = "queue 1: a packet of 1 bytes that says it has 4294967295";
    }
    SECTION("a buffer without room") {
        f.receive->offer_buffer(0, FakeDriver::buffers, 44, flag_write);
        f.device.send(1, bytes(std::string(65536, 'x')));
        expected = "queue 1: a receive buffer of 44 bytes, which holds no packet";
    }
    f.driver.kick(1);
    REQUIRE(f.driver.events.failures.size() == 1);
    CHECK(f.driver.events.failures[0] == expected);
    // Nothing waits for a device that has stopped.
    CHECK(f.sockets.take() == Events{"closed 1 by a reset"});
    f.device.connect(2, 80);
    CHECK(f.sockets.take() == Events{"closed 2 by a reset"});
}

TEST_CASE("a driver that fails and tries again is served") {
    SocketFixture f;
    f.driver.set_status(15); // without FEATURES_OK
    REQUIRE(f.driver.events.failures.size() == 1);
    f.device.connect(1, 80);
    CHECK(f.sockets.take() == Events{"closed 1 by a reset"});
    f.start();
    f.connect(2);
}

TEST_CASE("a guest that takes no answers is not answered without end") {
    SocketFixture f;
    f.start(0);
    // As many more as the queue holds.
    for (int count = 0; count < 256 + 64; ++count)
        f.send(f.from_guest(1, op_data));
    CHECK(f.transmit->used_index() == 256);
    // Nor are its packets lost.
    for (int round = 0; round < 40; ++round) {
        f.offer(16);
        f.driver.kick(1);
    }
    CHECK(f.transmit->used_index() == 256 + 64);
    CHECK(f.driver.events.failures.empty());
}

TEST_CASE("connections are limited, also those that a guest makes") {
    SocketFixture f;
    f.start();
    f.device.listen(1);
    for (std::uint32_t port = 0; port < virtio::SocketDevice::most_connections; ++port) {
        f.send({.source_port = port, .destination_port = 1, .operation = op_request});
        f.offer(1);
    }
    f.sockets.take();
    f.send({.source_port = 1 << 20, .destination_port = 1, .operation = op_request});
    f.device.connect(5, 80);
    CHECK(f.sockets.take() == Events{"closed 5 by a reset"});
}
