/* SPDX-License-Identifier: Apache-2.0 */
/* mount.c: mounts and mount namespaces.
 *
 * LOCKS
 * mount_lock guards the topology of every tree of mounts (parents, mount points, namespaces). It is outside the dentry
 * cache locks: path walk holds it and one of them. References are dropped outside both.
 */
#include "vfs/internal.h"
#include <linux/capability.h>
#include <sys/mount.h>

#define MNT_FLAGS (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME | MS_RELATIME)
#define MAX_MOUNTS 10000

struct mutex mount_lock = { .rank = RANK_MOUNT };

#define MOUNT_HASH 256
static LIST_HEAD(, mount) mount_hash[MOUNT_HASH];
static _Atomic uint64_t next_mount_id = 20, next_mnt_ns_ino = 0xf0000000;

static void ns_changed(struct mount_namespace *ns)
{
	atomic_fetch_add(&ns->event, 1);
	wait_queue_wake_all(&ns->wait, EPOLLPRI | EPOLLERR);
}

static unsigned hash_mnt(const struct mount *m, const struct dentry *d)
{
	return (unsigned)((((uintptr_t)m >> 5) * 31 + ((uintptr_t)d >> 5)) % MOUNT_HASH);
}

struct mount *mount_alloc(struct super_block *sb, struct dentry *root, unsigned flags)
{
	struct mount *m = new(struct mount);

	refcount_init(&m->ref);
	super_get(sb);
	m->sb = sb;
	dget(root);
	m->root = root;
	m->flags = flags & MNT_FLAGS;
	if (!(m->flags & MS_NOATIME))
		m->flags |= MS_RELATIME;
	m->id = atomic_fetch_add(&next_mount_id, 1);
	m->peer_next = m->peer_prev = m;
	return m;
}

void mnt_put(struct mount *m)
{
	if (!refcount_put(&m->ref))
		return;
	BUG_ON(m->parent);
	dput(m->root);
	super_put(m->sb);
	free(m);
}

struct mount *lookup_mnt_locked(struct mount *parent, struct dentry *d)
{
	struct mount *m;

	LIST_FOREACH(m, &mount_hash[hash_mnt(parent, d)], hash_link)
		if (m->parent == parent && m->mountpoint == d)
			return m;
	return NULL;
}

bool mnt_is_readonly(struct mount *m) { return (READ_ONCE(m->flags) | READ_ONCE(m->sb->flags)) & MS_RDONLY; }

static void attach_locked(struct mount *m, struct mount *parent, struct dentry *mp, struct mount_namespace *ns)
{
	if (parent) {
		mnt_get(parent);
		dget(mp);
		m->parent = parent;
		m->mountpoint = mp;
		mp->mounts++;
		LIST_INSERT_HEAD(&mount_hash[hash_mnt(parent, mp)], m, hash_link);
	}
	m->ns = ns;
	if (ns) {
		TAILQ_INSERT_TAIL(&ns->mounts, m, ns_link);
		ns->nmounts++;
		ns_changed(ns);
	}
}

/* What must be let go once the lock is dropped. */
struct released { struct mount *m, *parent; struct dentry *mp; };
struct release_list { struct released *v; unsigned n, cap; };

static void release_add(struct release_list *l, struct mount *m, struct mount *parent, struct dentry *mp)
{
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 8;
		l->v = xrealloc(l->v, l->cap * sizeof(*l->v));
	}
	l->v[l->n++] = (struct released){ m, parent, mp };
}

static void release_all(struct release_list *l)
{
	for (unsigned i = 0; i < l->n; i++) {
		dput(l->v[i].mp);
		if (l->v[i].parent)
			mnt_put(l->v[i].parent);
		if (l->v[i].m)
			mnt_put(l->v[i].m);
	}
	free(l->v);
}

/* Take m from its place; the tree's reference goes with it into l if `drop`. */
static void detach_locked(struct mount *m, struct release_list *l, bool drop)
{
	if (m->parent) {
		LIST_REMOVE(m, hash_link);
		m->mountpoint->mounts--;
	}
	if (m->ns) {
		TAILQ_REMOVE(&m->ns->mounts, m, ns_link);
		m->ns->nmounts--;
		ns_changed(m->ns);
		m->ns = NULL;
	}
	if (drop)
		mnt_change_propagation_locked(m, MS_PRIVATE);
	release_add(l, drop ? m : NULL, m->parent, m->mountpoint);
	m->parent = NULL;
	m->mountpoint = NULL;
}

static struct mount *next_child_locked(struct mount_namespace *ns, struct mount *parent, struct mount *after)
{
	struct mount *m = after ? TAILQ_NEXT(after, ns_link) : TAILQ_FIRST(&ns->mounts);

	for (; m; m = TAILQ_NEXT(m, ns_link))
		if (m->parent == parent)
			return m;
	return NULL;
}

static void umount_tree_locked(struct mount *m, struct release_list *l)
{
	struct mount *c;

	/* The depth is bounded by flattening: children are detached one at a time, deepest first. */
	for (;;) {
		struct mount *leaf = m;
		while ((c = next_child_locked(m->ns, leaf, NULL)))
			leaf = c;
		struct mount *cur = leaf;
		bool last = cur == m;
		detach_locked(cur, l, true);
		if (last)
			return;
	}
}

/* Where a mount at p really goes: on top of what is mounted there. */
void topmost_locked(struct mount **m, struct dentry **d)
{
	struct mount *c;

	while ((*d)->mounts && (c = lookup_mnt_locked(*m, *d))) {
		*m = c;
		*d = c->root;
	}
}

static int can_attach_locked(struct mount *m, struct mount *pm, struct dentry *pd)
{
	if (!pm->ns)
		return -EINVAL;
	if (pd->deleted)
		return -ENOENT;
	if (S_ISLNK(pd->inode->mode) && pd->inode->ops->get_link)
		return -ENOENT; /* /proc/PID/fd/N: it comes and goes with the descriptor */
	if (!!S_ISDIR(pd->inode->mode) != !!S_ISDIR(m->root->inode->mode))
		return -ENOTDIR;
	return 0;
}

/* ---- trees ---- */

struct mount_list { struct mount **v; unsigned n, cap; };

static void list_add(struct mount_list *l, struct mount *m)
{
	if (l->n == l->cap)
		l->v = xrealloc(l->v, (l->cap = l->cap ? l->cap * 2 : 16) * sizeof(*l->v));
	l->v[l->n++] = m;
}

/* The mounts of the tree at `top` below `root` (a dentry of it), parents before children. */
static void tree_list_locked(struct mount *top, struct dentry *root, bool rec, bool unbindable_too, struct mount_list *l)
{
	static unsigned pass; /* mount_lock */
	struct mount *m;

	pass++;
	top->mark = pass;
	list_add(l, top);
	/* A parent stands before its children in its namespace's list, except after MS_MOVE: so go on until nothing is new. */
	for (bool again = rec && top->ns; again;) {
		again = false;
		TAILQ_FOREACH(m, &top->ns->mounts, ns_link) {
			if (m->mark == pass || !m->parent || m->parent->mark != pass)
				continue;
			if ((m->parent == top && !d_is_ancestor(root, m->mountpoint)) || (m->unbindable && !unbindable_too))
				continue;
			m->mark = pass;
			list_add(l, m);
			again = true;
		}
	}
}

/* Copies of all in `from`, put together in the same way; not attached and in no namespace. */
static void copy_list_locked(const struct mount_list *from, struct dentry *root, bool slave, struct mount_list *to)
{
	for (unsigned i = 0; i < from->n; i++) {
		struct mount *o = from->v[i], *n = mount_alloc(o->sb, i ? o->root : root, o->flags);
		mnt_join_locked(n, o, slave);
		n->unbindable = o->unbindable;
		o->copy = n;
		if (i)
			attach_locked(n, o->parent->copy, o->mountpoint, NULL);
		list_add(to, n);
	}
}

static void enter_ns_locked(const struct mount_list *l, struct mount_namespace *ns)
{
	for (unsigned i = 0; i < l->n; i++) {
		if (l->v[i]->ns == ns)
			continue;
		l->v[i]->ns = ns;
		TAILQ_INSERT_TAIL(&ns->mounts, l->v[i], ns_link);
		ns->nmounts++;
	}
	ns_changed(ns);
}

/* Put a tree (its first mount has no parent) on pd of pm, and copies of it wherever pm's propagation says. 0 or -ENOSPC */
static int attach_tree_locked(const struct mount_list *tree, struct mount *pm, struct dentry *pd)
{
	struct targets t;

	propagation_targets_locked(pm, &t);
	unsigned room = pm->ns->nmounts + tree->n;
	for (int i = 0; i < t.n; i++)
		room += t.v[i].m->ns == pm->ns ? tree->n : 0;
	if (room > MAX_MOUNTS || (uint64_t)t.n * tree->n > MAX_MOUNTS) {
		targets_done(&t);
		return -ENOSPC;
	}
	if (pm->group) {
		for (unsigned i = 0; i < tree->n; i++)
			mnt_set_shared_locked(tree->v[i]);
		t.rings[0].copy = tree->v;
	}
	for (int i = 0; i < t.n; i++) {
		struct mount *m = t.v[i].m, *q;
		struct target_ring *r = &t.rings[t.v[i].ring], *up = r;
		struct mount_list copy = { 0 };

		bool new = !m->ns; /* part of what is being attached */
		for (unsigned k = 0; k < tree->n; k++)
			new |= m == tree->v[k];
		if (new || !d_is_ancestor(m->root, pd) || (r->copy && !r->shared))
			continue;
		while (!up->copy)
			up = &t.rings[up->parent];
		copy_list_locked(&(struct mount_list){ up->copy, tree->n, 0 }, up->copy[0]->root, up != r, &copy);
		if (r->shared)
			for (unsigned k = 0; k < copy.n; k++)
				mnt_set_shared_locked(copy.v[k]);
		q = lookup_mnt_locked(m, pd);
		attach_locked(copy.v[0], m, pd, NULL);
		if (q) { /* what is mounted there stays on top */
			LIST_REMOVE(q, hash_link);
			pd->mounts--;
			struct dentry *root = copy.v[0]->root;
			q->parent = copy.v[0]; /* its counts of m and pd are never the last: the copy has them too */
			q->mountpoint = root;
			mnt_get(copy.v[0]);
			dget(root);
			root->mounts++;
			LIST_INSERT_HEAD(&mount_hash[hash_mnt(q->parent, root)], q, hash_link);
			BUG_ON(refcount_put(&m->ref));
			atomic_fetch_sub_explicit(&pd->count, 1, memory_order_relaxed);
		}
		enter_ns_locked(&copy, m->ns);
		if (r->copy)
			free(copy.v);
		else
			r->copy = copy.v;
	}
	attach_locked(tree->v[0], pm, pd, NULL);
	enter_ns_locked(tree, pm->ns);
	targets_done(&t);
	return 0;
}

static struct dentry *super_root(struct super_block *sb)
{
	guard(mutex)(&mount_lock);
	if (!sb->root_dentry)
		sb->root_dentry = d_make_root(sb);
	return sb->root_dentry;
}

int do_mount_at(const struct path *where, struct super_block *sb, unsigned mnt_flags)
{
	struct mount *m = mount_alloc(sb, super_root(sb), mnt_flags);
	int ret;
	{
		guard(mutex)(&mount_lock);
		struct mount *pm = where->mnt;
		struct dentry *pd = where->dentry;
		topmost_locked(&pm, &pd);
		ret = can_attach_locked(m, pm, pd);
		if (!ret && pm->sb == sb && pd == pm->root && pd == m->root)
			ret = -EBUSY; /* the same thing on top of itself */
		if (!ret && pm->ns->nmounts >= MAX_MOUNTS)
			ret = -ENOSPC;
		if (!ret)
			ret = attach_tree_locked(&(struct mount_list){ &m, 1, 0 }, pm, pd);
	}
	if (ret)
		mnt_put(m);
	return ret;
}

/* ---- namespaces ---- */

static struct mount_namespace *ns_alloc(void)
{
	struct mount_namespace *ns = new(struct mount_namespace);

	refcount_init(&ns->ref);
	TAILQ_INIT(&ns->mounts);
	wait_queue_init(&ns->wait);
	ns->ns_ino = atomic_fetch_add(&next_mnt_ns_ino, 1);
	return ns;
}

struct mount_namespace *mount_ns_create(struct super_block *root, unsigned mnt_flags)
{
	struct mount_namespace *ns = ns_alloc();
	struct mount *m = mount_alloc(root, super_root(root), mnt_flags);

	guard(mutex)(&mount_lock);
	attach_locked(m, NULL, NULL, ns);
	ns->root = m;
	return ns;
}

unsigned mount_ns_event(struct mount_namespace *ns, struct wait_queue **wq)
{
	*wq = &ns->wait;
	return atomic_load(&ns->event);
}

uint64_t mount_ns_ino(struct mount_namespace *ns) { return ns->ns_ino; }
void mount_ns_get(struct mount_namespace *ns) { refcount_get(&ns->ref); }

void mount_ns_put(struct mount_namespace *ns)
{
	struct release_list l = { 0 };

	if (!ns || !refcount_put(&ns->ref))
		return;
	mutex_lock(&mount_lock);
	if (ns->root)
		umount_tree_locked(ns->root, &l);
	while (!TAILQ_EMPTY(&ns->mounts))
		detach_locked(TAILQ_FIRST(&ns->mounts), &l, true);
	mutex_unlock(&mount_lock);
	release_all(&l);
	user_ns_put(ns->user_ns);
	free(ns);
}

void mount_ns_root(struct mount_namespace *ns, struct path *out)
{
	guard(mutex)(&mount_lock);
	struct mount *m = ns->root;
	struct dentry *d = m->root;
	topmost_locked(&m, &d);
	out->mnt = m;
	out->dentry = d;
	path_get(out);
}

struct mount_namespace *mount_ns_of(const struct path *p) { return READ_ONCE(p->mnt->ns); }

struct mount_namespace *mount_ns_dup(struct mount_namespace *old, struct fs_context *fs)
{
	struct mount_namespace *ns = ns_alloc();
	struct mount_list from = { 0 }, to = { 0 };
	struct path put[2] = { 0 };
	{
		guard(mutex)(&mount_lock);
		tree_list_locked(old->root, old->root->root, true, true, &from);
		copy_list_locked(&from, old->root->root, false, &to);
		enter_ns_locked(&to, ns);
		ns->root = to.v[0];
		if (fs) {
			guard(mutex)(&fs->lock);
			for (unsigned i = 0; i < from.n; i++) {
				if (fs->root.mnt == from.v[i] && !put[0].mnt) {
					put[0].mnt = fs->root.mnt;
					mnt_get(to.v[i]);
					fs->root.mnt = to.v[i];
				}
				if (fs->cwd.mnt == from.v[i] && !put[1].mnt) {
					put[1].mnt = fs->cwd.mnt;
					mnt_get(to.v[i]);
					fs->cwd.mnt = to.v[i];
				}
			}
		}
	}
	for (int i = 0; i < 2; i++)
		if (put[i].mnt)
			mnt_put(put[i].mnt);
	free(from.v);
	free(to.v);
	return ns;
}

/* ---- mount(2) and friends ---- */

static bool may_mount(void) { return cred_has_cap(fiber_context()->cred, CAP_SYS_ADMIN); }

static struct mount_namespace *current_ns(void)
{
	struct fs_context *fs = fiber_context()->fs;
	guard(mutex)(&fs->lock);
	return fs->root.mnt->ns;
}

static int do_bind(const struct path *target, const char *source, bool rec)
{
	struct path src;
	struct mount_namespace *ns = current_ns();
	struct mount_list from = { 0 }, tree = { 0 };
	struct release_list l = { 0 };

	if (!source || !*source)
		return -EINVAL;
	int ret = path_lookup(AT_FDCWD_, source, LOOKUP_FOLLOW, &src);
	if (ret)
		return ret;
	mutex_lock(&mount_lock);
	struct mount *pm = target->mnt;
	struct dentry *pd = target->dentry;
	topmost_locked(&pm, &pd);
	if (!ns || src.mnt->ns != ns || pm->ns != ns || src.mnt->unbindable) {
		ret = -EINVAL;
	} else if (ns->nmounts >= MAX_MOUNTS / 2) {
		ret = -ENOSPC;
	} else {
		tree_list_locked(src.mnt, src.dentry, rec, false, &from);
		copy_list_locked(&from, src.dentry, false, &tree);
		ret = can_attach_locked(tree.v[0], pm, pd);
		if (!ret)
			ret = attach_tree_locked(&tree, pm, pd);
		for (unsigned i = tree.n; ret && i-- > 0;)
			detach_locked(tree.v[i], &l, true);
	}
	mutex_unlock(&mount_lock);
	free(from.v);
	free(tree.v);
	release_all(&l);
	path_put(&src);
	return ret;
}

static int do_move(const struct path *target, const char *source)
{
	struct path src;
	struct release_list l = { 0 };
	struct mount_list tree = { 0 };

	if (!source || !*source)
		return -EINVAL;
	int ret = path_lookup(AT_FDCWD_, source, LOOKUP_FOLLOW, &src);
	if (ret)
		return ret;
	struct mount_namespace *ns = current_ns();
	mutex_lock(&mount_lock);
	struct mount *pm = target->mnt, *m = src.mnt;
	struct dentry *pd = target->dentry;
	topmost_locked(&pm, &pd);
	ret = -EINVAL;
	if (m->ns && m->ns == ns && pm->ns == ns && src.dentry == m->root && m->parent && !m->parent->group) {
		ret = can_attach_locked(m, pm, pd);
		for (struct mount *up = pm; up && !ret; up = up->parent)
			if (up == m)
				ret = -ELOOP;
		if (!ret)
			tree_list_locked(m, m->root, true, true, &tree);
		for (unsigned i = 0; pm->group && i < tree.n; i++)
			if (tree.v[i]->unbindable)
				ret = -EINVAL;
		if (!ret) {
			struct mount *was = m->parent;
			struct dentry *at = m->mountpoint;
			detach_locked(m, &l, false); /* l keeps both until the end */
			ret = attach_tree_locked(&tree, pm, pd);
			if (ret)
				attach_locked(m, was, at, ns);
		}
	}
	mutex_unlock(&mount_lock);
	free(tree.v);
	release_all(&l);
	path_put(&src);
	return ret;
}

/* mount(2) with MS_SHARED, MS_PRIVATE, MS_SLAVE or MS_UNBINDABLE */
static int do_change_type(const struct path *p, unsigned long flags)
{
	unsigned long type = flags & (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE);
	struct mount_list tree = { 0 };

	if ((flags & ~(MS_REC | MS_SILENT) & ~type) || (type & (type - 1)) || p->dentry != p->mnt->root)
		return -EINVAL;
	guard(mutex)(&mount_lock);
	if (!p->mnt->ns)
		return -EINVAL;
	tree_list_locked(p->mnt, p->mnt->root, flags & MS_REC, true, &tree);
	for (unsigned i = 0; i < tree.n; i++)
		mnt_change_propagation_locked(tree.v[i], type);
	ns_changed(p->mnt->ns);
	free(tree.v);
	return 0;
}

static int do_new_mount(const struct path *target, const char *source, const char *type, unsigned long flags, const char *data)
{
	struct super_block *sb;

	if (!type)
		return -EINVAL;
	const struct file_system_type *t = get_fs_type(type);
	if (!t)
		return -ENODEV;
	if (fiber_context()->cred->user_ns->level && !t->user_ns_ok)
		return -EPERM;
	int ret = t->mount(target->mnt->sb->kernel, source ? source : "none", flags, data ? data : "", &sb);
	if (ret)
		return ret;
	if (!sb->source)
		sb->source = xstrdup(source && *source ? source : "none");
	if (flags & MS_RDONLY)
		sb->flags |= MS_RDONLY;
	ret = do_mount_at(target, sb, flags & MNT_FLAGS);
	super_put(sb);
	return ret;
}

int vfs_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)
{
	struct path p;

	if ((flags & MS_MGC_MSK) == MS_MGC_VAL)
		flags &= ~MS_MGC_MSK;
	int ret = path_lookup(AT_FDCWD_, target, LOOKUP_FOLLOW, &p);
	if (ret)
		return ret;
	if (!may_mount()) {
		ret = -EPERM;
	} else if ((flags & (MS_REMOUNT | MS_BIND)) == (MS_REMOUNT | MS_BIND) || (flags & MS_REMOUNT)) {
		guard(mutex)(&mount_lock);
		if (p.dentry != p.mnt->root || !p.mnt->ns) {
			ret = -EINVAL;
		} else if (!(flags & MS_BIND) && data && p.mnt->sb->ops && p.mnt->sb->ops->remount && (ret = p.mnt->sb->ops->remount(p.mnt->sb, data))) {
			; /* an option that it does not take */
		} else {
			unsigned keep = flags & (MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME) ?
						0 : p.mnt->flags & (MS_NOATIME | MS_NODIRATIME | MS_RELATIME);
			p.mnt->flags = (flags & MNT_FLAGS) | keep;
			if (!(flags & MS_BIND))
				p.mnt->sb->flags = (p.mnt->sb->flags & ~MS_RDONLY) | (flags & MS_RDONLY);
			ns_changed(p.mnt->ns);
		}
	} else if (flags & MS_BIND) {
		ret = do_bind(&p, source, flags & MS_REC);
	} else if (flags & (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE)) {
		ret = do_change_type(&p, flags);
	} else if (flags & MS_MOVE) {
		ret = do_move(&p, source);
	} else {
		ret = do_new_mount(&p, source, type, flags, data);
	}
	path_put(&p);
	return ret;
}

/* What goes with the mounts of `tree`, by propagation from the mounts that they stand on: appended to it. A copy that has something else
 * mounted on it stays. 0, or -EBUSY when one is in use and `busy_matters`. */
static int propagate_umount_locked(struct mount_list *tree, bool busy_matters)
{
	unsigned own = tree->n;
	static unsigned pass = 1u << 31; /* mount_lock; apart from tree_list_locked()'s */
	int ret = 0;

	pass++;
	for (unsigned i = 0; i < own; i++)
		tree->v[i]->mark = pass;
	for (unsigned i = own; i-- > 0 && !ret;) { /* children first */
		struct mount *m = tree->v[i], *c, *k;
		struct targets t;

		if (!m->parent)
			continue;
		propagation_targets_locked(m->parent, &t);
		for (int j = 0; j < t.n && !ret; j++) {
			c = lookup_mnt_locked(t.v[j].m, m->mountpoint);
			if (!c || c->mark == pass || !c->ns)
				continue;
			unsigned refs = 1;
			for (k = next_child_locked(c->ns, c, NULL); k; k = next_child_locked(c->ns, c, k), refs++)
				if (k->mark != pass)
					break;
			if (k)
				continue;
			if (busy_matters && refcount_read(&c->ref) > refs) {
				ret = -EBUSY;
				break;
			}
			c->mark = pass;
			list_add(tree, c);
		}
		targets_done(&t);
	}
	return ret;
}

int vfs_umount(const struct path *p, int flags)
{
	struct release_list l = { 0 };
	struct mount_list tree = { 0 };
	int ret = 0;

	if (!may_mount())
		return -EPERM;
	struct mount_namespace *ns = current_ns();
	mutex_lock(&mount_lock);
	struct mount *m = p->mnt;
	if (p->dentry != m->root || !m->ns || m->ns != ns)
		ret = -EINVAL;
	else if (!m->parent)
		ret = flags & MNT_DETACH ? -EINVAL : -EBUSY;
	else if (flags & MNT_EXPIRE)
		ret = -EAGAIN; /* Linux marks the mount; a second call expires it. It never expires here. */
	else if (!(flags & MNT_DETACH) && (next_child_locked(ns, m, NULL) || refcount_read(&m->ref) > 2 /* the tree's and the caller's */))
		ret = -EBUSY;
	if (!ret) {
		tree_list_locked(m, m->root, true, true, &tree);
		ret = propagate_umount_locked(&tree, !(flags & MNT_DETACH));
		/* Children lie before their parents in the part that propagation added, behind them in the other. */
		for (unsigned i = tree.n; !ret && i-- > 0;)
			detach_locked(tree.v[i], &l, true);
	}
	mutex_unlock(&mount_lock);
	if (!ret && m->sb->ops && m->sb->ops->sync)
		m->sb->ops->sync(m->sb);
	free(tree.v);
	release_all(&l);
	return ret;
}

int vfs_pivot_root(const char *new_root, const char *put_old)
{
	struct path new, old, root;
	struct release_list l = { 0 };

	if (!may_mount())
		return -EPERM;
	int ret = path_lookup(AT_FDCWD_, new_root, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &new);
	if (ret)
		return ret;
	ret = path_lookup(AT_FDCWD_, put_old, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &old);
	if (ret) {
		path_put(&new);
		return ret;
	}
	fs_get_root(&root);
	struct mount_namespace *ns = current_ns();
	mutex_lock(&mount_lock);
	struct mount *nm = new.mnt, *rm = root.mnt;
	ret = -EINVAL;
	if (!ns || nm->ns != ns || rm->ns != ns || old.mnt->ns != ns)
		goto out;
	ret = -EBUSY;
	if (nm == rm || old.mnt == rm)
		goto out;
	ret = -EINVAL;
	if (root.dentry != rm->root || new.dentry != nm->root || !nm->parent)
		goto out;
	if (old.mnt->group || nm->parent->group || (rm->parent && rm->parent->group))
		goto out;
	/* put_old must be at or below the new root */
	struct mount *m = old.mnt;
	struct dentry *d = old.dentry;
	while (m && !(m == nm && d_is_ancestor(new.dentry, d))) {
		d = m->mountpoint;
		m = m->parent;
	}
	if (!m)
		goto out;
	struct mount *rparent = rm->parent;
	struct dentry *rmp = rm->mountpoint;
	bool ns_root = ns->root == rm;
	detach_locked(nm, &l, false);
	detach_locked(rm, &l, false);
	attach_locked(nm, rparent, rmp, ns);
	attach_locked(rm, old.mnt, old.dentry, ns);
	if (ns_root)
		ns->root = nm;
	ret = 0;
out:
	mutex_unlock(&mount_lock);
	release_all(&l);
	if (!ret) {
		struct fs_context *fs = fiber_context()->fs;
		struct path cwd;
		fs_get_pwd(&cwd);
		fs_context_set_root(fs, &new);
		if (cwd.mnt == root.mnt && cwd.dentry == root.dentry)
			fs_context_set_cwd(fs, &new);
		path_put(&cwd);
	}
	path_put(&root);
	path_put(&old);
	path_put(&new);
	return ret;
}

void mount_ns_sync(struct mount_namespace *ns)
{
	unsigned n = 0;
	struct mount *m, **v;

	mutex_lock(&mount_lock);
	v = xcalloc(ns->nmounts + 1, sizeof(*v));
	TAILQ_FOREACH(m, &ns->mounts, ns_link) {
		if (m->sb->ops && m->sb->ops->sync) {
			mnt_get(m);
			v[n++] = m;
		}
	}
	mutex_unlock(&mount_lock);
	while (n--) {
		v[n]->sb->ops->sync(v[n]->sb);
		mnt_put(v[n]);
	}
	free(v);
}
