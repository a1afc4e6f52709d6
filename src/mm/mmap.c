/* SPDX-License-Identifier: Apache-2.0 */
/* mmap.c: what changes the shape of an address space: mmap, munmap, brk, mremap. Order of checks and errors after Linux's
 * mm/mmap.c, mm/vma.c and mm/mremap.c.
 *
 * The stack: Linux grows a MAP_GROWSDOWN mapping at each fault below it. A fault that reaches the kernel process costs some 5 us here, so the
 * main stack has the room up to RLIMIT_STACK mapped in the host from the start ([host_start, start), without swap reservation),
 * and touching it costs a host fault and nothing else. The VMA still begins where exec put it, so /proc/PID/maps shows the first
 * part only. Other growing mappings, and a stack beyond that room, grow by mm_fault(). Nothing is placed into that room but by
 * MAP_FIXED, which makes it part of the VMA first (the guest may have used it). */
#include "auth/cred.h"
#include "mm/vma.h"
#include <linux/capability.h>

#define PMD_SIZE (2UL << 20)
#define POPULATE_AT_ONCE (256UL << 20) /* more is done in pieces: nothing waits for a stub for long */
#define STACK_ROOM_MAX (1UL << 30) /* for RLIMIT_STACK unlimited */
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#ifndef MAP_SHARED_VALIDATE
#define MAP_SHARED_VALIDATE 3
#endif
/* What MAP_SHARED_VALIDATE knows (Linux LEGACY_MAP_MASK): everything else is EOPNOTSUPP. */
#define KNOWN_MAP_FLAGS                                                                                                \
	(MAP_SHARED | MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_DENYWRITE | MAP_EXECUTABLE | MAP_GROWSDOWN | MAP_LOCKED |      \
	 MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_STACK | MAP_HUGETLB | MAP_32BIT | 21 << 26 | 30 << 26)

/* ---- limits ---- */

bool mm_can_mlock(struct mm *mm)
{
	return mm->limits.memlock || (fiber_context()->cred && cred_has_cap(fiber_context()->cred, CAP_IPC_LOCK));
}

bool mm_lock_ok(struct mm *mm, uint64_t more_pages)
{
	if (fiber_context()->cred && cred_has_cap(fiber_context()->cred, CAP_IPC_LOCK))
		return true;
	return mm->locked_vm + more_pages <= mm->limits.memlock / GUEST_PAGE_SIZE;
}

bool mm_may_expand(struct mm *mm, unsigned flags, uint64_t pages)
{
	if (mm->total_vm + pages > mm->limits.as / GUEST_PAGE_SIZE)
		return false;
	if ((flags & (VMA_WRITE | VMA_SHARED | VMA_GROWSDOWN)) == VMA_WRITE && mm->data_vm + pages > mm->limits.data / GUEST_PAGE_SIZE)
		return false;
	return true;
}

/* ---- choosing an address ---- */

static uint64_t choose(struct mm *mm, uint64_t len, bool huge)
{
	uint64_t pad = huge ? PMD_SIZE - GUEST_PAGE_SIZE : 0, r;

	/* Large anonymous memory begins where the host can use huge pages, as Linux does since 6.7. */
	r = vma_tree_gap_topdown(&mm->vmas, PL_MIN_ADDR, mm->mmap_base, len + pad);
	if (r)
		return huge ? ALIGN_DOWN(r + pad, PMD_SIZE) : r;
	if (huge)
		return choose(mm, len, false);
	return vma_tree_gap_bottomup(&mm->vmas, PAGE_UP(PL_TASK_SIZE / 3), PL_TASK_SIZE, len);
}

static bool hint_fits(struct mm *mm, uint64_t addr, uint64_t len, uint64_t high)
{
	struct vma *v;

	if (high < len || addr > high - len || addr < PL_MIN_ADDR)
		return false;
	v = vma_tree_find(&mm->vmas, addr);
	return !v || addr + len <= vma_start_gap(v);
}

/* Linux get_unmapped_area(): an address, or -errno. */
static int64_t get_unmapped_area(struct mm *mm, uint64_t addr, uint64_t len, int flags, bool anon)
{
	uint64_t r;

	if (len > PL_TASK_SIZE)
		return -ENOMEM;
	if (flags & MAP_FIXED) {
		if (addr > PL_TASK_SIZE - len)
			return -ENOMEM;
		if (addr % GUEST_PAGE_SIZE)
			return -EINVAL;
		/* vm.mmap_min_addr: the host would not let the stub map it either. */
		if (addr < PL_MIN_ADDR)
			return -EPERM;
		return addr;
	}
	if (flags & MAP_32BIT) {
		addr = PAGE_UP(addr);
		if (addr && hint_fits(mm, addr, len, 0x80000000UL))
			return addr;
		r = vma_tree_gap_bottomup(&mm->vmas, 0x40000000UL, 0x80000000UL, len);
		return r ? (int64_t)r : -ENOMEM;
	}
	addr = PAGE_DOWN(addr);
	if (addr && hint_fits(mm, addr, len, PL_TASK_SIZE))
		return addr;
	r = choose(mm, len, anon && len >= PMD_SIZE && len % PMD_SIZE == 0);
	return r ? (int64_t)r : -ENOMEM;
}

/* ---- munmap ---- */

/* The host's part of clearing [start, end), where the rooms of growing mappings must not be cut by accident: a room whose mapping is
 * hit at its lower edge goes with it, another one stays. False: nothing to do in the host. */
static bool host_unmap_range(struct mm *mm, uint64_t *start, uint64_t *end)
{
	struct vma *v = vma_tree_find(&mm->vmas, *start);

	if (v && v->start >= *start && v->start < *end)
		*start = MIN(*start, v->host_start);
	v = vma_tree_find(&mm->vmas, *end);
	if (v && v->start >= *end && v->host_start < *end)
		*end = v->host_start;
	return *start < *end;
}

/* For what is about to be replaced up to end: a room that reaches below end from above becomes part of its VMA. */
static void absorb_room(struct mm *mm, uint64_t end)
{
	struct vma *v = vma_tree_find(&mm->vmas, end);

	if (!v || v->start < end || v->host_start >= end)
		return;
	vma_change_begin(mm);
	mm_set_range(mm, v, v->host_start, v->end);
	vma_change_end(mm);
}

static bool would_exceed_map_count(struct mm *mm, uint64_t start, uint64_t end)
{
	struct vma *v = vma_tree_find_intersection(&mm->vmas, start, end);

	return v && v->start < start && v->end > end && mm->vmas.count >= MM_MAX_MAP_COUNT;
}

int64_t mm_munmap_locked(struct mm *mm, uint64_t start, uint64_t end)
{
	struct pl_order o = { .op = PL_MUNMAP };
	uint64_t hs = start, he = end;
	int r;

	if (!vma_tree_find_intersection(&mm->vmas, start, end))
		return 0;
	if (would_exceed_map_count(mm, start, end))
		return -ENOMEM;
	if (host_unmap_range(mm, &hs, &he)) {
		o.addr = hs;
		o.len = he - hs;
		r = mm_carry_out(mm, &o, 1, NULL, false);
		if (r)
			return r;
	}
	vma_change_begin(mm);
	mm_remove_range(mm, start, end);
	vma_change_end(mm);
	return 0;
}

int64_t mm_munmap(struct mm *mm, uaddr_t addr, uint64_t len)
{
	int64_t r;

	if (addr % GUEST_PAGE_SIZE || addr > PL_TASK_SIZE || len > PL_TASK_SIZE - addr)
		return -EINVAL;
	len = PAGE_UP(len);
	if (!len)
		return -EINVAL;
	mm_lock(mm);
	r = mm_munmap_locked(mm, addr, addr + len);
	mm_unlock(mm);
	return r;
}

/* ---- mmap ---- */

/* The order that maps v's range [start, end) afresh. */
static int map_order(struct mm *mm, const struct vma *v, uint64_t start, uint64_t end, int extra_flags, struct pl_order *o)
{
	bool shared_write = (v->flags & (VMA_SHARED | VMA_MAYWRITE)) == (VMA_SHARED | VMA_MAYWRITE);
	uint64_t host_off = 0;
	int r;

	*o = (struct pl_order){
		.op = v->mappable ? PL_MMAP_FD : PL_MMAP_ANON,
		.prot = v->flags & VMA_PROT,
		.flags = MAP_FIXED | (v->flags & VMA_SHARED ? MAP_SHARED : MAP_PRIVATE) | extra_flags,
		.addr = start,
		.len = end - start,
		.fd = -1,
	};
	if (v->flags & VMA_NORESERVE)
		o->flags |= MAP_NORESERVE;
	if (!v->mappable) {
		o->flags |= MAP_ANONYMOUS;
		return 0;
	}
	r = v->mappable->ops->host_fd(v->mappable, v->off + (start - v->start), end - start, shared_write, &o->fd, &host_off);
	o->off = host_off;
	if (!r && !shared_write)
		mm_keep_descriptor(mm, v->mappable, o);
	return r;
}

/* How far down the host maps for the main stack. */
static uint64_t stack_room(struct mm *mm, uint64_t start, uint64_t end)
{
	uint64_t limit = MIN(mm->limits.stack, STACK_ROOM_MAX), low = end - PAGE_DOWN(MIN(limit, end - PL_MIN_ADDR));
	struct vma *v = vma_tree_find(&mm->vmas, 0), *prev = NULL;

	if (low >= start)
		return start;
	for (; v && v->start < start; v = vma_next(v))
		prev = v;
	if (prev && low < prev->end + STACK_GUARD_GAP)
		low = prev->end + STACK_GUARD_GAP;
	return MIN(low, start);
}

static int64_t mmap_locked(struct mm *mm, uint64_t addr, uint64_t len, unsigned vflags, int flags, struct mappable *m, uint64_t off)
{
	bool shared_write = (vflags & (VMA_SHARED | VMA_MAYWRITE)) == (VMA_SHARED | VMA_MAYWRITE);
	bool populate = flags & (MAP_POPULATE | MAP_LOCKED) && !(flags & MAP_NONBLOCK) && (vflags & VMA_PROT);
	int extra = populate && len <= POPULATE_AT_ONCE ? MAP_POPULATE : 0;
	struct pl_order o[2];
	struct vma *v, *old;
	unsigned n = 0;
	int64_t r;

	/* Linux may_expand_vm(), which counts what MAP_FIXED replaces as free. */
	if (!mm_may_expand(mm, vflags, len / GUEST_PAGE_SIZE)) {
		uint64_t gone = 0;

		for (old = vma_tree_find(&mm->vmas, addr); old && old->start < addr + len; old = vma_next(old))
			gone += MIN(old->end, addr + len) - MAX(old->start, addr);
		if (!(flags & MAP_FIXED) || !mm_may_expand(mm, vflags, (len - gone) / GUEST_PAGE_SIZE))
			return -ENOMEM;
	}
	if (flags & MAP_FIXED) {
		if (would_exceed_map_count(mm, addr, addr + len))
			return -ENOMEM;
		absorb_room(mm, addr + len);
		old = vma_tree_find(&mm->vmas, addr);
		if (old && old->start >= addr && old->start < addr + len && old->host_start < addr)
			o[n++] = (struct pl_order){ .op = PL_MUNMAP, .addr = old->host_start, .len = addr - old->host_start };
	}
	if (m && m->ops->mapped && (vflags & VMA_SHARED)) {
		r = m->ops->mapped(m, shared_write);
		if (r)
			return r;
	}
	if (m && (vflags & (VMA_WRITE | VMA_SHARED)) == VMA_WRITE)
		vflags |= VMA_WRITTEN;
	v = vma_new(mm, addr, addr + len, vflags, m, m ? off : addr);
	if ((vflags & VMA_GROWSDOWN) && (flags & MAP_STACK) && !mm->have_stack) {
		v->host_start = stack_room(mm, addr, addr + len);
		extra |= MAP_NORESERVE;
	}
	r = map_order(mm, v, v->start, v->end, extra, &o[n]);
	if (!r && v->host_start < v->start) {
		o[n].addr = v->host_start;
		o[n].len = v->end - v->host_start;
	}
	if (!r)
		r = mm_carry_out(mm, o, n + 1, m, false);
	if (r) {
		mm_bury(mm, v);
		return r;
	}
	vma_change_begin(mm);
	if (flags & MAP_FIXED)
		mm_remove_range(mm, addr, addr + len);
	mm_insert(mm, v);
	mm->have_stack |= v->host_start < v->start;
	mm_merge(mm, v);
	vma_change_end(mm);
	if (populate && !extra) /* as on Linux its failure is no error */
		(void)mm_populate(mm, addr, addr + len, (vflags & (VMA_WRITE | VMA_SHARED)) == VMA_WRITE ? ADV_POPULATE_WRITE : ADV_POPULATE_READ);
	return addr;
}

int64_t mm_mmap(struct mm *mm, uaddr_t addr, uint64_t len, int prot, int flags, struct mappable *m, uint64_t off, bool may_write,
		bool may_exec)
{
	unsigned vflags = (prot & VMA_PROT) | VMA_MAYREAD | VMA_MAYWRITE | VMA_MAYEXEC, type = flags & 0xf;
	struct shm_object *shm = NULL;
	int64_t r;

	if (!len)
		return -EINVAL;
	if (flags & MAP_FIXED_NOREPLACE)
		flags |= MAP_FIXED;
	if (!(flags & MAP_FIXED) && addr && PAGE_DOWN(addr) < PL_MIN_ADDR)
		addr = PL_MIN_ADDR;
	if (len > UINT64_MAX - GUEST_PAGE_SIZE)
		return -ENOMEM;
	len = PAGE_UP(len);

	mm_lock(mm);
	r = -ENOMEM;
	if (mm->vmas.count > MM_MAX_MAP_COUNT)
		goto out;
	r = get_unmapped_area(mm, addr, len, flags, !m);
	if (r < 0)
		goto out;
	addr = r;
	r = -EEXIST;
	if ((flags & MAP_FIXED_NOREPLACE) && vma_tree_find_intersection(&mm->vmas, addr, addr + len))
		goto out;
	r = -EOVERFLOW; /* file_mmap_ok() */
	if (m && off > INT64_MAX - len)
		goto out;
	vflags |= mm->def_flags;
	if (flags & MAP_LOCKED) {
		r = -EPERM;
		if (!mm_can_mlock(mm))
			goto out;
		vflags |= VMA_LOCKED;
	}
	r = -EAGAIN;
	if ((vflags & VMA_LOCKED) && !mm_lock_ok(mm, len / GUEST_PAGE_SIZE))
		goto out;
	if (flags & MAP_GROWSDOWN)
		vflags |= VMA_GROWSDOWN;
	if (flags & MAP_NORESERVE)
		vflags |= VMA_NORESERVE;

	r = -EINVAL;
	switch (type) {
	case MAP_SHARED_VALIDATE:
		if (!m)
			goto out;
		if (flags & ~(KNOWN_MAP_FLAGS | 3)) {
			r = -EOPNOTSUPP;
			goto out;
		}
		/* fall through */
	case MAP_SHARED:
		vflags |= VMA_SHARED;
		if (flags & MAP_GROWSDOWN)
			goto out;
		if (m && !may_write) {
			r = -EACCES;
			if (prot & PROT_WRITE)
				goto out;
			vflags &= ~VMA_MAYWRITE;
		}
		if (!m)
			off = 0;
		break;
	case MAP_PRIVATE:
		if (m && (flags & MAP_GROWSDOWN))
			goto out;
		break;
	default:
		goto out;
	}
	if (m && !may_exec) {
		r = -EPERM;
		if (prot & PROT_EXEC)
			goto out;
		vflags &= ~VMA_MAYEXEC;
	}
	if (!m && (vflags & VMA_SHARED)) {
		shm = shm_object_create("/dev/zero (deleted)");
		r = shm_object_truncate(shm, len);
		if (r)
			goto out;
		m = shm_object_mappable(shm);
	}
	r = mmap_locked(mm, addr, len, vflags, flags, m, off);
out:
	mm_unlock(mm);
	if (shm)
		shm_object_put(shm);
	return r;
}

/* ---- brk ---- */

int64_t mm_brk(struct mm *mm, uaddr_t brk)
{
	struct mm_layout *l = &mm->layout;
	uint64_t old_end, new_end, len, old_brk;
	unsigned vflags = VMA_READ | VMA_WRITE | VMA_MAYREAD | VMA_MAYWRITE | VMA_MAYEXEC;
	struct vma *next;
	int64_t r;

	mm_lock(mm);
	old_brk = l->brk;
	if (brk < l->start_brk || !l->start_brk || brk >= PL_TASK_SIZE - 2 * GUEST_PAGE_SIZE)
		goto out;
	if (mm->limits.data != UINT64_MAX && brk - l->start_brk + (l->end_data - l->start_data) > mm->limits.data)
		goto out;
	old_end = PAGE_UP(old_brk);
	new_end = PAGE_UP(brk);
	if (old_end == new_end) {
		l->brk = brk;
		goto out;
	}
	if (brk <= old_brk) {
		if (!mm_munmap_locked(mm, new_end, old_end))
			l->brk = brk;
		goto out;
	}
	next = vma_tree_find(&mm->vmas, old_end);
	if (next && new_end + GUEST_PAGE_SIZE > vma_start_gap(next))
		goto out;
	len = new_end - old_end;
	vflags |= mm->def_flags;
	if (mm->vmas.count > MM_MAX_MAP_COUNT || ((vflags & VMA_LOCKED) && !mm_lock_ok(mm, len / GUEST_PAGE_SIZE)))
		goto out;
	r = mmap_locked(mm, old_end, len, vflags, MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0);
	if (r == (int64_t)old_end) {
		struct pending_order *p = mm_last_pending(mm);

		if (p)
			p->old_brk = old_brk;
		l->brk = brk;
	}
out:
	r = l->brk;
	mm_unlock(mm);
	return r;
}

/* ---- mremap ---- */

struct remap {
	uint64_t addr, old_len, new_len, new_addr;
	int flags;
};

/* Linux vma_to_resize(): may the mapping at addr get that long? 0 or -errno. */
static int may_resize(struct mm *mm, const struct remap *m, struct vma **out)
{
	struct vma *v = vma_tree_find(&mm->vmas, m->addr);
	uint64_t more;

	if (!v || v->start > m->addr)
		return -EFAULT;
	*out = v;
	if (!m->old_len && !(v->flags & VMA_SHARED))
		return -EINVAL;
	if ((m->flags & MREMAP_DONTUNMAP) && (v->flags & VMA_SPECIAL))
		return -EINVAL;
	if (m->old_len > v->end - m->addr)
		return -EFAULT;
	if (m->new_len <= m->old_len)
		return 0;
	if (v->flags & VMA_SPECIAL)
		return -EFAULT;
	if (v->mappable && v->off + (m->addr - v->start) + m->new_len < v->off)
		return -EINVAL;
	more = (m->new_len - m->old_len) / GUEST_PAGE_SIZE;
	if ((v->flags & VMA_LOCKED) && !mm_lock_ok(mm, more))
		return -EAGAIN;
	if (!mm_may_expand(mm, v->flags, more))
		return -ENOMEM;
	return 0;
}

static int64_t move(struct mm *mm, const struct remap *m, struct vma *v, uint64_t to)
{
	uint64_t off = v->off + (m->addr - v->start);
	struct vma *c;
	struct pl_order o = {
		.op = PL_MREMAP, .addr = m->addr, .len = m->old_len, .new_addr = to, .new_len = m->new_len,
		.flags = MREMAP_MAYMOVE | MREMAP_FIXED | (m->flags & MREMAP_DONTUNMAP), .prot = v->flags & VMA_PROT, .fd = -1,
	};
	int r = 0;

	if (mm->vmas.count >= MM_MAX_MAP_COUNT - 3)
		return -ENOMEM;
	c = vma_dup(v);
	c->start = c->host_start = to;
	c->end = to + m->new_len;
	c->off = off;
	if (!m->old_len)
		/* A second mapping of a shared object (mremap(2), BUGS). */
		r = map_order(mm, c, c->start, c->end, 0, &o);
	if (!r)
		r = mm_carry_out(mm, &o, 1, c->mappable, true);
	if (r) {
		mm_bury(mm, c);
		return r;
	}
	vma_change_begin(mm);
	if (m->old_len && !(m->flags & MREMAP_DONTUNMAP))
		mm_remove_range(mm, m->addr, m->addr + m->old_len);
	else if (m->flags & MREMAP_DONTUNMAP)
		mm_set_flags(mm, v, v->flags & ~VMA_LOCKED);
	mm_insert(mm, c);
	mm_merge(mm, c);
	vma_change_end(mm);
	if (v->name && !strcmp(v->name, "[vdso]"))
		mm->layout.vdso = to;
	return to;
}

static int64_t cut_tail(struct mm *mm, const struct remap *m)
{
	if (m->old_len > PL_TASK_SIZE - m->addr)
		return -EINVAL;
	return mm_munmap_locked(mm, m->addr + m->new_len, m->addr + m->old_len);
}

static int64_t clear_target(struct mm *mm, const struct remap *m)
{
	if (m->new_addr < PL_MIN_ADDR)
		return -EPERM;
	absorb_room(mm, m->new_addr + m->new_len);
	return mm_munmap_locked(mm, m->new_addr, m->new_addr + m->new_len);
}

/* Since Linux 6.17 a move without a change of length may cover several mappings, and holes between them. */
static int64_t move_several(struct mm *mm, const struct remap *m)
{
	uint64_t at = m->addr, end = m->addr + m->old_len;
	struct vma *v = vma_tree_find(&mm->vmas, at);
	int64_t r;

	if (!v || v->start > at)
		return -EFAULT;
	while (at < end && (v = vma_tree_find_intersection(&mm->vmas, at, end))) {
		struct remap part = *m;

		part.addr = MAX(at, v->start);
		part.old_len = part.new_len = MIN(end, v->end) - part.addr;
		at = part.addr + part.old_len;
		if ((m->flags & MREMAP_DONTUNMAP) && !mm_may_expand(mm, v->flags, part.old_len / GUEST_PAGE_SIZE))
			return -ENOMEM;
		/* What lies where a hole would come stays. */
		part.new_addr = m->new_addr + (part.addr - m->addr);
		r = clear_target(mm, &part);
		if (!r)
			r = move(mm, &part, v, part.new_addr);
		if (r < 0)
			return r;
	}
	return m->new_addr;
}

static int64_t mremap_to(struct mm *mm, struct remap *m)
{
	struct vma *v;
	int64_t r, to;

	if (mm->vmas.count + 2 >= MM_MAX_MAP_COUNT)
		return -ENOMEM;
	if ((m->flags & MREMAP_FIXED) && m->old_len == m->new_len)
		return move_several(mm, m);
	/* Looked at before the target is unmapped, as Linux does since 6.17. */
	if (m->old_len > m->new_len) {
		v = vma_tree_find(&mm->vmas, m->addr);
		r = m->new_len > v->end - m->addr ? -EFAULT : 0;
	} else {
		r = may_resize(mm, m, &v);
	}
	if (!r && (m->flags & MREMAP_FIXED))
		r = clear_target(mm, m);
	if (r)
		return r;
	if (m->old_len > m->new_len) {
		r = cut_tail(mm, m);
		if (r)
			return r;
		m->old_len = m->new_len;
	}
	r = may_resize(mm, m, &v);
	if (r)
		return r;
	if ((m->flags & MREMAP_DONTUNMAP) && !mm_may_expand(mm, v->flags, m->old_len / GUEST_PAGE_SIZE))
		return -ENOMEM;
	to = get_unmapped_area(mm, m->new_addr, m->new_len, m->flags & MREMAP_FIXED ? MAP_FIXED : 0, !v->mappable);
	return to < 0 ? to : move(mm, m, v, to);
}

static int64_t grow_in_place(struct mm *mm, const struct remap *m, struct vma *v)
{
	uint64_t end = m->addr + m->new_len;
	struct vma *next = vma_next(v);
	struct pl_order o;
	int r;

	if (end > PL_TASK_SIZE || end < v->end || (next && end > vma_start_gap(next)))
		return -ENOMEM;
	if (v->mappable) {
		r = map_order(mm, v, v->end, end, 0, &o);
		if (!r)
			r = mm_carry_out(mm, &o, 1, v->mappable, false);
	} else {
		/* The host would not join a new mapping to one that has been moved, and one call cannot move and resize two. */
		o = (struct pl_order){ .op = PL_MREMAP, .addr = v->end - GUEST_PAGE_SIZE, .len = GUEST_PAGE_SIZE, .fd = -1 };
		o.new_addr = o.addr;
		o.new_len = end - o.addr;
		r = mm_carry_out(mm, &o, 1, NULL, true);
	}
	if (r)
		return r;
	vma_change_begin(mm);
	mm_set_range(mm, v, v->start, end);
	mm_merge(mm, v);
	vma_change_end(mm);
	return m->addr;
}

static int64_t mremap_locked(struct mm *mm, struct remap *m)
{
	struct vma *v = vma_tree_find(&mm->vmas, m->addr);
	int64_t r, to;

	if (!v || v->start > m->addr)
		return -EFAULT;
	if (m->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP))
		return mremap_to(mm, m);
	if (m->old_len >= m->new_len) {
		if (m->old_len > m->new_len) {
			r = cut_tail(mm, m);
			if (r)
				return r;
		}
		return m->addr;
	}
	r = may_resize(mm, m, &v);
	if (r)
		return r;
	if (m->old_len == v->end - m->addr) {
		r = grow_in_place(mm, m, v);
		if (r >= 0)
			return r;
	}
	if (!(m->flags & MREMAP_MAYMOVE))
		return -ENOMEM;
	to = get_unmapped_area(mm, 0, m->new_len, 0, !v->mappable);
	return to < 0 ? to : move(mm, m, v, to);
}

int64_t mm_mremap(struct mm *mm, uaddr_t old, uint64_t old_len, uint64_t new_len, int flags, uaddr_t new_addr)
{
	struct remap m = { .addr = old, .flags = flags, .new_addr = new_addr };
	int64_t r;

	if (flags & ~(MREMAP_FIXED | MREMAP_MAYMOVE | MREMAP_DONTUNMAP))
		return -EINVAL;
	if ((flags & MREMAP_FIXED) && !(flags & MREMAP_MAYMOVE))
		return -EINVAL;
	if ((flags & MREMAP_DONTUNMAP) && (!(flags & MREMAP_MAYMOVE) || old_len != new_len))
		return -EINVAL;
	if (old % GUEST_PAGE_SIZE)
		return -EINVAL;
	m.old_len = PAGE_UP(old_len);
	m.new_len = PAGE_UP(new_len);
	if (!m.new_len)
		return -EINVAL;
	if (m.new_len > PL_TASK_SIZE)
		return -EINVAL;
	if (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) {
		if (new_addr % GUEST_PAGE_SIZE || new_addr > PL_TASK_SIZE - m.new_len)
			return -EINVAL;
		if (old + m.old_len > new_addr && new_addr + m.new_len > old)
			return -EINVAL;
	}
	mm_lock(mm);
	r = mremap_locked(mm, &m);
	mm_unlock(mm);
	return r;
}
