// SPDX-License-Identifier: MIT
// The translator: a port of the link that stands for all hosts outside of it,
// and ends the guests' connections.
#pragma once

#include "neighbours.hpp"
#include "reassembly.hpp"
#include "tcp.hpp"
#include "udp.hpp"

namespace auklet::network {

class Translator final : public Port {
  public:
    Translator(FlowBackend& backend, TimerQueue& timers, Random& random, const Settings& settings)
        : wire_(*this, settings), reassembly_(timers), tcp_(wire_, backend, timers, random),
          udp_(wire_, backend, timers) {}

    /// The link outlives the translator.
    void attach(Link& link) { wire_.attach(&link); }
    /// What the card with this MAC has accepted. Before this, it is taken for
    /// one without offloads.
    void set_abilities(const Mac& mac, Abilities abilities) { wire_.set_abilities(mac, abilities); }

    /// The card with this MAC is gone: its flows are cut off.
    void removed(const Mac& mac);

    // For the owner. These functions ignore a number that they do not know: its
    // flow may just have gone.

    /// The far side of flow_open() is there, and has room for so many bytes: at
    /// least 64 KiB, to be of use.
    void opened(FlowId id, std::size_t room);
    /// It is not there, and the number is free. The guest hears why. Of
    /// datagrams, this may come later, too.
    void failed(FlowId id, FlowError error);
    /// Connects to a port of a guest. flow_opened() or flow_closed() follows,
    /// unless this is false: the number is in use or is not the owner's, the
    /// address is no guest's, or there are too many connections.
    [[nodiscard]] bool incoming(FlowId id, const Address& guest, std::uint16_t port, std::size_t room);
    /// Bytes from the far side: of a stream, or one datagram. Returns how many
    /// were taken. The rest of a stream may come after flow_consumed().
    [[nodiscard]] std::size_t data(FlowId id, Bytes bytes);
    /// The far side has room for so many bytes in all now.
    void writable(FlowId id, std::size_t room);
    /// The far side sends nothing more on this stream.
    void finished(FlowId id);
    /// The far side has cut it off. The number is free.
    void aborted(FlowId id);

    [[nodiscard]] bool deliver(const Frame& frame) override;
    void room() override;

  private:
    void take_packet(const Packet& packet);
    void take_icmp6(const Packet& packet);
    /// Whether a machine of the link may have sent it, and the translator has
    /// to do with it.
    [[nodiscard]] bool is_valid(const Packet& packet) const;
    void take_transport(const Packet& packet);
    void learned(const std::optional<Address>& address);

    Wire wire_;
    Reassembly reassembly_;
    Tcp tcp_;
    Udp udp_;
};

} // namespace auklet::network
