// SPDX-License-Identifier: MIT
// What the network needs from outside: the far ends of the guests' connections.
#pragma once

#include "../network/address.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace auklet {

/// The number of a flow: a connection of TCP, or the datagrams between two
/// ports of UDP. The owner chooses those of the connections that it opens: they
/// are below first_guest_flow. The translator chooses those of what guests
/// open.
using FlowId = std::uint32_t;
inline constexpr FlowId first_guest_flow = 1U << 31;
inline constexpr FlowId first_datagram_flow = 3U << 30;

enum class FlowKind : std::uint8_t { stream, datagrams };

/// Why a flow did not open.
enum class FlowError : std::uint8_t { refused, unreachable, timed_out, prohibited };

/// The far side. Its answers are functions of network::Translator with the same
/// names in short.
///
/// Each direction of a stream has the credit of its receiver, so that no queue
/// is without a bound. A call must not come back into the machine before it
/// returns.
class FlowBackend {
  public:
    virtual ~FlowBackend() = default;

    /// Connects. opened() or failed() follows, for datagrams too. The gateway's
    /// address stands for this computer. The backend decides whom a guest may
    /// reach.
    virtual void flow_open(FlowId id, FlowKind kind, const network::Address& address, std::uint16_t port) = 0;
    /// A program in the guest accepted what the owner has opened by incoming().
    virtual void flow_opened(FlowId id) = 0;
    /// Bytes of the guest's: of a stream never more than there is room for, of
    /// datagrams one. Returns how many more the backend has room for.
    /// writable() tells when that has grown. A datagram without room is lost.
    /// Some may come before opened(): the first is what the flow was opened
    /// for.
    [[nodiscard]] virtual std::size_t flow_send(FlowId id, std::span<const std::byte> bytes) = 0;
    /// The guest sends nothing more on this stream. The other direction goes
    /// on.
    virtual void flow_finish(FlowId id) = 0;
    /// The guest has got `count` more bytes of data(): there may be room again.
    virtual void flow_consumed(FlowId id, std::size_t count) = 0;
    /// The flow is gone, and its number is free. `reset` tells that it was cut
    /// off: what is under way is lost. Not called after failed() and aborted().
    virtual void flow_closed(FlowId id, bool reset) = 0;
};

} // namespace auklet
