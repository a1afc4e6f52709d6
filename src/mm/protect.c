/* SPDX-License-Identifier: Apache-2.0 */
/* protect.c: what changes or asks about existing mappings: mprotect, madvise, msync, mlock, and faults. Order of checks and errors
 * after Linux's mm/{mprotect,madvise,msync,mlock}.c and arch/x86/mm/fault.c. */
#include "auth/cred.h"
#include "mm/uaccess.h"
#include "mm/vma.h"
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>

#ifndef PROT_SEM
#define PROT_SEM 8
#endif
#define PROT_GROWS (PROT_GROWSDOWN | PROT_GROWSUP)

/* ---- mprotect ---- */

/* v's flags with protection prot in [start, end). False: no VMA may be added for the split. */
static bool apply_flags(struct mm *mm, struct vma **vp, uint64_t start, uint64_t end, unsigned flags)
{
	struct vma *v = *vp;

	if (v->flags == flags)
		return true;
	if (mm->vmas.count + (start > v->start) + (end < v->end) > MM_MAX_MAP_COUNT)
		return false;
	vma_change_begin(mm);
	v = mm_isolate(mm, v, start, end);
	mm_set_flags(mm, v, flags);
	*vp = mm_merge(mm, v);
	vma_change_end(mm);
	return true;
}

static int64_t mprotect_locked(struct mm *mm, uint64_t start, uint64_t end, int prot, int grows)
{
	struct vma *v = vma_tree_find(&mm->vmas, start), *first;
	struct pl_order o = { .op = PL_MPROTECT, .prot = prot };
	uint64_t done, more = 0;
	int64_t r = 0;

	if (!v)
		return -ENOMEM;
	if (grows & PROT_GROWSDOWN) {
		if (v->start >= end)
			return -ENOMEM;
		if (!(v->flags & VMA_GROWSDOWN))
			return -EINVAL;
		start = v->start;
	} else {
		if (v->start > start)
			return -ENOMEM;
		if (grows & PROT_GROWSUP)
			return -EINVAL;
	}
	/* First see how far it goes: Linux applies the change up to the mapping that refuses it. */
	first = v;
	for (done = start; done < end; v = vma_next(v)) {
		if (!v || v->start > done) {
			r = -ENOMEM;
			break;
		}
		if ((prot & VMA_PROT) & ~(v->flags / VMA_MAYREAD)) {
			r = -EACCES;
			break;
		}
		if ((prot & PROT_WRITE) && !(v->flags & (VMA_WRITE | VMA_SHARED | VMA_GROWSDOWN))) {
			more += (MIN(end, v->end) - MAX(start, v->start)) / GUEST_PAGE_SIZE;
			if (mm->data_vm + more > mm->limits.data / GUEST_PAGE_SIZE) {
				r = -ENOMEM;
				break;
			}
		}
		done = MIN(end, v->end);
	}
	if (done == start)
		return r;
	o.addr = start == first->start ? first->host_start : start;
	o.len = done - o.addr;
	{
		int r2 = mm_carry_out(mm, &o, 1, NULL, false);

		if (r2)
			return r2;
	}
	for (v = first; start < done; v = vma_next(v)) {
		uint64_t e = MIN(done, v->end);

		unsigned written = v->mappable && !(v->flags & VMA_SHARED) && ((unsigned)prot | v->flags) & VMA_WRITE ? VMA_WRITTEN : 0;

		if (!apply_flags(mm, &v, start, e, (v->flags & ~VMA_PROT) | (prot & VMA_PROT) | written))
			return -ENOMEM;
		start = e;
		/* Merged with what follows: v may now reach beyond e. */
		while (start < done && v->end > start)
			start = MIN(done, v->end);
	}
	return r;
}

int64_t mm_mprotect(struct mm *mm, uaddr_t addr, uint64_t len, int prot)
{
	int grows = prot & PROT_GROWS;
	int64_t r;

	prot &= ~PROT_GROWS;
	if (grows == PROT_GROWS)
		return -EINVAL;
	if (addr % GUEST_PAGE_SIZE)
		return -EINVAL;
	if (!len)
		return 0;
	if (len > UINT64_MAX - GUEST_PAGE_SIZE)
		return -ENOMEM;
	len = PAGE_UP(len);
	if (addr + len <= addr)
		return -ENOMEM;
	if (prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM))
		return -EINVAL;
	mm_lock(mm);
	r = mprotect_locked(mm, addr, addr + len, prot & VMA_PROT, grows);
	mm_unlock(mm);
	return r;
}

/* ---- madvise ---- */

enum { /* asm-generic/mman-common.h; ADV_POPULATE_* are in vma.h */
	ADV_REMOVE = 9, ADV_MERGEABLE = 12, ADV_UNMERGEABLE = 13, ADV_WIPEONFORK = 18, ADV_KEEPONFORK = 19, ADV_COLD = 20,
	ADV_PAGEOUT = 21, ADV_DONTNEED_LOCKED = 24, ADV_COLLAPSE = 25,
	ADV_HWPOISON = 100, ADV_SOFT_OFFLINE = 101,
};

/* One mapping: 0 or -errno; *flags are v's afterwards; *host: the host is to be told. */
static int advise_vma(const struct vma *v, int advice, unsigned *flags, bool *host)
{
	switch (advice) {
	case MADV_NORMAL:
		*flags &= ~(VMA_RAND_READ | VMA_SEQ_READ);
		return 0;
	case MADV_RANDOM:
		*flags = (*flags & ~VMA_SEQ_READ) | VMA_RAND_READ;
		return 0;
	case MADV_SEQUENTIAL:
		*flags = (*flags & ~VMA_RAND_READ) | VMA_SEQ_READ;
		return 0;
	case MADV_WILLNEED:
		return 0; /* a hint that nothing here depends on */
	case ADV_MERGEABLE: /* as a kernel without CONFIG_KSM, which has no /sys/kernel/mm/ksm either */
	case ADV_UNMERGEABLE:
		return -EINVAL;
	case MADV_DONTNEED:
	case ADV_COLD:
	case ADV_PAGEOUT:
		if (v->flags & VMA_LOCKED)
			return -EINVAL;
		*host = true;
		return 0;
	case ADV_DONTNEED_LOCKED:
		*host = true;
		return 0;
	case MADV_FREE:
		if (v->mappable || (v->flags & (VMA_SHARED | VMA_LOCKED)))
			return -EINVAL;
		*host = true;
		return 0;
	case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE:
		*host = true;
		return 0;
	case MADV_DONTFORK:
		*flags |= VMA_DONTFORK;
		*host = true;
		return 0;
	case MADV_DOFORK:
		*flags &= ~VMA_DONTFORK;
		*host = true;
		return 0;
	case MADV_DONTDUMP:
		*flags |= VMA_DONTDUMP;
		return 0;
	case MADV_DODUMP:
		if (v->flags & VMA_SPECIAL)
			return -EINVAL;
		*flags &= ~VMA_DONTDUMP;
		return 0;
	case ADV_WIPEONFORK:
		if (v->mappable || (v->flags & VMA_SHARED))
			return -EINVAL;
		*flags |= VMA_WIPEONFORK;
		*host = true;
		return 0;
	case ADV_KEEPONFORK:
		*flags &= ~VMA_WIPEONFORK;
		*host = true;
		return 0;
	case ADV_COLLAPSE: /* the host's pages are not ours to arrange: as a kernel that could not */
		return -EINVAL;
	}
	return -EINVAL;
}

static bool advice_known(int advice)
{
	switch (advice) {
	case MADV_NORMAL ... MADV_DONTNEED:
	case MADV_FREE ... MADV_DOFORK:
	case ADV_MERGEABLE ... ADV_COLLAPSE:
		return true;
	}
	return false;
}

/* MADV_REMOVE punches a hole into what a shared writable mapping maps. */
static int advise_remove(struct vma *v, uint64_t start, uint64_t end)
{
	uint64_t host_off;
	int fd, r;

	if (v->flags & VMA_LOCKED)
		return -EINVAL;
	if (!v->mappable)
		return -EINVAL;
	if ((v->flags & (VMA_SHARED | VMA_MAYWRITE)) != (VMA_SHARED | VMA_MAYWRITE))
		return -EACCES;
	r = v->mappable->ops->host_fd(v->mappable, v->off + (start - v->start), end - start, true, &fd, &host_off);
	if (r)
		return r;
	worker_block_begin();
	r = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, host_off, end - start) ? -errno : 0;
	worker_block_end();
	return r;
}

static int order_advice(struct mm *mm, uint64_t start, uint64_t end, int advice)
{
	struct pl_order o = { .op = PL_MADVISE, .flags = advice, .addr = start, .len = end - start };

	return start < end ? mm_carry_out(mm, &o, 1, NULL, false) : 0;
}

int64_t mm_populate(struct mm *mm, uint64_t start, uint64_t end, int advice)
{
	struct pl_order o = { .op = PL_MADVISE, .flags = advice };
	struct vma *v;
	int r;

	while (start < end) {
		v = vma_tree_find(&mm->vmas, start);
		if (!v || v->start > start)
			return -ENOMEM;
		if (!(v->flags & (advice == ADV_POPULATE_WRITE ? VMA_WRITE : VMA_PROT)))
			return -EINVAL;
		o.addr = start;
		/* In pieces, so that no single order holds the stub for long. */
		o.len = MIN(MIN(end, v->end) - start, 64UL << 20);
		r = mm_carry_out(mm, &o, 1, NULL, true);
		if (r)
			return r;
		start += o.len;
	}
	return 0;
}

static int64_t madvise_locked(struct mm *mm, uint64_t start, uint64_t end, int advice)
{
	uint64_t run_start = start, run_end = start;
	int64_t unmapped = 0, r = 0;
	struct vma *v;

	if (advice == ADV_POPULATE_READ || advice == ADV_POPULATE_WRITE)
		return mm_populate(mm, start, end, advice);
	for (v = vma_tree_find(&mm->vmas, start); start < end; v = vma_next(v)) {
		unsigned flags;
		bool host = false;
		uint64_t e;

		if (!v) {
			unmapped = -ENOMEM;
			break;
		}
		if (start < v->start) {
			unmapped = -ENOMEM;
			start = v->start;
			if (start >= end)
				break;
		}
		e = MIN(end, v->end);
		flags = v->flags;
		r = advice == ADV_REMOVE ? advise_remove(v, start, e) : advise_vma(v, advice, &flags, &host);
		if (!r && !apply_flags(mm, &v, start, e, flags))
			r = -ENOMEM;
		if (r)
			break;
		if (host) {
			/* Neighbours go to the host in one order. */
			if (run_end != start) {
				r = order_advice(mm, run_start, run_end, advice);
				if (r)
					break;
				run_start = start;
			}
			run_end = e;
		}
		start = e;
		/* Merged with what follows, which had the flags already. */
		if (v->end > start && start < end && flags == v->flags) {
			e = MIN(end, v->end);
			if (host)
				run_end = e;
			start = e;
		}
	}
	if (run_end > run_start) {
		int r2 = order_advice(mm, run_start, run_end, advice);

		if (!r)
			r = r2;
	}
	return r ? r : unmapped;
}

int64_t mm_madvise(struct mm *mm, uaddr_t addr, uint64_t len_in, int advice)
{
	uint64_t len = PAGE_UP(len_in);
	int64_t r;

	if (advice == ADV_HWPOISON || advice == ADV_SOFT_OFFLINE)
		return -EINVAL; /* as a kernel without CONFIG_MEMORY_FAILURE */
	if (!advice_known(advice))
		return -EINVAL;
	if (addr % GUEST_PAGE_SIZE)
		return -EINVAL;
	if (len_in && !len)
		return -EINVAL;
	if (addr + len < addr)
		return -EINVAL;
	if (!len)
		return 0;
	mm_lock(mm);
	r = madvise_locked(mm, addr, addr + len, advice);
	mm_unlock(mm);
	return r;
}

/* ---- msync ---- */

int64_t mm_msync(struct mm *mm, uaddr_t addr, uint64_t len, int flags)
{
	uint64_t start = addr, end;
	int64_t unmapped = 0, r = 0;
	struct mappable *m;
	struct vma *v;

	if (flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC))
		return -EINVAL;
	if (addr % GUEST_PAGE_SIZE)
		return -EINVAL;
	if ((flags & MS_ASYNC) && (flags & MS_SYNC))
		return -EINVAL;
	end = start + PAGE_UP(len);
	if (end < start)
		return -ENOMEM;
	if (start == end) /* also when len wraps, as on Linux */
		return 0;
	mm_lock(mm);
	while (start < end) {
		v = vma_tree_find(&mm->vmas, start);
		if (!v || v->start >= end) {
			unmapped = -ENOMEM;
			break;
		}
		if (start < v->start) {
			start = v->start;
			unmapped = -ENOMEM;
		}
		if ((flags & MS_INVALIDATE) && (v->flags & VMA_LOCKED)) {
			r = -EBUSY;
			break;
		}
		m = v->mappable;
		if ((flags & MS_SYNC) && m && (v->flags & VMA_SHARED) && m->ops->msync) {
			uint64_t off = v->off + (start - v->start), n = MIN(end, v->end) - start;

			/* The disk may take long: others go on meanwhile. */
			m->ops->get(m);
			start += n;
			mm_settle(mm);
			mm_unlock(mm);
			r = m->ops->msync(m, off, n, flags);
			m->ops->put(m);
			mm_lock(mm);
			if (r)
				break;
		} else {
			start = v->end;
		}
	}
	mm_unlock(mm);
	return r ? r : unmapped;
}

/* ---- mlock: kept in the books and the limits; the host's memory is not really locked ---- */

static int64_t apply_lock(struct mm *mm, uint64_t start, uint64_t end, bool lock)
{
	struct vma *v = vma_tree_find(&mm->vmas, start);
	unsigned flags;
	uint64_t e;

	if (!v || v->start > start)
		return -ENOMEM;
	while (start < end) {
		if (!v || v->start > start)
			return -ENOMEM;
		e = MIN(end, v->end);
		flags = lock && !(v->flags & VMA_SPECIAL) ? v->flags | VMA_LOCKED : v->flags & ~VMA_LOCKED;
		if (!apply_flags(mm, &v, start, e, flags))
			return -ENOMEM;
		start = MIN(end, v->end);
		v = vma_next(v);
	}
	return 0;
}

/* Bring the pages in, as __mm_populate() does: private ones that can be written, by a write. */
static int64_t populate_locked(struct mm *mm, uint64_t start, uint64_t end, bool all)
{
	int64_t r = 0;

	for (struct vma *v = vma_tree_find(&mm->vmas, start); v && v->start < end && (all || !r); v = vma_next(v)) {
		bool write = (v->flags & VMA_WRITE) && !((v->flags & VMA_SHARED) && (v->flags & VMA_READ));

		if ((v->flags & VMA_SPECIAL) || (v->flags & VMA_PROT) == VMA_EXEC) /* the host populates only what can be read or written */
			continue;
		if (!(v->flags & VMA_PROT))
			r = -ENOMEM;
		else if (mm_populate(mm, MAX(start, v->start), MIN(end, v->end), write ? ADV_POPULATE_WRITE : ADV_POPULATE_READ))
			r = -ENOMEM;
	}
	return all ? 0 : r;
}

int64_t mm_mlock(struct mm *mm, uaddr_t addr, uint64_t len, int flags, bool lock)
{
	uint64_t start = PAGE_DOWN(addr), end;
	int64_t r;

	if (lock && !mm_can_mlock(mm))
		return -EPERM;
	len = PAGE_UP(len + (addr - start));
	end = start + len;
	mm_lock(mm);
	r = -ENOMEM;
	if (lock && !mm_lock_ok(mm, len / GUEST_PAGE_SIZE)) {
		uint64_t had = 0;

		/* What is locked already does not count twice. */
		for (struct vma *v = vma_tree_find(&mm->vmas, start); v && v->start < end; v = vma_next(v))
			if (v->flags & VMA_LOCKED)
				had += MIN(end, v->end) - MAX(start, v->start);
		if (!mm_lock_ok(mm, (len - had) / GUEST_PAGE_SIZE))
			goto out;
	}
	r = -EINVAL;
	if (end < start)
		goto out;
	r = 0;
	if (end > start)
		r = apply_lock(mm, start, end, lock);
	if (!r && lock && !(flags & 1 /* MLOCK_ONFAULT */))
		r = populate_locked(mm, start, end, false);
out:
	mm_unlock(mm);
	return r;
}

int64_t mm_mlockall(struct mm *mm, int flags)
{
	struct vma *v;
	int64_t r = 0;

	mm_lock(mm);
	if (flags) {
		r = -EPERM;
		if (!mm_can_mlock(mm))
			goto out;
		r = -ENOMEM;
		if ((flags & MCL_CURRENT) && mm->total_vm > mm->limits.memlock / GUEST_PAGE_SIZE && !mm_lock_ok(mm, mm->total_vm))
			goto out;
		r = 0;
	}
	mm->def_flags = flags & MCL_FUTURE ? VMA_LOCKED : 0;
	if (!flags || (flags & MCL_CURRENT)) {
		TAILQ_FOREACH(v, &mm->vmas.list, link) {
			unsigned f = v->flags & ~VMA_LOCKED;

			if (flags && !(v->flags & VMA_SPECIAL))
				f |= VMA_LOCKED;
			apply_flags(mm, &v, v->start, v->end, f);
		}
		if ((flags & MCL_CURRENT) && !(flags & 4 /* MCL_ONFAULT */))
			populate_locked(mm, 0, PL_TASK_SIZE, true);
	}
out:
	mm_unlock(mm);
	return r;
}

/* ---- faults ---- */

enum { PF_PROT = 1, PF_WRITE = 2, PF_USER = 4, PF_INSTR = 16, PF_PK = 32 };

/* Linux expand_downwards(). */
static bool grow_stack(struct mm *mm, struct vma *v, uint64_t page)
{
	struct vma *p = vma_prev(v);
	struct pl_order o = { .op = PL_MMAP_ANON, .prot = v->flags & VMA_PROT, .fd = -1,
			      .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE };
	uint64_t low = page, pages = (v->start - page) / GUEST_PAGE_SIZE;
	struct pending_order *q;

	if (page < PL_MIN_ADDR || v->end - page > mm->limits.stack)
		return false;
	if (p && !(p->flags & VMA_GROWSDOWN) && (p->flags & VMA_PROT) && page < p->end + STACK_GUARD_GAP)
		return false;
	if (p && page < p->end)
		return false;
	if (!mm_may_expand(mm, v->flags, pages) || ((v->flags & VMA_LOCKED) && !mm_lock_ok(mm, pages)))
		return false;
	/* Some room in advance: the next fault is as dear. */
	if (low > PL_MIN_ADDR + (64UL << 10) && v->end - low + (64UL << 10) <= mm->limits.stack &&
	    (!p || low - (64UL << 10) >= p->end + STACK_GUARD_GAP))
		low -= 64UL << 10;
	if (low < v->host_start) {
		o.addr = low;
		o.len = v->host_start - low;
		if (mm_carry_out(mm, &o, 1, NULL, false))
			return false;
		q = mm_last_pending(mm);
		if (q)
			q->fault = true;
	}
	vma_change_begin(mm);
	v->host_start = MIN(low, v->host_start);
	mm_set_range(mm, v, page, v->end);
	vma_change_end(mm);
	return true;
}

bool mm_fault(struct mm *mm, uaddr_t addr, uint64_t err, int *si_code)
{
	unsigned need = err & PF_WRITE ? VMA_WRITE : err & PF_INSTR ? VMA_EXEC : VMA_PROT;
	bool fixed = false;
	struct vma *v;

	*si_code = SEGV_MAPERR;
	if (addr >= PL_TASK_SIZE)
		return false;
	mm_lock(mm);
	v = vma_tree_find(&mm->vmas, addr);
	if (!v)
		goto out;
	if (v->start <= addr) {
		*si_code = SEGV_ACCERR;
		/* Allowed by now: another thread changed the mapping while the fault travelled. Not for ever: the stub may lie. */
		if ((v->flags & need) && !(err & PF_PK)) {
			mm->fault_repeats = mm->last_fault == addr ? mm->fault_repeats + 1 : 0;
			mm->last_fault = addr;
			fixed = mm->fault_repeats < 3;
		}
		goto out;
	}
	if (v->flags & VMA_GROWSDOWN)
		fixed = grow_stack(mm, v, PAGE_DOWN(addr));
out:
	mm_unlock(mm);
	return fixed;
}
