/* SPDX-License-Identifier: Apache-2.0 */
/* gc.c: files in flight, and the collection of sockets that only messages refer to.
 *
 * OVERVIEW  A file in a message is counted by the message. A socket whose file is only referred to by messages in queues of sockets of the
 *   same kind cannot be reached by anybody, but its count never falls to zero. Each socket counts how often it is in flight (`inflight`).
 *   The collector takes the sockets with as many references as flights, looks into their queues, and finds those to which only such queues
 *   refer; the messages with files of the rest are thrown away, which closes them.
 * Why it is right: a file is counted as in flight before it is in a queue and until after it has left it, so what is on its way in or out
 *   has fewer appearances in queues than flights and is kept. A peek makes new references to what is in a queue: under gc_lock, so
 *   that it falls before or after a collection, by when the peeked socket, which the reader holds, is known to be reachable.
 * Cost: a collection looks at all sockets in flight; it is due after a number of events in proportion to them.
 * LOCKS  gc_lock is outside the sockets' locks. drain_lock is a leaf.
 */
#include "net/unix/unix.h"
#include <sys/resource.h>

struct unix_user { /* files in flight per user: no more than RLIMIT_NOFILE, as they are outside every table */
	LIST_ENTRY(unix_user) link;
	kuid_t uid;
	unsigned count;
};
struct drain { /* a fiber that is putting files */
	LIST_ENTRY(drain) link;
	struct fiber *fiber;
	struct scm_files *todo;
};
struct unix_core {
	struct mutex gc_lock; /* guards inflight, users, total */
	LIST_HEAD(, unix_sock) inflight;
	LIST_HEAD(, unix_user) users;
	unsigned total; /* appearances of sockets in messages */
	_Atomic unsigned any, ticks;
	struct mutex drain_lock;
	LIST_HEAD(, drain) drains;
};

struct unix_core *unix_core_create(void)
{
	struct unix_core *c = new(struct unix_core);
	mutex_init(&c->gc_lock, RANK_SOCKET);
	mutex_init(&c->drain_lock, RANK_LEAF);
	return c;
}

void unix_gc_barrier_lock(struct unix_core *c) { mutex_lock(&c->gc_lock); }
void unix_gc_barrier_unlock(struct unix_core *c) { mutex_unlock(&c->gc_lock); }

static struct unix_sock *file_unix(struct file *f)
{
	struct socket *s = file_socket(f);
	return s && s->family == AF_UNIX ? s->private : NULL;
}

int unix_inflight_add(struct unix_core *c, struct scm_files *fs)
{
	kuid_t uid = current->cred->uid;
	struct unix_user *user;
	uint64_t limit = task_rlimit(current, RLIMIT_NOFILE);
	bool privileged = cred_has_cap(current->cred, CAP_SYS_RESOURCE_) || cred_has_cap(current->cred, CAP_SYS_ADMIN_);
	guard(mutex)(&c->gc_lock);
	LIST_FOREACH(user, &c->users, link)
		if (user->uid == uid)
			break;
	if (user && user->count > limit && !privileged)
		return -ETOOMANYREFS;
	if (!user) {
		user = new(struct unix_user);
		user->uid = uid;
		LIST_INSERT_HEAD(&c->users, user, link);
	}
	user->count += fs->n;
	fs->user = user;
	for (unsigned i = 0; i < fs->n; i++) {
		struct unix_sock *u = file_unix(fs->f[i]);
		if (!u)
			continue;
		if (!u->inflight++) {
			u->gc_file = fs->f[i];
			LIST_INSERT_HEAD(&c->inflight, u, inflight_link);
		}
		c->total++;
	}
	atomic_store(&c->any, c->total);
	return 0;
}

static void inflight_del_locked(struct unix_core *c, struct scm_files *fs)
{
	struct unix_user *user = fs->user;
	if (!user)
		return;
	fs->user = NULL;
	BUG_ON(user->count < fs->n);
	user->count -= fs->n;
	if (!user->count) {
		LIST_REMOVE(user, link);
		free(user);
	}
	for (unsigned i = 0; i < fs->n; i++) {
		struct unix_sock *u = file_unix(fs->f[i]);
		if (!u)
			continue;
		BUG_ON(!u->inflight);
		if (!--u->inflight)
			LIST_REMOVE(u, inflight_link);
		c->total--;
	}
	atomic_store(&c->any, c->total);
}

void unix_inflight_del(struct unix_core *c, struct scm_files *fs)
{
	guard(mutex)(&c->gc_lock);
	inflight_del_locked(c, fs);
}

/* A file may be a socket with messages with files in turn, and so on: unrolled, as stacks are small. */
void unix_files_free(struct unix_core *c, struct scm_files *fs)
{
	struct drain *d, self = { .fiber = fiber_self() };
	if (fs->user)
		unix_inflight_del(c, fs);
	mutex_lock(&c->drain_lock);
	LIST_FOREACH(d, &c->drains, link)
		if (d->fiber == self.fiber) {
			fs->next = d->todo;
			d->todo = fs;
			mutex_unlock(&c->drain_lock);
			return;
		}
	LIST_INSERT_HEAD(&c->drains, &self, link);
	mutex_unlock(&c->drain_lock);
	for (;;) {
		for (unsigned i = 0; i < fs->n; i++)
			file_put(fs->f[i]);
		free(fs);
		mutex_lock(&c->drain_lock);
		fs = self.todo;
		if (!fs) {
			LIST_REMOVE(&self, link);
			mutex_unlock(&c->drain_lock);
			return;
		}
		self.todo = fs->next;
		mutex_unlock(&c->drain_lock);
	}
}

/* ---- the collector: gc_lock held ---- */

static void visit_queue(struct unix_sock *u, void (*fn)(struct unix_sock *, void *), void *arg)
{
	struct unix_sock *n;
	struct skb *b;
	mutex_lock_nested(&u->lock);
	TAILQ_FOREACH(b, &u->rx, link)
		for (unsigned i = 0; b->scm.files && i < b->scm.files->n; i++) {
			struct unix_sock *v = file_unix(b->scm.files->f[i]);
			if (v && v->gc_candidate)
				fn(v, arg);
		}
	if (u->state == UNIX_LISTEN)
		TAILQ_FOREACH(n, &u->accept_queue, accept_link)
			visit_queue(n, fn, arg); /* these are not listeners: one level */
	mutex_unlock(&u->lock);
}

static void count_down(struct unix_sock *v, void *arg)
{
	(void)arg;
	if (v->gc_refs)
		v->gc_refs--;
}

static void mark_live(struct unix_sock *v, void *arg)
{
	struct unix_sock **live = arg;
	v->gc_candidate = false;
	v->gc_next = *live;
	*live = v;
}

/* Messages with files, out of a queue that nobody can read. */
static void take_messages(struct unix_core *c, struct unix_sock *u, struct skb_list *out)
{
	struct unix_sock *n;
	struct skb *b, *next;
	mutex_lock_nested(&u->lock);
	TAILQ_FOREACH_SAFE(b, &u->rx, link, next)
		if (b->scm.files) {
			TAILQ_REMOVE(&u->rx, b, link);
			u->rx_count--;
			u->rx_bytes -= b->len - b->off;
			inflight_del_locked(c, b->scm.files);
			TAILQ_INSERT_TAIL(out, b, link);
		}
	if (u->state == UNIX_LISTEN)
		TAILQ_FOREACH(n, &u->accept_queue, accept_link)
			take_messages(c, n, out);
	mutex_unlock(&u->lock);
}

static void collect(struct unix_core *c)
{
	struct skb_list dead = TAILQ_HEAD_INITIALIZER(dead);
	struct unix_sock *u, *live = NULL, *garbage = NULL;
	struct skb *b;
	mutex_lock(&c->gc_lock);
	LIST_FOREACH(u, &c->inflight, inflight_link) {
		u->gc_refs = u->inflight;
		u->gc_candidate = refcount_read(&u->gc_file->ref) == u->inflight;
	}
	LIST_FOREACH(u, &c->inflight, inflight_link)
		if (u->gc_candidate)
			visit_queue(u, count_down, NULL);
	LIST_FOREACH(u, &c->inflight, inflight_link)
		if (u->gc_candidate && u->gc_refs)
			mark_live(u, &live);
	while ((u = live)) {
		live = u->gc_next;
		visit_queue(u, mark_live, &live);
	}
	LIST_FOREACH(u, &c->inflight, inflight_link)
		if (u->gc_candidate) {
			u->gc_next = garbage;
			garbage = u;
		}
	for (u = garbage; u; u = u->gc_next)
		take_messages(c, u, &dead);
	mutex_unlock(&c->gc_lock);
	while ((b = TAILQ_FIRST(&dead))) {
		TAILQ_REMOVE(&dead, b, link);
		skb_free(b);
	}
}

void unix_gc_tick(struct unix_core *c)
{
	unsigned any = atomic_load_explicit(&c->any, memory_order_relaxed);
	if (likely(!any))
		return;
	if (atomic_fetch_add(&c->ticks, 1) < any / 8)
		return;
	atomic_store(&c->ticks, 0);
	collect(c);
}
