/* SPDX-License-Identifier: Apache-2.0 */
/* devtmpfs.c: /dev: a tmpfs that begins with the names that every program expects. */
#include "fs/dev/dev_internal.h"
#include <sys/sysmacros.h>

static const struct {
	const char *name;
	uint32_t mode;
	unsigned major, minor;
	const char *target;
} names[] = {
	{ "null", S_IFCHR | 0666, 1, 3, NULL },
	{ "zero", S_IFCHR | 0666, 1, 5, NULL },
	{ "full", S_IFCHR | 0666, 1, 7, NULL },
	{ "random", S_IFCHR | 0666, 1, 8, NULL },
	{ "urandom", S_IFCHR | 0666, 1, 9, NULL },
	{ "kmsg", S_IFCHR | 0644, 1, 11, NULL },
	{ "tty", S_IFCHR | 0666, 5, 0, NULL },
	{ "console", S_IFCHR | 0600, 5, 1, NULL },
	{ "ptmx", S_IFLNK | 0777, 0, 0, "pts/ptmx" },
	{ "fd", S_IFLNK | 0777, 0, 0, "/proc/self/fd" },
	{ "stdin", S_IFLNK | 0777, 0, 0, "/proc/self/fd/0" },
	{ "stdout", S_IFLNK | 0777, 0, 0, "/proc/self/fd/1" },
	{ "stderr", S_IFLNK | 0777, 0, 0, "/proc/self/fd/2" },
	{ "shm", S_IFDIR | 01777, 0, 0, NULL },
	{ "pts", S_IFDIR | 0755, 0, 0, NULL },
	{ "mqueue", S_IFDIR | 01777, 0, 0, NULL },
};

static int populate(struct super_block *sb)
{
	struct inode *dir = sb->root;
	const struct inode_ops *ops = dir->ops;
	int r = 0;

	for (unsigned n = 0; n < ARRAY_SIZE(names) && !r; n++) {
		bool locked = fiber_self() && !sleeplock_is_held(&dir->lock);
		struct inode *i = NULL;

		if (locked)
			sleeplock_lock(&dir->lock);
		if (S_ISDIR(names[n].mode))
			r = ops->mkdir(dir, names[n].name, names[n].mode & 07777, &i);
		else if (S_ISLNK(names[n].mode))
			r = ops->symlink(dir, names[n].name, names[n].target, &i);
		else
			r = ops->mknod(dir, names[n].name, names[n].mode, makedev(names[n].major, names[n].minor), &i);
		if (locked)
			sleeplock_unlock(&dir->lock);
		if (r)
			break;
		mutex_lock(&i->attr_lock); /* whoever mounted it: root's, and by our modes */
		i->uid = i->gid = 0;
		if (!strcmp(names[n].name, "tty"))
			i->gid = 5;
		i->mode = names[n].mode;
		mutex_unlock(&i->attr_lock);
		inode_put(i);
	}
	return r;
}

static int devtmpfs_mount(struct kernel *k, const char *source, unsigned long flags, const char *data, struct super_block **out)
{
	const struct file_system_type *tmpfs = get_fs_type("tmpfs");
	struct super_block *sb;
	int r;

	if (!tmpfs)
		return -ENODEV;
	r = tmpfs->mount(k, source ? source : "devtmpfs", flags, "mode=0755", &sb);
	if (r)
		return r;
	sb->type = "devtmpfs";
	sb->root->uid = sb->root->gid = 0;
	r = populate(sb);
	if (r) {
		super_put(sb);
		return r;
	}
	*out = sb;
	return 0;
}

void dev_register(void)
{
	static const struct file_system_type t = { .name = "devtmpfs", .mount = devtmpfs_mount, .nodev = true };

	mem_register();
	register_filesystem(&t);
}
