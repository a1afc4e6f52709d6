/* SPDX-License-Identifier: Apache-2.0 */
/* remap.c: what looks a mapping up by what it maps: shmdt(2), remap_file_pages(2), io_submit(2). */
#include "mm/vma.h"

/* A piece of a mapping of m that began at addr with offset 0. */
static bool part_of(const struct vma *v, const struct mappable *m, uint64_t addr)
{
	return v->mappable == m && v->start >= addr && v->start - addr == v->off;
}

int64_t mm_detach(struct mm *mm, uaddr_t addr, const struct mappable_ops *ops)
{
	struct mappable *m = NULL;
	uint64_t size = 0, start, end;
	struct vma *v, *next;
	int64_t r = -EINVAL;

	if (addr % GUEST_PAGE_SIZE)
		return -EINVAL;
	mm_lock(mm);
	/* As Linux's: the first piece says which segment, and all of its pieces at this place go, whatever lies between them. */
	for (v = vma_tree_find(&mm->vmas, addr); v && (!m || v->end <= addr + size); v = next) {
		next = vma_next(v);
		if (!m) {
			if (!v->mappable || v->mappable->ops != ops || !part_of(v, v->mappable, addr))
				continue;
			m = v->mappable;
			size = PAGE_UP(m->ops->size(m));
		} else if (!part_of(v, m, addr)) {
			continue;
		}
		start = v->start;
		end = v->end;
		r = mm_munmap_locked(mm, start, end);
		if (r)
			break;
		next = vma_tree_find(&mm->vmas, end);
	}
	mm_unlock(mm);
	return r;
}

int64_t mm_remap_file_pages(struct mm *mm, uaddr_t start, uint64_t size, int prot, uint64_t pgoff, int flags)
{
	struct mappable *m;
	struct vma *v, *n;
	unsigned vflags;
	int64_t r;

	if (prot)
		return -EINVAL;
	start = PAGE_DOWN(start);
	size = PAGE_DOWN(size);
	if (start + size <= start || pgoff + size / GUEST_PAGE_SIZE < pgoff || pgoff > UINT64_MAX / GUEST_PAGE_SIZE)
		return -EINVAL;
	mm_lock(mm);
	v = vma_tree_find(&mm->vmas, start);
	if (!v || v->start > start || !(v->flags & VMA_SHARED) || !v->mappable)
		goto invalid;
	for (n = v; start + size > n->end; n = vma_next(n)) {
		struct vma *after = vma_next(n);

		if (!after || after->start != n->end || after->mappable != v->mappable || after->flags != v->flags)
			goto invalid;
	}
	m = v->mappable;
	m->ops->get(m);
	vflags = v->flags;
	mm_unlock(mm);
	flags = (flags & MAP_NONBLOCK) | MAP_SHARED | MAP_FIXED | MAP_POPULATE | (vflags & VMA_LOCKED ? MAP_LOCKED : 0);
	r = mm_mmap(mm, start, size, vflags & VMA_PROT, flags, m, pgoff * GUEST_PAGE_SIZE, vflags & VMA_MAYWRITE, vflags & VMA_MAYEXEC);
	m->ops->put(m);
	return r < 0 ? r : 0;
invalid:
	mm_unlock(mm);
	return -EINVAL;
}

struct mappable *mm_mappable_at(struct mm *mm, uaddr_t addr, const struct mappable_ops *ops)
{
	struct vma *v;

	guard(mutex)(&mm->vma_lock);
	v = vma_tree_find(&mm->vmas, addr);
	if (!v || v->start != addr || !v->mappable || v->mappable->ops != ops || v->off)
		return NULL;
	v->mappable->ops->get(v->mappable); /* takes no lock: mm.h */
	return v->mappable;
}
