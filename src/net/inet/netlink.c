/* SPDX-License-Identifier: Apache-2.0 */
/* netlink.c: AF_NETLINK: route dumps (getifaddrs, getaddrinfo, ip). The sandbox's own namespace, read only. */
#include "net/inet/inet.h"
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

/* Of the kinds of a rtnetlink message (new, del, get, set), the third asks. */
int netlink_check(const uint8_t *buf, size_t n)
{
	while (n >= sizeof(struct nlmsghdr)) {
		struct nlmsghdr h;
		memcpy(&h, buf, sizeof(h));
		if (h.nlmsg_len < sizeof(h) || h.nlmsg_len > n)
			return 0; /* the host ignores the rest, too */
		if (h.nlmsg_type >= RTM_BASE && (h.nlmsg_type & 3) != 2)
			return -EPERM;
		size_t step = ALIGN_UP((size_t)h.nlmsg_len, (size_t)NLMSG_ALIGNTO);
		if (step >= n)
			break;
		buf += step;
		n -= step;
	}
	return 0;
}

static int netlink_create(struct kernel *k, struct socket *s)
{
	if (s->type != SOCK_RAW && s->type != SOCK_DGRAM)
		return -ESOCKTNOSUPPORT;
	if (s->protocol != NETLINK_ROUTE)
		return -EPROTONOSUPPORT;
	return inet_socket(s);
}

const struct socket_family netlink_family = { AF_NETLINK, netlink_create };
