/* SPDX-License-Identifier: Apache-2.0 */
/* namei.c: path walk and open(2).
 *
 * OVERVIEW
 * A walk starts in fast mode: mount_lock and the dentry cache lock of the current super block are held, and the position is
 * borrowed. While every name is cached, needs no revalidation, and directories have plain permissions, it never counts
 * anything but the final result. What cannot be done under these mutexes (asking the file system, its own permission or
 * revalidate op, readlink) is done in slow mode: the position is counted, no lock is held; then the walk goes fast again.
 *
 * Symbolic links are expanded in place: the rest of the path becomes "TARGET/REST" in a buffer that the walk owns.
 *
 * LOCKS
 * mount_lock > dcache.lock (one at a time). Directory inode locks only in slow mode.
 */
#include "vfs/internal.h"
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/mount.h>

#define MAX_LINKS 40
#ifndef O_LARGEFILE_K
#define O_LARGEFILE_K 0100000
#endif

struct nd {
	struct path path; /* where the walk stands */
	bool fast;	  /* locks held, path borrowed */
	bool own;	  /* slow: path is counted by us */
	struct path keep; /* counted: what keeps the last slow position alive in fast mode */
	struct path root;
	bool root_counted;
	struct path start; /* counted copy of the starting point, if it was not safe to borrow */
	struct file *dfile;
	unsigned flags, links;
	const char *name; /* what is left */
	char *buf;	  /* owned: expanded links */
	const char *last;
	unsigned last_len;
	uint32_t last_hash;
	enum last_type last_type;
	bool trailing;
};

static void nd_unlock(struct nd *nd)
{
	mutex_unlock(&nd->path.dentry->sb->dcache->lock);
	mutex_unlock(&mount_lock);
	nd->fast = false;
}

static void go_fast(struct nd *nd)
{
	if (nd->own) {
		nd->keep = nd->path;
		nd->own = false;
	}
	mutex_lock(&mount_lock);
	mutex_lock(&nd->path.dentry->sb->dcache->lock);
	nd->fast = true;
}

static void go_slow(struct nd *nd)
{
	if (!nd->fast)
		return;
	path_get(&nd->path);
	nd_unlock(nd);
	nd->own = true;
	if (nd->keep.mnt)
		path_put(&nd->keep);
}

/* Fast mode: stand on d in m. */
static inline void fast_move(struct nd *nd, struct mount *m, struct dentry *d)
{
	if (unlikely(d->sb != nd->path.dentry->sb)) {
		mutex_unlock(&nd->path.dentry->sb->dcache->lock);
		mutex_lock(&d->sb->dcache->lock);
	}
	nd->path.mnt = m;
	nd->path.dentry = d;
}

/* Slow mode: stand on p, whose reference is taken over. */
static void slow_move(struct nd *nd, struct path p)
{
	if (nd->own)
		path_put(&nd->path);
	nd->path = p;
	nd->own = true;
}

static void nd_done(struct nd *nd)
{
	if (nd->fast)
		nd_unlock(nd);
	if (nd->own)
		path_put(&nd->path);
	if (nd->keep.mnt)
		path_put(&nd->keep);
	if (unlikely(nd->root_counted))
		path_put(&nd->root);
	if (unlikely(nd->start.mnt))
		path_put(&nd->start);
	if (unlikely(nd->dfile))
		file_put(nd->dfile);
	free(nd->buf);
}

static void nd_take(struct nd *nd, struct path *out)
{
	go_slow(nd);
	if (!nd->own)
		path_get(&nd->path);
	nd->own = false;
	*out = nd->path;
}

static int nd_init(struct nd *nd, int dfd, const char *name, unsigned flags)
{
	struct fiber_context *ctx = fiber_context();
	struct fs_context *fs = ctx->fs;
	/* Nobody else can change a context that is not shared: no need to count what it holds. */
	bool borrow = refcount_read(&fs->ref) == 1;

	*nd = (struct nd){ .flags = flags, .name = name };
	if (borrow) {
		nd->root = fs->root;
	} else {
		fs_get_root(&nd->root);
		nd->root_counted = true;
	}
	if (!*name && !(flags & LOOKUP_EMPTY)) {
		nd_done(nd);
		return -ENOENT;
	}
	if (*name == '/' && !(flags & LOOKUP_IN_ROOT)) {
		if (flags & LOOKUP_BENEATH) {
			nd_done(nd);
			return -EXDEV;
		}
		nd->path = nd->root;
		return 0;
	}
	if (dfd == AT_FDCWD_) {
		if (borrow) {
			nd->path = fs->cwd;
		} else {
			fs_get_pwd(&nd->start);
			nd->path = nd->start;
		}
	} else {
		struct file *f = fd_get_raw(ctx->fdt, dfd);
		if (!f) {
			nd_done(nd);
			return -EBADF;
		}
		nd->dfile = f;
		nd->path = f->path;
		if (*name && !S_ISDIR(f->inode->mode)) {
			nd_done(nd);
			return -ENOTDIR;
		}
	}
	if (flags & (LOOKUP_BENEATH | LOOKUP_IN_ROOT)) {
		if (nd->root_counted)
			path_put(&nd->root);
		nd->root = nd->path;
		path_get(&nd->root);
		nd->root_counted = true;
	}
	return 0;
}

/* File systems that are asked each time make their inodes anew. A directory keeps its dentry all the same while somebody holds it, for below it
 * something may be mounted. */
static bool same_object(const struct inode *a, const struct inode *b)
{
	if (a == b)
		return true;
	return a && S_ISDIR(b->mode) && a->ino == b->ino && a->ops == b->ops && a->mode == b->mode && a->uid == b->uid && a->gid == b->gid;
}

int lookup_one_locked(struct dentry *dir, const char *name, size_t len, struct dentry **out)
{
	struct inode *di = dir->inode, *inode = NULL;
	struct dentry *d = d_lookup(dir, name, len);

	if (d) {
		if (!di->sb->no_dcache || READ_ONCE(d->mounts)) {
			*out = d;
			return 0;
		}
	}
	if (di->dead) {
		dput(d);
		return -ENOENT;
	}
	if (!di->ops->lookup) {
		dput(d);
		return -ENOTDIR;
	}
	if (len > NAME_MAX_) {
		dput(d);
		return -ENAMETOOLONG;
	}
	char tmp[NAME_MAX_ + 1];
	memcpy(tmp, name, len);
	tmp[len] = 0;
	int ret = di->ops->lookup(di, tmp, len, &inode);
	if (ret && ret != -ENOENT) {
		dput(d);
		return ret;
	}
	if (d) { /* no_dcache: the same object again keeps its dentry */
		if (!ret && same_object(d->inode, inode)) {
			inode_put(inode);
			*out = d;
			return 0;
		}
		d_drop(d);
		dput(d);
	}
	d = d_alloc(di->sb, dir, name, len);
	d_add(d, ret ? NULL : inode);
	*out = d;
	return 0;
}

int lookup_one(struct dentry *dir, const char *name, size_t len, struct dentry **out)
{
	struct inode *di = dir->inode;
	struct dentry *d;

	if (len > NAME_MAX_)
		return -ENAMETOOLONG;
	if (!di->sb->no_dcache && (d = d_lookup(dir, name, len))) {
		if (likely(!di->ops->revalidate) || READ_ONCE(d->mounts)) {
			*out = d;
			return 0;
		}
		char tmp[NAME_MAX_ + 1];
		memcpy(tmp, name, len);
		tmp[len] = 0;
		if (di->ops->revalidate(di, tmp, d->inode) > 0) {
			*out = d;
			return 0;
		}
		d_drop(d);
		d_prune_children(d);
		dput(d);
	}
	sleeplock_lock(&di->lock);
	int ret = lookup_one_locked(dir, name, len, out);
	sleeplock_unlock(&di->lock);
	return ret;
}

static int may_lookup(struct nd *nd)
{
	struct inode *i = nd->path.dentry->inode;

	if (unlikely(!S_ISDIR(i->mode)))
		return -ENOTDIR;
	if (likely(!i->ops->permission))
		return likely((READ_ONCE(i->mode) & 0111) == 0111) ? 0 : generic_permission(i, MAY_EXEC);
	if (nd->fast) {
		if (nd->flags & LOOKUP_CACHED)
			return -EAGAIN;
		go_slow(nd);
	}
	return inode_permission(i, MAY_EXEC);
}

static int step_dotdot(struct nd *nd)
{
	struct mount *m = nd->path.mnt;
	struct dentry *d = nd->path.dentry;

	if (!nd->fast)
		go_fast(nd);
	for (;;) {
		if (m == nd->root.mnt && d == nd->root.dentry) {
			if (nd->flags & LOOKUP_BENEATH)
				return -EXDEV;
			break;
		}
		if (d != m->root) {
			d = d->parent;
			break;
		}
		if (!m->parent)
			break;
		if (nd->flags & LOOKUP_NO_XDEV)
			return -EXDEV;
		d = m->mountpoint;
		m = m->parent;
		fast_move(nd, m, d);
	}
	if (unlikely(d->mounts)) {
		struct mount *om = m;
		topmost_locked(&m, &d);
		if (m != om && (nd->flags & LOOKUP_NO_XDEV))
			return -EXDEV;
	}
	fast_move(nd, m, d);
	return 0;
}

static int jump_root(struct nd *nd)
{
	if (nd->flags & LOOKUP_BENEATH)
		return -EXDEV;
	if ((nd->flags & LOOKUP_NO_XDEV) && nd->path.mnt != nd->root.mnt)
		return -EXDEV;
	if (nd->fast) {
		fast_move(nd, nd->root.mnt, nd->root.dentry);
	} else {
		struct path p = nd->root;
		path_get(&p);
		slow_move(nd, p);
	}
	return 0;
}

static int push_text(struct nd *nd, const char *text, size_t n)
{
	if (!n)
		return -ENOENT;
	size_t rest = strlen(nd->name);
	bool slash = rest || nd->trailing;
	char *b = malloc(n + rest + 2);
	if (!b)
		return -ENOMEM;
	memcpy(b, text, n);
	if (slash)
		b[n] = '/';
	memcpy(b + n + slash, nd->name, rest + 1);
	free(nd->buf);
	nd->buf = b;
	nd->name = b;
	return *b == '/' ? jump_root(nd) : 0;
}

/* d is a symbolic link in the current directory. 1: its text is the new rest of the path; 0: jumped (magic link). */
static int follow_link(struct nd *nd, struct mount *m, struct dentry *d)
{
	struct inode *i = d->inode;

	if (++nd->links > MAX_LINKS || (nd->flags & LOOKUP_NO_SYMLINKS))
		return -ELOOP;
	if (i->link) {
		int ret = push_text(nd, i->link, strlen(i->link));
		return ret ? ret : 1;
	}
	if (nd->flags & LOOKUP_CACHED)
		return -EAGAIN;
	if (nd->fast) {
		dget(d);
		go_slow(nd);
	} else {
		dget(d);
	}
	int ret = -EINVAL;
	if (i->ops->get_link) {
		struct path p;
		if (nd->flags & LOOKUP_NO_MAGICLINKS) {
			ret = -ELOOP;
		} else if (!(ret = i->ops->get_link(i, &p))) {
			if ((nd->flags & (LOOKUP_BENEATH | LOOKUP_IN_ROOT)) ||
			    ((nd->flags & LOOKUP_NO_XDEV) && p.mnt != nd->path.mnt)) {
				path_put(&p);
				ret = -EXDEV;
			} else {
				slow_move(nd, p);
			}
		}
		if (ret != -ENOIOCTLCMD) { /* an op may serve ordinary links of the same kind through readlink */
			dput(d);
			return ret;
		}
	}
	if (i->ops->readlink) {
		char *text = malloc(PATH_MAX);
		ssize_t n = text ? i->ops->readlink(i, text, PATH_MAX) : -ENOMEM;
		ret = n < 0 ? n : n >= PATH_MAX ? -ENAMETOOLONG : push_text(nd, text, n);
		free(text);
		if (!ret)
			ret = 1;
	}
	dput(d);
	return ret;
}

/* Step onto child d of the current directory (fast: borrowed; slow: counted, consumed). */
static int step_into(struct nd *nd, struct dentry *d, bool follow)
{
	struct mount *m = nd->path.mnt;
	int ret = 0;

	if (unlikely(!d->inode)) {
		if (!nd->fast)
			dput(d);
		return -ENOENT;
	}
	if (unlikely(READ_ONCE(d->mounts))) {
		struct dentry *t = d;
		if (!nd->fast)
			mutex_lock(&mount_lock);
		topmost_locked(&m, &t);
		if (!nd->fast) {
			mnt_get(m);
			dget(t);
			mutex_unlock(&mount_lock);
		}
		if (m != nd->path.mnt && (nd->flags & LOOKUP_NO_XDEV))
			ret = -EXDEV;
		if (!nd->fast) {
			dput(d);
			struct path p = { m, t };
			if (ret)
				path_put(&p);
			else
				slow_move(nd, p);
		} else if (!ret) {
			fast_move(nd, m, t);
		}
		return ret;
	}
	if (unlikely(S_ISLNK(d->inode->mode)) && follow) {
		bool fast = nd->fast;
		ret = follow_link(nd, m, d);
		if (!fast)
			dput(d);
		return ret;
	}
	if (nd->fast) {
		nd->path.dentry = d;
	} else {
		mnt_get(m);
		slow_move(nd, (struct path){ m, d });
	}
	return 0;
}

static int step_norm(struct nd *nd, const char *name, unsigned len, uint32_t hash, bool follow)
{
	struct dentry *dir = nd->path.dentry, *d;

	if (nd->fast) {
		if (likely(!dir->inode->ops->revalidate && !dir->sb->no_dcache)) {
			d = d_lookup_locked(dir, name, len, hash);
			if (likely(d))
				return step_into(nd, d, follow);
		}
		if (nd->flags & LOOKUP_CACHED)
			return -EAGAIN;
		go_slow(nd);
	}
	int ret = lookup_one(dir, name, len, &d);
	return ret ? ret : step_into(nd, d, follow);
}

/* Walk all components, or all but the last (parent). */
static int walk(struct nd *nd, bool parent)
{
	int ret;

	if (!nd->fast)
		go_fast(nd);
	for (;;) {
		const char *s = nd->name;
		while (*s == '/')
			s++;
		if (!*s) {
			nd->last_type = LAST_ROOT;
			nd->last_len = 0;
			nd->last = s;
			nd->trailing = false;
			nd->name = s;
			return 0;
		}
		if ((ret = may_lookup(nd)))
			return ret;
		uint32_t hash = NAME_HASH_INIT;
		unsigned len = 0;
		for (; s[len] && s[len] != '/'; len++)
			hash = name_hash_step(hash, (unsigned char)s[len]);
		const char *rest = s + len;
		nd->trailing = *rest == '/';
		while (*rest == '/')
			rest++;
		bool last = !*rest;
		if (!last)
			nd->trailing = false;
		nd->last = s;
		nd->last_len = len;
		nd->last_hash = hash;
		nd->last_type = LAST_NORM;
		if (s[0] == '.') {
			if (len == 1)
				nd->last_type = LAST_DOT;
			else if (len == 2 && s[1] == '.')
				nd->last_type = LAST_DOTDOT;
		}
		nd->name = rest;
		if (last && parent)
			return 0;
		if (nd->last_type == LAST_DOT) {
			ret = 0;
		} else if (nd->last_type == LAST_DOTDOT) {
			ret = step_dotdot(nd);
		} else if (unlikely(len > NAME_MAX_)) {
			ret = -ENAMETOOLONG;
		} else {
			ret = step_norm(nd, s, len, hash, !last || nd->trailing || (nd->flags & LOOKUP_FOLLOW));
		}
		if (ret < 0)
			return ret;
		if (!nd->fast) {
			/* File systems that must be asked each time are walked slowly in one go. */
			struct inode *i = nd->path.dentry->inode;
			if (!i->sb->no_dcache && !(i->ops && i->ops->revalidate))
				go_fast(nd);
		}
		if (last && !ret) {
			if ((nd->trailing || (nd->flags & LOOKUP_DIRECTORY)) && !S_ISDIR(nd->path.dentry->inode->mode))
				return -ENOTDIR;
			return 0;
		}
	}
}

int path_lookup(int dfd, const char *name, unsigned flags, struct path *out)
{
	struct nd nd;
	int ret = nd_init(&nd, dfd, name, flags);

	if (ret)
		return ret;
	if (*name || (flags & LOOKUP_DIRECTORY)) {
		ret = *name ? walk(&nd, false) : 0;
		if (!ret && (flags & LOOKUP_DIRECTORY) && !S_ISDIR(nd.path.dentry->inode->mode))
			ret = -ENOTDIR;
	}
	if (!ret)
		nd_take(&nd, out);
	nd_done(&nd);
	return ret;
}

int user_path_at(int dfd, uaddr_t name, unsigned flags, struct path *out)
{
	char small[256] __attribute__((uninitialized)), *buf = small;
	ssize_t n = strncpy_from_user(small, name, sizeof(small));

	if (n == -ENAMETOOLONG) {
		buf = malloc(PATH_MAX);
		if (!buf)
			return -ENOMEM;
		n = strncpy_from_user(buf, name, PATH_MAX);
	}
	int ret = n < 0 ? n : path_lookup(dfd, buf, flags, out);
	if (buf != small)
		free(buf);
	return ret;
}

int path_parent_full(int dfd, const char *name, struct path *parent, char last[256], enum last_type *type, bool *trailing)
{
	struct nd nd;

	if (!*name)
		return -ENOENT;
	int ret = nd_init(&nd, dfd, name, 0);
	if (ret)
		return ret;
	ret = walk(&nd, true);
	if (!ret && nd.last_type == LAST_NORM && nd.last_len > NAME_MAX_)
		ret = -ENAMETOOLONG;
	if (!ret && nd.last_type != LAST_ROOT && !S_ISDIR(nd.path.dentry->inode->mode))
		ret = -ENOTDIR;
	if (!ret) {
		unsigned n = MIN(nd.last_len, (unsigned)NAME_MAX_);
		memcpy(last, nd.last, n);
		last[n] = 0;
		*type = nd.last_type;
		*trailing = nd.trailing;
		nd_take(&nd, parent);
	}
	nd_done(&nd);
	return ret;
}

int path_parent(int dfd, const char *name, struct path *parent, char last[256], bool *trailing_slash)
{
	enum last_type type;

	return path_parent_full(dfd, name, parent, last, &type, trailing_slash);
}

/* ---- open(2) ---- */

uint32_t apply_umask(uint32_t mode) { return mode & ~READ_ONCE(fiber_context()->fs->umask); }

static int acc_mode_of(unsigned flags)
{
	static const uint8_t acc[4] = { MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE, MAY_READ | MAY_WRITE };
	return acc[flags & O_ACCMODE] | (flags & O_TRUNC ? MAY_WRITE : 0);
}

static int may_open(const struct path *p, unsigned *flags, int acc)
{
	struct inode *i = p->dentry->inode;

	switch (i->mode & S_IFMT) {
	case S_IFLNK:
		return -ELOOP;
	case S_IFDIR:
		if (acc & MAY_WRITE)
			return -EISDIR;
		break;
	case S_IFBLK:
	case S_IFCHR:
		if (p->mnt->flags & MS_NODEV)
			return -EACCES;
		*flags &= ~O_TRUNC;
		break;
	case S_IFIFO:
	case S_IFSOCK:
		*flags &= ~O_TRUNC;
		break;
	}
	int ret = acc ? inode_permission(i, acc) : 0;
	if (ret)
		return ret;
	if ((acc & MAY_WRITE) && (S_ISREG(i->mode) || S_ISDIR(i->mode)) && mnt_is_readonly(p->mnt))
		return -EROFS;
	if (inode_has(i, INODE_APPEND) && (((acc & MAY_WRITE) && !(*flags & O_APPEND)) || (*flags & O_TRUNC)))
		return -EPERM;
	if ((*flags & O_NOATIME) && !inode_owner_or_capable(i))
		return -EPERM;
	return 0;
}

/* Open p (found or just created) as flags say. */
static int open_path(const struct path *p, unsigned flags, bool created, struct file **out)
{
	struct inode *i = p->dentry->inode;

	if (flags & O_PATH) {
		if ((flags & O_DIRECTORY) && !S_ISDIR(i->mode))
			return -ENOTDIR;
	} else {
		if ((flags & O_CREAT) && !created && S_ISDIR(i->mode))
			return -EISDIR;
		if ((flags & O_DIRECTORY) && !S_ISDIR(i->mode))
			return -ENOTDIR;
		if (created)
			flags &= ~O_TRUNC;
		int ret = may_open(p, &flags, created ? 0 : acc_mode_of(flags));
		if (ret)
			return ret;
	}
	struct file *f = file_alloc_raw(p, flags);
	if (!f)
		return -ENFILE;
	f->flags |= flags & O_NOCTTY;
	if (created)
		f->mode |= FMODE_CREATED;
	int ret = do_dentry_open(f);
	if (!ret && (flags & O_TRUNC) && !(flags & O_PATH)) {
		if (!(f->mode & FMODE_WRITE))
			ret = inode_get_write(i);
		if (!ret) {
			ret = vfs_truncate(p, f, 0);
			if (!(f->mode & FMODE_WRITE))
				inode_put_write(i);
		}
	}
	if (ret) {
		file_put(f);
		return ret;
	}
	*out = f;
	return 0;
}

int vfs_path_child(const struct path *p, bool beside, const char *name, struct path *out)
{
	struct mutex *lock = &p->dentry->sb->dcache->lock;
	struct dentry *dir, *d;

	mutex_lock(lock);
	dir = beside ? p->dentry->parent : p->dentry;
	dget(dir);
	mutex_unlock(lock);
	int ret = lookup_one(dir, name, strlen(name), &d);
	dput(dir);
	if (ret)
		return ret;
	if (!d->inode) {
		dput(d);
		return -ENOENT;
	}
	*out = (struct path){ p->mnt, d };
	mutex_lock(&mount_lock);
	topmost_locked(&out->mnt, &out->dentry);
	path_get(out);
	mutex_unlock(&mount_lock);
	dput(d);
	return 0;
}

int vfs_open_unchecked(const struct path *p, unsigned flags, struct file **out)
{
	struct file *f = file_alloc_raw(p, flags);

	if (!f)
		return -ENFILE;
	f->flags |= flags & O_NOCTTY;
	int ret = do_dentry_open(f);
	if (ret)
		file_put(f);
	else
		*out = f;
	return ret;
}

int vfs_open_path(const struct path *p, unsigned flags, struct file **out)
{
	int ret = open_path(p, (flags & ~(O_CREAT | O_EXCL)) | (flags & O_PATH ? 0 : O_LARGEFILE_K), false, out);

	if (!ret && !(flags & O_PATH))
		notify_file(*out, IN_OPEN);
	return ret;
}

static int open_tmpfile(int dfd, const char *name, const struct open_how_k *how, unsigned flags, struct file **out)
{
	struct path dir, p;
	struct inode *inode;
	int ret = path_lookup(dfd, name, how->lookup | LOOKUP_DIRECTORY, &dir);

	if (ret)
		return ret;
	struct inode *di = dir.dentry->inode;
	ret = mnt_want_write(dir.mnt);
	if (!ret)
		ret = inode_permission(di, MAY_WRITE | MAY_EXEC);
	if (!ret && !di->ops->tmpfile)
		ret = -EOPNOTSUPP;
	if (!ret) {
		sleeplock_lock(&di->lock);
		ret = di->ops->tmpfile(di, S_IFREG | (apply_umask(how->mode) & 07777), &inode);
		sleeplock_unlock(&di->lock);
	}
	if (!ret) {
		char num[32];
		int n = 0;
		num[n++] = '#';
		char dig[24];
		int k = 0;
		for (uint64_t v = inode->ino; v || !k; v /= 10)
			dig[k++] = '0' + v % 10;
		while (k)
			num[n++] = dig[--k];
		inode->linkable = !(flags & O_EXCL);
		p.mnt = dir.mnt;
		mnt_get(p.mnt);
		p.dentry = d_alloc(di->sb, dir.dentry, num, n);
		p.dentry->inode = inode;
		p.dentry->deleted = true;
		ret = open_path(&p, flags & ~(O_CREAT | O_EXCL | O_TRUNC | O_DIRECTORY), true, out);
		path_put(&p);
	}
	path_put(&dir);
	return ret;
}

static int create_locked(struct nd *nd, const char *name, uint32_t mode, struct dentry *d)
{
	struct inode *di = nd->path.dentry->inode, *inode;
	int ret = mnt_want_write(nd->path.mnt);

	if (!ret)
		ret = di->dead ? -ENOENT : inode_permission(di, MAY_WRITE | MAY_EXEC);
	if (!ret && !di->ops->create)
		ret = -EACCES;
	if (!ret)
		ret = di->ops->create(di, name, S_IFREG | (apply_umask(mode) & 07777), &inode);
	if (!ret) {
		d_instantiate(d, inode);
		fsnotify(di, inode, name, IN_CREATE, 0);
	}
	return ret;
}

int vfs_open(int dfd, const char *name, const struct open_how_k *how, struct file **out)
{
	struct nd nd;
	unsigned flags = how->flags;
	unsigned lookup = how->lookup | (flags & O_NOFOLLOW ? 0 : LOOKUP_FOLLOW);
	bool created = false;
	int ret;

	if (flags & O_PATH)
		flags &= O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC;
	else
		flags |= O_LARGEFILE_K;
	if ((flags & O_TMPFILE) == O_TMPFILE) {
		struct open_how_k h = *how;
		h.lookup = lookup;
		return open_tmpfile(dfd, name, &h, flags, out);
	}
	if (flags & O_DIRECTORY)
		lookup |= LOOKUP_DIRECTORY;
	if (flags & O_CREAT) {
		lookup &= ~LOOKUP_DIRECTORY;
		if (flags & O_EXCL)
			lookup &= ~LOOKUP_FOLLOW;
	}
	ret = nd_init(&nd, dfd, name, lookup);
	if (ret)
		return ret;
	if (!(flags & O_CREAT)) {
		ret = *name ? walk(&nd, false) : 0;
		if (ret)
			goto out;
		go_slow(&nd);
		goto open;
	}
	for (;;) {
		struct dentry *d;
		char last[NAME_MAX_ + 1];

		ret = walk(&nd, true);
		if (ret)
			goto out;
		if (nd.last_type != LAST_NORM) {
			if (nd.last_type == LAST_DOTDOT)
				ret = step_dotdot(&nd);
			if (ret)
				goto out;
			go_slow(&nd);
			break;
		}
		if (nd.trailing) {
			ret = -EISDIR;
			goto out;
		}
		if (nd.last_len > NAME_MAX_) {
			ret = -ENAMETOOLONG;
			goto out;
		}
		go_slow(&nd);
		struct dentry *dir = nd.path.dentry;
		struct inode *di = dir->inode;
		memcpy(last, nd.last, nd.last_len);
		last[nd.last_len] = 0;
		ret = lookup_one(dir, last, nd.last_len, &d);
		if (!ret && !d->inode) {
			dput(d);
			sleeplock_lock(&di->lock);
			ret = lookup_one_locked(dir, last, nd.last_len, &d);
			if (!ret && !d->inode) {
				ret = create_locked(&nd, last, how->mode, d);
				created = !ret;
				if (ret)
					dput(d);
			}
			sleeplock_unlock(&di->lock);
		}
		if (ret)
			goto out;
		if (!created && (flags & O_EXCL)) {
			dput(d);
			ret = -EEXIST;
			goto out;
		}
		if (!created && S_ISLNK(d->inode->mode) && !(lookup & LOOKUP_FOLLOW)) {
			dput(d);
			ret = -ELOOP;
			goto out;
		}
		ret = step_into(&nd, d, true);
		if (ret < 0)
			goto out;
		if (!ret)
			break;
	}
	if ((flags & O_EXCL) && !created) {
		ret = -EEXIST;
		goto out;
	}
open:
	ret = open_path(&nd.path, flags, created, out);
	if (!ret && !(flags & O_PATH))
		notify_file(*out, IN_OPEN);
out:
	nd_done(&nd);
	return ret;
}
