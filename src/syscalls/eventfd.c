/* SPDX-License-Identifier: Apache-2.0 */
/* eventfd.c: eventfd(2), eventfd2(2). */
#include "fs/anon/eventfd.h"
#include "syscalls/proto.h"
#include <sys/eventfd.h>

static long do_eventfd(struct task *t, unsigned count, unsigned flags)
{
	struct file *f;

	if (flags & ~(EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE))
		return -EINVAL;
	int r = eventfd_create(count, flags, &f);
	if (r)
		return r;
	r = fd_install(t->fdt, f, flags & EFD_CLOEXEC);
	file_put(f);
	return r;
}

long sys_eventfd(struct task *t, const struct syscall_args *a) { return do_eventfd(t, (unsigned)a->a[0], 0); }
long sys_eventfd2(struct task *t, const struct syscall_args *a) { return do_eventfd(t, (unsigned)a->a[0], (unsigned)a->a[1]); }
