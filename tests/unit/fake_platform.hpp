// SPDX-License-Identifier: MIT
// A platform that records what it is asked for.
#pragma once

#include "src/devices.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace auklet::test {

class FakePlatform final : public Platform,
                           public ConsoleBackend,
                           public SocketBackend,
                           public DiskBackend,
                           public ShareBackend,
                           public FlowBackend,
                           public NameBackend,
                           public LinkBackend {
  public:
    bool create_memory(std::uint32_t id, std::uint32_t) override {
        if (memories.size() == memories_available)
            return false;
        memories.push_back(id);
        return true;
    }
    std::uint32_t copy_memory(std::uint32_t id, std::uint32_t address, std::uint32_t guest_address,
                              std::uint32_t length, bool write) override {
        copies.push_back({id, address, guest_address, length, write});
        return length / 2;
    }
    void set_safepoint(std::uint32_t id, std::uint32_t address) override { safepoints.emplace_back(id, address); }
    void start_worker(std::uint32_t slot) override { started.push_back(slot); }
    void terminate_worker(std::uint32_t slot) override { terminated.push_back(slot); }
    double now() override { return time += reading; }
    double wall_time() override { return time + wall_offset; }
    void set_timer(double milliseconds) override { timer = milliseconds; }
    void random(std::span<std::byte> bytes) override { std::ranges::fill(bytes, std::byte{0xa5}); }
    void console_output(std::span<const std::byte> bytes) override {
        output.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
    void console_consumed(std::size_t) override {}
    void socket_opened(ConnectionId) override {}
    void socket_accepted(ConnectionId, std::uint32_t) override {}
    void socket_data(ConnectionId, std::span<const std::byte>) override {}
    void socket_sent(ConnectionId, std::size_t) override {}
    void socket_ended(ConnectionId) override {}
    void socket_closed(ConnectionId, bool) override {}
    void submit(DiskId, const DiskRequest&) override {}
    void submit(ShareId, const ShareRequest&) override {}
    void flow_open(FlowId, FlowKind, const network::Address&, std::uint16_t) override {}
    void flow_opened(FlowId) override {}
    std::size_t flow_send(FlowId, std::span<const std::byte>) override { return 0; }
    void flow_finish(FlowId) override {}
    void flow_consumed(FlowId, std::size_t) override {}
    void flow_closed(FlowId, bool) override {}
    void resolve(QuestionId, std::string_view, bool) override {}
    void ask(QuestionId, std::span<const std::byte>) override {}
    bool link_send(const network::Frame&) override { return true; }
    void link_ready() override {}
    void log(LogLevel, std::string_view message) override { logged.emplace_back(message); }

    [[nodiscard]] Backends backends() {
        return {.console = *this,
                .sockets = *this,
                .disks = *this,
                .shares = *this,
                .flows = *this,
                .names = *this,
                .links = *this,
                .random = *this};
    }

    std::size_t memories_available = 1000;
    double time = 1000;
    /// Each look at the clock takes so long.
    double reading = 0;
    double wall_offset = 1.7e12;
    std::optional<double> timer;
    std::vector<std::uint32_t> memories;
    struct Copy {
        std::uint32_t id, address, guest_address, length;
        bool write;
        bool operator==(const Copy&) const = default;
    };
    std::vector<Copy> copies;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> safepoints;
    std::vector<std::uint32_t> started;
    std::vector<std::uint32_t> terminated;
    std::string output;
    std::vector<std::string> logged;
};

} // namespace auklet::test
