/* SPDX-License-Identifier: Apache-2.0 */
/* resident.c: which pages of a guest are in memory: mincore(2), and figures for /proc. The pages are the stub's, so the host's page
 * tables know; a shared memory object knows what it holds. Where neither says, what is mapped counts as resident. */
#include "mm/uaccess.h"
#include "mm/vma.h"

#pragma weak pl_space_pagemap

#define CHUNK 512

static size_t host_words(struct mm *mm, uint64_t addr, size_t n, uint64_t *words)
{
	size_t got;

	if (!pl_space_pagemap)
		return 0;
	worker_block_begin();
	got = pl_space_pagemap(mm->space, addr, n, words);
	worker_block_end();
	return got;
}

/* n pages from addr, all in v: 1 for each that is there. map_lock held. */
static void vma_residency(struct mm *mm, struct vma *v, uint64_t addr, size_t n, unsigned char *out, uint64_t *words)
{
	struct shm_object *o = v->mappable ? mappable_shm(v->mappable) : NULL;
	size_t known = host_words(mm, addr, n, words);

	for (size_t i = 0; i < n; i++)
		out[i] = i >= known || (words[i] & PL_PAGE_PRESENT) || (v->mappable && !o); /* a host file's pages may be in the host's cache */
	if (!o)
		return;
	for (size_t i = 0; i < n;) {
		uint64_t off = v->off + (addr - v->start) + i * GUEST_PAGE_SIZE;
		int64_t data = shm_object_seek_data(o, off, false), hole;
		if (data < 0)
			break;
		i += ((uint64_t)data - MIN((uint64_t)data, off)) / GUEST_PAGE_SIZE;
		if (i >= n)
			break;
		hole = shm_object_seek_data(o, MAX((uint64_t)data, off), true);
		uint64_t end = hole < 0 ? n : MIN(n, i + PAGE_UP((uint64_t)hole - MAX((uint64_t)data, off)) / GUEST_PAGE_SIZE);
		if (end == i)
			break;
		while (i < end)
			out[i++] = 1;
	}
}

int64_t mm_mincore(struct mm *mm, uaddr_t addr, uint64_t len, uaddr_t vec)
{
	uint64_t pages, n, got;
	struct vma *v;

	if (addr % GUEST_PAGE_SIZE)
		return -EINVAL;
	if (addr >= PL_TASK_SIZE || len > PL_TASK_SIZE - addr)
		return -ENOMEM;
	pages = PAGE_UP(len) / GUEST_PAGE_SIZE;
	if (vec >= PL_TASK_SIZE || pages > PL_TASK_SIZE - vec)
		return -EFAULT;
	uint64_t *words = malloc(CHUNK * sizeof(*words) + CHUNK);
	if (!words)
		return -ENOMEM;
	unsigned char *buf = (unsigned char *)(words + CHUNK);
	int64_t ret = 0;
	while (pages && !ret) {
		n = MIN(pages, CHUNK);
		mm_settle(mm); /* what this task asked for before must have happened */
		mm_lock(mm);
		for (got = 0; got < n;) {
			uint64_t at = addr + got * GUEST_PAGE_SIZE, k;
			v = vma_tree_find(&mm->vmas, at);
			if (!v || v->start > at)
				break;
			k = MIN(n - got, (v->end - at) / GUEST_PAGE_SIZE);
			vma_residency(mm, v, at, k, buf + got, words);
			got += k;
		}
		mm_unlock(mm);
		if (!got)
			ret = -ENOMEM;
		else if (copy_to_user(vec, buf, got))
			ret = -EFAULT;
		pages -= got;
		vec += got;
		addr += got * GUEST_PAGE_SIZE;
	}
	free(words);
	return ret;
}

/* ---- for /proc/PID/smaps and pagemap ---- */

void mm_range_resident(struct mm *mm, uint64_t start, uint64_t end, struct mm_resident *r)
{
	uint64_t *words = malloc(CHUNK * sizeof(*words));

	*r = (struct mm_resident){ 0 };
	while (words && start < end) {
		size_t n = MIN((end - start) / GUEST_PAGE_SIZE, (uint64_t)CHUNK), got = host_words(mm, start, n, words);
		if (!got)
			break;
		for (size_t i = 0; i < got; i++) {
			if (words[i] & PL_PAGE_SWAPPED)
				r->swap += GUEST_PAGE_SIZE;
			if (!(words[i] & PL_PAGE_PRESENT))
				continue;
			r->rss += GUEST_PAGE_SIZE;
			if (!(words[i] & PL_PAGE_FILE))
				r->anon += GUEST_PAGE_SIZE;
			if (words[i] & PL_PAGE_EXCLUSIVE)
				*(words[i] & PL_PAGE_FILE ? &r->private_clean : &r->private_dirty) += GUEST_PAGE_SIZE;
			else
				r->shared += GUEST_PAGE_SIZE;
		}
		start += got * GUEST_PAGE_SIZE;
	}
	free(words);
}

size_t mm_pagemap(struct mm *mm, uint64_t addr, size_t n, uint64_t *words)
{
	size_t got = 0;

	mm_lock(mm);
	while (got < n) {
		uint64_t at = addr + got * GUEST_PAGE_SIZE;
		struct vma *v = at < PL_TASK_SIZE ? vma_tree_find(&mm->vmas, at) : NULL;
		size_t k = n - got;

		if (!v || v->start > at) { /* not the guest's: as if nothing were there */
			if (v)
				k = MIN(k, (v->start - at) / GUEST_PAGE_SIZE);
			memset(words + got, 0, k * sizeof(*words));
		} else {
			k = MIN(k, (v->end - at) / GUEST_PAGE_SIZE);
			size_t h = host_words(mm, at, k, words + got);
			memset(words + got + h, 0, (k - h) * sizeof(*words));
		}
		got += k;
	}
	mm_unlock(mm);
	for (size_t i = 0; i < n; i++)
		words[i] &= PL_PAGE_PRESENT | PL_PAGE_SWAPPED | PL_PAGE_FILE | PL_PAGE_EXCLUSIVE | PL_PAGE_SOFT_DIRTY;
	return n;
}
