/* SPDX-License-Identifier: Apache-2.0 */
/* mm.c: the life of an address space, changes of its tree with the accounts, and what others may ask about it.
 *
 * OVERVIEW: a VMA is a promise about the stub process. An operation (mmap.c) decides under map_lock what is to change, hands the host's
 * part over (orders.c), and commits here. Nothing in the kernel relies on the stub having done it: copies go through the host's
 * own checks, so a stub that lies hurts its own guest only.
 * LIFECYCLE: mm_create (exec) or mm_fork_finish; a reference per task and per passing reader; the last mm_put frees it. The host memory
 * goes with the stub process, which ends with its last thread.
 * LOCKS: vma.h. Dead VMAs are freed after map_lock is dropped, because putting a file may take locks of outer ranks. */
#include "auth/cred.h"
#include "mm/vma.h"
#include <stdio.h>
#include <sys/random.h>

#define STACK_RND_PAGES 0x3fffffUL /* Linux: 16 GiB */
#define MMAP_RND_BITS 28
#define PEAK_ASK (16UL << 20)
#define STACK_GAP_MIN (128UL << 20)

#pragma weak pl_space_get
#pragma weak pl_space_put
#pragma weak pl_space_alive

static uint64_t random_bits(uint64_t mask)
{
	uint64_t r = 0;

	if (getrandom(&r, sizeof(r), GRND_NONBLOCK) != sizeof(r))
		r = (uint64_t)ktime_mono() * 0x9e3779b97f4a7c15ULL;
	return r & mask;
}

/* As Linux's mmap_base(): below the largest stack that the limit allows, its randomisation and guard. */
static void choose_mmap_base(struct mm *mm)
{
	bool fixed = mm->limits.no_random;
	uint64_t pad = (fixed ? 0 : STACK_RND_PAGES * GUEST_PAGE_SIZE) + STACK_GUARD_GAP + GUEST_PAGE_SIZE, gap = mm->limits.stack;

	if (gap + pad > gap)
		gap += pad;
	gap = MAX(gap, STACK_GAP_MIN);
	gap = MIN(gap, PL_TASK_SIZE / 6 * 5);
	mm->mmap_base = PAGE_DOWN(PL_TASK_SIZE - gap - (fixed ? 0 : random_bits((1UL << MMAP_RND_BITS) - 1) << 12));
	mm->layout.mmap_base = mm->mmap_base;
}

uaddr_t mm_random_stack_top(struct mm *mm)
{
	return PL_TASK_SIZE - GUEST_PAGE_SIZE - (mm->limits.no_random ? 0 : random_bits(STACK_RND_PAGES) * GUEST_PAGE_SIZE);
}

static struct mm *mm_alloc(struct platform *p, struct pl_space *space)
{
	struct mm *mm = new(struct mm);

	refcount_init(&mm->ref);
	mm->platform = p;
	mm->write_at_once = platform_writes_at_once(p);
	mm->space = space;
	if (pl_space_get)
		pl_space_get(space);
	sleeplock_init(&mm->map_lock, RANK_MM_MAP);
	mutex_init(&mm->vma_lock, RANK_LEAF);
	mutex_init(&mm->window_lock, RANK_LEAF);
	vma_tree_init(&mm->vmas);
	TAILQ_INIT(&mm->dead);
	mm->cache_seq = UINT32_MAX; /* odd: never equal to a resting seq */
	return mm;
}

struct mm *mm_create(struct platform *p, struct pl_space *space)
{
	struct mm *mm = mm_alloc(p, space);

	mm->limits = (struct mm_limits){ .as = UINT64_MAX, .data = UINT64_MAX, .stack = 8UL << 20, .memlock = 8UL << 20 };
	mm->layout.dumpable = true;
	choose_mmap_base(mm);
	return mm;
}

void mm_set_limits(struct mm *mm, const struct mm_limits *l)
{
	mm_lock(mm);
	mm->limits = *l;
	if (!mm->vmas.count)
		choose_mmap_base(mm);
	mm_unlock(mm);
}

void mm_get(struct mm *mm) { refcount_get(&mm->ref); }

bool mm_alive(struct mm *mm) { return !pl_space_alive || pl_space_alive(mm->space); }

void mm_put(struct mm *mm)
{
	struct vma *v, *n;

	if (!refcount_put(&mm->ref))
		return;
	mm_drop_pending(mm);
	mm_drop_kept(mm);
	TAILQ_CONCAT(&mm->dead, &mm->vmas.list, link);
	TAILQ_FOREACH_SAFE(v, &mm->dead, link, n) {
		if (v->mappable) {
			if (v->mappable->ops->unmapped && (v->flags & VMA_SHARED))
				v->mappable->ops->unmapped(v->mappable, v->flags & VMA_MAYWRITE);
			v->mappable->ops->put(v->mappable);
		}
		free(v);
	}
	mm_windows_free(mm);
	if (mm->layout.exe && mm->layout.exe_put)
		mm->layout.exe_put(mm->layout.exe);
	if (pl_space_put)
		pl_space_put(mm->space);
	free(mm);
}

struct pl_space *mm_space(struct mm *mm) { return mm->space; }
struct mm_layout *mm_layout(struct mm *mm) { return &mm->layout; }

void mm_lock(struct mm *mm)
{
	sleeplock_lock(&mm->map_lock);
	if (unlikely(mm->undo_error))
		mm_undo_all(mm);
}

void mm_unlock(struct mm *mm)
{
	struct vma_list dead;
	struct vma *v, *n;

	TAILQ_INIT(&dead);
	TAILQ_CONCAT(&dead, &mm->dead, link);
	sleeplock_unlock(&mm->map_lock);
	TAILQ_FOREACH_SAFE(v, &dead, link, n) {
		if (v->mappable) {
			if (v->mappable->ops->unmapped && (v->flags & VMA_SHARED))
				v->mappable->ops->unmapped(v->mappable, v->flags & VMA_MAYWRITE);
			v->mappable->ops->put(v->mappable);
		}
		free(v);
	}
}

void mm_bury(struct mm *mm, struct vma *v) { TAILQ_INSERT_TAIL(&mm->dead, v, link); }

struct vma *vma_new(struct mm *mm, uint64_t start, uint64_t end, unsigned flags, struct mappable *m, uint64_t off)
{
	struct vma *v = new(struct vma);

	(void)mm;
	v->start = v->host_start = start;
	v->end = end;
	v->flags = flags;
	v->mappable = m;
	v->off = off;
	if (m)
		m->ops->get(m);
	return v;
}

struct vma *vma_dup(const struct vma *v)
{
	struct vma *c = new(struct vma);

	*c = *v;
	if (c->mappable) {
		c->mappable->ops->get(c->mappable);
		/* The mapping was allowed already: a further piece of it cannot be refused. */
		if (c->mappable->ops->mapped && (c->flags & VMA_SHARED))
			(void)c->mappable->ops->mapped(c->mappable, c->flags & VMA_MAYWRITE);
	}
	return c;
}

/* ---- changes of the tree ---- */

void vma_change_begin(struct mm *mm)
{
	mutex_lock(&mm->vma_lock);
	atomic_fetch_add_explicit(&mm->seq, 1, memory_order_acq_rel);
}

void vma_change_end(struct mm *mm)
{
	atomic_fetch_add_explicit(&mm->seq, 1, memory_order_release);
	mutex_unlock(&mm->vma_lock);
}

static void account(struct mm *mm, const struct vma *v, int sign)
{
	int64_t pages = sign * (int64_t)((v->end - v->start) / GUEST_PAGE_SIZE);

	mm->total_vm += pages;
	if (v->flags & VMA_LOCKED)
		mm->locked_vm += pages;
	if (v->flags & VMA_GROWSDOWN)
		mm->stack_vm += pages;
	else if ((v->flags & (VMA_WRITE | VMA_SHARED)) == VMA_WRITE)
		mm->data_vm += pages;
	else if ((v->flags & (VMA_EXEC | VMA_WRITE)) == VMA_EXEC)
		mm->exec_vm += pages;
	if (v->mappable)
		mm->shared_vm += pages;
	mm->peak_vm = MAX(mm->peak_vm, mm->data_vm + mm->shared_vm);
	mm->hiwater_vm = MAX(mm->hiwater_vm, mm->total_vm);
}

void mm_insert(struct mm *mm, struct vma *v)
{
	vma_tree_insert(&mm->vmas, v);
	account(mm, v, 1);
}

void mm_remove(struct mm *mm, struct vma *v)
{
	vma_tree_remove(&mm->vmas, v);
	account(mm, v, -1);
	mm_bury(mm, v);
}

void mm_set_range(struct mm *mm, struct vma *v, uint64_t start, uint64_t end)
{
	account(mm, v, -1);
	v->off += start - v->start;
	if (start > v->start || v->host_start > start || !(v->flags & VMA_GROWSDOWN))
		v->host_start = start;
	v->start = start;
	v->end = end;
	account(mm, v, 1);
	vma_tree_resized(&mm->vmas, v);
}

void mm_set_flags(struct mm *mm, struct vma *v, unsigned flags)
{
	account(mm, v, -1);
	v->flags = flags;
	account(mm, v, 1);
}

struct vma *mm_split(struct mm *mm, struct vma *v, uint64_t addr)
{
	struct vma *upper = vma_dup(v);

	BUG_ON(addr <= v->start || addr >= v->end);
	upper->start = upper->host_start = addr;
	upper->off = v->off + (addr - v->start);
	mm_set_range(mm, v, v->start, addr);
	mm_insert(mm, upper);
	return upper;
}

struct vma *mm_isolate(struct mm *mm, struct vma *v, uint64_t start, uint64_t end)
{
	if (start > v->start)
		v = mm_split(mm, v, start);
	if (end < v->end)
		mm_split(mm, v, end);
	return v;
}

void mm_remove_range(struct mm *mm, uint64_t start, uint64_t end)
{
	struct vma *v = vma_tree_find_intersection(&mm->vmas, start, end), *next;

	/* Cut the lower part by shrinking rather than by a split where nothing stays above. */
	while (v && v->start < end) {
		next = vma_next(v);
		if (start > v->start) {
			if (end < v->end)
				mm_split(mm, v, end);
			mm_set_range(mm, v, v->start, start);
		} else if (end < v->end) {
			mm_set_range(mm, v, end, v->end);
		} else {
			mm_remove(mm, v);
		}
		v = next;
	}
}

static bool can_merge(const struct vma *a, const struct vma *b)
{
	return a->end == b->start && a->flags == b->flags && a->mappable == b->mappable && a->name == b->name &&
	       a->off + (a->end - a->start) == b->off && b->host_start == b->start;
}

struct vma *mm_merge(struct mm *mm, struct vma *v)
{
	struct vma *p = vma_prev(v), *n = vma_next(v);
	uint64_t end;

	if (n && can_merge(v, n)) {
		end = n->end;
		mm_remove(mm, n);
		mm_set_range(mm, v, v->start, end);
	}
	if (p && can_merge(p, v)) {
		end = v->end;
		mm_remove(mm, v);
		mm_set_range(mm, p, p->start, end);
		v = p;
	}
	return v;
}

/* ---- fork ---- */

void mm_fork_begin(struct mm *mm)
{
	mm_lock(mm);
	mm_settle(mm);
}

static struct vma *fork_vma(void *arg, const struct vma *v)
{
	struct vma *c;

	/* MADV_DONTFORK and WIPEONFORK were given to the host when they were set: it carried them out in its own fork. */
	if (v->flags & VMA_DONTFORK)
		return NULL;
	c = vma_dup(v);
	c->flags &= ~VMA_LOCKED;
	account(arg, c, 1);
	return c;
}

struct mm *mm_fork_finish(struct mm *mm, struct pl_space *child)
{
	struct mm *c = NULL;

	if (child) {
		c = mm_alloc(mm->platform, child);
		c->limits = mm->limits;
		c->mmap_base = mm->mmap_base;
		c->settled = true;
		c->have_stack = mm->have_stack;
		c->layout = mm->layout;
		if (c->layout.exe && c->layout.exe_get)
			c->layout.exe_get(c->layout.exe);
		else
			c->layout.exe = NULL;
		mm_copy_kept(c, mm);
		vma_tree_copy(&c->vmas, &mm->vmas, fork_vma, c);
	}
	mm_unlock(mm);
	return c;
}

/* ---- what others ask ---- */

uaddr_t mm_find_gap(struct mm *mm, uint64_t len)
{
	uint64_t r;

	len = PAGE_UP(len);
	guard(mutex)(&mm->vma_lock);
	r = vma_tree_gap_topdown(&mm->vmas, PL_MIN_ADDR, mm->mmap_base, len);
	return r ? r : vma_tree_gap_bottomup(&mm->vmas, PAGE_UP(PL_TASK_SIZE / 3), PL_TASK_SIZE, len);
}

void mm_for_each_vma(struct mm *mm, bool (*fn)(void *arg, const struct vma_info *v), void *arg)
{
	char *buf = xzalloc(4096);
	struct vma_info i;
	struct vma *v;

	mm_lock(mm);
	TAILQ_FOREACH(v, &mm->vmas.list, link) {
		i = (struct vma_info){ .start = v->start, .end = v->end, .flags = v->flags, .name = "" };
		if (v->name) {
			i.name = v->name;
		} else if (v->mappable) {
			buf[0] = '\0';
			v->mappable->ops->describe(v->mappable, buf, 4096, &i.dev, &i.ino);
			i.name = buf;
			i.off = v->off;
		} else if (v->start < mm->layout.brk && v->end > mm->layout.start_brk) {
			i.name = "[heap]";
		} else if (v->start <= mm->layout.start_stack && v->end >= mm->layout.start_stack && mm->layout.start_stack) {
			i.name = "[stack]";
		}
		if (!fn(arg, &i))
			break;
	}
	mm_unlock(mm);
	free(buf);
}

/* What is mapped, less what can hold nothing (no access, reserved only): a bound from above. vma_lock held. */
static void mapped(struct mm *mm, uint64_t *anon, uint64_t *file)
{
	struct vma *v;

	TAILQ_FOREACH(v, &mm->vmas.list, link) {
		if (!(v->flags & VMA_PROT) || (v->flags & VMA_NORESERVE))
			continue;
		*(v->mappable ? file : anon) += v->end - v->start;
	}
}

uint64_t mm_peak_rss(struct mm *mm)
{
	uint64_t anon = 0, file = 0;
	struct pl_rss r;

	mutex_lock(&mm->vma_lock);
	mapped(mm, &anon, &file);
	uint64_t peak = MAX(mm->hiwater_rss, anon + file), most = mm->peak_vm * GUEST_PAGE_SIZE;
	mutex_unlock(&mm->vma_lock);
	/* Every process asks this when it ends: of a small one the bound is as good as the truth, and free. */
	return most > PEAK_ASK && pl_space_rss(mm->space, &r) ? r.peak : peak;
}

void mm_stat(struct mm *mm, struct mm_stat *st)
{
	uint64_t anon = 0, file = 0, peak = 0;
	struct pl_rss r;
	/* Those who ask want to know; without the platform's help it is a bound from above. */
	bool known = pl_space_rss(mm->space, &r);

	mutex_lock(&mm->vma_lock);
	if (known) {
		anon = r.anon;
		file = r.file + r.shared;
		peak = r.peak > mm->peak_ignored ? r.peak : 0;
	} else {
		mapped(mm, &anon, &file);
	}
	mm->hiwater_rss = MAX(mm->hiwater_rss, MAX(peak, anon + file));
	*st = (struct mm_stat){
		.total_vm = mm->total_vm * GUEST_PAGE_SIZE,
		.peak_vm = mm->hiwater_vm * GUEST_PAGE_SIZE,
		.shmem_rss = known ? r.shared : 0,
		.locked_vm = mm->locked_vm * GUEST_PAGE_SIZE,
		.data_vm = mm->data_vm * GUEST_PAGE_SIZE,
		.stack_vm = mm->stack_vm * GUEST_PAGE_SIZE,
		.exec_vm = mm->exec_vm * GUEST_PAGE_SIZE,
		.shared_vm = mm->shared_vm * GUEST_PAGE_SIZE,
		.rss = anon + file,
		.anon_rss = anon,
		.file_rss = file,
		.hiwater_rss = mm->hiwater_rss,
	};
	mutex_unlock(&mm->vma_lock);
}

void mm_reset_peak_rss(struct mm *mm)
{
	struct pl_rss r;
	bool known = pl_space_rss(mm->space, &r);

	mutex_lock(&mm->vma_lock);
	mm->hiwater_rss = known ? r.anon + r.file + r.shared : 0;
	mm->peak_ignored = known ? r.peak : 0;
	mutex_unlock(&mm->vma_lock);
}

int mm_futex_key(struct mm *mm, uaddr_t addr, bool private_, struct futex_key *key)
{
	struct vma *v;

	if (addr >= PL_TASK_SIZE)
		return -EFAULT;
	/* The top bit keeps addresses of struct mm and identities of mappables apart; as on Linux a private and a shared
	 * operation on one private word do not meet (there FUT_OFF_MMSHARED). */
	key->object = (uintptr_t)mm | 1ULL << 63;
	key->offset = addr;
	if (private_)
		return 0;
	guard(mutex)(&mm->vma_lock);
	v = vma_tree_find(&mm->vmas, addr);
	if (!v || v->start > addr || !(v->flags & VMA_PROT))
		return -EFAULT;
	if (v->mappable && ((v->flags & VMA_SHARED) || !(v->flags & VMA_WRITE))) {
		key->object = v->mappable->ops->id(v->mappable) & ~(1ULL << 63);
		key->offset = (v->off + (addr - v->start)) | 1;
	} else {
		key->offset = addr | 2;
	}
	return 0;
}
