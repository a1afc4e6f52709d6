/* SPDX-License-Identifier: Apache-2.0 */
/* devpts.c: the file system of pseudo-terminals: ptmx, and one node for each open master. Each mount is an instance of its own.
 *
 * LIFECYCLE  A node appears when ptmx is opened and goes when the master is closed. The node's inode counts the tty. A tty counts
 * the super block while its master is open.  LOCKS  devpts.lock (RANK_FS): the table.
 */
#include "fs/devpts/devpts.h"
#include "kernel/tty.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define DEVPTS_MAGIC 0x1cd1
#define PTS_NONE (1u << 20) /* max= not given */

struct devpts {
	struct super_block *sb;
	struct kernel *kernel;
	struct inode *ptmx; /* counted */
	/* immutable */
	bool setuid, setgid, reserve;
	uint32_t uid, gid, mode, ptmxmode;
	unsigned max;
	struct mutex lock; /* RANK_FS */
	unsigned cap;
	struct inode **nodes; /* counted, by number */
};

static struct devpts *devpts_of(struct super_block *sb) { return sb->private; }

static int pts_open(struct inode *inode, struct file *f) { return tty_open_slave(inode->private, f); }
static void pts_evict(struct inode *inode) { tty_put(inode->private); }
static const struct inode_ops pts_inode_ops = { .open = pts_open, .evict = pts_evict };

/* Give t a number and a node; takes no reference of the caller's. The number or -errno. */
static int add_node(struct devpts *d, struct tty *t)
{
	const struct cred *c = fiber_self() ? fiber_context()->cred : NULL;
	struct inode *i = inode_new(d->sb, S_IFCHR | d->mode, &pts_inode_ops);
	unsigned n;

	i->uid = d->setuid ? d->uid : c ? c->fsuid : 0;
	i->gid = d->setgid ? d->gid : c ? c->fsgid : 0;
	mutex_lock(&d->lock);
	for (n = 0; n < d->cap && d->nodes[n]; n++)
		;
	/* The reserve is for the first instance, the one that everybody's /dev/ptmx leads to. */
	int limit = atomic_load(&d->kernel->pty_max) - (d->reserve ? 0 : atomic_load(&d->kernel->pty_reserve));
	bool full = atomic_fetch_add(&d->kernel->pty_count, 1) + 1 >= limit;
	if (full || n >= d->max) {
		atomic_fetch_sub(&d->kernel->pty_count, 1);
		mutex_unlock(&d->lock);
		inode_put(i);
		return -ENOSPC;
	}
	if (n == d->cap) {
		unsigned cap = d->cap ? d->cap * 2 : 16;
		d->nodes = xrealloc(d->nodes, cap * sizeof(*d->nodes));
		memset(d->nodes + d->cap, 0, (cap - d->cap) * sizeof(*d->nodes));
		d->cap = cap;
	}
	tty_get(t);
	i->private = t;
	i->ino = n + 3;
	i->rdev = makedev(136 + n / 256, n % 256);
	d->nodes[n] = i;
	mutex_unlock(&d->lock);
	return n;
}

static void master_closed(struct tty *t, void *arg)
{
	struct devpts *d = arg;
	struct inode *i = NULL;
	unsigned n = tty_index(t);

	mutex_lock(&d->lock);
	if (n < d->cap) {
		i = d->nodes[n];
		d->nodes[n] = NULL;
	}
	mutex_unlock(&d->lock);
	if (i) {
		atomic_fetch_sub(&d->kernel->pty_count, 1);
		i->nlink = 0;
		inode_put(i);
	}
	super_put(d->sb);
}

/* The instance for a node 5:2: its own file system's, or what is mounted at `pts` beside it. */
static int find_pts(const struct path *node, struct path *root)
{
	int r = vfs_path_child(node, true, "pts", root);

	if (r)
		return r == -ENOENT ? -ENODEV : r;
	struct inode *i = path_inode(root);
	if (i->sb->magic == DEVPTS_MAGIC && i == i->sb->root)
		return 0;
	path_put(root);
	return -ENODEV;
}

/* TIOCGPTPEER: the slave in the instance that the master was opened in, wherever that is mounted. */
static int open_peer(struct tty *t, struct file *master, unsigned flags, struct file **out)
{
	bool own = master->inode->sb->magic == DEVPTS_MAGIC;
	struct path pts, p;
	char name[16];
	int r = own ? 0 : find_pts(&master->path, &pts);

	if (r)
		return r;
	snprintf(name, sizeof(name), "%d", tty_index(t));
	r = vfs_path_child(own ? &master->path : &pts, own, name, &p);
	if (!own)
		path_put(&pts);
	if (r)
		return r;
	struct inode *i = path_inode(&p);
	r = i->sb->magic == DEVPTS_MAGIC && i->private == t ? vfs_open_unchecked(&p, flags, out) : -EIO;
	path_put(&p);
	return r;
}

static int do_ptmx_open(struct devpts *d, struct file *f)
{
	struct tty *t = tty_pty_create(d->kernel, -1);

	if (!t)
		return -ENOMEM;
	int n = add_node(d, t);
	if (n < 0) {
		tty_put(t);
		return n;
	}
	super_get(d->sb);
	struct devpts_hooks h = { master_closed, open_peer, d };
	tty_set_devpts(t, &h, n);
	return tty_open_master(t, f);
}

static int ptmx_open(struct inode *inode, struct file *f) { return do_ptmx_open(devpts_of(inode->sb), f); }
static const struct inode_ops ptmx_inode_ops = { .open = ptmx_open };

/* A node 5:2 anywhere. */
static int ptmx_chrdev_open(struct inode *inode, struct file *f)
{
	struct path pts;

	if (inode->ops == &ptmx_inode_ops)
		return ptmx_open(inode, f);
	int r = find_pts(&f->path, &pts);
	if (r)
		return r;
	r = do_ptmx_open(devpts_of(path_inode(&pts)->sb), f);
	path_put(&pts);
	return r;
}

static int devpts_lookup(struct inode *dir, const char *name, size_t len, struct inode **out)
{
	struct devpts *d = devpts_of(dir->sb);
	unsigned n = 0;

	if (len == 4 && !memcmp(name, "ptmx", 4)) {
		inode_get(d->ptmx);
		*out = d->ptmx;
		return 0;
	}
	if (!len || len > 7 || (name[0] == '0' && len > 1))
		return -ENOENT;
	for (size_t i = 0; i < len; i++) {
		if (name[i] < '0' || name[i] > '9')
			return -ENOENT;
		n = n * 10 + (name[i] - '0');
	}
	guard(mutex)(&d->lock);
	if (n >= d->cap || !d->nodes[n])
		return -ENOENT;
	inode_get(d->nodes[n]);
	*out = d->nodes[n];
	return 0;
}

static int devpts_iterate(struct file *f, struct dir_context *c)
{
	struct devpts *d = devpts_of(f->inode->sb);
	char name[16];

	if (c->pos == 0) {
		if (!c->emit(c, ".", 1, f->inode->ino, DT_DIR, 1))
			return 0;
		c->pos = 1;
	}
	if (c->pos == 1) {
		if (!c->emit(c, "..", 2, f->inode->ino, DT_DIR, 2))
			return 0;
		c->pos = 2;
	}
	if (c->pos == 2) {
		if (!c->emit(c, "ptmx", 4, d->ptmx->ino, DT_CHR, 3))
			return 0;
		c->pos = 3;
	}
	for (;;) {
		unsigned n = c->pos - 3;
		mutex_lock(&d->lock);
		while (n < d->cap && !d->nodes[n])
			n++;
		bool any = n < d->cap;
		mutex_unlock(&d->lock);
		if (!any)
			return 0;
		int len = snprintf(name, sizeof(name), "%u", n);
		if (!c->emit(c, name, len, n + 3, DT_CHR, n + 4))
			return 0;
		c->pos = n + 4;
	}
}

static const struct file_ops devpts_dir_ops = { .iterate = devpts_iterate, .llseek = cursor_llseek };

static int devpts_dir_open(struct inode *inode, struct file *f)
{
	f->ops = &devpts_dir_ops;
	return 0;
}

static const struct inode_ops devpts_dir_inode_ops = { .lookup = devpts_lookup, .open = devpts_dir_open };

static int parse_options(struct devpts *d, const char *data)
{
	char *copy, *save = NULL;
	int r = 0;

	if (!data || !*data)
		return 0;
	copy = xstrdup(data);
	for (char *o = strtok_r(copy, ",", &save); o && !r; o = strtok_r(NULL, ",", &save)) {
		char *eq = strchr(o, '='), *end;
		if (!strcmp(o, "newinstance"))
			continue;
		if (!eq || !eq[1]) {
			r = -EINVAL;
			break;
		}
		*eq++ = 0;
		bool octal = !strcmp(o, "mode") || !strcmp(o, "ptmxmode");
		unsigned long v = strtoul(eq, &end, octal ? 8 : 10);
		if (*end || v > UINT32_MAX) {
			r = -EINVAL;
		} else if (!strcmp(o, "uid") || !strcmp(o, "gid")) {
			struct cred *c = fiber_self() ? fiber_context()->cred : NULL;
			bool uid = o[0] == 'u';
			uint32_t id = !c ? v : uid ? make_kuid(c->user_ns, v) : make_kgid(c->user_ns, v);
			if (id == KID_INVALID)
				r = -EINVAL;
			else if (uid)
				d->uid = id, d->setuid = true;
			else
				d->gid = id, d->setgid = true;
		} else if (!strcmp(o, "mode")) {
			d->mode = v & 07777;
		} else if (!strcmp(o, "ptmxmode")) {
			d->ptmxmode = v & 07777;
		} else if (!strcmp(o, "max")) {
			if (v > PTS_NONE)
				r = -EINVAL;
			d->max = v;
		} else {
			r = -EINVAL;
		}
	}
	free(copy);
	return r;
}

static int devpts_show_options(struct super_block *sb, char *buf, size_t size)
{
	struct devpts *d = devpts_of(sb);
	int n = 0;

	buf[0] = 0;
	if (d->setuid)
		n += snprintf(buf + n, size - n, ",uid=%u", d->uid);
	if (d->setgid)
		n += snprintf(buf + n, size - n, ",gid=%u", d->gid);
	n += snprintf(buf + n, size - n, ",mode=%03o,ptmxmode=%03o", d->mode, d->ptmxmode);
	return d->max < PTS_NONE ? n + snprintf(buf + n, size - n, ",max=%u", d->max) : n;
}

static void devpts_put_super(struct super_block *sb)
{
	struct devpts *d = devpts_of(sb);

	tty_forget_devpts(d->kernel, d);
	for (unsigned n = 0; n < d->cap; n++) /* only the host's terminal can be left */
		if (d->nodes[n])
			inode_put(d->nodes[n]);
	inode_put(d->ptmx);
	free(d->nodes);
	free(d);
}

static const struct super_ops devpts_super_ops = { .put_super = devpts_put_super, .show_options = devpts_show_options };

/* The sandbox's own terminal gets a name here. */
static void place_host(void *devpts, struct tty *t)
{
	struct devpts_hooks none = { 0 };
	int n = add_node(devpts, t);

	if (n >= 0)
		tty_set_devpts(t, &none, n);
	tty_put(t);
}

static int devpts_mount(struct kernel *k, const char *source, unsigned long flags, const char *data, struct super_block **out)
{
	struct devpts *d = new(struct devpts);

	d->kernel = k;
	d->mode = 0600;
	d->max = PTS_NONE;
	mutex_init(&d->lock, RANK_FS);
	int r = parse_options(d, data);
	if (r) {
		free(d);
		return r;
	}
	struct super_block *sb = super_new(k, "devpts", &devpts_super_ops);
	sb->private = d;
	sb->magic = DEVPTS_MAGIC;
	sb->blksize = 1024;
	sb->no_dcache = true;
	sb->source = sb->source ? sb->source : xstrdup(source ? source : "devpts");
	d->sb = sb;
	sb->root = inode_new(sb, S_IFDIR | 0755, &devpts_dir_inode_ops);
	sb->root->ino = 1;
	sb->root->nlink = 2;
	sb->root->uid = sb->root->gid = 0;
	d->ptmx = inode_new(sb, S_IFCHR | d->ptmxmode, &ptmx_inode_ops);
	d->ptmx->ino = 2;
	d->ptmx->rdev = makedev(5, 2);
	d->ptmx->uid = d->ptmx->gid = 0;
	d->reserve = tty_first_devpts(k, d, place_host) == d;
	if (d->reserve) {
		struct tty *host = tty_take_host(k);
		if (host)
			place_host(d, host);
	}
	*out = sb;
	return 0;
}

void devpts_register(void)
{
	static const struct file_system_type t = { .name = "devpts", .mount = devpts_mount, .user_ns_ok = true };

	register_filesystem(&t);
	register_chrdev(5, 2, 1, ptmx_chrdev_open);
}
