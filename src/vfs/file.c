/* SPDX-License-Identifier: Apache-2.0 */
/* file.c: open files, and files without a name. */
#include "vfs/internal.h"
#include <fcntl.h>
#include <sys/inotify.h>

struct file *file_alloc_raw(const struct path *p, unsigned flags)
{
	struct file *f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	refcount_init(&f->ref);
	f->path = *p;
	path_get(p);
	f->inode = p->dentry->inode;
	f->flags = flags & ~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC);
	switch (flags & O_ACCMODE) {
	case O_RDONLY: f->mode = FMODE_READ; break;
	case O_WRONLY: f->mode = FMODE_WRITE; break;
	case O_RDWR: f->mode = FMODE_READ | FMODE_WRITE; break;
	}
	if (flags & O_PATH)
		f->mode = FMODE_PATH;
	sleeplock_init(&f->pos_lock, RANK_FILE_POS);
	mutex_init(&f->owner_lock, RANK_LEAF);
	if (fiber_self() && fiber_context()->cred)
		f->cred = cred_get(fiber_context()->cred);
	return f;
}

struct file *file_alloc(const struct path *p, unsigned flags, const struct file_ops *ops, void *private)
{
	struct file *f = file_alloc_raw(p, flags);
	if (f) {
		f->ops = ops;
		f->private = private;
	}
	return f;
}

void file_get(struct file *f) { refcount_get(&f->ref); }

static __attribute__((noinline)) void file_free(struct file *f)
{
	struct inode *inode = f->inode;

	if (atomic_load_explicit(&f->epolls, memory_order_acquire) && vfs_hooks.epoll_release)
		vfs_hooks.epoll_release(f);
	if (inode && atomic_load_explicit(&inode->locks, memory_order_acquire))
		locks_remove_file(f);
	if (inode && unlikely(atomic_load_explicit(&inode->watches, memory_order_acquire)) && vfs_hooks.dnotify_flush)
		vfs_hooks.dnotify_flush(f, NULL);
	if ((f->flags & O_ASYNC) && f->ops && f->ops->fasync)
		f->ops->fasync(f, false);
	if (!(f->mode & FMODE_PATH) && f->ops)
		notify_file(f, f->mode & FMODE_WRITE ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE);
	if (f->ops && f->ops->release)
		f->ops->release(f);
	if (f->fasync && vfs_hooks.fasync_release)
		vfs_hooks.fasync_release(f);
	if (f->owner_pid && f->owner_put)
		f->owner_put(f->owner_pid);
	if (f->mode & FMODE_WRITER)
		inode_put_write(inode);
	else if (f->mode & FMODE_READER)
		atomic_fetch_sub(&inode->readcount, 1);
	cred_put(f->cred);
	path_put(&f->path);
	free(f);
}

void file_put(struct file *f)
{
	if (f && refcount_put(&f->ref))
		file_free(f);
}

/* ---- files without a name in any tree ---- */

static struct mutex anon_lock = { .rank = RANK_MOUNT };
static _Atomic(struct mount *) anon_mnt; /* made once, never freed: it holds no guest state */

static const struct inode_ops anon_inode_ops = { 0 };

#include <sys/vfs.h>
static int nameless_statfs(struct super_block *sb, struct statfs *st)
{
	st->f_type = sb->magic;
	st->f_bsize = 4096;
	st->f_namelen = NAME_MAX_;
	return 0;
}

struct mount *nameless_mount(const char *type, uint32_t magic)
{
	static const struct super_ops ops = { .statfs = nameless_statfs };
	struct super_block *sb = super_new(NULL, type, &ops);

	sb->magic = magic;
	sb->root = inode_new(sb, S_IFDIR | 0555, &anon_inode_ops);
	sb->root_dentry = d_make_root(sb);
	return mount_alloc(sb, sb->root_dentry, 0);
}

struct mount *anon_mount(void)
{
	struct mount *m = atomic_load_explicit(&anon_mnt, memory_order_acquire);
	if (likely(m))
		return m;
	m = nameless_mount("anon_inodefs", 0x09041934 /* ANON_INODE_FS_MAGIC */);
	guard(mutex)(&anon_lock);
	if (!anon_mnt)
		atomic_store_explicit(&anon_mnt, m, memory_order_release);
	return anon_mnt; /* the loser of a race leaks one empty super block, once */
}

struct super_block *nameless_super(struct mount *m) { return m->sb; }

int nameless_file(struct mount *m, const char *name, struct inode *inode, const struct file_ops *ops, void *private, unsigned flags,
		  struct file **out)
{
	struct path p = { .mnt = m };

	p.dentry = d_alloc(m->sb, NULL, name, strlen(name));
	p.dentry->anon = true;
	p.dentry->inode = inode;
	mnt_get(p.mnt);
	struct file *f = file_alloc(&p, flags, ops, private);
	path_put(&p);
	if (!f)
		return -ENOMEM;
	*out = f;
	return 0;
}

int anon_file(const char *name, uint32_t mode, const struct file_ops *ops, void *private, unsigned flags, struct file **out)
{
	struct mount *m = anon_mount();

	return nameless_file(m, name, inode_new(m->sb, mode, &anon_inode_ops), ops, private, flags, out);
}

void path_get(const struct path *p)
{
	mnt_get(p->mnt);
	dget(p->dentry);
}

struct inode *path_inode(const struct path *p) { return p->dentry->inode; }

void path_put(struct path *p)
{
	struct mount *m = p->mnt;
	struct dentry *d = p->dentry;

	p->mnt = NULL;
	p->dentry = NULL;
	dput(d);
	if (m)
		mnt_put(m);
}
