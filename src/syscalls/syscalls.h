/* SPDX-License-Identifier: Apache-2.0 */
/* syscalls.h: the one table of system calls. Dispatch, strace, `bailey syscalls`, the platform's prefetch and the docs come from it. */
#ifndef BAILEY_SYSCALLS_SYSCALLS_H
#define BAILEY_SYSCALLS_SYSCALLS_H
#include "kernel/systable.h"
#include "lib/strbuf.h"

extern const struct syscall_table syscall_table_x86_64;
void syscall_table_prefetch(const struct syscall_table *t, struct platform *p);
/* ---- trace.c ---- */
void syscall_format(struct strbuf *b, struct task *t, uint32_t nr, const struct syscall_args *a, int64_t result); /* as strace(1) */
/* A line a call, to a borrowed descriptor. Before the first process. calls: a bit a number, as from: */
void strace_start(struct kernel *k, int fd, const uint64_t *calls);
/* Names with commas between (NULL: all) to TRACE_WORDS words. NULL, or the name that there is not. */
const char *syscall_set_parse(const char *list, uint64_t *set);
/* ---- prctl_mm.c ---- */
long prctl_set_mm(struct task *t, uint64_t opt, uint64_t addr, uint64_t a4, uint64_t a5); /* PR_SET_MM */
/* Every implementation: `long sys_NAME(struct task *t, const struct syscall_args *a)`; arguments in a->a[0..5], raw. */
#endif
