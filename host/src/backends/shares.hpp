// SPDX-License-Identifier: MIT
// What a file system device needs from outside: a tree of files of the owner's,
// which answers in its own time.
//
// web/src/storage/share-protocol.ts has the other side, with the same orders
// and layouts.
#pragma once

#include "../guest_memory.hpp"

#include <cstdint>
#include <span>
#include <string>

namespace auklet {

/// A number of the machine's shares, from 0 on.
using ShareId = std::uint32_t;

/// What the guest is told of a share.
struct ShareDescription {
    std::string tag; ///< 1 to 35 bytes: by this name the guest mounts it
    bool read_only = false;
    /// Whether a file's data may wait in the share until the file is flushed.
    bool flushes = false;
};

/// Linux's numbers of the errors that are made here, or that a share may give.
enum class FileError : std::int32_t {
    not_permitted = 1,    // EPERM
    not_found = 2,        // ENOENT
    io_error = 5,         // EIO
    bad_descriptor = 9,   // EBADF
    no_memory = 12,       // ENOMEM
    exists = 17,          // EEXIST
    invalid = 22,         // EINVAL
    too_many_files = 23,  // ENFILE
    file_too_large = 27,  // EFBIG
    read_only = 30,       // EROFS
    name_too_long = 36,   // ENAMETOOLONG
    not_implemented = 38, // ENOSYS
    protocol = 71,        // EPROTO
    stale = 116,          // ESTALE
};

enum class ShareOperation : std::uint32_t {
    reset,  ///< not answered: all nodes and handles are free
    forget, ///< not answered: `length` references to `node` are gone
    lookup,
    get_attributes, ///< `handle` may be 0
    set_attributes, ///< `handle` may be 0; `changes`
    read_link,
    make_file, ///< `name` in `node`; `mode`, `user`, `group`
    make_folder,
    make_link, ///< `name` in `node` names `other_name`
    remove_file,
    remove_folder,
    rename, ///< `name` in `node` becomes `other_name` in `other_node`; `flags`
    link,   ///< `name` in `node` becomes a name of the file `other_node`
    open,   ///< `flags` of open(2)
    create, ///< makes and opens; `flags`, `mode`, `user`, `group`
    read,   ///< `length` bytes at `offset` to `memory`
    write,  ///< `length` bytes at `offset` from `memory`
    space,
    close, ///< of a file or folder
    sync,  ///< `flags` 1: only the data
    flush, ///< a descriptor of the file was closed
    open_folder,
    /// Entries from the place `offset` on. `flags` 1: with references and
    /// attributes. Each takes `mode` bytes and its name, rounded up to 8, and
    /// all take at most `length`.
    list,
    count
};

/// struct fuse_setattr_in, in short. `valid` has its bits.
struct AttributeChanges {
    std::uint32_t valid = 0;
    std::uint32_t mode = 0;
    std::uint32_t user = 0;
    std::uint32_t group = 0;
    std::uint64_t size = 0;
    std::uint64_t access_time = 0; ///< seconds since 1970
    std::uint64_t change_time = 0; ///< of the content
    std::uint32_t access_nanoseconds = 0;
    std::uint32_t change_nanoseconds = 0;
};

struct ShareRequest {
    ShareOperation operation = ShareOperation::reset;
    std::uint32_t id = 0; ///< for FsDevice::completed(), which is called once for each request
    /// Numbers that the share has given: 1 is the root.
    std::uint64_t node = 0;
    std::uint64_t other_node = 0;
    std::uint64_t handle = 0;
    std::uint64_t offset = 0; ///< below 2^53
    std::uint64_t length = 0;
    std::uint32_t flags = 0;
    std::uint32_t mode = 0;
    std::uint32_t user = 0;
    std::uint32_t group = 0;
    AttributeChanges changes = {};
    /// One component of a path: 1 to 255 bytes without / and NUL, and neither
    /// "." nor "..". As target of a link any 1 to 4095 bytes without NUL.
    std::string name = {};
    std::string other_name = {};
    /// The places in K of a read or write, `length` bytes together. The share
    /// may use them until it answers.
    std::span<const GuestRegion> memory = {};
};

class ShareBackend {
  public:
    virtual ~ShareBackend() = default;
    /// The answer comes later, from the host's event loop, never within this
    /// call. It is a list of words, whose layout is in FsDevice.
    virtual void submit(ShareId share, const ShareRequest& request) = 0;
};

} // namespace auklet
