/* SPDX-License-Identifier: Apache-2.0 */
/* orders.c: how a decision of mmap.c reaches the stub, and what happens when the host refuses.
 *
 * OVERVIEW: an mm that one thread alone uses defers its orders: they travel with the answer of the system call, so mmap costs one
 * hand-off. An mm with several users (threads, a vfork child) has them carried out before the call goes on, so two threads' orders cannot
 * overtake each other and map_lock covers decision, host and commit alike. The passage from one user to two needs nothing: a second user
 * appears by a system call of the first, whose earlier orders ran before that call came in, or is a reader that gives no orders.
 * When a deferred order fails, the guest has not run on: mm_order_failed() takes the VMAs back and sets the call's result. */
#include "mm/vma.h"
#include <fcntl.h>

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

/* Carry out what waits. On an error nobody knows which order it was: all that they mapped goes, at the next mm_lock(). */
static int drain(struct mm *mm, struct pl_thread *t)
{
	int r = pl_orders_queued(t) ? pl_orders_drain(t) : 0;

	if (r)
		mm->undo_error = r;
	else
		mm_drop_pending(mm);
	return r;
}

void mm_settle(struct mm *mm)
{
	struct fiber_context *c;

	if (likely(!READ_ONCE(mm->npending)) || READ_ONCE(mm->undo_error))
		return;
	c = fiber_context();
	/* Another fiber looks on (ptrace, /proc): the orders belong to a thread on its way into the guest; a race as on any kernel. */
	if (c && c->thread && c->mm == mm)
		drain(mm, c->thread);
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

/* ---- descriptors that the stub keeps ----
 * To hand a descriptor over costs a stub more than everything else in an mmap: it has to sleep in a notification for it. While one thread
 * alone uses the mm, the stub keeps those of the files that were mapped last, until the guest closes any descriptor: a guest thus has a
 * file open as long as its stub has. What is kept is open for reading only, whatever the guest may do with the file (docs/security.md). */

static bool defers(struct mm *mm) { return refcount_read(&mm->ref) == 1 && mm->vmas.count < MM_MAP_COUNT_CAREFUL; }

void mm_keep_descriptor(struct mm *mm, struct mappable *m, struct pl_order *o)
{
	unsigned nkept = atomic_load_explicit(&mm->nkept, memory_order_relaxed);
	uint64_t id = m->ops->id ? m->ops->id(m) : 0;
	int flags;

	for (unsigned i = 0; i < nkept; i++)
		if (mm->kept[i].id == id) {
			o->place = (uint8_t)i + 1;
			o->kept = true;
			return;
		}
	/* exec maps each file in one go. */
	if (!id || nkept == PL_KEEP || !mm->layout.start_stack || !defers(mm))
		return;
	flags = fcntl(o->fd, F_GETFL);
	if (flags < 0 || (flags & O_ACCMODE) != O_RDONLY)
		return;
	m->ops->get(m);
	mm->kept[nkept].mappable = m;
	mm->kept[nkept].id = id;
	o->place = (uint8_t)nkept + 1;
	atomic_store_explicit(&mm->nkept, nkept + 1, memory_order_relaxed);
}

void mm_drop_kept(struct mm *mm)
{
	for (unsigned n = atomic_exchange(&mm->nkept, 0); n-- > 0;)
		mm->kept[n].mappable->ops->put(mm->kept[n].mappable);
}

void mm_copy_kept(struct mm *child, struct mm *mm)
{
	for (unsigned i = 0; i < atomic_load(&mm->nkept); i++) {
		child->kept[i] = mm->kept[i];
		child->kept[i].mappable->ops->get(child->kept[i].mappable);
	}
	atomic_store(&child->nkept, atomic_load(&mm->nkept));
}

/* Whether the stub has them all or not. map_lock held: mm_unlock() lets go of the files. */
static void forget_kept(struct mm *mm)
{
	struct pl_order o = { .op = PL_CLOSE };

	for (unsigned n = atomic_exchange(&mm->nkept, 0); n-- > 0;) {
		struct vma *v = new(struct vma);

		v->mappable = mm->kept[n].mappable;
		mm_bury(mm, v);
		o.place = (uint8_t)n + 1;
		/* It cannot fail but with the stub itself. */
		if (n || defers(mm))
			(void)pl_order(own_thread(mm), &o);
		else
			(void)pl_order_sync(own_thread(mm), &o);
	}
}

void mm_forget_files(struct mm *mm)
{
	if (likely(!atomic_load_explicit(&mm->nkept, memory_order_relaxed)))
		return;
	mm_lock(mm);
	forget_kept(mm);
	mm_unlock(mm);
}

static int carry_out(struct mm *mm, const struct pl_order *o, unsigned n, struct mappable *m, bool now)
{
	struct pl_thread *t = own_thread(mm);
	bool deferred = !now && defers(mm) && n <= MAX_PENDING;
	unsigned queued = pl_orders_queued(t);
	int r;

	if (mm->npending && (!queued || mm->npending + n > MAX_PENDING)) {
		r = drain(mm, t);
		if (r)
			return r;
		queued = 0;
	}
	mm->deferred = deferred;
	mm->settled = mm->layout.start_stack;
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

int mm_carry_out(struct mm *mm, const struct pl_order *o, unsigned n, struct mappable *m, bool now)
{
	int r = carry_out(mm, o, n, m, now);

	/* A descriptor that was to be kept may never have been handed over. */
	if (unlikely(r) && atomic_load_explicit(&mm->nkept, memory_order_relaxed))
		forget_kept(mm);
	return r;
}

struct pending_order *mm_last_pending(struct mm *mm)
{
	return mm->deferred && mm->npending ? &mm->pending[mm->npending - 1] : NULL;
}

/* What pending orders from..to-1 were to map is taken away on both sides. What they were to unmap or protect stays as the host has
 * it, which only happens when the host is out of room for VMAs (mm_carry_out keeps clear of its limit). map_lock held.
 * False: they stood for no system call (a stack's growth). */
static bool undo(struct mm *mm, unsigned from, unsigned to, int error, int64_t *result)
{
	struct pl_thread *t = fiber_context()->thread;
	struct pl_order o = { .op = PL_MUNMAP };
	bool call = true;

	*result = error;
	forget_kept(mm);
	vma_change_begin(mm);
	for (unsigned i = from; i < to; i++) {
		const struct pending_order *p = &mm->pending[i];

		if (p->op == PL_MMAP_ANON || p->op == PL_MMAP_FD)
			mm_remove_range(mm, p->start, p->end);
		call &= !p->fault;
		if (p->old_brk)
			*result = mm->layout.brk = p->old_brk;
	}
	vma_change_end(mm);
	/* A failed MAP_FIXED may have left the old mapping: gone as well, so that both sides agree. */
	for (unsigned i = from; i < to; i++) {
		const struct pending_order *p = &mm->pending[i];

		o.addr = p->start;
		o.len = p->end - p->start;
		if (p->op == PL_MMAP_ANON || p->op == PL_MMAP_FD)
			pl_order(t, &o);
		else if (p->op != PL_MADVISE)
			log_warn("mm: the host refused to change [%lx, %lx): %d", (long)p->start, (long)p->end, error);
	}
	return call;
}

void mm_undo_all(struct mm *mm)
{
	struct fiber_context *c = fiber_context();
	int64_t result;

	if (!c || !c->thread || c->mm != mm)
		return;
	undo(mm, 0, mm->npending, mm->undo_error, &result);
	mm->undo_error = 0;
	mm_drop_pending(mm);
}

bool mm_order_failed(struct mm *mm, uint32_t index, int error)
{
	int64_t result;
	bool call = true, ours = false;
	unsigned i;

	mm_lock(mm);
	result = error;
	for (i = 0; i < mm->npending; i++)
		if (mm->pending[i].index == index) {
			call = undo(mm, i, i + 1, error, &result);
			ours = true;
			break;
		}
	if (call)
		pl_set_result(fiber_context()->thread, result);
	mm_unlock(mm);
	return mm->settled || !ours;
}
