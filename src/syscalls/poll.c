/* SPDX-License-Identifier: Apache-2.0 */
/* poll.c: poll(2), ppoll(2), select(2), pselect6(2).
 *
 * All entries of one call wake the same fiber; after a wake-up every file is asked again. Files are borrowed from the
 * descriptor table while it is not shared: only the caller itself could close them.
 */
#include "syscalls/proto.h"
#include <poll.h>
#include <sys/personality.h>

struct poll_entry {
	struct wait_entry e;
	struct wait_queue *wq;
	unsigned key;
};
struct poll_chunk {
	struct poll_chunk *next;
	unsigned n;
	struct poll_entry entries[32];
};
struct poll_waiters {
	struct poll_table pt;
	struct fiber *fiber;
	unsigned n;
	struct poll_chunk *chunks;
	struct poll_entry first[8];
};

static bool poll_woken(struct wait_entry *e, unsigned key)
{
	struct poll_entry *pe = container_of(e, struct poll_entry, e);

	if (key && !(key & pe->key))
		return false;
	fiber_wake(e->fiber);
	return true;
}

static void poll_queue(struct poll_table *pt, struct file *f, struct wait_queue *wq)
{
	struct poll_waiters *w = container_of(pt, struct poll_waiters, pt);
	struct poll_entry *pe;

	if (w->n < ARRAY_SIZE(w->first)) {
		pe = &w->first[w->n++];
	} else {
		if (!w->chunks || w->chunks->n == ARRAY_SIZE(w->chunks->entries)) {
			struct poll_chunk *c = new(struct poll_chunk);
			c->next = w->chunks;
			w->chunks = c;
		}
		pe = &w->chunks->entries[w->chunks->n++];
	}
	wait_entry_init_fiber(&pe->e, w->fiber);
	pe->e.func = poll_woken;
	pe->wq = wq;
	pe->key = pt->key;
	wait_queue_add(wq, &pe->e);
}

static void poll_waiters_init(struct poll_waiters *w, bool queue)
{
	w->pt.queue = queue ? poll_queue : NULL;
	w->pt.key = 0;
	w->pt.lazy = queue;
	w->fiber = fiber_self();
	w->n = 0;
	w->chunks = NULL;
}

static void poll_waiters_done(struct poll_waiters *w)
{
	for (unsigned i = 0; i < w->n; i++)
		wait_queue_del(w->first[i].wq, &w->first[i].e);
	while (w->chunks) {
		struct poll_chunk *c = w->chunks;
		for (unsigned i = 0; i < c->n; i++)
			wait_queue_del(c->entries[i].wq, &c->entries[i].e);
		w->chunks = c->next;
		free(c);
	}
}

/* One file of a call; `shown` is the caller's index or bit. */
struct poll_item {
	struct file *f; /* NULL: nothing to ask */
	bool counted;
	unsigned events;
	unsigned shown;
	unsigned revents;
};

/* Ask all files; sleep until some answer with something, the deadline (0: do not sleep) or a signal. */
static long poll_loop(struct task *t, struct poll_item *items, unsigned n, ktime_t deadline)
{
	struct poll_waiters w;
	bool blocked = false;
	long count = 0;

	poll_waiters_init(&w, deadline != 0);
	for (;;) {
		for (unsigned i = 0; i < n; i++) {
			struct poll_item *it = &items[i];
			if (it->f) {
				w.pt.key = it->events;
				it->revents = vfs_poll(it->f, &w.pt) & it->events;
			}
			if (it->revents) {
				count++;
				w.pt.queue = NULL;
			}
		}
		w.pt.queue = NULL;
		if (count)
			break;
		if (deadline == 0) {
			if (fiber_interrupted(PARK_INTERRUPTIBLE))
				count = -ERESTARTNOHAND;
			break;
		}
		if (!blocked)
			task_will_block(t);
		blocked = true;
		int r = fiber_park(PARK_INTERRUPTIBLE, deadline);
		if (r == -EINTR) {
			count = -ERESTARTNOHAND;
			break;
		}
		if (r == -ETIMEDOUT)
			deadline = 0; /* one last look */
	}
	poll_waiters_done(&w);
	return count;
}

static void put_items(struct poll_item *items, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (items[i].f)
			fd_put_light(items[i].f, items[i].counted);
}

/* ---- poll ---- */

#define POLL_INLINE 16

static long do_poll(struct task *t, uaddr_t ufds, unsigned nfds, ktime_t deadline)
{
	struct pollfd pfd_inline[POLL_INLINE], *pfd = pfd_inline;
	struct poll_item item_inline[POLL_INLINE], *items = item_inline;
	long ret = -ENOMEM;

	if (nfds > task_rlimit(t, RLIMIT_NOFILE))
		return -EINVAL;
	if (nfds > POLL_INLINE) {
		pfd = malloc(nfds * sizeof(*pfd));
		items = malloc(nfds * sizeof(*items));
		if (!pfd || !items)
			goto out;
	}
	if (nfds && copy_from_user(pfd, ufds, nfds * sizeof(*pfd))) {
		ret = -EFAULT;
		goto out;
	}
	long invalid = 0;
	for (unsigned i = 0; i < nfds; i++) {
		struct poll_item *it = &items[i];
		*it = (struct poll_item){ .events = (uint16_t)pfd[i].events | EPOLLERR | EPOLLHUP };
		if (pfd[i].fd < 0)
			continue;
		it->f = fd_get_light(t->fdt, pfd[i].fd, &it->counted);
		if (!it->f) {
			it->revents = POLLNVAL;
			invalid++;
		}
	}
	ret = poll_loop(t, items, nfds, invalid ? 0 : deadline);
	put_items(items, nfds);
	for (unsigned i = 0; i < nfds; i++)
		pfd[i].revents = ret >= 0 ? items[i].revents : 0;
	if (ret >= 0 && nfds && copy_to_user(ufds, pfd, nfds * sizeof(*pfd)))
		ret = -EFAULT;
out:
	if (pfd != pfd_inline)
		free(pfd);
	if (items != item_inline)
		free(items);
	return ret;
}

static long poll_restart(struct task *t)
{
	long r = do_poll(t, t->restart.poll.fds, t->restart.poll.nfds, t->restart.poll.deadline);

	return r == -ERESTARTNOHAND ? -ERESTART_RESTARTBLOCK : r;
}

long sys_poll(struct task *t, const struct syscall_args *a)
{
	int ms = (int)a->a[2];
	ktime_t deadline = ms < 0 ? KTIME_MAX : ms == 0 ? 0 : ktime_add_sat(ktime_mono(), ms * NSEC_PER_MSEC);
	long r = do_poll(t, a->a[0], (unsigned)a->a[1], deadline);

	if (r == -ERESTARTNOHAND) {
		t->restart.fn = poll_restart;
		t->restart.poll.fds = a->a[0];
		t->restart.poll.nfds = (unsigned)a->a[1];
		t->restart.poll.deadline = deadline;
		r = -ERESTART_RESTARTBLOCK;
	}
	return r;
}

/* ---- timeouts that are written back ---- */

static int timespec_deadline(const struct timespec *ts, ktime_t *deadline)
{
	if (ts->tv_sec < 0 || ts->tv_nsec < 0 || ts->tv_nsec >= NSEC_PER_SEC)
		return -EINVAL;
	*deadline = !ts->tv_sec && !ts->tv_nsec ? 0 : ktime_add_sat(ktime_mono(), timespec_to_ktime(ts));
	return 0;
}

/* As poll_select_finish() of Linux's fs/select.c: without the time written back the call cannot be restarted. */
static long finish(struct task *t, ktime_t deadline, uaddr_t tsp, bool timeval, long ret)
{
	if (ret != -ERESTARTNOHAND)
		task_restore_saved_mask(t);
	if (!tsp)
		return ret;
	if (!(t->personality & STICKY_TIMEOUTS)) {
		if (!deadline)
			return ret;
		ktime_t left = deadline == KTIME_MAX ? KTIME_MAX : deadline - ktime_mono();
		int64_t out[2] = { 0, 0 };
		if (left > 0) {
			out[0] = left / NSEC_PER_SEC;
			out[1] = left % NSEC_PER_SEC / (timeval ? 1000 : 1);
		}
		if (!copy_to_user(tsp, out, sizeof(out)))
			return ret;
	}
	return ret == -ERESTARTNOHAND ? -EINTR : ret;
}

long sys_ppoll(struct task *t, const struct syscall_args *a)
{
	struct timespec ts;
	ktime_t deadline = KTIME_MAX;
	long r;

	if (a->a[2]) {
		if (copy_from_user(&ts, a->a[2], sizeof(ts)))
			return -EFAULT;
		r = timespec_deadline(&ts, &deadline);
		if (r)
			return r;
	}
	r = task_set_user_sigmask(t, a->a[3], a->a[4]);
	if (r)
		return r;
	return finish(t, deadline, a->a[2], false, do_poll(t, a->a[0], (unsigned)a->a[1], deadline));
}

/* ---- select ---- */

#define SEL_IN_SET (EPOLLRDNORM | EPOLLRDBAND | EPOLLIN | EPOLLHUP | EPOLLERR)
#define SEL_OUT_SET (EPOLLWRBAND | EPOLLWRNORM | EPOLLOUT | EPOLLERR)
#define SEL_EX_SET EPOLLPRI
#define SEL_INLINE_WORDS 16
#define SEL_INLINE_ITEMS 24

/* How many descriptors a table of Linux would have room for: higher bits are not looked at. */
static unsigned table_room(struct fd_table *fdt)
{
	unsigned room = 64;

	for (int fd = fd_next(fdt, 0); fd >= 0; fd = fd_next(fdt, fd + 1))
		while ((unsigned)fd >= room)
			room *= 2;
	return room;
}

static long do_select(struct task *t, int n, const uaddr_t sets[3], ktime_t deadline)
{
	uint64_t inline_words[6 * SEL_INLINE_WORDS], *words = inline_words;
	struct poll_item inline_items[SEL_INLINE_ITEMS], *items = inline_items;
	unsigned nitems = 0, total = 0;
	long ret = 0;

	if (n < 0)
		return -EINVAL;
	if (n > 64)
		n = MIN((unsigned)n, table_room(t->fdt));
	unsigned nw = (n + 63) / 64;
	if (nw > SEL_INLINE_WORDS) {
		words = malloc(6 * nw * sizeof(*words));
		if (!words)
			return -ENOMEM;
	}
	memset(words, 0, 6 * nw * sizeof(*words));
	for (int s = 0; s < 3; s++)
		if (sets[s] && copy_from_user(words + s * nw, sets[s], nw * 8)) {
			ret = -EFAULT;
			goto out;
		}
	uint64_t last = n % 64 ? (1ULL << n % 64) - 1 : ~0ULL;
	for (unsigned w = 0; w < nw; w++) {
		for (int s = 0; s < 3; s++)
			words[s * nw + w] &= w == nw - 1 ? last : ~0ULL;
		total += __builtin_popcountll(words[w] | words[nw + w] | words[2 * nw + w]);
	}
	if (total > SEL_INLINE_ITEMS) {
		items = malloc(total * sizeof(*items));
		if (!items) {
			ret = -ENOMEM;
			goto out;
		}
	}
	for (unsigned w = 0; w < nw; w++) {
		for (uint64_t m = words[w] | words[nw + w] | words[2 * nw + w]; m; m &= m - 1) {
			uint64_t bit = m & -m;
			struct poll_item *it = &items[nitems];
			*it = (struct poll_item){ .shown = w * 64 + __builtin_ctzll(m) };
			it->events = (words[w] & bit ? SEL_IN_SET : 0) | (words[nw + w] & bit ? SEL_OUT_SET : 0) |
				     (words[2 * nw + w] & bit ? SEL_EX_SET : 0);
			it->f = fd_get_light(t->fdt, it->shown, &it->counted);
			if (!it->f) {
				struct file *raw = fd_get_raw(t->fdt, it->shown);
				if (!raw) {
					ret = -EBADF;
					goto put;
				}
				file_put(raw);
				it->revents = it->events; /* an O_PATH descriptor is ready for everything */
			}
			nitems++;
		}
	}
	ret = poll_loop(t, items, nitems, deadline);
	if (ret < 0)
		goto put;
	ret = 0;
	uint64_t *res = words + 3 * nw;
	for (unsigned i = 0; i < nitems; i++) {
		unsigned w = items[i].shown / 64;
		uint64_t bit = 1ULL << (items[i].shown % 64);
		static const unsigned masks[3] = { SEL_IN_SET, SEL_OUT_SET, SEL_EX_SET };
		for (int s = 0; s < 3; s++)
			if ((words[s * nw + w] & bit) && (items[i].revents & masks[s])) {
				res[s * nw + w] |= bit;
				ret++;
			}
	}
	for (int s = 0; s < 3; s++)
		if (sets[s] && copy_to_user(sets[s], res + s * nw, nw * 8)) {
			ret = -EFAULT;
			break;
		}
put:
	put_items(items, nitems);
	if (items != inline_items)
		free(items);
out:
	if (words != inline_words)
		free(words);
	return ret;
}

long sys_select(struct task *t, const struct syscall_args *a)
{
	uaddr_t sets[3] = { a->a[1], a->a[2], a->a[3] };
	ktime_t deadline = KTIME_MAX;
	int64_t tv[2];

	if (a->a[4]) {
		if (copy_from_user(tv, a->a[4], sizeof(tv)))
			return -EFAULT;
		struct timespec ts;
		if (add_overflow(tv[0], tv[1] / 1000000, &ts.tv_sec))
			return -EINVAL;
		ts.tv_nsec = tv[1] % 1000000 * 1000;
		int r = timespec_deadline(&ts, &deadline);
		if (r)
			return r;
	}
	return finish(t, deadline, a->a[4], true, do_select(t, (int)a->a[0], sets, deadline));
}

long sys_pselect6(struct task *t, const struct syscall_args *a)
{
	uaddr_t sets[3] = { a->a[1], a->a[2], a->a[3] };
	ktime_t deadline = KTIME_MAX;
	uint64_t sig[2] = { 0, 0 };
	struct timespec ts;
	long r;

	if (a->a[5] && copy_from_user(sig, a->a[5], sizeof(sig)))
		return -EFAULT;
	if (a->a[4]) {
		if (copy_from_user(&ts, a->a[4], sizeof(ts)))
			return -EFAULT;
		r = timespec_deadline(&ts, &deadline);
		if (r)
			return r;
	}
	r = task_set_user_sigmask(t, sig[0], sig[1]);
	if (r)
		return r;
	return finish(t, deadline, a->a[4], false, do_select(t, (int)a->a[0], sets, deadline));
}
