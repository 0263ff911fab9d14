// SPDX-License-Identifier: MIT
// Makes a request to a share of what a driver wrote, if it is one.

#include "fuse_parser.hpp"

#include <array>
#include <string>
#include <string_view>
#include <utility>

namespace auklet::virtio {

namespace {

using fuse::Opcode;
using Kind = FuseSession::Kind;
using Parsed = std::expected<ShareRequest, FileError>;

constexpr std::size_t longest_name = 255;
constexpr std::size_t longest_target = 4095;
/// JavaScript's numbers are exact up to here.
constexpr std::uint64_t largest_offset = (std::uint64_t{1} << 53) - 1;
constexpr std::uint32_t nanoseconds = 1'000'000'000;

constexpr std::uint32_t permission_bits = 07777;
constexpr std::uint32_t type_mask = 0170000;
constexpr std::uint32_t type_file = 0100000;

/// Flags of open(2), the same in all of Linux' newer architectures.
constexpr std::uint32_t access_mode = 3;
constexpr std::uint32_t open_create = 0100;
constexpr std::uint32_t open_truncate = 01000;

constexpr std::uint32_t known_changes = 0x7ff | 1U << 11;
constexpr std::uint32_t sync_data_only = 1;

/// Takes a text that ends with NUL. Fails if there is none, or if it has more
/// than `longest` bytes.
std::expected<std::string, FileError> take_text(std::string_view& rest, std::size_t longest) {
    const auto end = rest.find('\0');
    if (end == std::string_view::npos || end == 0)
        return std::unexpected(FileError::invalid);
    if (end > longest)
        return std::unexpected(FileError::name_too_long);
    std::string text(rest.substr(0, end));
    rest.remove_prefix(end + 1);
    return text;
}

/// A name that is one component of a path, and no more.
std::expected<std::string, FileError> take_name(std::string_view& rest) {
    auto name = take_text(rest, longest_name);
    if (name && (name->contains('/') || *name == "." || *name == ".."))
        return std::unexpected(FileError::invalid);
    return name;
}

class Parser {
  public:
    Parser(const fuse::InHeader& header, Reader& arguments, const FuseSession& session, const ShareDescription& share)
        : header_(header), arguments_(arguments), session_(session), share_(share),
          request_{.node = header.node, .user = header.user, .group = header.group} {}

    Parsed parse() {
        const auto opcode = static_cast<Opcode>(header_.opcode);
        if (opcode != Opcode::statfs && opcode != Opcode::release && opcode != Opcode::releasedir &&
            !session_.knows(header_.node))
            return std::unexpected(FileError::stale);
        const auto fault = arguments_of(opcode);
        if (fault)
            return std::unexpected(*fault);
        return std::move(request_);
    }

  private:
    /// Empty if all is right.
    using Fault = std::optional<FileError>;

    Fault arguments_of(Opcode opcode) {
        switch (opcode) {
        case Opcode::lookup:
            return names(ShareOperation::lookup);
        case Opcode::getattr:
            return get_attributes();
        case Opcode::setattr:
            return changes(ShareOperation::set_attributes);
        case Opcode::readlink:
            request_.operation = ShareOperation::read_link;
            return {};
        case Opcode::symlink:
            return changing(ShareOperation::make_link, &Parser::link_target);
        case Opcode::mknod:
            return changing(ShareOperation::make_file, &Parser::make_file);
        case Opcode::mkdir:
            return changing(ShareOperation::make_folder, &Parser::make_folder);
        case Opcode::unlink:
            return changing(ShareOperation::remove_file, &Parser::one_name);
        case Opcode::rmdir:
            return changing(ShareOperation::remove_folder, &Parser::one_name);
        case Opcode::rename:
        case Opcode::rename2:
            rename_has_flags_ = opcode == Opcode::rename2;
            return changing(ShareOperation::rename, &Parser::rename);
        case Opcode::link:
            return changing(ShareOperation::link, &Parser::link);
        case Opcode::open:
        case Opcode::opendir:
            return open(opcode == Opcode::open ? ShareOperation::open : ShareOperation::open_folder);
        case Opcode::create:
            return changing(ShareOperation::create, &Parser::create);
        case Opcode::read:
        case Opcode::write:
            return transfer(opcode == Opcode::read ? ShareOperation::read : ShareOperation::write);
        case Opcode::readdir:
        case Opcode::readdirplus:
            return list(opcode == Opcode::readdirplus);
        case Opcode::statfs:
            request_.operation = ShareOperation::space;
            request_.node = fuse::root_node;
            return {};
        case Opcode::release:
        case Opcode::releasedir:
            return with_handle(ShareOperation::close, opcode == Opcode::release ? Kind::file : Kind::folder);
        case Opcode::flush:
            if (!share_.flushes)
                return FileError::not_implemented;
            return with_handle(ShareOperation::flush, Kind::file);
        case Opcode::fsync:
        case Opcode::fsyncdir:
            return with_handle(ShareOperation::sync, opcode == Opcode::fsync ? Kind::file : Kind::folder);
        default:
            return FileError::not_implemented;
        }
    }

    template <typename T> [[nodiscard]] bool take(T& structure) {
        const auto value = arguments_.read_structure<T>();
        if (value)
            structure = *value;
        return value.has_value();
    }

    /// The rest of the arguments, which are texts.
    [[nodiscard]] std::expected<std::string_view, FileError> texts() {
        if (arguments_.remaining() > texts_.size())
            return std::unexpected(FileError::name_too_long);
        const auto size = arguments_.read(std::as_writable_bytes(std::span(texts_)));
        return std::string_view(texts_.data(), size);
    }

    /// A request that changes the share.
    Fault changing(ShareOperation operation, Fault (Parser::*rest)()) {
        request_.operation = operation;
        if (share_.read_only)
            return FileError::read_only;
        return (this->*rest)();
    }

    /// Takes `one`, and `other` if there is one, as the last arguments.
    Fault take_names(std::string* one, std::string* other) {
        auto rest = texts();
        if (!rest)
            return rest.error();
        for (auto* place : {one, other}) {
            if (place == nullptr)
                continue;
            auto name = take_name(*rest);
            if (!name)
                return name.error();
            *place = std::move(*name);
        }
        return rest->empty() ? Fault{} : FileError::invalid;
    }

    Fault names(ShareOperation operation) {
        request_.operation = operation;
        return one_name();
    }

    Fault one_name() { return take_names(&request_.name, nullptr); }

    Fault link_target() {
        auto rest = texts();
        if (!rest)
            return rest.error();
        auto name = take_name(*rest);
        if (!name)
            return name.error();
        auto target = take_text(*rest, longest_target);
        if (!target)
            return target.error();
        request_.name = std::move(*name);
        request_.other_name = std::move(*target);
        return rest->empty() ? Fault{} : FileError::invalid;
    }

    Fault get_attributes() {
        request_.operation = ShareOperation::get_attributes;
        fuse::GetAttributesIn in;
        if (!take(in))
            return FileError::invalid;
        if ((in.flags & fuse::getattr_has_handle) == 0)
            return {};
        return use_handle(in.handle, Kind::file);
    }

    Fault changes(ShareOperation operation) {
        request_.operation = operation;
        if (share_.read_only)
            return FileError::read_only;
        fuse::SetAttributesIn in;
        if (!take(in) || (in.valid & ~known_changes) != 0)
            return FileError::invalid;
        if ((in.valid & fuse::set_size) != 0 && in.size > largest_offset)
            return FileError::file_too_large;
        if (in.nanoseconds[0] >= nanoseconds || in.nanoseconds[1] >= nanoseconds)
            return FileError::invalid;
        request_.changes = {.valid = in.valid,
                            .mode = in.mode & permission_bits,
                            .user = in.user,
                            .group = in.group,
                            .size = (in.valid & fuse::set_size) != 0 ? in.size : 0,
                            .access_time = in.seconds[0],
                            .change_time = in.seconds[1],
                            .access_nanoseconds = in.nanoseconds[0],
                            .change_nanoseconds = in.nanoseconds[1]};
        return (in.valid & fuse::set_handle) == 0 ? Fault{} : use_handle(in.handle, Kind::file);
    }

    Fault make_file() {
        fuse::MakeNodeIn in;
        if (!take(in))
            return FileError::invalid;
        // No devices, pipes and sockets: they would be the owner's.
        if ((in.mode & type_mask) != type_file && (in.mode & type_mask) != 0)
            return FileError::not_permitted;
        request_.mode = in.mode & permission_bits;
        return one_name();
    }

    Fault make_folder() {
        fuse::MakeFolderIn in;
        if (!take(in))
            return FileError::invalid;
        request_.mode = in.mode & permission_bits;
        return one_name();
    }

    Fault rename() {
        fuse::RenameIn in{};
        if (!(rename_has_flags_ ? take(in) : take(in.folder)))
            return FileError::invalid;
        if (!session_.knows(in.folder))
            return FileError::stale;
        request_.other_node = in.folder;
        request_.flags = in.flags;
        return take_names(&request_.name, &request_.other_name);
    }

    Fault link() {
        std::uint64_t file;
        if (!take(file))
            return FileError::invalid;
        if (!session_.knows(file))
            return FileError::stale;
        request_.other_node = file;
        return one_name();
    }

    Fault open(ShareOperation operation) {
        request_.operation = operation;
        fuse::OpenIn in;
        if (!take(in))
            return FileError::invalid;
        request_.flags = in.flags & ~open_create;
        if (share_.read_only && ((in.flags & access_mode) != 0 || (in.flags & open_truncate) != 0))
            return FileError::read_only;
        return {};
    }

    Fault create() {
        fuse::CreateIn in;
        if (!take(in))
            return FileError::invalid;
        request_.flags = in.flags;
        request_.mode = in.mode & permission_bits;
        return one_name();
    }

    Fault transfer(ShareOperation operation) {
        request_.operation = operation;
        fuse::TransferIn in;
        if (!take(in) || in.size > most_transferred)
            return FileError::invalid;
        if (in.offset > largest_offset - in.size)
            return FileError::file_too_large;
        if (operation == ShareOperation::write && share_.read_only)
            return FileError::read_only;
        if (operation == ShareOperation::write && arguments_.remaining() != in.size)
            return FileError::invalid;
        request_.offset = in.offset;
        request_.length = in.size;
        return use_handle(in.handle, Kind::file);
    }

    Fault list(bool with_attributes) {
        request_.operation = ShareOperation::list;
        fuse::TransferIn in;
        if (!take(in))
            return FileError::invalid;
        if (in.offset > largest_offset)
            return FileError::invalid;
        request_.offset = in.offset;
        request_.length = std::min(in.size, most_listed);
        request_.flags = with_attributes ? 1 : 0;
        request_.mode = sizeof(fuse::EntryHeader) + (with_attributes ? sizeof(fuse::EntryOut) : 0);
        return use_handle(in.handle, Kind::folder);
    }

    Fault with_handle(ShareOperation operation, Kind kind) {
        request_.operation = operation;
        fuse::HandleIn in;
        if (!take(in))
            return FileError::invalid;
        request_.flags = in.flags & sync_data_only;
        return use_handle(in.handle, kind);
    }

    Fault use_handle(std::uint64_t handle, Kind kind) {
        request_.handle = handle;
        return session_.is_open(handle, kind) ? Fault{} : FileError::bad_descriptor;
    }

    const fuse::InHeader& header_;
    Reader& arguments_;
    const FuseSession& session_;
    const ShareDescription& share_;
    ShareRequest request_;
    bool rename_has_flags_ = false;
    /// A name, a target, and their ends.
    std::array<char, longest_name + longest_target + 2> texts_;
};

} // namespace

std::expected<ShareRequest, FileError> parse_request(const fuse::InHeader& header, Reader& arguments,
                                                     const FuseSession& session, const ShareDescription& share) {
    return Parser(header, arguments, session, share).parse();
}

} // namespace auklet::virtio
