/* SPDX-License-Identifier: Apache-2.0 */
/* sock.c: AF_UNIX sockets as objects: creation, close, poll, shutdown. See unix.h. */
#include "net/unix/unix.h"
#include "fs/anon/epoll.h"
#include <sys/ioctl.h>

struct unix_sock *unix_sock_hold(struct unix_sock *u)
{
	refcount_get(&u->ref);
	return u;
}

static bool relay_wake(struct wait_entry *e, unsigned key)
{
	struct unix_sock *u = container_of(e, struct unix_sock, relay);
	(void)key;
	wait_queue_wake_nested(&u->wait, EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND, INT32_MAX);
	return false;
}

struct unix_sock *unix_sock_new(struct net_namespace *net, int type)
{
	struct unix_sock *u = new(struct unix_sock);
	refcount_init(&u->ref);
	u->type = type;
	u->net = net;
	mutex_init(&u->lock, RANK_SOCKET);
	sleeplock_init(&u->recv_lock, RANK_EPOLL);
	TAILQ_INIT(&u->rx);
	TAILQ_INIT(&u->accept_queue);
	wait_queue_init(&u->wait);
	wait_queue_init(&u->peer_wait);
	u->relay.func = relay_wake;
	u->sndbuf = u->rcvbuf = UNIX_SNDBUF;
	mutex_lock(&net->unix_lock);
	LIST_INSERT_HEAD(&net->unix_socks, u, all_link);
	mutex_unlock(&net->unix_lock);
	return u;
}

void unix_sock_put(struct unix_sock *u)
{
	if (!refcount_put(&u->ref))
		return;
	BUG_ON(!TAILQ_EMPTY(&u->rx) || u->peer || u->inflight);
	mutex_lock(&u->net->unix_lock);
	LIST_REMOVE(u, all_link);
	mutex_unlock(&u->net->unix_lock);
	if (u->peer_pid)
		pid_put(u->peer_pid);
	if (u->peer_cred)
		cred_put(u->peer_cred);
	free(u);
}

void lock_two(struct unix_sock *a, struct unix_sock *b)
{
	if (a == b) {
		mutex_lock(&a->lock);
		return;
	}
	if (a > b) {
		struct unix_sock *x = a;
		a = b;
		b = x;
	}
	mutex_lock(&a->lock);
	mutex_lock_nested(&b->lock);
}

void unlock_two(struct unix_sock *a, struct unix_sock *b)
{
	mutex_unlock(&a->lock);
	if (a != b)
		mutex_unlock(&b->lock);
}

struct unix_sock *unix_peer_get(struct unix_sock *u)
{
	guard(mutex)(&u->lock);
	return u->peer ? unix_sock_hold(u->peer) : NULL;
}

int unix_sock_error(struct unix_sock *u)
{
	return atomic_load_explicit(&u->error, memory_order_relaxed) ? -atomic_exchange(&u->error, 0) : 0;
}

/* ---- messages ---- */

/* What Linux charges for a message beside its bytes: the bound on small messages is a bound on memory. */
#define SKB_OVERHEAD 576

struct skb *skb_new(struct unix_sock *from, size_t len)
{
	struct skb *b = malloc(sizeof(*b) + len);
	if (!b)
		return NULL;
	memset(b, 0, sizeof(*b));
	b->len = len;
	b->truesize = len + SKB_OVERHEAD;
	b->from = unix_sock_hold(from);
	atomic_fetch_add_explicit(&from->wmem, b->truesize, memory_order_relaxed);
	return b;
}

void skb_free(struct skb *b)
{
	struct unix_sock *u = b->from;
	uint32_t left = atomic_fetch_sub_explicit(&u->wmem, b->truesize, memory_order_acq_rel) - b->truesize;
	if (left * 4UL <= (unsigned)READ_ONCE(u->sndbuf))
		wait_queue_wake_all(&u->wait, EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND);
	unix_scm_free(u->net->unix_core, &b->scm);
	unix_sock_put(u);
	free(b);
}

static void skb_list_free(struct skb_list *l)
{
	struct skb *b;
	while ((b = TAILQ_FIRST(l))) {
		TAILQ_REMOVE(l, b, link);
		skb_free(b);
	}
}

/* ---- shutdown and close ---- */

static int unix_shutdown(struct socket *s, int how)
{
	struct unix_sock *u = s->private, *p;
	unsigned bits = how == SHUT_RD ? RCV_SHUTDOWN : how == SHUT_WR ? SEND_SHUTDOWN : 3, other;
	mutex_lock(&u->lock);
	u->shutdown |= bits;
	p = u->type != SOCK_DGRAM && u->peer ? unix_sock_hold(u->peer) : NULL;
	mutex_unlock(&u->lock);
	if (p) {
		other = (bits & RCV_SHUTDOWN ? SEND_SHUTDOWN : 0) | (bits & SEND_SHUTDOWN ? RCV_SHUTDOWN : 0);
		mutex_lock(&p->lock);
		p->shutdown |= other;
		other = p->shutdown;
		mutex_unlock(&p->lock);
		wait_queue_wake_all(&p->wait, EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLRDHUP | (other == 3 ? EPOLLHUP : 0));
		unix_sock_put(p);
	}
	wait_queue_wake_all(&u->wait, EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLRDHUP | EPOLLHUP);
	wait_queue_wake_all(&u->peer_wait, EPOLLOUT);
	return 0;
}

void unix_relay_off_locked(struct unix_sock *u)
{
	mutex_assert_held(&u->lock);
	if (u->relay_on)
		wait_queue_del(&u->relay_on->peer_wait, &u->relay);
	u->relay_on = NULL;
}

/* Takes the last reference that a descriptor, or a listener's queue, had. embryo: it was never accepted. */
static void unix_close(struct unix_sock *u, bool embryo)
{
	struct unix_core *core = u->net->unix_core;
	struct skb_list rx = TAILQ_HEAD_INITIALIZER(rx);
	struct unix_sock *p, *n;
	unix_unname(u);
	mutex_lock(&u->lock);
	u->dead = true;
	atomic_store(&u->state, UNIX_CLOSED);
	u->shutdown = 3;
	unix_relay_off_locked(u);
	p = u->peer;
	u->peer = NULL;
	bool unread = !TAILQ_EMPTY(&u->rx);
	TAILQ_CONCAT(&rx, &u->rx, link);
	u->rx_bytes = u->rx_count = 0;
	mutex_unlock(&u->lock);
	if (p) {
		if (u->type != SOCK_DGRAM) {
			mutex_lock(&p->lock);
			p->shutdown = 3;
			if (unread || embryo)
				atomic_store(&p->error, ECONNRESET);
			mutex_unlock(&p->lock);
			wait_queue_wake_all(&p->wait, EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLHUP | EPOLLRDHUP | EPOLLERR);
		}
		unix_sock_put(p);
	}
	skb_list_free(&rx);
	while (u->type != SOCK_DGRAM) { /* nobody will accept these */
		mutex_lock(&u->lock);
		if ((n = TAILQ_FIRST(&u->accept_queue))) {
			TAILQ_REMOVE(&u->accept_queue, n, accept_link);
			u->nqueued--;
		}
		mutex_unlock(&u->lock);
		if (!n)
			break;
		unix_close(n, true);
	}
	wait_queue_wake_all(&u->wait, EPOLLIN | EPOLLOUT | EPOLLHUP);
	wait_queue_wake_all(&u->peer_wait, EPOLLOUT);
	unix_sock_put(u);
	unix_gc_tick(core);
}

static void unix_release(struct socket *s)
{
	struct unix_sock *u = s->private;
	mutex_lock(&u->net->unix_lock);
	u->sk = NULL;
	mutex_unlock(&u->net->unix_lock);
	unix_close(u, false);
}

/* ---- poll, ioctl ---- */

/* May a datagram be sent to the peer? If not, u->wait will be woken when it may. */
static bool dgram_room_locked(struct unix_sock *u)
{
	struct unix_sock *p = u->peer;
	if (!p || !unix_dgram_full(u, p))
		return true;
	if (u->relay_on != p) {
		unix_relay_off_locked(u);
		u->relay_on = p;
		wait_queue_add(&p->peer_wait, &u->relay);
	}
	return !unix_dgram_full(u, p) || READ_ONCE(p->dead);
}

static unsigned unix_poll(struct socket *s, struct file *f, struct poll_table *pt)
{
	struct unix_sock *u = s->private;
	unsigned ev = 0;
	poll_wait(f, &u->wait, pt);
	guard(mutex)(&u->lock);
	if (u->error)
		ev |= EPOLLERR;
	if (u->shutdown == 3)
		ev |= EPOLLHUP;
	if (u->shutdown & RCV_SHUTDOWN)
		ev |= EPOLLRDHUP | EPOLLIN | EPOLLRDNORM;
	if (u->state == UNIX_LISTEN)
		return ev | (u->nqueued ? EPOLLIN | EPOLLRDNORM : 0);
	if (!TAILQ_EMPTY(&u->rx))
		ev |= EPOLLIN | EPOLLRDNORM;
	if (u->type != SOCK_DGRAM && u->state == UNIX_CLOSED)
		ev |= EPOLLHUP;
	if (atomic_load(&u->wmem) * 4UL <= (unsigned)u->sndbuf && (u->type != SOCK_DGRAM || dgram_room_locked(u)))
		ev |= EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND;
	else if (u->type == SOCK_DGRAM)
		atomic_store(&s->nospace, true);
	return ev;
}

static long unix_ioctl(struct socket *s, unsigned cmd, uint64_t arg)
{
	struct unix_sock *u = s->private;
	int v;
	switch (cmd) {
	case FIONREAD:
		mutex_lock(&u->lock);
		if (u->state == UNIX_LISTEN)
			v = -1;
		else if (u->type != SOCK_DGRAM)
			v = u->rx_bytes;
		else
			v = TAILQ_EMPTY(&u->rx) ? 0 : TAILQ_FIRST(&u->rx)->len;
		mutex_unlock(&u->lock);
		return v < 0 ? -EINVAL : put_user(v, arg);
	case TIOCOUTQ:
		v = atomic_load(&u->wmem);
		return put_user(v, arg);
	}
	return net_dev_ioctl(u->net->control_fd, cmd, arg);
}

const struct socket_ops unix_ops = {
	.bind = unix_bind,
	.connect = unix_connect,
	.listen = unix_listen,
	.accept = unix_accept,
	.getname = unix_getname,
	.sendmsg = unix_sendmsg,
	.recvmsg = unix_recvmsg,
	.shutdown = unix_shutdown,
	.setsockopt = unix_setsockopt,
	.getsockopt = unix_getsockopt,
	.poll = unix_poll,
	.ioctl = unix_ioctl,
	.release = unix_release,
	.pair = unix_pair,
};

static int unix_create(struct kernel *k, struct socket *s)
{
	struct net_namespace *net = k->net;
	if (s->protocol && s->protocol != PF_UNIX)
		return -EPROTONOSUPPORT;
	if (s->type == SOCK_RAW)
		s->type = SOCK_DGRAM;
	if (s->type != SOCK_STREAM && s->type != SOCK_DGRAM && s->type != SOCK_SEQPACKET)
		return -ESOCKTNOSUPPORT;
	unix_gc_tick(net->unix_core);
	struct unix_sock *u = unix_sock_new(net, s->type);
	s->ops = &unix_ops;
	s->private = u;
	u->sk = s;
	return 0;
}

const struct socket_family unix_family = { AF_UNIX, unix_create };

/* ---- /proc/net/unix ---- */

int unix_proc_show(struct task *t, struct strbuf *b)
{
	struct net_namespace *net = t->kernel->net;
	struct unix_sock *u;
	strbuf_puts(b, "Num       RefCount Protocol Flags    Type St Inode Path\n");
	guard(mutex)(&net->unix_lock);
	LIST_FOREACH(u, &net->unix_socks, all_link) {
		enum unix_state st = atomic_load(&u->state);
		if (READ_ONCE(u->dead))
			continue;
		strbuf_printf(b, "%016lx: %08X 00000000 %08X %04X %02X %5lu", 0UL, refcount_read(&u->ref), st == UNIX_LISTEN ? 0x10000 : 0,
			      u->type, u->sk ? (st == UNIX_CONNECTED ? 3 : 1) : 2, u->sk ? (unsigned long)u->sk->ino : 0UL);
		if (u->name_len) {
			const char *n = u->name.sun_path;
			int len = u->name_len - SUN_PATH_AT;
			strbuf_puts(b, " ");
			if (n[0])
				len--; /* the NUL */
			for (int i = 0; i < len; i++)
				strbuf_printf(b, "%c", n[i] ? n[i] : '@');
		}
		strbuf_puts(b, "\n");
	}
	return 0;
}
