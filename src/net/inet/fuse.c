/* SPDX-License-Identifier: Apache-2.0 */
/* fuse.c: TCP connections both whose ends are in this kernel: their bytes do not go through the host.
 *
 * OVERVIEW  The host makes and ends every connection; only the bytes between take a short way, from memory to memory. connect() notes
 *   the connection's four names in a table. accept() finds them there: then the two sockets are *fused*, that is, what one sends is
 *   queued at the other, and both are ready by that queue. What the client sent before that went through the host; accept() reads it
 *   from there into the queue. From then on the host's connection is idle.
 *   Whatever is more than sending and receiving (shutdown, close, reset, urgent data, timestamps) first *defuses* the connection for
 *   good: it is the host's again, which knows how all that goes, and only what is queued is read first. The host's connection has carried
 *   less, but is in the state that the guest sees: so errors, half-closed connections, names, TIME_WAIT are the host's.
 *   MSG_MORE and TCP_CORK hold what is sent back, as the host would: until there is more of it, or for 200 ms.
 * BOUNDS  A direction holds SO_SNDBUF and half of SO_RCVBUF bytes, as on the host; if all together hold FUSE_TOTAL, FUSE_POOR.
 * LIFECYCLE  A fuse_conn is counted by its two sockets, which never leave it for another.
 * LOCKS  fuse_table.lock (RANK_SOCKET) guards the table and what a socket notes for it; fuse_conn.lock (RANK_SOCKET, nested inside) the rest.
 *   fuse_end.recv_lock (sleep): only its holder takes bytes out of the queue, and copies them from there without another lock.
 *   A socket's `end` is set before `noted` is taken back: who looks at them in the other order, or under the table's lock, misses neither.
 */
#include "net/inet/inet.h"
#include <netinet/in.h>
#include <sys/ioctl.h>

#define FUSE_HASH 256
#define FUSE_BUF 4096
#define FUSE_POOL 8 /* buffers of FUSE_BUF_MAX that are kept */
#define FUSE_SNDBUF (4 << 20) /* what the host's automatic one comes to between two of its own sockets */
#define FUSE_WINDOW 65536
#define FUSE_SEGMENT 32768    /* half of the loopback's first window */
#define FUSE_CORK_NS (200 * NSEC_PER_MSEC)
#define FUSE_TOTAL (64UL << 20)
#define FUSE_POOR 65536
#define FUSE_EARLY 65536 /* a connection that has carried so much before accept() is not fused */

struct fuse_end { /* conn.lock */
	struct fuse_conn *conn; /* immutable */
	struct fuse_end *peer;	/* immutable */
	struct inet_sock *sock; /* NULL: closed */
	STAILQ_HEAD(, fuse_buf) rx;
	struct fuse_buf *spare;
	struct sleeplock recv_lock;
	size_t rx_bytes, held, window, sndbuf; /* held: of rx_bytes, not to be seen yet */
	uint64_t sent;
	struct ktimer cork;		       /* ends that */
	bool want_out; /* somebody was told that there is no room to send */
};

struct fuse_conn {
	struct refcount ref;
	struct fuse_table *table; /* immutable */
	struct mutex lock;
	_Atomic bool off; /* the host carries the bytes again; never taken back */
	struct fuse_end end[2];
};

struct fuse_table { /* of a network namespace */
	struct mutex lock;
	LIST_HEAD(, inet_sock) hash[FUSE_HASH]; /* lock */
	unsigned count;				/* lock */
	_Atomic size_t total;			/* bytes of all buffers */
	struct mutex pool_lock;			/* RANK_LEAF */
	struct fuse_buf *pool[FUSE_POOL];	/* pool_lock */
	unsigned npool;
};

struct fuse_table *fuse_table_create(void)
{
	struct fuse_table *t = new(struct fuse_table);
	mutex_init(&t->lock, RANK_SOCKET);
	mutex_init(&t->pool_lock, RANK_LEAF);
	return t;
}

bool inet_fused(struct inet_sock *i) { return i->end && !atomic_load_explicit(&i->end->conn->off, memory_order_relaxed); }

/* ---- the table ---- */

static void put_name(const struct sockaddr_storage *a, uint8_t addr[16], uint16_t *port)
{
	if (a->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)a;
		memset(addr, 0, 16);
		addr[10] = addr[11] = 0xff; /* as an IPv6 socket shows it */
		memcpy(addr + 12, &in->sin_addr, 4);
		*port = in->sin_port;
	} else {
		const struct sockaddr_in6 *in = (const void *)a;
		memcpy(addr, &in->sin6_addr, 16);
		*port = in->sin6_port;
	}
}

static unsigned hash_key(const struct fuse_key *k)
{
	uint32_t low;
	memcpy(&low, k->client + 12, sizeof(low));
	return ((k->client_port ^ low) * 0x9e3779b1U ^ k->server_port * 0x85ebca6bU) >> 16 & (FUSE_HASH - 1);
}

static void forget_locked(struct fuse_table *t, struct inet_sock *i)
{
	if (!i->noted)
		return;
	i->noted = NULL;
	LIST_REMOVE(i, fuse_link);
	t->count--;
}

void fuse_forget(struct inet_sock *i)
{
	struct fuse_table *t = i->noted;
	if (!t)
		return;
	guard(mutex)(&t->lock);
	forget_locked(t, i);
}

void fuse_note_connect(struct socket *s)
{
	struct inet_sock *i = s->private;
	struct fuse_table *t = ((struct net_namespace *)current->kernel->net)->fuse;
	struct sockaddr_storage me, peer;
	socklen_t me_len = sizeof(me), peer_len = sizeof(peer);
	if (s->type != SOCK_STREAM || i->no_fuse || i->noted || i->end)
		return;
	/* It is not connected yet: the listener's queue is full, or it is far away. */
	if (getpeername(i->fd, (struct sockaddr *)&peer, &peer_len) || getsockname(i->fd, (struct sockaddr *)&me, &me_len))
		return;
	memset(&i->fuse_key, 0, sizeof(i->fuse_key));
	put_name(&me, i->fuse_key.client, &i->fuse_key.client_port);
	put_name(&peer, i->fuse_key.server, &i->fuse_key.server_port);
	i->host_sent = 0;
	guard(mutex)(&t->lock);
	i->noted = t;
	LIST_INSERT_HEAD(&t->hash[hash_key(&i->fuse_key)], i, fuse_link);
	t->count++;
}

/* Through the host, and noted, in one: accept() looks how much it was. FUSE_OFF: it is noted no more; or -errno. */
ssize_t fuse_send_noted(struct inet_sock *i, const void *buf, size_t n, unsigned flags)
{
	struct fuse_table *t = ((struct net_namespace *)current->kernel->net)->fuse;
	guard(mutex)(&t->lock);
	if (!i->noted)
		return FUSE_OFF;
	ssize_t r = host_result(send(i->fd, buf, n, flags));
	if (r > 0)
		i->host_sent += r;
	if (i->host_sent > FUSE_EARLY || flags & MSG_OOB)
		forget_locked(t, i);
	return r;
}

/* ---- buffers ---- */

static struct fuse_buf *buf_new(struct fuse_table *t, size_t n)
{
	struct fuse_buf *b = NULL;
	size_t cap = n <= FUSE_BUF ? FUSE_BUF : n <= FUSE_BUF_MAX / 4 ? n : FUSE_BUF_MAX;
	if (cap == FUSE_BUF_MAX) {
		mutex_lock(&t->pool_lock);
		if (t->npool)
			b = t->pool[--t->npool];
		mutex_unlock(&t->pool_lock);
	}
	if (!b && !(b = malloc(sizeof(*b) + cap)))
		return NULL;
	b->off = b->len = 0;
	b->cap = cap;
	atomic_fetch_add_explicit(&t->total, cap, memory_order_relaxed);
	return b;
}

static void buf_put(struct fuse_table *t, struct fuse_buf *b)
{
	atomic_fetch_sub_explicit(&t->total, b->cap, memory_order_relaxed);
	if (b->cap == FUSE_BUF_MAX) {
		guard(mutex)(&t->pool_lock);
		if (t->npool < FUSE_POOL) {
			t->pool[t->npool++] = b;
			return;
		}
	}
	free(b);
}

static void buf_free(struct fuse_end *e, struct fuse_buf *b) { buf_put(e->conn->table, b); }
struct fuse_buf *fuse_buf_new(struct inet_sock *i, size_t n) { return buf_new(i->end->conn->table, n); }

void fuse_buf_free(struct inet_sock *i, struct fuse_buf *b)
{
	if (b)
		buf_put(i->end->conn->table, b);
}

/* To the end of e's queue: how much of it, less only if there is no memory. */
static size_t append_locked(struct fuse_end *e, const uint8_t *data, size_t n)
{
	size_t done = 0;
	while (done < n) {
		struct fuse_buf *b = STAILQ_LAST(&e->rx, fuse_buf, link);
		if (!b || b->len == b->cap) {
			if (e->spare && n - done <= FUSE_BUF) {
				b = e->spare;
				e->spare = NULL;
				b->off = b->len = 0;
			} else if (!(b = buf_new(e->conn->table, n - done))) {
				break;
			}
			STAILQ_INSERT_TAIL(&e->rx, b, link);
		}
		size_t k = MIN(n - done, (size_t)(b->cap - b->len));
		memcpy(b->data + b->len, data + done, k);
		b->len += k;
		done += k;
	}
	WRITE_ONCE(e->rx_bytes, e->rx_bytes + done);
	return done;
}

static void consume_locked(struct fuse_end *e, size_t n)
{
	struct fuse_buf *b;
	WRITE_ONCE(e->rx_bytes, e->rx_bytes - n);
	while ((b = STAILQ_FIRST(&e->rx))) {
		size_t k = MIN(n, (size_t)(b->len - b->off));
		b->off += k;
		n -= k;
		if (b->off < b->len)
			break;
		STAILQ_REMOVE_HEAD(&e->rx, link);
		if (!e->spare && b->cap == FUSE_BUF)
			e->spare = b;
		else
			buf_free(e, b);
	}
}

static void drop_locked(struct fuse_end *e)
{
	struct fuse_buf *b;
	while ((b = STAILQ_FIRST(&e->rx))) {
		STAILQ_REMOVE_HEAD(&e->rx, link);
		buf_free(e, b);
	}
	WRITE_ONCE(e->rx_bytes, 0);
	WRITE_ONCE(e->held, 0);
	if (e->spare)
		buf_free(e, e->spare);
	e->spare = NULL;
}

static size_t visible(const struct fuse_end *e) { return READ_ONCE(e->rx_bytes) - READ_ONCE(e->held); }

static void show_locked(struct fuse_end *e)
{
	if (!e->held)
		return;
	WRITE_ONCE(e->held, 0);
	if (e->sock && wait_queue_active(&e->sock->wait))
		wait_queue_wake_all(&e->sock->wait, EPOLLIN | EPOLLRDNORM);
}

static void cork_timeout(struct ktimer *t)
{
	struct fuse_end *e = container_of(t, struct fuse_end, cork);
	guard(mutex)(&e->conn->lock);
	show_locked(e);
}

void fuse_uncork(struct inet_sock *i)
{
	if (!i->end)
		return;
	guard(mutex)(&i->end->conn->lock);
	show_locked(i->end->peer);
}

/* ---- room: a byte that does not fit the receiver's window is charged to the sender ---- */

static size_t charged(const struct fuse_end *e)
{
	const struct fuse_end *to = e->peer;
	size_t n = READ_ONCE(to->rx_bytes), window = READ_ONCE(to->window);
	return n > window ? n - window : 0;
}

static size_t limit(const struct fuse_end *e)
{
	return atomic_load_explicit(&e->conn->table->total, memory_order_relaxed) > FUSE_TOTAL ? MIN(READ_ONCE(e->sndbuf), (size_t)FUSE_POOR) : READ_ONCE(e->sndbuf);
}

static size_t room(const struct fuse_end *e)
{
	const struct fuse_end *to = e->peer;
	size_t most = limit(e) + to->window;
	return to->rx_bytes < most ? most - to->rx_bytes : 0;
}

/* For how much a reader waits at most: what its peer can send. */
static size_t lowat(const struct socket *s, const struct fuse_end *e)
{
	return MIN((size_t)MAX(READ_ONCE(s->opt.rcvlowat), 1), READ_ONCE(e->window) + limit(e->peer) / 2);
}

/* As the host's sockets: a third is free. */
static bool writable(const struct fuse_end *e) { return charged(e) <= limit(e) / 3 * 2; }

static void set_bounds(struct fuse_end *e)
{
	struct inet_sock *i = e->sock;
	int v = 0;
	socklen_t len = sizeof(v);
	size_t sndbuf = i->sndbuf_set && !getsockopt(i->fd, SOL_SOCKET, SO_SNDBUF, &v, &len) && v > 0 ? (size_t)v : FUSE_SNDBUF;
	size_t window = i->rcvbuf_set && !getsockopt(i->fd, SOL_SOCKET, SO_RCVBUF, &v, &len) && v > 1 ? (size_t)v / 2 : FUSE_WINDOW;
	WRITE_ONCE(e->sndbuf, sndbuf);
	WRITE_ONCE(e->window, window);
}

/* ---- fusing and defusing ---- */

static void init_end(struct fuse_conn *c, int n, struct inet_sock *i)
{
	struct fuse_end *e = &c->end[n];
	e->conn = c;
	e->peer = &c->end[!n];
	e->sock = i;
	STAILQ_INIT(&e->rx);
	sleeplock_init(&e->recv_lock, RANK_EPOLL);
	ktimer_init(&e->cork, current->kernel->sched, cork_timeout);
	set_bounds(e);
}

/* Sleepers look again what the socket is; nobody who polls takes this for news. */
static void stir(struct inet_sock *i)
{
	inet_forget(i);
	if (wait_queue_active(&i->wait))
		wait_queue_wake_all(&i->wait, EPOLLMSG);
}

void fuse_accept(struct socket *s, const struct sockaddr_storage *peer)
{
	struct inet_sock *i = s->private, *client;
	struct fuse_table *t = ((struct net_namespace *)current->kernel->net)->fuse;
	struct sockaddr_storage me;
	socklen_t len = sizeof(me);
	struct fuse_key k = { 0 };
	uint8_t buf[4096];
	if (s->type != SOCK_STREAM || i->no_fuse || !READ_ONCE(t->count) || getsockname(i->fd, (struct sockaddr *)&me, &len))
		return;
	put_name(peer, k.client, &k.client_port);
	put_name(&me, k.server, &k.server_port);
	guard(mutex)(&t->lock);
	LIST_FOREACH(client, &t->hash[hash_key(&k)], fuse_link)
		if (!memcmp(&client->fuse_key, &k, sizeof(k)))
			break;
	if (!client)
		return;
	len = sizeof(me);
	/* Else what it noted is over, and these names are another connection's. */
	struct fuse_conn *c = getpeername(client->fd, (struct sockaddr *)&me, &len) ? NULL : kzalloc(sizeof(*c));
	if (!c) {
		forget_locked(t, client);
		return;
	}
	c->table = t;
	refcount_init(&c->ref);
	refcount_get(&c->ref);
	mutex_init(&c->lock, RANK_SOCKET);
	mutex_lock_nested(&c->lock);
	init_end(c, 0, client);
	init_end(c, 1, i);
	for (size_t left = client->host_sent; left;) {
		ssize_t r = recv(i->fd, buf, MIN(left, sizeof(buf)), MSG_DONTWAIT);
		if (r <= 0 || append_locked(&c->end[1], buf, r) < (size_t)r) { /* it has not arrived: let the host go on */
			atomic_store(&c->off, true);
			break;
		}
		left -= r;
	}
	i->end = &c->end[1];
	client->end = &c->end[0];
	forget_locked(t, client);
	stir(client); /* its release waits for the lock */
	mutex_unlock(&c->lock);
}

void fuse_defuse(struct inet_sock *i)
{
	struct fuse_conn *c = i->end ? i->end->conn : NULL;
	if (!c || atomic_load(&c->off))
		return;
	mutex_lock(&c->lock);
	atomic_store(&c->off, true);
	for (int n = 0; n < 2; n++) {
		show_locked(&c->end[n]);
		if (c->end[n].sock)
			stir(c->end[n].sock);
	}
	for (int n = 0; n < 2; n++) /* those who poll hear from the host again */
		if (c->end[n].sock && wait_queue_active(&c->end[n].sock->wait))
			(void)inet_watch(c->end[n].sock);
	mutex_unlock(&c->lock);
	sched_expect_host();
}

/* Before the host's socket is closed, or disconnected, which is always a reset. */
void fuse_close(struct inet_sock *i, bool disconnect)
{
	fuse_forget(i);
	struct fuse_end *e = i->end;
	struct fuse_conn *c;
	if (!e)
		return;
	c = e->conn;
	fuse_defuse(i);
	if (disconnect)
		sleeplock_lock(&e->recv_lock);
	mutex_lock(&c->lock);
	if (e->rx_bytes && !disconnect) { /* unread data: a reset */
		struct linger l = { 1, 0 };
		setsockopt(i->fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	}
	drop_locked(e);
	mutex_unlock(&c->lock);
	if (disconnect)
		sleeplock_unlock(&e->recv_lock);
}

void fuse_release(struct inet_sock *i)
{
	fuse_close(i, false);
	struct fuse_end *e = i->end;
	struct fuse_conn *c;
	if (!e)
		return;
	c = e->conn;
	mutex_lock(&c->lock);
	e->sock = NULL;
	i->end = NULL;
	mutex_unlock(&c->lock);
	if (!refcount_put(&c->ref))
		return;
	for (int n = 0; n < 2; n++)
		ktimer_cancel_sync(&c->end[n].cork);
	free(c);
}

/* ---- sending and receiving ---- */

/* own: if buf lies in *own, that may be taken over instead of copied. */
ssize_t fuse_push(struct socket *s, struct kmsg *m, const void *buf, size_t n, struct fuse_buf **own, ktime_t *deadline)
{
	struct inet_sock *i = s->private;
	struct fuse_end *e = i->end, *to = e->peer;
	struct fuse_conn *c = e->conn;
	bool hold = m->flags & MSG_MORE || i->corked;
	for (;;) {
		mutex_lock(&c->lock);
		if (c->off) {
			mutex_unlock(&c->lock);
			return FUSE_OFF;
		}
		size_t free = room(e), k;
		if (free || !n) {
			if (own && *own && free >= n) {
				(*own)->off = (const uint8_t *)buf - (*own)->data;
				(*own)->len = (*own)->off + n;
				STAILQ_INSERT_TAIL(&to->rx, *own, link);
				k = n;
				WRITE_ONCE(to->rx_bytes, to->rx_bytes + k);
				*own = NULL;
			} else {
				k = append_locked(to, buf, MIN(n, free));
			}
			e->sent += k;
			if (unlikely(hold)) {
				if (!to->held)
					ktimer_start(&to->cork, ktime_mono() + FUSE_CORK_NS);
				WRITE_ONCE(to->held, to->held + k < FUSE_SEGMENT ? to->held + k : 0);
			} else {
				WRITE_ONCE(to->held, 0);
			}
			if (visible(to) && wait_queue_active(&to->sock->wait))
				wait_queue_wake_all(&to->sock->wait, EPOLLIN | EPOLLRDNORM);
			mutex_unlock(&c->lock);
			return k || !n ? (ssize_t)k : -ENOBUFS;
		}
		e->want_out = true;
		show_locked(to);
		mutex_unlock(&c->lock);
		if (m->flags & MSG_DONTWAIT)
			return -EAGAIN;
		if (!*deadline)
			*deadline = socket_deadline(s->sndtimeo);
		int r = inet_wait_error(task_wait(&i->wait, READ_ONCE(c->off) || writable(e), *deadline), s->sndtimeo);
		if (r)
			return r;
	}
}

/* The first n bytes of the queue, which are there: how many could be copied. */
static size_t copy_out(struct fuse_end *e, struct iov_iter *to, size_t n, bool discard)
{
	struct fuse_buf *b;
	size_t done = 0;
	for (b = STAILQ_FIRST(&e->rx); done < n; b = STAILQ_NEXT(b, link)) {
		size_t k = MIN(n - done, (size_t)(b->len - b->off)), c = discard ? k : copy_to_iter(b->data + b->off, k, to);
		done += c;
		if (c < k)
			break;
	}
	return done;
}

/* What the host has behind what was queued, without taking an end or an error away. */
static size_t recv_behind(struct inet_sock *i, struct iov_iter *to, size_t n, unsigned flags)
{
	uint8_t buf[2048];
	size_t done = 0;
	int there;
	while (done < n && !ioctl(i->fd, FIONREAD, &there) && there > 0) {
		ssize_t r = recv(i->fd, buf, MIN(n - done, sizeof(buf)), flags);
		if (r > 0)
			done += flags & MSG_TRUNC ? (size_t)r : copy_to_iter(buf, r, to);
		if (r <= 0 || flags & MSG_PEEK)
			break;
	}
	return done;
}

ssize_t fuse_recv(struct socket *s, struct kmsg *m, size_t n, unsigned flags, ktime_t *deadline)
{
	struct inet_sock *i = s->private;
	struct fuse_end *e = i->end, *from = e->peer;
	struct fuse_conn *c = e->conn;
	bool wait = !(m->flags & MSG_DONTWAIT);
	if (c->off && !READ_ONCE(e->rx_bytes))
		return FUSE_OFF;
	for (;;) {
		size_t least = wait ? MAX(MIN(lowat(s, e), n), (size_t)1) : 1;
		sleeplock_lock(&e->recv_lock);
		mutex_lock(&c->lock);
		bool off = c->off;
		size_t there = visible(e), k = MIN(n, there);
		mutex_unlock(&c->lock);
		if (there >= least || (off && there)) {
			size_t done = copy_out(e, m->iter, k, flags & MSG_TRUNC);
			mutex_lock(&c->lock);
			if (!(flags & MSG_PEEK))
				consume_locked(e, done);
			if (from->want_out && from->sock && writable(from)) {
				from->want_out = false;
				if (wait_queue_active(&from->sock->wait))
					wait_queue_wake_all(&from->sock->wait, EPOLLOUT | EPOLLWRNORM);
			}
			mutex_unlock(&c->lock);
			sleeplock_unlock(&e->recv_lock);
			if (done < k)
				return done ? (ssize_t)done : -EFAULT;
			return off && k < n ? done + recv_behind(i, m->iter, n - k, flags) : done;
		}
		sleeplock_unlock(&e->recv_lock);
		if (off)
			return FUSE_OFF;
		if (!wait)
			return -EAGAIN;
		if (!*deadline)
			*deadline = socket_deadline(s->rcvtimeo);
		int r = inet_wait_error(task_wait(&i->wait, READ_ONCE(c->off) || visible(e) >= least, *deadline), s->rcvtimeo);
		if (r)
			return r;
	}
}

/* ---- what else is asked ---- */

/* Of a fused socket: all. Of one that was: what is queued, beside what the host says. */
unsigned fuse_poll(struct socket *s)
{
	struct inet_sock *i = s->private;
	struct fuse_end *e = i->end;
	unsigned ev = 0;
	guard(mutex)(&e->conn->lock);
	if (visible(e) && (e->conn->off || visible(e) >= lowat(s, e)))
		ev |= EPOLLIN | EPOLLRDNORM;
	if (e->conn->off)
		return ev;
	if (writable(e))
		ev |= EPOLLOUT | EPOLLWRNORM;
	else
		e->want_out = true;
	return ev;
}

size_t fuse_unread(struct inet_sock *i) { return i->end ? visible(i->end) : 0; }

size_t fuse_unsent(struct inet_sock *i)
{
	if (!i->end)
		return 0;
	guard(mutex)(&i->end->conn->lock);
	return charged(i->end);
}

/* For TCP_INFO: what the host did not count. */
void fuse_counts(struct inet_sock *i, uint64_t *sent, uint64_t *received)
{
	guard(mutex)(&i->end->conn->lock);
	*sent = i->end->sent;
	*received = i->end->peer->sent;
}

void fuse_bounds_changed(struct inet_sock *i)
{
	if (!i->end)
		return;
	guard(mutex)(&i->end->conn->lock);
	set_bounds(i->end);
}
