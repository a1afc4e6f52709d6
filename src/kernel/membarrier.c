/* SPDX-License-Identifier: Apache-2.0 */
/* membarrier.c: membarrier(2). A guest's threads are host threads of another process, so the host's process-private form cannot reach
 * them: every command is the host's global one, which is slower (milliseconds) and stronger. */
#include "kernel/internal.h"
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MEMBARRIER_CMD_GET_REGISTRATIONS_K 512

/* cmd 0: is it there at all? */
long task_membarrier(struct task *t, int cmd)
{
	struct thread_group *tg = t->tg;
	long r;
	switch (cmd) {
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED:
		tg->membarrier_private = true;
		return 0;
	case MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED:
		tg->membarrier_global = true;
		return 0;
	case MEMBARRIER_CMD_GET_REGISTRATIONS_K:
		return (tg->membarrier_private ? MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED : 0) |
		       (tg->membarrier_global ? MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED : 0);
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED:
		if (!tg->membarrier_private)
			return -EPERM;
		if (tg->nlive == 1) /* a system call is a barrier for the caller itself */
			return 0;
		break;
	}
	worker_block_begin();
	r = syscall(SYS_membarrier, cmd ? MEMBARRIER_CMD_GLOBAL : MEMBARRIER_CMD_QUERY, 0, 0);
	r = r < 0 ? -errno : cmd ? r : r & MEMBARRIER_CMD_GLOBAL ? 0 : -ENOSYS;
	worker_block_end();
	return r;
}
