/* SPDX-License-Identifier: Apache-2.0 */
/* attr.c: attributes of files: chmod(2), chown(2), utimensat(2), truncate(2), xattr(7). */
#include "syscalls/names.h"
#include <fcntl.h>
#include <linux/limits.h>
#include <sys/mount.h>
#include <utime.h>

static unsigned at_lookup(unsigned flags) { return (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) | (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0); }

/* ---- chmod, chown ---- */

static long do_chmod(int dfd, uaddr_t name, uint32_t mode, unsigned flags)
{
	struct path p;

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	long ret = user_path_at(dfd, name, at_lookup(flags), &p);
	if (ret)
		return ret;
	ret = vfs_chmod(&p, mode);
	path_put(&p);
	return ret;
}

long sys_chmod(struct task *t, const struct syscall_args *a) { return do_chmod(AT_FDCWD, a->a[0], a->a[1], 0); }
long sys_fchmodat(struct task *t, const struct syscall_args *a) { return do_chmod((int)a->a[0], a->a[1], a->a[2], 0); }
long sys_fchmodat2(struct task *t, const struct syscall_args *a) { return do_chmod((int)a->a[0], a->a[1], a->a[2], a->a[3]); }

long sys_fchmod(struct task *t, const struct syscall_args *a)
{
	bool c;
	struct file *f = arg_file(t, a->a[0], &c);

	if (!f)
		return -EBADF;
	long ret = vfs_chmod(&f->path, a->a[1]);
	fd_put_light(f, c);
	return ret;
}

static long chown_path(struct task *t, const struct path *p, uint32_t uid, uint32_t gid)
{
	struct user_namespace *ns = t->cred->user_ns;
	kuid_t ku = uid == (uint32_t)-1 ? KID_INVALID : make_kuid(ns, uid);
	kgid_t kg = gid == (uint32_t)-1 ? KID_INVALID : make_kgid(ns, gid);

	if ((uid != (uint32_t)-1 && ku == KID_INVALID) || (gid != (uint32_t)-1 && kg == KID_INVALID))
		return -EINVAL;
	return vfs_chown(p, ku, kg);
}

static long do_chown(struct task *t, int dfd, uaddr_t name, uint32_t uid, uint32_t gid, unsigned flags)
{
	struct path p;

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	long ret = user_path_at(dfd, name, at_lookup(flags), &p);
	if (ret)
		return ret;
	ret = chown_path(t, &p, uid, gid);
	path_put(&p);
	return ret;
}

long sys_chown(struct task *t, const struct syscall_args *a) { return do_chown(t, AT_FDCWD, a->a[0], a->a[1], a->a[2], 0); }
long sys_lchown(struct task *t, const struct syscall_args *a) { return do_chown(t, AT_FDCWD, a->a[0], a->a[1], a->a[2], AT_SYMLINK_NOFOLLOW); }
long sys_fchownat(struct task *t, const struct syscall_args *a) { return do_chown(t, (int)a->a[0], a->a[1], a->a[2], a->a[3], a->a[4]); }

long sys_fchown(struct task *t, const struct syscall_args *a)
{
	bool c;
	struct file *f = arg_file(t, a->a[0], &c);

	if (!f)
		return -EBADF;
	long ret = chown_path(t, &f->path, a->a[1], a->a[2]);
	fd_put_light(f, c);
	return ret;
}

/* ---- times ---- */

static long set_times(const struct path *p, const struct timespec *ts /* NULL: now */)
{
	struct timespec now = vfs_now();
	struct iattr at = { .valid = ATTR_ATIME | ATTR_MTIME, .atime = now, .mtime = now };
	bool touch = true;

	if (ts) {
		touch = ts[0].tv_nsec == UTIME_NOW && ts[1].tv_nsec == UTIME_NOW;
		if (ts[0].tv_nsec == UTIME_OMIT)
			at.valid &= ~ATTR_ATIME;
		else if (ts[0].tv_nsec != UTIME_NOW)
			at.atime = ts[0];
		if (ts[1].tv_nsec == UTIME_OMIT)
			at.valid &= ~ATTR_MTIME;
		else if (ts[1].tv_nsec != UTIME_NOW)
			at.mtime = ts[1];
	}
	return vfs_setattr(p, &at, touch);
}

static long do_utimes(int dfd, uaddr_t name, const struct timespec *ts, unsigned flags)
{
	struct path p;
	long ret;

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (!name && dfd != AT_FDCWD) {
		if (flags)
			return -EINVAL;
		struct file *f = fd_get(fiber_context()->fdt, dfd);
		if (!f)
			return -EBADF;
		ret = set_times(&f->path, ts);
		file_put(f);
		return ret;
	}
	ret = user_path_at(dfd, name, at_lookup(flags), &p);
	if (ret)
		return ret;
	ret = set_times(&p, ts);
	path_put(&p);
	return ret;
}

static bool nsec_ok(const struct timespec *ts) { return ts->tv_nsec == UTIME_NOW || ts->tv_nsec == UTIME_OMIT || (ts->tv_nsec >= 0 && ts->tv_nsec < 1000000000); }

long sys_utimensat(struct task *t, const struct syscall_args *a)
{
	struct timespec ts[2];

	if (a->a[2]) {
		if (copy_from_user(ts, a->a[2], sizeof(ts)))
			return -EFAULT;
		if (ts[0].tv_nsec == UTIME_OMIT && ts[1].tv_nsec == UTIME_OMIT)
			return 0; /* not even the path is looked at */
		if (!nsec_ok(&ts[0]) || !nsec_ok(&ts[1]))
			return -EINVAL;
	}
	return do_utimes((int)a->a[0], a->a[1], a->a[2] ? ts : NULL, a->a[3]);
}

static long utimes_tv(int dfd, uaddr_t name, uaddr_t tvp)
{
	struct timespec ts[2];
	struct timeval tv[2];

	if (tvp) {
		if (copy_from_user(tv, tvp, sizeof(tv)))
			return -EFAULT;
		for (int i = 0; i < 2; i++) {
			if (tv[i].tv_usec < 0 || tv[i].tv_usec >= 1000000)
				return -EINVAL;
			ts[i].tv_sec = tv[i].tv_sec;
			ts[i].tv_nsec = tv[i].tv_usec * 1000;
		}
	}
	return do_utimes(dfd, name, tvp ? ts : NULL, 0);
}

long sys_utimes(struct task *t, const struct syscall_args *a) { return utimes_tv(AT_FDCWD, a->a[0], a->a[1]); }
long sys_futimesat(struct task *t, const struct syscall_args *a) { return utimes_tv((int)a->a[0], a->a[1], a->a[2]); }

long sys_utime(struct task *t, const struct syscall_args *a)
{
	struct utimbuf u;
	struct timespec ts[2] = { 0 };

	if (a->a[1]) {
		if (get_user(u, a->a[1]))
			return -EFAULT;
		ts[0].tv_sec = u.actime;
		ts[1].tv_sec = u.modtime;
	}
	return do_utimes(AT_FDCWD, a->a[0], a->a[1] ? ts : NULL, 0);
}

/* ---- truncate ---- */

long sys_truncate(struct task *t, const struct syscall_args *a)
{
	struct path p;

	if ((int64_t)a->a[1] < 0)
		return -EINVAL;
	long ret = user_path_at(AT_FDCWD, a->a[0], LOOKUP_FOLLOW, &p);
	if (ret)
		return ret;
	struct inode *i = dentry_inode(p.dentry);
	if (S_ISDIR(i->mode))
		ret = -EISDIR;
	else if (!S_ISREG(i->mode))
		ret = -EINVAL;
	else if (vfs_mnt_flags(&p) & MS_RDONLY)
		ret = -EROFS;
	else if (!(ret = inode_permission(i, MAY_WRITE)) && !(ret = inode_get_write(i))) {
		ret = vfs_truncate(&p, NULL, a->a[1]);
		inode_put_write(i);
	}
	path_put(&p);
	return ret;
}

long sys_ftruncate(struct task *t, const struct syscall_args *a)
{
	bool c;

	if ((int64_t)a->a[1] < 0)
		return -EINVAL;
	struct file *f = arg_file(t, a->a[0], &c);
	if (!f)
		return -EBADF;
	long ret = -EINVAL;
	if (S_ISREG(f->inode->mode) && (f->mode & FMODE_WRITE))
		ret = vfs_truncate(&f->path, f, a->a[1]);
	fd_put_light(f, c);
	return ret;
}

/* ---- extended attributes ---- */

#define XATTR_SIZE_MAX_ 65536UL

struct xpath { struct path p; struct file *f; };

static int xpath_get(struct task *t, struct xpath *x, uint64_t arg, int how /* 0 follow, 1 not, 2 descriptor */)
{
	x->f = NULL;
	if (how < 2)
		return user_path_at(AT_FDCWD, arg, how ? 0 : LOOKUP_FOLLOW, &x->p);
	x->f = fd_get(t->fdt, (int)arg);
	if (!x->f)
		return -EBADF;
	x->p = x->f->path;
	return 0;
}

static void xpath_put(struct xpath *x)
{
	if (x->f)
		file_put(x->f);
	else
		path_put(&x->p);
}

static int xname(char name[256], uaddr_t addr)
{
	ssize_t n = strncpy_from_user(name, addr, 256);

	return n == -ENAMETOOLONG || !n ? -ERANGE : n < 0 ? (int)n : 0;
}

static long do_setxattr(struct task *t, const struct syscall_args *a, int how)
{
	char name[256];
	size_t size = a->a[3];
	struct xpath x;
	void *v = NULL;

	if ((int)a->a[4] & ~3)
		return -EINVAL;
	long ret = xname(name, a->a[1]);
	if (ret)
		return ret;
	if (size > XATTR_SIZE_MAX_)
		return -E2BIG;
	if (size) {
		v = kzalloc(size);
		if (!v)
			return -ENOMEM;
		if (copy_from_user(v, a->a[2], size)) {
			free(v);
			return -EFAULT;
		}
	}
	ret = xpath_get(t, &x, a->a[0], how);
	if (!ret) {
		ret = vfs_setxattr(&x.p, name, v ? v : "", size, (int)a->a[4]);
		xpath_put(&x);
	}
	free(v);
	return ret;
}

static long do_getxattr(struct task *t, const struct syscall_args *a, int how)
{
	char name[256];
	size_t size = MIN(a->a[3], XATTR_SIZE_MAX_);
	struct xpath x;
	long ret = xname(name, a->a[1]);

	if (ret)
		return ret;
	void *v = kzalloc(size);
	if (!v)
		return -ENOMEM;
	ret = xpath_get(t, &x, a->a[0], how);
	if (!ret) {
		ret = vfs_getxattr(&x.p, name, v, size);
		if (ret > 0 && size && copy_to_user(a->a[2], v, ret))
			ret = -EFAULT;
		xpath_put(&x);
	}
	free(v);
	return ret;
}

static long do_listxattr(struct task *t, const struct syscall_args *a, int how)
{
	size_t size = MIN(a->a[2], 65536UL);
	struct xpath x;
	char *v = kzalloc(size);

	if (!v)
		return -ENOMEM;
	long ret = xpath_get(t, &x, a->a[0], how);
	if (!ret) {
		ret = vfs_listxattr(&x.p, v, size);
		if (ret > 0 && size && copy_to_user(a->a[1], v, ret))
			ret = -EFAULT;
		xpath_put(&x);
	}
	free(v);
	return ret;
}

static long do_removexattr(struct task *t, const struct syscall_args *a, int how)
{
	char name[256];
	struct xpath x;
	long ret = xname(name, a->a[1]);

	if (!ret)
		ret = xpath_get(t, &x, a->a[0], how);
	if (!ret) {
		ret = vfs_removexattr(&x.p, name);
		xpath_put(&x);
	}
	return ret;
}

long sys_setxattr(struct task *t, const struct syscall_args *a) { return do_setxattr(t, a, 0); }
long sys_lsetxattr(struct task *t, const struct syscall_args *a) { return do_setxattr(t, a, 1); }
long sys_fsetxattr(struct task *t, const struct syscall_args *a) { return do_setxattr(t, a, 2); }
long sys_getxattr(struct task *t, const struct syscall_args *a) { return do_getxattr(t, a, 0); }
long sys_lgetxattr(struct task *t, const struct syscall_args *a) { return do_getxattr(t, a, 1); }
long sys_fgetxattr(struct task *t, const struct syscall_args *a) { return do_getxattr(t, a, 2); }
long sys_listxattr(struct task *t, const struct syscall_args *a) { return do_listxattr(t, a, 0); }
long sys_llistxattr(struct task *t, const struct syscall_args *a) { return do_listxattr(t, a, 1); }
long sys_flistxattr(struct task *t, const struct syscall_args *a) { return do_listxattr(t, a, 2); }
long sys_removexattr(struct task *t, const struct syscall_args *a) { return do_removexattr(t, a, 0); }
long sys_lremovexattr(struct task *t, const struct syscall_args *a) { return do_removexattr(t, a, 1); }
long sys_fremovexattr(struct task *t, const struct syscall_args *a) { return do_removexattr(t, a, 2); }
