/* SPDX-License-Identifier: Apache-2.0 */
/* inet.c: AF_INET, AF_INET6 and AF_NETLINK (route) on the host's stack, inside the sandbox's own network namespace.
 *
 * OVERVIEW  A guest socket is a non-blocking host socket. A call that the host answers with EAGAIN parks the fiber until the poller
 *   says that the descriptor is ready. Addresses, options and control messages are checked against what is known here: nothing else
 *   reaches the host.
 * LOCKS  inet_sock.lock (RANK_SOCKET) guards the registration with the poller; the host serialises the rest.
 */
#include "net/net_ns.h"
#include "net/socket.h"
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define BOUNCE_STACK 4096
#define BOUNCE_MAX 65536

struct inet_sock {
	int fd; /* owned, non-blocking */
	struct mutex lock;
	struct wait_queue wait;
	struct host_poll poll;
	bool polled; /* lock */
	_Atomic bool connecting;
};

static long host(long r)
{
	return r < 0 ? -errno : r;
}

/* The poller wakes `wait` from the first time that somebody sleeps. */
static int watch(struct inet_sock *i)
{
	guard(mutex)(&i->lock);
	if (i->polled)
		return 0;
	int r = host_poll_add(&i->poll, current->kernel->sched, i->fd, &i->wait);
	i->polled = !r;
	return r;
}

/* Do `op` (which answers -EAGAIN when the host would block) until it does something else. */
#define INET_RETRY(i, nonblock, timeout, op)                                                                           \
	({                                                                                                             \
		ssize_t ir_ = (op);                                                                                    \
		if (ir_ == -EAGAIN && !(nonblock)) {                                                                   \
			int iw_ = watch(i);                                                                            \
			if (iw_)                                                                                       \
				ir_ = iw_;                                                                             \
			else if ((iw_ = task_wait(&(i)->wait, (ir_ = (op)) != -EAGAIN, socket_deadline(timeout))))      \
				ir_ = iw_ == -ETIMEDOUT ? -EAGAIN : iw_ == -ERESTARTSYS && (timeout) != KTIME_MAX ? -EINTR : iw_; \
		}                                                                                                      \
		ir_;                                                                                                   \
	})

static struct inet_sock *inet_new(int fd)
{
	struct inet_sock *i = new(struct inet_sock);
	i->fd = fd;
	mutex_init(&i->lock, RANK_SOCKET);
	wait_queue_init(&i->wait);
	return i;
}

/* An address for the host: the family must be the socket's (or UNSPEC, for disconnecting). */
static int check_addr(struct socket *s, const struct sockaddr_storage *a, socklen_t len)
{
	if (len < sizeof(sa_family_t))
		return -EINVAL;
	if (a->ss_family == AF_UNSPEC)
		return 0;
	if (s->family == AF_INET && a->ss_family != AF_INET)
		return -EAFNOSUPPORT;
	if (s->family == AF_INET6 && a->ss_family != AF_INET6 && a->ss_family != AF_INET)
		return -EAFNOSUPPORT;
	if (s->family == AF_NETLINK && a->ss_family != AF_NETLINK)
		return -EINVAL;
	return 0;
}

static int inet_bind(struct socket *s, const struct sockaddr_storage *a, socklen_t len)
{
	struct inet_sock *i = s->private;
	int r = check_addr(s, a, len);
	if (r)
		return r;
	if (s->family != AF_NETLINK && len >= 4) {
		uint16_t port = ntohs(((const struct sockaddr_in *)a)->sin_port);
		if (port && port < 1024 && !cred_has_cap(current->cred, CAP_NET_BIND_SERVICE_))
			return -EACCES;
	}
	return host(bind(i->fd, (const struct sockaddr *)a, len));
}

static int inet_connect(struct socket *s, const struct sockaddr_storage *a, socklen_t len, bool nonblock)
{
	struct inet_sock *i = s->private;
	int r = check_addr(s, a, len), err = 0;
	socklen_t n = sizeof(err);
	if (r)
		return r;
	r = host(connect(i->fd, (const struct sockaddr *)a, len));
	if (nonblock || (r != -EINPROGRESS && r != -EALREADY))
		return r;
	if ((r = watch(i)))
		return r;
	r = task_wait(&i->wait, host_poll_now(i->fd, EPOLLOUT | EPOLLERR | EPOLLHUP), socket_deadline(s->sndtimeo));
	if (r)
		return r == -ETIMEDOUT ? -EINPROGRESS : r == -ERESTARTSYS && s->sndtimeo != KTIME_MAX ? -EINTR : r;
	r = host(getsockopt(i->fd, SOL_SOCKET, SO_ERROR, &err, &n));
	return r ? r : -err;
}

static int inet_listen(struct socket *s, int backlog)
{
	struct inet_sock *i = s->private;
	return host(listen(i->fd, backlog));
}

static const struct socket_ops inet_ops;

static int inet_accept(struct socket *s, bool nonblock, struct socket **out)
{
	struct inet_sock *i = s->private;
	ssize_t fd = INET_RETRY(i, nonblock, s->rcvtimeo, host(accept4(i->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)));
	if (fd < 0)
		return fd;
	struct socket *ns = socket_new(s->family, s->type, s->protocol);
	ns->ops = &inet_ops;
	ns->private = inet_new(fd);
	*out = ns;
	return 0;
}

static int inet_getname(struct socket *s, struct sockaddr_storage *a, bool peer)
{
	struct inet_sock *i = s->private;
	socklen_t len = sizeof(*a);
	int r = host(peer ? getpeername(i->fd, (struct sockaddr *)a, &len) : getsockname(i->fd, (struct sockaddr *)a, &len));
	return r ? r : (int)len;
}

/* Control messages that a guest may hand to the host's stack. */
static bool cmsg_ok(int level, int type)
{
	switch (level) {
	case SOL_IP:
		return type == IP_PKTINFO || type == IP_TTL || type == IP_TOS || type == IP_RETOPTS;
	case SOL_IPV6:
		return type == IPV6_PKTINFO || type == IPV6_HOPLIMIT || type == IPV6_TCLASS || type == IPV6_DONTFRAG;
	case SOL_UDP:
		return type == 103; /* UDP_SEGMENT */
	}
	return false;
}

static int filter_control(struct kmsg *m, uint8_t *out, size_t *out_len)
{
	size_t at = 0, n = 0;
	while (m->control_len - at >= sizeof(struct cmsghdr)) {
		struct cmsghdr h;
		memcpy(&h, m->control + at, sizeof(h));
		if (h.cmsg_len < sizeof(h) || h.cmsg_len > m->control_len - at)
			return -EINVAL;
		size_t step = ALIGN_UP(h.cmsg_len, sizeof(size_t));
		if (h.cmsg_level == SOL_SOCKET) {
			if (h.cmsg_type != SCM_RIGHTS && h.cmsg_type != SCM_CREDENTIALS)
				return -EINVAL; /* these two are ignored, as Linux does */
		} else if (cmsg_ok(h.cmsg_level, h.cmsg_type)) {
			if (n + step > *out_len)
				return -ENOBUFS;
			memcpy(out + n, m->control + at, h.cmsg_len);
			n += step;
		} else {
			return -EINVAL;
		}
		if (step > m->control_len - at)
			break;
		at += step;
	}
	*out_len = n;
	return 0;
}

static ssize_t inet_sendmsg(struct socket *s, struct kmsg *m)
{
	struct inet_sock *i = s->private;
	uint8_t stack[BOUNCE_STACK], ctl[512], *buf = stack;
	size_t ctl_len = 0;
	ssize_t sent = 0, r = 0;
	unsigned flags = (m->flags & (MSG_OOB | MSG_DONTROUTE | MSG_MORE | MSG_CONFIRM | MSG_EOR | MSG_FASTOPEN)) | MSG_DONTWAIT | MSG_NOSIGNAL;
	bool nonblock = m->flags & MSG_DONTWAIT;
	if (m->name_len && (r = check_addr(s, &m->name, m->name_len)))
		return r;
	if (m->control_len) {
		ctl_len = sizeof(ctl);
		if ((r = filter_control(m, ctl, &ctl_len)))
			return r;
	}
	size_t cap = s->type == SOCK_STREAM ? BOUNCE_MAX : MAX(m->iter->count, (size_t)1);
	if (s->type != SOCK_STREAM && m->iter->count > 0x10000 + 64 && s->family != AF_NETLINK)
		return -EMSGSIZE;
	if (m->iter->count > sizeof(stack) && !(buf = malloc(MIN(cap, m->iter->count))))
		return -ENOBUFS;
	do {
		size_t want = MIN(m->iter->count, cap), n = copy_from_iter(buf, want, m->iter), off = 0;
		if (n < want && (!n || s->type != SOCK_STREAM)) {
			r = -EFAULT;
			break;
		}
		do {
			struct iovec io = { buf + off, n - off };
			struct msghdr h = { .msg_name = m->name_len ? &m->name : NULL, .msg_namelen = m->name_len, .msg_iov = &io, .msg_iovlen = 1,
					    .msg_control = ctl_len ? ctl : NULL, .msg_controllen = ctl_len };
			r = INET_RETRY(i, nonblock, s->sndtimeo, host(sendmsg(i->fd, &h, flags)));
			if (r < 0)
				break;
			off += r;
			sent += r;
		} while (off < n && s->type == SOCK_STREAM);
	} while (r >= 0 && m->iter->count && s->type == SOCK_STREAM);
	if (buf != stack)
		free(buf);
	if (sent)
		return sent;
	return r == -EPIPE && s->type == SOCK_STREAM ? socket_sigpipe(m) : r;
}

static ssize_t inet_recvmsg(struct socket *s, struct kmsg *m)
{
	struct inet_sock *i = s->private;
	uint8_t stack[BOUNCE_STACK], ctl[1024], *buf = stack;
	unsigned flags = (m->flags & (MSG_PEEK | MSG_TRUNC | MSG_OOB | MSG_ERRQUEUE)) | MSG_DONTWAIT;
	bool nonblock = m->flags & (MSG_DONTWAIT | MSG_ERRQUEUE), stream = s->type == SOCK_STREAM;
	size_t cap = MIN(m->iter->count, stream ? (size_t)BOUNCE_MAX : (size_t)0x40000);
	size_t want = stream && m->flags & MSG_WAITALL && !(m->flags & (MSG_PEEK | MSG_DONTWAIT)) ? m->iter->count : 1;
	ssize_t got = 0, r;
	if (cap > sizeof(stack) && !(buf = malloc(cap)))
		return -ENOBUFS;
	for (;;) {
		struct iovec io = { buf, MIN(cap, m->iter->count) };
		struct msghdr h = { .msg_iov = &io, .msg_iovlen = 1, .msg_name = &m->name, .msg_namelen = sizeof(m->name),
				    .msg_control = m->control_cap ? ctl : NULL, .msg_controllen = m->control_cap ? sizeof(ctl) : 0 };
		r = INET_RETRY(i, nonblock, s->rcvtimeo, (h.msg_namelen = sizeof(m->name), h.msg_controllen = m->control_cap ? sizeof(ctl) : 0,
							  host(recvmsg(i->fd, &h, flags))));
		if (r < 0)
			break;
		m->name_len = stream ? 0 : h.msg_namelen;
		m->out_flags |= h.msg_flags & (MSG_TRUNC | MSG_CTRUNC | MSG_OOB | MSG_EOR | MSG_ERRQUEUE);
		size_t n = MIN((size_t)r, io.iov_len), c = copy_to_iter(buf, n, m->iter);
		for (struct cmsghdr *cm = h.msg_controllen ? CMSG_FIRSTHDR(&h) : NULL; cm; cm = CMSG_NXTHDR(&h, cm))
			kmsg_put_cmsg(m, cm->cmsg_level, cm->cmsg_type, CMSG_DATA(cm), cm->cmsg_len - CMSG_LEN(0));
		if (c < n && !(got + c)) {
			r = -EFAULT;
			break;
		}
		got += stream ? (ssize_t)c : r;
		if (c < n || !r || !stream || (size_t)got >= want || !m->iter->count)
			break;
	}
	if (buf != stack)
		free(buf);
	return got ? got : r;
}

static int inet_shutdown(struct socket *s, int how)
{
	struct inet_sock *i = s->private;
	int r = host(shutdown(i->fd, how));
	wait_queue_wake_all(&i->wait, EPOLLIN | EPOLLOUT | EPOLLHUP);
	return r;
}

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
	{ SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, true, -1 }, { SOL_NETLINK, NETLINK_DROP_MEMBERSHIP, true, -1 },
	{ SOL_NETLINK, NETLINK_PKTINFO, true, -1 }, { SOL_NETLINK, NETLINK_EXT_ACK, true, -1 }, { SOL_NETLINK, NETLINK_GET_STRICT_CHK, true, -1 },
	{ SOL_NETLINK, NETLINK_NO_ENOBUFS, true, -1 }, { SOL_NETLINK, NETLINK_CAP_ACK, true, -1 },
};

static int inet_setsockopt(struct socket *s, int level, int opt, const void *val, socklen_t len)
{
	struct inet_sock *i = s->private;
	if (level == SOL_SOCKET && (opt == SO_SNDBUFFORCE || opt == SO_RCVBUFFORCE)) {
		if (!cred_has_cap(current->cred, CAP_NET_ADMIN_))
			return -EPERM;
		opt = opt == SO_SNDBUFFORCE ? SO_SNDBUF : SO_RCVBUF;
	}
	for (size_t k = 0; k < ARRAY_SIZE(options); k++)
		if (options[k].level == level && options[k].opt == opt && options[k].set)
			return host(setsockopt(i->fd, level, opt, val, len));
	return -ENOPROTOOPT;
}

static int inet_getsockopt(struct socket *s, int level, int opt, void *val, socklen_t *len)
{
	struct inet_sock *i = s->private;
	for (size_t k = 0; k < ARRAY_SIZE(options); k++)
		if (options[k].level == level && options[k].opt == opt)
			return host(getsockopt(i->fd, level, opt, val, len));
	return -ENOPROTOOPT;
}

static unsigned inet_poll(struct socket *s, struct file *f, struct poll_table *pt)
{
	struct inet_sock *i = s->private;
	if (pt && pt->queue)
		watch(i);
	poll_wait(f, &i->wait, pt);
	return host_poll_now(i->fd, EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLRDNORM | EPOLLWRNORM | EPOLLRDBAND);
}

static long inet_ioctl(struct socket *s, unsigned cmd, uint64_t arg)
{
	struct inet_sock *i = s->private;
	int v, r;
	struct ifreq ifr;
	switch (cmd) {
	case FIONREAD:
	case TIOCOUTQ:
	case SIOCATMARK:
	case SIOCOUTQNSD:
		if ((r = host(ioctl(i->fd, cmd, &v))))
			return r;
		return put_user(v, arg);
	case SIOCGIFFLAGS:
	case SIOCGIFADDR:
	case SIOCGIFDSTADDR:
	case SIOCGIFBRDADDR:
	case SIOCGIFNETMASK:
	case SIOCGIFMETRIC:
	case SIOCGIFMTU:
	case SIOCGIFHWADDR:
	case SIOCGIFINDEX:
	case SIOCGIFNAME:
	case SIOCGIFTXQLEN:
		if (copy_from_user(&ifr, arg, sizeof(ifr)))
			return -EFAULT;
		if ((r = host(ioctl(i->fd, cmd, &ifr))))
			return r;
		return copy_to_user(arg, &ifr, sizeof(ifr));
	case SIOCGIFCONF: {
		struct { int32_t len; int32_t pad; uaddr_t buf; } u;
		if (copy_from_user(&u, arg, sizeof(u)))
			return -EFAULT;
		if (u.len < 0)
			return -EINVAL;
		struct ifreq reqs[32];
		struct ifconf c = { .ifc_len = u.buf ? MIN((size_t)u.len, sizeof(reqs)) : 0, .ifc_req = u.buf ? reqs : NULL };
		if ((r = host(ioctl(i->fd, cmd, &c))))
			return r;
		if (u.buf && copy_to_user(u.buf, reqs, c.ifc_len))
			return -EFAULT;
		u.len = c.ifc_len;
		return copy_to_user(arg, &u, sizeof(u));
	}
	}
	return -ENOIOCTLCMD;
}

static void inet_release(struct socket *s)
{
	struct inet_sock *i = s->private;
	if (i->polled)
		host_poll_del(&i->poll);
	close(i->fd);
	free(i);
}

static const struct socket_ops inet_ops = {
	.bind = inet_bind,
	.connect = inet_connect,
	.listen = inet_listen,
	.accept = inet_accept,
	.getname = inet_getname,
	.sendmsg = inet_sendmsg,
	.recvmsg = inet_recvmsg,
	.shutdown = inet_shutdown,
	.setsockopt = inet_setsockopt,
	.getsockopt = inet_getsockopt,
	.poll = inet_poll,
	.ioctl = inet_ioctl,
	.release = inet_release,
};

static int create(struct socket *s)
{
	int fd = host(socket(s->family, s->type | SOCK_NONBLOCK | SOCK_CLOEXEC, s->protocol));
	if (fd < 0)
		return fd;
	s->ops = &inet_ops;
	s->private = inet_new(fd);
	return 0;
}

static int inet_create(struct kernel *k, struct socket *s)
{
	if (s->protocol < 0 || s->protocol > 255)
		return -EINVAL;
	switch (s->type) {
	case SOCK_STREAM:
		if (s->protocol && s->protocol != IPPROTO_TCP)
			return -EPROTONOSUPPORT;
		s->protocol = IPPROTO_TCP;
		break;
	case SOCK_DGRAM:
		if (!s->protocol)
			s->protocol = IPPROTO_UDP;
		if (s->protocol != IPPROTO_UDP && s->protocol != IPPROTO_ICMP && s->protocol != IPPROTO_ICMPV6)
			return -EPROTONOSUPPORT;
		break;
	case SOCK_RAW:
		return cred_has_cap(current->cred, CAP_NET_RAW_) ? -EPROTONOSUPPORT : -EPERM;
	default:
		return -ESOCKTNOSUPPORT;
	}
	return create(s);
}

/* Route dumps (getifaddrs, getaddrinfo): the sandbox's own namespace, in which the kernel process has no rights to change anything. */
static int netlink_create(struct kernel *k, struct socket *s)
{
	if (s->type != SOCK_RAW && s->type != SOCK_DGRAM)
		return -ESOCKTNOSUPPORT;
	if (s->protocol != NETLINK_ROUTE)
		return -EPROTONOSUPPORT;
	return create(s);
}

int net_init(struct kernel *k)
{
	struct net_namespace *n = new(struct net_namespace);
	refcount_init(&n->ref);
	mutex_init(&n->unix_lock, RANK_LEAF);
	k->net = n;
	return 0;
}

const struct socket_family inet_family = { AF_INET, inet_create };
const struct socket_family inet6_family = { AF_INET6, inet_create };
const struct socket_family netlink_family = { AF_NETLINK, netlink_create };
