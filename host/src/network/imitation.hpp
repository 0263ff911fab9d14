// SPDX-License-Identifier: MIT
// Frames of other machines that pass themselves off as the translator.
#pragma once

#include "frame.hpp"
#include "settings.hpp"

namespace auklet::network {

/// Whether a frame from outside says what only this machine's own translator
/// may: that it has one of its addresses, is a router, or serves DHCP. A packet
/// that cannot be read is taken for one.
[[nodiscard]] bool imitates(const Frame& frame, const Settings& settings);

} // namespace auklet::network
