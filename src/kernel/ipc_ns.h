/* SPDX-License-Identifier: Apache-2.0 */
/* ipc_ns.h: the IPC namespace and the SEM_UNDO list of a task. */
#ifndef BAILEY_KERNEL_IPC_NS_H
#define BAILEY_KERNEL_IPC_NS_H
#include "ipc/ipc.h"
#include "kernel/task.h"

struct ipc_namespace *ipc_ns_new(struct kernel *k, struct user_namespace *user_ns);
static inline struct ipc_namespace *task_ipc_ns(struct task *t) { return t->ipc_ns; }
void task_clone_sem(struct task *c, struct task *t, uint64_t flags); /* CLONE_SYSVSEM */
void task_exit_sem(struct task *t); /* leave the undo list: exit, unshare, another IPC namespace. Own fiber, no locks */

#endif
