/* SPDX-License-Identifier: Apache-2.0 */
/* robust.c: between tasks and futexes: who a thread is to PI futexes, and what its exit does to words that it held. */
#include "ipc/futex.h"
#include "kernel/internal.h"
#include "kernel/signal.h"

void task_futex_self(struct task *t, struct futex_self *who)
{
	who->tid = (uint32_t)task_tid(t, task_pid_ns(t));
	who->id = t->pid->unique;
}

void futex_exit_robust(struct task *t)
{
	struct futex_self who;

	task_futex_self(t, &who);
	futex_exit(t->kernel->futexes, t->robust_list, &who);
	t->robust_list = 0;
}

void task_futex_wake(struct task *t, uaddr_t addr)
{
	futex_wake(t->kernel->futexes, addr, false, 1, FUTEX_BITSET_ANY);
}
