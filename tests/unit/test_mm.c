/* SPDX-License-Identifier: Apache-2.0 */
/* test_mm.c: the VMA tree and the operations on address spaces against naive models, with a platform that only keeps books. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "auth/cred.h"
#include "mm/uaccess.h"
#include "mm/vdso/params.h"
#include "mm/vma.h"
#include "vdso_image.h"
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* ---- fakes ---- */

#define BASE 0x10000000UL
#define WINDOW 512 /* pages */
#define PG GUEST_PAGE_SIZE

struct host_page { uint8_t mapped, prot, shared; int fd; uint64_t off; };
static struct host_page host[WINDOW], *high; /* high: the pages of the stack test */
static uint64_t high_base;
static struct pl_order queue[64];
static unsigned queued;
static int fail_next; /* the host refuses the next mmap */
static int64_t result;
static struct fiber_context context;
static struct mm *mm;

struct fiber_context *fiber_context(void) { return &context; }
ktime_t ktime_mono(void) { return 12345; }
void mutex_init(struct mutex *m, enum lock_rank rank) { *m = (struct mutex){ .rank = rank }; }
void mutex_lock_slow(struct mutex *m) { (void)m; abort(); }
void mutex_unlock_slow(struct mutex *m) { (void)m; abort(); }
#ifdef BAILEY_DEBUG
void mutex_lock(struct mutex *m) { if (m->state++) abort(); }
void mutex_unlock(struct mutex *m) { m->state--; }
#endif
void sleeplock_init(struct sleeplock *l, enum lock_rank rank) { memset(l, 0, sizeof(*l)); l->rank = rank; }
void sleeplock_lock(struct sleeplock *l) { assert_true(!l->owner); l->owner = 1; }
void sleeplock_unlock(struct sleeplock *l) { assert_true(l->owner); l->owner = 0; }
void worker_block_begin(void) {}
void worker_block_end(void) {}
struct pl_space *pl_thread_space(struct pl_thread *t) { (void)t; return (void *)2; }

static struct host_page *page_of(uint64_t a)
{
	if (a >= BASE && a < BASE + WINDOW * PG)
		return &host[(a - BASE) / PG];
	if (high && a >= high_base && a < high_base + 4096 * PG)
		return &high[(a - high_base) / PG];
	return NULL;
}

static bool stub_has[PL_KEEP + 1]; /* by place */

static int apply(const struct pl_order *o)
{
	if (o->place) {
		assert_in_range(o->place, 1, PL_KEEP);
		if (o->op == PL_CLOSE)
			return stub_has[o->place] = false;
		if (o->kept)
			assert_true(stub_has[o->place]);
		stub_has[o->place] = true;
	}
	assert_int_equal(o->addr % PG, 0);
	assert_int_equal(o->len % PG, 0);
	assert_true(o->len > 0);
	if (fail_next && (o->op == PL_MMAP_ANON || o->op == PL_MMAP_FD)) {
		fail_next = 0;
		return -ENOMEM;
	}
	if (o->op == PL_MREMAP) {
		/* The host refuses what is not one mapping: here, what has a hole. */
		struct host_page first = *page_of(o->addr);

		for (uint64_t i = 0; i < o->new_len / PG; i++) {
			struct host_page *from = page_of(o->addr + i * PG), *to = page_of(o->new_addr + i * PG), p = { 0 };

			if (i < o->len / PG && from) {
				p = *from;
				assert_true(p.mapped);
				assert_int_equal(p.prot, first.prot);
				if (!(o->flags & 4))
					memset(from, 0, sizeof(*from));
			} else {
				p = first;
				p.off += i * PG;
			}
			if (to)
				*to = p;
		}
		return 0;
	}
	for (uint64_t i = 0; i < o->len / PG; i++) {
		struct host_page *p = page_of(o->addr + i * PG);

		if (!p)
			continue;
		switch (o->op) {
		case PL_MMAP_ANON:
		case PL_MMAP_FD:
			*p = (struct host_page){ .mapped = 1, .prot = o->prot, .fd = o->op == PL_MMAP_FD ? o->fd : -1, .off = o->off + i * PG };
			p->shared = (o->flags & MAP_TYPE) == MAP_SHARED;
			break;
		case PL_MUNMAP:
			memset(p, 0, sizeof(*p));
			break;
		case PL_MPROTECT:
			if (!p->mapped)
				return -ENOMEM;
			p->prot = o->prot;
			break;
		default:
			break;
		}
	}
	return 0;
}

static int run_queue(unsigned *failed)
{
	int r = 0;
	unsigned i;

	for (i = 0; i < queued && !r; i++)
		r = apply(&queue[i]);
	if (r && failed)
		*failed = i - 1;
	queued = 0;
	return r;
}

int pl_order(struct pl_thread *t, const struct pl_order *o)
{
	(void)t;
	assert_true(queued < ARRAY_SIZE(queue));
	queue[queued++] = *o;
	return 0;
}
int pl_order_sync(struct pl_thread *t, const struct pl_order *o)
{
	pl_order(t, o);
	return run_queue(NULL);
}
unsigned pl_orders_queued(struct pl_thread *t) { (void)t; return queued; }
int pl_orders_drain(struct pl_thread *t) { (void)t; return run_queue(NULL); }
void pl_set_result(struct pl_thread *t, int64_t r) { (void)t; result = r; }

/* The return to the guest. */
static void leave(void)
{
	unsigned index;
	int r = run_queue(&index);

	if (r) {
		mm_order_failed(mm, index, r);
		run_queue(NULL);
	}
}

/* What copies see: nothing but zeroes where the books say readable. */
static size_t reach(uaddr_t a, size_t n, unsigned prot)
{
	size_t done = 0;

	while (done < n) {
		struct host_page *p = page_of(a + done);

		if (!p || !p->mapped || !(p->prot & prot))
			break;
		done += PG - (a + done) % PG;
	}
	return MIN(done, n);
}
bool platform_writes_at_once(struct platform *p) { return false; }
bool pl_space_rss(struct pl_space *s, struct pl_rss *r) { return false; }
size_t pl_space_read(struct pl_space *s, void *dst, uaddr_t src, size_t n)
{
	(void)s;
	n = reach(src, n, PROT_READ);
	memset(dst, 0x41, n);
	return n;
}
size_t pl_space_write(struct pl_space *s, uaddr_t dst, const void *src, size_t n)
{
	(void)s;
	(void)src;
	return reach(dst, n, PROT_WRITE);
}
size_t pl_space_readv(struct pl_space *s, void *dst, const struct iovec *v, int cnt)
{
	size_t done = 0;

	for (int i = 0; i < cnt; i++) {
		size_t r = pl_space_read(s, (char *)dst + done, (uaddr_t)v[i].iov_base, v[i].iov_len);

		done += r;
		if (r < v[i].iov_len)
			break;
	}
	return done;
}
size_t pl_space_writev(struct pl_space *s, const struct iovec *v, int cnt, const void *src)
{
	size_t done = 0;

	for (int i = 0; i < cnt; i++) {
		size_t r = pl_space_write(s, (uaddr_t)v[i].iov_base, src, v[i].iov_len);

		done += r;
		if (r < v[i].iov_len)
			break;
	}
	return done;
}
const void *pl_prefetched(struct pl_thread *t, uaddr_t src, size_t n, size_t *avail)
{
	(void)t, (void)src, (void)n, (void)avail;
	return NULL;
}
/* no file windows */
int pl_window_map(struct pl_thread *t, unsigned k, int fd, uint64_t off) { (void)t, (void)k, (void)fd, (void)off; return -ENOSYS; }
int pl_window_unmap(struct pl_thread *t, unsigned k, bool now) { (void)t, (void)k, (void)now; return 0; }
bool pl_window_idle(struct pl_thread *t, unsigned k) { (void)t, (void)k; return true; }
bool pl_window_copy(struct pl_thread *t, uaddr_t dst, unsigned k, uint64_t at, size_t n) { (void)t, (void)dst, (void)k, (void)at, (void)n; return false; }
int platform_reopen(struct platform *p, int fd) { (void)p, (void)fd; return -ENOENT; }
static bool copy_out_ok;
static unsigned copy_outs;
bool pl_copy_out(struct pl_thread *t, uaddr_t dst, const void *src, size_t n)
{
	(void)t, (void)src;
	if (!copy_out_ok)
		return false;
	assert_int_equal(reach(dst, n, PROT_WRITE), n);
	copy_outs++;
	return true;
}

static int setup(void **state)
{
	(void)state;
	memset(host, 0, sizeof(host));
	queued = 0;
	fail_next = 0;
	copy_out_ok = false;
	mm = mm_create(NULL, (void *)2);
	context.mm = mm;
	context.thread = (void *)3;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mm_put(mm);
	free(high);
	high = NULL;
	return 0;
}

static void check_agreement(void)
{
	struct vma *v;

	vma_tree_check(&mm->vmas);
	for (unsigned i = 0; i < WINDOW; i++) {
		uint64_t a = BASE + i * PG;

		v = vma_tree_find(&mm->vmas, a);
		if (v && v->start <= a) {
			assert_true(host[i].mapped);
			assert_int_equal(host[i].prot, v->flags & VMA_PROT);
			assert_int_equal(!!host[i].shared, !!(v->flags & VMA_SHARED));
			assert_int_equal(host[i].fd >= 0, v->mappable != NULL);
			if (v->mappable)
				assert_int_equal(host[i].off, v->off + (a - v->start));
		} else if (!v || a < v->host_start) {
			assert_false(host[i].mapped);
		}
	}
	/* Merging is complete: no two neighbours that could be one. And the accounts are right. */
	uint64_t total = 0, locked = 0;
	TAILQ_FOREACH(v, &mm->vmas.list, link) {
		struct vma *n = vma_next(v);

		total += (v->end - v->start) / PG;
		if (v->flags & VMA_LOCKED)
			locked += (v->end - v->start) / PG;
		if (n)
			assert_false(v->end == n->start && v->flags == n->flags && v->mappable == n->mappable &&
				     v->off + (v->end - v->start) == n->off);
	}
	assert_int_equal(total, mm->total_vm);
	assert_int_equal(locked, mm->locked_vm);
	assert_true(!mm->map_lock.owner);
}

/* ---- the tree alone ---- */

static void test_tree(void **state)
{
	enum { N = 300 };
	static struct vma pool[N];
	bool used[N] = { false };
	struct vma_tree t;

	(void)state;
	srand(7);
	vma_tree_init(&t);
	for (int round = 0; round < 20000; round++) {
		int i = rand() % N;

		if (used[i]) {
			vma_tree_remove(&t, &pool[i]);
			used[i] = false;
		} else {
			uint64_t s = 0x100000 + (uint64_t)i * 16 * PG + rand() % 8 * PG;

			pool[i] = (struct vma){ .start = s, .host_start = s, .end = s + (1 + rand() % 8) * PG };
			vma_tree_insert(&t, &pool[i]);
			used[i] = true;
		}
		if (round % 16)
			continue;
		vma_tree_check(&t);
		/* Holes against a linear search. */
		uint64_t len = (1 + rand() % 60) * PG, low = 0x100000 + rand() % 1000 * PG, high_ = low + rand() % 5000 * PG, best = 0, first = 0;
		uint64_t from = 0;

		for (int k = 0; k <= N; k++) {
			uint64_t to = k == N ? UINT64_MAX : 0;

			if (k < N && !used[k])
				continue;
			if (k < N)
				to = pool[k].start;
			uint64_t f = MAX(from, low), e = MIN(to, high_);

			if (e > f && e - f >= len) {
				best = e - len;
				if (!first)
					first = f;
			}
			if (k < N)
				from = pool[k].end;
		}
		assert_int_equal(vma_tree_gap_topdown(&t, low, high_, len), best);
		assert_int_equal(vma_tree_gap_bottomup(&t, low, high_, len), first);
	}
}

/* ---- operations against a page array ---- */

static void random_ops(bool shared_mm)
{
	uint8_t model[WINDOW]; /* 0: not mapped, else 8 | prot */
	struct shm_object *o = shm_object_create("file");

	shm_object_truncate(o, WINDOW * PG);
	memset(model, 0, sizeof(model));
	if (shared_mm)
		mm_get(mm);
	for (int round = 0; round < 30000; round++) {
		unsigned at = rand() % WINDOW, n = 1 + rand() % (rand() % 8 ? 12 : 100), to = rand() % WINDOW;
		uint64_t a = BASE + at * PG, len;
		int prot = rand() % 8;
		int64_t r;
		bool ok = true;

		n = MIN(n, WINDOW - at);
		len = n * PG;
		switch (rand() % 9) {
		case 0:
		case 1:
			r = mm_mmap(mm, a, len, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0, true, true);
			assert_int_equal(r, a);
			memset(model + at, 8 | prot, n);
			break;
		case 2:
			r = mm_mmap(mm, a, len, prot, (rand() % 2 ? MAP_PRIVATE : MAP_SHARED) | MAP_FIXED, shm_object_mappable(o), at * PG, true, true);
			assert_int_equal(r, a);
			memset(model + at, 8 | prot, n);
			break;
		case 3:
		case 4:
			assert_int_equal(mm_munmap(mm, a, len), 0);
			memset(model + at, 0, n);
			break;
		case 5:
			r = mm_mprotect(mm, a, len, prot);
			for (unsigned i = 0; i < n; i++) {
				if (!model[at + i]) {
					ok = false;
					break;
				}
				model[at + i] = 8 | prot;
			}
			assert_int_equal(r, ok ? 0 : -ENOMEM);
			break;
		case 6: { /* move elsewhere in the window: only what is one mapping may */
			struct vma *v = vma_tree_find(&mm->vmas, a);
			unsigned m = 1 + rand() % 12;

			m = MIN(m, WINDOW - to);
			r = mm_mremap(mm, a, len, m * PG, MREMAP_MAYMOVE | MREMAP_FIXED, BASE + to * PG);
			leave();
			if (r < 0) {
				/* Errors after the first unmapping have done that much, as on Linux: read the state back. */
				goto resync;
			}
			assert_int_equal(r, BASE + to * PG);
			assert_non_null(v);
			unsigned p = model[at];
			uint8_t was[WINDOW];

			memcpy(was, model + at, n);
			memset(model + at, 0, n);
			if (m == n) /* may be several mappings and holes; behind these stays what was there */
				for (unsigned i = 0; i < n; i++)
					model[to + i] = was[i] ? was[i] : model[to + i];
			else
				memset(model + to, p, m);
			break;
		}
		case 7:
			r = mm_madvise(mm, a, len, rand() % 2 ? MADV_DONTFORK : MADV_DOFORK);
			for (unsigned i = 0; i < n; i++)
				ok &= model[at + i] != 0;
			assert_int_equal(r, ok ? 0 : -ENOMEM);
			break;
		case 8:
			r = mm_mlock(mm, a, len, 0, rand() % 2);
			for (unsigned i = 0; i < n; i++)
				ok &= model[at + i] != 0;
			if (r != -ENOMEM || ok)
				assert_true(r == 0 || r == -ENOMEM);
			break;
		}
		leave();
		for (unsigned i = 0; i < WINDOW; i++) {
			assert_int_equal(host[i].mapped, !!model[i]);
			if (model[i])
				assert_int_equal(host[i].prot, model[i] & 7);
		}
		check_agreement();
		continue;
resync:
		for (unsigned i = 0; i < WINDOW; i++)
			model[i] = host[i].mapped ? 8 | host[i].prot : 0;
		check_agreement();
	}
	if (shared_mm)
		mm_put(mm);
	shm_object_put(o);
}

static void test_random(void **state) { (void)state; srand(1); random_ops(false); }
static void test_random_shared(void **state) { (void)state; srand(2); random_ops(true); }

/* ---- particular answers ---- */

#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define map(a, n, p, f) mm_mmap(mm, (a), (n) * PG, (p), (f), NULL, 0, true, true)

static void test_mmap_errors(void **state)
{
	(void)state;
	assert_int_equal(map(0, 0, 3, ANON), -EINVAL);
	assert_int_equal(mm_mmap(mm, 0, UINT64_MAX, 3, ANON, NULL, 0, true, true), -ENOMEM);
	assert_int_equal(mm_mmap(mm, 0, PL_TASK_SIZE + PG, 3, ANON, NULL, 0, true, true), -ENOMEM);
	assert_int_equal(map(BASE + 1, 1, 3, ANON | MAP_FIXED), -EINVAL);
	assert_int_equal(map(0, 1, 3, ANON | MAP_FIXED), -EPERM);
	assert_int_equal(map(0, 1, 3, MAP_ANONYMOUS), -EINVAL);
	assert_int_equal(map(0, 1, 3, MAP_ANONYMOUS | MAP_SHARED | MAP_GROWSDOWN), -EINVAL);
	assert_int_equal(map(0, 1, 3, MAP_ANONYMOUS | 3), -EINVAL);
	assert_int_equal(map(BASE, 4, 3, ANON | MAP_FIXED_NOREPLACE), BASE);
	assert_int_equal(map(BASE + 3 * PG, 4, 3, ANON | MAP_FIXED_NOREPLACE), -EEXIST);
	assert_int_equal(map(BASE + 4 * PG, 1, 3, ANON), BASE + 4 * PG);
	int64_t r = map(BASE, 1, 3, ANON); /* a taken hint */
	assert_true(r > 0 && r < (int64_t)mm->mmap_base && r + PG == mm->mmap_base);
	assert_int_equal(map(0, 1, 3, ANON), r - PG);
	r = map(0, 1, 3, ANON | MAP_32BIT);
	assert_true(r >= 0x40000000 && r < 0x80000000);
	r = map(0, 1024, 3, ANON);
	assert_int_equal(r % (2UL << 20), 0);
	assert_int_equal(mm_munmap(mm, BASE + 1, PG), -EINVAL);
	assert_int_equal(mm_munmap(mm, BASE, 0), -EINVAL);
	assert_int_equal(mm_munmap(mm, PL_TASK_SIZE, PG), -EINVAL);
	assert_int_equal(mm_munmap(mm, 0x7000000000, PG), 0);

	struct mm_limits l = { .as = 4 << 20, .data = UINT64_MAX, .stack = 8 << 20, .memlock = 0 };
	mm_set_limits(mm, &l);
	assert_int_equal(map(0, 1024, 3, ANON), -ENOMEM);
	assert_int_equal(map(0, 1, 3, ANON | MAP_LOCKED), -EPERM);
	l.as = UINT64_MAX;
	l.memlock = PG;
	l.data = 0;
	mm_set_limits(mm, &l);
	assert_int_equal(map(0, 2, 1, ANON | MAP_LOCKED), -EAGAIN);
	assert_int_equal(map(0, 1, 3, ANON), -ENOMEM);
	assert_true(map(0, 1, 1, ANON) > 0);

	struct shm_object *o = shm_object_create("f");
	struct mappable *m = shm_object_mappable(o);

	assert_int_equal(mm_mmap(mm, 0, PG, PROT_READ, MAP_SHARED, m, -PG, true, true), -EOVERFLOW);
	assert_int_equal(mm_mmap(mm, 0, PG, PROT_WRITE, MAP_SHARED, m, 0, false, true), -EACCES);
	assert_int_equal(mm_mmap(mm, 0, PG, PROT_EXEC, MAP_PRIVATE, m, 0, true, false), -EPERM);
	assert_int_equal(mm_mmap(mm, 0, PG, PROT_READ, 3 | 0x8000000, m, 0, true, true) < 0, 0); /* a huge page size is a known flag */
	assert_int_equal(mm_mmap(mm, 0, PG, PROT_READ, 3 | 0x200000, m, 0, true, true), -EOPNOTSUPP);
	r = mm_mmap(mm, 0, PG, PROT_READ, MAP_SHARED, m, 0, false, true);
	assert_true(r > 0);
	assert_int_equal(mm_mprotect(mm, r, PG, PROT_READ | PROT_WRITE), -EACCES);
	shm_object_put(o);
	leave();
}

static void test_protect_errors(void **state)
{
	(void)state;
	map(BASE, 4, 3, ANON | MAP_FIXED);
	leave();
	assert_int_equal(mm_mprotect(mm, BASE + 1, PG, 1), -EINVAL);
	assert_int_equal(mm_mprotect(mm, BASE, 0, 77), 0);
	assert_int_equal(mm_mprotect(mm, BASE, UINT64_MAX, 1), -ENOMEM);
	assert_int_equal(mm_mprotect(mm, BASE, PG, 0x40), -EINVAL);
	assert_int_equal(mm_mprotect(mm, BASE, PG, PROT_GROWSUP | PROT_GROWSDOWN), -EINVAL);
	assert_int_equal(mm_mprotect(mm, BASE, PG, PROT_GROWSDOWN | 1), -EINVAL);
	assert_int_equal(mm_mprotect(mm, BASE + 3 * PG, 2 * PG, 1), -ENOMEM);
	assert_int_equal(host[3].prot, 3);
	leave();
	assert_int_equal(host[3].prot, 1); /* done up to the hole */
	assert_int_equal(mm_madvise(mm, BASE, PG, 99), -EINVAL);
	assert_int_equal(mm_madvise(mm, BASE + 1, PG, 4), -EINVAL);
	assert_int_equal(mm_madvise(mm, BASE, 0, 4), 0);
	assert_int_equal(mm_madvise(mm, BASE, -1UL, 4), -EINVAL);
	assert_int_equal(mm_msync(mm, BASE, PG, MS_SYNC | MS_ASYNC), -EINVAL);
	assert_int_equal(mm_msync(mm, BASE, PG, 8), -EINVAL);
	assert_int_equal(mm_msync(mm, BASE, 6 * PG, MS_SYNC), -ENOMEM);
	assert_int_equal(mm_msync(mm, BASE, 4 * PG, MS_SYNC), 0);
	assert_int_equal(mm_mremap(mm, BASE + 8 * PG, PG, PG, 0, 0), -EFAULT);
	assert_int_equal(mm_mremap(mm, BASE, PG, 0, 0, 0), -EINVAL);
	assert_int_equal(mm_mremap(mm, BASE, PG, PG, 8, 0), -EINVAL);
	assert_int_equal(mm_mremap(mm, BASE, PG, PG, MREMAP_FIXED, 0), -EINVAL);
	assert_int_equal(mm_mremap(mm, BASE, PG, 2 * PG, 0, 0), -ENOMEM);
	assert_int_equal(mm_mremap(mm, BASE, 0, 2 * PG, MREMAP_MAYMOVE, 0), -EINVAL);
	assert_int_equal(mm_mremap(mm, BASE + 3 * PG, PG, 8 * PG, 0, 0), BASE + 3 * PG);
	leave();
	check_agreement();
	assert_int_equal(mm_mremap(mm, BASE + 3 * PG, 8 * PG, PG, 0, 0), BASE + 3 * PG);
	leave();
	check_agreement();
}

static void test_brk(void **state)
{
	struct mm_layout *l = mm_layout(mm);

	(void)state;
	assert_int_equal(mm_brk(mm, 0), 0);
	l->start_brk = l->brk = BASE + 100;
	assert_int_equal(mm_brk(mm, 0), BASE + 100);
	assert_int_equal(mm_brk(mm, BASE + 3 * PG), BASE + 3 * PG);
	leave();
	check_agreement();
	assert_int_equal(mm_brk(mm, BASE + 7 * PG + 1), BASE + 7 * PG + 1);
	leave();
	assert_int_equal(mm->vmas.count, 1);
	assert_int_equal(mm_brk(mm, BASE + 2 * PG), BASE + 2 * PG);
	leave();
	check_agreement();
	map(BASE + 20 * PG, 1, 3, ANON | MAP_FIXED);
	assert_int_equal(mm_brk(mm, BASE + 20 * PG), BASE + 2 * PG);
	assert_int_equal(mm_brk(mm, BASE + 19 * PG), BASE + 19 * PG);
	leave();
	fail_next = 1;
	assert_int_equal(mm_brk(mm, BASE + 19 * PG), BASE + 19 * PG);
	mm_munmap(mm, BASE + 20 * PG, PG);
	leave();
	mm_brk(mm, BASE + 40 * PG);
	leave();
	assert_int_equal(result, BASE + 19 * PG);
	assert_int_equal(l->brk, BASE + 19 * PG);
	check_agreement();
}

static void test_host_refuses(void **state)
{
	(void)state;
	map(BASE, 8, 3, ANON | MAP_FIXED);
	leave();
	fail_next = 1;
	assert_int_equal(map(BASE + 2 * PG, 2, 1, ANON | MAP_FIXED), BASE + 2 * PG);
	leave();
	assert_int_equal(result, -ENOMEM);
	check_agreement();
	assert_int_equal(mm->vmas.count, 2);
	/* Noticed by a copy of the same call, as in exec: all that it mapped goes. */
	fail_next = 1;
	map(BASE + 20 * PG, 2, 3, ANON | MAP_FIXED);
	map(BASE + 30 * PG, 2, 3, ANON | MAP_FIXED);
	assert_int_equal(copy_to_user(BASE + 20 * PG, "x", 1), -EFAULT);
	assert_int_equal(mm_munmap(mm, BASE + 100 * PG, PG), 0);
	leave();
	assert_int_equal(mm->vmas.count, 2);
	check_agreement();
	mm_get(mm); /* two users: the answer is exact at once, and nothing changes */
	fail_next = 1;
	assert_int_equal(map(BASE, 2, 1, ANON | MAP_FIXED), -ENOMEM);
	assert_int_equal(queued, 0);
	check_agreement();
	mm_put(mm);
}

static void test_stack(void **state)
{
	struct mm_limits l = { .as = UINT64_MAX, .data = UINT64_MAX, .stack = 8 << 20, .memlock = 1 << 20 };
	uint64_t top, room;
	int code;

	(void)state;
	mm_set_limits(mm, &l);
	top = mm_random_stack_top(mm);
	assert_true(top > mm->mmap_base && top < PL_TASK_SIZE);
	high_base = top - 4096 * PG;
	high = calloc(4096, sizeof(*high));
	assert_int_equal(map(top - 33 * PG, 33, 3, ANON | MAP_FIXED | MAP_GROWSDOWN | MAP_STACK), top - 33 * PG);
	leave();
	room = top - (8 << 20);
	assert_true(page_of(room)->mapped && !page_of(room - PG)->mapped);
	/* Nothing comes into the room or its guard by itself. */
	assert_int_not_equal(map(room, 1, 3, ANON), room);
	assert_int_not_equal(map(room - 200 * PG, 1, 3, ANON), room - 200 * PG);
	assert_int_equal(map(room - 300 * PG, 1, 3, ANON), room - 300 * PG);
	/* Copies below the VMA, in the room. */
	leave();
	copy_out_ok = true;
	assert_int_equal(copy_to_user(room + 10, "x", 1), 0);
	assert_int_equal(copy_outs, 1);
	/* munmap of the room alone is munmap of nothing. */
	assert_int_equal(mm_munmap(mm, room, 100 * PG), 0);
	leave();
	assert_true(page_of(room)->mapped);
	/* A fault below the room, past the limit. */
	assert_false(mm_fault(mm, room - 1, 6, &code));
	assert_int_equal(code, 1);
	l.stack = 9 << 20;
	mm_set_limits(mm, &l);
	assert_true(mm_fault(mm, room - 1, 6, &code));
	leave();
	assert_true(page_of(room - PG)->mapped);
	vma_tree_check(&mm->vmas);
	/* Protection of the whole stack goes down to the end of the room. */
	assert_int_equal(mm_mprotect(mm, top - PG, PG, PROT_READ | PROT_WRITE | PROT_EXEC | PROT_GROWSDOWN), 0);
	leave();
	assert_int_equal(page_of(room)->prot, 7);
	/* MAP_FIXED into it. */
	assert_int_equal(map(room + 8 * PG, 2, 1, ANON | MAP_FIXED), room + 8 * PG);
	leave();
	vma_tree_check(&mm->vmas);
	assert_int_equal(page_of(room + 8 * PG)->prot, 1);
	assert_int_equal(page_of(room + 10 * PG)->prot, 7);
	/* All of it away. */
	assert_int_equal(mm_munmap(mm, room - 64 * PG, top - room + 64 * PG), 0);
	leave();
	for (unsigned i = 0; i < 4096; i++)
		if (high_base + i * PG != room - 300 * PG)
			assert_false(high[i].mapped);
}

static void test_fork(void **state)
{
	struct shm_object *o = shm_object_create("f");
	struct vma *v, *w;
	struct mm *c;

	(void)state;
	for (int i = 0; i < 50; i++)
		map(BASE + i * 4 * PG, 2, 3, ANON | MAP_FIXED);
	mm_mmap(mm, BASE + 300 * PG, PG, 3, MAP_SHARED | MAP_FIXED, shm_object_mappable(o), 0, true, true);
	mm_madvise(mm, BASE + 8 * PG, PG, MADV_DONTFORK);
	assert_true(shm_object_has_writable_maps(o));
	mm_fork_begin(mm);
	assert_int_equal(queued, 0);
	c = mm_fork_finish(mm, (void *)4);
	vma_tree_check(&c->vmas);
	assert_int_equal(c->vmas.count, mm->vmas.count - 1);
	assert_int_equal(c->total_vm, mm->total_vm - 1);
	w = TAILQ_FIRST(&c->vmas.list);
	TAILQ_FOREACH(v, &mm->vmas.list, link) {
		if (v->flags & VMA_DONTFORK)
			continue;
		assert_int_equal(v->start, w->start);
		assert_int_equal(v->end, w->end);
		w = vma_next(w);
	}
	mm_put(c);
	assert_int_equal(shm_object_seal_write(o), -EBUSY);
	mm_munmap(mm, BASE + 300 * PG, PG);
	leave();
	assert_int_equal(shm_object_seal_write(o), 0);
	assert_int_equal(mm_mmap(mm, BASE, PG, 3, MAP_SHARED | MAP_FIXED, shm_object_mappable(o), 0, true, true), -EPERM);
	shm_object_put(o);
}

static void test_futex_key(void **state)
{
	struct shm_object *o = shm_object_create("f");
	struct futex_key a, b;

	(void)state;
	mm_mmap(mm, BASE, 2 * PG, 3, MAP_SHARED | MAP_FIXED, shm_object_mappable(o), 0, true, true);
	mm_mmap(mm, BASE + 8 * PG, PG, 3, MAP_SHARED | MAP_FIXED, shm_object_mappable(o), PG, true, true);
	assert_int_equal(mm_futex_key(mm, BASE + PG + 4, false, &a), 0);
	assert_int_equal(mm_futex_key(mm, BASE + 8 * PG + 4, false, &b), 0);
	assert_true(a.object == b.object && a.offset == b.offset);
	assert_int_equal(mm_futex_key(mm, BASE + 8 * PG + 4, true, &b), 0);
	assert_true(a.object != b.object);
	assert_int_equal(mm_futex_key(mm, BASE + 20 * PG, false, &b), -EFAULT);
	assert_int_equal(mm_futex_key(mm, PL_TASK_SIZE, true, &b), -EFAULT);
	shm_object_put(o);
	leave();
}

static void test_copies(void **state)
{
	struct iov_iter it, saved;
	char buf[3 * 4096];

	(void)state;
	map(BASE, 2, 3, ANON | MAP_FIXED);
	map(BASE + 2 * PG, 1, 1, ANON | MAP_FIXED);
	/* Orders that wait run before a copy looks. */
	assert_int_equal(copy_to_user_partial(BASE + PG, buf, 2 * PG), PG);
	assert_int_equal(copy_from_user(buf, BASE, 3 * PG), 0);
	assert_int_equal(copy_from_user_partial(buf, BASE + PG, 3 * PG), 2 * PG);
	assert_int_equal(copy_from_user(buf, BASE + PG, 3 * PG), -EFAULT);
	assert_int_equal(copy_from_user(buf, PL_TASK_SIZE - 1, 2), -EFAULT);
	assert_int_equal(copy_from_user(buf, -1UL, 2), -EFAULT);
	copy_out_ok = true;
	copy_outs = 0;
	assert_int_equal(copy_to_user(BASE + 5, buf, 100), 0);
	assert_int_equal(copy_to_user(BASE + 5, buf, 100), 0);
	assert_int_equal(copy_outs, 2);
	mm_mprotect(mm, BASE, PG, PROT_READ);
	assert_int_equal(copy_to_user(BASE + 5, buf, 100), -EFAULT); /* the cache knows */
	assert_int_equal(strncpy_from_user(buf, BASE + PG, 100), -ENAMETOOLONG);
	assert_int_equal(strncpy_from_user(buf, BASE + 3 * PG - 10, 100), -EFAULT);

	iov_iter_kernel(&it, buf, 100);
	saved = it;
	assert_int_equal(copy_to_iter("hello", 5, &it), 5);
	assert_int_equal(it.count, 95);
	iov_iter_revert(&it, 2, &saved);
	assert_int_equal(it.count, 97);
	assert_int_equal(copy_to_iter("LO", 2, &it), 2);
	assert_memory_equal(buf, "helLO", 5);
	iov_iter_user(&it, BASE + 2 * PG, 2 * PG);
	assert_int_equal(copy_from_iter(buf, 2 * PG, &it), PG);
	assert_int_equal(it.count, PG);
}

static void test_shm(void **state)
{
	struct shm_object *o = shm_object_create("x");
	struct mappable *m = shm_object_mappable(o);
	char buf[8192];
	uint64_t off;
	int fd;

	(void)state;
	for (int memfd = 0; memfd < 2; memfd++) {
		shm_object_truncate(o, 0);
		if (memfd)
			assert_int_equal(m->ops->host_fd(m, 0, 1, true, &fd, &off), 0);
		assert_int_equal(shm_object_read(o, buf, 10, 0), 0);
		assert_int_equal(shm_object_write(o, "abc", 3, 10000), 3);
		assert_int_equal(shm_object_size(o), 10003);
		assert_int_equal(shm_object_blocks(o), 8);
		assert_int_equal(shm_object_read(o, buf, 100, 9998), 5);
		assert_memory_equal(buf, "\0\0abc", 5);
		assert_int_equal(shm_object_seek_data(o, 0, false), 8192);
		assert_int_equal(shm_object_seek_data(o, 0, true), 0);
		assert_int_equal(shm_object_seek_data(o, 9000, true), 10003);
		assert_int_equal(shm_object_seek_data(o, 10003, true), -ENXIO);
		assert_int_equal(shm_object_truncate(o, 10001), 0);
		assert_int_equal(shm_object_truncate(o, 12288), 0);
		assert_int_equal(shm_object_read(o, buf, 4, 9999), 4);
		assert_memory_equal(buf, "\0a\0\0", 4);
		assert_int_equal(shm_object_fallocate(o, 0, 0, 4096), 0);
		assert_int_equal(shm_object_blocks(o), 16);
		assert_int_equal(shm_object_fallocate(o, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 4096), 0);
		assert_int_equal(shm_object_blocks(o), 8);
		assert_int_equal(shm_object_read(o, buf, 4, 9999), 4);
		assert_memory_equal(buf, "\0\0\0\0", 4);
		assert_int_equal(shm_object_fallocate(o, FALLOC_FL_ZERO_RANGE, 0, 1), -EOPNOTSUPP);
		assert_int_equal(shm_object_truncate(o, INT64_MAX), -EFBIG);
	}
	shm_object_put(o);

	/* Growth over the border keeps the contents. */
	o = shm_object_create("y");
	for (unsigned i = 0; i < 300; i++) {
		memset(buf, i, 4096);
		assert_int_equal(shm_object_write(o, buf, 4096, i * 8192UL), 4096);
	}
	for (unsigned i = 0; i < 300; i++) {
		assert_int_equal(shm_object_read(o, buf, 8192, i * 8192UL), i < 299 ? 8192 : 4096);
		assert_int_equal((unsigned char)buf[17], i & 255);
		if (i < 299)
			assert_int_equal(buf[5000], 0);
	}
	shm_object_put(o);

	/* Through an iterator, with a fault in the middle. */
	o = shm_object_create("z");
	struct iov_iter it;
	map(BASE, 1, 3, ANON | MAP_FIXED);
	iov_iter_user(&it, BASE, 2 * PG);
	assert_int_equal(shm_object_write_iter(o, &it, 100), PG);
	assert_int_equal(shm_object_size(o), PG + 100);
	iov_iter_user(&it, BASE + PG, PG);
	assert_int_equal(shm_object_write_iter(o, &it, 0), -EFAULT);
	iov_iter_user(&it, BASE, 2 * PG);
	assert_int_equal(shm_object_read_iter(o, &it, 0), PG);
	iov_iter_kernel(&it, buf, 8192);
	assert_int_equal(shm_object_read_iter(o, &it, 99), PG + 1);
	assert_memory_equal(buf, "\0AAAA", 5);
	shm_object_put(o);
}

/* ---- the vDSO's image, as a C library looks at it ---- */

static void *host_function(const char *name)
{
	void *v = dlopen("linux-vdso.so.1", RTLD_NOW | RTLD_NOLOAD);

	return v ? dlvsym(v, name, "LINUX_2.6") : NULL;
}

static void *image_symbol(char *image, const char *name)
{
	Elf64_Ehdr *e = (Elf64_Ehdr *)image;
	Elf64_Phdr *p = (Elf64_Phdr *)(image + e->e_phoff);
	Elf64_Dyn *d = NULL;
	uint32_t *hash = NULL;
	Elf64_Sym *sym = NULL;
	char *str = NULL;

	for (int i = 0; i < e->e_phnum; i++)
		if (p[i].p_type == PT_DYNAMIC)
			d = (Elf64_Dyn *)(image + p[i].p_vaddr);
	assert_non_null(d);
	for (; d->d_tag; d++) {
		if (d->d_tag == DT_HASH)
			hash = (uint32_t *)(image + d->d_un.d_ptr);
		if (d->d_tag == DT_SYMTAB)
			sym = (Elf64_Sym *)(image + d->d_un.d_ptr);
		if (d->d_tag == DT_STRTAB)
			str = image + d->d_un.d_ptr;
		assert_true(d->d_tag != DT_RELA && d->d_tag != DT_REL && d->d_tag != DT_NEEDED);
	}
	assert_true(hash && sym && str);
	for (uint32_t i = 0; i < hash[1]; i++)
		if (!strcmp(str + sym[i].st_name, name) && sym[i].st_shndx)
			return image + sym[i].st_value;
	return NULL;
}

static void test_vdso(void **state)
{
	size_t len = PAGE_UP(sizeof(vdso_image));
	char *at = mmap(NULL, PG + len, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vdso_params *params = (struct vdso_params *)at;
	int (*clock_gettime_)(int, struct timespec *);
	long (*getcpu_)(unsigned *, unsigned *, void *);
	struct timespec a, b, c;
	unsigned cpu;

	(void)state;
	assert_ptr_not_equal(at, MAP_FAILED);
	memcpy(at + PG, vdso_image, sizeof(vdso_image));
	clock_gettime_ = image_symbol(at + PG, "__vdso_clock_gettime");
	getcpu_ = image_symbol(at + PG, "__vdso_getcpu");
	assert_true(clock_gettime_ && getcpu_ && image_symbol(at + PG, "__vdso_time") && image_symbol(at + PG, "__vdso_gettimeofday") &&
		    image_symbol(at + PG, "__vdso_clock_getres") && image_symbol(at + PG, "clock_gettime"));
	for (int host_too = 0; host_too < 2; host_too++) {
		if (host_too) {
			params->clock_gettime = (uintptr_t)host_function("__vdso_clock_gettime");
			params->getcpu = (uintptr_t)host_function("__vdso_getcpu");
		}
		clock_gettime(CLOCK_MONOTONIC, &a);
		assert_int_equal(clock_gettime_(CLOCK_MONOTONIC, &b), 0);
		clock_gettime(CLOCK_MONOTONIC, &c);
		assert_true(a.tv_sec * NSEC_PER_SEC + a.tv_nsec <= b.tv_sec * NSEC_PER_SEC + b.tv_nsec);
		assert_true(b.tv_sec * NSEC_PER_SEC + b.tv_nsec <= c.tv_sec * NSEC_PER_SEC + c.tv_nsec);
		assert_int_equal(clock_gettime_(4711, &b), -EINVAL);
		assert_int_equal(getcpu_(&cpu, NULL, NULL), 0);
		assert_true(cpu < 4096);
	}
	munmap(at, PG + len);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tree), T(test_random), T(test_random_shared), T(test_mmap_errors), T(test_protect_errors), T(test_brk),
		T(test_host_refuses), T(test_stack), T(test_fork), T(test_futex_key), T(test_copies), T(test_shm),
		cmocka_unit_test(test_vdso),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
