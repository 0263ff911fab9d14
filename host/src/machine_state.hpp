// SPDX-License-Identifier: MIT
// struct auklet_machine in K: the words that the host and all CPUs of the guest
// share.
#pragma once

#include "abi.hpp"
#include "guest_memory.hpp"

#include <cstdint>

namespace auklet {

/// cpu(), worker() and memory() return offsets in region(). Their callers keep
/// the number below AUKLET_MAX_CPUS, AUKLET_MAX_WORKERS or AUKLET_MAX_MEMORIES,
/// so the offset is inside the region.
class MachineState {
  public:
    /// Fails if `address` is misaligned, or the structure is not inside K.
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

    /// Tells the kernel to look again: a pool has changed or cannot be
    /// refilled, or a copy is done.
    void pools_changed() const {
        region_.add32(offsetof(abi::Machine, pool_wait), 1);
        region_.notify(offsetof(abi::Machine, pool_wait));
        raise(AUKLET_LINE_POOLS);
    }

    /// Raises an interrupt line. The order matters: set the bits, then look at
    /// the CPU's state. The CPU stores its state, then looks at the bits. So
    /// one of the two always sees the other.
    void raise(std::uint32_t line) const {
        region_.or32(offsetof(abi::Machine, interrupt_lines), 1U << line);
        // The guest chose the CPU. A wrong number may harm only the guest.
        auto target = region_.load32(offsetof(abi::Machine, interrupt_cpu)) % AUKLET_MAX_CPUS;
        region_.or32(cpu(target, offsetof(abi::Cpu, pending)), AUKLET_IRQ_DEVICE);
        if (region_.load32(cpu(target, offsetof(abi::Cpu, state))) != AUKLET_CPU_KERNEL)
            region_.notify(cpu(target, offsetof(abi::Cpu, pending)));
    }

    /// The machine has ended. Wakes every worker that sleeps in the kernel, so
    /// that it leaves wasm. Changes each word on which somebody may sleep for
    /// long, so that nobody falls asleep on it after this. Sleeps on other
    /// words are short. `workers` is the number of slots that have been used.
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
