// SPDX-License-Identifier: MIT
// What a machine's network cards are connected to.

#include "local_network.hpp"

#include "../error.hpp"

namespace auklet::network {

LocalNetwork::LocalNetwork(Clock& clock, TimerQueue& timers, Random& random, FlowBackend& flows, NameBackend& names,
                           const Settings& settings)
    : switch_(clock), translator_(flows, names, timers, random, settings) {
    // The switch has no other port yet, so nobody has this address. The
    // translator keeps what finds no room, so its connections lose nothing.
    (void)switch_.attach(translator_, WhenFull::wait, settings.mac);
    translator_.attach(switch_);
}

std::string LocalNetwork::diagnostics() const {
    const auto [connections, flows, questions] = translator_.counts();
    const auto& [forwarded, flooded, lost, refused] = switch_.counters();
    return text_of("network: connections ", connections, ", flows of datagrams ", flows, ", questions ", questions,
                   "; frames forwarded ", forwarded, ", flooded ", flooded, ", lost ", lost, ", refused ", refused,
                   "\n");
}

} // namespace auklet::network
