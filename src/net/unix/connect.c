/* SPDX-License-Identifier: Apache-2.0 */
/* connect.c: AF_UNIX connections: pair, listen, accept, connect. */
#include "net/unix/unix.h"

/* What the other side learns of the running process. */
static void set_peercred(struct unix_sock *u, struct pid *pid, struct cred *cred)
{
	struct pid *old_pid = u->peer_pid;
	struct cred *old_cred = u->peer_cred;
	if (pid)
		pid_get(pid);
	u->peer_pid = pid;
	u->peer_cred = cred ? cred_get(cred) : NULL;
	if (old_pid)
		pid_put(old_pid);
	if (old_cred)
		cred_put(old_cred);
}

static void make_pair(struct unix_sock *a, struct unix_sock *b)
{
	a->peer = unix_sock_hold(b);
	b->peer = unix_sock_hold(a);
	atomic_store(&a->state, UNIX_CONNECTED);
	atomic_store(&b->state, UNIX_CONNECTED);
}

int unix_pair(struct socket *a, struct socket *b)
{
	struct unix_sock *x = a->private, *y = b->private;
	make_pair(x, y);
	set_peercred(x, current->tg->pid, current->cred);
	set_peercred(y, current->tg->pid, current->cred);
	return 0;
}

int unix_listen(struct socket *s, int backlog)
{
	struct unix_sock *u = s->private;
	int r = 0;
	if (u->type == SOCK_DGRAM)
		return -EOPNOTSUPP;
	if (!READ_ONCE(u->name_len))
		return -EINVAL;
	mutex_lock(&u->lock);
	if (u->state == UNIX_CONNECTED) {
		r = -EINVAL;
	} else {
		u->backlog = backlog;
		set_peercred(u, current->tg->pid, current->cred);
		atomic_store(&u->state, UNIX_LISTEN);
	}
	mutex_unlock(&u->lock);
	if (!r)
		wait_queue_wake_all(&u->peer_wait, EPOLLOUT);
	return r;
}

int unix_accept(struct socket *s, bool nonblock, struct socket **out)
{
	struct unix_sock *u = s->private, *n = NULL;
	ktime_t deadline = socket_deadline(s->rcvtimeo);
	if (u->type == SOCK_DGRAM)
		return -EOPNOTSUPP;
	for (;;) {
		mutex_lock(&u->lock);
		int r = 0;
		if (u->state != UNIX_LISTEN)
			r = -EINVAL;
		else if ((n = TAILQ_FIRST(&u->accept_queue))) {
			TAILQ_REMOVE(&u->accept_queue, n, accept_link);
			u->nqueued--;
		} else if (u->shutdown & RCV_SHUTDOWN)
			r = -EINVAL;
		mutex_unlock(&u->lock);
		if (r)
			return r;
		if (n)
			break;
		if (nonblock)
			return -EAGAIN;
		r = socket_wait_exclusive(&u->wait, READ_ONCE(u->nqueued) || READ_ONCE(u->shutdown) & RCV_SHUTDOWN, deadline);
		if (r)
			return unix_wait_error(r, s->rcvtimeo);
	}
	wait_queue_wake_all(&u->peer_wait, EPOLLOUT);
	struct socket *ns = socket_new(AF_UNIX, u->type, 0);
	ns->ops = s->ops;
	ns->private = n; /* the queue's reference */
	mutex_lock(&u->net->unix_lock);
	n->sk = ns;
	mutex_unlock(&u->net->unix_lock);
	*out = ns;
	return 0;
}

static int stream_connect(struct socket *s, const struct sockaddr_un *un, int len, bool nonblock)
{
	struct unix_sock *u = s->private, *l, *n;
	ktime_t deadline = socket_deadline(s->sndtimeo);
	int r;
	if ((READ_ONCE(u->passcred) || READ_ONCE(u->passpidfd)) && (r = unix_autobind(u)))
		return r;
	for (;;) {
		if ((r = unix_find(u->net, un, len, u->type, &l)))
			return r;
		n = unix_sock_new(u->net, u->type);
		lock_two(u, l);
		if (l->state != UNIX_LISTEN || l->dead || l->shutdown & RCV_SHUTDOWN)
			r = -ECONNREFUSED;
		else if (l->nqueued > l->backlog)
			r = -EAGAIN;
		else if (u->state == UNIX_CONNECTED)
			r = -EISCONN;
		else if (u->state != UNIX_CLOSED || u->dead)
			r = -EINVAL;
		else {
			u->shutdown = 0;
			make_pair(u, n);
			n->passcred = l->passcred;
			n->passpidfd = l->passpidfd;
			set_peercred(n, current->tg->pid, current->cred);
			set_peercred(u, l->peer_pid, l->peer_cred);
			mutex_lock(&u->net->unix_lock);
			n->name = l->name; /* the server's end answers to the listener's name */
			n->name_len = l->name_len;
			mutex_unlock(&u->net->unix_lock);
			TAILQ_INSERT_TAIL(&l->accept_queue, n, accept_link);
			l->nqueued++;
		}
		unlock_two(u, l);
		if (!r) {
			wait_queue_wake(&l->wait, EPOLLIN | EPOLLRDNORM);
			unix_sock_put(l);
			return 0;
		}
		unix_sock_put(n);
		if (r == -EAGAIN && !nonblock)
			r = task_wait(&l->peer_wait, READ_ONCE(l->nqueued) <= READ_ONCE(l->backlog) || READ_ONCE(l->dead) || READ_ONCE(l->shutdown),
				      deadline);
		else
			deadline = 0;
		unix_sock_put(l);
		if (r || !deadline)
			return unix_wait_error(r, s->sndtimeo);
	}
}

/* u and other were peers and are no more: what u still has to read came from somebody else's conversation. */
void unix_dgram_disconnected(struct unix_sock *u, struct unix_sock *other)
{
	struct skb_list rx = TAILQ_HEAD_INITIALIZER(rx);
	struct skb *b;
	bool reset = false;
	sleeplock_lock(&u->recv_lock);
	mutex_lock(&u->lock);
	TAILQ_CONCAT(&rx, &u->rx, link);
	u->rx_bytes = u->rx_count = 0;
	mutex_unlock(&u->lock);
	sleeplock_unlock(&u->recv_lock);
	bool had = !TAILQ_EMPTY(&rx);
	while ((b = TAILQ_FIRST(&rx))) {
		TAILQ_REMOVE(&rx, b, link);
		skb_free(b);
	}
	if (had) {
		wait_queue_wake_all(&u->peer_wait, EPOLLOUT);
		mutex_lock(&other->lock); /* it is told if its messages were lost */
		reset = !other->dead && other->peer == u;
		if (reset)
			atomic_store(&other->error, ECONNRESET);
		mutex_unlock(&other->lock);
		if (reset)
			wait_queue_wake_all(&other->wait, EPOLLERR | EPOLLIN | EPOLLOUT);
	}
}

static int dgram_connect(struct socket *s, const struct sockaddr_storage *a, socklen_t alen)
{
	struct unix_sock *u = s->private, *p = NULL, *old;
	struct sockaddr_un un;
	int r;
	if (a->ss_family != AF_UNSPEC) {
		int len = unix_check_name(a, alen, &un);
		if (len < 0)
			return len;
		if ((READ_ONCE(u->passcred) || READ_ONCE(u->passpidfd)) && (r = unix_autobind(u)))
			return r;
		if ((r = unix_find(u->net, &un, len, u->type, &p)))
			return r;
		lock_two(u, p);
		/* only the peer that it is connected to may send to a connected socket */
		r = p->dead ? -ECONNREFUSED : p->peer && p->peer != u ? -EPERM : 0;
		if (r) {
			unlock_two(u, p);
			unix_sock_put(p);
			return r;
		}
	} else {
		mutex_lock(&u->lock);
	}
	unix_relay_off_locked(u);
	old = u->peer;
	u->peer = p;
	atomic_store(&u->state, p ? UNIX_CONNECTED : UNIX_CLOSED);
	if (p)
		unlock_two(u, p);
	else
		mutex_unlock(&u->lock);
	if (old) {
		wait_queue_wake_all(&u->wait, EPOLLOUT);
		if (old != p)
			unix_dgram_disconnected(u, old);
		unix_sock_put(old);
	}
	return 0;
}

int unix_connect(struct socket *s, const struct sockaddr_storage *a, socklen_t alen, bool nonblock)
{
	struct sockaddr_un un;
	if (alen < sizeof(sa_family_t))
		return -EINVAL;
	if (s->type == SOCK_DGRAM)
		return dgram_connect(s, a, alen);
	int len = unix_check_name(a, alen, &un);
	return len < 0 ? len : stream_connect(s, &un, len, nonblock);
}
