// SPDX-License-Identifier: MIT
// The devices of a machine: the one list of them. docs/devices.md has the steps to a new one.
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

/// What is behind the devices. They call it in the host's thread.
struct Backends {
    ConsoleBackend& console;
    SocketBackend& sockets;
    Random& random;
};

class Devices {
  public:
    Devices(const Configuration& configuration, const Backends& backends);

    /// In order of device number, which is also the interrupt line and the doorbell bit.
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
