// SPDX-License-Identifier: MIT
// TCP: segments to the guests.

#include "neighbours.hpp"
#include "tcp_connection.hpp"

#include <utility>

namespace auklet::network {

namespace {

/// A window of 1 MiB in 16 bits, in units of 32 bytes.
constexpr std::uint8_t own_shift = 5;
static_assert(Tcp::largest_window >> own_shift <= 65'535);
/// With the headers of IPv6, a packet has at most 65,535 bytes.
constexpr std::size_t most_data = 65'535 - 40 - tcp_header;
constexpr std::size_t syn_options = 8;

// Milliseconds. The round trip takes microseconds, if the guest has a CPU.
constexpr double first_retransmission = 400;
constexpr double last_retransmission = 30'000;
/// After about three minutes in which the guest said nothing, it is gone.
constexpr std::uint8_t most_unanswered = 12;

double delay_of(std::uint8_t backoff) {
    return std::min(last_retransmission, first_retransmission * static_cast<double>(1U << std::min<int>(backoff, 10)));
}

} // namespace

void Tcp::settle(Connection& connection) {
    push(connection);
    if (connection.is_over())
        close(connection, false);
}

void Tcp::push(Connection& connection) {
    using State = Connection::State;
    // A connection that waits for the link's room has its turn in room().
    if (connection.state == State::opening || connection.blocked)
        return;
    const auto send = [&](std::size_t length, std::uint8_t flags) {
        if (!emit(connection, connection.sent, length, flags)) {
            connection.blocked = true;
            blocked_.push_back(connection.id);
            return false;
        }
        const bool counts = (flags & (tcp_syn | tcp_fin)) != 0;
        connection.sent += static_cast<std::uint32_t>(length) + (counts ? 1 : 0);
        if (before(connection.highest, connection.sent))
            connection.highest = connection.sent;
        return true;
    };
    if (connection.state != State::open) {
        if (connection.sent == connection.acknowledged &&
            !send(0, connection.state == State::calling ? tcp_syn : tcp_syn | tcp_ack))
            return;
    } else {
        const std::size_t count = wire_.settings.large_segments ? most_data / connection.segment : 1;
        const std::size_t limit = connection.segment * std::max<std::size_t>(count, 1);
        for (;;) {
            const std::uint32_t flight = connection.in_flight();
            if (flight != 0 && before(connection.sent, connection.recover))
                break;
            const bool fin_unsent = connection.fin_unsent();
            const std::size_t unsent = flight <= connection.output.size() ? connection.output.size() - flight : 0;
            const std::size_t usable = connection.window > flight ? connection.window - flight : 0;
            std::size_t length = std::min({unsent, usable, limit});
            if (length != 0)
                length = std::min(length, connection.output.contiguous(flight));
            // RFC 9293, 3.8.6.2.1: a small rest of a window is not worth it.
            const bool silly = length == usable && length < unsent && length < connection.segment && flight != 0;
            const bool fin = fin_unsent && length == unsent;
            if ((length == 0 && !fin) || silly)
                break;
            std::uint8_t flags = tcp_ack;
            if (length == unsent && length != 0)
                flags |= tcp_psh;
            if (fin)
                flags |= tcp_fin;
            if (!send(length, flags))
                break;
        }
        if (connection.answer_due && !connection.blocked && !emit(connection, connection.answer_number(), 0, tcp_ack)) {
            connection.blocked = true;
            blocked_.push_back(connection.id);
        }
    }
    // Something is under way, or waits for the guest's window.
    const bool waits = connection.in_flight() != 0 ||
                       (!connection.blocked && (connection.output.size() != 0 || connection.fin_unsent()));
    if (!waits)
        connection.retransmission.cancel();
    else if (!connection.retransmission.is_set())
        connection.retransmission.set(delay_of(connection.backoff));
}

/// Asks the guest for a connection, or first the link who the guest is.
void Tcp::call(Connection& connection) {
    if (const auto* mac = wire_.find(connection.ends.guest); mac != nullptr) {
        connection.mac = *mac;
        return settle(connection);
    }
    ask_for_neighbour(wire_, connection.ends.guest);
    if (!connection.retransmission.is_set())
        connection.retransmission.set(delay_of(connection.backoff));
}

/// An old number makes the guest answer. The link may have no room for a probe,
/// and have it for the next.
void Tcp::probe(Connection& connection) { (void)emit(connection, connection.acknowledged - 1, 0, tcp_ack); }

void Tcp::Connection::on_retransmission(Connection& connection) { connection.tcp.resend(connection); }

void Tcp::resend(Connection& connection) {
    if (!connection.blocked && ++connection.unanswered > most_unanswered) {
        reset(connection);
        return close(connection, true);
    }
    if (connection.backoff < 255)
        ++connection.backoff;
    if (connection.state == Connection::State::open && connection.in_flight() == 0) {
        // The window is closed. The guest says what it is.
        probe(connection);
    } else {
        connection.recover = connection.highest;
        connection.sent = connection.acknowledged;
        connection.duplicates = 0;
    }
    if (connection.state == Connection::State::calling)
        call(connection);
    else
        settle(connection);
}

void Tcp::Connection::on_delayed_answer(Connection& connection) {
    if (connection.failure)
        return connection.tcp.tell_failure(connection);
    if (connection.guest_finished) {
        connection.delayed_answer.set(half_open_check);
        connection.tcp.probe(connection);
    }
    if (connection.told == connection.expected)
        return;
    connection.answer_due = true;
    connection.tcp.settle(connection);
}

/// Sends a segment with `length` bytes from `sequence` on. False: the link has
/// no room.
bool Tcp::emit(Connection& connection, std::uint32_t sequence, std::size_t length, std::uint8_t flags) {
    const bool syn = (flags & tcp_syn) != 0;
    const auto route = connection.route();
    const std::size_t header = tcp_header + (syn ? syn_options : 0);
    const std::size_t headers = route.headers() + header;
    const std::uint32_t window = connection.offered_window();
    // Never more than there is room for.
    const auto field = static_cast<std::uint16_t>(syn ? std::min(window, 65'535U)
                                                      : (connection.scaled ? window >> own_shift : window));
    const auto fill = [&](Buffer frame) {
        write_headers(frame.first(route.headers()), wire_, route, protocol_tcp, header + length);
        const auto tcp = frame.subspan(route.headers());
        std::ranges::fill(tcp.first(header), std::byte{0});
        put16(tcp, 0, connection.ends.far_port);
        put16(tcp, 2, connection.ends.guest_port);
        put32(tcp, 4, sequence);
        if ((flags & tcp_ack) != 0)
            put32(tcp, 8, connection.expected);
        put8(tcp, 12, static_cast<std::uint8_t>(header / 4 << 4));
        put8(tcp, 13, flags);
        put16(tcp, 14, field);
        if (syn) {
            const bool scale = connection.state == Connection::State::calling || connection.scaled;
            put16(tcp, 20, 0x0204);
            put16(tcp, 22,
                  static_cast<std::uint16_t>(wire_.settings.mtu - (headers - header - ethernet_size) - tcp_header));
            put32(tcp, 24, scale ? 0x0103'0300U | own_shift : 0x0101'0101U);
        }
        // The link adds the rest to the sum.
        put16(tcp, tcp_checksum, fold(pseudo_header(route.source, route.destination, protocol_tcp, tcp.size())));
        Offload offload{.flags = needs_checksum,
                        .checksum_start = static_cast<std::uint16_t>(route.headers()),
                        .checksum_offset = tcp_checksum};
        if (length > connection.segment) {
            offload.gso_type = route.source.is_v4() ? gso_tcp4 : gso_tcp6;
            offload.gso_size = static_cast<std::uint16_t>(connection.segment);
            offload.header_length = static_cast<std::uint16_t>(headers);
        }
        return wire_.send({offload, frame});
    };
    std::array<std::byte, SendBuffer::most_headers> bytes;
    const bool sent = length == 0
                          ? fill(Buffer(bytes).first(headers))
                          : connection.output.with_headers(headers, sequence - connection.acknowledged, length, fill);
    if (sent && (flags & tcp_ack) != 0) {
        connection.told = connection.expected;
        connection.told_edge =
            connection.expected + (syn || !connection.scaled ? field : static_cast<std::uint32_t>(field) << own_shift);
        connection.answer_due = false;
    }
    return sent;
}

void Tcp::send_reset(const Route& route, std::uint16_t from, std::uint16_t to, std::uint32_t sequence,
                     std::uint32_t acknowledgement, std::uint8_t flags) {
    Outgoing packet(wire_, route, protocol_tcp, tcp_header);
    const auto tcp = packet.payload();
    put16(tcp, 0, from);
    put16(tcp, 2, to);
    put32(tcp, 4, sequence);
    put32(tcp, 8, acknowledgement);
    put8(tcp, 12, tcp_header / 4 << 4);
    put8(tcp, 13, flags);
    packet.send(tcp_checksum);
}

/// Cuts it off at the guest's end.
void Tcp::reset(Connection& connection) {
    // A guest that was asked, and has not answered, knows no number yet: its
    // answer will be refused.
    if (connection.state == Connection::State::calling)
        return;
    send_reset(connection.route(), connection.ends.far_port, connection.ends.guest_port,
               connection.state == Connection::State::opening ? 0 : connection.highest, connection.expected,
               tcp_rst | tcp_ack);
}

} // namespace auklet::network
