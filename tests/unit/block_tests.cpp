// SPDX-License-Identifier: MIT
// The block device: requests as Linux makes them, and each way in which a driver can lie.

#include "block_fixture.hpp"

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <vector>

using namespace auklet;
using namespace auklet::test;

namespace {

using Header = BlockHeader;
using Range = BlockRange;
using Fixture = BlockFixture;

std::string failure_of(Fixture& f) {
    REQUIRE(f.driver.events.failures.size() == 1);
    return f.driver.events.failures[0];
}

} // namespace

TEST_CASE("the configuration describes the disk") {
    Fixture f;
    auto page = f.driver.page.read_structure<abi::VirtioPage>(0);
    CHECK(page.device_id == 2);
    // SEG_MAX, BLK_SIZE, FLUSH, TOPOLOGY, DISCARD, WRITE_ZEROES
    CHECK(page.device_features[0] == (1U << 2 | 1U << 6 | 1U << 9 | 1U << 10 | 1U << 13 | 1U << 14 | feature_indirect));
    CHECK(configured<std::uint64_t>(f, 0) == disk_size / 512);
    CHECK(configured<std::uint32_t>(f, 12) == 254);
    CHECK(configured<std::uint32_t>(f, 20) == 512);
    CHECK(configured<std::uint8_t>(f, 24) == 3);
    CHECK(configured<std::uint32_t>(f, 28) == 128);
    CHECK(configured<std::uint32_t>(f, 36) == 131072);
    CHECK(configured<std::uint32_t>(f, 40) == 1);
    CHECK(configured<std::uint32_t>(f, 52) == 1);
}

TEST_CASE("a disk says what it cannot do") {
    Fixture read_only(true);
    CHECK(read_only.driver.page.read_structure<abi::VirtioPage>(0).device_features[0] ==
          (1U << 2 | 1U << 5 | 1U << 6 | 1U << 9 | 1U << 10 | feature_indirect));
    Fixture no_discard(false, false);
    CHECK((no_discard.driver.page.read_structure<abi::VirtioPage>(0).device_features[0] & 1U << 13) == 0);
}

TEST_CASE("a read is answered when the disk has done it") {
    Fixture f;
    f.start();
    f.disk.content.replace(1024, 5, "hello");
    f.offer({type_in, 0, 2}, 4096, true);
    CHECK(f.queue->used_index() == 0);
    CHECK(f.status_of() == untouched);
    f.complete();
    CHECK(f.queue->used_index() == 1);
    CHECK(f.queue->used_element(0).length == 4097);
    CHECK(f.status_of() == status_ok);
    CHECK(f.driver.get(Fixture::data, 6) == "hello.");
    CHECK(f.driver.take_interrupt() == AUKLET_VIRTIO_INT_RING);
}

TEST_CASE("a write goes to its place, and a flush after it") {
    Fixture f;
    f.start();
    f.driver.put(Fixture::data, std::string(512, 'w'));
    f.offer({type_out, 0, 2047}, 512, false);
    f.offer({type_flush, 0, 0}, 0, false, 4);
    REQUIRE(f.disk.taken.size() == 2);
    CHECK(f.disk.taken[1].request.operation == DiskOperation::flush);
    f.complete();
    f.complete();
    CHECK(f.disk.content.substr(2047 * 512) == std::string(512, 'w'));
    CHECK(f.queue->used_index() == 2);
    CHECK(f.status_of(0) == status_ok);
    CHECK(f.status_of(4) == status_ok);
}

TEST_CASE("each flush reaches the disk, and is answered after the disk's answer") {
    Fixture f;
    f.start(feature_indirect | 1U << 9);
    // One with nothing before it, two at a time, and one after a write that the disk has not done: the device answers
    // none of them by itself.
    f.offer({type_flush, 0, 0}, 0, false, 0);
    f.offer({type_flush, 0, 0}, 0, false, 2);
    f.offer({type_out, 0, 0}, 512, false, 4);
    f.offer({type_flush, 0, 0}, 0, false, 7);
    const std::vector expected{DiskOperation::flush, DiskOperation::flush, DiskOperation::write, DiskOperation::flush};
    REQUIRE(f.disk.taken.size() == expected.size());
    for (std::size_t index = 0; index < expected.size(); ++index)
        CHECK(f.disk.taken[index].request.operation == expected[index]);
    const std::uint16_t heads[] = {0, 2, 4, 7};
    for (std::uint16_t done = 0; done < 4; ++done) {
        CHECK(f.queue->used_index() == done);
        CHECK(f.status_of(heads[done]) == untouched);
        f.complete();
        CHECK(f.queue->used_index() == done + 1);
        CHECK(f.status_of(heads[done]) == status_ok);
    }
}

TEST_CASE("a flush that has failed is an error, and a write that the disk has not done is not answered") {
    Fixture f;
    f.start();
    f.offer({type_out, 0, 0}, 512, false, 0);
    f.offer({type_flush, 0, 0}, 0, false, 3);
    const auto write = f.disk.do_one();
    f.device.completed(f.disk.do_one(), false);
    CHECK(f.queue->used_index() == 1);
    CHECK(f.status_of(3) == status_error);
    CHECK(f.status_of(0) == untouched);
    f.device.completed(write, true);
    CHECK(f.status_of(0) == status_ok);
}

TEST_CASE("what a driver has written that knows no flushes is on the medium when it is answered") {
    constexpr std::uint32_t feature_flush = 1U << 9;
    for (const std::uint32_t features : {feature_indirect, feature_indirect | feature_flush}) {
        Fixture f;
        f.start(features);
        f.offer({type_out, 0, 0}, 512, false);
        f.offer({type_in, 0, 0}, 512, true, 4);
        REQUIRE(f.disk.taken.size() == 2);
        CHECK(f.disk.taken[0].request.durable == ((features & feature_flush) == 0));
        CHECK_FALSE(f.disk.taken[1].request.durable);
    }
}

TEST_CASE("requests may be answered in any order, and may fail") {
    Fixture f;
    f.start();
    f.offer({type_in, 0, 0}, 512, true, 0);
    f.offer({type_in, 0, 1}, 512, true, 3);
    const auto first = f.disk.do_one();
    f.device.completed(f.disk.do_one(), true);
    CHECK(f.queue->used_element(0).id == 3);
    f.device.completed(first, false);
    CHECK(f.queue->used_element(1).id == 0);
    CHECK(f.status_of(0) == status_error);
    CHECK(f.status_of(3) == status_ok);
    // An answer that was given already, or to nothing.
    f.device.completed(first, true);
    f.device.completed(4096, true);
    CHECK(f.queue->used_index() == 2);
}

TEST_CASE("neighbouring buffers reach the disk as one") {
    Fixture f;
    f.start();
    f.queue->put(Fixture::header, Header{type_in, 0, 0});
    f.queue->descriptor(0, {Fixture::header, sizeof(Header), flag_next, 1});
    f.queue->descriptor(1, {Fixture::data, 512, flag_next | flag_write, 2});
    f.queue->descriptor(2, {Fixture::data + 512, 512, flag_next | flag_write, 3});
    f.queue->descriptor(3, {Fixture::data + 4096, 512, flag_next | flag_write, 4});
    f.queue->descriptor(4, {Fixture::status, 1, flag_write, 0});
    f.queue->offer(0);
    f.driver.kick(0);
    REQUIRE(f.disk.taken.size() == 1);
    CHECK(f.disk.taken[0].memory.size() == 2);
    CHECK(f.disk.taken[0].memory[0].length() == 1024);
    CHECK(f.disk.taken[0].request.length == 1536);
}

TEST_CASE("a request may be a table of descriptors") {
    Fixture f;
    f.start();
    f.disk.content.replace(0, 4, "root");
    constexpr GuestAddress table = FakeDriver::buffers + 2048;
    f.queue->put(Fixture::header, Header{type_in, 0, 0});
    f.queue->put(table, Descriptor{Fixture::header, sizeof(Header), flag_next, 1});
    f.queue->put(table + 16, Descriptor{Fixture::data, 512, flag_next | flag_write, 2});
    f.queue->put(table + 32, Descriptor{Fixture::status, 1, flag_write, 0});
    f.queue->descriptor(7, {table, 48, flag_indirect, 0});
    f.queue->offer(7);
    f.driver.kick(0);
    f.complete();
    CHECK(f.queue->used_element(0).id == 7);
    CHECK(f.driver.get(Fixture::data, 5) == "root.");
}

TEST_CASE("the name is the disk's id") {
    Fixture f;
    f.start();
    f.driver.put(Fixture::data, std::string(20, 'x'));
    CHECK(f.refused({type_get_id, 0, 0}, 20, true) == status_ok);
    CHECK(f.driver.get(Fixture::data, 20) == "home" + std::string(16, '\0'));
}

TEST_CASE("a range is cleared or discarded") {
    Fixture f;
    f.start();
    for (auto type : {type_write_zeroes, type_discard}) {
        f.disk.content.assign(disk_size, '.');
        f.queue->put(Fixture::data, Range{8, 2, 0});
        f.offer({type, 0, 0}, sizeof(Range), false);
        f.complete();
        CHECK(f.status_of() == status_ok);
        CHECK(f.disk.content.substr(4095, 1026) == "." + std::string(1024, '\0') + ".");
    }
}

TEST_CASE("requests that do not fit the disk are errors of that request") {
    Fixture f;
    f.start();
    constexpr std::uint64_t sectors = disk_size / 512;
    SECTION("behind the end") { CHECK(f.refused({type_in, 0, sectors}, 512, true) == status_error); }
    SECTION("over the end") { CHECK(f.refused({type_out, 0, sectors - 1}, 1024, false) == status_error); }
    SECTION("a sum that wraps") { CHECK(f.refused({type_in, 0, ~std::uint64_t{0}}, 1024, true) == status_error); }
    SECTION("an offset in bytes that wraps") {
        CHECK(f.refused({type_out, 0, std::uint64_t{1} << 55}, 512, false) == status_error);
    }
    SECTION("half a sector") { CHECK(f.refused({type_in, 0, 0}, 256, true) == status_error); }
    SECTION("no data") { CHECK(f.refused({type_in, 0, 0}, 0, true) == status_error); }
    SECTION("a read without room") { CHECK(f.refused({type_in, 0, 0}, 512, false) == status_error); }
    SECTION("an unknown type") { CHECK(f.refused({99, 0, 0}, 512, true) == status_unsupported); }
    SECTION("a range that is too short") { CHECK(f.refused({type_discard, 0, 0}, 8, false) == status_error); }
    SECTION("two ranges") { CHECK(f.refused({type_discard, 0, 0}, 32, false) == status_error); }
    SECTION("a range over the end") {
        f.queue->put(Fixture::data, Range{sectors - 1, 2, 0});
        CHECK(f.refused({type_write_zeroes, 0, 0}, sizeof(Range), false) == status_error);
    }
    SECTION("a range whose sum wraps") {
        f.queue->put(Fixture::data, Range{~std::uint64_t{0}, 131072, 0});
        CHECK(f.refused({type_write_zeroes, 0, 0}, sizeof(Range), false) == status_error);
    }
    SECTION("a range of nothing") {
        f.queue->put(Fixture::data, Range{0, 0, 0});
        CHECK(f.refused({type_discard, 0, 0}, sizeof(Range), false) == status_error);
    }
    SECTION("flags that nobody knows") {
        f.queue->put(Fixture::data, Range{0, 1, 2});
        CHECK(f.refused({type_write_zeroes, 0, 0}, sizeof(Range), false) == status_unsupported);
    }
    CHECK(f.driver.events.failures.empty());
    CHECK(f.disk.content == std::string(disk_size, '.'));
}

TEST_CASE("nothing writes to a disk that is read-only") {
    Fixture f(true);
    f.start();
    SECTION("a write") { CHECK(f.refused({type_out, 0, 0}, 512, false) == status_error); }
    SECTION("zeros") {
        f.queue->put(Fixture::data, Range{0, 1, 0});
        CHECK(f.refused({type_write_zeroes, 0, 0}, sizeof(Range), false) == status_error);
    }
}

TEST_CASE("a disk that cannot discard says so") {
    Fixture f(false, false);
    f.start();
    f.queue->put(Fixture::data, Range{0, 1, 0});
    CHECK(f.refused({type_discard, 0, 0}, sizeof(Range), false) == status_unsupported);
}

TEST_CASE("a chain that is no request stops the device") {
    Fixture f;
    f.start();
    SECTION("without a whole header") {
        f.queue->descriptor(0, {Fixture::header, 15, flag_next, 1});
        f.queue->descriptor(1, {Fixture::status, 1, flag_write, 0});
        f.queue->offer(0);
        f.driver.kick(0);
        CHECK(failure_of(f) == "queue 0: a request without a header");
    }
    SECTION("without a status") {
        f.queue->offer_buffer(0, Fixture::header, sizeof(Header), 0);
        f.driver.kick(0);
        CHECK(failure_of(f) == "queue 0: a request without a byte for its status");
    }
    SECTION("one chain again and again") {
        f.offer({type_in, 0, 0}, 512, true);
        for (int count = 0; count < 256; ++count) {
            f.queue->offer(0);
            f.driver.kick(0);
        }
        CHECK(f.disk.taken.size() == 256);
        CHECK(failure_of(f) == "queue 0: more requests at a time than the queue has descriptors");
    }
    CHECK((f.driver.page.load32(offsetof(abi::VirtioPage, status_result)) & 64) != 0);
}

TEST_CASE("a reset waits for the disk, which may still write to memory") {
    Fixture f;
    f.start();
    f.offer({type_in, 0, 0}, 512, true);
    CHECK(f.driver.set_status(0) == ~0U);
    f.complete();
    CHECK(f.driver.page.load32(offsetof(abi::VirtioPage, status_result)) == 0);
    CHECK(f.queue->used_index() == 0);
    // The next life of the driver begins with no request.
    f.queue->set_available_index(0);
    REQUIRE(f.driver.start(feature_indirect) == 15);
    f.offer({type_in, 0, 0}, 512, true);
    f.complete();
    CHECK(f.queue->used_index() == 1);
}

TEST_CASE("a device that has stopped lets the disk finish") {
    Fixture f;
    f.start();
    f.offer({type_in, 0, 0}, 512, true);
    f.queue->offer(300);
    f.driver.kick(0);
    REQUIRE(f.driver.events.failures.size() == 1);
    f.complete();
    CHECK(f.queue->used_index() == 0);
    CHECK(f.driver.set_status(0) == 0);
}
