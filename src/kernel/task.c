/* SPDX-License-Identifier: Apache-2.0 */
/* task.c: the life of struct task and struct thread_group as objects; interruption and killing.
 *
 * LIFECYCLE: a task is born by task_clone() or kernel_create_process() with two references: one of the tree (its thread group's
 * list, dropped by task_reap_locked) and one of its fiber (dropped when the fiber ends). Handles take more.
 * A thread group has one reference for each of its tasks, dropped when the task's memory goes.
 */
#include "kernel/internal.h"
#include <linux/capability.h>
#include <pthread.h>

/* Handler tables are type-stable: signal_lock() may touch one that exec has just swapped out, so their memory is kept for the next
 * process and never given back, and the lock in it is set up once. This is memory, not state: two kernels may share it. */
static struct { pthread_mutex_t lock; struct free_sighand { struct signal_handlers s; struct free_sighand *next; } *free; } sighands = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
};

struct signal_handlers *sighand_alloc(void)
{
	pthread_mutex_lock(&sighands.lock);
	struct free_sighand *f = sighands.free;
	if (f)
		sighands.free = f->next;
	pthread_mutex_unlock(&sighands.lock);
	if (!f) {
		f = new(struct free_sighand);
		mutex_init(&f->s.lock, RANK_SIGNAL);
	} else {
		memset(f->s.action, 0, sizeof(f->s.action));
	}
	refcount_init(&f->s.ref);
	return &f->s;
}

struct signal_handlers *sighand_dup(struct signal_handlers *s)
{
	struct signal_handlers *n = sighand_alloc();
	mutex_lock(&s->lock);
	memcpy(n->action, s->action, sizeof(n->action));
	mutex_unlock(&s->lock);
	return n;
}

void sighand_put(struct signal_handlers *s)
{
	if (!s || !refcount_put(&s->ref))
		return;
	struct free_sighand *f = container_of(s, struct free_sighand, s);
	pthread_mutex_lock(&sighands.lock);
	f->next = sighands.free;
	sighands.free = f;
	pthread_mutex_unlock(&sighands.lock);
}

struct task *task_alloc(struct kernel *k)
{
	struct task *t = new(struct task);
	t->kernel = k;
	refcount_init(&t->ref);
	mutex_init(&t->lock, RANK_TASK);
	TAILQ_INIT(&t->children);
	TAILQ_INIT(&t->tracees);
	task_init_signals(t);
	t->syscall_nr = -1;
	t->start_time = ktime_mono();
	return t;
}

void task_get(struct task *t) { refcount_get(&t->ref); }

void task_put(struct task *t)
{
	if (!t || !refcount_put(&t->ref))
		return;
	BUG_ON(t->mm || t->thread);
	task_free_signals(t);
	pid_put(t->pid);
	cred_put(t->cred);
	free(t->ptrace);
	io_context_put(t->ioc);
	tg_put(t->tg);
	free(t);
}

struct thread_group *tg_alloc(struct kernel *k, struct signal_handlers *sighand)
{
	struct thread_group *tg = new(struct thread_group);
	refcount_init(&tg->ref);
	tg->kernel = k;
	tg->sighand = sighand;
	TAILQ_INIT(&tg->tasks);
	wait_queue_init(&tg->child_wait);
	wait_queue_init(&tg->exit_wait);
	wait_queue_init(&tg->signalfd_wait);
	mutex_init(&tg->timer_lock, RANK_TG_TIMER);
	mutex_init(&tg->limits_lock, RANK_LEAF);
	tg->pgrp_member.tg = tg;
	tg->login_uid = tg->login_session = UINT32_MAX;
	tg->coredump_filter = 0x33; /* private and anonymous memory, ELF headers, huge pages */
	tg_init_signals(tg);
	return tg;
}

void tg_get(struct thread_group *tg) { refcount_get(&tg->ref); }

void tg_put(struct thread_group *tg)
{
	if (!tg || !refcount_put(&tg->ref))
		return;
	BUG_ON(tg->pgrp);
	tg_free_signals(tg);
	sighand_put(tg->sighand);
	pid_put(tg->pid);
	pid_put(tg->ptracer);
	container_put(tg->container);
	free(tg);
}

struct task *tg_live_task_locked(struct thread_group *tg)
{
	struct task *t;
	TAILQ_FOREACH(t, &tg->tasks, tg_link)
		if (t->exit_state == TASK_EXIT_NONE)
			return t;
	return NULL;
}

void task_set_fiber_context(struct task *t, struct fiber *f)
{
	struct fiber_context *c = fiber_context_of(f);
	c->task = t;
	c->mm = t->mm;
	c->thread = t->thread;
	c->cred = t->cred;
	c->fs = t->fs;
	c->fdt = t->fdt;
	c->no_windows = t->kernel->calls_traced;
}

/* Linux's commit_creds(): who changes what it may do is no longer dumpable and loses its parent-death signal. */
void task_set_cred(struct task *t, struct cred *c)
{
	struct cred *old = t->cred;
	if (old->euid != c->euid || old->egid != c->egid || old->fsuid != c->fsuid || old->fsgid != c->fsgid ||
	    (c->user_ns == old->user_ns && (c->permitted & ~old->permitted))) {
		if (t->mm)
			mm_layout(t->mm)->dumpable = false;
		t->pdeath_signal = 0;
	}
	mutex_lock(&t->kernel->tasks.lock);
	if (t->uid_counted && t->counted_uid != c->uid) {
		uid_count_add_locked(t->kernel, t->counted_uid, -1);
		uid_count_add_locked(t->kernel, c->uid, 1);
		t->counted_uid = c->uid;
	}
	mutex_lock(&t->lock);
	t->cred = c;
	mutex_unlock(&t->lock);
	if (t->ids_lent && t->thread)
		pl_ids_recall(t->thread);
	t->ids_lent = false;
	mutex_unlock(&t->kernel->tasks.lock);
	if (t->fiber && t->fiber == fiber_self())
		fiber_context()->cred = c;
	cred_put(old);
}

/* In a namespace below the root one a mapping may still be written. */
void task_lend_ids(struct task *t)
{
	struct user_namespace *ns = t->kernel->root_user_ns;
	uint32_t ids[PL_NIDS] = {
		[PL_ID_PID] = t->tg->pid->numbers[t->tg->pid->level].nr, [PL_ID_TID] = t->pid->numbers[t->pid->level].nr,
		[PL_ID_UID] = from_kuid(ns, t->cred->uid), [PL_ID_EUID] = from_kuid(ns, t->cred->euid),
		[PL_ID_GID] = from_kgid(ns, t->cred->gid), [PL_ID_EGID] = from_kgid(ns, t->cred->egid),
	};

	task_lend_mask(t);
	if (t->ids_lent || t->cred->user_ns != ns)
		return;
	t->ids_lent = true;
	pl_ids_lend(t->thread, ids);
}

bool task_may_access(struct task *t, struct task *o)
{
	if (t->tg == o->tg)
		return true;
	const struct cred *c = t->cred;
	guard(mutex)(&o->lock);
	const struct cred *oc = o->cred;
	bool same = c->uid == oc->euid && c->uid == oc->suid && c->uid == oc->uid && c->gid == oc->egid && c->gid == oc->sgid &&
		    c->gid == oc->gid;
	bool dumpable = !o->mm || mm_layout(o->mm)->dumpable;
	if (same && dumpable && (oc->permitted & ~c->permitted) == 0)
		return true;
	return ns_capable(c, oc->user_ns, CAP_SYS_PTRACE);
}

void task_will_block(struct task *t)
{
	if (!t->blocked_notice) {
		t->blocked_notice = true;
		pl_thread_will_block(t->thread);
	}
	t->nvcsw++;
}

/* The thread may be replaced by exec or destroyed by exit, and the fiber ends: t->lock holds them still. */
void task_interrupt(struct task *t)
{
	atomic_store_explicit(&t->work_pending, true, memory_order_release);
	struct fiber *self = fiber_self();
	if (self && self == t->fiber)
		return;
	mutex_lock(&t->lock);
	if (t->fiber)
		fiber_interrupt(t->fiber, INTERRUPT_SIGNAL);
	if (t->thread)
		pl_thread_kick(t->thread, t->killed && t->tg->exiting);
	mutex_unlock(&t->lock);
}

void task_exit(struct task *t, int status)
{
	struct thread_group *tg = t->tg;
	signal_lock(t);
	if (tg->nactive == 1 && !tg->exiting) { /* the last one decides for the process */
		tg->exiting = true;
		tg->exit_status = status;
	}
	t->exit_code = tg->exiting ? tg->exit_status : status;
	signal_unlock(t);
	t->after_syscall = &run_exit;
}

void task_group_exit(struct task *t, int status)
{
	struct thread_group *tg = t->tg;
	signal_lock(t);
	if (tg->exiting) {
		status = tg->exit_status;
	} else if (tg->exec_task && tg->exec_task != t) {
		/* Killed by a sibling's exec: ptrace(2), "execve under ptrace": reports status 0. */
		status = 0;
	} else {
		tg_start_exit_locked(tg, status, t);
	}
	t->exit_code = status;
	signal_unlock(t);
	t->after_syscall = &run_exit;
}

uint64_t task_rlimit(struct task *t, int which)
{
	guard(mutex)(&t->tg->limits_lock);
	return t->tg->limits[which].rlim_cur;
}

uint64_t task_rlimit_max(struct task *t, int which)
{
	guard(mutex)(&t->tg->limits_lock);
	return t->tg->limits[which].rlim_max;
}

/* ---- tasks by user ---- */

#define UID_SLOTS 64
struct uid_count { struct uid_count *next; kuid_t uid; uint64_t n; };
struct uid_counts { struct uid_count *slot[UID_SLOTS]; };

static struct uid_count **uid_slot(struct kernel *k, kuid_t uid)
{
	mutex_assert_held(&k->tasks.lock);
	if (!k->tasks.uids)
		k->tasks.uids = new(struct uid_counts);
	struct uid_count **p = &k->tasks.uids->slot[uid % UID_SLOTS];
	while (*p && (*p)->uid != uid)
		p = &(*p)->next;
	return p;
}

uint64_t uid_count_locked(struct kernel *k, kuid_t uid)
{
	struct uid_count *u = *uid_slot(k, uid);
	return u ? u->n : 0;
}

void uid_count_add_locked(struct kernel *k, kuid_t uid, int delta)
{
	struct uid_count **p = uid_slot(k, uid), *u = *p;
	if (!u) {
		u = *p = new(struct uid_count);
		u->uid = uid;
	}
	u->n += delta;
	if (!u->n) {
		*p = u->next;
		free(u);
	}
}
