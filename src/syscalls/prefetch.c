/* SPDX-License-Identifier: Apache-2.0 */
/* prefetch.c: what the stub copies in with a call, from the argument formats of the table. */
#include "syscalls/syscalls.h"

static bool prefetch_of(uint8_t format, unsigned arg, struct pl_prefetch *pf)
{
	static const uint16_t fixed[] = {
		[ARG_TIMESPEC_IN] = 16, [ARG_TIMEVAL_IN] = 16, [ARG_EPOLL_EVENT_IN] = 12, [ARG_SIGSET] = 8, [ARG_IN_8] = 8,
		[ARG_IN_16] = 16, [ARG_IN_24] = 24, [ARG_IN_32] = 32, [ARG_IN_64] = 64,
	};
	*pf = (struct pl_prefetch){ .arg = arg };
	switch (format) {
	case ARG_PATH:
		pf->kind = PL_PF_STRING;
		return true;
	case ARG_BUF_IN:
	case ARG_SOCKADDR_IN:
		pf->kind = PL_PF_SIZED;
		pf->len_arg = arg + 1;
		return true;
	}
	if (format >= ARRAY_SIZE(fixed) || !fixed[format])
		return false;
	pf->kind = PL_PF_FIXED;
	pf->size = fixed[format];
	return true;
}

void syscall_table_prefetch(const struct syscall_table *t, struct platform *p)
{
	for (unsigned nr = 0; nr < t->count; nr++) {
		const struct syscall_row *row = &t->rows[nr];
		struct pl_prefetch pf[2] = { 0 };
		unsigned n = 0;
		if (!row->fn)
			continue;
		for (unsigned i = 0; i < 6 && n < 2; i++)
			n += prefetch_of(row->args[i], i, &pf[n]);
		if (n)
			platform_set_prefetch(p, nr, pf);
	}
}
