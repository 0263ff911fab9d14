// SPDX-License-Identifier: MIT
// A machine of 32 MiB against a kernel that is a few words in memory.
#pragma once

#include "fake_platform.hpp"
#include "platform/native/plain_memory.hpp"
#include "src/machine.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace auklet::test {

inline constexpr GuestAddress machine_address = 1 << 20;
inline constexpr std::uint64_t heap_base = 2 << 20;

/// A machine of 32 MiB, and the kernel's hand on struct auklet_machine.
struct MachineFixture {
    explicit MachineFixture(std::string_view settings = "") {
        auto configuration = *Configuration::parse(
            "memory=32\nworkerLimit=16\nmemoryLimit=6\ninitialWorkers=4\ninitialMemories=2\n" + std::string(settings));
        memory = std::make_unique<native::PlainMemory>(32 << 20);
        memory->notified = [this](GuestAddress address) { notified.push_back(address); };
        machine = std::make_unique<Machine>(configuration, platform, platform.backends(), *memory);
    }

    void start() {
        device_tree = *machine->prepare();
        REQUIRE(machine->start_pools());
        REQUIRE(machine->attach(machine_address, heap_base));
        for (auto slot : std::vector(platform.started))
            park(slot);
        platform.started.clear();
    }

    [[nodiscard]] GuestRegion kernel() { return *memory->region(machine_address, sizeof(abi::Machine)); }
    std::uint32_t get(std::uint64_t offset) { return kernel().load32(offset); }
    void set(std::uint64_t offset, std::uint32_t value) { kernel().store32(offset, value); }
    void ring(std::uint32_t bits) {
        kernel().or32(offsetof(abi::Machine, doorbell), bits);
        CHECK_FALSE(machine->service());
        CHECK(get(offsetof(abi::Machine, doorbell)) == 0);
    }

    static std::uint64_t worker(std::uint32_t slot, std::uint64_t field) { return MachineState::worker(slot, field); }
    static std::uint64_t pool_memory(std::uint32_t id, std::uint64_t field) { return MachineState::memory(id, field); }
    std::uint32_t worker_state(std::uint32_t slot) { return get(worker(slot, offsetof(abi::Worker, state))); }
    void set_worker_state(std::uint32_t slot, std::uint32_t state) {
        set(worker(slot, offsetof(abi::Worker, state)), state);
    }
    std::uint32_t memory_state(std::uint32_t id) { return get(pool_memory(id, offsetof(abi::Memory, state))); }
    std::uint32_t pool_wait() { return get(offsetof(abi::Machine, pool_wait)); }

    /// What a worker does when it has started.
    void park(std::uint32_t slot) {
        set_worker_state(slot, AUKLET_WORKER_IDLE);
        machine->worker_ready(slot);
    }
    /// A worker runs a task in a memory, which is then taken away.
    void abandon(std::uint32_t slot, std::uint32_t id, std::uint32_t users) {
        set(worker(slot, offsetof(abi::Worker, memory)), id);
        set(worker(slot, offsetof(abi::Worker, task)), 4711);
        set(pool_memory(id, offsetof(abi::Memory, state)), AUKLET_MEMORY_USED);
        set(pool_memory(id, offsetof(abi::Memory, users)), users);
        set_worker_state(slot, AUKLET_WORKER_ABANDONED);
        ring(AUKLET_DOORBELL_REAP);
    }
    void expire() {
        REQUIRE(platform.timer);
        platform.time += *platform.timer;
        platform.timer.reset();
        machine->timer();
    }

    FakePlatform platform;
    std::unique_ptr<native::PlainMemory> memory;
    std::unique_ptr<Machine> machine;
    std::vector<GuestAddress> notified;
    GuestAddress device_tree = 0;
};

} // namespace auklet::test
