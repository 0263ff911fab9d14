// SPDX-License-Identifier: MIT
// Packets that come in fragments.
#pragma once

#include "../timer_queue.hpp"
#include "ip.hpp"

#include <bitset>
#include <list>

namespace auklet::network {

class Reassembly {
  public:
    explicit Reassembly(TimerQueue& timers) : timers_(timers), timer_(timers, &Reassembly::expire, this) {}

    static constexpr std::size_t most_packets = 64;
    static constexpr double time_limit = 60'000; ///< milliseconds; RFC 8200, section 4.5

    /// Takes a fragment. Returns the packet if it was the last one missing; it
    /// is valid until the next call.
    [[nodiscard]] std::optional<Packet> take(const Packet& fragment);

  private:
    static constexpr std::size_t longest = 65'535;

    struct Partial {
        Address source, destination;
        std::uint32_t id;
        std::uint8_t protocol;
        double began;
        std::vector<std::byte> bytes = {};
        /// Which pieces of 8 bytes have come.
        std::bitset<longest / 8 + 1> present = {};
        std::optional<std::size_t> length = {}; ///< known with the last fragment
    };

    static void expire(void* self);

    TimerQueue& timers_;
    Timer timer_;
    std::list<Partial> partials_; ///< the oldest first
    std::vector<std::byte> complete_;
};

} // namespace auklet::network
