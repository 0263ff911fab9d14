// SPDX-License-Identifier: MIT
// The list of a machine's devices. docs/devices.md has the steps to a new
// device.
#pragma once

#include "backends/console.hpp"
#include "backends/sockets.hpp"
#include "configuration.hpp"
#include "platform.hpp"
#include "virtio/console.hpp"
#include "virtio/device.hpp"
#include "virtio/entropy.hpp"
#include "virtio/socket.hpp"

#include <span>
#include <vector>

namespace auklet {

/// What the devices need from outside. They call it in the host's thread.
struct Backends {
    ConsoleBackend& console;
    SocketBackend& sockets;
    Random& random;
};

class Devices {
  public:
    Devices(const Configuration& configuration, const Backends& backends);

    /// The devices, in the order of their numbers. A device's number is also
    /// its interrupt line and its doorbell bit.
    [[nodiscard]] std::span<virtio::Device* const> all() const { return all_; }

    [[nodiscard]] virtio::ConsoleDevice& console() { return console_; }
    [[nodiscard]] virtio::SocketDevice& sockets() { return sockets_; }

  private:
    virtio::ConsoleDevice console_;
    virtio::EntropyDevice entropy_;
    virtio::SocketDevice sockets_;
    std::vector<virtio::Device*> all_;
};

} // namespace auklet
