// SPDX-License-Identifier: MIT
// The list of a machine's devices. There is no other.

#include "devices.hpp"

namespace auklet {

Devices::Devices(const Configuration& configuration, const Backends& backends)
    : console_({static_cast<std::uint16_t>(configuration.columns), static_cast<std::uint16_t>(configuration.rows)},
               backends.console),
      entropy_(backends.random), sockets_(backends.sockets), all_{&console_, &entropy_} {
    if (configuration.sockets != 0)
        all_.push_back(&sockets_);
}

} // namespace auklet
