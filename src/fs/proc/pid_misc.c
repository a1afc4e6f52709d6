/* SPDX-License-Identifier: Apache-2.0 */
/* pid_misc.c: small files of /proc/PID that set something: oom_score, loginuid, coredump_filter, timerslack_ns, autogroup; and timers. */
#include "fs/proc/proc_internal.h"
#include "kernel/timer.h"
#include <linux/capability.h>
#include <sys/sysinfo.h>

/* A number, alone but for blanks around it: base 0. */
static bool parse(const char *s, long long min, long long max, long long *out)
{
	char *end;

	while (*s == ' ' || *s == '\t')
		s++;
	errno = 0;
	*out = strtoll(s, &end, 0);
	if (end == s)
		return false;
	while (*end == ' ' || *end == '\t' || *end == '\n')
		end++;
	return !*end && !errno && *out >= min && *out <= max;
}

/* ---- oom_score: how much of the memory it has, in thousandths, and what it was told to add; two thirds of a thousand and that ---- */

int proc_show_oom_score(struct pnode *n, struct strbuf *b)
{
	struct task *t __free(task) = pnode_task(n);
	struct mm *mm __free(mm) = t ? task_mm_get(t) : NULL;
	struct mm_stat s = { 0 };
	struct sysinfo si;
	int adj;
	long points;

	if (!t)
		return -ESRCH;
	adj = t->tg->oom_score_adj;
	if (!mm || adj == -1000 || sysinfo(&si)) {
		strbuf_printf(b, "0\n");
		return 0;
	}
	mm_stat(mm, &s);
	uint64_t total = (si.totalram + si.totalswap) * (uint64_t)si.mem_unit;

	if (pnode_kernel(n)->memory_limit)
		total = MIN(total, pnode_kernel(n)->memory_limit);
	points = adj + (long)(s.rss * 1000 / MAX(total, 1UL));
	strbuf_printf(b, "%ld\n", points > -1000 ? (1000 + points) * 2 / 3 : 0);
	return 0;
}

/* ---- audit: who logged in. There is no audit; the number is kept and inherited ---- */

int proc_show_loginuid(struct pnode *n, struct strbuf *b)
{
	struct task *t __free(task) = pnode_task(n);

	if (!t)
		return -ESRCH;
	strbuf_printf(b, "%u", n->e->arg ? t->tg->login_session : t->tg->login_uid == KID_INVALID ? KID_INVALID : from_kuid(current->cred->user_ns, t->tg->login_uid));
	return 0;
}

ssize_t proc_write_loginuid(struct pnode *n, char *s, size_t len)
{
	struct task *t __free(task) = pnode_task(n);
	struct thread_group *tg = current->tg;
	long long v;
	kuid_t uid = KID_INVALID;

	if (!t)
		return -ESRCH;
	if (t != current)
		return -EPERM;
	if (!parse(s, 0, UINT32_MAX, &v))
		return -EINVAL;
	if ((uint32_t)v != KID_INVALID) {
		uid = make_kuid(current->cred->user_ns, (uint32_t)v);
		if (uid == KID_INVALID)
			return -EINVAL;
	}
	if (tg->login_uid != KID_INVALID && !cred_has_cap(current->cred, CAP_AUDIT_CONTROL))
		return -EPERM;
	tg->login_uid = uid;
	tg->login_session = uid == KID_INVALID ? UINT32_MAX : (uint32_t)atomic_fetch_add(&pnode_kernel(n)->login_sessions, 1) + 1;
	return len;
}

/* ---- coredump_filter ---- */

int proc_show_coredump_filter(struct pnode *n, struct strbuf *b)
{
	struct task *t __free(task) = pnode_task(n);

	if (!t)
		return -ESRCH;
	struct mm *mm __free(mm) = task_mm_get(t);
	if (mm)
		strbuf_printf(b, "%08x\n", t->tg->coredump_filter);
	return 0;
}

ssize_t proc_write_coredump_filter(struct pnode *n, char *s, size_t len)
{
	struct task *t __free(task) = pnode_task(n);
	long long v;

	if (!t)
		return -ESRCH;
	if (!parse(s, 0, UINT32_MAX, &v))
		return -EINVAL;
	t->tg->coredump_filter = v & 0x1ff;
	return len;
}

/* ---- timerslack_ns ---- */

static int may_slack(struct task *t)
{
	return t == current || ns_capable(current->cred, t->cred->user_ns, CAP_SYS_NICE) ? 0 : -EPERM;
}

int proc_show_timerslack(struct pnode *n, struct strbuf *b)
{
	struct task *t __free(task) = pnode_task(n);

	if (!t)
		return -ESRCH;
	if (may_slack(t))
		return -EPERM;
	strbuf_printf(b, "%llu\n", (unsigned long long)t->timer_slack);
	return 0;
}

ssize_t proc_write_timerslack(struct pnode *n, char *s, size_t len)
{
	struct task *t __free(task) = pnode_task(n);
	long long v;

	if (!t)
		return -ESRCH;
	if (!parse(s, 0, INT64_MAX, &v))
		return -EINVAL;
	if (may_slack(t))
		return -EPERM;
	WRITE_ONCE(t->timer_slack, v ? (uint64_t)v : t->timer_slack_default);
	return len;
}

/* ---- autogroup: a session's share of the CPU; kept and shown ---- */

int proc_show_autogroup(struct pnode *n, struct strbuf *b)
{
	struct task *t __free(task) = pnode_task(n);

	if (!t)
		return -ESRCH;
	guard(mutex)(&t->kernel->tasks.lock);
	struct session *s = t->tg->pgrp ? t->tg->pgrp->session : NULL;

	if (s)
		strbuf_printf(b, "/autogroup-%llu nice %d\n", (unsigned long long)s->pid->unique, s->autogroup_nice);
	return 0;
}

ssize_t proc_write_autogroup(struct pnode *n, char *s, size_t len)
{
	struct task *t __free(task) = pnode_task(n);
	long long v;

	if (!t)
		return -ESRCH;
	if (!parse(s, INT32_MIN, INT32_MAX, &v) || v < -20 || v > 19)
		return -EINVAL;
	if (v < 0 && !cred_has_cap(current->cred, CAP_SYS_NICE))
		return -EPERM;
	guard(mutex)(&t->kernel->tasks.lock);
	if (t->tg->pgrp)
		t->tg->pgrp->session->autogroup_nice = (int)v;
	return len;
}

int proc_show_timers(struct pnode *n, struct strbuf *b)
{
	struct task *t __free(task) = pnode_task(n);

	if (!t)
		return -ESRCH;
	posix_timers_show(t->tg, pnode_ns(n), b);
	return 0;
}
