// SPDX-License-Identifier: MIT
// Guest memory: nothing outside of it can be reached.

#include "platform/native/plain_memory.hpp"

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <limits>

using namespace auklet;

TEST_CASE("a region is inside the memory or an error") {
    native::PlainMemory memory(4096);
    CHECK(memory.region(0, 4096));
    CHECK(memory.region(4095, 1));
    CHECK(memory.region(4096, 0));
    CHECK_FALSE(memory.region(4096, 1));
    CHECK_FALSE(memory.region(4097, 0));
    CHECK_FALSE(memory.region(0, 4097));
    CHECK_FALSE(memory.region(4095, 2));
    // Sums that wrap.
    CHECK_FALSE(memory.region(std::numeric_limits<std::uint64_t>::max(), 2));
    CHECK_FALSE(memory.region(2, std::numeric_limits<std::uint64_t>::max()));
    CHECK_FALSE(memory.region(std::uint64_t{1} << 32, 4));
    auto error = memory.region(8000, 16);
    REQUIRE_FALSE(error);
    CHECK(error.error().message == "guest range at 8000 of 16 bytes is outside of the memory of 4096 bytes");
}

TEST_CASE("bytes go to and from a region") {
    native::PlainMemory memory(64);
    auto region = *memory.region(16, 32);
    CHECK(region.address() == 16);
    CHECK(region.length() == 32);
    std::array source{std::byte{1}, std::byte{2}, std::byte{3}};
    region.write(29, source);
    CHECK(memory.data()[45] == std::byte{1});
    CHECK(memory.data()[47] == std::byte{3});
    std::array<std::byte, 3> destination{};
    region.read(29, destination);
    CHECK(destination == source);
    CHECK(region.part(28, 4).address() == 44);
    region.write(32, {}); // empty at the end
}

TEST_CASE("atomic accesses return what was there") {
    native::PlainMemory memory(64);
    GuestAddress notified = 0;
    memory.notified = [&](GuestAddress address) { notified = address; };
    auto region = *memory.region(16, 16);
    region.store32(4, 0x12345678);
    CHECK(region.load32(4) == 0x12345678);
    CHECK(region.load16(4) == 0x5678);
    region.store16(6, 0xabcd);
    CHECK(region.exchange32(4, 8) == 0xabcd5678);
    CHECK(region.or32(4, 3) == 8);
    CHECK(region.add32(4, ~0U) == 11);
    CHECK_FALSE(region.compare_exchange32(4, 11, 1));
    CHECK(region.compare_exchange32(4, 10, 1));
    CHECK(region.load32(4) == 1);
    region.notify(4);
    CHECK(notified == 20);
}
