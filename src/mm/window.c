/* SPDX-License-Identifier: Apache-2.0 */
/* window.c: file windows: bulk reads at the speed of memory.
 *
 * OVERVIEW: a read(2) whose data the kernel process fetched would have to cross to the stub through a cache line after the other, or by
 * process_vm_writev. For files that a process reads much of, the stub maps a part of the file instead (read-only, above the guest's task size);
 * the kernel process then answers a read, after all its checks, with "copy n bytes from there". Whether guest memory takes them, and
 * whether the file still has them, is found by the copy: PL_SHORT comes back, and the call is made once more without a window.
 * A window shows nothing that its process could not read anyway: it is made for an open file description that this process reads
 * through, and it goes with the first descriptor of that description that its table closes (vfs), with the address space, and is not
 * inherited by fork. What else a guest can do with it is what it can do with its own memory.
 * LOCKS: window_lock, a leaf, unless the mm has one user: then only its fiber comes here. */
#include "mm/window.h"
#include "mm/vma.h"

struct file_window {
	uint64_t file; /* 0: free */
	const void *object;
	struct mappable *mappable; /* counted: keeps object what it is */
	uint64_t off;
	uint64_t used;
};
struct file_windows {
	uint64_t clock;
	unsigned last;
	uint64_t making; /* one at a time: of this file */
	bool aborted;	 /* which was closed meanwhile */
	struct file_window w[PL_WINDOWS];
};

static bool lock(struct mm *mm)
{
	if (likely(refcount_read(&mm->ref) == 1))
		return false;
	mutex_lock(&mm->window_lock);
	return true;
}

static void unlock(struct mm *mm, bool locked)
{
	if (unlikely(locked))
		mutex_unlock(&mm->window_lock);
}

static bool shows(const struct file_window *w, uint64_t file, const void *object, uint64_t off, size_t n)
{
	return w->file == file && w->object == object && off >= w->off && off - w->off + n <= PL_WINDOW_SIZE;
}

bool mm_window_read(uint64_t file, const void *object, uint64_t off, uaddr_t dst, size_t n)
{
	struct fiber_context *c = fiber_context();
	struct file_windows *ws;
	bool ok = false, locked;
	unsigned k;

	if (!c->mm || !c->thread || !(ws = atomic_load_explicit(&c->mm->windows, memory_order_acquire)) || n > PL_WINDOW_SIZE)
		return false;
	locked = lock(c->mm);
	k = ws->last;
	for (unsigned i = 0; i < PL_WINDOWS; i++, k = (k + 1) % PL_WINDOWS)
		if (shows(&ws->w[k], file, object, off, n)) {
			ok = pl_window_copy(c->thread, dst, k, off - ws->w[k].off, n);
			ws->w[k].used = ++ws->clock;
			ws->last = k;
			break;
		}
	unlock(c->mm, locked);
	return ok;
}

static void forget(struct file_window *w, struct mappable **m)
{
	*m = w->mappable;
	*w = (struct file_window){ 0 };
}

static void put(struct mappable *m)
{
	if (m)
		m->ops->put(m);
}

/* A number for a new window: free, or what shows another object of the same file, or the one that was used longest ago. What it showed
 * is forgotten. -1: none that nobody copies from just now. */
static int choose(struct mm *mm, struct file_windows *ws, struct pl_thread *t, uint64_t file, const void *object, struct mappable **old)
{
	unsigned barred = 0;

	for (int turn = 0; turn < PL_WINDOWS; turn++) {
		bool locked = lock(mm);
		int best = -1;

		for (unsigned k = 0; k < PL_WINDOWS; k++) {
			const struct file_window *w = &ws->w[k];

			if (barred >> k & 1)
				continue;
			if (!w->file || (w->file == file && w->object != object)) {
				best = (int)k;
				break;
			}
			if (best < 0 || w->used < ws->w[best].used)
				best = (int)k;
		}
		if (best >= 0 && ws->w[best].file)
			forget(&ws->w[best], old); /* from here on nobody starts a copy from it */
		unlock(mm, locked);
		if (best < 0 || pl_window_idle(t, (unsigned)best))
			return best;
		barred |= 1U << best;
		put(*old);
		*old = NULL;
	}
	return -1;
}

int mm_window_open(uint64_t file, const void *object, struct mappable *m, uint64_t off, unsigned table_users)
{
	struct fiber_context *c = fiber_context();
	struct mm *mm = c->mm;
	struct mappable *old = NULL;
	struct file_windows *ws;
	uint64_t host_off;
	bool locked, ok;
	int fd, k, r = -EAGAIN;

	/* Who has the memory must be who has the descriptor table, or a close would not be seen here. */
	if (!mm || !c->thread || pl_thread_space(c->thread) != mm->space || refcount_read(&mm->ref) != table_users)
		goto out;
	mm_settle(mm);
	ws = atomic_load_explicit(&mm->windows, memory_order_acquire);
	if (!ws) {
		struct file_windows *new = new(struct file_windows);

		if (atomic_compare_exchange_strong(&mm->windows, &ws, new))
			ws = new;
		else
			free(new);
	}
	off &= ~(PL_WINDOW_SIZE - 1);
	locked = lock(mm);
	ok = !ws->making;
	for (unsigned i = 0; ok && i < PL_WINDOWS; i++)
		ok = !shows(&ws->w[i], file, object, off, 1); /* another thread was quicker */
	if (ok) {
		ws->making = file;
		ws->aborted = false;
	}
	unlock(mm, locked);
	if (!ok)
		goto out;
	k = choose(mm, ws, c->thread, file, object, &old);
	if (k >= 0)
		r = m->ops->host_fd(m, off, PL_WINDOW_SIZE, false, &fd, &host_off);
	if (k >= 0 && !r)
		r = pl_window_map(c->thread, (unsigned)k, fd, host_off);
	locked = lock(mm);
	if (!r && !ws->aborted) {
		ws->w[k] = (struct file_window){ .file = file, .object = object, .mappable = m, .off = off, .used = ++ws->clock };
		ws->last = (unsigned)k;
		m = NULL;
	}
	ws->making = 0;
	unlock(mm, locked);
	if (!r && m) {
		(void)pl_window_unmap(c->thread, (unsigned)k, true);
		r = -EAGAIN;
	}
	put(old);
out:
	put(m);
	return r;
}

static void close_windows(struct mm *mm, uint64_t file)
{
	struct fiber_context *c = fiber_context();
	struct file_windows *ws = atomic_load_explicit(&mm->windows, memory_order_acquire);
	struct mappable *m;

	if (!ws || !c->thread || pl_thread_space(c->thread) != mm->space)
		return;
	for (unsigned k = 0; k < PL_WINDOWS; k++) {
		bool locked = lock(mm);

		m = NULL;
		if (ws->making && (!file || ws->making == file))
			ws->aborted = true;
		if (ws->w[k].file && (!file || ws->w[k].file == file))
			forget(&ws->w[k], &m);
		unlock(mm, locked);
		if (m) {
			(void)pl_window_unmap(c->thread, k, locked);
			put(m);
		}
	}
}

void mm_window_close(uint64_t file)
{
	struct fiber_context *c = fiber_context();

	if (c && c->mm)
		close_windows(c->mm, file);
}

void mm_windows_close(struct mm *mm) { close_windows(mm, 0); }

void mm_windows_free(struct mm *mm)
{
	struct file_windows *ws = mm->windows;

	for (unsigned k = 0; ws && k < PL_WINDOWS; k++)
		put(ws->w[k].mappable);
	free(ws);
}
