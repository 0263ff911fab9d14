// SPDX-License-Identifier: MIT
// What the parts of the translator stand on in the fuzzers of one part: a clock that the input turns, and a link that
// keeps the datagrams of the last call.
#pragma once

#include "require.hpp"
#include "src/network/udp.hpp"

#include <utility>

namespace fuzz {

using namespace auklet;
using namespace auklet::network;

constexpr Mac guest_mac = {std::byte{2}, {}, {}, {}, {}, std::byte{15}};

class FuzzClock final : public Clock {
  public:
    double now() override { return time; }
    double wall_time() override { return time; }
    void set_timer(double milliseconds) override { due = time + milliseconds; }

    /// Time goes by, and what is due then happens.
    void pass(TimerQueue& timers, double milliseconds) {
        time += milliseconds;
        if (due > time)
            return;
        due = 1e300;
        timers.run();
    }

    double time = 1000;
    double due = 1e300;
};

struct Sent {
    Packet packet;
    std::vector<std::byte> frame; ///< the packet's bytes
    Datagram datagram;
};

/// Every frame on it has to be a datagram with right checksums, in a packet.
class DatagramLink final : public Link {
  public:
    bool send(Port&, const Frame& frame) override {
        auto& last = sent.emplace_back();
        last.frame.assign(frame.bytes.begin(), frame.bytes.end());
        const auto packet = parse_packet({frame.offload, last.frame});
        require(packet && !packet->fragment && packet->protocol == protocol_udp && packet->whole.size() <= 1500);
        const auto datagram = Datagram::parse(*packet);
        require(datagram.has_value());
        last.packet = *packet;
        last.datagram = *datagram;
        return true;
    }

    std::vector<Sent> sent;
};

class NoPort final : public Port {
  public:
    bool deliver(const Frame&) override { return true; }
};

/// Bytes of their own, so that AddressSanitizer sees their end.
inline std::vector<std::byte> copy_of(Bytes bytes) { return {bytes.begin(), bytes.end()}; }

/// The input, from its front on. What is not there is 0.
class Input {
  public:
    Input(const std::uint8_t* data, std::size_t size) : rest_(std::as_bytes(std::span(data, size))) {}

    [[nodiscard]] bool empty() const { return rest_.empty(); }
    std::uint8_t byte() { return rest_.empty() ? std::uint8_t{0} : get8(take(1), 0); }
    Bytes take(std::size_t count) {
        const auto first = rest_.first(std::min(count, rest_.size()));
        rest_ = rest_.subspan(first.size());
        return first;
    }

  private:
    Bytes rest_;
};

} // namespace fuzz
