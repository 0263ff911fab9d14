// SPDX-License-Identifier: MIT
// The socket device: connections, their credit and their end.

#include "socket_driver.hpp"

using namespace auklet;
using namespace auklet::test;

TEST_CASE("the socket device tells the guest its number") {
    SocketFixture f;
    CHECK(f.driver.page.load32(offsetof(abi::VirtioPage, device_id)) == 19);
    CHECK(f.driver.page.read_structure<std::uint64_t>(AUKLET_VIRTIO_CONFIG) == 3);
}

TEST_CASE("bytes go both ways, with what each side has room for") {
    SocketFixture f;
    f.start();
    auto port = f.connect(1);
    f.device.send(1, bytes("hello"));
    auto packet = f.only();
    CHECK(packet.header.operation == op_data);
    CHECK(packet.data == "hello");
    CHECK(packet.header.room == virtio::SocketDevice::receive_limit);
    CHECK(f.sockets.sent == 5);
    f.send(f.from_guest(port, op_data), "world");
    CHECK(f.sockets.data == "world");
    CHECK(f.received().empty());
    f.device.taken(1, 5);
    f.send(f.from_guest(port, op_credit_request));
    packet = f.only();
    CHECK(packet.header.operation == op_credit_update);
    CHECK(packet.header.forwarded == 5);
}

TEST_CASE("a connection that is asked for before there is a driver waits for it") {
    SocketFixture f;
    f.device.connect(7, 22);
    f.device.send(7, bytes("early"));
    f.device.finish(7);
    f.start(0);
    CHECK(f.received().empty());
    f.offer(16);
    auto request = f.only();
    CHECK(request.header.operation == op_request);
    f.send({.source_port = 22, .destination_port = request.header.source_port, .operation = op_response});
    auto packets = f.received();
    REQUIRE(packets.size() == 2);
    CHECK(packets[0].data == "early");
    CHECK(packets[1].header.operation == op_shutdown);
    CHECK(packets[1].header.flags == 2);
}

TEST_CASE("a refused connection is closed") {
    SocketFixture f;
    f.start();
    f.device.connect(1, 80);
    auto port = f.only().header.source_port;
    f.send(f.from_guest(port, op_reset));
    CHECK(f.sockets.take() == Events{"closed 1 by a reset"});
    // And forgotten.
    f.device.send(1, bytes("x"));
    f.device.taken(1, 1);
    f.device.finish(1);
    f.device.abort(1);
    CHECK(f.received().empty());
}

TEST_CASE("programs connect to ports on which the owner listens, and to no others") {
    SocketFixture f;
    f.start();
    f.device.listen(1000);
    const Packet request{.source_port = 9, .destination_port = 1000, .operation = op_request};
    f.send(request);
    CHECK(f.only().header.operation == op_response);
    CHECK(f.sockets.take() == Events{"accepted 0 on 1000"});
    f.device.send(first_accepted, bytes("hi"));
    CHECK(f.only().data == "hi");
    f.device.unlisten(1000);
    f.send({.source_port = 10, .destination_port = 1000, .operation = op_request});
    auto refused = f.only();
    CHECK(refused.header.operation == op_reset);
    CHECK(refused.header.destination_port == 10);
    // The first goes on. A second request of its own is an error.
    f.send(request);
    CHECK(f.only().header.operation == op_reset);
    CHECK(f.sockets.take() == Events{"closed 0 by a reset"});
}

TEST_CASE("each direction ends by itself") {
    SocketFixture f;
    f.start();
    auto port = f.connect(1);
    f.device.send(1, bytes("all"));
    f.device.finish(1);
    f.device.send(1, bytes("too late"));
    auto packets = f.received();
    REQUIRE(packets.size() == 2);
    CHECK(packets[1].header.operation == op_shutdown);
    f.send(f.from_guest(port, op_data), "answer");
    auto end = f.from_guest(port, op_shutdown);
    end.flags = 2;
    f.send(end);
    f.send(end);
    CHECK(f.sockets.data == "answer");
    CHECK(f.sockets.take() == Events{"ended 1"});
    end.flags = 3;
    f.send(end);
    CHECK(f.only().header.operation == op_reset);
    CHECK(f.sockets.take() == Events{"closed 1"});
}

TEST_CASE("a program that goes away before it has read all has reset the connection") {
    SocketFixture f;
    f.start(1);
    auto port = f.connect(1);
    f.device.send(1, bytes("unread"));
    auto end = f.from_guest(port, op_shutdown);
    end.flags = 3;
    f.send(end);
    CHECK(f.sockets.take() == Events{"ended 1", "closed 1 by a reset"});
}

TEST_CASE("the owner's bytes wait for credit and for buffers") {
    SocketFixture f;
    f.start();
    auto port = f.connect(1);
    auto update = f.from_guest(port, op_credit_update);
    update.room = 10000;
    f.send(update);
    const std::string text(20000, 'x');
    f.device.send(1, bytes(text));
    auto count = [&] {
        std::size_t sum = 0;
        for (auto& packet : f.received())
            sum += packet.data.size();
        return sum;
    };
    CHECK(count() == 10000);
    update.forwarded = 9000;
    f.send(update);
    CHECK(count() == 9000);
    // A guest whose numbers make no sense gets nothing, rather than too much.
    update.forwarded = 50000;
    f.send(update);
    CHECK(count() == 0);
    update.forwarded = 19000;
    f.send(update);
    CHECK(count() == 1000);
    CHECK(f.sockets.sent == 20000);
}

TEST_CASE("senders take turns") {
    SocketFixture f;
    f.start();
    f.connect(1);
    f.connect(2);
    const std::string text(10000, 'x');
    f.device.send(1, bytes(text));
    f.device.send(2, bytes(text));
    // All of the first was sent, because the buffers were there; without buffers they alternate.
    f.received();
    f.device.send(1, bytes(std::string(60000, 'a')));
    f.device.send(2, bytes(std::string(60000, 'b')));
    f.received();
    f.offer(4);
    auto packets = f.received();
    REQUIRE(packets.size() == 4);
    CHECK(packets[0].data[0] != packets[1].data[0]);
    CHECK(packets[0].data[0] == packets[2].data[0]);
}

TEST_CASE("the guest hears of room when a quarter of it is free again") {
    SocketFixture f;
    f.start();
    auto port = f.connect(1);
    f.fill(port);
    f.device.taken(1, 65535);
    CHECK(f.received().empty());
    f.device.taken(1, 1);
    auto packet = f.only();
    CHECK(packet.header.operation == op_credit_update);
    CHECK(packet.header.forwarded == 65536);
    // More than there is cannot be taken.
    f.device.taken(1, 1 << 30);
    CHECK(f.only().header.forwarded == 4 * 65536);
}

TEST_CASE("what the owner asks for does not count as answers") {
    SocketFixture f;
    for (ConnectionId id = 0; id < 500; ++id)
        f.device.connect(id, 80);
    f.start(0);
    f.send(f.from_guest(1, op_data));
    CHECK(f.transmit->used_index() == 1);
    f.offer(2);
    auto packets = f.received();
    REQUIRE(packets.size() == 2);
    CHECK(packets[0].header.operation == op_reset);
    CHECK(packets[1].header.operation == op_request);
}

TEST_CASE("directions that end one after the other are both ended") {
    SocketFixture f;
    f.start();
    auto port = f.connect(1);
    auto end = f.from_guest(port, op_shutdown);
    end.flags = 1;
    f.send(end);
    CHECK(f.sockets.take().empty());
    end.flags = 2;
    f.send(end);
    CHECK(f.sockets.take() == Events{"ended 1", "closed 1"});
    CHECK(f.only().header.operation == op_reset);
}

TEST_CASE("the next driver closes what was open, and is asked for what waits") {
    SocketFixture f;
    f.start();
    f.connect(1);
    f.driver.set_status(0);
    CHECK(f.sockets.take().empty());
    f.device.send(1, bytes("nobody"));
    f.device.connect(1, 80);
    f.device.connect(2, 80);
    f.device.connect(2, 81);
    f.device.connect(first_accepted, 81);
    f.driver.set_status(0);
    CHECK(f.sockets.take().empty());
    f.receive->set_available_index(0);
    f.transmit->set_available_index(0);
    f.driver.put(f.receive->used(), std::string(4, '\0'));
    f.taken = f.offered = 0;
    REQUIRE(f.driver.start(0) == 15);
    CHECK(f.sockets.take() == Events{"closed 1 by a reset"});
    f.offer(4);
    CHECK(f.only().header.operation == op_request);
}
