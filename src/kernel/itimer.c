/* SPDX-License-Identifier: Apache-2.0 */
/* itimer.c: setitimer(2)'s three timers, RLIMIT_CPU, and the tick that all timers on CPU time share.
 *
 * OVERVIEW
 * ITIMER_REAL is a ktimer. Nothing tells when a process has used so much CPU time, so while a timer on CPU time is armed one
 * ktimer looks: not before the time that is left could have been used up by all CPUs together, and less and less often while the
 * process does not run.
 *
 * LOCKS
 * timer_lock for what is here; POSIX timers have their state under the signal lock (posix_timer.c). The timer functions run outside
 * fibers, take timer_lock, task_set.lock (group_usage) and the signal lock one after the other, and never find the group gone:
 * tg_flush_timers() waits for them.
 */
#include "kernel/internal.h"
#include "kernel/signal.h"
#include "kernel/timer.h"
#include <sys/time.h>

#define TICK_MIN NSEC_PER_MSEC
#define TICK_IDLE_MAX (20 * NSEC_PER_MSEC)
#define REAL_MIN (100 * NSEC_PER_USEC)

/* ---- ITIMER_REAL ---- */

void tg_signal_lock(struct thread_group *tg)
{
	for (;;) {
		struct signal_handlers *h = READ_ONCE(tg->sighand);

		mutex_lock(&h->lock);
		if (likely(h == READ_ONCE(tg->sighand)))
			return;
		mutex_unlock(&h->lock);
	}
}

void tg_signal_unlock(struct thread_group *tg)
{
	mutex_unlock(&tg->sighand->lock);
}

static void send_kernel_signal(struct thread_group *tg, int sig)
{
	siginfo_k info = { .si_signo = sig, .si_code = SI_KERNEL };

	tg_signal_lock(tg);
	if (tg->leader)
		task_send_signal_locked(tg->leader, &info, true);
	tg_signal_unlock(tg);
}

static void real_expired(struct ktimer *kt)
{
	struct thread_group *tg = container_of(kt, struct thread_group, itimer_real);
	struct tg_timers *tt = tg_timers(tg);
	ktime_t now = ktime_mono();

	mutex_lock(&tg->timer_lock);
	bool due = tt->real_expires && tt->real_expires <= now;

	if (due && tg->itimer_real_interval) {
		/* Missed ones are one SIGALRM. Whoever wants a microsecond interval does not get to keep a CPU busy for it. */
		ktime_t iv = tg->itimer_real_interval, missed = (now - tt->real_expires) / iv;

		tt->real_expires = ktime_add_sat(tt->real_expires, (missed + 1) * iv);
		ktimer_start(kt, MAX(tt->real_expires, now + REAL_MIN));
	} else if (due) {
		tt->real_expires = 0;
	}
	mutex_unlock(&tg->timer_lock);
	if (due)
		send_kernel_signal(tg, SIGALRM);
}

static void set_real_locked(struct thread_group *tg, const struct itimer_k *set, struct itimer_k *old)
{
	struct tg_timers *tt = tg_timers(tg);
	ktime_t now = ktime_mono();

	mutex_assert_held(&tg->timer_lock);
	old->interval = tt->real_expires ? tg->itimer_real_interval : 0;
	old->value = tt->real_expires ? MAX(tt->real_expires - now, NSEC_PER_USEC) : 0;
	if (!set)
		return;
	ktimer_cancel(&tg->itimer_real); /* one that runs just now finds nothing due */
	tg->itimer_real_interval = set->interval;
	tt->real_expires = set->value ? ktime_add_sat(now, set->value) : 0;
	if (tt->real_expires)
		ktimer_start(&tg->itimer_real, tt->real_expires);
}

/* ---- CPU time ---- */

/* Which of SIGVTALRM and SIGPROF is due; *left: the CPU time until the next. timer_lock held. */
static bool cpu_itimer_due(ktime_t *next, ktime_t interval, ktime_t used, ktime_t *left)
{
	bool due = *next && used >= *next;

	if (due)
		*next = interval ? ktime_add_sat(*next, ((used - *next) / interval + 1) * interval) : 0;
	if (*next)
		*left = MIN(*left, *next - used);
	return due;
}

static int rlimit_cpu_due(struct thread_group *tg, ktime_t used, ktime_t *left)
{
	uint64_t sec = used / NSEC_PER_SEC, soft, hard;

	mutex_lock(&tg->limits_lock);
	soft = tg->limits[RLIMIT_CPU].rlim_cur;
	hard = tg->limits[RLIMIT_CPU].rlim_max;
	mutex_unlock(&tg->limits_lock);
	if (hard < RLIM64_INFINITY) {
		if (sec >= hard)
			return SIGKILL;
		*left = MIN(*left, NSEC_PER_SEC);
	}
	if (soft >= RLIM64_INFINITY)
		return 0;
	*left = MIN(*left, NSEC_PER_SEC);
	if (sec < soft) {
		if (soft - sec <= 1)
			*left = MIN(*left, (ktime_t)soft * NSEC_PER_SEC - used);
		return 0;
	}
	mutex_lock(&tg->limits_lock); /* once a second: the limit goes on with the time, as on Linux */
	if (tg->limits[RLIMIT_CPU].rlim_cur == soft)
		tg->limits[RLIMIT_CPU].rlim_cur = soft + 1;
	mutex_unlock(&tg->limits_lock);
	return SIGXCPU;
}

static void cpu_tick(struct ktimer *kt)
{
	struct tg_timers *tt = container_of(kt, struct tg_timers, cpu_tick);
	struct thread_group *tg = tt->tg;
	struct task_usage u;
	ktime_t left = KTIME_MAX, posix;
	int limit;

	group_usage(tg, &u);
	mutex_lock(&tg->timer_lock);
	bool virt = cpu_itimer_due(&tg->itimer_virt.next, tg->itimer_virt.interval, u.utime, &left);
	bool prof = cpu_itimer_due(&tg->itimer_prof.next, tg->itimer_prof.interval, u.utime + u.stime, &left);

	limit = rlimit_cpu_due(tg, u.utime + u.stime, &left);
	mutex_unlock(&tg->timer_lock);
	if (virt)
		send_kernel_signal(tg, SIGVTALRM);
	if (prof)
		send_kernel_signal(tg, SIGPROF);
	if (limit)
		send_kernel_signal(tg, limit);
	posix = posix_cpu_timers_run(tg);
	left = MIN(left, posix);
	if (left == KTIME_MAX || READ_ONCE(tg->exiting))
		return;

	ktime_t used = u.utime + u.stime, delay = left / MAX(tg->kernel->ncpus, 1);

	tt->cpu_delay = used - tt->cpu_seen < TICK_MIN / 10 ? MIN(MAX(tt->cpu_delay, TICK_MIN) * 2, TICK_IDLE_MAX) : 0;
	tt->cpu_seen = used;
	delay = MAX(MAX(delay, tt->cpu_delay), TICK_MIN);
	ktimer_start(kt, ktime_mono() + delay);
}

void cpu_timers_kick(struct thread_group *tg)
{
	struct tg_timers *tt = tg_timers(tg);

	tt->cpu_delay = 0;
	ktimer_start(&tt->cpu_tick, ktime_mono() + TICK_MIN / 4);
}

void tg_rlimit_cpu_changed(struct thread_group *tg)
{
	if (tg->limits[RLIMIT_CPU].rlim_cur < RLIM64_INFINITY || tg->limits[RLIMIT_CPU].rlim_max < RLIM64_INFINITY)
		cpu_timers_kick(tg);
}

/* ---- setitimer(2) ---- */

long task_setitimer(struct task *t, int which, const struct itimer_k *set, struct itimer_k *old)
{
	struct thread_group *tg = t->tg;
	struct task_usage u;

	if (which == ITIMER_REAL) {
		guard(mutex)(&tg->timer_lock);
		set_real_locked(tg, set, old);
		return 0;
	}
	if (which != ITIMER_VIRTUAL && which != ITIMER_PROF)
		return -EINVAL;
	group_usage(tg, &u);
	guard(mutex)(&tg->timer_lock);
	__typeof__(tg->itimer_virt) *it = which == ITIMER_VIRTUAL ? &tg->itimer_virt : &tg->itimer_prof;
	ktime_t used = which == ITIMER_VIRTUAL ? u.utime : u.utime + u.stime;

	old->interval = it->next ? it->interval : 0;
	old->value = it->next ? MAX(it->next - used, NSEC_PER_USEC) : 0;
	if (set) {
		it->interval = set->interval;
		it->next = set->value ? ktime_add_sat(used, set->value) : 0;
		if (it->next)
			cpu_timers_kick(tg);
	}
	return 0;
}

/* ---- life ---- */

void tg_init_timers(struct thread_group *tg)
{
	struct tg_timers *tt = new(struct tg_timers);

	tt->tg = tg;
	tg->posix_timers = tt;
	ktimer_init(&tg->itimer_real, tg->kernel->sched, real_expired);
	ktimer_init(&tt->cpu_tick, tg->kernel->sched, cpu_tick);
}

void tg_flush_timers(struct thread_group *tg, bool exec)
{
	struct tg_timers *tt = tg_timers(tg);

	posix_timers_delete_all(tg);
	if (exec)
		return;
	mutex_lock(&tg->timer_lock);
	tt->real_expires = 0;
	tg->itimer_real_interval = 0;
	memset(&tg->itimer_virt, 0, sizeof(tg->itimer_virt));
	memset(&tg->itimer_prof, 0, sizeof(tg->itimer_prof));
	mutex_unlock(&tg->timer_lock);
	ktimer_cancel_sync(&tg->itimer_real);
	/* A tick that runs may start itself again, but not after it has seen the group exiting. */
	do
		ktimer_cancel_sync(&tt->cpu_tick);
	while (ktimer_cancel(&tt->cpu_tick));
}
