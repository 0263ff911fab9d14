// SPDX-License-Identifier: MIT
// Makes the driver's structures of the words that a share answers.

#include "fuse_answer.hpp"

#include <cstring>

namespace auklet::virtio {

namespace {

/// Nanoseconds that the driver may use attributes without asking again, and
/// names of folders, and those that a listing gave. `ls -l` asks for each file
/// right after the listing, and for each folder on the way. Another name that
/// was looked up is looked up again the next time, which brings new attributes:
/// so what the owner changes is seen when a file is opened.
constexpr std::uint32_t validity = 50'000'000;

constexpr std::uint32_t type_mask = 0170000;
constexpr std::uint32_t type_folder = 0040000;

constexpr std::size_t longest_name = 255;
constexpr std::size_t longest_target = 4095;

/// The words of an answer, which may be too few.
class Words {
  public:
    explicit Words(std::span<const std::uint32_t> words) : words_(words) {}

    [[nodiscard]] bool ok() const { return ok_; }
    [[nodiscard]] bool empty() const { return words_.empty(); }
    std::uint32_t take32() {
        std::uint32_t value = 0;
        take(value);
        return value;
    }
    std::uint64_t take64() {
        const std::uint64_t low = take32();
        return low | std::uint64_t{take32()} << 32;
    }
    template <typename T> void take(T& structure) {
        static_assert(sizeof(T) % sizeof(std::uint32_t) == 0);
        take_bytes(std::as_writable_bytes(std::span(&structure, 1)));
    }
    /// Bytes that are padded to whole words.
    void take_bytes(std::span<std::byte> bytes) {
        const std::size_t count = (bytes.size() + 3) / 4;
        if (count > words_.size()) {
            ok_ = false;
            words_ = {};
            return;
        }
        // memcpy() may have no null pointer, of an empty text, either.
        if (!bytes.empty())
            std::memcpy(bytes.data(), words_.data(), bytes.size());
        words_ = words_.subspan(count);
    }

  private:
    std::span<const std::uint32_t> words_;
    bool ok_ = true;
};

template <typename T> void append(std::vector<std::byte>& bytes, const T& value) {
    const auto source = std::as_bytes(std::span(&value, 1));
    bytes.insert(bytes.end(), source.begin(), source.end());
}

class Maker {
  public:
    Maker(Words words, FuseSession* session) : words_(words), session_(session) {}

    std::optional<std::vector<std::byte>> make(ShareOperation operation, bool with_attributes, std::uint32_t length) {
        switch (operation) {
        case ShareOperation::lookup:
        case ShareOperation::make_file:
        case ShareOperation::make_folder:
        case ShareOperation::make_link:
        case ShareOperation::link:
            node();
            break;
        case ShareOperation::get_attributes:
        case ShareOperation::set_attributes: {
            fuse::AttributesOut out{};
            out.nanoseconds = validity;
            words_.take(out.attributes);
            append(bytes_, out);
            break;
        }
        case ShareOperation::read_link:
            text();
            break;
        case ShareOperation::open:
            handle(FuseSession::Kind::file);
            break;
        case ShareOperation::open_folder:
            handle(FuseSession::Kind::folder);
            break;
        case ShareOperation::create:
            node();
            handle(FuseSession::Kind::file);
            break;
        case ShareOperation::write:
            append(bytes_, fuse::WriteOut{.size = words_.take32(), .padding = 0});
            break;
        case ShareOperation::space: {
            fuse::SpaceOut out;
            words_.take(out);
            append(bytes_, out);
            break;
        }
        case ShareOperation::list:
            while (!words_.empty() && words_.ok())
                entry(with_attributes);
            if (bytes_.size() > length)
                return std::nullopt;
            break;
        default:
            break;
        }
        if (!words_.ok() || !words_.empty())
            return std::nullopt;
        return std::move(bytes_);
    }

  private:
    fuse::EntryOut take_node(std::uint32_t entry_validity) {
        fuse::EntryOut out{};
        out.entry_nanoseconds = entry_validity;
        out.attributes_nanoseconds = validity;
        out.node = words_.take64();
        words_.take(out.attributes);
        if (words_.ok() && out.node != 0 && session_ != nullptr)
            session_->hold(out.node);
        return out;
    }

    void node() {
        auto out = take_node(0);
        if ((out.attributes.mode & type_mask) == type_folder)
            out.entry_nanoseconds = validity;
        append(bytes_, out);
    }

    void handle(FuseSession::Kind kind) {
        fuse::OpenOut out{};
        out.handle = words_.take64();
        out.flags = words_.take32() != 0 ? fuse::open_keep_cache : 0;
        if (words_.ok() && session_ != nullptr)
            session_->open(out.handle, kind);
        append(bytes_, out);
    }

    void text() {
        const auto size = words_.take32();
        bytes_.resize(std::min<std::size_t>(size, longest_target));
        words_.take_bytes(bytes_);
    }

    void entry(bool with_attributes) {
        fuse::EntryHeader header{};
        if (with_attributes) {
            const auto out = take_node(validity);
            header.inode = out.attributes.inode;
            append(bytes_, out);
        } else {
            header.inode = words_.take64();
        }
        header.next = words_.take64();
        header.type = words_.take32();
        header.name_length = std::min<std::uint32_t>(words_.take32(), longest_name);
        append(bytes_, header);
        const auto place = bytes_.size();
        bytes_.resize(place + (header.name_length + 7) / 8 * 8);
        words_.take_bytes(std::span(bytes_).subspan(place, header.name_length));
    }

    Words words_;
    FuseSession* session_;
    std::vector<std::byte> bytes_;
};

} // namespace

std::optional<std::vector<std::byte>> make_answer(ShareOperation operation, bool with_attributes, std::uint32_t length,
                                                  std::span<const std::uint32_t> words, FuseSession* session) {
    return Maker(Words(words), session).make(operation, with_attributes, length);
}

} // namespace auklet::virtio
