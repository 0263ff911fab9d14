// SPDX-License-Identifier: MIT
// Datagrams and flows of UDP.

#include "udp.hpp"

#include "icmp.hpp"

namespace auklet::network {

namespace {

constexpr std::size_t header = 8;
constexpr std::size_t checksum_place = 6;

} // namespace

std::optional<Datagram> Datagram::parse(const Packet& packet) {
    auto bytes = packet.payload;
    if (bytes.size() < header)
        return std::nullopt;
    const std::size_t length = get16(bytes, 4);
    if (length < header || length > bytes.size())
        return std::nullopt;
    // With IPv4, 0 is no sum. (A sum of 0 is written as 0xffff.)
    const bool none = packet.source.is_v4() && get16(bytes, checksum_place) == 0;
    auto exact = packet;
    exact.payload = bytes.first(length);
    if (!none && !checksum_is_right(exact))
        return std::nullopt;
    return Datagram{get16(bytes, 0), get16(bytes, 2), exact.payload.subspan(header)};
}

void send_datagram(Wire& wire, const Route& route, std::uint16_t from, std::uint16_t to, Bytes data) {
    Outgoing packet(wire, route, protocol_udp, header + data.size());
    const auto udp = packet.payload();
    put16(udp, 0, from);
    put16(udp, 2, to);
    put16(udp, 4, static_cast<std::uint16_t>(header + data.size()));
    std::ranges::copy(data, udp.begin() + header);
    packet.send(checksum_place, 0xffff);
}

void Udp::take(const Packet& packet, const Datagram& datagram) {
    const Ends ends{packet.source, packet.destination, datagram.source_port, datagram.destination_port};
    if (ends.far_port == 0)
        return send_unreachable(wire_, packet, Unreachable::port);
    auto found = by_ends_.find(ends);
    if (found == by_ends_.end()) {
        if (flows_.size() >= most_flows)
            close(std::ranges::min_element(flows_, {}, [](const auto& flow) { return flow.second.used; }));
        // 2^30 numbers, and few are in use.
        while (flows_.contains(next_id_))
            next_id_ = std::max(first_datagram_flow, next_id_ + 1);
        found = by_ends_.emplace(ends, next_id_).first;
        next_id_ = std::max(first_datagram_flow, next_id_ + 1);
        flows_.emplace(found->second, Flow{ends, packet.sender, timers_.now()});
        backend_.flow_open(found->second, FlowKind::datagrams, ends.far, ends.far_port);
    }
    auto& flow = flows_.find(found->second)->second;
    flow.mac = packet.sender;
    flow.used = timers_.now();
    timer_.set_at_latest(flow.end() - flow.used);
    // Without room it is lost, as it may be on any other way.
    (void)backend_.flow_send(found->second, datagram.data);
}

void Udp::remove(Flows::iterator flow) {
    by_ends_.erase(flow->second.ends);
    flows_.erase(flow);
}

void Udp::close(Flows::iterator flow) {
    const auto id = flow->first;
    remove(flow);
    backend_.flow_closed(id, false);
}

void Udp::expire(void* self) {
    auto& udp = *static_cast<Udp*>(self);
    const double now = udp.timers_.now();
    double next = now + idle_limit;
    for (auto flow = udp.flows_.begin(); flow != udp.flows_.end();) {
        const auto current = flow++;
        if (current->second.end() <= now)
            udp.close(current);
        else
            next = std::min(next, current->second.end());
    }
    if (!udp.flows_.empty())
        udp.timer_.set(next - now);
}

void Udp::removed(const Mac& mac) {
    for (auto flow = flows_.begin(); flow != flows_.end();) {
        const auto current = flow++;
        if (current->second.mac == mac)
            close(current);
    }
}

void Udp::failed(FlowId id, FlowError error) {
    auto found = flows_.find(id);
    if (found == flows_.end())
        return;
    const auto& [ends, mac, used] = found->second;
    send_unreachable(wire_, mac, ends, protocol_udp, header << 16,
                     error == FlowError::refused ? Unreachable::port : reason_of(error));
    remove(found);
}

std::size_t Udp::data(FlowId id, Bytes bytes) {
    auto found = flows_.find(id);
    if (found == flows_.end())
        return 0;
    auto& [ends, mac, used] = found->second;
    used = timers_.now();
    // What no packet can hold is lost.
    if (bytes.size() <= 65'535 - header - (ends.far.is_v4() ? 20 : 0))
        send_datagram(wire_, {mac, ends.far, ends.guest}, ends.far_port, ends.guest_port, bytes);
    return bytes.size();
}

void Udp::aborted(FlowId id) {
    if (auto found = flows_.find(id); found != flows_.end())
        remove(found);
}

} // namespace auklet::network
