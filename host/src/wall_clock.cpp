// SPDX-License-Identifier: MIT
// Compares the computer's two clocks.

#include "wall_clock.hpp"

#include <cmath>

namespace auklet {

namespace {

/// In one millisecond.
constexpr double nanoseconds = 1e6;
/// Milliseconds. offset() reads the wall clock between two readings of the
/// monotonic clock. If these are further apart, it tries again.
constexpr double most_apart = 20;
constexpr int most_tries = 5;

} // namespace

std::optional<double> WallClock::offset() {
    // The system may stop this thread between two readings, even for long. Then
    // they belong to different moments.
    for (int tries = 0; tries < most_tries; ++tries) {
        const double before = clock_.now();
        const double wall = clock_.wall_time();
        const double after = clock_.now();
        if (after - before <= most_apart)
            return wall - (before + after) / 2;
    }
    return std::nullopt;
}

void WallClock::attach(const MachineState& state) { tell(state, offset().value_or(clock_.wall_time() - clock_.now())); }

void WallClock::look(const MachineState& state) {
    const auto found = offset();
    if (!found || std::abs(*found - told_) < threshold)
        return;
    tell(state, *found);
    state.raise(AUKLET_LINE_CLOCK);
}

void WallClock::tell(const MachineState& state, double offset) {
    told_ = offset;
    const auto& region = state.region();
    region.add32(offsetof(abi::Machine, wall_sequence), 1);
    region.write_structure(offsetof(abi::Machine, wall_offset),
                           static_cast<std::int64_t>(std::llround(offset * nanoseconds)));
    region.add32(offsetof(abi::Machine, wall_sequence), 1);
}

} // namespace auklet
