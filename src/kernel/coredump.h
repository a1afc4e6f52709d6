/* SPDX-License-Identifier: Apache-2.0 */
/* coredump.h: between coredump.c, which writes a core file, and coredump_notes.c, which says what is in its notes. */
#ifndef BAILEY_KERNEL_COREDUMP_H
#define BAILEY_KERNEL_COREDUMP_H
#include "kernel/internal.h"
#include <elf.h>
#include <sys/procfs.h>

/* A thread's registers, taken on its own fiber. */
struct core_thread {
	TAILQ_ENTRY(core_thread) link;
	struct fiber *fiber;
	bool done; /* signal lock: it may go on */
	bool have_fp;
	struct elf_prstatus ps;
	size_t xstate_size;
	void *fp, *xstate; /* owned */
};

/* A dump under way: on the dumper's stack; tg.core leads to it. Signal lock. */
struct core_state {
	struct task *dumper;
	unsigned expected, arrived;
	TAILQ_HEAD(, core_thread) threads;
};

void core_thread_fill(struct core_thread *c, struct task *t, int sig);
void core_thread_free(struct core_thread *c);
/* first: the dumper's own. */
void core_notes(struct task *t, const struct core_thread *first, const struct core_state *s, const siginfo_k *info, struct strbuf *b);

#endif
