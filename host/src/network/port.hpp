// SPDX-License-Identifier: MIT
// The two ends of a cable: a port of something, and the link that it has.
#pragma once

#include "frame.hpp"

namespace auklet::network {

/// Something on the link: a NIC, the translator, another tab.
class Port {
  public:
    virtual ~Port() = default;

    /// False: there is no room now, and the frame was not taken. Who sent it
    /// hears by room() when to try again.
    [[nodiscard]] virtual bool deliver(const Frame& frame) = 0;
    /// The link has room again.
    virtual void room() {}
};

/// What a port has of the link.
class Link {
  public:
    virtual ~Link() = default;

    /// False: a receiver has no room. The sender may keep the frame until
    /// room(), or drop it.
    [[nodiscard]] virtual bool send(Port& from, const Frame& frame) = 0;
};

} // namespace auklet::network
