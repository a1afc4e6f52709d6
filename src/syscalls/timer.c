/* SPDX-License-Identifier: Apache-2.0 */
/* timer.c: alarm, interval timers, POSIX timers. */
#include "kernel/internal.h"
#include "kernel/timer.h"
#include "mm/uaccess.h"
#include "syscalls/proto.h"
#include <sys/time.h>

static bool timeval_valid(const struct timeval *tv)
{
	return tv->tv_sec >= 0 && tv->tv_usec >= 0 && tv->tv_usec < 1000000;
}

static ktime_t timeval_to_ktime(const struct timeval *tv)
{
	struct timespec ts = { .tv_sec = tv->tv_sec, .tv_nsec = tv->tv_usec * NSEC_PER_USEC };

	return timespec_to_ktime(&ts);
}

static long put_itimerval(const struct itimer_k *it, uaddr_t to)
{
	struct itimerval v = { .it_interval = ktime_to_timeval(it->interval), .it_value = ktime_to_timeval(it->value) };

	return copy_to_user(to, &v, sizeof(v));
}

long sys_getitimer(struct task *t, const struct syscall_args *a)
{
	struct itimer_k old;
	long err = task_setitimer(t, (int)a->a[0], NULL, &old);

	return err ? err : put_itimerval(&old, a->a[1]);
}

long sys_setitimer(struct task *t, const struct syscall_args *a)
{
	struct itimer_k set = { 0, 0 }, old;
	struct itimerval v;

	if (a->a[1]) { /* NULL disarms: an old habit that Linux keeps */
		if (get_user(v, a->a[1]))
			return -EFAULT;
		if (!timeval_valid(&v.it_value) || !timeval_valid(&v.it_interval))
			return -EINVAL;
		set.value = timeval_to_ktime(&v.it_value);
		set.interval = timeval_to_ktime(&v.it_interval);
	}
	long err = task_setitimer(t, (int)a->a[0], &set, &old);

	return err ? err : a->a[2] ? put_itimerval(&old, a->a[2]) : 0;
}

long sys_alarm(struct task *t, const struct syscall_args *a)
{
	struct itimer_k set = { 0, (ktime_t)MIN((uint32_t)a->a[0], (uint32_t)INT32_MAX) * NSEC_PER_SEC }, old;

	task_setitimer(t, ITIMER_REAL, &set, &old);
	long sec = old.value / NSEC_PER_SEC;

	/* Rounded, but what is left of a set alarm is never 0. */
	if ((!sec && old.value) || old.value % NSEC_PER_SEC >= NSEC_PER_SEC / 2)
		sec++;
	return sec;
}

#define RESTORED_ID_MAX 65536 /* the table is as long as its highest id */
struct itimerspec_user { struct timespec interval, value; };

static long put_itimerspec(const struct itimer_k *it, uaddr_t to)
{
	struct itimerspec_user v = { ktime_to_timespec(it->interval), ktime_to_timespec(it->value) };

	return copy_to_user(to, &v, sizeof(v));
}

long sys_timer_create(struct task *t, const struct syscall_args *a)
{
	struct sigevent_k ev;

	if (a->a[1] && get_user(ev, a->a[1]))
		return -EFAULT;
	int32_t want = -1;

	if (unlikely(t->tg->restore_timer_ids)) {
		if (get_user(want, a->a[2]))
			return -EFAULT;
		if (want < 0 || want >= RESTORED_ID_MAX)
			return -EINVAL;
	}
	long id = posix_timer_create(t, (int)a->a[0], a->a[1] ? &ev : NULL, want);

	if (id < 0)
		return id;
	if (put_user((int32_t)id, a->a[2])) {
		posix_timer_delete(t, (int)id);
		return -EFAULT;
	}
	return 0;
}

long sys_timer_settime(struct task *t, const struct syscall_args *a)
{
	struct itimerspec_user v;
	struct itimer_k set, old;

	if (!a->a[2])
		return -EINVAL;
	if (get_user(v, a->a[2]))
		return -EFAULT;
	if (!timespec_valid(&v.interval) || !timespec_valid(&v.value))
		return -EINVAL;
	set.interval = timespec_to_ktime(&v.interval);
	set.value = timespec_to_ktime(&v.value);
	long err = posix_timer_settime(t, (int)a->a[0], (int)a->a[1] & TIMER_ABSTIME, &set, &old);

	return err ? err : a->a[3] ? put_itimerspec(&old, a->a[3]) : 0;
}

long sys_timer_gettime(struct task *t, const struct syscall_args *a)
{
	struct itimer_k cur;
	long err = posix_timer_gettime(t, (int)a->a[0], &cur);

	return err ? err : put_itimerspec(&cur, a->a[1]);
}

long sys_timer_getoverrun(struct task *t, const struct syscall_args *a)
{
	return posix_timer_getoverrun(t, (int)a->a[0]);
}

long sys_timer_delete(struct task *t, const struct syscall_args *a)
{
	return posix_timer_delete(t, (int)a->a[0]);
}
