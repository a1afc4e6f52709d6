/* SPDX-License-Identifier: Apache-2.0 */
/* overlay_internal.h: shared by the files of fs/overlay only. The OVERVIEW stands in super.c. */
#ifndef BAILEY_FS_OVERLAY_INTERNAL_H
#define BAILEY_FS_OVERLAY_INTERNAL_H
#include "fs/overlay/overlay.h"
#include "mm/mm.h"

/* What a directory has that its lower directory has not: a name that means something else, or nothing. */
struct ovl_entry {
	LIST_ENTRY(ovl_entry) hash;
	TAILQ_ENTRY(ovl_entry) order; /* by seq; whiteouts are not in it */
	uint64_t seq;		      /* the readdir position, never used twice */
	struct inode *inode;	      /* counted; NULL: a whiteout */
	bool hides_lower;	      /* the lower directory has this name: removing it leaves a whiteout */
	uint32_t hashval;
	char name[];
};
LIST_HEAD(ovl_bucket, ovl_entry);
struct ovl_listing { /* of a lower directory; immutable */
	unsigned n;
	struct { uint64_t ino; uint32_t name; uint8_t type; } *e;
	char *names;
};
struct ovl_xattr {
	LIST_ENTRY(ovl_xattr) link;
	bool removed; /* the lower file has it */
	size_t size;
	char *value;
	char name[];
};
struct ovl_inode {
	struct inode *inode;	/* back pointer */
	struct ovl_fs *fs;
	struct inode *lower;	/* counted, immutable; NULL: new, or an opaque directory */
	_Atomic(struct inode *) upper; /* counted; a regular file's data once it was written to; set once */
	struct sleeplock copy_lock;    /* RANK_OVERLAY: sets upper, opens inner files */
	uint64_t lower_blocks;
	/* fs->lock */
	LIST_ENTRY(ovl_inode) hash; /* by lower */
	bool hashed, pinned;
	/* lock */
	struct mutex lock; /* RANK_FS */
	uint64_t parent_ino;
	LIST_HEAD(, ovl_xattr) xattrs;
	size_t xattr_bytes;
	struct ovl_bucket *buckets;
	unsigned nbuckets, nentries, nnames; /* nnames: entries that are no whiteouts */
	TAILQ_HEAD(ovl_order, ovl_entry) order;
	uint64_t next_seq;
	_Atomic(struct ovl_listing *) listing; /* owned; set once */
};
struct ovl_fs {
	struct refcount ref; /* the super block and each inode */
	struct super_block *sb, *lower_sb, *upper_sb; /* the latter two counted */
	struct mutex lock; /* RANK_FS: hash by lower inode, pins */
	LIST_HEAD(, ovl_inode) *buckets;
	unsigned nbuckets, ninodes;
	_Atomic uint64_t next_ino;
	_Atomic uint64_t nnew; /* inodes that are in memory only... */
	uint64_t max_new;      /* ...and how many there may be: as many as the upper file system would hold */
	struct mutex reap_lock; /* RANK_LEAF */
	TAILQ_HEAD(, ovl_entry) reap; /* entries of directories that are gone: put one after the other, not recursively */
	bool reaping;
};
static inline struct ovl_inode *ovl_i(struct inode *i) { return i->private; }

extern const struct inode_ops ovl_dir_iops, ovl_file_iops;
struct inode *ovl_iget(struct ovl_fs *fs, struct inode *lower /* reference taken over */, uint64_t parent_ino);
int ovl_new(struct inode *dir, uint32_t mode, struct inode **out); /* 0 or -ENOSPC */
void ovl_pin(struct ovl_inode *oi);   /* it has state that its lower inode has not: keep it */
void ovl_unpin(struct ovl_inode *oi); /* no name is left */
void ovl_evict(struct inode *i);

/* dir.c */
void ovl_dir_evict(struct ovl_inode *oi);
int ovl_dir_open(struct inode *inode, struct file *f);
/* file.c */
int ovl_file_open(struct inode *inode, struct file *f);
int ovl_copy_up(struct ovl_inode *oi, struct file *f /* or NULL */, uint64_t limit);
int ovl_inner_open(struct file *f, const struct path *path, struct inode *real, unsigned mode, struct file **out);
void ovl_inner_close(struct file *in);
/* attr.c */
int ovl_getattr(struct inode *i, struct kstat *st);
int ovl_setattr(struct inode *i, const struct iattr *a);
int ovl_keep_flags(struct inode *i, unsigned flags);
ssize_t ovl_readlink(struct inode *i, char *buf, size_t size);
ssize_t ovl_getxattr(struct inode *i, const char *name, void *buf, size_t size);
int ovl_setxattr(struct inode *i, const char *name, const void *buf, size_t size, int flags);
ssize_t ovl_listxattr(struct inode *i, char *buf, size_t size);
int ovl_removexattr(struct inode *i, const char *name);
void ovl_xattr_evict(struct ovl_inode *oi);

#endif
