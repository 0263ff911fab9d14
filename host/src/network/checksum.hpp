// SPDX-License-Identifier: MIT
// The Internet checksum (RFC 1071), and the pseudo headers of TCP, UDP and
// ICMPv6.
#pragma once

#include "address.hpp"
#include "bytes.hpp"

namespace auklet::network {

/// A sum of 16-bit words, not yet folded.
using Sum = std::uint64_t;

[[nodiscard]] Sum sum_of(Bytes bytes, Sum before = 0);
[[nodiscard]] Sum pseudo_header(const Address& source, const Address& destination, std::uint8_t protocol,
                                std::size_t length);
/// 16 bits, not complemented: what a frame with needs_checksum has in its
/// checksum field.
[[nodiscard]] std::uint16_t fold(Sum sum);
/// What the checksum field has. A receiver's own sum is 0xffff then.
[[nodiscard]] inline std::uint16_t checksum(Sum sum) { return static_cast<std::uint16_t>(~fold(sum)); }

} // namespace auklet::network
