/* SPDX-License-Identifier: Apache-2.0 */
/* loadavg.c: how many tasks wanted to run, averaged over 1, 5 and 15 minutes (proc_loadavg(5)). As Linux does it: every five seconds those that
 * run or cannot be interrupted are counted, and the averages move towards the count. */
#include "kernel/internal.h"

#define FREQ (5 * NSEC_PER_SEC + 10 * NSEC_PER_MSEC) /* not in step with programs that wake up every few seconds */

bool task_is_active(struct task *t)
{
	if (t->exit_state >= TASK_EXIT_ZOMBIE || t->stop == STOP_GROUP || t->stop == STOP_PTRACE || READ_ONCE(t->stopped_outside))
		return false;
	if (t->stop != STOP_NONE || t->state == &run_vfork_wait || READ_ONCE(t->syscall_nr) < 0)
		return true;
	mutex_lock(&t->lock); /* holds the fiber */
	bool sleeps = t->blocked_notice || (t->fiber && fiber_is_parked(t->fiber));
	mutex_unlock(&t->lock);
	return !sleeps;
}

static unsigned count_active(struct kernel *k)
{
	struct pid_namespace *ns = k->tasks.root;
	unsigned n = 0;

	guard(mutex)(&k->tasks.lock);
	for (int nr = 1; nr < ns->map_size; nr++) {
		struct task *t = ns->map[nr] ? ns->map[nr]->task : NULL;
		if (t && task_is_active(t))
			n++;
	}
	return n;
}

static void sample(struct ktimer *timer)
{
	struct kernel *k = container_of(timer, struct kernel, load_timer);
	static const uint64_t decay[3] = { 1884, 2014, 2037 }; /* of 2048: e to the power of -5 s/1 min, 5 min, 15 min */
	uint64_t active = (uint64_t)count_active(k) << LOAD_SHIFT;

	for (int i = 0; i < 3; i++) {
		uint64_t load = k->load[i], next = load * decay[i] + active * (2048 - decay[i]);
		if (active >= load)
			next += 2047;
		WRITE_ONCE(k->load[i], next / 2048);
	}
	ktimer_start(timer, ktime_mono() + FREQ);
}

void loadavg_start(struct kernel *k)
{
	ktimer_init(&k->load_timer, k->sched, sample);
	ktimer_start(&k->load_timer, ktime_mono() + FREQ);
}
