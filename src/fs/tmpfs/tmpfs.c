/* SPDX-License-Identifier: Apache-2.0 */
/* tmpfs.c: the in-memory file system (tmpfs(5)): inodes, names, attributes, options.
 *
 * A directory is two trees over the same entries: by name, and by the order they came (readdir's offsets, which stay valid while
 * the directory changes). Names hold their inodes; dentries only cache them. File contents are mm's shared memory objects.
 */
#include "fs/tmpfs/internal.h"
#include "mm/mm.h"
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#define TMPFS_MAGIC 0x01021994

static int name_cmp(const struct tmpfs_entry *a, const struct tmpfs_entry *b)
{
	int c = memcmp(a->name, b->name, MIN(a->len, b->len));
	return c ? c : (a->len > b->len) - (a->len < b->len);
}
static int off_cmp(const struct tmpfs_entry *a, const struct tmpfs_entry *b) { return a->off < b->off ? -1 : a->off > b->off; }
RB_GENERATE_INTERNAL(tmpfs_names, tmpfs_entry, by_name, name_cmp, static __attribute__((unused)))
RB_GENERATE_INTERNAL(tmpfs_offs, tmpfs_entry, by_off, off_cmp, static __attribute__((unused)))

static const struct inode_ops dir_ops, reg_ops, link_ops, special_ops;

static struct tmpfs_entry *find(struct inode *dir, const char *name, size_t len)
{
	struct tmpfs_entry *e = RB_ROOT(&TI(dir)->names);

	while (e) {
		int c = memcmp(name, e->name, MIN(len, (size_t)e->len));
		if (!c)
			c = (len > e->len) - (len < e->len);
		if (!c)
			return e;
		e = c < 0 ? RB_LEFT(e, by_name) : RB_RIGHT(e, by_name);
	}
	return NULL;
}

static void dir_changed(struct inode *dir, int delta)
{
	struct timespec now = vfs_now();

	guard(mutex)(&dir->attr_lock);
	dir->size += 20 * delta; /* BOGO_DIRENT_SIZE, which programs have come to see */
	dir->mtime = dir->ctime = now;
}

static void changed(struct inode *i, int links)
{
	struct timespec now = vfs_now();

	guard(mutex)(&i->attr_lock);
	i->nlink += links;
	i->ctime = now;
}

static void add_entry(struct inode *dir, const char *name, struct inode *i /* counted by the entry */)
{
	size_t len = strlen(name);
	struct tmpfs_entry *e = xzalloc(sizeof(*e) + len + 1);

	memcpy(e->name, name, len + 1);
	e->len = len;
	inode_get(i);
	e->inode = i;
	e->off = TI(dir)->next_off++;
	RB_INSERT(tmpfs_names, &TI(dir)->names, e);
	RB_INSERT(tmpfs_offs, &TI(dir)->offs, e);
	dir_changed(dir, 1);
}

static void del_entry(struct inode *dir, struct tmpfs_entry *e)
{
	RB_REMOVE(tmpfs_names, &TI(dir)->names, e);
	RB_REMOVE(tmpfs_offs, &TI(dir)->offs, e);
	inode_put(e->inode); /* never the last: the caller's dentry holds one */
	free(e);
	dir_changed(dir, -1);
}

/* Shown in /proc/PID/maps through the file's path; here only what the object itself can say. */
static void describe(void *arg, char *buf, size_t size, uint64_t *dev, uint64_t *ino)
{
	struct inode *i = arg;

	if (size)
		buf[0] = 0;
	*dev = i->sb->dev;
	*ino = i->ino;
}

static int new_inode(struct super_block *sb, struct inode *dir, uint32_t mode, struct inode **out)
{
	struct tmpfs_super *ts = TS(sb);

	if (atomic_fetch_add(&ts->inodes, 1) >= ts->max_inodes && ts->max_inodes) {
		atomic_fetch_sub(&ts->inodes, 1);
		return -ENOSPC;
	}
	const struct inode_ops *ops = S_ISDIR(mode) ? &dir_ops : S_ISREG(mode) ? &reg_ops : S_ISLNK(mode) ? &link_ops : &special_ops;
	struct inode *i = inode_new(sb, mode, ops);
	struct tmpfs_inode *ti = new(struct tmpfs_inode);

	i->private = ti;
	LIST_INIT(&ti->xattrs);
	if (dir && (dir->mode & S_ISGID)) { /* as BSD: the directory's group, handed on to directories */
		i->gid = dir->gid;
		if (S_ISDIR(mode))
			i->mode |= S_ISGID;
		else if ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && !cred_in_group(fiber_context()->cred, i->gid) &&
			 !capable_wrt_inode(i, 4 /* CAP_FSETID */))
			i->mode &= ~S_ISGID;
	}
	if (S_ISREG(mode)) {
		ti->shm = shm_object_create("tmpfs");
		shm_object_set_describe(ti->shm, describe, i);
	} else if (S_ISDIR(mode)) {
		RB_INIT(&ti->names);
		RB_INIT(&ti->offs);
		ti->next_off = 2;
		ti->parent = dir ? dir : i;
		i->nlink = 2;
		i->size = 40;
	}
	*out = i;
	return 0;
}

/* Take all entries out of a directory onto a list. */
static void steal_entries(struct tmpfs_inode *ti, struct tmpfs_entry **list)
{
	struct tmpfs_entry *e;

	while ((e = RB_ROOT(&ti->offs))) {
		RB_REMOVE(tmpfs_offs, &ti->offs, e);
		e->next = *list;
		*list = e;
	}
	RB_INIT(&ti->names);
}

static void tmpfs_evict(struct inode *i)
{
	struct tmpfs_inode *ti = TI(i);
	struct tmpfs_super *ts = TS(i->sb);
	struct tmpfs_xattr *x;

	if (S_ISDIR(i->mode)) { /* only at unmount are there entries left; the tree may be deeper than this stack */
		struct tmpfs_entry *e, *list = NULL;
		steal_entries(ti, &list);
		while ((e = list)) {
			list = e->next;
			if (S_ISDIR(e->inode->mode) && refcount_read(&e->inode->ref) == 1)
				steal_entries(TI(e->inode), &list);
			inode_put(e->inode);
			free(e);
		}
	}
	if (ti->shm) {
		shm_object_set_describe(ti->shm, NULL, NULL);
		shm_object_put(ti->shm);
	}
	while ((x = LIST_FIRST(&ti->xattrs))) {
		LIST_REMOVE(x, link);
		free(x->value);
		free(x);
	}
	if (ts) {
		atomic_fetch_sub(&ts->pages, ti->charged);
		atomic_fetch_sub(&ts->inodes, 1);
	}
	free(ti);
}

/* ---- directory operations; dir->lock held ---- */

static int tmpfs_lookup(struct inode *dir, const char *name, size_t len, struct inode **out)
{
	struct tmpfs_entry *e = find(dir, name, len);

	if (!e)
		return -ENOENT;
	inode_get(e->inode);
	*out = e->inode;
	return 0;
}

static int tmpfs_mknod(struct inode *dir, const char *name, uint32_t mode, uint64_t rdev, struct inode **out)
{
	struct inode *i;
	int ret = new_inode(dir->sb, dir, mode, &i);

	if (ret)
		return ret;
	i->rdev = rdev;
	add_entry(dir, name, i);
	if (S_ISDIR(mode))
		changed(dir, 1);
	*out = i;
	return 0;
}

static int tmpfs_creat(struct inode *dir, const char *name, uint32_t mode, struct inode **out)
{
	return tmpfs_mknod(dir, name, mode, 0, out);
}

static int tmpfs_mkdir(struct inode *dir, const char *name, uint32_t mode, struct inode **out)
{
	return tmpfs_mknod(dir, name, mode, 0, out);
}

static int tmpfs_symlink(struct inode *dir, const char *name, const char *target, struct inode **out)
{
	struct inode *i;
	int ret = new_inode(dir->sb, dir, S_IFLNK | 0777, &i);

	if (ret)
		return ret;
	i->link = xstrdup(target);
	i->size = strlen(target);
	add_entry(dir, name, i);
	*out = i;
	return 0;
}

static int tmpfs_link(struct inode *dir, const char *name, struct inode *target)
{
	if (target->nlink >= 0x7fffffff)
		return -EMLINK;
	changed(target, 1);
	add_entry(dir, name, target);
	return 0;
}

static int tmpfs_unlink(struct inode *dir, const char *name, struct inode *target)
{
	struct tmpfs_entry *e = find(dir, name, strlen(name));

	if (!e || e->inode != target)
		return -ENOENT;
	changed(target, -1);
	del_entry(dir, e);
	return 0;
}

static int tmpfs_rmdir(struct inode *dir, const char *name, struct inode *target)
{
	struct tmpfs_entry *e = find(dir, name, strlen(name));

	if (!e || e->inode != target)
		return -ENOENT;
	if (!RB_EMPTY(&TI(target)->names))
		return -ENOTEMPTY;
	changed(target, -2);
	changed(dir, -1);
	del_entry(dir, e);
	return 0;
}

static int tmpfs_rename(struct inode *od, const char *on, struct inode *oi, struct inode *nd, const char *nn, struct inode *ni, unsigned flags)
{
	struct tmpfs_entry *oe = find(od, on, strlen(on)), *ne = ni ? find(nd, nn, strlen(nn)) : NULL;
	bool odir = S_ISDIR(oi->mode), ndir = ni && S_ISDIR(ni->mode);

	if (!oe || oe->inode != oi || (ni && (!ne || ne->inode != ni)))
		return -ENOENT;
	if (flags & 2 /* EXCHANGE */) {
		oe->inode = ni;
		ne->inode = oi;
		if (od != nd) {
			if (odir) {
				changed(od, -1);
				changed(nd, 1);
				TI(oi)->parent = nd;
			}
			if (ndir) {
				changed(nd, -1);
				changed(od, 1);
				TI(ni)->parent = od;
			}
		}
		dir_changed(od, 0);
		dir_changed(nd, 0);
		changed(oi, 0);
		changed(ni, 0);
		return 0;
	}
	struct inode *white = NULL;
	if (flags & 4 /* WHITEOUT */) {
		int ret = new_inode(od->sb, NULL, S_IFCHR | 0, &white);
		if (ret)
			return ret;
	}
	if (ne) {
		if (ndir && !RB_EMPTY(&TI(ni)->names)) {
			inode_put(white);
			return -ENOTEMPTY;
		}
		changed(ni, ndir ? -2 : -1);
		if (ndir)
			changed(nd, -1);
		del_entry(nd, ne);
	}
	add_entry(nd, nn, oi);
	del_entry(od, oe);
	if (white) {
		add_entry(od, on, white);
		inode_put(white);
	}
	if (odir) {
		changed(od, -1);
		changed(nd, 1);
		TI(oi)->parent = nd;
	}
	changed(oi, 0);
	return 0;
}

static int tmpfs_tmpfile(struct inode *dir, uint32_t mode, struct inode **out)
{
	int ret = new_inode(dir->sb, dir, mode, out);

	if (!ret)
		(*out)->nlink = 0;
	return ret;
}

/* ---- attributes ---- */

static int tmpfs_getattr(struct inode *i, struct kstat *st)
{
	generic_getattr(i, st);
	st->has_btime = true;
	st->blksize = 4096;
	if (S_ISREG(i->mode)) {
		st->size = shm_object_size(TI(i)->shm);
		st->blocks = shm_object_blocks(TI(i)->shm);
	} else {
		st->blocks = 0;
	}
	return 0;
}

static int tmpfs_setattr(struct inode *i, const struct iattr *a)
{
	if (a->valid & ATTR_SIZE) {
		guard(sleeplock)(&i->lock);
		int ret = shm_object_truncate(TI(i)->shm, a->size);
		if (ret)
			return ret;
		tmpfs_settle(i);
		return generic_setattr(i, a);
	}
	return generic_setattr(i, a);
}

static int tmpfs_open(struct inode *i, struct file *f)
{
	f->ops = S_ISDIR(i->mode) ? &tmpfs_dir_ops : &tmpfs_file_ops;
	return 0;
}

static struct tmpfs_xattr *xattr_find(struct inode *i, const char *name)
{
	struct tmpfs_xattr *x;

	LIST_FOREACH(x, &TI(i)->xattrs, link)
		if (!strcmp(x->name, name))
			return x;
	return NULL;
}

static ssize_t tmpfs_getxattr(struct inode *i, const char *name, void *buf, size_t size)
{
	if (!strncmp(name, "system.", 7))
		return -EOPNOTSUPP;
	guard(mutex)(&i->attr_lock);
	struct tmpfs_xattr *x = xattr_find(i, name);
	if (!x)
		return -ENODATA;
	if (!size)
		return x->size;
	if (size < x->size)
		return -ERANGE;
	memcpy(buf, x->value, x->size);
	return x->size;
}

#define XATTR_TOTAL_MAX (1 << 20) /* per inode: what a guest may pile up outside the size limit */

static int tmpfs_setxattr(struct inode *i, const char *name, const void *buf, size_t size, int flags)
{
	if (!strncmp(name, "system.", 7))
		return -EOPNOTSUPP;
	void *v = kzalloc(size);
	if (!v)
		return -ENOMEM;
	memcpy(v, buf, size);
	struct timespec now = vfs_now();
	guard(mutex)(&i->attr_lock);
	struct tmpfs_xattr *x = xattr_find(i, name), *y;
	int ret = 0;
	size_t total = size;
	LIST_FOREACH(y, &TI(i)->xattrs, link)
		total += y->size + strlen(y->name);
	if (x && (flags & XATTR_CREATE))
		ret = -EEXIST;
	else if (!x && (flags & XATTR_REPLACE))
		ret = -ENODATA;
	else if (total > XATTR_TOTAL_MAX)
		ret = -ENOSPC;
	if (ret) {
		free(v);
		return ret;
	}
	if (!x) {
		x = xzalloc(sizeof(*x) + strlen(name) + 1);
		memcpy(x->name, name, strlen(name) + 1);
		LIST_INSERT_HEAD(&TI(i)->xattrs, x, link);
	}
	free(x->value);
	x->value = v;
	x->size = size;
	i->ctime = now;
	return 0;
}

static ssize_t tmpfs_listxattr(struct inode *i, char *buf, size_t size)
{
	bool admin = cred_has_cap(fiber_context()->cred, 21 /* CAP_SYS_ADMIN: trusted.* is shown to it only */);
	struct tmpfs_xattr *x;
	size_t n = 0;

	guard(mutex)(&i->attr_lock);
	LIST_FOREACH(x, &TI(i)->xattrs, link) {
		size_t l = strlen(x->name) + 1;
		if (!admin && !strncmp(x->name, "trusted.", 8))
			continue;
		if (size) {
			if (n + l > size)
				return -ERANGE;
			memcpy(buf + n, x->name, l);
		}
		n += l;
	}
	return n;
}

static int tmpfs_removexattr(struct inode *i, const char *name)
{
	struct timespec now = vfs_now();

	guard(mutex)(&i->attr_lock);
	struct tmpfs_xattr *x = xattr_find(i, name);
	if (!x)
		return -ENODATA;
	LIST_REMOVE(x, link);
	free(x->value);
	free(x);
	i->ctime = now;
	return 0;
}

static int tmpfs_keep_flags(struct inode *i, unsigned flags) { return 0; } /* inodes stay in memory */

#define COMMON_OPS                                                                                                                         \
	.getattr = tmpfs_getattr, .setattr = tmpfs_setattr, .getxattr = tmpfs_getxattr, .setxattr = tmpfs_setxattr,                        \
	.listxattr = tmpfs_listxattr, .removexattr = tmpfs_removexattr, .evict = tmpfs_evict

static const struct inode_ops dir_ops = {
	COMMON_OPS,
	.lookup = tmpfs_lookup,
	.create = tmpfs_creat,
	.mknod = tmpfs_mknod,
	.mkdir = tmpfs_mkdir,
	.symlink = tmpfs_symlink,
	.link = tmpfs_link,
	.unlink = tmpfs_unlink,
	.rmdir = tmpfs_rmdir,
	.rename = tmpfs_rename,
	.tmpfile = tmpfs_tmpfile,
	.open = tmpfs_open,
	.keep_flags = tmpfs_keep_flags,
};
static const struct inode_ops reg_ops = { COMMON_OPS, .open = tmpfs_open, .keep_flags = tmpfs_keep_flags };
static const struct inode_ops link_ops = { COMMON_OPS };
static const struct inode_ops special_ops = { COMMON_OPS };

/* ---- super block ---- */

static uint64_t host_pages(void) { return (uint64_t)sysconf(_SC_PHYS_PAGES); }

/* "64m", "50%": bytes, or -1 */
static int64_t parse_size(const char *s)
{
	char *end;
	errno = 0;
	unsigned long long v = strtoull(s, &end, 10);
	if (end == s || errno)
		return -1;
	if (*end == '%' && !end[1])
		return (int64_t)(host_pages() * 4096 / 100 * v);
	int shift = 0;
	switch (tolower((unsigned char)*end)) {
	case 'k': shift = 10; end++; break;
	case 'm': shift = 20; end++; break;
	case 'g': shift = 30; end++; break;
	case 't': shift = 40; end++; break;
	}
	if (*end || v > (uint64_t)INT64_MAX >> shift)
		return -1;
	return (int64_t)(v << shift);
}

static int parse_options(struct tmpfs_super *ts, const char *data)
{
	char *copy = xstrdup(data), *save = NULL, *o;
	int ret = 0;

	for (o = strtok_r(copy, ",", &save); o && !ret; o = strtok_r(NULL, ",", &save)) {
		char *v = strchr(o, '='), *end = NULL;
		int64_t n = 0;
		if (v)
			*v++ = 0;
		if (v && !strcmp(o, "size") && (n = parse_size(v)) >= 0)
			ts->max_pages = (n + 4095) / 4096;
		else if (v && !strcmp(o, "nr_blocks") && (n = parse_size(v)) >= 0)
			ts->max_pages = n;
		else if (v && !strcmp(o, "nr_inodes") && (n = parse_size(v)) >= 0)
			ts->max_inodes = n;
		else if (v && !strcmp(o, "mode") && (ts->mode = strtoul(v, &end, 8), end && !*end && end != v))
			ts->mode &= 07777;
		else if (v && !strcmp(o, "uid") && (n = strtoll(v, &end, 10), end != v && !*end) && n >= 0 && n < UINT32_MAX)
			ts->uid = fiber_self() ? make_kuid(fiber_context()->cred->user_ns, n) : (uint32_t)n;
		else if (v && !strcmp(o, "gid") && (n = strtoll(v, &end, 10), end != v && !*end) && n >= 0 && n < UINT32_MAX)
			ts->gid = fiber_self() ? make_kgid(fiber_context()->cred->user_ns, n) : (uint32_t)n;
		else if (!strcmp(o, "huge") || !strcmp(o, "mpol") || !strcmp(o, "inode32") || !strcmp(o, "inode64") || !strcmp(o, "noswap"))
			; /* tuning only */
		else
			ret = -EINVAL;
		if (ts->uid == KID_INVALID || ts->gid == KID_INVALID)
			ret = -EINVAL;
	}
	free(copy);
	return ret;
}

static int tmpfs_statfs(struct super_block *sb, struct statfs *st)
{
	struct tmpfs_super *ts = TS(sb);

	st->f_type = TMPFS_MAGIC;
	st->f_bsize = st->f_frsize = 4096;
	st->f_namelen = 255;
	if (ts->max_pages) {
		uint64_t used = MIN(atomic_load(&ts->pages), ts->max_pages);
		st->f_blocks = ts->max_pages;
		st->f_bfree = st->f_bavail = ts->max_pages - used;
	}
	if (ts->max_inodes) {
		st->f_files = ts->max_inodes;
		st->f_ffree = ts->max_inodes - MIN(atomic_load(&ts->inodes), ts->max_inodes);
	}
	return 0;
}

static int tmpfs_show_options(struct super_block *sb, char *buf, size_t size)
{
	struct tmpfs_super *ts = TS(sb);
	size_t n = 0;

	buf[0] = 0;
	if (ts->max_pages && ts->max_pages != host_pages() / 2)
		n += snprintf(buf + n, size - n, ",size=%luk", (unsigned long)ts->max_pages * 4);
	if (ts->max_inodes && ts->max_inodes != host_pages() / 2)
		n += snprintf(buf + n, size - n, ",nr_inodes=%lu", (unsigned long)ts->max_inodes);
	if (ts->mode != 01777)
		n += snprintf(buf + n, size - n, ",mode=%03o", ts->mode);
	if (ts->uid)
		n += snprintf(buf + n, size - n, ",uid=%u", ts->uid);
	if (ts->gid)
		n += snprintf(buf + n, size - n, ",gid=%u", ts->gid);
	return 0;
}

static void tmpfs_put_super(struct super_block *sb)
{
	/* An inode that outlives the mount (in a watch) still looks at this when it goes: then these few bytes stay. */
	if (!atomic_load(&TS(sb)->inodes)) {
		free(sb->private);
		sb->private = NULL;
	}
}

static const struct super_ops tmpfs_super_ops = {
	.statfs = tmpfs_statfs,
	.put_super = tmpfs_put_super,
	.show_options = tmpfs_show_options,
};

int tmpfs_create(struct kernel *k, const char *options, struct super_block **out)
{
	struct super_block *sb = super_new(k, "tmpfs", &tmpfs_super_ops);
	struct tmpfs_super *ts = new(struct tmpfs_super);
	struct cred *c = fiber_self() ? fiber_context()->cred : NULL;

	sb->private = ts;
	sb->magic = TMPFS_MAGIC;
	ts->max_pages = ts->max_inodes = host_pages() / 2;
	ts->mode = 01777;
	ts->uid = c ? c->fsuid : 0;
	ts->gid = c ? c->fsgid : 0;
	int ret = parse_options(ts, options ? options : "");
	if (!ret)
		ret = new_inode(sb, NULL, S_IFDIR | ts->mode, &sb->root);
	if (ret) {
		super_put(sb);
		return ret;
	}
	sb->root->uid = ts->uid;
	sb->root->gid = ts->gid;
	*out = sb;
	return 0;
}

static int tmpfs_mount(struct kernel *k, const char *source, unsigned long flags, const char *data, struct super_block **out)
{
	return tmpfs_create(k, data, out);
}

static const struct file_system_type tmpfs_type = { .name = "tmpfs", .mount = tmpfs_mount, .nodev = true, .user_ns_ok = true };

void tmpfs_register(void) { register_filesystem(&tmpfs_type); }
