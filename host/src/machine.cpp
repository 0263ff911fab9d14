// SPDX-License-Identifier: MIT
// A machine: configuration, memory layout, devices and pools, tied together.

#include "machine.hpp"

#include "device_tree.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <span>

namespace auklet {

namespace {

/// Rounds of the doorbell before other events get their turn.
constexpr int most_rounds = 64;

constexpr std::size_t random_seed_size = 64;

std::string_view state_name(std::span<const std::string_view> names, std::uint32_t state) {
    return state < names.size() ? names[state] : "?";
}

} // namespace

Machine::Machine(Configuration configuration, Platform& platform, GuestMemory& memory)
    : configuration_(std::move(configuration)), platform_(platform), memory_(memory),
      memories_(platform, configuration_.memory_limit, configuration_.process_pages()),
      workers_(platform, memories_, configuration_.worker_limit),
      entropy_([&platform](std::span<std::byte> bytes) { platform.random(bytes); }), wall_clock_(platform) {
    add_console({{.kind = virtio::ConsolePort::Kind::console}}, 0);
    // Further ports have devices of their own, so that the console stays without F_MULTIPORT (console.hpp says why).
    for (std::size_t first = 0; first < configuration_.ports.size(); first += virtio::ConsoleDevice::most_ports) {
        std::vector<virtio::ConsolePort> ports;
        auto end = std::min(configuration_.ports.size(), first + virtio::ConsoleDevice::most_ports);
        for (auto index = first; index < end; ++index)
            ports.push_back({.name = configuration_.ports[index]});
        add_console(std::move(ports), static_cast<std::uint32_t>(first + 1));
    }
    for (auto& console : consoles_)
        devices_.push_back(console.device.get());
    devices_.push_back(&entropy_);
}

Machine::~Machine() = default;

void Machine::add_console(std::vector<virtio::ConsolePort> ports, std::uint32_t first_port) {
    Console console{.first_port = first_port,
                    .port_count = ports.size(),
                    .events = std::make_unique<PortEvents>(platform_, first_port),
                    .device = nullptr};
    console.device = std::make_unique<virtio::ConsoleDevice>(
        std::move(ports), virtio::ConsoleDevice::Size{configuration_.columns, configuration_.rows}, *console.events);
    consoles_.push_back(std::move(console));
}

Machine::Console* Machine::console_of(std::uint32_t port) {
    auto found = std::ranges::find_if(consoles_, [&](const Console& console) {
        return port >= console.first_port && port - console.first_port < console.port_count;
    });
    return found == consoles_.end() ? nullptr : &*found;
}

Result<GuestAddress> Machine::prepare() {
    if (devices_.size() > AUKLET_MAX_DEVICES)
        return failure("port: ", configuration_.ports.size(), " ports need more than ", AUKLET_MAX_DEVICES, " devices");
    const auto device_count = static_cast<std::uint32_t>(devices_.size());
    const auto initramfs_size = initramfs_.size();
    auto layout = Layout::compute(memory_.size(), device_count, initramfs_size);
    if (!layout)
        return std::unexpected(layout.error());
    layout_ = *layout;

    auto initramfs_region = memory_.region(layout_.initramfs_start, initramfs_size);
    if (!initramfs_region)
        return std::unexpected(initramfs_region.error());
    initramfs_.copy_to(*initramfs_region);

    std::array<std::byte, random_seed_size> seed;
    platform_.random(seed);
    auto blob = DeviceTree{.command_line = configuration_.command_line(),
                           .cpus = configuration_.cpus,
                           .devices = device_count,
                           .random_seed = seed}
                    .build(layout_);
    if (!blob)
        return std::unexpected(blob.error());
    auto blob_region = memory_.region(layout_.device_tree, blob->size());
    if (!blob_region)
        return std::unexpected(blob_region.error());
    blob_region->write(0, *blob);

    for (std::uint32_t line = 0; line < device_count; ++line) {
        auto page = memory_.region(layout_.control_page(line), AUKLET_VIRTIO_PAGE);
        if (!page)
            return std::unexpected(page.error());
        transports_.push_back(std::make_unique<virtio::Transport>(memory_, *page, line, *devices_[line],
                                                                  static_cast<virtio::TransportEvents&>(*this)));
    }
    // The guest has a copy now; uploaded files may be large.
    initramfs_ = {};
    return blob_region->address();
}

Result<void> Machine::start_pools() {
    // Memories first: a worker's start message carries those that exist.
    memories_.start(configuration_.initial_memories);
    if (memories_.count() < configuration_.initial_memories)
        return failure("there is no room for the memories of ", configuration_.initial_memories,
                       " processes; dispose of other machines");
    workers_.start(configuration_.initial_workers);
    return {};
}

Result<void> Machine::attach(std::uint64_t machine_address, std::uint64_t heap_base) {
    if (auto fits = layout_.check_image(heap_base); !fits)
        return fits;
    auto state = MachineState::create(memory_, machine_address);
    if (!state)
        return std::unexpected(state.error());
    state_ = *state;
    memories_.attach(*state_);
    workers_.attach(*state_);
    state_->region().store32(offsetof(abi::Machine, processors), configuration_.processors);
    wall_clock_.attach(*state_);
    // Last: a version says that the rest is there.
    state_->region().store32(offsetof(abi::Machine, version), AUKLET_ABI_VERSION);
    return {};
}

GuestAddress Machine::doorbell() const {
    return static_cast<GuestAddress>(state_->region().address() + offsetof(abi::Machine, doorbell));
}

bool Machine::service() {
    if (!state_)
        return false;
    for (int round = 0; round < most_rounds; ++round) {
        auto bits = state_->region().exchange32(offsetof(abi::Machine, doorbell), 0);
        if (bits == 0)
            return false;
        for (std::size_t line = 0; line < transports_.size(); ++line)
            if ((bits & (1U << line)) != 0)
                transports_[line]->service();
        if ((bits & AUKLET_DOORBELL_SAFEPOINTS) != 0)
            memories_.set_safepoints();
        if ((bits & AUKLET_DOORBELL_REAP) != 0)
            workers_.reap();
        if ((bits & AUKLET_DOORBELL_COPY) != 0)
            copy_memory();
        if ((bits & AUKLET_DOORBELL_POOLS) != 0) {
            auto before = memories_.count();
            memories_.refill();
            auto workers_settled = workers_.refill();
            if (workers_settled || memories_.count() != before)
                state_->pools_changed();
        }
    }
    return true;
}

void Machine::copy_memory() {
    const auto& region = state_->region();
    const auto sequence = region.load32(offsetof(abi::Machine, copy.sequence));
    if (sequence == region.load32(offsetof(abi::Machine, copy.done)))
        return;
    const auto copy = region.read_structure<abi::Copy>(offsetof(abi::Machine, copy));
    std::uint32_t copied = 0;
    // The guest's numbers may lead anywhere.
    if (memory_.region(copy.buffer, copy.length))
        for (const auto& place : std::span(copy.place).first(std::min<std::size_t>(copy.places, std::size(copy.place))))
            copied = place.memory < memories_.count()
                         ? platform_.copy_memory(place.memory, place.address, copy.buffer, copy.length, copy.write != 0)
                         : 0;
    region.store32(offsetof(abi::Machine, copy.copied), copied);
    region.store32(offsetof(abi::Machine, copy.done), sequence);
    state_->pools_changed();
}

void Machine::end() {
    if (state_)
        state_->end(workers_.slots());
}

void Machine::worker_gone(std::uint32_t slot) { workers_.gone(slot); }

void Machine::timer() {
    if (state_)
        workers_.reap();
}

void Machine::input(std::uint32_t port, std::span<const std::byte> bytes) {
    // Who wakes a computer types: what he starts finds the right time.
    if (state_)
        wall_clock_.look(*state_);
    workers_.expect_use();
    if (auto* console = console_of(port))
        console->device->input(port - console->first_port, bytes);
}

void Machine::close_input(std::uint32_t port) {
    if (auto* console = console_of(port); console != nullptr && port != 0)
        console->device->close_input(port - console->first_port);
}

void Machine::output_taken(std::uint32_t port, std::size_t count) {
    if (auto* console = console_of(port))
        console->device->output_taken(port - console->first_port, count);
}

bool Machine::output_waits(std::uint32_t port) {
    auto* console = console_of(port);
    return console != nullptr && console->device->output_waits(port - console->first_port);
}

void Machine::flush_output() {
    for (auto& console : consoles_)
        console.device->flush_output();
}

void Machine::resize(std::uint16_t columns, std::uint16_t rows) {
    // Programs divide by these.
    if (columns == 0 || rows == 0)
        return;
    consoles_.front().device->resize({columns, rows});
}

void Machine::raise_interrupt(std::uint32_t line) {
    if (state_)
        state_->raise(line);
}

void Machine::device_failed(std::string_view device, std::string_view reason) {
    platform_.log(LogLevel::error,
                  text_of("the ", device, " device has stopped: the guest's driver is wrong: ", reason));
}

void Machine::watch() {
    if (!state_)
        return;
    wall_clock_.look(*state_);
    const auto report = watchdog_.look(*state_, configuration_.cpus, platform_.now());
    // The page knows both messages by how they begin.
    if (report.resumed)
        platform_.log(LogLevel::information, "the guest goes on: all CPUs tick");
    if (report.stopped.empty())
        return;
    std::string numbers;
    for (auto cpu : report.stopped)
        numbers += text_of(numbers.empty() ? "" : ", ", cpu);
    platform_.log(LogLevel::warning,
                  text_of("the guest has stopped: no tick for ", static_cast<int>(Watchdog::patience / 1000),
                          " s of CPU ", numbers, ", which is not idle\n", diagnostics()));
}

std::string Machine::task_of(std::uint32_t slot, const abi::Worker& worker) const {
    const auto& machine = state_->region();
    const auto layout = machine.read_structure<abi::TaskLayout>(offsetof(abi::Machine, task));
    // All of these numbers are the guest's: they may lead anywhere.
    auto word = [this](std::uint64_t address) -> std::uint32_t {
        auto region = memory_.region(address, sizeof(std::uint32_t));
        return region ? region->read_structure<std::uint32_t>(0) : 0;
    };
    auto characters = [this](std::uint64_t address, std::uint32_t size) {
        std::string text(size, '\0');
        if (auto region = memory_.region(address, size))
            region->read(0, std::as_writable_bytes(std::span(text)));
        text.resize(std::min(text.find('\0'), text.size()));
        return text;
    };
    const std::uint64_t task = worker.task;
    auto text = text_of(", process ", word(task + layout.pid), " (",
                        characters(task + layout.name, AUKLET_TASK_NAME_SIZE), ")");
    auto cpu = worker.cpu % AUKLET_MAX_CPUS;
    auto address = machine.address() + MachineState::worker(slot, 0);
    auto system_call = word(std::uint64_t{word(task + layout.stack)} + layout.system_call);
    if (machine.load32(MachineState::cpu(cpu, offsetof(abi::Cpu, state))) == address)
        text += text_of(" in user code on CPU ", cpu);
    else if (system_call != AUKLET_NO_SYSTEM_CALL)
        text += text_of(" in or after system call ", system_call);
    auto traces = machine.load32(offsetof(abi::Machine, sleep_traces));
    if (traces != 0) {
        auto size = std::min<std::uint32_t>(machine.load32(offsetof(abi::Machine, sleep_trace_size)), 1 << 16);
        text += text_of(", slept last at:\n", characters(traces + std::uint64_t{slot} * size, size));
    }
    return text;
}

std::string Machine::diagnostics() const {
    std::string text = text_of("memory ", configuration_.memory_mebibytes, " MiB, ", configuration_.cpus,
                               " CPUs, command line: ", configuration_.command_line(), "\ninitramfs ",
                               layout_.initramfs_start, "..", layout_.initramfs_end, ", device tree ",
                               layout_.device_tree, ", control pages ", layout_.control_base, "\n");
    for (std::size_t line = 0; line < transports_.size(); ++line)
        text += text_of("device ", line, " ", devices_[line]->name(), ": ",
                        !transports_[line]->failure_reason().empty() ? transports_[line]->failure_reason()
                        : transports_[line]->active()                ? "active"
                                                                     : "not active",
                        "\n");
    text += text_of("workers ", workers_.count(), ", memories ", memories_.count(), "\n");
    if (!state_)
        return text + "the kernel has not started\n";

    const auto& region = state_->region();
    static constexpr std::string_view cpu_states[] = {"kernel", "idle", "offline", "waits"};
    for (std::uint32_t cpu = 0; cpu < configuration_.cpus; ++cpu) {
        auto state = region.load32(MachineState::cpu(cpu, offsetof(abi::Cpu, state)));
        text += text_of("cpu ", cpu, ": ", state > AUKLET_CPU_WAITS ? "user" : state_name(cpu_states, state),
                        ", state ", state, ", pending ",
                        region.load32(MachineState::cpu(cpu, offsetof(abi::Cpu, pending))), ", deadline ",
                        region.read_structure<std::uint64_t>(MachineState::cpu(cpu, offsetof(abi::Cpu, deadline))),
                        ", ticks ", region.load32(MachineState::cpu(cpu, offsetof(abi::Cpu, ticks))), "\n");
    }
    static constexpr std::string_view worker_states[] = {"empty",     "idle",        "assigned", "running",
                                                         "abandoned", "terminating", "claimed"};
    auto slots = std::min<std::uint32_t>(region.load32(offsetof(abi::Machine, workers)), AUKLET_MAX_WORKERS);
    for (std::uint32_t slot = 0; slot < slots; ++slot) {
        auto worker = region.read_structure<abi::Worker>(MachineState::worker(slot, 0));
        text += text_of("worker ", slot, ": ", state_name(worker_states, worker.state), ", task ", worker.task,
                        ", module ", worker.module, ", memory ", worker.memory, ", leave ", worker.leave,
                        worker.state == AUKLET_WORKER_RUNNING ? task_of(slot, worker) : "", "\n");
    }
    static constexpr std::string_view memory_states[] = {"absent", "free", "used"};
    for (std::uint32_t id = 0; id < memories_.count(); ++id) {
        auto memory = region.read_structure<abi::Memory>(MachineState::memory(id, 0));
        text += text_of("memory ", id, ": ", state_name(memory_states, memory.state), ", users ", memory.users, "\n");
    }
    text += text_of("interrupt lines ", region.load32(offsetof(abi::Machine, interrupt_lines)), ", doorbell ",
                    region.load32(offsetof(abi::Machine, doorbell)), ", worker goal ",
                    region.load32(offsetof(abi::Machine, worker_goal)), ", memory goal ",
                    region.load32(offsetof(abi::Machine, memory_goal)), ", killed tasks without a worker ",
                    region.load32(offsetof(abi::Machine, late_deaths)), "\n");
    return text;
}

} // namespace auklet
