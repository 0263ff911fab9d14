// SPDX-License-Identifier: MIT
// Writes cpio archives in the "newc" format. Linux describes it in
// Documentation/driver-api/early-userspace/buffer-format.rst.

#include "initramfs.hpp"

#include <algorithm>

namespace auklet {

namespace {

constexpr std::uint32_t type_mask = 0170000;
constexpr std::uint32_t type_directory = 0040000;
constexpr std::uint32_t type_regular = 0100000;
constexpr std::uint32_t type_link = 0120000;
constexpr std::uint32_t link_mode = 0777;
constexpr std::uint32_t directory_mode = 0755;
constexpr std::size_t longest_component = 255; // NAME_MAX
constexpr std::size_t longest_path = 4095;     // PATH_MAX without the end mark
/// Mount points of file systems that take no files. Other mount points may have
/// files: sysinit moves them into the file system in memory that it mounts
/// there.
constexpr std::string_view kernel_folders[] = {"/proc", "/sys", "/dev/pts"};
/// A cpio header has 32 bits for the size. The kernel could not hold more bytes
/// anyway.
constexpr std::uint64_t largest_file = 0xffff'ffff;
/// Every archive must start at a multiple of 4 bytes. The kernel takes any
/// other for a compressed one.
constexpr std::uint64_t archive_alignment = 4;

constexpr std::size_t padding(std::uint64_t size) {
    return static_cast<std::size_t>((archive_alignment - size % archive_alignment) % archive_alignment);
}

void append_field(std::string& header, std::uint32_t value) {
    for (int shift = 28; shift >= 0; shift -= 4)
        header += "0123456789abcdef"[(value >> shift) & 15];
}

/// Returns the header and the name of an entry, with padding up to its data.
std::string entry_header(std::string_view name, std::uint32_t inode, std::uint32_t mode, std::uint32_t size) {
    std::string header = "070701";
    const std::uint32_t links = (mode & type_mask) == type_directory ? 2 : 1;
    // The fields: inode, mode, uid, gid, links, mtime, size, four of device
    // numbers, the name's size, checksum.
    for (std::uint32_t field :
         {inode, mode, 0U, 0U, links, 0U, size, 0U, 0U, 0U, 0U, static_cast<std::uint32_t>(name.size() + 1), 0U})
        append_field(header, field);
    header += name;
    header.append(1 + padding(header.size() + 1), '\0');
    return header;
}

std::string trailer() { return entry_header("TRAILER!!!", 0, 0, 0); }

Result<std::string> checked_name(std::string_view path) {
    if (!path.starts_with('/'))
        return failure("file \"", path, "\": the path in the guest must start with /");
    if (path.size() > longest_path)
        return failure("file \"", path.substr(0, 60), "...\": the path has more than ", longest_path, " bytes");
    if (path.contains('\0'))
        return failure("file \"", path.substr(0, path.find('\0')), "\": the path contains a zero byte");
    std::string_view rest = path.substr(1);
    for (;;) {
        auto component = rest.substr(0, rest.find('/'));
        if (component.empty())
            return failure("file \"", path, "\": the path has an empty part");
        if (component == "." || component == "..")
            return failure("file \"", path, "\": \"", component, "\" is not allowed in the path");
        if (component.size() > longest_component)
            return failure("file \"", path, "\": a part of the path has more than ", longest_component, " bytes");
        if (component.size() == rest.size())
            break;
        rest.remove_prefix(component.size() + 1);
    }
    for (auto folder : kernel_folders)
        if (path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/'))
            return failure("file \"", path, "\": no file can be put into ", folder, ", which the kernel fills");
    if (path.substr(1) == "TRAILER!!!")
        return failure("file \"", path, "\": this name ends a cpio archive");
    return std::string(path.substr(1));
}

Result<void> checked_mode(std::string_view path, std::uint32_t mode) {
    if ((mode & ~07777U) != 0)
        return failure("file \"", path, "\": ", mode, " is not a set of permission bits");
    return {};
}

} // namespace

bool Initramfs::has_file(std::string_view name) const {
    return std::ranges::any_of(files_, [&](const File& file) { return file.name == name; });
}

Result<void> Initramfs::add_parents(std::string_view path, const std::string& name) {
    for (auto slash = name.find('/'); slash != std::string::npos; slash = name.find('/', slash + 1)) {
        auto directory = name.substr(0, slash);
        if (has_file(directory))
            return failure("file \"", path, "\": \"/", directory, "\" is a file");
        directories_.try_emplace(directory, directory_mode);
    }
    return {};
}

Result<void> Initramfs::add(std::string_view path, std::uint32_t mode, std::unique_ptr<ByteSource> content) {
    auto name = checked_name(path);
    if (!name)
        return std::unexpected(name.error());
    if (directories_.contains(*name))
        return failure("file \"", path, "\": another file needs a directory of this name");
    if (auto parents = add_parents(path, *name); !parents)
        return parents;
    // A file replaces an earlier one of the same name, as with cp.
    std::erase_if(files_, [&](const File& file) { return file.name == *name; });
    files_.push_back({std::move(*name), mode, std::move(content)});
    return {};
}

Result<void> Initramfs::add_file(std::string_view path, std::uint32_t mode, std::unique_ptr<ByteSource> content) {
    if (auto checked = checked_mode(path, mode); !checked)
        return checked;
    if (content->size() > largest_file)
        return failure("file \"", path, "\": ", content->size(), " bytes are too many");
    return add(path, type_regular | mode, std::move(content));
}

Result<void> Initramfs::add_directory(std::string_view path, std::uint32_t mode) {
    auto name = checked_name(path);
    if (!name)
        return std::unexpected(name.error());
    if (auto checked = checked_mode(path, mode); !checked)
        return checked;
    if (has_file(*name))
        return failure("directory \"", path, "\": a file has this name");
    if (auto parents = add_parents(path, *name); !parents)
        return parents;
    directories_.insert_or_assign(std::move(*name), mode);
    return {};
}

Result<void> Initramfs::add_link(std::string_view path, std::string_view target) {
    if (target.empty() || target.size() > longest_path || target.contains('\0'))
        return failure("link \"", path, "\": its target is not 1 to ", longest_path, " bytes without zero bytes");
    auto bytes = std::as_bytes(std::span(target));
    return add(path, type_link | link_mode,
               std::make_unique<OwnedBytes>(std::vector<std::byte>(bytes.begin(), bytes.end())));
}

template <typename Bytes, typename Source> void Initramfs::for_each_piece(Bytes&& bytes, Source&& source) const {
    std::uint64_t offset = 0;
    auto put = [&](const std::string& text) {
        bytes(offset, text);
        offset += text.size();
    };
    auto put_source = [&](const ByteSource& content) {
        source(offset, content);
        offset += content.size();
        put(std::string(padding(offset), '\0'));
    };

    std::uint32_t inode = 0;
    if (!directories_.empty()) {
        for (const auto& [name, mode] : directories_)
            put(entry_header(name, ++inode, type_directory | mode, 0));
        put(trailer());
    }
    if (base_)
        put_source(*base_);
    if (!files_.empty()) {
        for (const auto& file : files_) {
            put(entry_header(file.name, ++inode, file.mode, static_cast<std::uint32_t>(file.content->size())));
            put_source(*file.content);
        }
        put(trailer());
    }
}

std::uint64_t Initramfs::size() const {
    std::uint64_t end = 0;
    for_each_piece([&](std::uint64_t offset, const std::string& text) { end = offset + text.size(); },
                   [&](std::uint64_t offset, const ByteSource& content) { end = offset + content.size(); });
    return end;
}

void Initramfs::copy_to(const GuestRegion& destination) const {
    for_each_piece([&](std::uint64_t offset,
                       const std::string& text) { destination.write(offset, std::as_bytes(std::span(text))); },
                   [&](std::uint64_t offset, const ByteSource& content) {
                       content.copy_to(destination.part(offset, content.size()));
                   });
}

} // namespace auklet
