// SPDX-License-Identifier: MIT
// The file system device: requests as Linux makes them, and each way in which a driver can lie.

#include "fake_driver.hpp"
#include "src/virtio/fs.hpp"

#include <catch2/catch_test_macros.hpp>

#include <deque>

using namespace auklet;
using namespace auklet::test;
using namespace std::string_literals;
namespace fuse = auklet::virtio::fuse;
using fuse::Opcode;

namespace {

constexpr std::uint64_t one_node = 7;
constexpr std::uint64_t one_handle = 3;

/// Keeps requests until the test answers them.
struct SlowShare final : ShareBackend {
    struct Taken {
        ShareRequest request;
        std::vector<GuestRegion> memory;
    };
    void submit(ShareId, const ShareRequest& request) override {
        taken.push_back({request, {request.memory.begin(), request.memory.end()}});
    }
    Taken take() {
        REQUIRE_FALSE(taken.empty());
        auto first = taken.front();
        taken.pop_front();
        return first;
    }
    std::deque<Taken> taken;
};

template <typename T> std::string raw(const T& value) { return {reinterpret_cast<const char*>(&value), sizeof value}; }

void append(std::vector<std::uint32_t>& words, const std::vector<std::uint32_t>& more) {
    words.insert(words.end(), more.begin(), more.end());
}

struct Fixture {
    explicit Fixture(bool read_only = false) : device(0, {.tag = "work", .read_only = read_only}, share) {}

    void start(bool with_init = true) {
        high = &driver.set_queue(0, 64);
        queue = &driver.set_queue(1, 512);
        REQUIRE(driver.start(feature_indirect) == 15);
        share.taken.clear();
        if (!with_init)
            return;
        REQUIRE(send(Opcode::init, 0, raw(fuse::InitIn{7, 41, 131072, ~0U})) == 0);
        REQUIRE(share.take().request.operation == ShareOperation::reset);
    }

    static constexpr GuestAddress in = FakeDriver::buffers;
    static constexpr GuestAddress out = FakeDriver::buffers + 65536;
    static constexpr std::uint32_t room = 8192;

    /// Offers a request, with `room` bytes for its answer, as descriptors 2 * slot and the next one.
    void offer(Opcode opcode, std::uint64_t node, const std::string& arguments, std::uint16_t slot = 0,
               std::uint32_t answer_room = room, std::uint32_t queue_index = 1, std::uint32_t more_length = 0) {
        auto& where = queue_index == 0 ? *high : *queue;
        const GuestAddress shift = slot * 16384U;
        const auto length = static_cast<std::uint32_t>(sizeof(fuse::InHeader) + arguments.size());
        where.put(in + shift, fuse::InHeader{.length = length + more_length,
                                             .opcode = static_cast<std::uint32_t>(opcode),
                                             .unique = 1000U + slot,
                                             .node = node,
                                             .user = 1000,
                                             .group = 100,
                                             .process = 1,
                                             .extension_length = 0,
                                             .padding = 0});
        driver.put(in + shift + sizeof(fuse::InHeader), arguments);
        const auto head = static_cast<std::uint16_t>(2 * slot);
        const std::uint16_t flags = answer_room == 0 ? 0 : flag_next;
        where.descriptor(head, {in + shift, length, flags, static_cast<std::uint16_t>(head + 1)});
        if (answer_room != 0)
            where.descriptor(static_cast<std::uint16_t>(head + 1), {out + shift, answer_room, flag_write, 0});
        where.offer(head);
        driver.kick(queue_index);
    }

    fuse::OutHeader answer(std::uint16_t slot = 0) { return queue->get<fuse::OutHeader>(out + slot * 16384U); }
    template <typename T> T payload(std::uint64_t offset = 0) {
        return queue->get<T>(static_cast<GuestAddress>(out + sizeof(fuse::OutHeader) + offset));
    }

    /// The error of a request that is answered at once.
    int send(Opcode opcode, std::uint64_t node, const std::string& arguments, std::uint32_t answer_room = room) {
        const auto before = queue->used_index();
        offer(opcode, node, arguments, 0, answer_room);
        REQUIRE(queue->used_index() == before + 1);
        CHECK(queue->used_element(before).length == answer().length);
        CHECK(answer().unique == 1000);
        return -answer().error;
    }

    /// Answers the oldest request.
    void complete(std::uint32_t error, const std::vector<std::uint32_t>& words) {
        device.completed(share.take().request.id, error, words);
    }

    static std::vector<std::uint32_t> attributes() {
        std::vector<std::uint32_t> words(22);
        words[0] = 42;  // inode
        words[2] = 100; // size
        words[15] = 0100644;
        return words;
    }
    static std::vector<std::uint32_t> node(std::uint64_t number) {
        std::vector<std::uint32_t> words{static_cast<std::uint32_t>(number), static_cast<std::uint32_t>(number >> 32)};
        append(words, attributes());
        return words;
    }

    void look_up(std::uint64_t number = one_node) {
        offer(Opcode::lookup, 1, "file\0"s);
        complete(0, node(number));
        REQUIRE(answer().error == 0);
    }
    void open(std::uint64_t number = one_handle, Opcode opcode = Opcode::open) {
        offer(opcode, opcode == Opcode::open ? one_node : 1, raw(fuse::OpenIn{}));
        complete(0, {static_cast<std::uint32_t>(number), 0, 0});
        REQUIRE(answer().error == 0);
    }

    static std::string transfer(std::uint64_t handle, std::uint64_t offset, std::uint32_t size) {
        return raw(fuse::TransferIn{.handle = handle, .offset = offset, .size = size});
    }

    SlowShare share;
    virtio::FsDevice device;
    FakeDriver driver{device};
    FakeQueue* high = nullptr;
    FakeQueue* queue = nullptr;
};

} // namespace

TEST_CASE("the configuration of a share has its tag and one queue") {
    Fixture f;
    CHECK(f.driver.page.read_structure<abi::VirtioPage>(0).device_id == 26);
    auto space = f.driver.page.part(AUKLET_VIRTIO_CONFIG, 40);
    CHECK(space.read_structure<std::uint32_t>(0) == 0x6b726f77); // "work"
    CHECK(space.read_structure<std::uint32_t>(4) == 0);
    CHECK(space.read_structure<std::uint32_t>(36) == 1);
}

TEST_CASE("the negotiation offers what the device can do, and only what the driver knows") {
    Fixture f;
    f.start(false);
    CHECK(f.send(Opcode::getattr, 1, raw(fuse::GetAttributesIn{})) == 5);
    CHECK(f.send(Opcode::init, 0, "short") == 22);
    CHECK(f.send(Opcode::init, 0, raw(fuse::InitIn{6, 41, 0, 0})) == 71);
    CHECK(f.send(Opcode::init, 0, raw(fuse::InitIn{7, 26, 0, 0})) == 71);
    CHECK(f.send(Opcode::init, 0, raw(fuse::InitIn{7, 41, 0, 1U << 13 | 1U << 16})) == 0);
    auto out = f.payload<fuse::InitOut>();
    CHECK(out.major == 7);
    CHECK(out.flags == 1U << 13); // never WRITEBACK_CACHE
    CHECK(out.most_written == 1 << 20);
    CHECK(out.most_pages == 256);
    CHECK(f.send(Opcode::init, 0, raw(fuse::InitIn{7, 41, 0, 0}), 40) == 22);
}

TEST_CASE("a name that is found is a node until it is forgotten as often as it was told") {
    Fixture f;
    f.start();
    f.offer(Opcode::lookup, 1, "file\0"s);
    CHECK(f.share.taken.front().request.name == "file");
    CHECK(f.share.taken.front().request.node == 1);
    CHECK(f.queue->used_index() == 1);
    f.complete(0, Fixture::node(one_node));
    auto entry = f.payload<fuse::EntryOut>();
    CHECK(entry.node == one_node);
    CHECK(entry.entry_seconds + entry.entry_nanoseconds == 0);
    CHECK(entry.attributes.inode == 42);
    CHECK(entry.attributes.mode == 0100644);
    CHECK(f.answer().length == 16 + 128);
    // A folder's name holds for a moment: it is on the way to many files.
    f.offer(Opcode::lookup, 1, "folder\0"s);
    auto folder = Fixture::node(8);
    folder[2 + 15] = 0040755;
    f.complete(0, folder);
    CHECK(f.payload<fuse::EntryOut>().entry_nanoseconds == 50'000'000);
    f.look_up();

    auto known = [&] {
        f.offer(Opcode::getattr, one_node, raw(fuse::GetAttributesIn{}));
        if (f.share.taken.empty())
            return false;
        f.complete(0, Fixture::attributes());
        CHECK(f.payload<fuse::AttributesOut>().attributes.size == 100);
        return true;
    };
    auto forget = [&](std::uint64_t count) {
        f.offer(Opcode::forget, one_node, raw(count), 0, 0, 0);
        return f.share.taken.empty() ? 0 : f.share.take().request.length;
    };
    CHECK(known());
    CHECK(forget(1) == 1);
    CHECK(known());
    // No more than it had.
    CHECK(forget(~std::uint64_t{0}) == 1);
    CHECK_FALSE(known());
    CHECK(-f.answer().error == 116);
    CHECK(forget(1) == 0);
    CHECK(f.driver.events.failures.empty());
}

TEST_CASE("many nodes are forgotten at once, and only those that there are") {
    Fixture f;
    f.start();
    f.look_up(7);
    f.look_up(8);
    auto batch = raw(fuse::BatchForgetIn{~0U, 0}) + raw(fuse::ForgetOne{7, 1}) + raw(fuse::ForgetOne{1, 5}) +
                 raw(fuse::ForgetOne{9, 1}) + raw(fuse::ForgetOne{8, 1}) + "rest";
    f.offer(Opcode::batch_forget, 0, batch, 0, 0, 0);
    CHECK(f.high->used_index() == 1);
    CHECK(f.share.take().request.node == 7);
    CHECK(f.share.take().request.node == 8);
    CHECK(f.share.taken.empty());
}

TEST_CASE("a name is one component of a path") {
    Fixture f;
    f.start();
    for (const auto& name : {"\0"s, ".\0"s, "..\0"s, "a/b\0"s, "/\0"s, "no end"s, "a\0b\0"s, ""s})
        CHECK(f.send(Opcode::lookup, 1, name) == 22);
    CHECK(f.send(Opcode::lookup, 1, std::string(256, 'x') + '\0') == 36);
    CHECK(f.send(Opcode::lookup, 1, std::string(60000 - 49000, 'x') + '\0') == 36);
    const auto target = [](std::size_t size) { return "link\0"s + std::string(size, '/') + '\0'; };
    CHECK(f.send(Opcode::symlink, 1, target(0)) == 22);
    CHECK(f.send(Opcode::symlink, 1, target(4096)) == 36);
    CHECK(f.send(Opcode::symlink, 1, "../x\0y\0"s) == 22);
    CHECK(f.send(Opcode::rename, 1, raw(std::uint64_t{1}) + "a\0..\0"s) == 22);
    CHECK(f.send(Opcode::rename, 1, raw(std::uint64_t{1}) + "a\0b\0c\0"s) == 22);
    CHECK(f.share.taken.empty());
    f.offer(Opcode::lookup, 1, std::string(255, 'x') + '\0');
    CHECK(f.share.take().request.name == std::string(255, 'x'));
    f.offer(Opcode::symlink, 1, target(4095), 1);
    CHECK(f.share.take().request.other_name == std::string(4095, '/'));
}

TEST_CASE("a driver names only nodes and handles that it was given") {
    Fixture f;
    f.start();
    f.look_up();
    f.open();
    f.open(4, Opcode::opendir);
    const auto handle = [](std::uint64_t number) { return raw(fuse::HandleIn{number, 0, 0}) + std::string(8, '\0'); };
    CHECK(f.send(Opcode::getattr, 99, raw(fuse::GetAttributesIn{})) == 116);
    CHECK(f.send(Opcode::rename, 1, raw(std::uint64_t{99}) + "a\0b\0"s) == 116);
    CHECK(f.send(Opcode::rename2, one_node, raw(fuse::RenameIn{99, 0, 0}) + "a\0b\0"s) == 116);
    CHECK(f.send(Opcode::link, 1, raw(std::uint64_t{99}) + "a\0"s) == 116);
    CHECK(f.send(Opcode::getattr, one_node, raw(fuse::GetAttributesIn{1, 0, 99})) == 9);
    CHECK(f.send(Opcode::setattr, one_node, raw(fuse::SetAttributesIn{.valid = 1U << 6, .handle = 99})) == 9);
    CHECK(f.send(Opcode::read, one_node, Fixture::transfer(99, 0, 4096)) == 9);
    // The handle of a folder is none of a file, nor the other way round.
    CHECK(f.send(Opcode::read, one_node, Fixture::transfer(4, 0, 4096)) == 9);
    CHECK(f.send(Opcode::readdirplus, 1, Fixture::transfer(one_handle, 0, 4096)) == 9);
    CHECK(f.send(Opcode::releasedir, 1, handle(one_handle)) == 9);
    CHECK(f.send(Opcode::fsync, one_node, handle(4)) == 9);
    CHECK(f.share.taken.empty());
    f.offer(Opcode::release, one_node, handle(one_handle));
    // It is closed for the driver at once, and for the share in its turn.
    CHECK(f.send(Opcode::read, one_node, Fixture::transfer(one_handle, 0, 4096)) == 9);
    CHECK(f.share.take().request.operation == ShareOperation::close);
}

TEST_CASE("the share reads and writes in the driver's pages") {
    Fixture f;
    f.start();
    f.look_up();
    f.open();
    f.offer(Opcode::read, one_node, Fixture::transfer(one_handle, 1U << 20, 4096));
    auto [read, memory] = f.share.take();
    CHECK(read.operation == ShareOperation::read);
    CHECK(read.offset == 1U << 20);
    REQUIRE(memory.size() == 1);
    CHECK(memory[0].length() == 4096);
    memory[0].write(0, bytes("hello"));
    f.device.completed(read.id, 0, std::vector<std::uint32_t>{5});
    CHECK(f.answer().length == 16 + 5);
    CHECK(f.driver.get(Fixture::out + 16, 5) == "hello");

    f.offer(Opcode::write, one_node, Fixture::transfer(one_handle, 9, 5) + "world");
    auto [write, source] = f.share.take();
    CHECK(write.offset == 9);
    REQUIRE(source.size() == 1);
    std::string text(source[0].length(), '\0');
    source[0].read(0, std::as_writable_bytes(std::span(text)));
    CHECK(text == "world");
    f.device.completed(write.id, 0, std::vector<std::uint32_t>{5});
    CHECK(f.payload<fuse::WriteOut>().size == 5);
}

TEST_CASE("transfers have sizes and places that can be") {
    Fixture f;
    f.start();
    f.look_up();
    f.open();
    CHECK(f.send(Opcode::read, one_node, Fixture::transfer(one_handle, 0, (1 << 20) + 1)) == 22);
    CHECK(f.send(Opcode::read, one_node, Fixture::transfer(one_handle, 0, Fixture::room)) == 22);
    CHECK(f.send(Opcode::read, one_node, Fixture::transfer(one_handle, 1ULL << 53, 1)) == 27);
    CHECK(f.send(Opcode::read, one_node, Fixture::transfer(one_handle, ~std::uint64_t{0}, 4096)) == 27);
    CHECK(f.send(Opcode::write, one_node, Fixture::transfer(one_handle, 0, 6) + "world") == 22);
    CHECK(f.send(Opcode::write, one_node, Fixture::transfer(one_handle, 0, 4) + "world") == 22);
    CHECK(f.send(Opcode::write, one_node, "short") == 22);
    CHECK(f.send(Opcode::setattr, one_node, raw(fuse::SetAttributesIn{.valid = 8, .size = 1ULL << 53})) == 27);
    CHECK(f.send(Opcode::setattr, one_node, raw(fuse::SetAttributesIn{.valid = 1U << 31})) == 22);
    CHECK(f.send(Opcode::setattr, one_node, raw(fuse::SetAttributesIn{.nanoseconds = {1'000'000'000, 0, 0}})) == 22);
    CHECK(f.share.taken.empty());
}

TEST_CASE("devices, pipes and sockets are not made") {
    Fixture f;
    f.start();
    const auto make = [](std::uint32_t mode) { return raw(fuse::MakeNodeIn{mode, 0x105, 0, 0}) + "x\0"s; };
    for (const std::uint32_t type : {0020000U, 0060000U, 0010000U, 0140000U, 0120000U, 0040000U})
        CHECK(f.send(Opcode::mknod, 1, make(type | 0666)) == 1);
    f.offer(Opcode::mknod, 1, make(0100644));
    auto request = f.share.take().request;
    CHECK(request.operation == ShareOperation::make_file);
    CHECK(request.mode == 0644);
    CHECK(request.user == 1000);
}

TEST_CASE("a share that is read-only is not changed") {
    Fixture f(true);
    f.start();
    f.look_up();
    f.open();
    const auto name = "x\0"s;
    CHECK(f.send(Opcode::setattr, one_node, raw(fuse::SetAttributesIn{.valid = 8})) == 30);
    CHECK(f.send(Opcode::symlink, 1, "x\0y\0"s) == 30);
    CHECK(f.send(Opcode::mknod, 1, raw(fuse::MakeNodeIn{}) + name) == 30);
    CHECK(f.send(Opcode::mkdir, 1, raw(fuse::MakeFolderIn{}) + name) == 30);
    CHECK(f.send(Opcode::unlink, 1, name) == 30);
    CHECK(f.send(Opcode::rmdir, 1, name) == 30);
    CHECK(f.send(Opcode::rename, 1, raw(std::uint64_t{1}) + "x\0y\0"s) == 30);
    CHECK(f.send(Opcode::link, 1, raw(one_node) + name) == 30);
    CHECK(f.send(Opcode::create, 1, raw(fuse::CreateIn{}) + name) == 30);
    CHECK(f.send(Opcode::open, one_node, raw(fuse::OpenIn{2, 0})) == 30);
    CHECK(f.send(Opcode::open, one_node, raw(fuse::OpenIn{01000, 0})) == 30);
    CHECK(f.send(Opcode::write, one_node, Fixture::transfer(one_handle, 0, 1) + "x") == 30);
    CHECK(f.share.taken.empty());
}

TEST_CASE("a listing has names, and the nodes that come with them") {
    Fixture f;
    f.start();
    f.open(4, Opcode::opendir);
    f.offer(Opcode::readdirplus, 1, Fixture::transfer(4, 0, 65536));
    auto request = f.share.take().request;
    CHECK(request.length == 4096);
    CHECK(request.mode == 152);
    auto words = Fixture::node(9);
    append(words, std::vector<std::uint32_t>{1, 0, 8, 3, 0x434241});
    f.device.completed(request.id, 0, words);
    CHECK(f.answer().length == 16 + 152 + 8);
    CHECK(f.payload<fuse::EntryOut>().node == 9);
    CHECK(f.payload<fuse::EntryHeader>(128).name_length == 3);
    CHECK(f.payload<fuse::EntryHeader>(128).inode == 42);
    CHECK(f.driver.get(Fixture::out + 16 + 152, 8) == "ABC\0\0\0\0\0"s);
    f.offer(Opcode::getattr, 9, raw(fuse::GetAttributesIn{}));
    CHECK(f.share.taken.size() == 1);
    f.share.taken.clear();

    f.offer(Opcode::readdir, 1, Fixture::transfer(4, 5, 100), 1);
    request = f.share.take().request;
    CHECK(request.offset == 5);
    CHECK(request.mode == 24);
    f.device.completed(request.id, 0, std::vector<std::uint32_t>{42, 0, 6, 0, 4, 1, 'x'});
    CHECK(f.answer(1).length == 16 + 24 + 8);
}

TEST_CASE("an answer that is not as it should be is an I/O error") {
    for (auto [opcode, arguments, words] : {
             std::tuple{Opcode::lookup, "x\0"s, std::vector<std::uint32_t>(23)},
             std::tuple{Opcode::lookup, "x\0"s, std::vector<std::uint32_t>(25)},
             std::tuple{Opcode::readlink, ""s, std::vector<std::uint32_t>{5, 1}},
             std::tuple{Opcode::readlink, ""s, std::vector<std::uint32_t>{~0U, 1}},
             std::tuple{Opcode::open, raw(fuse::OpenIn{}), std::vector<std::uint32_t>{1, 0}},
             std::tuple{Opcode::statfs, ""s, std::vector<std::uint32_t>(19)},
             std::tuple{Opcode::unlink, "x\0"s, std::vector<std::uint32_t>(1)},
         }) {
        Fixture f;
        f.start();
        f.offer(opcode, 1, arguments);
        f.complete(0, words);
        CHECK(-f.answer().error == 5);
        CHECK(f.answer().length == 16);
    }
    Fixture f;
    f.start();
    f.look_up();
    f.open();
    f.offer(Opcode::read, one_node, Fixture::transfer(one_handle, 0, 100));
    f.complete(0, {101});
    CHECK(-f.answer().error == 5);
    // No room for the node.
    f.offer(Opcode::lookup, 1, "x\0"s, 0, 100);
    f.complete(0, Fixture::node(12));
    CHECK(-f.answer().error == 5);
}

TEST_CASE("what is no request stops the device") {
    {
        Fixture f;
        f.start();
        f.offer(Opcode::getattr, 1, "", 0, Fixture::room, 1, 1);
        CHECK(f.driver.events.failures.size() == 1);
    }
    {
        Fixture f;
        f.start();
        f.queue->offer_buffer(0, Fixture::in, 39, 0);
        f.driver.kick(1);
        CHECK(f.driver.events.failures.size() == 1);
    }
    {
        Fixture f;
        f.start();
        f.offer(Opcode::getattr, 1, raw(fuse::GetAttributesIn{}), 0, 15);
        CHECK(f.driver.events.failures.size() == 1);
    }
    Fixture f;
    f.start();
    CHECK(f.send(static_cast<Opcode>(9999), 1, "") == 38);
    CHECK(f.send(Opcode::flush, 1, "") == 38);
    f.offer(Opcode::getattr, 1, raw(fuse::GetAttributesIn{}), 0, Fixture::room, 0);
    CHECK(-f.answer().error == 22); // only those without an answer have priority
    CHECK(f.driver.events.failures.empty());
}

TEST_CASE("a driver that offers a chain again stops its device") {
    Fixture f;
    f.start();
    for (int count = 0; count < 512; ++count)
        f.offer(Opcode::lookup, 1, "x\0"s);
    CHECK(f.share.taken.size() == 512);
    CHECK(f.driver.events.failures.empty());
    f.offer(Opcode::lookup, 1, "x\0"s);
    CHECK(f.driver.events.failures.size() == 1);
}

TEST_CASE("a reset waits for the share, and frees what the driver had") {
    Fixture f;
    f.start();
    f.look_up();
    f.open();
    f.offer(Opcode::lookup, 1, "late\0"s);
    f.offer(Opcode::open, one_node, raw(fuse::OpenIn{}), 1);
    const auto lookup = f.share.take().request.id;
    const auto open = f.share.take().request.id;
    CHECK(f.driver.set_status(0) == ~0U);
    CHECK(f.share.take().request.operation == ShareOperation::reset);
    f.device.completed(lookup, 0, Fixture::node(8));
    f.device.completed(open, 0, std::vector<std::uint32_t>{5, 0, 0});
    CHECK(f.driver.page.read_structure<abi::VirtioPage>(0).status_result == 0);
    f.driver.queues.clear();
    f.start();
    for (const std::uint64_t node : {one_node, std::uint64_t{8}})
        CHECK(f.send(Opcode::getattr, node, raw(fuse::GetAttributesIn{})) == 116);
    CHECK(f.send(Opcode::read, 1, Fixture::transfer(5, 0, 1)) == 9);
    // Twice answered, or never asked.
    f.device.completed(lookup, 0, {});
    f.device.completed(99999, 0, {});
}

TEST_CASE("an unmount frees what the driver had") {
    Fixture f;
    f.start();
    f.look_up();
    CHECK(f.send(Opcode::destroy, 0, "") == 0);
    CHECK(f.share.take().request.operation == ShareOperation::reset);
    CHECK(f.send(Opcode::getattr, 1, raw(fuse::GetAttributesIn{})) == 5);
}

TEST_CASE("a driver has so many files open at a time") {
    Fixture f;
    f.start();
    f.look_up();
    for (std::uint32_t number = 1; number <= virtio::FuseSession::most_handles - 1; ++number)
        f.open(number);
    f.offer(Opcode::open, one_node, raw(fuse::OpenIn{}));
    CHECK(f.share.taken.size() == 1);
    f.offer(Opcode::open, one_node, raw(fuse::OpenIn{}), 1);
    CHECK(-f.answer(1).error == 23);
    // One that failed takes no place.
    f.complete(13, {});
    CHECK(-f.answer().error == 13);
    f.open(5000);
}
