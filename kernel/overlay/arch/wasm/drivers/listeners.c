// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tells the machine's owner at which ports of TCP programs listen, so that a
 * page can offer to open them. The owner connects by IPv4 and from outside: a
 * port counts if such a connection finds a listener.
 *
 * Work tells it a little later. A program that opens and closes ports all the
 * time cannot flood the owner with messages then.
 */
#include <linux/in.h>
#include <linux/ipv6.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <net/net_namespace.h>
#include <net/sock.h>
#include <asm/engine_calls.h>
#include <asm/listeners.h>

/* Further ports are not told. */
#define MOST_PORTS	64
#define DELAY		(HZ / 50)

static struct {
	u32 sockets;	/* that listen at the port; 0 and not told: free */
	u16 port;
	bool told;	/* the owner knows it as open */
} table[MOST_PORTS];

static DEFINE_SPINLOCK(table_lock);

static void tell_owner(struct work_struct *work)
{
	int i;

	for (i = 0; i < MOST_PORTS; ++i) {
		bool is_open, changes;
		u16 port;

		spin_lock_bh(&table_lock);
		port = table[i].port;
		is_open = table[i].sockets != 0;
		changes = table[i].told != is_open;
		table[i].told = is_open;
		spin_unlock_bh(&table_lock);
		if (changes)
			engine_port(port, is_open);
	}
}

static DECLARE_DELAYED_WORK(telling, tell_owner);

/*
 * Whether IPv4 from outside leads to it. A socket that is bound to an address
 * of IPv6 has LOOPBACK4_IPV6 as its address of IPv4.
 */
static bool is_reachable(const struct sock *sk)
{
	return sk->sk_protocol == IPPROTO_TCP && net_eq(sock_net(sk), &init_net) &&
	       !ipv6_only_sock(sk) && !ipv4_is_loopback(sk->sk_rcv_saddr);
}

void arch_listener(const struct sock *sk, bool begins)
{
	u16 port = ntohs(inet_sk(sk)->inet_sport);
	int found = -1;
	int i;

	if (!is_reachable(sk))
		return;
	spin_lock_bh(&table_lock);
	for (i = 0; i < MOST_PORTS; ++i) {
		bool is_free = table[i].sockets == 0 && !table[i].told;

		if (!is_free && table[i].port == port) {
			found = i;
			break;
		}
		if (is_free && begins && found < 0)
			found = i;
	}
	if (found >= 0) {
		table[found].port = port;
		if (begins)
			++table[found].sockets;
		else if (table[found].sockets != 0)
			--table[found].sockets;
	}
	spin_unlock_bh(&table_lock);
	if (found >= 0)
		schedule_delayed_work(&telling, DELAY);
}
