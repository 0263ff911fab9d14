// SPDX-License-Identifier: MIT
// The network card: frames both ways.

#include "net_driver.hpp"

using namespace auklet;
using namespace auklet::test;

TEST_CASE("a network card tells its address, its MTU and its carrier") {
    NetFixture f;
    const auto& page = f.driver.page;
    CHECK(page.load32(offsetof(abi::VirtioPage, device_id)) == 1);
    CHECK((page.load32(offsetof(abi::VirtioPage, device_features)) & ~feature_indirect) == net_all);
    CHECK(page.read_structure<network::Mac>(AUKLET_VIRTIO_CONFIG) == mac(1));
    CHECK(page.load16(AUKLET_VIRTIO_CONFIG + 6) == 1);
    CHECK(page.load16(AUKLET_VIRTIO_CONFIG + 10) == 1500);
    f.start();
    f.device.set_carrier(false);
    CHECK(page.load16(AUKLET_VIRTIO_CONFIG + 6) == 0);
    CHECK(f.driver.take_interrupt() == AUKLET_VIRTIO_INT_CONFIG);
}

TEST_CASE("a frame goes to the link, from however many buffers") {
    NetFixture f;
    f.start();
    const auto frame = ethernet(mac(2), mac(1), 500);
    SECTION("one") { f.send(frame); }
    SECTION("many, whose ends are anywhere") {
        f.put({}, frame);
        const std::uint32_t ends[] = {5, 12, 13, 100, static_cast<std::uint32_t>(12 + frame.size())};
        std::uint32_t begin = 0;
        for (std::uint16_t index = 0; index < 5; ++index) {
            f.transmit->descriptor(index,
                                   {NetFixture::outgoing + begin, ends[index] - begin,
                                    index < 4 ? flag_next : std::uint16_t{0}, static_cast<std::uint16_t>(index + 1)});
            begin = ends[index];
        }
        f.transmit->offer(0);
        ++f.sent;
        f.ring();
    }
    REQUIRE(f.link.frames.size() == 1);
    CHECK(f.link.frames[0].bytes == frame);
    CHECK(f.link.senders[0] == &f.device);
    CHECK(f.all_returned());
    CHECK(f.transmit->used_element(0).length == 0);
    CHECK(f.driver.take_interrupt() == AUKLET_VIRTIO_INT_RING);
    CHECK(f.device.counters().sent == 1);
    CHECK(f.device.counters().sent_bytes == frame.size());
}

TEST_CASE("what the driver leaves to the device goes with the frame") {
    NetFixture f;
    f.start();
    // The segments are as long as the MTU allows, beside the tag.
    const auto frame = tcp_frame(mac(2), mac(1), {.payload = 60'000, .vlan = GENERATE(false, true)});
    f.send(frame);
    REQUIRE(f.link.frames.size() == 1);
    CHECK(f.link.frames[0].bytes == frame.bytes);
    CHECK(f.link.frames[0].offload.gso_size == 1448);
    CHECK(f.link.frames[0].offload.gso_type == network::gso_tcp4);
    CHECK(f.link.frames[0].offload.header_length == frame.header);
}

TEST_CASE("a frame for which the link has no room waits, and those behind it") {
    NetFixture f;
    f.start();
    f.link.takes = false;
    const auto first = ethernet(mac(2), mac(1), 100);
    const auto second = ethernet(mac(3), mac(1), 200);
    f.send(first);
    CHECK(f.transmit->used_index() == 0);
    // Nobody needs to ring for what cannot go.
    CHECK_FALSE(f.transmit->rings());
    f.send(second);
    CHECK(f.link.tries == 1);
    f.driver.kick(1);
    CHECK(f.link.tries == 1);
    f.device.room();
    CHECK(f.link.tries == 2);
    f.link.takes = true;
    f.device.room();
    REQUIRE(f.link.frames.size() == 2);
    CHECK(f.link.frames[0].bytes == first);
    CHECK(f.link.frames[1].bytes == second);
    CHECK(f.all_returned());
    CHECK(f.transmit->rings());
    CHECK(f.driver.take_interrupt() == AUKLET_VIRTIO_INT_RING);
    f.device.room();
    CHECK(f.link.frames.size() == 2);
}

TEST_CASE("a driver that sends without end is left after a while, and rings for the rest") {
    NetFixture f;
    f.start();
    const auto frame = ethernet(mac(2), mac(1));
    f.put({}, frame);
    bool rang = false;
    f.link.on_send = [&] {
        f.offer_chain(static_cast<std::uint32_t>(12 + frame.size()));
        rang = f.transmit->rings();
    };
    f.offer_chain(static_cast<std::uint32_t>(12 + frame.size()));
    f.driver.kick(1);
    CHECK(f.link.tries == 2 * 2 * f.size);
    CHECK(rang);
}

TEST_CASE("a frame goes to the guest in as many buffers as it takes") {
    NetFixture f;
    f.start();
    const auto small = ethernet(mac(1), mac(2), 100);
    CHECK(f.deliver(small));
    auto got = f.only();
    CHECK(got.bytes == small);
    CHECK(got.buffers == 1);
    CHECK(got.header.flags == 0);
    CHECK(f.driver.take_interrupt() == AUKLET_VIRTIO_INT_RING);
    // 1536 - 12 + 1536 bytes: two buffers, and one byte more: three.
    const auto large = tcp_frame(mac(1), mac(2), {.payload = 3060 - 66});
    CHECK(f.deliver(large.bytes, large.offload));
    got = f.only();
    CHECK(got.buffers == 2);
    CHECK(got.bytes == large.bytes);
    const auto larger = tcp_frame(mac(1), mac(2), {.v6 = true, .payload = 3061 - 86});
    CHECK(f.deliver(larger.bytes, larger.offload));
    got = f.only();
    CHECK(got.buffers == 3);
    CHECK(got.bytes == larger.bytes);
    CHECK(got.header.flags == network::needs_checksum);
    CHECK(got.header.gso_type == network::gso_tcp6);
    CHECK(got.header.gso_size == 1448);
    CHECK(got.header.header_length == larger.header);
    CHECK(got.header.checksum_start == larger.tcp);
    CHECK(got.header.checksum_offset == 16);
    CHECK(f.device.counters().received == 3);
    CHECK(f.device.counters().dropped == 0);
}

TEST_CASE("the buffers of a frame show all at once, because Linux drops a frame of which some are missing") {
    NetFixture f;
    f.start();
    std::vector<std::uint16_t> shown;
    f.driver.memory.stored16 = [&](GuestAddress address, std::uint16_t value) {
        if (address == f.receive->used() + 2)
            shown.push_back(value);
    };
    const auto large = tcp_frame(mac(1), mac(2), {.payload = 5000});
    CHECK(f.deliver(large.bytes, large.offload));
    CHECK(shown == std::vector<std::uint16_t>{4});
}

TEST_CASE("a frame waits for buffers, and only then the guest has to ring") {
    NetFixture f;
    f.start(net_all, 2);
    CHECK_FALSE(f.receive->rings());
    const auto large = tcp_frame(mac(1), mac(2), {.payload = 5000});
    CHECK_FALSE(f.deliver(large.bytes, large.offload));
    CHECK(f.receive->used_index() == 0);
    CHECK(f.receive->rings());
    // It holds up no shorter one.
    const auto small = ethernet(mac(1), mac(3), 60);
    CHECK(f.deliver(small));
    CHECK(f.only().bytes == small);
    CHECK(f.link.rooms == 0);
    f.link.on_room = [&] { CHECK_FALSE(f.deliver(large.bytes, large.offload)); };
    f.offer(1);
    CHECK(f.link.rooms == 1);
    CHECK(f.receive->rings());
    f.link.on_room = [&] { CHECK(f.deliver(large.bytes, large.offload)); };
    f.offer(2);
    CHECK(f.link.rooms == 2);
    CHECK(f.only().bytes == large.bytes);
    CHECK_FALSE(f.receive->rings());
    f.offer(4);
    CHECK(f.link.rooms == 2);
}

TEST_CASE("buffers that come when the device says that it needs them are found") {
    NetFixture f;
    f.start(net_all, 0);
    const auto frame = ethernet(mac(1), mac(2));
    CHECK_FALSE(f.deliver(frame));
    f.offer_silently(1);
    CHECK(f.deliver(frame));
    CHECK(f.only().bytes == frame);
}

TEST_CASE("a driver without offloads gets whole frames with their checksums") {
    NetFixture f;
    f.start(net_mac | net_merge | net_status);
    const auto made = tcp_frame(mac(1), mac(2), {.payload = 1000});
    auto offload = made.offload;
    offload.gso_type = network::gso_none;
    CHECK(f.deliver(made.bytes, offload));
    auto got = f.only();
    CHECK(got.header.flags == 0);
    CHECK(is_complete(got.bytes, made, false));
    offload.flags = network::data_valid;
    CHECK(f.deliver(made.bytes, offload));
    CHECK(f.only().header.flags == 0);
}

TEST_CASE("a driver without segmentation gets segments, and the rest of them later") {
    const bool v6 = GENERATE(false, true);
    NetFixture f;
    f.buffer_size = 1600;
    f.start(net_mac | net_guest_csum | net_merge | (v6 ? net_guest_tso4 : net_guest_tso6), 2);
    const auto made = tcp_frame(mac(1), mac(2), {.v6 = v6, .payload = 4 * 1448});
    CHECK(f.deliver(made.bytes, made.offload));
    auto got = f.received();
    REQUIRE(got.size() == 2);
    CHECK(f.receive->rings());
    // The rest comes before the next frame.
    const auto next = ethernet(mac(1), mac(2));
    CHECK_FALSE(f.deliver(next));
    f.offer(1);
    CHECK(f.link.rooms == 0);
    CHECK_FALSE(f.deliver(next));
    f.offer(2);
    CHECK(f.link.rooms == 1);
    for (auto& frame : f.received())
        got.push_back(frame);
    REQUIRE(got.size() == 4);
    FrameBytes payload;
    for (auto& frame : got) {
        CHECK(is_complete(frame.bytes, made, v6));
        CHECK(frame.header.gso_type == 0);
        payload.insert(payload.end(), frame.bytes.begin() + static_cast<std::ptrdiff_t>(made.header),
                       frame.bytes.end());
    }
    CHECK(std::ranges::equal(payload, std::span(made.bytes).subspan(made.header)));
    CHECK(f.deliver(next));
    CHECK(f.only().bytes == next);
}

TEST_CASE("a driver that does not merge buffers gets a frame in one") {
    NetFixture f;
    f.buffer_size = 1526;
    f.start(net_mac, 2);
    const auto fits = ethernet(mac(1), mac(2), 1500);
    const auto too_long = ethernet(mac(1), mac(2), 1501);
    CHECK(f.deliver(too_long));
    CHECK(f.device.counters().dropped == 1);
    CHECK(f.receive->used_index() == 0);
    // Its buffer is there for the next.
    CHECK(f.deliver(fits));
    CHECK(f.deliver(fits));
    CHECK_FALSE(f.deliver(fits));
    const auto got = f.received();
    REQUIRE(got.size() == 2);
    CHECK(got[1].bytes == fits);
    CHECK(got[1].header.buffers == 1);
}

TEST_CASE("a frame that no number of buffers holds is dropped") {
    NetFixture f;
    f.size = 4;
    f.start(net_all, 4);
    const auto large = tcp_frame(mac(1), mac(2), {.payload = 60'000});
    CHECK(f.deliver(large.bytes, large.offload));
    CHECK(f.device.counters().dropped == 1);
    CHECK(f.receive->used_index() == 0);
    const auto smaller = tcp_frame(mac(1), mac(2), {.payload = 6000});
    CHECK(f.deliver(smaller.bytes, smaller.offload));
    CHECK(f.only().buffers == 4);
}

TEST_CASE("frames longer than the MTU go neither way, but those with a tag have room for it") {
    NetFixture f;
    f.start();
    for (const std::size_t payload : {1500UL, 1501UL}) {
        f.send(ethernet(mac(2), mac(1), payload));
        CHECK(f.deliver(ethernet(mac(1), mac(2), payload)));
        f.send(ethernet(mac(2), mac(1), payload + 4, 0x8100));
        CHECK(f.deliver(ethernet(mac(1), mac(2), payload + 4, 0x8100)));
    }
    CHECK(f.link.frames.size() == 2);
    CHECK(f.device.counters().refused == 2);
    CHECK(f.received().size() == 2);
    CHECK(f.device.counters().dropped == 2);
}

TEST_CASE("without a driver, or without a carrier, frames are dropped and nobody waits") {
    NetFixture f;
    const auto frame = ethernet(mac(1), mac(2));
    CHECK(f.deliver(frame));
    f.start(net_all, 0);
    CHECK_FALSE(f.deliver(frame));
    SECTION("the driver goes") { f.driver.set_status(0); }
    SECTION("the carrier goes") { f.device.set_carrier(false); }
    CHECK(f.link.rooms == 1);
    CHECK(f.deliver(frame));
    CHECK(f.device.counters().dropped == 2);
    f.device.set_carrier(false);
    f.restart();
    f.send(ethernet(mac(2), mac(1)));
    CHECK(f.all_returned());
    CHECK(f.link.tries == 0);
    f.device.set_carrier(true);
    f.send(ethernet(mac(2), mac(1)));
    CHECK(f.link.frames.size() == 1);
}

TEST_CASE("a reset forgets all that was under way") {
    NetFixture f;
    f.start(net_mac | net_merge, 1);
    f.link.takes = false;
    f.send(ethernet(mac(2), mac(1)));
    const auto large = tcp_frame(mac(1), mac(2));
    CHECK(f.deliver(large.bytes, large.offload));
    CHECK_FALSE(f.deliver(large.bytes, large.offload));
    f.received();
    f.restart();
    f.link.takes = true;
    f.device.room();
    CHECK(f.link.frames.empty());
    CHECK(f.received().empty());
    const auto frame = ethernet(mac(1), mac(2));
    CHECK(f.deliver(frame));
    CHECK(f.only().bytes == frame);
    CHECK(f.transmit->used_index() == 0);
}

TEST_CASE("an answer from within the link reaches the guest") {
    NetFixture f;
    f.start();
    const auto answer = ethernet(mac(1), mac(2), 77);
    f.link.on_send = [&] { CHECK(f.deliver(answer)); };
    const int interrupts = f.driver.events.interrupts;
    f.send(ethernet(mac(2), mac(1)));
    CHECK(f.only().bytes == answer);
    CHECK(f.driver.take_interrupt() == AUKLET_VIRTIO_INT_RING);
    CHECK(f.driver.events.interrupts == interrupts + 1);
    // And from within room(), on either queue.
    f.link.on_send = nullptr;
    f.link.takes = false;
    f.send(ethernet(mac(2), mac(1)));
    const auto large = tcp_frame(mac(1), mac(2), {.payload = 60'000});
    CHECK_FALSE(f.deliver(large.bytes, large.offload));
    f.link.on_room = [&] {
        f.link.takes = true;
        f.device.room();
        CHECK(f.deliver(large.bytes, large.offload));
    };
    f.offer(40);
    CHECK(f.only().bytes == large.bytes);
    CHECK(f.all_returned());
    CHECK(f.transmit->rings());
}
