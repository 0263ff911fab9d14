// SPDX-License-Identifier: MIT
// The list of a machine's devices. There is no other.

#include "devices.hpp"

#include <algorithm>
#include <bit>
#include <string_view>

namespace auklet {

namespace {

/// virtio 1.2, 5.2.6: VIRTIO_BLK_T_GET_ID gives so many bytes.
constexpr std::size_t longest_disk_name = 20;
constexpr std::uint32_t smallest_unit = 4096;

/// virtio 1.2, 5.11.4: the tag has so many bytes.
constexpr std::size_t longest_tag = 35;

/// Bytes. IPv6 needs as much (RFC 8200, section 5).
constexpr std::uint16_t least_mtu = 1280;

/// Letters that a path of the guest can have: it finds the disk or share by its
/// name.
bool is_name(std::string_view name, std::size_t longest) {
    const auto is_valid = [](char letter) {
        return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
               (letter >= '0' && letter <= '9') || letter == '-' || letter == '_';
    };
    return !name.empty() && name.size() <= longest && std::ranges::all_of(name, is_valid);
}

} // namespace

Devices::Devices(const Configuration& configuration, const Backends& backends)
    : console_({static_cast<std::uint16_t>(configuration.columns), static_cast<std::uint16_t>(configuration.rows)},
               backends.console),
      entropy_(backends.random), sockets_(backends.sockets), disk_backend_(backends.disks),
      share_backend_(backends.shares), all_{&console_, &entropy_} {
    if (configuration.sockets != 0)
        all_.push_back(&sockets_);
}

Result<void> Devices::add_disk(DiskDescription description) {
    const auto& name = description.name;
    if (!is_name(name, longest_disk_name))
        return failure("a disk's name has 1 to ", longest_disk_name, " letters, digits, - and _, not \"", name, "\"");
    if (std::ranges::any_of(disks_, [&](const auto& disk) { return disk->description().name == name; }))
        return failure("there are two disks with the name ", name);
    if (description.size == 0 || description.size % 512 != 0)
        return failure("disk ", name, ": its size must be a multiple of 512 bytes, not ", description.size);
    if (description.unit != 0 && (!std::has_single_bit(description.unit) || description.unit < smallest_unit))
        return failure("disk ", name, ": a unit of ", description.unit, " bytes is no power of two from ",
                       smallest_unit, " on");
    if (all_.size() >= AUKLET_MAX_DEVICES)
        return failure("disk ", name, ": there are ", AUKLET_MAX_DEVICES, " devices already, which is the most");
    const auto id = static_cast<DiskId>(disks_.size());
    disks_.push_back(std::make_unique<virtio::BlockDevice>(id, std::move(description), disk_backend_));
    all_.push_back(disks_.back().get());
    return {};
}

Result<void> Devices::add_share(ShareDescription description) {
    const auto& tag = description.tag;
    if (!is_name(tag, longest_tag))
        return failure("a share's name has 1 to ", longest_tag, " letters, digits, - and _, not \"", tag, "\"");
    if (std::ranges::any_of(shares_, [&](const auto& share) { return share->description().tag == tag; }))
        return failure("there are two shares with the name ", tag);
    if (all_.size() >= AUKLET_MAX_DEVICES)
        return failure("share ", tag, ": there are ", AUKLET_MAX_DEVICES, " devices already, which is the most");
    const auto id = static_cast<ShareId>(shares_.size());
    shares_.push_back(std::make_unique<virtio::FsDevice>(id, std::move(description), share_backend_));
    all_.push_back(shares_.back().get());
    return {};
}

Result<void> Devices::add_network(const virtio::NetworkDescription& description, network::Link& link) {
    const auto& mac = description.mac;
    const bool is_group = (mac[0] & std::byte{1}) != std::byte{0};
    if (is_group || std::ranges::all_of(mac, [](std::byte byte) { return byte == std::byte{0}; }))
        return failure("a network card's address is neither 0 nor that of a group");
    if (std::ranges::any_of(networks_, [&](const auto& other) { return other->description().mac == mac; }))
        return failure("there are two network cards with the same address");
    if (description.mtu < least_mtu)
        return failure("a network card's MTU is at least ", least_mtu, " bytes, not ", description.mtu);
    if (!disks_.empty() || !shares_.empty())
        return failure("network cards come before disks and shares");
    if (all_.size() >= AUKLET_MAX_DEVICES)
        return failure("there are ", AUKLET_MAX_DEVICES, " devices already, which is the most");
    networks_.push_back(std::make_unique<virtio::NetDevice>(description, link));
    all_.push_back(networks_.back().get());
    return {};
}

} // namespace auklet
