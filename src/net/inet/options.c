/* SPDX-License-Identifier: Apache-2.0 */
/* options.c: socket options of the host's stack that guests may use. */
#include "net/inet/inet.h"
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>

/* Options that go to the host's stack. What is not here is ENOPROTOOPT. */
static const struct { int level, opt; bool set; int cap; } options[] = {
	{ SOL_SOCKET, SO_REUSEADDR, true, -1 }, { SOL_SOCKET, SO_REUSEPORT, true, -1 }, { SOL_SOCKET, SO_KEEPALIVE, true, -1 },
	{ SOL_SOCKET, SO_BROADCAST, true, -1 }, { SOL_SOCKET, SO_LINGER, true, -1 }, { SOL_SOCKET, SO_SNDBUF, true, -1 },
	{ SOL_SOCKET, SO_RCVBUF, true, -1 }, { SOL_SOCKET, SO_OOBINLINE, true, -1 }, { SOL_SOCKET, SO_DONTROUTE, true, -1 },
	{ SOL_SOCKET, SO_PRIORITY, true, -1 }, { SOL_SOCKET, SO_TIMESTAMP, true, -1 }, { SOL_SOCKET, SO_TIMESTAMPNS, true, -1 },
	{ SOL_SOCKET, SO_RCVLOWAT, true, -1 }, { SOL_SOCKET, SO_NO_CHECK, true, -1 }, { SOL_SOCKET, SO_ERROR, false, -1 },
	{ SOL_SOCKET, SO_ACCEPTCONN, false, -1 }, { SOL_SOCKET, SO_SNDLOWAT, false, -1 }, { SOL_SOCKET, SO_INCOMING_CPU, false, -1 },
	{ SOL_SOCKET, SO_COOKIE, false, -1 }, { SOL_SOCKET, SO_MEMINFO, false, -1 }, { SOL_SOCKET, SO_RXQ_OVFL, true, -1 },
	{ SOL_SOCKET, SO_BUSY_POLL, false, -1 }, { SOL_SOCKET, SO_SELECT_ERR_QUEUE, true, -1 },
	{ SOL_IP, IP_TOS, true, -1 }, { SOL_IP, IP_TTL, true, -1 }, { SOL_IP, IP_PKTINFO, true, -1 }, { SOL_IP, IP_MTU_DISCOVER, true, -1 },
	{ SOL_IP, IP_MTU, false, -1 }, { SOL_IP, IP_RECVERR, true, -1 }, { SOL_IP, IP_RECVTTL, true, -1 }, { SOL_IP, IP_RECVTOS, true, -1 },
	{ SOL_IP, IP_MULTICAST_IF, true, -1 }, { SOL_IP, IP_MULTICAST_TTL, true, -1 }, { SOL_IP, IP_MULTICAST_LOOP, true, -1 },
	{ SOL_IP, IP_ADD_MEMBERSHIP, true, -1 }, { SOL_IP, IP_DROP_MEMBERSHIP, true, -1 }, { SOL_IP, IP_FREEBIND, true, -1 },
	{ SOL_IP, IP_BIND_ADDRESS_NO_PORT, true, -1 }, { SOL_IP, IP_OPTIONS, false, -1 }, { SOL_IP, IP_RECVORIGDSTADDR, true, -1 },
	{ SOL_IP, MCAST_JOIN_GROUP, true, -1 }, { SOL_IP, MCAST_LEAVE_GROUP, true, -1 },
	{ SOL_IPV6, IPV6_V6ONLY, true, -1 }, { SOL_IPV6, IPV6_UNICAST_HOPS, true, -1 }, { SOL_IPV6, IPV6_MULTICAST_HOPS, true, -1 },
	{ SOL_IPV6, IPV6_MULTICAST_IF, true, -1 }, { SOL_IPV6, IPV6_MULTICAST_LOOP, true, -1 }, { SOL_IPV6, IPV6_RECVPKTINFO, true, -1 },
	{ SOL_IPV6, IPV6_RECVHOPLIMIT, true, -1 }, { SOL_IPV6, IPV6_RECVTCLASS, true, -1 }, { SOL_IPV6, IPV6_TCLASS, true, -1 },
	{ SOL_IPV6, IPV6_MTU_DISCOVER, true, -1 }, { SOL_IPV6, IPV6_MTU, true, -1 }, { SOL_IPV6, IPV6_RECVERR, true, -1 },
	{ SOL_IPV6, IPV6_ADD_MEMBERSHIP, true, -1 }, { SOL_IPV6, IPV6_DROP_MEMBERSHIP, true, -1 }, { SOL_IPV6, IPV6_DONTFRAG, true, -1 },
	{ SOL_IPV6, IPV6_ADDR_PREFERENCES, true, -1 }, { SOL_IPV6, MCAST_JOIN_GROUP, true, -1 }, { SOL_IPV6, MCAST_LEAVE_GROUP, true, -1 },
	{ IPPROTO_TCP, TCP_NODELAY, true, -1 }, { IPPROTO_TCP, TCP_MAXSEG, true, -1 }, { IPPROTO_TCP, TCP_CORK, true, -1 },
	{ IPPROTO_TCP, TCP_KEEPIDLE, true, -1 }, { IPPROTO_TCP, TCP_KEEPINTVL, true, -1 }, { IPPROTO_TCP, TCP_KEEPCNT, true, -1 },
	{ IPPROTO_TCP, TCP_SYNCNT, true, -1 }, { IPPROTO_TCP, TCP_LINGER2, true, -1 }, { IPPROTO_TCP, TCP_DEFER_ACCEPT, true, -1 },
	{ IPPROTO_TCP, TCP_WINDOW_CLAMP, true, -1 }, { IPPROTO_TCP, TCP_INFO, false, -1 }, { IPPROTO_TCP, TCP_QUICKACK, true, -1 },
	{ IPPROTO_TCP, TCP_CONGESTION, true, -1 }, { IPPROTO_TCP, TCP_USER_TIMEOUT, true, -1 }, { IPPROTO_TCP, TCP_FASTOPEN, true, -1 },
	{ IPPROTO_TCP, TCP_FASTOPEN_CONNECT, true, -1 }, { IPPROTO_TCP, TCP_NOTSENT_LOWAT, true, -1 }, { IPPROTO_TCP, TCP_INQ, true, -1 },
	{ IPPROTO_UDP, UDP_CORK, true, -1 }, { IPPROTO_UDP, 103 /* UDP_SEGMENT */, true, -1 }, { IPPROTO_UDP, 104 /* UDP_GRO */, true, -1 },
	
	{ IPPROTO_TCP, TCP_CC_INFO, false, -1 }, { IPPROTO_TCP, TCP_SAVED_SYN, false, -1 },
	{ SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, true, -1 }, { SOL_NETLINK, NETLINK_DROP_MEMBERSHIP, true, -1 },
	{ SOL_NETLINK, NETLINK_PKTINFO, true, -1 }, { SOL_NETLINK, NETLINK_EXT_ACK, true, -1 }, { SOL_NETLINK, NETLINK_GET_STRICT_CHK, true, -1 },
	{ SOL_NETLINK, NETLINK_NO_ENOBUFS, true, -1 }, { SOL_NETLINK, NETLINK_CAP_ACK, true, -1 },
};

/* What a connection inside this kernel has to know. Time stamps and the like come with the host's segments alone. */
static void option_set(struct socket *s, int level, int opt, const void *val)
{
	struct inet_sock *i = s->private;
	int v;
	memcpy(&v, val, sizeof(v));
	if (level == IPPROTO_TCP && opt == TCP_CORK)
		i->corked = v;
	if (level == IPPROTO_TCP && (opt == TCP_CORK ? !v : opt == TCP_NODELAY && v))
		fuse_uncork(i);
	if (level == SOL_SOCKET && (opt == SO_SNDBUF || opt == SO_RCVBUF)) {
		if (opt == SO_SNDBUF)
			i->sndbuf_set = true;
		else
			i->rcvbuf_set = true;
		fuse_bounds_changed(i);
	}
	if ((level == SOL_SOCKET && (opt == SO_TIMESTAMP || opt == SO_TIMESTAMPNS)) ||
	    (level == IPPROTO_TCP && opt == TCP_INQ)) {
		i->no_fuse = true;
		fuse_forget(i);
		fuse_defuse(i);
	}
}

int inet_setsockopt(struct socket *s, int level, int opt, const void *val, socklen_t len)
{
	struct inet_sock *i = s->private;
	if (level == SOL_SOCKET && (opt == SO_SNDBUFFORCE || opt == SO_RCVBUFFORCE)) {
		if (!cred_has_cap(current->cred, CAP_NET_ADMIN_))
			return -EPERM;
		opt = opt == SO_SNDBUFFORCE ? SO_SNDBUF : SO_RCVBUF;
	}
	for (size_t k = 0; k < ARRAY_SIZE(options); k++)
		if (options[k].level == level && options[k].opt == opt && options[k].set)
		{
			int r = host_result(setsockopt(i->fd, level, opt, val, len));
			if (!r && level == SOL_SOCKET && opt == SO_RCVLOWAT)
				socket_keep_option(s, opt, val, len);
			if (!r && s->type == SOCK_STREAM)
				option_set(s, level, opt, val);
			inet_forget(i);
			return r;
		}
	return -ENOPROTOOPT;
}

/* To struct tcp_info: tcpi_bytes_acked, tcpi_bytes_received, tcpi_bytes_sent. */
static void add_counts(struct inet_sock *i, uint8_t *info, socklen_t len)
{
	static const struct { unsigned off; bool received; } at[] = { { 120, false }, { 128, true }, { 200, false } };
	uint64_t n[2], v;
	fuse_counts(i, &n[0], &n[1]);
	for (unsigned k = 0; k < ARRAY_SIZE(at); k++)
		if (len >= at[k].off + sizeof(v)) {
			memcpy(&v, info + at[k].off, sizeof(v));
			v += n[at[k].received];
			memcpy(info + at[k].off, &v, sizeof(v));
		}
}

int inet_getsockopt(struct socket *s, int level, int opt, void *val, socklen_t *len)
{
	struct inet_sock *i = s->private;
	for (size_t k = 0; k < ARRAY_SIZE(options); k++)
		if (options[k].level == level && options[k].opt == opt)
		{
			int r = host_result(getsockopt(i->fd, level, opt, val, len));
			if (level == SOL_SOCKET && opt == SO_ERROR)
				inet_forget(i);
			if (!r && level == IPPROTO_TCP && opt == TCP_INFO && i->end)
				add_counts(i, val, *len);
			return r;
		}
	if (s->family == AF_INET && level != SOL_SOCKET && level != SOL_IP && level != s->protocol)
		return -EOPNOTSUPP; /* what nobody took ends in ip(7)'s options */
	return -ENOPROTOOPT;
}

