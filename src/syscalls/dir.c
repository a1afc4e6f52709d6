/* SPDX-License-Identifier: Apache-2.0 */
/* dir.c: directories and names: getdents(2), getcwd(2), chdir(2), mkdir(2), unlink(2), rename(2), link(2), symlink(2), mknod(2)... */
#include "syscalls/names.h"
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/capability.h>
#include <linux/limits.h>

/* ---- getdents ---- */

struct dents {
	struct dir_context ctx;
	char *buf;
	size_t len, size;
	bool old, too_small;
};

static bool emit_dent(struct dir_context *c, const char *name, size_t len, uint64_t ino, unsigned type, int64_t next)
{
	struct dents *d = container_of(c, struct dents, ctx);
	size_t head = d->old ? 18 : 19;
	size_t rec = ALIGN_UP(head + len + 1 + (d->old ? 1 : 0), (size_t)8);
	char *p = d->buf + d->len;

	if (rec > d->size - d->len) {
		d->too_small = !d->len;
		return false;
	}
	memset(p + head, 0, rec - head);
	memcpy(p, &ino, 8);
	memcpy(p + 8, &next, 8);
	memcpy(p + 16, &(uint16_t){ rec }, 2);
	memcpy(p + head, name, len);
	if (d->old)
		p[rec - 1] = type;
	else
		p[18] = type;
	d->len += rec;
	return true;
}

static long do_getdents(struct task *t, const struct syscall_args *a, bool old)
{
	struct dents d = { .ctx.emit = emit_dent, .size = MIN((unsigned)a->a[2], 32768u), .old = old };
	bool c;
	struct file *f = arg_file(t, a->a[0], &c);

	if (!f)
		return -EBADF;
	long ret = -ENOMEM;
	d.buf = malloc(d.size + 1);
	if (d.buf)
		ret = vfs_readdir(f, &d.ctx);
	if (!ret && d.too_small)
		ret = -EINVAL;
	if (d.len)
		ret = copy_to_user(a->a[1], d.buf, d.len) ? -EFAULT : (long)d.len;
	free(d.buf);
	fd_put_light(f, c);
	return ret;
}

long sys_getdents64(struct task *t, const struct syscall_args *a) { return do_getdents(t, a, false); }
long sys_getdents(struct task *t, const struct syscall_args *a) { return do_getdents(t, a, true); }

/* ---- where a process is ---- */

long sys_getcwd(struct task *t, const struct syscall_args *a)
{
	char *buf = malloc(PATH_MAX);

	if (!buf)
		return -ENOMEM;
	long n = vfs_getcwd(buf, PATH_MAX);
	if (n == -ERANGE)
		n = -ENAMETOOLONG;
	else if (n > 0 && (size_t)n > a->a[1])
		n = -ERANGE;
	else if (n > 0 && copy_to_user(a->a[0], buf, n))
		n = -EFAULT;
	free(buf);
	return n;
}

static long set_cwd(struct task *t, struct path *p)
{
	int ret = inode_permission(dentry_inode(p->dentry), MAY_EXEC);

	if (!ret)
		fs_context_set_cwd(t->fs, p);
	return ret;
}

long sys_chdir(struct task *t, const struct syscall_args *a)
{
	struct path p;
	long ret = user_path_at(AT_FDCWD, a->a[0], LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &p);

	if (ret)
		return ret;
	ret = set_cwd(t, &p);
	path_put(&p);
	return ret;
}

long sys_fchdir(struct task *t, const struct syscall_args *a)
{
	struct file *f = fd_get_raw(t->fdt, (int)a->a[0]);

	if (!f)
		return -EBADF;
	long ret = S_ISDIR(f->inode->mode) ? set_cwd(t, &f->path) : -ENOTDIR;
	file_put(f);
	return ret;
}

long sys_chroot(struct task *t, const struct syscall_args *a)
{
	struct path p;
	long ret = user_path_at(AT_FDCWD, a->a[0], LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &p);

	if (ret)
		return ret;
	ret = inode_permission(dentry_inode(p.dentry), MAY_EXEC);
	if (!ret && !cred_has_own_cap(t->cred, CAP_SYS_CHROOT))
		ret = -EPERM;
	if (!ret)
		fs_context_set_root(t->fs, &p);
	path_put(&p);
	return ret;
}

long sys_umask(struct task *t, const struct syscall_args *a)
{
	guard(mutex)(&t->fs->lock);
	uint32_t old = t->fs->umask;
	t->fs->umask = a->a[0] & 0777;
	return old;
}

/* ---- names ---- */

static long one_name(int dfd, uaddr_t addr, int (*fn)(int, const char *))
{
	DECLARE_NAME(n);
	int ret = name_get(&n, addr);

	return ret ? ret : fn(dfd, n.s);
}

static long do_mkdir(int dfd, uaddr_t addr, uint32_t mode)
{
	DECLARE_NAME(n);
	int ret = name_get(&n, addr);

	return ret ? ret : vfs_mkdir(dfd, n.s, mode);
}

long sys_mkdir(struct task *t, const struct syscall_args *a) { return do_mkdir(AT_FDCWD, a->a[0], a->a[1]); }
long sys_mkdirat(struct task *t, const struct syscall_args *a) { return do_mkdir((int)a->a[0], a->a[1], a->a[2]); }
long sys_rmdir(struct task *t, const struct syscall_args *a) { return one_name(AT_FDCWD, a->a[0], vfs_rmdir); }
long sys_unlink(struct task *t, const struct syscall_args *a) { return one_name(AT_FDCWD, a->a[0], vfs_unlink); }

long sys_unlinkat(struct task *t, const struct syscall_args *a)
{
	int flags = a->a[2];

	if (flags & ~AT_REMOVEDIR)
		return -EINVAL;
	return one_name((int)a->a[0], a->a[1], flags & AT_REMOVEDIR ? vfs_rmdir : vfs_unlink);
}

static long do_rename(int odfd, uaddr_t o, int ndfd, uaddr_t n, unsigned flags)
{
	DECLARE_NAME(on);
	DECLARE_NAME(nn);

	/* Linux: flags, then the old name and the way to it, then the new one. */
	if ((flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT)) ||
	    ((flags & RENAME_EXCHANGE) && (flags & (RENAME_NOREPLACE | RENAME_WHITEOUT))))
		return -EINVAL;
	int ret = name_get(&on, o), err;
	if (ret)
		return ret;
	if (!*on.s)
		return -ENOENT;
	err = name_get(&nn, n);
	if (!err && !*nn.s)
		err = -ENOENT;
	if (!err)
		return vfs_rename(odfd, on.s, ndfd, nn.s, flags);
	struct path p;
	char last[256];
	bool slash;
	ret = path_parent(odfd, on.s, &p, last, &slash);
	if (!ret)
		path_put(&p);
	return ret ? ret : err;
}

long sys_rename(struct task *t, const struct syscall_args *a) { return do_rename(AT_FDCWD, a->a[0], AT_FDCWD, a->a[1], 0); }
long sys_renameat(struct task *t, const struct syscall_args *a) { return do_rename((int)a->a[0], a->a[1], (int)a->a[2], a->a[3], 0); }
long sys_renameat2(struct task *t, const struct syscall_args *a)
{
	return do_rename((int)a->a[0], a->a[1], (int)a->a[2], a->a[3], (unsigned)a->a[4]);
}

static long do_link(int odfd, uaddr_t o, int ndfd, uaddr_t n, int flags)
{
	DECLARE_NAME(on);
	DECLARE_NAME(nn);

	if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	int ret = name_get(&on, o), err;
	if (ret)
		return ret;
	err = name_get(&nn, n);
	if (err) { /* the old one is looked up first */
		struct path p;
		ret = path_lookup(odfd, on.s, (flags & AT_SYMLINK_FOLLOW ? LOOKUP_FOLLOW : 0) | (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0), &p);
		if (!ret)
			path_put(&p);
		return ret ? ret : err;
	}
	return vfs_link(odfd, on.s, ndfd, nn.s, flags);
}

long sys_link(struct task *t, const struct syscall_args *a) { return do_link(AT_FDCWD, a->a[0], AT_FDCWD, a->a[1], 0); }
long sys_linkat(struct task *t, const struct syscall_args *a) { return do_link((int)a->a[0], a->a[1], (int)a->a[2], a->a[3], (int)a->a[4]); }

static long do_symlink(uaddr_t target, int dfd, uaddr_t name)
{
	DECLARE_NAME(tn);
	DECLARE_NAME(nn);
	int ret = name_get(&tn, target);

	if (!ret)
		ret = name_get(&nn, name);
	return ret ? ret : vfs_symlink(tn.s, dfd, nn.s);
}

long sys_symlink(struct task *t, const struct syscall_args *a) { return do_symlink(a->a[0], AT_FDCWD, a->a[1]); }
long sys_symlinkat(struct task *t, const struct syscall_args *a) { return do_symlink(a->a[0], (int)a->a[1], a->a[2]); }

static long do_readlink(int dfd, uaddr_t name, uaddr_t out, int size)
{
	struct path p;

	if (size <= 0)
		return -EINVAL;
	DECLARE_NAME(n);
	long ret = name_get(&n, name);
	if (ret)
		return ret;
	ret = path_lookup(dfd, n.s, LOOKUP_EMPTY, &p);
	if (ret)
		return ret;
	if (!S_ISLNK(dentry_inode(p.dentry)->mode)) {
		ret = *n.s ? -EINVAL : -ENOENT;
	} else {
		char *buf = malloc(PATH_MAX);
		ret = buf ? vfs_readlink(&p, buf, MIN((size_t)size, (size_t)PATH_MAX)) : -ENOMEM;
		if (ret > 0 && copy_to_user(out, buf, ret))
			ret = -EFAULT;
		free(buf);
	}
	path_put(&p);
	return ret;
}

long sys_readlink(struct task *t, const struct syscall_args *a) { return do_readlink(AT_FDCWD, a->a[0], a->a[1], (int)a->a[2]); }
long sys_readlinkat(struct task *t, const struct syscall_args *a) { return do_readlink((int)a->a[0], a->a[1], a->a[2], (int)a->a[3]); }

static long do_mknod(int dfd, uaddr_t name, uint32_t mode, uint32_t dev)
{
	DECLARE_NAME(n);
	if ((mode & S_IFMT) && !S_ISREG(mode) && !S_ISCHR(mode) && !S_ISBLK(mode) && !S_ISFIFO(mode) && !S_ISSOCK(mode))
		return S_ISDIR(mode) ? -EPERM : -EINVAL; /* before the name */
	int ret = name_get(&n, name);

	return ret ? ret : vfs_mknod(dfd, n.s, mode, dev, NULL);
}

long sys_mknod(struct task *t, const struct syscall_args *a) { return do_mknod(AT_FDCWD, a->a[0], (uint16_t)a->a[1], a->a[2]); }
long sys_mknodat(struct task *t, const struct syscall_args *a) { return do_mknod((int)a->a[0], a->a[1], (uint16_t)a->a[2], a->a[3]); }
