// SPDX-License-Identifier: MIT
// The translator's end of its link.

#include "wire.hpp"

#include <utility>

namespace auklet::network {

void Wire::send_or_keep(const Offload& offload, std::span<const std::byte> bytes) {
    if (send({offload, bytes}) || kept_bytes_ + bytes.size() > most_kept)
        return;
    kept_bytes_ += bytes.size();
    kept_.push_back({offload, {bytes.begin(), bytes.end()}});
}

void Wire::room() {
    // Frames to a machine that still has no room must not hold up others.
    std::erase_if(kept_, [&](const Kept& kept) {
        if (!send({kept.offload, kept.bytes}))
            return false;
        kept_bytes_ -= kept.bytes.size();
        return true;
    });
}

bool Wire::learn(const Address& address, const Mac& mac) {
    auto found = neighbours_.find(address);
    if (found != neighbours_.end())
        return std::exchange(found->second, mac) != mac;
    if (neighbours_.size() >= most_neighbours)
        neighbours_.erase(neighbours_.begin());
    neighbours_.emplace(address, mac);
    return true;
}

const Mac* Wire::find(const Address& address) const {
    auto found = neighbours_.find(address);
    return found == neighbours_.end() ? nullptr : &found->second;
}

void Wire::forget(const Mac& mac) {
    std::erase_if(neighbours_, [&](const auto& neighbour) { return neighbour.second == mac; });
}

} // namespace auklet::network
