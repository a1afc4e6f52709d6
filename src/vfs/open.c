/* SPDX-License-Identifier: Apache-2.0 */
/* open.c: giving an open file its operations, and attributes of files by path. */
#include "vfs/internal.h"
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/vfs.h>

static const struct file_ops path_ops = { 0 }; /* O_PATH: nothing but its path */
static const struct file_ops no_ops = { 0 };

int do_dentry_open(struct file *f)
{
	struct inode *i = f->inode;
	int ret = 0;

	if (f->mode & FMODE_PATH) {
		f->ops = &path_ops;
		return 0;
	}
	f->ops = &no_ops;
	if (S_ISREG(i->mode) && (f->mode & FMODE_WRITE)) {
		ret = inode_get_write(i);
		if (ret)
			return ret;
		f->mode |= FMODE_WRITER;
	} else if (S_ISREG(i->mode) && (f->mode & FMODE_READ)) {
		atomic_fetch_add(&i->readcount, 1);
		f->mode |= FMODE_READER;
	}
	if (S_ISREG(i->mode) && (ret = break_lease(i, f->flags)))
		return ret;
	if (S_ISREG(i->mode) || S_ISDIR(i->mode) || !(i->mode & S_IFMT)) {
		if (i->ops->open)
			ret = i->ops->open(i, f);
	} else {
		ret = special_open(i, f);
		f->flags &= ~O_NOCTTY; /* the opening's, not the file's */
	}
	if (ret) {
		f->ops = &no_ops; /* a failed open is not released */
		f->private = NULL;
	} else if (unlikely(f->flags & O_DIRECT) && (!S_ISREG(i->mode) || i->sb->no_dcache)) {
		ret = -EINVAL; /* nothing there goes around a cache; files of tmpfs take the flag, as Linux's do */
	}
	return ret;
}

/* ---- stat ---- */

int vfs_stat(const struct path *p, struct kstat *st)
{
	struct inode *i = p->dentry->inode;
	int ret = i->ops->getattr ? i->ops->getattr(i, st) : generic_getattr(i, st);

	st->mnt_id = p->mnt->id;
	return ret;
}

int vfs_fstat(struct file *f, struct kstat *st) { return vfs_stat(&f->path, st); }

int vfs_statfs(const struct path *p, struct statfs *st)
{
	struct super_block *sb = p->mnt->sb;

	memset(st, 0, sizeof(*st));
	st->f_type = sb->magic;
	st->f_bsize = st->f_frsize = sb->blksize;
	st->f_namelen = NAME_MAX_;
	((int *)&st->f_fsid)[0] = (int)sb->dev;
	int ret = sb->ops && sb->ops->statfs ? sb->ops->statfs(sb, st) : 0;
	unsigned f = vfs_mnt_flags(p);
	/* ST_ bits: those below 16 are the MS_ ones; the rest have numbers of their own (statfs(2)) */
	st->f_flags = 0x20 /* ST_VALID */ | (f & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_SYNCHRONOUS)) | (f & MS_NOATIME ? 0x400 : 0) |
		      (f & MS_NODIRATIME ? 0x800 : 0) | (f & MS_RELATIME ? 0x1000 : 0);
	return ret;
}

uint32_t vfs_mnt_flags(const struct path *p) { return READ_ONCE(p->mnt->flags) | (READ_ONCE(p->mnt->sb->flags) & MS_RDONLY); }

ssize_t vfs_readlink(const struct path *p, char *buf, size_t size)
{
	struct inode *i = p->dentry->inode;

	if (!S_ISLNK(i->mode))
		return -EINVAL;
	if (i->link) {
		size_t n = MIN(strlen(i->link), size);
		memcpy(buf, i->link, n);
		return n;
	}
	if (i->ops->readlink)
		return i->ops->readlink(i, buf, size);
	if (i->ops->get_link) {
		struct path t;
		char *tmp = malloc(PATH_MAX);
		if (!tmp)
			return -ENOMEM;
		ssize_t n = i->ops->get_link(i, &t);
		if (!n) {
			n = d_path(&t, NULL, tmp, PATH_MAX);
			path_put(&t);
			if (n > 0) {
				n = MIN((size_t)n, size);
				memcpy(buf, tmp, n);
			}
		}
		free(tmp);
		return n;
	}
	return -EINVAL;
}

/* ---- attributes ---- */

/* Something changed what p names: for watches of it and of the directory that it was found in. */
static void notify_path(const struct path *p, uint32_t mask)
{
	struct inode *i = p->dentry->inode, *dir;
	char name[256];

	if (likely(!atomic_load_explicit(&vfs_watch_count, memory_order_relaxed)))
		return;
	dir = dentry_parent_inode(p->dentry);
	if (dir && atomic_load_explicit(&dir->watches, memory_order_relaxed)) {
		dentry_name(p->dentry, name);
		fsnotify(dir, i, name, mask | (S_ISDIR(i->mode) ? IN_ISDIR : 0), 0);
	}
	inode_put(dir);
	fsnotify(NULL, i, NULL, mask, 0);
}

static int setattr(const struct path *p, struct inode *i, const struct iattr *a)
{
	int ret = i->ops->setattr ? i->ops->setattr(i, a) : generic_setattr(i, a);
	uint32_t mask = (a->valid & ATTR_SIZE ? IN_MODIFY : 0) | (a->valid & (ATTR_MODE | ATTR_UID | ATTR_GID) ? IN_ATTRIB : 0);

	if (!(a->valid & ATTR_SIZE)) { /* fsnotify_change(): both times are an attribute, one alone tells what was done */
		if ((a->valid & (ATTR_ATIME | ATTR_MTIME)) == (ATTR_ATIME | ATTR_MTIME))
			mask |= IN_ATTRIB;
		else if (a->valid & ATTR_ATIME)
			mask |= IN_ACCESS;
		else if (a->valid & ATTR_MTIME)
			mask |= IN_MODIFY;
	}
	if (!ret && mask) {
		if (p)
			notify_path(p, mask);
		else
			fsnotify(NULL, i, NULL, mask, 0);
	}
	return ret;
}

/* Which of the set-ID bits a write or a change of owner takes away. */
static unsigned privs_to_kill(struct inode *i, bool chown)
{
	unsigned mode = READ_ONCE(i->mode), kill = 0;

	if (likely(!(mode & (S_ISUID | S_ISGID))) || !S_ISREG(mode))
		return 0;
	if (!chown && capable_wrt_inode(i, CAP_FSETID))
		return 0;
	if (mode & S_ISUID)
		kill |= S_ISUID;
	if ((mode & S_ISGID) && ((mode & S_IXGRP) || (chown && !cred_in_group(fiber_context()->cred, i->gid) && !capable_wrt_inode(i, CAP_FSETID))))
		kill |= S_ISGID;
	return kill;
}

int inode_kill_privs(struct inode *i)
{
	unsigned kill = privs_to_kill(i, false);

	if (likely(!kill))
		return 0;
	struct iattr a = { .valid = ATTR_MODE | ATTR_CTIME | ATTR_KILL_PRIV, .mode = i->mode & ~kill, .ctime = vfs_now() };
	return setattr(NULL, i, &a);
}

int vfs_setattr(const struct path *p, struct iattr *a, bool touch)
{
	struct inode *i = p->dentry->inode;
	struct cred *c = fiber_context()->cred;
	int ret = mnt_want_write(p->mnt);

	if (ret)
		return ret;
	if ((touch ? 0 : a->valid & (ATTR_MODE | ATTR_UID | ATTR_GID | ATTR_ATIME | ATTR_MTIME)) && inode_has(i, INODE_IMMUTABLE | INODE_APPEND))
		return -EPERM;
	if (touch && inode_has(i, INODE_IMMUTABLE))
		return -EPERM;
	if ((a->valid & ATTR_UID) && !(c->fsuid == i->uid && a->uid == i->uid) && !capable_wrt_inode(i, CAP_CHOWN))
		return -EPERM;
	if ((a->valid & ATTR_GID) && !(c->fsuid == i->uid && (a->gid == i->gid || cred_in_group(c, a->gid))) &&
	    !capable_wrt_inode(i, CAP_CHOWN))
		return -EPERM;
	if ((a->valid & ATTR_MODE) && !(a->valid & ATTR_KILL_PRIV)) {
		if (!inode_owner_or_capable(i))
			return -EPERM;
		kgid_t gid = a->valid & ATTR_GID ? a->gid : i->gid;
		if (!cred_in_group(c, gid) && !capable_wrt_inode(i, CAP_FSETID))
			a->mode &= ~S_ISGID;
	}
	if ((a->valid & (ATTR_ATIME | ATTR_MTIME)) && !(a->valid & (ATTR_SIZE | ATTR_MODE | ATTR_UID | ATTR_GID)) && !inode_owner_or_capable(i)) {
		if (!touch)
			return -EPERM;
		if (inode_permission(i, MAY_WRITE))
			return -EACCES;
	}
	if (!(a->valid & ATTR_CTIME)) {
		a->valid |= ATTR_CTIME;
		a->ctime = vfs_now();
	}
	return setattr(p, i, a);
}

int vfs_chmod(const struct path *p, uint32_t mode)
{
	struct iattr a = { .valid = ATTR_MODE, .mode = mode & 07777 };

	if (S_ISLNK(p->dentry->inode->mode))
		return mnt_is_readonly(p->mnt) ? -EROFS : -EOPNOTSUPP;
	return vfs_setattr(p, &a, false);
}

int vfs_chown(const struct path *p, kuid_t uid, kgid_t gid)
{
	struct inode *i = p->dentry->inode;
	struct iattr a = { .valid = 0 };

	if (uid != KID_INVALID) {
		a.valid |= ATTR_UID;
		a.uid = uid;
	}
	if (gid != KID_INVALID) {
		a.valid |= ATTR_GID;
		a.gid = gid;
	}
	if (!S_ISDIR(i->mode)) {
		unsigned kill = privs_to_kill(i, true);
		if (kill) {
			a.valid |= ATTR_MODE | ATTR_KILL_PRIV;
			a.mode = i->mode & 07777 & ~kill;
		}
	}
	return vfs_setattr(p, &a, false);
}

/* RLIMIT_FSIZE for a size: 0, or -EFBIG with SIGXFSZ sent. */
static int size_allowed(uint64_t size)
{
	uint64_t limit = vfs_hooks.fsize_limit ? vfs_hooks.fsize_limit() : UINT64_MAX;

	if (likely(size <= limit))
		return 0;
	if (vfs_hooks.send_sigxfsz)
		vfs_hooks.send_sigxfsz();
	return -EFBIG;
}

int vfs_truncate(const struct path *p, struct file *f, uint64_t size)
{
	struct inode *i = p->dentry->inode;
	struct iattr a = { .valid = ATTR_SIZE | ATTR_MTIME | ATTR_CTIME, .size = size, .file = f };
	struct kstat st;
	int ret = vfs_stat(p, &st);

	if (ret)
		return ret;
	if (inode_has(i, INODE_APPEND))
		return -EPERM;
	if (size > st.size && (ret = size_allowed(size)))
		return ret;
	if (!S_ISREG(i->mode))
		return 0;
	if (!f && (ret = break_lease(i, O_WRONLY)))
		return ret;
	a.mtime = a.ctime = vfs_now();
	unsigned kill = privs_to_kill(i, false);
	if (kill) {
		a.valid |= ATTR_MODE | ATTR_KILL_PRIV;
		a.mode = i->mode & 07777 & ~kill;
	}
	return setattr(p, i, &a);
}

int vfs_fsync(struct file *f, bool datasync) { return f->ops->fsync ? f->ops->fsync(f, datasync) : -EINVAL; }

int vfs_fallocate(struct file *f, int mode, int64_t off, int64_t len)
{
	enum { KEEP = 1, PUNCH = 2, NO_HIDE = 4, COLLAPSE = 8, ZERO = 16, INSERT = 32, UNSHARE = 64 };
	uint64_t end;

	if (off < 0 || len <= 0)
		return -EINVAL;
	switch (mode) {
	case 0:
	case KEEP:
	case UNSHARE:
	case UNSHARE | KEEP:
	case ZERO:
	case ZERO | KEEP:
	case PUNCH | KEEP:
	case COLLAPSE:
	case INSERT:
		break;
	default:
		return -EOPNOTSUPP;
	}
	if (!(f->mode & FMODE_WRITE))
		return -EBADF;
	struct inode *i = f->inode;
	if (inode_has(i, INODE_IMMUTABLE) || ((mode & ~KEEP) && inode_has(i, INODE_APPEND)))
		return -EPERM;
	if (S_ISFIFO(i->mode))
		return -ESPIPE;
	if (S_ISDIR(i->mode))
		return -EISDIR;
	if (!S_ISREG(i->mode))
		return -ENODEV;
	if (add_overflow((uint64_t)off, (uint64_t)len, &end) || end > INT64_MAX)
		return -EFBIG;
	if (!f->ops->fallocate)
		return -EOPNOTSUPP;
	int ret = 0;
	if (!(mode & KEEP)) {
		struct kstat st;
		ret = vfs_fstat(f, &st);
		if (!ret && end > st.size)
			ret = size_allowed(end);
	}
	if (!ret)
		ret = inode_kill_privs(i);
	if (!ret)
		ret = f->ops->fallocate(f, mode, off, len);
	if (!ret)
		notify_file(f, IN_MODIFY);
	return ret;
}

/* ---- extended attributes: xattr(7)'s rules by name space ---- */

static int xattr_permission(const struct path *p, const char *name, int mask)
{
	struct inode *i = p->dentry->inode;

	if ((mask & MAY_WRITE) && mnt_is_readonly(p->mnt))
		return -EROFS;
	if ((mask & MAY_WRITE) && inode_has(i, INODE_IMMUTABLE | INODE_APPEND))
		return -EPERM;
	if (!strncmp(name, "security.", 9) || !strncmp(name, "system.", 7))
		return 0;
	if (!strncmp(name, "trusted.", 8)) {
		if (!cred_has_cap(fiber_context()->cred, CAP_SYS_ADMIN))
			return mask & MAY_WRITE ? -EPERM : -ENODATA;
		return 0;
	}
	if (!strncmp(name, "user.", 5)) {
		if (!S_ISREG(i->mode) && !S_ISDIR(i->mode))
			return mask & MAY_WRITE ? -EPERM : -ENODATA;
		if (S_ISDIR(i->mode) && (i->mode & S_ISVTX) && (mask & MAY_WRITE) && !inode_owner_or_capable(i))
			return -EPERM;
	}
	return inode_permission(i, mask);
}

static bool xattr_known(const char *name)
{
	static const char *const prefix[] = { "user.", "trusted.", "security.", "system." };

	for (unsigned k = 0; k < ARRAY_SIZE(prefix); k++)
		if (!strncmp(name, prefix[k], strlen(prefix[k])))
			return true;
	return false;
}

/* A name space without a name in it. */
static bool xattr_bare(const char *name) { return !strcmp(name, "user.") || !strcmp(name, "trusted.") || !strcmp(name, "security."); }

/* vfs_cap_data of revision 2 or 3: what today's files have. */
static bool caps_valid(const void *buf, size_t size)
{
	uint32_t magic;

	if (size < sizeof(magic))
		return false;
	memcpy(&magic, buf, sizeof(magic));
	return (size == 20 && magic >> 24 == 2) || (size == 24 && magic >> 24 == 3);
}

ssize_t vfs_getxattr(const struct path *p, const char *name, void *buf, size_t size)
{
	struct inode *i = p->dentry->inode;
	int ret = xattr_permission(p, name, MAY_READ);

	if (ret)
		return ret;
	if (i->ops->getxattr && xattr_bare(name))
		return -EINVAL;
	return i->ops->getxattr && xattr_known(name) ? i->ops->getxattr(i, name, buf, size) : -EOPNOTSUPP;
}

int vfs_setxattr(const struct path *p, const char *name, const void *buf, size_t size, int flags)
{
	struct inode *i = p->dentry->inode;
	int ret = xattr_permission(p, name, MAY_WRITE);

	if (ret)
		return ret;
	bool caps = !strcmp(name, "security.capability");
	if (caps && size && !caps_valid(buf, size))
		return -EINVAL;
	if (caps && !capable_wrt_inode(i, CAP_SETFCAP))
		return -EPERM;
	if (!i->ops->setxattr || !xattr_known(name))
		return -EOPNOTSUPP;
	if (xattr_bare(name))
		return -EINVAL;
	if (!strncmp(name, "security.", 9) && !cred_has_cap(fiber_context()->cred, strcmp(name, "security.capability") ? CAP_SYS_ADMIN : CAP_SETFCAP))
		return -EPERM;
	ret = i->ops->setxattr(i, name, buf, size, flags);
	if (!ret)
		notify_path(p, IN_ATTRIB);
	return ret;
}

ssize_t vfs_listxattr(const struct path *p, char *buf, size_t size)
{
	struct inode *i = p->dentry->inode;

	return i->ops->listxattr ? i->ops->listxattr(i, buf, size) : 0;
}

int vfs_removexattr(const struct path *p, const char *name)
{
	struct inode *i = p->dentry->inode;
	int ret = xattr_permission(p, name, MAY_WRITE);

	if (ret)
		return ret;
	if (!i->ops->removexattr || !xattr_known(name))
		return -EOPNOTSUPP;
	if (xattr_bare(name))
		return -EINVAL;
	if (!strncmp(name, "security.", 9) &&
	    !(strcmp(name, "security.capability") ? cred_has_cap(fiber_context()->cred, CAP_SYS_ADMIN) : capable_wrt_inode(i, CAP_SETFCAP)))
		return -EPERM;
	ret = i->ops->removexattr(i, name);
	if (!ret)
		notify_path(p, IN_ATTRIB);
	return ret;
}
