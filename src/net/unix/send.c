/* SPDX-License-Identifier: Apache-2.0 */
/* send.c: sending on AF_UNIX sockets. */
#include "net/unix/unix.h"

/* Wait until u may queue more bytes. Any room will do, but skb_free wakes only when three quarters are free, as Linux does: fewer turns. */
static int wait_wmem(struct socket *s, struct kmsg *m, struct unix_sock *p, ktime_t *deadline)
{
	struct unix_sock *u = s->private;
	if (atomic_load(&u->wmem) < (unsigned)READ_ONCE(u->sndbuf))
		return 0;
	atomic_store(&s->nospace, true);
	if (m->flags & MSG_DONTWAIT)
		return -EAGAIN;
	if (!*deadline)
		*deadline = socket_deadline(s->sndtimeo);
	int r = task_wait(&u->wait,
			  atomic_load(&u->wmem) < (unsigned)READ_ONCE(u->sndbuf) || READ_ONCE(u->shutdown) & SEND_SHUTDOWN || READ_ONCE(p->dead) ||
				  atomic_load(&u->error),
			  *deadline);
	if (!r)
		return READ_ONCE(u->shutdown) & SEND_SHUTDOWN ? -EPIPE : 0;
	return unix_wait_error(r, s->sndtimeo);
}

/* Queue b at p: 0 and b is gone, or -errno. nowait: it was checked or is not subject to a full queue. */
static int enqueue(struct unix_sock *u, struct unix_sock *p, struct skb *b, bool check_full)
{
	int r = 0;
	if (b->scm.files && (r = unix_inflight_add(u->net->unix_core, b->scm.files)))
		return r;
	mutex_lock(&p->lock);
	if (p->dead)
		r = u->type == SOCK_DGRAM ? -ECONNREFUSED : -EPIPE;
	else if (u->type == SOCK_DGRAM && p->peer && p->peer != u)
		r = -EPERM;
	else if (p->shutdown & RCV_SHUTDOWN)
		r = -EPIPE;
	else if (check_full && unix_dgram_full(u, p))
		r = -EAGAIN;
	else {
		if (!b->scm.pid && (p->passcred || p->passpidfd || u->passcred || u->passpidfd))
			unix_scm_add_creds(&b->scm);
		p->rx_bytes += b->len;
		p->rx_count++;
		TAILQ_INSERT_TAIL(&p->rx, b, link);
	}
	mutex_unlock(&p->lock);
	if (r && b->scm.files)
		unix_inflight_del(u->net->unix_core, b->scm.files);
	return r;
}

static ssize_t stream_send(struct socket *s, struct kmsg *m)
{
	struct unix_sock *u = s->private, *p;
	struct scm scm = { 0 };
	ssize_t sent = 0, r = 0;
	ktime_t deadline = 0;
	if (m->control_len && (r = unix_scm_send(u, m, &scm)))
		return r;
	enum unix_state st = atomic_load(&u->state);
	if (m->name_len) {
		r = st == UNIX_CONNECTED ? -EISCONN : -EOPNOTSUPP;
		goto out;
	}
	if (m->flags & MSG_OOB) {
		r = -EOPNOTSUPP;
		goto out;
	}
	/* a connected stream keeps its peer until it is closed, and it is open here */
	if (st != UNIX_CONNECTED || !(p = u->peer)) {
		r = -ENOTCONN;
		goto out;
	}
	if (READ_ONCE(u->shutdown) & SEND_SHUTDOWN)
		r = -EPIPE;
	while (!r && m->iter->count) {
		size_t n = MIN(m->iter->count, MIN((size_t)MAX(READ_ONCE(u->sndbuf) / 2 - 64, 1), (size_t)65536));
		if ((r = wait_wmem(s, m, p, &deadline)))
			break;
		struct skb *b = skb_new(u, n);
		if (!b) {
			r = -ENOBUFS;
			break;
		}
		size_t put = copy_from_iter(b->data, n, m->iter);
		if (!put) {
			skb_free(b);
			r = -EFAULT;
			break;
		}
		b->len = put;
		b->scm = scm; /* files go with the first piece, credentials with all */
		scm.files = NULL;
		if (scm.pid)
			pid_get(scm.pid);
		if ((r = enqueue(u, p, b, false))) {
			skb_free(b);
			break;
		}
		sent += put;
		wait_queue_wake_all(&p->wait, EPOLLIN | EPOLLRDNORM);
		if (put < n)
			r = -EFAULT;
	}
out:
	unix_scm_free(u->net->unix_core, &scm);
	if (sent)
		return sent;
	return r == -EPIPE ? socket_sigpipe(m) : r;
}

/* Datagrams and packets: whole messages, to the peer or to a name. */
static ssize_t packet_send(struct socket *s, struct kmsg *m)
{
	struct unix_sock *u = s->private, *p = NULL;
	struct scm scm = { 0 };
	struct sockaddr_un un;
	struct skb *b = NULL;
	int name_len = 0;
	ssize_t r;
	size_t n = m->iter->count;
	ktime_t deadline = 0;
	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (s->type == SOCK_SEQPACKET) {
		if ((r = unix_sock_error(u)))
			return r;
		if (atomic_load(&u->state) != UNIX_CONNECTED)
			return -ENOTCONN;
		m->name_len = 0;
	}
	if (m->control_len && (r = unix_scm_send(u, m, &scm)))
		return r;
	if (m->name_len) {
		r = name_len = unix_check_name(&m->name, m->name_len, &un);
		if (r < 0)
			goto out;
	} else if (!(p = unix_peer_get(u))) {
		r = -ENOTCONN;
		goto out;
	}
	if ((READ_ONCE(u->passcred) || READ_ONCE(u->passpidfd)) && (r = unix_autobind(u)))
		goto out;
	r = -EMSGSIZE;
	if (n > (size_t)READ_ONCE(u->sndbuf) - 32)
		goto out;
	if ((r = unix_sock_error(u)))
		goto out;
	r = -EPIPE;
	if (READ_ONCE(u->shutdown) & SEND_SHUTDOWN)
		goto out;
	if ((r = wait_wmem(s, m, u, &deadline)))
		goto out;
	r = -ENOBUFS;
	if (!(b = skb_new(u, n)))
		goto out;
	b->scm = scm;
	memset(&scm, 0, sizeof(scm));
	r = -EFAULT;
	if (copy_from_iter(b->data, n, m->iter) < n)
		goto out;
	for (;;) {
		if (!p && (r = unix_find(u->net, &un, name_len, SOCK_DGRAM, &p)))
			break;
		r = enqueue(u, p, b, u->type == SOCK_DGRAM);
		if (r == -ECONNREFUSED) { /* it was closed: a named one may have a successor, a peer is forgotten */
			bool mine = false;
			mutex_lock(&u->lock);
			if (u->peer == p) {
				mine = true;
				unix_relay_off_locked(u);
				u->peer = NULL;
				atomic_store(&u->state, UNIX_CLOSED);
			}
			mutex_unlock(&u->lock);
			if (mine) {
				unix_dgram_disconnected(u, p);
				unix_sock_put(p);
				break;
			}
			if (!name_len)
				break;
			unix_sock_put(p);
			p = NULL;
			continue;
		}
		if (r != -EAGAIN || m->flags & MSG_DONTWAIT)
			break;
		if (!deadline)
			deadline = socket_deadline(s->sndtimeo);
		r = task_wait(&p->peer_wait,
			      !unix_dgram_full(u, p) || READ_ONCE(p->dead) || READ_ONCE(p->shutdown) & RCV_SHUTDOWN || READ_ONCE(u->shutdown) & SEND_SHUTDOWN,
			      deadline);
		if (r) {
			r = unix_wait_error(r, s->sndtimeo);
			break;
		}
	}
	if (!r) {
		b = NULL;
		wait_queue_wake(&p->wait, EPOLLIN | EPOLLRDNORM);
	}
out:
	if (b)
		skb_free(b);
	unix_scm_free(u->net->unix_core, &scm);
	if (p)
		unix_sock_put(p);
	return r ? r : (ssize_t)n;
}

ssize_t unix_sendmsg(struct socket *s, struct kmsg *m)
{
	return s->type == SOCK_STREAM ? stream_send(s, m) : packet_send(s, m);
}
