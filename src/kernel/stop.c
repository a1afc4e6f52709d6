/* SPDX-License-Identifier: Apache-2.0 */
/* stop.c: the typed internal stops of a task, and what a task does in external ones (kernel/external.c makes them): they nest, and the guest
 * cannot see them. */
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
	WRITE_ONCE(t->stop, kind);
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
		WRITE_ONCE(t->stop, STOP_NONE);
		signal_unlock(t);
	}
	return err;
}

bool task_external_stopped(struct task *t)
{
	return READ_ONCE(t->external_stops) || READ_ONCE(t->tg->external_stops) || READ_ONCE(t->tg->container->stops) || READ_ONCE(t->kernel->tasks.stop_count);
}

void task_wait_external_stops(struct task *t)
{
	int err = 0;

	if (likely(!task_external_stopped(t)))
		return;
	task_will_block(t);
	WRITE_ONCE(t->stopped_outside, true);
	full_fence(); /* either unpause sees this, or we see its count */
	while (!err && task_external_stopped(t))
		err = fiber_park(PARK_KILLABLE, KTIME_MAX);
	WRITE_ONCE(t->stopped_outside, false);
}
