/* SPDX-License-Identifier: Apache-2.0 */
/* inet.c: the host's sockets as guest sockets. See inet.h. */
#include "net/inet/inet.h"
#include <linux/netlink.h>
#include <netinet/in.h>
#include <unistd.h>

int inet_watch(struct inet_sock *i)
{
	if (atomic_load_explicit(&i->polled, memory_order_acquire))
		return 0;
	mutex_lock_nested(&i->lock); /* inside fuse_conn.lock */
	if (i->polled) {
		mutex_unlock(&i->lock);
		return 0;
	}
	atomic_store(&i->ready, INET_UNKNOWN);
	i->poll.ready = &i->ready;
	int r = host_poll_add(&i->poll, current->kernel->sched, i->fd, &i->wait);
	atomic_store_explicit(&i->polled, !r, memory_order_release);
	mutex_unlock(&i->lock);
	return r;
}

unsigned inet_refresh(struct inet_sock *i)
{
	atomic_store(&i->ready, INET_UNKNOWN); /* not 0: who is about to sleep must not take it for the state */
	unsigned r = host_poll_now(i->fd, EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP);
	atomic_fetch_or(&i->ready, r);
	atomic_fetch_and(&i->ready, ~INET_UNKNOWN);
	/* Between two of us, on two workers, the state may have been 0 for a moment: who went to sleep then looks again. */
	if (r && sched_nworkers(current->kernel->sched) > 1 && wait_queue_active(&i->wait))
		wait_queue_wake_all(&i->wait, EPOLLMSG);
	return r;
}

int inet_wait(struct inet_sock *i, unsigned bits, ktime_t *deadline, ktime_t timeout)
{
	if (!*deadline)
		*deadline = socket_deadline(timeout);
	return inet_wait_error(task_wait(&i->wait, atomic_load(&i->ready) & bits || (bits & EPOLLIN && READ_ONCE(i->notes)), *deadline), timeout);
}

static struct inet_sock *inet_new(int fd)
{
	struct inet_sock *i = new(struct inet_sock);
	i->fd = fd;
	mutex_init(&i->lock, RANK_SOCKET);
	wait_queue_init(&i->wait);
	return i;
}

static int inet_bind(struct socket *s, const struct sockaddr_storage *a, socklen_t len)
{
	struct inet_sock *i = s->private;
	/* What is too short is for the host to refuse. */
	if ((s->family == AF_INET && len >= sizeof(struct sockaddr_in)) || (s->family == AF_INET6 && len >= 24)) {
		uint16_t port = ntohs(((const struct sockaddr_in *)a)->sin_port);
		if (port && port < 1024 && !cred_has_cap(current->cred, CAP_NET_BIND_SERVICE_))
			return -EACCES;
	}
	return host_result(bind(i->fd, (const struct sockaddr *)a, len));
}

static int inet_connect(struct socket *s, const struct sockaddr_storage *a, socklen_t len, bool nonblock)
{
	struct inet_sock *i = s->private;
	ktime_t deadline = socket_deadline(s->sndtimeo);
	if (a->ss_family == AF_UNSPEC && s->type == SOCK_STREAM)
		fuse_close(i, true);
	int r = host_result(connect(i->fd, (const struct sockaddr *)a, len));
	if ((!r || r == -EINPROGRESS) && a->ss_family != AF_UNSPEC)
		fuse_note_connect(s);
	inet_forget(i);
	if (nonblock || (r != -EINPROGRESS && r != -EALREADY))
		return r;
	if ((r = inet_watch(i)))
		return r;
	do { /* asked again, the host says how it went, and from then on takes the socket for connected */
		r = inet_wait_error(task_wait(&i->wait, inet_refresh(i) & (EPOLLOUT | EPOLLERR | EPOLLHUP), deadline), s->sndtimeo);
		if (r)
			return r == -EAGAIN ? -EINPROGRESS : r;
		r = host_result(connect(i->fd, (const struct sockaddr *)a, len));
	} while (r == -EALREADY || r == -EINPROGRESS);
	inet_forget(i);
	return r;
}

static int inet_listen(struct socket *s, int backlog)
{
	struct inet_sock *i = s->private;
	int r = host_result(listen(i->fd, backlog));
	inet_forget(i);
	return r;
}

static const struct socket_ops inet_ops;

static int inet_accept(struct socket *s, bool nonblock, struct socket **out)
{
	struct inet_sock *i = s->private;
	struct sockaddr_storage peer;
	socklen_t peer_len = sizeof(peer);
	ktime_t deadline = 0;
	int fd, r;
	for (;;) {
		bool polled = atomic_load_explicit(&i->polled, memory_order_acquire);
		if (polled)
			atomic_fetch_and(&i->ready, ~(unsigned)INET_READABLE);
		fd = host_result(accept4(i->fd, (struct sockaddr *)&peer, &peer_len, SOCK_NONBLOCK | SOCK_CLOEXEC));
		if (polled && fd != -EAGAIN)
			inet_forget(i);
		if (fd >= 0)
			break;
		if (fd != -EAGAIN || nonblock)
			return fd;
		r = polled ? inet_wait(i, INET_READABLE, &deadline, s->rcvtimeo) : inet_watch(i);
		if (r)
			return r;
	}
	struct socket *ns = socket_new(s->family, s->type, s->protocol);
	ns->rcvtimeo = s->rcvtimeo;
	ns->sndtimeo = s->sndtimeo;
	ns->opt = s->opt;
	ns->ops = &inet_ops;
	struct inet_sock *ni = ns->private = inet_new(fd);
	ni->no_fuse = i->no_fuse;
	ni->corked = i->corked;
	ni->sndbuf_set = i->sndbuf_set;
	ni->rcvbuf_set = i->rcvbuf_set;
	fuse_accept(ns, &peer);
	*out = ns;
	return 0;
}

static int inet_getname(struct socket *s, struct sockaddr_storage *a, bool peer)
{
	struct inet_sock *i = s->private;
	socklen_t len = sizeof(*a);
	int r = host_result(peer ? getpeername(i->fd, (struct sockaddr *)a, &len) : getsockname(i->fd, (struct sockaddr *)a, &len));
	return r ? r : (int)len;
}


static int inet_shutdown(struct socket *s, int how)
{
	struct inet_sock *i = s->private;
	fuse_forget(i);
	fuse_defuse(i);
	int r = host_result(shutdown(i->fd, how));
	sched_expect_host();
	inet_forget(i);
	wait_queue_wake_all(&i->wait, EPOLLIN | EPOLLOUT | EPOLLHUP);
	return r;
}

#define ASK_IN (EPOLLIN | EPOLLRDNORM)
#define ASK_OUT (EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND)

static unsigned inet_poll(struct socket *s, struct file *f, struct poll_table *pt)
{
	struct inet_sock *i = s->private;
	unsigned want = pt && pt->key ? pt->key : ~0u, r;
	bool lazy = pt && (pt->queue || pt->lazy);
	poll_wait(f, &i->wait, pt);
	unsigned queued = 0;
	if (i->end) {
		bool fused = inet_fused(i);
		queued = fuse_poll(s);
		if (fused)
			return queued;
	}
	if (pt && pt->queue && inet_watch(i))
		lazy = false;
	r = atomic_load(&i->ready);
	unsigned unsure = INET_TROUBLE | (want & ASK_IN ? INET_IN_UNKNOWN : 0) | (want & ASK_OUT ? INET_OUT_UNKNOWN : 0);
	if (!lazy || !atomic_load_explicit(&i->polled, memory_order_acquire) || r & unsure)
		r = inet_refresh(i);
	if (unlikely(READ_ONCE(i->notes)))
		r |= EPOLLIN;
	return queued | (r & (EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLERR | EPOLLHUP)) | (r & EPOLLIN ? EPOLLRDNORM : 0) |
	       (r & EPOLLOUT ? EPOLLWRNORM | (r & EPOLLHUP && s->type == SOCK_STREAM ? 0 : EPOLLWRBAND) : 0);
}

static void inet_release(struct socket *s)
{
	struct inet_sock *i = s->private;
	fuse_release(i);
	if (i->polled)
		host_poll_del(&i->poll);
	close(i->fd);
	sched_expect_host();
	netlink_drop_notes(i);
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

int inet_socket(struct socket *s)
{
	int fd = host_result(socket(s->family, s->type | SOCK_NONBLOCK | SOCK_CLOEXEC, s->protocol));
	if (fd < 0)
		return fd;
	s->ops = &inet_ops;
	s->private = inet_new(fd);
	return 0;
}

static int inet_create(struct kernel *k, struct socket *s)
{
	if (s->protocol < 0 || s->protocol > 262 /* IPPROTO_MPTCP */)
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
	return inet_socket(s);
}

int net_init(struct kernel *k)
{
	struct net_namespace *n = new(struct net_namespace);
	refcount_init(&n->ref);
	mutex_init(&n->unix_lock, RANK_LEAF);
	n->unix_core = unix_core_create();
	n->fuse = fuse_table_create();
	n->control_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	k->net = n;
	net_proc_init();
	return 0;
}

const struct socket_family inet_family = { AF_INET, inet_create };
const struct socket_family inet6_family = { AF_INET6, inet_create };
