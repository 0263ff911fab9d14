// SPDX-License-Identifier: MIT
// struct auklet_machine in K: the words that the host and all of the guest's CPUs share.
#pragma once

#include "abi.hpp"
#include "guest_memory.hpp"

#include <cstdint>

namespace auklet {

/// Offsets are those of constants, so that they cannot leave the region.
class MachineState {
  public:
    [[nodiscard]] static Result<MachineState> create(GuestMemory& memory, std::uint64_t address) {
        if (address % alignof(abi::Machine) != 0)
            return failure("the kernel's auklet_machine is at a misaligned address, ", address);
        auto region = memory.region(address, sizeof(abi::Machine));
        if (!region)
            return failure("the kernel's auklet_machine: ", region.error().message);
        return MachineState(*region);
    }

    [[nodiscard]] const GuestRegion& region() const { return region_; }

    [[nodiscard]] static std::uint64_t cpu(std::uint32_t number, std::uint64_t field) {
        return offsetof(abi::Machine, cpu) + number * sizeof(abi::Cpu) + field;
    }
    [[nodiscard]] static std::uint64_t worker(std::uint32_t slot, std::uint64_t field) {
        return offsetof(abi::Machine, worker) + slot * sizeof(abi::Worker) + field;
    }
    [[nodiscard]] static std::uint64_t memory(std::uint32_t id, std::uint64_t field) {
        return offsetof(abi::Machine, memory) + id * sizeof(abi::Memory) + field;
    }

    /// Tells the kernel that a pool was refilled, or that it cannot be.
    void pools_changed() const {
        region_.add32(offsetof(abi::Machine, pool_wait), 1);
        region_.notify(offsetof(abi::Machine, pool_wait));
        raise(AUKLET_LINE_POOLS);
    }

    /// Raises an interrupt line. The order matters: bits first, then the look at the CPU's state.
    void raise(std::uint32_t line) const {
        region_.or32(offsetof(abi::Machine, interrupt_lines), 1U << line);
        // The guest chooses the CPU; a wrong number may only harm the guest.
        auto target = region_.load32(offsetof(abi::Machine, interrupt_cpu)) % AUKLET_MAX_CPUS;
        region_.or32(cpu(target, offsetof(abi::Cpu, pending)), AUKLET_IRQ_DEVICE);
        if (region_.load32(cpu(target, offsetof(abi::Cpu, state))) != AUKLET_CPU_KERNEL)
            region_.notify(cpu(target, offsetof(abi::Cpu, pending)));
    }

    /// The machine has ended: wakes every worker that sleeps in the kernel, which then leaves wasm. Each word that
    /// somebody may sleep on for long is changed, so that nobody falls asleep on it after this; the other sleeps are
    /// short.
    void end(std::uint32_t workers) const {
        for (std::uint32_t number = 0; number < AUKLET_MAX_CPUS; ++number)
            region_.or32(cpu(number, offsetof(abi::Cpu, pending)), AUKLET_IRQ_STOP);
        for (std::uint32_t number = 0; number < AUKLET_MAX_CPUS; ++number) {
            region_.notify(cpu(number, offsetof(abi::Cpu, pending)));
            region_.notify(cpu(number, offsetof(abi::Cpu, state)));
        }
        for (std::uint32_t slot = 0; slot < workers; ++slot) {
            region_.store32(worker(slot, offsetof(abi::Worker, wake)), AUKLET_WAKE_TRACE);
            region_.notify(worker(slot, offsetof(abi::Worker, wake)));
            region_.add32(worker(slot, offsetof(abi::Worker, entry_wake)), 1);
            region_.notify(worker(slot, offsetof(abi::Worker, entry_wake)));
        }
    }

  private:
    explicit MachineState(GuestRegion region) : region_(region) {}
    GuestRegion region_;
};

} // namespace auklet
