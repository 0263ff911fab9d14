// SPDX-License-Identifier: MIT
// The structures of FUSE's protocol, version 7.38, which virtio-fs carries. The
// names of their kernel counterparts (linux/fuse.h) are in the comments.
#pragma once

#include <cstdint>

namespace auklet::virtio::fuse {

constexpr std::uint32_t major_version = 7;
constexpr std::uint32_t minor_version = 38;
/// The oldest minor version whose structures are these.
constexpr std::uint32_t oldest_minor = 27;

enum class Opcode : std::uint32_t {
    lookup = 1,
    forget = 2,
    getattr = 3,
    setattr = 4,
    readlink = 5,
    symlink = 6,
    mknod = 8,
    mkdir = 9,
    unlink = 10,
    rmdir = 11,
    rename = 12,
    link = 13,
    open = 14,
    read = 15,
    write = 16,
    statfs = 17,
    release = 18,
    fsync = 20,
    flush = 25,
    init = 26,
    opendir = 27,
    readdir = 28,
    releasedir = 29,
    fsyncdir = 30,
    create = 35,
    interrupt = 36,
    destroy = 38,
    batch_forget = 42,
    readdirplus = 44,
    rename2 = 45,
};

constexpr std::uint64_t root_node = 1;

/// fuse_in_header
struct InHeader {
    std::uint32_t length;
    std::uint32_t opcode;
    std::uint64_t unique;
    std::uint64_t node;
    std::uint32_t user;
    std::uint32_t group;
    std::uint32_t process;
    std::uint16_t extension_length;
    std::uint16_t padding;
};
static_assert(sizeof(InHeader) == 40);

/// fuse_out_header
struct OutHeader {
    std::uint32_t length;
    std::int32_t error;
    std::uint64_t unique;
};
static_assert(sizeof(OutHeader) == 16);

/// fuse_attr
struct Attributes {
    std::uint64_t inode;
    std::uint64_t size;
    std::uint64_t blocks;
    std::uint64_t seconds[3]; ///< of access, of the content's change, of status
    std::uint32_t nanoseconds[3];
    std::uint32_t mode;
    std::uint32_t links;
    std::uint32_t user;
    std::uint32_t group;
    std::uint32_t device;
    std::uint32_t block_size;
    std::uint32_t flags;
};
static_assert(sizeof(Attributes) == 88);

/// fuse_entry_out
struct EntryOut {
    std::uint64_t node;
    std::uint64_t generation;
    std::uint64_t entry_seconds;
    std::uint64_t attributes_seconds;
    std::uint32_t entry_nanoseconds;
    std::uint32_t attributes_nanoseconds;
    Attributes attributes;
};
static_assert(sizeof(EntryOut) == 128);

/// fuse_attr_out
struct AttributesOut {
    std::uint64_t seconds;
    std::uint32_t nanoseconds;
    std::uint32_t padding;
    Attributes attributes;
};
static_assert(sizeof(AttributesOut) == 104);

/// fuse_init_in
struct InitIn {
    std::uint32_t major;
    std::uint32_t minor;
    std::uint32_t read_ahead;
    std::uint32_t flags;
};
static_assert(sizeof(InitIn) == 16);
constexpr std::uint32_t init_async_read = 1U << 0;
constexpr std::uint32_t init_big_writes = 1U << 5;
constexpr std::uint32_t init_auto_invalidate = 1U << 12;
constexpr std::uint32_t init_readdirplus = 1U << 13;
constexpr std::uint32_t init_parallel_folders = 1U << 18;
constexpr std::uint32_t init_most_pages = 1U << 22;

/// fuse_init_out
struct InitOut {
    std::uint32_t major;
    std::uint32_t minor;
    std::uint32_t read_ahead;
    std::uint32_t flags;
    std::uint16_t most_background;
    std::uint16_t congestion;
    std::uint32_t most_written; ///< bytes in one request
    std::uint32_t time_unit;    ///< nanoseconds
    std::uint16_t most_pages;
    std::uint16_t map_alignment;
    std::uint32_t unused[8];
};
static_assert(sizeof(InitOut) == 64);

/// fuse_getattr_in
struct GetAttributesIn {
    std::uint32_t flags;
    std::uint32_t padding;
    std::uint64_t handle;
};
static_assert(sizeof(GetAttributesIn) == 16);
constexpr std::uint32_t getattr_has_handle = 1;

/// fuse_setattr_in
struct SetAttributesIn {
    std::uint32_t valid = 0;
    std::uint32_t padding = 0;
    std::uint64_t handle = 0;
    std::uint64_t size = 0;
    std::uint64_t lock_owner = 0;
    std::uint64_t seconds[3] = {};
    std::uint32_t nanoseconds[3] = {};
    std::uint32_t mode = 0;
    std::uint32_t unused1 = 0;
    std::uint32_t user = 0;
    std::uint32_t group = 0;
    std::uint32_t unused2 = 0;
};
static_assert(sizeof(SetAttributesIn) == 88);
constexpr std::uint32_t set_size = 1U << 3;
constexpr std::uint32_t set_handle = 1U << 6;

/// fuse_mknod_in
struct MakeNodeIn {
    std::uint32_t mode;
    std::uint32_t device;
    std::uint32_t mask;
    std::uint32_t padding;
};
static_assert(sizeof(MakeNodeIn) == 16);

/// fuse_mkdir_in
struct MakeFolderIn {
    std::uint32_t mode;
    std::uint32_t mask;
};
static_assert(sizeof(MakeFolderIn) == 8);

/// fuse_rename2_in
struct RenameIn {
    std::uint64_t folder;
    std::uint32_t flags;
    std::uint32_t padding;
};
static_assert(sizeof(RenameIn) == 16);

/// fuse_open_in
struct OpenIn {
    std::uint32_t flags;
    std::uint32_t open_flags;
};
static_assert(sizeof(OpenIn) == 8);

/// fuse_create_in
struct CreateIn {
    std::uint32_t flags;
    std::uint32_t mode;
    std::uint32_t mask;
    std::uint32_t open_flags;
};
static_assert(sizeof(CreateIn) == 16);

/// fuse_open_out
struct OpenOut {
    std::uint64_t handle;
    std::uint32_t flags;
    std::uint32_t backing;
};
static_assert(sizeof(OpenOut) == 16);
constexpr std::uint32_t open_keep_cache = 1U << 1;

/// fuse_release_in, and the first 16 bytes of fuse_flush_in and fuse_fsync_in.
struct HandleIn {
    std::uint64_t handle;
    std::uint32_t flags;
    std::uint32_t more_flags;
};
static_assert(sizeof(HandleIn) == 16);

/// fuse_read_in and fuse_write_in
struct TransferIn {
    std::uint64_t handle = 0;
    std::uint64_t offset = 0;
    std::uint32_t size = 0;
    std::uint32_t transfer_flags = 0;
    std::uint64_t lock_owner = 0;
    std::uint32_t flags = 0;
    std::uint32_t padding = 0;
};
static_assert(sizeof(TransferIn) == 40);

/// fuse_write_out
struct WriteOut {
    std::uint32_t size;
    std::uint32_t padding;
};
static_assert(sizeof(WriteOut) == 8);

/// fuse_statfs_out
struct SpaceOut {
    std::uint64_t blocks;
    std::uint64_t free_blocks;
    std::uint64_t available_blocks;
    std::uint64_t files;
    std::uint64_t free_files;
    std::uint32_t block_size;
    std::uint32_t longest_name;
    std::uint32_t fragment_size;
    std::uint32_t unused[7];
};
static_assert(sizeof(SpaceOut) == 80);

/// fuse_dirent, without the name
struct EntryHeader {
    std::uint64_t inode;
    std::uint64_t next; ///< the place after this entry
    std::uint32_t name_length;
    std::uint32_t type;
};
static_assert(sizeof(EntryHeader) == 24);

/// fuse_batch_forget_in
struct BatchForgetIn {
    std::uint32_t count;
    std::uint32_t padding;
};
static_assert(sizeof(BatchForgetIn) == 8);

/// fuse_forget_one
struct ForgetOne {
    std::uint64_t node;
    std::uint64_t references;
};
static_assert(sizeof(ForgetOne) == 16);

} // namespace auklet::virtio::fuse
