/* SPDX-License-Identifier: Apache-2.0 */
/* wait.c: wait4(2) and waitid(2).
 *
 * A waiter sleeps on its process's child_wait and looks at its children again after every wake-up; the look is one pass under
 * task_set.lock. What it finds is copied out, and consumed unless WNOWAIT, under that lock, so two waiters never get one child.
 */
#include "kernel/wait.h"
#include "kernel/internal.h"
#include "kernel/ptrace.h"
#include <sys/wait.h>

#define __WNOTHREAD_ 0x20000000
#define __WALL_ 0x40000000
#define __WCLONE_ 0x80000000u

static bool eligible_id(const struct wait_request *w, struct task *c)
{
	switch (w->type) {
	case WAIT_PID:
		return c->tg->pid == w->pid;
	case WAIT_PGRP:
		return c->tg->pgrp && c->tg->pgrp->pid == w->pid;
	default:
		return true;
	}
}

static bool eligible_clone(const struct wait_request *w, struct task *c)
{
	if (w->options & __WALL_)
		return true;
	/* A "clone" child is one that does not tell its parent by SIGCHLD. */
	return (c->tg->termination_signal != SIGCHLD) == !!(w->options & __WCLONE_);
}

/* Nothing but its end is left to wait for. */
static bool only_exit_left(const struct wait_request *w, struct task *c)
{
	return !(w->options & WEXITED) && c->exit_state >= TASK_EXIT_ZOMBIE && (c != c->tg->leader || c->tg->ntasks == 1);
}

static void fill(struct wait_request *w, struct task *t, struct task *c, int code, int status, int wstatus)
{
	w->found = true;
	w->r_pid = pid_nr(c->tg->pid, task_pid_ns(t));
	w->r_uid = from_kuid(t->cred->user_ns, c->cred->uid);
	w->r_code = code;
	w->r_status = status;
	w->r_wstatus = wstatus;
}

/* True when c had something to tell. */
static bool check_child(struct wait_request *w, struct task *t, struct task *c)
{
	struct thread_group *tg = c->tg;
	if ((w->options & WEXITED) && c->exit_state == TASK_EXIT_ZOMBIE && c->exit_parent_notified && !c->exit_parent_acked) {
		int st = c->exit_code;
		if (W_SIGNALED(st))
			fill(w, t, c, st & 0x80 ? CLD_DUMPED : CLD_KILLED, st & 0x7f, st);
		else
			fill(w, t, c, CLD_EXITED, (st >> 8) & 0xff, st);
		w->r_usage = tg->exited;
		usage_add(&w->r_usage, &tg->children);
		if (!(w->options & WNOWAIT)) {
			usage_add(&t->tg->children, &tg->exited);
			usage_add(&t->tg->children, &tg->children);
			c->exit_parent_acked = true;
			task_reap_locked(c);
		}
		return true;
	}
	if (!(w->options & (WUNTRACED | WCONTINUED)) || c->exit_state >= TASK_EXIT_ZOMBIE)
		return false;
	if (c->tracer && c->tracer->tg == t->tg) /* its stops are told one by one */
		return false;
	bool hit = false;
	mutex_lock(&tg->sighand->lock);
	if ((w->options & WSTOPPED) && tg->group_stop_waitable) {
		fill(w, t, c, CLD_STOPPED, tg->group_stop_signal, (tg->group_stop_signal << 8) | 0x7f);
		if (!(w->options & WNOWAIT))
			tg->group_stop_waitable = false;
		hit = true;
	} else if ((w->options & WCONTINUED) && tg->group_cont_waitable) {
		fill(w, t, c, CLD_CONTINUED, SIGCONT, 0xffff);
		if (!(w->options & WNOWAIT))
			tg->group_cont_waitable = false;
		hit = true;
	}
	mutex_unlock(&tg->sighand->lock);
	if (hit)
		w->usage_of = tg; /* its usage is taken outside the locks */
	if (hit)
		tg_get(tg);
	return hit;
}

/* A thread that t's process traces: its stops, and its end when that is not the parent's to hear first. */
static bool check_tracee(struct wait_request *w, struct task *t, struct task *c)
{
	if ((w->options & WEXITED) && c->exit_state == TASK_EXIT_ZOMBIE && c->exit_tracer_notified && !c->exit_tracer_acked) {
		int st = c->exit_code;
		if (W_SIGNALED(st))
			fill(w, t, c, st & 0x80 ? CLD_DUMPED : CLD_KILLED, st & 0x7f, st);
		else
			fill(w, t, c, CLD_EXITED, (st >> 8) & 0xff, st);
		w->r_pid = pid_nr(c->pid, task_pid_ns(t));
		if (!(w->options & WNOWAIT)) {
			c->exit_tracer_acked = true;
			ptrace_unlink_locked(c);
			exit_notify_locked(c);
		}
		return true;
	}
	if (c->exit_state >= TASK_EXIT_ZOMBIE)
		return false;
	bool hit = false;
	mutex_lock(&c->tg->sighand->lock);
	struct ptrace_state *p = c->ptrace;
	if (c->stop == STOP_PTRACE && p->waitable && !p->listening) {
		fill(w, t, c, p->why, p->code, (p->code << 8) | 0x7f);
		w->r_pid = pid_nr(c->pid, task_pid_ns(t));
		if (!(w->options & WNOWAIT))
			p->waitable = false;
		hit = true;
	}
	mutex_unlock(&c->tg->sighand->lock);
	if (hit) {
		w->usage_of = c->tg;
		tg_get(c->tg);
	}
	return hit;
}

/* 0: nothing yet, 1: found, -ECHILD */
static long scan_locked(struct wait_request *w, struct task *t)
{
	bool any = false;
	struct task *th, *c;
	if (w->type == WAIT_PID) { /* no need to look at all children */
		bool traced;
		c = w->pid ? w->pid->task : NULL;
		traced = c && c->tracer && c->tracer->tg == t->tg && (!(w->options & __WNOTHREAD_) || c->tracer == t);
		if (c && only_exit_left(w, c))
			return -ECHILD;
		if (traced && check_tracee(w, t, c))
			return 1;
		if (traced && (c != c->tg->leader || !c->parent || c->parent->tg != t->tg))
			return 0;
		if (traced)
			return check_child(w, t, c);
		if (!c || c != c->tg->leader || !c->parent || c->parent->tg != t->tg || !eligible_clone(w, c) ||
		    ((w->options & __WNOTHREAD_) && c->parent != t))
			return -ECHILD;
		return check_child(w, t, c);
	}
	TAILQ_FOREACH(th, &t->tg->tasks, tg_link) {
		if ((w->options & __WNOTHREAD_) && th != t)
			continue;
		TAILQ_FOREACH(c, &th->children, sibling) {
			if (!eligible_id(w, c) || !eligible_clone(w, c) || only_exit_left(w, c))
				continue;
			any = true;
			if (check_child(w, t, c))
				return 1;
		}
		TAILQ_FOREACH(c, &th->tracees, tracee_link) {
			if (!eligible_id(w, c) || only_exit_left(w, c))
				continue;
			any = true;
			if (check_tracee(w, t, c))
				return 1;
		}
	}
	return any ? 0 : -ECHILD;
}

static long scan(struct wait_request *w, struct task *t)
{
	guard(mutex)(&t->kernel->tasks.lock);
	return scan_locked(w, t);
}

long task_wait_children(struct task *t, struct wait_request *w)
{
	long r = scan(w, t), err = 0;
	if (!r && !(w->options & WNOHANG) && !w->nonblock)
		err = task_wait(&t->tg->child_wait, (r = scan(w, t)) != 0, KTIME_MAX);
	if (!r && err)
		return err;
	if (!r && w->nonblock && !(w->options & WNOHANG))
		return -EAGAIN;
	if (w->usage_of) {
		group_usage(w->usage_of, &w->r_usage);
		tg_put(w->usage_of);
		w->usage_of = NULL;
	}
	return r < 0 ? r : w->found ? w->r_pid : 0;
}
