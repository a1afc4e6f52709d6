/* SPDX-License-Identifier: Apache-2.0 */
/* timerfd.h: timerfd_create(2). */
#ifndef BAILEY_FS_ANON_TIMERFD_H
#define BAILEY_FS_ANON_TIMERFD_H
#include "vfs/vfs.h"

struct itimerspec_k { struct { int64_t sec, nsec; } interval, value; };
_Static_assert(sizeof(struct itimerspec_k) == 32, "struct itimerspec");

int timerfd_create_file(struct sched *s, int clock, unsigned flags, struct file **out);
/* -EINVAL if f is no timerfd; old may be NULL. The values have been checked. */
int timerfd_clock(struct file *f); /* CLOCK_*, or -EINVAL */
int timerfd_set(struct file *f, int flags, const struct itimerspec_k *new, struct itimerspec_k *old);
int timerfd_get(struct file *f, struct itimerspec_k *cur);

#endif
