// SPDX-License-Identifier: MIT
// TCP: segments from the guests.

#include "icmp.hpp"
#include "tcp_connection.hpp"

#include <utility>

namespace auklet::network {

namespace {

// RFC 9293, section 3.1: kinds of options
constexpr std::uint8_t option_end = 0;
constexpr std::uint8_t option_nothing = 1;
constexpr std::uint8_t option_segment = 2;
constexpr std::uint8_t option_scale = 3;
constexpr std::uint8_t largest_shift = 14; // RFC 7323, section 2.3

/// No real peer has smaller segments, and a hostile one would have many frames
/// for a few bytes.
constexpr std::size_t smallest_segment = 536;
/// Behind a gap there is up to a window. Without it, a guest finds out one
/// segment a round trip what else it has to send again.
constexpr std::size_t largest_held = Tcp::largest_window * 9 / 8;
/// Milliseconds. RFC 9293, 3.8.6.3: less than 500.
constexpr double answer_delay = 40;
/// RFC 5681 has three, because networks change the order. This link does not.
constexpr std::uint8_t most_duplicates = 2;

} // namespace

std::optional<TcpSegment> TcpSegment::parse(Bytes bytes) {
    if (bytes.size() < tcp_header)
        return std::nullopt;
    const std::size_t header = (get8(bytes, 12) >> 4) * 4U;
    if (header < tcp_header || header > bytes.size())
        return std::nullopt;
    return TcpSegment{get16(bytes, 0),
                      get16(bytes, 2),
                      get32(bytes, 4),
                      get32(bytes, 8),
                      get8(bytes, 13),
                      get16(bytes, 14),
                      bytes.first(header).subspan(tcp_header),
                      bytes.subspan(header)};
}

void Tcp::Connection::take_options(const TcpSegment& syn) {
    const std::size_t largest = tcp.wire_.settings.mtu - (route().headers() - ethernet_size) - tcp_header;
    std::size_t offered = ends.guest.is_v4() ? 536 : 1220; // RFC 9293, 3.7.1
    scaled = false;
    shift = 0;
    for (auto options = syn.options; !options.empty() && get8(options, 0) != option_end;) {
        if (get8(options, 0) == option_nothing) {
            options = options.subspan(1);
            continue;
        }
        if (options.size() < 2 || get8(options, 1) < 2 || get8(options, 1) > options.size())
            break;
        const auto kind = get8(options, 0);
        const auto size = get8(options, 1);
        if (kind == option_segment && size == 4)
            offered = get16(options, 2);
        if (kind == option_scale && size == 3) {
            scaled = true;
            shift = std::min(get8(options, 2), largest_shift);
        }
        options = options.subspan(size);
    }
    segment = std::clamp(offered, smallest_segment, largest);
    // The window of a SYN is never scaled.
    window = largest_offered = syn.window;
    expected = told = told_edge = syn.sequence + 1;
}

void Tcp::take(const Packet& packet) {
    const auto segment = TcpSegment::parse(packet.payload);
    if (!segment || !checksum_is_right(packet) || (segment->has(tcp_syn) && segment->has(tcp_fin | tcp_rst)))
        return;
    const Ends ends{packet.source, packet.destination, segment->source_port, segment->destination_port};
    auto found = by_ends_.find(ends);
    if (found == by_ends_.end())
        return take_new(packet, *segment, ends);
    auto& connection = *found->second;
    switch (connection.state) {
    case Connection::State::opening:
        // The guest has heard nothing. It may have given up, and begun anew.
        if (segment->has(tcp_rst) && segment->sequence == connection.expected)
            return close(connection, true);
        if (segment->has(tcp_syn) && !segment->has(tcp_ack))
            connection.take_options(*segment);
        return;
    case Connection::State::calling:
        connection.mac = packet.sender;
        return take_calling(connection, *segment);
    default:
        connection.mac = packet.sender;
        return take_segment(connection, *segment);
    }
}

void Tcp::take_new(const Packet& packet, const TcpSegment& segment, const Ends& ends) {
    if (segment.has(tcp_rst))
        return;
    if (!segment.has(tcp_syn) || segment.has(tcp_ack) || segment.destination_port == 0 || segment.source_port == 0 ||
        connections_.size() >= most_connections)
        return refuse(answer_to(packet), segment);
    while (connections_.contains(next_id_))
        next_id_ = next_id_ + 1 == first_datagram_flow ? first_guest_flow : next_id_ + 1;
    auto& connection = add(next_id_, ends, packet.sender);
    next_id_ = next_id_ + 1 == first_datagram_flow ? first_guest_flow : next_id_ + 1;
    connection.take_options(segment);
    backend_.flow_open(connection.id, FlowKind::stream, ends.far, ends.far_port);
}

/// RFC 9293, 3.10.7.3. Both ends of a connection call each other only if they
/// have agreed on ports before; the translator's are its own choice.
void Tcp::take_calling(Connection& connection, const TcpSegment& segment) {
    // A SYN that was sent is answered even if the link has no room for another.
    const bool good = segment.has(tcp_ack) && connection.highest != connection.acknowledged &&
                      segment.acknowledgement == connection.acknowledged + 1;
    if (segment.has(tcp_rst)) {
        if (good)
            close(connection, true);
        return;
    }
    if (segment.has(tcp_ack) && !good)
        return refuse(connection.route(), segment);
    if (!good || !segment.has(tcp_syn))
        return;
    connection.take_options(segment);
    connection.acknowledged = connection.sent = connection.highest = connection.recover = segment.acknowledgement;
    connection.state = Connection::State::open;
    connection.unanswered = connection.backoff = 0;
    connection.retransmission.cancel();
    connection.answer_due = true;
    backend_.flow_opened(connection.id);
    settle(connection);
}

/// RFC 9293, 3.10.7.4, with the checks of RFC 5961.
void Tcp::take_segment(Connection& connection, const TcpSegment& segment) {
    if (connection.state == Connection::State::answering && segment.has(tcp_syn) &&
        segment.sequence + 1 == connection.expected) {
        // It has missed the answer to its SYN.
        connection.sent = connection.acknowledged;
        return settle(connection);
    }
    // One byte is always welcome: a probe is answered, and a FIN needs no room.
    const std::uint32_t window = std::max(connection.offered_window(), 1U);
    const std::uint32_t from = segment.sequence - connection.expected;
    const std::uint32_t length = segment.length();
    if (from >= window && (length == 0 || from + length - 1 >= window)) {
        if (segment.has(tcp_rst))
            return;
        connection.answer_due = true;
        return settle(connection);
    }
    if (segment.has(tcp_rst) && segment.sequence == connection.expected)
        return close(connection, true);
    if (segment.has(tcp_rst | tcp_syn)) {
        connection.answer_due = true;
        return settle(connection);
    }
    if (!segment.has(tcp_ack) || !take_acknowledgement(connection, segment))
        return;
    if (length != 0)
        take_data(connection, segment);
    settle(connection);
}

/// False: the segment is not to be used.
bool Tcp::take_acknowledgement(Connection& connection, const TcpSegment& segment) {
    const std::uint32_t number = segment.acknowledgement;
    if (connection.state == Connection::State::answering) {
        if (number != connection.acknowledged + 1 || connection.highest == connection.acknowledged) {
            refuse(connection.route(), segment);
            return false;
        }
        connection.state = Connection::State::open;
        connection.acknowledged = connection.sent = connection.highest = connection.recover = number;
        connection.backoff = 0;
        connection.retransmission.cancel();
        // The room may have come since the guest was told that there is none.
        connection.answer_due = connection.told_edge == connection.expected && connection.room != 0;
    } else if (after(number, connection.highest) ||
               before(number, connection.acknowledged - connection.largest_offered)) {
        connection.answer_due = true;
        settle(connection);
        return false;
    }
    connection.unanswered = 0;
    const std::uint32_t window = static_cast<std::uint32_t>(segment.window) << connection.shift;
    if (after(number, connection.acknowledged)) {
        const std::uint32_t count = number - connection.acknowledged;
        const std::size_t bytes = std::min<std::size_t>(count, connection.output.size());
        connection.fin_acknowledged = count > bytes;
        connection.output.drop(bytes);
        connection.acknowledged = number;
        if (before(connection.sent, number))
            connection.sent = number;
        if (before(connection.recover, number))
            connection.recover = number;
        connection.duplicates = connection.backoff = 0;
        connection.retransmission.cancel();
        if (bytes != 0)
            backend_.flow_consumed(connection.id, bytes);
    } else if (number == connection.acknowledged && segment.length() == 0 && window == connection.window &&
               connection.in_flight() != 0 && connection.acknowledged == connection.recover &&
               ++connection.duplicates == most_duplicates) {
        connection.duplicates = 0;
        connection.recover = connection.highest;
        connection.sent = connection.acknowledged;
    }
    if (!before(number, connection.acknowledged)) {
        if (connection.window == 0 && window != 0) {
            // The timer was for probes. What is sent now has its own.
            connection.backoff = 0;
            connection.retransmission.cancel();
        }
        connection.window = window;
        connection.largest_offered = std::max(connection.largest_offered, window);
    }
    return true;
}

void Tcp::take_data(Connection& connection, const TcpSegment& segment) {
    if (connection.guest_finished) {
        connection.answer_due = true;
        return;
    }
    if (after(segment.sequence, connection.expected)) {
        connection.answer_due = true;
        return hold(connection, segment);
    }
    const std::uint32_t before_this = connection.expected;
    hand_on(connection, segment.sequence, segment.data, segment.has(tcp_fin));
    while (!connection.held.empty() && !after(connection.held.front().sequence, connection.expected)) {
        const auto held = std::move(connection.held.front());
        connection.held.pop_front();
        connection.held_cost -= held.cost();
        budget_.give_back(held.cost());
        hand_on(connection, held.sequence, held.bytes, held.fin);
        connection.answer_due = true;
    }
    // A sender that has nothing more waits for the answer, and so may one with
    // less than a full segment (RFC 1122, 4.2.3.4).
    if (connection.expected == before_this || segment.has(tcp_psh) || segment.data.size() < connection.segment ||
        connection.expected - connection.told >= 2 * connection.segment)
        connection.answer_due = true;
    else if (!connection.delayed_answer.is_set())
        connection.delayed_answer.set(answer_delay);
}

void Tcp::hold(Connection& connection, const TcpSegment& segment) {
    auto& held = connection.held;
    // It is the last one as a rule.
    auto place = held.end();
    while (place != held.begin() && after(std::prev(place)->sequence, segment.sequence))
        --place;
    if (place != held.begin() && std::prev(place)->sequence == segment.sequence)
        return;
    Connection::Held next{segment.sequence, {segment.data.begin(), segment.data.end()}, segment.has(tcp_fin)};
    if (connection.held_cost + next.cost() > largest_held || !budget_.take(next.cost()))
        return;
    connection.held_cost += next.cost();
    held.insert(place, std::move(next));
}

/// Data that begins at `expected`, or before.
void Tcp::hand_on(Connection& connection, std::uint32_t sequence, Bytes data, bool fin) {
    const std::uint32_t known = connection.expected - sequence;
    if (known > data.size() || connection.guest_finished)
        return;
    data = data.subspan(known);
    const std::size_t count = std::min<std::size_t>(data.size(), connection.room);
    if (count != 0) {
        connection.room = backend_.flow_send(connection.id, data.first(count));
        connection.expected += static_cast<std::uint32_t>(count);
    }
    if (count < data.size()) {
        connection.answer_due = true;
        return;
    }
    if (!fin)
        return;
    ++connection.expected;
    connection.guest_finished = true;
    connection.answer_due = true;
    connection.delayed_answer.set(half_open_check);
    backend_.flow_finish(connection.id);
}

void Tcp::refuse(const Route& back, const TcpSegment& segment) {
    // RFC 9293, 3.10.7.1
    const bool has_ack = segment.has(tcp_ack);
    send_reset(back, segment.destination_port, segment.source_port, has_ack ? segment.acknowledgement : 0,
               has_ack ? 0 : segment.sequence + segment.length(), has_ack ? tcp_rst : tcp_rst | tcp_ack);
}

} // namespace auklet::network
