/* SPDX-License-Identifier: Apache-2.0 */
/* uaccess.c: copies between kernel and guest memory.
 *
 * OVERVIEW: in order of cost: what travelled in with the call (pl_prefetched), what may travel out with its answer (pl_copy_out; the range must lie
 * in one writable mapping, which a one-entry cache remembers), and process_vm_readv/writev on the stub. The last checks the guest's
 * own protections: a page that the guest cannot read or write cannot be copied, and the bytes before it are.
 * Orders that this call queued and that have not run yet are carried out first (mm_settle): only exec and the like do that. */
#include "mm/uaccess.h"
#include "mm/vma.h"
#include <limits.h>

#define MAX_RW_COUNT ((size_t)INT_MAX & ~(GUEST_PAGE_SIZE - 1))

static inline bool access_ok(uaddr_t a, size_t n) { return likely(a <= PL_TASK_SIZE && n <= PL_TASK_SIZE - a); }

static inline void settle(struct mm *mm)
{
	if (unlikely(READ_ONCE(mm->npending)))
		mm_settle(mm);
}

/* Is all of [a, a+n) writable by the guest? Only a hint: the stub's own copy fails for itself. */
static bool covered_writable(struct mm *mm, uaddr_t a, size_t n)
{
	uint32_t seq = atomic_load_explicit(&mm->seq, memory_order_acquire);
	uint64_t start, end;
	struct vma *v;
	bool ok;

	start = atomic_load_explicit(&mm->cache_start, memory_order_relaxed);
	end = atomic_load_explicit(&mm->cache_end, memory_order_relaxed);
	if (likely(atomic_load_explicit(&mm->cache_seq, memory_order_relaxed) == seq && start <= a && a < end && n <= end - a))
		return true;
	mutex_lock(&mm->vma_lock);
	v = vma_tree_find(&mm->vmas, a);
	ok = v && !mm->write_at_once && v->host_start <= a && n <= v->end - a && (v->flags & VMA_WRITE);
	if (ok) {
		/* Under vma_lock there is one writer, and seq is even. A reader between these stores sees the old cache_seq or fails its test. */
		atomic_store_explicit(&mm->cache_seq, UINT32_MAX, memory_order_release);
		atomic_store_explicit(&mm->cache_start, v->host_start, memory_order_relaxed);
		atomic_store_explicit(&mm->cache_end, v->end, memory_order_relaxed);
		atomic_store_explicit(&mm->cache_seq, atomic_load_explicit(&mm->seq, memory_order_relaxed), memory_order_release);
	}
	mutex_unlock(&mm->vma_lock);
	return ok;
}

bool user_writable(uaddr_t a, size_t n) { return covered_writable(fiber_context()->mm, a, n); }

/* ---- one range ---- */

static size_t read_user(struct fiber_context *c, void *dst, uaddr_t src, size_t n)
{
	const void *p;
	size_t avail;

	if (likely(c->thread)) {
		p = pl_prefetched(c->thread, src, n, &avail);
		if (p && avail >= n) {
			memcpy(dst, p, n);
			return n;
		}
	}
	settle(c->mm);
	return pl_space_read(c->mm->space, dst, src, n);
}

static size_t write_user(struct fiber_context *c, uaddr_t dst, const void *src, size_t n)
{
	settle(c->mm);
	if (likely(c->thread) && covered_writable(c->mm, dst, n) && pl_copy_out(c->thread, dst, src, n))
		return n;
	return pl_space_write(c->mm->space, dst, src, n);
}

size_t copy_from_user_partial(void *dst, uaddr_t src, size_t n)
{
	struct fiber_context *c = fiber_context();

	if (unlikely(!n || !access_ok(src, n) || !c->mm))
		return 0;
	return read_user(c, dst, src, n);
}

size_t copy_to_user_partial(uaddr_t dst, const void *src, size_t n)
{
	struct fiber_context *c = fiber_context();

	if (unlikely(!n || !access_ok(dst, n) || !c->mm))
		return 0;
	return write_user(c, dst, src, n);
}

int copy_from_user(void *dst, uaddr_t src, size_t n) { return copy_from_user_partial(dst, src, n) == n ? 0 : -EFAULT; }
int copy_to_user(uaddr_t dst, const void *src, size_t n) { return copy_to_user_partial(dst, src, n) == n ? 0 : -EFAULT; }

static const char zeroes[4096];

static size_t clear_user_partial(uaddr_t dst, size_t n)
{
	size_t done = 0, k, r;

	while (done < n) {
		k = MIN(n - done, sizeof(zeroes));
		r = copy_to_user_partial(dst + done, zeroes, k);
		done += r;
		if (r < k)
			break;
	}
	return done;
}

int clear_user(uaddr_t dst, size_t n)
{
	if (!access_ok(dst, n))
		return -EFAULT;
	return clear_user_partial(dst, n) == n ? 0 : -EFAULT;
}

/* exec: with the orders that map it, before the new thread's first instruction. */
int mm_fill_new(uaddr_t dst, const void *src, size_t n)
{
	struct fiber_context *c = fiber_context();

	if (!n)
		return 0;
	if (access_ok(dst, n) && c->mm && c->thread && covered_writable(c->mm, dst, n) && pl_copy_out(c->thread, dst, src, n))
		return 0;
	return src ? copy_to_user(dst, src, n) : clear_user(dst, n);
}

ssize_t strncpy_from_user(char *dst, uaddr_t src, size_t size)
{
	struct fiber_context *c = fiber_context();
	size_t done = 0, k, got, avail;
	const char *p, *nul;

	if (unlikely(!size))
		return -ENAMETOOLONG;
	if (unlikely(src >= PL_TASK_SIZE || !c->mm))
		return -EFAULT;
	if (likely(c->thread)) {
		p = pl_prefetched(c->thread, src, 1, &avail);
		if (p) {
			k = MIN(avail, size);
			nul = memchr(p, 0, k);
			if (nul) {
				memcpy(dst, p, nul - p + 1);
				return nul - p;
			}
			if (k == size)
				return -ENAMETOOLONG;
		}
	}
	settle(c->mm);
	while (done < size) {
		/* To the end of the page: the string may be the last thing that is mapped. */
		k = MIN(size - done, GUEST_PAGE_SIZE - (src + done) % GUEST_PAGE_SIZE);
		if (src + done >= PL_TASK_SIZE)
			return -EFAULT;
		got = pl_space_read(c->mm->space, dst + done, src + done, k);
		nul = memchr(dst + done, 0, got);
		if (nul)
			return nul - dst;
		if (got < k)
			return -EFAULT;
		done += k;
	}
	return -ENAMETOOLONG;
}

int copy_struct_from_user(void *dst, size_t ksize, uaddr_t src, size_t usize)
{
	size_t n = MIN(ksize, usize), done;
	unsigned char buf[256];

	if (usize > ksize)
		for (done = ksize; done < usize; done += n) {
			n = MIN(usize - done, sizeof(buf));
			if (copy_from_user(buf, src + done, n))
				return -EFAULT;
			for (size_t i = 0; i < n; i++)
				if (buf[i])
					return -E2BIG;
		}
	n = MIN(ksize, usize);
	memset((char *)dst + n, 0, ksize - n);
	return n ? copy_from_user(dst, src, n) : 0;
}

/* ---- somebody else's memory, and writes that must be there at once ---- */

size_t mm_read(struct mm *mm, void *dst, uaddr_t src, size_t n)
{
	if (src >= PL_TASK_SIZE)
		return 0;
	settle(mm);
	return pl_space_read(mm->space, dst, src, MIN(n, PL_TASK_SIZE - src));
}

size_t mm_write(struct mm *mm, uaddr_t dst, const void *src, size_t n)
{
	if (dst >= PL_TASK_SIZE)
		return 0;
	settle(mm);
	return pl_space_write(mm->space, dst, src, MIN(n, PL_TASK_SIZE - dst));
}

/* ---- iterators ---- */

void iov_iter_user(struct iov_iter *it, uaddr_t buf, size_t n)
{
	it->kernel = it->direct = false;
	it->append = 0;
	it->iov = it->inline_iov;
	it->inline_iov[0] = (struct iovec){ .iov_base = (void *)buf, .iov_len = n };
	it->nr = 1;
	it->iov_off = 0;
	it->count = n;
	it->heap = NULL;
}

void iov_iter_kernel(struct iov_iter *it, void *buf, size_t n)
{
	iov_iter_user(it, (uaddr_t)buf, n);
	it->kernel = true;
}

int iov_iter_import(struct iov_iter *it, uaddr_t vec, unsigned long vlen)
{
	size_t total = 0;
	int r = -EFAULT;

	it->kernel = it->direct = false;
	it->append = 0;
	it->iov = it->inline_iov;
	it->heap = NULL;
	it->nr = 0;
	it->iov_off = it->count = 0;
	if (!vlen)
		return 0;
	if (vlen > UIO_MAXIOV)
		return -EINVAL;
	if (vlen > ARRAY_SIZE(it->inline_iov)) {
		it->heap = it->iov = kzalloc(vlen * sizeof(struct iovec));
		if (!it->heap)
			return -ENOMEM;
	}
	if (copy_from_user(it->iov, vec, vlen * sizeof(struct iovec)))
		goto fail;
	for (unsigned long i = 0; i < vlen; i++)
		if ((ssize_t)it->iov[i].iov_len < 0) {
			r = -EINVAL;
			goto fail;
		}
	for (unsigned long i = 0; i < vlen; i++) {
		struct iovec *v = &it->iov[i];

		if (!access_ok((uaddr_t)v->iov_base, v->iov_len))
			goto fail;
		/* Linux cuts the sum at MAX_RW_COUNT and does not fail. */
		v->iov_len = MIN(v->iov_len, MAX_RW_COUNT - total);
		total += v->iov_len;
	}
	it->nr = vlen;
	it->count = total;
	return 0;
fail:
	iov_iter_done(it);
	return r;
}

void iov_iter_done(struct iov_iter *it)
{
	free(it->heap);
	it->heap = NULL;
}

void iov_iter_advance(struct iov_iter *it, size_t n)
{
	n = MIN(n, it->count);
	it->count -= n;
	while (n) {
		size_t k = MIN(n, it->iov->iov_len - it->iov_off);

		it->iov_off += k;
		n -= k;
		if (it->iov_off == it->iov->iov_len && it->nr > 1) {
			it->iov++;
			it->nr--;
			it->iov_off = 0;
		} else if (!k) {
			break;
		}
	}
}

/* Back by n bytes to, or towards, the place that `saved` (a copy taken before) stands for. */
void iov_iter_revert(struct iov_iter *it, size_t n, const struct iov_iter *saved)
{
	size_t used = saved->count - it->count;

	/* A copy's iov points where the original's does: into the original. */
	it->iov = saved->iov;
	it->nr = saved->nr;
	it->iov_off = saved->iov_off;
	it->count = saved->count;
	if (used > n)
		iov_iter_advance(it, used - n);
}

/* The next piece: where, and how much (0: only empty ones are left). */
static size_t piece(struct iov_iter *it, uaddr_t *a)
{
	while (it->nr > 1 && it->iov_off == it->iov->iov_len) {
		it->iov++;
		it->nr--;
		it->iov_off = 0;
	}
	if (!it->nr || !it->count)
		return 0;
	*a = (uaddr_t)it->iov->iov_base + it->iov_off;
	return it->iov->iov_len - it->iov_off;
}

/* Several guest pieces with one host call. */
static size_t gather(struct iov_iter *it, size_t n, struct iovec v[16], int *cnt)
{
	size_t off = it->iov_off, total = 0;
	int k = 0;

	for (unsigned i = 0; i < it->nr && total < n && k < 16; i++, off = 0) {
		size_t l = MIN(it->iov[i].iov_len - off, n - total);

		if (!l)
			continue;
		v[k++] = (struct iovec){ .iov_base = (char *)it->iov[i].iov_base + off, .iov_len = l };
		total += l;
	}
	*cnt = k;
	return total;
}

size_t copy_to_iter(const void *src, size_t n, struct iov_iter *it)
{
	struct fiber_context *c;
	size_t done = 0, k, r;
	uaddr_t a;

	n = MIN(n, it->count);
	while (done < n) {
		k = MIN(piece(it, &a), n - done);
		if (!k)
			break;
		if (it->kernel) {
			memcpy((void *)a, (const char *)src + done, k);
			r = k;
		} else if (it->nr == 1 || k == n - done) {
			r = copy_to_user_partial(a, (const char *)src + done, k);
		} else {
			c = fiber_context();
			if (!c->mm)
				break;
			settle(c->mm);
			if (c->thread && covered_writable(c->mm, a, k) && pl_copy_out(c->thread, a, (const char *)src + done, k)) {
				r = k;
			} else {
				struct iovec v[16];
				int cnt;

				k = gather(it, n - done, v, &cnt);
				r = pl_space_writev(c->mm->space, v, cnt, (const char *)src + done);
			}
		}
		iov_iter_advance(it, r);
		done += r;
		if (r < k)
			break;
	}
	return done;
}

size_t copy_from_iter(void *dst, size_t n, struct iov_iter *it)
{
	struct fiber_context *c;
	size_t done = 0, k, r;
	uaddr_t a;

	n = MIN(n, it->count);
	while (done < n) {
		k = MIN(piece(it, &a), n - done);
		if (!k)
			break;
		if (it->kernel) {
			memcpy((char *)dst + done, (void *)a, k);
			r = k;
		} else if (it->nr == 1 || k == n - done) {
			r = copy_from_user_partial((char *)dst + done, a, k);
		} else {
			struct iovec v[16];
			int cnt;

			c = fiber_context();
			if (!c->mm)
				break;
			settle(c->mm);
			k = gather(it, n - done, v, &cnt);
			r = pl_space_readv(c->mm->space, (char *)dst + done, v, cnt);
		}
		iov_iter_advance(it, r);
		done += r;
		if (r < k)
			break;
	}
	return done;
}

size_t iov_iter_zero(size_t n, struct iov_iter *it)
{
	size_t done = 0, k, r;

	n = MIN(n, it->count);
	while (done < n) {
		k = MIN(n - done, sizeof(zeroes));
		r = copy_to_iter(zeroes, k, it);
		done += r;
		if (r < k)
			break;
	}
	return done;
}
