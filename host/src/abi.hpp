// SPDX-License-Identifier: MIT
// The header that kernel and host share, with C++ names. The assertions check
// that this compiler lays it out as the kernel's does.
#pragma once

#include <uapi/asm/host.h>

#include <cstddef>

namespace auklet::abi {

using Cpu = ::auklet_cpu;
using Worker = ::auklet_worker;
using Memory = ::auklet_memory;
using Copy = ::auklet_copy;
using Machine = ::auklet_machine;
using TaskLayout = ::auklet_task_layout;
using VirtioPage = ::auklet_virtio;
using VirtioQueue = ::auklet_virtio_queue;

/// The value of auklet_worker.memory while the worker is bound to no user
/// memory.
inline constexpr auto no_memory = static_cast<__u32>(AUKLET_NO_MEMORY);

static_assert(sizeof(Cpu) == 64 && sizeof(Worker) == 64, "one cache line each");
static_assert(offsetof(Machine, cpu) % 64 == 0, "CPU words must not share a cache line");
static_assert(sizeof(VirtioPage) <= AUKLET_VIRTIO_CONFIG, "registers end before the configuration space");

} // namespace auklet::abi
