// SPDX-License-Identifier: MIT
// Pooled workers: one for each task that runs or may run soon (docs/abi-engine.md, "Workers").
#pragma once

#include "machine_state.hpp"
#include "platform.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace auklet {

class MemoryPool;

class WorkerPool {
  public:
    WorkerPool(Platform& platform, MemoryPool& memories, std::uint32_t limit);

    /// Starts the first workers. May come before attach(): they wait for the kernel's code.
    void start(std::uint32_t count);
    void attach(MachineState& state);

    /// Starts as many workers as the kernel's goal asks for, within the limit. True if the kernel should look again,
    /// because nothing more will come.
    [[nodiscard]] bool refill();
    /// Somebody begins to use the machine. The first program that he starts finds a worker.
    void expect_use();
    /// Looks for abandoned workers, and ends those that did not come back by themselves.
    void reap();

    /// The worker has parked for the first time.
    void ready(std::uint32_t slot);
    /// The worker is gone (terminated, or it could not start), and touches no memory any more.
    void gone(std::uint32_t slot);

    /// Slots that have been used.
    [[nodiscard]] std::uint32_t slots() const { return static_cast<std::uint32_t>(slots_.size()); }
    /// Workers that exist, in any state.
    [[nodiscard]] std::uint32_t count() const;

  private:
    enum class Life : std::uint8_t { none, starting, alive, terminating };
    struct Slot {
        Life life = Life::none;
        /// When an abandoned worker is ended, unless it comes back before.
        std::optional<double> deadline = {};
    };

    void start_one(std::uint32_t slot);
    /// Starts workers until `goal` are parked or will be soon, within the limit.
    void provide(std::uint32_t goal);
    [[nodiscard]] std::uint32_t available() const;

    Platform& platform_;
    MemoryPool& memories_;
    MachineState* state_ = nullptr;
    std::uint32_t limit_;
    std::vector<Slot> slots_;
    /// Starts that failed in a row: the engine has no more workers.
    std::uint32_t failed_starts_ = 0;
    bool used_ = false;
};

} // namespace auklet
