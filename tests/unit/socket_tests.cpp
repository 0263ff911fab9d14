// SPDX-License-Identifier: MIT
// The socket device: connections, their credit and their end, and a driver that breaks each rule.

#include "fake_driver.hpp"
#include "src/virtio/socket.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <string>
#include <vector>

using namespace auklet;
using namespace auklet::test;

namespace {

constexpr std::uint16_t op_request = 1;
constexpr std::uint16_t op_response = 2;
constexpr std::uint16_t op_reset = 3;
constexpr std::uint16_t op_shutdown = 4;
constexpr std::uint16_t op_data = 5;
constexpr std::uint16_t op_credit_update = 6;
constexpr std::uint16_t op_credit_request = 7;

/// virtio 1.2, 5.10.6: struct virtio_vsock_hdr.
struct __attribute__((packed)) Packet {
    std::uint64_t source = 3;
    std::uint64_t destination = 2;
    std::uint32_t source_port = 0;
    std::uint32_t destination_port = 0;
    std::uint32_t length = 0;
    std::uint16_t type = 1;
    std::uint16_t operation = 0;
    std::uint32_t flags = 0;
    std::uint32_t room = 65536;
    std::uint32_t forwarded = 0;
};
static_assert(sizeof(Packet) == 44);

struct Received {
    Packet header;
    std::string data;
};

struct RecordedSockets final : SocketBackend {
    void socket_opened(ConnectionId id) override { events.push_back(text_of("opened ", id)); }
    void socket_accepted(ConnectionId id, std::uint32_t port) override {
        events.push_back(text_of("accepted ", id - first_accepted, " on ", port));
    }
    void socket_data(ConnectionId, std::span<const std::byte> bytes) override {
        data.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
    void socket_sent(ConnectionId, std::size_t count) override { sent += count; }
    void socket_ended(ConnectionId id) override { events.push_back(text_of("ended ", id % first_accepted)); }
    void socket_closed(ConnectionId id, bool reset) override {
        events.push_back(text_of("closed ", id % first_accepted, reset ? " by a reset" : ""));
    }

    std::vector<std::string> take() { return std::exchange(events, {}); }

    std::vector<std::string> events;
    std::string data;
    std::size_t sent = 0;
};

using Events = std::vector<std::string>;

struct Fixture {
    static constexpr std::uint32_t buffer_size = 4096;
    static constexpr GuestAddress outgoing = FakeDriver::buffers + 64 * buffer_size;

    RecordedSockets sockets;
    virtio::SocketDevice device{sockets};
    FakeDriver driver{device};
    FakeQueue* receive = nullptr;
    FakeQueue* transmit = nullptr;
    std::uint16_t taken = 0; ///< used elements of the receive queue that were looked at
    std::uint16_t offered = 0;

    void start(int buffers = 16) {
        driver.set_queue(0, 64);
        driver.set_queue(1, 64);
        driver.set_queue(2, 4);
        receive = &driver.queues[0];
        transmit = &driver.queues[1];
        REQUIRE(driver.start(0) == 15);
        offer(buffers);
    }
    void offer(int buffers) {
        for (; buffers > 0; --buffers, ++offered)
            receive->offer_buffer(offered % 64, FakeDriver::buffers + (offered % 64U) * buffer_size, buffer_size,
                                  flag_write);
        driver.kick(0);
    }
    void put(Packet packet, std::string_view data = {}) {
        driver.put(outgoing, {reinterpret_cast<const char*>(&packet), sizeof packet});
        driver.put(outgoing + sizeof packet, data);
    }
    void send(Packet packet, std::string_view data = {}) {
        packet.length = static_cast<std::uint32_t>(data.size());
        put(packet, data);
        transmit->offer_buffer(0, outgoing, static_cast<std::uint32_t>(sizeof packet + data.size()), 0);
        driver.kick(1);
    }
    std::vector<Received> received() {
        std::vector<Received> packets;
        for (; taken != receive->used_index(); ++taken) {
            auto element = receive->used_element(taken);
            auto text = driver.get(FakeDriver::buffers + element.id * buffer_size, element.length);
            REQUIRE(text.size() >= sizeof(Packet));
            Received packet;
            std::memcpy(&packet.header, text.data(), sizeof(Packet));
            packet.data = text.substr(sizeof(Packet));
            CHECK(packet.header.length == packet.data.size());
            CHECK(packet.header.source == 2);
            packets.push_back(std::move(packet));
        }
        return packets;
    }
    /// The one packet that has come.
    Received only() {
        auto packets = received();
        REQUIRE(packets.size() == 1);
        return packets[0];
    }

    /// A connection of the owner's to port 80 that the guest has accepted; the owner's port.
    std::uint32_t connect(ConnectionId id) {
        device.connect(id, 80);
        auto request = only();
        CHECK(request.header.operation == op_request);
        CHECK(request.header.destination_port == 80);
        CHECK(request.header.destination == 3);
        send({.source_port = 80, .destination_port = request.header.source_port, .operation = op_response});
        CHECK(sockets.take() == Events{text_of("opened ", id)});
        return request.header.source_port;
    }
    Packet from_guest(std::uint32_t port, std::uint16_t operation) const {
        return {.source_port = 80, .destination_port = port, .operation = operation};
    }
};

} // namespace

TEST_CASE("the socket device tells the guest its number") {
    Fixture f;
    CHECK(f.driver.page.load32(offsetof(abi::VirtioPage, device_id)) == 19);
    CHECK(f.driver.page.read_structure<std::uint64_t>(AUKLET_VIRTIO_CONFIG) == 3);
}

TEST_CASE("bytes go both ways, with what each side has room for") {
    Fixture f;
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
    Fixture f;
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
    Fixture f;
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
    Fixture f;
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
    Fixture f;
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
    Fixture f;
    f.start(1);
    auto port = f.connect(1);
    f.device.send(1, bytes("unread"));
    auto end = f.from_guest(port, op_shutdown);
    end.flags = 3;
    f.send(end);
    CHECK(f.sockets.take() == Events{"ended 1", "closed 1 by a reset"});
}

TEST_CASE("the owner's bytes wait for credit and for buffers") {
    Fixture f;
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
    Fixture f;
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
    Fixture f;
    f.start();
    auto port = f.connect(1);
    const std::string text(65536, 'x');
    for (int round = 0; round < 4; ++round)
        f.send(f.from_guest(port, op_data), text);
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

TEST_CASE("a guest that sends more than there is room for loses the connection") {
    Fixture f;
    f.start();
    auto port = f.connect(1);
    const std::string text(65536, 'x');
    for (int round = 0; round < 4; ++round)
        f.send(f.from_guest(port, op_data), text);
    f.send(f.from_guest(port, op_data), "x");
    CHECK(f.only().header.operation == op_reset);
    CHECK(f.sockets.take() == Events{"closed 1 by a reset"});
    CHECK(f.sockets.data.size() == 4 * 65536);
}

TEST_CASE("packets that break the protocol end their connection, or are refused") {
    Fixture f;
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
    Fixture f;
    f.start();
    auto port = f.connect(1);
    std::string expected;
    SECTION("shorter than a header") {
        f.transmit->offer_buffer(0, Fixture::outgoing, 43, 0);
        expected = "queue 1: a packet shorter than its header";
    }
    SECTION("shorter than they say") {
        auto packet = f.from_guest(port, op_data);
        packet.length = 0xffff'ffff;
        f.put(packet, "x");
        f.transmit->offer_buffer(0, Fixture::outgoing, 45, 0);
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

TEST_CASE("a guest that takes no answers is not answered without end") {
    Fixture f;
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

TEST_CASE("what the owner asks for does not count as answers") {
    Fixture f;
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
    Fixture f;
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
    Fixture f;
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

TEST_CASE("connections are limited, also those that a guest makes") {
    Fixture f;
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
