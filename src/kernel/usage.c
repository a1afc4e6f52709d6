/* SPDX-License-Identifier: Apache-2.0 */
/* usage.c: CPU time and other usage of threads and processes (getrusage(2), times(2)). */
#include "kernel/internal.h"

/* The TSC's rate, as it went since the kernel started. */
static ktime_t ticks_to_ktime(struct kernel *k, uint64_t ticks)
{
	uint64_t tsc = __builtin_ia32_rdtsc() - k->start_ticks;
	ktime_t ns = ktime_mono() - k->start_time;

	return tsc && ns > 0 ? (ktime_t)((__uint128_t)ticks * (uint64_t)ns / tsc) : 0;
}

void usage_add(struct task_usage *to, const struct task_usage *from)
{
	to->utime += from->utime;
	to->stime += from->stime;
	to->minflt += from->minflt;
	to->majflt += from->majflt;
	to->inblock += from->inblock;
	to->oublock += from->oublock;
	to->nvcsw += from->nvcsw;
	to->nivcsw += from->nivcsw;
	to->io.rchar += from->io.rchar;
	to->io.wchar += from->io.wchar;
	to->io.syscr += from->io.syscr;
	to->io.syscw += from->io.syscw;
	to->maxrss = MAX(to->maxrss, from->maxrss);
}

void task_usage(struct task *t, struct task_usage *u)
{
	memset(u, 0, sizeof(*u));
	mutex_lock(&t->lock);
	u->utime = t->past_utime + (t->thread ? pl_thread_cpu_time(t->thread) : 0);
	mutex_unlock(&t->lock);
	u->stime = ticks_to_ktime(t->kernel, READ_ONCE(t->kernel_ticks));
	u->minflt = READ_ONCE(t->min_flt);
	u->majflt = READ_ONCE(t->maj_flt);
	u->io.rchar = READ_ONCE(t->io.rchar);
	u->io.wchar = READ_ONCE(t->io.wchar);
	u->io.syscr = READ_ONCE(t->io.syscr);
	u->io.syscw = READ_ONCE(t->io.syscw);
	u->nvcsw = READ_ONCE(t->nvcsw);
	u->nivcsw = READ_ONCE(t->nivcsw);
}

void group_usage(struct thread_group *tg, struct task_usage *u)
{
	struct task *t;
	guard(mutex)(&tg->kernel->tasks.lock);
	*u = tg->exited;
	TAILQ_FOREACH(t, &tg->tasks, tg_link) {
		struct task_usage one;
		if (t->accounted)
			continue;
		task_usage(t, &one);
		usage_add(u, &one);
	}
}
