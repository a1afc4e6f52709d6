/* SPDX-License-Identifier: Apache-2.0 */
/* inode.c: names and attributes of host trees. Changes exist for writable trees only and are made with the rights of the
 * kernel process; permission was checked by vfs on the attributes that the host shows. */
#include "fs/host/host_internal.h"
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

static bool name_ok(const char *name)
{
	return name[0] && strlen(name) < 256 && !strchr(name, '/') && strcmp(name, ".") && strcmp(name, "..");
}

static int host_lookup(struct inode *dir, const char *name, size_t len, struct inode **out)
{
	char nm[256];

	if (len >= sizeof(nm))
		return -ENAMETOOLONG;
	memcpy(nm, name, len);
	nm[len] = 0;
	if (!name_ok(nm))
		return -ENOENT;
	return host_lookup_name(dir, nm, out);
}

static ssize_t host_readlink(struct inode *i, char *buf, size_t size)
{
	struct host_inode *hi = host_i(i), *p;
	char name[256];
	ssize_t n;
	int fd;

	if (i->link) {
		n = MIN(size, strlen(i->link));
		memcpy(buf, i->link, n);
		return n;
	}
	fd = host_parent_get(hi, &p, name);
	if (fd < 0)
		return fd;
	n = readlinkat(fd, name, buf, size);
	if (n < 0)
		n = -errno;
	host_parent_put(p);
	return n;
}

static int host_getattr(struct inode *i, struct kstat *st)
{
	struct host_inode *hi = host_i(i);
	int r;

	if (!hi->fs->ro) {
		r = host_refresh(hi);
		if (r == -ENOENT)
			r = -ESTALE;
		if (r)
			return r;
	}
	r = generic_getattr(i, st);
	st->blocks = hi->blocks;
	st->blksize = hi->blksize;
	st->has_btime = false;
	return r;
}

/* ---- extended attributes: what programs store, and file capabilities. Asked of a read-only tree too. ---- */

static bool xattr_shown(const char *name)
{
	return !strncmp(name, "user.", 5) || !strcmp(name, "security.capability");
}

/* A real descriptor (O_PATH has no xattr calls), to be closed by xattr_fd_put: fd or -errno. */
static int xattr_fd_get(struct inode *i)
{
	struct host_inode *hi = host_i(i);
	int fd, pfd;

	if (S_ISREG(i->mode))
		return host_desc_get(hi, HD_MAIN);
	if (!S_ISDIR(i->mode))
		return -EOPNOTSUPP;
	pfd = host_desc_get(hi, HD_MAIN);
	if (pfd < 0)
		return pfd;
	fd = openat(pfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	host_desc_put(hi, HD_MAIN);
	return fd;
}

static void xattr_fd_put(struct inode *i, int fd)
{
	if (S_ISREG(i->mode))
		host_desc_put(host_i(i), HD_MAIN);
	else
		close(fd);
}

static ssize_t host_getxattr(struct inode *i, const char *name, void *buf, size_t size)
{
	ssize_t n;
	int fd;

	if (!xattr_shown(name))
		return strncmp(name, "system.", 7) ? -ENODATA : -EOPNOTSUPP;
	fd = xattr_fd_get(i);
	if (fd < 0)
		return -ENODATA;
	n = fgetxattr(fd, name, buf, size);
	if (n < 0)
		n = -errno;
	xattr_fd_put(i, fd);
	return n;
}

static ssize_t host_listxattr(struct inode *i, char *buf, size_t size)
{
	char *all;
	ssize_t n, len = 0;
	int fd;

	fd = xattr_fd_get(i);
	if (fd < 0)
		return 0;
	all = xzalloc(65536);
	n = flistxattr(fd, all, 65536);
	xattr_fd_put(i, fd);
	for (ssize_t at = 0; at < n; at += strlen(all + at) + 1) {
		size_t l = strlen(all + at) + 1;

		if (!xattr_shown(all + at))
			continue;
		if (size && len + l > size) {
			free(all);
			return -ERANGE;
		}
		if (size)
			memcpy(buf + len, all + at, l);
		len += l;
	}
	free(all);
	return len;
}

static int host_setxattr(struct inode *i, const char *name, const void *buf, size_t size, int flags)
{
	int fd, r;

	if (strncmp(name, "user.", 5))
		return -EOPNOTSUPP;
	fd = xattr_fd_get(i);
	if (fd < 0)
		return fd;
	r = fsetxattr(fd, name, buf, size, flags) < 0 ? -errno : 0;
	xattr_fd_put(i, fd);
	return r;
}

static int host_removexattr(struct inode *i, const char *name)
{
	int fd, r;

	if (strncmp(name, "user.", 5))
		return -EOPNOTSUPP;
	fd = xattr_fd_get(i);
	if (fd < 0)
		return fd;
	r = fremovexattr(fd, name) < 0 ? -errno : 0;
	xattr_fd_put(i, fd);
	return r;
}

/* ---- writable trees ---- */

/* Asked without dir->lock: does the host still mean the same object by this name? */
static int host_revalidate(struct inode *dir, const char *name, struct inode *inode)
{
	struct host_inode *hd = host_i(dir);
	struct stat st;
	int fd, r;

	if (!name_ok(name))
		return 0;
	fd = host_desc_get(hd, HD_MAIN);
	if (fd < 0)
		return 0;
	r = fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0 ? -errno : 0;
	host_desc_put(hd, HD_MAIN);
	if (!inode)
		return r == -ENOENT;
	if (r || st.st_ino != host_i(inode)->hino || st.st_dev != host_i(inode)->dev)
		return 0;
	host_fill(host_i(inode), &st);
	return 1;
}

/* After a creation: the guest's owner, where the host lets us, and the exact mode, whatever our umask. */
static int host_created(struct inode *dir, int dfd, const char *name, uint32_t mode, struct inode **out)
{
	struct fiber_context *fc = fiber_context();
	struct stat st;
	int r;

	if (fstatat(dfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && fc && fc->cred) {
		kgid_t gid = dir->mode & S_ISGID ? dir->gid : fc->cred->fsgid;

		if (st.st_uid != fc->cred->fsuid || st.st_gid != gid)
			(void)!fchownat(dfd, name, fc->cred->fsuid, gid, AT_SYMLINK_NOFOLLOW);
	}
	r = host_lookup_name(dir, name, out);
	if (!r && !S_ISLNK((*out)->mode) && ((*out)->mode & 07777) != (mode & 07777)) {
		if (syscall(SYS_fchmodat2, dfd, name, mode & 07777, AT_SYMLINK_NOFOLLOW) == 0) {
			mutex_lock(&(*out)->attr_lock);
			(*out)->mode = ((*out)->mode & S_IFMT) | (mode & 07777);
			mutex_unlock(&(*out)->attr_lock);
		}
	}
	return r;
}

/* The directory's descriptor, for a host call on `name` in it. */
static int host_dir_get(struct host_inode *hd, const char *name)
{
	return name_ok(name) ? host_desc_get(hd, HD_MAIN) : -EINVAL;
}

static int host_create(struct inode *dir, const char *name, uint32_t mode, struct inode **out)
{
	struct host_inode *hd = host_i(dir);
	int dfd, fd, r;

	dfd = host_dir_get(hd, name);
	if (dfd < 0)
		return dfd;
	fd = openat(dfd, name, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, mode & 07777);
	if (fd < 0)
		r = -errno;
	else {
		close(fd);
		r = host_created(dir, dfd, name, mode, out);
	}
	host_desc_put(hd, HD_MAIN);
	return r;
}

static int host_mknod(struct inode *dir, const char *name, uint32_t mode, uint64_t rdev, struct inode **out)
{
	struct host_inode *hd = host_i(dir);
	int dfd, r;

	/* A fifo or socket name on the host means nothing to the host's programs, and device nodes are not ours to make. */
	if (!S_ISFIFO(mode) && !S_ISSOCK(mode) && !S_ISREG(mode))
		return -EPERM;
	dfd = host_dir_get(hd, name);
	if (dfd < 0)
		return dfd;
	r = mknodat(dfd, name, mode, 0) < 0 ? -errno : host_created(dir, dfd, name, mode, out);
	host_desc_put(hd, HD_MAIN);
	return r;
}

static int host_mkdir(struct inode *dir, const char *name, uint32_t mode, struct inode **out)
{
	struct host_inode *hd = host_i(dir);
	int dfd, r;

	dfd = host_dir_get(hd, name);
	if (dfd < 0)
		return dfd;
	r = mkdirat(dfd, name, mode & 07777) < 0 ? -errno :
						   host_created(dir, dfd, name, mode | (dir->mode & S_ISGID), out);
	host_desc_put(hd, HD_MAIN);
	return r;
}

static int host_symlink(struct inode *dir, const char *name, const char *target, struct inode **out)
{
	struct host_inode *hd = host_i(dir);
	int dfd, r;

	dfd = host_dir_get(hd, name);
	if (dfd < 0)
		return dfd;
	r = symlinkat(target, dfd, name) < 0 ? -errno : host_created(dir, dfd, name, 0777, out);
	host_desc_put(hd, HD_MAIN);
	return r;
}

static int host_link(struct inode *dir, const char *name, struct inode *target)
{
	struct host_inode *hd = host_i(dir), *p;
	char tname[256];
	int dfd, pfd, r;

	if (!name_ok(name))
		return -EINVAL;
	pfd = host_parent_get(host_i(target), &p, tname);
	if (pfd < 0)
		return pfd == -ESTALE ? -ENOENT : pfd;
	dfd = host_desc_get(hd, HD_MAIN);
	r = dfd < 0 ? dfd : linkat(pfd, tname, dfd, name, 0) < 0 ? -errno : 0;
	if (dfd >= 0)
		host_desc_put(hd, HD_MAIN);
	host_parent_put(p);
	if (!r)
		host_refresh(host_i(target));
	return r;
}

/* The name is gone: the inode lives on through its descriptors, which are kept from now on while it is in use. */
static void host_forget(struct host_inode *hi, struct host_inode *hd, const char *name)
{
	struct host_inode *drop = NULL;

	mutex_lock(&hi->fs->lock);
	if (hi->parent == hd && !strcmp(hi->name, name)) {
		drop = hi->parent;
		hi->parent = NULL;
	}
	mutex_unlock(&hi->fs->lock);
	if (drop)
		inode_put(drop->inode);
}

static int host_remove(struct inode *dir, const char *name, struct inode *target, int flags)
{
	struct host_inode *hd = host_i(dir), *hi = host_i(target);
	bool keep;
	int dfd, r;

	dfd = host_dir_get(hd, name);
	if (dfd < 0)
		return dfd;
	keep = S_ISREG(target->mode) && target->nlink > 1; /* another name may still lead to it */
	r = unlinkat(dfd, name, flags) < 0 ? -errno : 0;
	host_desc_put(hd, HD_MAIN);
	if (r)
		return r;
	mutex_lock(&target->attr_lock);
	if (target->nlink)
		target->nlink = S_ISDIR(target->mode) ? 0 : target->nlink - 1;
	mutex_unlock(&target->attr_lock);
	if (!keep)
		host_forget(hi, hd, name);
	return 0;
}

static int host_unlink(struct inode *dir, const char *name, struct inode *target)
{
	return host_remove(dir, name, target, 0);
}

static int host_rmdir(struct inode *dir, const char *name, struct inode *target)
{
	return host_remove(dir, name, target, AT_REMOVEDIR);
}

static void host_moved(struct host_inode *hi, struct host_inode *to, const char *name)
{
	struct host_inode *drop;

	inode_get(to->inode);
	mutex_lock(&hi->fs->lock);
	drop = hi->parent;
	hi->parent = to;
	free(hi->name);
	hi->name = xstrdup(name);
	mutex_unlock(&hi->fs->lock);
	if (drop)
		inode_put(drop->inode);
}

static int host_rename(struct inode *odir, const char *oname, struct inode *oinode, struct inode *ndir, const char *nname,
		       struct inode *ninode, unsigned flags)
{
	struct host_inode *ho = host_i(odir), *hn = host_i(ndir);
	int ofd, nfd, r;

	if (!name_ok(oname) || !name_ok(nname) || (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)))
		return -EINVAL;
	ofd = host_desc_get(ho, HD_MAIN);
	if (ofd < 0)
		return ofd;
	nfd = host_desc_get(hn, HD_MAIN);
	r = nfd < 0 ? nfd : renameat2(ofd, oname, nfd, nname, flags) < 0 ? -errno : 0;
	if (nfd >= 0)
		host_desc_put(hn, HD_MAIN);
	host_desc_put(ho, HD_MAIN);
	if (r)
		return r;
	if (ninode && !(flags & RENAME_EXCHANGE)) {
		mutex_lock(&ninode->attr_lock);
		if (ninode->nlink)
			ninode->nlink = S_ISDIR(ninode->mode) ? 0 : ninode->nlink - 1;
		mutex_unlock(&ninode->attr_lock);
		if (!ninode->nlink)
			host_forget(host_i(ninode), hn, nname);
	}
	host_moved(host_i(oinode), hn, nname);
	if (ninode && (flags & RENAME_EXCHANGE))
		host_moved(host_i(ninode), ho, oname);
	return 0;
}

static int host_chmod(struct host_inode *hi, int pfd, const char *name, uint32_t mode)
{
	int fd, r;

	if (syscall(SYS_fchmodat2, pfd, name, mode & 07777, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	if (errno != ENOSYS && errno != EPERM)
		return -errno;
	/* Before Linux 6.6 only a real descriptor names the object without following links. */
	if (S_ISREG(hi->inode->mode)) {
		fd = host_desc_get(hi, HD_MAIN);
		if (fd < 0)
			return fd;
		r = fchmod(fd, mode & 07777) < 0 ? -errno : 0;
		host_desc_put(hi, HD_MAIN);
		return r;
	}
	if (!S_ISDIR(hi->inode->mode))
		return -EOPNOTSUPP;
	fd = openat(pfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = fchmod(fd, mode & 07777) < 0 ? -errno : 0;
	close(fd);
	return r;
}

static void attr_times(const struct iattr *a, struct timespec ts[2])
{
	ts[0] = a->valid & ATTR_ATIME ? a->atime : (struct timespec){ 0, UTIME_OMIT };
	ts[1] = a->valid & ATTR_MTIME ? a->mtime : (struct timespec){ 0, UTIME_OMIT };
}

/* An object without a name to reach it by: which open descriptor it has, pinned, or -1. */
static int host_pin_nameless(struct host_inode *hi)
{
	int which = -1;

	mutex_lock(&hi->fs->lock);
	for (int w = 0; w < HD_COUNT && !hi->parent && which < 0; w++)
		if (hi->desc[w].fd >= 0)
			which = w;
	mutex_unlock(&hi->fs->lock);
	return which >= 0 && host_desc_get(hi, which) >= 0 ? which : -1;
}

static int host_setattr_fd(struct inode *i, int fd, const struct iattr *a)
{
	struct timespec ts[2];
	int r = 0;

	if (S_ISDIR(i->mode)) { /* O_PATH does not do */
		fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return -errno;
	}
	attr_times(a, ts);
	if ((a->valid & (ATTR_UID | ATTR_GID)) &&
	    fchown(fd, a->valid & ATTR_UID ? a->uid : (uid_t)-1, a->valid & ATTR_GID ? a->gid : (gid_t)-1) < 0)
		r = -errno;
	if (!r && (a->valid & ATTR_MODE) && fchmod(fd, a->mode & 07777) < 0)
		r = -errno;
	if (!r && (a->valid & (ATTR_ATIME | ATTR_MTIME)) && futimens(fd, ts) < 0)
		r = -errno;
	if (S_ISDIR(i->mode))
		close(fd);
	return r;
}

static int host_setattr(struct inode *i, const struct iattr *a)
{
	struct host_inode *hi = host_i(i), *p = NULL;
	char name[256];
	int pfd, fd, which, r = 0;

	if (a->valid & ATTR_SIZE) {
		fd = host_desc_get(hi, HD_RW);
		if (fd < 0)
			return fd;
		r = ftruncate(fd, a->size) < 0 ? -errno : 0;
		host_desc_put(hi, HD_RW);
		if (r)
			return r;
	}
	which = host_pin_nameless(hi);
	if (which >= 0) { /* the root of the tree, or an unlinked file that is open */
		r = host_setattr_fd(i, hi->desc[which].fd, a);
		host_desc_put(hi, which);
		return r ? r : host_refresh(hi);
	}
	if (!(a->valid & (ATTR_UID | ATTR_GID | ATTR_MODE | ATTR_ATIME | ATTR_MTIME)))
		return host_refresh(hi);
	pfd = host_parent_get(hi, &p, name);
	if (pfd < 0)
		return pfd;
	if ((a->valid & (ATTR_UID | ATTR_GID)) && fchownat(pfd, name, a->valid & ATTR_UID ? a->uid : (uid_t)-1,
							   a->valid & ATTR_GID ? a->gid : (gid_t)-1, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	if (!r && (a->valid & ATTR_MODE))
		r = host_chmod(hi, pfd, name, a->mode);
	if (!r && (a->valid & (ATTR_ATIME | ATTR_MTIME))) {
		struct timespec ts[2];

		attr_times(a, ts);
		if (utimensat(pfd, name, ts, AT_SYMLINK_NOFOLLOW) < 0)
			r = -errno;
	}
	host_parent_put(p);
	return r ? r : host_refresh(hi);
}

static int host_ro_setattr(struct inode *i, const struct iattr *a)
{
	return -EROFS;
}

const struct inode_ops host_ro_ops = {
	.lookup = host_lookup,
	.readlink = host_readlink,
	.getattr = host_getattr,
	.setattr = host_ro_setattr,
	.open = host_open,
	.getxattr = host_getxattr,
	.listxattr = host_listxattr,
	.evict = host_evict,
};

const struct inode_ops host_rw_ops = {
	.lookup = host_lookup,
	.create = host_create,
	.mknod = host_mknod,
	.mkdir = host_mkdir,
	.symlink = host_symlink,
	.link = host_link,
	.unlink = host_unlink,
	.rmdir = host_rmdir,
	.rename = host_rename,
	.readlink = host_readlink,
	.getattr = host_getattr,
	.setattr = host_setattr,
	.open = host_open,
	.getxattr = host_getxattr,
	.setxattr = host_setxattr,
	.listxattr = host_listxattr,
	.removexattr = host_removexattr,
	.revalidate = host_revalidate,
	.evict = host_evict,
};
