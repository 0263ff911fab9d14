// SPDX-License-Identifier: MIT
// The life of pooled workers: start, park, reap. kernel/model/cpu-token.pml
// models reap() and gone().

#include "worker_pool.hpp"

#include "memory_pool.hpp"

#include <algorithm>

namespace auklet {

namespace {

/// How long an abandoned worker may take to come back. A killed program usually
/// makes a system call soon. Then its worker comes back by itself, which costs
/// nothing. A new worker costs 10 to 20 ms, and in Chromium the terminated one
/// keeps a memory for up to 2 s.
constexpr double abandoned_grace_milliseconds = 20;

/// How many workers to keep parked from the first use on. The kernel leaves one
/// of them for a task that is killed (WORKER_RESERVE in
/// kernel/overlay/arch/wasm/kernel/pools.c).
constexpr std::uint32_t workers_of_a_used_machine = 2;

} // namespace

WorkerPool::WorkerPool(Platform& platform, TimerQueue& timers, MemoryPool& memories, std::uint32_t limit)
    : platform_(platform), memories_(memories), limit_(std::min<std::uint32_t>(limit, AUKLET_MAX_WORKERS)),
      reaping_(timers, [](void* pool) { static_cast<WorkerPool*>(pool)->reap(); }, this) {}

void WorkerPool::start(std::uint32_t count) {
    for (std::uint32_t slot = 0; slot < std::min(count, limit_); ++slot)
        start_one(slot);
}

void WorkerPool::attach(MachineState& state) {
    state_ = &state;
    state.region().store32(offsetof(abi::Machine, worker_limit), limit_);
    state.region().store32(offsetof(abi::Machine, workers), static_cast<std::uint32_t>(slots_.size()));
    if (used_)
        provide(workers_of_a_used_machine);
}

void WorkerPool::start_one(std::uint32_t slot) {
    if (slot == slots_.size()) {
        slots_.push_back({});
        // Store the count before the worker starts: the kernel looks only at
        // slots below it.
        if (state_ != nullptr)
            state_->region().store32(offsetof(abi::Machine, workers), slot + 1);
    }
    slots_[slot] = {.life = Life::starting};
    platform_.start_worker(slot);
}

/// How many workers are parked or will be soon.
std::uint32_t WorkerPool::available() const {
    std::uint32_t count = 0;
    for (std::uint32_t slot = 0; slot < slots_.size(); ++slot)
        if (slots_[slot].life == Life::starting ||
            (slots_[slot].life == Life::alive &&
             state_->region().load32(MachineState::worker(slot, offsetof(abi::Worker, state))) == AUKLET_WORKER_IDLE))
            ++count;
    return count;
}

void WorkerPool::provide(std::uint32_t goal) {
    auto have = available();
    goal = std::min(goal, limit_);
    // The limit counts workers, not slots. gone() may have lowered it to the
    // number of workers while there were empty slots between them.
    const auto room = limit_ - std::min(count(), limit_);
    const auto wanted = have + std::min(goal - std::min(have, goal), room);
    for (std::uint32_t slot = 0; have < wanted && slot < AUKLET_MAX_WORKERS; ++slot)
        if (slot == slots_.size() || slots_[slot].life == Life::none) {
            start_one(slot);
            ++have;
        }
}

void WorkerPool::expect_use() {
    if (used_)
        return;
    used_ = true;
    if (state_ != nullptr)
        provide(workers_of_a_used_machine);
}

bool WorkerPool::refill() {
    // The guest wrote the goal, which may be any number. The limit bounds it.
    provide(state_->region().load32(offsetof(abi::Machine, worker_goal)));
    auto starting = std::ranges::count(slots_, Life::starting, &Slot::life);
    // If some are starting, ready() tells the kernel when they are there.
    return starting == 0;
}

void WorkerPool::reap() {
    const double now = platform_.now();
    std::optional<double> next;
    for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
        auto& entry = slots_[slot];
        const auto word = MachineState::worker(slot, offsetof(abi::Worker, state));
        if (entry.life != Life::alive || state_->region().load32(word) != AUKLET_WORKER_ABANDONED) {
            entry.deadline.reset();
            continue;
        }
        if (!entry.deadline)
            entry.deadline = now + abandoned_grace_milliseconds;
        if (*entry.deadline > now) {
            next = std::min(next.value_or(*entry.deadline), *entry.deadline);
            continue;
        }
        entry.deadline.reset();
        // The worker may come back at this moment. The compare-exchange lets
        // only one of the two change ABANDONED. The host must never terminate a
        // parked worker, because a waiter that dies takes a notification with
        // it.
        if (state_->region().compare_exchange32(word, AUKLET_WORKER_ABANDONED, AUKLET_WORKER_TERMINATING)) {
            entry.life = Life::terminating;
            platform_.terminate_worker(slot);
        }
    }
    if (next)
        reaping_.set(*next - now);
}

void WorkerPool::ready(std::uint32_t slot) {
    if (slot >= slots_.size() || slots_[slot].life != Life::starting)
        return;
    slots_[slot].life = Life::alive;
    failed_starts_ = 0;
    if (state_ != nullptr)
        state_->pools_changed();
}

void WorkerPool::gone(std::uint32_t slot) {
    if (slot >= slots_.size() || slots_[slot].life == Life::none)
        return;
    const auto life = slots_[slot].life;
    slots_[slot] = {};
    if (life == Life::starting) {
        // An engine that has no more workers only becomes slower if it is asked
        // for more. So the pool stays with those that it has.
        if (++failed_starts_ >= 3 && count() != 0 && count() < limit_) {
            limit_ = count();
            platform_.log(LogLevel::warning,
                          text_of("no more workers can be started; the limit is ", limit_, " tasks now"));
            if (state_ != nullptr)
                state_->region().store32(offsetof(abi::Machine, worker_limit), limit_);
        }
    }
    if (state_ == nullptr)
        return;
    const auto& region = state_->region();
    const auto memory_word = MachineState::worker(slot, offsetof(abi::Worker, memory));
    if (life == Life::terminating)
        memories_.release(region.exchange32(memory_word, abi::no_memory));
    region.store32(MachineState::worker(slot, offsetof(abi::Worker, task)), 0);
    region.store32(MachineState::worker(slot, offsetof(abi::Worker, state)), AUKLET_WORKER_EMPTY);
    if (refill() || life == Life::terminating)
        state_->pools_changed();
}

std::uint32_t WorkerPool::count() const {
    return static_cast<std::uint32_t>(
        std::ranges::count_if(slots_, [](const Slot& slot) { return slot.life != Life::none; }));
}

} // namespace auklet
