/* SPDX-License-Identifier: Apache-2.0 */
/* netlink.c: AF_NETLINK: route dumps (getifaddrs, getaddrinfo, ip). The sandbox's own namespace, read only. */
#include "net/inet/inet.h"
#include <linux/netlink.h>
#include <net/if.h>
#include <linux/rtnetlink.h>

/* "ip link set lo up": nothing to do, as it is up. */
static bool loopback_up_only(const uint8_t *msg, size_t n)
{
	struct ifinfomsg i;
	if (n < NLMSG_HDRLEN + sizeof(i))
		return false;
	memcpy(&i, msg + NLMSG_HDRLEN, sizeof(i));
	if (i.ifi_change != IFF_UP || !(i.ifi_flags & IFF_UP) || i.ifi_index != 1)
		return false;
	for (size_t at = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(i)); at + sizeof(struct rtattr) <= n;) {
		struct rtattr a;
		memcpy(&a, msg + at, sizeof(a));
		if (a.rta_len < sizeof(a) || a.rta_len > n - at || (a.rta_type & NLA_TYPE_MASK) != IFLA_IFNAME)
			return false;
		at += RTA_ALIGN(a.rta_len);
	}
	return true;
}

/* The host refuses every other change by a message of its own: the jail left the kernel process no CAP_NET_ADMIN. */
void netlink_check(uint8_t *buf, size_t n)
{
	while (n >= sizeof(struct nlmsghdr)) {
		struct nlmsghdr h;
		memcpy(&h, buf, sizeof(h));
		if (h.nlmsg_len < sizeof(h) || h.nlmsg_len > n)
			return; /* the host ignores the rest, too */
		if (h.nlmsg_type == RTM_NEWLINK && cred_has_cap(current->cred, CAP_NET_ADMIN_) && loopback_up_only(buf, h.nlmsg_len)) {
			h.nlmsg_type = NLMSG_NOOP; /* which is acknowledged */
			memcpy(buf, &h, sizeof(h));
		}
		size_t step = ALIGN_UP((size_t)h.nlmsg_len, (size_t)NLMSG_ALIGNTO);
		if (step >= n)
			break;
		buf += step;
		n -= step;
	}
}

/* ---- messages from this kernel ---- */

struct netlink_note {
	struct netlink_note *next;
	size_t len;
	uint8_t data[];
};

void netlink_post(struct socket *s, const void *data, size_t n)
{
	struct inet_sock *i = s->private;
	struct netlink_note *note = xzalloc(sizeof(*note) + n), **at;

	note->len = n;
	memcpy(note->data, data, n);
	mutex_lock(&i->lock);
	for (at = &i->notes; *at; at = &(*at)->next)
		;
	*at = note;
	mutex_unlock(&i->lock);
	atomic_fetch_or(&i->ready, EPOLLIN);
	wait_queue_wake_all(&i->wait, EPOLLIN | EPOLLRDNORM);
}

ssize_t netlink_take_note(struct inet_sock *i, struct msghdr *h, unsigned flags)
{
	struct sockaddr_nl from = { .nl_family = AF_NETLINK };
	struct netlink_note *note;
	ssize_t r;

	mutex_lock(&i->lock);
	note = i->notes;
	if (note && !(flags & MSG_PEEK))
		i->notes = note->next;
	mutex_unlock(&i->lock);
	if (!note)
		return -EAGAIN;
	inet_forget(i);
	size_t n = MIN(note->len, h->msg_iov->iov_len);

	memcpy(h->msg_iov->iov_base, note->data, n);
	h->msg_flags = n < note->len ? MSG_TRUNC : 0;
	h->msg_controllen = 0;
	if (h->msg_name) {
		memcpy(h->msg_name, &from, sizeof(from));
		h->msg_namelen = sizeof(from);
	}
	r = flags & MSG_TRUNC ? (ssize_t)note->len : (ssize_t)n;
	if (!(flags & MSG_PEEK))
		free(note);
	return r;
}

void netlink_drop_notes(struct inet_sock *i)
{
	while (i->notes) {
		struct netlink_note *n = i->notes;

		i->notes = n->next;
		free(n);
	}
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
