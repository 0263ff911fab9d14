// SPDX-License-Identifier: MIT
// What the machine needs from the environment it runs in: a page, Node.js, or a test. What its devices need stands in
// backends/.
#pragma once

#include "error.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace auklet {

enum class LogLevel : std::uint8_t { information, warning, error };

/// Makes and reaches the memories of programs.
class MemoryEngine {
  public:
    virtual ~MemoryEngine() = default;

    /// Makes user memory number `id` and sends it to every worker. False: the engine has no more.
    [[nodiscard]] virtual bool create_memory(std::uint32_t id, std::uint32_t maximum_pages) = 0;

    /// Copies `length` bytes between user memory `id` and K, whose range the caller has checked; returns how many,
    /// which are fewer if the user memory ends before.
    [[nodiscard]] virtual std::uint32_t copy_memory(std::uint32_t id, std::uint32_t address,
                                                    std::uint32_t guest_address, std::uint32_t length, bool write) = 0;

    /// Writes 1 to a 32-bit word of a user memory. An address outside of the memory is ignored: it is the guest's.
    virtual void set_safepoint(std::uint32_t id, std::uint32_t address) = 0;
};

/// Starts and ends the workers that run tasks.
class WorkerEngine {
  public:
    virtual ~WorkerEngine() = default;

    /// Starts the pooled worker of `slot`; Machine::worker_ready or Machine::worker_gone follows later.
    virtual void start_worker(std::uint32_t slot) = 0;
    /// Ends the worker of `slot`; Machine::worker_gone follows when it can no longer touch any memory.
    virtual void terminate_worker(std::uint32_t slot) = 0;
};

class Clock {
  public:
    virtual ~Clock() = default;

    /// Monotonic milliseconds.
    [[nodiscard]] virtual double now() = 0;
    /// Milliseconds since 1970 on the wall clock of this computer, as it is set now.
    [[nodiscard]] virtual double wall_time() = 0;
    /// Calls Machine::timer once, `milliseconds` from now. A new call replaces the old one.
    virtual void set_timer(double milliseconds) = 0;
};

/// The cryptographic source of random bytes.
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

/// All of it. Calls must not come back into the machine before they return.
class Platform : public MemoryEngine, public WorkerEngine, public Clock, public Random, public Log {};

} // namespace auklet
