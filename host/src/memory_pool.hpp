// SPDX-License-Identifier: MIT
// Pooled user memories: engines allow few and give none back, so they are made once and used again.
#pragma once

#include "machine_state.hpp"
#include "platform.hpp"

#include <cstdint>

namespace auklet {

class MemoryPool {
  public:
    MemoryPool(MemoryEngine& engine, Log& log, std::uint32_t limit, std::uint32_t maximum_pages);

    /// Makes the first memories, as many as the engine has room for; count() says how many there are. May be called
    /// again for the rest. Comes before the first worker is started and before attach().
    void start(std::uint32_t count);
    void attach(MachineState& state);

    /// Makes as many memories as the kernel's goal asks for, within the limit.
    void refill();
    /// A terminated worker can no longer write to memory `id`: drops its reference. The id is the guest's word.
    void release(std::uint32_t id);

    /// Sets the polled word of each memory for which the kernel asks that (docs/abi-engine.md, "Safepoints").
    void set_safepoints();

    [[nodiscard]] std::uint32_t count() const { return count_; }

  private:
    [[nodiscard]] bool create_one();

    MemoryEngine& engine_;
    Log& log_;
    MachineState* state_ = nullptr;
    std::uint32_t limit_;
    std::uint32_t maximum_pages_;
    std::uint32_t count_ = 0;
};

} // namespace auklet
