// SPDX-License-Identifier: MIT
// The translator with Linux's own TCP as its peer: a tap in a network namespace of its own, and a client that runs
// there. client.py is that client, and knows the ports.
//
//   tap [--mtu N] [--no-offload] [--drop N] [--reorder N] -- COMMAND...
//
// One of N frames is lost or comes late, in both directions. The exit status is the command's, or 77 where taps are
// not allowed.

#include "src/network/translator.hpp"

#include <arpa/inet.h>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <map>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <optional>
#include <poll.h>
#include <sched.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace auklet;
using namespace auklet::network;

constexpr int skipped = 77;

[[noreturn]] void skip(const char* what) {
    std::printf("skipped: %s: %s\n", what, std::strerror(errno));
    std::exit(skipped);
}
[[noreturn]] void fail(const char* what) {
    std::printf("%s: %s\n", what, std::strerror(errno));
    std::exit(1);
}

class RealClock final : public Clock {
  public:
    double now() override {
        return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
    }
    double wall_time() override { return now(); }
    void set_timer(double milliseconds) override { due = now() + milliseconds; }

    std::optional<double> due;
};

class RealRandom final : public Random {
  public:
    void random(std::span<std::byte> bytes) override {
        if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
            fail("getrandom");
    }
};

struct Options {
    int mtu = 1500;
    bool offload = true;
    unsigned drop = 0;
    unsigned reorder = 0;
};

/// virtio 1.2, 5.1.6, as a tap has it: linux/virtio_net.h is no C++.
struct Header {
    std::uint8_t flags, gso_type;
    std::uint16_t header_length, gso_size, checksum_start, checksum_offset;
};
static_assert(sizeof(Header) == 10);

/// The kernel's end of the tap has the header of virtio-net, as the guest's card will.
class Tap final : public Link {
  public:
    Tap(const Options& options) : options_(options) {
        fd_ = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
        if (fd_ < 0)
            skip("/dev/net/tun");
        ifreq request{};
        request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
        std::strcpy(request.ifr_name, "tap0");
        if (ioctl(fd_, TUNSETIFF, &request) != 0)
            skip("TUNSETIFF");
        if (options.offload && ioctl(fd_, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) != 0)
            fail("TUNSETOFFLOAD");
    }
    [[nodiscard]] int descriptor() const { return fd_; }

    bool send(Port&, const Frame& frame) override {
        if (chance(options_.drop))
            return true;
        if (chance(options_.reorder) && !late_) {
            late_.emplace(frame.offload, std::vector(frame.bytes.begin(), frame.bytes.end()));
            return true;
        }
        if (!put(frame))
            return false;
        flush();
        return true;
    }
    /// A frame that came late must not wait for ever.
    void flush() {
        if (late_ && put({late_->first, late_->second}))
            late_.reset();
    }
    /// Hands on what the kernel has sent. False if there was nothing.
    bool receive(Port& port) {
        Header header;
        iovec parts[] = {{&header, sizeof header}, {buffer_.data(), buffer_.size()}};
        const auto length = readv(fd_, parts, 2);
        if (length < static_cast<ssize_t>(sizeof header + ethernet_size))
            return false;
        const auto bytes = Bytes(buffer_).first(static_cast<std::size_t>(length) - sizeof header);
        if (chance(options_.drop))
            return true;
        return port.deliver({{header.flags, header.gso_type, header.header_length, header.gso_size,
                              header.checksum_start, header.checksum_offset},
                             bytes});
    }

    std::size_t full = 0; ///< how often there was no room

  private:
    bool put(const Frame& frame) {
        const auto& offload = frame.offload;
        Header header{offload.flags,    offload.gso_type,       offload.header_length,
                      offload.gso_size, offload.checksum_start, offload.checksum_offset};
        iovec parts[] = {{&header, sizeof header}, {const_cast<std::byte*>(frame.bytes.data()), frame.bytes.size()}};
        if (writev(fd_, parts, 2) >= 0)
            return true;
        if (errno != EAGAIN && errno != ENOBUFS && errno != EIO)
            fail("tap");
        ++full;
        return false;
    }
    [[nodiscard]] bool chance(unsigned one_of) {
        state_ = state_ * 6364136223846793005U + 1442695040888963407U;
        return one_of != 0 && (state_ >> 33) % one_of == 0;
    }

    Options options_;
    int fd_ = -1;
    std::uint64_t state_ = 1;
    std::optional<std::pair<Offload, std::vector<std::byte>>> late_;
    std::array<std::byte, longest_frame> buffer_;
};

/// The bytes of a transfer from `from` on. They repeat, but not where a ring, a window or a segment would.
Bytes pattern(std::size_t from, std::size_t length) {
    constexpr std::size_t period = 1'000'003;
    static const auto bytes = [] {
        std::vector<std::byte> made(2 * period);
        for (std::size_t index = 0; index < made.size(); ++index)
            made[index] = static_cast<std::byte>(index % period * 2654435761U >> 24);
        return made;
    }();
    return Bytes(bytes).subspan(from % period, length);
}

/// The far sides. Port 7 sends back what comes, 9 looks at it and says how much it was, 1000 + N sends N MiB. Others
/// refuse, or are not there.
class Services final : public FlowBackend, public NameBackend {
  public:
    static constexpr std::size_t most = 1024 * 1024;

    void flow_open(FlowId id, FlowKind kind, const Address&, std::uint16_t port) override {
        flows_[id] = {.kind = kind, .port = port, .opening = true};
    }
    void flow_opened(FlowId id) override { flows_[id].opening = false; }
    std::size_t flow_send(FlowId id, std::span<const std::byte> bytes) override {
        auto& flow = flows_.at(id);
        if (flow.kind == FlowKind::datagrams) {
            flow.datagrams.emplace_back(bytes.begin(), bytes.end());
            return most;
        }
        if (flow.port != 7) {
            if (!std::ranges::equal(bytes, pattern(flow.received, bytes.size())))
                wrong = true;
            flow.received += bytes.size();
            return most;
        }
        flow.output.insert(flow.output.end(), bytes.begin(), bytes.end());
        flow.received += bytes.size();
        return flow.told = most - std::min(most, flow.waiting());
    }
    void flow_finish(FlowId id) override { flows_.at(id).guest_finished = true; }
    void flow_consumed(FlowId, std::size_t) override {}
    void flow_closed(FlowId id, bool reset) override {
        resets += reset ? 1 : 0;
        flows_.erase(id);
    }
    void resolve(QuestionId id, std::string_view, bool) override { questions_.push_back(id); }
    void ask(QuestionId, std::span<const std::byte>) override {}

    /// What the far sides do, outside of calls from the translator.
    void run(Translator& translator) {
        const Address answers[] = {Address::v4(0xc000'0207)};
        for (auto id : std::exchange(questions_, {}))
            translator.resolved(id, NameError::none, answers, 60);
        for (auto each = flows_.begin(); each != flows_.end();) {
            const auto [id, flow] = std::pair<const FlowId&, Flow&>(*each++);
            serve(translator, id, flow);
        }
    }

    bool wrong = false;
    std::size_t resets = 0;

  private:
    struct Flow {
        FlowKind kind = FlowKind::stream;
        std::uint16_t port = 0;
        bool opening = false;
        bool guest_finished = false;
        bool finished = false;
        std::size_t received = 0;
        std::size_t sent = 0;
        std::size_t told = most;
        std::vector<std::byte> output = {};
        std::size_t output_start = 0; ///< what has gone of it

        [[nodiscard]] std::size_t waiting() const { return output.size() - output_start; }
        std::vector<std::vector<std::byte>> datagrams = {};
    };

    void serve(Translator& translator, FlowId id, Flow& flow) {
        if (flow.opening) {
            flow.opening = false;
            if (flow.port != 7 && flow.port != 9 && flow.port < 1000) {
                const auto error = flow.port == 2   ? FlowError::unreachable
                                   : flow.port == 3 ? FlowError::prohibited
                                                    : FlowError::refused;
                flows_.erase(id);
                return translator.failed(id, error);
            }
            translator.opened(id, most);
        }
        for (const auto& datagram : std::exchange(flow.datagrams, {}))
            (void)translator.data(id, datagram);
        if (flow.kind == FlowKind::datagrams || flow.finished)
            return;
        if (flow.port >= 1000)
            return send_pattern(translator, id, flow);
        if (flow.port == 9 && flow.guest_finished && flow.output.empty()) {
            const auto text = std::to_string(flow.received);
            const auto bytes = std::as_bytes(std::span(text));
            flow.output.assign(bytes.begin(), bytes.end());
        }
        const auto taken = translator.data(id, std::span(flow.output).subspan(flow.output_start));
        flow.output_start += taken;
        if (flow.output_start >= most) {
            flow.output.erase(flow.output.begin(),
                              flow.output.begin() + static_cast<std::ptrdiff_t>(flow.output_start));
            flow.output_start = 0;
        }
        if (const auto room = most - std::min(most, flow.waiting()); room > flow.told) {
            flow.told = room;
            translator.writable(id, room);
        }
        if (flow.guest_finished && flow.waiting() == 0) {
            flow.finished = true;
            translator.finished(id);
        }
    }
    void send_pattern(Translator& translator, FlowId id, Flow& flow) {
        const std::size_t all = (flow.port - 1000U) << 20;
        while (flow.sent < all) {
            const auto piece = pattern(flow.sent, std::min<std::size_t>(65'536, all - flow.sent));
            const auto taken = translator.data(id, piece);
            flow.sent += taken;
            if (taken < piece.size())
                return;
        }
        flow.finished = true;
        translator.finished(id);
    }

    std::map<FlowId, Flow> flows_;
    std::vector<QuestionId> questions_;
};

/// What sysinit does in the guest.
void configure(int mtu) {
    const int v4 = socket(AF_INET, SOCK_DGRAM, 0);
    const int v6 = socket(AF_INET6, SOCK_DGRAM, 0);
    const auto order = [](int descriptor, unsigned long number, auto& argument, const char* name) {
        if (ioctl(descriptor, number, &argument) != 0)
            fail(name);
    };
    const auto request = [](const char* name) {
        ifreq made{};
        std::strcpy(made.ifr_name, name);
        return made;
    };
    const auto internet = [](sockaddr& place, const char* text) {
        sockaddr_in made{};
        made.sin_family = AF_INET;
        inet_pton(AF_INET, text, &made.sin_addr);
        std::memcpy(&place, &made, sizeof made);
    };
    auto tap = request("tap0");
    tap.ifr_hwaddr.sa_family = ARPHRD_ETHER;
    tap.ifr_hwaddr.sa_data[0] = 2;
    tap.ifr_hwaddr.sa_data[5] = 15;
    order(v4, SIOCSIFHWADDR, tap, "SIOCSIFHWADDR");
    tap = request("tap0");
    tap.ifr_mtu = mtu;
    order(v4, SIOCSIFMTU, tap, "SIOCSIFMTU");
    // A tap drops what finds no room; a card of virtio stops its queue.
    tap = request("tap0");
    tap.ifr_qlen = 10'000;
    order(v4, SIOCSIFTXQLEN, tap, "SIOCSIFTXQLEN");
    tap = request("tap0");
    internet(tap.ifr_addr, "10.0.2.15");
    order(v4, SIOCSIFADDR, tap, "SIOCSIFADDR");
    internet(tap.ifr_addr, "255.255.255.0");
    order(v4, SIOCSIFNETMASK, tap, "SIOCSIFNETMASK");
    tap = request("tap0");
    tap.ifr_flags = IFF_UP;
    order(v4, SIOCSIFFLAGS, tap, "SIOCSIFFLAGS");
    rtentry route{};
    internet(route.rt_dst, "0.0.0.0");
    internet(route.rt_genmask, "0.0.0.0");
    internet(route.rt_gateway, "10.0.2.2");
    route.rt_flags = RTF_UP | RTF_GATEWAY;
    order(v4, SIOCADDRT, route, "SIOCADDRT");
    if (v6 < 0)
        fail("IPv6");
    tap = request("tap0");
    order(v4, SIOCGIFINDEX, tap, "SIOCGIFINDEX");
    // An address of IPv6 may be used when nobody has objected; here is nobody.
    if (std::FILE* file = std::fopen("/proc/sys/net/ipv6/conf/tap0/accept_dad", "w"); file != nullptr) {
        std::fputs("0", file);
        std::fclose(file);
    }
    struct {
        in6_addr address;
        std::uint32_t prefix;
        int index;
    } address{{}, 64, tap.ifr_ifindex};
    inet_pton(AF_INET6, "fd00::f", &address.address);
    order(v6, SIOCSIFADDR, address, "SIOCSIFADDR of IPv6");
    in6_rtmsg route6{};
    inet_pton(AF_INET6, "fd00::2", &route6.rtmsg_gateway);
    route6.rtmsg_flags = RTF_UP | RTF_GATEWAY;
    route6.rtmsg_metric = 1;
    route6.rtmsg_ifindex = tap.ifr_ifindex;
    order(v6, SIOCADDRT, route6, "SIOCADDRT of IPv6");
    close(v4);
    close(v6);
}

} // namespace

int main(int count, char** arguments) {
    Options options;
    int at = 1;
    for (; at < count && std::strcmp(arguments[at], "--") != 0; ++at) {
        const std::string word = arguments[at];
        if (word == "--no-offload")
            options.offload = false;
        else if (word == "--mtu" && at + 1 < count)
            options.mtu = std::atoi(arguments[++at]);
        else if (word == "--drop" && at + 1 < count)
            options.drop = static_cast<unsigned>(std::atoi(arguments[++at]));
        else if (word == "--reorder" && at + 1 < count)
            options.reorder = static_cast<unsigned>(std::atoi(arguments[++at]));
        else
            break;
    }
    if (at + 1 >= count || std::strcmp(arguments[at], "--") != 0) {
        std::printf("usage: tap [--mtu N] [--no-offload] [--drop N] [--reorder N] -- COMMAND...\n");
        return 2;
    }
    if (unshare(CLONE_NEWNET) != 0)
        skip("a network namespace");
    Tap tap(options);
    configure(options.mtu);

    RealClock clock;
    RealRandom random;
    TimerQueue timers(clock);
    Services services;
    Settings settings;
    settings.reaches_ipv6 = true;
    settings.mtu = static_cast<std::uint16_t>(options.mtu);
    settings.large_segments = options.offload;
    Translator translator(services, services, timers, random, settings);
    translator.attach(tap);

    const pid_t child = fork();
    if (child == 0) {
        execvp(arguments[at + 1], arguments + at + 1);
        fail(arguments[at + 1]);
    }
    int status = 0;
    while (waitpid(child, &status, WNOHANG) == 0) {
        const double wait = clock.due ? std::clamp(*clock.due - clock.now(), 0.0, 10.0) : 10.0;
        pollfd poll_fd{tap.descriptor(), POLLIN, 0};
        poll(&poll_fd, 1, static_cast<int>(wait));
        for (int frames = 0; frames < 64 && tap.receive(translator); ++frames)
            ;
        if (clock.due && *clock.due <= clock.now()) {
            clock.due.reset();
            timers.run();
        }
        services.run(translator);
        tap.flush();
        translator.room();
    }
    if (services.wrong) {
        std::printf("bytes from the client are not what it sent\n");
        return 1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
