// SPDX-License-Identifier: MIT
// What a switch needs from outside to reach other machines.
#pragma once

#include "../network/frame.hpp"

namespace auklet {

/// The far side of a network::RemotePort, whose functions have the answers. A
/// call must not come back into the machine before it returns.
class LinkBackend {
  public:
    virtual ~LinkBackend() = default;

    /// A frame for other machines. False: there is no room now, and the frame
    /// was not taken. RemotePort::writable() tells when that has changed.
    [[nodiscard]] virtual bool link_send(const network::Frame& frame) = 0;
    /// There may be room now for a frame that RemotePort::receive() did not
    /// take.
    virtual void link_ready() = 0;
};

} // namespace auklet
