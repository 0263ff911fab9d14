// SPDX-License-Identifier: MIT
// What the driver of a file system may name: the nodes and handles that it was
// given and has not given back.
#pragma once

#include "fuse.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <unordered_map>

namespace auklet::virtio {

class FuseSession {
  public:
    enum class Kind : std::uint8_t { file, folder };

    /// So many nodes are more than a guest has memory for. The limit keeps a
    /// driver that forgets none from filling the host's.
    static constexpr std::size_t most_nodes = 1 << 20;
    /// Files and folders open at a time. A share may keep a descriptor for
    /// each.
    static constexpr std::size_t most_handles = 4096;

    [[nodiscard]] bool knows(std::uint64_t node) const { return node == fuse::root_node || nodes_.contains(node); }
    /// The driver has one more reference to the node.
    void hold(std::uint64_t node) {
        if (node != fuse::root_node)
            ++nodes_[node];
    }
    /// The driver gives references back. Returns how many it had of these.
    [[nodiscard]] std::uint64_t drop(std::uint64_t node, std::uint64_t references) {
        const auto found = nodes_.find(node);
        if (found == nodes_.end())
            return 0;
        const auto dropped = std::min(found->second, references);
        found->second -= dropped;
        if (found->second == 0)
            nodes_.erase(found);
        return dropped;
    }
    [[nodiscard]] bool has_room_for_nodes() const { return nodes_.size() < most_nodes; }

    void open(std::uint64_t handle, Kind kind) { handles_[handle] = kind; }
    void close(std::uint64_t handle) { handles_.erase(handle); }
    [[nodiscard]] bool is_open(std::uint64_t handle, Kind kind) const {
        const auto found = handles_.find(handle);
        return found != handles_.end() && found->second == kind;
    }
    [[nodiscard]] std::size_t handles() const { return handles_.size(); }

  private:
    std::unordered_map<std::uint64_t, std::uint64_t> nodes_;
    std::unordered_map<std::uint64_t, Kind> handles_;
};

} // namespace auklet::virtio
