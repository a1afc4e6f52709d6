/* SPDX-License-Identifier: Apache-2.0 */
/* posix_timer.c: timer_create(2) and its family.
 *
 * OVERVIEW
 * A timer owns the queue entry of its signal: an expiry cannot fail for want of memory, and a second one before the first was taken
 * is an overrun. A timer on a real clock with an interval is armed again only when its signal is taken (what passed meanwhile counts
 * as overrun), so that a tiny interval costs nothing but the process's own time. Timers on CPU time are looked at by itimer.c's tick.
 *
 * LOCKS
 * timer_lock: the table; a timer found in it stays while the lock is held. Signal lock: everything that an expiry or a delivery
 * changes. A timer is freed when it is out of the table, its ktimer is cancelled and its entry is off the queue.
 */
#include "kernel/internal.h"
#include "kernel/signal.h"
#include "kernel/timer.h"

#define SIGEV_THREAD_ID_K 4
#define DELAYTIMER_MAX_K INT32_MAX
#define IGNORED_MIN NSEC_PER_MSEC

struct posix_timer {
	struct thread_group *tg; /* borrowed; immutable, as all up to: */
	int id, clock, notify;
	struct cpu_clock cpu;	 /* counted, if the clock is one */
	struct sig_user *charged; /* immutable */
	struct pid *target;	 /* SIGEV_THREAD_ID: counted */
	/* signal lock */
	struct ktimer kt;
	struct sigqueue q;
	bool armed, stale;	 /* stale: what is queued is of an earlier setting, and counts for nothing */
	ktime_t expires;	 /* on ktime_mono, or CPU time */
	ktime_t interval;
	uint64_t overrun, overrun_last;
};

static bool on_cpu_time(const struct posix_timer *p)
{
	return clock_is_cpu(p->clock);
}

/* Signal lock held. Expiries up to now, and expires behind now; interval > 0. */
static uint64_t forward(struct posix_timer *p, ktime_t now)
{
	uint64_t n;

	if (now < p->expires)
		return 0;
	n = (uint64_t)(now - p->expires) / (uint64_t)p->interval + 1;
	p->expires = ktime_add_sat(p->expires, (ktime_t)n * p->interval);
	return n;
}

/* The signal was taken, or thrown away. Signal lock held. */
static bool delivered(struct sigqueue *q)
{
	struct posix_timer *p = container_of(q, struct posix_timer, q);

	if (p->stale) {
		p->stale = false;
		return false;
	}
	if (p->armed && p->interval && !on_cpu_time(p)) {
		uint64_t n = forward(p, ktime_mono());

		p->overrun += n ? n - 1 : 0; /* the first of them is this signal */
		ktimer_start(&p->kt, p->expires);
	}
	p->overrun_last = MIN(p->overrun, (uint64_t)DELAYTIMER_MAX_K);
	p->overrun = 0;
	q->info.timer.overrun = (int32_t)p->overrun_last;
	return true;
}

/* task_set.lock and signal lock held. true: queued. */
static bool send_locked(struct posix_timer *p)
{
	struct task *to = p->target ? p->target->task : p->tg->leader;

	if (!to || to->tg != p->tg)
		return false;
	return sigqueue_send_locked(&p->q, to, !p->target);
}

static void real_timer_expired(struct ktimer *kt)
{
	struct posix_timer *p = container_of(kt, struct posix_timer, kt);
	struct thread_group *tg = p->tg;
	ktime_t now = ktime_mono();

	guard(mutex)(&tg->kernel->tasks.lock);
	tg_signal_lock(tg);
	if (p->armed && p->expires <= now) {
		if (p->q.on) {
			/* Set again while its signal was still queued: that one counts now. */
			p->stale = false;
			p->armed = p->interval;
		} else if (!send_locked(p)) {
			/* Ignored: nobody will take it and arm the timer again. */
			if (p->interval) {
				forward(p, now);
				ktimer_start(kt, MAX(p->expires, now + IGNORED_MIN));
			} else {
				p->armed = false;
			}
		} else if (!p->interval) {
			p->armed = false;
		}
	}
	tg_signal_unlock(tg);
}

ktime_t posix_cpu_timers_run(struct thread_group *tg)
{
	struct tg_timers *tt = tg_timers(tg);
	ktime_t left = KTIME_MAX;

	if (!atomic_load(&tt->ncpu))
		return left;
	guard(mutex)(&tg->timer_lock);
	for (int i = 0; i < tt->size; i++) {
		struct posix_timer *p = tt->table[i];

		if (!p || !on_cpu_time(p) || !p->armed || p->notify == SIGEV_NONE)
			continue;
		ktime_t now = cpu_clock_read(tg->kernel, &p->cpu);

		mutex_lock(&tg->kernel->tasks.lock);
		tg_signal_lock(tg);
		if (now < 0) {
			p->armed = false; /* its thread is gone */
			atomic_fetch_sub(&tt->ncpu, 1);
		} else if (p->armed && now >= p->expires) {
			uint64_t n = p->interval ? forward(p, now) : 1;

			if (p->q.on)
				p->overrun += p->stale ? n - 1 : n, p->stale = false;
			else if (send_locked(p))
				p->overrun = n - 1;
			if (!p->interval) {
				p->armed = false;
				atomic_fetch_sub(&tt->ncpu, 1);
			}
		}
		if (p->armed)
			left = MIN(left, p->expires - now);
		tg_signal_unlock(tg);
		mutex_unlock(&tg->kernel->tasks.lock);
	}
	return left;
}

/* ---- the table ---- */

/* timer_lock held. */
static struct posix_timer *find_locked(struct thread_group *tg, int id)
{
	struct tg_timers *tt = tg_timers(tg);

	mutex_assert_held(&tg->timer_lock);
	return id >= 0 && id < tt->size ? tt->table[id] : NULL;
}

/* want: the id that it has to have, or -1. */
static int insert(struct thread_group *tg, struct posix_timer *p, int want)
{
	struct tg_timers *tt = tg_timers(tg);
	int id;

	guard(mutex)(&tg->timer_lock);
	for (id = want < 0 ? 0 : want; id < tt->size; id++)
		if (!tt->table[id] || want >= 0)
			break;
	if (id < tt->size && tt->table[id])
		return -EBUSY;
	if (id >= tt->size) {
		int size = MAX(tt->size ? tt->size * 2 : 8, id + 1);

		tt->table = xrealloc(tt->table, (size_t)size * sizeof(*tt->table));
		memset(tt->table + tt->size, 0, (size_t)(size - tt->size) * sizeof(*tt->table));
		tt->size = size;
	}
	p->id = id;
	p->q.info.timer.tid = id;
	tt->table[id] = p;
	return id;
}

/* It is out of the table. */
static void destroy(struct posix_timer *p)
{
	struct thread_group *tg = p->tg;

	tg_signal_lock(tg);
	if (p->armed && on_cpu_time(p))
		atomic_fetch_sub(&tg_timers(tg)->ncpu, 1);
	p->armed = false;
	sigqueue_remove_locked(&p->q, tg);
	tg_signal_unlock(tg);
	ktimer_cancel_sync(&p->kt);
	sig_user_uncharge(p->charged);
	cpu_clock_put(&p->cpu);
	if (p->target)
		pid_put(p->target);
	free(p);
}

void posix_timers_delete_all(struct thread_group *tg)
{
	struct tg_timers *tt = tg_timers(tg);

	mutex_lock(&tg->timer_lock);
	struct posix_timer **table = tt->table;
	int size = tt->size;

	tt->table = NULL;
	tt->size = 0;
	mutex_unlock(&tg->timer_lock);
	for (int i = 0; i < size; i++)
		if (table[i])
			destroy(table[i]);
	free(table);
}

void posix_timers_show(struct thread_group *tg, struct pid_namespace *ns, struct strbuf *b)
{
	static const char *const how[] = { [SIGEV_SIGNAL] = "signal", [SIGEV_NONE] = "none", [SIGEV_THREAD] = "thread" };
	struct tg_timers *tt = tg_timers(tg);

	guard(mutex)(&tg->timer_lock);
	for (int i = 0; i < tt->size; i++) {
		struct posix_timer *p = tt->table[i];

		if (!p)
			continue;
		strbuf_printf(b, "ID: %d\nsignal: %d/%016llx\nnotify: %s/%s.%d\nClockID: %d\n", p->id, p->q.info.si_signo,
			      (unsigned long long)p->q.info.timer.value, how[p->notify & ~SIGEV_THREAD_ID_K], p->target ? "tid" : "pid",
			      pid_nr(p->target ? p->target : tg->pid, ns), p->clock);
	}
}

/* ---- the calls ---- */

static int check_event(struct task *t, const struct sigevent_k *ev, struct pid **target)
{
	*target = NULL;
	switch (ev->notify) {
	case SIGEV_NONE:
		return 0;
	case SIGEV_SIGNAL | SIGEV_THREAD_ID_K: {
		guard(mutex)(&t->kernel->tasks.lock);
		struct pid *p = pidns_find_locked(task_pid_ns(t), ev->tid);

		if (!p || !p->task || p->task->tg != t->tg || ev->signo < 1 || ev->signo > NSIG_K)
			return -EINVAL;
		*target = p;
		pid_get(p);
		return 0;
	}
	case SIGEV_SIGNAL:
	case SIGEV_THREAD:
		return ev->signo < 1 || ev->signo > NSIG_K ? -EINVAL : 0;
	}
	return -EINVAL;
}

long posix_timer_create(struct task *t, int clock, const struct sigevent_k *ev, int want)
{
	struct thread_group *tg = t->tg;
	struct sigevent_k def = { .signo = SIGALRM, .notify = SIGEV_SIGNAL };
	struct pid *target;
	struct posix_timer *p;
	int err = clock_usable(t, clock, CLOCK_USE_TIMER);

	if (!err)
		err = check_event(t, ev ? ev : &def, &target);
	if (err)
		return err;
	struct sig_user *charged = sig_user_charge(t, false);

	if (!charged) {
		if (target)
			pid_put(target);
		return -EAGAIN;
	}
	p = new(struct posix_timer);
	p->tg = tg;
	p->charged = charged;
	p->clock = clock;
	p->target = target;
	p->notify = ev ? ev->notify : def.notify;
	p->q.delivered = delivered;
	p->q.info.si_signo = ev ? ev->signo : def.signo;
	p->q.info.si_code = SI_TIMER;
	p->q.info.timer.value = ev ? ev->value : 0;
	ktimer_init(&p->kt, t->kernel->sched, real_timer_expired);
	if (on_cpu_time(p) && cpu_clock_get(t, clock, false, &p->cpu)) {
		p->clock = CLOCK_MONOTONIC;
		destroy(p);
		return -EINVAL;
	}
	int id = insert(tg, p, want);

	if (id < 0) {
		destroy(p);
		return id;
	}
	if (!ev)
		p->q.info.timer.value = (uint64_t)id;
	return id;
}

/* Signal lock held; now on the timer's clock. */
static void get_locked(struct posix_timer *p, ktime_t now, struct itimer_k *cur)
{
	ktime_t expires = p->expires;

	cur->interval = p->interval;
	cur->value = 0;
	if (!p->armed)
		return;
	if (p->interval && expires <= now)
		expires += ((now - expires) / p->interval + 1) * p->interval;
	/* About to expire is 1 ns: 0 means that it is not armed. With SIGEV_NONE nothing else tells that it has expired. */
	cur->value = expires > now ? expires - now : p->notify == SIGEV_NONE ? 0 : 1;
}

static ktime_t timer_now(struct posix_timer *p)
{
	return on_cpu_time(p) ? MAX(cpu_clock_read(p->tg->kernel, &p->cpu), 0) : ktime_mono();
}

long posix_timer_settime(struct task *t, int id, bool absolute, const struct itimer_k *set, struct itimer_k *old)
{
	struct thread_group *tg = t->tg;

	guard(mutex)(&tg->timer_lock);
	struct posix_timer *p = find_locked(tg, id);

	if (!p)
		return -EINVAL;
	if (on_cpu_time(p) && cpu_clock_read(tg->kernel, &p->cpu) < 0)
		return -ESRCH; /* its thread or process is gone */
	ktime_t now = timer_now(p), when = set->value;

	if (!absolute)
		when = ktime_add_sat(now, when);
	else if (!on_cpu_time(p))
		when = clock_to_mono(t, p->clock, when);
	tg_signal_lock(tg);
	bool was = p->armed && on_cpu_time(p);

	get_locked(p, now, old);
	ktimer_cancel(&p->kt);
	p->overrun = p->overrun_last = 0;
	p->stale = p->q.on;
	p->armed = set->value != 0;
	p->interval = set->value ? set->interval : 0;
	p->expires = when;
	if (p->armed && !on_cpu_time(p) && p->notify != SIGEV_NONE)
		ktimer_start(&p->kt, when);
	bool is = p->armed && on_cpu_time(p);

	tg_signal_unlock(tg);
	if (is && !was)
		atomic_fetch_add(&tg_timers(tg)->ncpu, 1);
	else if (was && !is)
		atomic_fetch_sub(&tg_timers(tg)->ncpu, 1);
	if (is)
		cpu_timers_kick(tg);
	return 0;
}

long posix_timer_gettime(struct task *t, int id, struct itimer_k *cur)
{
	struct thread_group *tg = t->tg;

	guard(mutex)(&tg->timer_lock);
	struct posix_timer *p = find_locked(tg, id);

	if (!p)
		return -EINVAL;
	ktime_t now = timer_now(p);

	tg_signal_lock(tg);
	get_locked(p, now, cur);
	tg_signal_unlock(tg);
	return 0;
}

long posix_timer_getoverrun(struct task *t, int id)
{
	struct thread_group *tg = t->tg;

	guard(mutex)(&tg->timer_lock);
	struct posix_timer *p = find_locked(tg, id);

	return p ? (long)p->overrun_last : -EINVAL;
}

long posix_timer_delete(struct task *t, int id)
{
	struct thread_group *tg = t->tg;
	struct posix_timer *p;

	mutex_lock(&tg->timer_lock);
	p = find_locked(tg, id);
	if (p)
		tg_timers(tg)->table[id] = NULL;
	mutex_unlock(&tg->timer_lock);
	if (!p)
		return -EINVAL;
	destroy(p);
	return 0;
}
