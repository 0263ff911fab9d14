// SPDX-License-Identifier: MIT
// virtio-vsock: streams between programs in the guest and the machine's owner
// (virtio 1.2, section 5.10).
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

/// Each direction of a connection has the credit of its receiver (5.10.6.3):
/// neither side sends more than the other has room for. The host has room for
/// receive_limit bytes of each connection. The owner frees that room by
/// taken().
class SocketDevice final : public Device {
  public:
    explicit SocketDevice(SocketBackend& backend) : backend_(backend) {}

    /// How many bytes of a connection may be handed on and not taken.
    static constexpr std::uint32_t receive_limit = 256 * 1024;
    static constexpr std::size_t most_connections = 4096;

    // For the owner. These functions ignore an id or a port that they do not
    // know: its connection may just have gone.

    /// Connects to a port in the guest, as soon as there is a driver.
    /// socket_opened or socket_closed follows.
    void connect(ConnectionId id, std::uint32_t guest_port);
    void listen(std::uint32_t port) { listening_.insert(port); }
    void unlisten(std::uint32_t port) { listening_.erase(port); }
    /// Appends bytes to what the program will read. The device keeps them until
    /// the guest has room for them: socket_sent tells how many have gone.
    void send(ConnectionId id, std::span<const std::byte> bytes);
    /// The owner has done with `count` bytes of socket_data.
    void taken(ConnectionId id, std::size_t count);
    /// The owner sends nothing more. The program reads all that was sent, then
    /// end-of-file.
    void finish(ConnectionId id);
    /// Ends both directions at once, and calls socket_closed.
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
        /// buf_alloc: bytes of the sender's receive buffer.
        std::uint32_t room;
        /// fwd_cnt: bytes that the sender's reader has taken.
        std::uint32_t forwarded;
    };
    static_assert(sizeof(Header) == 44);

    /// The counters of bytes wrap at 2^32, as those of the protocol do.
    struct Connection {
        ConnectionId id;
        std::uint32_t host_port;
        std::uint32_t guest_port;
        enum class State : std::uint8_t { waiting, connecting, open } state;

        std::deque<std::vector<std::byte>> output = {};
        std::size_t first_offset = 0; ///< what the guest has of output.front()
        std::uint32_t sent = 0;
        std::uint32_t reported = 0; ///< how much of `sent` the owner was told
        std::uint32_t guest_room = 0;
        std::uint32_t guest_forwarded = 0;

        std::uint32_t received = 0;
        std::uint32_t taken = 0;
        std::uint32_t told = 0; ///< the value of `taken` that the guest knows

        bool finishing = false; ///< the owner sends nothing more
        bool finished = false;  ///< the guest was told so
        /// What the guest does no more: flags of op_shutdown.
        std::uint32_t guest_shutdown = 0;

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
    /// Returns the next connection, in turn, that has bytes to send and credit
    /// for them. Returns nullptr if there is none.
    [[nodiscard]] Connection* next_sender();
    void send_data(Connection& connection, Writer& writer);
    [[nodiscard]] static std::uint32_t credit(const Connection& connection);
    void finish_when_sent(Connection& connection);

    SocketBackend& backend_;
    Transport* transport_ = nullptr;
    std::set<std::uint32_t> listening_;
    std::vector<std::unique_ptr<Connection>> connections_;
    /// Connections that were lost with the last driver. The owner hears of them
    /// when there is a new one.
    std::vector<ConnectionId> lost_;
    std::size_t turn_ = 0;
    // Packets without data wait here for a buffer of the driver. They go before
    // data.
    /// Answers to packets of the guest. Their number is limited (most_answers).
    std::deque<Header> answers_;
    /// Packets that the owner caused.
    std::deque<Header> messages_;
    /// The driver has made an error, and has not reset the device since.
    bool stopped_ = false;
    std::uint32_t next_port_ = 0;
    ConnectionId next_accepted_ = first_accepted;
};

} // namespace auklet::virtio
