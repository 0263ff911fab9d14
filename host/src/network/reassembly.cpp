// SPDX-License-Identifier: MIT
// Packets that come in fragments.

#include "reassembly.hpp"

namespace auklet::network {

std::optional<Packet> Reassembly::take(const Packet& packet) {
    const auto& fragment = *packet.fragment;
    const auto data = packet.payload;
    const std::size_t end = fragment.offset + data.size();
    auto found = std::ranges::find_if(partials_, [&](const Partial& each) {
        return each.id == fragment.id && each.protocol == packet.protocol && each.source == packet.source &&
               each.destination == packet.destination;
    });
    if (data.empty() || end > longest || (fragment.more && data.size() % 8 != 0))
        return std::nullopt;
    if (found == partials_.end()) {
        if (partials_.size() >= most_packets)
            partials_.pop_front();
        found = partials_.insert(partials_.end(),
                                 {packet.source, packet.destination, fragment.id, packet.protocol, timers_.now()});
        timer_.set_at_latest(time_limit);
    }
    auto& partial = *found;
    const std::size_t first = fragment.offset / 8;
    const std::size_t past = (end + 7) / 8;
    bool good = !partial.length || (end <= *partial.length && fragment.more);
    for (std::size_t piece = first; good && piece < past; ++piece)
        good = !partial.present[piece];
    if (!fragment.more)
        good = good && partial.bytes.size() <= end;
    if (!good) {
        // Overlaps are no accident (RFC 5722).
        partials_.erase(found);
        return std::nullopt;
    }
    if (partial.bytes.size() < end)
        partial.bytes.resize(end);
    std::ranges::copy(data, partial.bytes.begin() + static_cast<std::ptrdiff_t>(fragment.offset));
    for (std::size_t piece = first; piece < past; ++piece)
        partial.present.set(piece);
    if (!fragment.more)
        partial.length = end;
    if (!partial.length || partial.present.count() != (*partial.length + 7) / 8)
        return std::nullopt;
    complete_ = std::move(partial.bytes);
    partials_.erase(found);
    Packet complete = packet;
    complete.payload = complete_;
    complete.fragment.reset();
    return complete;
}

void Reassembly::expire(void* self) {
    auto& reassembly = *static_cast<Reassembly*>(self);
    auto& partials = reassembly.partials_;
    const double now = reassembly.timers_.now();
    while (!partials.empty() && partials.front().began + time_limit <= now)
        partials.pop_front();
    if (!partials.empty())
        reassembly.timer_.set(partials.front().began + time_limit - now);
}

} // namespace auklet::network
