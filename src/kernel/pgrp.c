/* SPDX-License-Identifier: Apache-2.0 */
/* pgrp.c: process groups and sessions (credentials(7), setpgid(2), setsid(2)). All under task_set.lock.
 *
 * A group lives as long as it has members and a session as long as it has groups; more references (a tty's foreground group) keep only
 * the memory. Whether a group is orphaned is computed when somebody asks, as Linux does: the first member with a parent outside answers.
 */
#include "kernel/internal.h"

void pgrp_get(struct process_group *pg) { refcount_get(&pg->ref); }

void pgrp_put(struct process_group *pg)
{
	if (!pg || !refcount_put(&pg->ref))
		return;
	BUG_ON(!LIST_EMPTY(&pg->members));
	pid_put(pg->pid);
	session_put(pg->session);
	free(pg);
}

void session_get(struct session *s) { refcount_get(&s->ref); }

void session_put(struct session *s)
{
	if (!s || !refcount_put(&s->ref))
		return;
	pid_put(s->pid);
	free(s);
}

/* A group named after tg, without members yet. */
int pgrp_create_locked(struct thread_group *tg, struct session *s, struct process_group **out)
{
	struct process_group *pg = new(struct process_group);
	refcount_init(&pg->ref);
	LIST_INIT(&pg->members);
	pg->pid = tg->pid;
	pid_get(tg->pid);
	pg->session = s;
	session_get(s);
	tg->pid->pgrp = pg;
	LIST_INSERT_HEAD(&s->groups, pg, session_link);
	*out = pg;
	return 0;
}

void pgrp_join_locked(struct thread_group *tg, struct process_group *pg)
{
	BUG_ON(tg->pgrp);
	pgrp_get(pg);
	tg->pgrp = pg;
	LIST_INSERT_HEAD(&pg->members, &tg->pgrp_member, link);
}

void pgrp_leave_locked(struct thread_group *tg)
{
	struct process_group *pg = tg->pgrp;
	if (!pg)
		return;
	tg->pgrp = NULL;
	LIST_REMOVE(&tg->pgrp_member, link);
	if (LIST_EMPTY(&pg->members)) {
		struct session *s = pg->session;
		pg->pid->pgrp = NULL;
		pid_maybe_unhash_locked(pg->pid);
		LIST_REMOVE(pg, session_link);
		if (LIST_EMPTY(&s->groups)) {
			s->pid->session = NULL;
			pid_maybe_unhash_locked(s->pid);
		}
	}
	pgrp_put(pg);
}

/* A new session and group led by tg, which leaves its old ones. */
void session_create_locked(struct thread_group *tg)
{
	struct session *s = new(struct session);
	struct process_group *pg;
	refcount_init(&s->ref);
	LIST_INIT(&s->groups);
	s->pid = tg->pid;
	pid_get(tg->pid);
	s->leader = tg;
	pgrp_leave_locked(tg);
	tg->pid->session = s;
	pgrp_create_locked(tg, s, &pg);
	pgrp_join_locked(tg, pg);
	pgrp_put(pg);
	session_put(s); /* the group holds it */
}

static bool tg_is_gone(struct thread_group *tg) { return tg->leader->exit_state >= TASK_EXIT_ZOMBIE && tg->ntasks == 1; }

static bool would_be_orphaned(struct process_group *pg, struct thread_group *ignored)
{
	struct pgrp_member *m;
	LIST_FOREACH(m, &pg->members, link) {
		struct thread_group *tg = m->tg;
		struct task *parent = tg->leader->parent;
		if (tg == ignored || tg_is_gone(tg))
			continue;
		if (!parent && tg == tg->kernel->init && atomic_load(&tg->kernel->outer_jobs))
			return false;
		if (!parent || !parent->tg->pgrp)
			continue;
		if (parent->tg->pgrp != pg && parent->tg->pgrp->session == pg->session)
			return false;
	}
	return true;
}

bool pgrp_is_orphaned_locked(struct process_group *pg) { return would_be_orphaned(pg, NULL); }

static bool has_stopped_job(struct process_group *pg)
{
	struct pgrp_member *m;
	LIST_FOREACH(m, &pg->members, link)
		if (READ_ONCE(m->tg->group_stop_complete))
			return true;
	return false;
}

/* The sandbox's first process is an init, and immune to what it has no handler for; but the user at the terminal, and who signals the
 * sandbox from outside, mean the program: `bailey run sleep 100` ends by Ctrl-C and SIGTERM as it would under sh. */
int tg_send_outside_signal(struct thread_group *tg, const siginfo_k *info)
{
	int r = 0, sig = info->si_signo;
	if (!tg->immune || pid_ns_of(tg->pid)->level > 0 || info->si_code != SI_KERNEL)
		return tg_send_signal(tg, info);
	struct task *leader = tg->leader;
	signal_lock(leader);
	struct task *t = tg_live_task_locked(tg);
	bool deadly = tg->sighand->action[sig].handler == 0 && !(SIGMASK(sig) & (sig_mask_default_ignore | sig_mask_stop));
	if (t && deadly)
		t->forced_sig = sig;
	if (t)
		r = task_send_signal_locked(t, info, !deadly);
	signal_unlock(leader);
	return r;
}

void pgrp_signal_locked(struct process_group *pg, const siginfo_k *info)
{
	struct pgrp_member *m;
	LIST_FOREACH(m, &pg->members, link)
		if (m->tg->ntasks)
			tg_send_outside_signal(m->tg, info);
}

/* parent NULL: tg itself exits; else parent has just exited and tg has its new parent already. */
void pgrp_check_orphans_locked(struct thread_group *tg, struct thread_group *parent)
{
	struct process_group *pg = tg->pgrp;
	struct thread_group *ignored = NULL;
	if (!parent) {
		parent = tg->leader->parent ? tg->leader->parent->tg : NULL;
		ignored = tg;
	}
	if (!pg || !parent || !parent->pgrp)
		return;
	if (parent->pgrp == pg || parent->pgrp->session != pg->session)
		return;
	if (!has_stopped_job(pg) || !would_be_orphaned(pg, ignored))
		return;
	siginfo_k info = { .si_signo = SIGHUP, .si_code = SI_KERNEL };
	pgrp_signal_locked(pg, &info);
	info.si_signo = SIGCONT;
	pgrp_signal_locked(pg, &info);
}

int pgrp_send_signal(struct process_group *pg, const siginfo_k *info)
{
	struct kernel *k = NULL;
	/* A group's kernel is its pid's. */
	k = pid_ns_of(pg->pid)->kernel;
	guard(mutex)(&k->tasks.lock);
	pgrp_signal_locked(pg, info);
	return 0;
}

void session_leader_exit(struct thread_group *tg)
{
	struct session *s = tg->pgrp ? tg->pgrp->session : NULL;
	if (s && s->leader == tg)
		s->leader = NULL;
}

/* ---- the calls ---- */

long task_setpgid(struct task *t, int pid, int pgid)
{
	struct kernel *k = t->kernel;
	struct pid_namespace *ns = task_pid_ns(t);
	struct thread_group *me = t->tg, *tg;
	struct process_group *pg = NULL;
	guard(mutex)(&k->tasks.lock);
	if (!pid)
		pid = pid_nr(me->pid, ns);
	if (!pgid)
		pgid = pid;
	if (pgid < 0)
		return -EINVAL;
	struct pid *p = pidns_find_locked(ns, pid);
	struct task *target = p ? p->task : NULL;
	if (!target)
		return -ESRCH;
	tg = target->tg;
	if (tg->pid != p)
		return -EINVAL; /* a thread that is not a leader */
	if (tg->leader->parent && tg->leader->parent->tg == me) {
		if (tg->pgrp->session != me->pgrp->session)
			return -EPERM;
		if (tg->did_exec)
			return -EACCES;
	} else if (tg != me) {
		return -ESRCH;
	}
	if (tg->pgrp->session->leader == tg)
		return -EPERM;
	if (pgid != pid) {
		struct pid *gp = pidns_find_locked(ns, pgid);
		pg = gp ? gp->pgrp : NULL;
		if (!pg || pg->session != me->pgrp->session)
			return -EPERM;
	} else {
		pg = tg->pid->pgrp;
		if (pg && pg->session != me->pgrp->session)
			return -EPERM;
	}
	if (pg == tg->pgrp)
		return 0;
	if (pg) {
		pgrp_get(pg);
	} else {
		pgrp_create_locked(tg, tg->pgrp->session, &pg);
	}
	pgrp_leave_locked(tg);
	pgrp_join_locked(tg, pg);
	pgrp_put(pg);
	return 0;
}

/* kind: 0 getpgid, 1 getsid */
long task_getpgid(struct task *t, int pid, bool session)
{
	struct pid_namespace *ns = task_pid_ns(t);
	guard(mutex)(&t->kernel->tasks.lock);
	struct thread_group *tg = t->tg;
	if (pid) {
		struct pid *p = pidns_find_locked(ns, pid);
		if (!p || !p->task)
			return -ESRCH;
		tg = p->task->tg;
	}
	if (!tg->pgrp)
		return -ESRCH;
	return pid_nr(session ? tg->pgrp->session->pid : tg->pgrp->pid, ns);
}

long task_setsid(struct task *t)
{
	struct kernel *k = t->kernel;
	struct thread_group *tg = t->tg;
	struct tty *tty;
	int nr;
	mutex_lock(&k->tasks.lock);
	if (tg->pid->pgrp || tg->pgrp->session->leader == tg) {
		mutex_unlock(&k->tasks.lock);
		return -EPERM;
	}
	session_create_locked(tg);
	tty = tg->tty;
	tg->tty = NULL;
	nr = pid_nr(tg->pid, task_pid_ns(t));
	mutex_unlock(&k->tasks.lock);
	if (tty && k->tty_put)
		k->tty_put(tty);
	return nr;
}
