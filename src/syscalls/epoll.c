/* SPDX-License-Identifier: Apache-2.0 */
/* epoll.c: epoll_create(2), epoll_ctl(2), epoll_wait(2) and kin. */
#include "fs/anon/epoll.h"
#include "syscalls/proto.h"
#include <fcntl.h>

static long do_epoll_create(struct task *t, unsigned flags)
{
	struct file *f;

	if (flags & ~EPOLL_CLOEXEC)
		return -EINVAL;
	int r = epoll_create_file(&f);
	if (r)
		return r;
	r = fd_install(t->fdt, f, flags & EPOLL_CLOEXEC);
	file_put(f);
	return r;
}

long sys_epoll_create(struct task *t, const struct syscall_args *a)
{
	return (int)a->a[0] <= 0 ? -EINVAL : do_epoll_create(t, 0);
}

long sys_epoll_create1(struct task *t, const struct syscall_args *a) { return do_epoll_create(t, (unsigned)a->a[0]); }

long sys_epoll_ctl(struct task *t, const struct syscall_args *a)
{
	int op = (int)a->a[1], fd = (int)a->a[2];
	struct epoll_event_k ev = { 0 };
	bool c1, c2;

	if (op != EPOLL_CTL_DEL && copy_from_user(&ev, a->a[3], sizeof(ev)))
		return -EFAULT;
	struct file *ep = fd_get_light(t->fdt, (int)a->a[0], &c1);
	if (!ep)
		return -EBADF;
	struct file *f = fd_get_light(t->fdt, fd, &c2);
	long r = -EBADF;
	if (f) {
		r = epoll_ctl_file(ep, op, f, fd, &ev);
		fd_put_light(f, c2);
	}
	fd_put_light(ep, c1);
	return r;
}

static long do_epoll_wait(struct task *t, const struct syscall_args *a, ktime_t deadline)
{
	bool counted;
	int max = (int)a->a[2];

	struct file *f = fd_get_light(t->fdt, (int)a->a[0], &counted);
	long r;

	if (!f)
		return -EBADF;
	if (max <= 0 || max > INT32_MAX / (int)sizeof(struct epoll_event_k))
		r = -EINVAL;
	else if (a->a[1] >= PL_TASK_SIZE || PL_TASK_SIZE - a->a[1] < max * sizeof(struct epoll_event_k))
		r = -EFAULT; /* access_ok() comes before it has to be an epoll */
	else
		r = epoll_wait_file(f, a->a[1], max, deadline);
	fd_put_light(f, counted);
	return r;
}

static ktime_t ms_deadline(int ms)
{
	return ms < 0 ? KTIME_MAX : ms == 0 ? 0 : ktime_add_sat(ktime_mono(), ms * NSEC_PER_MSEC);
}

long sys_epoll_wait(struct task *t, const struct syscall_args *a) { return do_epoll_wait(t, a, ms_deadline((int)a->a[3])); }

static long with_mask(struct task *t, const struct syscall_args *a, ktime_t deadline)
{
	long r = task_set_user_sigmask(t, a->a[4], a->a[5]);

	if (r)
		return r;
	r = do_epoll_wait(t, a, deadline);
	if (r != -EINTR) /* with it the mask is restored once the signal has been delivered */
		task_restore_saved_mask(t);
	return r;
}

long sys_epoll_pwait(struct task *t, const struct syscall_args *a) { return with_mask(t, a, ms_deadline((int)a->a[3])); }

long sys_epoll_pwait2(struct task *t, const struct syscall_args *a)
{
	ktime_t deadline = KTIME_MAX;
	struct timespec ts;

	if (a->a[3]) {
		if (copy_from_user(&ts, a->a[3], sizeof(ts)))
			return -EFAULT;
		if (!timespec_valid(&ts))
			return -EINVAL;
		deadline = !ts.tv_sec && !ts.tv_nsec ? 0 : ktime_add_sat(ktime_mono(), timespec_to_ktime(&ts));
	}
	return with_mask(t, a, deadline);
}
