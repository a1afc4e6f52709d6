/* SPDX-License-Identifier: Apache-2.0 */
/* cleanup.h: clean-up by scope, on __attribute__((cleanup)).
 *
 *   DEFINE_GUARD(mutex, struct mutex *, mutex_lock(_l), mutex_unlock(_l))   once
 *   guard(mutex)(&x->lock);                      locked to the end of the scope
 *   DEFINE_FREE(fd, int, if (_p >= 0) close(_p)) once
 *   __free(fd) int f = open(...);                closed at the end of the scope, unless no_free(f) was returned
 */
#ifndef BAILEY_LIB_CLEANUP_H
#define BAILEY_LIB_CLEANUP_H
#include <stddef.h>
#include <stdlib.h>

#define CLEANUP_CAT_(a, b) a##b
#define CLEANUP_CAT(a, b) CLEANUP_CAT_(a, b)

#define DEFINE_GUARD(name, type, lock_stmt, unlock_stmt)                                                               \
	static inline type guard_##name##_lock(type _l)                                                                \
	{                                                                                                              \
		lock_stmt;                                                                                             \
		return _l;                                                                                             \
	}                                                                                                              \
	static inline void guard_##name##_unlock(type *_lp)                                                            \
	{                                                                                                              \
		type _l = *_lp;                                                                                        \
		if (_l)                                                                                                \
			unlock_stmt;                                                                                   \
	}                                                                                                              \
	typedef type guard_##name##_t
#define guard(name)                                                                                                    \
	__attribute__((cleanup(guard_##name##_unlock), unused)) guard_##name##_t CLEANUP_CAT(guard_, __COUNTER__) =     \
		guard_##name##_lock

#define DEFINE_FREE(name, type, stmt)                                                                                  \
	static inline void free_##name##_fn(type *_pp)                                                                 \
	{                                                                                                              \
		type _p = *_pp;                                                                                        \
		stmt;                                                                                                  \
	}                                                                                                              \
	typedef type free_##name##_t
#define __free(name) __attribute__((cleanup(free_##name##_fn)))
#define no_free_ptr(p)                                                                                                 \
	({                                                                                                             \
		__auto_type _v = (p);                                                                                  \
		(p) = NULL;                                                                                            \
		_v;                                                                                                    \
	})
DEFINE_FREE(mem, void *, free(_p));

#endif
