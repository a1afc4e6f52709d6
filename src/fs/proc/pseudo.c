/* SPDX-License-Identifier: Apache-2.0 */
/* pseudo.c: walk, readdir and text files over tables of names. Inodes are made at each look-up (no dentry cache): what they
 * show is the kernel's state now. */
#include "fs/proc/pseudo.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/statfs.h>

/* ---- inodes ---- */

static const struct inode_ops pseudo_iops, magic_iops;

static const struct pentry *table_find(const struct pentry *t, const char *name)
{
	for (; t && t->name; t++)
		if (!strcmp(t->name, name))
			return t;
	return NULL;
}

/* Stable numbers without a registry: a hash down the path. */
static uint64_t child_ino(uint64_t parent, const char *name)
{
	uint64_t h = parent * 0x9e3779b97f4a7c15ULL;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 0x100000001b3ULL;
	h ^= h >> 29;
	return (h & 0x7fffffff) | 2;
}

struct inode *pseudo_inode(struct super_block *sb, struct pnode *dir, const struct pentry *e, const char *name, struct pid *pid, uint64_t n)
{
	struct inode *i = inode_new(sb, e->mode, e->get_link ? &magic_iops : &pseudo_iops);
	struct pnode *p = new(struct pnode);

	i->uid = i->gid = 0;
	i->ino = dir ? child_ino(dir->inode->ino, name) : 1;
	if (pid && dir && dir->pid != pid) /* the number alone may come back */
		i->ino ^= pid->unique * 0x9e3779b97f4a7c15ULL >> 1;
	p->e = e;
	p->inode = i;
	p->n = n;
	if (pid) {
		pid_get(pid);
		p->pid = pid;
	}
	p->thread = dir && dir->thread;
	if (S_ISDIR(e->mode)) {
		i->nlink = 2;
		for (const struct pentry *t = e->dir; t && t->name; t++)
			i->nlink += S_ISDIR(t->mode);
	}
	i->private = p;
	if (e->fill)
		e->fill(p);
	return i;
}

static void pseudo_evict(struct inode *i)
{
	struct pnode *p = pnode_of(i);

	if (!p)
		return;
	if (p->pid)
		pid_put(p->pid);
	free(p);
}

/* The process that it is about was reaped. */
static bool gone(struct pnode *p)
{
	if (!p->pid)
		return false;
	guard(mutex)(&pnode_kernel(p)->tasks.lock);
	return !p->pid->task;
}

static int pseudo_lookup(struct inode *dir, const char *name, size_t len, struct inode **out)
{
	struct pnode *d = pnode_of(dir);
	const struct pentry *e;
	char nm[256];

	if (len >= sizeof(nm))
		return -ENAMETOOLONG;
	memcpy(nm, name, len);
	nm[len] = 0;
	if (gone(d))
		return -ENOENT;
	e = table_find(d->e->dir, nm);
	if (e) {
		*out = pseudo_inode(dir->sb, d, e, nm, d->pid, d->n);
		return 0;
	}
	return d->e->lookup ? d->e->lookup(d, nm, out) : -ENOENT;
}

static int pseudo_permission(struct inode *i, int mask)
{
	struct pnode *p = pnode_of(i);
	int r;

	if (p->e->may) {
		r = p->e->may(p, mask);
		if (r)
			return r < 0 ? r : 0;
	}
	/* What cannot be written is refused to the superuser too, as proc_sys_permission() does. */
	if ((mask & MAY_WRITE) && S_ISREG(i->mode) && !(i->mode & 0222))
		return -EACCES;
	return generic_permission(i, mask);
}

static ssize_t pseudo_readlink(struct inode *i, char *buf, size_t size)
{
	struct pnode *p = pnode_of(i);
	size_t n;

	if (p->e->readlink)
		return p->e->readlink(p, buf, size);
	if (!p->e->text)
		return -EINVAL;
	n = MIN(size, strlen(p->e->text));
	memcpy(buf, p->e->text, n);
	return n;
}

static int pseudo_get_link(struct inode *i, struct path *out)
{
	struct pnode *p = pnode_of(i);

	return p->e->get_link ? p->e->get_link(p, out) : -EINVAL;
}

static int pseudo_setattr(struct inode *i, const struct iattr *a)
{
	/* O_TRUNC of a file that can be written is nothing to it. */
	if (!(a->valid & (ATTR_MODE | ATTR_UID | ATTR_GID)))
		return 0;
	return -EPERM;
}

/* ---- text files ---- */

struct ptext {
	struct sleeplock lock; /* RANK_SEQ_FILE */
	struct strbuf b;
	bool shown;
	void *state; /* hold's */
};

static ssize_t text_read(struct file *f, struct iov_iter *to, int64_t *pos)
{
	struct pnode *p = file_pnode(f);
	struct ptext *t = f->private;
	size_t n, got;
	int r;

	if (*pos < 0)
		return -EINVAL;
	guard(sleeplock)(&t->lock);
	if (!t->shown || *pos == 0) {
		t->b.len = 0;
		if (p->e->text && gone(p))
			return -ESRCH;
		if (p->e->text)
			strbuf_write(&t->b, p->e->text, strlen(p->e->text));
		else if (p->e->show || p->e->show_held) {
			r = p->e->show_held ? p->e->show_held(p, t->state, &t->b) : p->e->show(p, &t->b);
			if (r < 0)
				return r;
		} else
			return -EINVAL;
		t->shown = true;
	}
	if ((uint64_t)*pos >= t->b.len || !to->count)
		return 0;
	n = MIN(to->count, t->b.len - (size_t)*pos);
	got = copy_to_iter(t->b.s + *pos, n, to);
	*pos += got;
	return got ? (ssize_t)got : -EFAULT;
}

static ssize_t text_write(struct file *f, struct iov_iter *from, int64_t *pos)
{
	struct pnode *p = file_pnode(f);
	size_t n = from->count;
	char *s;
	ssize_t r;

	if (!p->e->write)
		return -EIO; /* as proc answers when an entry has no write operation */
	if (n >= 65536)
		n = 65535;
	s = kzalloc(n + 1);
	if (!s)
		return -ENOMEM;
	if (copy_from_iter(s, n, from) != n)
		r = -EFAULT;
	else
		r = p->e->write(p, s, n);
	free(s);
	if (r > 0)
		*pos += r;
	return r;
}

static void text_release(struct file *f)
{
	struct ptext *t = f->private;

	if (t->state)
		file_pnode(f)->e->drop(t->state);
	strbuf_free(&t->b);
	free(t);
}

static unsigned text_poll(struct file *f, struct poll_table *pt)
{
	struct ptext *t = f->private;

	return t->state ? file_pnode(f)->e->poll(t->state, f, pt) : EPOLLERR | EPOLLPRI;
}

static const struct file_ops poll_text_ops = { .read = text_read, .write = text_write, .llseek = cursor_llseek, .release = text_release, .poll = text_poll };
static const struct file_ops text_ops = { .read = text_read, .write = text_write, .llseek = cursor_llseek, .release = text_release };

/* ---- directories ---- */

static int dir_iterate(struct file *f, struct dir_context *c)
{
	struct pnode *d = file_pnode(f);
	struct inode *i = f->inode;
	int64_t at = 2;

	if (gone(d))
		return -ENOENT;
	if (c->pos == 0) {
		if (!c->emit(c, ".", 1, i->ino, DT_DIR, 1))
			return 0;
		c->pos = 1;
	}
	if (c->pos == 1) {
		if (!c->emit(c, "..", 2, 1, DT_DIR, 2))
			return 0;
		c->pos = 2;
	}
	for (const struct pentry *e = d->e->dir; e && e->name; e++, at++) {
		if (at < c->pos)
			continue;
		if (!c->emit(c, e->name, strlen(e->name), child_ino(i->ino, e->name), e->mode >> 12 & 15, at + 1))
			return 0;
		c->pos = at + 1;
	}
	if (c->pos < PSEUDO_DYN)
		c->pos = PSEUDO_DYN;
	return d->e->iterate ? d->e->iterate(d, c) : 0;
}

static const struct file_ops dir_ops = { .iterate = dir_iterate, .llseek = cursor_llseek };

static int pseudo_open(struct inode *i, struct file *f)
{
	struct pnode *p = pnode_of(i);
	struct ptext *t;
	int r;

	if (S_ISDIR(i->mode)) {
		f->ops = &dir_ops;
		return 0;
	}
	if (p->e->open)
		return p->e->open(p, f);
	t = new(struct ptext);
	sleeplock_init(&t->lock, RANK_SEQ_FILE);
	r = p->e->hold ? p->e->hold(p, &t->state) : 0;
	if (r) {
		free(t);
		return r;
	}
	f->private = t;
	f->ops = p->e->poll ? &poll_text_ops : &text_ops;
	return 0;
}

static int pseudo_getattr(struct inode *i, struct kstat *st)
{
	int r = generic_getattr(i, st);

	st->blocks = 0;
	return r;
}

static const struct inode_ops pseudo_iops = {
	.getattr = pseudo_getattr,
	.lookup = pseudo_lookup,
	.permission = pseudo_permission,
	.readlink = pseudo_readlink,
	.setattr = pseudo_setattr,
	.open = pseudo_open,
	.evict = pseudo_evict,
};
/* Magic links: vfs asks get_link of every link whose inode has the operation. */
static const struct inode_ops magic_iops = {
	.getattr = pseudo_getattr,
	.readlink = pseudo_readlink,
	.get_link = pseudo_get_link,
	.setattr = pseudo_setattr,
	.evict = pseudo_evict,
};

/* ---- super blocks ---- */

int pseudo_statfs(struct super_block *sb, struct statfs *st)
{
	memset(st, 0, sizeof(*st));
	st->f_type = sb->magic;
	st->f_bsize = st->f_frsize = 4096;
	st->f_namelen = 255;
	return 0;
}

int pseudo_super(struct kernel *k, const char *type, uint32_t magic, const struct pentry *root, void *private,
		 const struct super_ops *ops, struct super_block **out)
{
	struct super_block *sb = super_new(k, type, ops);

	sb->no_dcache = true;
	sb->source = xstrdup(type);
	sb->magic = magic;
	sb->blksize = 1024;
	sb->private = private;
	sb->root = pseudo_inode(sb, NULL, root, "/", NULL, 0);
	*out = sb;
	return 0;
}
