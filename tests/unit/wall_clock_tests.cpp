// SPDX-License-Identifier: MIT
// The offset of the wall clock that the kernel is told, and when.

#include "fake_platform.hpp"
#include "platform/native/plain_memory.hpp"
#include "src/wall_clock.hpp"

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>

using namespace auklet;
using namespace auklet::test;

namespace {

constexpr GuestAddress machine_address = 4096;

struct Fixture {
    Fixture() { clock.attach(state); }

    [[nodiscard]] std::int64_t told() {
        return state.region().read_structure<std::int64_t>(offsetof(abi::Machine, wall_offset));
    }
    [[nodiscard]] std::uint32_t sequence() { return state.region().load32(offsetof(abi::Machine, wall_sequence)); }
    [[nodiscard]] bool raised() {
        return state.region().exchange32(offsetof(abi::Machine, interrupt_lines), 0) == 1U << AUKLET_LINE_CLOCK;
    }

    FakePlatform platform;
    native::PlainMemory memory{1 << 20};
    MachineState state = *MachineState::create(memory, machine_address);
    WallClock clock{platform};
};

} // namespace

TEST_CASE("the kernel starts with the offset of the wall clock") {
    Fixture f;
    CHECK(f.told() == 1'700'000'000'000'000'000);
    CHECK(f.sequence() == 2);
    CHECK_FALSE(f.raised());
}

TEST_CASE("the kernel is told when the clock was set, and when the computer slept") {
    Fixture f;
    f.platform.time += 5000;
    f.clock.look(f.state);
    CHECK(f.sequence() == 2);
    for (double change : {3600e3, -30e3, 86400e3, 300.0}) {
        auto before = f.told();
        auto sequence = f.sequence();
        f.platform.wall_offset += change;
        f.clock.look(f.state);
        CHECK(f.told() == before + static_cast<std::int64_t>(change) * 1'000'000);
        CHECK(f.sequence() == sequence + 2);
        CHECK(f.raised());
        f.clock.look(f.state);
        CHECK_FALSE(f.raised());
    }
}

TEST_CASE("slow changes add up, and what may be an inexact reading is not told") {
    Fixture f;
    for (int step = 1; step <= 10; ++step) {
        f.platform.wall_offset += 24.9;
        f.clock.look(f.state);
        CHECK_FALSE(f.raised());
    }
    f.platform.wall_offset += 24.9;
    f.clock.look(f.state);
    CHECK(f.raised());
    // A double has a quarter of a microsecond left, so far from 1970.
    CHECK(std::abs(f.told() - 1'700'000'000'273'900'000) < 1000);
}

TEST_CASE("readings that lie too far apart say nothing") {
    Fixture f;
    f.platform.wall_offset += 3600e3;
    f.platform.reading = 30;
    f.clock.look(f.state);
    CHECK_FALSE(f.raised());
    f.platform.reading = 5;
    f.clock.look(f.state);
    CHECK(f.raised());
}
