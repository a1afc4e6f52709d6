/* SPDX-License-Identifier: Apache-2.0 */
/* tty.c: vhangup(2). */
#include "kernel/task.h"
#include "kernel/tty.h"
#include "syscalls/proto.h"

#define CAP_SYS_TTY_CONFIG_ 26

long sys_vhangup(struct task *t, const struct syscall_args *a)
{
	return cred_has_cap(t->cred, CAP_SYS_TTY_CONFIG_) ? tty_vhangup_current(t) : -EPERM;
}
