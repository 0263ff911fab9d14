// SPDX-License-Identifier: MIT
// The translator's end of its link: who is on it, and the frames that it had no
// room for.
#pragma once

#include "port.hpp"
#include "settings.hpp"

#include <list>
#include <map>
#include <vector>

namespace auklet::network {

class Wire {
  public:
    Wire(Port& port, const Settings& settings) : settings(settings), port_(port) {}

    const Settings settings;

    void attach(Link* link) { link_ = link; }
    /// False: there is no room. The frame is still the caller's.
    [[nodiscard]] bool send(const Frame& frame) { return link_ != nullptr && link_->send(port_, frame); }
    /// Sends a frame, or keeps it until there is room. If there are too many,
    /// it is lost, as packets of UDP and ICMP may be.
    void send_or_keep(const Offload& offload, std::span<const std::byte> bytes);
    /// Sends what was kept.
    void room();

    /// A machine has sent from this address. Returns whether that is news.
    bool learn(const Address& address, const Mac& mac);
    /// nullptr if nobody is known to have the address.
    [[nodiscard]] const Mac* find(const Address& address) const;
    void forget(const Mac& mac);

    /// The id of the next packet that goes in fragments.
    [[nodiscard]] std::uint32_t next_fragment_id() { return ++fragment_id_; }

  private:
    // A hostile guest names any number of addresses: later ones replace others.
    static constexpr std::size_t most_neighbours = 256;
    static constexpr std::size_t most_kept = 256 * 1024; ///< bytes

    struct Kept {
        Offload offload;
        std::vector<std::byte> bytes;
    };

    Port& port_;
    Link* link_ = nullptr;
    std::map<Address, Mac> neighbours_;
    std::list<Kept> kept_;
    std::size_t kept_bytes_ = 0;
    std::uint32_t fragment_id_ = 0;
};

} // namespace auklet::network
