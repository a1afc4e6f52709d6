/* SPDX-License-Identifier: Apache-2.0 */
/* locks.c: locks on files: flock(2), POSIX record locks and open-file-description locks (fcntl(2)).
 *
 * OVERVIEW
 * An inode that was ever locked has a file_lock_list: granted locks (records sorted by owner and start) and one wait queue.
 * A waiter sleeps until a conflicting lock went, then tries again from the start.
 *
 * Owners: flock and OFD locks belong to the open file; POSIX locks to the descriptor table (Linux's files_struct). The list
 * stays with the inode until the inode is freed.
 *
 * LOCKS
 * list->lock (RANK_FS) guards a list. deadlock_lock (RANK_MAPPING) guards who waits for whom, over all lists.
 */
#include "vfs/internal.h"
#include "vfs/locks.h"
#include <fcntl.h>
#include <sys/file.h>

struct file_lock {
	TAILQ_ENTRY(file_lock) link;
	enum lock_kind kind;
	int type; /* F_RDLCK, F_WRLCK */
	void *owner;
	int pid;
	int64_t start, end; /* end inclusive */
};

/* POSIX waiters of all kernels: owner waits for blocker. Short lists; used for EDEADLK only. */
struct waiter { LIST_ENTRY(waiter) link; void *owner, *blocker; };
static LIST_HEAD(, waiter) waiters = LIST_HEAD_INITIALIZER(waiters);
static struct mutex deadlock_lock = { .rank = RANK_MAPPING };

struct file_lock_list *locks_of(struct inode *i, bool make)
{
	struct file_lock_list *l = atomic_load_explicit(&i->locks, memory_order_acquire), *n;

	if (l || !make)
		return l;
	n = new(struct file_lock_list);
	mutex_init(&n->lock, RANK_FS);
	TAILQ_INIT(&n->granted);
	TAILQ_INIT(&n->leases);
	wait_queue_init(&n->wait);
	wait_queue_init(&n->lease_wait);
	if (!atomic_compare_exchange_strong(&i->locks, &l, n)) {
		free(n);
		return l;
	}
	return n;
}

/* POSIX and OFD locks see each other; flock locks are a world of their own. */
static bool same_world(enum lock_kind a, enum lock_kind b) { return (a == LOCK_KIND_FLOCK) == (b == LOCK_KIND_FLOCK); }

static struct file_lock *conflict(struct file_lock_list *l, const struct file_lock *w)
{
	struct file_lock *f;

	TAILQ_FOREACH(f, &l->granted, link)
		if (same_world(f->kind, w->kind) && !(f->owner == w->owner && f->kind == w->kind) && f->start <= w->end && w->start <= f->end &&
		    (f->type == F_WRLCK || w->type == F_WRLCK))
			return f;
	return NULL;
}

static void insert(struct file_lock_list *l, const struct file_lock *w, int64_t start, int64_t end, int type)
{
	struct file_lock *n = new(struct file_lock);

	*n = *w;
	n->start = start;
	n->end = end;
	n->type = type;
	struct file_lock *f; /* by start: F_GETLK shows the first conflict */
	TAILQ_FOREACH(f, &l->granted, link)
		if (f->start > start) {
			TAILQ_INSERT_BEFORE(f, n, link);
			return;
		}
	TAILQ_INSERT_TAIL(&l->granted, n, link);
}

/* Give the owner `type` on w's range (F_UNLCK: nothing), splitting and joining what it has. */
static void apply(struct file_lock_list *l, const struct file_lock *w)
{
	struct file_lock *f, *n;
	struct file_lock add = *w;

	TAILQ_FOREACH_SAFE(f, &l->granted, link, n) {
		if (f->kind != w->kind || f->owner != w->owner)
			continue;
		bool overlaps = f->start <= w->end && w->start <= f->end;
		bool touches = w->type != F_UNLCK && f->type == w->type &&
			       ((f->end < add.start && f->end + 1 == add.start) || (add.end < f->start && add.end + 1 == f->start));
		if (!overlaps && !touches)
			continue;
		if (f->type == w->type) { /* join */
			add.start = MIN(add.start, f->start);
			add.end = MAX(add.end, f->end);
			TAILQ_REMOVE(&l->granted, f, link);
			free(f);
			continue;
		}
		if (f->start < w->start)
			insert(l, f, f->start, w->start - 1, f->type);
		if (f->end > w->end)
			insert(l, f, w->end + 1, f->end, f->type);
		TAILQ_REMOVE(&l->granted, f, link);
		free(f);
	}
	if (w->type != F_UNLCK)
		insert(l, w, add.start, add.end, w->type);
}

static bool would_deadlock(void *owner, void *blocker)
{
	struct waiter *w;

	for (int depth = 0; depth < 64; depth++) {
		if (blocker == owner)
			return true;
		LIST_FOREACH(w, &waiters, link)
			if (w->owner == blocker)
				break;
		if (!w)
			return false;
		blocker = w->blocker;
	}
	return false;
}

static int set_lock(struct inode *i, struct file_lock *w, bool wait)
{
	struct file_lock_list *l = locks_of(i, w->type != F_UNLCK);
	struct wait_entry e;
	struct waiter dw = { .owner = w->owner };
	bool queued = false;
	int ret = 0;

	if (!l)
		return 0;
	for (;;) {
		struct file_lock *c = NULL;
		mutex_lock(&l->lock);
		if (w->type != F_UNLCK)
			c = conflict(l, w);
		if (!c) {
			apply(l, w);
			mutex_unlock(&l->lock);
			wait_queue_wake_all(&l->wait, 0); /* a downgrade or an unlock may let others in */
			break;
		}
		if (!wait) {
			mutex_unlock(&l->lock);
			ret = -EAGAIN;
			break;
		}
		if (w->kind == LOCK_KIND_POSIX) {
			mutex_lock(&deadlock_lock);
			if (dw.blocker) {
				LIST_REMOVE(&dw, link);
				dw.blocker = NULL;
			}
			if (c->kind == LOCK_KIND_POSIX && would_deadlock(w->owner, c->owner)) {
				ret = -EDEADLK;
			} else {
				dw.blocker = c->owner;
				LIST_INSERT_HEAD(&waiters, &dw, link);
			}
			mutex_unlock(&deadlock_lock);
			if (ret) {
				mutex_unlock(&l->lock);
				break;
			}
		}
		if (!queued) {
			wait_entry_init_fiber(&e, fiber_self());
			wait_queue_add(&l->wait, &e);
			queued = true;
		}
		mutex_unlock(&l->lock);
		ret = fiber_park(PARK_INTERRUPTIBLE, KTIME_MAX);
		if (ret) {
			ret = -ERESTARTSYS;
			break;
		}
	}
	if (queued)
		wait_queue_del(&l->wait, &e);
	if (dw.blocker) {
		guard(mutex)(&deadlock_lock);
		LIST_REMOVE(&dw, link);
	}
	return ret;
}

int vfs_flock(struct file *f, int op, int pid)
{
	struct file_lock w = { .kind = LOCK_KIND_FLOCK, .owner = f, .pid = pid, .start = 0, .end = INT64_MAX };

	w.type = (op & ~LOCK_NB) == LOCK_SH ? F_RDLCK : (op & ~LOCK_NB) == LOCK_EX ? F_WRLCK : F_UNLCK;
	if (w.type != F_UNLCK) {
		/* A conversion gives up the old lock first; others may get in between, as flock(2) says. */
		struct file_lock_list *l = locks_of(f->inode, true);
		struct file_lock *g, *old = NULL;
		mutex_lock(&l->lock);
		TAILQ_FOREACH(g, &l->granted, link)
			if (g->kind == LOCK_KIND_FLOCK && g->owner == f)
				old = g;
		if (old && old->type == w.type) {
			mutex_unlock(&l->lock);
			return 0;
		}
		if (old) {
			TAILQ_REMOVE(&l->granted, old, link);
			free(old);
		}
		mutex_unlock(&l->lock);
		if (old)
			wait_queue_wake_all(&l->wait, 0);
	}
	return set_lock(f->inode, &w, !(op & LOCK_NB));
}

int vfs_setlk(struct file *f, enum lock_kind kind, void *owner, int pid, int type, int64_t start, int64_t end, bool wait)
{
	struct file_lock w = { .kind = kind, .owner = owner, .pid = pid, .type = type, .start = start, .end = end };

	return set_lock(f->inode, &w, wait);
}

bool vfs_getlk(struct file *f, enum lock_kind kind, void *owner, int type, int64_t start, int64_t end, struct lock_info *out)
{
	struct file_lock_list *l = locks_of(f->inode, false);
	struct file_lock w = { .kind = kind, .owner = owner, .type = type, .start = start, .end = end };

	if (!l)
		return false;
	guard(mutex)(&l->lock);
	struct file_lock *c = conflict(l, &w);
	if (!c)
		return false;
	*out = (struct lock_info){ .type = c->type, .start = c->start, .end = c->end, .pid = c->kind == LOCK_KIND_POSIX ? c->pid : -1 };
	return true;
}

static void drop(struct inode *i, bool (*match)(const struct file_lock *, void *), void *arg)
{
	struct file_lock_list *l = locks_of(i, false);
	struct file_lock *f, *n;
	bool any = false;

	if (!l)
		return;
	mutex_lock(&l->lock);
	TAILQ_FOREACH_SAFE(f, &l->granted, link, n)
		if (match(f, arg)) {
			TAILQ_REMOVE(&l->granted, f, link);
			free(f);
			any = true;
		}
	mutex_unlock(&l->lock);
	if (any)
		wait_queue_wake_all(&l->wait, 0);
}

static bool any_lock(const struct file_lock *f, void *arg) { return true; }

void locks_free(struct inode *i)
{
	drop(i, any_lock, NULL);
	free((void *)atomic_load(&i->locks));
}

static bool of_table(const struct file_lock *f, void *owner) { return f->kind == LOCK_KIND_POSIX && f->owner == owner; }
static bool of_file(const struct file_lock *f, void *file) { return f->kind != LOCK_KIND_POSIX && f->owner == file; }

void locks_remove_posix(struct inode *i, void *owner) { drop(i, of_table, owner); }
void locks_remove_file(struct file *f)
{
	drop(f->inode, of_file, f);
	lease_remove_file(f);
}

void locks_show(struct inode *i, const void *const owners[2], const char *prefix, int *nr, struct strbuf *b)
{
	struct file_lock_list *l = locks_of(i, false);
	struct file_lock *f;

	if (!l)
		return;
	guard(mutex)(&l->lock);
	TAILQ_FOREACH(f, &l->granted, link) {
		if (owners && f->owner != owners[0] && f->owner != owners[1])
			continue;
		static const char *const kind[] = { "POSIX ", "OFDLCK", "FLOCK " };
		strbuf_printf(b, "%s%d: %s ADVISORY  %s %d %02lx:%02lx:%lu %ld ", prefix, ++*nr, kind[f->kind], f->type == F_WRLCK ? "WRITE" : "READ ",
			      f->kind == LOCK_KIND_OFD ? -1 : f->pid, (unsigned long)(i->sb->dev >> 8 & 0xfff), (unsigned long)(i->sb->dev & 0xff),
			      (unsigned long)i->ino, (long)f->start);
		if (f->end == INT64_MAX)
			strbuf_printf(b, "EOF\n");
		else
			strbuf_printf(b, "%ld\n", (long)f->end);
	}
}
