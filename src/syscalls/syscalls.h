/* SPDX-License-Identifier: Apache-2.0 */
/* syscalls.h: the one table of system calls. Dispatch, strace, `bailey syscalls`, the platform's prefetch and the docs come from it. */
#ifndef BAILEY_SYSCALLS_SYSCALLS_H
#define BAILEY_SYSCALLS_SYSCALLS_H
#include "kernel/systable.h"

extern const struct syscall_table syscall_table_x86_64;
void syscall_table_prefetch(const struct syscall_table *t, struct platform *p);
/* Every implementation: `long sys_NAME(struct task *t, const struct syscall_args *a)`; arguments in a->a[0..5], raw. */
#endif
