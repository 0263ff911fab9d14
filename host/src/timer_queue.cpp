// SPDX-License-Identifier: MIT
// Many timers over the one of the platform's clock.

#include "timer_queue.hpp"

#include <algorithm>
#include <utility>

namespace auklet {

void TimerQueue::run() {
    armed_ = Timer::never;
    // The clock may have been read before the timer was due by its own measure.
    // What expires meanwhile has its turn in the next run.
    const double now = clock_.now();
    while (!places_.empty() && places_.begin()->first <= now) {
        auto& timer = *places_.begin()->second;
        places_.erase(std::exchange(timer.place_, places_.end()));
        if (timer.due_ > now) {
            if (timer.is_set())
                timer.place_ = places_.emplace(timer.due_, &timer);
            continue;
        }
        timer.cancel();
        timer.expired_(timer.owner_);
    }
    arm(now);
}

void TimerQueue::arm(double now) {
    if (places_.empty() || places_.begin()->first >= armed_)
        return;
    armed_ = places_.begin()->first;
    clock_.set_timer(std::max(0.0, armed_ - now));
}

Timer::~Timer() {
    if (place_ != queue_.places_.end())
        queue_.places_.erase(place_);
}

void Timer::set(double milliseconds) {
    const double now = queue_.now();
    // Later than now, so that a function that sets its own timer ends run().
    due_ = now + std::max(1.0, milliseconds);
    if (place_ != queue_.places_.end()) {
        if (place_->first <= due_)
            return;
        queue_.places_.erase(place_);
    }
    place_ = queue_.places_.emplace(due_, this);
    queue_.arm(now);
}

void Timer::set_at_latest(double milliseconds) {
    if (queue_.now() + milliseconds < due_)
        set(milliseconds);
}

} // namespace auklet
