/* SPDX-License-Identifier: Apache-2.0 */
/* epoll.c: epoll(7).
 *
 * OVERVIEW  An epoll instance has an item for each watched (file, descriptor) in a hash, and each item has an entry in the wait
 * queues that the file's poll() named. A wake-up puts the item on the ready list; epoll_wait asks the ready items' files what is
 * true now. Level-triggered items go back on the list after they were reported, edge-triggered ones wait for the next wake-up.
 *
 * LIFECYCLE  The file owns the instance. An item lives until EPOLL_CTL_DEL, the instance's release or the release of the watched
 * file (epoll_release), each of which removes it under ep->lock. While an item is in the hash its file's memory is there: the
 * file's release waits for ep->lock before it goes on. An instance is counted, so that a watched file's release can lock it
 * while its own release runs. A file's list of items (file->epolls) is freed by its release only.
 *
 * LOCKS  nest_lock: serialises the making of links between epoll instances, so that loops cannot be built.
 *   ep->lock (RANK_EPOLL; inner instances nested inside outer ones): items, hash, what is reported. Held while files are polled.
 *   file_items.lock (leaf): a file's list.  ep->ready_lock (RANK_EPOLL_READY): the ready list, taken in wake-up callbacks.
 *   ep->wq and ep->poll_wq are woken from callbacks that run under another wait queue's lock: these nest from the watched
 *   file outwards, which has no cycles.
 */
#include "fs/anon/epoll.h"
#include "fs/anon/inotify.h"
#include "fs/anon/user_count.h"
#include <errno.h>
#include <stdio.h>

#define EP_MAX_NESTS 4
#define EP_MAX_EVENTS (INT32_MAX / (int)sizeof(struct epoll_event_k))
#define EP_PRIVATE_BITS (EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE)
#define EP_EXCLUSIVE_OK (EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE)
#define EP_BATCH 32

struct epitem;
struct ep_entry { /* an item's place in one wait queue */
	struct wait_entry e;
	struct wait_queue *wq;
	struct epitem *item;
	struct ep_entry *next;
};
struct epitem {
	struct eventpoll *ep;
	struct file *file; /* not counted: see LIFECYCLE */
	int fd;
	_Atomic uint32_t events;
	uint64_t data;			     /* ep->lock */
	LIST_ENTRY(epitem) hash_link;	     /* ep->lock */
	LIST_ENTRY(epitem) file_link;	     /* file_items.lock */
	TAILQ_ENTRY(epitem) ready_link;	     /* ready_lock */
	bool ready;			     /* ready_lock */
	bool failed;			     /* no memory for a wait entry */
	struct ep_entry first, *more;	     /* ep->lock */
	bool first_used, linked_outer;
	LIST_ENTRY(epitem) outer_link; /* outer_lock; if file is an epoll instance: in its list */
};
LIST_HEAD(epitem_list, epitem);
struct file_items {
	struct mutex lock;
	struct epitem_list items;
};
struct eventpoll {
	struct refcount ref;
	struct mutex lock; /* RANK_EPOLL */
	struct user_count *user; /* who made it: charged for what it watches */
	struct epitem_list *hash;
	unsigned mask, count;
	struct mutex ready_lock; /* RANK_EPOLL_READY */
	TAILQ_HEAD(, epitem) ready;
	unsigned nready;
	struct wait_queue wq;	   /* epoll_wait sleeps here */
	struct wait_queue poll_wq; /* who polls the instance itself */
	struct epitem_list outer; /* outer_lock: items of other instances that watch this one */
	struct epitem_list inline_hash[8];
};

static struct mutex nest_lock = { .rank = RANK_EPOLL };
static struct mutex outer_lock = { .rank = RANK_LEAF }; /* eventpoll.outer of all */
static const struct file_ops epoll_file_ops;

bool file_is_epoll(struct file *f) { return f->ops == &epoll_file_ops; }

bool wait_queue_wake_nested(struct wait_queue *q, unsigned key, int nr_exclusive)
{
	struct wait_entry *e, *next;
	bool woken = false;

	if (!wait_queue_active(q))
		return false;
	mutex_lock_nested(&q->lock);
	for (e = TAILQ_FIRST(&q->entries); e; e = next) {
		bool exclusive = e->exclusive;
		next = TAILQ_NEXT(e, link);
		if (e->func(e, key)) {
			woken = true;
			if (exclusive && --nr_exclusive <= 0)
				break;
		}
	}
	mutex_unlock(&q->lock);
	return woken;
}

static void ep_put(struct eventpoll *ep)
{
	if (!refcount_put(&ep->ref))
		return;
	if (ep->hash != ep->inline_hash)
		free(ep->hash);
	user_count_put(ep->user);
	free(ep);
}

/* ---- ready list ---- */

/* False if it is there already. */
static bool make_ready(struct eventpoll *ep, struct epitem *it)
{
	guard(mutex)(&ep->ready_lock);
	if (it->ready)
		return false;
	it->ready = true;
	TAILQ_INSERT_TAIL(&ep->ready, it, ready_link);
	ep->nready++;
	return true;
}

static void unready_locked(struct eventpoll *ep, struct epitem *it)
{
	if (!it->ready)
		return;
	it->ready = false;
	TAILQ_REMOVE(&ep->ready, it, ready_link);
	ep->nready--;
}

static inline bool ep_has_ready(struct eventpoll *ep) { return READ_ONCE(ep->nready) != 0; }

/* From the watched file's wait queue, its lock held. */
static bool ep_callback(struct wait_entry *e, unsigned key)
{
	struct ep_entry *pe = container_of(e, struct ep_entry, e);
	struct epitem *it = pe->item;
	struct eventpoll *ep = it->ep;
	uint32_t events = atomic_load_explicit(&it->events, memory_order_relaxed);

	if (!(events & ~EP_PRIVATE_BITS)) /* a fired one-shot */
		return false;
	if (key && !(key & events))
		return false;
	make_ready(ep, it);
	bool woken = wait_queue_wake_nested(&ep->wq, EPOLLIN, 1);
	wait_queue_wake_nested(&ep->poll_wq, EPOLLIN | EPOLLRDNORM, INT32_MAX);
	if (!(events & EPOLLEXCLUSIVE))
		return true;
	if (!woken)
		return false;
	switch (key & (EPOLLIN | EPOLLOUT)) {
	case EPOLLIN: return events & EPOLLIN;
	case EPOLLOUT: return events & EPOLLOUT;
	case 0: return true;
	}
	return false;
}

struct ep_queue {
	struct poll_table pt;
	struct epitem *item;
};

static void ep_queue(struct poll_table *pt, struct file *f, struct wait_queue *wq)
{
	struct epitem *it = container_of(pt, struct ep_queue, pt)->item;
	struct ep_entry *pe;

	if (!it->first_used) {
		it->first_used = true;
		pe = &it->first;
	} else {
		pe = kzalloc(sizeof(*pe));
		if (!pe) {
			it->failed = true;
			return;
		}
		pe->next = it->more;
		it->more = pe;
	}
	wait_entry_init_fiber(&pe->e, NULL);
	pe->e.func = ep_callback;
	pe->e.exclusive = atomic_load_explicit(&it->events, memory_order_relaxed) & EPOLLEXCLUSIVE;
	pe->wq = wq;
	pe->item = it;
	wait_queue_add(wq, &pe->e);
}

/* ---- items ---- */

static inline unsigned ep_hash(struct file *f, int fd)
{
	uint64_t h = ((uintptr_t)f >> 4) ^ (uint64_t)fd * 0x9e3779b97f4a7c15ULL;
	return (h * 0xff51afd7ed558ccdULL) >> 32;
}

static struct epitem *ep_find(struct eventpoll *ep, struct file *f, int fd)
{
	struct epitem *it;

	LIST_FOREACH(it, &ep->hash[ep_hash(f, fd) & ep->mask], hash_link)
		if (it->file == f && it->fd == fd)
			return it;
	return NULL;
}

int epoll_watched(struct file *epf, int fd, unsigned skip, const struct file **out)
{
	struct eventpoll *ep = epf->private;
	struct epitem *it;

	if (!file_is_epoll(epf))
		return -EINVAL;
	guard(mutex)(&ep->lock);
	for (unsigned i = 0; i <= ep->mask; i++)
		LIST_FOREACH(it, &ep->hash[i], hash_link)
			if (it->fd == fd && !skip--) {
				*out = it->file;
				return 0;
			}
	return -ENOENT;
}

static void ep_grow(struct eventpoll *ep)
{
	unsigned n = (ep->mask + 1) * 4;
	struct epitem_list *h = kzalloc(n * sizeof(*h));

	if (!h)
		return; /* only slower */
	for (unsigned i = 0; i <= ep->mask; i++) {
		struct epitem *it;
		while ((it = LIST_FIRST(&ep->hash[i]))) {
			LIST_REMOVE(it, hash_link);
			LIST_INSERT_HEAD(&h[ep_hash(it->file, it->fd) & (n - 1)], it, hash_link);
		}
	}
	if (ep->hash != ep->inline_hash)
		free(ep->hash);
	ep->hash = h;
	ep->mask = n - 1;
}

/* ep->lock held. The item is gone afterwards; no callback runs on it any more. */
static void ep_remove_locked(struct eventpoll *ep, struct epitem *it)
{
	struct file_items *fi = atomic_load(&it->file->epolls);
	struct ep_entry *pe;

	if (it->first_used)
		wait_queue_del(it->first.wq, &it->first.e);
	while ((pe = it->more)) {
		it->more = pe->next;
		wait_queue_del(pe->wq, &pe->e);
		free(pe);
	}
	mutex_lock(&ep->ready_lock);
	unready_locked(ep, it);
	mutex_unlock(&ep->ready_lock);
	LIST_REMOVE(it, hash_link);
	ep->count--;
	user_count_uncharge(ep->user, USER_EPOLL_WATCHES);
	if (it->linked_outer) {
		guard(mutex)(&outer_lock);
		LIST_REMOVE(it, outer_link);
	}
	mutex_lock(&fi->lock);
	LIST_REMOVE(it, file_link);
	mutex_unlock(&fi->lock);
	free(it);
}

static struct file_items *file_items_of(struct file *f)
{
	struct file_items *fi = atomic_load(&f->epolls);

	if (fi)
		return fi;
	fi = kzalloc(sizeof(*fi));
	if (!fi)
		return NULL;
	mutex_init(&fi->lock, RANK_LEAF);
	void *expect = NULL;
	if (!atomic_compare_exchange_strong(&f->epolls, &expect, fi)) {
		free(fi);
		return expect;
	}
	return fi;
}

static inline unsigned item_poll(struct epitem *it, struct poll_table *pt)
{
	uint32_t events = atomic_load_explicit(&it->events, memory_order_relaxed);

	pt->key = events;
	return vfs_poll(it->file, pt) & events;
}

static int ep_insert(struct eventpoll *ep, struct file *f, int fd, const struct epoll_event_k *ev)
{
	struct file_items *fi = file_items_of(f);
	struct epitem *it = kzalloc(sizeof(*it));

	if (!fi || !it) {
		free(it);
		return -ENOMEM;
	}
	if (!user_count_charge(ep->user, USER_EPOLL_WATCHES)) {
		free(it);
		return -ENOSPC;
	}
	it->ep = ep;
	it->file = f;
	it->fd = fd;
	atomic_init(&it->events, ev->events);
	it->data = ev->data;
	if (ep->count > 2 * ep->mask)
		ep_grow(ep);
	LIST_INSERT_HEAD(&ep->hash[ep_hash(f, fd) & ep->mask], it, hash_link);
	ep->count++;
	mutex_lock(&fi->lock);
	LIST_INSERT_HEAD(&fi->items, it, file_link);
	mutex_unlock(&fi->lock);

	if (file_is_epoll(f)) {
		guard(mutex)(&outer_lock);
		it->linked_outer = true;
		LIST_INSERT_HEAD(&((struct eventpoll *)f->private)->outer, it, outer_link);
	}
	struct ep_queue q = { .pt.queue = ep_queue, .item = it };
	unsigned revents = item_poll(it, &q.pt);
	if (it->failed) {
		ep_remove_locked(ep, it);
		return -ENOMEM;
	}
	if (revents && make_ready(ep, it)) {
		wait_queue_wake_nested(&ep->wq, EPOLLIN, 1);
		wait_queue_wake_nested(&ep->poll_wq, EPOLLIN | EPOLLRDNORM, INT32_MAX);
	}
	return 0;
}

static void ep_modify(struct eventpoll *ep, struct epitem *it, const struct epoll_event_k *ev)
{
	struct poll_table pt = { 0 };

	atomic_store(&it->events, ev->events);
	it->data = ev->data;
	if (item_poll(it, &pt) && make_ready(ep, it)) {
		wait_queue_wake_nested(&ep->wq, EPOLLIN, 1);
		wait_queue_wake_nested(&ep->poll_wq, EPOLLIN | EPOLLRDNORM, INT32_MAX);
	}
}

/* ---- loops and depth: nest_lock held ---- */

/* The longest chain of instances below ep, or > EP_MAX_NESTS if it is too long or `self` is in it. */
static int depth_below(struct eventpoll *ep, struct eventpoll *self, int level)
{
	int deepest = 0;

	if (ep == self || level > EP_MAX_NESTS)
		return EP_MAX_NESTS + 1;
	mutex_lock_nested(&ep->lock);
	for (unsigned i = 0; i <= ep->mask && deepest <= EP_MAX_NESTS; i++) {
		struct epitem *it;
		LIST_FOREACH(it, &ep->hash[i], hash_link)
			if (file_is_epoll(it->file))
				deepest = MAX(deepest, depth_below(it->file->private, self, level + 1) + 1);
	}
	mutex_unlock(&ep->lock);
	return deepest;
}

/* The longest chain of instances that watch ep, one in the other. outer_lock held. */
static int depth_above(struct eventpoll *ep, int level)
{
	struct epitem *it;
	int highest = 0;

	if (level > EP_MAX_NESTS)
		return EP_MAX_NESTS + 1;
	LIST_FOREACH(it, &ep->outer, outer_link)
		highest = MAX(highest, depth_above(it->ep, level + 1) + 1);
	return highest;
}

static int check_nesting(struct file *epf, struct file *target)
{
	int below = depth_below(target->private, epf->private, 0);

	if (below > EP_MAX_NESTS)
		return -ELOOP;
	guard(mutex)(&outer_lock);
	return below + 1 + depth_above(epf->private, 0) > EP_MAX_NESTS ? -ELOOP : 0;
}

/* ---- the calls ---- */

int epoll_ctl_file(struct file *epf, int op, struct file *target, int fd, const struct epoll_event_k *evp)
{
	struct epoll_event_k ev = { 0 };
	bool nested;
	int r = 0;

	if (!target->ops->poll)
		return -EPERM;
	if (epf == target || !file_is_epoll(epf))
		return -EINVAL;
	if (op != EPOLL_CTL_DEL)
		ev = *evp;
	if (op != EPOLL_CTL_DEL && (ev.events & EPOLLEXCLUSIVE)) {
		if (op == EPOLL_CTL_MOD)
			return -EINVAL;
		if (op == EPOLL_CTL_ADD && (file_is_epoll(target) || (ev.events & ~EP_EXCLUSIVE_OK)))
			return -EINVAL;
	}
	struct eventpoll *ep = epf->private;
	nested = op == EPOLL_CTL_ADD && file_is_epoll(target);
	if (nested) {
		mutex_lock(&nest_lock);
		r = check_nesting(epf, target);
		if (r) {
			mutex_unlock(&nest_lock);
			return r;
		}
	}
	mutex_lock_nested(&ep->lock);
	struct epitem *it = ep_find(ep, target, fd);
	ev.events |= EPOLLERR | EPOLLHUP;
	switch (op) {
	case EPOLL_CTL_ADD:
		r = it ? -EEXIST : ep_insert(ep, target, fd, &ev);
		break;
	case EPOLL_CTL_DEL:
		if (it)
			ep_remove_locked(ep, it);
		else
			r = -ENOENT;
		break;
	case EPOLL_CTL_MOD:
		if (!it)
			r = -ENOENT;
		else if (it->events & EPOLLEXCLUSIVE)
			r = -EINVAL;
		else
			ep_modify(ep, it, &ev);
		break;
	default:
		r = -EINVAL;
	}
	mutex_unlock(&ep->lock);
	if (nested)
		mutex_unlock(&nest_lock);
	return r;
}

/* Report what is ready: events written, 0, or -EFAULT. */
static long ep_send(struct eventpoll *ep, uaddr_t uev, int maxevents)
{
	struct epoll_event_k out[EP_BATCH];
	struct { struct epitem *it; uint32_t events; } undo[EP_BATCH];
	struct poll_table pt = { .lazy = true }; /* items are in their files' queues */
	long sent = 0;
	int n = 0;

	mutex_lock(&ep->lock);
	mutex_lock(&ep->ready_lock);
	unsigned budget = ep->nready; /* level-triggered items go to the tail again: each is looked at once */
	while (budget && sent + n < maxevents) {
		struct epitem *it = TAILQ_FIRST(&ep->ready);
		if (!it)
			break;
		budget--;
		unready_locked(ep, it);
		mutex_unlock(&ep->ready_lock);
		uint32_t want = it->events;
		unsigned revents = item_poll(it, &pt);
		if (revents) {
			out[n] = (struct epoll_event_k){ revents, it->data };
			undo[n].it = it;
			undo[n++].events = want;
			if (want & EPOLLONESHOT)
				atomic_store(&it->events, want & EP_PRIVATE_BITS);
			else if (!(want & EPOLLET))
				make_ready(ep, it);
			if (n == EP_BATCH || sent + n == maxevents) {
				if (copy_to_user(uev + sent * sizeof(out[0]), out, n * sizeof(out[0])))
					goto fault;
				sent += n;
				n = 0;
			}
		}
		mutex_lock(&ep->ready_lock);
	}
	mutex_unlock(&ep->ready_lock);
	if (n) {
		if (copy_to_user(uev + sent * sizeof(out[0]), out, n * sizeof(out[0])))
			goto fault;
		sent += n;
	}
	bool more = ep_has_ready(ep);
	mutex_unlock(&ep->lock);
	if (more) /* another sleeper may take the rest */
		wait_queue_wake_nested(&ep->wq, EPOLLIN, 1);
	return sent;
fault:
	for (int i = 0; i < n; i++) { /* nothing of this batch was delivered */
		atomic_store(&undo[i].it->events, undo[i].events);
		make_ready(ep, undo[i].it);
	}
	mutex_unlock(&ep->lock);
	return sent ? sent : -EFAULT;
}

long epoll_wait_file(struct file *epf, uaddr_t uev, int maxevents, ktime_t deadline)
{
	struct eventpoll *ep;
	bool looked = false;
	long n;

	if (maxevents <= 0 || maxevents > EP_MAX_EVENTS)
		return -EINVAL;
	if (!file_is_epoll(epf))
		return -EINVAL;
	ep = epf->private;
	for (;;) {
		if (ep_has_ready(ep)) {
			n = ep_send(ep, uev, maxevents);
			if (n)
				return n;
		}
		if (deadline == 0) {
			/* What the host knows and the poller has not told yet: one look for all items together. */
			if (looked || !sched_look_at_host())
				return 0;
			looked = true;
			continue;
		}
		struct wait_entry e;
		int r = 0;
		wait_entry_init_fiber(&e, fiber_self());
		e.exclusive = true;
		wait_queue_add(&ep->wq, &e);
		if (!ep_has_ready(ep)) {
			vfs_will_block();
			while (!ep_has_ready(ep)) {
				r = fiber_park(PARK_INTERRUPTIBLE, deadline);
				if (r)
					break;
			}
		}
		wait_queue_del(&ep->wq, &e);
		if (r && !ep_has_ready(ep))
			return r == -ETIMEDOUT ? 0 : -EINTR;
		if (r == -ETIMEDOUT)
			deadline = 0;
		else if (fiber_interrupted(PARK_INTERRUPTIBLE)) {
			n = ep_send(ep, uev, maxevents);
			return n ? n : -EINTR;
		}
	}
}

/* ---- the file ---- */

static unsigned epoll_poll(struct file *f, struct poll_table *pt)
{
	struct eventpoll *ep = f->private;
	struct poll_table ask = { 0 };
	struct epitem *it;
	unsigned mask = 0;

	poll_wait(f, &ep->poll_wq, pt);
	if (!ep_has_ready(ep))
		return 0;
	mutex_lock_nested(&ep->lock);
	mutex_lock(&ep->ready_lock);
	unsigned budget = ep->nready;
	while (budget-- && (it = TAILQ_FIRST(&ep->ready))) {
		mutex_unlock(&ep->ready_lock);
		bool yes = item_poll(it, &ask);
		mutex_lock(&ep->ready_lock);
		if (yes) {
			mask = EPOLLIN | EPOLLRDNORM;
			break;
		}
		unready_locked(ep, it); /* not ready any more; the next wake-up brings it back */
	}
	mutex_unlock(&ep->ready_lock);
	mutex_unlock(&ep->lock);
	return mask;
}

static void epoll_release_file(struct file *f)
{
	struct eventpoll *ep = f->private;

	mutex_lock(&ep->lock);
	for (unsigned i = 0; i <= ep->mask; i++)
		while (LIST_FIRST(&ep->hash[i]))
			ep_remove_locked(ep, LIST_FIRST(&ep->hash[i]));
	mutex_unlock(&ep->lock);
	ep_put(ep);
}

/* A watched file goes. */
static void epoll_release(struct file *f)
{
	struct file_items *fi = atomic_load(&f->epolls);
	struct epitem *it;

	for (;;) {
		struct eventpoll *ep = NULL;
		bool any;
		int fd = 0;

		mutex_lock(&fi->lock);
		it = LIST_FIRST(&fi->items);
		any = it;
		if (it && refcount_try_get(&it->ep->ref)) {
			ep = it->ep;
			fd = it->fd;
		}
		mutex_unlock(&fi->lock);
		if (!any)
			break;
		if (!ep)
			continue;
		mutex_lock(&ep->lock);
		it = ep_find(ep, f, fd);
		if (it)
			ep_remove_locked(ep, it);
		mutex_unlock(&ep->lock);
		ep_put(ep);
	}
	atomic_store(&f->epolls, NULL);
	free(fi);
}

static void epoll_show_fdinfo(struct file *f, char *buf, size_t size)
{
	struct eventpoll *ep = f->private;
	size_t len = 0;

	guard(mutex)(&ep->lock);
	for (unsigned i = 0; i <= ep->mask; i++) {
		struct epitem *it;
		LIST_FOREACH(it, &ep->hash[i], hash_link) {
			int n = snprintf(buf + len, size - len, "tfd: %8d events: %8x data: %16llx  pos:%lli ino:%lx sdev:%x\n", it->fd,
					 it->events, (unsigned long long)it->data, (long long)it->file->pos,
					 (unsigned long)it->file->inode->ino, (unsigned)it->file->inode->sb->dev);
			if (n < 0 || len + n >= size)
				return;
			len += n;
		}
	}
}

static const struct file_ops epoll_file_ops = {
	.poll = epoll_poll,
	.release = epoll_release_file,
	.llseek = noop_llseek,
	.stream = true,
	.show_fdinfo = epoll_show_fdinfo,
};

int epoll_create_file(struct file **out)
{
	struct eventpoll *ep = kzalloc(sizeof(*ep));

	if (!ep)
		return -ENOMEM;
	refcount_init(&ep->ref);
	ep->user = user_count_get();
	mutex_init(&ep->lock, RANK_EPOLL);
	mutex_init(&ep->ready_lock, RANK_EPOLL_READY);
	TAILQ_INIT(&ep->ready);
	wait_queue_init(&ep->wq);
	wait_queue_init(&ep->poll_wq);
	ep->hash = ep->inline_hash;
	ep->mask = ARRAY_SIZE(ep->inline_hash) - 1;
	int r = anon_file("anon_inode:[eventpoll]", 0600, &epoll_file_ops, ep, 02 /* O_RDWR */, out);
	if (r)
		ep_put(ep);
	return r;
}

void epoll_init(void)
{
	vfs_hooks.epoll_release = epoll_release;
	inotify_register();
}
