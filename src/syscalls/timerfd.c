/* SPDX-License-Identifier: Apache-2.0 */
/* timerfd.c: timerfd_create(2), timerfd_settime(2), timerfd_gettime(2). */
#include "fs/anon/timerfd.h"
#include "kernel/timer.h"
#include "syscalls/proto.h"
#include <linux/capability.h>
#include <sys/timerfd.h>

long sys_timerfd_create(struct task *t, const struct syscall_args *a)
{
	int clock = (int)a->a[0], flags = (int)a->a[1];
	struct file *f;

	if (flags & ~(TFD_CLOEXEC | TFD_NONBLOCK))
		return -EINVAL;
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_MONOTONIC:
	case CLOCK_BOOTTIME:
		break;
	case CLOCK_REALTIME_ALARM:
	case CLOCK_BOOTTIME_ALARM:
		if (!cred_has_cap(t->cred, CAP_WAKE_ALARM))
			return -EPERM;
		break;
	default:
		return -EINVAL;
	}
	int r = timerfd_create_file(t->kernel->sched, clock, flags, &f);
	if (r)
		return r;
	r = fd_install(t->fdt, f, flags & TFD_CLOEXEC);
	file_put(f);
	return r;
}

static bool valid(int64_t sec, int64_t nsec) { return sec >= 0 && nsec >= 0 && nsec < NSEC_PER_SEC; }

long sys_timerfd_settime(struct task *t, const struct syscall_args *a)
{
	struct itimerspec_k new, old;
	int flags = (int)a->a[1];
	bool counted;

	if (copy_from_user(&new, a->a[2], sizeof(new)))
		return -EFAULT;
	if ((flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)) || !valid(new.value.sec, new.value.nsec) ||
	    !valid(new.interval.sec, new.interval.nsec))
		return -EINVAL;
	struct file *f = fd_get_light(t->fdt, (int)a->a[0], &counted);
	if (!f)
		return -EBADF;
	int clock = timerfd_clock(f);
	if ((clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM) && !cred_has_cap(t->cred, CAP_WAKE_ALARM)) {
		fd_put_light(f, counted);
		return -EPERM;
	}
	if (flags & TFD_TIMER_ABSTIME) {
		ktime_t v = timespec_to_ktime(&(struct timespec){ new.value.sec, new.value.nsec }), host = clock_to_host(t, clock, v);

		if (host != v && v) { /* a point before the host's clock began is past: it is armed all the same */
			new.value.sec = host / NSEC_PER_SEC;
			new.value.nsec = host ? host % NSEC_PER_SEC : 1;
		}
	}
	long r = timerfd_set(f, flags, &new, &old);
	fd_put_light(f, counted);
	if (!r && a->a[3] && copy_to_user(a->a[3], &old, sizeof(old)))
		return -EFAULT;
	return r;
}

long sys_timerfd_gettime(struct task *t, const struct syscall_args *a)
{
	struct itimerspec_k cur;
	bool counted;
	struct file *f = fd_get_light(t->fdt, (int)a->a[0], &counted);

	if (!f)
		return -EBADF;
	long r = timerfd_get(f, &cur);
	fd_put_light(f, counted);
	if (!r && copy_to_user(a->a[1], &cur, sizeof(cur)))
		return -EFAULT;
	return r;
}
