// SPDX-License-Identifier: MIT
// Tells the guest how far the wall clock is from the monotonic clock. That
// changes when the computer has slept, and when somebody sets its clock.
#pragma once

#include "machine_state.hpp"
#include "platform.hpp"

#include <optional>

namespace auklet {

class WallClock {
  public:
    /// Milliseconds. The guest is not told of a smaller change, which may be an
    /// inaccurate reading: the time of a browser may be wrong by 100 ms.
    static constexpr double threshold = 250;

    explicit WallClock(Clock& clock) : clock_(clock) {}

    /// Writes the offset for the kernel to start with.
    void attach(const MachineState& state);
    /// Looks at both clocks. The machine calls this often, and before anything
    /// that a user notices after the computer slept.
    void look(const MachineState& state);

  private:
    /// Returns the milliseconds from the monotonic clock to the wall clock.
    /// Returns nothing if the two could not be read at about the same moment.
    [[nodiscard]] std::optional<double> offset();
    void tell(const MachineState& state, double offset);

    Clock& clock_;
    double told_ = 0;
};

} // namespace auklet
