// SPDX-License-Identifier: MIT
// The guest's side of a network card, and a link that records what it is told.
#pragma once

#include "fake_driver.hpp"
#include "net_frames.hpp"
#include "src/virtio/net.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <functional>
#include <span>
#include <utility>
#include <vector>

namespace auklet::test {

// virtio 1.2, 5.1.3
inline constexpr std::uint64_t net_csum = 1 << 0;
inline constexpr std::uint64_t net_guest_csum = 1 << 1;
inline constexpr std::uint64_t net_mtu = 1 << 3;
inline constexpr std::uint64_t net_mac = 1 << 5;
inline constexpr std::uint64_t net_guest_tso4 = 1 << 7;
inline constexpr std::uint64_t net_guest_tso6 = 1 << 8;
inline constexpr std::uint64_t net_host_tso4 = 1 << 11;
inline constexpr std::uint64_t net_host_tso6 = 1 << 12;
inline constexpr std::uint64_t net_merge = 1 << 15;
inline constexpr std::uint64_t net_status = 1 << 16;
inline constexpr std::uint64_t net_all = net_csum | net_guest_csum | net_mtu | net_mac | net_guest_tso4 |
                                         net_guest_tso6 | net_host_tso4 | net_host_tso6 | net_merge | net_status;

/// virtio 1.2, 5.1.6: struct virtio_net_hdr.
struct NetHeader {
    std::uint8_t flags = 0;
    std::uint8_t gso_type = 0;
    std::uint16_t header_length = 0;
    std::uint16_t gso_size = 0;
    std::uint16_t checksum_start = 0;
    std::uint16_t checksum_offset = 0;
    std::uint16_t buffers = 0;
};

inline NetHeader header_of(const network::Offload& offload) {
    return {offload.flags,    offload.gso_type,       offload.header_length,
            offload.gso_size, offload.checksum_start, offload.checksum_offset};
}

struct KeptFrame {
    network::Offload offload;
    FrameBytes bytes;
};

class RecordedLink final : public network::Link {
  public:
    bool send(network::Port& from, const network::Frame& frame) override {
        ++tries;
        if (on_send)
            on_send();
        if (!takes)
            return false;
        senders.push_back(&from);
        frames.push_back({frame.offload, {frame.bytes.begin(), frame.bytes.end()}});
        return true;
    }
    void room(network::Port&) override {
        ++rooms;
        if (on_room)
            on_room();
    }

    std::function<void()> on_send;
    std::function<void()> on_room;
    std::vector<network::Port*> senders;
    std::vector<KeptFrame> frames;
    int tries = 0;
    int rooms = 0;
    bool takes = true;
};

struct GuestFrame {
    NetHeader header;
    FrameBytes bytes;
    std::uint16_t buffers;
};

struct NetFixture {
    static constexpr GuestAddress outgoing = FakeDriver::buffers + (1 << 20);
    static constexpr std::uint32_t buffer_space = 4096;

    RecordedLink link;
    virtio::NetDevice device{{.mac = mac(1), .mtu = 1500}, link};
    FakeDriver driver{device};
    std::uint16_t size = 64;
    FakeQueue* receive = nullptr;
    FakeQueue* transmit = nullptr;
    std::uint32_t buffer_size = 1536;
    std::uint16_t offered = 0;
    std::uint16_t taken = 0;
    std::uint16_t sent = 0;

    void start(std::uint64_t features = net_all, int buffers = 16) {
        if (receive == nullptr) {
            driver.set_queue(0, size);
            driver.set_queue(1, size);
            receive = &driver.queues[0];
            transmit = &driver.queues[1];
        }
        REQUIRE(driver.start(features) == 15);
        link.rooms = 0;
        offer(buffers);
        driver.take_interrupt();
    }
    /// As Linux: the queues are new after a reset.
    void restart(std::uint64_t features = net_all) {
        driver.set_status(0);
        for (auto* queue : {receive, transmit}) {
            queue->set_available_index(0);
            driver.put(queue->used(), std::string(4, '\0'));
        }
        offered = taken = sent = 0;
        start(features);
    }

    // The receive queue.

    [[nodiscard]] GuestAddress buffer(std::uint32_t index) const {
        return FakeDriver::buffers + index % size * buffer_space;
    }
    void offer_silently(int buffers) {
        for (; buffers > 0; --buffers, ++offered)
            receive->offer_buffer(offered % size, buffer(offered), buffer_size, flag_write);
    }
    void offer(int buffers) {
        offer_silently(buffers);
        if (receive->rings())
            driver.kick(0);
    }
    [[nodiscard]] bool deliver(const FrameBytes& bytes, const network::Offload& offload = {}) {
        return device.deliver({offload, bytes});
    }
    std::vector<GuestFrame> received() {
        std::vector<GuestFrame> frames;
        while (taken != receive->used_index()) {
            GuestFrame frame{};
            std::uint16_t count = 1;
            for (std::uint16_t index = 0; index < count; ++index) {
                REQUIRE(taken != receive->used_index());
                const auto element = receive->used_element(taken++);
                auto text = driver.get(buffer(element.id), element.length);
                if (index == 0) {
                    REQUIRE(text.size() >= sizeof(NetHeader));
                    std::memcpy(&frame.header, text.data(), sizeof(NetHeader));
                    text.erase(0, sizeof(NetHeader));
                    count = frame.buffers = frame.header.buffers;
                    REQUIRE(count != 0);
                }
                const auto part = bytes(text);
                frame.bytes.insert(frame.bytes.end(), part.begin(), part.end());
            }
            frames.push_back(std::move(frame));
        }
        return frames;
    }
    GuestFrame only() {
        auto frames = received();
        REQUIRE(frames.size() == 1);
        return frames[0];
    }

    // The transmit queue.

    void put(NetHeader header, std::span<const std::byte> frame, GuestAddress address = outgoing) {
        driver.put(address, {reinterpret_cast<const char*>(&header), sizeof header});
        std::ranges::copy(frame, driver.memory.data() + address + sizeof header);
    }
    void offer_chain(std::uint32_t length, GuestAddress address = outgoing) {
        transmit->offer_buffer(sent++ % size, address, length, 0);
    }
    void ring() {
        if (transmit->rings())
            driver.kick(1);
    }
    void send(std::span<const std::byte> frame, NetHeader header = {}) {
        put(header, frame);
        offer_chain(static_cast<std::uint32_t>(sizeof header + frame.size()));
        ring();
    }
    void send(const TcpFrame& frame) { send(frame.bytes, header_of(frame.offload)); }
    [[nodiscard]] bool all_returned() const { return transmit->used_index() == sent; }
};

} // namespace auklet::test
