/* SPDX-License-Identifier: Apache-2.0 */
/* vma.h: the layout of an address space; for src/mm only.
 *
 * LOCKS: struct mm has two. map_lock (sleep) serialises whole operations, from the decision over the host's part to the commit.
 * vma_lock (mutex, a leaf) is taken around each change of the tree, so that look-ups which may not park (futex keys, user copies)
 * can hold it alone. Who holds map_lock may read the tree without vma_lock. */
#ifndef BAILEY_MM_VMA_H
#define BAILEY_MM_VMA_H
#include "mm/mm.h"
#include <sys/mman.h>

#define STACK_GUARD_GAP (256 * GUEST_PAGE_SIZE) /* Linux stack_guard_gap */
#define MM_MAX_MAP_COUNT 65530			/* vm.max_map_count */
/* The host's own limit is as high, and stub and slots count there: near it the host is asked before anything is committed. */
#define MM_MAP_COUNT_CAREFUL 60000
#define VMA_PROT (VMA_READ | VMA_WRITE | VMA_EXEC)

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

struct vma {
	uint64_t start, end;
	uint64_t off;		/* in the mappable; anonymous: the address at creation, as Linux's vm_pgoff, so that merging agrees with the host's */
	struct mappable *mappable; /* counted; NULL: private anonymous */
	unsigned flags;		/* VMA_ */
	/* VMA_GROWSDOWN: [host_start, start) is mapped in the host already, for growth without a fault; else == start */
	uint64_t host_start;
	const char *name;	/* "[vdso]", "[vvar]", static; NULL: from the mappable or the layout */

	TAILQ_ENTRY(vma) link;	/* by address */
	struct vma *left, *right;
	int height;
	uint64_t gap;		/* free bytes between the previous VMA and this one's guard */
	uint64_t max_gap;	/* in the subtree */
};
TAILQ_HEAD(vma_list, vma);

struct vma_tree {
	struct vma *root;
	struct vma_list list;
	unsigned count;
};
void vma_tree_init(struct vma_tree *t);
struct vma *vma_tree_find(const struct vma_tree *t, uint64_t addr); /* the first with end > addr, or NULL */
struct vma *vma_tree_find_intersection(const struct vma_tree *t, uint64_t start, uint64_t end);
void vma_tree_insert(struct vma_tree *t, struct vma *v);
void vma_tree_remove(struct vma_tree *t, struct vma *v);
void vma_tree_resized(struct vma_tree *t, struct vma *v); /* after start, host_start or end changed (order unchanged) */
/* Highest / lowest start of a hole of len bytes inside [low, high), or 0. */
uint64_t vma_tree_gap_topdown(const struct vma_tree *t, uint64_t low, uint64_t high, uint64_t len);
uint64_t vma_tree_gap_bottomup(const struct vma_tree *t, uint64_t low, uint64_t high, uint64_t len);
/* A copy of src's list in an empty tree, made by dup(). O(n). */
void vma_tree_copy(struct vma_tree *t, const struct vma_tree *src, struct vma *(*dup)(void *arg, const struct vma *v), void *arg);
void vma_tree_check(const struct vma_tree *t); /* tests: BUGs when an invariant is broken */
static inline struct vma *vma_next(const struct vma *v) { return TAILQ_NEXT(v, link); }
static inline struct vma *vma_prev(const struct vma *v) { return TAILQ_PREV(v, vma_list, link); }
/* Where the hole below v ends (Linux vm_start_gap). */
static inline uint64_t vma_start_gap(const struct vma *v)
{
	if (!(v->flags & VMA_GROWSDOWN))
		return v->start;
	return v->host_start > STACK_GUARD_GAP ? v->host_start - STACK_GUARD_GAP : 0;
}

/* An order that was queued for the next run of the own thread: what mm_order_failed() undoes. Own fiber and map_lock. */
struct pending_order {
	unsigned index;
	enum pl_op op;
	uint64_t start, end;
	uint64_t old_brk;	   /* brk: the break to go back to; 0: not brk */
	struct mappable *mappable; /* counted: its descriptor is borrowed until the order has run */
	bool fault;		   /* given by mm_fault(): no system call to fail */
};
#define MAX_PENDING 24

struct mm {
	struct refcount ref;
	struct platform *platform; /* borrowed, immutable */
	struct pl_space *space;	   /* immutable; ends with its last thread, see mm_put */
	struct sleeplock map_lock; /* RANK_MM_MAP */
	struct mutex vma_lock;	   /* RANK_LEAF */
	struct vma_tree vmas;	   /* map_lock and vma_lock to write, either to read */
	_Atomic uint32_t seq;	   /* odd while the tree changes: for the cache below */
	struct mm_limits limits;   /* map_lock */
	struct mm_layout layout;
	uint64_t mmap_base;	   /* map_lock; immutable once something is mapped */
	unsigned def_flags;	   /* map_lock; VMA_LOCKED after mlockall(MCL_FUTURE) */
	bool have_stack;	   /* the main stack was mapped */
	bool write_at_once;	   /* nothing travels with answers; immutable */
	/* map_lock; pages */
	uint64_t total_vm, locked_vm, data_vm, stack_vm, exec_vm, shared_vm;
	uint64_t hiwater_vm, peak_ignored; /* vma_lock; pages; bytes of the platform's peak that mm_reset_peak_rss() took away */
	uint64_t peak_vm;	   /* vma_lock; pages: the most that private data and mappings of objects had */
	uint64_t hiwater_rss;	   /* vma_lock; bytes, as far as anybody asked */
	struct vma_list dead;	   /* map_lock: off the tree, to be freed when map_lock is dropped (a put may take outer locks) */
	struct pending_order pending[MAX_PENDING];
	unsigned npending;	   /* own fiber of the only thread */
	int undo_error;		   /* own fiber: pending orders failed and wait for mm_undo_all() */
	/* map_lock: files of which the stub keeps a read-only descriptor to map from (orders.c); counted, NULL: none */
	struct { struct mappable *mappable; uint64_t id; } kept[PL_KEEP];
	_Atomic unsigned nkept;
	bool deferred;		   /* map_lock: the last mm_carry_out() deferred */
	bool settled;		   /* own fiber: orders were given after exec's */
	uaddr_t last_fault;	   /* map_lock: against endless repair */
	unsigned fault_repeats;
	_Atomic(struct file_windows *) windows; /* owned; window.c */
	struct mutex window_lock;  /* RANK_LEAF */
	/* The writable run that a user copy found last; valid while seq == cache_seq. A torn read costs a wrong EFAULT at most, and
	 * is excluded by the check of seq. */
	_Atomic uint32_t cache_seq;
	_Atomic uint64_t cache_start, cache_end;
};

/* mm.c */
void mm_lock(struct mm *mm);
void mm_unlock(struct mm *mm); /* and frees what died */
void mm_bury(struct mm *mm, struct vma *v);
struct vma *vma_new(struct mm *mm, uint64_t start, uint64_t end, unsigned flags, struct mappable *m, uint64_t off);
struct vma *vma_dup(const struct vma *v);
void vma_change_begin(struct mm *mm);
void vma_change_end(struct mm *mm);
/* Between begin and end: */
void mm_insert(struct mm *mm, struct vma *v);
void mm_remove(struct mm *mm, struct vma *v);
void mm_set_range(struct mm *mm, struct vma *v, uint64_t start, uint64_t end); /* keeps off right for start */
void mm_set_flags(struct mm *mm, struct vma *v, unsigned flags);
struct vma *mm_split(struct mm *mm, struct vma *v, uint64_t addr); /* returns the upper part */
struct vma *mm_isolate(struct mm *mm, struct vma *v, uint64_t start, uint64_t end); /* v cut down to [start, end) */
void mm_remove_range(struct mm *mm, uint64_t start, uint64_t end);
struct vma *mm_merge(struct mm *mm, struct vma *v); /* with both neighbours: what v is part of now */

/* orders.c */
/* Hand n orders over. Deferred to the next run of the own thread when nobody else uses the mm and !now; then failures come back
 * through mm_order_failed(). Otherwise carried out before it returns. 0 or -errno. */
int mm_carry_out(struct mm *mm, const struct pl_order *o, unsigned n, struct mappable *m, bool now);
void mm_drop_pending(struct mm *mm);
void mm_copy_kept(struct mm *child, struct mm *mm);
void mm_drop_kept(struct mm *mm);
void mm_undo_all(struct mm *mm);
struct pending_order *mm_last_pending(struct mm *mm); /* of the last mm_carry_out(), NULL if it did not defer */

/* Let the stub map from a descriptor that it keeps, if it may. */
void mm_keep_descriptor(struct mm *mm, struct mappable *m, struct pl_order *o);

/* mmap.c */
int64_t mm_munmap_locked(struct mm *mm, uint64_t start, uint64_t end);
bool mm_may_expand(struct mm *mm, unsigned flags, uint64_t pages);
bool mm_lock_ok(struct mm *mm, uint64_t more_pages);
bool mm_can_mlock(struct mm *mm);

/* window.c */
void mm_windows_free(struct mm *mm);

/* protect.c */
enum { ADV_POPULATE_READ = 22, ADV_POPULATE_WRITE = 23 };
int64_t mm_populate(struct mm *mm, uint64_t start, uint64_t end, int advice); /* map_lock held; 0 or -errno */

#endif
