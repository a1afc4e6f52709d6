/* SPDX-License-Identifier: Apache-2.0 */
/* inotify.c: inotify_init(2), inotify_init1(2), inotify_add_watch(2), inotify_rm_watch(2). */
#include "fs/anon/inotify.h"
#include "syscalls/proto.h"
#include <sys/inotify.h>

#ifndef IN_MASK_CREATE
#define IN_MASK_CREATE 0x10000000
#endif
#define ALL_BITS                                                                                                       \
	(IN_ALL_EVENTS | IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED | IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK | IN_MASK_ADD |  \
	 IN_MASK_CREATE | IN_ISDIR | IN_ONESHOT)

static long do_init(struct task *t, unsigned flags)
{
	struct file *f;

	if (flags & ~(IN_CLOEXEC | IN_NONBLOCK))
		return -EINVAL;
	int r = inotify_create(flags, &f);
	if (r)
		return r;
	r = fd_install(t->fdt, f, flags & IN_CLOEXEC);
	file_put(f);
	return r;
}

long sys_inotify_init(struct task *t, const struct syscall_args *a) { return do_init(t, 0); }
long sys_inotify_init1(struct task *t, const struct syscall_args *a) { return do_init(t, (unsigned)a->a[0]); }

long sys_inotify_add_watch(struct task *t, const struct syscall_args *a)
{
	uint32_t mask = (uint32_t)a->a[2];
	unsigned lookup = (mask & IN_DONT_FOLLOW ? 0 : LOOKUP_FOLLOW) | (mask & IN_ONLYDIR ? LOOKUP_DIRECTORY : 0);
	struct path path;
	bool counted;
	long r;

	if (!(mask & ALL_BITS))
		return -EINVAL;
	struct file *f = fd_get_light(t->fdt, (int)a->a[0], &counted);
	if (!f)
		return -EBADF;
	if (((mask & IN_MASK_ADD) && (mask & IN_MASK_CREATE)) || !file_is_inotify(f)) {
		r = -EINVAL;
		goto out;
	}
	r = user_path_at(AT_FDCWD_, a->a[1], lookup, &path);
	if (r)
		goto out;
	struct inode *inode = dentry_inode(path.dentry);
	r = inode_permission(inode, MAY_READ);
	if (!r)
		r = inotify_add(f, inode, mask);
	path_put(&path);
out:
	fd_put_light(f, counted);
	return r;
}

long sys_inotify_rm_watch(struct task *t, const struct syscall_args *a)
{
	bool counted;
	struct file *f = fd_get_light(t->fdt, (int)a->a[0], &counted);

	if (!f)
		return -EBADF;
	long r = file_is_inotify(f) ? inotify_rm(f, (int)a->a[1]) : -EINVAL;
	fd_put_light(f, counted);
	return r;
}
