/* SPDX-License-Identifier: Apache-2.0 */
/* membarrier.c: membarrier(2). A guest's threads are host threads of another process, so the host's process-private forms cannot reach
 * them: for memory alone every command is the host's global one, which is slower (milliseconds) and stronger. For SYNC_CORE and RSEQ the
 * other threads of the process are forced into the kernel: by a signal, which ends a restartable sequence, and out again by iret, which
 * serialises. */
#include "kernel/internal.h"
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CMD_GET_REGISTRATIONS 512
#define REGISTERS                                                                                                                          \
	(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE | \
	 MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ)

static long host(int cmd)
{
	worker_block_begin();
	long r = syscall(SYS_membarrier, cmd, 0, 0);
	r = r < 0 ? -errno : r;
	worker_block_end();
	return r;
}

/* Is there one that has to come in yet? */
static bool others_run(struct task *t, bool first)
{
	struct task *o;
	bool any = false;

	signal_lock(t);
	TAILQ_FOREACH(o, &t->tg->tasks, tg_link) {
		if (o == t)
			continue;
		mutex_lock(&o->lock);
		if (o->thread && first)
			pl_thread_serialize(o->thread);
		any |= o->thread && !pl_thread_serialized(o->thread);
		mutex_unlock(&o->lock);
	}
	signal_unlock(t);
	return any;
}

static long force_others_in(struct task *t)
{
	for (bool first = true; others_run(t, first); first = false)
		if (fiber_park(PARK_KILLABLE, ktime_mono() + NSEC_PER_SEC / 20000) == -EINTR)
			return -EINTR;
	return 0;
}

static bool registered(struct task *t, int cmd) { return READ_ONCE(t->tg->membarriers) & cmd; }

long task_membarrier(struct task *t, int cmd)
{
	struct thread_group *tg = t->tg;

	switch (cmd) {
	case MEMBARRIER_CMD_QUERY: /* the lowest bits up to GET_REGISTRATIONS, all of them */
		return host(MEMBARRIER_CMD_QUERY) & MEMBARRIER_CMD_GLOBAL ? 2 * CMD_GET_REGISTRATIONS - 1 : 0;
	case MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED:
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED:
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE:
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ:
		signal_lock(t);
		WRITE_ONCE(tg->membarriers, tg->membarriers | cmd);
		signal_unlock(t);
		return 0;
	case CMD_GET_REGISTRATIONS: /* Who registered for a stronger form shows the plain one as well. */
		return tg->membarriers | (tg->membarriers & (REGISTERS & ~MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED) ? MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED : 0);
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE:
		return registered(t, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE) ? force_others_in(t) : -EPERM;
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ:
		return registered(t, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ) ? force_others_in(t) : -EPERM;
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED:
		if (!registered(t, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED))
			return -EPERM;
		if (tg->nlive == 1) /* a system call is a barrier for the caller itself */
			return 0;
		return host(MEMBARRIER_CMD_GLOBAL);
	case MEMBARRIER_CMD_GLOBAL:
	case MEMBARRIER_CMD_GLOBAL_EXPEDITED:
		return host(MEMBARRIER_CMD_GLOBAL);
	default:
		return -EINVAL;
	}
}
