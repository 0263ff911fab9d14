// SPDX-License-Identifier: MIT
// A machine: configuration, memory layout, devices and pools, tied together.
//
// Life: create; add files and prepare (K is filled); start_pools; attach, once CPU 0's worker knows where the kernel
// keeps struct auklet_machine; then service, worker_ready, worker_gone, timer and input as things happen.
#pragma once

#include "configuration.hpp"
#include "guest_memory.hpp"
#include "initramfs.hpp"
#include "layout.hpp"
#include "machine_state.hpp"
#include "memory_pool.hpp"
#include "platform.hpp"
#include "virtio/console.hpp"
#include "virtio/entropy.hpp"
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
    Machine(Configuration configuration, Platform& platform, GuestMemory& memory);
    ~Machine();

    [[nodiscard]] Initramfs& initramfs() { return initramfs_; }

    /// Writes initramfs, device tree and control pages to K. Returns the address of the device tree.
    [[nodiscard]] Result<GuestAddress> prepare();

    /// Makes the first memories and starts the first workers. An error if the engine has not even those memories: the
    /// machine would boot and then start no program.
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

    void input(std::uint32_t port, std::span<const std::byte> bytes);
    void close_input(std::uint32_t port);
    /// Flow control of a port's output: virtio::ConsoleDevice says what these do.
    void output_taken(std::uint32_t port, std::size_t count);
    [[nodiscard]] bool output_waits(std::uint32_t port);
    void flush_output();
    void resize(std::uint16_t columns, std::uint16_t rows);

    /// Looks whether the wall clock was set, and whether the guest has stopped, and logs a warning with the diagnostics
    /// if so. To be called every Watchdog::interval once the machine runs.
    void watch();

    /// Lines for a bug report: CPUs, workers and their tasks, memories, devices.
    [[nodiscard]] std::string diagnostics() const;

  private:
    /// A console device numbers its ports from 0; the machine numbers all of them.
    class PortEvents final : public virtio::ConsoleEvents {
      public:
        PortEvents(Platform& platform, std::uint32_t first) : platform_(platform), first_(first) {}
        void console_output(std::uint32_t port, std::span<const std::byte> bytes) override {
            platform_.port_output(first_ + port, bytes);
        }
        void console_consumed(std::uint32_t port, std::size_t count) override {
            platform_.port_consumed(first_ + port, count);
        }
        void console_opened(std::uint32_t port, bool open) override { platform_.port_opened(first_ + port, open); }

      private:
        Platform& platform_;
        std::uint32_t first_;
    };
    struct Console {
        std::uint32_t first_port;
        std::size_t port_count;
        std::unique_ptr<PortEvents> events;
        std::unique_ptr<virtio::ConsoleDevice> device;
    };

    void add_console(std::vector<virtio::ConsolePort> ports, std::uint32_t first_port);
    [[nodiscard]] Console* console_of(std::uint32_t port);

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
    std::vector<Console> consoles_;
    virtio::EntropyDevice entropy_;
    /// In order of device number, which is also the interrupt line and the doorbell bit.
    std::vector<virtio::Device*> devices_;
    std::vector<std::unique_ptr<virtio::Transport>> transports_;
    Layout layout_;
    std::optional<MachineState> state_;
    WallClock wall_clock_;
    Watchdog watchdog_;
};

} // namespace auklet
