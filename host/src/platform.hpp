// SPDX-License-Identifier: MIT
// What the machine needs from its environment: a page, Node.js, or a test.
// backends/ has what its devices need.
#pragma once

#include "error.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace auklet {

enum class LogLevel : std::uint8_t { information, warning, error };

/// Makes the memories of programs, and accesses them.
class MemoryEngine {
  public:
    virtual ~MemoryEngine() = default;

    /// Makes user memory number `id`, which may grow to `maximum_pages` pages
    /// of 64 KiB. From then on every worker knows it or can ask for it. Returns
    /// false if the engine has no room for it.
    [[nodiscard]] virtual bool create_memory(std::uint32_t id, std::uint32_t maximum_pages) = 0;

    /// Copies `length` bytes between `address` of user memory `id` and
    /// `guest_address` of K: to the user memory if `write`, else from it. The
    /// caller has checked the range of K. Returns how many bytes were copied:
    /// fewer if the user memory ends before.
    [[nodiscard]] virtual std::uint32_t copy_memory(std::uint32_t id, std::uint32_t address,
                                                    std::uint32_t guest_address, std::uint32_t length, bool write) = 0;

    /// Writes 1 to a 32-bit word of a user memory. The guest wrote `address`,
    /// so one that is misaligned or outside of the memory is ignored.
    virtual void set_safepoint(std::uint32_t id, std::uint32_t address) = 0;
};

/// Starts and ends the workers that run tasks.
class WorkerEngine {
  public:
    virtual ~WorkerEngine() = default;

    /// Starts the pooled worker of `slot`. Machine::worker_ready or
    /// Machine::worker_gone follows later.
    virtual void start_worker(std::uint32_t slot) = 0;
    /// Ends the worker of `slot`. Machine::worker_gone follows when the worker
    /// can no longer touch any memory.
    virtual void terminate_worker(std::uint32_t slot) = 0;
};

class Clock {
  public:
    virtual ~Clock() = default;

    /// Milliseconds of the monotonic clock.
    [[nodiscard]] virtual double now() = 0;
    /// Milliseconds since 1970 on this computer's wall clock, as it is set now.
    [[nodiscard]] virtual double wall_time() = 0;
    /// Calls Machine::timer once, `milliseconds` from now. Another set_timer()
    /// before that replaces this one.
    virtual void set_timer(double milliseconds) = 0;
};

/// A cryptographic source of random bytes.
class Random {
  public:
    virtual ~Random() = default;
    virtual void random(std::span<std::byte> bytes) = 0;
};

class Log {
  public:
    virtual ~Log() = default;
    virtual void log(LogLevel level, std::string_view message) = 0;
};

/// All of these. A call must not come back into the machine before it returns.
class Platform : public MemoryEngine, public WorkerEngine, public Clock, public Random, public Log {};

} // namespace auklet
