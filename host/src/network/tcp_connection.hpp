// SPDX-License-Identifier: MIT
// A connection of TCP, and a segment of it.
#pragma once

#include "tcp.hpp"

#include <list>
#include <optional>

namespace auklet::network {

// RFC 9293, section 3.1
inline constexpr std::uint8_t tcp_fin = 1;
inline constexpr std::uint8_t tcp_syn = 2;
inline constexpr std::uint8_t tcp_rst = 4;
inline constexpr std::uint8_t tcp_psh = 8;
inline constexpr std::uint8_t tcp_ack = 16;
inline constexpr std::size_t tcp_header = 20;
inline constexpr std::size_t tcp_checksum = 16; ///< the checksum's place

/// Sequence numbers wrap: what is less than half of them away is before or
/// after.
[[nodiscard]] constexpr bool before(std::uint32_t left, std::uint32_t right) {
    return static_cast<std::int32_t>(left - right) < 0;
}
[[nodiscard]] constexpr bool after(std::uint32_t left, std::uint32_t right) { return before(right, left); }

/// One that was received.
struct TcpSegment {
    std::uint16_t source_port, destination_port;
    std::uint32_t sequence, acknowledgement;
    std::uint8_t flags;
    std::uint16_t window;
    Bytes options;
    Bytes data;

    [[nodiscard]] static std::optional<TcpSegment> parse(Bytes bytes);
    [[nodiscard]] bool has(std::uint8_t flag) const { return (flags & flag) != 0; }
    /// Of the sequence space.
    [[nodiscard]] std::uint32_t length() const {
        return static_cast<std::uint32_t>(data.size()) + (has(tcp_syn) ? 1 : 0) + (has(tcp_fin) ? 1 : 0);
    }
};

/// Milliseconds between questions whether a guest that sends nothing more still
/// has the connection. A program that has gone leaves it to Linux, which
/// forgets it after 60 s, and says so only to who asks.
inline constexpr double half_open_check = 75'000;

struct Tcp::Connection {
    Connection(Tcp& owner, FlowId number, const Ends& both, const Mac& guest_mac)
        : tcp(owner), id(number), ends(both), mac(guest_mac), output(owner.budget_),
          retransmission(
              owner.timers_, [](void* self) { on_retransmission(*static_cast<Connection*>(self)); }, this),
          delayed_answer(owner.timers_, [](void* self) { on_delayed_answer(*static_cast<Connection*>(self)); }, this) {}
    ~Connection() { tcp.budget_.give_back(held_cost); }

    Tcp& tcp;
    const FlowId id;
    const Ends ends;
    Mac mac; ///< the guest's

    enum class State : std::uint8_t {
        opening,   ///< the guest's SYN waits for the far side
        answering, ///< the guest is told that it is there
        calling,   ///< the guest was asked
        open,
    } state = State::opening;
    /// While opening: the backend has given the flow up, and the guest will
    /// hear of it.
    std::optional<FlowError> failure = {};

    // To the guest. RFC 9293 calls these SND.UNA, SND.NXT and SND.WND. What is
    // sent again begins behind `highest`, and acknowledgements of all that was
    // ever sent are good.
    SendBuffer output; ///< from `acknowledged` on
    std::uint32_t acknowledged = 0;
    std::uint32_t sent = 0;
    std::uint32_t highest = 0;
    /// After a loss: until this is acknowledged, one segment is under way at a
    /// time. A guest has most of what follows a gap, and says so.
    std::uint32_t recover = 0;
    std::uint32_t window = 0;
    std::uint32_t largest_offered = 0;
    std::uint8_t shift = 0;
    std::size_t segment = 536; ///< MSS
    std::uint8_t duplicates = 0;
    std::uint8_t backoff = 0;    ///< doublings of the retransmission's time
    std::uint8_t unanswered = 0; ///< how often it has come since the guest was heard
    bool far_finished = false;
    bool fin_acknowledged = false;
    bool blocked = false; ///< in Tcp::blocked_

    // From the guest. RFC 9293: RCV.NXT.
    std::uint32_t expected = 0;
    std::uint32_t told = 0;      ///< the last acknowledgement that it got
    std::uint32_t told_edge = 0; ///< the end of the window that it knows
    std::size_t room = 0;        ///< the backend's
    bool scaled = false;
    bool guest_finished = false;
    bool answer_due = false;
    struct Held {
        std::uint32_t sequence;
        std::vector<std::byte> bytes;
        bool fin;

        /// Bytes of memory, about.
        [[nodiscard]] std::size_t cost() const { return bytes.size() + 128; }
    };
    std::list<Held> held = {}; ///< what came behind a gap, in order
    std::size_t held_cost = 0; ///< its part of the budget

    // Apart, because a wait of one says nothing about the other.
    Timer retransmission;
    Timer delayed_answer;

    [[nodiscard]] Route route() const { return {mac, ends.far, ends.guest}; }
    [[nodiscard]] std::uint32_t in_flight() const { return sent - acknowledged; }
    /// The number of a segment that is only an answer. A guest without memory
    /// shrinks its window, and ignores answers with numbers behind it.
    [[nodiscard]] std::uint32_t answer_number() const {
        const auto data = std::min<std::size_t>(highest - acknowledged, output.size());
        return data > window ? acknowledged + window : highest;
    }
    [[nodiscard]] bool fin_unsent() const { return far_finished && !fin_acknowledged && in_flight() <= output.size(); }
    [[nodiscard]] bool is_over() const { return guest_finished && fin_acknowledged && !answer_due; }
    [[nodiscard]] std::uint32_t offered_window() const {
        return static_cast<std::uint32_t>(std::min<std::size_t>(room, scaled ? largest_window : 65'535));
    }
    void take_options(const TcpSegment& syn);
    static void on_retransmission(Connection& connection);
    static void on_delayed_answer(Connection& connection);
};

} // namespace auklet::network
