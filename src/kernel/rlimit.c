/* SPDX-License-Identifier: Apache-2.0 */
/* rlimit.c: resource limits (getrlimit(2)). A process has one set, which its threads share. */
#include "kernel/internal.h"
#include "kernel/rlimit.h"
#include "kernel/timer.h"
#include <linux/capability.h>
#include <sys/personality.h>

#define NR_OPEN 1048576

void rlimits_default(struct thread_group *tg)
{
	struct rlimit64 *l = tg->limits;
	for (int i = 0; i < RLIM_NLIMITS; i++)
		l[i].rlim_cur = l[i].rlim_max = RLIM64_INFINITY;
	l[RLIMIT_STACK].rlim_cur = 8 << 20;
	l[RLIMIT_CORE].rlim_cur = 0;
	l[RLIMIT_NOFILE].rlim_cur = 1024;
	l[RLIMIT_NOFILE].rlim_max = NR_OPEN;
	l[RLIMIT_MEMLOCK].rlim_cur = l[RLIMIT_MEMLOCK].rlim_max = 8 << 20;
	l[RLIMIT_SIGPENDING].rlim_cur = l[RLIMIT_SIGPENDING].rlim_max = 15000;
	l[RLIMIT_NPROC].rlim_cur = l[RLIMIT_NPROC].rlim_max = 15000;
	l[RLIMIT_MSGQUEUE].rlim_cur = l[RLIMIT_MSGQUEUE].rlim_max = 819200;
	l[RLIMIT_NICE].rlim_cur = l[RLIMIT_NICE].rlim_max = 0;
	l[RLIMIT_RTPRIO].rlim_cur = l[RLIMIT_RTPRIO].rlim_max = 0;
}

static uint64_t limit(const struct thread_group *tg, int which)
{
	return tg->limits[which].rlim_cur == RLIM64_INFINITY ? UINT64_MAX : tg->limits[which].rlim_cur;
}

void rlimits_apply(struct task *t)
{
	struct mm_limits l;
	uint64_t nofile;
	mutex_lock(&t->tg->limits_lock);
	l = (struct mm_limits){ limit(t->tg, RLIMIT_AS), limit(t->tg, RLIMIT_DATA), limit(t->tg, RLIMIT_STACK), limit(t->tg, RLIMIT_MEMLOCK),
				  t->personality & ADDR_NO_RANDOMIZE };
	nofile = limit(t->tg, RLIMIT_NOFILE);
	mutex_unlock(&t->tg->limits_lock);
	mm_set_limits(t->mm, &l);
	fd_table_set_limit(t->fdt, nofile);
}

/* prlimit(2) on the group of target; caller is who asks. old and new may be NULL. */
long task_prlimit(struct task *caller, struct task *target, unsigned which, const struct rlimit64 *new, struct rlimit64 *old)
{
	struct thread_group *tg = target->tg;
	if (which >= RLIM_NLIMITS)
		return -EINVAL;
	if (new) {
		if (new->rlim_cur > new->rlim_max)
			return -EINVAL;
		if (which == RLIMIT_NOFILE && new->rlim_max > NR_OPEN)
			return -EPERM;
	}
	mutex_lock(&tg->limits_lock);
	struct rlimit64 was = tg->limits[which];
	bool raise = new && new->rlim_max > was.rlim_max;
	if (raise && !cred_has_cap(caller->cred, CAP_SYS_RESOURCE)) {
		mutex_unlock(&tg->limits_lock);
		return -EPERM;
	}
	if (new)
		tg->limits[which] = *new;
	mutex_unlock(&tg->limits_lock);
	if (old)
		*old = was;
	if (new && which == RLIMIT_CPU)
		tg_rlimit_cpu_changed(tg);
	if (new && (which == RLIMIT_AS || which == RLIMIT_DATA || which == RLIMIT_STACK || which == RLIMIT_MEMLOCK || which == RLIMIT_NOFILE)) {
		mutex_lock(&target->lock);
		struct mm *mm = target->mm;
		struct fd_table *fdt = target->fdt;
		if (mm)
			mm_get(mm);
		if (fdt)
			fd_table_get(fdt);
		mutex_unlock(&target->lock);
		mutex_lock(&tg->limits_lock);
		struct mm_limits l = { limit(tg, RLIMIT_AS), limit(tg, RLIMIT_DATA), limit(tg, RLIMIT_STACK), limit(tg, RLIMIT_MEMLOCK),
				       target->personality & ADDR_NO_RANDOMIZE };
		uint64_t nofile = limit(tg, RLIMIT_NOFILE);
		mutex_unlock(&tg->limits_lock);
		if (mm) {
			mm_set_limits(mm, &l);
			mm_put(mm);
		}
		if (fdt) {
			fd_table_set_limit(fdt, nofile);
			fd_table_put(fdt);
		}
	}
	return 0;
}
