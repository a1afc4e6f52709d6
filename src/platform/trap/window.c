/* SPDX-License-Identifier: Apache-2.0 */
/* window.c: file windows: parts of files that a stub has mapped read-only above the guest's task size, from which it copies the data of
 * reads. What is mapped where, and who may have it, is mm's to know (mm/window.c). */
#include "platform/trap/trap.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

_Static_assert(PL_WINDOWS == STUB_NWINDOWS && PL_WINDOW_SIZE == 1UL << STUB_WINDOW_SHIFT, "");
_Static_assert(STUB_WINDOWS >= STUB_SLOTS + STUB_SLOTS_LEN && STUB_WINDOWS + STUB_NWINDOWS * PL_WINDOW_SIZE <= STUB_TEXT, "");

static uint64_t window_at(unsigned k) { return STUB_WINDOWS + k * PL_WINDOW_SIZE; }

int pl_window_map(struct pl_thread *t, unsigned k, int fd, uint64_t off)
{
	struct pl_order o = { .op = PL_MUNMAP, .addr = window_at(k), .len = PL_WINDOW_SIZE };
	struct platform *p = t->p;
	uint32_t streak = t->streak, hot = p->hot, streak_needed = p->streak_needed, hot_needed = p->hot_needed;
	bool polling = atomic_load(&p->mode) == MODE_POLL;
	int err = run_orders(t);

	if (err)
		return err;
	t->orders[0] = (struct pl_order){ .op = PL_MMAP_FD, .prot = PROT_READ, .flags = MAP_SHARED | MAP_NORESERVE, .addr = o.addr,
					  .len = o.len, .fd = fd, .off = off };
	t->orders[1] = (struct pl_order){ .op = PL_MADVISE, .flags = MADV_DONTFORK, .addr = o.addr, .len = o.len };
	t->norders = 2;
	t->p->stats.windows++;
	err = run_orders(t);
	if (err && !thread_is_dead(t)) {
		t->orders[t->norders++] = o;
		(void)run_orders(t);
	}
	if (polling) { /* the stub had to sleep for the descriptor, which says nothing about polling: on with it */
		p->streak_needed = streak_needed;
		p->hot_needed = hot_needed;
		p->hot = MAX(hot, hot_needed);
		t->streak = MAX(streak, streak_needed);
	}
	return err;
}

int pl_window_unmap(struct pl_thread *t, unsigned k, bool now)
{
	int err = t->norders == SLOT_MAX_ORDERS ? run_orders(t) : 0;

	t->orders[t->norders++] = (struct pl_order){ .op = PL_MUNMAP, .addr = window_at(k), .len = PL_WINDOW_SIZE };
	return now ? run_orders(t) : err;
}

bool pl_window_idle(struct pl_thread *t, unsigned k)
{
	struct pl_thread *o;
	bool idle = true;

	mutex_lock(&t->p->lock);
	LIST_FOREACH(o, &t->space->threads, space_link)
		if (o != t && atomic_load(&o->window) == k + 1)
			idle = false;
	mutex_unlock(&t->p->lock);
	return idle;
}

bool pl_window_copy(struct pl_thread *t, uaddr_t dst, unsigned k, uint64_t at, size_t n)
{
	if (t->ncopies || t->norders || t->regs_dirty || t->frame || (t->line.info & EV_KIND) != EV_SYSCALL || dst >= PL_TASK_SIZE ||
	    n > PL_TASK_SIZE - dst || n > PL_WINDOW_SIZE || at > PL_WINDOW_SIZE - n)
		return false;
	t->copies[0] = (struct slot_copy){ .addr = dst, .off = SLOT_COPY_WINDOW, .len = (uint32_t)n };
	t->ncopies = 1;
	at += window_at(k);
	memcpy(t->small, &at, sizeof(at));
	atomic_store(&t->window, k + 1);
	t->p->stats.window_copies++;
	return true;
}

bool pl_window_cancel(struct pl_thread *t)
{
	if (likely(!t->ncopies) || t->copies[0].off != SLOT_COPY_WINDOW)
		return false;
	t->ncopies = 0;
	atomic_store(&t->window, 0);
	return true;
}

int platform_reopen(struct platform *p, int fd)
{
	char path[32];
	int r;

	if (p->proc_fd < 0)
		return -ENOENT;
	snprintf(path, sizeof(path), "self/fd/%d", fd);
	r = openat(p->proc_fd, path, O_RDONLY | O_CLOEXEC);
	return r < 0 ? -errno : r;
}
