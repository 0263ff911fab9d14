// SPDX-License-Identifier: MIT
// What a machine's network cards are connected to.
#pragma once

#include "../backends/flows.hpp"
#include "../backends/names.hpp"
#include "remote_port.hpp"
#include "switch.hpp"
#include "translator.hpp"

#include <string>

namespace auklet::network {

/// A switch, the translator on it, and maybe a way to other machines.
class LocalNetwork {
  public:
    /// All of these outlive the network.
    LocalNetwork(Clock& clock, TimerQueue& timers, Random& random, FlowBackend& flows, NameBackend& names,
                 const Settings& settings);

    [[nodiscard]] Switch& link() { return switch_; }
    [[nodiscard]] Translator& translator() { return translator_; }
    /// Lets the machine reach others. Called once at most.
    void add_remote(LinkBackend& backend, const RemoteDescription& description);
    /// Null before that.
    [[nodiscard]] RemotePort* remote() { return remote_ ? &*remote_ : nullptr; }
    /// A line of text.
    [[nodiscard]] std::string diagnostics() const;

  private:
    const Settings settings_;
    Switch switch_;
    Translator translator_;
    std::optional<RemotePort> remote_;
};

} // namespace auklet::network
