// SPDX-License-Identifier: MIT
// Makes user memories, and releases those that terminated workers held.

#include "memory_pool.hpp"

#include <algorithm>

namespace auklet {

MemoryPool::MemoryPool(MemoryEngine& engine, Log& log, std::uint32_t limit, std::uint32_t maximum_pages)
    : engine_(engine), log_(log), limit_(std::min<std::uint32_t>(limit, AUKLET_MAX_MEMORIES)),
      maximum_pages_(maximum_pages) {}

void MemoryPool::start(std::uint32_t count) {
    while (count_ < std::min(count, limit_) && create_one()) {
    }
}

void MemoryPool::attach(MachineState& state) {
    state_ = &state;
    const auto& region = state.region();
    for (std::uint32_t id = 0; id < count_; ++id)
        region.store32(MachineState::memory(id, offsetof(abi::Memory, state)), AUKLET_MEMORY_FREE);
    region.store32(offsetof(abi::Machine, memory_limit), limit_);
    region.store32(offsetof(abi::Machine, memory_pages), maximum_pages_);
    region.store32(offsetof(abi::Machine, memories), count_);
}

bool MemoryPool::create_one() {
    if (!engine_.create_memory(count_, maximum_pages_))
        return false;
    ++count_;
    return true;
}

void MemoryPool::refill() {
    const auto& region = state_->region();
    auto goal = region.load32(offsetof(abi::Machine, memory_goal));
    std::uint32_t free = 0;
    for (std::uint32_t id = 0; id < count_; ++id)
        if (region.load32(MachineState::memory(id, offsetof(abi::Memory, state))) == AUKLET_MEMORY_FREE)
            ++free;
    while (free < goal && count_ < limit_) {
        if (!create_one()) {
            // Nobody tells the host when there is room again. So the limit
            // makes the tasks fail that wait for a memory.
            limit_ = count_;
            region.store32(offsetof(abi::Machine, memory_limit), limit_);
            log_.log(LogLevel::warning,
                     text_of("no more memories can be made; the limit is ", limit_, " processes now"));
            return;
        }
        // Every worker knows the memory or can ask for it, so the kernel may
        // take it now.
        region.store32(MachineState::memory(count_ - 1, offsetof(abi::Memory, state)), AUKLET_MEMORY_FREE);
        region.store32(offsetof(abi::Machine, memories), count_);
        ++free;
    }
}

void MemoryPool::set_safepoints() {
    const auto& region = state_->region();
    for (std::uint32_t id = 0; id < count_; ++id) {
        const auto request = MachineState::memory(id, offsetof(abi::Memory, safepoint_request));
        if (!region.compare_exchange32(request, AUKLET_SAFEPOINT_WANTED, AUKLET_SAFEPOINT_BUSY))
            continue;
        // Read the address while the word is BUSY: from then on the kernel
        // waits before it gives the memory another program.
        if (auto address = region.load32(MachineState::memory(id, offsetof(abi::Memory, safepoint))); address != 0)
            engine_.set_safepoint(id, address);
        region.store32(request, AUKLET_SAFEPOINT_NONE);
        region.notify(request);
    }
}

void MemoryPool::release(std::uint32_t id) {
    if (id >= count_)
        return;
    const auto& region = state_->region();
    if (region.add32(MachineState::memory(id, offsetof(abi::Memory, users)), ~std::uint32_t{0}) == 1) {
        // No program polls a word of this memory any more.
        region.store32(MachineState::memory(id, offsetof(abi::Memory, safepoint)), 0);
        region.store32(MachineState::memory(id, offsetof(abi::Memory, state)), AUKLET_MEMORY_FREE);
    }
}

} // namespace auklet
