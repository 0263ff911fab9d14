// SPDX-License-Identifier: MIT
// The Internet checksum.

#include "checksum.hpp"

namespace auklet::network {

Sum sum_of(Bytes bytes, Sum before) {
    // 32 bits at a time: 2^16 is 1 modulo 0xffff, so that the halves may be
    // added later. 64 bits do not overflow for any frame.
    Sum sum = before;
    std::size_t at = 0;
    for (; bytes.size() - at >= 4; at += 4)
        sum += get32(bytes, at);
    if (bytes.size() - at >= 2) {
        sum += get16(bytes, at);
        at += 2;
    }
    if (at < bytes.size())
        sum += static_cast<Sum>(get8(bytes, at)) << 8;
    return sum;
}

Sum pseudo_header(const Address& source, const Address& destination, std::uint8_t protocol, std::size_t length) {
    return sum_of(source.wire(), sum_of(destination.wire(), protocol + length));
}

std::uint16_t fold(Sum sum) {
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(sum);
}

} // namespace auklet::network
