/* SPDX-License-Identifier: Apache-2.0 */
/* dentry.c: the cache of names.
 *
 * OVERVIEW
 * Each super block has its own cache: a hash of (parent, name), negative entries included, and a list of unused entries
 * that is cut at dentry_limit. A dentry that nobody holds (count 0) stays for the next walk, unless its super block says
 * no_dcache. Children count their parent, so unused entries are always leaves.
 *
 * LOCKS
 * dcache.lock guards everything in struct dentry but the count. count goes up from 1 or more without it; between 0 and
 * 1 only under it. Inodes are let go outside it, since evict() may call the host. A new name appears only with the
 * directory's inode.lock held, so that two walks cannot add the same name.
 */
#include "vfs/internal.h"

#define DEFAULT_DENTRY_LIMIT 8192

static unsigned bucket_of(struct dcache *dc, struct dentry *parent, uint32_t hash)
{
	uint64_t x = ((uintptr_t)parent >> 6) * 0x9e3779b97f4a7c15ULL + hash;
	x ^= x >> 29;
	return (unsigned)(x * 0xbf58476d1ce4e5b9ULL >> 40) & dc->mask;
}

uint32_t name_hash(const char *name, size_t len)
{
	uint32_t h = NAME_HASH_INIT;
	for (size_t i = 0; i < len; i++)
		h = name_hash_step(h, (unsigned char)name[i]);
	return h;
}

void dcache_init(struct super_block *sb)
{
	struct dcache *dc = new(struct dcache);

	mutex_init(&dc->lock, RANK_DENTRY);
	TAILQ_INIT(&dc->lru);
	dc->mask = 63;
	dc->buckets = xcalloc(dc->mask + 1, sizeof(*dc->buckets));
	sb->dcache = dc;
}

static void rehash(struct dcache *dc)
{
	unsigned mask = dc->mask * 4 + 3;
	struct dentry_bucket *b = xcalloc(mask + 1, sizeof(*b));
	unsigned oldmask = dc->mask;

	dc->mask = mask;
	for (unsigned i = 0; i <= oldmask; i++) {
		struct dentry *d, *n;
		LIST_FOREACH_SAFE(d, &dc->buckets[i], hash_link, n)
			LIST_INSERT_HEAD(&b[bucket_of(dc, d->parent, d->hash)], d, hash_link);
	}
	free(dc->buckets);
	dc->buckets = b;
}

static void hash_locked(struct dcache *dc, struct dentry *d)
{
	if (d->hashed)
		return;
	LIST_INSERT_HEAD(&dc->buckets[bucket_of(dc, d->parent, d->hash)], d, hash_link);
	d->hashed = true;
	if (++dc->nhashed * 2 > dc->mask && dc->mask < (1u << 20) - 1)
		rehash(dc);
}

static void unhash_locked(struct dcache *dc, struct dentry *d)
{
	if (!d->hashed)
		return;
	LIST_REMOVE(d, hash_link);
	d->hashed = false;
	dc->nhashed--;
}

static void lru_del_locked(struct dcache *dc, struct dentry *d)
{
	if (!d->in_lru)
		return;
	TAILQ_REMOVE(&dc->lru, d, lru);
	d->in_lru = false;
	dc->nlru--;
}

static void lru_add_locked(struct dcache *dc, struct dentry *d)
{
	TAILQ_INSERT_TAIL(&dc->lru, d, lru);
	d->in_lru = true;
	dc->nlru++;
}

/* Entries that left the cache, to be freed without the lock: linked through `sibling`. */
LIST_HEAD(free_list, dentry);

/* count is 0: take d out, and each parent that only it kept. */
static void kill_locked(struct dcache *dc, struct dentry *d, struct free_list *out)
{
	for (;;) {
		struct dentry *parent = d->parent;
		unhash_locked(dc, d);
		lru_del_locked(dc, d);
		if (parent != d)
			LIST_REMOVE(d, sibling);
		LIST_INSERT_HEAD(out, d, sibling);
		if (parent == d || atomic_fetch_sub(&parent->count, 1) != 1)
			return;
		if (parent->hashed && !d->sb->no_dcache) {
			if (parent->in_lru)
				parent->referenced = true;
			else
				lru_add_locked(dc, parent);
			return;
		}
		d = parent;
	}
}

static void free_dentries(struct free_list *l)
{
	struct dentry *d;

	while ((d = LIST_FIRST(l))) {
		LIST_REMOVE(d, sibling);
		inode_put(d->inode);
		if (d->name != d->iname)
			free(d->name);
		free(d);
	}
}

static void shrink_locked(struct dcache *dc, unsigned target, struct free_list *out)
{
	unsigned scan = dc->nlru;

	while (dc->nlru > target && scan--) {
		struct dentry *d = TAILQ_FIRST(&dc->lru);
		lru_del_locked(dc, d);
		if (atomic_load_explicit(&d->count, memory_order_relaxed))
			continue; /* in use again: put back at the next dput */
		if (d->referenced) {
			d->referenced = false;
			lru_add_locked(dc, d);
			continue;
		}
		kill_locked(dc, d, out);
	}
}

void dput(struct dentry *d)
{
	if (!d)
		return;
	int c = atomic_load_explicit(&d->count, memory_order_relaxed);
	while (c > 1)
		if (atomic_compare_exchange_weak_explicit(&d->count, &c, c - 1, memory_order_release, memory_order_relaxed))
			return;
	struct super_block *sb = d->sb;
	struct dcache *dc = sb->dcache;
	struct free_list fl = LIST_HEAD_INITIALIZER(fl);

	mutex_lock(&dc->lock);
	BUG_ON(atomic_load(&d->count) <= 0);
	if (atomic_fetch_sub(&d->count, 1) == 1) {
		if (d->hashed && !sb->no_dcache) {
			if (d->in_lru) {
				d->referenced = true;
			} else {
				lru_add_locked(dc, d);
				unsigned limit = sb->dentry_limit ? sb->dentry_limit : DEFAULT_DENTRY_LIMIT;
				if (dc->nlru > limit)
					shrink_locked(dc, limit - limit / 16, &fl);
			}
		} else {
			kill_locked(dc, d, &fl);
		}
	}
	mutex_unlock(&dc->lock);
	free_dentries(&fl);
}

struct dentry *d_lookup_locked(struct dentry *parent, const char *name, size_t len, uint32_t hash)
{
	struct dcache *dc = parent->sb->dcache;
	struct dentry *d;

	LIST_FOREACH(d, &dc->buckets[bucket_of(dc, parent, hash)], hash_link)
		if (d->hash == hash && d->parent == parent && d->len == len && !memcmp(d->name, name, len))
			return d;
	return NULL;
}

struct dentry *d_lookup(struct dentry *parent, const char *name, size_t len)
{
	uint32_t hash = name_hash(name, len);

	guard(mutex)(&parent->sb->dcache->lock);
	struct dentry *d = d_lookup_locked(parent, name, len, hash);
	if (d)
		dget(d);
	return d;
}

struct dentry *d_alloc(struct super_block *sb, struct dentry *parent, const char *name, size_t len)
{
	struct dentry *d = xzalloc(sizeof(*d) + len + 1);

	atomic_init(&d->count, 1);
	d->sb = sb;
	d->name = d->iname;
	memcpy(d->iname, name, len);
	d->len = len;
	d->hash = name_hash(name, len);
	LIST_INIT(&d->children);
	if (parent) {
		dget(parent);
		d->parent = parent;
		guard(mutex)(&sb->dcache->lock);
		LIST_INSERT_HEAD(&parent->children, d, sibling);
	} else {
		d->parent = d;
	}
	return d;
}

struct dentry *d_make_root(struct super_block *sb)
{
	struct dentry *d = d_alloc(sb, NULL, "/", 1);

	inode_get(sb->root);
	d->inode = sb->root;
	return d;
}

void d_add(struct dentry *d, struct inode *inode)
{
	struct dcache *dc = d->sb->dcache;

	guard(mutex)(&dc->lock);
	d->inode = inode;
	if (inode || !d->sb->no_dcache)
		hash_locked(dc, d);
}

void d_instantiate(struct dentry *d, struct inode *inode)
{
	struct inode *old;
	{
		struct dcache *dc = d->sb->dcache;
		guard(mutex)(&dc->lock);
		old = d->inode;
		d->inode = inode;
		hash_locked(dc, d);
	}
	inode_put(old);
}

void d_delete(struct dentry *d)
{
	struct dcache *dc = d->sb->dcache;
	struct inode *old = NULL;

	mutex_lock(&dc->lock);
	if (atomic_load(&d->count) == 1 && LIST_EMPTY(&d->children)) {
		old = d->inode; /* nobody else looks: remember "no such name" */
		d->inode = NULL;
	} else {
		unhash_locked(dc, d);
		d->deleted = true;
	}
	mutex_unlock(&dc->lock);
	inode_put(old);
}

void d_drop(struct dentry *d)
{
	guard(mutex)(&d->sb->dcache->lock);
	unhash_locked(d->sb->dcache, d);
}

static char *name_copy(const struct dentry *d)
{
	char *s = xzalloc(d->len + 1);
	memcpy(s, d->name, d->len);
	return s;
}

void d_move(struct dentry *d, struct dentry *target)
{
	struct dcache *dc = d->sb->dcache;
	char *nn = name_copy(target), *of = NULL;
	struct dentry *op = d->parent, *np = target->parent;

	mutex_lock(&dc->lock);
	unhash_locked(dc, d);
	unhash_locked(dc, target);
	if (target->inode)
		target->deleted = true;
	if (d->name != d->iname)
		of = d->name;
	d->name = nn;
	d->len = target->len;
	d->hash = target->hash;
	if (op != np) {
		LIST_REMOVE(d, sibling);
		LIST_INSERT_HEAD(&np->children, d, sibling);
		dget(np);
		d->parent = np;
	}
	hash_locked(dc, d);
	mutex_unlock(&dc->lock);
	free(of);
	if (op != np)
		dput(op);
}

void d_exchange(struct dentry *a, struct dentry *b)
{
	struct dcache *dc = a->sb->dcache;
	char *an = name_copy(a), *bn = name_copy(b), *f1 = NULL, *f2 = NULL;

	mutex_lock(&dc->lock);
	unhash_locked(dc, a);
	unhash_locked(dc, b);
	if (a->name != a->iname)
		f1 = a->name;
	if (b->name != b->iname)
		f2 = b->name;
	a->name = bn;
	b->name = an;
	uint32_t t = a->len;
	a->len = b->len;
	b->len = t;
	t = a->hash;
	a->hash = b->hash;
	b->hash = t;
	if (a->parent != b->parent) {
		struct dentry *ap = a->parent;
		LIST_REMOVE(a, sibling);
		LIST_REMOVE(b, sibling);
		a->parent = b->parent; /* the counts on the parents change owners, not number */
		b->parent = ap;
		LIST_INSERT_HEAD(&a->parent->children, a, sibling);
		LIST_INSERT_HEAD(&b->parent->children, b, sibling);
	}
	hash_locked(dc, a);
	hash_locked(dc, b);
	mutex_unlock(&dc->lock);
	free(f1);
	free(f2);
}

/* Forget unused children (of a directory that is being removed or whose names are no longer trusted). */
void d_prune_children(struct dentry *d)
{
	struct dcache *dc = d->sb->dcache;
	struct free_list fl = LIST_HEAD_INITIALIZER(fl);
	struct dentry *c, *n;

	dget(d); /* so that the last child does not take d along */
	mutex_lock(&dc->lock);
	LIST_FOREACH_SAFE(c, &d->children, sibling, n)
		if (!atomic_load(&c->count))
			kill_locked(dc, c, &fl);
	mutex_unlock(&dc->lock);
	free_dentries(&fl);
	dput(d);
}

bool d_is_ancestor(struct dentry *anc, struct dentry *d)
{
	for (;;) {
		if (d == anc)
			return true;
		if (d->parent == d)
			return false;
		d = d->parent;
	}
}

void dcache_destroy(struct super_block *sb)
{
	struct dcache *dc = sb->dcache;
	struct free_list fl = LIST_HEAD_INITIALIZER(fl);

	mutex_lock(&dc->lock);
	while (dc->nlru) {
		struct dentry *d = TAILQ_FIRST(&dc->lru);
		lru_del_locked(dc, d);
		if (!atomic_load(&d->count))
			kill_locked(dc, d, &fl);
	}
	mutex_unlock(&dc->lock);
	free_dentries(&fl);
	if (sb->root_dentry) {
		struct dentry *r = sb->root_dentry;
		sb->root_dentry = NULL;
		dput(r);
	}
	free(dc->buckets);
	free(dc);
	sb->dcache = NULL;
}

struct inode *dentry_inode(struct dentry *d) { return d->inode; }

struct inode *dentry_parent_inode(struct dentry *d)
{
	guard(mutex)(&d->sb->dcache->lock);
	if (d->parent == d || !d->parent->inode)
		return NULL;
	inode_get(d->parent->inode);
	return d->parent->inode;
}

size_t dentry_name(struct dentry *d, char buf[256])
{
	guard(mutex)(&d->sb->dcache->lock);
	size_t n = MIN(d->len, 255u);
	memcpy(buf, d->name, n);
	buf[n] = 0;
	return n;
}
