// SPDX-License-Identifier: MIT
// TCP: connections, and what their owner does with them.

#include "icmp.hpp"
#include "tcp_connection.hpp"

#include <utility>

namespace auklet::network {

namespace {

/// Milliseconds from the backend's failure to the guest's. Linux does not end a
/// connect() by an ICMP that comes while connect() still holds the socket: it
/// notes it, and sends its SYN again after a second. An error that comes after
/// microseconds often does, and no real network has such.
constexpr double failure_delay = 2;

/// RFC 6056: ports of connections to the guest.
constexpr std::uint16_t first_port = 49'152;

} // namespace

Tcp::Tcp(Wire& wire, FlowBackend& backend, TimerQueue& timers, Random& random)
    : wire_(wire), backend_(backend), timers_(timers), hash_(random) {}

Tcp::~Tcp() = default;

Tcp::Connection* Tcp::find(FlowId id) {
    auto found = connections_.find(id);
    return found == connections_.end() ? nullptr : found->second.get();
}

Tcp::Connection& Tcp::add(FlowId id, const Ends& ends, const Mac& mac) {
    auto& connection = *connections_.emplace(id, std::make_unique<Connection>(*this, id, ends, mac)).first->second;
    by_ends_.emplace(ends, &connection);
    // RFC 6528: a connection's numbers go on from those of an earlier one with
    // the same ends, and nobody else can guess them.
    std::array<std::uint64_t, 5> words{};
    for (std::size_t index = 0; index < 4; ++index)
        words[index] = get<std::uint64_t>(index < 2 ? ends.guest.bytes : ends.far.bytes, index % 2 * 8);
    words[4] = static_cast<std::uint64_t>(ends.guest_port) << 16 | ends.far_port;
    const auto microseconds4 = static_cast<std::uint64_t>(timers_.now() * 250);
    const auto number = static_cast<std::uint32_t>(hash_(words) + microseconds4);
    connection.acknowledged = connection.sent = connection.highest = connection.recover = number;
    return connection;
}

void Tcp::remove(Connection& connection) {
    // A guest may make and drop connections, and never give the link room.
    if (connection.blocked)
        std::erase(blocked_, connection.id);
    by_ends_.erase(connection.ends);
    connections_.erase(connection.id);
}

void Tcp::close(Connection& connection, bool reset) {
    const auto id = connection.id;
    const bool given_up = connection.failure.has_value();
    remove(connection);
    if (!given_up)
        backend_.flow_closed(id, reset);
}

void Tcp::room() {
    // Those that still find no room put themselves on the list again. All have
    // their turn: they may go to different machines.
    for (auto id : std::exchange(blocked_, {}))
        if (auto* connection = find(id); connection != nullptr) {
            connection->blocked = false;
            settle(*connection);
        }
}

void Tcp::learned(const Address& address) {
    for (auto& [ends, connection] : by_ends_)
        if (ends.guest == address && connection->state == Connection::State::calling)
            call(*connection);
}

void Tcp::removed(const Mac& mac) {
    std::vector<FlowId> gone;
    for (auto& [id, connection] : connections_)
        if (connection->mac == mac)
            gone.push_back(id);
    for (auto id : gone)
        close(*find(id), true);
}

// ---- for the owner ----------------------------------------------------------

void Tcp::opened(FlowId id, std::size_t room) {
    auto* connection = find(id);
    if (connection == nullptr || connection->state != Connection::State::opening || connection->failure)
        return;
    connection->state = Connection::State::answering;
    connection->room = room;
    settle(*connection);
}

void Tcp::failed(FlowId id, FlowError error) {
    auto* connection = find(id);
    if (connection == nullptr || connection->state != Connection::State::opening || connection->failure)
        return;
    if (error == FlowError::refused) {
        reset(*connection);
        remove(*connection);
        return;
    }
    connection->failure = error;
    connection->delayed_answer.set(failure_delay);
}

void Tcp::tell_failure(Connection& connection) {
    send_unreachable(wire_, connection.mac, connection.ends, protocol_tcp, connection.expected - 1,
                     reason_of(*connection.failure));
    remove(connection);
}

bool Tcp::incoming(FlowId id, const Address& guest, std::uint16_t port, std::size_t room) {
    if (connections_.size() >= most_connections || connections_.contains(id) || id >= first_guest_flow || port == 0 ||
        !wire_.settings.is_guest(guest))
        return false;
    Ends ends{guest, guest.is_v4() ? wire_.settings.gateway : wire_.settings.gateway6, port, 0};
    // There are far more ports than connections, so one is always free.
    do
        ends.far_port = static_cast<std::uint16_t>(first_port + next_port_++ % (65'536 - first_port));
    while (by_ends_.contains(ends));
    auto& connection = add(id, ends, {});
    connection.state = Connection::State::calling;
    connection.room = room;
    call(connection);
    return true;
}

std::size_t Tcp::data(FlowId id, Bytes bytes) {
    auto* connection = find(id);
    if (connection == nullptr || connection->far_finished)
        return 0;
    const std::size_t taken = connection->output.append(bytes);
    settle(*connection);
    return taken;
}

void Tcp::writable(FlowId id, std::size_t room) {
    auto* connection = find(id);
    if (connection == nullptr)
        return;
    connection->room = room;
    if (connection->state != Connection::State::open || connection->guest_finished)
        return;
    // The guest hears of it when that is worth a segment (RFC 9293, 3.8.6.2.2).
    const auto known = static_cast<std::int32_t>(connection->told_edge - connection->expected);
    const auto gain = static_cast<std::int32_t>(connection->offered_window()) - known;
    const auto segment = static_cast<std::int32_t>(connection->segment);
    if (gain >= 2 * segment || (gain > 0 && known < segment))
        connection->answer_due = true;
    settle(*connection);
}

void Tcp::finished(FlowId id) {
    auto* connection = find(id);
    if (connection == nullptr)
        return;
    connection->far_finished = true;
    settle(*connection);
}

void Tcp::aborted(FlowId id) {
    auto* connection = find(id);
    if (connection == nullptr || connection->failure)
        return;
    reset(*connection);
    remove(*connection);
}

} // namespace auklet::network
