// SPDX-License-Identifier: MIT
// A machine, which ties together configuration, memory layout, devices and
// pools.

#include "machine.hpp"

#include "device_tree.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <span>

namespace auklet {

namespace {

/// How often service() looks at the doorbell before other events get their
/// turn.
constexpr int most_rounds = 64;

constexpr std::size_t random_seed_size = 64;

} // namespace

Machine::Machine(Configuration configuration, Platform& platform, const Backends& backends, GuestMemory& memory)
    : configuration_(std::move(configuration)), platform_(platform), memory_(memory),
      memories_(platform, platform, configuration_.memory_limit, configuration_.process_pages()), timers_(platform),
      workers_(platform, timers_, memories_, configuration_.worker_limit), backends_(backends),
      devices_(configuration_, backends), wall_clock_(platform) {}

Machine::~Machine() = default;

Result<void> Machine::add_network(const virtio::NetworkDescription& card, const network::Settings& settings) {
    if (!network_)
        network_.emplace(platform_, timers_, platform_, backends_.flows, backends_.names, settings);
    if (auto added = devices_.add_network(card, network_->link()); !added)
        return added;
    auto& port = *devices_.network(devices_.networks() - 1);
    // A machine that stands still must not hold up others.
    if (!network_->link().attach(port, network::WhenFull::lose, card.mac))
        return failure("the network has another port with the address of this card");
    return {};
}

Result<void> Machine::add_remote(const network::RemoteDescription& description) {
    if (!network_ || network_->remote() != nullptr)
        return failure("a link needs a network card, and there is one link at most");
    network_->add_remote(backends_.links, description);
    return {};
}

void Machine::set_capture(network::Capture* capture) {
    for (std::size_t id = 0; id < devices_.networks(); ++id)
        devices_.network(id)->set_capture(capture);
}

Result<GuestAddress> Machine::prepare() {
    const auto devices = devices_.all();
    if (devices.size() > AUKLET_MAX_DEVICES)
        return failure("there are more than ", AUKLET_MAX_DEVICES, " devices");
    const auto device_count = static_cast<std::uint32_t>(devices.size());
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
        transports_.push_back(std::make_unique<virtio::Transport>(memory_, *page, line, *devices[line],
                                                                  static_cast<virtio::TransportEvents&>(*this)));
    }
    // The guest has a copy now. Free the owner's files, which may be large.
    initramfs_ = {};
    return blob_region->address();
}

Result<void> Machine::start_pools() {
    // The memories come first, because a worker's start message carries the
    // first of those that exist.
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
    // The version comes last: it says that the rest is there.
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
    // The guest wrote these numbers, so any of them may be wrong.
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

void Machine::timer() { timers_.run(); }

void Machine::in_use() {
    // A user who wakes the computer types something. The program that this
    // starts must find the right time.
    if (state_)
        wall_clock_.look(*state_);
    workers_.expect_use();
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
    // The page knows both messages by how they begin (STOPPED and RESUMED in
    // web/src/machine/protocol.ts).
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

} // namespace auklet
