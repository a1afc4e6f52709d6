/* SPDX-License-Identifier: Apache-2.0 */
/* inotify.c: inotify(7).
 *
 * OVERVIEW  A group is what a descriptor stands for: watches by number and a queue of events. An inode's list of watches hangs off
 * inode->watches; vfs calls the hooks below when something happened to it.
 * LIFECYCLE  A watch counts its inode while it is attached. It is detached by inotify_rm_watch, the group's release, the deletion of
 * the inode's last name, or its first event (IN_ONESHOT); then IN_IGNORED is queued, but for the release. An inode's
 * list is freed with the inode.
 * LOCKS  inode_watches.lock (RANK_MAPPING) > group.lock (RANK_FS_CONTEXT) > wait queue. Hooks take only these.
 */
#include "fs/anon/inotify.h"
#include "fs/anon/user_count.h"
#include "fs/anon/watches.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>

#ifndef IN_MASK_CREATE
#define IN_MASK_CREATE 0x10000000
#endif
#define MAX_QUEUED 16384
#define HASH 64

struct event {
	STAILQ_ENTRY(event) link;
	int wd;
	uint32_t mask, cookie, len; /* len: of the name with its padding */
	char name[];
};
struct watch {
	struct refcount ref;
	struct group *group; /* borrowed: a group detaches its watches before it goes */
	struct inode *inode; /* counted while attached */
	int wd;
	uint32_t mask;		      /* inode_watches.lock */
	bool attached;		      /* inode_watches.lock */
	LIST_ENTRY(watch) inode_link; /* inode_watches.lock */
	LIST_ENTRY(watch) wd_link;    /* group.lock */
};
struct group {
	struct mutex lock;
	struct watch_list by_wd[HASH];
	int last_wd;
	struct user_count *user; /* who made it: charged for it and its watches */
	STAILQ_HEAD(, event) queue;
	unsigned nqueued;
	size_t bytes;
	struct event *overflow; /* set aside, so that it can always be queued; NULL while queued */
	struct wait_queue wq;
};
static const struct file_ops inotify_ops;

bool file_is_inotify(struct file *f) { return f->ops == &inotify_ops; }

/* ---- the queue ---- */

static void watch_put(struct watch *w)
{
	if (refcount_put(&w->ref))
		free(w);
}

static size_t name_room(const char *name)
{
	size_t n = name ? strlen(name) : 0;

	return n ? ALIGN_UP(n + 1, sizeof(struct inotify_event)) : 0;
}

static void enqueue_locked(struct group *g, struct event *e)
{
	STAILQ_INSERT_TAIL(&g->queue, e, link);
	g->nqueued++;
	g->bytes += sizeof(struct inotify_event) + e->len;
}

static void queue_event(struct group *g, int wd, uint32_t mask, uint32_t cookie, const char *name)
{
	size_t len = name_room(name);

	mutex_lock(&g->lock);
	struct event *last = STAILQ_LAST(&g->queue, event, link);
	/* the same again, and not read yet */
	if (last && last->wd == wd && last->mask == mask && last->cookie == cookie && last->len == len && (!len || !strcmp(last->name, name))) {
		mutex_unlock(&g->lock);
		return;
	}
	struct event *e = g->nqueued < MAX_QUEUED || (mask & IN_IGNORED) ? kzalloc(sizeof(*e) + len) : NULL;
	if (e) {
		e->wd = wd;
		e->mask = mask;
		e->cookie = cookie;
		e->len = len;
		if (len)
			strcpy(e->name, name);
		enqueue_locked(g, e);
	} else if (g->overflow) {
		enqueue_locked(g, g->overflow);
		g->overflow = NULL;
	}
	mutex_unlock(&g->lock);
	wait_queue_wake(&g->wq, EPOLLIN | EPOLLRDNORM);
}

/* ---- watches ---- */

struct inode_watches *watches_of(struct inode *i)
{
	struct inode_watches *iw = atomic_load(&i->watches);

	if (iw)
		return iw;
	iw = kzalloc(sizeof(*iw));
	if (!iw)
		return NULL;
	mutex_init(&iw->lock, RANK_MAPPING);
	void *expect = NULL;
	if (!atomic_compare_exchange_strong(&i->watches, &expect, iw)) {
		free(iw);
		return expect;
	}
	return iw;
}

/* inode_watches.lock held. Drops the list's reference and the inode's; the caller holds another of the inode. */
static void detach_locked(struct watch *w, bool tell)
{
	struct group *g = w->group;

	w->attached = false;
	LIST_REMOVE(w, inode_link);
	atomic_fetch_sub(&vfs_watch_count, 1);
	mutex_lock(&g->lock);
	LIST_REMOVE(w, wd_link);
	user_count_uncharge(g->user, USER_INOTIFY_WATCHES);
	mutex_unlock(&g->lock);
	if (tell)
		queue_event(g, w->wd, IN_IGNORED, 0, NULL);
	inode_put(w->inode);
	watch_put(w);
}

/* An event on the inode's own watches. */
static void deliver(struct inode *i, uint32_t mask, uint32_t cookie, const char *name, bool unlinked)
{
	struct inode_watches *iw = i ? atomic_load(&i->watches) : NULL;
	struct watch *w, *next;

	if (!iw)
		return;
	if (!LIST_EMPTY(&iw->dnotify))
		dnotify_deliver(i, mask);
	mask &= ~FS_RENAME_WITHIN;
	guard(mutex)(&iw->lock);
	for (w = LIST_FIRST(&iw->list); w; w = next) {
		next = LIST_NEXT(w, inode_link);
		if (!(w->mask & mask & IN_ALL_EVENTS))
			continue;
		if (unlinked && (w->mask & IN_EXCL_UNLINK))
			continue;
		queue_event(w->group, w->wd, mask, cookie, name);
		if (w->mask & IN_ONESHOT)
			detach_locked(w, true);
	}
	if (mask & IN_DELETE_SELF) /* nothing more can happen to it */
		while ((w = LIST_FIRST(&iw->list)))
			detach_locked(w, true);
}

/* Of a directory and the name in it, or (dir NULL) of the inode itself. The caller holds the inodes. */
static void hook_notify(struct inode *dir, struct inode *inode, const char *name, uint32_t mask, uint32_t cookie)
{
	if (dir) {
		deliver(dir, mask, cookie, name, false);
		return;
	}
	if (mask & (IN_DELETE_SELF | IN_MOVE_SELF)) /* these alone do not say that it is a directory */
		mask &= ~IN_ISDIR;
	else if (S_ISDIR(inode->mode))
		mask |= IN_ISDIR;
	deliver(inode, mask, cookie, NULL, false);
}

static void hook_notify_file(struct file *f, uint32_t mask)
{
	struct inode *i = f->inode, *parent;

	if (!i || !f->path.dentry)
		return;
	if (S_ISDIR(i->mode))
		mask |= IN_ISDIR;
	parent = dentry_parent_inode(f->path.dentry);
	if (parent) {
		if (atomic_load(&parent->watches)) {
			char name[256];
			dentry_name(f->path.dentry, name);
			deliver(parent, mask, 0, name, !i->nlink);
		}
		inode_put(parent);
	}
	deliver(i, mask, 0, NULL, false);
}

static void hook_watches_release(struct inode *i)
{
	free(atomic_load(&i->watches)); /* empty: each watch counts the inode */
	atomic_store(&i->watches, NULL);
}

int inotify_add(struct file *f, struct inode *inode, uint32_t arg)
{
	struct group *g = f->private;
	struct inode_watches *iw = watches_of(inode);
	uint32_t mask = arg & (IN_ALL_EVENTS | IN_ONESHOT | IN_EXCL_UNLINK);
	struct watch *w;

	if (!iw)
		return -ENOMEM;
	guard(mutex)(&iw->lock);
	LIST_FOREACH(w, &iw->list, inode_link)
		if (w->group == g) {
			if (arg & IN_MASK_CREATE)
				return -EEXIST;
			w->mask = arg & IN_MASK_ADD ? w->mask | mask : mask;
			return w->wd;
		}
	w = kzalloc(sizeof(*w));
	if (!w)
		return -ENOMEM;
	refcount_init(&w->ref);
	w->group = g;
	w->mask = mask;
	mutex_lock(&g->lock);
	if (g->last_wd == INT32_MAX || !user_count_charge(g->user, USER_INOTIFY_WATCHES)) {
		mutex_unlock(&g->lock);
		free(w);
		return -ENOSPC;
	}
	w->wd = ++g->last_wd;
	LIST_INSERT_HEAD(&g->by_wd[w->wd % HASH], w, wd_link);
	inode_get(inode);
	w->inode = inode;
	w->attached = true;
	mutex_unlock(&g->lock);
	LIST_INSERT_HEAD(&iw->list, w, inode_link);
	atomic_fetch_add(&vfs_watch_count, 1);
	return w->wd;
}

/* Detach a watch that was found under group.lock: counted, and its inode too. */
static void detach_found(struct watch *w, struct inode *inode, bool tell)
{
	struct inode_watches *iw = atomic_load(&inode->watches);

	mutex_lock(&iw->lock);
	if (w->attached)
		detach_locked(w, tell);
	mutex_unlock(&iw->lock);
	inode_put(inode);
	watch_put(w);
}

int inotify_rm(struct file *f, int wd)
{
	struct group *g = f->private;
	struct inode *inode = NULL;
	struct watch *w;

	mutex_lock(&g->lock);
	LIST_FOREACH(w, &g->by_wd[(unsigned)wd % HASH], wd_link)
		if (w->wd == wd) {
			refcount_get(&w->ref);
			inode = w->inode;
			inode_get(inode);
			break;
		}
	mutex_unlock(&g->lock);
	if (!inode)
		return -EINVAL;
	detach_found(w, inode, true);
	return 0;
}

/* ---- the file ---- */

static struct event *first_locked(struct group *g) { return STAILQ_FIRST(&g->queue); }

static ssize_t inotify_read(struct file *f, struct iov_iter *to, int64_t *pos)
{
	struct group *g = f->private;
	ssize_t done = 0;

	for (;;) {
		mutex_lock(&g->lock);
		struct event *e = first_locked(g);
		size_t size = e ? sizeof(struct inotify_event) + e->len : 0;
		if (e && size > to->count) {
			mutex_unlock(&g->lock);
			return done ? done : -EINVAL;
		}
		if (e) {
			STAILQ_REMOVE_HEAD(&g->queue, link);
			g->nqueued--;
			g->bytes -= size;
		}
		mutex_unlock(&g->lock);
		if (!e) {
			if (done)
				return done;
			if (f->flags & O_NONBLOCK)
				return -EAGAIN;
			int r = vfs_wait(&g->wq, READ_ONCE(g->nqueued), KTIME_MAX);
			if (r)
				return r;
			continue;
		}
		struct inotify_event head = { .wd = e->wd, .mask = e->mask, .cookie = e->cookie, .len = e->len };
		bool ok = copy_to_iter(&head, sizeof(head), to) == sizeof(head) && copy_to_iter(e->name, e->len, to) == e->len;
		if (e->mask & IN_Q_OVERFLOW) {
			mutex_lock(&g->lock);
			g->overflow = e;
			mutex_unlock(&g->lock);
		} else {
			free(e);
		}
		if (!ok)
			return -EFAULT;
		done += size;
	}
}

static unsigned inotify_poll(struct file *f, struct poll_table *pt)
{
	struct group *g = f->private;

	poll_wait(f, &g->wq, pt);
	return READ_ONCE(g->nqueued) ? EPOLLIN | EPOLLRDNORM : 0;
}

static long inotify_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	struct group *g = f->private;

	if (cmd != FIONREAD)
		return -ENOIOCTLCMD;
	mutex_lock(&g->lock);
	int n = g->bytes;
	mutex_unlock(&g->lock);
	return put_user(n, arg);
}

static void inotify_release(struct file *f)
{
	struct group *g = f->private;
	struct event *e;

	for (unsigned i = 0; i < HASH; i++)
		for (;;) {
			struct inode *inode = NULL;
			mutex_lock(&g->lock);
			struct watch *w = LIST_FIRST(&g->by_wd[i]);
			if (w) {
				refcount_get(&w->ref);
				inode = w->inode;
				inode_get(inode);
			}
			mutex_unlock(&g->lock);
			if (!w)
				break;
			detach_found(w, inode, false);
		}
	while ((e = STAILQ_FIRST(&g->queue))) {
		STAILQ_REMOVE_HEAD(&g->queue, link);
		free(e);
	}
	user_count_uncharge(g->user, USER_INOTIFY_INSTANCES);
	user_count_put(g->user);
	free(g->overflow);
	free(g);
}

static void inotify_show(struct file *f, char *buf, size_t size)
{
	struct group *g = f->private;
	struct watch *w;
	size_t len = 0;

	guard(mutex)(&g->lock);
	for (unsigned i = 0; i < HASH; i++)
		LIST_FOREACH(w, &g->by_wd[i], wd_link) {
			int n = snprintf(buf + len, size - len, "inotify wd:%x ino:%llx sdev:%llx mask:%x ignored_mask:0\n", w->wd,
					 (unsigned long long)w->inode->ino, (unsigned long long)w->inode->sb->dev, w->mask);
			if (n < 0 || len + n >= size)
				return;
			len += n;
		}
}

static const struct file_ops inotify_ops = {
	.read = inotify_read,
	.poll = inotify_poll,
	.ioctl = inotify_ioctl,
	.release = inotify_release,
	.llseek = noop_llseek,
	.stream = true,
	.show_fdinfo = inotify_show,
};

int inotify_create(unsigned flags, struct file **out)
{
	struct group *g = kzalloc(sizeof(*g));
	struct event *o = kzalloc(sizeof(*o));

	if (!g || !o) {
		free(g);
		free(o);
		return -ENOMEM;
	}
	g->user = user_count_get();
	if (!user_count_charge(g->user, USER_INOTIFY_INSTANCES)) {
		user_count_put(g->user);
		free(g);
		free(o);
		return -EMFILE;
	}
	mutex_init(&g->lock, RANK_FS_CONTEXT);
	STAILQ_INIT(&g->queue);
	wait_queue_init(&g->wq);
	o->wd = -1;
	o->mask = IN_Q_OVERFLOW;
	g->overflow = o;
	int r = anon_file("anon_inode:inotify", 0600, &inotify_ops, g, O_RDONLY | (flags & IN_NONBLOCK), out);
	if (r) {
		user_count_uncharge(g->user, USER_INOTIFY_INSTANCES);
		user_count_put(g->user);
		free(o);
		free(g);
	}
	return r;
}

void inotify_register(void)
{
	vfs_hooks.notify = hook_notify;
	vfs_hooks.notify_file = hook_notify_file;
	vfs_hooks.watches_release = hook_watches_release;
	vfs_hooks.dnotify_flush = dnotify_flush;
}
