// SPDX-License-Identifier: MIT
// A machine's start, its doorbell and interrupts, its end.

#include "fake_driver.hpp"
#include "machine_fixture.hpp"

#include <libfdt.h>

using namespace auklet;
using namespace auklet::test;

TEST_CASE("a prepared machine has device tree, control pages and initramfs in place") {
    MachineFixture f;
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
    MachineFixture f;
    REQUIRE(f.machine->prepare());
    CHECK_FALSE(f.machine->attach(machine_address + 4, heap_base));
    CHECK_FALSE(f.machine->attach((32 << 20) - 8, heap_base));
    CHECK_FALSE(f.machine->attach(0xffff'fff8, heap_base));
    CHECK_FALSE(f.machine->attach(machine_address, 31 << 20));
    CHECK_FALSE(f.machine->service());
}

TEST_CASE("the doorbell of a device reaches it, and its interrupt the right CPU") {
    MachineFixture f;
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
    MachineFixture f;
    f.start();
    struct {
        MachineFixture& f;
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

TEST_CASE("at the end every word that a worker may sleep on is changed, then notified") {
    MachineFixture f;
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
    MachineFixture f;
    f.platform.memories_available = 1;
    auto started = f.machine->start_pools();
    REQUIRE_FALSE(started);
    CHECK(started.error().message == "there is no room for the memories of 2 processes; dispose of other machines");
    CHECK(f.platform.started.empty());
    // Machines that were disposed of have given back theirs: it is asked again.
    f.platform.memories_available = 1000;
    CHECK(f.machine->start_pools());
    CHECK(f.platform.memories == std::vector<std::uint32_t>{0, 1});
    CHECK(f.platform.started.size() == 4);
}

TEST_CASE("a machine whose kernel never started has nobody to wake") {
    MachineFixture f;
    f.machine->end();
    CHECK(f.notified.empty());
}

TEST_CASE("a disk that cannot be is refused with a reason") {
    MachineFixture f;
    auto error = [&](DiskDescription description) {
        auto added = f.machine->add_disk(std::move(description));
        REQUIRE_FALSE(added);
        return added.error().message;
    };
    CHECK(error({.name = "", .size = 512}) == "a disk's name has 1 to 20 letters, digits, - and _, not \"\"");
    CHECK(error({.name = "../home", .size = 512}).contains("letters"));
    CHECK(error({.name = std::string(21, 'a'), .size = 512}).contains("1 to 20"));
    CHECK(error({.name = "a", .size = 0}) == "disk a: its size must be a multiple of 512 bytes, not 0");
    CHECK(error({.name = "a", .size = 1000}).contains("not 1000"));
    CHECK(error({.name = "a", .size = 512, .unit = 5000}).contains("5000"));
    CHECK(error({.name = "a", .size = 512, .unit = 2048}).contains("4096"));
    REQUIRE(f.machine->add_disk({.name = "a", .size = 512}));
    CHECK(error({.name = "a", .size = 512}) == "there are two disks with the name a");
    for (char name = 'b'; name <= 'u'; ++name)
        REQUIRE(f.machine->add_disk({.name = {name}, .size = 512}));
    CHECK(error({.name = "z", .size = 512}) == "disk z: there are 24 devices already, which is the most");
    CHECK(f.machine->prepare());
}
