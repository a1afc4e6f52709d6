/* SPDX-License-Identifier: Apache-2.0 */
/* namespace.h: the namespaces of a task (namespaces(7)): which exist here, copies at clone and unshare, setns. */
#ifndef BAILEY_KERNEL_NAMESPACE_H
#define BAILEY_KERNEL_NAMESPACE_H
#include "kernel/task.h"

/* May t make the namespaces that flags (CLONE_NEW*) ask for? 0, -EPERM, or -EINVAL for a kind that does not exist here. */
int namespaces_check(struct task *t, uint64_t flags);
/* Fill c's namespaces: shared with t's or new. Mount namespaces come by namespaces_copy_mnt, when c->fs is its own. */
int namespaces_copy(struct task *c, struct task *t, uint64_t flags);
int namespaces_copy_mnt(struct task *c, struct task *t);
void namespaces_put(struct task *t);
void namespaces_swap(struct task *t, struct task *from, struct task *old); /* task.lock */
void uts_ns_get(struct uts_namespace *u);
void uts_ns_put(struct uts_namespace *u);
struct uts_namespace *uts_ns_create(struct kernel *k, const struct uts_namespace *from, struct user_namespace *user_ns);

#endif
