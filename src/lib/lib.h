/* SPDX-License-Identifier: Apache-2.0 */
/* lib.h: the small things that every floor uses. Includes the rest of lib/. */
#ifndef BAILEY_LIB_LIB_H
#define BAILEY_LIB_LIB_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <bsd/sys/queue.h> /* LIST_, TAILQ_, STAILQ_ */

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))
#define MIN(a, b) ({ __auto_type a_ = (a); __auto_type b_ = (b); a_ < b_ ? a_ : b_; })
#define MAX(a, b) ({ __auto_type a_ = (a); __auto_type b_ = (b); a_ > b_ ? a_ : b_; })
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#ifdef __SANITIZE_THREAD__
/* It knows neither volatile accesses nor fences. READ_ONCE says that another worker may write meanwhile and that either value will do:
 * it is not shown. */
#define READ_ONCE(x)                                                                                                   \
	({                                                                                                             \
		uint64_t ro_;                                                                                          \
		if (sizeof(x) == 8)                                                                                    \
			__asm__ volatile("movq %1, %0" : "=r"(ro_) : "m"(x));                                          \
		else if (sizeof(x) == 4)                                                                               \
			__asm__ volatile("movl %1, %k0" : "=r"(ro_) : "m"(x));                                         \
		else if (sizeof(x) == 2)                                                                               \
			__asm__ volatile("movzwl %1, %k0" : "=r"(ro_) : "m"(x));                                       \
		else                                                                                                   \
			__asm__ volatile("movzbl %1, %k0" : "=r"(ro_) : "m"(x));                                       \
		(__typeof__(x))ro_;                                                                                    \
	})
#define WRITE_ONCE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELAXED)
#define RACY __attribute__((no_sanitize("thread"))) /* a function of which that holds */
static inline void full_fence(void)
{
	static _Atomic int all;
	atomic_fetch_add(&all, 1);
}
#else
#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))
#define RACY
static inline void full_fence(void) { atomic_thread_fence(memory_order_seq_cst); }
#endif
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a) - 1))
#define ALIGN_UP(x, a) ALIGN_DOWN((x) + (__typeof__(x))(a) - 1, a)

#define GUEST_PAGE_SIZE 4096UL
#define PAGE_DOWN(x) ALIGN_DOWN((uint64_t)(x), GUEST_PAGE_SIZE)
#define PAGE_UP(x) ALIGN_UP((uint64_t)(x), GUEST_PAGE_SIZE) /* wraps on overflow: check first */

/* True, and *out untouched in meaning, when the sum or product does not fit. */
#define add_overflow(a, b, out) __builtin_add_overflow(a, b, out)
#define mul_overflow(a, b, out) __builtin_mul_overflow(a, b, out)

/* An address in a guest. Never a C pointer: the only ways across are in mm/uaccess.h. */
typedef uint64_t uaddr_t;

#include "lib/bug.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/refcount.h"
#include "lib/restart.h"
#include "lib/strbuf.h"

/* Allocation that cannot fail from the caller's view: zeroed; a host without memory ends the sandbox with one line. */
void *xzalloc(size_t size) __attribute__((malloc, returns_nonnull, alloc_size(1)));
void *xcalloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull, alloc_size(1, 2)));
void *xrealloc(void *p, size_t size) __attribute__((returns_nonnull, alloc_size(2)));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
char *xasprintf(const char *fmt, ...) __attribute__((malloc, returns_nonnull, format(printf, 1, 2)));
/* For sizes that a guest chooses: zeroed, NULL when it cannot be had. */
static inline void *kzalloc(size_t size) { return calloc(1, size ? size : 1); }
#define new(type) ((type *)xzalloc(sizeof(type)))

#endif
