/* SPDX-License-Identifier: Apache-2.0 */
/* vfs.h: inodes, dentries, mounts, path walk, open files, descriptor tables. The shapes are Linux's, cut down.
 * A file system is a folder under fs/ that fills inode_ops and file_ops. Everything returns 0 or a positive result, or -errno. */
#ifndef BAILEY_VFS_VFS_H
#define BAILEY_VFS_VFS_H
#include "auth/cred.h"
#include "lib/lib.h"
#include "mm/uaccess.h"
#include "sched/sched.h"
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <time.h>

struct inode;
struct dentry;
struct super_block;
struct mount;
struct file;
struct dir_context;
struct kernel;
struct statfs;

struct path { struct mount *mnt; struct dentry *dentry; };
void path_get(const struct path *p);
void path_put(struct path *p);
struct inode *path_inode(const struct path *p); /* borrowed */
DEFINE_FREE(path, struct path, path_put(&_p));

/* ---- inodes ---- */
struct iattr { /* setattr */
	unsigned valid; /* ATTR_ bits */
	uint32_t mode;
	kuid_t uid;
	kgid_t gid;
	uint64_t size;
	struct timespec atime, mtime, ctime;
	struct file *file; /* ftruncate's file, or NULL */
};
enum { ATTR_MODE = 1, ATTR_UID = 2, ATTR_GID = 4, ATTR_SIZE = 8, ATTR_ATIME = 16, ATTR_MTIME = 32, ATTR_CTIME = 64, ATTR_KILL_PRIV = 128 };

struct kstat { /* everything that stat and statx show */
	uint64_t dev, ino, rdev, size, blocks;
	uint32_t mode, nlink, blksize;
	kuid_t uid;
	kgid_t gid;
	struct timespec atime, mtime, ctime, btime;
	bool has_btime;
	uint64_t attributes, attributes_mask, mnt_id;
};

/* Directory operations are called with dir->lock held (for rename: both, parents first, and sb rename lock); all others,
 * setattr too, without. Permission, EROFS, EEXIST, sticky bits and the umask have been dealt with by the caller.
 * A NULL op means the default: EPERM or ENOTDIR for a change, generic getattr and setattr on the inode's own fields. */
struct inode_ops {
	int (*lookup)(struct inode *dir, const char *name, size_t len, struct inode **out); /* counted inode, or -ENOENT */
	int (*create)(struct inode *dir, const char *name, uint32_t mode, struct inode **out); /* regular file */
	int (*mknod)(struct inode *dir, const char *name, uint32_t mode, uint64_t rdev, struct inode **out);
	int (*mkdir)(struct inode *dir, const char *name, uint32_t mode, struct inode **out);
	int (*symlink)(struct inode *dir, const char *name, const char *target, struct inode **out);
	int (*link)(struct inode *dir, const char *name, struct inode *target);
	int (*unlink)(struct inode *dir, const char *name, struct inode *target);
	int (*rmdir)(struct inode *dir, const char *name, struct inode *target);
	int (*rename)(struct inode *odir, const char *oname, struct inode *oinode, struct inode *ndir, const char *nname,
		      struct inode *ninode /* NULL if none */, unsigned flags);
	int (*tmpfile)(struct inode *dir, uint32_t mode, struct inode **out);
	ssize_t (*readlink)(struct inode *inode, char *buf, size_t size); /* not NUL-terminated; bytes */
	/* Magic links (/proc/PID/exe, fd/N): jump straight to a path (counted). */
	int (*get_link)(struct inode *inode, struct path *out);
	/* begins with generic_getattr(), which writes all of *st */
	int (*getattr)(struct inode *inode, struct kstat *st);
	int (*setattr)(struct inode *inode, const struct iattr *attr);
	int (*permission)(struct inode *inode, int mask); /* MAY_; NULL: generic mode bits */
	/* Sets f->ops, f->private. FIFOs go to register_fifo_open()'s function and device nodes to register_chrdev()'s first;
	 * for a device number nobody registered this is asked (devpts), without it the answer is ENXIO. */
	int (*open)(struct inode *inode, struct file *f);
	ssize_t (*getxattr)(struct inode *inode, const char *name, void *buf, size_t size);
	int (*setxattr)(struct inode *inode, const char *name, const void *buf, size_t size, int flags);
	ssize_t (*listxattr)(struct inode *inode, char *buf, size_t size);
	int (*removexattr)(struct inode *inode, const char *name);
	/* chattr(1): the inode will be kept with these FS_*_FL flags (i->fsflags, which vfs sets). NULL: it has none. */
	int (*keep_flags)(struct inode *inode, unsigned flags);
	/* Of the directory's ops, without dir->lock. May a cached dentry still be used? (a host tree that others change,
	 * /proc/PID): 1 yes, 0 look up again. NULL: yes. */
	int (*revalidate)(struct inode *dir, const char *name, struct inode *inode /* NULL: cached "no such name" */);
	void (*evict)(struct inode *inode); /* last reference gone */
};
struct file_lock_list;
struct inode {
	struct refcount ref;
	struct super_block *sb; /* borrowed: lives as long as its inodes */
	const struct inode_ops *ops;
	uint64_t ino;
	struct sleeplock lock; /* directory contents, size changes; RANK_VFS_INODE */
	struct mutex attr_lock; /* RANK_FS: the fields below */
	uint32_t mode, nlink;
	kuid_t uid;
	kgid_t gid;
	uint64_t rdev, size;
	struct timespec atime, mtime, ctime, btime;
	_Atomic(struct file_lock_list *) locks;	/* flock, POSIX and OFD locks, leases; vfs/locks.c */
	void *private;
	_Atomic(void *) pipe;			/* a FIFO's pipe; fs/pipe */
	_Atomic(void *) unix_sock;		/* the socket bound to this name; net/unix */
	_Atomic(void *) watches;		/* inotify marks; fs/anon */
	_Atomic int writecount;			/* opens for writing, or -(executing): ETXTBSY */
	_Atomic int readcount;			/* of a regular file: opens for reading alone; F_SETLEASE asks */
	char *link;				/* a symlink's target, owned, if it never changes: spares readlink(); immutable */
	_Atomic unsigned fsflags;		/* FS_IMMUTABLE_FL...: ioctl_iflags(2) */
	bool dead;				/* a directory that was removed; inode.lock */
	bool linkable;				/* an O_TMPFILE file without O_EXCL: may get its first name */
};
struct inode *inode_new(struct super_block *sb, uint32_t mode, const struct inode_ops *ops); /* count 1, own ino, times now */
void inode_get(struct inode *i);
void inode_put(struct inode *i);
void inode_touch(struct inode *i, unsigned attr_valid); /* set ATTR_?TIME to now */
#define READ_TIME(t) ((struct timespec){ READ_ONCE((t).tv_sec), READ_ONCE((t).tv_nsec) })
int generic_getattr(struct inode *i, struct kstat *st);
int generic_setattr(struct inode *i, const struct iattr *a);
enum { MAY_EXEC = 1, MAY_WRITE = 2, MAY_READ = 4 };
/* ETXTBSY: 0 or -errno; exec denies writing while the image is mapped. */
int inode_get_write(struct inode *i);
void inode_put_write(struct inode *i);
int inode_deny_write(struct inode *i);
void inode_allow_write(struct inode *i);
enum { INODE_IMMUTABLE = 0x10, INODE_APPEND = 0x20, INODE_NODUMP = 0x40, INODE_NOATIME = 0x80 }; /* FS_*_FL */
static inline bool inode_has(const struct inode *i, unsigned fsflags)
{
	return unlikely(atomic_load_explicit(&i->fsflags, memory_order_relaxed) & fsflags);
}
struct timespec vfs_now(void); /* as file times are stamped: the coarse clock */
bool inode_owner_or_capable(struct inode *i);
bool capable_wrt_inode(struct inode *i, int cap); /* of the running fiber's cred, ids mapped in its user namespace */
int inode_permission(struct inode *i, int mask);	/* of the running fiber's cred */
int generic_permission(struct inode *i, int mask);

struct super_ops {
	int (*statfs)(struct super_block *sb, struct statfs *st);
	int (*sync)(struct super_block *sb);
	void (*put_super)(struct super_block *sb);
	int (*show_options)(struct super_block *sb, char *buf, size_t size);
	int (*remount)(struct super_block *sb, const char *data); /* NULL: options are passed over; the mount lock is held */
};
struct super_block {
	struct refcount ref;
	const char *type; /* "tmpfs" */
	char *source;	  /* owned; for /proc/mounts */
	const struct super_ops *ops;
	uint64_t dev;
	unsigned flags; /* MS_RDONLY... of the super block */
	struct sleeplock rename_lock;
	_Atomic uint64_t next_ino;
	struct inode *root; /* counted */
	void *private;
	struct kernel *kernel; /* borrowed */
	bool no_dcache; /* ask lookup() each time (proc) */
	uint32_t magic, blksize;
	/* vfs */
	struct dcache *dcache;	    /* owned: dentry.c */
	struct dentry *root_dentry; /* counted; made at the first mount */
	_Atomic uint64_t nobjects;  /* inodes, plus one while ref > 0: the struct itself goes with the last */
	unsigned dentry_limit;	    /* unused dentries kept at most; 0: the default */
};
struct super_block *super_new(struct kernel *k, const char *type, const struct super_ops *ops); /* count 1 */
void super_get(struct super_block *sb);
void super_put(struct super_block *sb);
uint64_t vfs_new_dev(void); /* an anonymous device number, as st_dev: super_new gives one already */
struct file_system_type {
	const char *name;
	/* mount(2)'s source and data, in kernel memory; a counted super block. 0 or -errno */
	int (*mount)(struct kernel *k, const char *source, unsigned long flags, const char *data, struct super_block **out);
	bool nodev, user_ns_ok;
};
void register_filesystem(const struct file_system_type *t); /* at start, from kernel init only */
const struct file_system_type *get_fs_type(const char *name);

/* What vfs asks of the floors above; set by their init functions, each may be NULL. */
struct vfs_hooks {
	void (*epoll_release)(struct file *f);	    /* f->epolls is set and f is about to go */
	void (*fasync_release)(struct file *f);	    /* f->fasync is set and f is about to go */
	/* Something happened to inode (named `name` in dir); only called if one of them has watches. IN_ bits. Takes leaf locks only. */
	void (*notify)(struct inode *dir, struct inode *inode, const char *name, uint32_t mask, uint32_t cookie);
	void (*notify_file)(struct file *f, uint32_t mask); /* only called while vfs_watch_count > 0: inode and parent */
	void (*watches_release)(struct inode *i);   /* i->watches is set and i is being freed */
	uint64_t (*fsize_limit)(void);		    /* RLIMIT_FSIZE of the running task */
	void (*send_sigxfsz)(void);
	/* Set by kernel/fasync. For files of fs/ that sleep and signal without knowing tasks. */
	void (*will_block)(void);		    /* the running task is about to park in a system call */
	void (*send_sigpipe)(void);		    /* to the running task */
	void (*fasync_set)(struct file *f, bool on);	/* O_ASYNC was switched */
	void (*kill_fasync)(struct file *f, int code);	/* SIGIO or F_SETSIG's signal to f's owner; POLL_IN, POLL_OUT, POLL_HUP... */
	void (*send_sigio)(struct file *f, int fd, int code); /* the same without O_ASYNC: leases, F_NOTIFY. si_fd: fd */
	void (*dnotify_flush)(struct file *f, void *owner); /* a descriptor of f is closed; owner NULL: the file goes */
};
extern struct vfs_hooks vfs_hooks;
static inline void vfs_will_block(void)
{
	if (vfs_hooks.will_block)
		vfs_hooks.will_block();
}
/* wait_event() for file operations: interruptible, -ERESTARTSYS when interrupted. */
#define vfs_wait(wq, cond, deadline)                                                                                   \
	({                                                                                                             \
		int vw_ret_ = 0;                                                                                       \
		if (!(cond)) {                                                                                         \
			vfs_will_block();                                                                              \
			vw_ret_ = wait_event((wq), (cond), PARK_INTERRUPTIBLE, (deadline));                            \
			if (vw_ret_ == -EINTR)                                                                         \
				vw_ret_ = -ERESTARTSYS;                                                                \
		}                                                                                                      \
		vw_ret_;                                                                                               \
	})
#define FS_RENAME_WITHIN 0x10000000u /* with IN_MOVED_FROM: the new name is in the same directory */
extern _Atomic unsigned vfs_watch_count; /* inotify marks in the kernel: kept by who sets inode.watches */
static inline void fsnotify(struct inode *dir, struct inode *inode, const char *name, uint32_t mask, uint32_t cookie);

/* ---- poll ---- */
struct poll_table {
	void (*queue)(struct poll_table *pt, struct file *f, struct wait_queue *wq); /* NULL: only ask */
	unsigned key;
	bool lazy; /* the caller is in the queues already: what nobody has heard of since need not be asked anew */
};
static inline void poll_wait(struct file *f, struct wait_queue *wq, struct poll_table *pt)
{
	if (pt && pt->queue)
		pt->queue(pt, f, wq);
}

/* ---- open files ---- */
struct dir_context {
	/* false: the buffer is full, stop; the entry is not consumed */
	bool (*emit)(struct dir_context *c, const char *name, size_t len, uint64_t ino, unsigned d_type, int64_t next_off);
	int64_t pos;
};
struct vm_map { /* file->ops->mmap fills it */
	uint64_t off, len;
	int prot, flags;
	struct mappable *mappable; /* counted reference for mm */
	bool may_write, may_exec;
};
/* Ops may park unless they say otherwise. pos: a copy of the file position or pread's, moved on by the op; NULL ops give the
 * default errno. write: write_appends() is the op's to carry out (set *pos to the end, atomically); RLIMIT_FSIZE and set-ID bits are vfs's. */
struct file_ops {
	ssize_t (*read)(struct file *f, struct iov_iter *to, int64_t *pos);
	ssize_t (*write)(struct file *f, struct iov_iter *from, int64_t *pos);
	int64_t (*llseek)(struct file *f, int64_t off, int whence);
	int (*iterate)(struct file *f, struct dir_context *c);
	unsigned (*poll)(struct file *f, struct poll_table *pt); /* EPOLL bits; NULL: always readable and writable */
	long (*ioctl)(struct file *f, unsigned cmd, uint64_t arg); /* -ENOIOCTLCMD: not mine */
	int (*mmap)(struct file *f, struct vm_map *m);
	/* Regular files: could read() at pos be a copy from a mapping of the file? Bounds *n by the file's end, and counts as an access.
	 * What is mapped (see mm/window.h), or NULL. NULL op: no. */
	const void *(*window)(struct file *f, int64_t pos, size_t *n);
	int (*fsync)(struct file *f, bool datasync);
	int (*fallocate)(struct file *f, int mode, int64_t off, int64_t len);
	int (*flush)(struct file *f); /* at each close of a descriptor */
	void (*release)(struct file *f); /* last reference gone */
	int (*fasync)(struct file *f, bool on);
	int (*set_flags)(struct file *f, unsigned flags); /* F_SETFL checks; NULL: fine */
	void (*show_fdinfo)(struct file *f, char *buf, size_t size); /* lines behind pos/flags/mnt_id/ino */
	long (*fcntl)(struct file *f, unsigned cmd, uint64_t arg); /* commands vfs does not know (pipe size, seals): -EINVAL default */
	bool stream; /* no position: pread/pwrite/lseek give ESPIPE */
};
enum { FMODE_READ = 1, FMODE_WRITE = 2, FMODE_PATH = 4, FMODE_EXEC = 8, FMODE_WRITER = 16 /* counted in inode.writecount */,
       FMODE_NOATIME = 32, FMODE_READER = 64 /* counted in inode.readcount */, FMODE_CREATED = 128 /* this open made it */ };
struct file {
	struct refcount ref;
	const struct file_ops *ops; /* immutable after open */
	struct path path;	    /* counted; dentry NULL never (anon files have one of their own) */
	struct inode *inode;	    /* borrowed from path.dentry */
	_Atomic unsigned flags;	    /* O_ flags without creation flags */
	unsigned mode;		    /* FMODE_; immutable */
	int64_t pos;		    /* pos_lock */
	struct sleeplock pos_lock;
	struct cred *cred;	    /* of the opener, counted */
	void *private;
	struct mutex owner_lock;    /* RANK_LEAF; F_SETOWN, F_SETSIG, fasync: */
	struct fasync *fasync;	    /* kernel/fasync; NULL until used */
	int owner_type, owner_sig;  /* F_OWNER_TID/PID/PGRP */
	void *owner_pid;	    /* counted struct pid of kernel/; freed through owner_put */
	void (*owner_put)(void *);
	kuid_t owner_uid, owner_euid;
	_Atomic uint64_t window_id; /* number of this open file for mm/window.h; 0: it had no window yet */
	_Atomic uint32_t window_gain; /* what windows would have saved; ns */
	_Atomic(void *) epolls;	    /* epoll items that watch this file: fs/anon/epoll */
};
/* A file on path (counted by it) with these ops, count 1. NULL when memory is short. */
struct file *file_alloc(const struct path *p, unsigned flags, const struct file_ops *ops, void *private);
void file_get(struct file *f);
void file_put(struct file *f); /* may park in release */
DEFINE_FREE(file, struct file *, if (_p) file_put(_p));
/* Files without a name in a tree ("anon_inode:[eventfd]", "pipe:[12]", "socket:[12]"): own inode on the anon super block. 0 or -errno. */
/* A file system of its own for files without a name (pidfs, nsfs), and a file there with this inode (taken over). */
struct mount *nameless_mount(const char *type, uint32_t magic);
struct super_block *nameless_super(struct mount *m);
int nameless_file(struct mount *m, const char *name, struct inode *inode, const struct file_ops *ops, void *private, unsigned flags,
		  struct file **out);
int anon_file(const char *name, uint32_t mode, const struct file_ops *ops, void *private, unsigned flags, struct file **out);
/* For /proc/self/fd: the link text. Bytes or -errno. */
ssize_t file_d_path(struct file *f, char *buf, size_t size);

#define VFS_POS_HOST (INT64_C(1) << 62) /* file.pos of an inherited host descriptor, which goes by the host's position */
static inline bool write_appends(const struct file *f, const struct iov_iter *from)
{
	return unlikely(from->append) ? from->append > 0 : f->flags & O_APPEND;
}
/* Kernel-side helpers on open files */
ssize_t vfs_read(struct file *f, struct iov_iter *to, int64_t *pos);   /* checks mode; NULL pos: the file's, under pos_lock */
ssize_t vfs_write(struct file *f, struct iov_iter *from, int64_t *pos);
ssize_t kernel_read(struct file *f, void *buf, size_t n, int64_t off); /* for exec */
unsigned vfs_poll(struct file *f, struct poll_table *pt);
int64_t vfs_llseek(struct file *f, int64_t off, int whence);
int vfs_fstat(struct file *f, struct kstat *st);
int vfs_truncate(const struct path *p, struct file *f, uint64_t size);
int vfs_setattr(const struct path *p, struct iattr *a, bool touch /* times are "now": write permission is enough */);
int vfs_chmod(const struct path *p, uint32_t mode);
int vfs_chown(const struct path *p, kuid_t uid, kgid_t gid); /* KID_INVALID: leave */
int vfs_fsync(struct file *f, bool datasync);
int vfs_fallocate(struct file *f, int mode, int64_t off, int64_t len);
int vfs_statfs(const struct path *p, struct statfs *st);
uint32_t vfs_mnt_flags(const struct path *p); /* MS_ bits, the super block's read-only included */
int vfs_readdir(struct file *f, struct dir_context *c); /* under pos_lock and with f->pos */
ssize_t vfs_readlink(const struct path *p, char *buf, size_t size);
/* Through kernel memory; positions NULL: the files' own. Bytes or -errno. */
ssize_t vfs_copy(struct file *in, int64_t *ipos, struct file *out, int64_t *opos, size_t len);
ssize_t vfs_getxattr(const struct path *p, const char *name, void *buf, size_t size);
int vfs_setxattr(const struct path *p, const char *name, const void *buf, size_t size, int flags);
ssize_t vfs_listxattr(const struct path *p, char *buf, size_t size);
int vfs_removexattr(const struct path *p, const char *name);
long vfs_ioctl(struct file *f, unsigned cmd, uint64_t arg); /* generic commands, then the file's; -ENOTTY */
int vfs_set_flags(struct file *f, unsigned flags);	    /* F_SETFL */
/* A regular file's generic seek and the "always ready" poll */
int64_t generic_llseek(struct file *f, int64_t off, int whence);
int64_t noop_llseek(struct file *f, int64_t off, int whence);
int64_t cursor_llseek(struct file *f, int64_t off, int whence); /* where there is no end to seek from: directories, generated text */

/* ---- descriptor tables ---- */
struct fd_table; /* counted; shared by CLONE_FILES */
struct fd_table *fd_table_create(void);
struct fd_table *fd_table_dup(struct fd_table *t, unsigned upto /* UINT32_MAX: all */);
void fd_table_get(struct fd_table *t);
void fd_table_put(struct fd_table *t);
unsigned fd_table_users(struct fd_table *t); /* as far as file windows care: 0 once tasks with other memory have it too */
void fd_table_set_foreign(struct fd_table *t);
bool fd_table_shared(struct fd_table *t); /* another task has it too (or looks at it): exec copies it then */
struct file *fd_get(struct fd_table *t, int fd);      /* counted, not O_PATH; NULL: EBADF */
struct file *fd_get_raw(struct fd_table *t, int fd);  /* also O_PATH */
/* The fast form, for the running task's own table: borrowed when the table is not shared, else counted.
 * fd_put_light(f, counted) afterwards. */
struct file *fd_get_light(struct fd_table *t, int fd, bool *counted);
struct file *fd_get_raw_light(struct fd_table *t, int fd, bool *counted); /* also O_PATH */
static inline void fd_put_light(struct file *f, bool counted) { if (unlikely(counted)) file_put(f); }
/* Lowest free descriptor >= from and < limit gets a counted reference to f: fd or -EMFILE. */
int fd_install_from(struct fd_table *t, struct file *f, int from, uint64_t limit, bool cloexec);
int fd_install(struct fd_table *t, struct file *f, bool cloexec); /* the running task's RLIMIT_NOFILE, see fd_table_set_limit */
bool fd_table_full(struct fd_table *t); /* would fd_install give EMFILE? For calls that must not consume anything then */
void fd_table_set_limit(struct fd_table *t, uint64_t nofile); /* the task layer: at exec, clone and setrlimit */
uint64_t fd_table_limit(struct fd_table *t);
int fd_replace(struct fd_table *t, int fd, struct file *f, bool cloexec); /* dup2's half; fd or -errno; closes the old one */
int fd_close(struct fd_table *t, int fd);
int fd_close_range(struct fd_table *t, unsigned first, unsigned last, bool cloexec_only_mark);
void fd_close_on_exec(struct fd_table *t);
int fd_get_cloexec(struct fd_table *t, int fd); /* 0, 1 or -EBADF */
int fd_set_cloexec(struct fd_table *t, int fd, bool on);
int fd_next(struct fd_table *t, int fd); /* the lowest open descriptor >= fd, or -1: for /proc/PID/fd */
unsigned fd_table_count(struct fd_table *t);

/* ---- fs context: cwd, root, umask (CLONE_FS shares it) ---- */
struct mount_namespace;
struct fs_context {
	struct refcount ref;
	struct mutex lock; /* RANK_FS_CONTEXT */
	struct path root, cwd; /* counted; lock */
	uint32_t umask;	       /* lock */
};
struct fs_context *fs_context_create(const struct path *root);
struct fs_context *fs_context_dup(struct fs_context *fs);
void fs_context_get(struct fs_context *fs);
void fs_context_put(struct fs_context *fs);
void fs_context_set_root(struct fs_context *fs, const struct path *p); /* counts p */
void fs_context_set_cwd(struct fs_context *fs, const struct path *p);
void fs_context_enter(struct fs_context *fs, struct mount_namespace *ns); /* root and working directory: the namespace's root */

/* ---- mounts ---- */
struct mount_namespace *mount_ns_create(struct super_block *root, unsigned mnt_flags);
struct mount_namespace *mount_ns_dup(struct mount_namespace *ns, struct fs_context *fs /* re-pointed into the copy */);
void mount_ns_get(struct mount_namespace *ns);
void mount_ns_put(struct mount_namespace *ns);
void mount_ns_root(struct mount_namespace *ns, struct path *out); /* counted */
uint64_t mount_ns_ino(struct mount_namespace *ns);
/* A number that changes with the mounts, and where one hears of it (as long as one counts ns). */
unsigned mount_ns_event(struct mount_namespace *ns, struct wait_queue **wq);
void mount_ns_sync(struct mount_namespace *ns); /* sync(2) */
int do_mount_at(const struct path *where, struct super_block *sb, unsigned mnt_flags);
/* mount(2), umount2(2), pivot_root(2) on kernel strings */
int vfs_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data);
int vfs_umount(const struct path *p, int flags);
int vfs_pivot_root(const char *new_root, const char *put_old);
/* /proc/PID/mounts, mountinfo, mountstats: kind 0, 1, 2 */
void mount_ns_show(struct mount_namespace *ns, const struct path *root, struct strbuf *b, int kind);
struct mount_namespace *mount_ns_of(const struct path *p);

/* ---- path walk ---- */
#define AT_FDCWD_ (-100)
enum { LOOKUP_FOLLOW = 1, LOOKUP_DIRECTORY = 2, LOOKUP_EMPTY = 4, LOOKUP_NO_SYMLINKS = 8, LOOKUP_NO_MAGICLINKS = 16, LOOKUP_NO_XDEV = 32,
       LOOKUP_BENEATH = 64, LOOKUP_IN_ROOT = 128, LOOKUP_NO_AUTOMOUNT = 256, LOOKUP_CACHED = 512 };
/* Resolve a kernel string relative to dfd of the running fiber's context. 0 and a counted path, or -errno. */
int path_lookup(int dfd, const char *name, unsigned flags, struct path *out);
/* Parent (counted, not locked) and inode of an open path's dentry; out NULL inode for roots. For inotify. */
struct inode *dentry_parent_inode(struct dentry *d); /* counted or NULL */
size_t dentry_name(struct dentry *d, char buf[256]); /* a copy of the last component */
struct inode *dentry_inode(struct dentry *d);	     /* borrowed */
/* The same with the string in the guest (PATH_MAX checks, ENOENT for ""). */
int user_path_at(int dfd, uaddr_t name, unsigned flags, struct path *out);
/* Parent directory and last component (copied into last[256]); for create, unlink, rename. */
int path_parent(int dfd, const char *name, struct path *parent, char last[256], bool *trailing_slash);
struct open_how_k { uint64_t flags; uint32_t mode; unsigned lookup; };
int vfs_open(int dfd, const char *name, const struct open_how_k *how, struct file **out);
/* A name in directory p, or in that which has p, and what is mounted there. Nobody's permission is asked. */
int vfs_path_child(const struct path *p, bool beside, const char *name, struct path *out);
int vfs_open_unchecked(const struct path *p, unsigned flags, struct file **out); /* no permission is asked either */
int vfs_open_path(const struct path *p, unsigned flags, struct file **out); /* reopen: /proc/PID/fd, exec */
int vfs_mknod(int dfd, const char *name, uint32_t mode, uint64_t rdev, struct path *out /* NULL: not wanted */); /* AF_UNIX bind, mkfifo */
int vfs_mkdir(int dfd, const char *name, uint32_t mode);
int vfs_rmdir(int dfd, const char *name);
int vfs_unlink(int dfd, const char *name);
int vfs_symlink(const char *target, int dfd, const char *name);
int vfs_link(int odfd, const char *oname, int ndfd, const char *nname, int flags /* AT_ */);
int vfs_rename(int odfd, const char *oname, int ndfd, const char *nname, unsigned flags);
int vfs_stat(const struct path *p, struct kstat *st);
/* The absolute name as seen from root (" (deleted)" appended; -ENAMETOOLONG). Bytes. */
ssize_t d_path(const struct path *p, const struct path *root /* NULL: the running fiber's */, char *buf, size_t size);
ssize_t vfs_getcwd(char *buf, size_t size); /* getcwd(2): bytes with the NUL; -ENOENT, -ERANGE */
bool path_is_under(const struct path *p, const struct path *ancestor);
/* Character and block devices: found by number when a device node is opened. */
/* How a FIFO (S_IFIFO inode, on any file system) is opened: fs/pipe, at start. */
void register_fifo_open(int (*open)(struct inode *inode, struct file *f));
int register_chrdev(unsigned major, unsigned minor_first, unsigned count, int (*open)(struct inode *, struct file *));
/* Locks on files (vfs/locks.c): called when a task's table is closed or a file goes. */
void locks_remove_posix(struct inode *i, void *owner);
void locks_remove_file(struct file *f);

static inline void fsnotify(struct inode *dir, struct inode *inode, const char *name, uint32_t mask, uint32_t cookie)
{
	if (unlikely((dir && atomic_load_explicit(&dir->watches, memory_order_relaxed)) ||
		     (inode && atomic_load_explicit(&inode->watches, memory_order_relaxed))) && vfs_hooks.notify)
		vfs_hooks.notify(dir, inode, name, mask, cookie);
}

#endif
