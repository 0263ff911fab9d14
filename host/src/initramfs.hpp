// SPDX-License-Identifier: MIT
// The initial file system: the base archive as it was downloaded, with the owner's files around it.
//
// The kernel unpacks any number of concatenated cpio archives, compressed or not, later ones over earlier ones. Ours
// are not compressed: they only move from one memory to another. The owner's directories, and those that the owner's
// files need, go in front of the base, files and symbolic links behind it. So a directory that the base has too gets
// the base's mode, a symbolic link of the base replaces the (still empty) directory, and a file of the owner replaces
// the base's.
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

/// Bytes that may be somewhere else than in the host's memory (in JavaScript), so that large files are copied once.
class ByteSource {
  public:
    virtual ~ByteSource() = default;
    [[nodiscard]] virtual std::uint64_t size() const = 0;
    /// Copies all bytes to the start of the region, which has at least size() bytes.
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
    /// The downloaded archive: gzip or plain cpio.
    void set_base(std::unique_ptr<ByteSource> base) { base_ = std::move(base); }

    /// Adds a regular file, owned by root. `path` is absolute; `mode` are permission bits.
    [[nodiscard]] Result<void> add_file(std::string_view path, std::uint32_t mode, std::unique_ptr<ByteSource> content);
    /// Adds a directory, which may stay empty. One that is in the base too keeps the base's mode.
    [[nodiscard]] Result<void> add_directory(std::string_view path, std::uint32_t mode);
    /// Adds a symbolic link; nothing needs to be at its target.
    [[nodiscard]] Result<void> add_link(std::string_view path, std::string_view target);

    [[nodiscard]] std::uint64_t size() const;
    /// Writes all archives to the start of the region.
    void copy_to(const GuestRegion& destination) const;

  private:
    struct File {
        std::string name;
        std::uint32_t mode; // with its type
        std::unique_ptr<ByteSource> content;
    };

    /// Makes the directories above `name`, and fails if one of them is a file.
    [[nodiscard]] Result<void> add_parents(std::string_view path, const std::string& name);
    [[nodiscard]] bool has_file(std::string_view name) const;
    [[nodiscard]] Result<void> add(std::string_view path, std::uint32_t mode, std::unique_ptr<ByteSource> content);

    // What is in memory in which order; built twice, to measure and to copy.
    template <typename Bytes, typename Source> void for_each_piece(Bytes&& bytes, Source&& source) const;

    std::unique_ptr<ByteSource> base_;
    std::map<std::string, std::uint32_t> directories_; // modes by name, sorted: a parent comes before its children
    std::vector<File> files_;
};

} // namespace auklet
