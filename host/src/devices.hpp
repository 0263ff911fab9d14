// SPDX-License-Identifier: MIT
// The list of a machine's devices. docs/devices.md has the steps to a new
// device.
#pragma once

#include "backends/console.hpp"
#include "backends/disks.hpp"
#include "backends/flows.hpp"
#include "backends/links.hpp"
#include "backends/names.hpp"
#include "backends/shares.hpp"
#include "backends/sockets.hpp"
#include "configuration.hpp"
#include "platform.hpp"
#include "virtio/block.hpp"
#include "virtio/console.hpp"
#include "virtio/device.hpp"
#include "virtio/entropy.hpp"
#include "virtio/fs.hpp"
#include "virtio/net.hpp"
#include "virtio/socket.hpp"

#include <memory>
#include <span>
#include <vector>

namespace auklet {

/// What the devices need from outside. They call it in the host's thread.
struct Backends {
    ConsoleBackend& console;
    SocketBackend& sockets;
    DiskBackend& disks;
    ShareBackend& shares;
    FlowBackend& flows;
    NameBackend& names;
    LinkBackend& links;
    Random& random;
};

class Devices {
  public:
    Devices(const Configuration& configuration, const Backends& backends);

    /// Adds a disk. Its DiskId is the number of disks before it. Comes before
    /// the transports are made.
    [[nodiscard]] Result<void> add_disk(DiskDescription description);
    /// Adds a share, as a disk.
    [[nodiscard]] Result<void> add_share(ShareDescription description);

    /// Adds a network card, whose frames go to `link`. Comes before disks and
    /// shares, whose devices have the last numbers.
    [[nodiscard]] Result<void> add_network(const virtio::NetworkDescription& description, network::Link& link);

    /// The devices, in the order of their numbers. A device's number is also
    /// its interrupt line and its doorbell bit.
    [[nodiscard]] std::span<virtio::Device* const> all() const { return all_; }

    [[nodiscard]] virtio::ConsoleDevice& console() { return console_; }
    [[nodiscard]] virtio::SocketDevice& sockets() { return sockets_; }
    /// The number of the first device of a disk or share.
    [[nodiscard]] std::uint32_t first_storage_line() const {
        return static_cast<std::uint32_t>(all_.size() - disks_.size() - shares_.size());
    }
    /// Null if there is no such disk.
    [[nodiscard]] virtio::BlockDevice* disk(DiskId id) { return id < disks_.size() ? disks_[id].get() : nullptr; }
    /// Null if there is no such share.
    [[nodiscard]] virtio::FsDevice* share(ShareId id) { return id < shares_.size() ? shares_[id].get() : nullptr; }
    [[nodiscard]] std::size_t networks() const { return networks_.size(); }
    /// Null if there is no such network card.
    [[nodiscard]] virtio::NetDevice* network(std::size_t id) {
        return id < networks_.size() ? networks_[id].get() : nullptr;
    }

  private:
    virtio::ConsoleDevice console_;
    virtio::EntropyDevice entropy_;
    virtio::SocketDevice sockets_;
    DiskBackend& disk_backend_;
    ShareBackend& share_backend_;
    std::vector<std::unique_ptr<virtio::NetDevice>> networks_;
    std::vector<std::unique_ptr<virtio::BlockDevice>> disks_;
    std::vector<std::unique_ptr<virtio::FsDevice>> shares_;
    std::vector<virtio::Device*> all_;
};

} // namespace auklet
