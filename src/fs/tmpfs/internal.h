/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_FS_TMPFS_INTERNAL_H
#define BAILEY_FS_TMPFS_INTERNAL_H
#include "fs/tmpfs/tmpfs.h"
#include <bsd/sys/tree.h>

struct tmpfs_entry {
	RB_ENTRY(tmpfs_entry) by_name, by_off;
	struct inode *inode; /* counted */
	struct tmpfs_entry *next; /* evict's list */
	int64_t off;	     /* readdir's cookie: grows with each entry, so that changes do not disturb a reader */
	unsigned len;
	char name[];
};
RB_HEAD(tmpfs_names, tmpfs_entry);
RB_HEAD(tmpfs_offs, tmpfs_entry);
struct tmpfs_xattr { LIST_ENTRY(tmpfs_xattr) link; size_t size; void *value; char name[]; };

struct tmpfs_inode { /* inode.private */
	struct shm_object *shm; /* regular files; owned */
	/* directories; inode.lock, and inode.attr_lock for readers that have only that */
	struct tmpfs_names names;
	struct tmpfs_offs offs;
	int64_t next_off;
	struct inode *parent; /* borrowed: a directory lives in its parent; itself for the root */
	/* inode.attr_lock */
	LIST_HEAD(, tmpfs_xattr) xattrs;
	uint64_t charged; /* pages charged to the super block */
};
struct tmpfs_super { /* super_block.private */
	uint64_t max_pages, max_inodes; /* 0: no bound */
	_Atomic uint64_t pages, inodes;
	uint32_t mode;
	kuid_t uid;
	kgid_t gid;
};

static inline struct tmpfs_inode *TI(struct inode *i) { return i->private; }
static inline struct tmpfs_super *TS(struct super_block *sb) { return sb->private; }
extern const struct file_ops tmpfs_file_ops, tmpfs_dir_ops;
int tmpfs_reserve(struct inode *i, uint64_t size); /* pages for a file of this size: 0 or -ENOSPC */
void tmpfs_settle(struct inode *i);		   /* charge what is really used */

#endif
