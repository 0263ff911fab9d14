// SPDX-License-Identifier: MIT
// Frames to and from machines that are elsewhere.

#include "remote_port.hpp"

#include "imitation.hpp"

namespace auklet::network {

bool RemotePort::deliver(const Frame& frame) {
    if (description_.offloads) {
        if (!backend_.link_send(frame))
            return false;
        ++counters_.sent;
        return true;
    }
    // A part of a frame cannot wait: its sender would send all of it again.
    Segmenter segmenter(frame);
    while (segmenter.next(segment_))
        ++(backend_.link_send({.offload = {}, .bytes = segment_}) ? counters_.sent : counters_.dropped);
    return true;
}

bool RemotePort::receive(const Offload& claimed, Bytes bytes) {
    const bool offloads = description_.offloads;
    const auto frame = checked_frame(claimed, bytes, {offloads, offloads, offloads});
    if (!frame || !is_within(*frame, description_.mtu) || (translator_ != nullptr && imitates(*frame, *translator_))) {
        ++counters_.refused;
        return true;
    }
    if (!link_.send(*this, *frame))
        return false;
    ++counters_.received;
    return true;
}

} // namespace auklet::network
