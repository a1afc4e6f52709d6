/* SPDX-License-Identifier: Apache-2.0 */
/* orders.c: how a decision of mmap.c reaches the stub, and what happens when the host refuses.
 *
 * OVERVIEW: an mm that one thread alone uses defers its orders: they travel with the answer of the system call, so mmap costs one
 * hand-off. An mm with several users (threads, a vfork child) has them carried out before the call goes on, so two threads' orders cannot
 * overtake each other and map_lock covers decision, host and commit alike. The passage from one user to two needs nothing: a second user
 * appears by a system call of the first, whose earlier orders ran before that call came in, or is a reader that gives no orders.
 * When a deferred order fails, the guest has not run on: mm_order_failed() takes the VMAs back and sets the call's result. */
#include "mm/vma.h"

static struct pl_thread *own_thread(struct mm *mm)
{
	struct pl_thread *t = fiber_context()->thread;

	BUG_ON(!t || pl_thread_space(t) != mm->space);
	return t;
}

void mm_drop_pending(struct mm *mm)
{
	for (unsigned i = 0; i < mm->npending; i++)
		if (mm->pending[i].mappable)
			mm->pending[i].mappable->ops->put(mm->pending[i].mappable);
	mm->npending = 0;
}

void mm_settle(struct mm *mm)
{
	struct fiber_context *c;

	if (likely(!mm->npending))
		return;
	c = fiber_context();
	/* Another fiber looks on (ptrace, /proc): the orders belong to a thread on its way into the guest; a race as on any kernel. */
	if (!c || !c->thread || c->mm != mm)
		return;
	if (pl_orders_queued(c->thread))
		pl_orders_drain(c->thread);
	mm_drop_pending(mm);
}

static void remember(struct mm *mm, unsigned index, const struct pl_order *o, struct mappable *m)
{
	struct pending_order *p = &mm->pending[mm->npending++];

	*p = (struct pending_order){ .index = index, .op = o->op, .start = o->addr, .end = o->addr + o->len };
	if (o->op == PL_MMAP_FD && m) {
		p->mappable = m;
		m->ops->get(m);
	}
}

int mm_carry_out(struct mm *mm, const struct pl_order *o, unsigned n, struct mappable *m, bool now)
{
	struct pl_thread *t = own_thread(mm);
	bool deferred = !now && refcount_read(&mm->ref) == 1 && mm->vmas.count < MM_MAP_COUNT_CAREFUL && n <= MAX_PENDING;
	unsigned queued = pl_orders_queued(t);
	int r;

	if (mm->npending && (!queued || mm->npending + n > MAX_PENDING)) {
		if (queued)
			pl_orders_drain(t);
		mm_drop_pending(mm);
		queued = 0;
	}
	mm->deferred = deferred;
	for (unsigned i = 0; i < n; i++) {
		if (!deferred && i == n - 1)
			return pl_order_sync(t, &o[i]);
		if (deferred)
			remember(mm, queued + i, &o[i], m);
		r = pl_order(t, &o[i]);
		if (r)
			return r;
	}
	return 0;
}

struct pending_order *mm_last_pending(struct mm *mm)
{
	return mm->deferred && mm->npending ? &mm->pending[mm->npending - 1] : NULL;
}

/* Orders from the failed one on were not carried out. What they were to map is taken away on both sides; what they were to
 * unmap or protect stays as the host has it, which only happens when the host is out of memory for VMAs (we keep clear of its limit). */
void mm_order_failed(struct mm *mm, uint32_t index, int error)
{
	struct pl_thread *t = fiber_context()->thread;
	struct pending_order failed[MAX_PENDING];
	struct pl_order o = { .op = PL_MUNMAP };
	int64_t result = error;
	bool fault = false;
	unsigned n = 0;

	mm_lock(mm);
	for (unsigned i = 0; i < mm->npending; i++)
		if (mm->pending[i].index >= index)
			failed[n++] = mm->pending[i];
	vma_change_begin(mm);
	for (unsigned i = 0; i < n; i++) {
		switch (failed[i].op) {
		case PL_MMAP_ANON:
		case PL_MMAP_FD:
			mm_remove_range(mm, failed[i].start, failed[i].end);
			break;
		default:
			break;
		}
		fault |= failed[i].fault;
		if (failed[i].old_brk) {
			mm->layout.brk = failed[i].old_brk;
			result = failed[i].old_brk;
		}
	}
	vma_change_end(mm);
	/* A failed MAP_FIXED may have left the old mapping: gone as well, so that both sides agree. */
	for (unsigned i = 0; i < n; i++) {
		if (failed[i].op != PL_MMAP_ANON && failed[i].op != PL_MMAP_FD) {
			if (failed[i].op != PL_MADVISE)
				log_warn("mm: the host refused to change [%lx, %lx): %d", (long)failed[i].start, (long)failed[i].end, error);
			continue;
		}
		o.addr = failed[i].start;
		o.len = failed[i].end - failed[i].start;
		pl_order(t, &o);
	}
	mm_drop_pending(mm);
	if (!fault)
		pl_set_result(t, result);
	mm_unlock(mm);
}
