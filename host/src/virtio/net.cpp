// SPDX-License-Identifier: MIT
// virtio-net: frames between a driver's queues and the link.

#include "net.hpp"

#include <algorithm>
#include <utility>

namespace auklet::virtio {

namespace {

using network::Frame;
using network::Offload;

constexpr std::uint32_t device_type = 1; // 5.1.1

// 5.1.2. A frame of 64 KiB takes one descriptor of the transmit queue, by its
// indirect table, and about 43 of the receive queue.
constexpr std::uint32_t receive_queue = 0; // to the guest
constexpr std::uint32_t transmit_queue = 1;
constexpr std::uint16_t queues[] = {256, 256};

// 5.1.3
constexpr std::uint64_t feature(unsigned bit) { return std::uint64_t{1} << bit; }
constexpr auto feature_checksum = feature(0);       // CSUM
constexpr auto feature_guest_checksum = feature(1); // GUEST_CSUM
constexpr auto feature_mtu = feature(3);            // MTU
constexpr auto feature_mac = feature(5);            // MAC
constexpr auto feature_guest_tcp4 = feature(7);     // GUEST_TSO4
constexpr auto feature_guest_tcp6 = feature(8);     // GUEST_TSO6
constexpr auto feature_host_tcp4 = feature(11);     // HOST_TSO4
constexpr auto feature_host_tcp6 = feature(12);     // HOST_TSO6
constexpr auto feature_merge_buffers = feature(15); // MRG_RXBUF
constexpr auto feature_status = feature(16);        // STATUS

// 5.1.4: struct virtio_net_config, as far as these features have it.
struct Configuration {
    network::Mac mac;
    std::uint16_t status;
    std::uint16_t queue_pairs;
    std::uint16_t mtu;
};
static_assert(sizeof(Configuration) == 12);
constexpr std::uint16_t status_link_up = 1;

// 5.1.6: struct virtio_net_hdr.
struct Header {
    std::uint8_t flags;
    std::uint8_t gso_type;
    std::uint16_t header_length;
    std::uint16_t gso_size;
    std::uint16_t checksum_start;
    std::uint16_t checksum_offset;
    std::uint16_t buffers;
};
static_assert(sizeof(Header) == 12);

constexpr std::size_t source_place = 6;

} // namespace

NetDevice::NetDevice(const NetworkDescription& description, network::Link& link)
    : description_(description), link_(link) {}

std::uint32_t NetDevice::type() const { return device_type; }

std::uint64_t NetDevice::features() const {
    return feature_checksum | feature_guest_checksum | feature_mtu | feature_mac | feature_guest_tcp4 |
           feature_guest_tcp6 | feature_host_tcp4 | feature_host_tcp6 | feature_merge_buffers | feature_status;
}

std::span<const std::uint16_t> NetDevice::queue_sizes() const { return queues; }

std::vector<std::byte> NetDevice::configuration() const {
    const Configuration configuration{.mac = description_.mac,
                                      .status = carrier_ ? status_link_up : std::uint16_t{0},
                                      .queue_pairs = 1,
                                      .mtu = description_.mtu};
    auto bytes = std::as_bytes(std::span(&configuration, 1));
    return {bytes.begin(), bytes.end()};
}

void NetDevice::set_carrier(bool carrier) {
    carrier_ = carrier;
    if (transport_ != nullptr)
        transport_->update_configuration();
    // Frames are dropped now, or may find buffers.
    link_.room(*this);
}

void NetDevice::activate(Transport& transport, std::uint64_t features) {
    transport_ = &transport;
    const auto has = [&](std::uint64_t bit) { return (features & bit) != 0; };
    // A frame for segmentation has a checksum to be completed, too. So it needs
    // both features, as 5.1.3.1 says.
    sends_ = {has(feature_checksum), has(feature_host_tcp4), has(feature_host_tcp6)};
    receives_ = {has(feature_guest_checksum), has(feature_guest_tcp4), has(feature_guest_tcp6)};
    merges_ = has(feature_merge_buffers);
    limits_ = has(feature_mtu);
    frame_bytes_.resize(network::longest_frame);
}

/// The driver's memory is not touched after this: a frame that waits in a chain
/// was copied.
void NetDevice::forget() {
    frame_.reset();
    waiting_ = false;
    buffers_.clear();
    buffered_ = 0;
    segments_.reset();
    segment_.clear();
    fault_.reset();
    needs_buffers_ = false;
}

void NetDevice::reset() {
    transport_ = nullptr;
    forget();
    // Frames for nobody are dropped. So nobody waits.
    link_.room(*this);
}

void NetDevice::stopped() {
    forget();
    // Not within a sender's call. Who waits then hears of the reset.
    if (!delivering_)
        link_.room(*this);
}

Result<void> NetDevice::process(std::uint32_t queue) {
    ++depth_;
    auto result = queue == receive_queue ? receive() : transmit();
    --depth_;
    if (result && fault_)
        result = std::unexpected(*std::exchange(fault_, std::nullopt));
    return result;
}

/// The guest rings for buffers only if a frame waits for them, and not for
/// frames while one waits for the link.
bool NetDevice::needs_notifications(std::uint32_t queue) const {
    return queue == receive_queue ? needs_buffers_ : !waiting_;
}

// ---- frames from the guest --------------------------------------------------

Result<void> NetDevice::transmit() {
    auto* queue = transport_->queue(transmit_queue);
    // The loop ends after so many chains: a driver that adds chains as fast as
    // the device takes them must not hold the host's event loop.
    for (std::uint32_t count = 0; queue != nullptr && !waiting_ && count < 2 * queue->size(); ++count) {
        if (!frame_) {
            auto chain = queue->pop();
            if (!chain)
                return failure(message(chain.error()));
            if (!*chain)
                return {};
            frame_head_ = (*chain)->head;
            if (auto read = read_frame((*chain)->reader); !read)
                return read;
            // As tcpdump in the guest: a frame comes before its answer.
            if (frame_ && capture_ != nullptr)
                capture_->record(*frame_);
        }
        if (frame_ && !send())
            return {};
        queue->push(frame_head_, 0);
        frame_.reset();
    }
    return {};
}

bool NetDevice::send() {
    waiting_ = !link_.send(*this, *frame_);
    if (waiting_)
        return false;
    ++counters_.sent;
    counters_.sent_bytes += frame_->bytes.size();
    return true;
}

void NetDevice::room() {
    if (std::exchange(waiting_, false) && transport_ != nullptr)
        transport_->run(transmit_queue);
}

Result<void> NetDevice::read_frame(Reader& reader) {
    const auto header = reader.read_structure<Header>();
    if (!header)
        return failure("a frame without its header");
    if (!carrier_) {
        ++counters_.dropped;
        return {};
    }
    // A program may send any bytes by a packet socket, with any header. So what
    // is wrong with them is no error of the driver.
    const auto bytes = std::span(frame_bytes_).first(reader.read(frame_bytes_));
    const bool whole = reader.remaining() == 0;
    if (whole)
        frame_ = network::checked_frame({.flags = header->flags,
                                         .gso_type = header->gso_type,
                                         .header_length = header->header_length,
                                         .gso_size = header->gso_size,
                                         .checksum_start = header->checksum_start,
                                         .checksum_offset = header->checksum_offset},
                                        bytes, sends_);
    if (frame_ && !may_send(*frame_))
        frame_.reset();
    if (!frame_)
        ++counters_.refused;
    return {};
}

bool NetDevice::may_send(const Frame& frame) const {
    // A foreign source address could take the frames of another machine.
    return std::ranges::equal(frame.bytes.subspan(source_place, sizeof(network::Mac)), description_.mac) &&
           network::is_within(frame, description_.mtu);
}

// ---- frames to the guest ----------------------------------------------------

Result<void> NetDevice::receive() {
    if (fault_)
        return {};
    needs_buffers_ = false;
    if (segments_)
        if (auto written = write_segments(); !written || !*written)
            return written ? Result<void>{} : std::unexpected(written.error());
    link_.room(*this);
    return {};
}

bool NetDevice::deliver(const Frame& frame) {
    if (segments_)
        return false;
    if (receives_.allow(frame.offload))
        return settle(write_frame(frame));
    unsegmented_.assign(frame.bytes.begin(), frame.bytes.end());
    segments_.emplace(Frame{frame.offload, unsegmented_});
    // From here on, the frame is this device's.
    (void)settle(write_segments());
    return true;
}

/// What deliver() does after it has written a frame. An error stops the device
/// when no call of process() is under way.
bool NetDevice::settle(Result<bool> written) {
    if (!written) {
        ++counters_.dropped;
        fault_ = written.error();
        if (depth_ == 0) {
            delivering_ = true;
            transport_->run(receive_queue);
            delivering_ = false;
        }
        return true;
    }
    if (depth_ == 0 && transport_ != nullptr)
        transport_->deliver_interrupts();
    return *written;
}

Result<bool> NetDevice::write_segments() {
    for (;;) {
        if (segment_.empty() && !segments_->next(segment_))
            break;
        auto written = write_frame({.offload = {}, .bytes = segment_});
        if (!written || !*written)
            return written;
        segment_.clear();
    }
    segments_.reset();
    return true;
}

Result<bool> NetDevice::collect_buffers(Virtqueue& queue, std::uint64_t size) {
    // 5.1.6.3.1: without MRG_RXBUF, a frame is in one buffer.
    const std::size_t most = merges_ ? queue.size() : 1;
    while (buffered_ < size && buffers_.size() < most) {
        auto chain = queue.pop();
        if (!chain)
            return failure(message(chain.error()));
        if (!*chain) {
            needs_buffers_ = true;
            if (queue.allow_notifications())
                continue;
            return false;
        }
        const auto room = (*chain)->writer.remaining();
        if (room < sizeof(Header))
            return failure("a receive buffer of ", room, " bytes, which holds no header");
        buffered_ += room;
        buffers_.push_back(std::move(**chain));
    }
    return true;
}

Result<bool> NetDevice::write_frame(const Frame& frame) {
    const auto& [offload, bytes] = frame;
    auto* queue = transport_ != nullptr && carrier_ && !fault_ ? transport_->queue(receive_queue) : nullptr;
    const bool too_long =
        limits_ && offload.gso_type == network::gso_none && bytes.size() > network::longest_of(bytes, description_.mtu);
    if (queue == nullptr || too_long) {
        ++counters_.dropped;
        return true;
    }
    const std::uint64_t size = sizeof(Header) + bytes.size();
    if (auto collected = collect_buffers(*queue, size); !collected || !*collected)
        return collected;
    // As many buffers as a queue can have do not hold it. They stay for frames
    // that are shorter.
    if (buffered_ < size) {
        ++counters_.dropped;
        return true;
    }
    std::size_t count = 0;
    for (std::uint64_t room = 0; room < size; ++count)
        room += buffers_[count].writer.remaining();

    const auto flags = static_cast<std::uint8_t>(receives_.checksum ? offload.flags : 0);
    const Header header{.flags = flags,
                        .gso_type = offload.gso_type,
                        .header_length = offload.header_length,
                        .gso_size = offload.gso_size,
                        .checksum_start = offload.checksum_start,
                        .checksum_offset = offload.checksum_offset,
                        .buffers = static_cast<std::uint16_t>(count)};
    (void)buffers_[0].writer.write_structure(header);
    auto rest = bytes;
    for (std::size_t index = 0; index < count; ++index) {
        auto& chain = buffers_[index];
        buffered_ -= sizeof(Header) * (index == 0) + chain.writer.remaining();
        rest = rest.subspan(chain.writer.write(rest));
        queue->stage(chain.head, chain.writer.written());
    }
    // Linux drops a frame of which it does not find all buffers.
    queue->publish();
    buffers_.erase(buffers_.begin(), buffers_.begin() + static_cast<std::ptrdiff_t>(count));
    ++counters_.received;
    counters_.received_bytes += bytes.size();
    if (capture_ != nullptr)
        capture_->record(frame);
    return true;
}

} // namespace auklet::virtio
