/* SPDX-License-Identifier: Apache-2.0 */
/* user_dispatch.h: syscall user dispatch (prctl(2), PR_SET_SYSCALL_USER_DISPATCH): calls of a thread become SIGSYS, but for those made from one
 * range of addresses, and while a byte of its memory does not allow them. Neither inherited nor kept by exec. Own fiber. */
#ifndef BAILEY_KERNEL_USER_DISPATCH_H
#define BAILEY_KERNEL_USER_DISPATCH_H
#include "kernel/task.h"

struct user_dispatch { uint64_t selector, offset, len; }; /* [offset, offset + len) may call, which may wrap; selector 0: none */

long user_dispatch_set(struct task *t, uint64_t mode, uint64_t offset, uint64_t len, uint64_t selector);
void user_dispatch_clear(struct task *t);
/* A call of a thread with t->dispatched: false: it was turned into a signal, *result is what rax holds then. */
bool user_dispatch_check(struct task *t, uint32_t nr, int64_t *result);
long user_dispatch_ptrace(struct task *t, struct task *o, bool set, uint64_t size, uaddr_t at); /* PTRACE_{GET,SET}_SYSCALL_USER_DISPATCH_CONFIG */

#endif
