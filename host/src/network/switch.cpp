// SPDX-License-Identifier: MIT
// The switch: addresses and forwarding.

#include "switch.hpp"

#include <algorithm>
#include <utility>

namespace auklet::network {

namespace {

constexpr std::size_t destination_place = 0;
constexpr std::size_t source_place = 6;

Mac address_at(const Frame& frame, std::size_t place) {
    Mac address;
    std::ranges::copy(frame.bytes.subspan(place, address.size()), address.begin());
    return address;
}

/// Multicast or broadcast.
bool is_group(const Mac& address) { return (address[0] & std::byte{1}) != std::byte{0}; }

bool are_apart(Side one, Side other) { return one != Side::any && other != Side::any && one != other; }

} // namespace

bool Switch::attach(Port& port, WhenFull when_full, std::optional<Mac> address, Side side) {
    if (address) {
        if (const auto* entry = find(*address); entry != nullptr && entry->fixed)
            return false;
        std::erase_if(addresses_, [&](const Entry& entry) { return entry.address == *address; });
        addresses_.push_back({*address, &port, 0, true});
    }
    ports_.push_back({&port, when_full, side});
    return true;
}

void Switch::detach(Port& port) {
    auto* attached = find(port);
    if (attached == nullptr)
        return;
    const auto waiting = std::exchange(attached->waiting, {});
    std::erase_if(ports_, [&](const Attached& each) { return each.port == &port; });
    std::erase_if(addresses_, [&](const Entry& entry) { return entry.port == &port; });
    for (auto& each : ports_)
        std::erase(each.waiting, &port);
    for (auto* sender : waiting)
        if (sender != &port)
            sender->room();
}

Switch::Attached* Switch::find(const Port& port) {
    const auto found = std::ranges::find_if(ports_, [&](const Attached& each) { return each.port == &port; });
    return found == ports_.end() ? nullptr : &*found;
}

Switch::Entry* Switch::find(const Mac& address) {
    const auto found = std::ranges::find(addresses_, address, &Entry::address);
    return found == addresses_.end() ? nullptr : &*found;
}

/// Notes where an address is. False: it cannot be there.
bool Switch::learn(Port& port, const Mac& address) {
    if (is_group(address))
        return false;
    if (auto* entry = find(address)) {
        if (entry->fixed)
            return entry->port == &port;
        if (entry->port == &port) {
            entry->seen = clock_.now();
            return true;
        }
        // It has moved, and counts for its new port.
        std::erase_if(addresses_, [&](const Entry& each) { return each.address == address; });
    }
    add(port, address);
    return true;
}

void Switch::add(Port& port, const Mac& address) {
    std::size_t count = 0;
    Entry* oldest = nullptr;
    for (auto& entry : addresses_) {
        if (entry.port != &port || entry.fixed)
            continue;
        ++count;
        if (oldest == nullptr || entry.seen < oldest->seen)
            oldest = &entry;
    }
    const Entry entry{address, &port, clock_.now(), false};
    if (count < most_addresses)
        addresses_.push_back(entry);
    else
        *oldest = entry;
}

bool Switch::send(Port& from, const Frame& frame) {
    auto* sender = find(from);
    if (sender == nullptr || !learn(from, address_at(frame, source_place))) {
        ++counters_.refused;
        return true;
    }
    const auto destination = address_at(frame, destination_place);
    auto* entry = is_group(destination) ? nullptr : find(destination);
    if (entry != nullptr && !entry->fixed && clock_.now() - entry->seen > longest_silence) {
        std::erase_if(addresses_, [&](const Entry& each) { return each.address == destination; });
        entry = nullptr;
    }
    if (entry == nullptr) {
        flood(*sender, frame);
        return true;
    }
    // Sender and receiver are at the same place, and need no switch.
    if (entry->port == &from)
        return true;
    return forward(*sender, *find(*entry->port), frame);
}

bool Switch::forward(Attached& from, Attached& to, const Frame& frame) {
    if (are_apart(from.side, to.side)) {
        ++counters_.refused;
        return true;
    }
    if (to.port->deliver(frame)) {
        ++counters_.forwarded;
        return true;
    }
    if (from.when_full == WhenFull::lose && to.when_full == WhenFull::lose) {
        ++counters_.lost;
        return true;
    }
    if (!std::ranges::contains(to.waiting, from.port))
        to.waiting.push_back(from.port);
    return false;
}

/// Nobody waits for one of many receivers: the others would get the frame
/// twice.
void Switch::flood(const Attached& from, const Frame& frame) {
    ++counters_.flooded;
    for (const auto& each : ports_)
        if (each.port != from.port && !are_apart(from.side, each.side) && !each.port->deliver(frame))
            ++counters_.lost;
}

void Switch::room(Port& port) {
    auto* attached = find(port);
    if (attached == nullptr)
        return;
    // A sender may have to wait again at once.
    for (auto* sender : std::exchange(attached->waiting, {}))
        sender->room();
}

} // namespace auklet::network
