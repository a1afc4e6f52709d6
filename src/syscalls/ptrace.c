/* SPDX-License-Identifier: Apache-2.0 */
/* ptrace.c: ptrace(2). */
#include "kernel/ptrace.h"
#include "syscalls/proto.h"

long sys_ptrace(struct task *t, const struct syscall_args *a) { return task_ptrace(t, (long)a->a[0], (int)a->a[1], a->a[2], a->a[3]); }
