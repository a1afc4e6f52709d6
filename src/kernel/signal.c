/* SPDX-License-Identifier: Apache-2.0 */
/* signal.c: sending signals, queues, masks, permissions, and what clone, exec and exit do to them.
 *
 * OVERVIEW
 * A signal is added to a thread's private or its group's shared set. The standard ones are one bit and one queued siginfo; the
 * real-time ones queue. Then a thread is chosen that will take it (the one asked for or the leader first, else any that does not block
 * it) and told: work_pending, the end of its sleep, a kick out of guest code. Everything is done under the signal lock, the telling too,
 * so that a thread that has emptied its queues under the lock has no interrupt left over.
 *
 * LIFECYCLE
 * A struct sigqueue is made by the sender and freed by who takes it off a queue, but for the preallocated ones of POSIX timers: these
 * have `delivered`, which is called then. A signal that cannot be allocated still sets its bit (a standard signal without siginfo), or
 * is refused (-EAGAIN: a real-time one that user code queued).
 *
 * LOCKS
 * The signal lock; task_set.lock is outside it. See signal.h for what both guard.
 */
#include "kernel/coredump.h"
#include "kernel/internal.h"
#include "kernel/ptrace.h"
#include "kernel/signal.h"
#include "kernel/task.h"
#include "kernel/timer.h"
#include "kernel/user_dispatch.h"
#include "mm/uaccess.h"
#include <linux/capability.h>
#include <sched.h>
#include <sys/epoll.h>

#define SIGRTMIN_K 32
#define SI_TKILL_K (-6)

void sigpending_init(struct sigpending *p)
{
	p->set = 0;
	TAILQ_INIT(&p->queue);
}

static void sigqueue_take(struct sigpending *p, struct sigqueue *q)
{
	TAILQ_REMOVE(&p->queue, q, link);
	q->on = NULL;
}

static void sigqueue_done(struct sigqueue *q)
{
	if (q->delivered) {
		q->delivered(q);
		return;
	}
	if (q->charged)
		sig_user_uncharge(q->charged);
	free(q);
}

void sigpending_flush_mask(struct sigpending *p, sigset_k mask)
{
	struct sigqueue *q, *next;

	if (!(p->set & mask))
		return;
	p->set &= ~mask;
	TAILQ_FOREACH_SAFE(q, &p->queue, link, next)
		if (mask & SIGMASK(q->info.si_signo)) {
			sigqueue_take(p, q);
			sigqueue_done(q);
		}
}

void signal_lock(struct task *t)
{
	for (;;) {
		struct signal_handlers *h = READ_ONCE(t->tg->sighand);

		mutex_lock(&h->lock);
		if (likely(h == READ_ONCE(t->tg->sighand)))
			return;
		mutex_unlock(&h->lock);
	}
}

void signal_unlock(struct task *t)
{
	mutex_unlock(&t->tg->sighand->lock);
}

static void signal_lock_assert(struct task *t)
{
	mutex_assert_held(&t->tg->sighand->lock);
}

/* ---- the mask ---- */

/* Own fiber or not. A mask that is lent is the guest's word, which decides about that guest's signals only. */
sigset_k task_blocked_locked(struct task *t)
{
	if (likely(!t->mask_lent || t->fiber == fiber_self()))
		return t->blocked;
	return pl_mask_get(t->thread) & ~SIG_UNBLOCKABLE;
}

static bool any_pending(struct task *t) { return READ_ONCE(t->pending.set) | READ_ONCE(t->tg->pending.set); }

void task_mask_asks_locked(struct task *t)
{
	if (t->mask_lent && !t->mask_busy) {
		t->mask_busy = true;
		pl_mask_busy(t->thread, true);
	}
}

/* Own fiber, signal lock. */
static void mask_needs_not_ask(struct task *t)
{
	if (t->mask_busy && !any_pending(t) && !t->seccomp_mode) {
		t->mask_busy = false;
		pl_mask_busy(t->thread, false);
	}
}

/* Signal lock; before masks are read to find out who takes sig. */
static void masks_ask(struct task *t, int sig, bool group)
{
	bool alone = TAILQ_FIRST(&t->tg->tasks) == t && !TAILQ_NEXT(t, tg_link);
	struct task *p;

	/* It will have been taken when this call is over (or task_deliver_signals() sees to it). */
	if (t->fiber == fiber_self() && !(t->blocked & SIGMASK(sig)) && (!group || alone))
		return;
	if (!group)
		task_mask_asks_locked(t);
	else
		TAILQ_FOREACH(p, &t->tg->tasks, tg_link)
			task_mask_asks_locked(p);
}

bool task_lends(const struct task *t) { return !t->seccomp_mode && !t->tracer && !t->dispatched && !t->kernel->calls_traced; }

void task_lend_mask(struct task *t)
{
	if (unlikely(!task_lends(t)))
		return task_recall_mask(t);
	if (t->mask_lent)
		return;
	signal_lock(t);
	t->mask_lent = true;
	t->mask_busy = any_pending(t);
	pl_mask_sas(t->thread, t->sas_ss_sp, t->sas_ss_size, t->sas_ss_flags);
	pl_mask_lend(t->thread, t->blocked, t->mask_busy);
	signal_unlock(t);
}

void task_recall_mask_locked(struct task *t)
{
	if (t->mask_lent)
		pl_mask_recall(t->thread);
	if (t->thread)
		pl_rseq_lend(t->thread, false);
	t->mask_lent = t->mask_busy = false;
}

void task_recall_mask(struct task *t)
{
	if (!t->mask_lent)
		return;
	signal_lock(t);
	task_recall_mask_locked(t);
	signal_unlock(t);
}

/* ---- telling a thread ---- */

static bool task_takes_signals(struct task *t)
{
	return t->exit_state == TASK_EXIT_NONE;
}

static void signal_wake_up(struct task *t)
{
	atomic_store(&t->work_pending, true);
	task_interrupt(t);
}

void task_kill_locked(struct task *t)
{
	signal_lock_assert(t);
	if (!task_takes_signals(t) || t->killed)
		return;
	t->killed = true;
	t->group_stop_pending = false;
	t->pending.set |= SIGMASK(SIGKILL);
	fiber_interrupt(t->fiber, INTERRUPT_KILL);
	signal_wake_up(t);
}

bool tg_start_exit_locked(struct thread_group *tg, int status, struct task *except)
{
	struct task *t;

	if (tg->exiting)
		return false;
	tg->exiting = true;
	tg->exit_status = status;
	tg->group_stop_remaining = 0;
	tg->group_stop_complete = tg->group_stop_waitable = false;
	TAILQ_FOREACH(t, &tg->tasks, tg_link)
		if (t != except)
			task_kill_locked(t);
	return true;
}

/* ---- who ignores what ---- */

static bool sig_kernel_only(int sig)
{
	return sig == SIGKILL || sig == SIGSTOP;
}

static bool sig_handler_ignores(struct thread_group *tg, int sig)
{
	uint64_t h = tg->sighand->action[sig].handler;

	return h == (uint64_t)(uintptr_t)SIG_IGN || (h == 0 && (SIGMASK(sig) & sig_mask_default_ignore));
}

/* force: sent by the kernel or from outside the PID namespace: SIGKILL and SIGSTOP reach even its init. */
static bool sig_ignored(struct task *t, int sig, bool force)
{
	struct thread_group *tg = t->tg;

	/* The handler may have changed by the time a blocked signal is taken. */
	if ((task_blocked_locked(t) | t->real_blocked) & SIGMASK(sig))
		return false;
	if (t->tracer && sig != SIGKILL)
		return false;
	if (tg->immune && tg->sighand->action[sig].handler == 0 && !(force && sig_kernel_only(sig)) && t->forced_sig != sig)
		return true;
	return sig_handler_ignores(tg, sig);
}

/* What a signal does just by being sent: stop signals and SIGCONT undo each other. false: it is dropped. */
static bool prepare_signal(struct task *t, int sig, bool force)
{
	struct thread_group *tg = t->tg;
	struct task *p;

	if (tg->exiting) {
		if (tg->core && sig == SIGKILL) /* the one thing that a core dump gives way to */
			task_kill_locked(tg->core->dumper);
		return false;
	}
	if (SIGMASK(sig) & sig_mask_stop) {
		sigpending_flush_mask(&tg->pending, SIGMASK(SIGCONT));
		TAILQ_FOREACH(p, &tg->tasks, tg_link)
			sigpending_flush_mask(&p->pending, SIGMASK(SIGCONT));
	} else if (sig == SIGCONT) {
		bool notify = tg->group_stop_complete || tg->group_stop_remaining;

		sigpending_flush_mask(&tg->pending, sig_mask_stop);
		tg->group_stop_dequeued = false;
		if (notify) {
			tg->group_cont_notify = true;
			tg->group_cont_interrupted = !tg->group_stop_complete;
			tg->group_cont_waitable = true;
			tg->group_stop_complete = tg->group_stop_waitable = false;
			tg->group_stop_remaining = 0;
		}
		TAILQ_FOREACH(p, &tg->tasks, tg_link) {
			sigpending_flush_mask(&p->pending, sig_mask_stop);
			p->group_stop_pending = p->group_stop_acked = false;
			if (!task_takes_signals(p))
				continue;
			if (p->stop == STOP_GROUP)
				task_set_stop(p, STOP_NONE);
			if (unlikely(p->tracer) && notify)
				ptrace_notify_locked(p);
			if (notify)
				signal_wake_up(p);
		}
	}
	return !sig_ignored(t, sig, force);
}

/* ---- choosing the thread ---- */

static bool wants_signal(struct task *t, int sig)
{
	if (!task_takes_signals(t) || (task_blocked_locked(t) & SIGMASK(sig)))
		return false;
	if (sig == SIGKILL)
		return true;
	if (t->stop == STOP_GROUP || t->stop == STOP_PTRACE)
		return false;
	return t->fiber == fiber_self() || !atomic_load(&t->work_pending);
}

static void complete_signal(struct task *t, int sig, bool group)
{
	struct thread_group *tg = t->tg;
	uint64_t handler = tg->sighand->action[sig].handler;
	struct task *p = NULL;

	if (wants_signal(t, sig)) {
		p = t;
	} else if (group) {
		TAILQ_FOREACH(p, &tg->tasks, tg_link)
			if (wants_signal(p, sig))
				break;
	}
	if (!p) {
		/* Nobody is free to take it now; one that does not block it, but is busy with another, is told anyway. */
		if (!group && task_takes_signals(t) && !(task_blocked_locked(t) & SIGMASK(sig)))
			signal_wake_up(t);
		else if (group)
			TAILQ_FOREACH(p, &tg->tasks, tg_link)
				if (task_takes_signals(p) && !(task_blocked_locked(p) & SIGMASK(sig))) {
					signal_wake_up(p);
					break;
				}
		return;
	}
	/* A sure death needs no thread to come and find it: it must also reach those that sleep in a killable way. */
	if (handler == 0 && !(SIGMASK(sig) & (sig_mask_default_ignore | sig_mask_stop | sig_mask_core)) &&
	    !(p->real_blocked & SIGMASK(sig)) && (sig == SIGKILL || !p->tracer) &&
	    (sig == SIGKILL || !tg->immune || p->forced_sig == sig)) {
		tg_start_exit_locked(tg, sig, NULL);
		return;
	}
	signal_wake_up(p);
}

/* ---- sending ---- */

bool siginfo_known(int sig, int code)
{
	static const uint8_t codes[NSIG_K + 1] = { [SIGILL] = 11, [SIGFPE] = 15, [SIGSEGV] = 10, [SIGBUS] = 5, [SIGTRAP] = 6, [SIGCHLD] = 6, [SIGIO] = 6, [SIGSYS] = 2 };

	if (code == SI_KERNEL || code == SI_ASYNCNL)
		return true;
	return code > 0 ? code <= (sig > 0 && sig <= NSIG_K && codes[sig] ? codes[sig] : 6) : code >= -7 /* SI_DETHREAD */;
}

static bool info_from_user(const siginfo_k *i)
{
	return i->si_code <= 0;
}

static bool info_is_forced(const siginfo_k *i)
{
	return i->si_code == SI_KERNEL || ((i->si_code == SI_USER || i->si_code == SI_QUEUE || i->si_code == SI_TKILL_K) && !i->rt.pid);
}

static struct sigqueue *sigqueue_alloc(struct task *t, int sig, const siginfo_k *info)
{
	struct sig_user *u = sig_user_charge(t, sig < SIGRTMIN_K && info->si_code >= 0);
	struct sigqueue *q = u ? malloc(sizeof(*q)) : NULL;

	if (!q) {
		if (u)
			sig_user_uncharge(u);
		return NULL;
	}
	q->charged = u;
	q->delivered = NULL;
	q->info = *info;
	return q;
}

static void sigpending_add(struct sigpending *p, struct sigqueue *q)
{
	q->on = p;
	TAILQ_INSERT_TAIL(&p->queue, q, link);
}

static void signalfd_notify(struct thread_group *tg)
{
	if (unlikely(wait_queue_active(&tg->signalfd_wait)))
		wait_queue_wake_all(&tg->signalfd_wait, EPOLLIN);
}

int task_send_signal_locked(struct task *t, const siginfo_k *info, bool group)
{
	struct thread_group *tg = t->tg;
	struct sigpending *p = group ? &tg->pending : &t->pending;
	int sig = info->si_signo;

	signal_lock_assert(t);
	BUG_ON(sig < 1 || sig > NSIG_K);
	if (!group && !task_takes_signals(t))
		return 0;
	if (!prepare_signal(t, sig, info_is_forced(info)))
		return 0;
	if (sig < SIGRTMIN_K && (p->set & SIGMASK(sig)))
		return 0;
	if (sig != SIGKILL) {
		struct sigqueue *q = sigqueue_alloc(t, sig, info);

		if (q)
			sigpending_add(p, q);
		else if (sig >= SIGRTMIN_K && info_from_user(info) && info->si_code != SI_USER)
			return -EAGAIN;
	}
	p->set |= SIGMASK(sig);
	masks_ask(t, sig, group);
	signalfd_notify(tg);
	complete_signal(t, sig, group);
	return 0;
}

bool sigqueue_send_locked(struct sigqueue *q, struct task *t, bool group)
{
	struct sigpending *p = group ? &t->tg->pending : &t->pending;
	int sig = q->info.si_signo;

	signal_lock_assert(t);
	BUG_ON(q->on);
	if ((!group && !task_takes_signals(t)) || !prepare_signal(t, sig, false))
		return false;
	/* Each timer keeps its own entry, also of a standard signal: an expiry is never lost to another timer's. */
	sigpending_add(p, q);
	p->set |= SIGMASK(sig);
	masks_ask(t, sig, group);
	signalfd_notify(t->tg);
	complete_signal(t, sig, group);
	return true;
}

static void sigpending_recalc(struct sigpending *p, int sig)
{
	struct sigqueue *q;

	TAILQ_FOREACH(q, &p->queue, link)
		if (q->info.si_signo == sig)
			return;
	p->set &= ~SIGMASK(sig);
}

void sigqueue_remove_locked(struct sigqueue *q, struct thread_group *tg)
{
	struct sigpending *p = q->on;

	mutex_assert_held(&tg->sighand->lock);
	if (!p)
		return;
	sigqueue_take(p, q);
	sigpending_recalc(p, q->info.si_signo);
}

int task_send_signal(struct task *t, const siginfo_k *info, bool group)
{
	signal_lock(t);
	int ret = task_send_signal_locked(t, info, group);
	signal_unlock(t);
	return ret;
}

int tg_send_signal(struct thread_group *tg, const siginfo_k *info)
{
	struct task *leader = READ_ONCE(tg->leader);

	return leader ? task_send_signal(leader, info, true) : 0;
}

void task_force_signal(struct task *t, const siginfo_k *info)
{
	int sig = info->si_signo;

	if (t->event.kind == PL_FAULT) {
		t->fault.trapno = t->event.trapno;
		t->fault.err = t->event.err;
		if (t->event.trapno == 14)
			t->fault.cr2 = t->event.addr;
	}
	signal_lock(t);
	struct sigaction_k *a = &t->tg->sighand->action[sig];

	if ((t->blocked & SIGMASK(sig)) || a->handler == (uint64_t)(uintptr_t)SIG_IGN) {
		a->handler = 0;
		task_recall_actions(t);
		t->blocked &= ~SIGMASK(sig);
		if (t->mask_lent)
			pl_mask_set(t->thread, t->blocked);
	}
	if (a->handler == 0 && !t->tracer)
		t->forced_sig = sig;
	/* A stale one of that number may sit in the private set: this is the one that counts. */
	sigpending_flush_mask(&t->pending, SIGMASK(sig));
	task_send_signal_locked(t, info, false);
	signal_unlock(t);
}

void siginfo_user(siginfo_k *i, int signo, int code, struct task *from, struct task *to)
{
	memset(i, 0, sizeof(*i));
	i->si_signo = signo;
	i->si_code = code;
	if (!from)
		return;
	i->rt.pid = task_tgid(from, task_pid_ns(to));
	if (from == to) {
		i->rt.uid = from_kuid(from->cred->user_ns, from->cred->uid);
	} else {
		mutex_lock(&to->lock);
		i->rt.uid = from_kuid(to->cred->user_ns, from->cred->uid);
		mutex_unlock(&to->lock);
	}
}

/* ---- permissions ---- */

static bool kill_ok_by_cred(struct task *from, struct task *to)
{
	const struct cred *c = from->cred;

	guard(mutex)(&to->lock);
	const struct cred *tc = to->cred;

	return c->euid == tc->suid || c->euid == tc->uid || c->uid == tc->suid || c->uid == tc->uid || ns_capable(c, tc->user_ns, CAP_KILL);
}

static bool same_session_locked(struct task *a, struct task *b)
{
	return a->tg->pgrp && b->tg->pgrp && a->tg->pgrp->session == b->tg->pgrp->session;
}

int signal_permission_locked(struct task *from, struct task *to, int signo)
{
	if (from->tg == to->tg || kill_ok_by_cred(from, to))
		return 0;
	return signo == SIGCONT && same_session_locked(from, to) ? 0 : -EPERM;
}

int signal_permission(struct task *from, struct task *to, int signo)
{
	if (from->tg == to->tg || kill_ok_by_cred(from, to))
		return 0;
	if (signo != SIGCONT)
		return -EPERM;
	guard(mutex)(&from->kernel->tasks.lock);
	return same_session_locked(from, to) ? 0 : -EPERM;
}

/* check_kill_permission, then the sending; task_set.lock held. */
static long send_checked_locked(struct task *from, struct task *to, const siginfo_k *info, bool group)
{
	int sig = info->si_signo, err;
	siginfo_k local;

	if (sig < 0 || sig > NSIG_K)
		return -EINVAL;
	err = signal_permission_locked(from, to, sig);
	if (err || !sig)
		return err;
	if (info->pad0 == SIGINFO_SENDER) {
		siginfo_user(&local, sig, info->si_code, from, to);
		if (local.rt.pid) /* the sender's own number, even for who knows it by another one; 0 for who knows none */
			local.rt.pid = task_tgid(from, task_pid_ns(from));
		info = &local;
	}
	return task_send_signal(to, info, group);
}

/* ---- kill(2) and its family ---- */

long kill_thread(struct task *t, const siginfo_k *info, int tgid, int tid, bool group)
{
	struct pid_namespace *ns = task_pid_ns(t);

	guard(mutex)(&t->kernel->tasks.lock);
	struct pid *p = pidns_find_locked(ns, tid);
	struct task *to = p ? p->task : NULL;

	if (!to || (tgid > 0 && pid_nr(to->tg->pid, ns) != tgid))
		return -ESRCH;
	return send_checked_locked(t, to, info, group);
}

static long kill_pgrp_locked(struct task *t, const siginfo_k *info, struct process_group *pg)
{
	struct pgrp_member *m;
	long ret = -ESRCH;
	bool success = false;

	if (!pg)
		return -ESRCH;
	LIST_FOREACH(m, &pg->members, link) {
		if (!m->tg->leader)
			continue;
		ret = send_checked_locked(t, m->tg->leader, info, true);
		success |= ret == 0;
	}
	return success ? 0 : ret;
}

static long kill_all_locked(struct task *t, const siginfo_k *info)
{
	struct pid_namespace *ns = task_pid_ns(t);
	long ret = 0;
	bool any = false;

	for (int nr = 2; nr < ns->map_size; nr++) {
		struct pid *p = ns->map[nr];
		struct task *to = p ? p->task : NULL;

		if (!to || to != to->tg->leader || to->tg == t->tg)
			continue;
		long err = send_checked_locked(t, to, info, true);

		any = true;
		if (err != -EPERM)
			ret = err;
	}
	return any ? ret : -ESRCH;
}

long kill_something(struct task *t, const siginfo_k *info, int pid)
{
	if (pid > 0)
		return kill_thread(t, info, 0, pid, true);
	if (pid == INT32_MIN)
		return -ESRCH;
	guard(mutex)(&t->kernel->tasks.lock);
	if (pid == -1)
		return kill_all_locked(t, info);
	if (pid == 0)
		return kill_pgrp_locked(t, info, t->tg->pgrp);
	struct pid *p = pidns_find_locked(task_pid_ns(t), -pid);

	return kill_pgrp_locked(t, info, p ? p->pgrp : NULL);
}

/* ---- masks ---- */

static bool has_pending_locked(struct task *t)
{
	return ((t->pending.set | t->tg->pending.set) & ~t->blocked) || t->group_stop_pending || t->trap_stop_pending || t->killed;
}

/* Own fiber: is there anything that task_deliver_signals() would do? */
bool task_has_work(struct task *t)
{
	signal_lock(t);
	bool ret = has_pending_locked(t) || t->tg->exiting || t->tg->group_cont_notify;
	signal_unlock(t);
	return ret;
}

/* The end of a delivery: what this thread sent itself, and stays. */
void task_mask_settle(struct task *t)
{
	if (likely(READ_ONCE(t->mask_busy) || !any_pending(t))) /* who sets them under the lock sees to it himself */
		return;
	signal_lock(t);
	if (any_pending(t))
		task_mask_asks_locked(t);
	signal_unlock(t);
}

bool signal_pending(struct task *t)
{
	return atomic_load(&t->work_pending);
}

/* Shared signals that t will not take any more: other threads hear of them. */
static void retarget_shared_locked(struct task *t, sigset_k which)
{
	struct task *p;

	which &= t->tg->pending.set;
	TAILQ_FOREACH(p, &t->tg->tasks, tg_link) {
		if (!which)
			return;
		if (p == t || !task_takes_signals(p) || !(which & ~task_blocked_locked(p)))
			continue;
		which &= task_blocked_locked(p);
		if (!atomic_load(&p->work_pending))
			signal_wake_up(p);
	}
}

static void set_blocked_locked(struct task *t, sigset_k mask)
{
	sigset_k newly = mask & ~t->blocked;

	t->blocked = mask;
	if (t->mask_lent) {
		pl_mask_set(t->thread, mask);
		mask_needs_not_ask(t);
	}
	if (newly & t->tg->pending.set)
		retarget_shared_locked(t, newly);
	if (unlikely(has_pending_locked(t))) {
		/* The interrupt too: the call that unblocked it may be about to sleep (sigsuspend, ppoll). */
		atomic_store(&t->work_pending, true);
		fiber_interrupt(t->fiber, INTERRUPT_SIGNAL);
	}
}

void task_set_blocked(struct task *t, sigset_k mask)
{
	mask &= ~SIG_UNBLOCKABLE;
	if (t->blocked == mask && !t->mask_busy)
		return;
	signal_lock(t);
	set_blocked_locked(t, mask);
	signal_unlock(t);
}

int task_set_user_sigmask(struct task *t, uaddr_t mask, uint64_t size)
{
	sigset_k set;

	if (!mask)
		return 0;
	if (size != sizeof(set))
		return -EINVAL;
	if (get_user(set, mask))
		return -EFAULT;
	t->saved_mask = t->blocked;
	t->have_restart_mask = true;
	task_set_blocked(t, set);
	return 0;
}

void task_restore_saved_mask(struct task *t)
{
	if (!t->have_restart_mask)
		return;
	t->have_restart_mask = false;
	task_set_blocked(t, t->saved_mask);
}

/* ---- taking from the queues ---- */

static int next_signal(sigset_k set)
{
	if (!set)
		return 0;
	/* Faults first: their handler must see the state of the instruction that faulted. */
	if (set & sig_mask_synchronous)
		set &= sig_mask_synchronous;
	return __builtin_ctzll(set) + 1;
}

static int dequeue_from(struct sigpending *p, sigset_k mask, siginfo_k *info)
{
	struct sigqueue *q, *first;
	bool more;
	int sig;

again:
	sig = next_signal(p->set & mask);
	first = NULL;
	more = false;
	if (!sig)
		return 0;
	TAILQ_FOREACH(q, &p->queue, link)
		if (q->info.si_signo == sig) {
			if (first) {
				more = true;
				break;
			}
			first = q;
		}
	if (!more)
		p->set &= ~SIGMASK(sig);
	if (!first) {
		memset(info, 0, sizeof(*info));
		info->si_signo = sig;
		info->si_code = SI_USER;
		return sig;
	}
	sigqueue_take(p, first);
	if (first->delivered) {
		if (!first->delivered(first)) /* it may fill in the overrun */
			goto again;
		*info = first->info;
	} else {
		*info = first->info;
		sigqueue_done(first);
	}
	return sig;
}

/* Signal lock held. mask: the wanted ones. */
static int dequeue_locked(struct task *t, sigset_k mask, siginfo_k *info)
{
	struct thread_group *tg = t->tg;
	int sig = dequeue_from(&t->pending, mask, info);

	if (!sig)
		sig = dequeue_from(&tg->pending, mask, info);
	if (sig && (SIGMASK(sig) & sig_mask_stop))
		tg->group_stop_dequeued = true;
	if (t->mask_busy)
		mask_needs_not_ask(t);
	return sig;
}

int signal_dequeue_locked(struct task *t, sigset_k mask, siginfo_k *info)
{
	signal_lock_assert(t);
	return dequeue_locked(t, mask, info);
}

int task_dequeue_signal(struct task *t, sigset_k mask, siginfo_k *info)
{
	if (!((READ_ONCE(t->pending.set) | READ_ONCE(t->tg->pending.set)) & mask))
		return 0;
	signal_lock(t);
	int sig = dequeue_locked(t, mask & ~SIG_UNBLOCKABLE, info);
	signal_unlock(t);
	return sig;
}

long task_sigtimedwait(struct task *t, sigset_k mask, siginfo_k *info, ktime_t deadline)
{
	int sig, err = 0;

	mask &= ~SIG_UNBLOCKABLE;
	signal_lock(t);
	sig = dequeue_locked(t, mask, info);
	if (sig || deadline <= 0) {
		signal_unlock(t);
		return sig ? sig : -EAGAIN;
	}
	/* Unblocked while it waits, so that a sender picks and wakes it; real_blocked keeps the default action from killing it. */
	t->real_blocked = t->blocked;
	set_blocked_locked(t, t->blocked & ~mask);
	signal_unlock(t);
	task_will_block(t);
	while (!err)
		err = atomic_load(&t->work_pending) ? -EINTR : fiber_park(PARK_INTERRUPTIBLE, deadline);
	signal_lock(t);
	sigset_k back = t->real_blocked;

	t->real_blocked = 0;
	sig = dequeue_locked(t, mask, info);
	set_blocked_locked(t, back);
	signal_unlock(t);
	if (sig)
		return sig;
	return err == -ETIMEDOUT ? -EAGAIN : -EINTR;
}

/* ---- actions ---- */

#define SA_KNOWN (SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER | SA_RESETHAND | 0x800ULL | 0x04000000ULL)

long task_sigaction(struct task *t, int signo, const struct sigaction_k *act, struct sigaction_k *old)
{
	if (signo < 1 || signo > NSIG_K || (act && sig_kernel_only(signo)))
		return -EINVAL;
	signal_lock(t);
	struct sigaction_k *a = &t->tg->sighand->action[signo];

	if (old)
		*old = *a;
	if (act) {
		*a = *act;
		/* Unknown bits do not stick: that is how a program finds out what is supported (SA_UNSUPPORTED). */
		a->flags &= (uint32_t)SA_KNOWN;
		a->mask &= ~SIG_UNBLOCKABLE;
		if (sig_handler_ignores(t->tg, signo)) {
			struct task *p;

			sigpending_flush_mask(&t->tg->pending, SIGMASK(signo));
			TAILQ_FOREACH(p, &t->tg->tasks, tg_link)
				sigpending_flush_mask(&p->pending, SIGMASK(signo));
		}
		if (t->actions_lent)
			pl_actions_set(t->thread, signo, (const struct pl_action *)a);
	}
	signal_unlock(t);
	return 0;
}

/* ---- actions that the stub answers for ---- */

_Static_assert(sizeof(struct pl_action) == sizeof(struct sigaction_k), "the same fields");

void task_lend_actions(struct task *t)
{
	struct thread_group *tg = t->tg;

	if (t->actions_lent || !task_lends(t) || tg->ntasks != 1 || refcount_read(&tg->sighand->ref) != 1)
		return;
	t->actions_lent = true;
	pl_actions_lend(t->thread, (const struct pl_action *)&tg->sighand->action[1]);
}

void task_recall_actions(struct task *t)
{
	if (!t->actions_lent)
		return;
	t->actions_lent = false;
	pl_actions_recall(t->thread);
}

/* Only what a default action does not look at is believed, for signals whose default is not to ignore. */
static void take_actions(struct task *t)
{
	struct pl_action a[64];
	sigset_k set;

	set = pl_actions_take(t->thread, a) & ~(SIG_UNBLOCKABLE | sig_mask_default_ignore);
	signal_lock(t);
	for (; set; set &= set - 1) {
		int i = __builtin_ctzll(set);
		struct sigaction_k *s = &t->tg->sighand->action[i + 1];

		if (s->handler || a[i].handler)
			continue;
		s->flags = a[i].flags & (uint32_t)SA_KNOWN;
		s->restorer = a[i].restorer;
		s->mask = a[i].mask & ~SIG_UNBLOCKABLE;
	}
	signal_unlock(t);
}

void task_take_lent(struct task *t)
{
	if (t->actions_lent)
		take_actions(t);
	if (t->mask_lent) {
		signal_lock(t);
		t->blocked = pl_mask_get(t->thread) & ~SIG_UNBLOCKABLE;
		signal_unlock(t);
	}
}

/* ---- clone, exec, exit ---- */

void task_init_signals(struct task *t)
{
	sigpending_init(&t->pending);
	t->sas_ss_sp = t->sas_ss_size = 0;
	t->sas_ss_flags = SS_DISABLE;
}

void tg_init_signals(struct thread_group *tg)
{
	sigpending_init(&tg->pending);
	tg_init_timers(tg);
}

void task_clone_signals(struct task *t, struct task *parent, uint64_t flags)
{
	struct thread_group *tg = t->tg;

	t->blocked = parent->blocked;
	/* A thread on the parent's memory must not run handlers on the parent's stack; a vfork child borrows it for good. */
	if ((flags & (CLONE_VM | CLONE_VFORK)) != CLONE_VM) {
		t->sas_ss_sp = parent->sas_ss_sp;
		t->sas_ss_size = parent->sas_ss_size;
		t->sas_ss_flags = parent->sas_ss_flags;
	}
	if (!(flags & CLONE_THREAD) && tg->limits[RLIMIT_CPU].rlim_cur < RLIM64_INFINITY)
		cpu_timers_kick(tg); /* an inherited limit counts from the start */
	if (flags & CLONE_THREAD) {
		if (parent->group_stop_pending && tg->group_stop_remaining) {
			t->group_stop_pending = true;
			tg->group_stop_remaining++;
			atomic_store(&t->work_pending, true);
		}
		if (tg->exiting) {
			t->killed = true;
			t->pending.set |= SIGMASK(SIGKILL);
			atomic_store(&t->work_pending, true);
		}
	}
}

void sighand_reset_exec(struct signal_handlers *h, bool all)
{
	for (int i = 1; i <= NSIG_K; i++) {
		struct sigaction_k *a = &h->action[i];

		if (all || a->handler != (uint64_t)(uintptr_t)SIG_IGN)
			a->handler = 0;
		a->flags = a->restorer = a->mask = 0;
	}
}

void task_exec_signals(struct task *t)
{
	tg_flush_timers(t->tg, true);
	t->sas_ss_sp = t->sas_ss_size = 0;
	t->sas_ss_flags = SS_DISABLE;
	t->restart.fn = NULL;
	user_dispatch_clear(t);
	memset(&t->fault, 0, sizeof(t->fault));
}

bool task_exit_signals_locked(struct task *t)
{
	struct thread_group *tg = t->tg;
	bool stopped = false;

	mutex_assert_held(&t->kernel->tasks.lock);
	signal_lock(t);
	t->exit_state = TASK_EXIT_INITIATED;
	if (t->group_stop_pending) {
		t->group_stop_pending = false;
		if (tg->group_stop_remaining && --tg->group_stop_remaining == 0 && !tg->exiting) {
			tg->group_stop_complete = tg->group_stop_waitable = true;
			stopped = true;
		}
	}
	if (!tg->exiting)
		retarget_shared_locked(t, ~t->blocked);
	task_recall_mask_locked(t);
	t->blocked = ~0ULL;
	signal_unlock(t);
	return stopped;
}

void task_free_signals(struct task *t)
{
	sigpending_flush_mask(&t->pending, ~0ULL);
	free(t->sig_scratch);
	user_dispatch_clear(t);
	t->sig_scratch = NULL;
}

void tg_free_signals(struct thread_group *tg)
{
	sigpending_flush_mask(&tg->pending, ~0ULL);
	free(tg->posix_timers);
	tg->posix_timers = NULL;
}
