// SPDX-License-Identifier: MIT
// A machine, which ties together configuration, memory layout, devices and
// pools.
//
// Its life:
// 1. Create it, add files, and call prepare(), which fills K. Call
//    start_pools() before or after that.
// 2. Call attach() when CPU 0's worker has told where the kernel keeps struct
//    auklet_machine.
// 3. From then on call service() when the doorbell rings, timer() as
//    Clock::set_timer asks, and watch() every Watchdog::interval.
// 4. Call end() when the machine has ended.
//
// worker_ready() and worker_gone() may come from start_pools() on, and input at
// any time.
#pragma once

#include "configuration.hpp"
#include "devices.hpp"
#include "guest_memory.hpp"
#include "initramfs.hpp"
#include "layout.hpp"
#include "machine_state.hpp"
#include "memory_pool.hpp"
#include "network/local_network.hpp"
#include "platform.hpp"
#include "timer_queue.hpp"
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

    /// Writes initramfs, device tree and control pages to K. Returns the
    /// address of the device tree. Fails if K is too small.
    [[nodiscard]] Result<GuestAddress> prepare();

    /// Makes the first memories, and starts the first workers. Fails if the
    /// engine has no room for these memories: the machine would boot, and then
    /// start no program. May be called again after an error, when there may be
    /// room.
    [[nodiscard]] Result<void> start_pools();

    /// CPU 0's worker has its instance of the kernel. The kernel's struct
    /// auklet_machine is at `machine_address`, and its image ends at
    /// `heap_base`. Fails if the structure is not in K, or the image leaves too
    /// little room.
    [[nodiscard]] Result<void> attach(std::uint64_t machine_address, std::uint64_t heap_base);

    /// The address of the word on which the host waits. Valid after attach().
    [[nodiscard]] GuestAddress doorbell() const;
    /// Serves the doorbell. Returns true if the guest rings without end: the
    /// caller lets other events happen, then calls again.
    [[nodiscard]] bool service();

    /// The machine has ended. Every worker leaves wasm soon, unless its program
    /// makes no system calls.
    void end();

    void worker_ready(std::uint32_t slot) { workers_.ready(slot); }
    void worker_gone(std::uint32_t slot);
    void timer();

    /// For the owner, who may use them before the machine has started.
    [[nodiscard]] virtio::ConsoleDevice& console() { return devices_.console(); }
    [[nodiscard]] virtio::SocketDevice& sockets() { return devices_.sockets(); }
    /// Adds a network card. All cards of a machine are on one switch, with a
    /// translator. Comes before the disks and shares.
    [[nodiscard]] Result<void> add_network(const virtio::NetworkDescription& card, const network::Settings& settings);
    /// Lets the cards reach other machines. Comes after add_network(), once.
    [[nodiscard]] Result<void> add_remote(const network::RemoteDescription& description);
    /// For the backend's answers. Null if the machine has no link.
    [[nodiscard]] network::RemotePort* remote() { return network_ ? network_->remote() : nullptr; }
    /// Records the frames of all network cards. nullptr: no more.
    void set_capture(network::Capture* capture);
    /// For the backends' answers. Null if the machine has no network.
    [[nodiscard]] network::Translator* translator() { return network_ ? &network_->translator() : nullptr; }
    /// Comes before prepare(), and so before the disks' requests.
    [[nodiscard]] Result<void> add_disk(DiskDescription description) {
        return devices_.add_disk(std::move(description));
    }
    /// As a disk.
    [[nodiscard]] Result<void> add_share(ShareDescription description) {
        return devices_.add_share(std::move(description));
    }
    /// The device number of the first disk or share.
    [[nodiscard]] std::uint32_t first_storage_line() const { return devices_.first_storage_line(); }
    /// The disk has done a request, or has failed to.
    void disk_completed(DiskId disk, std::uint32_t request, bool succeeded) {
        if (auto* device = devices_.disk(disk))
            device->completed(request, succeeded);
    }
    /// The disk has more bytes than before. Comes after add_disk().
    void disk_grown(DiskId disk, std::uint64_t size) {
        if (auto* device = devices_.disk(disk))
            device->grow(size);
    }
    /// The share has done a request, or has failed with an error of Linux.
    void share_completed(ShareId share, std::uint32_t request, std::uint32_t error,
                         std::span<const std::uint32_t> words) {
        if (auto* device = devices_.share(share))
            device->completed(request, error, words);
    }

    /// Somebody uses the machine, maybe after a pause. The machine looks at the
    /// clock, and keeps workers ready from now on.
    void in_use();

    /// Looks whether the wall clock was set, and whether the guest has stopped.
    /// Logs a warning with the diagnostics when it stops, and a line when it
    /// goes on. To be called every Watchdog::interval milliseconds once the
    /// machine runs.
    void watch();

    /// Lines for a bug report: CPUs, workers and their tasks, memories,
    /// devices.
    [[nodiscard]] std::string diagnostics() const;

  private:
    /// Describes the task of a worker: process number, name, and where it is.
    [[nodiscard]] std::string task_of(std::uint32_t slot, const abi::Worker& worker) const;

    /// Does what struct auklet_copy asks for.
    void copy_memory();

    void raise_interrupt(std::uint32_t line) override;
    void device_failed(std::string_view device, std::string_view reason) override;

    Configuration configuration_;
    Platform& platform_;
    GuestMemory& memory_;
    Initramfs initramfs_;
    MemoryPool memories_;
    TimerQueue timers_;
    WorkerPool workers_;
    Backends backends_;
    /// Outlives the cards.
    std::optional<network::LocalNetwork> network_;
    Devices devices_;
    std::vector<std::unique_ptr<virtio::Transport>> transports_;
    Layout layout_;
    std::optional<MachineState> state_;
    WallClock wall_clock_;
    Watchdog watchdog_;
};

} // namespace auklet
