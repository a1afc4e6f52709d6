/* SPDX-License-Identifier: Apache-2.0 */
/* message.c: sending and receiving on the host's sockets. */
#include "net/inet/inet.h"
#include <netinet/in.h>
#include <netinet/udp.h>

#define BOUNCE_STACK 4096
#define BOUNCE_MAX 65536

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


/* One host call's worth. flags holds MSG_DONTWAIT. */
static ssize_t send_piece(struct socket *s, struct kmsg *m, const void *buf, size_t n, struct fuse_buf **own, const void *ctl, size_t ctl_len, unsigned flags,
			  ktime_t *deadline)
{
	struct inet_sock *i = s->private;
	bool nonblock = m->flags & MSG_DONTWAIT, again = false;
	for (;;) {
		bool noted = i->noted; /* before end */
		ssize_t r;
		if (i->end && (r = fuse_push(s, m, buf, n, own, deadline)) != FUSE_OFF)
			return r;
		if (unlikely(noted) && !m->name_len && !ctl_len) {
			r = fuse_send_noted(i, buf, n, flags);
			if (r == FUSE_OFF)
				continue;
		} else if (!m->name_len && !ctl_len) {
			r = host_result(send(i->fd, buf, n, flags));
		} else {
			struct iovec io = { (void *)buf, n };
			struct msghdr h = { .msg_name = m->name_len ? &m->name : NULL, .msg_namelen = m->name_len, .msg_iov = &io, .msg_iovlen = 1,
					    .msg_control = ctl_len ? (void *)ctl : NULL, .msg_controllen = ctl_len };
			r = host_result(sendmsg(i->fd, &h, flags));
		}
		if (r >= 0) {
			sched_expect_host();
			if (atomic_load_explicit(&i->polled, memory_order_relaxed) &&
			    !(atomic_load_explicit(&i->ready, memory_order_relaxed) & INET_OUT_UNKNOWN))
				atomic_fetch_or(&i->ready, INET_OUT_UNKNOWN);
			return r;
		}
		if (r != -EAGAIN) {
			inet_forget(i);
			return r;
		}
		if (nonblock) {
			inet_forget(i);
			return r;
		}
		if (!again) { /* the bit goes before the call that finds no room */
			if ((r = inet_watch(i)))
				return r;
			atomic_fetch_and(&i->ready, ~(unsigned)(EPOLLOUT | INET_OUT_UNKNOWN | INET_ERR_UNKNOWN));
			again = true;
			continue;
		}
		if ((r = inet_wait(i, INET_WRITABLE, deadline, s->sndtimeo)))
			return r;
		again = false;
	}
}

ssize_t inet_sendmsg(struct socket *s, struct kmsg *m)
{
	uint8_t stack[BOUNCE_STACK], ctl[256], *buf = stack;
	size_t ctl_len = 0;
	ssize_t sent = 0, r = 0;
	ktime_t deadline = 0;
	bool stream = s->type == SOCK_STREAM;
	unsigned flags = (m->flags & (MSG_OOB | MSG_DONTROUTE | MSG_MORE | MSG_CONFIRM | MSG_EOR | MSG_FASTOPEN)) | MSG_DONTWAIT | MSG_NOSIGNAL;
	if (stream && !(flags & MSG_FASTOPEN))
		m->name_len = 0; /* Linux ignores a stream's */
	if (m->control_len) {
		ctl_len = sizeof(ctl);
		if ((r = filter_control(m, ctl, &ctl_len)))
			return r;
	}
	if (stream && (ctl_len || flags & (MSG_OOB | MSG_FASTOPEN))) {
		fuse_forget(s->private);
		fuse_defuse(s->private);
	}
	size_t cap = stream ? BOUNCE_MAX : MAX(m->iter->count, (size_t)1);
	if (!stream && m->iter->count > 0x10000 + 64)
		return -EMSGSIZE;
	struct fuse_buf *own = NULL;
	bool queue = stream && m->iter->count > sizeof(stack) && inet_fused(s->private);
	if (m->iter->count > sizeof(stack) && !queue && !(buf = malloc(MIN(cap, m->iter->count))))
		return -ENOBUFS;
	do {
		size_t want = MIN(m->iter->count, cap), n, off = 0;
		if (queue) {
			if (!own && !(own = fuse_buf_new(s->private, want))) {
				r = -ENOBUFS;
				break;
			}
			want = MIN(want, (size_t)own->cap);
			buf = own->data;
		}
		n = copy_from_iter(buf, want, m->iter);
		if (n < want && (!n || !stream)) {
			r = -EFAULT;
			break;
		}
		if (s->family == AF_NETLINK)
			netlink_check(buf, n);
		unsigned more = stream && m->iter->count ? MSG_MORE : 0;
		do {
			r = send_piece(s, m, buf + off, n - off, &own, ctl, ctl_len, flags | more, &deadline);
			if (r < 0)
				break;
			off += r;
			sent += r;
		} while (off < n && stream);
		if (r >= 0 && n < want)
			r = -EFAULT;
	} while (r >= 0 && m->iter->count && stream);
	if (queue)
		fuse_buf_free(s->private, own);
	else if (buf != stack)
		free(buf);
	if (sent)
		return sent;
	return r == -EPIPE && stream ? socket_sigpipe(m) : r;
}

/* FUSE_OFF: it is fused now. */
static ssize_t recv_piece(struct socket *s, struct kmsg *m, struct msghdr *h, unsigned flags, ktime_t *deadline)
{
	struct inet_sock *i = s->private;
	struct msghdr saved = *h;
	bool nonblock = m->flags & (MSG_DONTWAIT | MSG_ERRQUEUE), stream = s->type == SOCK_STREAM, plain = !h->msg_name && !h->msg_control;
	size_t asked = h->msg_iov->iov_len;
	bool by_queue = !(flags & (MSG_OOB | MSG_ERRQUEUE));
	if (!inet_fused(i) && !nonblock && s->opt.rcvlowat > 1) {
		ssize_t r = inet_watch(i);
		while (!r && !inet_fused(i) && !(inet_refresh(i) & (EPOLLIN | EPOLLERR | EPOLLHUP | EPOLLRDHUP)) && !inet_fused(i))
			r = inet_wait(i, INET_READABLE, deadline, s->rcvtimeo);
		if (r)
			return r;
	}
	for (;;) {
		ssize_t r;
		if (by_queue && inet_fused(i))
			return FUSE_OFF;
		bool polled = atomic_load_explicit(&i->polled, memory_order_acquire);
		if (!polled || nonblock || atomic_load(&i->ready) & INET_READABLE || READ_ONCE(i->notes)) {
			if (polled)
				atomic_fetch_and(&i->ready, ~(unsigned)(EPOLLIN | EPOLLPRI | INET_IN_UNKNOWN | INET_ERR_UNKNOWN));
			if (by_queue && inet_fused(i)) /* and who fused it said so before we took that back */
				return FUSE_OFF;
			if (unlikely(READ_ONCE(i->notes)) && (r = netlink_take_note(i, h, flags)) != -EAGAIN)
				return r;
			if (plain) {
				r = host_result(recv(i->fd, h->msg_iov->iov_base, asked, flags));
			} else {
				*h = saved;
				r = host_result(recvmsg(i->fd, h, flags));
			}
			if (r != -EAGAIN) {
				/* A short read of a stream has emptied it, unless it stopped at urgent data. */
				bool drained = stream && r > 0 && (size_t)r < asked && !(flags & (MSG_PEEK | MSG_OOB | MSG_ERRQUEUE)) &&
					       !(atomic_load(&i->ready) & INET_TROUBLE);
				if (polled && !drained)
					atomic_fetch_or(&i->ready, r < 0 ? INET_UNKNOWN : INET_IN_UNKNOWN);
				return r;
			}
			if (nonblock)
				return r;
			if (polled && atomic_load(&i->ready) & INET_TROUBLE) { /* readable, says the poller, but there is nothing to read: listen for news */
				if (atomic_fetch_and(&i->ready, ~(unsigned)INET_TROUBLE) & (EPOLLIN | INET_IN_UNKNOWN))
					continue;
			}
		}
		if (!polled) {
			if ((r = inet_watch(i)))
				return r;
			continue;
		}
		if ((r = inet_wait(i, INET_READABLE, deadline, s->rcvtimeo)))
			return r;
	}
}

ssize_t inet_recvmsg(struct socket *s, struct kmsg *m)
{
	uint8_t stack[BOUNCE_STACK], ctl[512], *buf = stack;
	unsigned flags = (m->flags & (MSG_PEEK | MSG_TRUNC | MSG_OOB | MSG_ERRQUEUE)) | MSG_DONTWAIT;
	bool stream = s->type == SOCK_STREAM;
	size_t cap = MIN(m->iter->count, stream ? (size_t)BOUNCE_MAX : (size_t)0x40000);
	size_t want = stream && m->flags & MSG_WAITALL && !(m->flags & (MSG_PEEK | MSG_DONTWAIT)) ? m->iter->count : 1;
	ssize_t got = 0, r;
	ktime_t deadline = 0;
	if (stream && m->flags & MSG_TRUNC && !(m->flags & MSG_PEEK))
		cap = MIN(cap, (size_t)BOUNCE_MAX);
	for (;;) {
		struct inet_sock *i = s->private;
		if (i->end && !(flags & (MSG_OOB | MSG_ERRQUEUE)) &&
		    (r = fuse_recv(s, m, MIN((size_t)FUSE_BUF_MAX, m->iter->count), flags, &deadline)) != FUSE_OFF) {
			if (r < 0)
				break;
			got += r;
			if (!r || (size_t)got >= want || !m->iter->count)
				break;
			continue;
		}
		if (cap > sizeof(stack) && buf == stack && !(buf = malloc(cap))) {
			buf = stack;
			r = -ENOBUFS;
			break;
		}
		struct iovec io = { buf, MIN(cap, m->iter->count) };
		bool want_name = (m->want_name && !stream) || m->flags & MSG_ERRQUEUE;
		struct msghdr h = { .msg_iov = &io, .msg_iovlen = 1, .msg_name = want_name ? &m->name : NULL, .msg_namelen = want_name ? sizeof(m->name) : 0,
				    .msg_control = m->control_cap ? ctl : NULL, .msg_controllen = m->control_cap ? sizeof(ctl) : 0 };
		if (!stream && !want_name && !h.msg_control) { /* a caller of recvmsg wants to know about truncation */
			h.msg_name = &m->name;
			h.msg_namelen = sizeof(m->name);
		}
		r = recv_piece(s, m, &h, flags, &deadline);
		if (r == FUSE_OFF)
			continue;
		if (r < 0)
			break;
		m->name_len = want_name ? h.msg_namelen : 0;
		m->out_flags |= h.msg_flags & (MSG_TRUNC | MSG_CTRUNC | MSG_OOB | MSG_EOR | MSG_ERRQUEUE);
		size_t n = MIN((size_t)r, io.iov_len), c = stream && flags & MSG_TRUNC ? n : copy_to_iter(buf, n, m->iter);
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
