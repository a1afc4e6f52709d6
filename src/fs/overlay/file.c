/* SPDX-License-Identifier: Apache-2.0 */
/* file.c: open files and their data. A file on the overlay has an *inner file* on the lower inode, and one on the upper inode
 * from when there is one: descriptors opened before a copy-up see what was written after it, as on an ordinary file system. */
#include "fs/overlay/overlay_internal.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

struct ovl_file {
	_Atomic(struct file *) lower, upper; /* owned; set once, under the inode's copy_lock */
};

/* An open file on `real` that borrows the outer file's path. f may be NULL (the kernel's own reading). */
int ovl_inner_open(struct file *f, const struct path *path, struct inode *real, unsigned mode, struct file **out)
{
	struct file *in = new(struct file);
	int r;

	refcount_init(&in->ref);
	in->path = *path;
	in->inode = real;
	in->mode = mode;
	in->flags = mode & FMODE_WRITE ? (mode & FMODE_READ ? O_RDWR : O_WRONLY) : O_RDONLY;
	if (!path->mnt) /* the kernel's own reading leaves no trace, and there is no mount to ask about it */
		in->flags |= O_NOATIME;
	in->cred = f ? f->cred : NULL;
	sleeplock_init(&in->pos_lock, RANK_OVERLAY_UPPER);
	mutex_init(&in->owner_lock, RANK_LEAF);
	r = real->ops->open ? real->ops->open(real, in) : -ENXIO;
	if (r) {
		free(in);
		return r;
	}
	*out = in;
	return 0;
}

void ovl_inner_close(struct file *in)
{
	if (!in)
		return;
	if (in->ops->release)
		in->ops->release(in);
	free(in);
}

/* ---- copy-up ---- */

#define COPY_CHUNK (128u << 10)

static int copy_data(struct ovl_inode *oi, struct inode *up, uint64_t limit)
{
	struct path none = { 0 };
	struct file *src = NULL, *dst = NULL;
	int64_t rpos = 0, wpos = 0;
	char *buf = NULL;
	int r;

	r = ovl_inner_open(NULL, &none, oi->lower, FMODE_READ, &src);
	if (!r)
		r = ovl_inner_open(NULL, &none, up, FMODE_READ | FMODE_WRITE, &dst);
	if (!r && !(buf = malloc(COPY_CHUNK)))
		r = -ENOMEM;
	while (!r && (uint64_t)rpos < limit) {
		struct iov_iter it;
		size_t want = MIN((uint64_t)COPY_CHUNK, limit - rpos);
		ssize_t n, w;

		iov_iter_kernel(&it, buf, want);
		n = src->ops->read(src, &it, &rpos);
		if (n <= 0) {
			r = n;
			break;
		}
		iov_iter_kernel(&it, buf, n);
		w = dst->ops->write(dst, &it, &wpos);
		if (w != n)
			r = w < 0 ? w : -ENOSPC;
	}
	free(buf);
	ovl_inner_close(src);
	ovl_inner_close(dst);
	return r;
}

/* Give a regular file an upper inode with (at most limit bytes of) its data. */
int ovl_copy_up(struct ovl_inode *oi, struct file *f, uint64_t limit)
{
	struct super_block *usb = oi->fs->upper_sb;
	struct inode *up, *i = oi->inode;
	struct iattr a = { 0 };
	int r;

	if (atomic_load_explicit(&oi->upper, memory_order_acquire))
		return 0;
	if (!S_ISREG(i->mode))
		return -EINVAL;
	ovl_pin(oi);
	guard(sleeplock)(&oi->copy_lock);
	if (oi->upper)
		return 0;
	r = usb->root->ops->tmpfile(usb->root, S_IFREG | 0600, &up);
	if (r)
		return r;
	/* It is reached through this overlay only, inside the overlay inode's locks. */
	sleeplock_init(&up->lock, RANK_OVERLAY_UPPER);
	if (oi->lower && i->size && limit)
		r = copy_data(oi, up, MIN(limit, i->size));
	if (r) {
		inode_put(up);
		return r;
	}
	a.valid = ATTR_ATIME | ATTR_MTIME | ATTR_CTIME;
	a.atime = READ_TIME(i->atime);
	a.mtime = READ_TIME(i->mtime);
	a.ctime = READ_TIME(i->ctime);
	generic_setattr(up, &a);
	atomic_store_explicit(&oi->upper, up, memory_order_release);
	return 0;
}

/* ---- inner files ---- */

/* The inner file that has the data now; NULL: an empty file that nobody wrote to, or *err. */
static struct file *real_file(struct file *f, bool write, int *err)
{
	struct ovl_inode *oi = ovl_i(f->inode);
	struct ovl_file *of = f->private;
	struct inode *up;
	struct file *in;

	*err = 0;
	if (write && !atomic_load_explicit(&oi->upper, memory_order_acquire)) {
		*err = ovl_copy_up(oi, f, UINT64_MAX);
		if (*err)
			return NULL;
	}
	up = atomic_load_explicit(&oi->upper, memory_order_acquire);
	if (!up && !oi->lower)
		return NULL;
	in = atomic_load_explicit(up ? &of->upper : &of->lower, memory_order_acquire);
	if (unlikely(!in)) {
		guard(sleeplock)(&oi->copy_lock);
		in = up ? of->upper : of->lower;
		if (!in) {
			unsigned mode = up ? FMODE_READ | (f->mode & FMODE_WRITE) : FMODE_READ;

			*err = ovl_inner_open(f, &f->path, up ? up : oi->lower, mode, &in);
			if (*err)
				return NULL;
			atomic_store_explicit(up ? &of->upper : &of->lower, in, memory_order_release);
		}
	}
	in->flags = up ? (f->flags & ~O_ACCMODE) | (in->flags & O_ACCMODE) : in->flags;
	return in;
}

/* Whoever changed the inner size calls this: the last one to hold the lock takes over the last size. */
static inline void size_changed(struct file *f, struct file *in)
{
	struct inode *i = f->inode;

	if (READ_ONCE(i->size) == READ_ONCE(in->inode->size))
		return;
	guard(mutex)(&i->attr_lock);
	WRITE_ONCE(i->size, READ_ONCE(in->inode->size));
}

static ssize_t ovl_read(struct file *f, struct iov_iter *to, int64_t *pos)
{
	int err;
	struct file *in = real_file(f, false, &err);

	if (!in)
		return err;
	return in->ops->read(in, to, pos);
}

static const void *ovl_window(struct file *f, int64_t pos, size_t *n)
{
	int err;
	struct file *in = real_file(f, false, &err);

	return in && in->ops->window ? in->ops->window(in, pos, n) : NULL;
}

static ssize_t ovl_write(struct file *f, struct iov_iter *from, int64_t *pos)
{
	int err;
	struct file *in = real_file(f, true, &err);
	ssize_t r;

	if (!in)
		return err;
	r = in->ops->write(in, from, pos);
	size_changed(f, in);
	return r;
}

static int64_t ovl_llseek(struct file *f, int64_t off, int whence)
{
	struct file *in;
	int64_t r;
	int err;

	if (whence == SEEK_SET || whence == SEEK_CUR || whence == SEEK_END)
		return generic_llseek(f, off, whence);
	in = real_file(f, false, &err);
	if (!in)
		return err ? err : whence == SEEK_DATA || whence == SEEK_HOLE ? -ENXIO : -EINVAL;
	in->pos = f->pos;
	r = in->ops->llseek ? in->ops->llseek(in, off, whence) : generic_llseek(in, off, whence);
	if (r >= 0)
		f->pos = r;
	return r;
}

static int ovl_fsync(struct file *f, bool datasync)
{
	struct ovl_file *of = f->private;
	struct file *in = of->upper;

	return in && in->ops->fsync ? in->ops->fsync(in, datasync) : 0;
}

static int ovl_fallocate(struct file *f, int mode, int64_t off, int64_t len)
{
	int err;
	struct file *in = real_file(f, true, &err);

	if (!in)
		return err;
	if (!in->ops->fallocate)
		return -EOPNOTSUPP;
	err = in->ops->fallocate(in, mode, off, len);
	size_changed(f, in);
	return err;
}

static long ovl_fcntl(struct file *f, unsigned cmd, uint64_t arg)
{
	int err;
	struct file *in = real_file(f, false, &err);

	return in && in->ops->fcntl ? in->ops->fcntl(in, cmd, arg) : err ? err : -EINVAL;
}

static void ovl_release(struct file *f)
{
	struct ovl_file *of = f->private;

	ovl_inner_close(of->lower);
	ovl_inner_close(of->upper);
	free(of);
}

/* ---- mappings of upper files: the object is the upper file system's, the name and numbers are ours ---- */

struct ovl_map {
	struct mappable m;
	struct refcount ref;
	struct mappable *in; /* counted */
	struct path path;    /* counted */
};

static struct mappable *map_in(struct mappable *m) { return container_of(m, struct ovl_map, m)->in; }
static void map_get(struct mappable *m) { refcount_get(&container_of(m, struct ovl_map, m)->ref); }

static void map_put(struct mappable *m)
{
	struct ovl_map *om = container_of(m, struct ovl_map, m);

	if (!refcount_put(&om->ref))
		return;
	om->in->ops->put(om->in);
	path_put(&om->path);
	free(om);
}

static int map_host_fd(struct mappable *m, uint64_t off, uint64_t len, bool shared_write, int *fd, uint64_t *host_off)
{
	return map_in(m)->ops->host_fd(map_in(m), off, len, shared_write, fd, host_off);
}

static void map_describe(struct mappable *m, char *buf, size_t size, uint64_t *dev, uint64_t *ino)
{
	struct ovl_map *om = container_of(m, struct ovl_map, m);
	struct kstat st;

	*dev = *ino = 0;
	if (vfs_stat(&om->path, &st) == 0) {
		*dev = st.dev;
		*ino = st.ino;
	}
	if (size && d_path(&om->path, NULL, buf, size) < 0)
		buf[0] = 0;
}

static uint64_t map_id(struct mappable *m) { return map_in(m)->ops->id(map_in(m)); }
static uint64_t map_size(struct mappable *m) { return map_in(m)->ops->size(map_in(m)); }

static int map_msync(struct mappable *m, uint64_t off, uint64_t len, int flags)
{
	return map_in(m)->ops->msync ? map_in(m)->ops->msync(map_in(m), off, len, flags) : 0;
}

static int map_mapped(struct mappable *m, bool shared_write)
{
	return map_in(m)->ops->mapped ? map_in(m)->ops->mapped(map_in(m), shared_write) : 0;
}

static void map_unmapped(struct mappable *m, bool shared_write)
{
	if (map_in(m)->ops->unmapped)
		map_in(m)->ops->unmapped(map_in(m), shared_write);
}

static const struct mappable_ops ovl_map_ops = {
	.get = map_get, .put = map_put, .host_fd = map_host_fd, .describe = map_describe, .id = map_id, .size = map_size,
	.msync = map_msync, .mapped = map_mapped, .unmapped = map_unmapped,
};

static int ovl_mmap(struct file *f, struct vm_map *m)
{
	struct ovl_file *of = f->private;
	struct ovl_map *om;
	struct file *in;
	int err;

	/* A file that nobody wrote to has no inner file yet; one that will be written through the mapping must have its own data. */
	in = real_file(f, (m->flags & MAP_SHARED) && (f->mode & FMODE_WRITE), &err);
	if (!in && !err)
		in = real_file(f, true, &err);
	if (!in)
		return err;
	if (!in->ops->mmap)
		return -ENODEV;
	err = in->ops->mmap(in, m);
	if (err || in != of->upper)
		return err;
	om = new(struct ovl_map);
	om->m.ops = &ovl_map_ops;
	refcount_init(&om->ref);
	om->in = m->mappable;
	om->path = f->path;
	path_get(&om->path);
	m->mappable = &om->m;
	return 0;
}

static const struct file_ops ovl_file_fops = {
	.read = ovl_read,
	.write = ovl_write,
	.llseek = ovl_llseek,
	.mmap = ovl_mmap,
	.window = ovl_window,
	.fsync = ovl_fsync,
	.fallocate = ovl_fallocate,
	.fcntl = ovl_fcntl,
	.release = ovl_release,
};

int ovl_file_open(struct inode *inode, struct file *f)
{
	struct ovl_file *of;
	int err = 0;

	if (!S_ISREG(inode->mode))
		return -ENXIO;
	of = new(struct ovl_file);
	f->private = of;
	f->ops = &ovl_file_fops;
	if (f->mode & FMODE_READ) /* now, for the errors that belong to open */
		real_file(f, false, &err);
	if (err)
		free(of);
	return err;
}

const struct inode_ops ovl_file_iops = {
	.readlink = ovl_readlink,
	.getattr = ovl_getattr,
	.setattr = ovl_setattr,
	.keep_flags = ovl_keep_flags,
	.open = ovl_file_open,
	.getxattr = ovl_getxattr,
	.setxattr = ovl_setxattr,
	.listxattr = ovl_listxattr,
	.removexattr = ovl_removexattr,
	.evict = ovl_evict,
};
