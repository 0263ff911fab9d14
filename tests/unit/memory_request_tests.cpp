// SPDX-License-Identifier: MIT
// What the kernel asks of the host about user memories: copies, and the word that a program polls.

#include "machine_fixture.hpp"

using namespace auklet;
using namespace auklet::test;

TEST_CASE("a copy that the kernel asks for is made once, and none that leads out of its memory") {
    MachineFixture f;
    f.start();
    auto ask = [&](std::uint32_t id, std::uint32_t buffer, std::uint32_t length, std::uint32_t sequence,
                   std::uint32_t places = 1) {
        abi::Copy copy{.buffer = buffer,
                       .length = length,
                       .write = 1,
                       .places = places,
                       .place = {{.memory = id, .address = 8192}, {.memory = 0, .address = 4096}},
                       .copied = 77,
                       .sequence = sequence,
                       .done = sequence - 1};
        f.kernel().write_structure(offsetof(abi::Machine, copy), copy);
        f.ring(AUKLET_DOORBELL_COPY);
        CHECK(f.get(offsetof(abi::Machine, copy.done)) == sequence);
        return f.get(offsetof(abi::Machine, copy.copied));
    };
    auto waits = f.pool_wait();
    CHECK(ask(1, 4096, 100, 1) == 50);
    CHECK(f.platform.copies == std::vector<FakePlatform::Copy>{{1, 8192, 4096, 100, true}});
    CHECK(f.pool_wait() == waits + 1);
    CHECK((f.get(offsetof(abi::Machine, interrupt_lines)) & 1U << AUKLET_LINE_POOLS) != 0);
    // A bell without a new request.
    f.ring(AUKLET_DOORBELL_COPY);
    CHECK(ask(2, 4096, 100, 2) == 0);
    CHECK(ask(~0U, 4096, 100, 3) == 0);
    CHECK(ask(0, (32 << 20) - 50, 51, 4) == 0);
    CHECK(ask(0, ~0U, ~0U, 5) == 0);
    CHECK(f.platform.copies.size() == 1);

    // Several places; one that is not there is left out.
    CHECK(ask(2, 4096, 100, 6, 2) == 50);
    CHECK(f.platform.copies.back() == FakePlatform::Copy{0, 4096, 4096, 100, true});
    CHECK(f.platform.copies.size() == 2);
    CHECK(ask(1, 4096, 100, 7, ~0U) == 50);
    CHECK(f.platform.copies.size() == 2 + AUKLET_COPY_PLACES);
    CHECK(ask(1, 4096, 100, 8, 0) == 0);
}

TEST_CASE("a memory number from nowhere is ignored") {
    MachineFixture f;
    f.start();
    for (std::uint32_t id : {abi::no_memory, 2U, 1024U, 0x8000'0000U}) {
        f.set(f.worker(0, offsetof(abi::Worker, memory)), id);
        f.set_worker_state(0, AUKLET_WORKER_ABANDONED);
        f.ring(AUKLET_DOORBELL_REAP);
        f.expire();
        f.machine->worker_gone(0);
        CHECK(f.worker_state(0) == AUKLET_WORKER_EMPTY);
        f.set(offsetof(abi::Machine, worker_goal), 4);
        f.ring(AUKLET_DOORBELL_POOLS);
        f.park(0);
    }
    CHECK(f.get(offsetof(abi::Machine, memories)) == 2);
}

TEST_CASE("the polled word of a memory is set when the kernel asks for it") {
    MachineFixture f;
    f.start();
    auto request = MachineFixture::pool_memory(1, offsetof(abi::Memory, safepoint_request));
    f.set(MachineFixture::pool_memory(1, offsetof(abi::Memory, safepoint)), 4096);
    f.ring(AUKLET_DOORBELL_SAFEPOINTS);
    CHECK(f.platform.safepoints.empty());

    f.set(request, AUKLET_SAFEPOINT_WANTED);
    f.notified.clear();
    f.ring(AUKLET_DOORBELL_SAFEPOINTS);
    CHECK(f.platform.safepoints == std::vector<std::pair<std::uint32_t, std::uint32_t>>{{1, 4096}});
    CHECK(f.get(request) == AUKLET_SAFEPOINT_NONE);
    // The kernel may be waiting for the end of it.
    CHECK(f.notified == std::vector<GuestAddress>{static_cast<GuestAddress>(machine_address + request)});

    SECTION("not after the address was taken away") {
        f.set(MachineFixture::pool_memory(1, offsetof(abi::Memory, safepoint)), 0);
        f.set(request, AUKLET_SAFEPOINT_WANTED);
        f.ring(AUKLET_DOORBELL_SAFEPOINTS);
        CHECK(f.platform.safepoints.size() == 1);
        CHECK(f.get(request) == AUKLET_SAFEPOINT_NONE);
    }
    SECTION("not of a memory that the host frees") {
        f.abandon(0, 1, 1);
        f.expire();
        f.machine->worker_gone(0);
        CHECK(f.memory_state(1) == AUKLET_MEMORY_FREE);
        CHECK(f.get(MachineFixture::pool_memory(1, offsetof(abi::Memory, safepoint))) == 0);
    }
}
