/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_LIB_REFCOUNT_H
#define BAILEY_LIB_REFCOUNT_H
#include "lib/bug.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct refcount { _Atomic uint32_t n; };
static inline void refcount_init(struct refcount *r) { atomic_init(&r->n, 1); }
static inline void refcount_get(struct refcount *r)
{
	uint32_t old = atomic_fetch_add_explicit(&r->n, 1, memory_order_relaxed);
	BUG_ON(old == 0 || old > UINT32_MAX / 2);
}
/* A reference only if the object still lives. */
static inline bool refcount_try_get(struct refcount *r)
{
	uint32_t v = atomic_load_explicit(&r->n, memory_order_relaxed);
	while (v)
		if (atomic_compare_exchange_weak(&r->n, &v, v + 1))
			return true;
	return false;
}
/* True when this was the last one: the caller frees. */
static inline bool refcount_put(struct refcount *r)
{
	uint32_t old = atomic_fetch_sub_explicit(&r->n, 1, memory_order_acq_rel);
	BUG_ON(old == 0);
	return old == 1;
}
static inline uint32_t refcount_read(struct refcount *r) { return atomic_load_explicit(&r->n, memory_order_relaxed); }

#endif
