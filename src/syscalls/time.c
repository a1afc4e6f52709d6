/* SPDX-License-Identifier: Apache-2.0 */
/* time.c: clocks and sleeps. */
#include "kernel/internal.h"
#include "kernel/timer.h"
#include "mm/uaccess.h"
#include "syscalls/proto.h"
#include <linux/capability.h>
#include <sys/time.h>
#include <sys/timex.h>

static long put_timespec(ktime_t v, uaddr_t to)
{
	struct timespec ts = ktime_to_timespec(v);

	return copy_to_user(to, &ts, sizeof(ts));
}

static int get_timespec(uaddr_t from, ktime_t *v)
{
	struct timespec ts;

	if (get_user(ts, from))
		return -EFAULT;
	if (!timespec_valid(&ts))
		return -EINVAL;
	*v = timespec_to_ktime(&ts);
	return 0;
}

long sys_clock_gettime(struct task *t, const struct syscall_args *a)
{
	ktime_t now;
	int err = clock_read(t, (int)a->a[0], &now);

	return err ? err : put_timespec(now, a->a[1]);
}

long sys_clock_getres(struct task *t, const struct syscall_args *a)
{
	ktime_t res;
	int err = clock_resolution(t, (int)a->a[0], &res);

	return err ? err : a->a[1] ? put_timespec(res, a->a[1]) : 0;
}

/* A guest cannot set the host's clock, whatever it may think it is allowed to. */
long sys_clock_settime(struct task *t, const struct syscall_args *a)
{
	int clock = (int)a->a[0];
	struct timespec ts;

	if (clock >= 0 && clock != CLOCK_REALTIME)
		return -EINVAL;
	if (get_user(ts, a->a[1]))
		return -EFAULT;
	if (clock < 0) {
		struct cpu_clock c;
		int err = cpu_clock_get(t, clock, false, &c);

		cpu_clock_put(&c);
		return err ? err : -EPERM;
	}
	return timespec_valid(&ts) ? -EPERM : -EINVAL;
}

long sys_gettimeofday(struct task *t, const struct syscall_args *a)
{
	struct timeval tv = ktime_to_timeval(ktime_real());
	int32_t tz[2] = { 0, 0 };

	if (a->a[0] && copy_to_user(a->a[0], &tv, sizeof(tv)))
		return -EFAULT;
	return a->a[1] ? copy_to_user(a->a[1], tz, sizeof(tz)) : 0;
}

long sys_settimeofday(struct task *t, const struct syscall_args *a)
{
	struct timeval tv;
	int32_t tz[2];

	if (a->a[0]) {
		if (get_user(tv, a->a[0]))
			return -EFAULT;
		if (tv.tv_usec < 0 || tv.tv_usec > 1000000 || tv.tv_sec < 0)
			return -EINVAL;
	}
	if (a->a[1]) {
		if (copy_from_user(tz, a->a[1], sizeof(tz)))
			return -EFAULT;
		if (tz[0] > 15 * 60 || tz[0] < -15 * 60)
			return -EINVAL;
	}
	return a->a[0] || a->a[1] || !cred_has_cap(t->cred, CAP_SYS_TIME) ? -EPERM : 0;
}

long sys_time(struct task *t, const struct syscall_args *a)
{
	int64_t now = ktime_real() / NSEC_PER_SEC;

	if (a->a[0] && put_user(now, a->a[0]))
		return -EFAULT;
	return now;
}

static int64_t to_clock_t(ktime_t v)
{
	return v / (NSEC_PER_SEC / 100);
}

long sys_times(struct task *t, const struct syscall_args *a)
{
	if (a->a[0]) {
		struct task_usage self, children;

		group_usage(t->tg, &self);
		mutex_lock(&t->kernel->tasks.lock);
		children = t->tg->children;
		mutex_unlock(&t->kernel->tasks.lock);
		int64_t tms[4] = { to_clock_t(self.utime), to_clock_t(self.stime), to_clock_t(children.utime), to_clock_t(children.stime) };

		if (copy_to_user(a->a[0], tms, sizeof(tms)))
			return -EFAULT;
	}
	return to_clock_t(ktime_mono());
}

long sys_nanosleep(struct task *t, const struct syscall_args *a)
{
	ktime_t v;
	int err = get_timespec(a->a[0], &v);

	return err ? err : task_nanosleep(t, CLOCK_MONOTONIC, false, v, a->a[1]);
}

long sys_clock_nanosleep(struct task *t, const struct syscall_args *a)
{
	int clock = (int)a->a[0];
	bool absolute = (int)a->a[1] & TIMER_ABSTIME;
	ktime_t v;
	int use = clock_usable(t, clock, CLOCK_USE_SLEEP), err;

	if (use == -EOPNOTSUPP || (use == -EINVAL && clock >= 0))
		return use;
	err = get_timespec(a->a[2], &v);
	if (err || use)
		return err ? err : use;
	return task_nanosleep(t, clock, absolute, v, absolute ? 0 : a->a[3]);
}

/* ---- adjtimex: what an unsynchronised clock that nobody may touch says ---- */

static long do_adjtimex(uaddr_t utx)
{
	struct timex tx;

	if (get_user(tx, utx))
		return -EFAULT;
	if (tx.modes == ADJ_OFFSET_SS_READ)
		tx.modes = 0;
	if (tx.modes)
		return -EPERM;
	struct timeval now = ktime_to_timeval(ktime_real());

	tx = (struct timex){ .status = STA_UNSYNC, .constant = 2, .precision = 1, .tolerance = 32768000, .tick = 10000,
			     .maxerror = 16000000, .esterror = 16000000, .time = now };
	return copy_to_user(utx, &tx, sizeof(tx)) ? -EFAULT : TIME_ERROR;
}

long sys_adjtimex(struct task *t, const struct syscall_args *a)
{
	return do_adjtimex(a->a[0]);
}

long sys_clock_adjtime(struct task *t, const struct syscall_args *a)
{
	int clock = (int)a->a[0];
	struct timex tx;

	if (clock == CLOCK_REALTIME)
		return do_adjtimex(a->a[1]);
	if (get_user(tx, a->a[1]))
		return -EFAULT;
	/* Of a device (dynamic clocks) there is none. */
	return clock > 0 ? clock_known(clock) ? -EOPNOTSUPP : -EINVAL : (clock & 7) == CLOCKFD_K ? -EINVAL : -EOPNOTSUPP;
}
