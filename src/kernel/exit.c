/* SPDX-License-Identifier: Apache-2.0 */
/* exit.c: how tasks end.
 *
 * OVERVIEW: a task leaves by run_exit -> run_exit_main -> run_exit_notify. Its exit state goes none -> initiated (it takes no more part
 * in what concerns the group: stops, signals) -> zombie (its resources are gone; a sibling's exec may go on) -> dead (its numbers are
 * free). A thread that is not the leader is reaped at once; the leader waits as a zombie until it is the last of its group, then its
 * parent is told (exit_notify_locked) and takes it by wait(2), or not at all if it ignores SIGCHLD.
 * LOCKS: the tree under task_set.lock; exit_state and the group's list under the signal lock too.
 */
#include "kernel/internal.h"
#include "kernel/ipc_ns.h"
#include "kernel/kcov.h"
#include "kernel/namespace.h"
#include "kernel/ptrace.h"
#include "kernel/seccomp.h"
#include "kernel/trace.h"

static void advance(struct task *t, enum exit_state from, enum exit_state to)
{
	mutex_assert_held(&t->kernel->tasks.lock);
	if (t->exit_state != from)
		BUG("task %d: exit state %d -> %d, but it is %d", t->pid->numbers[0].nr, from, to, t->exit_state);
	t->exit_state = to;
}

/* ---- notification ---- */

static void fill_exit_info(siginfo_k *info, struct task *t, int signo, struct task *parent)
{
	struct thread_group *tg = t->tg;
	int status = t->exit_code;
	memset(info, 0, sizeof(*info));
	info->si_signo = signo;
	info->chld.pid = pid_nr(tg->pid, task_pid_ns(parent));
	info->chld.uid = from_kuid(parent->cred->user_ns, t->cred->uid);
	info->chld.utime = tg->exited.utime / (NSEC_PER_SEC / 100);
	info->chld.stime = tg->exited.stime / (NSEC_PER_SEC / 100);
	if (W_SIGNALED(status)) {
		info->si_code = status & 0x80 ? CLD_DUMPED : CLD_KILLED;
		info->chld.status = status & 0x7f;
	} else {
		info->si_code = CLD_EXITED;
		info->chld.status = (status >> 8) & 0xff;
	}
}

void task_wake_parent_locked(struct task *leader)
{
	if (leader->parent)
		wait_queue_wake_all(&leader->parent->tg->child_wait, 0);
}

/* True: the tracer has to wait for it before anybody else hears of it. */
static bool tell_tracer_locked(struct task *t)
{
	struct thread_group *tg = t->tg;
	if (t == tg->leader) {
		if (tg->ntasks > 1)
			return false;
		if (t->parent && t->parent->tg == t->tracer->tg) /* one notice for both */
			return false;
		if (tg->exiting)
			t->exit_code = tg->exit_status;
	}
	if (!t->exit_tracer_notified) {
		int st = t->exit_code;
		t->exit_tracer_notified = true;
		ptrace_signal_tracer_locked(t, W_SIGNALED(st) ? CLD_KILLED : CLD_EXITED, W_SIGNALED(st) ? st & 0x7f : (st >> 8) & 0xff);
	}
	return true;
}

/* Called whenever something changed that may let t's exit be told or resolved: it became a zombie, its group became empty, its parent
 * changed. Seed rules: a leader's exit is not waitable until the group is otherwise empty. */
void exit_notify_locked(struct task *t)
{
	struct thread_group *tg = t->tg;
	if (t->exit_state != TASK_EXIT_ZOMBIE || t->exit_parent_notified)
		return;
	if (unlikely(t->tracer) && tell_tracer_locked(t))
		return;
	if (t != tg->leader) {
		t->exit_parent_notified = t->exit_parent_acked = true;
		if (t->pid->exit_wait)
			wait_queue_wake_all(t->pid->exit_wait, EPOLLIN | EPOLLRDNORM);
		task_reap_locked(t);
		return;
	}
	if (tg->ntasks > 1)
		return;
	t->exit_parent_notified = true;
	if (t->tg->pid->exit_wait)
		wait_queue_wake_all(t->tg->pid->exit_wait, EPOLLIN | EPOLLRDNORM);
	wait_queue_wake_all(&tg->exit_wait, EPOLLIN | EPOLLRDNORM);
	struct task *parent = t->parent;
	if (!parent) {
		if (tg->watch) {
			struct task_usage u = tg->exited;
			usage_add(&u, &tg->children);
			tg->watch->ended(tg->watch, tg->exiting ? tg->exit_status : t->exit_code, &u);
			tg->watch = NULL;
		}
		t->exit_parent_acked = true;
		task_reap_locked(t);
		return;
	}
	/* The process's status is the group's. */
	if (tg->exiting)
		t->exit_code = tg->exit_status;
	int sig = tg->termination_signal;
	/* Another program runs there than the one that chose the signal. */
	if (sig != SIGCHLD && tg->parent_exec_id != parent->tg->exec_id)
		sig = tg->termination_signal = SIGCHLD;
	signal_lock(parent);
	if (sig == SIGCHLD && !t->tracer) { /* (a tracer in the parent's process takes it) */
		struct sigaction_k *sa = &parent->tg->sighand->action[SIGCHLD];
		if (sa->handler == (uint64_t)(uintptr_t)SIG_IGN) {
			t->exit_parent_acked = true;
			sig = 0;
		} else if (sa->flags & SA_NOCLDWAIT) {
			t->exit_parent_acked = true; /* Linux still sends the signal */
		}
	}
	if (sig > 0 && sig <= NSIG_K) {
		siginfo_k info;
		fill_exit_info(&info, t, sig, parent);
		struct task *target = tg_live_task_locked(parent->tg);
		if (target)
			task_send_signal_locked(target, &info, true);
	}
	signal_unlock(parent);
	/* Also when nobody has to reap it: a waiter may find that no child is left. */
	wait_queue_wake_all(&parent->tg->child_wait, 0);
	if (t->exit_parent_acked)
		task_reap_locked(t);
}

/* zombie -> dead. */
void task_reap_locked(struct task *t)
{
	struct thread_group *tg = t->tg;
	struct kernel *k = t->kernel;
	advance(t, TASK_EXIT_ZOMBIE, TASK_EXIT_DEAD);
	ptrace_unlink_locked(t);
	mutex_lock(&tg->sighand->lock);
	TAILQ_REMOVE(&tg->tasks, t, tg_link);
	unsigned left = --tg->ntasks;
	mutex_unlock(&tg->sighand->lock);
	struct pid_namespace *ns = pid_ns_of(t->pid);
	t->pid->task = NULL;
	ns->ntasks--;
	pid_maybe_unhash_locked(t->pid);
	if (t->counted) {
		t->counted = false;
		k->tasks.ntasks--;
	}
	if (t->uid_counted)
		uid_count_add_locked(k, t->counted_uid, -1);
	t->uid_counted = false;
	t->pid->exit_status = tg->exiting && t == tg->leader ? tg->exit_status : t->exit_code;
	t->pid->reaped = true;
	if (t == tg->leader) {
		if (t->parent)
			TAILQ_REMOVE(&t->parent->children, t, sibling);
		t->parent = NULL;
	}
	if (t == tg->leader && left == 0) {
		struct pid *p = tg->pid;
		if (p->exit_wait)
			wait_queue_wake_all(p->exit_wait, EPOLLIN | EPOLLRDNORM | EPOLLHUP);
		pgrp_leave_locked(tg);
	} else if (left == 1 && t != tg->leader) {
		exit_notify_locked(tg->leader);
	}
	/* A dying init waits for the last of its namespace. */
	if (ns->zapper)
		fiber_wake(ns->zapper->fiber);
	task_put(t);
}

void task_signal_parent_stop_locked(struct task *t, struct thread_group *tg, int code, int status)
{
	struct task *leader = tg->leader, *parent = leader->parent;
	if (code == CLD_STOPPED && tg->watch && tg->watch->stopped)
		tg->watch->stopped(tg->watch, status);
	if (!parent)
		return;
	signal_lock(parent);
	struct sigaction_k *sa = &parent->tg->sighand->action[SIGCHLD];
	if (sa->handler != (uint64_t)(uintptr_t)SIG_IGN && !(sa->flags & SA_NOCLDSTOP)) {
		siginfo_k info;
		memset(&info, 0, sizeof(info));
		info.si_signo = SIGCHLD;
		info.si_code = code;
		info.chld.pid = pid_nr(tg->pid, task_pid_ns(parent));
		info.chld.uid = from_kuid(parent->cred->user_ns, t->cred->uid);
		info.chld.status = status;
		struct task *target = tg_live_task_locked(parent->tg);
		if (target)
			task_send_signal_locked(target, &info, true);
	}
	signal_unlock(parent);
	wait_queue_wake_all(&parent->tg->child_wait, 0);
}

/* ---- reparenting ---- */

/* Linux's find_new_reaper: a live thread of the same group, the nearest subreaper, the namespace's init. */
static struct task *find_reaper(struct task *t)
{
	struct task *r = tg_live_task_locked(t->tg);
	if (r)
		return r;
	struct pid_namespace *ns = pid_ns_of(t->tg->pid);
	struct task *init = ns->init && ns->init->tg != t->tg ? tg_live_task_locked(ns->init->tg) : NULL;
	if (t->tg->has_child_subreaper) {
		struct task *leader = t->tg->leader;
		for (struct task *p = leader->parent; p; p = p->tg->leader->parent) {
			if (pid_ns_of(p->tg->pid) != ns || p->tg->is_init)
				break;
			if (!p->tg->child_subreaper)
				continue;
			r = tg_live_task_locked(p->tg);
			if (r)
				return r;
		}
	}
	/* Outside of a sandbox they would go to the host's init, which the program never sees: nobody's children, reaped by the kernel. */
	if (init && !init->tg->immune && !init->tg->child_subreaper)
		return NULL;
	return init;
}

static void reparent_children(struct task *t)
{
	struct task *c, *next, *reaper;
	if (TAILQ_EMPTY(&t->children))
		return;
	reaper = find_reaper(t);
	TAILQ_FOREACH_SAFE(c, &t->children, sibling, next) {
		struct task *th;
		bool same_group = reaper && reaper->tg == t->tg;
		TAILQ_REMOVE(&t->children, c, sibling);
		TAILQ_FOREACH(th, &c->tg->tasks, tg_link) {
			th->parent = reaper;
			if (th->pdeath_signal && th->exit_state == TASK_EXIT_NONE) {
				siginfo_k info;
				siginfo_user(&info, th->pdeath_signal, SI_USER, NULL, th);
				info.rt.pid = pid_nr(t->tg->pid, task_pid_ns(th));
				task_send_signal(th, &info, true);
			}
		}
		c->parent = reaper;
		if (reaper)
			TAILQ_INSERT_TAIL(&reaper->children, c, sibling);
		if (same_group)
			continue;
		c->tg->termination_signal = SIGCHLD;
		c->tg->parent_exec_id = reaper ? reaper->tg->exec_id : 0;
		if (c->exit_state == TASK_EXIT_ZOMBIE && (c->tg->ntasks == 1 || c->exit_parent_notified)) {
			c->exit_parent_notified = false;
			exit_notify_locked(c); /* may reap it */
		} else {
			pgrp_check_orphans_locked(c->tg, t->tg);
		}
	}
}

/* ---- init's death ---- */

static bool ns_empty_but(struct pid_namespace *ns, struct thread_group *tg)
{
	for (int nr = 1; nr < ns->map_size; nr++)
		if (ns->map[nr] && ns->map[nr]->task && ns->map[nr]->task->tg != tg)
			return false;
	return true;
}

/* pid_namespaces(7): everything in the namespace is killed, and init waits until it is gone. */
static void zap_pid_namespace(struct task *t)
{
	struct kernel *k = t->kernel;
	struct pid_namespace *ns = pid_ns_of(t->tg->pid);
	mutex_lock(&k->tasks.lock);
	ns->dying = true;
	if (ns->reboot)
		t->tg->exit_status = t->exit_code = ns->reboot;
	for (int nr = 2; nr < ns->map_size; nr++) {
		struct task *o = ns->map[nr] ? ns->map[nr]->task : NULL;
		if (!o || o->tg == t->tg)
			continue;
		signal_lock(o);
		tg_start_exit_locked(o->tg, SIGKILL, NULL);
		signal_unlock(o);
		mutex_lock(&o->lock);
		if (o->fiber) /* one that was made from outside may not have been started */
			fiber_wake(o->fiber);
		mutex_unlock(&o->lock);
	}
	if (ns->level == 0 && !k->persistent) { /* the kernel ends now; nobody is left to look at the corpses */
		mutex_unlock(&k->tasks.lock);
		return;
	}
	ns->zapper = t;
	for (;;) {
		/* Whom it traced is let go first: a traced thread that ended would wait for it. */
		ptrace_exit_tracer_locked(t);
		/* Its own zombie children are its to reap. */
		struct task *c, *next;
		TAILQ_FOREACH_SAFE(c, &t->children, sibling, next)
			if (c->exit_state == TASK_EXIT_ZOMBIE && c->exit_parent_notified && !c->exit_parent_acked) {
				c->exit_parent_acked = true;
				task_reap_locked(c);
			}
		if (ns_empty_but(ns, t->tg))
			break;
		mutex_unlock(&k->tasks.lock);
		fiber_park(PARK_UNINTERRUPTIBLE, ktime_mono() + NSEC_PER_SEC / 10);
		mutex_lock(&k->tasks.lock);
	}
	ns->zapper = NULL;
	mutex_unlock(&k->tasks.lock);
}

long task_reboot(struct task *t, int sig)
{
	struct pid_namespace *ns = task_pid_ns(t);

	mutex_lock(&t->kernel->tasks.lock);
	struct task *init = ns->init;
	if (!init || ns->dying) {
		mutex_unlock(&t->kernel->tasks.lock);
		return -EINVAL;
	}
	ns->reboot = sig;
	signal_lock(init);
	tg_start_exit_locked(init->tg, SIGKILL, NULL);
	signal_unlock(init);
	mutex_unlock(&t->kernel->tasks.lock);
	task_exit(t, 0);
	return 0;
}

/* ---- the exit path ---- */

void task_mm_release(struct task *t, bool exec)
{
	bool signaled = !exec && t->tg->exiting && W_SIGNALED(t->tg->exit_status);
	futex_exit_robust(t);
	t->robust_list = 0;
	if (!t->mm_shared) /* nobody is left who could look at the word */
		t->clear_child_tid = 0;
	if (t->clear_child_tid) {
		uaddr_t addr = t->clear_child_tid;
		uint32_t zero = 0;
		t->clear_child_tid = 0;
		/* mm_write: this task does not return to its guest, so nothing may travel with an answer. */
		if (!signaled && mm_write(t->mm, addr, &zero, sizeof(zero)) == sizeof(zero))
			task_futex_wake(t, addr);
	}
}

static void account(struct task *t, bool last)
{
	struct task_usage u;
	task_usage(t, &u);
	if (t->mm && last)
		u.maxrss = mm_peak_rss(t->mm) / 1024;
	mutex_lock(&t->kernel->tasks.lock);
	usage_add(&t->tg->exited, &u);
	usage_add(&t->tg->container->ended, &u);
	usage_add(t->kernel->ended, &u);
	t->accounted = true;
	mutex_unlock(&t->kernel->tasks.lock);
}

static const struct run_state *exit_first(struct task *t)
{
	t->after_syscall = NULL;
	task_core_join(t);
	if (unlikely(READ_ONCE(t->trace_calls)))
		ptrace_exit(t);
	t->syscall_nr = -1;
	return &run_exit_main;
}

static const struct run_state *exit_main(struct task *t)
{
	struct kernel *k = t->kernel;
	struct thread_group *tg = t->tg;

	kcov_task_exit(t);
	/* Leave the group: from here on it neither stops nor takes signals. */
	mutex_lock(&k->tasks.lock);
	bool stopped = task_exit_signals_locked(t);
	bool last = --tg->nactive == 0;
	if (stopped)
		task_signal_parent_stop_locked(t, tg, CLD_STOPPED, tg->group_stop_signal);
	mutex_unlock(&k->tasks.lock);

	trace_point(t, TRACE_EXIT, .last = last, .status = tg->exiting ? tg->exit_status : t->exit_code);
	if (t->mm) {
		if (last && !tg->exiting) { /* every thread left by exit(2) */
			signal_lock(t);
			tg->exiting = true;
			tg->exit_status = t->exit_code;
			signal_unlock(t);
		}
		task_mm_release(t, false);
	} else {
		t->robust_list = 0;
		futex_exit_robust(t); /* who waits for it learns of its death all the same */
	}
	account(t, last);

	seccomp_release(t);
	struct fiber_context *ctx = fiber_context();
	struct mm *mm = t->mm;
	struct pl_thread *thread = t->thread;
	mutex_lock(&t->lock);
	t->mm = NULL;
	t->thread = NULL;
	mutex_unlock(&t->lock);
	ctx->mm = NULL;
	ctx->thread = NULL;
	if (thread)
		pl_thread_destroy(thread);
	if (mm)
		mm_put(mm);
	task_vfork_complete(t);
	task_exit_sem(t);

	struct fd_table *fdt = t->fdt;
	struct fs_context *fs = t->fs;
	mutex_lock(&t->lock);
	t->fdt = NULL;
	t->fs = NULL;
	mutex_unlock(&t->lock);
	/* The table goes first: releasing files may still look at the file system context. */
	if (fdt)
		fd_table_put(fdt);
	ctx->fdt = NULL;
	if (fs)
		fs_context_put(fs);
	ctx->fs = NULL;
	struct task ns = { .kernel = k };
	struct task none = { .kernel = k };
	mutex_lock(&t->lock);
	namespaces_swap(t, &none, &ns);
	mutex_unlock(&t->lock);
	namespaces_put(&ns);

	if (last) {
		tg_flush_timers(tg, false);
		if (k->tty_disassociate)
			k->tty_disassociate(tg, true);
	}
	if (tg->is_init && last)
		zap_pid_namespace(t);
	return &run_exit_notify;
}

static const struct run_state *exit_notify(struct task *t)
{
	struct kernel *k = t->kernel;
	struct thread_group *tg = t->tg;
	struct tty *tty = NULL;
	bool root_init = false;
	int status = 0;

	mutex_lock(&k->tasks.lock);
	ptrace_exit_tracer_locked(t);
	reparent_children(t);
	if (tg->nactive == 0 && tg->nlive == 1) {
		tty = tg->tty;
		tg->tty = NULL;
		pgrp_check_orphans_locked(tg, NULL);
		session_leader_exit(tg);
		struct pid_namespace *ns = pid_ns_of(tg->pid);
		if (tg->is_init) {
			ns->init = NULL;
			if (ns->level == 0) {
				root_init = true;
				status = tg->exit_status;
				k->init = NULL;
			}
		}
	}
	advance(t, TASK_EXIT_INITIATED, TASK_EXIT_ZOMBIE);
	tg->nlive--;
	if (tg->exec_task && tg->nlive == 1 && tg->exec_task->fiber)
		fiber_wake(tg->exec_task->fiber);
	exit_notify_locked(t);
	mutex_unlock(&k->tasks.lock);

	if (tty && k->tty_put)
		k->tty_put(tty);
	if (root_init) {
		k->exit_status = status;
		if (!k->persistent) {
			atomic_store(&k->exiting, true);
			sched_stop(k->sched, status);
		}
	}
	return NULL;
}

const struct run_state run_exit = { "exit", exit_first };
const struct run_state run_exit_main = { "exit main", exit_main };
const struct run_state run_exit_notify = { "exit notify", exit_notify };
