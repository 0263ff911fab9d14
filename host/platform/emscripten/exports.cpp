// SPDX-License-Identifier: MIT
// The host as a WebAssembly module, which has one machine. It exports functions
// to web/src/machine/host-module.ts, and makes platform and backends of the
// functions that this file gives it. A function with a status returns 1, or 0
// after an error: textAddress() and textLength() then give its message.

#include "../../src/machine.hpp"
#include "javascript.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace {

using namespace auklet;

class SharedMemory final : public GuestMemory {
  public:
    using GuestMemory::GuestMemory;

  private:
    void copy_from(GuestAddress address, std::span<std::byte> destination) override {
        javascript::copy_from(address, destination.data(), destination.size());
    }
    void copy_to(GuestAddress address, std::span<const std::byte> source) override {
        javascript::copy_to(address, source.data(), source.size());
    }
    std::uint16_t load16(GuestAddress address) override {
        return static_cast<std::uint16_t>(javascript::load16(address));
    }
    void store16(GuestAddress address, std::uint16_t value) override { javascript::store16(address, value); }
    std::uint32_t load32(GuestAddress address) override { return javascript::load32(address); }
    void store32(GuestAddress address, std::uint32_t value) override { javascript::store32(address, value); }
    std::uint32_t exchange32(GuestAddress address, std::uint32_t value) override {
        return javascript::exchange32(address, value);
    }
    std::uint32_t or32(GuestAddress address, std::uint32_t value) override { return javascript::or32(address, value); }
    std::uint32_t add32(GuestAddress address, std::uint32_t value) override {
        return javascript::add32(address, value);
    }
    std::uint32_t compare_exchange32(GuestAddress address, std::uint32_t expected, std::uint32_t desired) override {
        return javascript::compare_exchange32(address, expected, desired);
    }
    void notify(GuestAddress address) override { javascript::notify(address); }
};

class JavaScriptPlatform final : public Platform {
  public:
    bool create_memory(std::uint32_t id, std::uint32_t maximum_pages) override {
        return javascript::create_memory(id, maximum_pages) != 0;
    }
    std::uint32_t copy_memory(std::uint32_t id, std::uint32_t address, std::uint32_t guest_address,
                              std::uint32_t length, bool write) override {
        return javascript::copy_memory(id, address, guest_address, length, write ? 1 : 0);
    }
    void set_safepoint(std::uint32_t id, std::uint32_t address) override { javascript::set_safepoint(id, address); }
    void start_worker(std::uint32_t slot) override { javascript::start_worker(slot); }
    void terminate_worker(std::uint32_t slot) override { javascript::terminate_worker(slot); }
    double now() override { return javascript::now(); }
    double wall_time() override { return javascript::wall_time(); }
    void set_timer(double milliseconds) override { javascript::set_timer(milliseconds); }
    void random(std::span<std::byte> bytes) override { javascript::random(bytes.data(), bytes.size()); }
    void log(LogLevel level, std::string_view message) override {
        javascript::log(static_cast<std::uint32_t>(level), message.data(), message.size());
    }
};

class JavaScriptConsole final : public ConsoleBackend {
  public:
    void console_output(std::span<const std::byte> bytes) override {
        javascript::console_output(bytes.data(), bytes.size());
    }
    void console_consumed(std::size_t count) override { javascript::console_consumed(count); }
};

class JavaScriptSockets final : public SocketBackend {
  public:
    void socket_opened(ConnectionId id) override { javascript::socket_opened(id); }
    void socket_accepted(ConnectionId id, std::uint32_t port) override { javascript::socket_accepted(id, port); }
    void socket_data(ConnectionId id, std::span<const std::byte> bytes) override {
        javascript::socket_data(id, bytes.data(), bytes.size());
    }
    void socket_sent(ConnectionId id, std::size_t count) override { javascript::socket_sent(id, count); }
    void socket_ended(ConnectionId id) override { javascript::socket_ended(id); }
    void socket_closed(ConnectionId id, bool reset) override { javascript::socket_closed(id, reset ? 1 : 0); }
};

class JavaScriptDisks final : public DiskBackend {
  public:
    void submit(DiskId disk, const DiskRequest& request) override {
        places_.clear();
        for (const auto& region : request.memory) {
            places_.push_back(region.address());
            places_.push_back(static_cast<std::uint32_t>(region.length()));
        }
        javascript::disk_submit(disk, static_cast<std::uint32_t>(request.operation), request.durable ? 1 : 0,
                                request.id, static_cast<double>(request.offset), static_cast<double>(request.length),
                                places_.data(), request.memory.size());
    }

  private:
    std::vector<std::uint32_t> places_;
};

/// web/src/storage/share-protocol.ts reads these words.
class JavaScriptShares final : public ShareBackend {
  public:
    void submit(ShareId share, const ShareRequest& request) override {
        words_.clear();
        put(static_cast<std::uint32_t>(request.operation), request.id);
        for (const auto value : {request.node, request.other_node, request.handle, request.offset, request.length})
            put64(value);
        put(request.flags, request.mode, request.user, request.group);
        const auto& changes = request.changes;
        put(changes.valid, changes.mode, changes.user, changes.group);
        for (const auto value : {changes.size, changes.access_time, changes.change_time})
            put64(value);
        put(changes.access_nanoseconds, changes.change_nanoseconds);
        put_text(request.name);
        put_text(request.other_name);
        for (const auto& region : request.memory)
            put(region.address(), static_cast<std::uint32_t>(region.length()));
        javascript::share_submit(share, words_.data(), words_.size());
    }

  private:
    template <typename... Words> void put(Words... words) { (words_.push_back(words), ...); }
    void put64(std::uint64_t value) { put(static_cast<std::uint32_t>(value), static_cast<std::uint32_t>(value >> 32)); }
    void put_text(const std::string& text) {
        put(static_cast<std::uint32_t>(text.size()));
        const auto place = words_.size();
        words_.resize(place + (text.size() + 3) / 4);
        text.copy(reinterpret_cast<char*>(words_.data() + place), text.size());
    }

    std::vector<std::uint32_t> words_;
};

class JavaScriptFlows final : public FlowBackend {
  public:
    void flow_open(FlowId id, FlowKind kind, const network::Address& address, std::uint16_t port) override {
        javascript::flow_open(id, static_cast<std::uint32_t>(kind), address.bytes.data(), port);
    }
    void flow_opened(FlowId id) override { javascript::flow_accepted(id); }
    std::size_t flow_send(FlowId id, std::span<const std::byte> bytes) override {
        return javascript::flow_send(id, bytes.data(), bytes.size());
    }
    void flow_finish(FlowId id) override { javascript::flow_finish(id); }
    void flow_consumed(FlowId id, std::size_t count) override { javascript::flow_consumed(id, count); }
    void flow_closed(FlowId id, bool reset) override { javascript::flow_closed(id, reset ? 1 : 0); }
};

class JavaScriptNames final : public NameBackend {
  public:
    void resolve(QuestionId id, std::string_view name, bool ipv6) override {
        javascript::name_resolve(id, name.data(), name.size(), ipv6 ? 1 : 0);
    }
    void ask(QuestionId id, std::span<const std::byte> message) override {
        javascript::name_ask(id, message.data(), message.size());
    }
};

class JavaScriptLinks final : public LinkBackend {
  public:
    bool link_send(const network::Frame& frame) override {
        return javascript::link_send(&frame.offload, frame.bytes.data(), frame.bytes.size()) != 0;
    }
    void link_ready() override { javascript::link_ready(); }
};

class JavaScriptCapture final : public network::CaptureSink {
  public:
    bool captured(network::Bytes bytes) override { return javascript::captured(bytes.data(), bytes.size()) != 0; }
};

/// Bytes that JavaScript keeps until they are copied to K.
class JavaScriptSource final : public ByteSource {
  public:
    JavaScriptSource(std::uint32_t source, std::uint64_t size) : size_(size), source_(source) {}
    ~JavaScriptSource() override { javascript::release_source(source_); }
    [[nodiscard]] std::uint64_t size() const override { return size_; }
    void copy_to(const GuestRegion& destination) const override {
        if (destination.length() < size_)
            std::abort();
        javascript::copy_source(source_, destination.address());
    }

  private:
    std::uint64_t size_;
    std::uint32_t source_;
};

/// All that lives as long as the machine. configure() makes it.
struct Instance {
    explicit Instance(Configuration parsed)
        : configuration(parsed), memory(std::uint64_t{parsed.kernel_pages()} << 16),
          machine(std::move(parsed), platform,
                  {.console = console,
                   .sockets = sockets,
                   .disks = disks,
                   .shares = shares,
                   .flows = flows,
                   .names = names,
                   .links = links,
                   .random = platform},
                  memory) {}

    Configuration configuration;
    JavaScriptPlatform platform;
    JavaScriptConsole console;
    JavaScriptSockets sockets;
    JavaScriptDisks disks;
    JavaScriptShares shares;
    JavaScriptFlows flows;
    JavaScriptNames names;
    JavaScriptLinks links;
    JavaScriptCapture capture_sink;
    std::optional<network::Capture> capture;
    SharedMemory memory;
    Machine machine;
};

std::unique_ptr<Instance> instance;
std::string text_result;

int succeed_or_keep(const Result<void>& result) {
    if (!result)
        text_result = result.error().message;
    return result ? 1 : 0;
}

std::span<const std::byte> bytes_of(const void* bytes, std::size_t size) {
    return {static_cast<const std::byte*>(bytes), size};
}

} // namespace

#define AUKLET_EXPORT(name) __attribute__((export_name(#name)))

extern "C" {

AUKLET_EXPORT(allocate) void* host_allocate(std::size_t size) { return std::malloc(size); }
AUKLET_EXPORT(release) void host_release(void* bytes) { std::free(bytes); }

/// The text of the last error or of the last diagnostics: its address, and its
/// length in bytes.
AUKLET_EXPORT(textAddress) const char* host_text_address() { return text_result.data(); }
AUKLET_EXPORT(textLength) std::size_t host_text_length() { return text_result.size(); }

AUKLET_EXPORT(configure) int host_configure(const char* text, std::size_t size) {
    auto configuration = Configuration::parse({text, size});
    if (!configuration) {
        text_result = configuration.error().message;
        return 0;
    }
    instance = std::make_unique<Instance>(std::move(*configuration));
    return 1;
}

AUKLET_EXPORT(kernelPages) std::uint32_t host_kernel_pages() { return instance->configuration.kernel_pages(); }
AUKLET_EXPORT(watchInterval) double host_watch_interval() { return Watchdog::interval; }
AUKLET_EXPORT(processPages) std::uint32_t host_process_pages() { return instance->configuration.process_pages(); }
AUKLET_EXPORT(cpus) std::uint32_t host_cpus() { return instance->configuration.cpus; }

AUKLET_EXPORT(setInitramfs) void host_set_initramfs(std::uint32_t source, double size) {
    instance->machine.initramfs().set_base(
        std::make_unique<JavaScriptSource>(source, static_cast<std::uint64_t>(size)));
}

AUKLET_EXPORT(addFile)
int host_add_file(const char* path, std::size_t path_size, std::uint32_t mode, std::uint32_t source, double size) {
    return succeed_or_keep(instance->machine.initramfs().add_file(
        {path, path_size}, mode, std::make_unique<JavaScriptSource>(source, static_cast<std::uint64_t>(size))));
}

AUKLET_EXPORT(addDirectory)
int host_add_directory(const char* path, std::size_t path_size, std::uint32_t mode) {
    return succeed_or_keep(instance->machine.initramfs().add_directory({path, path_size}, mode));
}

AUKLET_EXPORT(addLink)
int host_add_link(const char* path, std::size_t path_size, const char* target, std::size_t target_size) {
    return succeed_or_keep(instance->machine.initramfs().add_link({path, path_size}, {target, target_size}));
}

/// Adds a disk of `size` bytes. Disks have numbers from 0 on.
AUKLET_EXPORT(addDisk)
int host_add_disk(const char* name, std::size_t name_size, double size, std::uint32_t read_only, std::uint32_t discards,
                  std::uint32_t unit) {
    return succeed_or_keep(instance->machine.add_disk({.name = {name, name_size},
                                                       .size = static_cast<std::uint64_t>(size),
                                                       .read_only = read_only != 0,
                                                       .discards = discards != 0,
                                                       .unit = unit}));
}

/// Adds a share. Shares have numbers from 0 on.
AUKLET_EXPORT(addShare)
int host_add_share(const char* tag, std::size_t tag_size, std::uint32_t read_only, std::uint32_t flushes) {
    return succeed_or_keep(
        instance->machine.add_share({.tag = {tag, tag_size}, .read_only = read_only != 0, .flushes = flushes != 0}));
}

/// Adds a network card; `mac` has 6 bytes, and then the 16 of the address that
/// DHCP gives away first. Comes before disks and shares.
AUKLET_EXPORT(addNetwork)
int host_add_network(const std::byte* mac, std::uint32_t mtu, std::uint32_t translates, std::uint32_t reaches_ipv6) {
    virtio::NetworkDescription card{.mac = {}, .mtu = static_cast<std::uint16_t>(mtu)};
    std::copy_n(mac, card.mac.size(), card.mac.begin());
    return succeed_or_keep(
        instance->machine.add_network(card, {.first_guest = network::Address::of(std::span(mac + card.mac.size(), 16)),
                                             .translates = translates != 0,
                                             .reaches_ipv6 = reaches_ipv6 != 0,
                                             .mtu = card.mtu}));
}

/// Lets the cards reach other machines.
AUKLET_EXPORT(addRemote) int host_add_remote(std::uint32_t offloads, std::uint32_t mtu) {
    return succeed_or_keep(
        instance->machine.add_remote({.offloads = offloads != 0, .mtu = static_cast<std::uint16_t>(mtu)}));
}

/// Begins a capture of the network cards' frames, and ends the one before. The
/// sink gets the header of its file at once.
AUKLET_EXPORT(startCapture) void host_start_capture() {
    instance->machine.set_capture(&instance->capture.emplace(instance->platform, instance->capture_sink));
}
AUKLET_EXPORT(stopCapture) void host_stop_capture() {
    instance->machine.set_capture(nullptr);
    instance->capture.reset();
}

/// Returns the address of the device tree, or 0 after an error.
AUKLET_EXPORT(prepare) std::uint32_t host_prepare() {
    auto device_tree = instance->machine.prepare();
    if (!device_tree)
        text_result = device_tree.error().message;
    return device_tree.value_or(0);
}

AUKLET_EXPORT(startPools) int host_start_pools() { return succeed_or_keep(instance->machine.start_pools()); }

AUKLET_EXPORT(attach) int host_attach(std::uint32_t machine_address, std::uint32_t heap_base) {
    return succeed_or_keep(instance->machine.attach(machine_address, heap_base));
}

AUKLET_EXPORT(doorbell) std::uint32_t host_doorbell() { return instance->machine.doorbell(); }
AUKLET_EXPORT(service) int host_service() { return instance->machine.service() ? 1 : 0; }
AUKLET_EXPORT(end) void host_end() {
    if (instance)
        instance->machine.end();
}
AUKLET_EXPORT(timer) void host_timer() { instance->machine.timer(); }
AUKLET_EXPORT(watch) void host_watch() { instance->machine.watch(); }
AUKLET_EXPORT(workerReady) void host_worker_ready(std::uint32_t slot) { instance->machine.worker_ready(slot); }
AUKLET_EXPORT(workerGone) void host_worker_gone(std::uint32_t slot) { instance->machine.worker_gone(slot); }

AUKLET_EXPORT(input) void host_input(const void* bytes, std::size_t size) {
    instance->machine.in_use();
    instance->machine.console().input(bytes_of(bytes, size));
}
AUKLET_EXPORT(outputTaken) void host_output_taken(std::size_t count) {
    instance->machine.console().output_taken(count);
}
AUKLET_EXPORT(flushOutput) void host_flush_output() { instance->machine.console().flush_output(); }
AUKLET_EXPORT(resize) void host_resize(std::uint32_t columns, std::uint32_t rows) {
    instance->machine.console().resize({static_cast<std::uint16_t>(columns), static_cast<std::uint16_t>(rows)});
}

AUKLET_EXPORT(socketConnect) void host_socket_connect(std::uint32_t id, std::uint32_t port) {
    instance->machine.in_use();
    instance->machine.sockets().connect(id, port);
}
AUKLET_EXPORT(socketListen) void host_socket_listen(std::uint32_t port, std::uint32_t listen) {
    if (listen != 0)
        instance->machine.sockets().listen(port);
    else
        instance->machine.sockets().unlisten(port);
}
AUKLET_EXPORT(socketSend) void host_socket_send(std::uint32_t id, const void* bytes, std::size_t size) {
    instance->machine.sockets().send(id, bytes_of(bytes, size));
}
AUKLET_EXPORT(socketTaken) void host_socket_taken(std::uint32_t id, std::size_t count) {
    instance->machine.sockets().taken(id, count);
}
AUKLET_EXPORT(socketFinish) void host_socket_finish(std::uint32_t id) { instance->machine.sockets().finish(id); }
AUKLET_EXPORT(socketAbort) void host_socket_abort(std::uint32_t id) { instance->machine.sockets().abort(id); }

/// The device number of the first disk or share: its bit in the doorbell wakes
/// the host.
AUKLET_EXPORT(firstStorageLine) std::uint32_t host_first_storage_line() {
    return instance->machine.first_storage_line();
}

AUKLET_EXPORT(diskCompleted)
void host_disk_completed(std::uint32_t disk, std::uint32_t request, std::uint32_t succeeded) {
    instance->machine.disk_completed(disk, request, succeeded != 0);
}

AUKLET_EXPORT(diskGrown) void host_disk_grown(std::uint32_t disk, double size) {
    instance->machine.disk_grown(disk, static_cast<std::uint64_t>(size));
}

/// `words` are those of FsDevice::completed().
AUKLET_EXPORT(shareCompleted)
void host_share_completed(std::uint32_t share, std::uint32_t request, std::uint32_t error, const std::uint32_t* words,
                          std::size_t count) {
    instance->machine.share_completed(share, request, error, {words, count});
}

// The answers of flows and names, which web/src/machine/network.ts gives. The
// machine has a network.

AUKLET_EXPORT(flowOpened) void host_flow_opened(std::uint32_t id, std::size_t room) {
    instance->machine.translator()->opened(id, room);
}
AUKLET_EXPORT(flowFailed) void host_flow_failed(std::uint32_t id, std::uint32_t error) {
    instance->machine.translator()->failed(id, static_cast<FlowError>(error));
}
/// `address` has the 16 bytes of a network::Address.
AUKLET_EXPORT(flowIncoming)
int host_flow_incoming(std::uint32_t id, const std::byte* address, std::uint32_t port, std::size_t room) {
    const auto guest = network::Address::of(std::span(address, 16));
    return instance->machine.translator()->incoming(id, guest, static_cast<std::uint16_t>(port), room) ? 1 : 0;
}
/// Returns how many bytes were taken.
AUKLET_EXPORT(flowData) std::size_t host_flow_data(std::uint32_t id, const void* bytes, std::size_t size) {
    return instance->machine.translator()->data(id, bytes_of(bytes, size));
}
AUKLET_EXPORT(flowWritable) void host_flow_writable(std::uint32_t id, std::size_t room) {
    instance->machine.translator()->writable(id, room);
}
AUKLET_EXPORT(flowFinished) void host_flow_finished(std::uint32_t id) { instance->machine.translator()->finished(id); }
AUKLET_EXPORT(flowAborted) void host_flow_aborted(std::uint32_t id) { instance->machine.translator()->aborted(id); }

/// `addresses` has 16 bytes for each of `count`.
AUKLET_EXPORT(nameResolved)
void host_name_resolved(std::uint32_t id, std::uint32_t error, const std::byte* addresses, std::size_t count,
                        std::uint32_t seconds) {
    std::vector<network::Address> found;
    for (std::size_t index = 0; index < count; ++index)
        found.push_back(network::Address::of(std::span(addresses + 16 * index, 16)));
    instance->machine.translator()->resolved(id, static_cast<NameError>(error), found, seconds);
}
AUKLET_EXPORT(nameAnswered) void host_name_answered(std::uint32_t id, const void* message, std::size_t size) {
    instance->machine.translator()->answered(id, bytes_of(message, size));
}

/// A network::Offload, padded to 12 bytes, and a frame. Returns 0 if it was not
/// taken.
AUKLET_EXPORT(linkReceive) int host_link_receive(const std::byte* bytes, std::size_t size) {
    constexpr std::size_t header = 12;
    network::Offload offload;
    static_assert(sizeof offload <= header);
    if (size < header)
        return 1;
    std::memcpy(&offload, bytes, sizeof offload);
    return instance->machine.remote()->receive(offload, {bytes + header, size - header}) ? 1 : 0;
}
AUKLET_EXPORT(linkWritable) void host_link_writable() { instance->machine.remote()->writable(); }

AUKLET_EXPORT(diagnose) void host_diagnose() { text_result = instance->machine.diagnostics(); }

} // extern "C"
