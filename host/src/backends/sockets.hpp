// SPDX-License-Identifier: MIT
// What the socket device needs from outside: the owner's ends of its connections.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace auklet {

/// A connection of the socket device. The owner chooses the numbers of those that it opens, below first_accepted; the
/// device numbers those that a program in the guest opens, from there on.
using ConnectionId = std::uint32_t;
inline constexpr ConnectionId first_accepted = 1U << 31;

/// Calls must not come back into the machine before they return.
class SocketBackend {
  public:
    virtual ~SocketBackend() = default;

    /// A program in the guest accepted a connection of the owner's.
    virtual void socket_opened(ConnectionId id) = 0;
    /// A program in the guest connected to `port`, on which the owner listens.
    virtual void socket_accepted(ConnectionId id, std::uint32_t port) = 0;
    /// The program sent these bytes.
    virtual void socket_data(ConnectionId id, std::span<const std::byte> bytes) = 0;
    /// So many bytes from the owner are with the guest now.
    virtual void socket_sent(ConnectionId id, std::size_t count) = 0;
    /// The program sends nothing more.
    virtual void socket_ended(ConnectionId id) = 0;
    /// The connection is gone, and so is its number. `reset` if an end cut it off, or nobody listened.
    virtual void socket_closed(ConnectionId id, bool reset) = 0;
};

} // namespace auklet
