// SPDX-License-Identifier: MIT
// The translator: a port of the link that stands for all hosts outside of it,
// and ends the guests' connections.
#pragma once

#include "neighbours.hpp"
#include "reassembly.hpp"

namespace auklet::network {

class Translator final : public Port {
  public:
    Translator(TimerQueue& timers, const Settings& settings) : wire_(*this, settings), reassembly_(timers) {}

    /// The link outlives the translator.
    void attach(Link& link) { wire_.attach(&link); }
    /// What the card with this MAC has accepted. Before this, it is taken for
    /// one without offloads.
    void set_abilities(const Mac& mac, Abilities abilities) { wire_.set_abilities(mac, abilities); }

    [[nodiscard]] bool deliver(const Frame& frame) override;
    void room() override;

  private:
    void take_packet(const Packet& packet);
    void take_icmp6(const Packet& packet);
    /// Whether a machine of the link may have sent it, and the translator has
    /// to do with it.
    [[nodiscard]] bool is_valid(const Packet& packet) const;

    Wire wire_;
    Reassembly reassembly_;
};

} // namespace auklet::network
