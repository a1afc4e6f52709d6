/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c: the guest's clocks, and sleeping on them. */
#include "kernel/timer.h"
#include "kernel/internal.h"
#include "kernel/signal.h"
#include "kernel/time_ns.h"
#include "mm/uaccess.h"
#include <linux/capability.h>
#include <time.h>

/* ---- conversions ---- */

struct timespec ktime_to_timespec(ktime_t t)
{
	return (struct timespec){ .tv_sec = t / NSEC_PER_SEC, .tv_nsec = t % NSEC_PER_SEC };
}

struct timeval ktime_to_timeval(ktime_t t)
{
	return (struct timeval){ .tv_sec = t / NSEC_PER_SEC, .tv_usec = t % NSEC_PER_SEC / NSEC_PER_USEC };
}

bool timespec_valid(const struct timespec *ts)
{
	return ts->tv_sec >= 0 && ts->tv_nsec >= 0 && ts->tv_nsec < NSEC_PER_SEC;
}

ktime_t timespec_to_ktime(const struct timespec *ts)
{
	if (ts->tv_sec >= KTIME_MAX / NSEC_PER_SEC)
		return KTIME_MAX;
	return ts->tv_sec * NSEC_PER_SEC + ts->tv_nsec;
}

/* ---- which clocks there are ---- */

#define CLOCK_TAI_K 11
enum { CPUCLOCK_PROF, CPUCLOCK_VIRT, CPUCLOCK_SCHED };

static ktime_t host_clock(int clock)
{
	struct timespec ts = { 0 };

	clock_gettime(clock, &ts);
	return timespec_to_ktime(&ts);
}

bool clock_is_cpu(int clock)
{
	return clock < 0 || clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID;
}

bool clock_known(int clock) { return clock >= 0 && clock <= CLOCK_TAI_K && clock != 10; }

int clock_usable(struct task *t, int clock, enum clock_use use)
{
	if (clock < 0 && (clock & 7) == CLOCKFD_K)
		return -EOPNOTSUPP;
	if (clock < 0) {
		struct cpu_clock c;
		int err = cpu_clock_get(t, clock, false, &c);

		if (err)
			return err;
		/* A thread that waits for its own CPU time waits for ever. */
		err = use == CLOCK_USE_SLEEP && c.thread && c.pid == t->pid ? -EINVAL : 0;
		cpu_clock_put(&c);
		return err;
	}
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_MONOTONIC:
	case CLOCK_BOOTTIME:
	case CLOCK_TAI_K:
	case CLOCK_PROCESS_CPUTIME_ID:
		return 0;
	case CLOCK_THREAD_CPUTIME_ID:
		return use == CLOCK_USE_TIMER ? 0 : -EOPNOTSUPP;
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_MONOTONIC_COARSE:
		return -EOPNOTSUPP;
	case CLOCK_REALTIME_ALARM:
	case CLOCK_BOOTTIME_ALARM: /* nothing here suspends */
		return cred_has_cap(t->cred, CAP_WAKE_ALARM) ? 0 : -EPERM;
	}
	return -EINVAL;
}

int clock_read(struct task *t, int clock, ktime_t *now)
{
	struct cpu_clock c;
	int err;

	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_ALARM:
		*now = ktime_real();
		return 0;
	case CLOCK_MONOTONIC:
		*now = ktime_mono() + time_ns_offset(t, clock);
		return 0;
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_BOOTTIME:
	case CLOCK_TAI_K:
		*now = host_clock(clock) + time_ns_offset(t, clock);
		return 0;
	case CLOCK_BOOTTIME_ALARM:
		*now = host_clock(CLOCK_BOOTTIME) + time_ns_offset(t, clock);
		return 0;
	}
	if (!clock_is_cpu(clock))
		return -EINVAL;
	err = cpu_clock_get(t, clock, true, &c);
	if (err)
		return err;
	*now = cpu_clock_read(t->kernel, &c);
	cpu_clock_put(&c);
	return *now < 0 ? -EINVAL : 0;
}

int clock_resolution(struct task *t, int clock, ktime_t *res)
{
	struct cpu_clock c;
	int err;

	*res = 1;
	switch (clock) {
	case CLOCK_REALTIME_COARSE:
	case CLOCK_MONOTONIC_COARSE: {
		struct timespec ts = { .tv_nsec = 4 * NSEC_PER_MSEC };

		clock_getres(clock, &ts);
		*res = timespec_to_ktime(&ts);
		return 0;
	}
	case CLOCK_REALTIME:
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_BOOTTIME:
	case CLOCK_REALTIME_ALARM:
	case CLOCK_BOOTTIME_ALARM:
	case CLOCK_TAI_K:
		return 0;
	}
	if (!clock_is_cpu(clock))
		return -EINVAL;
	err = cpu_clock_get(t, clock, true, &c);
	if (err)
		return err;
	if (c.which != CPUCLOCK_SCHED)
		*res = 4 * NSEC_PER_MSEC;
	cpu_clock_put(&c);
	return 0;
}

ktime_t clock_to_host(struct task *t, int clock, ktime_t v)
{
	ktime_t off = time_ns_offset(t, clock);

	/* What lies before the host's clock began is past. */
	return !off || v >= KTIME_MAX ? v : off > 0 ? (v > off ? v - off : 0) : ktime_add_sat(v, -off);
}

ktime_t clock_to_mono(struct task *t, int clock, ktime_t v)
{
	ktime_t now = ktime_mono(), that;

	v = clock_to_host(t, clock, v);

	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_ALARM:
		that = ktime_real();
		break;
	case CLOCK_BOOTTIME_ALARM:
		clock = CLOCK_BOOTTIME;
		/* fall through */
	case CLOCK_BOOTTIME:
	case CLOCK_TAI_K:
		that = host_clock(clock);
		break;
	default:
		return v;
	}
	if (v >= KTIME_MAX)
		return KTIME_MAX;
	return now >= that ? ktime_add_sat(v, now - that) : v - (that - now);
}

/* ---- CPU-time clocks ---- */

int cpu_clock_get(struct task *t, int clock, bool gettime, struct cpu_clock *c)
{
	int nr = 0;

	memset(c, 0, sizeof(*c));
	if (clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID) {
		c->thread = clock == CLOCK_THREAD_CPUTIME_ID;
		c->which = CPUCLOCK_SCHED;
	} else {
		c->thread = clock & 4;
		c->which = clock & 3;
		nr = ~(clock >> 3);
		if (clock >= 0 || c->which > CPUCLOCK_SCHED || nr < 0)
			return -EINVAL;
	}
	if (nr == 0) {
		c->pid = c->thread ? t->pid : t->tg->pid;
		pid_get(c->pid);
		return 0;
	}
	guard(mutex)(&t->kernel->tasks.lock);
	struct pid *p = pidns_find_locked(task_pid_ns(t), nr);
	struct task *o = p ? p->task : NULL;

	if (!o)
		return -EINVAL;
	if (c->thread) {
		if (o->tg != t->tg)
			return -EINVAL;
	} else {
		/* A process is named by its leader's id; clock_gettime() also takes the caller's own thread id. */
		if (p != o->tg->pid && !(gettime && o == t))
			return -EINVAL;
		p = o->tg->pid;
	}
	c->pid = p;
	pid_get(p);
	return 0;
}

void cpu_clock_put(struct cpu_clock *c)
{
	if (c->pid)
		pid_put(c->pid);
	c->pid = NULL;
}

ktime_t cpu_clock_read(struct kernel *k, const struct cpu_clock *c)
{
	struct task_usage u = { 0 };
	struct task *o;

	mutex_lock(&k->tasks.lock);
	o = c->pid->task;
	if (o)
		task_get(o);
	mutex_unlock(&k->tasks.lock);
	if (!o)
		return -1;
	if (c->thread)
		task_usage(o, &u);
	else
		group_usage(o->tg, &u);
	task_put(o);
	return c->which == CPUCLOCK_VIRT ? u.utime : u.utime + u.stime;
}

/* ---- sleeping ---- */

static long sleep_mono(struct task *t, ktime_t deadline)
{
	int err = 0;

	if (deadline <= ktime_mono())
		return -ETIMEDOUT;
	task_will_block(t);
	while (!err)
		err = fiber_park(PARK_INTERRUPTIBLE, deadline);
	return err;
}

/* No event tells when a CPU-time clock gets somewhere: look when it can be there at the earliest. */
static long sleep_cpu(struct task *t, int clock, ktime_t until)
{
	struct cpu_clock c;
	int err = cpu_clock_get(t, clock, false, &c);

	if (err)
		return err;
	for (;;) {
		uint64_t start = __builtin_ia32_rdtsc();
		ktime_t now = cpu_clock_read(t->kernel, &c);

		if (now < 0 || now >= until) {
			err = now < 0 ? -ESRCH : -ETIMEDOUT;
			break;
		}
		ktime_t wait = MAX((until - now) / MAX(t->kernel->ncpus, 1), NSEC_PER_MSEC);

		task_will_block(t);
		t->kernel_ticks += __builtin_ia32_rdtsc() - start; /* who waits for himself gets on by waiting, if hardly */
		err = fiber_park(PARK_INTERRUPTIBLE, ktime_add_sat(ktime_mono(), wait));
		if (err == -EINTR)
			break;
	}
	cpu_clock_put(&c);
	return err;
}

static long sleep_until(struct task *t, int clock, ktime_t deadline)
{
	return clock_is_cpu(clock) ? sleep_cpu(t, clock, deadline) : sleep_mono(t, deadline);
}

static long sleep_restart(struct task *t);

static long sleep_relative(struct task *t, int clock, ktime_t deadline, uaddr_t rmtp)
{
	long err = sleep_until(t, clock, deadline);

	if (err == -ETIMEDOUT)
		return 0;
	if (err != -EINTR)
		return err;
	if (rmtp) {
		ktime_t now, left;

		if (!clock_is_cpu(clock))
			now = ktime_mono();
		else if (clock_read(t, clock, &now))
			return -EINVAL;
		left = deadline - now;
		struct timespec ts = ktime_to_timespec(left > 0 ? left : 0);

		if (left <= 0)
			return 0;
		if (copy_to_user(rmtp, &ts, sizeof(ts)))
			return -EFAULT;
	}
	t->restart.sleep.clock = clock;
	t->restart.sleep.deadline = deadline;
	t->restart.sleep.rmtp = rmtp;
	t->restart.fn = sleep_restart;
	return -ERESTART_RESTARTBLOCK;
}

static long sleep_restart(struct task *t)
{
	return sleep_relative(t, t->restart.sleep.clock, t->restart.sleep.deadline, t->restart.sleep.rmtp);
}

long task_nanosleep(struct task *t, int clock, bool absolute, ktime_t v, uaddr_t rmtp)
{
	bool cpu = clock_is_cpu(clock);
	ktime_t now;

	if (absolute) {
		long err = sleep_until(t, clock, cpu ? v : clock_to_mono(t, clock, v));

		return err == -ETIMEDOUT ? 0 : err == -EINTR ? -ERESTARTNOHAND : err;
	}
	if (!cpu)
		now = ktime_mono();
	else if (clock_read(t, clock, &now))
		return -EINVAL;
	return sleep_relative(t, clock, ktime_add_sat(now, v), rmtp);
}
