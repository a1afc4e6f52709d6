/* SPDX-License-Identifier: Apache-2.0 */
/* stop.c: the typed internal stops of a task, and external stops (pause; kernel_pause() for all),
 * which nest and which the guest cannot see. */
#include "kernel/internal.h"
#include "kernel/signal.h"

/* Which stops may follow which: one stop at a time, and group and ptrace stops may turn into one another. */
static bool stop_change_ok(enum stop_kind from, enum stop_kind to)
{
	if (from == STOP_NONE || to == STOP_NONE)
		return true;
	return (from == STOP_GROUP && to == STOP_PTRACE) || (from == STOP_PTRACE && to == STOP_GROUP);
}

void task_set_stop(struct task *t, int kind)
{
	mutex_assert_held(&t->tg->sighand->lock);
	BUG_ON(!stop_change_ok(t->stop, kind));
	t->stop = kind;
	if (kind == STOP_NONE)
		fiber_wake(t->fiber);
}

int task_stop_wait(struct task *t)
{
	int err = 0;

	task_will_block(t);
	while (!err && __atomic_load_n(&t->stop, __ATOMIC_ACQUIRE) != STOP_NONE)
		err = fiber_park(PARK_KILLABLE, KTIME_MAX);
	if (err) {
		signal_lock(t);
		t->stop = STOP_NONE;
		signal_unlock(t);
	}
	return err;
}

bool task_external_stopped(struct task *t)
{
	return __atomic_load_n(&t->external_stops, __ATOMIC_ACQUIRE) || __atomic_load_n(&t->kernel->tasks.stop_count, __ATOMIC_ACQUIRE);
}

void task_wait_external_stops(struct task *t)
{
	int err = 0;

	if (likely(!task_external_stopped(t)))
		return;
	task_will_block(t);
	while (!err && task_external_stopped(t))
		err = fiber_park(PARK_KILLABLE, KTIME_MAX);
}

void task_pause(struct task *t)
{
	signal_lock(t);
	__atomic_add_fetch(&t->external_stops, 1, __ATOMIC_ACQ_REL);
	if (t->exit_state == TASK_EXIT_NONE) {
		atomic_store(&t->work_pending, true);
		task_interrupt(t);
	}
	signal_unlock(t);
}

void task_unpause(struct task *t)
{
	signal_lock(t);
	BUG_ON(!t->external_stops);
	if (__atomic_sub_fetch(&t->external_stops, 1, __ATOMIC_ACQ_REL) == 0 && t->exit_state == TASK_EXIT_NONE)
		fiber_wake(t->fiber);
	signal_unlock(t);
}
