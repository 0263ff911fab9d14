// SPDX-License-Identifier: MIT
// The switch between network cards, the translator and other computers.
#pragma once

#include "../platform.hpp"
#include "port.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace auklet::network {

/// What a sender does when a port has no room.
enum class WhenFull : std::uint8_t {
    /// It loses the frame, if it is such a port itself: a machine that stands
    /// still must not hold up others.
    lose,
    /// It waits for this port, and this port waits for others.
    wait,
};

/// Which ports a port has to do with.
enum class Side : std::uint8_t {
    any,
    /// This machine's own cards. The translator of each machine has the same
    /// addresses, and must not be heard by others, nor believe what they say.
    inside,
    /// Other machines: all but what is inside.
    outside,
};

/// Forwards each frame to the port where its destination was last seen as a
/// source, or to all others. No loops: two ports must not lead to each other.
class Switch final : public Link {
  public:
    explicit Switch(Clock& clock) : clock_(clock) {}

    /// Adds a port. With an address, frames from that address come from nowhere
    /// else, and frames to it go nowhere else. False: another port has that
    /// address. Not to be called from within deliver() or room(), as detach().
    [[nodiscard]] bool attach(Port& port, WhenFull when_full, std::optional<Mac> address = {}, Side side = Side::any);
    /// Removes a port. Those that wait for it hear of room.
    void detach(Port& port);

    [[nodiscard]] bool send(Port& from, const Frame& frame) override;
    void room(Port& port) override;

    struct Counters {
        std::uint64_t forwarded = 0; ///< to one port
        std::uint64_t flooded = 0;   ///< to all others
        std::uint64_t lost = 0;      ///< a receiver had no room
        std::uint64_t refused = 0;   ///< a source or a destination that cannot be
    };
    [[nodiscard]] const Counters& counters() const { return counters_; }
    /// How many addresses the switch knows.
    [[nodiscard]] std::size_t addresses() const { return addresses_.size(); }

    /// A port may be a whole network, and may lie about its addresses. So each
    /// has its own limit, and cannot push out those of another.
    static constexpr std::size_t most_addresses = 256;
    /// Milliseconds. IEEE 802.1Q has 300 s as the default.
    static constexpr double longest_silence = 300'000;

  private:
    struct Attached {
        Port* port;
        WhenFull when_full;
        Side side;
        std::vector<Port*> waiting = {}; ///< for this port's room
    };
    struct Entry {
        Mac address;
        Port* port;
        double seen;
        bool fixed; ///< belongs to the port
    };

    [[nodiscard]] Attached* find(const Port& port);
    [[nodiscard]] Entry* find(const Mac& address);
    [[nodiscard]] bool learn(Port& port, const Mac& address);
    void add(Port& port, const Mac& address);
    [[nodiscard]] bool forward(Attached& from, Attached& to, const Frame& frame);
    void flood(const Attached& from, const Frame& frame);

    Clock& clock_;
    std::vector<Attached> ports_;
    std::vector<Entry> addresses_;
    Counters counters_;
};

} // namespace auklet::network
