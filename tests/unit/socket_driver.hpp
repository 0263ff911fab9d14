// SPDX-License-Identifier: MIT
// The guest's side of the socket device, and an owner that records what it is told.
#pragma once

#include "fake_driver.hpp"
#include "src/virtio/socket.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <string>
#include <vector>

namespace auklet::test {

inline constexpr std::uint16_t op_request = 1;
inline constexpr std::uint16_t op_response = 2;
inline constexpr std::uint16_t op_reset = 3;
inline constexpr std::uint16_t op_shutdown = 4;
inline constexpr std::uint16_t op_data = 5;
inline constexpr std::uint16_t op_credit_update = 6;
inline constexpr std::uint16_t op_credit_request = 7;

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

struct SocketFixture {
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
    /// The guest sends as much as there is room for: 256 KiB.
    void fill(std::uint32_t port) {
        const std::string text(65536, 'x');
        for (int round = 0; round < 4; ++round)
            send(from_guest(port, op_data), text);
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

} // namespace auklet::test
