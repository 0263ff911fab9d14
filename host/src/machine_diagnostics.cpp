// SPDX-License-Identifier: MIT
// Describes a machine for a bug report: CPUs, workers and their tasks,
// memories, devices.

#include "machine.hpp"

#include <algorithm>
#include <span>

namespace auklet {

namespace {

std::string_view state_name(std::span<const std::string_view> names, std::uint32_t state) {
    return state < names.size() ? names[state] : "?";
}

} // namespace

std::string Machine::task_of(std::uint32_t slot, const abi::Worker& worker) const {
    const auto& machine = state_->region();
    const auto layout = machine.read_structure<abi::TaskLayout>(offsetof(abi::Machine, task));
    // The guest wrote all of these numbers, so any of them may be wrong.
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
        text += text_of("device ", line, " ", devices_.all()[line]->name(), ": ",
                        !transports_[line]->failure_reason().empty() ? transports_[line]->failure_reason()
                        : transports_[line]->active()                ? "active"
                                                                     : "not active",
                        "\n");
    if (network_)
        text += network_->diagnostics();
    text += text_of("workers ", workers_.count(), ", memories ", memories_.count(), "\n");
    if (!state_)
        return text + "the kernel has not started\n";

    const auto& region = state_->region();
    static constexpr std::string_view cpu_states[] = {"kernel", "idle", "2", "waits"};
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
