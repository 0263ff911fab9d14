/* SPDX-License-Identifier: MIT */
/* Addresses: that of loopback, and those that the machine's owner asks for. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sysinit.h"

/*
 * Lines "INTERFACE ADDRESS/BITS GATEWAY", all IPv4. IPv6 needs none: the kernel
 * asks the router. This is faster than DHCP. "INTERFACE dhcp" is for networks
 * that are not the host's.
 */
#define TABLE "/etc/network.addresses"

static void set_address(struct sockaddr *place, in_addr_t address)
{
	struct sockaddr_in *internet = (struct sockaddr_in *)place;
	memset(internet, 0, sizeof *internet);
	internet->sin_family = AF_INET;
	internet->sin_addr.s_addr = address;
}

static int bring_up(int fd, const char *name, in_addr_t address, unsigned int bits)
{
	struct ifreq request = { 0 };
	snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
	set_address(&request.ifr_addr, address);
	if (ioctl(fd, SIOCSIFADDR, &request)) return -1;
	set_address(&request.ifr_netmask, bits == 0 ? 0 : htonl(~0U << (32 - bits)));
	if (ioctl(fd, SIOCSIFNETMASK, &request)) return -1;
	/* Linux clears what is not there, such as IFF_MULTICAST. */
	if (ioctl(fd, SIOCGIFFLAGS, &request)) return -1;
	request.ifr_flags |= IFF_UP | IFF_RUNNING;
	return ioctl(fd, SIOCSIFFLAGS, &request);
}

static int add_default_route(int fd, in_addr_t gateway)
{
	struct rtentry route = { .rt_flags = RTF_UP | RTF_GATEWAY };
	set_address(&route.rt_dst, INADDR_ANY);
	set_address(&route.rt_genmask, INADDR_ANY);
	set_address(&route.rt_gateway, gateway);
	return ioctl(fd, SIOCADDRT, &route);
}

/*
 * On a link of machines whose addresses are random, nobody has the same one.
 * Without these, an address of IPv6 takes some seconds.
 */
static void hurry_ipv6(const char *name)
{
	static const char *const settings[] = { "dad_transmits", "router_solicitation_delay" };
	for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
		char path[80];
		snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/%s", name, settings[i]);
		int fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, "0", 1) != 1) complain(path);
		if (fd >= 0) close(fd);
	}
}

/* It goes on when this program has ended, to keep the address. */
static void start_dhcp(char *name)
{
	char *const words[] = { "udhcpc", "-f", "-i", name, NULL };
	posix_spawn_file_actions_t actions;
	int error = posix_spawn_file_actions_init(&actions);
	pid_t pid;
	for (int fd = 0; fd <= 2 && !error; fd++)
		error = posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
	if (!error) error = posix_spawn(&pid, "/sbin/udhcpc", &actions, NULL, words, environ);
	if (error) {
		errno = error;
		complain("/sbin/udhcpc");
	}
	posix_spawn_file_actions_destroy(&actions);
}

static void bring_line_up(int fd, const char *line)
{
	char name[IFNAMSIZ], address[INET_ADDRSTRLEN], gateway[INET_ADDRSTRLEN];
	struct in_addr own, router;
	unsigned int bits;
	int end = 0;
	int read = sscanf(line, "%15s dhcp %n", name, &end);
	if (read == EOF) return;
	if (end > 0 && line[end] == '\0') {
		hurry_ipv6(name);
		start_dhcp(name);
		return;
	}
	read = sscanf(line, "%15s %15[0-9.]/%u %15s", name, address, &bits, gateway);
	if (read != 4 || bits > 32 || !inet_aton(address, &own) || !inet_aton(gateway, &router)) {
		fprintf(stderr, "sysinit: " TABLE ": neither INTERFACE ADDRESS/BITS GATEWAY nor INTERFACE dhcp: %s", line);
		return;
	}
	hurry_ipv6(name);
	if (bring_up(fd, name, own.s_addr, bits) || add_default_route(fd, router.s_addr)) complain(name);
}

void bring_network_up(void)
{
	char line[256];
	FILE *table;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bring_up(fd, "lo", htonl(INADDR_LOOPBACK), 8)) complain("lo");
	table = fopen(TABLE, "re");
	if (table) {
		while (fgets(line, sizeof line, table)) bring_line_up(fd, line);
		fclose(table);
	} else if (errno != ENOENT) {
		complain(TABLE);
	}
	if (fd >= 0) close(fd);
}
