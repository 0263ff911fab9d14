// SPDX-License-Identifier: MIT
// The ends of the guests' connections of TCP (RFC 9293).
//
// The peer is a Linux TCP on a link that loses nothing, keeps the order, and
// says when it has no room. So there is no congestion control, and a wait in
// TIME-WAIT protects from nothing. What a switch or another tab may drop is
// sent again.
#pragma once

#include "../backends/flows.hpp"
#include "../timer_queue.hpp"
#include "ip.hpp"
#include "keyed_hash.hpp"
#include "send_buffer.hpp"

#include <map>
#include <memory>
#include <vector>

namespace auklet::network {

struct TcpSegment;

class Tcp {
  public:
    Tcp(Wire& wire, FlowBackend& backend, TimerQueue& timers, Random& random);
    ~Tcp();

    static constexpr std::size_t most_connections = 1024;
    /// Each connection has SendBuffer::smallest besides: 64 MiB in all.
    static constexpr std::size_t shared_memory = 32 * 1024 * 1024;
    static constexpr std::uint32_t largest_window = 1024 * 1024;

    void take(const Packet& packet);
    void room();
    /// The address of somebody on the link is known now.
    void learned(const Address& address);
    /// A machine has left the link.
    void removed(const Mac& mac);

    [[nodiscard]] std::size_t count() const { return connections_.size(); }

    // For the owner: see Translator.
    void opened(FlowId id, std::size_t room);
    void failed(FlowId id, FlowError error);
    [[nodiscard]] bool incoming(FlowId id, const Address& guest, std::uint16_t port, std::size_t room);
    [[nodiscard]] std::size_t data(FlowId id, Bytes bytes);
    void writable(FlowId id, std::size_t room);
    void finished(FlowId id);
    void aborted(FlowId id);

  private:
    struct Connection;

    [[nodiscard]] Connection* find(FlowId id);
    [[nodiscard]] Connection& add(FlowId id, const Ends& ends, const Mac& mac);
    void remove(Connection& connection);
    /// Tells the backend, too.
    void tell_failure(Connection& connection);
    void close(Connection& connection, bool reset);

    void take_new(const Packet& packet, const TcpSegment& segment, const Ends& ends);
    void take_calling(Connection& connection, const TcpSegment& segment);
    void take_segment(Connection& connection, const TcpSegment& segment);
    [[nodiscard]] bool take_acknowledgement(Connection& connection, const TcpSegment& segment);
    void take_data(Connection& connection, const TcpSegment& segment);
    void hold(Connection& connection, const TcpSegment& segment);
    void hand_on(Connection& connection, std::uint32_t sequence, Bytes data, bool fin);

    /// Sends what is due and allowed, and removes a connection that is over.
    /// The connection may be gone then.
    void settle(Connection& connection);
    void push(Connection& connection);
    void call(Connection& connection);
    [[nodiscard]] bool emit(Connection& connection, std::uint32_t sequence, std::size_t length, std::uint8_t flags);
    void send_reset(const Route& route, std::uint16_t from, std::uint16_t to, std::uint32_t sequence,
                    std::uint32_t acknowledgement, std::uint8_t flags);
    void reset(Connection& connection);
    /// Answers a segment that belongs to nothing.
    void refuse(const Route& back, const TcpSegment& segment);
    void resend(Connection& connection);
    void probe(Connection& connection);

    Wire& wire_;
    FlowBackend& backend_;
    TimerQueue& timers_;
    KeyedHash hash_;
    Budget budget_{shared_memory};
    std::map<FlowId, std::unique_ptr<Connection>> connections_;
    std::map<Ends, Connection*> by_ends_;
    std::vector<FlowId> blocked_; ///< those that the link had no room for
    FlowId next_id_ = first_guest_flow;
    std::uint16_t next_port_ = 0;
};

} // namespace auklet::network
