// SPDX-License-Identifier: MIT
// Datagrams of UDP (RFC 768), and the flows that guests make of them.
#pragma once

#include "../backends/flows.hpp"
#include "../timer_queue.hpp"
#include "ip.hpp"

#include <map>

namespace auklet::network {

/// One that was received.
struct Datagram {
    std::uint16_t source_port, destination_port;
    Bytes data;

    /// Returns nothing if the sum or a length is wrong.
    [[nodiscard]] static std::optional<Datagram> parse(const Packet& packet);
};

void send_datagram(Wire& wire, const Route& route, std::uint16_t from, std::uint16_t to, Bytes data);

/// A flow is what goes between two ports. It ends when nothing has come for a
/// while, as in a NAT (RFC 4787).
class Udp {
  public:
    Udp(Wire& wire, FlowBackend& backend, TimerQueue& timers)
        : wire_(wire), backend_(backend), timers_(timers), timer_(timers, &Udp::expire, this) {}

    /// A new one takes the place of the one that was idle for longest.
    static constexpr std::size_t most_flows = 512;
    static constexpr double idle_limit = 60'000; ///< milliseconds
    static constexpr double idle_limit_dns = 10'000;

    void take(const Packet& packet, const Datagram& datagram);
    void removed(const Mac& mac);
    [[nodiscard]] std::size_t count() const { return flows_.size(); }

    // For the owner: see Translator.
    void failed(FlowId id, FlowError error);
    [[nodiscard]] std::size_t data(FlowId id, Bytes bytes);
    void aborted(FlowId id);

  private:
    struct Flow {
        Ends ends;
        Mac mac;
        double used; ///< the last time
        [[nodiscard]] double end() const { return used + (ends.far_port == 53 ? idle_limit_dns : idle_limit); }
    };
    using Flows = std::map<FlowId, Flow>;

    static void expire(void* self);
    void remove(Flows::iterator flow);
    void close(Flows::iterator flow);

    Wire& wire_;
    FlowBackend& backend_;
    TimerQueue& timers_;
    Timer timer_;
    Flows flows_;
    std::map<Ends, FlowId> by_ends_;
    FlowId next_id_ = first_datagram_flow;
};

} // namespace auklet::network
