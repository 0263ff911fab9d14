// SPDX-License-Identifier: MIT
// The functions that web/src/machine/host-module.ts gives to the module.
// Addresses of 32 bits are in K, but `address` of copy_memory and set_safepoint
// is in a user memory. Pointers are in this module's own memory. There is no
// extern "C" here, because log and random are functions of the C library too.
#pragma once

#include <cstddef>
#include <cstdint>

#define AUKLET_IMPORT(name) __attribute__((import_module("auklet"), import_name(#name)))

namespace auklet::javascript {

AUKLET_IMPORT(copyFrom) void copy_from(std::uint32_t address, void* destination, std::size_t size);
AUKLET_IMPORT(copyTo) void copy_to(std::uint32_t address, const void* source, std::size_t size);
AUKLET_IMPORT(load16) std::uint32_t load16(std::uint32_t address);
AUKLET_IMPORT(store16) void store16(std::uint32_t address, std::uint32_t value);
AUKLET_IMPORT(load32) std::uint32_t load32(std::uint32_t address);
AUKLET_IMPORT(store32) void store32(std::uint32_t address, std::uint32_t value);
AUKLET_IMPORT(exchange32) std::uint32_t exchange32(std::uint32_t address, std::uint32_t value);
AUKLET_IMPORT(or32) std::uint32_t or32(std::uint32_t address, std::uint32_t value);
AUKLET_IMPORT(add32) std::uint32_t add32(std::uint32_t address, std::uint32_t value);
AUKLET_IMPORT(compareExchange32)
std::uint32_t compare_exchange32(std::uint32_t address, std::uint32_t expected, std::uint32_t desired);
AUKLET_IMPORT(notify) void notify(std::uint32_t address);

/// Copies all bytes of `source` to K.
AUKLET_IMPORT(copySource) void copy_source(std::uint32_t source, std::uint32_t address);
AUKLET_IMPORT(releaseSource) void release_source(std::uint32_t source);

AUKLET_IMPORT(createMemory) std::int32_t create_memory(std::uint32_t id, std::uint32_t maximum_pages);
AUKLET_IMPORT(copyMemory)
std::uint32_t copy_memory(std::uint32_t id, std::uint32_t address, std::uint32_t guest_address, std::uint32_t length,
                          std::uint32_t write);
AUKLET_IMPORT(setSafepoint) void set_safepoint(std::uint32_t id, std::uint32_t address);
AUKLET_IMPORT(startWorker) void start_worker(std::uint32_t slot);
AUKLET_IMPORT(terminateWorker) void terminate_worker(std::uint32_t slot);
AUKLET_IMPORT(now) double now();
AUKLET_IMPORT(wallTime) double wall_time();
AUKLET_IMPORT(setTimer) void set_timer(double milliseconds);
AUKLET_IMPORT(random) void random(void* bytes, std::size_t size);
AUKLET_IMPORT(consoleOutput) void console_output(const void* bytes, std::size_t size);
AUKLET_IMPORT(consoleConsumed) void console_consumed(std::size_t count);
AUKLET_IMPORT(socketOpened) void socket_opened(std::uint32_t id);
AUKLET_IMPORT(socketAccepted) void socket_accepted(std::uint32_t id, std::uint32_t port);
AUKLET_IMPORT(socketData) void socket_data(std::uint32_t id, const void* bytes, std::size_t size);
AUKLET_IMPORT(socketSent) void socket_sent(std::uint32_t id, std::size_t count);
AUKLET_IMPORT(socketEnded) void socket_ended(std::uint32_t id);
AUKLET_IMPORT(socketClosed) void socket_closed(std::uint32_t id, std::uint32_t reset);
/// The places in K: pairs of an address and a length. Offset and length are
/// whole numbers of bytes.
AUKLET_IMPORT(diskSubmit)
void disk_submit(std::uint32_t disk, std::uint32_t operation, std::uint32_t durable, std::uint32_t request,
                 double offset, double length, const std::uint32_t* places, std::size_t place_count);
/// A request to a share: the numbers of ShareRequest in
/// its order, then two names, each with its
/// length in bytes and padded to whole words, then the places in K as above.
AUKLET_IMPORT(shareSubmit)
void share_submit(std::uint32_t share, const std::uint32_t* words, std::size_t count);
/// `address` has the 16 bytes of a network::Address.
AUKLET_IMPORT(flowOpen)
void flow_open(std::uint32_t id, std::uint32_t kind, const void* address, std::uint32_t port);
AUKLET_IMPORT(flowAccepted) void flow_accepted(std::uint32_t id);
AUKLET_IMPORT(flowSend) std::size_t flow_send(std::uint32_t id, const void* bytes, std::size_t size);
AUKLET_IMPORT(flowFinish) void flow_finish(std::uint32_t id);
AUKLET_IMPORT(flowConsumed) void flow_consumed(std::uint32_t id, std::size_t count);
AUKLET_IMPORT(flowClosed) void flow_closed(std::uint32_t id, std::uint32_t reset);
AUKLET_IMPORT(nameResolve)
void name_resolve(std::uint32_t id, const void* name, std::size_t size, std::uint32_t ipv6);
AUKLET_IMPORT(nameAsk) void name_ask(std::uint32_t id, const void* message, std::size_t size);
/// `offload` is a network::Offload. Returns 1, or 0 if there is no room.
AUKLET_IMPORT(linkSend) std::uint32_t link_send(const void* offload, const void* bytes, std::size_t size);
AUKLET_IMPORT(linkReady) void link_ready();
/// Returns 0 if there is no room for the bytes.
AUKLET_IMPORT(captured) std::uint32_t captured(const void* bytes, std::size_t size);
AUKLET_IMPORT(log) void log(std::uint32_t level, const void* text, std::size_t size);

} // namespace auklet::javascript
