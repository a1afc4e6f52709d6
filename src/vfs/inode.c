/* SPDX-License-Identifier: Apache-2.0 */
/* inode.c: inodes, their generic attributes, and permission. */
#include "vfs/internal.h"
#include <linux/capability.h>

struct vfs_hooks vfs_hooks;
_Atomic unsigned vfs_watch_count;

struct timespec vfs_now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	return ts;
}

struct inode *inode_new(struct super_block *sb, uint32_t mode, const struct inode_ops *ops)
{
	struct inode *i = new(struct inode);
	struct cred *c = fiber_self() ? fiber_context()->cred : NULL;

	refcount_init(&i->ref);
	i->sb = sb;
	atomic_fetch_add_explicit(&sb->nobjects, 1, memory_order_relaxed);
	i->ops = ops;
	i->ino = atomic_fetch_add_explicit(&sb->next_ino, 1, memory_order_relaxed);
	sleeplock_init(&i->lock, RANK_VFS_INODE);
	mutex_init(&i->attr_lock, RANK_FS);
	i->mode = mode;
	i->nlink = 1;
	if (c) {
		i->uid = c->fsuid;
		i->gid = c->fsgid;
	}
	i->atime = i->mtime = i->ctime = i->btime = vfs_now();
	return i;
}

void inode_get(struct inode *i) { refcount_get(&i->ref); }

static void super_object_put(struct super_block *sb); /* below, with its siblings */

void inode_put(struct inode *i)
{
	if (!i || !refcount_put(&i->ref))
		return;
	struct super_block *sb = i->sb;
	if (atomic_load_explicit(&i->watches, memory_order_acquire) && vfs_hooks.watches_release)
		vfs_hooks.watches_release(i);
	if (i->ops && i->ops->evict)
		i->ops->evict(i);
	if (unlikely(atomic_load(&i->locks)))
		locks_free(i);
	free(i->link);
	free(i);
	super_object_put(sb);
}

void inode_touch(struct inode *i, unsigned valid)
{
	struct timespec now = vfs_now();

	guard(mutex)(&i->attr_lock);
	if (valid & ATTR_ATIME)
		i->atime = now;
	if (valid & ATTR_MTIME)
		i->mtime = now;
	if (valid & ATTR_CTIME)
		i->ctime = now;
}

int generic_getattr(struct inode *i, struct kstat *st)
{
	/* One by one and without the lock, as Linux does: nobody is promised that they belong together. */
	st->dev = i->sb->dev;
	st->ino = i->ino;
	st->rdev = i->rdev;
	st->size = READ_ONCE(i->size);
	st->blksize = i->sb->blksize;
	st->blocks = (st->size + 511) / 512;
	st->mode = READ_ONCE(i->mode);
	st->nlink = READ_ONCE(i->nlink);
	st->uid = READ_ONCE(i->uid);
	st->gid = READ_ONCE(i->gid);
	st->atime = READ_TIME(i->atime);
	st->mtime = READ_TIME(i->mtime);
	st->ctime = READ_TIME(i->ctime);
	st->btime = i->btime;
	st->has_btime = false;
	st->attributes = READ_ONCE(i->fsflags) & (INODE_IMMUTABLE | INODE_APPEND | INODE_NODUMP); /* STATX_ATTR_ has the same bits */
	st->attributes_mask = i->ops && i->ops->keep_flags ? INODE_IMMUTABLE | INODE_APPEND | INODE_NODUMP : 0;
	st->mnt_id = 0;
	return 0;
}

int generic_setattr(struct inode *i, const struct iattr *a)
{
	guard(mutex)(&i->attr_lock);
	if (a->valid & ATTR_UID)
		i->uid = a->uid;
	if (a->valid & ATTR_GID)
		i->gid = a->gid;
	if (a->valid & ATTR_MODE)
		i->mode = (i->mode & S_IFMT) | (a->mode & 07777);
	if (a->valid & ATTR_SIZE)
		i->size = a->size;
	if (a->valid & ATTR_ATIME)
		i->atime = a->atime;
	if (a->valid & ATTR_MTIME)
		i->mtime = a->mtime;
	if (a->valid & ATTR_CTIME)
		i->ctime = a->ctime;
	return 0;
}

/* ---- permission ---- */

static bool id_mapped_in(struct user_namespace *ns, const struct inode *i)
{
	if (!ns->level)
		return true;
	return from_kuid(ns, i->uid) != KID_INVALID && make_kuid(ns, from_kuid(ns, i->uid)) == i->uid &&
	       make_kgid(ns, from_kgid(ns, i->gid)) == i->gid;
}

bool capable_wrt_inode(struct inode *i, int cap)
{
	struct cred *c = fiber_context()->cred;
	return cred_has_own_cap(c, cap) && id_mapped_in(c->user_ns, i);
}

bool inode_owner_or_capable(struct inode *i)
{
	return fiber_context()->cred->fsuid == READ_ONCE(i->uid) || capable_wrt_inode(i, CAP_FOWNER);
}

int generic_permission(struct inode *i, int mask)
{
	struct cred *c = fiber_context()->cred;
	unsigned mode = READ_ONCE(i->mode);
	unsigned want = mask & 7;

	if (c->fsuid == READ_ONCE(i->uid))
		mode >>= 6;
	else if ((((mode >> 3) ^ mode) & want) && cred_in_group(c, READ_ONCE(i->gid)))
		mode >>= 3; /* only asked when the answer could differ, as acl_permission_check() does */
	if (!(want & ~mode))
		return 0;
	mode = READ_ONCE(i->mode);
	if (S_ISDIR(mode)) {
		if (!(want & MAY_WRITE) && capable_wrt_inode(i, CAP_DAC_READ_SEARCH))
			return 0;
		return capable_wrt_inode(i, CAP_DAC_OVERRIDE) ? 0 : -EACCES;
	}
	if (want == MAY_READ && capable_wrt_inode(i, CAP_DAC_READ_SEARCH))
		return 0;
	if ((!(want & MAY_EXEC) || (mode & 0111)) && capable_wrt_inode(i, CAP_DAC_OVERRIDE))
		return 0;
	return -EACCES;
}

int inode_permission(struct inode *i, int mask)
{
	if ((mask & MAY_WRITE) && (i->sb->flags & 1 /* MS_RDONLY */) &&
	    (S_ISREG(i->mode) || S_ISDIR(i->mode) || S_ISLNK(i->mode)))
		return -EROFS;
	if ((mask & MAY_WRITE) && inode_has(i, INODE_IMMUTABLE))
		return -EPERM;
	if (i->ops && i->ops->permission)
		return i->ops->permission(i, mask);
	return generic_permission(i, mask);
}

/* ---- ETXTBSY: writers count up from 0, running images down ---- */

int inode_get_write(struct inode *i)
{
	int v = atomic_load(&i->writecount);
	do {
		if (v < 0)
			return -ETXTBSY;
	} while (!atomic_compare_exchange_weak(&i->writecount, &v, v + 1));
	return 0;
}

void inode_put_write(struct inode *i) { atomic_fetch_sub(&i->writecount, 1); }

int inode_deny_write(struct inode *i)
{
	int v = atomic_load(&i->writecount);
	do {
		if (v > 0)
			return -ETXTBSY;
	} while (!atomic_compare_exchange_weak(&i->writecount, &v, v - 1));
	return 0;
}

void inode_allow_write(struct inode *i) { atomic_fetch_add(&i->writecount, 1); }

/* ---- super blocks ---- */

static _Atomic uint32_t next_dev = 32;

uint64_t vfs_new_dev(void)
{
	/* major 0: minor numbers above 255 are split, as new_encode_dev() does */
	uint32_t minor = atomic_fetch_add(&next_dev, 1);
	return (minor & 0xff) | ((uint64_t)(minor & ~0xffu) << 12);
}

struct super_block *super_new(struct kernel *k, const char *type, const struct super_ops *ops)
{
	struct super_block *sb = new(struct super_block);

	refcount_init(&sb->ref);
	sb->type = type;
	sb->ops = ops;
	sb->dev = vfs_new_dev();
	sleeplock_init(&sb->rename_lock, RANK_VFS_RENAME);
	atomic_init(&sb->next_ino, 1);
	atomic_init(&sb->nobjects, 1);
	sb->kernel = k;
	sb->blksize = 4096;
	dcache_init(sb);
	return sb;
}

static void super_object_put(struct super_block *sb)
{
	if (atomic_fetch_sub(&sb->nobjects, 1) != 1)
		return;
	free(sb->source);
	free(sb);
}

void super_get(struct super_block *sb) { refcount_get(&sb->ref); }

void super_put(struct super_block *sb)
{
	if (!sb || !refcount_put(&sb->ref))
		return;
	dcache_destroy(sb);
	inode_put(sb->root);
	sb->root = NULL;
	if (sb->ops && sb->ops->put_super)
		sb->ops->put_super(sb);
	super_object_put(sb);
}

/* ---- registries: filled at start, read-only afterwards ---- */

#define MAX_FS 32
static const struct file_system_type *fs_types[MAX_FS];
static unsigned nfs_types;

void register_filesystem(const struct file_system_type *t)
{
	if (get_fs_type(t->name))
		return;
	BUG_ON(nfs_types == MAX_FS);
	fs_types[nfs_types++] = t;
}

const struct file_system_type *get_fs_type(const char *name)
{
	for (unsigned i = 0; i < nfs_types; i++)
		if (!strcmp(fs_types[i]->name, name))
			return fs_types[i];
	return NULL;
}

#define MAX_CHRDEV 128
static struct { unsigned major, first, count; int (*open)(struct inode *, struct file *); } chrdevs[MAX_CHRDEV];
static unsigned nchrdevs;
static int (*fifo_open)(struct inode *, struct file *);

int register_chrdev(unsigned major, unsigned minor_first, unsigned count, int (*open)(struct inode *, struct file *))
{
	for (unsigned i = 0; i < nchrdevs; i++)
		if (chrdevs[i].major == major && chrdevs[i].first == minor_first && chrdevs[i].open == open)
			return 0;
	if (nchrdevs == MAX_CHRDEV)
		return -ENOSPC;
	chrdevs[nchrdevs].major = major;
	chrdevs[nchrdevs].first = minor_first;
	chrdevs[nchrdevs].count = count;
	chrdevs[nchrdevs++].open = open;
	return 0;
}

void register_fifo_open(int (*open)(struct inode *inode, struct file *f)) { fifo_open = open; }

int special_open(struct inode *inode, struct file *f)
{
	if (S_ISFIFO(inode->mode) && fifo_open)
		return fifo_open(inode, f);
	if (S_ISCHR(inode->mode)) {
		unsigned major = ((inode->rdev >> 8) & 0xfff) | ((inode->rdev >> 32) & ~0xfffu);
		unsigned minor = (inode->rdev & 0xff) | ((inode->rdev >> 12) & ~0xffu);
		for (unsigned i = 0; i < nchrdevs; i++)
			if (chrdevs[i].major == major && minor - chrdevs[i].first < chrdevs[i].count)
				return chrdevs[i].open(inode, f);
	}
	if (inode->ops && inode->ops->open && !S_ISSOCK(inode->mode) && !S_ISBLK(inode->mode))
		return inode->ops->open(inode, f);
	return -ENXIO;
}
