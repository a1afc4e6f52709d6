/* SPDX-License-Identifier: Apache-2.0 */
/* open.c: open(2), openat2(2), close(2), close_range(2). */
#include "syscalls/names.h"
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/openat2.h>

#define TMPFILE_BIT 020000000u
#define SYNC_BIT 04000000u
#define LARGEFILE_BIT 0100000u
#define VALID_FLAGS (O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_DSYNC | O_ASYNC | O_DIRECT | LARGEFILE_BIT | \
		     O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC | O_PATH | TMPFILE_BIT | SYNC_BIT)

static int check_flags(struct open_how_k *how)
{
	unsigned flags = how->flags;

	if (flags & SYNC_BIT)
		flags |= O_DSYNC;
	if (flags & TMPFILE_BIT) {
		if (!(flags & O_DIRECTORY) || (flags & O_CREAT))
			return -EINVAL;
		if (!(flags & (O_WRONLY | O_RDWR)))
			return -EINVAL;
	} else if ((flags & (O_DIRECTORY | O_CREAT)) == (O_DIRECTORY | O_CREAT) && !(flags & O_PATH)) {
		return -EINVAL;
	}
	how->flags = flags;
	return 0;
}

static long do_open(struct task *t, int dfd, uaddr_t path, struct open_how_k *how)
{
	DECLARE_NAME(n);
	struct file *f;
	int ret = check_flags(how);

	if (ret)
		return ret;
	if ((ret = name_get(&n, path)))
		return ret;
	if ((ret = vfs_open(dfd, n.s, how, &f)))
		return ret;
	ret = fd_install(t->fdt, f, how->flags & O_CLOEXEC);
	file_put(f);
	return ret;
}

static long open_classic(struct task *t, int dfd, uaddr_t path, unsigned flags, uint32_t mode)
{
	struct open_how_k how = { .flags = flags & VALID_FLAGS };

	if (how.flags & O_PATH)
		how.flags &= O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC;
	if (how.flags & (O_CREAT | TMPFILE_BIT))
		how.mode = mode & 07777;
	return do_open(t, dfd, path, &how);
}

long sys_open(struct task *t, const struct syscall_args *a) { return open_classic(t, AT_FDCWD, a->a[0], a->a[1], a->a[2]); }
long sys_openat(struct task *t, const struct syscall_args *a) { return open_classic(t, (int)a->a[0], a->a[1], a->a[2], a->a[3]); }

long sys_creat(struct task *t, const struct syscall_args *a)
{
	return open_classic(t, AT_FDCWD, a->a[0], O_CREAT | O_WRONLY | O_TRUNC, a->a[1]);
}

long sys_openat2(struct task *t, const struct syscall_args *a)
{
	struct open_how h = { 0 };
	struct open_how_k how = { 0 };
	static const struct { uint64_t bit; unsigned lookup; } resolve[] = {
		{ RESOLVE_NO_XDEV, LOOKUP_NO_XDEV }, { RESOLVE_NO_MAGICLINKS, LOOKUP_NO_MAGICLINKS }, { RESOLVE_NO_SYMLINKS, LOOKUP_NO_SYMLINKS },
		{ RESOLVE_BENEATH, LOOKUP_BENEATH }, { RESOLVE_IN_ROOT, LOOKUP_IN_ROOT }, { 0x20 /* CACHED */, LOOKUP_CACHED },
	};

	if (a->a[3] < sizeof(h))
		return -EINVAL;
	if (a->a[3] > GUEST_PAGE_SIZE)
		return -E2BIG;
	int ret = copy_struct_from_user(&h, sizeof(h), a->a[2], a->a[3]);
	if (ret)
		return ret;
	if (h.flags & ~(uint64_t)VALID_FLAGS)
		return -EINVAL;
	for (unsigned i = 0; i < ARRAY_SIZE(resolve); i++)
		if (h.resolve & resolve[i].bit) {
			how.lookup |= resolve[i].lookup;
			h.resolve &= ~resolve[i].bit;
		}
	if (h.resolve || ((how.lookup & LOOKUP_BENEATH) && (how.lookup & LOOKUP_IN_ROOT)))
		return -EINVAL;
	if ((h.flags & (O_CREAT | TMPFILE_BIT)) ? h.mode & ~07777ULL : h.mode)
		return -EINVAL;
	if ((h.flags & O_PATH) && (h.flags & ~(uint64_t)(O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC)))
		return -EINVAL;
	if ((how.lookup & LOOKUP_CACHED) && (h.flags & (O_TRUNC | O_CREAT | TMPFILE_BIT)))
		return -EAGAIN;
	how.flags = h.flags;
	how.mode = h.mode;
	return do_open(t, (int)a->a[0], a->a[1], &how);
}

long sys_close(struct task *t, const struct syscall_args *a)
{
	int ret = fd_close(t->fdt, (int)a->a[0]);

	mm_forget_files(t->mm);
	/* the descriptor is gone: nothing may be restarted */
	if (unlikely(ret == -ERESTARTSYS || ret == -ERESTARTNOINTR || ret == -ERESTARTNOHAND))
		ret = -EINTR;
	return ret;
}

long sys_close_range(struct task *t, const struct syscall_args *a)
{
	unsigned first = a->a[0], last = a->a[1], flags = a->a[2];

	if (flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC))
		return -EINVAL;
	if (first > last)
		return -EINVAL;
	if (flags & CLOSE_RANGE_UNSHARE) {
		long ret = task_unshare(t, 0x400 /* CLONE_FILES */);
		if (ret)
			return ret;
	}
	mm_forget_files(t->mm);
	return fd_close_range(t->fdt, first, last, flags & CLOSE_RANGE_CLOEXEC);
}
