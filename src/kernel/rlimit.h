/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_KERNEL_RLIMIT_H
#define BAILEY_KERNEL_RLIMIT_H
#include "kernel/task.h"

void rlimits_default(struct thread_group *tg);
long task_prlimit(struct task *caller, struct task *target, unsigned which, const struct rlimit64 *new, struct rlimit64 *old);

#endif
