/* SPDX-License-Identifier: Apache-2.0 */
/* host_internal.h: shared by the files of fs/host only. */
#ifndef BAILEY_FS_HOST_INTERNAL_H
#define BAILEY_FS_HOST_INTERNAL_H
#include "fs/host/host.h"
#include "mm/mm.h"
#include "vfs/vfs.h"

/* A directory has HD_MAIN (O_PATH); a regular file HD_MAIN (O_RDONLY) and HD_RW (O_RDWR), each opened when first needed. */
enum { HD_MAIN, HD_RW, HD_COUNT };
struct host_desc { /* fs->lock */
	int fd; /* -1: closed */
	unsigned pins;
	bool in_lru;
	TAILQ_ENTRY(host_desc) lru;
};
struct host_inode {
	struct inode *inode;	 /* back pointer */
	struct host_fs *fs;	 /* borrowed */
	uint64_t dev, hino;	 /* the host's; immutable */
	uint64_t id;		 /* mappable identity; immutable */
	_Atomic uint64_t blocks; /* 512-byte */
	uint32_t blksize;
	_Atomic(struct host_cache *) cache; /* contents of a small file that is read often (read-only trees); owned */
	_Atomic unsigned reads;
	/* fs->lock */
	LIST_ENTRY(host_inode) hash;
	struct host_inode *parent; /* counted through its inode; NULL: the root, or unlinked */
	char *name;		   /* in parent; owned */
	struct host_desc desc[HD_COUNT];
	bool hashed;
};
struct host_cache { size_t size; char data[]; };
#define HOST_MAX_DEVS 256
struct host_fs {
	struct refcount ref; /* of the super block and each inode */
	int root_fd; /* owned, immutable */
	bool ro;     /* immutable */
	struct mutex lock; /* RANK_FS: hash, names, descriptors */
	LIST_HEAD(, host_inode) *buckets;
	unsigned nbuckets, ninodes;
	TAILQ_HEAD(, host_desc) lru; /* open and not pinned, least recently used first */
	unsigned nfds, max_fds;
	uint64_t devs[HOST_MAX_DEVS]; /* devices seen: their index is part of the inode number */
	unsigned ndevs;
	_Atomic size_t cache_bytes;
};

static inline struct host_inode *host_i(struct inode *i) { return i->private; }
static inline struct host_fs *host_fs(struct inode *i) { return i->sb->private; }

/* Pin an open descriptor: fd or -errno. May block in the host. */
int host_desc_get(struct host_inode *hi, int which);
void host_desc_put(struct host_inode *hi, int which);
/* The name of hi in its parent, copied, and the parent with HD_MAIN pinned: its fd or -errno (-ESTALE: unlinked). */
int host_parent_get(struct host_inode *hi, struct host_inode **parent, char name[256]);
void host_parent_put(struct host_inode *parent);
void host_fill(struct host_inode *hi, const struct stat *st); /* attributes into the inode */
int host_refresh(struct host_inode *hi);		      /* rw trees: 0 or -errno */
uint64_t host_ino(struct host_fs *fs, uint64_t dev, uint64_t ino);
int host_lookup_name(struct inode *dir, const char *name, struct inode **out);
void host_evict(struct inode *i);
extern const struct inode_ops host_ro_ops, host_rw_ops;
int host_open(struct inode *inode, struct file *f);
int host_mmap(struct file *f, struct vm_map *m);

/* A per-thread scratch buffer for copies between the host and guests; taken and given back, since a fiber may change threads. */
#define BOUNCE_SIZE (256u << 10)
char *bounce_get(void);
void bounce_put(char *b);

#endif
