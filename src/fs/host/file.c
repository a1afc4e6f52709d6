/* SPDX-License-Identifier: Apache-2.0 */
/* file.c: open files of host trees. A file holds its inode's descriptor pinned; all open files of an inode share it, since
 * every transfer says its offset. */
#include "fs/host/host_internal.h"
#include <dirent.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define CACHE_FILE_MAX (128u << 10) /* files up to this size are kept in memory after a few small reads... */
#define CACHE_MIN_READS 3
#define CACHE_TOTAL (16u << 20) /* ...up to this much in all */

struct host_file {
	int which; /* the pinned descriptor */
	int fd;	   /* borrowed from it; a directory's own, -1 until read */
};

/* pread that does not hold up the worker: first what is in the page cache. That ends at the first page that is not, so a short count
 * says nothing about the file unless it reaches the end that we know of. */
static ssize_t host_pread(int fd, void *buf, size_t n, int64_t off, uint64_t size)
{
	struct iovec iov = { buf, n };
	ssize_t r = preadv2(fd, &iov, 1, off, RWF_NOWAIT), more;

	if (r == (ssize_t)n || (r >= 0 && (uint64_t)off + r == size))
		return r;
	if (r < 0) {
		if (errno != EAGAIN && errno != EOPNOTSUPP && errno != ENOSYS)
			return -errno;
		r = 0;
	}
	worker_block_begin();
	more = pread(fd, (char *)buf + r, n - r, off + r);
	if (more < 0 && !r)
		r = -errno;
	else if (more > 0)
		r += more;
	worker_block_end();
	return r;
}

/* Small files of read-only trees that are read again and again are kept whole. NULL: not this one. */
static struct host_cache *host_cache_fill(struct host_inode *hi, int fd)
{
	size_t size = hi->inode->size, done = 0;
	struct host_cache *c, *old = NULL;

	if (!hi->fs->ro || size == 0 || size > CACHE_FILE_MAX ||
	    atomic_fetch_add_explicit(&hi->reads, 1, memory_order_relaxed) < CACHE_MIN_READS ||
	    hi->fs->cache_bytes + size > CACHE_TOTAL)
		return NULL;
	c = kzalloc(sizeof(*c) + size);
	if (!c)
		return NULL;
	while (done < size) {
		ssize_t r = host_pread(fd, c->data + done, size - done, done, size);

		if (r <= 0) {
			free(c);
			return NULL;
		}
		done += r;
	}
	c->size = size;
	if (!atomic_compare_exchange_strong(&hi->cache, &old, c)) {
		free(c);
		return old;
	}
	atomic_fetch_add(&hi->fs->cache_bytes, size);
	return c;
}

static ssize_t host_read(struct file *f, struct iov_iter *to, int64_t *pos)
{
	struct host_inode *hi = host_i(f->inode);
	struct host_file *hf = f->private;
	struct host_cache *c = atomic_load_explicit(&hi->cache, memory_order_acquire);
	ssize_t done = 0;
	char small[2048], *b;

	if (!c && to->count <= 65536)
		c = host_cache_fill(hi, hf->fd);
	if (c) {
		size_t n;

		if (*pos < 0)
			return -EINVAL;
		if ((uint64_t)*pos >= c->size || !to->count)
			return 0;
		n = MIN(to->count, c->size - (size_t)*pos);
		done = copy_to_iter(c->data + *pos, n, to);
		*pos += done;
		return done ? done : -EFAULT;
	}
	b = to->count <= sizeof(small) ? small : bounce_get();
	if (!b)
		return -ENOMEM;
	while (to->count) {
		size_t want = MIN(to->count, b == small ? sizeof(small) : BOUNCE_SIZE), got;
		ssize_t r = host_pread(hf->fd, b, want, *pos, READ_ONCE(f->inode->size));

		if (r <= 0) {
			if (!done)
				done = r;
			break;
		}
		got = copy_to_iter(b, r, to);
		*pos += got;
		done += got;
		if (got < (size_t)r) {
			if (!done)
				done = -EFAULT;
			break;
		}
		if ((size_t)r < want)
			break;
	}
	if (b != small)
		bounce_put(b);
	return done;
}

static const void *host_window(struct file *f, int64_t pos, size_t *n)
{
	struct host_inode *hi = host_i(f->inode);
	uint64_t size;

	if (f->flags & O_DIRECT)
		return NULL;
	if (!hi->fs->ro && (*n < 16384 || host_refresh(hi))) /* others may have cut it short: to ask costs as much as to read a little */
		return NULL;
	size = READ_ONCE(f->inode->size);
	*n = (uint64_t)pos < size ? MIN(*n, size - pos) : 0;
	return hi;
}

static ssize_t host_write(struct file *f, struct iov_iter *from, int64_t *pos)
{
	struct host_inode *hi = host_i(f->inode);
	struct host_file *hf = f->private;
	bool append = write_appends(f, from);
	ssize_t done = 0;
	char *b;

	b = bounce_get();
	if (!b)
		return -ENOMEM;
	sleeplock_lock(&f->inode->lock);
	while (from->count) {
		size_t n = MIN(from->count, BOUNCE_SIZE);
		struct iovec iov;
		ssize_t r;

		n = copy_from_iter(b, n, from);
		if (!n) {
			if (!done)
				done = -EFAULT;
			break;
		}
		iov = (struct iovec){ b, n };
		worker_block_begin();
		r = append ? pwritev2(hf->fd, &iov, 1, 0, RWF_APPEND) : pwrite(hf->fd, b, n, *pos);
		if (r < 0)
			r = -errno;
		worker_block_end();
		if (r < 0) {
			if (!done)
				done = r;
			break;
		}
		done += r;
		*pos += r;
		if ((size_t)r < n)
			break;
	}
	if (done > 0) {
		host_refresh(hi);
		if (append)
			*pos = f->inode->size;
	}
	sleeplock_unlock(&f->inode->lock);
	bounce_put(b);
	return done;
}

static int64_t host_llseek(struct file *f, int64_t off, int whence)
{
	struct host_inode *hi = host_i(f->inode);
	struct host_file *hf = f->private;
	int64_t r;

	if (whence == SEEK_DATA || whence == SEEK_HOLE) { /* the shared position of the host is not used by anybody */
		r = lseek(hf->fd, off, whence);
		if (r < 0)
			return -errno;
		f->pos = r;
		return r;
	}
	if (whence == SEEK_END && !hi->fs->ro)
		host_refresh(hi);
	return generic_llseek(f, off, whence);
}

static int host_fsync(struct file *f, bool datasync)
{
	struct host_file *hf = f->private;
	int r;

	if (host_i(f->inode)->fs->ro || hf->which != HD_RW)
		return 0;
	worker_block_begin();
	r = (datasync ? fdatasync(hf->fd) : fsync(hf->fd)) < 0 ? -errno : 0;
	worker_block_end();
	return r;
}

static int host_fallocate(struct file *f, int mode, int64_t off, int64_t len)
{
	struct host_file *hf = f->private;
	int r;

	worker_block_begin();
	r = fallocate(hf->fd, mode, off, len) < 0 ? -errno : 0;
	worker_block_end();
	host_refresh(host_i(f->inode));
	return r;
}

static void host_release(struct file *f)
{
	struct host_file *hf = f->private;

	host_desc_put(host_i(f->inode), hf->which);
	free(hf);
}

static const struct file_ops host_file_ops = {
	.read = host_read,
	.write = host_write,
	.llseek = host_llseek,
	.mmap = host_mmap,
	.window = host_window,
	.fsync = host_fsync,
	.fallocate = host_fallocate,
	.release = host_release,
};

/* ---- directories ---- */

static int host_dir_fd(struct file *f)
{
	struct host_inode *hi = host_i(f->inode);
	struct host_file *hf = f->private;
	int pfd, fd;

	if (hf->fd >= 0)
		return hf->fd;
	pfd = host_desc_get(hi, HD_MAIN);
	if (pfd < 0)
		return pfd;
	fd = openat(pfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	else
		hf->fd = fd;
	host_desc_put(hi, HD_MAIN);
	return fd;
}

static int host_iterate(struct file *f, struct dir_context *c)
{
	struct host_inode *hi = host_i(f->inode);
	int fd = host_dir_fd(f), r = 0;
	size_t size = 32768;
	char *buf;

	if (fd < 0)
		return fd;
	if (lseek(fd, c->pos, SEEK_SET) < 0)
		return -errno;
	buf = bounce_get();
	if (!buf)
		return -ENOMEM;
	for (;;) {
		long n = syscall(SYS_getdents64, fd, buf, size);

		if (n <= 0) {
			r = n < 0 ? -errno : 0;
			break;
		}
		for (long at = 0; at < n;) {
			struct dirent64 *d = (void *)(buf + at);
			uint64_t ino = !strcmp(d->d_name, "..") ? d->d_ino : host_ino(hi->fs, hi->dev, d->d_ino);

			if (!c->emit(c, d->d_name, strlen(d->d_name), ino, d->d_type, d->d_off))
				goto out;
			c->pos = d->d_off;
			at += d->d_reclen;
		}
	}
out:
	bounce_put(buf);
	return r;
}

static int host_dir_fsync(struct file *f, bool datasync)
{
	int fd, r;

	if (host_i(f->inode)->fs->ro)
		return 0;
	fd = host_dir_fd(f);
	if (fd < 0)
		return fd;
	worker_block_begin();
	r = (datasync ? fdatasync(fd) : fsync(fd)) < 0 ? -errno : 0;
	worker_block_end();
	return r;
}

static void host_dir_release(struct file *f)
{
	struct host_file *hf = f->private;

	if (hf->fd >= 0)
		close(hf->fd);
	free(hf);
}

static const struct file_ops host_dir_ops = {
	.iterate = host_iterate,
	.llseek = cursor_llseek,
	.fsync = host_dir_fsync,
	.release = host_dir_release,
};

int host_open(struct inode *inode, struct file *f)
{
	struct host_inode *hi = host_i(inode);
	struct host_file *hf;
	int fd = -1, which = HD_MAIN;

	if (S_ISREG(inode->mode)) {
		if (f->mode & FMODE_WRITE) {
			if (hi->fs->ro)
				return -EROFS;
			which = HD_RW;
		}
		fd = host_desc_get(hi, which);
		if (fd < 0)
			return fd;
	} else if (!S_ISDIR(inode->mode))
		return -ENXIO; /* the host's devices, fifos and sockets stay the host's */
	hf = new(struct host_file);
	hf->which = which;
	hf->fd = fd;
	f->private = hf;
	f->ops = S_ISDIR(inode->mode) ? &host_dir_ops : &host_file_ops;
	return 0;
}

/* ---- mappings ---- */

struct host_map { /* one an mmap call: it remembers the name that the file was opened by */
	struct mappable m;
	struct refcount ref;
	struct host_inode *hi; /* counted through its inode */
	struct path path;      /* counted */
	struct mutex lock;     /* RANK_LEAF */
	bool pinned[HD_COUNT]; /* lock */
};

static void map_get(struct mappable *m)
{
	refcount_get(&container_of(m, struct host_map, m)->ref);
}

static void map_put(struct mappable *m)
{
	struct host_map *h = container_of(m, struct host_map, m);

	if (!refcount_put(&h->ref))
		return;
	for (int w = 0; w < HD_COUNT; w++)
		if (h->pinned[w])
			host_desc_put(h->hi, w);
	inode_put(h->hi->inode);
	path_put(&h->path);
	free(h);
}

static int map_host_fd(struct mappable *m, uint64_t off, uint64_t len, bool shared_write, int *fd, uint64_t *host_off)
{
	struct host_map *h = container_of(m, struct host_map, m);
	int which = shared_write ? HD_RW : HD_MAIN, r;

	if (shared_write && h->hi->fs->ro)
		return -EACCES;
	r = host_desc_get(h->hi, which);
	if (r < 0)
		return r;
	mutex_lock(&h->lock);
	if (h->pinned[which]) {
		mutex_unlock(&h->lock);
		host_desc_put(h->hi, which);
	} else {
		h->pinned[which] = true;
		mutex_unlock(&h->lock);
	}
	*fd = r;
	*host_off = off;
	return 0;
}

static void map_describe(struct mappable *m, char *buf, size_t size, uint64_t *dev, uint64_t *ino)
{
	struct host_map *h = container_of(m, struct host_map, m);
	struct kstat st;

	if (vfs_stat(&h->path, &st) == 0) { /* of the path: an overlay above us shows its own numbers */
		*dev = st.dev;
		*ino = st.ino;
	} else {
		*dev = h->hi->inode->sb->dev;
		*ino = h->hi->inode->ino;
	}
	if (size && d_path(&h->path, NULL, buf, size) < 0)
		buf[0] = 0;
}

static uint64_t map_id(struct mappable *m)
{
	return container_of(m, struct host_map, m)->hi->id;
}

static uint64_t map_size(struct mappable *m)
{
	struct host_inode *hi = container_of(m, struct host_map, m)->hi;

	if (!hi->fs->ro)
		host_refresh(hi);
	return hi->inode->size;
}

static int map_msync(struct mappable *m, uint64_t off, uint64_t len, int flags)
{
	struct host_map *h = container_of(m, struct host_map, m);
	int fd, r;

	if (h->hi->fs->ro || !(flags & MS_SYNC))
		return 0;
	fd = host_desc_get(h->hi, HD_RW);
	if (fd < 0)
		return 0;
	worker_block_begin();
	r = fdatasync(fd) < 0 ? -errno : 0;
	worker_block_end();
	host_desc_put(h->hi, HD_RW);
	return r;
}

static const struct mappable_ops host_map_ops = {
	.get = map_get,
	.put = map_put,
	.host_fd = map_host_fd,
	.describe = map_describe,
	.id = map_id,
	.size = map_size,
	.msync = map_msync,
};

int host_mmap(struct file *f, struct vm_map *m)
{
	struct host_map *h = new(struct host_map);

	h->m.ops = &host_map_ops;
	refcount_init(&h->ref);
	mutex_init(&h->lock, RANK_LEAF);
	h->hi = host_i(f->inode);
	inode_get(f->inode);
	h->path = f->path;
	path_get(&h->path);
	m->mappable = &h->m;
	return 0;
}
