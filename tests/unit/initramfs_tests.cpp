// SPDX-License-Identifier: MIT
// The initial file system, read back by an unpacker that follows the kernel's (init/initramfs.c): archives one after
// the other, zeros between them, compressed or not, later entries over earlier ones.

#include "platform/native/plain_memory.hpp"
#include "src/initramfs.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <zlib.h>

#include <map>
#include <string>

using namespace auklet;

namespace {

struct Entry {
    std::uint32_t mode;
    std::string content;
    bool operator==(const Entry&) const = default;
};
using Tree = std::map<std::string, Entry>;

std::uint32_t field(std::string_view header, int index) {
    return static_cast<std::uint32_t>(std::stoul(std::string(header.substr(6 + 8 * index, 8)), nullptr, 16));
}

/// Unpacks one plain archive; returns how many bytes it took.
std::size_t unpack_plain(std::string_view data, Tree& tree) {
    std::size_t offset = 0;
    for (;;) {
        REQUIRE(offset % 4 == 0);
        REQUIRE(data.size() >= offset + 110);
        auto header = data.substr(offset, 110);
        REQUIRE(header.starts_with("070701"));
        auto mode = field(header, 1);
        auto size = field(header, 6);
        auto name_size = field(header, 11);
        std::string name(data.substr(offset + 110, name_size - 1));
        REQUIRE(data[offset + 110 + name_size - 1] == '\0');
        offset = (offset + 110 + name_size + 3) & ~std::size_t{3};
        std::string content(data.substr(offset, size));
        offset = (offset + size + 3) & ~std::size_t{3};
        if (name == "TRAILER!!!")
            return offset;
        // The kernel drops a file whose directory does not exist.
        auto slash = name.rfind('/');
        if (slash != std::string::npos && !tree.contains(name.substr(0, slash)))
            FAIL("no directory for " << name);
        if ((mode & 0170000) == 0040000 && tree.contains(name))
            tree[name].mode = mode;
        else
            tree[name] = {mode, content};
    }
}

Tree unpack(std::string_view data) {
    Tree tree;
    std::size_t offset = 0;
    while (offset < data.size()) {
        if (data[offset] == '0' && offset % 4 == 0) {
            offset += unpack_plain(data.substr(offset), tree);
        } else if (data[offset] == '\0') {
            ++offset;
        } else {
            z_stream stream{};
            REQUIRE(inflateInit2(&stream, 31) == Z_OK);
            std::string plain(1 << 20, '\0');
            stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data() + offset));
            stream.avail_in = static_cast<uInt>(data.size() - offset);
            stream.next_out = reinterpret_cast<Bytef*>(plain.data());
            stream.avail_out = static_cast<uInt>(plain.size());
            REQUIRE(inflate(&stream, Z_FINISH) == Z_STREAM_END);
            plain.resize(stream.total_out);
            offset += stream.total_in;
            inflateEnd(&stream);
            unpack_plain(plain, tree);
        }
    }
    return tree;
}

std::string gzip(std::string_view plain) {
    z_stream stream{};
    REQUIRE(deflateInit2(&stream, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    std::string result(deflateBound(&stream, plain.size()) + 64, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
    stream.avail_in = static_cast<uInt>(plain.size());
    stream.next_out = reinterpret_cast<Bytef*>(result.data());
    stream.avail_out = static_cast<uInt>(result.size());
    REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    result.resize(stream.total_out);
    deflateEnd(&stream);
    return result;
}

std::unique_ptr<ByteSource> content(std::string_view text) {
    auto view = std::as_bytes(std::span(text));
    return std::make_unique<OwnedBytes>(std::vector<std::byte>(view.begin(), view.end()));
}

std::string written(const Initramfs& initramfs) {
    native::PlainMemory memory(initramfs.size());
    initramfs.copy_to(*memory.region(0, memory.size()));
    return {reinterpret_cast<const char*>(memory.data()), memory.size()};
}

/// An archive as the build makes it: /tmp with the sticky bit, /etc/motd, /bin/sh.
std::string base_archive() {
    std::string archive;
    auto add = [&](std::string_view name, unsigned mode, std::string_view data) {
        char header[111];
        std::snprintf(header, sizeof header, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", 1, mode, 0,
                      0, 1, 0, static_cast<unsigned>(data.size()), 0, 0, 0, 0, static_cast<unsigned>(name.size() + 1),
                      0);
        archive += header;
        archive += name;
        archive += '\0';
        archive.resize((archive.size() + 3) & ~std::size_t{3});
        archive += data;
        archive.resize((archive.size() + 3) & ~std::size_t{3});
    };
    add("tmp", 0041777, "");
    add("etc", 0040755, "");
    add("etc/motd", 0100644, "welcome");
    add("TRAILER!!!", 0, "");
    return archive;
}

std::string error_of(std::string_view path, std::uint32_t mode = 0644) {
    Initramfs initramfs;
    auto added = initramfs.add_file(path, mode, content(""));
    return added ? "no error" : added.error().message;
}

} // namespace

TEST_CASE("nothing gives nothing") { CHECK(Initramfs().size() == 0); }

TEST_CASE("the base alone is not touched") {
    Initramfs initramfs;
    initramfs.set_base(content("anything that is a multiple of 4"));
    CHECK(written(initramfs) == "anything that is a multiple of 4");
}

TEST_CASE("files are put over a base of any length, compressed or not") {
    auto base = base_archive();
    auto compressed = GENERATE(true, false);
    Initramfs initramfs;
    initramfs.set_base(content(compressed ? gzip(base) : base));
    REQUIRE(initramfs.add_file("/root/jobs/run.sh", 0755, content("#!/bin/sh\n")));
    REQUIRE(initramfs.add_file("/tmp/odd", 0600, content("12345")));
    REQUIRE(initramfs.add_file("/etc/motd", 0644, content("replaced")));
    REQUIRE(initramfs.add_file("/empty", 04711, content("")));
    auto tree = unpack(written(initramfs));
    CHECK(tree.size() == 8);
    CHECK(tree["root"] == Entry{0040755, ""});
    CHECK(tree["root/jobs"] == Entry{0040755, ""});
    CHECK(tree["root/jobs/run.sh"] == Entry{0100755, "#!/bin/sh\n"});
    CHECK(tree["tmp"] == Entry{0041777, ""}); // the base's mode, although tmp/odd needed the directory
    CHECK(tree["tmp/odd"] == Entry{0100600, "12345"});
    CHECK(tree["etc/motd"] == Entry{0100644, "replaced"});
    CHECK(tree["empty"] == Entry{0104711, ""});
}

TEST_CASE("the last of two files of one name wins") {
    Initramfs initramfs;
    REQUIRE(initramfs.add_file("/a", 0644, content("first")));
    REQUIRE(initramfs.add_file("/a", 0755, content("second")));
    auto tree = unpack(written(initramfs));
    CHECK(tree.size() == 1);
    CHECK(tree["a"] == Entry{0100755, "second"});
}

TEST_CASE("binary content and all sizes around the padding") {
    Initramfs initramfs;
    Tree expected;
    for (std::size_t size = 0; size < 9; ++size) {
        std::string data(size, '\0');
        REQUIRE(initramfs.add_file(text_of("/f", size), 0644, content(data)));
        expected[text_of("f", size)] = {0100644, data};
    }
    CHECK(unpack(written(initramfs)) == expected);
}

TEST_CASE("paths are checked") {
    CHECK(error_of("/a/b.c") == "no error");
    CHECK(error_of("/...") == "no error");
    CHECK(error_of("a") == "file \"a\": the path in the guest must start with /");
    CHECK(error_of("") == "file \"\": the path in the guest must start with /");
    CHECK(error_of("/") == "file \"/\": the path has an empty part");
    CHECK(error_of("/a//b") == "file \"/a//b\": the path has an empty part");
    CHECK(error_of("/a/") == "file \"/a/\": the path has an empty part");
    CHECK(error_of("/a/../b") == "file \"/a/../b\": \"..\" is not allowed in the path");
    CHECK(error_of("/./b") == "file \"/./b\": \".\" is not allowed in the path");
    CHECK(error_of(std::string_view("/a\0b", 4)) == "file \"/a\": the path contains a zero byte");
    CHECK(error_of("/" + std::string(256, 'n')).ends_with("a part of the path has more than 255 bytes"));
    CHECK(error_of("/" + std::string(5000, 'n')).ends_with("the path has more than 4095 bytes"));
    CHECK(error_of("/proc/sys/x") == "file \"/proc/sys/x\": no file can be put into /proc, which the kernel fills");
    CHECK(error_of("/sys") == "file \"/sys\": no file can be put into /sys, which the kernel fills");
    CHECK(error_of("/dev/pts/x") == "file \"/dev/pts/x\": no file can be put into /dev/pts, which the kernel fills");
    CHECK(error_of("/dev/shm/x") == "no error");
    CHECK(error_of("/process") == "no error");
    CHECK(error_of("/TRAILER!!!") == "file \"/TRAILER!!!\": this name ends a cpio archive");
    CHECK(error_of("/a", 0100644) == "file \"/a\": 33188 is not a set of permission bits");
}

TEST_CASE("a file cannot also be a directory") {
    Initramfs initramfs;
    REQUIRE(initramfs.add_file("/a/b", 0644, content("")));
    auto over_directory = initramfs.add_file("/a", 0644, content(""));
    REQUIRE_FALSE(over_directory);
    CHECK(over_directory.error().message == "file \"/a\": another file needs a directory of this name");
    auto below_file = initramfs.add_file("/a/b/c", 0644, content(""));
    REQUIRE_FALSE(below_file);
    CHECK(below_file.error().message == "file \"/a/b/c\": \"/a/b\" is a file");
}

TEST_CASE("directories and symbolic links") {
    Initramfs initramfs;
    initramfs.set_base(content(base_archive()));
    REQUIRE(initramfs.add_directory("/srv/empty", 0700));
    REQUIRE(initramfs.add_directory("/tmp", 0700));
    REQUIRE(initramfs.add_link("/srv/link", "/no/where"));
    REQUIRE(initramfs.add_link("/etc/motd", "issue"));
    auto tree = unpack(written(initramfs));
    CHECK(tree["srv"] == Entry{0040755, ""});
    CHECK(tree["srv/empty"] == Entry{0040700, ""});
    CHECK(tree["tmp"].mode == 0041777);
    CHECK(tree["srv/link"] == Entry{0120777, "/no/where"});
    CHECK(tree["etc/motd"] == Entry{0120777, "issue"});
}

TEST_CASE("a directory keeps its mode, whatever is put into it before or after") {
    Initramfs initramfs;
    REQUIRE(initramfs.add_file("/a/b", 0644, content("x")));
    REQUIRE(initramfs.add_directory("/a", 0700));
    REQUIRE(initramfs.add_link("/a/c", "b"));
    CHECK(unpack(written(initramfs))["a"].mode == 0040700);
}

TEST_CASE("directories and links that cannot be") {
    Initramfs initramfs;
    REQUIRE(initramfs.add_link("/a", "b"));
    auto message = [](const Result<void>& result) { return result ? "no error" : result.error().message; };
    CHECK(message(initramfs.add_directory("/a", 0755)) == "directory \"/a\": a file has this name");
    CHECK(message(initramfs.add_directory("/a/b", 0755)) == "file \"/a/b\": \"/a\" is a file");
    CHECK(message(initramfs.add_directory("/d", 0100755)) == "file \"/d\": 33261 is not a set of permission bits");
    CHECK(message(initramfs.add_directory("/../d", 0755)).contains("not allowed"));
    for (std::string target : {std::string(), std::string(4096, 'x'), std::string("a\0b", 3)})
        CHECK(message(initramfs.add_link("/l", target)).starts_with("link \"/l\": its target is not"));
    REQUIRE(initramfs.add_directory("/d", 0755));
    CHECK(message(initramfs.add_link("/d", "x")).contains("needs a directory of this name"));
}
