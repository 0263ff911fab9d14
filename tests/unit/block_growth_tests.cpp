// SPDX-License-Identifier: MIT
// A block device that becomes larger while its driver is at work, or does something else.

#include "block_fixture.hpp"

using namespace auklet;
using namespace auklet::test;

namespace {

using Fixture = BlockFixture;
constexpr std::uint64_t sectors = disk_size / 512;

} // namespace

TEST_CASE("a disk that grows tells its driver, who may use what was added from then on") {
    constexpr std::uint64_t large = 16ULL << 30;
    Fixture f;
    f.start();
    f.offer({type_out, 0, sectors}, 512, false, 0);
    CHECK(f.status_of(0) == status_error);
    (void)f.driver.take_interrupt();
    const auto generation = f.driver.page.load32(offsetof(abi::VirtioPage, config_generation));
    const auto interrupts = f.driver.events.interrupts;

    f.device.grow(large);
    CHECK(configured<std::uint64_t>(f, 0) == large / 512);
    CHECK(configured<std::uint32_t>(f, 12) == 254);
    CHECK(f.driver.page.load32(offsetof(abi::VirtioPage, config_generation)) != generation);
    CHECK(f.driver.page.load32(offsetof(abi::VirtioPage, config_generation)) % 2 == 0);
    CHECK(f.driver.take_interrupt() == AUKLET_VIRTIO_INT_CONFIG);
    CHECK(f.driver.events.interrupts == interrupts + 1);

    f.offer({type_out, 0, sectors}, 512, false, 4);
    f.offer({type_in, 0, large / 512 - 1}, 512, true, 8);
    f.offer({type_in, 0, large / 512}, 512, true, 12);
    REQUIRE(f.disk.taken.size() == 2);
    CHECK(f.disk.taken[1].request.offset == large - 512);
    CHECK(f.status_of(12) == status_error);
}

TEST_CASE("a disk becomes neither smaller nor a part of a sector") {
    Fixture f;
    f.start();
    for (const std::uint64_t size : {std::uint64_t{0}, disk_size - 512, disk_size, disk_size + 1, ~std::uint64_t{0}})
        f.device.grow(size);
    CHECK(configured<std::uint64_t>(f, 0) == disk_size / 512);
    CHECK(f.driver.take_interrupt() == 0);
}

TEST_CASE("a disk grows whatever its driver does") {
    Fixture f;
    SECTION("a driver that is not there yet finds the new size") {
        f.device.grow(2 * disk_size);
        CHECK(f.driver.events.interrupts == 0);
        f.start();
        CHECK(configured<std::uint64_t>(f, 0) == 2 * sectors);
        // Linux's driver reads the capacity before it starts the device.
        CHECK(f.driver.take_interrupt() == AUKLET_VIRTIO_INT_CONFIG);
    }
    SECTION("a capacity that the driver has written is none") {
        f.start();
        f.driver.page.part(AUKLET_VIRTIO_CONFIG, 60).write_structure(0, ~std::uint64_t{0});
        CHECK(f.refused({type_in, 0, sectors}, 512, true) == status_error);
        const std::uint64_t lie = ~std::uint64_t{0};
        REQUIRE(f.driver.write_configuration(0, std::as_bytes(std::span(&lie, 1)), 8));
        CHECK(configured<std::uint64_t>(f, 0) == sectors);
        f.device.grow(2 * disk_size);
        CHECK(configured<std::uint64_t>(f, 0) == 2 * sectors);
        f.offer({type_in, 0, 2 * sectors}, 512, true, 4);
        CHECK(f.status_of(4) == status_error);
        CHECK(f.disk.taken.empty());
    }
    SECTION("a reset that waits for the disk") {
        f.start();
        f.offer({type_in, 0, 0}, 512, true);
        CHECK(f.driver.set_status(0) == ~0U);
        f.device.grow(2 * disk_size);
        CHECK(f.driver.take_interrupt() == 0);
        f.complete();
        CHECK(f.driver.page.load32(offsetof(abi::VirtioPage, status_result)) == 0);
        f.queue->set_available_index(0);
        REQUIRE(f.driver.start(feature_indirect) == 15);
        CHECK(configured<std::uint64_t>(f, 0) == 2 * sectors);
        f.offer({type_in, 0, 2 * sectors - 1}, 512, true);
        CHECK(f.disk.taken.size() == 1);
    }
    SECTION("a device that has stopped, with a request on the way") {
        f.start();
        f.offer({type_in, 0, 0}, 512, true);
        f.queue->offer(300);
        f.driver.kick(0);
        REQUIRE(f.driver.events.failures.size() == 1);
        (void)f.driver.take_interrupt();
        f.device.grow(2 * disk_size);
        CHECK(f.driver.take_interrupt() == 0);
        f.complete();
        CHECK(f.queue->used_index() == 0);
        CHECK(configured<std::uint64_t>(f, 0) == 2 * sectors);
    }
}
