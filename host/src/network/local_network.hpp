// SPDX-License-Identifier: MIT
// What a machine's network cards are connected to.
#pragma once

#include "../backends/flows.hpp"
#include "../backends/names.hpp"
#include "switch.hpp"
#include "translator.hpp"

#include <string>

namespace auklet::network {

/// A switch, and the translator on it.
class LocalNetwork {
  public:
    /// All of these outlive the network.
    LocalNetwork(Clock& clock, TimerQueue& timers, Random& random, FlowBackend& flows, NameBackend& names,
                 const Settings& settings);

    [[nodiscard]] Switch& link() { return switch_; }
    [[nodiscard]] Translator& translator() { return translator_; }
    /// A line of text.
    [[nodiscard]] std::string diagnostics() const;

  private:
    Switch switch_;
    Translator translator_;
};

} // namespace auklet::network
