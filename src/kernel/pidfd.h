/* SPDX-License-Identifier: Apache-2.0 */
/* pidfd.h: descriptors of processes (pidfd_open(2)). */
#ifndef BAILEY_KERNEL_PIDFD_H
#define BAILEY_KERNEL_PIDFD_H
#include "kernel/task.h"

int pidfd_file(struct pid *p, unsigned flags, struct file **out); /* flags: O_NONBLOCK, O_EXCL (PIDFD_THREAD) */
struct pid *pidfd_pid(struct file *f); /* borrowed; NULL: not a pidfd */
/* The lines of /proc/PID/fdinfo, with the numbers of ns, the one of that /proc. */
void pidfd_show(struct pid *p, struct pid_namespace *ns, char *buf, size_t size);
/* name_to_handle_at(2): true: *handle is it. And back: 0 or -ESTALE. */
bool pidfd_handle(const struct path *p, uint64_t *handle);
int pidfd_by_handle(struct task *t, uint64_t handle, unsigned flags, struct file **out);
/* /proc/PID directories are process descriptors too: fs/proc sets this. Counted pid or NULL. */
extern struct pid *(*pidfd_proc_hook)(struct file *f);

#endif
