/* SPDX-License-Identifier: Apache-2.0 */
/* signal_deliver.c: what a task does with its signals before it goes back to guest code.
 *
 * OVERVIEW
 * task_deliver_signals() takes signals until none is left: ignored ones vanish, default actions stop or end the process, and each
 * handler gets a frame on the guest's stack, the later ones on top of the earlier ones, so that the last one taken runs first. Before the
 * first frame a system call that was interrupted is turned into -EINTR or into its restart; without a frame it always restarts.
 *
 * GROUP STOPS
 * The thread that takes a stop signal asks all live threads to stop (group_stop_pending, counted in group_stop_remaining). Each parks in
 * STOP_GROUP; the last one makes the stop complete and tells the parent. SIGCONT (prepare_signal) undoes it at once, and leaves a note
 * (group_cont_notify) for the first thread that gets here to tell the parent.
 *
 * LOCKS
 * The signal lock, dropped around task_set.lock (telling the parent, orphan check) and parks; everything is looked at afresh then.
 */
#include "kernel/internal.h"
#include "kernel/ptrace.h"
#include "kernel/signal.h"

static void notify_parent(struct task *t, int code, int status)
{
	guard(mutex)(&t->kernel->tasks.lock);
	task_signal_parent_stop_locked(t, t->tg, code, status);
}

/* Signal lock held; returns with it held. Stops this thread as its group stop wants. */
static void group_stop_join(struct task *t)
{
	struct thread_group *tg = t->tg;
	bool complete = false;
	int sig = tg->group_stop_signal;

	t->group_stop_pending = false;
	t->group_stop_acked = true;
	if (tg->group_stop_remaining && --tg->group_stop_remaining == 0) {
		tg->group_stop_complete = tg->group_stop_waitable = true;
		tg->group_cont_waitable = false;
		complete = true;
	}
	if (!t->tracer)
		task_set_stop(t, STOP_GROUP);
	signal_unlock(t);
	if (complete)
		notify_parent(t, CLD_STOPPED, sig);
	if (unlikely(t->tracer))
		ptrace_trap(t);
	else
		task_stop_wait(t);
	signal_lock(t);
	t->group_stop_acked = false;
}

/* Signal lock held. Begin a group stop, unless SIGCONT or death came since the signal was taken. */
static void group_stop_begin(struct task *t, int sig)
{
	struct thread_group *tg = t->tg;
	struct task *p;

	if (!tg->group_stop_dequeued || tg->exiting)
		return;
	if (!tg->group_stop_remaining) {
		tg->group_stop_signal = sig;
		tg->group_stop_complete = tg->group_stop_waitable = false;
		tg->group_cont_notify = false;
		TAILQ_FOREACH(p, &tg->tasks, tg_link) {
			if (p->exit_state != TASK_EXIT_NONE || p->stop == STOP_GROUP || p->group_stop_pending)
				continue;
			p->group_stop_pending = true;
			tg->group_stop_remaining++;
			if (p != t) {
				atomic_store(&p->work_pending, true);
				task_interrupt(p);
			}
		}
	}
}

static bool pgrp_orphaned(struct task *t)
{
	guard(mutex)(&t->kernel->tasks.lock);
	return !t->tg->pgrp || pgrp_is_orphaned_locked(t->tg->pgrp);
}

/* The next signal that has a handler: its number, with *ka a copy of the action. 0: none. -1: the task ends. */
static int get_signal(struct task *t, siginfo_k *info, struct sigaction_k *ka)
{
	struct thread_group *tg = t->tg;

	signal_lock(t);
	for (;;) {
		if (unlikely(tg->group_cont_notify)) {
			int code = tg->group_cont_interrupted ? CLD_STOPPED : CLD_CONTINUED;
			int status = code == CLD_STOPPED ? tg->group_stop_signal : SIGCONT;

			tg->group_cont_notify = false;
			signal_unlock(t);
			notify_parent(t, code, status);
			signal_lock(t);
			continue;
		}
		if (unlikely(t->killed || tg->exiting)) {
			sigpending_flush_mask(&t->pending, SIGMASK(SIGKILL));
			signal_unlock(t);
			task_group_exit(t, SIGKILL); /* the group's status, or 0 in an exec, if it is one of those */
			return -1;
		}
		if (unlikely(t->group_stop_pending)) {
			group_stop_join(t);
			continue;
		}
		if (unlikely(t->trap_stop_pending)) {
			t->trap_stop_pending = false;
			signal_unlock(t);
			ptrace_trap(t);
			signal_lock(t);
			continue;
		}
		int sig = signal_dequeue_locked(t, ~t->blocked, info);

		if (!sig) {
			/* Nothing more, and nobody can add anything before the lock goes: what told us so far is answered. */
			if (!task_external_stopped(t))
				atomic_store(&t->work_pending, false);
			fiber_clear_interrupt(t->fiber);
			signal_unlock(t);
			return 0;
		}
		if (unlikely(t->tracer) && sig != SIGKILL) {
			tg->group_stop_dequeued = true; /* the tracer may make it a stop signal; SIGCONT meanwhile undoes it */
			signal_unlock(t);
			sig = ptrace_signal(t, sig, info);
			signal_lock(t);
			if (!sig)
				continue;
		}
		struct sigaction_k *a = &tg->sighand->action[sig];
		bool forced = t->forced_sig == sig;

		if (forced)
			t->forced_sig = 0;
		if (a->handler == (uint64_t)(uintptr_t)SIG_IGN)
			continue;
		if (a->handler) {
			*ka = *a;
			if (a->flags & SA_RESETHAND) {
				a->handler = 0;
				task_recall_actions(t);
			}
			signal_unlock(t);
			return sig;
		}
		if (SIGMASK(sig) & sig_mask_default_ignore)
			continue;
		if (tg->immune && !forced && sig != SIGKILL && sig != SIGSTOP)
			continue;
		if (SIGMASK(sig) & sig_mask_stop) {
			if (sig != SIGSTOP) {
				signal_unlock(t);
				bool orphaned = pgrp_orphaned(t);

				signal_lock(t);
				if (orphaned)
					continue;
			}
			group_stop_begin(t, sig);
			continue;
		}
		signal_unlock(t);
		if (log_level >= LOG_DEBUG)
			log_debug("task %d (%s): killed by signal %d, code %d, address %#lx", task_tid(t, task_pid_ns(t)), t->comm, sig,
				  info->si_code, (unsigned long)info->fault.addr);
		if ((SIGMASK(sig) & sig_mask_core) && task_core_dump(t, sig, info))
			sig |= 0x80;
		task_group_exit(t, sig);
		return -1;
	}
}

static int restart_code(struct task *t)
{
	if (t->syscall_nr < 0)
		return 0;
	switch (t->result) {
	case -ERESTARTSYS:
	case -ERESTARTNOINTR:
	case -ERESTARTNOHAND:
	case -ERESTART_RESTARTBLOCK:
		return -t->result;
	}
	return 0;
}

static void set_restart(struct task *t, struct pl_regs *regs, uint64_t nr)
{
	regs->rax = nr;
	regs->rip -= 2; /* back onto the syscall instruction */
}

#define NR_restart_syscall 219

const struct run_state *task_deliver_signals(struct task *t)
{
	struct pl_regs regs;
	struct sigaction_k ka;
	siginfo_k info;
	bool have_regs = false, dirty = false;
	int sig = 0, restart = restart_code(t);

	if (unlikely(pl_frame_waits(t->thread)))
		sigframe_flush(t);
	while ((sig = get_signal(t, &info, &ka)) > 0) {
		sigset_k mask = t->have_restart_mask ? t->saved_mask : t->blocked;

		if (unlikely(t->ptrace)) { /* the tracer may have changed everything */
			restart = restart_code(t);
			have_regs = false;
		}

		if (!have_regs) {
			pl_get_regs(t->thread, &regs);
			have_regs = true;
			if (t->syscall_nr >= 0)
				regs.rax = t->result;
		}
		if (restart) {
			if (restart == ERESTARTNOINTR || (restart == ERESTARTSYS && (ka.flags & SA_RESTART)))
				set_restart(t, &regs, t->syscall_nr);
			else
				regs.rax = -(uint64_t)EINTR;
			restart = 0;
		}
		dirty = true;
		t->syscall_nr = -1;
		if (sigframe_setup(t, &regs, &ka, &info, mask)) {
			sigframe_refused(t, sig);
			continue;
		}
		pl_set_regs(t->thread, &regs);
		dirty = false;
		t->have_restart_mask = false;
		sigset_k blocked = t->blocked | ka.mask;

		if (!(ka.flags & SA_NODEFER))
			blocked |= SIGMASK(sig);
		task_set_blocked(t, blocked);
		if (unlikely(t->ptrace)) {
			if (sigframe_flush(t))
				ptrace_step_report(t);
			have_regs = false;
		} else if (!task_has_work(t)) {
			sig = 0;
			break; /* what comes from now on sets work_pending again */
		} else {
			have_regs = sigframe_flush(t);
		}
	}
	if (sig < 0)
		return &run_exit;
	if (unlikely(t->ptrace))
		restart = restart_code(t);
	if (restart) {
		pl_get_regs(t->thread, &regs);
		set_restart(t, &regs, restart == ERESTART_RESTARTBLOCK ? NR_restart_syscall : (uint64_t)t->syscall_nr);
		dirty = true;
		t->syscall_nr = -1;
	}
	if (dirty)
		pl_set_regs(t->thread, &regs);
	task_restore_saved_mask(t);
	if (t->mask_lent)
		task_mask_settle(t);
	if (unlikely(t->ptrace))
		ptrace_step_set(t);
	return &run_app;
}
