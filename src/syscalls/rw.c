/* SPDX-License-Identifier: Apache-2.0 */
/* rw.c: read(2), write(2) and their vector and positioned forms, lseek(2). */
#include "syscalls/names.h"
#include <fcntl.h>

#define RWF_HIPRI_ 1
#define RWF_DSYNC_ 2
#define RWF_SYNC_ 4
#define RWF_NOWAIT_ 8
#define RWF_APPEND_ 16
#define RWF_NOAPPEND_ 32

/* What cannot be read or written at all does not count as tried. */
static inline void count_io(struct task *t, bool write, ssize_t n)
{
	if (unlikely(n == -EBADF || n == -EINVAL))
		return;
	if (write) {
		t->io.syscw++;
		t->io.wchar += n > 0 ? (size_t)n : 0;
	} else {
		t->io.syscr++;
		t->io.rchar += n > 0 ? (size_t)n : 0;
	}
}

long sys_read(struct task *t, const struct syscall_args *a)
{
	bool c;
	struct file *f = arg_file(t, a->a[0], &c);

	if (unlikely(!f))
		return -EBADF;
	struct iov_iter it;
	iov_iter_user(&it, a->a[1], a->a[2]);
	it.direct = true;
	ssize_t n = vfs_read(f, &it, NULL);
	count_io(t, false, n);
	fd_put_light(f, c);
	return n;
}

long sys_write(struct task *t, const struct syscall_args *a)
{
	bool c;
	struct file *f = arg_file(t, a->a[0], &c);

	if (unlikely(!f))
		return -EBADF;
	struct iov_iter it;
	iov_iter_user(&it, a->a[1], a->a[2]);
	ssize_t n = vfs_write(f, &it, NULL);
	count_io(t, true, n);
	fd_put_light(f, c);
	return n;
}

static inline bool positioned(struct file *f) { return !f->ops->stream; }

static long prw(struct task *t, const struct syscall_args *a, ssize_t (*fn)(struct file *, struct iov_iter *, int64_t *))
{
	int64_t pos = a->a[3];
	bool c;

	if (unlikely(pos < 0))
		return -EINVAL;
	struct file *f = arg_file(t, a->a[0], &c);
	if (unlikely(!f))
		return -EBADF;
	ssize_t n = -ESPIPE;
	if (likely(positioned(f))) {
		struct iov_iter it;
		iov_iter_user(&it, a->a[1], a->a[2]);
		it.direct = fn == vfs_read;
		n = fn(f, &it, &pos);
		count_io(t, fn == vfs_write, n);
	}
	fd_put_light(f, c);
	return n;
}

long sys_pread64(struct task *t, const struct syscall_args *a) { return prw(t, a, vfs_read); }
long sys_pwrite64(struct task *t, const struct syscall_args *a) { return prw(t, a, vfs_write); }

static long do_vec(struct task *t, const struct syscall_args *a, bool write, int64_t *pos, unsigned flags)
{
	struct iov_iter it;
	bool c;

	struct file *f = arg_file(t, a->a[0], &c);
	if (!f)
		return -EBADF;
	ssize_t n;
	if (pos && !positioned(f)) {
		n = -ESPIPE;
	} else if (!(f->mode & (write ? FMODE_WRITE : FMODE_READ))) {
		n = -EBADF;
	} else if (!(write ? f->ops->write : f->ops->read) && !S_ISDIR(f->inode->mode)) { /* a directory says EISDIR, if bytes are asked for */
		n = -EINVAL;
	} else if (!(n = iov_iter_import(&it, a->a[1], (uint32_t)a->a[2]))) {
		if (write && S_ISREG(f->inode->mode))
			it.append = flags & RWF_APPEND_ ? 1 : flags & RWF_NOAPPEND_ ? -1 : 0;
		it.direct = !write && it.nr == 1;
		if (!it.count)
			n = 0; /* before the flags are looked at */
		else if (flags & ~(RWF_HIPRI_ | RWF_DSYNC_ | RWF_SYNC_ | RWF_NOWAIT_ | RWF_APPEND_ | RWF_NOAPPEND_))
			n = -EOPNOTSUPP;
		else if (flags & RWF_NOWAIT_)
			n = -EOPNOTSUPP; /* the file systems have no way to promise "without waiting" */
		else if ((flags & RWF_APPEND_) && (flags & RWF_NOAPPEND_))
			n = -EINVAL;
		else if (it.append < 0 && (f->flags & O_APPEND) && inode_has(f->inode, INODE_APPEND))
			n = -EPERM;
		else if (it.append && f->pos == VFS_POS_HOST)
			n = -EOPNOTSUPP; /* the host's description of an inherited descriptor says where writes go */
		else
			n = write ? vfs_write(f, &it, pos) : vfs_read(f, &it, pos);
		if (n > 0 && write && (flags & (RWF_DSYNC_ | RWF_SYNC_))) {
			int ret = vfs_fsync(f, !(flags & RWF_SYNC_));
			if (ret && ret != -EINVAL)
				n = ret;
		}
		iov_iter_done(&it);
	}
	fd_put_light(f, c);
	if (write) {
		t->io.syscw++;
		t->io.wchar += n > 0 ? (size_t)n : 0;
	} else {
		t->io.syscr++;
		t->io.rchar += n > 0 ? (size_t)n : 0;
	}
	return n;
}

long sys_readv(struct task *t, const struct syscall_args *a) { return do_vec(t, a, false, NULL, 0); }
long sys_writev(struct task *t, const struct syscall_args *a) { return do_vec(t, a, true, NULL, 0); }

static long do_pvec(struct task *t, const struct syscall_args *a, bool write, bool v2)
{
	int64_t pos = a->a[3]; /* pos_high has no bits left on a 64-bit machine */

	if (v2 && pos == -1)
		return do_vec(t, a, write, NULL, a->a[5]);
	if (pos < 0)
		return -EINVAL;
	return do_vec(t, a, write, &pos, v2 ? a->a[5] : 0);
}

long sys_preadv(struct task *t, const struct syscall_args *a) { return do_pvec(t, a, false, false); }
long sys_pwritev(struct task *t, const struct syscall_args *a) { return do_pvec(t, a, true, false); }
long sys_preadv2(struct task *t, const struct syscall_args *a) { return do_pvec(t, a, false, true); }
long sys_pwritev2(struct task *t, const struct syscall_args *a) { return do_pvec(t, a, true, true); }

long sys_lseek(struct task *t, const struct syscall_args *a)
{
	bool c;
	struct file *f = arg_file(t, a->a[0], &c);

	if (unlikely(!f))
		return -EBADF;
	if (unlikely((unsigned)a->a[2] > SEEK_HOLE)) {
		fd_put_light(f, c);
		return -EINVAL;
	}
	long n = vfs_llseek(f, a->a[1], (int)a->a[2]);
	fd_put_light(f, c);
	return n;
}
