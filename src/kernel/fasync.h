/* SPDX-License-Identifier: Apache-2.0 */
/* fasync.h: SIGIO and what files of fs/ ask of tasks. F_SETOWN and F_SETSIG are fcntl's (syscalls/fd.c). */
#ifndef BAILEY_KERNEL_FASYNC_H
#define BAILEY_KERNEL_FASYNC_H
#include "kernel/task.h"

void fasync_init(void); /* at start: vfs_hooks.will_block, send_sigpipe, fasync_set, kill_fasync, fasync_release */
void fasync_set(struct file *f, bool on); /* O_ASYNC was switched; remembers the descriptor for si_fd */
/* If f has O_ASYNC and an owner: SIGIO or F_SETSIG's signal. code: POLL_IN, POLL_OUT, POLL_MSG, POLL_ERR, POLL_PRI, POLL_HUP.
 * Takes owner_lock, task_set.lock and signal locks: callable under socket, pipe and tty locks. */
void kill_fasync(struct file *f, int code);
void send_sigio(struct file *f, int fd, int code); /* the same without O_ASYNC, and si_fd given */

#endif
