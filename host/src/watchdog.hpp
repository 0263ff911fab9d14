// SPDX-License-Identifier: MIT
// Notices a guest that has stopped: a CPU that is not idle takes a timer interrupt every few milliseconds.
#pragma once

#include "machine_state.hpp"

#include <array>
#include <cstdint>
#include <vector>

namespace auklet {

class Watchdog {
  public:
    /// How often look() wants to be called, and how long a CPU may go without a tick; milliseconds.
    static constexpr double interval = 1000;
    static constexpr double patience = 5000;

    struct Report {
        /// CPUs that have been without a tick for too long since this look; each is told once, until it ticks again.
        std::vector<std::uint32_t> stopped = {};
        /// The last of those that were told is well again.
        bool resumed = false;
    };

    /// `now` in milliseconds.
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
