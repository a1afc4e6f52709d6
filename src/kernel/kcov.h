/* SPDX-License-Identifier: Apache-2.0 */
/* kcov.h: the kcov device, in a build with -Dkcov=true. */
#ifndef BAILEY_KERNEL_KCOV_H
#define BAILEY_KERNEL_KCOV_H
#include "kernel/task.h"

#ifdef BAILEY_KCOV
int kcov_open(struct file *f); /* makes f an open kcov */
void kcov_task_exit(struct task *t); /* own fiber */
#else
static inline void kcov_task_exit(struct task *t) { (void)t; }
#endif

#endif
