// SPDX-License-Identifier: MIT
// virtio-vsock: packets, connections and their credit.

#include "socket.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace auklet::virtio {

namespace {

constexpr std::uint32_t device_type = 19; // 5.10.1

// 5.10.2. Linux fills the receive queue with buffers of 4 KiB.
constexpr std::uint32_t receive_queue = 0; // to the guest
constexpr std::uint32_t transmit_queue = 1;
constexpr std::uint16_t queues[] = {64, 64, 4};

// 5.10.4: struct virtio_vsock_config { le64 guest_cid; }. The host is 2 by
// definition, and 3 is the first free number.
constexpr std::uint64_t host_cid = 2;
constexpr std::uint64_t guest_cid = 3;

// 5.10.6
constexpr std::uint16_t type_stream = 1;
constexpr std::uint16_t op_request = 1;
constexpr std::uint16_t op_response = 2;
constexpr std::uint16_t op_reset = 3;
constexpr std::uint16_t op_shutdown = 4;
constexpr std::uint16_t op_data = 5;
constexpr std::uint16_t op_credit_update = 6;
constexpr std::uint16_t op_credit_request = 7;
constexpr std::uint32_t shutdown_receive = 1;
constexpr std::uint32_t shutdown_send = 2;

/// A connection that the owner opens gets a port number from here on at the
/// owner's end. The numbers below are for services.
constexpr std::uint32_t first_port = 1 << 16;

/// The device hands on data in pieces of this size. So a packet over all of
/// memory needs no buffer of that size.
constexpr std::size_t piece_size = 16384;

/// The device keeps so many answers for which the driver has no buffer. Then it
/// leaves packets in the queue, as 5.10.6.1.2 allows.
constexpr std::size_t most_answers = 256;

} // namespace

std::uint32_t SocketDevice::type() const { return device_type; }

std::span<const std::uint16_t> SocketDevice::queue_sizes() const { return queues; }

std::vector<std::byte> SocketDevice::configuration() const {
    auto bytes = std::as_bytes(std::span(&guest_cid, 1));
    return {bytes.begin(), bytes.end()};
}

void SocketDevice::activate(Transport& transport, std::uint64_t) {
    transport_ = &transport;
    for (auto id : std::exchange(lost_, {}))
        backend_.socket_closed(id, true);
    for (auto& connection : connections_)
        request(*connection);
}

/// Usually the machine ends now. The owner should hear of that, and not that
/// each connection was cut off. So the device reports lost connections only to
/// a next driver. A connection that waits for a driver goes on waiting.
void SocketDevice::reset() {
    transport_ = nullptr;
    stopped_ = false;
    answers_.clear();
    messages_.clear();
    std::erase_if(connections_, [&](const auto& connection) {
        if (connection->state == Connection::State::waiting)
            return false;
        lost_.push_back(connection->id);
        return true;
    });
}

void SocketDevice::stopped() {
    stopped_ = true;
    for (auto& connection : std::exchange(connections_, {}))
        backend_.socket_closed(connection->id, true);
}

bool SocketDevice::Connection::guest_ended() const { return (guest_shutdown & shutdown_send) != 0; }

Result<void> SocketDevice::process(std::uint32_t queue) {
    if (queue != receive_queue && queue != transmit_queue)
        return {}; // 5.10.6.7: events tell of migrations. There are none.
    // Send first, which makes room for the answers to new packets. These
    // packets cause answers and bring credit, so send again.
    if (auto sent = transmit(); !sent)
        return sent;
    if (auto received = receive(); !received)
        return received;
    return transmit();
}

void SocketDevice::run_transport() {
    if (transport_ != nullptr)
        transport_->run(transmit_queue);
}

SocketDevice::Connection* SocketDevice::find(ConnectionId id) {
    auto found = std::ranges::find_if(connections_, [&](const auto& connection) { return connection->id == id; });
    return found == connections_.end() ? nullptr : found->get();
}

SocketDevice::Connection* SocketDevice::find(std::uint32_t host_port, std::uint32_t guest_port) {
    auto found = std::ranges::find_if(connections_, [&](const auto& connection) {
        return connection->host_port == host_port && connection->guest_port == guest_port;
    });
    return found == connections_.end() ? nullptr : found->get();
}

std::uint32_t SocketDevice::free_port() {
    // There are far more ports than connections, so one is always free.
    for (;;) {
        const std::uint32_t port = std::max(first_port, ++next_port_);
        next_port_ = port;
        // The last number is VMADDR_PORT_ANY.
        if (port != ~0U &&
            std::ranges::none_of(connections_, [&](const auto& each) { return each->host_port == port; }))
            return port;
    }
}

// ---- packets from the guest -------------------------------------------------

Result<void> SocketDevice::receive() {
    auto* queue = transport_->queue(transmit_queue);
    // The loop ends after so many chains: a driver that adds chains as fast as
    // the device takes them must not hold the host's event loop. Such a driver
    // rings again.
    for (std::uint32_t count = 0; queue != nullptr && count < 2 * queue->size(); ++count) {
        if (answers_.size() >= most_answers)
            return {};
        auto chain = queue->pop();
        if (!chain)
            return failure(message(chain.error()));
        if (!*chain)
            return {};
        if (auto taken = take_packet((*chain)->reader); !taken)
            return taken;
        queue->push(**chain);
    }
    return {};
}

Result<void> SocketDevice::take_packet(Reader& reader) {
    const auto header = reader.read_structure<Header>();
    if (!header)
        return failure("a packet shorter than its header");
    if (header->length > reader.remaining())
        return failure("a packet of ", reader.remaining(), " bytes that says it has ", header->length);
    auto payload = reader.split(header->length);
    // The answer to a packet that is for no stream of this host is a reset
    // (5.10.6.4.2, 5.10.6.5). A reset gets no answer.
    const bool ours = header->source == guest_cid && header->destination == host_cid && header->type == type_stream;
    auto* connection = ours ? find(header->destination_port, header->source_port) : nullptr;
    if (connection != nullptr)
        handle(*connection, *header, payload);
    else if (ours && header->operation == op_request && listening_.contains(header->destination_port) && !full())
        accept(*header);
    else if (header->operation != op_reset)
        refuse(*header);
    return {};
}

void SocketDevice::accept(const Header& header) {
    connections_.push_back(std::make_unique<Connection>(Connection{.id = next_accepted_,
                                                                   .host_port = header.destination_port,
                                                                   .guest_port = header.source_port,
                                                                   .state = Connection::State::open}));
    do
        next_accepted_ = std::max(first_accepted, next_accepted_ + 1);
    while (find(next_accepted_) != nullptr || std::ranges::contains(lost_, next_accepted_));
    auto& connection = *connections_.back();
    connection.guest_room = header.room;
    connection.guest_forwarded = header.forwarded;
    answer(connection, op_response);
    backend_.socket_accepted(connection.id, connection.host_port);
}

void SocketDevice::handle(Connection& connection, const Header& header, Reader& payload) {
    connection.guest_room = header.room;
    connection.guest_forwarded = header.forwarded;
    const bool open = connection.state == Connection::State::open;
    switch (header.operation) {
    case op_response:
        if (connection.state != Connection::State::connecting)
            break;
        connection.state = Connection::State::open;
        backend_.socket_opened(connection.id);
        return finish_when_sent(connection);
    case op_reset:
        // After the end of both directions, a reset is the guest's answer.
        return remove(connection, !(connection.guest_ended() && connection.finished));
    case op_shutdown:
        if (open)
            return guest_shut_down(connection, header.flags);
        break;
    case op_data:
        // More data than there is room for is an error (5.10.6.3), and so is
        // data after the guest's own end.
        if (open && !connection.guest_ended() &&
            header.length <= receive_limit - (connection.received - connection.taken))
            return take_data(connection, payload);
        break;
    case op_credit_update:
        return;
    case op_credit_request:
        if (open)
            return answer(connection, op_credit_update);
        break;
    default:
        break;
    }
    answer(connection, op_reset);
    remove(connection, true);
}

void SocketDevice::take_data(Connection& connection, Reader& payload) {
    std::array<std::byte, piece_size> piece;
    while (auto size = payload.read(piece)) {
        connection.received += static_cast<std::uint32_t>(size);
        backend_.socket_data(connection.id, std::span(piece).first(size));
    }
}

void SocketDevice::guest_shut_down(Connection& connection, std::uint32_t flags) {
    const bool had_ended = connection.guest_ended();
    // 5.10.6.5: a flag stays set when a later packet does not have it.
    connection.guest_shutdown |= flags & (shutdown_send | shutdown_receive);
    if (connection.guest_ended() && !had_ended)
        backend_.socket_ended(connection.id);
    if (connection.guest_shutdown == (shutdown_send | shutdown_receive)) {
        // 5.10.6.5: both directions have ended. The guest frees its port when
        // it gets this answer.
        answer(connection, op_reset);
        remove(connection, !connection.output.empty());
    }
}

// ---- packets to the guest ---------------------------------------------------

SocketDevice::Header SocketDevice::header_of(Connection& connection, std::uint16_t operation) const {
    connection.told = connection.taken;
    return {.source = host_cid,
            .destination = guest_cid,
            .source_port = connection.host_port,
            .destination_port = connection.guest_port,
            .length = 0,
            .type = type_stream,
            .operation = operation,
            .flags = 0,
            .room = receive_limit,
            .forwarded = connection.taken};
}

void SocketDevice::answer(Connection& connection, std::uint16_t operation) {
    answers_.push_back(header_of(connection, operation));
}

void SocketDevice::refuse(const Header& header) {
    answers_.push_back({.source = header.destination,
                        .destination = header.source,
                        .source_port = header.destination_port,
                        .destination_port = header.source_port,
                        .length = 0,
                        .type = header.type,
                        .operation = op_reset,
                        .flags = 0,
                        .room = 0,
                        .forwarded = 0});
}

void SocketDevice::request(Connection& connection) {
    connection.state = Connection::State::connecting;
    messages_.push_back(header_of(connection, op_request));
}

void SocketDevice::remove(Connection& connection, bool reset) {
    const auto id = connection.id;
    std::erase_if(connections_, [&](const auto& each) { return each.get() == &connection; });
    backend_.socket_closed(id, reset);
}

Result<void> SocketDevice::transmit() {
    auto result = fill_buffers();
    report_sent();
    return result;
}

/// Reports once for all packets, because each report becomes a message to the
/// owner.
void SocketDevice::report_sent() {
    for (auto& connection : connections_)
        if (const auto count = connection->sent - connection->reported; count != 0) {
            connection->reported = connection->sent;
            backend_.socket_sent(connection->id, count);
        }
}

/// Sends packets without data first, then data, as far as there is credit.
Result<void> SocketDevice::fill_buffers() {
    auto* queue = transport_->queue(receive_queue);
    for (std::uint32_t count = 0; queue != nullptr && count < 2 * queue->size(); ++count) {
        auto* headers = !answers_.empty() ? &answers_ : !messages_.empty() ? &messages_ : nullptr;
        auto* sender = headers == nullptr ? next_sender() : nullptr;
        if (headers == nullptr && sender == nullptr)
            return {};
        auto chain = queue->pop();
        if (!chain)
            return failure(message(chain.error()));
        if (!*chain)
            return {};
        auto& writer = (*chain)->writer;
        if (writer.remaining() <= sizeof(Header))
            return failure("a receive buffer of ", writer.remaining(), " bytes, which holds no packet");
        if (sender != nullptr) {
            send_data(*sender, writer);
        } else {
            (void)writer.write_structure(headers->front());
            headers->pop_front();
        }
        queue->push(**chain);
    }
    return {};
}

SocketDevice::Connection* SocketDevice::next_sender() {
    for (std::size_t step = 0; step < connections_.size(); ++step) {
        turn_ = (turn_ + 1) % connections_.size();
        auto& connection = *connections_[turn_];
        if (connection.state == Connection::State::open && !connection.output.empty() && credit(connection) != 0)
            return &connection;
    }
    return nullptr;
}

std::uint32_t SocketDevice::credit(const Connection& connection) {
    const std::uint32_t under_way = connection.sent - connection.guest_forwarded;
    return connection.guest_room > under_way ? connection.guest_room - under_way : 0;
}

void SocketDevice::send_data(Connection& connection, Writer& writer) {
    auto& first = connection.output.front();
    const auto size = std::min<std::uint64_t>(
        {first.size() - connection.first_offset, credit(connection), writer.remaining() - sizeof(Header)});
    auto header = header_of(connection, op_data);
    header.length = static_cast<std::uint32_t>(size);
    (void)writer.write_structure(header);
    writer.write(std::span(first).subspan(connection.first_offset, static_cast<std::size_t>(size)));
    connection.sent += header.length;
    connection.first_offset += header.length;
    if (connection.first_offset == first.size()) {
        connection.output.pop_front();
        connection.first_offset = 0;
    }
    finish_when_sent(connection);
}

void SocketDevice::finish_when_sent(Connection& connection) {
    if (!connection.finishing || connection.finished || !connection.output.empty() ||
        connection.state != Connection::State::open)
        return;
    connection.finished = true;
    auto header = header_of(connection, op_shutdown);
    header.flags = shutdown_send;
    messages_.push_back(header);
}

// ---- the owner --------------------------------------------------------------

void SocketDevice::connect(ConnectionId id, std::uint32_t guest_port) {
    if (id >= first_accepted || find(id) != nullptr || std::ranges::contains(lost_, id))
        return;
    if (full() || stopped_)
        return backend_.socket_closed(id, true);
    connections_.push_back(std::make_unique<Connection>(
        Connection{.id = id, .host_port = free_port(), .guest_port = guest_port, .state = Connection::State::waiting}));
    if (transport_ == nullptr)
        return;
    request(*connections_.back());
    run_transport();
}

void SocketDevice::send(ConnectionId id, std::span<const std::byte> bytes) {
    auto* connection = find(id);
    if (connection == nullptr || bytes.empty() || connection->finishing)
        return;
    connection->output.emplace_back(bytes.begin(), bytes.end());
    run_transport();
}

void SocketDevice::taken(ConnectionId id, std::size_t count) {
    auto* connection = find(id);
    if (connection == nullptr)
        return;
    const std::uint32_t held = connection->received - connection->taken;
    connection->taken += static_cast<std::uint32_t>(std::min<std::size_t>(count, held));
    // Tell the guest of free room in steps of a quarter. While a program waits
    // for room, the guest knows of none. So a step comes before all is free.
    if (connection->taken - connection->told < receive_limit / 4)
        return;
    messages_.push_back(header_of(*connection, op_credit_update));
    run_transport();
}

void SocketDevice::finish(ConnectionId id) {
    auto* connection = find(id);
    if (connection == nullptr)
        return;
    connection->finishing = true;
    finish_when_sent(*connection);
    run_transport();
}

void SocketDevice::abort(ConnectionId id) {
    auto* connection = find(id);
    if (connection == nullptr)
        return;
    if (connection->state != Connection::State::waiting)
        messages_.push_back(header_of(*connection, op_reset));
    remove(*connection, true);
    run_transport();
}

} // namespace auklet::virtio
