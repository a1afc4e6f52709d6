/* SPDX-License-Identifier: Apache-2.0 */
/* ipc_ns.c: who calls, for ipc/, which knows no tasks; and what a task holds of System V IPC. */
#include "kernel/ipc_ns.h"
#include "kernel/internal.h"
#include <linux/sched.h>

static void *self(void)
{
	pid_get(current->tg->pid);
	return current->tg->pid;
}

static void put(void *pid) { pid_put(pid); }
static int nr(void *pid) { return pid ? pid_nr(pid, task_pid_ns(current)) : 0; }
static void will_block(void) { task_will_block(current); }
static uint64_t memlock_limit(void) { return task_rlimit(current, RLIMIT_MEMLOCK); }

static const struct ipc_ops ops = { .self = self, .pid_put = put, .pid_nr = nr, .will_block = will_block, .memlock_limit = memlock_limit };

struct ipc_namespace *ipc_ns_new(struct kernel *k, struct user_namespace *user_ns) { return ipc_ns_create(&ops, user_ns, kernel_new_ns_ino(k)); }

void task_clone_sem(struct task *c, struct task *t, uint64_t flags)
{
	if (!(flags & CLONE_SYSVSEM))
		return;
	if (!t->sem_undo)
		t->sem_undo = sem_undo_list_create(t->ipc_ns);
	sem_undo_list_get(t->sem_undo);
	c->sem_undo = t->sem_undo;
}

void task_exit_sem(struct task *t)
{
	struct sem_undo_list *l = t->sem_undo;

	t->sem_undo = NULL;
	sem_undo_list_put(l);
}
