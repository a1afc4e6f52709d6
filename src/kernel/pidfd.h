/* SPDX-License-Identifier: Apache-2.0 */
/* pidfd.h: descriptors of processes (pidfd_open(2)). */
#ifndef BAILEY_KERNEL_PIDFD_H
#define BAILEY_KERNEL_PIDFD_H
#include "kernel/task.h"

int pidfd_file(struct pid *p, unsigned flags, struct file **out); /* flags: O_NONBLOCK, O_EXCL (PIDFD_THREAD) */
struct pid *pidfd_pid(struct file *f); /* borrowed; NULL: not a pidfd */
/* /proc/PID directories are process descriptors too: fs/proc sets this. Counted pid or NULL. */
extern struct pid *(*pidfd_proc_hook)(struct file *f);

#endif
