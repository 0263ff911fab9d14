// SPDX-License-Identifier: MIT
// The pool of workers: one for each task that runs or may run soon
// (docs/abi-engine.md, "Workers").
#pragma once

#include "machine_state.hpp"
#include "platform.hpp"
#include "timer_queue.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace auklet {

class MemoryPool;

class WorkerPool {
  public:
    /// A pool of at most `limit` workers.
    WorkerPool(Platform& platform, TimerQueue& timers, MemoryPool& memories, std::uint32_t limit);

    /// Starts the first workers. This may come before attach(), because the
    /// workers wait for the kernel's code.
    void start(std::uint32_t count);
    void attach(MachineState& state);

    /// Starts workers until as many are parked as the kernel's goal asks for,
    /// within the limit. Returns true if none is still starting: the kernel
    /// should look again, because no more will come.
    [[nodiscard]] bool refill();
    /// Somebody begins to use the machine. Starts workers now, so that the
    /// first program finds one.
    void expect_use();
    /// Looks for abandoned workers, and ends those that did not come back in
    /// time.
    void reap();

    /// The worker has parked for the first time.
    void ready(std::uint32_t slot);
    /// The worker was terminated, or could not start. It touches no memory any
    /// more.
    void gone(std::uint32_t slot);

    /// How many slots have been used.
    [[nodiscard]] std::uint32_t slots() const { return static_cast<std::uint32_t>(slots_.size()); }
    /// How many workers exist, in any state.
    [[nodiscard]] std::uint32_t count() const;

  private:
    enum class Life : std::uint8_t { none, starting, alive, terminating };
    struct Slot {
        Life life = Life::none;
        /// When to end an abandoned worker, unless it comes back before.
        /// Milliseconds of the monotonic clock.
        std::optional<double> deadline = {};
    };

    void start_one(std::uint32_t slot);
    /// Starts workers until `goal` are parked or will be soon, within the
    /// limit.
    void provide(std::uint32_t goal);
    [[nodiscard]] std::uint32_t available() const;

    Platform& platform_;
    MemoryPool& memories_;
    MachineState* state_ = nullptr;
    std::uint32_t limit_;
    std::vector<Slot> slots_;
    /// How many starts failed in a row. After three, the pool expects no more
    /// workers from the engine.
    std::uint32_t failed_starts_ = 0;
    bool used_ = false;
    Timer reaping_;
};

} // namespace auklet
