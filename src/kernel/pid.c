/* SPDX-License-Identifier: Apache-2.0 */
/* pid.c: struct pid and PID namespaces.
 *
 * OVERVIEW: a struct pid is one identity with one number in each PID namespace that sees it. A thread, a process group and a session
 * may share it; the numbers stay taken until none of them is left. Handles (pidfd, F_SETOWN) only hold a reference: they keep the
 * struct, not the numbers, so a reused number never reaches an old handle.
 * LOCKS: everything under task_set.lock; the numbers themselves are immutable.
 */
#include "kernel/internal.h"
#include <linux/capability.h>

#define PID_MAX_DEFAULT 32768
#define PID_MAX_LIMIT (4 * 1024 * 1024)
#define RESERVED_PIDS 300
#define PIDNS_MAX_LEVEL 32

void pidns_get(struct pid_namespace *ns) { refcount_get(&ns->ref); }

void pidns_put(struct pid_namespace *ns)
{
	while (ns && refcount_put(&ns->ref)) {
		struct pid_namespace *parent = ns->parent;
		user_ns_put(ns->user_ns);
		free(ns->map);
		free(ns);
		ns = parent;
	}
}

struct pid_namespace *pidns_create(struct kernel *k, struct pid_namespace *parent, struct user_namespace *user_ns)
{
	if (parent && parent->level >= PIDNS_MAX_LEVEL)
		return NULL;
	struct pid_namespace *ns = new(struct pid_namespace);
	refcount_init(&ns->ref);
	ns->kernel = k;
	ns->parent = parent;
	if (parent) {
		pidns_get(parent);
		ns->level = parent->level + 1;
		ns->max = parent->max;
	} else {
		ns->max = k->tasks.max_tasks > PID_MAX_DEFAULT / 2 ? PID_MAX_LIMIT : PID_MAX_DEFAULT;
	}
	user_ns_get(user_ns);
	ns->user_ns = user_ns;
	ns->ns_ino = kernel_new_ns_ino(k);
	return ns;
}

bool pidns_is_ancestor(struct pid_namespace *anc, struct pid_namespace *ns)
{
	while (ns && ns->level > anc->level)
		ns = ns->parent;
	return ns == anc;
}

bool pidns_has_begun(struct pid_namespace *ns) { return !ns->level || READ_ONCE(ns->begun); }

void pid_get(struct pid *p) { refcount_get(&p->ref); }

void pid_put(struct pid *p)
{
	if (!p || !refcount_put(&p->ref))
		return;
	BUG_ON(p->task || p->pgrp || p->session);
	free(p->exit_wait);
	pidns_put(p->numbers[p->level].ns);
	free(p);
}

int pid_nr(struct pid *p, struct pid_namespace *ns)
{
	if (!p || ns->level > p->level || p->numbers[ns->level].ns != ns)
		return 0;
	return p->numbers[ns->level].nr;
}

struct pid *pidns_find_locked(struct pid_namespace *ns, int nr)
{
	mutex_assert_held(&ns->kernel->tasks.lock);
	return nr > 0 && nr < ns->map_size ? ns->map[nr] : NULL;
}

struct pid *pidns_find(struct kernel *k, struct pid_namespace *ns, int nr)
{
	guard(mutex)(&k->tasks.lock);
	struct pid *p = pidns_find_locked(ns, nr);
	if (p)
		pid_get(p);
	return p;
}

static int map_reserve(struct pid_namespace *ns, int nr)
{
	if (nr < ns->map_size)
		return 0;
	int size = MAX(ns->map_size * 2, 256);
	while (size <= nr)
		size *= 2;
	struct pid **map = realloc(ns->map, size * sizeof(*map));
	if (!map)
		return -ENOMEM;
	memset(map + ns->map_size, 0, (size - ns->map_size) * sizeof(*map));
	ns->map = map;
	ns->map_size = size;
	return 0;
}

/* The next free number, cyclic as Linux allocates them; small numbers are not used again after the first round. */
static int next_free(struct pid_namespace *ns)
{
	int low = ns->last >= RESERVED_PIDS ? RESERVED_PIDS : 1;
	int nr = ns->last + 1;
	for (int tried = 0; tried < ns->max; tried++, nr++) {
		if (nr >= ns->max)
			nr = low;
		if (nr >= ns->map_size || !ns->map[nr])
			return nr;
	}
	return -EAGAIN;
}

int pid_alloc_locked(struct pid_namespace *ns, const int *set_tid, unsigned nset_tid, struct pid **out)
{
	mutex_assert_held(&ns->kernel->tasks.lock);
	if (nset_tid > (unsigned)ns->level + 1)
		return -EINVAL;
	struct pid *p = xzalloc(sizeof(*p) + (ns->level + 1) * sizeof(p->numbers[0]));
	refcount_init(&p->ref);
	p->level = ns->level;
	p->unique = atomic_fetch_add(&ns->kernel->next_unique_id, 1) + 1;
	int err = 0;
	struct pid_namespace *n = ns;
	for (int level = ns->level; level >= 0; level--, n = n->parent) {
		int nr;
		unsigned depth = ns->level - level;
		if (depth < nset_tid) {
			nr = set_tid[depth];
			if (nr < 1 || nr >= n->max || (nr != 1 && !n->init && !n->ntasks))
				err = -EINVAL;
			else if (!ns_capable(current->cred, n->user_ns, CAP_CHECKPOINT_RESTORE) && !ns_capable(current->cred, n->user_ns, CAP_SYS_ADMIN))
				err = -EPERM;
			else if (nr < n->map_size && n->map[nr])
				err = -EEXIST;
		} else {
			nr = next_free(n);
			if (nr < 0)
				err = nr;
			else
				n->last = nr;
		}
		if (!err)
			err = map_reserve(n, nr);
		if (err)
			break;
		p->numbers[level] = (struct upid){ nr, n };
	}
	if (err) {
		free(p);
		return err;
	}
	for (int level = ns->level; level >= 0; level--)
		p->numbers[level].ns->map[p->numbers[level].nr] = p;
	pidns_get(ns); /* holds the ancestors too */
	*out = p;
	return 0;
}

void pid_maybe_unhash_locked(struct pid *p)
{
	if (p->task || p->pgrp || p->session)
		return;
	for (int level = p->level; level >= 0; level--) {
		struct upid *u = &p->numbers[level];
		if (u->nr < u->ns->map_size && u->ns->map[u->nr] == p)
			u->ns->map[u->nr] = NULL;
	}
}

/* ---- the ids of tasks ---- */

struct pid_namespace *task_pid_ns(struct task *t) { return pid_ns_of(t->pid); }

int task_tid(struct task *t, struct pid_namespace *ns) { return pid_nr(t->pid, ns); }

int task_tgid(struct task *t, struct pid_namespace *ns) { return pid_nr(t->tg->pid, ns); }

int task_ppid(struct task *t, struct pid_namespace *ns)
{
	guard(mutex)(&t->kernel->tasks.lock);
	struct task *leader = t->tg->leader;
	if (leader && !leader->parent && pid_nr(leader->tg->pid, ns) != 1 && ns->level == 0)
		return 1; /* an orphan without a reaper: see find_reaper(); or the program itself */
	return leader && leader->parent ? pid_nr(leader->parent->tg->pid, ns) : 0;
}

struct task *pidns_task_with_id(struct pid_namespace *ns, int tid)
{
	guard(mutex)(&ns->kernel->tasks.lock);
	struct pid *p = pidns_find_locked(ns, tid);
	if (!p || !p->task)
		return NULL;
	task_get(p->task);
	return p->task;
}

int pidns_next_tgid(struct pid_namespace *ns, int from)
{
	guard(mutex)(&ns->kernel->tasks.lock);
	for (int nr = MAX(from, 1); nr < ns->map_size; nr++) {
		struct pid *p = ns->map[nr];
		if (p && p->task && p->task->tg->pid == p)
			return nr;
	}
	return -1;
}

int task_next_tid(struct thread_group *tg, struct pid_namespace *ns, int from)
{
	guard(mutex)(&tg->kernel->tasks.lock);
	int best = -1;
	struct task *t;
	TAILQ_FOREACH(t, &tg->tasks, tg_link) {
		int nr = pid_nr(t->pid, ns);
		if (nr >= from && nr > 0 && (best < 0 || nr < best))
			best = nr;
	}
	return best;
}
