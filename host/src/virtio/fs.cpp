// SPDX-License-Identifier: MIT
// virtio-fs: requests are parsed here, and done by a share.

#include "fs.hpp"

#include "fuse_answer.hpp"
#include "fuse_parser.hpp"

#include <algorithm>
#include <utility>

namespace auklet::virtio {

namespace {

using fuse::Opcode;

constexpr std::uint32_t device_type = 26; // 5.11.1
// 5.11.2: hiprio, and one request queue. Linux takes four descriptors more than
// a transfer has pages.
constexpr std::uint32_t high_priority = 0;
constexpr std::uint16_t queues[] = {128, 512};
constexpr std::uint32_t page_size = 4096;
constexpr std::uint16_t most_background = 64;

// 5.11.4
struct Configuration {
    char tag[36];
    std::uint32_t request_queues;
};
static_assert(sizeof(Configuration) == 40);

/// A driver that forgets more in one request keeps the host busy for too long.
/// Linux forgets as many as fit into a page.
constexpr std::uint32_t most_forgotten = 4096;

bool makes_node(ShareOperation operation) {
    switch (operation) {
    case ShareOperation::lookup:
    case ShareOperation::make_file:
    case ShareOperation::make_folder:
    case ShareOperation::make_link:
    case ShareOperation::link:
    case ShareOperation::create:
    case ShareOperation::list:
        return true;
    default:
        return false;
    }
}

bool makes_handle(ShareOperation operation) {
    return operation == ShareOperation::open || operation == ShareOperation::open_folder ||
           operation == ShareOperation::create;
}

/// Neighbouring pages become one region: a share pays for each.
std::vector<GuestRegion> joined_regions(BufferCursor data) {
    std::vector<GuestRegion> result;
    for (const auto& region : data.take_regions())
        if (result.empty() || !result.back().join(region))
            result.push_back(region);
    return result;
}

/// Writes the header of an answer that has so many bytes more. Returns the
/// answer's length.
std::uint32_t write_header(Writer& writer, std::uint64_t unique, std::uint32_t error, std::size_t more) {
    const fuse::OutHeader header{.length = static_cast<std::uint32_t>(sizeof header + more),
                                 .error = -static_cast<std::int32_t>(error),
                                 .unique = unique};
    (void)writer.write_structure(header);
    return header.length;
}

} // namespace

FsDevice::FsDevice(ShareId share, ShareDescription description, ShareBackend& backend)
    : share_(share), description_(std::move(description)), name_(text_of("share ", description_.tag)),
      backend_(backend), pending_(queues[1]) {}

std::uint32_t FsDevice::type() const { return device_type; }

std::span<const std::uint16_t> FsDevice::queue_sizes() const { return queues; }

std::vector<std::byte> FsDevice::configuration() const {
    Configuration configuration{.tag = {}, .request_queues = 1};
    description_.tag.copy(configuration.tag, sizeof configuration.tag);
    const auto bytes = std::as_bytes(std::span(&configuration, 1));
    return {bytes.begin(), bytes.end()};
}

void FsDevice::activate(Transport& transport, std::uint64_t) { transport_ = &transport; }

/// The share answers each request that it has, and the reset is over then.
void FsDevice::reset() {
    begin_session();
    initialised_ = false;
}

void FsDevice::begin_session() {
    session_ = {};
    // Answers to what was asked before bring no nodes and handles.
    ++session_number_;
    backend_.submit(share_, {.operation = ShareOperation::reset});
}

Result<void> FsDevice::process(std::uint32_t index) {
    auto& queue = *transport_->queue(index);
    return take_chains(queue, [&](DescriptorChain& chain) { return take(queue, index, chain); });
}

Result<void> FsDevice::take(Virtqueue& queue, std::uint32_t index, DescriptorChain& chain) {
    const auto header = chain.reader.read_structure<fuse::InHeader>();
    if (!header)
        return failure("a request without a header");
    if (header->length != sizeof *header + chain.reader.remaining())
        return failure("a request of ", header->length, " bytes in a chain with ",
                       sizeof *header + chain.reader.remaining());
    if (take_unanswered(*header, chain.reader)) {
        queue.push(chain.head, 0);
        return {};
    }
    if (chain.writer.remaining() < sizeof(fuse::OutHeader))
        return failure("a request without room for an answer");
    auto head = chain.writer.split(sizeof(fuse::OutHeader));
    const auto refuse = [&](FileError error) -> Result<void> {
        queue.push(chain.head, write_header(head, header->unique, static_cast<std::uint32_t>(error), 0));
        return {};
    };
    if (index == high_priority)
        return refuse(FileError::invalid);

    const auto opcode = static_cast<Opcode>(header->opcode);
    if (opcode == Opcode::init) {
        const auto out = initialise(chain.reader);
        if (!out)
            return refuse(out.error());
        const auto bytes = std::as_bytes(std::span(&*out, 1));
        if (chain.writer.remaining() < bytes.size())
            return refuse(FileError::invalid);
        chain.writer.write(bytes);
        queue.push(chain.head, write_header(head, header->unique, 0, bytes.size()));
        return {};
    }
    if (opcode == Opcode::destroy) {
        reset();
        return refuse(FileError{});
    }
    if (!initialised_)
        return refuse(FileError::io_error);
    if (header->extension_length != 0)
        return refuse(FileError::invalid);

    auto request = parse_request(*header, chain.reader, session_, description_);
    if (!request)
        return refuse(request.error());
    if (const auto full = limit(request->operation))
        return refuse(*full);

    std::vector<GuestRegion> regions;
    if (request->operation == ShareOperation::read) {
        if (chain.writer.remaining() < request->length)
            return refuse(FileError::invalid);
        regions = joined_regions(chain.writer.split(request->length));
    } else if (request->operation == ShareOperation::write) {
        regions = joined_regions(chain.reader);
    } else if (request->operation == ShareOperation::list) {
        request->length = std::min(request->length, chain.writer.remaining());
    }
    request->memory = regions;

    // The driver may offer a chain again that it has not got back.
    const auto free = std::ranges::find_if(pending_, [](const auto& entry) { return !entry; });
    if (free == pending_.end())
        return failure("more requests at a time than the queue has descriptors");
    *free = Pending{.completion = transport_->defer(index, chain),
                    .head = std::move(head),
                    .rest = std::move(chain.writer),
                    .operation = request->operation,
                    .session = session_number_,
                    .length = static_cast<std::uint32_t>(request->length),
                    .with_attributes = request->flags != 0,
                    .unique = header->unique};
    request->id = static_cast<std::uint32_t>(free - pending_.begin());
    if (makes_handle(request->operation))
        ++opening_;
    // No later request can name it, and so none comes after its end.
    if (request->operation == ShareOperation::close)
        session_.close(request->handle);
    backend_.submit(share_, *request);
    return {};
}

bool FsDevice::take_unanswered(const fuse::InHeader& header, Reader& arguments) {
    switch (static_cast<Opcode>(header.opcode)) {
    case Opcode::forget:
        if (const auto references = arguments.read_structure<std::uint64_t>())
            forget(header.node, *references);
        return true;
    case Opcode::batch_forget:
        if (const auto batch = arguments.read_structure<fuse::BatchForgetIn>())
            for (std::uint32_t index = 0; index < std::min(batch->count, most_forgotten); ++index) {
                const auto one = arguments.read_structure<fuse::ForgetOne>();
                if (!one)
                    break;
                forget(one->node, one->references);
            }
        return true;
    case Opcode::interrupt:
        // Requests are short, and end by themselves.
        return true;
    default:
        return false;
    }
}

void FsDevice::forget(std::uint64_t node, std::uint64_t references) {
    if (const auto dropped = session_.drop(node, references))
        backend_.submit(share_, {.operation = ShareOperation::forget, .node = node, .length = dropped});
}

std::expected<fuse::InitOut, FileError> FsDevice::initialise(Reader& arguments) {
    const auto in = arguments.read_structure<fuse::InitIn>();
    if (!in)
        return std::unexpected(FileError::invalid);
    if (in->major != fuse::major_version || in->minor < fuse::oldest_minor)
        return std::unexpected(FileError::protocol);
    begin_session();
    initialised_ = true;
    constexpr auto wanted = fuse::init_async_read | fuse::init_big_writes | fuse::init_auto_invalidate |
                            fuse::init_readdirplus | fuse::init_parallel_folders | fuse::init_most_pages;
    return fuse::InitOut{.major = fuse::major_version,
                         .minor = fuse::minor_version,
                         .read_ahead = most_transferred,
                         .flags = in->flags & wanted,
                         .most_background = most_background,
                         .congestion = most_background / 4 * 3,
                         .most_written = most_transferred,
                         .time_unit = 1,
                         .most_pages = most_transferred / page_size,
                         .map_alignment = 0,
                         .unused = {}};
}

std::optional<FileError> FsDevice::limit(ShareOperation operation) const {
    if (makes_node(operation) && !session_.has_room_for_nodes())
        return FileError::no_memory;
    if (makes_handle(operation) && session_.handles() + opening_ >= FuseSession::most_handles)
        return FileError::too_many_files;
    return {};
}

void FsDevice::completed(std::uint32_t id, std::uint32_t error, std::span<const std::uint32_t> words) {
    if (id >= pending_.size() || !pending_[id])
        return;
    auto request = *std::exchange(pending_[id], std::nullopt);
    if (makes_handle(request.operation))
        --opening_;
    // Before the chain is given back, or a reset ends: the memory is the
    // driver's from then on.
    std::optional<std::size_t> size = 0;
    if (error == 0)
        size = write_answer(request, words);
    if (!size)
        error = static_cast<std::uint32_t>(FileError::io_error);
    const auto written = write_header(request.head, request.unique, error, size.value_or(0));
    transport_->complete(request.completion, written);
}

std::optional<std::size_t> FsDevice::write_answer(Pending& request, std::span<const std::uint32_t> words) {
    // The share has written these bytes itself.
    if (request.operation == ShareOperation::read)
        return words.size() == 1 && words[0] <= request.length ? std::optional<std::size_t>(words[0]) : std::nullopt;
    auto* session = request.session == session_number_ ? &session_ : nullptr;
    const auto bytes = make_answer(request.operation, request.with_attributes, request.length, words, session);
    if (!bytes || bytes->size() > request.rest.remaining())
        return std::nullopt;
    request.rest.write(*bytes);
    return bytes->size();
}

} // namespace auklet::virtio
