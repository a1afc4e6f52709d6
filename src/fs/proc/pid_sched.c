/* SPDX-License-Identifier: Apache-2.0 */
/* pid_sched.c: /proc/PID/{sched,schedstat,stack,wchan}: the CPU that a thread had, and where it sleeps. How long it waited for a CPU only the
 * host knows. */
#include "fs/proc/proc_internal.h"
#include "kernel/systable.h"
#include <linux/capability.h>
#include <stdio.h>

static void put_number(struct strbuf *b, const char *name, long long v) { strbuf_printf(b, "%-45s:%21lld\n", name, v); }

static void put_ns(struct strbuf *b, const char *name, ktime_t ns)
{
	strbuf_printf(b, "%-45s:%14lld.%06lld\n", name, (long long)(ns / 1000000), (long long)(ns % 1000000));
}

int proc_show_sched(struct pnode *n, struct strbuf *b)
{
	struct task *t __free(task) = pnode_task(n);
	struct task_usage u;
	unsigned threads;
	int policy, rtprio, nice;
	char comm[16];

	if (!t)
		return -ESRCH;
	task_usage(t, &u);
	mutex_lock(&t->kernel->tasks.lock);
	threads = t->tg->ntasks;
	mutex_unlock(&t->kernel->tasks.lock);
	mutex_lock(&t->lock);
	memcpy(comm, t->comm, sizeof(comm));
	policy = t->sched_policy;
	rtprio = t->sched_priority;
	nice = t->nice;
	mutex_unlock(&t->lock);
	/* What a nice level weighs: 1024 in the middle, a quarter more or less a step; in fixed point. */
	double weight = 1024;
	for (int i = 0; i < nice; i++)
		weight /= 1.25;
	for (int i = 0; i > nice; i--)
		weight *= 1.25;
	strbuf_printf(b, "%.15s (%d, #threads: %u)\n", comm, task_tid(t, pnode_ns(n)), threads);
	strbuf_puts(b, "-------------------------------------------------------------------\n");
	put_ns(b, "se.exec_start", ktime_mono() - t->kernel->boot_time);
	put_ns(b, "se.vruntime", (ktime_t)((double)(u.utime + u.stime) * 1024 / weight));
	put_ns(b, "se.sum_exec_runtime", u.utime + u.stime);
	put_number(b, "se.nr_migrations", 0);
	put_number(b, "nr_switches", (long long)(u.nvcsw + u.nivcsw));
	put_number(b, "nr_voluntary_switches", (long long)u.nvcsw);
	put_number(b, "nr_involuntary_switches", (long long)u.nivcsw);
	put_number(b, "se.load.weight", (long long)weight << 10);
	put_number(b, "policy", policy);
	put_number(b, "prio", policy == 6 ? -1 : policy == 1 || policy == 2 ? 99 - rtprio : 120 + nice);
	put_number(b, "clock-delta", 0);
	return 0;
}

/* Linux starts the figures that are for debugging anew; there are none of them here. */
ssize_t proc_write_sched(struct pnode *n, char *s, size_t len)
{
	struct task *t __free(task) = pnode_task(n);
	return t ? (ssize_t)len : -ESRCH;
}

int proc_show_schedstat(struct pnode *n, struct strbuf *b)
{
	struct task *t __free(task) = pnode_task(n);
	struct task_usage u;

	if (!t)
		return -ESRCH;
	task_usage(t, &u);
	strbuf_printf(b, "%lld 0 %llu\n", (long long)(u.utime + u.stime), (unsigned long long)(u.nvcsw + u.nivcsw));
	return 0;
}

/* The function that serves its call, if it sleeps in one. */
static const char *sleeps_in(struct task *t)
{
	const struct syscall_table *st = t->kernel->syscalls;
	int64_t nr = READ_ONCE(t->syscall_nr);

	if (t == current || nr < 0 || nr >= st->count || t->exit_state >= TASK_EXIT_ZOMBIE)
		return NULL;
	mutex_lock(&t->kernel->tasks.lock);
	bool active = task_is_active(t) && t->state != &run_vfork_wait;
	mutex_unlock(&t->kernel->tasks.lock);
	return active ? NULL : st->rows[nr].name;
}

int proc_show_wchan(struct pnode *n, struct strbuf *b)
{
	struct task *t __free(task) = pnode_task(n);
	const char *name;

	if (!t)
		return -ESRCH;
	name = proc_may_access(t) ? NULL : sleeps_in(t);
	if (name)
		strbuf_printf(b, "sys_%s", name);
	else
		strbuf_puts(b, "0");
	return 0;
}

int proc_show_stack(struct pnode *n, struct strbuf *b)
{
	struct task *t __free(task) = pnode_task(n);
	const char *name;

	if (!t)
		return -ESRCH;
	if (!cred_has_cap(current->cred, CAP_SYS_ADMIN))
		return -EACCES;
	name = t == current ? "read" : sleeps_in(t);
	if (name)
		strbuf_printf(b, "[<0>] sys_%s\n", name);
	return 0;
}
