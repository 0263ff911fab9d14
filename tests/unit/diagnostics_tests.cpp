// SPDX-License-Identifier: MIT
// What is said of a guest that has stopped.

#include "machine_fixture.hpp"

using namespace auklet;
using namespace auklet::test;

TEST_CASE("a CPU that is not idle and does not tick is told once") {
    MachineFixture f("cpus=2\n");
    f.start();
    auto field = [](std::uint32_t number, std::uint64_t offset) { return MachineState::cpu(number, offset); };
    auto wait = [&f, &field](int seconds, int ticking = -1) {
        for (int second = 0; second < seconds; ++second) {
            f.platform.time += Watchdog::interval;
            if (ticking >= 0)
                f.kernel().add32(field(static_cast<std::uint32_t>(ticking), offsetof(abi::Cpu, ticks)), 1);
            f.machine->watch();
        }
    };
    auto set_state = [&f, &field](std::uint32_t number, std::uint32_t state) {
        f.set(field(number, offsetof(abi::Cpu, state)), state);
    };
    set_state(0, AUKLET_CPU_KERNEL);
    set_state(1, AUKLET_CPU_KERNEL);

    SECTION("not before the first tick, while it ticks, or when it is idle") {
        wait(20);
        wait(20, 0);
        set_state(0, AUKLET_CPU_IDLE);
        wait(20);
        CHECK(f.platform.logged.empty());
    }
    SECTION("after five seconds, once, until it ticks again") {
        wait(2, 0);
        wait(2, 1);
        wait(4, 0);
        CHECK(f.platform.logged.empty());
        wait(1, 0);
        REQUIRE(f.platform.logged.size() == 1);
        CHECK(f.platform.logged.front().starts_with("the guest has stopped: no tick for 5 s of CPU 1,"));
        CHECK(f.platform.logged.front().contains("cpu 1: kernel"));
        wait(20, 0);
        CHECK(f.platform.logged.size() == 1);
        wait(1, 1);
        REQUIRE(f.platform.logged.size() == 2);
        CHECK(f.platform.logged.back() == "the guest goes on: all CPUs tick");
        wait(6, 0);
        CHECK(f.platform.logged.size() == 3);
    }
    SECTION("of two that have stopped the last one to go on counts") {
        wait(2, 0);
        wait(2, 1);
        wait(6);
        REQUIRE(f.platform.logged.size() == 2);
        wait(3, 0);
        CHECK(f.platform.logged.size() == 2);
        set_state(1, AUKLET_CPU_IDLE);
        wait(1, 0);
        CHECK(f.platform.logged.size() == 3);
    }
    SECTION("not because this computer slept") {
        wait(1, 0);
        f.platform.time += 3600'000;
        wait(3);
        CHECK(f.platform.logged.empty());
    }
    SECTION("not a CPU that was told to stop") {
        wait(1, 0);
        f.set(field(0, offsetof(abi::Cpu, pending)), AUKLET_IRQ_STOP);
        wait(20);
        CHECK(f.platform.logged.empty());
    }
}

TEST_CASE("diagnostics tell what tasks do, and follow no wild address") {
    MachineFixture f;
    f.start();
    constexpr std::uint32_t task = 0x300000;
    constexpr std::uint32_t stack = 0x304000;
    f.kernel().write_structure(offsetof(abi::Machine, task),
                               abi::TaskLayout{.pid = 16, .name = 32, .stack = 8, .system_call = 4096});
    auto task_region = *f.memory->region(task, 64);
    task_region.store32(16, 4711);
    task_region.write(32, std::as_bytes(std::span("sleeper")));
    task_region.store32(8, stack);
    f.memory->region(stack + 4096, 4)->store32(0, 115);
    f.set(f.worker(1, offsetof(abi::Worker, task)), task);
    f.set_worker_state(1, AUKLET_WORKER_RUNNING);
    CHECK(f.machine->diagnostics().contains("process 4711 (sleeper) in or after system call 115\n"));

    f.set(MachineState::cpu(0, offsetof(abi::Cpu, state)),
          static_cast<std::uint32_t>(machine_address + f.worker(1, 0)));
    CHECK(f.machine->diagnostics().contains("process 4711 (sleeper) in user code on CPU 0\n"));

    f.set(f.worker(1, offsetof(abi::Worker, task)), 0xffff'fff0);
    CHECK(f.machine->diagnostics().contains("process 0 ()"));
}
