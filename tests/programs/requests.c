// SPDX-License-Identifier: MIT
// Sizes that are too large for the kernel's memory are errors of the caller, or work; never a report of the kernel.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <mqueue.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include "check.h"

/* TAINT_WARN, if the kernel has warned of anything since it booted. (Programs may taint it otherwise: fanotify's permissions do.) */
static unsigned long tainted(void)
{
	char text[32] = "";
	int fd = open("/proc/sys/kernel/tainted", O_RDONLY);

	CHECK(fd >= 0 && read(fd, text, sizeof text - 1) > 0 && close(fd) == 0);
	return strtoul(text, NULL, 10) & 1ul << 9;
}

static void set_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

static void packet_rings(void)
{
	for (int version = TPACKET_V1; version <= TPACKET_V3; version++)
		for (int direction = PACKET_RX_RING; direction <= PACKET_TX_RING; direction += PACKET_TX_RING - PACKET_RX_RING)
			for (int shift = 20; shift <= 28; shift++) {
				int s = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
				struct tpacket_req3 ring = {
					.tp_block_size = 1u << shift, .tp_block_nr = 1,
					.tp_frame_size = 65536, .tp_frame_nr = (1u << shift) / 65536,
				};
				CHECK(s >= 0 && setsockopt(s, SOL_PACKET, PACKET_VERSION, &version, sizeof version) == 0);
				int result = setsockopt(s, SOL_PACKET, direction, &ring,
					version == TPACKET_V3 ? sizeof ring : sizeof(struct tpacket_req));
				CHECK(result == 0 || errno == ENOMEM || errno == EINVAL);
				close(s);
			}
}

static void sockets(void)
{
	size_t size = 64 << 20;
	char *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int buffer = 512 << 20, pair[2];
	int s = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	struct msghdr message = { 0 };

	setsockopt(s, SOL_SOCKET, 32 /* SO_SNDBUFFORCE */, &buffer, sizeof buffer);
	for (size_t n = 1 << 20; n <= size; n *= 2) {
		struct nlmsghdr *header = (void *)data;
		*header = (struct nlmsghdr){ .nlmsg_len = n, .nlmsg_type = NLMSG_NOOP };
		CHECK(send(s, data, n, 0) == (ssize_t)n || errno == ENOBUFS || errno == ENOMEM || errno == EMSGSIZE);
	}
	close(s);
	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
	setsockopt(pair[0], SOL_SOCKET, 32, &buffer, sizeof buffer);
	for (size_t n = 1 << 20; n <= size; n *= 2) {
		ssize_t done = send(pair[0], data, n, MSG_DONTWAIT);
		CHECK(done == (ssize_t)n || errno == ENOBUFS || errno == ENOMEM || errno == EMSGSIZE || errno == EAGAIN);
	}
	message.msg_control = data;
	for (size_t n = 1 << 20; n <= size; n *= 2) {
		message.msg_controllen = n;
		CHECK(sendmsg(pair[0], &message, MSG_DONTWAIT) == -1);
	}
	for (size_t n = 1 << 20; n <= size; n *= 2)
		setsockopt(pair[0], SOL_SOCKET, SO_ATTACH_FILTER, data, n);
	struct sock_fprog filter = { .len = 65535, .filter = (void *)data };
	CHECK(setsockopt(pair[0], SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) == -1);
	close(pair[0]);
	close(pair[1]);
	s = socket(AF_INET, SOCK_DGRAM, 0);
	set_text("/proc/sys/net/core/optmem_max", "268435456");
	/* IP_MSFILTER, MCAST_MSFILTER, IPV6_HOPOPTS and what else takes as much as it is given */
	for (int option = 1; option < 60; option++)
		setsockopt(s, IPPROTO_IP, option, data, 16 << 20);
	close(s);
	s = socket(AF_INET6, SOCK_DGRAM, 0);
	for (int option = 1; s >= 0 && option < 80; option++)
		setsockopt(s, IPPROTO_IPV6, option, data, 16 << 20);
	close(s);
	set_text("/proc/sys/net/core/optmem_max", "131072");
	CHECK(munmap(data, size) == 0);
}

static void queues(void)
{
	struct mq_attr attributes = { .mq_maxmsg = 65536, .mq_msgsize = 16 << 20 };
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	size_t size = 32 << 20;
	char *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int id;
	mqd_t queue;

	setrlimit(RLIMIT_MSGQUEUE, &unlimited);
	for (attributes.mq_maxmsg = 10; attributes.mq_maxmsg <= 65536; attributes.mq_maxmsg *= 4) {
		queue = mq_open("/requests", O_CREAT | O_RDWR, 0600, &attributes);
		if (queue >= 0) {
			mq_close(queue);
			mq_unlink("/requests");
		}
	}
	for (int n = 1000; n <= 512000; n *= 2) {
		id = semget(IPC_PRIVATE, n, IPC_CREAT | 0600);
		CHECK(id >= 0 || errno == EINVAL || errno == ENOMEM || errno == ENOSPC);
		if (id >= 0) semctl(id, 0, IPC_RMID);
	}
	set_text("/proc/sys/kernel/sem", "1000000 2147483647 1000000 32000");
	for (int n = 1000; n <= 1000000; n *= 10) {
		id = semget(IPC_PRIVATE, n, IPC_CREAT | 0600);
		if (id < 0) continue;
		struct sembuf *operations = calloc(n, sizeof *operations);
		semop(id, operations, n);
		semctl(id, 0, SETALL, calloc(n, 2));
		free(operations);
		semctl(id, 0, IPC_RMID);
	}
	set_text("/proc/sys/kernel/sem", "32000 1024000000 500 32000");
	set_text("/proc/sys/kernel/msgmax", "2147483647");
	set_text("/proc/sys/kernel/msgmnb", "2147483647");
	id = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
	*(long *)data = 1;
	for (size_t n = 1 << 20; n < size; n *= 2)
		if (msgsnd(id, data, n - 16, IPC_NOWAIT) == 0) msgrcv(id, data, n, 0, IPC_NOWAIT);
	msgctl(id, IPC_RMID, NULL);
	set_text("/proc/sys/kernel/msgmax", "8192");
	set_text("/proc/sys/kernel/msgmnb", "16384");
	for (size_t n = 1 << 24; n && n < 0xc0000000; n *= 2) {
		id = shmget(IPC_PRIVATE, n, IPC_CREAT | 0600);
		if (id < 0) continue;
		void *p = n > 64 << 20 ? (void *)-1 : shmat(id, NULL, 0);
		if (p != (void *)-1) shmdt(p);
		shmctl(id, IPC_RMID, NULL);
	}
	CHECK(munmap(data, size) == 0);
	puts("queues");
}

static void descriptors(void)
{
	struct rlimit many = { 1 << 20, 1 << 20 };
	struct pollfd *polled = calloc(1 << 20, sizeof *polled);
	int ends[2];

	CHECK(setrlimit(RLIMIT_NOFILE, &many) == 0);
	for (int fd = 1000; fd < 1 << 20; fd *= 3) if (dup2(1, fd) == fd) close(fd);
	dup2(1, (1 << 20) - 1);
	close((1 << 20) - 1);
	poll(polled, 1 << 20, 0);
	syscall(SYS_pselect6_time64, 1 << 20, polled, polled, polled, &(struct timespec){ 0 }, NULL);
	set_text("/proc/sys/fs/nr_open", "1073741784");
	many.rlim_cur = many.rlim_max = 1 << 28;
	setrlimit(RLIMIT_NOFILE, &many);
	CHECK(dup2(1, (1 << 28) - 1) == -1);
	set_text("/proc/sys/fs/nr_open", "1048576");
	CHECK(pipe(ends) == 0);
	set_text("/proc/sys/fs/pipe-max-size", "2147483648");
	for (unsigned size = 1 << 16; size && size <= 1u << 30; size *= 2)
		fcntl(ends[0], F_SETPIPE_SZ, size);
	set_text("/proc/sys/fs/pipe-max-size", "1048576");
	close(ends[0]);
	close(ends[1]);
	free(polled);
	puts("descriptors");
}

static void texts(void)
{
	size_t size = 32 << 20;
	char *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	static const char *const files[] = {
		"/proc/sys/kernel/hostname", "/proc/self/comm", "/proc/self/oom_score_adj", "/proc/self/coredump_filter", "/proc/sys/net/core/somaxconn",
		"/proc/sys/kernel/core_pattern", "/proc/self/uid_map", "/proc/self/setgroups", "/proc/sysrq-trigger-not", "/sys/kernel/uevent_helper",
		"/proc/self/clear_refs", "/proc/self/timerslack_ns", "/dev/kmsg", "/proc/irq/default_smp_affinity", "/proc/sys/net/ipv4/ping_group_range",
	};

	memset(data, 'x', size);
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		int fd = open(files[i], O_WRONLY);
		if (fd < 0) continue;
		for (size_t n = 1 << 20; n <= size; n *= 2) {
			ssize_t done = write(fd, data, n);
			(void)done;
		}
		close(fd);
	}
	sethostname("auklet", 6);
	for (size_t n = 1 << 20; n <= size; n *= 2) {
		syscall(SYS_setgroups, n / 4, data);
		syscall(SYS_sched_setaffinity, 0, n, data);
		syscall(SYS_sched_getaffinity, 0, n, data);
		syscall(SYS_setxattr, "/tmp", "user.x", data, n, 0);
		syscall(SYS_getxattr, "/tmp", "user.x", data, n);
		syscall(SYS_listxattr, "/tmp", data, n);
		syscall(SYS_writev, 1, data, n / 8);
		syscall(SYS_process_vm_readv, getpid(), data, n / 8, data, n / 8, 0);
		syscall(SYS_add_key, "user", "x", data, n, -1);
		syscall(SYS_bpf, 0, data, n);
		syscall(SYS_seccomp, 1, 0, &(struct sock_fprog){ .len = 65535, .filter = (void *)data });
		syscall(SYS_io_setup, n, &(unsigned long){ 0 });
	}
	/* what made every context of asynchronous input and output is gone with a child */
	pid_t child = fork();
	if (child == 0) {
		for (int i = 0; i < 100; i++) syscall(SYS_io_setup, 60000, &(unsigned long){ 0 });
		_exit(0);
	}
	CHECK(waitpid(child, NULL, 0) == child);
	CHECK(munmap(data, size) == 0);
	puts("texts");
}

int main(void)
{
	CHECK(tainted() == 0);
	packet_rings();
	CHECK(tainted() == 0);
	puts("rings");
	sockets();
	CHECK(tainted() == 0);
	puts("sockets");
	queues();
	CHECK(tainted() == 0);
	descriptors();
	CHECK(tainted() == 0);
	texts();
	CHECK(tainted() == 0);
	return failures != 0;
}
