/* SPDX-License-Identifier: Apache-2.0 */
/* dir.c: names: look-up, changes, and reading merged directories. Directory operations come with inode.lock held. */
#include "fs/overlay/overlay_internal.h"
#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>

/* ---- tables of changed names; oi->lock ---- */

static uint32_t name_hashval(const char *s, size_t len)
{
	uint32_t h = 0x811c9dc5u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)s[i]) * 0x01000193u;
	return h ^ h >> 15;
}

static struct ovl_entry *entry_find(struct ovl_inode *oi, const char *name, size_t len)
{
	struct ovl_entry *e;
	uint32_t h;

	if (!oi->nentries)
		return NULL;
	h = name_hashval(name, len);
	LIST_FOREACH(e, &oi->buckets[h & (oi->nbuckets - 1)], hash)
		if (e->hashval == h && !strncmp(e->name, name, len) && !e->name[len])
			return e;
	return NULL;
}

static void entries_grow(struct ovl_inode *oi)
{
	unsigned old = oi->nbuckets;
	struct ovl_bucket *b = oi->buckets;

	oi->nbuckets = old ? old * 2 : 8;
	oi->buckets = xcalloc(oi->nbuckets, sizeof(*b));
	for (unsigned i = 0; i < old; i++) {
		struct ovl_entry *e;

		while ((e = LIST_FIRST(&b[i]))) {
			LIST_REMOVE(e, hash);
			LIST_INSERT_HEAD(&oi->buckets[e->hashval & (oi->nbuckets - 1)], e, hash);
		}
	}
	free(b);
}

/* name means `inode` from now on (reference taken over; NULL: nothing). Returns what it meant by an entry (to be put), or NULL. */
static struct inode *entry_set(struct ovl_inode *oi, const char *name, struct inode *inode, bool hides_lower)
{
	size_t len = strlen(name);
	struct ovl_entry *e;
	struct inode *old = NULL;

	ovl_pin(oi);
	mutex_lock(&oi->lock);
	e = entry_find(oi, name, len);
	if (e) {
		old = e->inode;
		if (old) {
			TAILQ_REMOVE(&oi->order, e, order);
			oi->nnames--;
		}
		hides_lower |= e->hides_lower;
		if (!inode && !hides_lower) {
			LIST_REMOVE(e, hash);
			oi->nentries--;
			free(e);
			mutex_unlock(&oi->lock);
			return old;
		}
	} else if (inode || hides_lower) {
		e = xzalloc(sizeof(*e) + len + 1);
		memcpy(e->name, name, len + 1);
		e->hashval = name_hashval(name, len);
		if (++oi->nentries > oi->nbuckets)
			entries_grow(oi);
		LIST_INSERT_HEAD(&oi->buckets[e->hashval & (oi->nbuckets - 1)], e, hash);
	} else {
		mutex_unlock(&oi->lock);
		return NULL;
	}
	e->inode = inode;
	e->hides_lower = hides_lower;
	if (inode) {
		e->seq = oi->next_seq++;
		TAILQ_INSERT_TAIL(&oi->order, e, order);
		oi->nnames++;
	}
	mutex_unlock(&oi->lock);
	return old;
}

/* Does name come from the lower directory as things are (so that hiding it needs an entry)? */
static bool from_lower(struct ovl_inode *oi, const char *name)
{
	struct ovl_entry *e;
	bool r;

	if (!oi->lower)
		return false;
	mutex_lock(&oi->lock);
	e = entry_find(oi, name, strlen(name));
	r = e ? e->hides_lower : true;
	mutex_unlock(&oi->lock);
	return r;
}

void ovl_dir_evict(struct ovl_inode *oi)
{
	struct ovl_fs *fs = oi->fs;
	struct ovl_listing *l = oi->listing;
	struct ovl_entry *e;
	bool mine;

	if (l) {
		free(l->e);
		free(l->names);
		free(l);
	}
	mutex_lock(&fs->reap_lock);
	for (unsigned b = 0; b < oi->nbuckets; b++)
		while ((e = LIST_FIRST(&oi->buckets[b]))) {
			LIST_REMOVE(e, hash);
			TAILQ_INSERT_TAIL(&fs->reap, e, order);
		}
	mine = !fs->reaping && !TAILQ_EMPTY(&fs->reap);
	if (mine)
		fs->reaping = true;
	while (mine && (e = TAILQ_FIRST(&fs->reap))) {
		TAILQ_REMOVE(&fs->reap, e, order);
		mutex_unlock(&fs->reap_lock);
		if (e->inode)
			inode_put(e->inode); /* a directory's entries are appended above, by the nested call */
		free(e);
		mutex_lock(&fs->reap_lock);
	}
	if (mine)
		fs->reaping = false;
	mutex_unlock(&fs->reap_lock);
	free(oi->buckets);
}

/* ---- look-up ---- */

static int ovl_lookup(struct inode *dir, const char *name, size_t len, struct inode **out)
{
	struct ovl_inode *oi = ovl_i(dir);
	struct ovl_entry *e;
	struct inode *li;
	bool locked;
	int r;

	if (len > 255)
		return -ENAMETOOLONG;
	mutex_lock(&oi->lock);
	e = entry_find(oi, name, len);
	if (e) {
		*out = e->inode;
		if (e->inode)
			inode_get(e->inode);
		mutex_unlock(&oi->lock);
		return *out ? 0 : -ENOENT;
	}
	mutex_unlock(&oi->lock);
	if (!oi->lower)
		return -ENOENT;
	locked = !sleeplock_is_held(&oi->lower->lock);
	if (locked)
		sleeplock_lock_nested(&oi->lower->lock);
	r = oi->lower->ops->lookup(oi->lower, name, len, &li);
	if (locked)
		sleeplock_unlock(&oi->lower->lock);
	if (r)
		return r;
	*out = ovl_iget(oi->fs, li, dir->ino);
	return 0;
}

/* ---- changes ---- */

static void dir_changed(struct inode *dir) { inode_touch(dir, ATTR_MTIME | ATTR_CTIME); }

static void nlink_add(struct inode *i, int n)
{
	mutex_lock(&i->attr_lock);
	if (!S_ISDIR(i->mode) || i->nlink >= 2) /* a directory with 1 is of a file system that does not count */
		i->nlink = n < 0 && i->nlink < (unsigned)-n ? 0 : i->nlink + n;
	mutex_unlock(&i->attr_lock);
}

/* A new inode gets its first name. The caller's reference goes to *out. */
static int dir_add(struct inode *dir, const char *name, struct inode *i, struct inode **out)
{
	if (dir->dead) {
		inode_put(i);
		return -ENOENT;
	}
	inode_get(i);
	/* vfs has asked: there is no such name, so the lower one is hidden by a whiteout already if it exists */
	struct inode *old = entry_set(ovl_i(dir), name, i, false);

	if (old)
		inode_put(old);
	if (S_ISDIR(i->mode))
		nlink_add(dir, 1);
	dir_changed(dir);
	*out = i;
	return 0;
}

static int ovl_create(struct inode *dir, const char *name, uint32_t mode, struct inode **out)
{
	struct inode *i;
	int r = ovl_new(dir, S_IFREG | (mode & 07777), &i);

	return r ? r : dir_add(dir, name, i, out);
}

static int ovl_mknod(struct inode *dir, const char *name, uint32_t mode, uint64_t rdev, struct inode **out)
{
	struct inode *i;
	int r = ovl_new(dir, mode & S_IFMT ? mode : mode | S_IFREG, &i);

	if (r)
		return r;
	i->rdev = rdev;
	return dir_add(dir, name, i, out);
}

static int ovl_mkdir(struct inode *dir, const char *name, uint32_t mode, struct inode **out)
{
	struct inode *i;
	int r = ovl_new(dir, S_IFDIR | (mode & 07777), &i);

	if (r)
		return r;
	i->size = 4096;
	return dir_add(dir, name, i, out);
}

static int ovl_symlink(struct inode *dir, const char *name, const char *target, struct inode **out)
{
	struct inode *i;
	int r = ovl_new(dir, S_IFLNK | 0777, &i);

	if (r)
		return r;
	i->link = xstrdup(target);
	i->size = strlen(target);
	return dir_add(dir, name, i, out);
}

static int ovl_tmpfile(struct inode *dir, uint32_t mode, struct inode **out)
{
	int r = ovl_new(dir, S_IFREG | (mode & 07777), out);

	if (!r)
		(*out)->nlink = 0;
	return r;
}

static int ovl_link(struct inode *dir, const char *name, struct inode *target)
{
	struct inode *out;
	int r;

	inode_get(target);
	ovl_pin(ovl_i(target));
	r = dir_add(dir, name, target, &out);
	if (r)
		return r;
	nlink_add(target, 1);
	inode_touch(target, ATTR_CTIME);
	inode_put(target);
	return 0;
}

/* The name goes; the inode loses a link. */
static void dir_remove(struct inode *dir, const char *name, struct inode *target)
{
	struct ovl_inode *oi = ovl_i(dir);
	struct inode *old = entry_set(oi, name, NULL, from_lower(oi, name));

	if (S_ISDIR(target->mode)) {
		mutex_lock(&target->attr_lock);
		target->nlink = 0;
		mutex_unlock(&target->attr_lock);
		nlink_add(dir, -1);
	} else {
		ovl_pin(ovl_i(target)); /* the other names must see the new count */
		nlink_add(target, -1);
	}
	inode_touch(target, ATTR_CTIME);
	dir_changed(dir);
	if (!target->nlink)
		ovl_unpin(ovl_i(target));
	if (old)
		inode_put(old);
}

static int ovl_unlink(struct inode *dir, const char *name, struct inode *target)
{
	dir_remove(dir, name, target);
	return 0;
}

static struct ovl_listing *lower_listing(struct ovl_inode *oi, struct file *f, int *err);

static int dir_empty(struct inode *dir)
{
	struct ovl_inode *oi = ovl_i(dir);
	struct ovl_listing *l;
	int r = 0;

	mutex_lock(&oi->lock);
	if (oi->nnames)
		r = -ENOTEMPTY;
	mutex_unlock(&oi->lock);
	if (r || !oi->lower)
		return r;
	l = lower_listing(oi, NULL, &r);
	if (!l)
		return r;
	mutex_lock(&oi->lock);
	for (unsigned i = 0; i < l->n && !r; i++) {
		const char *n = l->names + l->e[i].name;

		if (!entry_find(oi, n, strlen(n)))
			r = -ENOTEMPTY;
	}
	mutex_unlock(&oi->lock);
	return r;
}

static int ovl_rmdir(struct inode *dir, const char *name, struct inode *target)
{
	int r = dir_empty(target);

	if (r)
		return r;
	dir_remove(dir, name, target);
	return 0;
}

static void set_parent(struct inode *i, struct inode *dir)
{
	mutex_lock(&ovl_i(i)->lock);
	ovl_i(i)->parent_ino = dir->ino;
	mutex_unlock(&ovl_i(i)->lock);
}

static int ovl_rename(struct inode *odir, const char *oname, struct inode *oinode, struct inode *ndir, const char *nname,
		      struct inode *ninode, unsigned flags)
{
	struct inode *o1, *o2;
	int r;

	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	if (ndir->dead)
		return -ENOENT;
	if (flags & RENAME_EXCHANGE) {
		if (!ninode)
			return -ENOENT;
		inode_get(oinode);
		inode_get(ninode);
		o1 = entry_set(ovl_i(odir), oname, ninode, from_lower(ovl_i(odir), oname));
		o2 = entry_set(ovl_i(ndir), nname, oinode, from_lower(ovl_i(ndir), nname));
		if (odir != ndir) {
			nlink_add(odir, S_ISDIR(ninode->mode) - S_ISDIR(oinode->mode));
			nlink_add(ndir, S_ISDIR(oinode->mode) - S_ISDIR(ninode->mode));
			set_parent(ninode, odir);
			set_parent(oinode, ndir);
		}
		inode_touch(ninode, ATTR_CTIME);
	} else {
		if (ninode) {
			if (ninode == oinode)
				return 0;
			if (S_ISDIR(ninode->mode)) {
				r = dir_empty(ninode);
				if (r)
					return r;
			}
			dir_remove(ndir, nname, ninode);
		}
		inode_get(oinode);
		o2 = entry_set(ovl_i(ndir), nname, oinode, false);
		o1 = entry_set(ovl_i(odir), oname, NULL, from_lower(ovl_i(odir), oname));
		if (S_ISDIR(oinode->mode) && odir != ndir) {
			nlink_add(odir, -1);
			nlink_add(ndir, 1);
		}
		set_parent(oinode, ndir);
	}
	inode_touch(oinode, ATTR_CTIME);
	ovl_pin(ovl_i(oinode));
	dir_changed(odir);
	dir_changed(ndir);
	if (o1)
		inode_put(o1);
	if (o2)
		inode_put(o2);
	return 0;
}

/* ---- reading ---- */

struct listing_ctx {
	struct dir_context c;
	struct ovl_listing *l;
	unsigned cap;
	size_t nlen, ncap;
};

static bool listing_emit(struct dir_context *c, const char *name, size_t len, uint64_t ino, unsigned d_type, int64_t next_off)
{
	struct listing_ctx *x = container_of(c, struct listing_ctx, c);
	struct ovl_listing *l = x->l;

	if ((len == 1 && name[0] == '.') || (len == 2 && name[0] == '.' && name[1] == '.'))
		return true;
	if (l->n == x->cap) {
		x->cap = x->cap ? x->cap * 2 : 32;
		l->e = xrealloc(l->e, x->cap * sizeof(*l->e));
	}
	if (x->nlen + len + 1 > x->ncap) {
		x->ncap = (x->ncap + len + 1) * 2;
		l->names = xrealloc(l->names, x->ncap);
	}
	memcpy(l->names + x->nlen, name, len);
	l->names[x->nlen + len] = 0;
	l->e[l->n].ino = ino;
	l->e[l->n].type = d_type;
	l->e[l->n++].name = x->nlen;
	x->nlen += len + 1;
	return true;
}

/* The lower directory never changes: it is read once. NULL and *err if it cannot be. */
static struct ovl_listing *lower_listing(struct ovl_inode *oi, struct file *f, int *err)
{
	struct listing_ctx x = { .c.emit = listing_emit };
	struct ovl_listing *l = atomic_load_explicit(&oi->listing, memory_order_acquire);
	struct path none = { 0 };
	struct file *in;
	int r;

	if (l)
		return l;
	r = ovl_inner_open(f, f ? &f->path : &none, oi->lower, FMODE_READ, &in);
	if (r) {
		*err = r;
		return NULL;
	}
	x.l = l = new(struct ovl_listing);
	for (;;) {
		int64_t before = x.c.pos;

		r = in->ops->iterate(in, &x.c);
		if (r < 0 || x.c.pos == before)
			break;
	}
	ovl_inner_close(in);
	struct ovl_listing *old = NULL;
	if (r < 0 || !atomic_compare_exchange_strong(&oi->listing, &old, l)) {
		free(l->e);
		free(l->names);
		free(l);
		l = old;
		*err = r;
	}
	return l;
}

#define UPPER_POS (1LL << 40) /* positions below are indices of the lower listing, from 2 */

static int ovl_iterate(struct file *f, struct dir_context *c)
{
	struct inode *dir = f->inode;
	struct ovl_inode *oi = ovl_i(dir);
	struct ovl_listing *l = NULL;
	struct ovl_entry *e;
	int r = 0;

	if (dir->dead)
		return 0;
	if (c->pos == 0) {
		if (!c->emit(c, ".", 1, dir->ino, DT_DIR, 1))
			return 0;
		c->pos = 1;
	}
	if (c->pos == 1) {
		if (!c->emit(c, "..", 2, oi->parent_ino, DT_DIR, 2))
			return 0;
		c->pos = 2;
	}
	if (oi->lower && c->pos < UPPER_POS) {
		l = lower_listing(oi, f, &r);
		if (!l)
			return r;
	}
	guard(mutex)(&oi->lock);
	if (c->pos < UPPER_POS) {
		while (l && c->pos - 2 < l->n) {
			unsigned i = c->pos - 2;
			const char *n = l->names + l->e[i].name;
			size_t len = strlen(n);

			if (!entry_find(oi, n, len) && !c->emit(c, n, len, l->e[i].ino, l->e[i].type, c->pos + 1))
				return 0;
			c->pos++;
		}
		c->pos = UPPER_POS;
	}
	e = TAILQ_FIRST(&oi->order);
	while (e && e->seq < (uint64_t)(c->pos - UPPER_POS))
		e = TAILQ_NEXT(e, order);
	for (; e; e = TAILQ_NEXT(e, order)) {
		if (!c->emit(c, e->name, strlen(e->name), e->inode->ino, e->inode->mode >> 12 & 15, UPPER_POS + e->seq + 1))
			return 0;
		c->pos = UPPER_POS + e->seq + 1;
	}
	return 0;
}

static int ovl_dir_fsync(struct file *f, bool datasync) { return 0; }

static const struct file_ops ovl_dir_fops = { .iterate = ovl_iterate, .llseek = cursor_llseek, .fsync = ovl_dir_fsync };

int ovl_dir_open(struct inode *inode, struct file *f)
{
	f->ops = &ovl_dir_fops;
	return 0;
}

const struct inode_ops ovl_dir_iops = {
	.lookup = ovl_lookup,
	.create = ovl_create,
	.mknod = ovl_mknod,
	.mkdir = ovl_mkdir,
	.symlink = ovl_symlink,
	.link = ovl_link,
	.unlink = ovl_unlink,
	.rmdir = ovl_rmdir,
	.rename = ovl_rename,
	.tmpfile = ovl_tmpfile,
	.getattr = ovl_getattr,
	.setattr = ovl_setattr,
	.keep_flags = ovl_keep_flags,
	.open = ovl_dir_open,
	.getxattr = ovl_getxattr,
	.setxattr = ovl_setxattr,
	.listxattr = ovl_listxattr,
	.removexattr = ovl_removexattr,
	.evict = ovl_evict,
};
