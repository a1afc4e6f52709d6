/* SPDX-License-Identifier: Apache-2.0 */
/* bug.h: broken invariants abort with a message; guest errors never come here. */
#ifndef BAILEY_LIB_BUG_H
#define BAILEY_LIB_BUG_H

_Noreturn void bug(const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4), cold));
#define BUG(...) bug(__FILE__, __LINE__, __VA_ARGS__)
#define BUG_ON(cond)                                                                                                   \
	do {                                                                                                           \
		if (__builtin_expect(!!(cond), 0))                                                                     \
			bug(__FILE__, __LINE__, "%s", #cond);                                                          \
	} while (0)
#ifdef BAILEY_DEBUG
#define DEBUG_BUG_ON(cond) BUG_ON(cond)
#else
#define DEBUG_BUG_ON(cond) ((void)0)
#endif

#endif
