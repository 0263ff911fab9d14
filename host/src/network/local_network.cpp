// SPDX-License-Identifier: MIT
// What a machine's network cards are connected to.

#include "local_network.hpp"

#include "../error.hpp"

namespace auklet::network {

LocalNetwork::LocalNetwork(Clock& clock, TimerQueue& timers, Random& random, FlowBackend& flows, NameBackend& names,
                           const Settings& settings)
    : settings_(settings), switch_(clock), translator_(flows, names, timers, random, settings) {
    if (!settings.translates)
        return;
    // The switch has no other port yet, so nobody has this address. The
    // translator keeps what finds no room, so its connections lose nothing.
    (void)switch_.attach(translator_, WhenFull::wait, settings.mac, Side::inside);
    translator_.attach(switch_);
}

void LocalNetwork::add_remote(LinkBackend& backend, const RemoteDescription& description) {
    remote_.emplace(switch_, backend, description, settings_.translates ? &settings_ : nullptr);
    // The backend says when a machine has stood still for too long.
    (void)switch_.attach(*remote_, WhenFull::wait, {}, Side::outside);
}

std::string LocalNetwork::diagnostics() const {
    const auto [connections, flows, questions] = translator_.counts();
    const auto& [forwarded, flooded, lost, refused] = switch_.counters();
    return text_of("network: connections ", connections, ", flows of datagrams ", flows, ", questions ", questions,
                   "; frames forwarded ", forwarded, ", flooded ", flooded, ", lost ", lost, ", refused ", refused,
                   "\n");
}

} // namespace auklet::network
