// SPDX-License-Identifier: MIT
// A machine: configuration, memory layout, devices and pools, tied together.
//
// Life: create; add files and prepare (K is filled); start_pools; attach, once CPU 0's worker knows where the kernel
// keeps struct auklet_machine; then service, worker_ready, worker_gone, timer and input as things happen.
#pragma once

#include "configuration.hpp"
#include "devices.hpp"
#include "guest_memory.hpp"
#include "initramfs.hpp"
#include "layout.hpp"
#include "machine_state.hpp"
#include "memory_pool.hpp"
#include "platform.hpp"
#include "virtio/transport.hpp"
#include "wall_clock.hpp"
#include "watchdog.hpp"
#include "worker_pool.hpp"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace auklet {

class Machine final : private virtio::TransportEvents {
  public:
    Machine(Configuration configuration, Platform& platform, const Backends& backends, GuestMemory& memory);
    ~Machine();

    [[nodiscard]] Initramfs& initramfs() { return initramfs_; }

    /// Writes initramfs, device tree and control pages to K. Returns the address of the device tree.
    [[nodiscard]] Result<GuestAddress> prepare();

    /// Makes the first memories and starts the first workers. An error if the engine has not even those memories: the
    /// machine would boot and then start no program. May be called again then, when there may be room.
    [[nodiscard]] Result<void> start_pools();

    /// The kernel is instantiated: its structure is at `machine_address`, its image ends at `heap_base`.
    [[nodiscard]] Result<void> attach(std::uint64_t machine_address, std::uint64_t heap_base);

    /// Where the host waits for the doorbell; valid after attach().
    [[nodiscard]] GuestAddress doorbell() const;
    /// Serves the doorbell. True if it should be called again soon: the guest rings without end.
    [[nodiscard]] bool service();

    /// The machine has ended: every worker leaves wasm soon, unless its program makes no system calls.
    void end();

    void worker_ready(std::uint32_t slot) { workers_.ready(slot); }
    void worker_gone(std::uint32_t slot);
    void timer();

    /// For the owner. What it does there may be for a machine that has not started.
    [[nodiscard]] virtio::ConsoleDevice& console() { return devices_.console(); }
    [[nodiscard]] virtio::SocketDevice& sockets() { return devices_.sockets(); }

    /// Somebody uses the machine, after a pause maybe: the clock is looked at, and workers are kept ready.
    void in_use();

    /// Looks whether the wall clock was set, and whether the guest has stopped, and logs a warning with the diagnostics
    /// if so. To be called every Watchdog::interval once the machine runs.
    void watch();

    /// Lines for a bug report: CPUs, workers and their tasks, memories, devices.
    [[nodiscard]] std::string diagnostics() const;

  private:
    /// What is known of the task of a worker: process number, name, and where it is.
    [[nodiscard]] std::string task_of(std::uint32_t slot, const abi::Worker& worker) const;

    /// Serves struct auklet_copy.
    void copy_memory();

    void raise_interrupt(std::uint32_t line) override;
    void device_failed(std::string_view device, std::string_view reason) override;

    Configuration configuration_;
    Platform& platform_;
    GuestMemory& memory_;
    Initramfs initramfs_;
    MemoryPool memories_;
    WorkerPool workers_;
    Devices devices_;
    std::vector<std::unique_ptr<virtio::Transport>> transports_;
    Layout layout_;
    std::optional<MachineState> state_;
    WallClock wall_clock_;
    Watchdog watchdog_;
};

} // namespace auklet
