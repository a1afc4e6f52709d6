/* SPDX-License-Identifier: Apache-2.0 */
/* trace.c: who is told what guests do. A byte a system call says whether anybody wants to know of it. */
#include "kernel/trace.h"

void trace_add(struct kernel *k, struct trace_sink *s)
{
	struct trace_sink **p = &k->trace_sinks;

	while (*p)
		p = &(*p)->next;
	*p = s;
	k->trace_points |= s->points;
	for (unsigned nr = 0; nr < SYSCALL_MAX; nr++) {
		if (!(s->calls[nr / 64] >> nr % 64 & 1))
			continue;
		k->call_trace[nr] |= (s->points >> TRACE_CALL_ENTER & 1 ? CALL_TRACE_ENTER : 0) | (s->points >> TRACE_CALL_EXIT & 1 ? CALL_TRACE_EXIT : 0);
		k->calls_traced |= k->call_trace[nr] != 0;
	}
}

void trace_tell_all(struct kernel *k, const struct trace_event *e)
{
	bool call = e->point == TRACE_CALL_ENTER || e->point == TRACE_CALL_EXIT;

	for (struct trace_sink *s = k->trace_sinks; s; s = s->next)
		if ((s->points >> e->point & 1) && (!call || (s->calls[e->nr / 64] >> e->nr % 64 & 1)))
			s->tell(s, e);
}

void trace_call(struct task *t, enum trace_point point, uint32_t nr, int64_t result)
{
	struct kernel *k = t->kernel;

	/* What no table can have (x32 numbers, nonsense) has no byte. */
	if (nr < SYSCALL_MAX && (k->call_trace[nr] & (point == TRACE_CALL_ENTER ? CALL_TRACE_ENTER : CALL_TRACE_EXIT)))
		trace_tell_all(k, &(struct trace_event){ .point = point, .task = t, .nr = nr, .result = result });
}
