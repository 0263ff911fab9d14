// SPDX-License-Identifier: MIT
// virtio-vsock: streams between programs in the guest and the machine's owner (virtio 1.2, section 5.10).
#pragma once

#include "../backends/sockets.hpp"
#include "transport.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <set>
#include <vector>

namespace auklet::virtio {

/// Each direction of a connection has the credit of its receiver (5.10.6.3): neither side sends what the other has no
/// room for. The host's room is receive_limit bytes a connection, which the owner frees by taken().
class SocketDevice final : public Device {
  public:
    explicit SocketDevice(SocketBackend& backend) : backend_(backend) {}

    /// Bytes from the guest that are handed on and not taken.
    static constexpr std::uint32_t receive_limit = 256 * 1024;
    static constexpr std::size_t most_connections = 4096;

    // For the owner. An id or a port that is not known is ignored: its connection may just have gone.

    /// Connects to a port in the guest: socket_opened or socket_closed follows, as soon as there is a driver.
    void connect(ConnectionId id, std::uint32_t guest_port);
    void listen(std::uint32_t port) { listening_.insert(port); }
    void unlisten(std::uint32_t port) { listening_.erase(port); }
    /// Appends bytes to what the program will read. Everything is kept until it does: socket_sent tells how much is
    /// gone.
    void send(ConnectionId id, std::span<const std::byte> bytes);
    /// The owner has done with so many bytes of socket_data.
    void taken(ConnectionId id, std::size_t count);
    /// The program reads end-of-file after what was sent.
    void finish(ConnectionId id);
    /// Ends both directions at once; socket_closed follows.
    void abort(ConnectionId id);

    [[nodiscard]] std::string_view name() const override { return "socket"; }
    [[nodiscard]] std::uint32_t type() const override;
    [[nodiscard]] std::span<const std::uint16_t> queue_sizes() const override;
    [[nodiscard]] std::vector<std::byte> configuration() const override;

    void activate(Transport& transport, std::uint64_t features) override;
    void reset() override;
    void stopped() override;
    [[nodiscard]] Result<void> process(std::uint32_t queue) override;

  private:
    /// 5.10.6: the header of each packet.
    struct __attribute__((packed)) Header {
        std::uint64_t source;
        std::uint64_t destination;
        std::uint32_t source_port;
        std::uint32_t destination_port;
        std::uint32_t length;
        std::uint16_t type;
        std::uint16_t operation;
        std::uint32_t flags;
        std::uint32_t room;      ///< buf_alloc: of the sender's receive buffer
        std::uint32_t forwarded; ///< fwd_cnt: bytes that the sender's reader has taken
    };
    static_assert(sizeof(Header) == 44);

    /// Counters of bytes run freely modulo 2^32, as those of the protocol.
    struct Connection {
        ConnectionId id;
        std::uint32_t host_port;
        std::uint32_t guest_port;
        enum class State : std::uint8_t { waiting, connecting, open } state;

        std::deque<std::vector<std::byte>> output = {};
        std::size_t first_offset = 0; ///< bytes of output.front() that the guest has
        std::uint32_t sent = 0;
        std::uint32_t reported = 0; ///< of those, what the owner was told
        std::uint32_t guest_room = 0;
        std::uint32_t guest_forwarded = 0;

        std::uint32_t received = 0;
        std::uint32_t taken = 0;
        std::uint32_t told = 0; ///< the value of `taken` that the guest knows

        bool finishing = false;           ///< the owner sends nothing more
        bool finished = false;            ///< the guest was told so
        std::uint32_t guest_shutdown = 0; ///< what the guest neither sends nor reads any more: flags of op_shutdown

        [[nodiscard]] bool guest_ended() const;
    };

    [[nodiscard]] Connection* find(ConnectionId id);
    [[nodiscard]] Connection* find(std::uint32_t host_port, std::uint32_t guest_port);
    [[nodiscard]] std::uint32_t free_port();
    [[nodiscard]] bool full() const { return connections_.size() >= most_connections; }

    [[nodiscard]] Result<void> receive();
    [[nodiscard]] Result<void> take_packet(Reader& reader);
    void accept(const Header& header);
    void handle(Connection& connection, const Header& header, Reader& payload);
    void take_data(Connection& connection, Reader& payload);
    void guest_shut_down(Connection& connection, std::uint32_t flags);

    void request(Connection& connection);
    void answer(Connection& connection, std::uint16_t operation);
    void refuse(const Header& header);
    [[nodiscard]] Header header_of(Connection& connection, std::uint16_t operation) const;
    void remove(Connection& connection, bool reset);
    void run_transport();

    [[nodiscard]] Result<void> transmit();
    [[nodiscard]] Result<void> fill_buffers();
    void report_sent();
    /// A connection with bytes to send and credit for them, each in its turn; or none.
    [[nodiscard]] Connection* next_sender();
    void send_data(Connection& connection, Writer& writer);
    [[nodiscard]] static std::uint32_t credit(const Connection& connection);
    void finish_when_sent(Connection& connection);

    SocketBackend& backend_;
    Transport* transport_ = nullptr;
    std::set<std::uint32_t> listening_;
    std::vector<std::unique_ptr<Connection>> connections_;
    std::vector<ConnectionId> lost_; ///< with the last driver; the owner is told when there is a new one
    std::size_t turn_ = 0;
    /// Packets without data wait for a buffer of the driver here, and come before data.
    std::deque<Header> answers_;  ///< to packets of the guest, so limited in number
    std::deque<Header> messages_; ///< of the owner's own
    bool stopped_ = false;        ///< by the driver's errors, until it resets the device
    std::uint32_t next_port_ = 0;
    ConnectionId next_accepted_ = first_accepted;
};

} // namespace auklet::virtio
