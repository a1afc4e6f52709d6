/* SPDX-License-Identifier: Apache-2.0 */
/* trace.h: for those outside who want to know what guests do: hooks at chosen system calls, and points in the lives of tasks. A sink is told; it
 * cannot change what happens. Sinks are added before the first process and stay. */
#ifndef BAILEY_KERNEL_TRACE_H
#define BAILEY_KERNEL_TRACE_H
#include "kernel/systable.h"

struct exec_args;
enum trace_point {
	TRACE_START,	  /* the first program of a process from outside is about to run */
	TRACE_CLONE,	  /* other: the new task, which has not run yet */
	TRACE_EXEC,	  /* a new program is in */
	TRACE_EXIT,	  /* a thread ends; last: its process with it. It has its memory still, unless an exec took it */
	TRACE_NO_CALL,	  /* a system call that is not there; once a task and number */
	TRACE_CALL_ENTER, /* of the sink's calls */
	TRACE_CALL_EXIT,
};
struct trace_event {
	enum trace_point point;
	struct task *task, *other;
	const struct exec_args *args; /* TRACE_START, TRACE_EXEC; kernel/internal.h */
	uint64_t flags;	 /* TRACE_CLONE: of clone(2) */
	int status;	 /* TRACE_EXIT: as wait(2) has it */
	bool last;
	uint32_t nr;	 /* TRACE_*CALL* */
	int64_t result;	 /* TRACE_CALL_EXIT */
};
#define TRACE_WORDS (SYSCALL_MAX / 64)
struct trace_sink {
	struct trace_sink *next;
	uint32_t points;		/* 1 << TRACE_* */
	uint64_t calls[TRACE_WORDS];	/* by number */
	/* On the fiber of e->task, which does not run meanwhile. No locks held; must not park. */
	void (*tell)(struct trace_sink *s, const struct trace_event *e);
};
void trace_add(struct kernel *k, struct trace_sink *s); /* borrowed for good */
void trace_tell_all(struct kernel *k, const struct trace_event *e);
void trace_call(struct task *t, enum trace_point point, uint32_t nr, int64_t result);

static inline bool trace_wanted(const struct kernel *k, enum trace_point p) { return unlikely(k->trace_points >> p & 1); }
/* trace_point(t, TRACE_EXIT, .status = 1) */
#define trace_point(t, p, ...)                                                                                        \
	do {                                                                                                           \
		if (trace_wanted((t)->kernel, (p)))                                                                    \
			trace_tell_all((t)->kernel, &(struct trace_event){ .point = (p), .task = (t), ##__VA_ARGS__ }); \
	} while (0)

#endif
