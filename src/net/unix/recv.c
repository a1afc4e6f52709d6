/* SPDX-License-Identifier: Apache-2.0 */
/* recv.c: receiving on AF_UNIX sockets. */
#include "net/unix/unix.h"

static bool rx_ready(struct unix_sock *u)
{
	return READ_ONCE(u->rx_count) || READ_ONCE(u->shutdown) & RCV_SHUTDOWN || atomic_load(&u->error);
}

static bool same_writer(const struct scm *a, const struct scm *b)
{
	return a->pid == b->pid && a->uid == b->uid && a->gid == b->gid;
}

/* The credentials of b's writer, counted, and for a peek new references to its files, else the files themselves. */
static void take_scm(struct unix_sock *u, struct skb *b, struct scm *out, bool peek, bool creds)
{
	if (creds && b->scm.pid) {
		pid_get(b->scm.pid);
		out->pid = b->scm.pid;
		out->uid = b->scm.uid;
		out->gid = b->scm.gid;
	}
	if (!b->scm.files)
		return;
	if (peek) {
		out->files = unix_scm_files_dup(u->net->unix_core, b);
	} else {
		out->files = b->scm.files;
		b->scm.files = NULL;
		unix_inflight_del(u->net->unix_core, out->files);
	}
}

static struct skb *unlink_head(struct unix_sock *u, struct skb *b)
{
	mutex_lock(&u->lock);
	TAILQ_REMOVE(&u->rx, b, link);
	u->rx_count--;
	u->rx_bytes -= b->len - b->off;
	mutex_unlock(&u->lock);
	return b;
}

static ssize_t stream_recv(struct socket *s, struct kmsg *m)
{
	struct unix_sock *u = s->private;
	bool peek = m->flags & MSG_PEEK, nonblock = m->flags & MSG_DONTWAIT, have_scm = false, check = READ_ONCE(u->passcred) || READ_ONCE(u->passpidfd);
	ktime_t deadline = 0;
	size_t size = m->iter->count, skipped = 0;
	/* Who asks for no bytes waits until there are some, all the same. */
	size_t target = MAX(m->flags & MSG_WAITALL ? size : MIN((size_t)MAX(s->opt.rcvlowat, 1), size), 1UL);
	struct scm scm = { 0 };
	ssize_t got = 0;
	int r = 0;
	if (m->flags & MSG_OOB)
		return -EINVAL;
	if (atomic_load(&u->state) != UNIX_CONNECTED)
		return -EINVAL;
	sleeplock_lock(&u->recv_lock);
	while (m->iter->count || !size) {
		mutex_lock(&u->lock);
		struct skb *b = TAILQ_FIRST(&u->rx);
		size_t skip = skipped;
		while (b && skip >= b->len - b->off) { /* what a peek has seen */
			skip -= b->len - b->off;
			b = TAILQ_NEXT(b, link);
		}
		bool eof = u->shutdown & RCV_SHUTDOWN;
		mutex_unlock(&u->lock);
		if (!b) {
			if ((size_t)got >= target || (r = unix_sock_error(u)) || eof || nonblock) {
				if (!r && !eof && (size_t)got < target)
					r = -EAGAIN;
				break;
			}
			sleeplock_unlock(&u->recv_lock);
			if (!deadline)
				deadline = socket_deadline(s->rcvtimeo);
			uint32_t seen = skipped ? READ_ONCE(u->rx_count) : 0;
			r = task_wait(&u->wait, skipped ? READ_ONCE(u->rx_count) != seen || READ_ONCE(u->shutdown) & RCV_SHUTDOWN || atomic_load(&u->error)
							: rx_ready(u), deadline);
			sleeplock_lock(&u->recv_lock);
			if (r) {
				r = unix_wait_error(r, s->rcvtimeo);
				break;
			}
			continue;
		}
		if (!size || (check && have_scm && !same_writer(&scm, &b->scm)))
			break;
		/* b stays: only readers take messages away, and they need recv_lock */
		size_t avail = b->len - b->off - skip, n = copy_to_iter(b->data + b->off + skip, MIN(avail, m->iter->count), m->iter);
		if (!n) {
			r = -EFAULT;
			break;
		}
		got += n;
		bool files = b->scm.files != NULL;
		take_scm(u, b, &scm, peek, check && !have_scm);
		have_scm = true;
		if (peek) {
			skipped += n;
		} else if (n == b->len - b->off) {
			skb_free(unlink_head(u, b));
		} else {
			mutex_lock(&u->lock);
			b->off += n;
			u->rx_bytes -= n;
			mutex_unlock(&u->lock);
		}
		if (files || n < avail) /* a message with files is not glued to the next one */
			break;
	}
	sleeplock_unlock(&u->recv_lock);
	if (got)
		unix_scm_recv(u, m, &scm);
	unix_scm_free(u->net->unix_core, &scm);
	return got ? got : r;
}

static ssize_t packet_recv(struct socket *s, struct kmsg *m)
{
	struct unix_sock *u = s->private;
	bool peek = m->flags & MSG_PEEK, stream = u->type == SOCK_SEQPACKET;
	ktime_t deadline = 0;
	struct skb *b;
	int r;
	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (stream && atomic_load(&u->state) != UNIX_CONNECTED)
		return -ENOTCONN;
	for (;;) {
		sleeplock_lock(&u->recv_lock);
		if ((r = unix_sock_error(u)))
			break;
		mutex_lock(&u->lock);
		b = TAILQ_FIRST(&u->rx);
		bool eof = u->shutdown & RCV_SHUTDOWN;
		mutex_unlock(&u->lock);
		if (b)
			break;
		sleeplock_unlock(&u->recv_lock);
		if (m->flags & MSG_DONTWAIT)
			return eof && stream ? 0 : -EAGAIN;
		if (eof)
			return 0;
		if (!deadline)
			deadline = socket_deadline(s->rcvtimeo);
		r = socket_wait_exclusive(&u->wait, rx_ready(u), deadline);
		if (r)
			return unix_wait_error(r, s->rcvtimeo);
	}
	if (r) {
		sleeplock_unlock(&u->recv_lock);
		return r;
	}
	size_t len = b->len, n = MIN(len, m->iter->count);
	bool fault = copy_to_iter(b->data, n, m->iter) < n;
	struct unix_sock *from = m->want_name ? unix_sock_hold(b->from) : NULL;
	struct scm scm = { 0 };
	take_scm(u, b, &scm, peek, true);
	if (!peek)
		unlink_head(u, b);
	sleeplock_unlock(&u->recv_lock);
	if (!peek) {
		skb_free(b);
		wait_queue_wake_all(&u->peer_wait, EPOLLOUT | EPOLLWRNORM);
	}
	if (n < len)
		m->out_flags |= MSG_TRUNC;
	if (from) {
		m->name_len = unix_copy_name(from, &m->name);
		if (m->name_len == (socklen_t)SUN_PATH_AT)
			m->name_len = 0;
		unix_sock_put(from);
	}
	if (!fault)
		unix_scm_recv(u, m, &scm);
	unix_scm_free(u->net->unix_core, &scm);
	if (fault)
		return -EFAULT;
	return m->flags & MSG_TRUNC ? len : n;
}

ssize_t unix_recvmsg(struct socket *s, struct kmsg *m)
{
	return s->type == SOCK_STREAM ? stream_recv(s, m) : packet_recv(s, m);
}
