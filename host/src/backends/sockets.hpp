// SPDX-License-Identifier: MIT
// What the socket device needs from outside: the owner's ends of its
// connections.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace auklet {

/// The number of a connection of the socket device. The owner chooses those of
/// the connections that it opens: they are below first_accepted. The device
/// chooses those of the connections that a program in the guest opens, from
/// first_accepted on.
using ConnectionId = std::uint32_t;
inline constexpr ConnectionId first_accepted = 1U << 31;

/// A call must not come back into the machine before it returns.
class SocketBackend {
  public:
    virtual ~SocketBackend() = default;

    /// A program in the guest accepted a connection that the owner opened.
    virtual void socket_opened(ConnectionId id) = 0;
    /// A program in the guest connected to `port`, on which the owner listens.
    virtual void socket_accepted(ConnectionId id, std::uint32_t port) = 0;
    /// The program sent these bytes.
    virtual void socket_data(ConnectionId id, std::span<const std::byte> bytes) = 0;
    /// `count` more bytes from the owner have gone to the guest.
    virtual void socket_sent(ConnectionId id, std::size_t count) = 0;
    /// The program sends nothing more.
    virtual void socket_ended(ConnectionId id) = 0;
    /// The connection is gone, and its number is free. `reset` tells that one
    /// of the ends cut it off, or that nobody listened.
    virtual void socket_closed(ConnectionId id, bool reset) = 0;
};

} // namespace auklet
