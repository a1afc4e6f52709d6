/* SPDX-License-Identifier: Apache-2.0 */
/* dnotify.c: signals about changes in a directory (fcntl(2): F_NOTIFY), inotify's predecessor. A mark belongs to an open file and the
 * descriptor table through which it was asked for; it goes when that table closes the file. LOCKS  inode_watches.lock. */
#include "fs/anon/inotify.h"
#include "fs/anon/watches.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/inotify.h>

struct dnotify {
	LIST_ENTRY(dnotify) link;
	struct file *file; /* borrowed: the mark goes before the file */
	void *owner;	   /* the descriptor table: only compared */
	int fd;
	uint32_t mask; /* DN_ */
	uint32_t hit;  /* events whose signal is still to be sent */
};

/* A rename within the directory is also told as DN_RENAME, see vfs/dirops.c. */
static uint32_t dn_of(uint32_t in)
{
	return (in & IN_ACCESS ? DN_ACCESS : 0) | (in & IN_MODIFY ? DN_MODIFY : 0) | (in & IN_ATTRIB ? DN_ATTRIB : 0) |
	       (in & (IN_CREATE | IN_MOVED_TO) ? DN_CREATE : 0) | (in & (IN_DELETE | IN_MOVED_FROM) ? DN_DELETE : 0) |
	       (in & FS_RENAME_WITHIN ? DN_RENAME : 0);
}

static void forget(struct dnotify *d)
{
	LIST_REMOVE(d, link);
	free(d);
	atomic_fetch_sub(&vfs_watch_count, 1);
}

void dnotify_deliver(struct inode *dir, uint32_t in)
{
	struct inode_watches *iw = atomic_load(&dir->watches);
	uint32_t mask = dn_of(in);
	struct dnotify *d, *n;
	bool any = false;

	if (!iw || !mask || LIST_EMPTY(&iw->dnotify))
		return;
	mutex_lock(&iw->lock);
	LIST_FOREACH(d, &iw->dnotify, link)
		if (d->mask & mask) {
			d->hit |= mask;
			any = true;
		}
	mutex_unlock(&iw->lock);
	while (any) { /* signals are sent without the lock */
		struct file *f = NULL;
		int fd = -1;

		mutex_lock(&iw->lock);
		LIST_FOREACH_SAFE(d, &iw->dnotify, link, n) {
			if (!d->hit)
				continue;
			if (refcount_try_get(&d->file->ref)) {
				f = d->file;
				fd = d->fd;
			}
			if (!(d->mask & DN_MULTISHOT))
				d->mask &= ~d->hit;
			d->hit = 0;
			if (!d->mask)
				forget(d);
			if (f)
				break;
		}
		mutex_unlock(&iw->lock);
		if (!f)
			return;
		if (vfs_hooks.send_sigio)
			vfs_hooks.send_sigio(f, fd, POLL_MSG);
		file_put(f);
	}
}

int dnotify_set(struct file *f, int fd, void *owner, uint32_t mask)
{
	struct inode_watches *iw;
	struct dnotify *d;

	if (!(mask & ~DN_MULTISHOT)) {
		dnotify_flush(f, owner);
		return 0;
	}
	if (mask & ~(DN_ACCESS | DN_MODIFY | DN_CREATE | DN_DELETE | DN_RENAME | DN_ATTRIB | DN_MULTISHOT))
		return -EINVAL;
	if (!S_ISDIR(f->inode->mode))
		return -ENOTDIR;
	iw = watches_of(f->inode);
	struct dnotify *fresh = kzalloc(sizeof(*fresh));
	if (!iw || !fresh) {
		free(fresh);
		return -ENOMEM;
	}
	mutex_lock(&iw->lock);
	LIST_FOREACH(d, &iw->dnotify, link)
		if (d->file == f && d->owner == owner)
			break;
	if (d) {
		d->mask |= mask;
		d->fd = fd;
	} else {
		*fresh = (struct dnotify){ .file = f, .owner = owner, .fd = fd, .mask = mask };
		LIST_INSERT_HEAD(&iw->dnotify, fresh, link);
		atomic_fetch_add(&vfs_watch_count, 1);
		fresh = NULL;
	}
	mutex_unlock(&iw->lock);
	free(fresh);
	return 0;
}

void dnotify_flush(struct file *f, void *owner)
{
	struct inode_watches *iw = atomic_load(&f->inode->watches);
	struct dnotify *d, *n;

	if (!iw || LIST_EMPTY(&iw->dnotify))
		return;
	guard(mutex)(&iw->lock);
	LIST_FOREACH_SAFE(d, &iw->dnotify, link, n)
		if (d->file == f && (!owner || d->owner == owner))
			forget(d);
}
