// SPDX-License-Identifier: MIT
// The initial file system: the base archive as it was downloaded, with the
// owner's files around it.
//
// The kernel unpacks any number of concatenated cpio archives, compressed or
// not. Each is unpacked over those before it. The owner's archives are not
// compressed, because they only move from one memory to another.
//
// The owner's directories, and those that the owner's files need, come before
// the base. The owner's files and symbolic links come after it. Therefore:
//
// - A directory that the base has too gets the base's mode.
// - A symbolic link of the base replaces a directory, which is still empty.
// - A file of the owner replaces a file of the base.
#pragma once

#include "error.hpp"
#include "guest_memory.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace auklet {

/// Bytes that may be outside of the host's memory, in JavaScript. So a large
/// file is copied only once.
class ByteSource {
  public:
    virtual ~ByteSource() = default;
    [[nodiscard]] virtual std::uint64_t size() const = 0;
    /// Copies all bytes to the start of the region, which has at least size()
    /// bytes.
    virtual void copy_to(const GuestRegion& destination) const = 0;
};

/// Bytes in the host's memory.
class OwnedBytes final : public ByteSource {
  public:
    explicit OwnedBytes(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}
    [[nodiscard]] std::uint64_t size() const override { return bytes_.size(); }
    void copy_to(const GuestRegion& destination) const override { destination.write(0, bytes_); }

  private:
    std::vector<std::byte> bytes_;
};

class Initramfs {
  public:
    /// Sets the downloaded archive: a cpio archive, which gzip may have packed.
    void set_base(std::unique_ptr<ByteSource> base) { base_ = std::move(base); }

    /// Adds a regular file, which root owns. `path` is absolute, and `mode` has
    /// the permission bits. Fails if the path, the mode or the size is not
    /// valid, or if a directory has this path.
    [[nodiscard]] Result<void> add_file(std::string_view path, std::uint32_t mode, std::unique_ptr<ByteSource> content);
    /// Adds a directory, which may stay empty. If the base has it too, it gets
    /// the base's mode.
    [[nodiscard]] Result<void> add_directory(std::string_view path, std::uint32_t mode);
    /// Adds a symbolic link. Nothing needs to be at its target.
    [[nodiscard]] Result<void> add_link(std::string_view path, std::string_view target);

    /// How many bytes copy_to() writes.
    [[nodiscard]] std::uint64_t size() const;
    /// Writes all archives to the start of the region.
    void copy_to(const GuestRegion& destination) const;

  private:
    struct File {
        std::string name;
        std::uint32_t mode; // type and permissions
        std::unique_ptr<ByteSource> content;
    };

    /// Adds the directories above `name`. Fails if one of them is a file.
    /// `path` is for the message.
    [[nodiscard]] Result<void> add_parents(std::string_view path, const std::string& name);
    [[nodiscard]] bool has_file(std::string_view name) const;
    [[nodiscard]] Result<void> add(std::string_view path, std::uint32_t mode, std::unique_ptr<ByteSource> content);

    // Calls `bytes(offset, text)` or `source(offset, content)` for each piece
    // of the archives, in their order. size() and copy_to() share it.
    template <typename Bytes, typename Source> void for_each_piece(Bytes&& bytes, Source&& source) const;

    std::unique_ptr<ByteSource> base_;
    /// Modes by name. The map is sorted, so a parent comes before its children.
    std::map<std::string, std::uint32_t> directories_;
    std::vector<File> files_;
};

} // namespace auklet
