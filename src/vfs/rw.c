/* SPDX-License-Identifier: Apache-2.0 */
/* rw.c: reading, writing and seeking in open files, and copying between them. */
#include "mm/window.h"
#include "vfs/internal.h"
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* <linux/fs.h> does not go with <sys/mount.h> */
#define FS_IOC_GETFLAGS _IOR('f', 1, long)
#define FS_IOC_SETFLAGS _IOW('f', 2, long)
#define MAX_RW_COUNT 0x7ffff000UL

/* The position is locked only when somebody else could use it at the same time. */
static inline bool pos_lock(struct file *f)
{
	if (likely(refcount_read(&f->ref) == 1))
		return false;
	sleeplock_lock(&f->pos_lock);
	return true;
}

static inline void pos_unlock(struct file *f, bool locked)
{
	if (unlikely(locked))
		sleeplock_unlock(&f->pos_lock);
}

static int check_area(struct file *f, int64_t pos, size_t count)
{
	if (unlikely(pos < 0))
		return -EINVAL;
	if (unlikely((uint64_t)pos + count > INT64_MAX))
		return -EOVERFLOW;
	return 0;
}

/* ---- reads that the stub carries out (mm/window.h) ---- */

/* Until windows would have saved this much, one is not worth making: a hand-off with a descriptor, page faults, and the way back into
 * polling. */
#define WINDOW_GAIN 100000
#define WINDOW_MIN 512 /* fewer bytes gain nothing that counts */

static uint32_t window_gain(size_t n) { return n <= 8192 ? 100 + n / 8 : 600 + MIN(n, 1UL << 20) / 64; }

#define WINDOW_NEVER UINT32_MAX

static bool window_open(struct file *f, const void *object, int64_t pos)
{
	static _Atomic uint64_t last_id;
	struct vm_map m = { .prot = 1 /* PROT_READ */, .flags = 2 /* MAP_PRIVATE: nothing is copied up */ };
	uint64_t id = atomic_load(&f->window_id);
	int ret;

	atomic_store_explicit(&f->window_gain, 0, memory_order_relaxed);
	if (!f->ops->mmap || f->ops->mmap(f, &m))
		return false;
	if (!id) {
		uint64_t new = atomic_fetch_add(&last_id, 1) + 1;

		if (atomic_compare_exchange_strong(&f->window_id, &id, new))
			id = new;
	}
	ret = mm_window_open(id, object, m.mappable, pos, fd_table_users(fiber_context()->fdt));
	if (ret && ret != -EAGAIN)
		atomic_store(&f->window_gain, WINDOW_NEVER);
	return !ret;
}

/* 0: to be read otherwise */
static ssize_t window_read(struct file *f, struct iov_iter *to, int64_t *pos)
{
	uint64_t id = atomic_load_explicit(&f->window_id, memory_order_relaxed);
	uint32_t gain = atomic_load_explicit(&f->window_gain, memory_order_relaxed);
	bool wanted = gain >= WINDOW_GAIN && gain != WINDOW_NEVER;
	size_t n = to->count;
	const void *object;

	if (likely(!id && !wanted) || fiber_context()->no_windows)
		return 0;
	object = f->ops->window(f, *pos, &n);
	if (!object || !n) {
		if (wanted)
			atomic_store_explicit(&f->window_gain, 0, memory_order_relaxed);
		return 0;
	}
	if (!id || !mm_window_read(id, object, *pos, (uaddr_t)to->iov->iov_base, n)) {
		if (!wanted || n < WINDOW_MIN)
			return 0;
		if (!window_open(f, object, *pos) || !(object = f->ops->window(f, *pos, &n)) || !n ||
		    !mm_window_read(f->window_id, object, *pos, (uaddr_t)to->iov->iov_base, n))
			return 0;
	}
	struct fiber_context *c = fiber_context();
	c->window_read.file = f->window_id;
	c->window_read.from = *pos;
	c->window_read.to = *pos += n;
	return n;
}

static void window_missed(struct file *f, size_t n)
{
	uint32_t gain = atomic_load_explicit(&f->window_gain, memory_order_relaxed);

	if (n >= WINDOW_MIN && gain < WINDOW_GAIN)
		atomic_store_explicit(&f->window_gain, gain + window_gain(n), memory_order_relaxed);
}

/* The stub could not make the copy, and the call is made again: back to where it started, unless others have moved on. */
static void window_undo(struct file *f)
{
	struct fiber_context *c = fiber_context();

	c->window_read.again = false;
	if (c->window_read.file == f->window_id && f->pos == c->window_read.to)
		f->pos = c->window_read.from;
}

static ssize_t do_read(struct file *f, struct iov_iter *to, int64_t *pos)
{
	int ret = f->ops->stream ? 0 : check_area(f, *pos, to->count);

	if (unlikely(ret))
		return ret;
	bool window = f->ops->window && to->direct;
	ssize_t n = window ? window_read(f, to, pos) : 0;
	if (!n) {
		n = f->ops->read(f, to, pos);
		if (window && n > 0)
			window_missed(f, n);
	}
	if (n > 0)
		notify_file(f, IN_ACCESS);
	return n;
}

ssize_t vfs_read(struct file *f, struct iov_iter *to, int64_t *pos)
{
	if (unlikely(!(f->mode & FMODE_READ)))
		return -EBADF;
	if (unlikely(!f->ops->read))
		return S_ISDIR(f->inode->mode) ? -EISDIR : -EINVAL;
	if (unlikely(to->count > MAX_RW_COUNT))
		to->count = MAX_RW_COUNT;
	if (pos)
		return do_read(f, to, pos);
	int64_t p = 0;
	if (f->ops->stream)
		return do_read(f, to, &p);
	bool locked = pos_lock(f);
	if (to->direct && unlikely(fiber_context()->window_read.again))
		window_undo(f);
	p = f->pos;
	ssize_t n = do_read(f, to, &p);
	if (n >= 0)
		f->pos = p;
	pos_unlock(f, locked);
	return n;
}

/* Bounds by RLIMIT_FSIZE and the largest offset; set-ID bits go. */
static int write_checks(struct file *f, struct iov_iter *from, int64_t pos)
{
	uint64_t limit = vfs_hooks.fsize_limit ? vfs_hooks.fsize_limit() : UINT64_MAX;

	if (unlikely(limit != UINT64_MAX)) {
		uint64_t at = pos;
		if (write_appends(f, from) || pos >= VFS_POS_HOST) {
			struct kstat st;
			int ret = vfs_fstat(f, &st);
			if (ret)
				return ret;
			at = st.size;
		}
		if (at >= limit) {
			if (vfs_hooks.send_sigxfsz)
				vfs_hooks.send_sigxfsz();
			return -EFBIG;
		}
		if (from->count > limit - at)
			from->count = limit - at;
	}
	return inode_kill_privs(f->inode);
}

static ssize_t do_write(struct file *f, struct iov_iter *from, int64_t *pos)
{
	if (S_ISREG(f->inode->mode)) {
		int ret = check_area(f, *pos, 0);
		if (!ret && from->count) {
			if (unlikely((uint64_t)*pos + from->count > INT64_MAX)) {
				if (*pos == INT64_MAX)
					return -EFBIG;
				from->count = INT64_MAX - *pos;
			}
			ret = write_checks(f, from, *pos);
		}
		if (unlikely(ret))
			return ret;
	}
	ssize_t n = f->ops->write(f, from, pos);
	if (n > 0)
		notify_file(f, IN_MODIFY);
	return n;
}

ssize_t vfs_write(struct file *f, struct iov_iter *from, int64_t *pos)
{
	if (unlikely(!(f->mode & FMODE_WRITE)))
		return -EBADF;
	if (unlikely(!f->ops->write))
		return -EINVAL;
	if (unlikely(from->count > MAX_RW_COUNT))
		from->count = MAX_RW_COUNT;
	if (pos)
		return do_write(f, from, pos);
	int64_t p = 0;
	if (f->ops->stream)
		return do_write(f, from, &p);
	bool locked = pos_lock(f);
	p = f->pos;
	ssize_t n = do_write(f, from, &p);
	if (n >= 0)
		f->pos = p;
	pos_unlock(f, locked);
	return n;
}

ssize_t kernel_read(struct file *f, void *buf, size_t n, int64_t off)
{
	size_t done = 0;

	if (!f->ops->read)
		return S_ISDIR(f->inode->mode) ? -EISDIR : -EINVAL;
	while (done < n) {
		struct iov_iter it;
		iov_iter_kernel(&it, (char *)buf + done, n - done);
		ssize_t r = f->ops->read(f, &it, &off);
		iov_iter_done(&it);
		if (r < 0)
			return done ? (ssize_t)done : r;
		if (!r)
			break;
		done += r;
	}
	return done;
}

unsigned vfs_poll(struct file *f, struct poll_table *pt)
{
	if (f->ops->poll)
		return f->ops->poll(f, pt);
	return EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM;
}

/* ---- seek ---- */

int64_t generic_llseek(struct file *f, int64_t off, int whence)
{
	uint64_t size = 0;

	if (whence != SEEK_SET && whence != SEEK_CUR) {
		struct inode *i = f->inode;
		if (i->ops->getattr) {
			struct kstat st;
			int ret = vfs_fstat(f, &st);
			if (ret)
				return ret;
			size = st.size;
		} else {
			size = READ_ONCE(i->size);
		}
	}
	switch (whence) {
	case SEEK_SET:
		break;
	case SEEK_CUR:
		if (!off)
			return f->pos;
		if (add_overflow(off, f->pos, &off))
			return -EOVERFLOW;
		break;
	case SEEK_END:
		if (add_overflow(off, (int64_t)size, &off))
			return -EOVERFLOW;
		break;
	case SEEK_DATA: /* all of it is data, and there is a hole at the end */
		if ((uint64_t)off >= size)
			return -ENXIO;
		break;
	case SEEK_HOLE:
		if ((uint64_t)off >= size)
			return -ENXIO;
		off = size;
		break;
	default:
		return -EINVAL;
	}
	if (off < 0)
		return -EINVAL;
	f->pos = off;
	return off;
}

int64_t noop_llseek(struct file *f, int64_t off, int whence) { return f->pos; }

int64_t cursor_llseek(struct file *f, int64_t off, int whence)
{
	if (whence == SEEK_CUR)
		off += f->pos;
	else if (whence != SEEK_SET)
		return -EINVAL;
	if (off < 0)
		return -EINVAL;
	return f->pos = off;
}

int64_t vfs_llseek(struct file *f, int64_t off, int whence)
{
	if (unlikely(f->ops->stream))
		return f->ops->llseek ? f->ops->llseek(f, off, whence) : -ESPIPE;
	if (unlikely((unsigned)whence > SEEK_HOLE))
		return -EINVAL;
	if (unlikely(!f->ops->llseek && !f->ops->read && !f->ops->write && !f->ops->iterate))
		return -ESPIPE;
	bool locked = pos_lock(f);
	int64_t r = f->ops->llseek ? f->ops->llseek(f, off, whence) : generic_llseek(f, off, whence);
	pos_unlock(f, locked);
	return r;
}

int vfs_readdir(struct file *f, struct dir_context *c)
{
	if (!f->ops->iterate)
		return -ENOTDIR;
	struct inode *i = f->inode;
	sleeplock_lock(&f->pos_lock);
	int ret = -ENOENT;
	if (!i->dead) {
		c->pos = f->pos;
		ret = f->ops->iterate(f, c);
		f->pos = c->pos;
	}
	sleeplock_unlock(&f->pos_lock);
	return ret;
}

/* ---- sendfile, splice, copy_file_range ---- */

#define COPY_CHUNK 65536UL

ssize_t vfs_copy(struct file *in, int64_t *ipos, struct file *out, int64_t *opos, size_t len)
{
	size_t done = 0;
	ssize_t ret = 0;

	if (len > MAX_RW_COUNT)
		len = MAX_RW_COUNT;
	char *buf = malloc(MIN(len ? len : 1, COPY_CHUNK));
	if (!buf)
		return -ENOMEM;
	while (done < len) {
		struct iov_iter it;
		iov_iter_kernel(&it, buf, MIN(len - done, COPY_CHUNK));
		int64_t ip = ipos ? *ipos : 0;
		ret = vfs_read(in, &it, ipos ? &ip : NULL);
		iov_iter_done(&it);
		if (ret <= 0)
			break;
		size_t n = ret, w = 0;
		while (w < n) {
			iov_iter_kernel(&it, buf + w, n - w);
			ret = vfs_write(out, &it, opos);
			iov_iter_done(&it);
			if (ret <= 0)
				break;
			w += ret;
		}
		if (ipos)
			*ipos += w;
		else if (w < n && !in->ops->stream)
			vfs_llseek(in, (int64_t)w - (int64_t)n, SEEK_CUR); /* what was not written stays unread */
		done += w;
		if (w < n || n < COPY_CHUNK)
			break; /* an end of file, or a stream that has no more now: do not wait for more */
	}
	free(buf);
	return done ? (ssize_t)done : ret;
}

/* ---- ioctl and F_SETFL ---- */

#define SETFL_MASK (O_APPEND | O_NONBLOCK | O_DIRECT | O_ASYNC | O_NOATIME)

int vfs_set_flags(struct file *f, unsigned flags)
{
	unsigned old = f->flags;
	int ret;

	if (((flags ^ old) & O_APPEND) && inode_has(f->inode, INODE_APPEND))
		return -EPERM;
	if ((flags & O_NOATIME) && !(old & O_NOATIME) && !inode_owner_or_capable(f->inode))
		return -EPERM;
	if ((flags & O_DIRECT) && !(old & O_DIRECT) && !S_ISREG(f->inode->mode) && !S_ISFIFO(f->inode->mode))
		return -EINVAL;
	if (f->ops->set_flags && (ret = f->ops->set_flags(f, flags)))
		return ret;
	if (((flags ^ old) & O_ASYNC) && f->ops->fasync) {
		ret = f->ops->fasync(f, flags & O_ASYNC);
		if (ret < 0)
			return ret;
	}
	while (!atomic_compare_exchange_weak(&f->flags, &old, (old & ~SETFL_MASK) | (flags & SETFL_MASK)))
		;
	return 0;
}

/* ioctl_iflags(2) on a regular file or a directory */
static long change_fsflags(struct file *f, unsigned new)
{
	struct inode *i = f->inode;
	unsigned old = atomic_load(&i->fsflags);

	if (!i->ops->keep_flags)
		return -ENOTTY;
	if (mnt_is_readonly(f->path.mnt))
		return -EROFS;
	if (!inode_owner_or_capable(i))
		return -EPERM;
	if (((old ^ new) & (INODE_IMMUTABLE | INODE_APPEND)) && !cred_has_cap(fiber_context()->cred, CAP_LINUX_IMMUTABLE))
		return -EPERM;
	if (new & ~(INODE_IMMUTABLE | INODE_APPEND | INODE_NODUMP | INODE_NOATIME))
		return -EOPNOTSUPP;
	int ret = i->ops->keep_flags(i, new);
	if (!ret) {
		atomic_store(&i->fsflags, new);
		inode_touch(i, ATTR_CTIME);
	}
	return ret;
}

/* No file system here shares extents: Linux's answers then, in its order. */
static long clone_range(struct file *out, int fd)
{
	struct file *in = fd_get(fiber_context()->fdt, fd);
	unsigned in_flags, out_flags = atomic_load(&out->flags);
	long ret = -EOPNOTSUPP;

	if (!in)
		return -EBADF;
	in_flags = atomic_load(&in->flags);
	if (in->inode->sb != out->inode->sb)
		ret = -EXDEV;
	else if (S_ISDIR(in->inode->mode) || S_ISDIR(out->inode->mode))
		ret = -EISDIR;
	else if (!S_ISREG(in->inode->mode) || !S_ISREG(out->inode->mode))
		ret = -EINVAL;
	else if ((in_flags & O_ACCMODE) == O_WRONLY || (out_flags & O_ACCMODE) == O_RDONLY || (out_flags & O_APPEND))
		ret = -EBADF;
	file_put(in);
	return ret;
}

static long dedupe_range(struct file *f, uint64_t arg)
{
	struct file_dedupe_range r;

	if (copy_from_user(&r, arg, sizeof(r)))
		return -EFAULT;
	if ((atomic_load(&f->flags) & O_ACCMODE) == O_WRONLY || r.reserved1 || r.reserved2)
		return -EINVAL;
	return S_ISDIR(f->inode->mode) ? -EISDIR : S_ISREG(f->inode->mode) ? -EOPNOTSUPP : -EINVAL;
}

long vfs_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	struct file_clone_range range;
	int on, ret;

	switch (cmd) {
	case FICLONE:
		return clone_range(f, (int)arg);
	case FICLONERANGE:
		return copy_from_user(&range, arg, sizeof(range)) ? -EFAULT : clone_range(f, (int)range.src_fd);
	case FIDEDUPERANGE:
		return dedupe_range(f, arg);
	case FS_IOC_FIEMAP:
		return -EOPNOTSUPP;
	case FIONBIO:
		if (get_user(on, arg))
			return -EFAULT;
		if (on)
			atomic_fetch_or(&f->flags, O_NONBLOCK);
		else
			atomic_fetch_and(&f->flags, ~O_NONBLOCK);
		return 0;
	case FIOASYNC:
		if (get_user(on, arg))
			return -EFAULT;
		if (!!on != !!(f->flags & O_ASYNC)) {
			if (!f->ops->fasync)
				return -ENOTTY;
			ret = f->ops->fasync(f, on);
			if (ret < 0)
				return ret;
			if (on)
				atomic_fetch_or(&f->flags, O_ASYNC);
			else
				atomic_fetch_and(&f->flags, ~O_ASYNC);
		}
		return 0;
	case FIOQSIZE: {
		struct kstat st;
		int64_t size;
		if (!S_ISREG(f->inode->mode) && !S_ISDIR(f->inode->mode) && !S_ISLNK(f->inode->mode))
			return -ENOTTY;
		if ((ret = vfs_fstat(f, &st)))
			return ret;
		size = st.size;
		return put_user(size, arg);
	}
	}
	if ((cmd == FS_IOC_GETFLAGS || cmd == FS_IOC_SETFLAGS) && f->inode->ops->keep_flags && (S_ISREG(f->inode->mode) || S_ISDIR(f->inode->mode))) {
		on = (int)f->inode->fsflags;
		if (cmd == FS_IOC_GETFLAGS)
			return put_user(on, arg);
		return get_user(on, arg) ? -EFAULT : change_fsflags(f, (unsigned)on);
	}
	if (cmd == 2 /* FIGETBSZ */) {
		on = f->inode->sb->blksize ? (int)f->inode->sb->blksize : 4096;
		return put_user(on, arg);
	}
	if (f->ops->ioctl) {
		long r = f->ops->ioctl(f, cmd, arg);
		if (r != -ENOIOCTLCMD)
			return r;
	}
	if (S_ISREG(f->inode->mode)) {
		struct kstat st;
		switch (cmd) {
		case FIONREAD:
			if ((ret = vfs_fstat(f, &st)))
				return ret;
			on = (int)((int64_t)st.size - f->pos);
			return put_user(on, arg);
		}
	}
	return -ENOTTY;
}
