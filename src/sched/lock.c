/* SPDX-License-Identifier: Apache-2.0 */
/* lock.c: mutexes on host futexes, sleep locks that park, and the debug check of ranks. */
#include "sched/internal.h"
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

long futex(_Atomic uint32_t *word, int op, uint32_t val, const struct timespec *ts)
{
	long r = syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, val, ts, NULL, 0);

	return r < 0 ? -errno : r;
}

/* ---- what is held, debug builds ---- */

#ifdef BAILEY_DEBUG
struct held_locks *held_locks(void)
{
	static __thread struct held_locks outside;
	struct thread *t = thread_self();

	return t ? (t->fiber ? &t->fiber->held : &t->held) : &outside;
}

void held_add(struct held_locks *h, void *lock, uint32_t rank, bool sleep, bool nested)
{
	if (rank != RANK_NONE) {
		for (unsigned i = 0; i < h->n; i++) {
			if (h->l[i].lock == lock)
				BUG("lock %p of rank %u taken twice", lock, rank);
			/* A mutex inside a sleep lock of its rank is in order: the other way round nobody can wait. */
			if (h->l[i].rank > rank || (h->l[i].rank == rank && !nested && !(h->l[i].sleep && !sleep)))
				BUG("lock order: rank %u taken while rank %u is held", rank, h->l[i].rank);
		}
	}
	if (h->n == HELD_MAX)
		BUG("more than %d locks held", HELD_MAX);
	h->l[h->n].lock = lock;
	h->l[h->n].rank = rank;
	h->l[h->n++].sleep = sleep;
}

void held_del(struct held_locks *h, void *lock)
{
	for (unsigned i = h->n; i-- > 0;)
		if (h->l[i].lock == lock) {
			memmove(&h->l[i], &h->l[i + 1], (h->n - i - 1) * sizeof(h->l[0]));
			h->n--;
			return;
		}
	BUG("unlock of a lock that is not held: %p", lock);
}

void held_check_park(const char *what)
{
	struct held_locks *h = held_locks();

	for (unsigned i = 0; i < h->n; i++)
		if (!h->l[i].sleep)
			BUG("%s with a mutex of rank %u held", what, h->l[i].rank);
}
#else
void held_check_park(const char *what) { (void)what; }
#endif

/* ---- mutex: 0 free, 1 locked, 2 locked and perhaps waited for ---- */

void mutex_init(struct mutex *m, enum lock_rank rank)
{
	*m = (struct mutex){ .rank = rank };
}

void mutex_lock_slow(struct mutex *m)
{
	/* Sections are short: the owner is likely to be done before a host call would be. */
	for (int i = 0; i < 200; i++) {
		uint32_t z = 0;
		if (atomic_load_explicit(&m->state, memory_order_relaxed) == 0 &&
		    atomic_compare_exchange_weak_explicit(&m->state, &z, 1, memory_order_acquire, memory_order_relaxed))
			return;
		__builtin_ia32_pause();
	}
	while (atomic_exchange_explicit(&m->state, 2, memory_order_acquire) != 0)
		futex(&m->state, FUTEX_WAIT, 2, NULL);
}

void mutex_unlock_slow(struct mutex *m)
{
	futex(&m->state, FUTEX_WAKE, 1, NULL);
}

#ifdef BAILEY_DEBUG
static void mutex_lock_common(struct mutex *m, bool nested)
{
	struct held_locks *h = held_locks();
	uint32_t z = 0;

	held_add(h, m, m->rank, false, nested);
	if (!atomic_compare_exchange_strong_explicit(&m->state, &z, 1, memory_order_acquire, memory_order_relaxed))
		mutex_lock_slow(m);
	m->owner = h;
}

void mutex_lock(struct mutex *m)
{
	mutex_lock_common(m, false);
}

void mutex_lock_nested(struct mutex *m)
{
	mutex_lock_common(m, true);
}

bool mutex_trylock(struct mutex *m)
{
	uint32_t z = 0;

	/* A trylock cannot deadlock: no rank check, but it counts as held. */
	if (!atomic_compare_exchange_strong_explicit(&m->state, &z, 1, memory_order_acquire, memory_order_relaxed))
		return false;
	struct held_locks *h = held_locks();
	BUG_ON(h->n == HELD_MAX);
	h->l[h->n].lock = m;
	h->l[h->n].rank = m->rank;
	h->l[h->n++].sleep = false;
	m->owner = h;
	return true;
}

void mutex_unlock(struct mutex *m)
{
	held_del(held_locks(), m);
	m->owner = NULL;
	if (atomic_exchange_explicit(&m->state, 0, memory_order_release) == 2)
		mutex_unlock_slow(m);
}

void mutex_assert_held(struct mutex *m)
{
	BUG_ON(m->owner != held_locks());
}
#endif

/* ---- sleep locks ----
 * owner holds the fiber, with bit 0 set once somebody waits. Unlock with waiters hands the lock to the first of them, so that
 * nobody starves and a waiter that was woken has the lock. Threads outside fibers (start-up, tests) own it under a tag of
 * their own and poll. */

#define WAITERS ((uintptr_t)1)

static uintptr_t sleeplock_me(void)
{
	struct fiber *f = fiber_self();

	if (likely(f != NULL))
		return (uintptr_t)f;
	static __thread uintptr_t tag __attribute__((aligned(16)));
	return (uintptr_t)&tag;
}

void sleeplock_init(struct sleeplock *l, enum lock_rank rank)
{
	atomic_init(&l->owner, 0);
	mutex_init(&l->lock, RANK_NONE);
	TAILQ_INIT(&l->waiters);
	l->rank = rank;
}

static bool sleeplock_fast(struct sleeplock *l, uintptr_t me)
{
	uintptr_t z = 0;

	return atomic_compare_exchange_strong_explicit(&l->owner, &z, me, memory_order_acquire, memory_order_relaxed);
}

static int sleeplock_slow(struct sleeplock *l, uintptr_t me, enum park_mode mode)
{
	struct fiber *f = fiber_self();
	int ret = 0;

	BUG_ON((atomic_load_explicit(&l->owner, memory_order_relaxed) & ~WAITERS) == me);
	while (!f) {
		if (sleeplock_fast(l, me))
			return 0;
		sched_yield();
	}
	struct wait_entry e;
	wait_entry_init_fiber(&e, f);
	mutex_lock(&l->lock);
	uintptr_t o = atomic_load(&l->owner);
	for (;;) {
		if (o == 0) {
			if (atomic_compare_exchange_weak(&l->owner, &o, me)) {
				mutex_unlock(&l->lock);
				return 0;
			}
		} else if ((o & WAITERS) || atomic_compare_exchange_weak(&l->owner, &o, o | WAITERS)) {
			break;
		}
	}
	TAILQ_INSERT_TAIL(&l->waiters, &e, link);
	e.queued = true;
	mutex_unlock(&l->lock);
	bool again = false;
	for (;;) {
		int r = fiber_park(mode, KTIME_MAX);
		mutex_lock(&l->lock);
		if (!e.queued) {
			mutex_unlock(&l->lock);
			break;
		}
		if (r) {
			TAILQ_REMOVE(&l->waiters, &e, link); /* WAITERS may stay set without any: unlock copes */
			mutex_unlock(&l->lock);
			ret = r;
			break;
		}
		mutex_unlock(&l->lock);
		again = true;
	}
	(void)again;
	/* The token that ended the park may have stood for an outer wait as well: leave one, waits look again. */
	fiber_wake(f);
	return ret;
}

#ifdef BAILEY_DEBUG
#define NOTE(l, nested) held_add(held_locks(), (l), (l)->rank, true, nested)
#define UNNOTE(l) held_del(held_locks(), (l))
#else
#define NOTE(l, nested) ((void)0)
#define UNNOTE(l) ((void)0)
#endif

void sleeplock_lock(struct sleeplock *l)
{
	uintptr_t me = sleeplock_me();

	held_check_park("sleeplock_lock");
	NOTE(l, false);
	if (unlikely(!sleeplock_fast(l, me)))
		sleeplock_slow(l, me, PARK_UNINTERRUPTIBLE);
}

void sleeplock_lock_nested(struct sleeplock *l)
{
	uintptr_t me = sleeplock_me();

	held_check_park("sleeplock_lock");
	NOTE(l, true);
	if (unlikely(!sleeplock_fast(l, me)))
		sleeplock_slow(l, me, PARK_UNINTERRUPTIBLE);
}

int sleeplock_lock_killable(struct sleeplock *l)
{
	uintptr_t me = sleeplock_me();

	held_check_park("sleeplock_lock");
	if (unlikely(!sleeplock_fast(l, me))) {
		int r = sleeplock_slow(l, me, PARK_KILLABLE);
		if (r)
			return r;
	}
	NOTE(l, false);
	return 0;
}

bool sleeplock_trylock(struct sleeplock *l)
{
	if (!sleeplock_fast(l, sleeplock_me()))
		return false;
	NOTE(l, true);
	return true;
}

void sleeplock_unlock(struct sleeplock *l)
{
	uintptr_t me = sleeplock_me();
	uintptr_t o = me;

	UNNOTE(l);
	if (likely(atomic_compare_exchange_strong_explicit(&l->owner, &o, 0, memory_order_release, memory_order_relaxed)))
		return;
	BUG_ON((o & ~WAITERS) != me);
	mutex_lock(&l->lock);
	struct wait_entry *e = TAILQ_FIRST(&l->waiters);
	struct fiber *next = NULL;
	if (e) {
		TAILQ_REMOVE(&l->waiters, e, link);
		next = e->fiber;
		atomic_store(&l->owner, (uintptr_t)next | (TAILQ_EMPTY(&l->waiters) ? 0 : WAITERS));
		e->queued = false;
		fiber_wake(next); /* under the lock: e and next live until the waiter has taken it */
	} else {
		atomic_store(&l->owner, 0);
	}
	mutex_unlock(&l->lock);
}

bool sleeplock_is_held(struct sleeplock *l)
{
	return (atomic_load_explicit(&l->owner, memory_order_relaxed) & ~WAITERS) == sleeplock_me();
}
