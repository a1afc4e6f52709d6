/* SPDX-License-Identifier: Apache-2.0 */
/* proc.c: /proc/net: AF_UNIX from our tables, the rest as the host shows the sandbox's own network namespace. */
#include "fs/proc/proc.h"
#include "lib/strbuf.h"
#include "net/net_ns.h"
#include "net/socket.h"
#include <fcntl.h>
#include <unistd.h>

static int host_net = -1; /* the host's /proc/self/net, opened before the jail closed; immutable then */

static int show_host(struct strbuf *b, const char *name)
{
	char buf[4096];
	ssize_t n = -1;
	int fd = host_net < 0 ? -1 : openat(host_net, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	worker_block_begin();
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		strbuf_write(b, buf, n);
	worker_block_end();
	close(fd);
	return 0;
}

#define HOST_FILE(id, name) static int show_##id(struct task *t, struct strbuf *b) { (void)t; return show_host(b, name); }
#define HOST_FILES(X)                                                                                                  \
	X(tcp) X(tcp6) X(udp) X(udp6) X(udplite) X(udplite6) X(raw) X(raw6) X(icmp) X(icmp6) X(dev) X(route) X(ipv6_route) X(if_inet6) X(sockstat)  \
	X(sockstat6) X(netlink) X(protocols) X(snmp) X(snmp6) X(netstat) X(arp) X(igmp) X(igmp6) X(packet) X(dev_mcast) X(wireless) X(fib_trie)    \
	X(fib_triestat) X(softnet_stat) X(ptype) X(rt_cache)
#define DEFINE(id) HOST_FILE(id, #id)
HOST_FILES(DEFINE)

enum {
#define NUMBER(id) FILE_##id,
	HOST_FILES(NUMBER)
	FILE_COUNT
};
static bool have[FILE_COUNT];

void net_open_host(void)
{
	host_net = open("/proc/self/net", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
#define PROBE(id) have[FILE_##id] = host_net >= 0 && !faccessat(host_net, #id, R_OK, 0);
	HOST_FILES(PROBE)
}

void net_proc_init(void)
{
#define REGISTER(id) if (have[FILE_##id]) proc_net_register(#id, show_##id);
	HOST_FILES(REGISTER)
	proc_net_register("unix", unix_proc_show);
}
