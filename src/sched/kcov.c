/* SPDX-License-Identifier: Apache-2.0 */
/* kcov.c: where the compiler's -fsanitize-coverage=trace-pc calls to, in a build with -Dkcov=true; the device is kernel/kcov.c.
 *
 * Here because sched is not compiled that way: what the call needs must not make it. */
#include "sched/sched.h"

void __sanitizer_cov_trace_pc(void);
extern const char __ehdr_start[] __attribute__((visibility("hidden"))); /* the linker's: where the image begins */

void __sanitizer_cov_trace_pc(void)
{
	struct fiber_context *c = fiber_context();
	_Atomic uint64_t *area = c->kcov_area;
	uint64_t pos;

	if (likely(!area))
		return;
	/* The guest writes here too: the count is read once, and means nothing before it was compared. */
	pos = atomic_load_explicit(area, memory_order_relaxed) + 1;
	if (pos >= c->kcov_size)
		return;
	atomic_store_explicit(area, pos, memory_order_relaxed);
	atomic_store_explicit(area + pos, (uintptr_t)__builtin_return_address(0) - (uintptr_t)__ehdr_start, memory_order_release);
}
