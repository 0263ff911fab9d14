// SPDX-License-Identifier: MIT
// virtio-net: a network card (virtio 1.2, section 5.1).
#pragma once

#include "../network/capture.hpp"
#include "../network/offload.hpp"
#include "../network/port.hpp"
#include "transport.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace auklet::virtio {

struct NetworkDescription {
    network::Mac mac;
    std::uint16_t mtu = 1500; ///< bytes of IP in a frame
};

/// Takes any frame of its link. It does what its driver has left to the sender,
/// checksums and segmentation, and keeps frames for which there is no room.
///
/// deliver() may come from within Link::send and Link::room, and room() from
/// within Link::room.
class NetDevice final : public Device, public network::Port {
  public:
    /// `description` was checked by Devices::add_network.
    NetDevice(const NetworkDescription& description, network::Link& link);

    struct Counters {
        std::uint64_t sent = 0; ///< frames of the guest
        std::uint64_t sent_bytes = 0;
        std::uint64_t received = 0; ///< frames that the guest got
        std::uint64_t received_bytes = 0;
        std::uint64_t refused = 0; ///< frames of the guest that are not right
        /// Frames to the guest when it had no driver, or no buffer that holds
        /// them. Both directions while there is no carrier.
        std::uint64_t dropped = 0;
    };
    [[nodiscard]] const Counters& counters() const { return counters_; }
    [[nodiscard]] const NetworkDescription& description() const { return description_; }

    /// Whether the cable is plugged in. It is at the beginning.
    void set_carrier(bool carrier);
    /// Records each frame that the guest sends or gets. nullptr: no more.
    void set_capture(network::Capture* capture) { capture_ = capture; }

    [[nodiscard]] bool deliver(const network::Frame& frame) override;
    void room() override;

    [[nodiscard]] std::string_view name() const override { return "network"; }
    [[nodiscard]] std::uint32_t type() const override;
    [[nodiscard]] std::uint64_t features() const override;
    [[nodiscard]] std::span<const std::uint16_t> queue_sizes() const override;
    [[nodiscard]] std::vector<std::byte> configuration() const override;
    void activate(Transport& transport, std::uint64_t features) override;
    void reset() override;
    void stopped() override;
    [[nodiscard]] Result<void> process(std::uint32_t queue) override;
    [[nodiscard]] bool needs_notifications(std::uint32_t queue) const override;

  private:
    [[nodiscard]] Result<void> transmit();
    /// Makes frame_ of a chain. Fails if it has no header. frame_ is empty if
    /// the frame is refused.
    [[nodiscard]] Result<void> read_frame(Reader& reader);
    /// Whether its source and its length are this card's.
    [[nodiscard]] bool may_send(const network::Frame& frame) const;
    [[nodiscard]] bool send();

    [[nodiscard]] Result<void> receive();
    /// Writes a frame to the guest as it is, or drops it. False: it has to wait
    /// for buffers.
    [[nodiscard]] Result<bool> write_frame(const network::Frame& frame);
    /// Takes buffers until they have `size` bytes. False: there are too few.
    [[nodiscard]] Result<bool> collect_buffers(Virtqueue& queue, std::uint64_t size);
    /// Writes what segments_ still has. False: as write_frame().
    [[nodiscard]] Result<bool> write_segments();
    [[nodiscard]] bool settle(Result<bool> written);
    void forget();

    NetworkDescription description_;
    network::Link& link_;
    network::Capture* capture_ = nullptr;
    Transport* transport_ = nullptr;
    Counters counters_;
    bool carrier_ = true;

    // What the driver accepted.
    network::Offloads sends_;    ///< what it may leave to the device
    network::Offloads receives_; ///< what the device may leave to it
    bool merges_ = false;        ///< a frame may go to several buffers
    bool limits_ = false;        ///< it knows the MTU

    // To the link. A frame for which it has no room keeps its chain.
    std::vector<std::byte> frame_bytes_;
    std::optional<network::Frame> frame_;
    std::uint16_t frame_head_ = 0;
    bool waiting_ = false; ///< for room()

    // To the guest.
    std::vector<DescriptorChain> buffers_; ///< taken from the queue, empty
    std::uint64_t buffered_ = 0;           ///< bytes of buffers_
    bool needs_buffers_ = false;           ///< a sender waits
    std::vector<std::byte> unsegmented_;
    std::optional<network::Segmenter> segments_;
    std::vector<std::byte> segment_; ///< the next one, if not empty

    int depth_ = 0;           ///< of process()
    bool delivering_ = false; ///< stopped() comes from within deliver()
    /// What deliver() has found wrong with the receive queue.
    std::optional<Error> fault_;
};

} // namespace auklet::virtio
