// SPDX-License-Identifier: MIT
// The pool of user memories. Engines allow few of them and give none back, so
// the pool makes each once and uses it again.
#pragma once

#include "machine_state.hpp"
#include "platform.hpp"

#include <cstdint>

namespace auklet {

class MemoryPool {
  public:
    /// A pool of at most `limit` memories, each of which may grow to
    /// `maximum_pages` pages of 64 KiB.
    MemoryPool(MemoryEngine& engine, Log& log, std::uint32_t limit, std::uint32_t maximum_pages);

    /// Makes memories until there are `count`, or the engine has no room for
    /// more. count() tells how many there are. May be called again for the
    /// rest. Comes before attach(), and before the first pooled worker.
    void start(std::uint32_t count);
    void attach(MachineState& state);

    /// Makes memories until as many are free as the kernel's goal asks for,
    /// within the limit.
    void refill();
    /// Drops the reference of a terminated worker, which can no longer write to
    /// memory `id`. The guest wrote `id`, so it may be wrong.
    void release(std::uint32_t id);

    /// Sets the word that a program polls, in each memory for which the kernel
    /// asks that (docs/abi-engine.md, "Safepoints").
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
