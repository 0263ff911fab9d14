// SPDX-License-Identifier: MIT
// The translator: a port of the link that stands for all hosts outside of it,
// and ends the guests' connections.
#pragma once

#include "dhcp.hpp"
#include "dns.hpp"
#include "neighbours.hpp"
#include "reassembly.hpp"
#include "tcp.hpp"

namespace auklet::network {

class Translator final : public Port {
  public:
    /// All of these outlive the translator.
    Translator(FlowBackend& flows, NameBackend& names, TimerQueue& timers, Random& random, const Settings& settings)
        : wire_(*this, settings), reassembly_(timers), tcp_(wire_, flows, timers, random), udp_(wire_, flows, timers),
          dns_(wire_, names, timers), dhcp_(wire_) {}

    /// The link outlives the translator.
    void attach(Link& link) { wire_.attach(&link); }

    /// The card with this MAC is gone: its flows are cut off.
    void removed(const Mac& mac);

    /// What there is of each now.
    struct Counts {
        std::size_t connections, flows, questions;
    };
    [[nodiscard]] Counts counts() const { return {tcp_.count(), udp_.count(), dns_.count()}; }

    // For the owner. These functions ignore a number that they do not know: its
    // flow may just have gone.

    /// The far side of flow_open() is there, and has room for so many bytes: at
    /// least 64 KiB, to be of use.
    void opened(FlowId id, std::size_t room) { tcp_.opened(id, room); }
    /// It is not there, and the number is free. The guest hears why. Of
    /// datagrams, this may come later, too.
    void failed(FlowId id, FlowError error) {
        tcp_.failed(id, error);
        udp_.failed(id, error);
    }
    /// Connects to a port of a guest. flow_opened() or flow_closed() follows,
    /// unless this is false: the number is in use or is not the owner's, the
    /// address is no guest's, or there are too many connections.
    [[nodiscard]] bool incoming(FlowId id, const Address& guest, std::uint16_t port, std::size_t room) {
        return tcp_.incoming(id, guest, port, room);
    }
    /// Bytes from the far side: of a stream, or one datagram. Returns how many
    /// were taken. The rest of a stream may come after flow_consumed().
    [[nodiscard]] std::size_t data(FlowId id, Bytes bytes) {
        return id < first_datagram_flow ? tcp_.data(id, bytes) : udp_.data(id, bytes);
    }
    /// The far side has room for so many bytes in all now.
    void writable(FlowId id, std::size_t room) { tcp_.writable(id, room); }
    /// The far side sends nothing more on this stream.
    void finished(FlowId id) { tcp_.finished(id); }
    /// The far side has cut it off. The number is free.
    void aborted(FlowId id) {
        tcp_.aborted(id);
        udp_.aborted(id);
    }

    /// The answer to NameBackend::resolve(): addresses, which may be of both
    /// versions, and for how many seconds they are good.
    void resolved(QuestionId id, NameError error, std::span<const Address> addresses, std::uint32_t seconds) {
        dns_.resolved(id, error, addresses, seconds);
    }
    /// The answer to NameBackend::ask(): a message of DNS. An empty one says
    /// that there is none.
    void answered(QuestionId id, Bytes message) { dns_.answered(id, message); }

    [[nodiscard]] bool deliver(const Frame& frame) override;
    void room() override;

  private:
    void take_packet(const Packet& packet);
    void take_icmp6(const Packet& packet);
    /// Whether a machine of the link may have sent it, and the translator has
    /// to do with it.
    [[nodiscard]] bool is_valid(const Packet& packet) const;
    void take_transport(const Packet& packet, const std::optional<Datagram>& datagram);
    void learned(const std::optional<Address>& address);

    Wire wire_;
    Reassembly reassembly_;
    Tcp tcp_;
    Udp udp_;
    Dns dns_;
    Dhcp dhcp_;
};

} // namespace auklet::network
