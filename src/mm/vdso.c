/* SPDX-License-Identifier: Apache-2.0 */
/* vdso.c: maps the vDSO's image (src/mm/vdso) and its parameter page into a fresh address space. */
#include "mm/uaccess.h"
#include "mm/vdso/params.h"
#include "mm/vma.h"
#include "vdso_image.h"

#define IMAGE_LEN PAGE_UP(sizeof(vdso_image))

/* The object, one page of parameters and then the image, is the same for all address spaces of a platform, and never changes once it is
 * made; it is made with the first address space. */
static struct {
	struct mutex lock;
	const struct platform *platform;
	struct shm_object *object;
} cache = { .lock = { .rank = RANK_FS } };

static void describe(void *arg, char *buf, size_t size, uint64_t *dev, uint64_t *ino)
{
	(void)arg;
	(void)size;
	buf[0] = '\0';
	*dev = *ino = 0;
}

static int make_object(struct platform *p, struct shm_object **out)
{
	const struct pl_host_vdso *h = platform_host_vdso(p);
	struct vdso_params params = { 0 };
	struct shm_object *o;
	int r;

	if (h)
		params = (struct vdso_params){ h->clock_gettime, h->gettimeofday, h->time, h->getcpu, h->clock_getres };
	o = shm_object_create("vdso");
	shm_object_set_describe(o, describe, NULL);
	r = shm_object_truncate(o, GUEST_PAGE_SIZE + IMAGE_LEN);
	if (!r && shm_object_write(o, &params, sizeof(params), 0) != sizeof(params))
		r = -ENOMEM;
	if (!r && shm_object_write(o, vdso_image, sizeof(vdso_image), GUEST_PAGE_SIZE) != sizeof(vdso_image))
		r = -ENOMEM;
	if (r) {
		shm_object_put(o);
		return r;
	}
	*out = o;
	return 0;
}

static int get_object(struct platform *p, struct shm_object **out)
{
	int r = 0;

	guard(mutex)(&cache.lock);
	if (cache.platform != p) {
		struct shm_object *o;

		r = make_object(p, &o);
		if (r)
			return r;
		if (cache.object)
			shm_object_put(cache.object);
		cache.object = o;
		cache.platform = p;
	}
	*out = cache.object;
	shm_object_get(*out);
	return 0;
}

static void set_special(struct mm *mm, uint64_t addr, const char *name)
{
	struct vma *v;

	mm_lock(mm);
	v = vma_tree_find(&mm->vmas, addr);
	if (v && v->start == addr) {
		vma_change_begin(mm);
		v->name = name;
		mm_set_flags(mm, v, (v->flags | VMA_SPECIAL | VMA_DONTDUMP) & ~VMA_LOCKED);
		vma_change_end(mm);
	}
	mm_unlock(mm);
}

int mm_map_vdso(struct mm *mm)
{
	struct shm_object *o;
	struct mappable *m;
	int64_t base, r;

	r = get_object(mm->platform, &o);
	if (r)
		return r;
	m = shm_object_mappable(o);
	r = -ENOMEM;
	base = mm_find_gap(mm, GUEST_PAGE_SIZE + IMAGE_LEN);
	/* In one piece, and then protected: a descriptor that the stub maps costs more than the order that protects. */
	if (base)
		r = mm_mmap(mm, base, GUEST_PAGE_SIZE + IMAGE_LEN, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, m, 0, false, true);
	if (r >= 0)
		r = mm_mprotect(mm, base, GUEST_PAGE_SIZE, PROT_READ);
	shm_object_put(o);
	if (r < 0)
		return r;
	set_special(mm, base, "[vvar]");
	set_special(mm, base + GUEST_PAGE_SIZE, "[vdso]");
	mm->layout.vdso = base + GUEST_PAGE_SIZE;
	return 0;
}

void mm_vdso_no_clocks(struct mm *mm)
{
	uint64_t page = mm->layout.vdso - GUEST_PAGE_SIZE, none = 0;
	struct vma *v;
	bool ours;

	_Static_assert(offsetof(struct vdso_params, clock_gettime) == 0, "it is what is written over");
	if (!mm->layout.vdso)
		return;
	mm_lock(mm);
	v = vma_tree_find(&mm->vmas, page);
	ours = v && v->start == page && (v->flags & VMA_SPECIAL);
	mm_unlock(mm);
	/* The mapping is private: this makes the page its own. */
	if (!ours || mm_mprotect(mm, page, GUEST_PAGE_SIZE, PROT_READ | PROT_WRITE))
		return;
	mm_settle(mm);
	(void)mm_write(mm, page, &none, sizeof(none));
	(void)mm_mprotect(mm, page, GUEST_PAGE_SIZE, PROT_READ);
}
