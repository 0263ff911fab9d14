// SPDX-License-Identifier: MIT
// The list of devices: network cards. machine_tests.cpp has the disks.

#include "fake_platform.hpp"
#include "net_driver.hpp"

#include <catch2/catch_test_macros.hpp>

#include <string>

using namespace auklet;
using namespace auklet::test;

TEST_CASE("network cards are devices, before those of disks") {
    FakePlatform platform;
    RecordedLink link;
    Devices devices({}, platform.backends());
    const auto before = devices.all().size();
    REQUIRE(devices.add_network({.mac = mac(1)}, link));
    REQUIRE(devices.add_network({.mac = mac(2), .mtu = 65'535}, link));
    REQUIRE(devices.add_disk({.name = "home", .size = 512}));
    CHECK(devices.all()[before] == devices.network(0));
    CHECK(devices.all()[before + 1] == devices.network(1));
    CHECK(devices.network(1)->description().mtu == 65'535);
    CHECK(devices.network(2) == nullptr);
    CHECK(devices.first_storage_line() == before + 2);
    CHECK(devices.all()[before + 2] == devices.disk(0));
}

TEST_CASE("a network card that cannot be is refused with a reason") {
    FakePlatform platform;
    RecordedLink link;
    Devices devices({}, platform.backends());
    auto error = [&](const virtio::NetworkDescription& description) {
        auto added = devices.add_network(description, link);
        REQUIRE_FALSE(added);
        return added.error().message;
    };
    CHECK(error({.mac = {}}).contains("neither 0"));
    CHECK(error({.mac = broadcast}).contains("group"));
    CHECK(error({.mac = mac(1), .mtu = 1279}) == "a network card's MTU is at least 1280 bytes, not 1279");
    REQUIRE(devices.add_network({.mac = mac(1), .mtu = 1280}, link));
    CHECK(error({.mac = mac(1)}) == "there are two network cards with the same address");
    for (unsigned number = 2; devices.all().size() < AUKLET_MAX_DEVICES; ++number)
        REQUIRE(devices.add_network({.mac = mac(number)}, link));
    CHECK(error({.mac = mac(200)}).contains("devices already"));
    Devices others({}, platform.backends());
    REQUIRE(others.add_share({.tag = "src"}));
    CHECK(others.add_network({.mac = mac(1)}, link).error().message == "network cards come before disks and shares");
}
