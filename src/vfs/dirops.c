/* SPDX-License-Identifier: Apache-2.0 */
/* dirops.c: changes of directories: mknod, mkdir, rmdir, unlink, symlink, link, rename. */
#include "vfs/internal.h"
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/mount.h>

/* dir->lock held in all of these. */

int may_create(struct dentry *dir, bool exists)
{
	if (exists)
		return -EEXIST;
	if (dir->inode->dead)
		return -ENOENT;
	return inode_permission(dir->inode, MAY_WRITE | MAY_EXEC);
}

int may_delete(struct dentry *dir, struct dentry *victim, bool isdir)
{
	struct inode *di = dir->inode, *i = victim->inode;

	if (!i)
		return -ENOENT;
	int ret = inode_permission(di, MAY_WRITE | MAY_EXEC);
	if (ret)
		return ret;
	if (inode_has(di, INODE_APPEND) || inode_has(i, INODE_APPEND | INODE_IMMUTABLE))
		return -EPERM;
	if (di->mode & S_ISVTX) {
		kuid_t fsuid = fiber_context()->cred->fsuid;
		if (i->uid != fsuid && di->uid != fsuid && !capable_wrt_inode(i, CAP_FOWNER))
			return -EPERM;
	}
	if (isdir) {
		if (!S_ISDIR(i->mode))
			return -ENOTDIR;
		if (victim->parent == victim)
			return -EBUSY;
	} else if (S_ISDIR(i->mode)) {
		return -EISDIR;
	}
	if (di->dead)
		return -ENOENT;
	return 0;
}

/* ---- creation ---- */

struct creation { struct path parent; struct dentry *d; char last[NAME_MAX_ + 1]; };

/* Find the place for a new name; on success its directory is locked. */
static int create_begin(struct creation *c, int dfd, const char *name, bool isdir)
{
	enum last_type type;
	bool trailing;
	int ret = path_parent_full(dfd, name, &c->parent, c->last, &type, &trailing);

	if (ret)
		return ret;
	if (type != LAST_NORM) {
		path_put(&c->parent);
		return -EEXIST;
	}
	struct inode *di = c->parent.dentry->inode;
	sleeplock_lock(&di->lock);
	if (di->ops->revalidate) { /* others may have changed it: let go of what was remembered, then ask under the lock */
		sleeplock_unlock(&di->lock);
		ret = lookup_one(c->parent.dentry, c->last, strlen(c->last), &c->d);
		if (!ret)
			dput(c->d);
		sleeplock_lock(&di->lock);
	}
	if (!ret)
		ret = lookup_one_locked(c->parent.dentry, c->last, strlen(c->last), &c->d);
	if (!ret) {
		if (c->d->inode)
			ret = -EEXIST;
		else if (trailing && !isdir)
			ret = -ENOENT;
		else
			ret = mnt_want_write(c->parent.mnt);
		if (!ret)
			ret = may_create(c->parent.dentry, false);
		if (ret)
			dput(c->d);
	}
	if (ret) {
		sleeplock_unlock(&di->lock);
		path_put(&c->parent);
	}
	return ret;
}

static void create_end(struct creation *c)
{
	sleeplock_unlock(&c->parent.dentry->inode->lock);
	dput(c->d);
	path_put(&c->parent);
}

static int created(struct creation *c, int ret, struct inode *inode)
{
	if (!ret) {
		d_instantiate(c->d, inode);
		fsnotify(c->parent.dentry->inode, inode, c->last, IN_CREATE | (S_ISDIR(inode->mode) ? IN_ISDIR : 0), 0);
	}
	return ret;
}

int vfs_mknod(int dfd, const char *name, uint32_t mode, uint64_t rdev, struct path *out)
{
	struct creation c;
	struct inode *inode;

	if ((mode & S_IFMT) && !S_ISREG(mode) && !S_ISCHR(mode) && !S_ISBLK(mode) && !S_ISFIFO(mode) && !S_ISSOCK(mode))
		return S_ISDIR(mode) ? -EPERM : -EINVAL;
	if (!(mode & S_IFMT))
		mode |= S_IFREG;
	int ret = create_begin(&c, dfd, name, false);
	if (ret)
		return ret;
	struct inode *di = c.parent.dentry->inode;
	mode = (mode & S_IFMT) | (apply_umask(mode) & 07777);
	if (S_ISREG(mode)) {
		ret = di->ops->create ? di->ops->create(di, c.last, mode, &inode) : -EACCES;
	} else if (((S_ISCHR(mode) && rdev) || S_ISBLK(mode)) && !cred_has_cap(fiber_context()->cred, CAP_MKNOD)) {
		ret = -EPERM; /* 0:0 is a whiteout, which anybody may make */
	} else {
		ret = di->ops->mknod ? di->ops->mknod(di, c.last, mode, rdev, &inode) : -EPERM;
	}
	ret = created(&c, ret, inode);
	if (!ret && out) {
		*out = (struct path){ c.parent.mnt, c.d };
		path_get(out);
	}
	create_end(&c);
	return ret;
}

int vfs_mkdir(int dfd, const char *name, uint32_t mode)
{
	struct creation c;
	struct inode *inode;
	int ret = create_begin(&c, dfd, name, true);

	if (ret)
		return ret;
	struct inode *di = c.parent.dentry->inode;
	mode = apply_umask(mode) & 01777;
	ret = di->ops->mkdir ? di->ops->mkdir(di, c.last, S_IFDIR | mode, &inode) : -EPERM;
	ret = created(&c, ret, inode);
	create_end(&c);
	return ret;
}

int vfs_symlink(const char *target, int dfd, const char *name)
{
	struct creation c;
	struct inode *inode;

	if (!*target)
		return -ENOENT;
	int ret = create_begin(&c, dfd, name, false);
	if (ret)
		return ret;
	struct inode *di = c.parent.dentry->inode;
	ret = di->ops->symlink ? di->ops->symlink(di, c.last, target, &inode) : -EPERM;
	ret = created(&c, ret, inode);
	create_end(&c);
	return ret;
}

int vfs_link(int odfd, const char *oname, int ndfd, const char *nname, int flags)
{
	struct creation c;
	struct path old;

	if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if ((flags & AT_EMPTY_PATH) && !*oname && !cred_has_cap(fiber_context()->cred, CAP_DAC_READ_SEARCH)) {
		/* today's rule: also for descriptors that the caller opened with the credentials it still has */
		struct file *f = odfd == AT_FDCWD_ ? NULL : fd_get_raw(fiber_context()->fdt, odfd);
		bool own = f && f->cred == fiber_context()->cred;
		file_put(f);
		if (!own)
			return -ENOENT;
	}
	int ret = path_lookup(odfd, oname, (flags & AT_SYMLINK_FOLLOW ? LOOKUP_FOLLOW : 0) | (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0), &old);
	if (ret)
		return ret;
	ret = create_begin(&c, ndfd, nname, false);
	if (ret)
		goto out;
	struct inode *i = old.dentry->inode, *di = c.parent.dentry->inode;
	if (old.mnt != c.parent.mnt || i->sb != di->sb)
		ret = -EXDEV;
	else if (S_ISDIR(i->mode) || !di->ops->link || inode_has(i, INODE_APPEND | INODE_IMMUTABLE))
		ret = -EPERM;
	else if (!READ_ONCE(i->nlink) && !i->linkable)
		ret = -ENOENT;
	else
		ret = di->ops->link(di, c.last, i);
	if (!ret) {
		i->linkable = false;
		inode_get(i);
		d_instantiate(c.d, i);
		fsnotify(NULL, i, NULL, IN_ATTRIB, 0);
		fsnotify(di, i, c.last, IN_CREATE, 0);
	}
	create_end(&c);
out:
	path_put(&old);
	return ret;
}

/* ---- removal ---- */

static int remove_name(int dfd, const char *name, bool isdir)
{
	struct path parent;
	char last[NAME_MAX_ + 1];
	enum last_type type;
	bool trailing;
	struct dentry *d;
	struct inode *gone = NULL;
	int ret = path_parent_full(dfd, name, &parent, last, &type, &trailing);

	if (ret)
		return ret;
	if (type != LAST_NORM)
		ret = !isdir ? -EISDIR : type == LAST_DOTDOT ? -ENOTEMPTY : type == LAST_DOT ? -EINVAL : -EBUSY;
	if (!ret)
		ret = mnt_want_write(parent.mnt);
	if (ret)
		goto out;
	struct inode *di = parent.dentry->inode;
	if (di->ops->revalidate) {
		ret = lookup_one(parent.dentry, last, strlen(last), &d);
		if (ret)
			goto out;
		dput(d);
	}
	sleeplock_lock(&di->lock);
	ret = lookup_one_locked(parent.dentry, last, strlen(last), &d);
	if (!ret) {
		struct inode *i = d->inode;
		if (!i)
			ret = -ENOENT;
		else if (!isdir && trailing)
			ret = S_ISDIR(i->mode) ? -EISDIR : -ENOTDIR;
		else
			ret = may_delete(parent.dentry, d, isdir);
		if (!ret && READ_ONCE(d->mounts))
			ret = -EBUSY;
		if (!ret && isdir) {
			if (!di->ops->rmdir) {
				ret = -EPERM;
			} else {
				d_prune_children(d);
				sleeplock_lock_nested(&i->lock);
				ret = di->ops->rmdir(di, last, i);
				if (!ret)
					i->dead = true;
				sleeplock_unlock(&i->lock);
			}
		} else if (!ret) {
			ret = di->ops->unlink ? di->ops->unlink(di, last, i) : -EPERM;
		}
		if (!ret) {
			gone = i;
			inode_get(gone); /* evict outside the directory's lock */
			d_delete(d);
		}
		dput(d);
	}
	sleeplock_unlock(&di->lock);
	if (gone) {
		fsnotify(di, gone, last, IN_DELETE | (isdir ? IN_ISDIR : 0), 0);
		if (!isdir)
			fsnotify(NULL, gone, NULL, IN_ATTRIB, 0); /* its number of links */
		if (isdir || !READ_ONCE(gone->nlink))
			fsnotify(NULL, gone, NULL, IN_DELETE_SELF, 0);
		inode_put(gone);
	}
out:
	path_put(&parent);
	return ret;
}

int vfs_rmdir(int dfd, const char *name) { return remove_name(dfd, name, true); }
int vfs_unlink(int dfd, const char *name) { return remove_name(dfd, name, false); }

/* ---- rename ---- */

enum { NOREPLACE = 1, EXCHANGE = 2, WHITEOUT = 4 };

/* Both directories locked, ancestor first. Returns the child of one on the way to the other ("trap"), which may not be renamed. */
static void lock_two(struct dentry *a, struct dentry *b)
{
	if (a == b) {
		sleeplock_lock(&a->inode->lock);
	} else {
		bool a_first;
		mutex_lock(&a->sb->dcache->lock);
		if (d_is_ancestor(a, b))
			a_first = true;
		else if (d_is_ancestor(b, a))
			a_first = false;
		else
			a_first = a < b;
		mutex_unlock(&a->sb->dcache->lock);
		sleeplock_lock(&(a_first ? a : b)->inode->lock);
		sleeplock_lock_nested(&(a_first ? b : a)->inode->lock);
	}
}

static void unlock_two(struct dentry *a, struct dentry *b)
{
	sleeplock_unlock(&a->inode->lock);
	if (a != b)
		sleeplock_unlock(&b->inode->lock);
}

static bool is_ancestor(struct dentry *anc, struct dentry *d)
{
	guard(mutex)(&d->sb->dcache->lock);
	return d_is_ancestor(anc, d);
}

static int do_rename(struct dentry *od, struct dentry *o, const char *oname, struct dentry *nd, struct dentry *n, const char *nname, unsigned flags)
{
	struct inode *oi = o->inode, *ni = n->inode;
	bool isdir = S_ISDIR(oi->mode), nisdir = ni && S_ISDIR(ni->mode);
	int ret;

	if (oi == ni)
		return 0;
	ret = may_delete(od, o, isdir);
	if (ret)
		return ret;
	if (!ni)
		ret = may_create(nd, false);
	else
		ret = may_delete(nd, n, flags & EXCHANGE ? nisdir : isdir);
	if (ret)
		return ret;
	if (od != nd) { /* ".." changes */
		if (isdir && (ret = inode_permission(oi, MAY_WRITE)))
			return ret;
		if ((flags & EXCHANGE) && nisdir && (ret = inode_permission(ni, MAY_WRITE)))
			return ret;
	}
	if (!od->inode->ops->rename)
		return -EPERM;
	if (READ_ONCE(o->mounts) || READ_ONCE(n->mounts))
		return -EBUSY;
	bool over_dir = nisdir && !(flags & EXCHANGE);
	if (over_dir) { /* nothing may appear in it between the check that it is empty and its end */
		d_prune_children(n);
		sleeplock_lock_nested(&ni->lock);
	}
	ret = od->inode->ops->rename(od->inode, oname, oi, nd->inode, nname, ni, flags);
	if (over_dir) {
		if (!ret)
			ni->dead = true;
		sleeplock_unlock(&ni->lock);
	}
	if (ret)
		return ret;
	if (flags & EXCHANGE) {
		d_exchange(o, n);
	} else {
		d_move(o, n);
	}
	return 0;
}

int vfs_rename(int odfd, const char *oname, int ndfd, const char *nname, unsigned flags)
{
	struct path op, np;
	char olast[NAME_MAX_ + 1], nlast[NAME_MAX_ + 1];
	enum last_type otype, ntype;
	bool otrail, ntrail;
	struct dentry *o = NULL, *n = NULL;
	struct inode *moved = NULL, *replaced = NULL;

	if (flags & ~(NOREPLACE | EXCHANGE | WHITEOUT))
		return -EINVAL;
	if ((flags & (NOREPLACE | WHITEOUT)) && (flags & EXCHANGE))
		return -EINVAL;
	int ret = path_parent_full(odfd, oname, &op, olast, &otype, &otrail);
	if (ret)
		return ret;
	ret = path_parent_full(ndfd, nname, &np, nlast, &ntype, &ntrail);
	if (ret) {
		path_put(&op);
		return ret;
	}
	if (op.mnt != np.mnt)
		ret = -EXDEV;
	else if (otype != LAST_NORM)
		ret = -EBUSY;
	else if (ntype != LAST_NORM)
		ret = flags & NOREPLACE ? -EEXIST : -EBUSY;
	else
		ret = mnt_want_write(op.mnt);
	if (ret)
		goto out;
	struct dentry *od = op.dentry, *nd = np.dentry;
	struct super_block *sb = od->sb;
	if (od->inode->ops->revalidate || nd->inode->ops->revalidate) {
		if (!lookup_one(od, olast, strlen(olast), &o))
			dput(o);
		if (!lookup_one(nd, nlast, strlen(nlast), &n))
			dput(n);
		o = n = NULL;
	}
	bool across = od != nd;
	if (across)
		sleeplock_lock(&sb->rename_lock);
	lock_two(od, nd);
	ret = lookup_one_locked(od, olast, strlen(olast), &o);
	if (!ret)
		ret = lookup_one_locked(nd, nlast, strlen(nlast), &n);
	if (ret)
		goto unlock;
	if (!o->inode)
		ret = -ENOENT;
	else if ((flags & NOREPLACE) && n->inode)
		ret = -EEXIST;
	else if ((flags & EXCHANGE) && !n->inode)
		ret = -ENOENT;
	else if ((flags & EXCHANGE) && !S_ISDIR(n->inode->mode) && ntrail)
		ret = -ENOTDIR;
	else if (!S_ISDIR(o->inode->mode) && (otrail || (ntrail && !(flags & EXCHANGE))))
		ret = -ENOTDIR;
	else if (is_ancestor(o, nd))
		ret = -EINVAL;
	else if (n->inode && is_ancestor(n, od))
		ret = flags & EXCHANGE ? -EINVAL : -ENOTEMPTY;
	else {
		moved = o->inode;
		inode_get(moved);
		if ((replaced = n->inode))
			inode_get(replaced);
		ret = do_rename(od, o, olast, nd, n, nlast, flags);
	}
unlock:
	unlock_two(od, nd);
	if (across)
		sleeplock_unlock(&sb->rename_lock);
	dput(o);
	dput(n);
	if (!ret && moved != replaced) {
		static _Atomic uint32_t cookie;
		uint32_t c = atomic_fetch_add(&cookie, 1) + 1, dirbit = S_ISDIR(moved->mode) ? IN_ISDIR : 0;
		fsnotify(od->inode, moved, olast, IN_MOVED_FROM | dirbit | (od == nd ? FS_RENAME_WITHIN : 0), c);
		fsnotify(nd->inode, moved, nlast, IN_MOVED_TO | dirbit, c);
		fsnotify(NULL, moved, NULL, IN_MOVE_SELF, 0);
		if (replaced && !(flags & EXCHANGE)) {
			if (!S_ISDIR(replaced->mode))
				fsnotify(NULL, replaced, NULL, IN_ATTRIB, 0);
			if (S_ISDIR(replaced->mode) || !READ_ONCE(replaced->nlink))
				fsnotify(NULL, replaced, NULL, IN_DELETE_SELF, 0);
		}
	}
	inode_put(moved);
	inode_put(replaced);
out:
	path_put(&np);
	path_put(&op);
	return ret;
}
