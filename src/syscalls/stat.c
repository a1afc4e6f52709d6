/* SPDX-License-Identifier: Apache-2.0 */
/* stat.c: stat(2), statx(2), statfs(2), access(2). */
#include "syscalls/names.h"
#include <fcntl.h>
#include <linux/securebits.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <unistd.h>

_Static_assert(sizeof(struct stat) == 144, "struct stat is the kernel's");
_Static_assert(sizeof(struct statfs) == 120, "struct statfs is the kernel's");
_Static_assert(sizeof(struct statx) == 256, "struct statx is the kernel's");

static long put_stat(struct task *t, const struct kstat *k, uaddr_t out)
{
	struct user_namespace *ns = t->cred->user_ns;
	struct stat s;

	memset(&s, 0, sizeof(s));
	s.st_dev = k->dev;
	s.st_ino = k->ino;
	s.st_nlink = k->nlink;
	s.st_mode = k->mode;
	s.st_uid = from_kuid(ns, k->uid);
	s.st_gid = from_kgid(ns, k->gid);
	s.st_rdev = k->rdev;
	s.st_size = k->size;
	s.st_blksize = k->blksize;
	s.st_blocks = k->blocks;
	s.st_atim = k->atime;
	s.st_mtim = k->mtime;
	s.st_ctim = k->ctime;
	return copy_to_user(out, &s, sizeof(s));
}

static long stat_fd(struct task *t, int fd, uaddr_t out)
{
	struct kstat k __attribute__((uninitialized));
	bool c;
	struct file *f = fd_get_raw_light(t->fdt, fd, &c);

	if (unlikely(!f))
		return -EBADF;
	int ret = vfs_fstat(f, &k);
	fd_put_light(f, c);
	return ret ? ret : put_stat(t, &k, out);
}

static int stat_path(int dfd, uaddr_t name, unsigned flags, struct kstat *k)
{
	unsigned lookup = (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) | (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
	struct path p;
	int ret = user_path_at(dfd, name, lookup, &p);

	if (ret)
		return ret;
	ret = vfs_stat(&p, k);
	path_put(&p);
	return ret;
}

long sys_fstat(struct task *t, const struct syscall_args *a) { return stat_fd(t, (int)a->a[0], a->a[1]); }

long sys_stat(struct task *t, const struct syscall_args *a)
{
	struct kstat k;
	int ret = stat_path(AT_FDCWD, a->a[0], 0, &k);

	return ret ? ret : put_stat(t, &k, a->a[1]);
}

long sys_lstat(struct task *t, const struct syscall_args *a)
{
	struct kstat k;
	int ret = stat_path(AT_FDCWD, a->a[0], AT_SYMLINK_NOFOLLOW, &k);

	return ret ? ret : put_stat(t, &k, a->a[1]);
}

/* Is the path argument empty (or, as today's Linux allows with AT_EMPTY_PATH, NULL)? */
static int empty_path(uaddr_t name)
{
	char ch;

	if (!name)
		return 1;
	if (get_user(ch, name))
		return -EFAULT;
	return !ch;
}

long sys_newfstatat(struct task *t, const struct syscall_args *a)
{
	unsigned flags = a->a[3];
	struct kstat k;

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE))
		return -EINVAL;
	if (flags & AT_EMPTY_PATH) {
		int e = empty_path(a->a[1]);
		if (e < 0)
			return e;
		if (e && (int)a->a[0] != AT_FDCWD)
			return stat_fd(t, (int)a->a[0], a->a[2]);
	}
	int ret = stat_path((int)a->a[0], a->a[1], flags, &k);
	return ret ? ret : put_stat(t, &k, a->a[2]);
}

static struct statx_timestamp stamp(struct timespec ts) { return (struct statx_timestamp){ .tv_sec = ts.tv_sec, .tv_nsec = ts.tv_nsec }; }
static uint32_t dev_major(uint64_t d) { return ((d >> 8) & 0xfff) | ((d >> 32) & ~0xfffu); }
static uint32_t dev_minor(uint64_t d) { return (d & 0xff) | ((d >> 12) & ~0xffu); }

long sys_statx(struct task *t, const struct syscall_args *a)
{
	unsigned flags = a->a[2], mask = a->a[3];
	struct user_namespace *ns = t->cred->user_ns;
	struct statx s;
	struct kstat k;
	int ret;

	if (mask & 0x80000000u /* STATX__RESERVED */)
		return -EINVAL;
	if ((flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE)
		return -EINVAL;
	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE))
		return -EINVAL;
	int e = flags & AT_EMPTY_PATH ? empty_path(a->a[1]) : 0;
	if (e < 0)
		return e;
	if (e && (int)a->a[0] != AT_FDCWD) {
		bool c;
		struct file *f = fd_get_raw_light(t->fdt, (int)a->a[0], &c);
		if (!f)
			return -EBADF;
		ret = vfs_fstat(f, &k);
		fd_put_light(f, c);
	} else {
		ret = stat_path((int)a->a[0], a->a[1], flags, &k);
	}
	if (ret)
		return ret;
	memset(&s, 0, sizeof(s));
	s.stx_mask = STATX_BASIC_STATS | (k.has_btime ? STATX_BTIME : 0) | 0x1000 /* STATX_MNT_ID */;
	s.stx_blksize = k.blksize;
	s.stx_attributes = k.attributes;
	s.stx_attributes_mask = k.attributes_mask;
	s.stx_nlink = k.nlink;
	s.stx_uid = from_kuid(ns, k.uid);
	s.stx_gid = from_kgid(ns, k.gid);
	s.stx_mode = k.mode;
	s.stx_ino = k.ino;
	s.stx_size = k.size;
	s.stx_blocks = k.blocks;
	s.stx_atime = stamp(k.atime);
	s.stx_mtime = stamp(k.mtime);
	s.stx_ctime = stamp(k.ctime);
	if (k.has_btime)
		s.stx_btime = stamp(k.btime);
	s.stx_rdev_major = dev_major(k.rdev);
	s.stx_rdev_minor = dev_minor(k.rdev);
	s.stx_dev_major = dev_major(k.dev);
	s.stx_dev_minor = dev_minor(k.dev);
	memcpy((char *)&s + 144, &k.mnt_id, 8); /* stx_mnt_id, younger than some headers */
	return copy_to_user(a->a[4], &s, sizeof(s));
}

/* ---- statfs ---- */

long sys_statfs(struct task *t, const struct syscall_args *a)
{
	struct statfs st;
	struct path p;
	int ret = user_path_at(AT_FDCWD, a->a[0], LOOKUP_FOLLOW, &p);

	if (ret)
		return ret;
	ret = vfs_statfs(&p, &st);
	path_put(&p);
	return ret ? ret : copy_to_user(a->a[1], &st, sizeof(st));
}

long sys_fstatfs(struct task *t, const struct syscall_args *a)
{
	struct statfs st;
	bool c;
	struct file *f = fd_get_raw_light(t->fdt, (int)a->a[0], &c);

	if (!f)
		return -EBADF;
	int ret = vfs_statfs(&f->path, &st);
	fd_put_light(f, c);
	return ret ? ret : copy_to_user(a->a[1], &st, sizeof(st));
}

/* ---- access: with the real ids, unless AT_EACCESS ---- */

static struct cred *access_cred(struct task *t)
{
	struct cred *o = t->cred;
	bool root = o->uid == make_kuid(o->user_ns, 0);
	cap_set_t eff = o->securebits & SECBIT_NO_SETUID_FIXUP ? o->effective : root ? o->permitted : 0;

	if (o->fsuid == o->uid && o->fsgid == o->gid && o->effective == eff)
		return NULL;
	struct cred *c = cred_dup(o);
	c->fsuid = c->uid;
	c->fsgid = c->gid;
	c->effective = eff;
	return c;
}

static long do_access(struct task *t, int dfd, uaddr_t name, unsigned mode, unsigned flags)
{
	struct path p;

	if (mode & ~7u)
		return -EINVAL;
	if (flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	struct cred *c = flags & AT_EACCESS ? NULL : access_cred(t), *old = fiber_context()->cred;
	if (c)
		fiber_context()->cred = c;
	int ret = user_path_at(dfd, name, (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) | (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0), &p);
	if (!ret) {
		struct inode *i = dentry_inode(p.dentry);
		unsigned mf = vfs_mnt_flags(&p);
		if ((mode & X_OK) && S_ISREG(i->mode) && (mf & MS_NOEXEC))
			ret = -EACCES;
		else if (mode)
			ret = inode_permission(i, mode);
		if (!ret && (mode & W_OK) && (mf & MS_RDONLY) && (S_ISREG(i->mode) || S_ISDIR(i->mode) || S_ISLNK(i->mode)))
			ret = -EROFS;
		path_put(&p);
	}
	if (c) {
		fiber_context()->cred = old;
		cred_put(c);
	}
	return ret;
}

long sys_access(struct task *t, const struct syscall_args *a) { return do_access(t, AT_FDCWD, a->a[0], a->a[1], 0); }
long sys_faccessat(struct task *t, const struct syscall_args *a) { return do_access(t, (int)a->a[0], a->a[1], a->a[2], 0); }
long sys_faccessat2(struct task *t, const struct syscall_args *a) { return do_access(t, (int)a->a[0], a->a[1], a->a[2], a->a[3]); }
