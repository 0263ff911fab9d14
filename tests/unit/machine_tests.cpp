// SPDX-License-Identifier: MIT
// The whole machine against a kernel that is a few words in memory: pools and their life cycle, doorbell, interrupts.

#include "fake_driver.hpp"
#include "fake_platform.hpp"
#include "src/machine.hpp"

#include <catch2/catch_test_macros.hpp>
#include <libfdt.h>

using namespace auklet;
using namespace auklet::test;

namespace {

constexpr GuestAddress machine_address = 1 << 20;
constexpr std::uint64_t heap_base = 2 << 20;

/// A machine of 32 MiB, and the kernel's hand on struct auklet_machine.
struct Fixture {
    explicit Fixture(std::string_view settings = "") {
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

} // namespace

TEST_CASE("a prepared machine has device tree, control pages and initramfs in place") {
    Fixture f;
    auto base = std::as_bytes(std::span(std::string_view("an archive..")));
    f.machine->initramfs().set_base(std::make_unique<OwnedBytes>(std::vector<std::byte>(base.begin(), base.end())));
    f.start();
    const void* tree = f.memory->data() + f.device_tree;
    REQUIRE(fdt_check_header(tree) == 0);
    int length = 0;
    int chosen = fdt_path_offset(tree, "/chosen");
    auto start = fdt32_to_cpu(*static_cast<const fdt32_t*>(fdt_getprop(tree, chosen, "linux,initrd-start", &length)));
    CHECK(std::memcmp(f.memory->data() + start, "an archive..", 12) == 0);
    // Three devices: console, entropy and socket.
    std::uint32_t magic = 0;
    std::memcpy(&magic, f.memory->data() + (32 << 20) - 4096, 4);
    CHECK(magic == AUKLET_VIRTIO_MAGIC);
    CHECK(f.get(offsetof(abi::Machine, version)) == AUKLET_ABI_VERSION);
    CHECK(f.get(offsetof(abi::Machine, worker_limit)) == 16);
    CHECK(f.get(offsetof(abi::Machine, memory_limit)) == 6);
    CHECK(f.get(offsetof(abi::Machine, memory_pages)) == 16384);
    CHECK(f.get(offsetof(abi::Machine, workers)) == 4);
    CHECK(f.get(offsetof(abi::Machine, memories)) == 2);
    CHECK(f.memory_state(1) == AUKLET_MEMORY_FREE);
    CHECK(f.memory_state(2) == AUKLET_MEMORY_ABSENT);
    CHECK(f.machine->doorbell() == machine_address + 4);
    CHECK(f.machine->diagnostics().contains("worker 3: idle"));
}

TEST_CASE("a kernel that lies about its structure is refused") {
    Fixture f;
    REQUIRE(f.machine->prepare());
    CHECK_FALSE(f.machine->attach(machine_address + 4, heap_base));
    CHECK_FALSE(f.machine->attach((32 << 20) - 8, heap_base));
    CHECK_FALSE(f.machine->attach(0xffff'fff8, heap_base));
    CHECK_FALSE(f.machine->attach(machine_address, 31 << 20));
    CHECK_FALSE(f.machine->service());
}

TEST_CASE("goals are met up to the limits") {
    Fixture f;
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
    Fixture f;
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
    Fixture f;
    f.start();
    f.abandon(1, 0, 1);
    CHECK(f.platform.terminated.empty());
    f.set_worker_state(1, AUKLET_WORKER_IDLE);
    f.expire();
    CHECK(f.platform.terminated.empty());
    CHECK_FALSE(f.platform.timer);
}

TEST_CASE("an abandoned worker that does not come back is ended, and its memory free when it is gone") {
    Fixture f;
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
    Fixture f;
    f.start();
    f.set(offsetof(abi::Machine, worker_goal), 4);
    f.abandon(1, 0, 1);
    f.expire();
    f.machine->worker_gone(1);
    CHECK(f.platform.started == std::vector<std::uint32_t>{1});
}

TEST_CASE("a copy that the kernel asks for is made once, and none that leads out of its memory") {
    Fixture f;
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
    Fixture f;
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
    Fixture f;
    f.start();
    auto request = Fixture::pool_memory(1, offsetof(abi::Memory, safepoint_request));
    f.set(Fixture::pool_memory(1, offsetof(abi::Memory, safepoint)), 4096);
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
        f.set(Fixture::pool_memory(1, offsetof(abi::Memory, safepoint)), 0);
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
        CHECK(f.get(Fixture::pool_memory(1, offsetof(abi::Memory, safepoint))) == 0);
    }
}

TEST_CASE("workers that cannot be started end the growth, not the machine") {
    Fixture f;
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

TEST_CASE("the doorbell of a device reaches it, and its interrupt the right CPU") {
    Fixture f;
    f.start();
    f.set(offsetof(abi::Machine, interrupt_cpu), 1);
    const auto state = MachineState::cpu(1, offsetof(abi::Cpu, state));
    const auto pending = MachineState::cpu(1, offsetof(abi::Cpu, pending));
    auto page = *f.memory->region((32 << 20) - 3 * 4096, AUKLET_VIRTIO_PAGE);

    // The console's driver, by hand.
    FakeQueue output(*f.memory, 4 << 20, 64);
    auto set_status = [&](std::uint32_t status) {
        page.store32(offsetof(abi::VirtioPage, status), status);
        page.or32(offsetof(abi::VirtioPage, kick), AUKLET_VIRTIO_KICK_STATUS);
        f.ring(1);
    };
    set_status(0);
    set_status(3);
    page.store32(offsetof(abi::VirtioPage, driver_features), 1);
    page.store32(offsetof(abi::VirtioPage, driver_features) + 4, 1);
    set_status(11);
    abi::VirtioQueue settings{64, 64, 1, output.addresses().descriptors, output.available(), output.used(), {}};
    page.write_structure(offsetof(abi::VirtioPage, queue) + sizeof(abi::VirtioQueue), settings);
    set_status(15);

    f.set(state, AUKLET_CPU_KERNEL);
    f.set(offsetof(abi::Machine, interrupt_lines), 0);
    f.notified.clear();
    std::memcpy(f.memory->data() + (5 << 20), "hi", 2);
    output.offer_buffer(0, 5 << 20, 2, 0);
    page.or32(offsetof(abi::VirtioPage, kick), 2);
    f.ring(1);
    CHECK(f.platform.output == "hi");
    CHECK(f.get(offsetof(abi::Machine, interrupt_lines)) == 1);
    CHECK(f.get(pending) == AUKLET_IRQ_DEVICE);
    CHECK(f.notified.empty()); // a CPU that executes kernel code polls

    f.set(state, AUKLET_CPU_IDLE);
    f.set(pending, 0);
    output.offer_buffer(0, 5 << 20, 2, 0);
    page.or32(offsetof(abi::VirtioPage, kick), 2);
    f.ring(1);
    CHECK(f.get(pending) == AUKLET_IRQ_DEVICE);
    CHECK(f.notified == std::vector<GuestAddress>{machine_address + static_cast<GuestAddress>(pending)});

    // Resizing reaches the console's configuration; a size of nothing does not.
    f.machine->console().resize({0, 5});
    f.machine->console().resize({101, 33});
    CHECK(page.read_structure<std::uint16_t>(AUKLET_VIRTIO_CONFIG) == 101);

    // A guest that names a CPU which does not exist harms nobody.
    f.set(offsetof(abi::Machine, interrupt_cpu), 0xffff'ffff);
    f.machine->console().resize({102, 33});
}

TEST_CASE("the table has the devices that the configuration asks for") {
    auto types = [](std::string_view configuration) {
        FakePlatform platform;
        Devices devices(*Configuration::parse(configuration), platform.backends());
        std::vector<std::uint32_t> types;
        for (auto* device : devices.all())
            types.push_back(device->type());
        return types;
    };
    CHECK(types("") == std::vector<std::uint32_t>{3, 4, 19});
    CHECK(types("sockets=0\n") == std::vector<std::uint32_t>{3, 4});
}

TEST_CASE("a doorbell that never stops ringing does not hold the host") {
    Fixture f;
    f.start();
    struct {
        Fixture& f;
        int rounds = 0;
    } guest{f};
    // The guest answers every notification of pool_wait with another ring.
    f.memory->notified = [&](GuestAddress) {
        ++guest.rounds;
        f.kernel().or32(offsetof(abi::Machine, doorbell), AUKLET_DOORBELL_POOLS);
    };
    f.kernel().or32(offsetof(abi::Machine, doorbell), AUKLET_DOORBELL_POOLS);
    CHECK(f.machine->service());
    CHECK(guest.rounds == 64);
}

TEST_CASE("a CPU that is not idle and does not tick is told once") {
    Fixture f("cpus=2\n");
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

TEST_CASE("at the end every word that a worker may sleep on is changed, then notified") {
    Fixture f;
    f.start();
    const auto pending = MachineState::cpu(1, offsetof(abi::Cpu, pending));
    const auto wake = f.worker(3, offsetof(abi::Worker, wake));
    const auto entry_wake = f.worker(3, offsetof(abi::Worker, entry_wake));
    f.set(pending, AUKLET_IRQ_DEVICE);
    f.set(entry_wake, 7);
    f.notified.clear();
    f.machine->end();
    CHECK(f.get(pending) == (AUKLET_IRQ_DEVICE | AUKLET_IRQ_STOP));
    CHECK(f.get(wake) == AUKLET_WAKE_TRACE);
    CHECK(f.get(entry_wake) == 8);
    // Kernel code looks at the first CPU's bits, wherever it was woken.
    CHECK((f.get(MachineState::cpu(0, offsetof(abi::Cpu, pending))) & AUKLET_IRQ_STOP) != 0);
    CHECK(f.notified.front() == machine_address + MachineState::cpu(0, offsetof(abi::Cpu, pending)));
    for (auto word : {pending, MachineState::cpu(1, offsetof(abi::Cpu, state)), wake, entry_wake})
        CHECK(std::ranges::count(f.notified, machine_address + word) == 1);
}

TEST_CASE("a machine that cannot have its first memories does not start") {
    Fixture f;
    f.platform.memories_available = 1;
    auto started = f.machine->start_pools();
    REQUIRE_FALSE(started);
    CHECK(started.error().message == "there is no room for the memories of 2 processes; dispose of other machines");
    CHECK(f.platform.started.empty());
}

TEST_CASE("a machine whose kernel never started has nobody to wake") {
    Fixture f;
    f.machine->end();
    CHECK(f.notified.empty());
}

TEST_CASE("diagnostics tell what tasks do, and follow no wild address") {
    Fixture f;
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
