/* SPDX-License-Identifier: Apache-2.0 */
/* fake_user.h: what tests without guests share: user copies (addresses are this program's own pointers), a fiber to run on. Included once a test. */
#include "mm/window.h"
#include "vfs/vfs.h"

int copy_from_user(void *dst, uaddr_t src, size_t n) { memcpy(dst, (void *)src, n); return 0; }
int copy_to_user(uaddr_t dst, const void *src, size_t n) { memcpy((void *)dst, src, n); return 0; }
size_t copy_from_user_partial(void *dst, uaddr_t src, size_t n) { memcpy(dst, (void *)src, n); return n; }
size_t copy_to_user_partial(uaddr_t dst, const void *src, size_t n) { memcpy((void *)dst, src, n); return n; }
ssize_t strncpy_from_user(char *dst, uaddr_t src, size_t size)
{
	size_t n = strnlen((char *)src, size);
	if (n == size)
		return -ENAMETOOLONG;
	memcpy(dst, (char *)src, n + 1);
	return n;
}
void iov_iter_kernel(struct iov_iter *it, void *buf, size_t n)
{
	it->kernel = true;
	it->direct = false;
	it->inline_iov[0] = (struct iovec){ buf, n };
	it->iov = it->inline_iov;
	it->nr = 1;
	it->iov_off = 0;
	it->count = n;
	it->heap = NULL;
}
void iov_iter_user(struct iov_iter *it, uaddr_t buf, size_t n) { iov_iter_kernel(it, (void *)buf, n); }
void iov_iter_done(struct iov_iter *it) { (void)it; }
void iov_iter_advance(struct iov_iter *it, size_t n) { it->iov_off += n; it->count -= n; }
void iov_iter_revert(struct iov_iter *it, size_t n, const struct iov_iter *saved) { *it = *saved; (void)n; }
static void *iter_at(struct iov_iter *it) { return (char *)it->iov[0].iov_base + it->iov_off; }
size_t copy_to_iter(const void *src, size_t n, struct iov_iter *it)
{
	n = MIN(n, it->count);
	memcpy(iter_at(it), src, n);
	iov_iter_advance(it, n);
	return n;
}
size_t copy_from_iter(void *dst, size_t n, struct iov_iter *it)
{
	n = MIN(n, it->count);
	memcpy(dst, iter_at(it), n);
	iov_iter_advance(it, n);
	return n;
}
size_t iov_iter_zero(size_t n, struct iov_iter *it)
{
	n = MIN(n, it->count);
	memset(iter_at(it), 0, n);
	iov_iter_advance(it, n);
	return n;
}
void mm_settle(struct mm *mm);
void mm_settle(struct mm *mm) { (void)mm; }

/* no file windows */
bool mm_window_read(uint64_t file, const void *object, uint64_t off, uaddr_t dst, size_t n) { return false; }
int mm_window_open(uint64_t file, const void *object, struct mappable *m, uint64_t off, unsigned table_users) { return -EAGAIN; }
void mm_window_close(uint64_t file) {}
int platform_reopen(struct platform *p, int fd) { return -ENOENT; }

/* ---- a test's body runs in world(), the test program's own, on a fiber ---- */

static struct sched *S;
static void (*body)(void);
static void world(void *arg);

static void in_world(void (*fn)(void))
{
	body = fn;
	S = sched_create(1);
	fiber_wake(fiber_create(S, 0, "test", world, NULL));
	assert_int_equal(sched_run(S), 0);
	sched_destroy(S);
}
