// SPDX-License-Identifier: MIT
// Many timers over the one of the platform's clock.
#pragma once

#include "platform.hpp"

#include <limits>
#include <map>

namespace auklet {

class Timer;

class TimerQueue {
  public:
    explicit TimerQueue(Clock& clock) : clock_(clock) {}

    [[nodiscard]] double now() { return clock_.now(); }
    /// The clock's timer has come.
    void run();

  private:
    friend class Timer;
    using Places = std::multimap<double, Timer*>;

    void arm(double now);

    Clock& clock_;
    Places places_;
    double armed_ = std::numeric_limits<double>::infinity();
};

/// Calls a function once, some time after set(). The function may destroy the
/// timer.
class Timer {
  public:
    using Function = void (*)(void* owner);

    Timer(TimerQueue& queue, Function expired, void* owner) : queue_(queue), expired_(expired), owner_(owner) {}
    ~Timer();
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

    /// Replaces an earlier set().
    void set(double milliseconds);
    /// The same, but an earlier time stays.
    void set_at_latest(double milliseconds);
    void cancel() { due_ = never; }
    [[nodiscard]] bool is_set() const { return due_ != never; }

  private:
    friend class TimerQueue;
    static constexpr double never = std::numeric_limits<double>::infinity();

    TimerQueue& queue_;
    Function expired_;
    void* owner_;
    double due_ = never;
    /// Not after due_. A timer that is set again and again, later each time,
    /// stays in its place until that comes, and is put in its new one then: so
    /// set() for each packet costs nothing.
    TimerQueue::Places::iterator place_ = queue_.places_.end();
};

} // namespace auklet
