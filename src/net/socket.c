/* SPDX-License-Identifier: Apache-2.0 */
/* socket.c: sockets as files, and the options that every family shares. */
#include "net/net_ns.h"
#include "net/socket.h"
#include <linux/sockios.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/time.h>

static const struct socket_family *const families[] = { &unix_family, &inet_family, &inet6_family, &netlink_family };

size_t kmsg_put_cmsg(struct kmsg *m, int level, int type, const void *data, size_t len)
{
	size_t at = ALIGN_UP(m->control_len, sizeof(size_t)), room;
	if (at + sizeof(struct cmsghdr) > m->control_cap) {
		m->out_flags |= MSG_CTRUNC;
		return 0;
	}
	room = m->control_cap - at - sizeof(struct cmsghdr);
	if (len > room) {
		m->out_flags |= MSG_CTRUNC;
		len = room;
	}
	struct cmsghdr h = { .cmsg_len = sizeof(h) + len, .cmsg_level = level, .cmsg_type = type };
	memcpy(m->control + at, &h, sizeof(h));
	memcpy(m->control + at + sizeof(h), data, len);
	m->control_len = MIN(at + ALIGN_UP(sizeof(h) + len, sizeof(size_t)), m->control_cap);
	return len;
}

ktime_t socket_deadline(ktime_t timeout)
{
	return timeout == KTIME_MAX ? KTIME_MAX : ktime_add_sat(ktime_mono(), timeout);
}

int socket_sigpipe(struct kmsg *m)
{
	if (!(m->flags & MSG_NOSIGNAL)) {
		siginfo_k info;
		siginfo_user(&info, SIGPIPE, SI_USER, current, current);
		task_send_signal(current, &info, false);
	}
	return -EPIPE;
}

struct socket *socket_new(int family, int type, int protocol)
{
	struct socket *s = new(struct socket);
	s->family = family;
	s->type = type;
	s->protocol = protocol;
	s->rcvtimeo = s->sndtimeo = KTIME_MAX;
	s->opt.rcvlowat = 1;
	return s;
}

/* ---- sockets as files ---- */

static ssize_t sock_read(struct file *f, struct iov_iter *to, int64_t *pos)
{
	struct socket *s = f->private;
	struct kmsg m = { .iter = to, .flags = f->flags & O_NONBLOCK ? MSG_DONTWAIT : 0 };
	if (!to->count)
		return 0;
	return s->ops->recvmsg(s, &m);
}

static ssize_t sock_write(struct file *f, struct iov_iter *from, int64_t *pos)
{
	struct socket *s = f->private;
	struct kmsg m = { .iter = from, .flags = f->flags & O_NONBLOCK ? MSG_DONTWAIT : 0 };
	return s->ops->sendmsg(s, &m);
}

static unsigned sock_poll(struct file *f, struct poll_table *pt)
{
	struct socket *s = f->private;
	return s->ops->poll(s, f, pt);
}

static long sock_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	struct socket *s = f->private;
	return s->ops->ioctl ? s->ops->ioctl(s, cmd, arg) : -ENOIOCTLCMD;
}

/* ---- signal-driven I/O ----
 * An entry of its own on the socket's wait queue notes what became ready; the signal is sent from a timer that is due at once, because
 * the entry runs below the locks that signals need. */
struct sock_async {
	struct wait_entry entry;
	struct wait_queue *wq;
	struct ktimer timer;
	struct file *file; /* borrowed: file_put switches O_ASYNC off first */
	_Atomic unsigned keys;
};

static bool sock_async_wake(struct wait_entry *e, unsigned key)
{
	struct sock_async *a = container_of(e, struct sock_async, entry);
	if (!atomic_fetch_or(&a->keys, key ? key : EPOLLIN | EPOLLOUT))
		ktimer_start(&a->timer, 0);
	return false;
}

static void sock_async_fire(struct ktimer *t)
{
	struct sock_async *a = container_of(t, struct sock_async, timer);
	unsigned keys = atomic_exchange(&a->keys, 0);
	struct socket *s = a->file->private;
	if (!vfs_hooks.kill_fasync)
		return;
	if (keys & EPOLLPRI)
		vfs_hooks.kill_fasync(a->file, POLL_PRI);
	if (keys & EPOLLHUP)
		vfs_hooks.kill_fasync(a->file, POLL_HUP);
	else if (keys & (EPOLLIN | EPOLLRDHUP))
		vfs_hooks.kill_fasync(a->file, POLL_IN);
	if (keys & EPOLLOUT && (s->family != AF_UNIX || atomic_exchange(&s->nospace, false)))
		vfs_hooks.kill_fasync(a->file, POLL_OUT);
}

struct async_table {
	struct poll_table pt;
	struct sock_async *async;
};

static void sock_async_queue(struct poll_table *pt, struct file *f, struct wait_queue *wq)
{
	struct sock_async *a = container_of(pt, struct async_table, pt)->async;
	if (a->wq)
		return;
	a->wq = wq;
	wait_queue_add(wq, &a->entry);
}

static int sock_fasync(struct file *f, bool on)
{
	struct socket *s = f->private;
	struct sock_async *a;
	if (vfs_hooks.fasync_set)
		vfs_hooks.fasync_set(f, on);
	guard(sleeplock)(&f->inode->lock);
	if (on && !s->async) {
		a = new(struct sock_async);
		a->file = f;
		a->entry.func = sock_async_wake;
		ktimer_init(&a->timer, current->kernel->sched, sock_async_fire);
		struct async_table t = { { .queue = sock_async_queue, .key = EPOLLIN | EPOLLOUT | EPOLLPRI }, a };
		s->ops->poll(s, f, &t.pt);
		s->async = a;
	} else if (!on && (a = s->async)) {
		s->async = NULL;
		if (a->wq)
			wait_queue_del(a->wq, &a->entry);
		ktimer_cancel_sync(&a->timer);
		free(a);
	}
	return 0;
}

static void sock_release(struct file *f)
{
	struct socket *s = f->private;
	s->file = NULL;
	s->ops->release(s);
	free(s);
}

static const struct file_ops socket_file_ops = {
	.read = sock_read,
	.write = sock_write,
	.poll = sock_poll,
	.ioctl = sock_ioctl,
	.fasync = sock_fasync,
	.release = sock_release,
	.stream = true,
};

int socket_file(struct socket *s, unsigned flags, struct file **out)
{
	/* The name holds the number, so that it is chosen here: a range of its own among the anonymous inodes (pipes have another). */
	static _Atomic uint64_t next_ino = 3u << 24;
	s->ino = atomic_fetch_add_explicit(&next_ino, 1, memory_order_relaxed);
	char name[32];
	snprintf(name, sizeof(name), "socket:[%llu]", (unsigned long long)s->ino);
	int r = anon_file(name, S_IFSOCK | 0777, &socket_file_ops, s, O_RDWR | flags, out);
	if (r) {
		s->ops->release(s);
		free(s);
		return r;
	}
	s->file = *out;
	struct inode *inode = s->file->inode;
	inode->ino = s->ino;
	inode->uid = fiber_context()->cred->fsuid;
	inode->gid = fiber_context()->cred->fsgid;
	return 0;
}

struct socket *file_socket(struct file *f)
{
	return f->ops == &socket_file_ops ? f->private : NULL;
}

/* ---- creation ---- */

int socket_create(struct kernel *k, int family, int type, int protocol, struct socket **out)
{
	if (family < 0 || family >= AF_MAX)
		return -EAFNOSUPPORT;
	if (type < 0 || type > SOCK_PACKET)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		if (families[i]->family == family) {
			struct socket *s = socket_new(family, type, protocol);
			int r = families[i]->create(k, s);
			if (r) {
				free(s);
				return r;
			}
			*out = s;
			return 0;
		}
	return -EAFNOSUPPORT;
}

/* ---- options ---- */

int sockopt_put_int(void *val, socklen_t *len, int v)
{
	*len = MIN(*len, (socklen_t)sizeof(v));
	memcpy(val, &v, *len);
	return 0;
}

static int get_timeout(const void *val, socklen_t len, ktime_t *out)
{
	struct timeval tv;
	if (len < sizeof(tv))
		return -EINVAL;
	memcpy(&tv, val, sizeof(tv));
	if (tv.tv_usec < 0 || tv.tv_usec >= 1000000)
		return -EDOM;
	if (tv.tv_sec < 0)
		*out = 0;
	else if (!tv.tv_sec && !tv.tv_usec)
		*out = KTIME_MAX;
	else if (tv.tv_sec >= KTIME_MAX / NSEC_PER_SEC - 1)
		*out = KTIME_MAX;
	else
		*out = tv.tv_sec * NSEC_PER_SEC + tv.tv_usec * NSEC_PER_USEC;
	return 0;
}

static int put_timeout(void *val, socklen_t *len, ktime_t t)
{
	struct timeval tv = { 0, 0 };
	if (t != KTIME_MAX)
		tv = ktime_to_timeval(t);
	*len = MIN(*len, (socklen_t)sizeof(tv));
	memcpy(val, &tv, *len);
	return 0;
}

static int *kept_int(struct socket *s, int opt)
{
	switch (opt) {
	case SO_KEEPALIVE: return &s->opt.keepalive;
	case SO_BROADCAST: return &s->opt.broadcast;
	case SO_REUSEADDR: return &s->opt.reuseaddr;
	case SO_REUSEPORT: return &s->opt.reuseport;
	case SO_DONTROUTE: return &s->opt.dontroute;
	case SO_OOBINLINE: return &s->opt.oobinline;
	case SO_PRIORITY: return &s->opt.priority;
	case SO_RCVLOWAT: return &s->opt.rcvlowat;
	}
	return NULL;
}

int socket_keep_option(struct socket *s, int opt, const void *val, socklen_t len)
{
	int v, *p = kept_int(s, opt);
	if (opt == SO_LINGER) {
		if (len < sizeof(s->opt.linger))
			return -EINVAL;
		memcpy(&s->opt.linger, val, sizeof(s->opt.linger));
		s->opt.linger.l_onoff = s->opt.linger.l_onoff != 0;
		return 0;
	}
	if (!p)
		return -ENOPROTOOPT;
	memcpy(&v, val, sizeof(v));
	if (opt == SO_PRIORITY) {
		if ((v < 0 || v > 6) && !cred_has_cap(current->cred, CAP_NET_ADMIN_))
			return -EPERM;
	} else if (opt == SO_RCVLOWAT) {
		v = v < 0 ? INT32_MAX : v ? v : 1;
	} else {
		v = v != 0;
	}
	WRITE_ONCE(*p, v);
	return 0;
}

int socket_kept_option(struct socket *s, int opt, void *val, socklen_t *len)
{
	int *p = kept_int(s, opt);
	if (opt == SO_LINGER) {
		*len = MIN(*len, (socklen_t)sizeof(s->opt.linger));
		memcpy(val, &s->opt.linger, *len);
		return 0;
	}
	if (opt == SO_SNDLOWAT)
		return sockopt_put_int(val, len, 1);
	return p ? sockopt_put_int(val, len, READ_ONCE(*p)) : -ENOPROTOOPT;
}

int socket_setsockopt(struct socket *s, int level, int opt, const void *val, socklen_t len)
{
	int v = 0;
	if (level == SOL_SOCKET) {
		if (len < sizeof(int))
			return -EINVAL;
		memcpy(&v, val, sizeof(v));
		switch (opt) {
		case SO_RCVTIMEO:
			return get_timeout(val, len, &s->rcvtimeo);
		case SO_SNDTIMEO:
			return get_timeout(val, len, &s->sndtimeo);
		case SO_PASSCRED:
			if (s->family != AF_UNIX && s->family != AF_NETLINK)
				return -EOPNOTSUPP;
			s->passcred = v != 0;
			break;
		case SO_TYPE:
		case SO_ERROR:
		case SO_DOMAIN:
		case SO_PROTOCOL:
		case SO_ACCEPTCONN:
			return -ENOPROTOOPT;
		}
	}
	return s->ops->setsockopt ? s->ops->setsockopt(s, level, opt, val, len) : -ENOPROTOOPT;
}

int socket_getsockopt(struct socket *s, int level, int opt, void *val, socklen_t *len)
{
	if (level == SOL_SOCKET)
		switch (opt) {
		case SO_TYPE:
			return sockopt_put_int(val, len, s->type);
		case SO_DOMAIN:
			return sockopt_put_int(val, len, s->family);
		case SO_PROTOCOL:
			return sockopt_put_int(val, len, s->protocol);
		case SO_RCVTIMEO:
			return put_timeout(val, len, s->rcvtimeo);
		case SO_SNDTIMEO:
			return put_timeout(val, len, s->sndtimeo);
		case SO_PASSCRED:
			if (s->family == AF_UNIX)
				break;
			return sockopt_put_int(val, len, s->passcred);
		}
	return s->ops->getsockopt ? s->ops->getsockopt(s, level, opt, val, len) : -ENOPROTOOPT;
}
