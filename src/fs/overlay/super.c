/* SPDX-License-Identifier: Apache-2.0 */
/* super.c: the "overlay" file system.
 *
 * OVERVIEW
 * The upper layer of Bailey's overlay is always in memory, so it needs no tree of its own: changed names live in tables of
 * the overlay's directory inodes (struct ovl_entry), whiteouts are entries without an inode, an opaque directory is one
 * without a lower inode, and a renamed directory is an entry whose inode has a lower one elsewhere. Owner, mode, times and
 * xattrs live in the overlay's inodes. Only the data of written files needs a place: an inode without a name of the upper file system
 * (its tmpfile operation). So rename and link never copy anything; data is copied when a file is first written to, truncated or
 * mapped shared and writable, not when it is opened.
 *
 * An inode from the lower tree that has changed is *pinned* (an extra reference) and found again through a hash by its lower
 * inode, whichever of its names is looked up: hard links stay hard links. Numbers do not change, since they belong to the overlay's inode.
 *
 * LIFECYCLE
 * Entries hold references on their inodes; pins hold inodes that have no entry. Both end when the last name goes, or with the file system.
 *
 * LOCKS
 * vfs holds inode.lock of directories in name operations; ovl_inode.lock (mutex) guards tables against readdir, and xattrs.
 * copy_lock (sleep) serialises copy-up; inside it the upper inode's own lock (re-ranked RANK_OVERLAY_UPPER).
 */
#include "fs/overlay/overlay_internal.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/statfs.h>

#define OVL_MAGIC 0x794c7630
#define OVL_INO_BASE (1ULL << 43) /* new inodes; lower ones keep their numbers */

static unsigned hash_of(struct ovl_fs *fs, struct inode *lower)
{
	return ((uintptr_t)lower * 0x9e3779b97f4a7c15ULL >> 32) & (fs->nbuckets - 1);
}

static void hash_grow(struct ovl_fs *fs)
{
	unsigned old = fs->nbuckets;
	__typeof__(fs->buckets) b = fs->buckets;

	fs->nbuckets = old ? old * 4 : 256;
	fs->buckets = xcalloc(fs->nbuckets, sizeof(*fs->buckets));
	for (unsigned i = 0; i < old; i++) {
		struct ovl_inode *oi;

		while ((oi = LIST_FIRST(&b[i]))) {
			LIST_REMOVE(oi, hash);
			LIST_INSERT_HEAD(&fs->buckets[hash_of(fs, oi->lower)], oi, hash);
		}
	}
	free(b);
}

static struct ovl_inode *ovl_inode_init(struct ovl_fs *fs, struct inode *i)
{
	struct ovl_inode *oi = new(struct ovl_inode);

	oi->inode = i;
	oi->fs = fs;
	sleeplock_init(&oi->copy_lock, RANK_OVERLAY);
	mutex_init(&oi->lock, RANK_FS);
	LIST_INIT(&oi->xattrs);
	TAILQ_INIT(&oi->order);
	i->private = oi;
	refcount_get(&fs->ref);
	return oi;
}

struct inode *ovl_iget(struct ovl_fs *fs, struct inode *lower, uint64_t parent_ino)
{
	struct ovl_inode *oi;
	struct kstat st;
	struct inode *i;

	mutex_lock(&fs->lock);
	LIST_FOREACH(oi, &fs->buckets[hash_of(fs, lower)], hash)
		if (oi->lower == lower && refcount_try_get(&oi->inode->ref)) {
			mutex_unlock(&fs->lock);
			inode_put(lower);
			return oi->inode;
		}
	mutex_unlock(&fs->lock);
	if ((lower->ops->getattr ? lower->ops->getattr(lower, &st) : generic_getattr(lower, &st)) < 0)
		generic_getattr(lower, &st);
	i = inode_new(fs->sb, st.mode, S_ISDIR(st.mode) ? &ovl_dir_iops : &ovl_file_iops);
	i->nlink = st.nlink;
	i->uid = st.uid;
	i->gid = st.gid;
	i->rdev = st.rdev;
	i->size = st.size;
	i->atime = st.atime;
	i->mtime = st.mtime;
	i->ctime = st.ctime;
	i->btime = st.btime;
	i->ino = st.ino;
	if (lower->link)
		i->link = xstrdup(lower->link);
	oi = ovl_inode_init(fs, i);
	oi->lower = lower;
	oi->lower_blocks = st.blocks;
	oi->parent_ino = parent_ino;
	mutex_lock(&fs->lock);
	/* Two walks may come here at once for two names of one file: the first inode stays. */
	struct ovl_inode *o2;
	LIST_FOREACH(o2, &fs->buckets[hash_of(fs, lower)], hash)
		if (o2->lower == lower && refcount_try_get(&o2->inode->ref)) {
			mutex_unlock(&fs->lock);
			inode_put(i); /* puts lower */
			return o2->inode;
		}
	if (++fs->ninodes * 2 > fs->nbuckets) /* each step of a chain is a cache miss */
		hash_grow(fs);
	LIST_INSERT_HEAD(&fs->buckets[hash_of(fs, lower)], oi, hash);
	oi->hashed = true;
	mutex_unlock(&fs->lock);
	return i;
}

int ovl_new(struct inode *dir, uint32_t mode, struct inode **out)
{
	struct ovl_fs *fs = ovl_i(dir)->fs;
	struct inode *i;

	if (atomic_fetch_add(&fs->nnew, 1) >= fs->max_new) {
		atomic_fetch_sub(&fs->nnew, 1);
		return -ENOSPC;
	}
	i = inode_new(fs->sb, mode, S_ISDIR(mode) ? &ovl_dir_iops : &ovl_file_iops);
	i->ino = OVL_INO_BASE + atomic_fetch_add(&fs->next_ino, 1);
	if (dir->mode & S_ISGID) {
		i->gid = dir->gid;
		if (S_ISDIR(mode))
			i->mode |= S_ISGID;
		else if ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && !cred_in_group(fiber_context()->cred, i->gid) &&
			 !capable_wrt_inode(i, 4 /* CAP_FSETID */))
			i->mode &= ~S_ISGID;
	}
	if (S_ISDIR(mode))
		i->nlink = 2;
	ovl_inode_init(fs, i)->parent_ino = dir->ino;
	*out = i;
	return 0;
}

void ovl_pin(struct ovl_inode *oi)
{
	if (!oi->lower)
		return;
	mutex_lock(&oi->fs->lock);
	if (!oi->pinned) {
		oi->pinned = true;
		inode_get(oi->inode);
	}
	mutex_unlock(&oi->fs->lock);
}

void ovl_unpin(struct ovl_inode *oi)
{
	bool was;

	mutex_lock(&oi->fs->lock);
	was = oi->pinned;
	oi->pinned = false;
	mutex_unlock(&oi->fs->lock);
	if (was)
		inode_put(oi->inode);
}

static void ovl_fs_put(struct ovl_fs *fs)
{
	if (!refcount_put(&fs->ref))
		return;
	free(fs->buckets);
	super_put(fs->lower_sb);
	super_put(fs->upper_sb);
	free(fs);
}

void ovl_evict(struct inode *i)
{
	struct ovl_inode *oi = ovl_i(i);
	struct ovl_fs *fs = oi->fs;
	struct inode *up = oi->upper;

	mutex_lock(&fs->lock);
	if (oi->hashed) {
		LIST_REMOVE(oi, hash);
		fs->ninodes--;
	}
	mutex_unlock(&fs->lock);
	ovl_xattr_evict(oi);
	ovl_dir_evict(oi);
	if (oi->lower)
		inode_put(oi->lower);
	else
		atomic_fetch_sub(&fs->nnew, 1);
	if (up)
		inode_put(up);
	free(oi);
	i->private = NULL;
	ovl_fs_put(fs);
}

static int ovl_statfs(struct super_block *sb, struct statfs *st)
{
	struct ovl_fs *fs = sb->private;
	int r = fs->upper_sb->ops->statfs ? fs->upper_sb->ops->statfs(fs->upper_sb, st) : 0;

	st->f_type = OVL_MAGIC;
	if (!st->f_namelen)
		st->f_namelen = 255;
	return r;
}

static void ovl_put_super(struct super_block *sb)
{
	struct ovl_fs *fs = sb->private;

	/* Let go of everything that was kept for its changes. */
	for (unsigned b = 0; b < fs->nbuckets;) {
		struct ovl_inode *oi, *hit = NULL;

		mutex_lock(&fs->lock);
		LIST_FOREACH(oi, &fs->buckets[b], hash)
			if (oi->pinned) {
				oi->pinned = false;
				hit = oi;
				break;
			}
		mutex_unlock(&fs->lock);
		if (hit)
			inode_put(hit->inode);
		else
			b++;
	}
	ovl_fs_put(fs);
}

static int ovl_show_options(struct super_block *sb, char *buf, size_t size)
{
	return snprintf(buf, size, ",lowerdir=/,upperdir=/,workdir=/");
}

static const struct super_ops ovl_super_ops = { .statfs = ovl_statfs, .put_super = ovl_put_super, .show_options = ovl_show_options };

int overlay_create(struct kernel *k, struct super_block *lower, struct super_block *upper, struct super_block **out)
{
	struct super_block *sb;
	struct ovl_fs *fs;
	struct statfs st;

	if (!upper->root->ops->tmpfile)
		return -EINVAL;
	fs = new(struct ovl_fs);
	refcount_init(&fs->ref);
	mutex_init(&fs->lock, RANK_FS);
	mutex_init(&fs->reap_lock, RANK_LEAF);
	TAILQ_INIT(&fs->reap);
	hash_grow(fs);
	atomic_init(&fs->next_ino, 1);
	fs->lower_sb = lower;
	fs->upper_sb = upper;
	super_get(lower);
	super_get(upper);
	fs->max_new = UINT64_MAX;
	memset(&st, 0, sizeof(st));
	if (upper->ops->statfs && upper->ops->statfs(upper, &st) == 0 && st.f_files)
		fs->max_new = st.f_files;
	sb = fs->sb = super_new(k, "overlay", &ovl_super_ops);
	sb->private = fs;
	sb->source = xstrdup("overlay");
	sb->magic = OVL_MAGIC;
	inode_get(lower->root);
	sb->root = ovl_iget(fs, lower->root, lower->root->ino);
	*out = sb;
	return 0;
}
