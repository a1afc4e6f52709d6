/* SPDX-License-Identifier: Apache-2.0 */
/* prefetch.c: what the platform's stub copies in with each call, read off the table's argument formats. At most two pieces a call. */
#include "syscalls/syscalls.h"

#define NR_FUTEX 202
#define NR_RT_SIGRETURN 15

static bool piece(struct pl_prefetch *p, uint8_t fmt, unsigned arg)
{
	switch (fmt) {
	case ARG_PATH:
		*p = (struct pl_prefetch){ .kind = PL_PF_STRING, .arg = arg };
		return true;
	case ARG_BUF_IN:
	case ARG_SOCKADDR_IN:
		if (arg >= 5)
			return false;
		*p = (struct pl_prefetch){ .kind = PL_PF_SIZED, .arg = arg, .len_arg = arg + 1 };
		return true;
	case ARG_SIGSET:
	case ARG_IN_8:
		*p = (struct pl_prefetch){ .kind = PL_PF_FIXED, .arg = arg, .size = 8 };
		return true;
	case ARG_EPOLL_EVENT_IN:
		*p = (struct pl_prefetch){ .kind = PL_PF_FIXED, .arg = arg, .size = 12 };
		return true;
	case ARG_TIMESPEC_IN:
	case ARG_TIMEVAL_IN:
	case ARG_IN_16:
		*p = (struct pl_prefetch){ .kind = PL_PF_FIXED, .arg = arg, .size = 16 };
		return true;
	case ARG_IN_24:
		*p = (struct pl_prefetch){ .kind = PL_PF_FIXED, .arg = arg, .size = 24 };
		return true;
	case ARG_IN_32:
		*p = (struct pl_prefetch){ .kind = PL_PF_FIXED, .arg = arg, .size = 32 };
		return true;
	case ARG_IN_64:
		*p = (struct pl_prefetch){ .kind = PL_PF_FIXED, .arg = arg, .size = 64 };
		return true;
	default:
		return false;
	}
}

void syscall_table_prefetch(const struct syscall_table *t, struct platform *p)
{
	for (unsigned nr = 0; nr < t->count; nr++) {
		struct pl_prefetch pf[2] = { 0 };
		unsigned n = 0, nargs = 0;
		if (!t->rows[nr].fn)
			continue;
		for (unsigned i = 0; i < 6 && n < 2; i++) {
			/* futex(2)'s fourth argument is a pointer for some commands only; a wrong one would fault in the stub. */
			if (nr == NR_FUTEX)
				break;
			n += piece(&pf[n], t->rows[nr].args[i], i);
		}
		while (nargs < 6 && t->rows[nr].args[nargs] != ARG_NONE)
			nargs++;
		if (n == 1)
			pf[0].nargs = nargs;
		if (n)
			platform_set_prefetch(p, nr, pf);
	}
	/* Its argument is the frame: the ucontext is where the stack pointer is. */
	platform_set_prefetch(p, NR_RT_SIGRETURN, (struct pl_prefetch[2]){ { .kind = PL_PF_FIXED, .arg = PL_PF_ARG_SP, .size = 304 } });
}
