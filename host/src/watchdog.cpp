// SPDX-License-Identifier: MIT
// Looks for CPUs that take no timer interrupts.

#include "watchdog.hpp"

#include <algorithm>

namespace auklet {

Watchdog::Report Watchdog::look(const MachineState& state, std::uint32_t cpus, double now) {
    const auto& region = state.region();
    auto elapsed = now - last_look_;
    last_look_ = now;
    // The computer slept, or is too busy even for the host. Then a missing tick
    // does not mean that the guest has stopped.
    if (elapsed > 2 * interval)
        elapsed = 0;

    Report report;
    for (std::uint32_t number = 0; number < cpus; ++number) {
        auto& cpu = cpus_[number];
        auto ticks = region.load32(MachineState::cpu(number, offsetof(abi::Cpu, ticks)));
        auto who = region.load32(MachineState::cpu(number, offsetof(abi::Cpu, state)));
        auto stopping = (region.load32(MachineState::cpu(number, offsetof(abi::Cpu, pending))) & AUKLET_IRQ_STOP) != 0;
        // A CPU without any tick has no timer yet, because it still boots.
        if (ticks != cpu.ticks || ticks == 0 || who == AUKLET_CPU_IDLE || stopping) {
            report.resumed |= cpu.waited >= patience;
            cpu = {.ticks = ticks};
            continue;
        }
        auto before = cpu.waited;
        cpu.waited += elapsed;
        if (before < patience && cpu.waited >= patience)
            report.stopped.push_back(number);
    }
    report.resumed &= std::ranges::none_of(cpus_, [](const Cpu& cpu) { return cpu.waited >= patience; });
    return report;
}

} // namespace auklet
