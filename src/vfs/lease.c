/* SPDX-License-Identifier: Apache-2.0 */
/* lease.c: leases on files (fcntl(2): F_SETLEASE, F_GETLEASE).
 *
 * OVERVIEW  A lease belongs to an open file and says "tell me before somebody else opens this file for writing" (a read lease) or at all
 * (a write lease). Whoever opens or truncates the file in a way that a lease excludes marks the lease as being broken, sends its
 * holder a signal, and waits until the holder gave it up or came down to what does not conflict, or lease_break_time is over.
 * LIFECYCLE  A lease lasts until F_UNLCK, the last close of its file, or its time is over.
 * LOCKS  file_lock_list.lock (RANK_FS). Signals are sent without it. An opener counts itself in readcount or writecount before it looks for
 * leases, and F_SETLEASE looks at the counts after the lease is in the list: one of the two sees the other.
 */
#include "vfs/internal.h"
#include "vfs/locks.h"
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>

struct lease {
	TAILQ_ENTRY(lease) link;
	struct file *file; /* borrowed: the lease goes before the file */
	int fd, type;
	bool unlock, downgrade; /* what a breaker waits for */
	bool tell;		/* the signal is still to be sent */
	ktime_t until;		/* then it is taken away */
};

_Atomic int lease_break_time = 45;

static bool breaking(const struct lease *l) { return l->unlock || l->downgrade; }

/* l->lock held. Does an open (for writing) conflict? */
static bool conflicts(const struct lease *l, bool write) { return write || l->type == F_WRLCK; }

static void remove_locked(struct file_lock_list *l, struct lease *x)
{
	TAILQ_REMOVE(&l->leases, x, link);
	free(x);
}

static void take_away_overdue(struct file_lock_list *l)
{
	struct lease *x, *n;

	TAILQ_FOREACH_SAFE(x, &l->leases, link, n) {
		if (!breaking(x) || ktime_mono() < x->until)
			continue;
		if (x->unlock) {
			remove_locked(l, x);
		} else {
			x->type = F_RDLCK;
			x->downgrade = false;
		}
	}
}

/* What a breaker waits for: false when nothing is in the way. Else when the first of the conflicting leases will be over. */
static bool in_the_way(struct file_lock_list *l, bool write, ktime_t *until)
{
	struct lease *x;

	guard(mutex)(&l->lock);
	take_away_overdue(l);
	*until = KTIME_MAX;
	bool any = false;
	TAILQ_FOREACH(x, &l->leases, link)
		if (conflicts(x, write)) {
			any = true;
			*until = MIN(*until, x->until);
		}
	return any;
}

static void tell_holders(struct file_lock_list *l)
{
	for (;;) {
		struct lease *x;
		struct file *f = NULL;
		int fd = -1;

		mutex_lock(&l->lock);
		TAILQ_FOREACH(x, &l->leases, link)
			if (x->tell) {
				x->tell = false;
				if (!refcount_try_get(&x->file->ref))
					continue; /* it is going, and its lease with it */
				f = x->file;
				fd = x->fd;
				break;
			}
		mutex_unlock(&l->lock);
		if (!f)
			return;
		if (vfs_hooks.send_sigio)
			vfs_hooks.send_sigio(f, fd, POLL_MSG);
		file_put(f);
	}
}

int lease_break(struct inode *i, unsigned flags)
{
	struct file_lock_list *l = locks_of(i, false);
	bool write = (flags & O_ACCMODE) != O_RDONLY;
	struct lease *x;
	ktime_t until;

	if (!l || TAILQ_EMPTY(&l->leases) || !in_the_way(l, write, &until))
		return 0;
	int secs = atomic_load(&lease_break_time);
	until = secs > 0 ? ktime_add_sat(ktime_mono(), secs * 1000000000LL) : KTIME_MAX;
	mutex_lock(&l->lock);
	TAILQ_FOREACH(x, &l->leases, link) {
		if (!conflicts(x, write) || x->unlock || (!write && x->downgrade))
			continue;
		if (write)
			x->unlock = true;
		else
			x->downgrade = true;
		x->until = until;
		x->tell = true;
	}
	mutex_unlock(&l->lock);
	tell_holders(l);
	if (flags & O_NONBLOCK)
		return -EWOULDBLOCK;
	while (in_the_way(l, write, &until)) {
		vfs_will_block();
		/* Ends early when another lease has to be waited for: then around again with its time. */
		ktime_t now_until = until;
		int ret = wait_event(&l->lease_wait, !in_the_way(l, write, &until) || until != now_until, PARK_INTERRUPTIBLE, until);
		if (ret == -EINTR)
			return -ERESTARTSYS;
	}
	return 0;
}

/* Is the file open in a way that such a lease must not see? The holder's own opening does not count against a write lease. */
static bool open_elsewhere(struct file *f, int type)
{
	struct inode *i = f->inode;
	int w = atomic_load(&i->writecount), r = atomic_load(&i->readcount);

	if (type == F_RDLCK)
		return w > 0 || (f->mode & FMODE_WRITE);
	return w != !!(f->mode & FMODE_WRITER) || r != !!(f->mode & FMODE_READER);
}

static int unlock_lease(struct file *f)
{
	struct file_lock_list *l = locks_of(f->inode, false);
	struct lease *x;
	bool found = false;

	if (!l)
		return -EAGAIN;
	mutex_lock(&l->lock);
	TAILQ_FOREACH(x, &l->leases, link)
		if (x->file == f) {
			remove_locked(l, x);
			found = true;
			break;
		}
	mutex_unlock(&l->lock);
	if (found)
		wait_queue_wake_all(&l->lease_wait, 0);
	return found ? 0 : -EAGAIN;
}

int vfs_setlease(struct file *f, int fd, int type)
{
	struct inode *i = f->inode;
	struct lease *x, *mine = NULL, *fresh;
	int ret = 0;

	if (type != F_RDLCK && type != F_WRLCK && type != F_UNLCK)
		return -EINVAL;
	if (type == F_UNLCK)
		return unlock_lease(f);
	if (fiber_context()->cred->fsuid != i->uid && !capable_wrt_inode(i, CAP_LEASE))
		return -EACCES;
	if (!S_ISREG(i->mode))
		return -EINVAL;
	struct file_lock_list *l = locks_of(i, true);
	fresh = kzalloc(sizeof(*fresh));
	if (!fresh)
		return -ENOMEM;
	mutex_lock(&l->lock);
	take_away_overdue(l);
	TAILQ_FOREACH(x, &l->leases, link) {
		if (x->file == f)
			mine = x;
		else if (type == F_WRLCK || x->unlock)
			ret = -EAGAIN;
	}
	if (!ret && !mine) {
		*fresh = (struct lease){ .file = f, .fd = fd, .type = type };
		TAILQ_INSERT_TAIL(&l->leases, fresh, link);
	}
	if (!ret && open_elsewhere(f, type)) {
		ret = -EAGAIN;
		if (!mine)
			TAILQ_REMOVE(&l->leases, fresh, link);
	} else if (!ret && mine) {
		mine->type = type;
		mine->unlock = mine->downgrade = mine->tell = false;
	}
	mutex_unlock(&l->lock);
	if (ret || mine)
		free(fresh);
	if (!ret && mine)
		wait_queue_wake_all(&l->lease_wait, 0);
	return ret;
}

int vfs_getlease(struct file *f)
{
	struct file_lock_list *l = locks_of(f->inode, false);
	struct lease *x;

	if (!l)
		return F_UNLCK;
	guard(mutex)(&l->lock);
	take_away_overdue(l);
	TAILQ_FOREACH(x, &l->leases, link)
		if (x->file == f)
			return x->unlock ? F_UNLCK : x->downgrade ? F_RDLCK : x->type;
	return F_UNLCK;
}

void lease_remove_file(struct file *f)
{
	struct file_lock_list *l = locks_of(f->inode, false);

	if (l && !TAILQ_EMPTY(&l->leases))
		unlock_lease(f);
}
