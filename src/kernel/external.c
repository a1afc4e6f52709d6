/* SPDX-License-Identifier: Apache-2.0 */
/* external.c: what somebody outside of a sandbox does to it: signals, pauses, accounts.
 *
 * OVERVIEW: a process that kernel_create_process() made leads a *container*: itself and whatever it forks, which a session or a process
 * group cannot say, since guests leave those as they like. A pause is a count, of a process, a container or the whole kernel; a task looks at
 * all three where it looks for signals (task_wait_external_stops), and one that is born into a pause has work pending from the start.
 * LOCKS: everything under task_set.lock. The counts are read without it by tasks: who raises one interrupts them afterwards, and who
 * lowers one wakes them.
 */
#include "kernel/internal.h"
#include "kernel/tty.h"

/* ---- containers ---- */

struct container *container_create(struct kernel *k)
{
	struct container *c = new(struct container);
	refcount_init(&c->ref);
	c->id = atomic_fetch_add(&k->next_unique_id, 1) + 1;
	return c;
}

void container_get(struct container *c) { refcount_get(&c->ref); }

void container_put(struct container *c)
{
	if (c && refcount_put(&c->ref))
		free(c);
}

/* ---- who is meant ---- */

static bool in_scope(struct thread_group *o, struct thread_group *tg, enum external_scope scope)
{
	switch (scope) {
	case SCOPE_PROCESS: return o == tg;
	case SCOPE_GROUP: return tg->pgrp && o->pgrp == tg->pgrp;
	case SCOPE_SESSION: return tg->pgrp && o->pgrp && o->pgrp->session == tg->pgrp->session;
	case SCOPE_CONTAINER: return o->container == tg->container;
	case SCOPE_ALL: return true;
	}
	return false;
}

/* Calls fn for each process; task_set.lock held. */
static int for_each_process(struct kernel *k, struct thread_group *tg, enum external_scope scope, void (*fn)(struct thread_group *o, void *arg), void *arg)
{
	struct pid_namespace *ns = k->tasks.root;
	int n = 0;

	mutex_assert_held(&k->tasks.lock);
	for (int nr = 1; nr < ns->map_size; nr++) {
		struct pid *p = ns->map[nr];
		if (!p || !p->task || p->task->tg->leader != p->task || !in_scope(p->task->tg, tg, scope))
			continue;
		fn(p->task->tg, arg);
		n++;
	}
	return n;
}

/* ---- signals ---- */

void kernel_send_external_signal(struct kernel *k, int signo, bool foreground_group)
{
	siginfo_k info = { .si_signo = signo, .si_code = SI_KERNEL };
	guard(mutex)(&k->tasks.lock);
	struct thread_group *init = k->init;
	if (!init)
		return;
	struct process_group *fg = foreground_group && init->pgrp ? tty_foreground_locked(init) : NULL;
	/* What a shell does to its job. */
	bool job = signo == SIGTSTP || signo == SIGTTIN || signo == SIGTTOU || signo == SIGCONT;
	if (job || (foreground_group && !fg))
		fg = init->pgrp;
	if (fg)
		pgrp_signal_locked(fg, &info);
	else
		tg_send_outside_signal(init, &info);
}

static void signal_one(struct thread_group *o, void *arg) { (void)tg_send_outside_signal(o, arg); }

int kernel_signal_scope(struct kernel *k, struct thread_group *tg, enum external_scope scope, int signo)
{
	siginfo_k info = { .si_signo = signo, .si_code = SI_USER };
	guard(mutex)(&k->tasks.lock);
	return for_each_process(k, tg, scope, signal_one, &info);
}

/* ---- pauses ---- */

static uint32_t *stops_of(struct kernel *k, struct thread_group *tg, enum external_scope scope)
{
	switch (scope) {
	case SCOPE_PROCESS: return &tg->external_stops;
	case SCOPE_CONTAINER: return &tg->container->stops;
	case SCOPE_ALL: return &k->tasks.stop_count;
	default: return NULL;
	}
}

static void interrupt_all(struct thread_group *o, void *arg)
{
	struct task *t;
	TAILQ_FOREACH(t, &o->tasks, tg_link)
		task_interrupt(t);
}

static void wake_one(struct task *t)
{
	if (!READ_ONCE(t->stopped_outside)) /* a fiber that nobody started must not start by this */
		return;
	mutex_lock(&t->lock);
	if (t->fiber)
		fiber_wake(t->fiber);
	mutex_unlock(&t->lock);
}

static void wake_all(struct thread_group *o, void *arg)
{
	struct task *t;
	TAILQ_FOREACH(t, &o->tasks, tg_link)
		wake_one(t);
}

int kernel_pause(struct kernel *k, struct thread_group *tg, enum external_scope scope)
{
	guard(mutex)(&k->tasks.lock);
	uint32_t *n = stops_of(k, tg, scope);
	if (!n || *n == UINT32_MAX)
		return -EINVAL;
	WRITE_ONCE(*n, *n + 1);
	full_fence();
	if (*n == 1)
		for_each_process(k, tg, scope, interrupt_all, NULL);
	return 0;
}

int kernel_unpause(struct kernel *k, struct thread_group *tg, enum external_scope scope)
{
	guard(mutex)(&k->tasks.lock);
	uint32_t *n = stops_of(k, tg, scope);
	if (!n || !*n)
		return -EINVAL;
	WRITE_ONCE(*n, *n - 1);
	full_fence();
	if (!*n)
		for_each_process(k, tg, scope, wake_all, NULL);
	return 0;
}

static int change_task_stops(struct kernel *k, int tid, int by)
{
	struct task *t = tid > 0 ? pidns_task_with_id(k->tasks.root, tid) : NULL;
	int r = -EINVAL;

	if (!t)
		return -ESRCH;
	mutex_lock(&k->tasks.lock);
	if (t->exit_state >= TASK_EXIT_ZOMBIE) {
		r = -ESRCH;
	} else if (by > 0 ? t->external_stops < UINT32_MAX : t->external_stops > 0) {
		WRITE_ONCE(t->external_stops, t->external_stops + (uint32_t)by);
		atomic_thread_fence(memory_order_seq_cst);
		if (by > 0)
			task_interrupt(t);
		else if (!t->external_stops)
			wake_one(t);
		r = 0;
	}
	mutex_unlock(&k->tasks.lock);
	task_put(t);
	return r;
}

int kernel_pause_task(struct kernel *k, int tid) { return change_task_stops(k, tid, 1); }
int kernel_unpause_task(struct kernel *k, int tid) { return change_task_stops(k, tid, -1); }

bool tg_paused(struct thread_group *tg)
{
	return READ_ONCE(tg->external_stops) || READ_ONCE(tg->container->stops) || READ_ONCE(tg->kernel->tasks.stop_count);
}

/* ---- accounts ---- */

static void add_running(struct thread_group *o, void *arg)
{
	struct task *t;
	TAILQ_FOREACH(t, &o->tasks, tg_link) {
		struct task_usage one;
		if (t->accounted)
			continue;
		task_usage(t, &one);
		usage_add(arg, &one);
	}
}

/* The high-water mark of a process that runs, in KiB; mm's locks do not go below task_set.lock. */
static uint64_t running_rss(struct thread_group *tg)
{
	uint64_t peak;
	struct mm *mm = NULL;
	struct task *t;

	mutex_lock(&tg->kernel->tasks.lock);
	t = tg_live_task_locked(tg);
	if (t) {
		mutex_lock(&t->lock);
		mm = t->mm;
		if (mm)
			mm_get(mm);
		mutex_unlock(&t->lock);
	}
	mutex_unlock(&tg->kernel->tasks.lock);
	if (!mm)
		return 0;
	peak = mm_peak_rss(mm);
	mm_put(mm);
	return peak / 1024;
}

void kernel_usage(struct kernel *k, struct thread_group *tg, enum external_scope scope, struct task_usage *u)
{
	memset(u, 0, sizeof(*u));
	mutex_lock(&k->tasks.lock);
	if (scope == SCOPE_PROCESS) {
		*u = tg->exited;
		usage_add(u, &tg->children);
	} else {
		*u = scope == SCOPE_CONTAINER ? tg->container->ended : *k->ended;
	}
	for_each_process(k, tg, scope, add_running, u);
	mutex_unlock(&k->tasks.lock);
	for (int nr = 0; (nr = pidns_next_tgid(k->tasks.root, nr + 1)) > 0;) {
		struct task *t = pidns_task_with_id(k->tasks.root, nr);
		if (!t)
			continue;
		mutex_lock(&k->tasks.lock);
		bool mine = in_scope(t->tg, tg, scope);
		mutex_unlock(&k->tasks.lock);
		if (mine)
			u->maxrss = MAX(u->maxrss, running_rss(t->tg));
		task_put(t);
	}
}
