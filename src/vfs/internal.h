/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h: what the files of vfs/ share with each other. */
#ifndef BAILEY_VFS_INTERNAL_H
#define BAILEY_VFS_INTERNAL_H
#include "vfs/vfs.h"

#ifndef PATH_MAX
#define PATH_MAX 4096
#endif
#define NAME_MAX_ 255

/* ---- dentries (dentry.c) ---- */
struct dentry {
	_Atomic int count; /* 0: kept by the cache alone; 0 <-> 1 only under the dcache lock */
	struct super_block *sb;
	struct inode *inode; /* counted; NULL: "no such name". dcache lock; fixed while somebody holds the dentry */
	/* dcache lock */
	uint32_t hash, len;
	char *name;		/* iname or heap */
	struct dentry *parent;	/* counted; itself for a root */
	LIST_ENTRY(dentry) hash_link, sibling;
	LIST_HEAD(, dentry) children;
	TAILQ_ENTRY(dentry) lru;
	bool hashed, in_lru, referenced;
	bool deleted; /* unlinked, or never had a name (O_TMPFILE) */
	bool anon;    /* name is all there is: "pipe:[7]" */
	/* mount lock */
	int mounts; /* mounts on it, in any namespace */
	char iname[];
};
LIST_HEAD(dentry_bucket, dentry);
struct dcache {
	struct mutex lock; /* RANK_DENTRY */
	struct dentry_bucket *buckets;
	unsigned mask, nhashed, nlru;
	TAILQ_HEAD(, dentry) lru;
};

static inline void dget(struct dentry *d) { atomic_fetch_add_explicit(&d->count, 1, memory_order_relaxed); }
void dput(struct dentry *d);
uint32_t name_hash(const char *name, size_t len);
static inline uint32_t name_hash_step(uint32_t h, unsigned char c) { return (h ^ c) * 0x01000193u; }
#define NAME_HASH_INIT 0x811c9dc5u
struct dentry *d_lookup_locked(struct dentry *parent, const char *name, size_t len, uint32_t hash); /* borrowed; dcache lock held */
struct dentry *d_lookup(struct dentry *parent, const char *name, size_t len);			    /* counted or NULL */
struct dentry *d_alloc(struct super_block *sb, struct dentry *parent, const char *name, size_t len); /* count 1, not hashed, no inode */
void d_add(struct dentry *d, struct inode *inode /* counted reference taken over; NULL: negative */);
void d_instantiate(struct dentry *d, struct inode *inode); /* negative becomes positive; hashes it if it was not */
void d_delete(struct dentry *d);			   /* its name went from the directory; caller holds one reference */
void d_drop(struct dentry *d);				   /* only out of the hash: the next walk looks it up again */
void d_move(struct dentry *d, struct dentry *target /* negative or to be deleted; loses its name */);
void d_exchange(struct dentry *a, struct dentry *b);
void d_prune_children(struct dentry *d);
bool d_is_ancestor(struct dentry *anc, struct dentry *d); /* or the same; sb rename lock or dcache lock held */
void dcache_init(struct super_block *sb);
void dcache_destroy(struct super_block *sb);
struct dentry *d_make_root(struct super_block *sb); /* counted for sb->root_dentry */

/* ---- mounts (mount.c) ---- */
struct mount {
	struct refcount ref; /* one from the tree while attached */
	struct super_block *sb; /* counted */
	struct dentry *root;	/* counted */
	uint64_t id;
	/* mount lock */
	unsigned flags; /* MS_RDONLY, NOSUID, NODEV, NOEXEC, NOATIME, NODIRATIME, RELATIME */
	struct mount_namespace *ns; /* borrowed; NULL when detached */
	struct mount *parent;	    /* counted; NULL for a root */
	struct dentry *mountpoint;  /* counted */
	LIST_ENTRY(mount) hash_link;
	TAILQ_ENTRY(mount) ns_link;
	/* mount lock; propagate.c */
	unsigned group;			       /* number of its peer group; 0: not shared */
	struct mount *peer_next, *peer_prev;   /* borrowed: a mount leaves the ring before it goes; itself when alone */
	struct mount *master;		       /* borrowed: slave of it; NULL: of nobody */
	LIST_HEAD(, mount) slaves;
	LIST_ENTRY(mount) slave_link;
	bool unbindable;
	struct mount *copy; /* while a tree is being copied */
	unsigned mark;	    /* while a tree is being listed */
};
/* Where an event on one mount has to happen too: mounts, each of a ring (a peer group, or a lone slave). */
struct target { struct mount *m; int ring; };
struct target_ring { int parent; bool shared; unsigned group; struct mount *first, **copy /* the tree in place there */; };
struct targets { struct target *v; struct target_ring *rings; int n, cap, nrings, rcap; };
void propagation_targets_locked(struct mount *from, struct targets *t);
void targets_done(struct targets *t);
void mnt_set_shared_locked(struct mount *m);
void mnt_change_propagation_locked(struct mount *m, unsigned long type); /* MS_SHARED, PRIVATE, SLAVE, UNBINDABLE */
void mnt_join_locked(struct mount *new, struct mount *old, bool slave); /* new is a copy of old: a peer of it, or its slave */
extern struct mutex mount_lock; /* RANK_MOUNT: the topology of all mount trees */
static inline void mnt_get(struct mount *m) { refcount_get(&m->ref); }
void mnt_put(struct mount *m);
struct mount *mount_alloc(struct super_block *sb, struct dentry *root, unsigned flags); /* count 1, detached */
void topmost_locked(struct mount **m, struct dentry **d); /* step onto what is mounted there */
struct mount *lookup_mnt_locked(struct mount *parent, struct dentry *d); /* borrowed, topmost there; NULL: none */
bool mnt_is_readonly(struct mount *m);
static inline int mnt_want_write(struct mount *m) { return mnt_is_readonly(m) ? -EROFS : 0; }
struct mount *anon_mount(void);
struct path_string_info { bool reached_root, deleted; };
/* The absolute name into the end of buf: its start, or NULL (too long). No " (deleted)", which info tells. */
char *path_string(const struct path *p, const struct path *root, char *buf, size_t size, struct path_string_info *info);
void fs_get_root(struct path *out); /* counted, of the running fiber */
void fs_get_pwd(struct path *out);

/* ---- walk (namei.c) ---- */
enum last_type { LAST_NORM, LAST_ROOT, LAST_DOT, LAST_DOTDOT };
/* Look name up in dir (dir->lock held or taken inside): a counted dentry, maybe negative. */
int lookup_one_locked(struct dentry *dir, const char *name, size_t len, struct dentry **out);
int lookup_one(struct dentry *dir, const char *name, size_t len, struct dentry **out);
int path_parent_full(int dfd, const char *name, struct path *parent, char last[256], enum last_type *type, bool *trailing_slash);
int may_create(struct dentry *dir, bool exists);
int may_delete(struct dentry *dir, struct dentry *victim, bool isdir);
uint32_t apply_umask(uint32_t mode);

/* ---- open files (open.c, file.c), locks.c ---- */
struct file_lock;
struct lease;
struct file_lock_list { /* inode.locks: locks.c and lease.c */
	struct mutex lock; /* RANK_FS */
	TAILQ_HEAD(, file_lock) granted;
	TAILQ_HEAD(, lease) leases;
	struct wait_queue wait, lease_wait;
};
struct file_lock_list *locks_of(struct inode *i, bool make);
void locks_free(struct inode *i);
/* Somebody opens or truncates i: tell the holders of leases in the way, and wait for them. 0, -EWOULDBLOCK or -ERESTARTSYS */
int lease_break(struct inode *i, unsigned flags /* O_ */);
void lease_remove_file(struct file *f);
static inline int break_lease(struct inode *i, unsigned flags)
{
	return unlikely(atomic_load(&i->locks)) ? lease_break(i, flags) : 0;
}
static inline void notify_file(struct file *f, uint32_t mask)
{
	if (unlikely(atomic_load_explicit(&vfs_watch_count, memory_order_relaxed)) && vfs_hooks.notify_file)
		vfs_hooks.notify_file(f, mask);
}
int do_dentry_open(struct file *f);
int inode_kill_privs(struct inode *i); /* a write takes set-ID bits away */
struct file *file_alloc_raw(const struct path *p, unsigned flags);
struct special_open { int (*open)(struct inode *inode, struct file *f); };
int special_open(struct inode *inode, struct file *f); /* device nodes and FIFOs */

struct mount_namespace {
	struct refcount ref;
	uint64_t ns_ino;
	struct user_namespace *user_ns; /* counted, may be NULL (root) */
	/* mount_lock */
	TAILQ_HEAD(, mount) mounts; /* in the order they were made */
	struct mount *root;	    /* borrowed: it is in mounts */
	unsigned nmounts;
	_Atomic unsigned event; /* counts changes: poll of /proc/PID/mounts */
	struct wait_queue wait;
};

#endif
