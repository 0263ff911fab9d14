// SPDX-License-Identifier: MIT
// Tells the guest how far the wall clock is from the monotonic clock, and when that changes: after the computer slept,
// and when somebody sets its clock.
#pragma once

#include "machine_state.hpp"
#include "platform.hpp"

#include <optional>

namespace auklet {

class WallClock {
  public:
    /// Milliseconds. Less is an inaccurate reading, and not told: browsers tell the time by up to 100.
    static constexpr double threshold = 250;

    explicit WallClock(Clock& clock) : clock_(clock) {}

    /// Writes the offset for the kernel to start with.
    void attach(const MachineState& state);
    /// Looks at the clocks. To be called often, and before anything that a user notices after the computer slept.
    void look(const MachineState& state);

  private:
    /// Milliseconds from the monotonic clock to the wall clock; nothing if both could not be read at about the same
    /// time.
    [[nodiscard]] std::optional<double> offset();
    void tell(const MachineState& state, double offset);

    Clock& clock_;
    double told_ = 0;
};

} // namespace auklet
