// SPDX-License-Identifier: MIT
// What is on a link, and what it has of the link.
#pragma once

#include "frame.hpp"

namespace auklet::network {

/// Something on the link: a NIC, the translator, another tab.
class Port {
  public:
    virtual ~Port() = default;
    /// False: there is no room now, and the frame was not taken. The port calls
    /// Link::room() when its sender may try again.
    [[nodiscard]] virtual bool deliver(const Frame& frame) = 0;
    /// A receiver that had no room for this port's frame may have some now.
    /// Never comes from within this port's own Link::send.
    virtual void room() {}
};

/// What a port has of the link.
class Link {
  public:
    virtual ~Link() = default;
    /// False: a receiver has no room; the sender may keep the frame until
    /// room(), or drop it.
    [[nodiscard]] virtual bool send(Port& from, const Frame& frame) = 0;
    /// A port may have room again for what it did not take. Not to be called
    /// from within Port::deliver.
    virtual void room(Port&) {}
};

} // namespace auklet::network
