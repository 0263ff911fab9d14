// SPDX-License-Identifier: MIT
// The pools of workers and memories, and the life of a worker.

#include "machine_fixture.hpp"

using namespace auklet;
using namespace auklet::test;

TEST_CASE("goals are met up to the limits") {
    MachineFixture f;
    f.start();
    auto before = f.pool_wait();
    f.set(offsetof(abi::Machine, worker_goal), 6);
    f.ring(AUKLET_DOORBELL_POOLS);
    CHECK(f.platform.started == std::vector<std::uint32_t>{4, 5});
    CHECK(f.get(offsetof(abi::Machine, workers)) == 6);
    CHECK(f.pool_wait() == before);
    // Asking again while they start makes no more.
    f.ring(AUKLET_DOORBELL_POOLS);
    CHECK(f.platform.started.size() == 2);
    f.notified.clear();
    f.set(offsetof(abi::Machine, interrupt_lines), 0);
    f.park(4);
    CHECK(f.pool_wait() == before + 1);
    CHECK(f.get(offsetof(abi::Machine, interrupt_lines)) == 1U << AUKLET_LINE_POOLS);
    CHECK(f.notified == std::vector<GuestAddress>{machine_address + offsetof(abi::Machine, pool_wait)});
    f.park(5);

    // Busy workers do not count.
    f.set_worker_state(0, AUKLET_WORKER_RUNNING);
    f.ring(AUKLET_DOORBELL_POOLS);
    CHECK(f.platform.started == std::vector<std::uint32_t>{4, 5, 6});
    f.park(6);

    // The limit; the kernel is told that there will be no more than that.
    f.platform.started.clear();
    f.set(offsetof(abi::Machine, worker_goal), ~0U);
    f.ring(AUKLET_DOORBELL_POOLS);
    CHECK(f.platform.started.size() == 9);
    for (auto slot : std::vector(f.platform.started))
        f.park(slot);
    before = f.pool_wait();
    f.ring(AUKLET_DOORBELL_POOLS);
    CHECK(f.platform.started.size() == 9);
    CHECK(f.pool_wait() == before + 1);
}

TEST_CASE("memories are made up to the goal, the limit, and what the engine has") {
    MachineFixture f;
    f.start();
    auto before = f.pool_wait();
    f.set(f.pool_memory(0, offsetof(abi::Memory, state)), AUKLET_MEMORY_USED);
    f.set(offsetof(abi::Machine, memory_goal), 3);
    SECTION("goal") {
        f.ring(AUKLET_DOORBELL_POOLS);
        CHECK(f.platform.memories.size() == 4);
        CHECK(f.get(offsetof(abi::Machine, memories)) == 4);
        CHECK(f.memory_state(3) == AUKLET_MEMORY_FREE);
        CHECK(f.memory_state(0) == AUKLET_MEMORY_USED);
        CHECK(f.pool_wait() == before + 1);
    }
    SECTION("limit") {
        f.set(offsetof(abi::Machine, memory_goal), 100);
        f.ring(AUKLET_DOORBELL_POOLS);
        CHECK(f.get(offsetof(abi::Machine, memories)) == 6);
    }
    SECTION("engine") {
        f.platform.memories_available = 3;
        f.ring(AUKLET_DOORBELL_POOLS);
        CHECK(f.get(offsetof(abi::Machine, memories)) == 3);
        CHECK(f.get(offsetof(abi::Machine, memory_limit)) == 3);
        REQUIRE(f.platform.logged.size() == 1);
        CHECK(f.platform.logged[0] == "no more memories can be made; the limit is 3 processes now");
        f.ring(AUKLET_DOORBELL_POOLS);
        CHECK(f.platform.logged.size() == 1);
        CHECK(f.pool_wait() > before);
    }
}

TEST_CASE("an abandoned worker that comes back by itself is left alone") {
    MachineFixture f;
    f.start();
    f.abandon(1, 0, 1);
    CHECK(f.platform.terminated.empty());
    f.set_worker_state(1, AUKLET_WORKER_IDLE);
    f.expire();
    CHECK(f.platform.terminated.empty());
    CHECK_FALSE(f.platform.timer);
}

TEST_CASE("an abandoned worker that does not come back is ended, and its memory free when it is gone") {
    MachineFixture f;
    f.start();
    f.abandon(1, 0, 1);
    f.platform.time += 1;
    f.abandon(2, 1, 2);
    f.expire();
    CHECK(f.platform.terminated.size() >= 1);
    while (f.platform.timer)
        f.expire();
    CHECK(f.platform.terminated == std::vector<std::uint32_t>{1, 2});
    CHECK(f.worker_state(1) == AUKLET_WORKER_TERMINATING);
    CHECK(f.memory_state(0) == AUKLET_MEMORY_USED);

    auto before = f.pool_wait();
    f.machine->worker_gone(1);
    CHECK(f.worker_state(1) == AUKLET_WORKER_EMPTY);
    CHECK(f.get(f.worker(1, offsetof(abi::Worker, memory))) == abi::no_memory);
    CHECK(f.memory_state(0) == AUKLET_MEMORY_FREE);
    CHECK(f.pool_wait() == before + 1);
    // The other memory still has a user.
    f.machine->worker_gone(2);
    CHECK(f.memory_state(1) == AUKLET_MEMORY_USED);
    CHECK(f.get(f.pool_memory(1, offsetof(abi::Memory, users))) == 1);

    // The slots are used again.
    f.set(offsetof(abi::Machine, worker_goal), 4);
    f.ring(AUKLET_DOORBELL_POOLS);
    CHECK(f.platform.started == std::vector<std::uint32_t>{1, 2});
    // A late second message changes nothing.
    f.park(1);
    f.machine->worker_ready(1);
    CHECK(f.worker_state(1) == AUKLET_WORKER_IDLE);
}

TEST_CASE("a terminated worker's place is filled if the goal asks for it") {
    MachineFixture f;
    f.start();
    f.set(offsetof(abi::Machine, worker_goal), 4);
    f.abandon(1, 0, 1);
    f.expire();
    f.machine->worker_gone(1);
    CHECK(f.platform.started == std::vector<std::uint32_t>{1});
}

TEST_CASE("workers that cannot be started end the growth, not the machine") {
    MachineFixture f;
    f.start();
    f.set(offsetof(abi::Machine, worker_goal), 8);
    f.ring(AUKLET_DOORBELL_POOLS);
    REQUIRE(f.platform.started.size() == 4);
    auto before = f.pool_wait();
    // Each failure is tried again, until it is clear that it is no accident.
    for (int attempt = 0; attempt < 40 && !f.platform.started.empty(); ++attempt) {
        auto slots = std::exchange(f.platform.started, {});
        for (auto slot : slots)
            f.machine->worker_gone(slot);
    }
    CHECK(f.platform.started.empty());
    REQUIRE_FALSE(f.platform.logged.empty());
    CHECK(f.platform.logged[0].starts_with("no more workers can be started"));
    CHECK(f.get(offsetof(abi::Machine, worker_limit)) < 16);
    CHECK(f.pool_wait() > before);
}
