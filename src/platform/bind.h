/* SPDX-License-Identifier: Apache-2.0 */
/* bind.h: sched_setaffinity(2) of guests. */
#ifndef BAILEY_PLATFORM_BIND_H
#define BAILEY_PLATFORM_BIND_H
#include <stddef.h>

struct pl_thread;
/* The guest thread runs on these CPUs only, of those that there are, as do those that it makes; none or all of them: anywhere. mask: as
 * sched_setaffinity(2) has it, bytes long. */
void pl_thread_bind(struct pl_thread *t, const void *mask, size_t bytes);

#endif
