/* SPDX-License-Identifier: Apache-2.0 */
/* super.c: the "host" file system: a directory tree of the host.
 *
 * OVERVIEW
 * The kernel process reaches the tree through one directory descriptor, handed over before the jail closed. Every other
 * object is opened by one component relative to its parent's descriptor, never following a symbolic link; what comes
 * back is checked against the device and inode number that the lookup saw. Symbolic links are only read: the walk
 * follows them in the guest's name space, so a link can never lead out of the tree.
 *
 * Inodes are unique per (device, inode number). Descriptors are opened when needed and kept in an LRU with a bound; one that was
 * closed is opened again by parent and name.
 *
 * A read-only tree is taken to be immutable: attributes, link targets and names (also absent ones, in the dentry cache)
 * are asked for once. A writable tree (--bind) asks the host again at each walk.
 *
 * LOCKS
 * host_fs.lock (RANK_FS) guards the hash, names and descriptors; host calls are made outside it, on pinned descriptors.
 */
#include "fs/host/host_internal.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <unistd.h>

/* ---- scratch buffers ---- */

static __thread char *bounce_free;
/* Not inlined: the compiler may not keep the address of a thread variable across a park. */
__attribute__((noinline)) char *bounce_get(void)
{
	char *b = bounce_free;

	bounce_free = NULL;
	return b ? b : malloc(BOUNCE_SIZE);
}

__attribute__((noinline)) void bounce_put(char *b)
{
	if (bounce_free)
		free(b);
	else
		bounce_free = b;
}

/* ---- descriptors ---- */

static void desc_unlru(struct host_fs *fs, struct host_desc *d)
{
	if (d->in_lru) {
		TAILQ_REMOVE(&fs->lru, d, lru);
		d->in_lru = false;
	}
}

static void desc_close(struct host_fs *fs, struct host_desc *d)
{
	desc_unlru(fs, d);
	if (d->fd >= 0) {
		close(d->fd);
		d->fd = -1;
		fs->nfds--;
	}
}

static void desc_trim(struct host_fs *fs)
{
	while (fs->nfds > fs->max_fds && !TAILQ_EMPTY(&fs->lru))
		desc_close(fs, TAILQ_FIRST(&fs->lru));
}

int host_parent_get(struct host_inode *hi, struct host_inode **parent, char name[256])
{
	struct host_fs *fs = hi->fs;
	struct host_inode *p;
	int fd;

	mutex_lock(&fs->lock);
	p = hi->parent;
	if (!p) {
		mutex_unlock(&fs->lock);
		return -ESTALE;
	}
	inode_get(p->inode);
	strcpy(name, hi->name);
	mutex_unlock(&fs->lock);
	fd = host_desc_get(p, HD_MAIN);
	if (fd < 0)
		inode_put(p->inode);
	else
		*parent = p;
	return fd;
}

void host_parent_put(struct host_inode *parent)
{
	host_desc_put(parent, HD_MAIN);
	inode_put(parent->inode);
}

/* Opens hi by its name in an open parent. */
static int desc_open_at(struct host_inode *hi, int which, int pfd, const char *name)
{
	bool dir = S_ISDIR(hi->inode->mode);
	int flags = O_NOFOLLOW | O_CLOEXEC, fd;
	struct stat st;

	if (dir)
		flags |= O_PATH | O_DIRECTORY;
	else /* should the host swap in a fifo or a terminal: do not hang, do not acquire */
		flags |= O_NONBLOCK | O_NOCTTY | (which == HD_RW ? O_RDWR : O_RDONLY);
	fd = openat(pfd, name, flags);
	if (fd < 0)
		return errno == ELOOP || errno == ENOTDIR || errno == ENOENT ? -ESTALE : -errno;
	if (fstat(fd, &st) < 0 || st.st_ino != hi->hino || st.st_dev != hi->dev || (!dir && !S_ISREG(st.st_mode))) {
		close(fd);
		return -ESTALE;
	}
	return fd;
}

/* The nearest ancestor-or-self (a directory) whose parent is open, so that a chain of closed ones is opened from the top. */
static int chain_open(struct host_inode *hi)
{
	struct host_fs *fs = hi->fs;

	for (;;) {
		struct host_inode *t = hi, *p;
		char name[256];
		int fd, pfd;

		mutex_lock(&fs->lock);
		while (t->parent && t->parent->desc[HD_MAIN].fd < 0)
			t = t->parent;
		if (t == hi) {
			mutex_unlock(&fs->lock);
			return 0;
		}
		p = t->parent;
		if (!p) {
			mutex_unlock(&fs->lock);
			return -ESTALE;
		}
		inode_get(t->inode);
		inode_get(p->inode);
		p->desc[HD_MAIN].pins++;
		desc_unlru(fs, &p->desc[HD_MAIN]);
		pfd = p->desc[HD_MAIN].fd;
		strcpy(name, t->name);
		mutex_unlock(&fs->lock);
		fd = desc_open_at(t, HD_MAIN, pfd, name);
		host_parent_put(p);
		mutex_lock(&fs->lock);
		if (fd >= 0) {
			if (t->desc[HD_MAIN].fd < 0) {
				t->desc[HD_MAIN].fd = fd;
				fs->nfds++;
				/* the most recently used: a trim will not take it before its child is open */
				TAILQ_INSERT_TAIL(&fs->lru, &t->desc[HD_MAIN], lru);
				t->desc[HD_MAIN].in_lru = true;
			} else
				close(fd);
		}
		mutex_unlock(&fs->lock);
		inode_put(t->inode);
		if (fd < 0)
			return fd;
	}
}

int host_desc_get(struct host_inode *hi, int which)
{
	struct host_fs *fs = hi->fs;
	struct host_desc *d = &hi->desc[which];
	struct host_inode *p = NULL;
	char name[256];
	int fd, pfd, r;

	mutex_lock(&fs->lock);
	if (d->fd >= 0) {
		d->pins++;
		desc_unlru(fs, d);
		fd = d->fd;
		mutex_unlock(&fs->lock);
		return fd;
	}
	mutex_unlock(&fs->lock);
	for (int tries = 0;; tries++) {
		r = chain_open(hi);
		if (r < 0)
			return r;
		mutex_lock(&fs->lock);
		p = hi->parent;
		if (p && p->desc[HD_MAIN].fd >= 0)
			break;
		mutex_unlock(&fs->lock);
		if (!p || tries > 16)
			return -ESTALE;
	}
	inode_get(p->inode);
	p->desc[HD_MAIN].pins++;
	desc_unlru(fs, &p->desc[HD_MAIN]);
	pfd = p->desc[HD_MAIN].fd;
	strcpy(name, hi->name);
	mutex_unlock(&fs->lock);
	fd = desc_open_at(hi, which, pfd, name);
	if (fd == -EMFILE) { /* the bound was too high after all: let go of what is idle, once */
		mutex_lock(&fs->lock);
		fs->max_fds = fs->nfds / 2 > 16 ? fs->nfds / 2 : 16;
		desc_trim(fs);
		mutex_unlock(&fs->lock);
		fd = desc_open_at(hi, which, pfd, name);
	}
	host_parent_put(p);
	if (fd < 0)
		return fd;
	mutex_lock(&fs->lock);
	if (d->fd >= 0)
		close(fd); /* somebody was faster */
	else {
		d->fd = fd;
		fs->nfds++;
	}
	d->pins++;
	desc_unlru(fs, d);
	fd = d->fd;
	desc_trim(fs);
	mutex_unlock(&fs->lock);
	return fd;
}

void host_desc_put(struct host_inode *hi, int which)
{
	struct host_fs *fs = hi->fs;
	struct host_desc *d = &hi->desc[which];

	mutex_lock(&fs->lock);
	BUG_ON(!d->pins);
	if (--d->pins == 0 && d->fd >= 0) {
		/* A writable descriptor is not kept: the host could not execute the file (ETXTBSY). */
		if (which == HD_RW || (!fs->ro && !hi->parent && d->fd != fs->root_fd)) {
			desc_close(fs, d);
		} else if (d->fd != fs->root_fd) {
			TAILQ_INSERT_TAIL(&fs->lru, d, lru);
			d->in_lru = true;
			desc_trim(fs);
		}
	}
	mutex_unlock(&fs->lock);
}

/* ---- inodes ---- */

uint64_t host_ino(struct host_fs *fs, uint64_t dev, uint64_t ino)
{
	unsigned i;

	for (i = 0; i < fs->ndevs; i++)
		if (fs->devs[i] == dev)
			break;
	if (i == fs->ndevs && i < HOST_MAX_DEVS) { /* fs->lock is held by those who may bring a new one */
		fs->devs[i] = dev;
		fs->ndevs++;
	}
	/* Several host file systems show as one: the device's index keeps the numbers apart, below 2^53 for the sake of doubles. */
	return ino ^ ((uint64_t)i << 44);
}

void host_fill(struct host_inode *hi, const struct stat *st)
{
	struct inode *i = hi->inode;

	mutex_lock(&i->attr_lock);
	i->mode = st->st_mode;
	i->nlink = st->st_nlink;
	i->uid = st->st_uid;
	i->gid = st->st_gid;
	i->rdev = st->st_rdev;
	i->size = st->st_size;
	i->atime = st->st_atim;
	i->mtime = st->st_mtim;
	i->ctime = st->st_ctim;
	i->btime = st->st_ctim;
	mutex_unlock(&i->attr_lock);
	hi->blocks = st->st_blocks;
	hi->blksize = st->st_blksize;
}

static unsigned hash_of(struct host_fs *fs, uint64_t dev, uint64_t ino)
{
	return ((dev * 0x9e3779b97f4a7c15ULL ^ ino) * 0x9e3779b97f4a7c15ULL >> 32) & (fs->nbuckets - 1);
}

static void hash_grow(struct host_fs *fs)
{
	unsigned old = fs->nbuckets;
	__typeof__(fs->buckets) b = fs->buckets;

	fs->nbuckets = old ? old * 4 : 256;
	fs->buckets = xcalloc(fs->nbuckets, sizeof(*fs->buckets));
	for (unsigned i = 0; i < old; i++) {
		struct host_inode *hi;

		while ((hi = LIST_FIRST(&b[i]))) {
			LIST_REMOVE(hi, hash);
			LIST_INSERT_HEAD(&fs->buckets[hash_of(fs, hi->dev, hi->hino)], hi, hash);
		}
	}
	free(b);
}


/* The inode for what the host shows as `st` under `name` in `dir`: counted. */
static struct inode *host_iget(struct super_block *sb, struct host_inode *dir, const char *name, const struct stat *st)
{
	struct host_fs *fs = sb->private;
	struct host_inode *hi;
	struct inode *i;

	mutex_lock(&fs->lock);
	LIST_FOREACH(hi, &fs->buckets[hash_of(fs, st->st_dev, st->st_ino)], hash)
		if (hi->dev == st->st_dev && hi->hino == st->st_ino && ((hi->inode->mode ^ st->st_mode) & S_IFMT) == 0 &&
		    refcount_try_get(&hi->inode->ref)) {
			struct host_inode *drop = NULL;

			if (!fs->ro && dir && (hi->parent != dir || strcmp(hi->name, name))) { /* renamed, or another link: the newest name works */
				inode_get(dir->inode);
				drop = hi->parent;
				hi->parent = dir;
				free(hi->name);
				hi->name = xstrdup(name);
			}
			mutex_unlock(&fs->lock);
			if (drop)
				inode_put(drop->inode);
			if (!fs->ro)
				host_fill(hi, st);
			return hi->inode;
		}
	mutex_unlock(&fs->lock);

	i = inode_new(sb, st->st_mode, fs->ro ? &host_ro_ops : &host_rw_ops);
	hi = new(struct host_inode);
	hi->inode = i;
	hi->fs = fs;
	hi->dev = st->st_dev;
	hi->hino = st->st_ino;
	/* Stable for a file and its content, so that what was learned about it outlives the inode. */
	hi->id = (hi->dev * 0x9e3779b97f4a7c15ULL ^ hi->hino) * 0xbf58476d1ce4e5b9ULL ^
		 ((uint64_t)st->st_ctim.tv_sec * 1000000007ULL + st->st_ctim.tv_nsec) * 0x94d049bb133111ebULL;
	hi->desc[HD_MAIN].fd = hi->desc[HD_RW].fd = -1;
	i->private = hi;
	refcount_get(&fs->ref);
	host_fill(hi, st);
	if (fs->ro && S_ISLNK(st->st_mode) && dir && dir->desc[HD_MAIN].fd >= 0) { /* pinned by the caller */
		char buf[4096];
		ssize_t n = readlinkat(dir->desc[HD_MAIN].fd, name, buf, sizeof(buf) - 1);

		if (n > 0) {
			buf[n] = 0;
			i->link = xstrdup(buf);
		}
	}
	mutex_lock(&fs->lock);
	i->ino = host_ino(fs, st->st_dev, st->st_ino);
	if (dir) {
		inode_get(dir->inode);
		hi->parent = dir;
		hi->name = xstrdup(name);
	}
	if (++fs->ninodes * 2 > fs->nbuckets) /* each step of a chain is a cache miss */
		hash_grow(fs);
	LIST_INSERT_HEAD(&fs->buckets[hash_of(fs, hi->dev, hi->hino)], hi, hash);
	hi->hashed = true;
	mutex_unlock(&fs->lock);
	return i;
}

int host_lookup_name(struct inode *dir, const char *nm, struct inode **out)
{
	struct host_inode *hd = host_i(dir);
	struct stat st;
	int fd, r;

	fd = host_desc_get(hd, HD_MAIN);
	if (fd < 0)
		return fd;
	r = fstatat(fd, nm, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0 ? -errno : 0;
	if (!r)
		*out = host_iget(dir->sb, hd, nm, &st);
	host_desc_put(hd, HD_MAIN);
	return r;
}

static void host_fs_put(struct host_fs *fs)
{
	if (!refcount_put(&fs->ref))
		return;
	close(fs->root_fd);
	free(fs->buckets);
	free(fs);
}

void host_evict(struct inode *i)
{
	struct host_inode *hi = host_i(i), *p;
	struct host_fs *fs;
	struct host_cache *c;

	if (!hi)
		return;
	fs = hi->fs;
	mutex_lock(&fs->lock);
	if (hi->hashed) {
		LIST_REMOVE(hi, hash);
		fs->ninodes--;
	}
	for (int w = 0; w < HD_COUNT; w++)
		if (hi->desc[w].fd != fs->root_fd)
			desc_close(fs, &hi->desc[w]);
	p = hi->parent;
	mutex_unlock(&fs->lock);
	if (p)
		inode_put(p->inode);
	c = hi->cache;
	if (c)
		atomic_fetch_sub(&fs->cache_bytes, c->size);
	free(c);
	free(hi->name);
	free(hi);
	i->private = NULL;
	host_fs_put(fs);
}

int host_refresh(struct host_inode *hi)
{
	struct host_inode *p;
	char name[256];
	struct stat st;
	int fd, r;

	mutex_lock(&hi->fs->lock);
	for (int w = HD_COUNT - 1; w >= 0; w--)
		if (hi->desc[w].fd >= 0) { /* an open descriptor knows best, also after an unlink */
			struct host_desc *d = &hi->desc[w];

			d->pins++;
			desc_unlru(hi->fs, d);
			mutex_unlock(&hi->fs->lock);
			r = fstat(d->fd, &st) < 0 ? -errno : 0;
			host_desc_put(hi, w);
			if (!r)
				host_fill(hi, &st);
			return r;
		}
	mutex_unlock(&hi->fs->lock);
	fd = host_parent_get(hi, &p, name);
	if (fd < 0)
		return fd;
	r = fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0 ? -errno : 0;
	host_parent_put(p);
	if (!r && (st.st_ino != hi->hino || st.st_dev != hi->dev))
		r = -ESTALE;
	if (!r)
		host_fill(hi, &st);
	return r;
}

/* ---- super block ---- */

static int host_statfs(struct super_block *sb, struct statfs *st)
{
	struct host_fs *fs = sb->private;

	if (fstatfs(fs->root_fd, st) < 0)
		return -errno;
	return 0;
}

static int host_sync(struct super_block *sb)
{
	struct host_fs *fs = sb->private;
	int fd, r = 0;

	if (fs->ro)
		return 0;
	fd = openat(fs->root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	worker_block_begin();
	if (syncfs(fd) < 0)
		r = -errno;
	worker_block_end();
	close(fd);
	return r;
}

static void host_put_super(struct super_block *sb)
{
	host_fs_put(sb->private); /* inodes may outlive the super block: each counts too */
}

static const struct super_ops host_super_ops = { .statfs = host_statfs, .sync = host_sync, .put_super = host_put_super };

int host_fs_create(struct kernel *k, int dirfd, bool ro, const char *source, struct super_block **out)
{
	struct super_block *sb;
	struct host_fs *fs;
	struct rlimit rl;
	struct statfs sfs;
	struct stat st;

	if (fstat(dirfd, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	fs = new(struct host_fs);
	refcount_init(&fs->ref);
	fs->root_fd = dirfd;
	fs->ro = ro;
	mutex_init(&fs->lock, RANK_FS);
	TAILQ_INIT(&fs->lru);
	/* Half of what the process may open, so that stubs, sockets and memory objects have the rest. */
	if (getrlimit(RLIMIT_NOFILE, &rl) < 0 || rl.rlim_cur == RLIM_INFINITY)
		rl.rlim_cur = 1024;
	fs->max_fds = rl.rlim_cur / 2 < 16 ? 16 : rl.rlim_cur / 2 > 8192 ? 8192 : rl.rlim_cur / 2;
	hash_grow(fs);
	sb = super_new(k, "host", &host_super_ops);
	sb->private = fs;
	sb->source = xstrdup(source ? source : "host");
	sb->blksize = 4096;
	if (fstatfs(dirfd, &sfs) == 0) {
		sb->magic = sfs.f_type;
		sb->blksize = sfs.f_bsize;
	}
	if (ro)
		sb->flags |= MS_RDONLY;
	sb->root = host_iget(sb, NULL, NULL, &st);
	host_i(sb->root)->desc[HD_MAIN].fd = dirfd;
	*out = sb;
	return 0;
}

static int host_fs_mount(struct kernel *k, const char *source, unsigned long flags, const char *data, struct super_block **out)
{
	bool ro = flags & MS_RDONLY;
	int fd = -1, n = 0;

	if (!data || sscanf(data, "fd=%d%n", &fd, &n) != 1 || fd < 0)
		return -EINVAL;
	if (!strcmp(data + n, ",ro"))
		ro = true;
	else if (data[n])
		return -EINVAL;
	return host_fs_create(k, fd, ro, source, out);
}

void host_fs_register(void)
{
	static const struct file_system_type t = { .name = "host", .mount = host_fs_mount, .nodev = true };

	register_filesystem(&t);
}
