// SPDX-License-Identifier: MIT
// virtio-fs: a folder of the owner's (virtio 1.2, section 5.11).
#pragma once

#include "../backends/shares.hpp"
#include "device.hpp"
#include "fuse_session.hpp"
#include "transport.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace auklet::virtio {

/// Parses requests, and keeps what the driver may name. A share does the rest.
class FsDevice final : public Device {
  public:
    /// `description` was checked by Devices::add_share.
    FsDevice(ShareId share, ShareDescription description, ShareBackend& backend);

    [[nodiscard]] std::string_view name() const override { return name_; }
    [[nodiscard]] std::uint32_t type() const override;
    [[nodiscard]] std::span<const std::uint16_t> queue_sizes() const override;
    [[nodiscard]] std::vector<std::byte> configuration() const override;
    void activate(Transport& transport, std::uint64_t features) override;
    void reset() override;
    Result<void> process(std::uint32_t queue) override;

    /// The share has done request `id`. `error` is one of Linux's numbers, or
    /// 0, and then `words` has, in this order and 64-bit values low half first:
    /// - a node where one was found or made: its number, and the 22 words of
    ///   fuse::Attributes
    /// - attributes where they were asked for or changed: 22 words
    /// - read_link: the number of bytes, and these
    /// - open, open_folder, and create behind its node: the handle, and 1 if
    ///   the file is as it was when the driver opened it last
    /// - read, write: how many bytes
    /// - space: the 20 words of fuse::SpaceOut
    /// - list: entries, each a node's number or 0, and attributes, or without
    ///   these the inode's number; then the place after it, its type, the
    ///   number of the name's bytes, and these
    void completed(std::uint32_t id, std::uint32_t error, std::span<const std::uint32_t> words);

    [[nodiscard]] const ShareDescription& description() const { return description_; }

  private:
    /// A request that the share works on. It owns its chain, whose memory the
    /// share may write to.
    struct Pending {
        Completion completion;
        Writer head; ///< for the answer's header
        Writer rest; ///< for what follows it
        ShareOperation operation;
        std::uint32_t session;
        std::uint32_t length; ///< the most that a transfer or listing may have
        bool with_attributes; ///< of entries
        std::uint64_t unique;
    };

    [[nodiscard]] Result<void> take(Virtqueue& queue, std::uint32_t index, DescriptorChain& chain);
    /// Requests that have no answer.
    [[nodiscard]] bool take_unanswered(const fuse::InHeader& header, Reader& arguments);
    void forget(std::uint64_t node, std::uint64_t references);
    /// The negotiation: the arguments of the answer, or an error.
    [[nodiscard]] std::expected<fuse::InitOut, FileError> initialise(Reader& arguments);
    /// Whether the driver has room for one more node or handle.
    [[nodiscard]] std::optional<FileError> limit(ShareOperation operation) const;
    void begin_session();
    /// Writes what follows the header of an answer. Returns how many bytes that
    /// is, or nothing if the share's words are wrong.
    [[nodiscard]] std::optional<std::size_t> write_answer(Pending& request, std::span<const std::uint32_t> words);

    ShareId share_;
    ShareDescription description_;
    std::string name_;
    ShareBackend& backend_;
    Transport* transport_ = nullptr;
    FuseSession session_;
    std::uint32_t session_number_ = 0;
    bool initialised_ = false;
    std::size_t opening_ = 0; ///< requests on their way that make handles
    /// The index is the request's id.
    std::vector<std::optional<Pending>> pending_;
};

} // namespace auklet::virtio
