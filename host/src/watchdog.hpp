// SPDX-License-Identifier: MIT
// Notices a guest that has stopped. Every CPU that is not idle takes a timer
// interrupt every few milliseconds: a "tick".
#pragma once

#include "machine_state.hpp"

#include <array>
#include <cstdint>
#include <vector>

namespace auklet {

class Watchdog {
  public:
    /// Milliseconds between two calls of look().
    static constexpr double interval = 1000;
    /// Milliseconds that a CPU may go without a tick.
    static constexpr double patience = 5000;

    struct Report {
        /// CPUs that by this look have been without a tick for too long. Each
        /// is reported once, until it ticks again or is idle.
        std::vector<std::uint32_t> stopped = {};
        /// True if a reported CPU has recovered, and none is left.
        bool resumed = false;
    };

    /// `cpus` is how many CPUs the machine has. `now` is in milliseconds of the
    /// monotonic clock.
    [[nodiscard]] Report look(const MachineState& state, std::uint32_t cpus, double now);

  private:
    struct Cpu {
        std::uint32_t ticks = 0;
        double waited = 0;
    };
    std::array<Cpu, AUKLET_MAX_CPUS> cpus_ = {};
    double last_look_ = 0;
};

} // namespace auklet
