/* SPDX-License-Identifier: Apache-2.0 */
/* clone.c: how tasks are made (clone(2), clone3(2), fork(2), vfork(2)), and unshare(2).
 *
 * OVERVIEW: everything that can fail comes first: checks, the host's copy of the address space or new host thread, the copies of
 * tables and namespaces, the number. The last step, under task_set.lock and the signal lock, links the task into the tree and cannot
 * fail but for the group's death. Then the fiber is woken.
 */
#include "kernel/internal.h"
#include "kernel/ipc_ns.h"
#include "kernel/namespace.h"
#include "kernel/ptrace.h"
#include "kernel/seccomp.h"
#include "kernel/time_ns.h"
#include "kernel/trace.h"
#include "kernel/user_ns.h"
#include "mm/window.h"
#include <linux/capability.h>
#include <linux/sched.h>

static int check_flags(struct task *t, const struct clone_args_k *a)
{
	uint64_t f = a->flags;
	if ((f & (CLONE_NEWNS | CLONE_FS)) == (CLONE_NEWNS | CLONE_FS) || (f & (CLONE_NEWUSER | CLONE_FS)) == (CLONE_NEWUSER | CLONE_FS))
		return -EINVAL;
	if ((f & CLONE_THREAD) && !(f & CLONE_SIGHAND))
		return -EINVAL;
	if ((f & CLONE_SIGHAND) && !(f & CLONE_VM))
		return -EINVAL;
	if ((f & CLONE_PARENT) && t->tg->is_init)
		return -EINVAL;
	if ((f & CLONE_THREAD) && ((f & (CLONE_NEWUSER | CLONE_NEWPID)) || t->pid_ns_for_children != task_pid_ns(t)))
		return -EINVAL;
	if ((f & CLONE_SIGHAND) && (f & CLONE_CLEAR_SIGHAND))
		return -EINVAL;
	if ((f & CLONE_NEWIPC) && (f & CLONE_SYSVSEM)) /* adjustments belong to one namespace */
		return -EINVAL;
	if ((f & CLONE_PIDFD) && (f & CLONE_DETACHED))
		return -EINVAL;
	if (t->sched_policy == SCHED_DEADLINE_K && !t->sched_reset_on_fork)
		return -EAGAIN;
	if (f & CLONE_INTO_CGROUP) /* no descriptor is one of a cgroup: there is no file system of them */
		return -EBADF;
	if ((f & CLONE_SETTLS) && a->tls >= PL_TASK_SIZE)
		return -EPERM;
	return namespaces_check(t, f);
}

void io_context_put(struct io_context *ioc)
{
	if (ioc && refcount_put(&ioc->ref))
		free(ioc);
}

/* A priority that was set is inherited, or the whole context shared. */
static void copy_io(struct task *c, struct task *t, uint64_t flags)
{
	guard(mutex)(&t->lock);
	if (!t->ioc)
		return;
	if (flags & CLONE_IO) {
		refcount_get(&t->ioc->ref);
		c->ioc = t->ioc;
	} else if (t->ioc->ioprio >> 13) {
		c->ioc = xzalloc(sizeof(*c->ioc));
		refcount_init(&c->ioc->ref);
		c->ioc->ioprio = t->ioc->ioprio;
	}
}

/* Copies what a child inherits in its own task struct. */
static void inherit(struct task *c, struct task *t, const struct clone_args_k *a)
{
	uint64_t f = a->flags;
	c->cred = cred_get(t->cred);
	c->no_new_privs = t->no_new_privs;
	c->timer_slack = c->timer_slack_default = t->timer_slack;
	c->personality = t->personality;
	c->numa_mode = t->numa_mode;
	c->numa_nodes = t->numa_nodes;
	memcpy(c->comm, t->comm, sizeof(c->comm));
	memcpy(c->cpu_mask, t->cpu_mask, sizeof(c->cpu_mask));
	c->nice = t->nice;
	copy_io(c, t, f);
	c->sched_policy = t->sched_policy;
	c->sched_priority = t->sched_priority;
	c->sched_dl = t->sched_dl;
	c->sched_slice = t->sched_slice;
	if (t->sched_reset_on_fork) {
		bool special = c->sched_policy == SCHED_FIFO || c->sched_policy == SCHED_RR || c->sched_policy == SCHED_DEADLINE_K;
		if (special)
			c->sched_policy = c->sched_priority = 0;
		memset(&c->sched_dl, 0, sizeof(c->sched_dl));
		c->sched_slice = 0;
		if (special || c->nice < 0)
			c->nice = 0;
	}
	if (f & CLONE_CHILD_CLEARTID)
		c->clear_child_tid = a->child_tid;
	if (f & CLONE_CHILD_SETTID)
		c->start.child_tid = a->child_tid;
	if (a->stack)
		c->start.stack = a->stack + a->stack_size;
	if (f & CLONE_SETTLS) {
		c->start.tls = a->tls;
		c->start.set_tls = true;
	}
}

static int copy_mm(struct task *c, struct task *t, uint64_t flags)
{
	int r;
	if (flags & CLONE_VM) {
		r = pl_thread_clone(t->thread, &c->thread);
		if (r)
			return r;
		mm_get(t->mm);
		c->mm = t->mm;
		t->mm_shared = c->mm_shared = true;
		return 0;
	}
	struct pl_space *space = NULL;
	mm_fork_begin(t->mm);
	r = pl_space_fork(t->thread, &space, &c->thread);
	c->mm = mm_fork_finish(t->mm, r ? NULL : space);
	if (r)
		return r;
	if (!c->mm) {
		pl_thread_destroy(c->thread);
		c->thread = NULL;
		return -ENOMEM;
	}
	return 0;
}

static void copy_files(struct task *c, struct task *t, uint64_t flags)
{
	if (flags & CLONE_FILES) {
		if (!(flags & CLONE_VM)) { /* what it closes is to be closed here too */
			fd_table_set_foreign(t->fdt);
			mm_windows_close(t->mm);
		}
		fd_table_get(t->fdt);
		c->fdt = t->fdt;
	} else {
		c->fdt = fd_table_dup(t->fdt, UINT32_MAX);
	}
	if (flags & CLONE_FS) {
		fs_context_get(t->fs);
		c->fs = t->fs;
	} else {
		c->fs = fs_context_dup(t->fs);
	}
}

/* A task that was never linked. */
void task_abandon(struct task *c)
{
	struct kernel *k = c->kernel;
	if (c->thread)
		pl_thread_destroy(c->thread);
	c->thread = NULL;
	if (c->mm)
		mm_put(c->mm);
	c->mm = NULL;
	if (c->fdt)
		fd_table_put(c->fdt);
	if (c->fs)
		fs_context_put(c->fs);
	task_exit_sem(c);
	namespaces_put(c);
	if (c->vfork_done)
		vfork_done_put(c->vfork_done);
	mutex_lock(&k->tasks.lock);
	if (c->pid)
		pid_maybe_unhash_locked(c->pid);
	if (c->counted)
		k->tasks.ntasks--;
	mutex_unlock(&k->tasks.lock);
	task_put(c);
}

static struct thread_group *new_group(struct task *t, const struct clone_args_k *a)
{
	struct thread_group *old = t->tg, *tg;
	struct signal_handlers *sh;
	if (a->flags & CLONE_SIGHAND) {
		task_recall_actions(t);
		sh = old->sighand;
		refcount_get(&sh->ref);
	} else {
		sh = sighand_dup(old->sighand);
		if (a->flags & CLONE_CLEAR_SIGHAND)
			for (int i = 1; i <= NSIG_K; i++)
				if (sh->action[i].handler > 1)
					memset(&sh->action[i], 0, sizeof(sh->action[i]));
	}
	tg = tg_alloc(t->kernel, sh);
	container_get(old->container);
	tg->container = old->container;
	mutex_lock(&old->limits_lock);
	memcpy(tg->limits, old->limits, sizeof(tg->limits));
	mutex_unlock(&old->limits_lock);
	tg->oom_score_adj = atomic_load(&old->oom_score_adj);
	tg->thp_disabled = old->thp_disabled;
	tg->io_flusher = old->io_flusher;
	tg->memory_merge = old->memory_merge;
	tg->membarriers = old->membarriers;
	tg->login_uid = old->login_uid;
	tg->login_session = old->login_session;
	tg->coredump_filter = old->coredump_filter;
	tg->mce_policy = old->mce_policy;
	tg->mdwe = old->mdwe & PR_MDWE_NO_INHERIT_ ? 0 : old->mdwe;
	return tg;
}

/* Under task_set.lock: a place and a number. */
static int reserve(struct task *c, struct task *t, const struct clone_args_k *a)
{
	struct kernel *k = t->kernel;
	struct pid_namespace *ns = c->pid_ns_for_children;
	guard(mutex)(&k->tasks.lock);
	if (k->tasks.max_tasks && k->tasks.ntasks >= k->tasks.max_tasks)
		return -EAGAIN;
	if (ns->dying)
		return -ENOMEM;
	uint64_t lim = t->tg->limits[RLIMIT_NPROC].rlim_cur; /* of threads too */
	if (lim != RLIM64_INFINITY && t->cred->uid != 0 && !cred_has_cap(t->cred, CAP_SYS_RESOURCE) &&
	    !cred_has_cap(t->cred, CAP_SYS_ADMIN) && uid_count_locked(k, t->cred->uid) >= lim)
		return -EAGAIN;
	int r = pid_alloc_locked(ns, a->set_tid, a->nset_tid, &c->pid);
	if (r)
		return r;
	k->tasks.ntasks++;
	c->counted = true;
	return 0;
}

/* The last step: c becomes visible. */
static int link_task(struct task *c, struct task *t, struct thread_group *tg, const struct clone_args_k *a, int event)
{
	struct kernel *k = t->kernel;
	bool thread = a->flags & CLONE_THREAD;
	guard(mutex)(&k->tasks.lock);
	signal_lock(t);
	if (t->killed || t->tg->exiting || (t->tg->exec_task && t->tg->exec_task != t)) {
		signal_unlock(t);
		return -EINTR;
	}
	if (thread) {
		tg_get(t->tg);
		c->tg = t->tg;
		c->parent = t->tg->leader->parent;
	} else {
		c->tg = tg;
		tg->leader = c;
		tg->pid = c->pid;
		pid_get(c->pid);
		tg->is_init = tg->immune = c->pid->numbers[c->pid->level].nr == 1 && !pid_ns_of(c->pid)->init;
		c->parent = a->flags & CLONE_PARENT ? t->tg->leader->parent : t;
		tg->termination_signal = a->flags & CLONE_PARENT ? t->tg->termination_signal : a->exit_signal;
		tg->parent_exec_id = c->parent ? c->parent->tg->exec_id : 0;
		tg->has_child_subreaper = t->tg->child_subreaper || t->tg->has_child_subreaper;
	}
	seccomp_inherit(c, t); /* here, so that TSYNC finds either the new thread or what it comes from */
	TAILQ_INSERT_TAIL(&c->tg->tasks, c, tg_link);
	c->tg->ntasks++;
	c->tg->nlive++;
	c->tg->nactive++;
	c->pid->task = c;
	pid_ns_of(c->pid)->ntasks++;
	if (thread || c->tg->sighand == t->tg->sighand) {
		task_clone_signals(c, t, a->flags);
		ptrace_clone_locked(c, t, a->flags, event);
	} else {
		mutex_lock_nested(&c->tg->sighand->lock); /* nobody else knows it yet */
		task_clone_signals(c, t, a->flags);
		ptrace_clone_locked(c, t, a->flags, event);
		mutex_unlock(&c->tg->sighand->lock);
	}
	signal_unlock(t);
	if (!thread) {
		tg->tty = t->tg->tty;
		if (tg->tty && k->tty_get)
			k->tty_get(tg->tty);
		pgrp_join_locked(tg, t->tg->pgrp);
		if (c->parent)
			TAILQ_INSERT_TAIL(&c->parent->children, c, sibling);
		if (tg->is_init)
			pid_ns_of(c->pid)->init = c, pid_ns_of(c->pid)->begun = true;
	}
	uid_count_add_locked(k, c->cred->uid, 1);
	c->counted_uid = c->cred->uid;
	c->uid_counted = true;
	atomic_fetch_add_explicit(&k->total_forks, 1, memory_order_relaxed);
	if (task_external_stopped(c))
		c->work_pending = true;
	return 0;
}

/* At once, not with the answer of the call: the child may look at it, or write it, before the parent goes on. */
static int put_int_now(struct task *t, uaddr_t addr, int val)
{
	return mm_write(t->mm, addr, &val, sizeof(val)) == sizeof(val) ? 0 : -EFAULT;
}

static long do_clone(struct task *t, const struct clone_args_k *a)
{
	struct kernel *k = t->kernel;
	bool thread = a->flags & CLONE_THREAD;
	long r = check_flags(t, a);
	if (r)
		return r;
	/* A signal that came before the fork is for the parent alone: take it first (fork is restarted unseen). */
	if (!thread && signal_pending(t))
		return -ERESTARTNOINTR;

	struct thread_group *tg = NULL;
	int pidfd = -1;
	struct vfork_done *v = NULL;
	struct task *c = task_alloc(k);
	inherit(c, t, a);
	if (a->flags & CLONE_NEWUSER) {
		struct cred *own = NULL;

		r = user_ns_new_cred(t, &own);
		if (r)
			goto fail;
		cred_put(c->cred);
		c->cred = own;
	}
	r = namespaces_copy(c, t, a->flags);
	if (r)
		goto fail;
	if (!(a->flags & CLONE_VM))
		time_ns_enter_children(c);
	r = reserve(c, t, a);
	if (r)
		goto fail;
	task_clone_sem(c, t, a->flags);
	copy_files(c, t, a->flags);
	if (a->flags & CLONE_NEWNS) {
		r = namespaces_copy_mnt(c, t);
		if (r)
			goto fail;
	}
	r = copy_mm(c, t, a->flags);
	if (r)
		goto fail;
	if (!thread)
		tg = new_group(t, a);
	else
		task_recall_actions(t);
	if (a->flags & CLONE_VFORK) {
		v = new(struct vfork_done);
		refcount_init(&v->ref);
		refcount_get(&v->ref);
		wait_queue_init(&v->wq);
		v->pid = c->pid;
		pid_get(v->pid);
		c->vfork_done = v;
		c->is_vfork_child = true;
	}
	int nr = task_tid(c, task_pid_ns(t));
	if (a->flags & CLONE_PIDFD) {
		__free(file) struct file *f = NULL;
		r = pidfd_file(c->pid, O_RDWR | (thread ? PIDFD_THREAD_FLAG : 0), &f);
		if (!r) {
			pidfd = fd_install(t->fdt, f, true);
			r = pidfd < 0 ? pidfd : put_int_now(t, a->pidfd, pidfd);
		}
		if (r)
			goto fail;
	}
	c->fiber = fiber_create(k->sched, -1, c->comm, task_main, c);
	if (!c->fiber) {
		r = -EAGAIN;
		goto fail;
	}
	if (a->flags & CLONE_PARENT_SETTID)
		(void)put_int_now(t, a->parent_tid, nr); /* as Linux: a bad pointer is not reported */
	refcount_get(&c->ref); /* the fiber's */
	int event = unlikely(READ_ONCE(t->trace_calls)) ? ptrace_clone_event(t, a->flags, a->exit_signal) : 0;
	int event_nr = event ? ptrace_event_nr(t, c->pid) : 0;
	r = link_task(c, t, tg, a, event);
	if (r) {
		/* Its fiber was never started: let it begin and end by itself. */
		c->start.abandoned = true;
		fiber_wake(c->fiber);
		goto fail;
	}
	task_set_fiber_context(c, c->fiber);
	trace_point(t, TRACE_CLONE, .other = c, .flags = a->flags);
	pl_rseq_lend(c->thread, task_lends(c));
	fiber_wake(c->fiber);
	if (unlikely(event))
		ptrace_event(t, event, event_nr);
	if (v) {
		t->vfork_waiting = v;
		t->after_syscall = &run_vfork_wait;
	}
	return nr;
fail:
	if (pidfd >= 0)
		fd_close(t->fdt, pidfd);
	if (v)
		vfork_done_put(v);
	if (tg) {
		tg_put(tg);
	}
	task_abandon(c);
	return r;
}

long task_clone(struct task *t, const struct clone_args_k *a) { return do_clone(t, a); }

/* ---- vfork ---- */

void vfork_done_put(struct vfork_done *v)
{
	if (refcount_put(&v->ref)) {
		pid_put(v->pid);
		free(v);
	}
}

void task_vfork_complete(struct task *t)
{
	struct vfork_done *v = t->vfork_done;
	if (!v)
		return;
	t->vfork_done = NULL;
	atomic_store(&v->done, true);
	wait_queue_wake_all(&v->wq, 0);
	vfork_done_put(v);
}

/* ---- unshare ---- */

long task_unshare(struct task *t, uint64_t flags)
{
	const uint64_t known = CLONE_THREAD | CLONE_FS | CLONE_NEWNS | CLONE_SIGHAND | CLONE_VM | CLONE_FILES | CLONE_SYSVSEM |
			       CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWCGROUP | CLONE_NEWTIME;
	if (flags & CLONE_NEWUSER)
		flags |= CLONE_THREAD | CLONE_FS;
	if (flags & CLONE_VM)
		flags |= CLONE_SIGHAND;
	if (flags & CLONE_SIGHAND)
		flags |= CLONE_THREAD;
	if (flags & CLONE_NEWNS)
		flags |= CLONE_FS;
	if (flags & ~known)
		return -EINVAL;
	if (flags & (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM)) {
		mutex_lock(&t->kernel->tasks.lock);
		bool alone = t->tg->ntasks == 1;
		mutex_unlock(&t->kernel->tasks.lock);
		if (!alone)
			return -EINVAL;
		if ((flags & (CLONE_SIGHAND | CLONE_VM)) && refcount_read(&t->tg->sighand->ref) > 1)
			return -EINVAL;
	}
	if ((flags & CLONE_NEWPID) && t->pid_ns_for_children != task_pid_ns(t))
		return -EINVAL;
	long r = namespaces_check(t, flags);
	if (r)
		return r;
	struct task copy = { .kernel = t->kernel }; /* only the namespace fields are used */
	if (flags & CLONE_NEWUSER) {
		r = user_ns_new_cred(t, &copy.cred);
		if (r)
			return r;
	}
	r = namespaces_copy(&copy, t, flags);
	if (r) {
		cred_put(copy.cred);
		return r;
	}
	struct fs_context *fs = NULL, *old_fs = NULL;
	if ((flags & CLONE_FS) && refcount_read(&t->fs->ref) > 1)
		fs = fs_context_dup(t->fs);
	if (flags & CLONE_NEWNS) {
		copy.fs = fs ? fs : t->fs;
		r = namespaces_copy_mnt(&copy, t);
		if (r) {
			namespaces_put(&copy);
			cred_put(copy.cred);
			if (fs)
				fs_context_put(fs);
			return r;
		}
	}
	struct fd_table *fdt = NULL, *old_fdt = NULL;
	if (flags & CLONE_FILES) {
		mm_windows_close(t->mm);
		fdt = fd_table_dup(t->fdt, UINT32_MAX);
	}
	struct task old = { .kernel = t->kernel };
	if (flags & (CLONE_SYSVSEM | CLONE_NEWIPC))
		task_exit_sem(t);
	mutex_lock(&t->lock);
	namespaces_swap(t, &copy, &old);
	if (fs) {
		old_fs = t->fs;
		t->fs = fs;
	}
	if (fdt) {
		old_fdt = t->fdt;
		t->fdt = fdt;
	}
	mutex_unlock(&t->lock);
	task_set_fiber_context(t, t->fiber);
	if (copy.cred)
		task_set_cred(t, copy.cred);
	namespaces_put(&old);
	if (old_fs)
		fs_context_put(old_fs);
	if (old_fdt)
		fd_table_put(old_fdt);
	return 0;
}
