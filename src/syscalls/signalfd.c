/* SPDX-License-Identifier: Apache-2.0 */
/* signalfd.c: signalfd(2), signalfd4(2). */
#include "kernel/signalfd.h"
#include "syscalls/proto.h"
#include <sys/signalfd.h>

static long do_signalfd(struct task *t, int fd, uaddr_t umask, size_t size, unsigned flags)
{
	sigset_k mask;
	struct file *f;
	bool counted;
	int r;

	if (size != sizeof(mask))
		return -EINVAL;
	if (get_user(mask, umask))
		return -EFAULT;
	if (flags & ~(SFD_CLOEXEC | SFD_NONBLOCK))
		return -EINVAL;
	if (fd != -1) {
		f = fd_get_light(t->fdt, fd, &counted);
		if (!f)
			return -EBADF;
		r = signalfd_set_mask(f, mask);
		fd_put_light(f, counted);
		return r ? r : fd;
	}
	r = signalfd_create(mask, flags, &f);
	if (r)
		return r;
	r = fd_install(t->fdt, f, flags & SFD_CLOEXEC);
	file_put(f);
	return r;
}

long sys_signalfd(struct task *t, const struct syscall_args *a) { return do_signalfd(t, (int)a->a[0], a->a[1], a->a[2], 0); }
long sys_signalfd4(struct task *t, const struct syscall_args *a)
{
	return do_signalfd(t, (int)a->a[0], a->a[1], a->a[2], (unsigned)a->a[3]);
}
