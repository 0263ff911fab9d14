// SPDX-License-Identifier: MIT
// The switch's port to other machines and networks, which are elsewhere: in
// another worker, in another tab, or behind a relay.
#pragma once

#include "../backends/links.hpp"
#include "offload.hpp"
#include "port.hpp"
#include "settings.hpp"

#include <vector>

namespace auklet::network {

struct RemoteDescription {
    /// Whether the far side takes frames with offloads. Without, it gets their
    /// segments, and may send none.
    bool offloads = true;
    std::uint16_t mtu = 1500; ///< bytes of IP in a frame, or in its segments
};

/// Nothing that comes from the far side is trusted.
class RemotePort final : public Port {
  public:
    /// All outlive the port. With `translator`, nobody outside may pass himself
    /// off as that.
    RemotePort(Link& link, LinkBackend& backend, const RemoteDescription& description, const Settings* translator)
        : link_(link), backend_(backend), description_(description), translator_(translator) {}

    [[nodiscard]] bool deliver(const Frame& frame) override;
    void room() override { backend_.link_ready(); }

    // For the owner.

    /// A frame from outside, and what it says of itself. False: it was not
    /// taken, because its receiver has no room. LinkBackend::link_ready()
    /// tells when it may have. What is wrong is dropped, and counts as taken.
    [[nodiscard]] bool receive(const Offload& claimed, Bytes bytes);
    /// The far side has room again.
    void writable() { link_.room(*this); }

    struct Counters {
        std::uint64_t sent = 0; ///< frames, or segments of them
        std::uint64_t received = 0;
        std::uint64_t refused = 0; ///< frames from outside that are not right
        std::uint64_t dropped = 0; ///< segments for which there was no room
    };
    [[nodiscard]] const Counters& counters() const { return counters_; }

  private:
    Link& link_;
    LinkBackend& backend_;
    RemoteDescription description_;
    const Settings* translator_;
    std::vector<std::byte> segment_;
    Counters counters_;
};

} // namespace auklet::network
