/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_KERNEL_WAIT_H
#define BAILEY_KERNEL_WAIT_H
#include "kernel/task.h"

enum wait_type { WAIT_ANY, WAIT_PID, WAIT_PGRP };
struct wait_request {
	enum wait_type type;
	struct pid *pid;     /* borrowed for the call */
	unsigned options;    /* W* and __W* bits; WEXITED included */
	bool nonblock;	     /* a PIDFD_NONBLOCK pidfd: EAGAIN instead of sleeping */
	/* the answer */
	bool found;
	int r_pid, r_code, r_status, r_wstatus;
	uint32_t r_uid;
	struct task_usage r_usage;
	struct thread_group *usage_of;
};
/* The child's process id, 0 (WNOHANG and nothing yet) or -errno. */
long task_wait_children(struct task *t, struct wait_request *w);

#endif
