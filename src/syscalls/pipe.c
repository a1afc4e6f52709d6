/* SPDX-License-Identifier: Apache-2.0 */
/* pipe.c: pipe(2), pipe2(2). */
#include "fs/pipe/pipe.h"
#include "syscalls/proto.h"
#include <fcntl.h>

#ifndef O_NOTIFICATION_PIPE
#define O_NOTIFICATION_PIPE O_EXCL
#endif

static long do_pipe(struct task *t, uaddr_t user_fds, unsigned flags)
{
	struct file *r, *w;
	int fds[2];

	if (flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT | O_NOTIFICATION_PIPE))
		return -EINVAL;
	if (flags & O_NOTIFICATION_PIPE)
		return -ENOPKG; /* as a kernel without CONFIG_WATCH_QUEUE */
	int err = pipe_create(flags, &r, &w);
	if (err)
		return err;
	err = fds[0] = fd_install(t->fdt, r, flags & O_CLOEXEC);
	if (err >= 0) {
		err = fds[1] = fd_install(t->fdt, w, flags & O_CLOEXEC);
		if (err >= 0) {
			err = copy_to_user(user_fds, fds, sizeof(fds));
			if (err)
				fd_close(t->fdt, fds[1]);
		}
		if (err < 0)
			fd_close(t->fdt, fds[0]);
	}
	file_put(r);
	file_put(w);
	return err < 0 ? err : 0;
}

long sys_pipe(struct task *t, const struct syscall_args *a) { return do_pipe(t, a->a[0], 0); }
long sys_pipe2(struct task *t, const struct syscall_args *a) { return do_pipe(t, a->a[0], (unsigned)a->a[1]); }
