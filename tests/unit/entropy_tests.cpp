// SPDX-License-Identifier: MIT
// The entropy device, and with it the transport: status, features, failure and reset.

#include "fake_driver.hpp"
#include "src/virtio/entropy.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>

using namespace auklet;
using namespace auklet::test;

namespace {
struct Fixture final : Random {
    void random(std::span<std::byte> bytes) override {
        asked += bytes.size();
        std::ranges::fill(bytes, std::byte{0x5a});
    }

    std::size_t asked = 0;
    virtio::EntropyDevice device{*this};
    FakeDriver driver{device};
};
} // namespace

TEST_CASE("the control page describes the device") {
    Fixture f;
    auto page = f.driver.page.read_structure<abi::VirtioPage>(0);
    CHECK(page.magic == AUKLET_VIRTIO_MAGIC);
    CHECK(page.device_id == 4);
    CHECK(page.device_features[0] == feature_indirect);
    CHECK(page.device_features[1] == 1);
    CHECK(page.queue_count == 1);
    CHECK(page.queue[0].size_max == 8);
    CHECK(page.queue[1].size_max == 0);
}

TEST_CASE("requests are filled with random bytes") {
    Fixture f;
    auto& queue = f.driver.set_queue(0, 8);
    REQUIRE(f.driver.start(0) == 15);
    queue.offer_buffer(2, FakeDriver::buffers, 64, flag_write);
    f.driver.kick(0);
    CHECK(queue.used_index() == 1);
    CHECK(queue.used_element(0).id == 2);
    CHECK(queue.used_element(0).length == 64);
    CHECK(f.driver.get(FakeDriver::buffers, 65) == std::string(64, '\x5a') + std::string(1, '\0'));
    CHECK(f.driver.take_interrupt() == AUKLET_VIRTIO_INT_RING);
    CHECK(f.driver.events.interrupts == 1);
}

TEST_CASE("a request over much memory is answered in part") {
    Fixture f;
    auto& queue = f.driver.set_queue(0, 8);
    REQUIRE(f.driver.start(0) == 15);
    queue.offer_buffer(0, FakeDriver::buffers, 1 << 20, flag_write);
    f.driver.kick(0);
    CHECK(queue.used_element(0).length == 4096);
    CHECK(f.asked == 4096);
}

TEST_CASE("buffers that were offered before DRIVER_OK are served") {
    Fixture f;
    auto& queue = f.driver.set_queue(0, 8);
    queue.offer_buffer(0, FakeDriver::buffers, 16, flag_write);
    REQUIRE(f.driver.start(0) == 15);
    CHECK(queue.used_index() == 1);
}

TEST_CASE("features that were not offered are refused") {
    Fixture f;
    f.driver.set_status(0);
    f.driver.set_status(3);
    SECTION("an unknown feature") {
        f.driver.page.store32(offsetof(abi::VirtioPage, driver_features), 1);
        f.driver.page.store32(offsetof(abi::VirtioPage, driver_features) + 4, 1);
    }
    SECTION("without VIRTIO_F_VERSION_1") { f.driver.page.store32(offsetof(abi::VirtioPage, driver_features) + 4, 0); }
    SECTION("more than VIRTIO_F_VERSION_1 in the second word") {
        f.driver.page.store32(offsetof(abi::VirtioPage, driver_features) + 4, 3);
    }
    CHECK(f.driver.set_status(11) == 3);
    CHECK((f.driver.set_status(15) & 64) != 0);
    REQUIRE(f.driver.events.failures.size() == 1);
}

TEST_CASE("a malformed ring stops the device until it is reset") {
    Fixture f;
    auto& queue = f.driver.set_queue(0, 8);
    REQUIRE(f.driver.start(0) == 15);
    f.driver.take_interrupt();
    queue.descriptor(0, {FakeDriver::buffers, 16, flag_write | flag_next, 0});
    queue.offer(0);
    f.driver.kick(0);
    REQUIRE(f.driver.events.failures.size() == 1);
    CHECK(f.driver.events.failures[0] == "queue 0: a descriptor chain is longer than the queue (a loop)");
    CHECK(f.driver.page.load32(offsetof(abi::VirtioPage, status_result)) == (15 | 64));
    CHECK(f.driver.take_interrupt() == AUKLET_VIRTIO_INT_CONFIG);
    CHECK(f.driver.transport.failure_reason() == f.driver.events.failures[0]);

    // Nothing is served now, nor reported again.
    queue.descriptor(0, {FakeDriver::buffers, 16, flag_write, 0});
    f.driver.kick(0);
    CHECK(queue.used_index() == 0);
    CHECK(f.driver.events.failures.size() == 1);

    // The driver sets the rings up anew: indices start at 0.
    queue.set_available_index(0);
    REQUIRE(f.driver.start(0) == 15);
    queue.offer_buffer(0, FakeDriver::buffers, 16, flag_write);
    f.driver.kick(0);
    CHECK(queue.used_index() == 1);
}

TEST_CASE("a queue outside of memory stops the device when it starts") {
    Fixture f;
    f.driver.set_queue(0, 8);
    f.driver.write_queue(0, {8, 4096, 8192, FakeDriver::memory_size - 8});
    CHECK((f.driver.start(0) & 64) != 0);
    REQUIRE(f.driver.events.failures.size() == 1);
    CHECK(f.driver.events.failures[0] == "queue 0: the used ring is outside of memory");
}

TEST_CASE("kicks of queues that do not exist, or before the start, do nothing") {
    Fixture f;
    f.driver.kick(0);
    f.driver.set_queue(0, 8);
    REQUIRE(f.driver.start(0) == 15);
    f.driver.page.or32(offsetof(abi::VirtioPage, kick), 0x7fff'fffe);
    f.driver.transport.service();
    CHECK(f.driver.events.failures.empty());
}

TEST_CASE("a reset forgets the queues") {
    Fixture f;
    auto& queue = f.driver.set_queue(0, 8);
    REQUIRE(f.driver.start(0) == 15);
    CHECK(f.driver.set_status(0) == 0);
    CHECK(f.driver.page.read_structure<abi::VirtioPage>(0).queue[0].ready == 0);
    queue.offer_buffer(0, FakeDriver::buffers, 16, flag_write);
    f.driver.kick(0);
    CHECK(queue.used_index() == 0);
}
