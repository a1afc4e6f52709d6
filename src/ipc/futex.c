/* SPDX-License-Identifier: Apache-2.0 */
/* futex.c: wait queues on words of guest memory (futex(2)).
 *
 * OVERVIEW
 * A waiter puts a struct futex_q (on its fiber's stack) into the bucket of its word's key and parks. The word is read again under the
 * bucket lock, from the guest itself and never from what came along with the call: a waker changes the word before it takes the lock, so
 * either the waiter sees the change or the waker sees the waiter. A bucket counts its waiters (and those about to become some), so
 * that a wake-up without waiters takes no lock.
 *
 * Who takes a q off its bucket decides: a wake-up, or its own time-out or interrupt. A q may move between buckets (requeue); it is
 * safe to follow q->bucket under that bucket's lock, and buckets live as long as the table.
 *
 * PRIORITY INHERITANCE
 * Fibers have no priorities to inherit: what remains of PI futexes is the kernel's hand-over of the word. A guest word is changed
 * atomically by the guest thread itself (pl_cmpxchg32), which parks, so never under a bucket lock: the unlocker takes the first waiter off
 * the queue (PI_HANDOFF: it may not leave), writes the waiter's id into the word, and then tells it (PI_OWNED). A waiter queues
 * only if, under the lock, the word still names the owner that it saw and says FUTEX_WAITERS.
 *
 * LOCKS
 * bucket.lock (RANK_FUTEX); two of them in order of address. fiber_wake() is called under it.
 */
#include "ipc/futex.h"
#include "mm/uaccess.h"
#include <linux/futex.h>

enum pi_state { PI_NONE, PI_HANDOFF, PI_OWNED, PI_RETRY, PI_OWNER_DIED };

struct futex_bucket {
	struct mutex lock; /* RANK_FUTEX */
	_Atomic unsigned waiters;
	TAILQ_HEAD(, futex_q) queue; /* lock */
} __attribute__((aligned(64)));

struct futex_q { /* bucket lock, but for what does not change */
	TAILQ_ENTRY(futex_q) link;
	struct futex_key key;
	struct futex_bucket *_Atomic bucket;
	struct fiber *fiber; /* immutable */
	uint32_t bitset;     /* immutable */
	int prio;	     /* immutable once queued: the queue is in its order, then in that of arrival */
	bool queued;
	bool pi;		  /* waits for the lock itself */
	bool requeue_pi;	  /* FUTEX_WAIT_REQUEUE_PI: to go on with requeue_key */
	bool requeued;
	struct futex_key requeue_key;
	enum pi_state state;
	struct futex_self self;
	uint64_t owner_id;	  /* who held the word when it queued, or whom it was handed to since */
};

#define NBUCKETS 1024
struct futex_table {
	struct futex_bucket buckets[NBUCKETS];
	uint64_t (*owner_id)(uint32_t tid);
	int (*priority)(void);
	_Atomic unsigned pi_waiters;
};

struct futex_table *futex_table_create(uint64_t (*owner_id)(uint32_t), int (*priority)(void))
{
	struct futex_table *ft = aligned_alloc(64, ALIGN_UP(sizeof(*ft), (size_t)64));

	BUG_ON(!ft);
	memset(ft, 0, sizeof(*ft));
	for (int i = 0; i < NBUCKETS; i++) {
		mutex_init(&ft->buckets[i].lock, RANK_FUTEX);
		TAILQ_INIT(&ft->buckets[i].queue);
	}
	ft->owner_id = owner_id;
	ft->priority = priority;
	return ft;
}

void futex_table_destroy(struct futex_table *ft)
{
	free(ft);
}

static struct futex_bucket *bucket_of(struct futex_table *ft, const struct futex_key *k)
{
	uint64_t h = (k->object ^ (k->offset >> 2) * 0x9e3779b97f4a7c15ULL) * 0xff51afd7ed558ccdULL;

	return &ft->buckets[(h ^ h >> 32) >> 8 & (NBUCKETS - 1)];
}

static bool key_eq(const struct futex_key *a, const struct futex_key *b)
{
	return a->object == b->object && a->offset == b->offset;
}

static int get_key(uaddr_t addr, bool private_, struct futex_key *key)
{
	if (addr & 3)
		return -EINVAL;
	return mm_futex_key(fiber_context()->mm, addr, private_, key);
}

/* The word as it is now. Straight from the space: mm_read() would first wait for other threads' unfinished mmaps, and this is called
 * with a bucket lock. No guest knows an address that such an mmap has not returned yet. */
static int read_word(uaddr_t addr, uint32_t *val)
{
	if (addr > PL_TASK_SIZE - 4)
		return -EFAULT;
	return pl_space_read(mm_space(fiber_context()->mm), val, addr, 4) == 4 ? 0 : -EFAULT;
}

static void q_init(struct futex_q *q, uint32_t bitset)
{
	memset(q, 0, sizeof(*q));
	q->fiber = fiber_self();
	q->bitset = bitset;
}

static void q_remove_locked(struct futex_q *q)
{
	struct futex_bucket *b = q->bucket;

	TAILQ_REMOVE(&b->queue, q, link);
	q->queued = false;
	atomic_fetch_sub(&b->waiters, 1);
}

static void q_insert_locked(struct futex_q *q, struct futex_bucket *b)
{
	q->bucket = b;
	q->queued = true;
	if (unlikely(q->prio)) {
		struct futex_q *after;

		TAILQ_FOREACH(after, &b->queue, link)
			if (after->prio < q->prio) {
				TAILQ_INSERT_BEFORE(after, q, link);
				return;
			}
	}
	TAILQ_INSERT_TAIL(&b->queue, q, link);
}

static void q_wake_locked(struct futex_q *q)
{
	q_remove_locked(q);
	fiber_wake(q->fiber);
}

static struct futex_bucket *q_lock(struct futex_q *q)
{
	for (;;) {
		struct futex_bucket *b = atomic_load(&q->bucket);

		mutex_lock(&b->lock);
		if (likely(b == atomic_load(&q->bucket)))
			return b;
		mutex_unlock(&b->lock);
	}
}

static void lock_two(struct futex_bucket *a, struct futex_bucket *b)
{
	if (a > b) {
		struct futex_bucket *s = a;

		a = b;
		b = s;
	}
	mutex_lock(&a->lock);
	if (a != b)
		mutex_lock_nested(&b->lock);
}

static void unlock_two(struct futex_bucket *a, struct futex_bucket *b)
{
	if (a != b)
		mutex_unlock(&b->lock);
	mutex_unlock(&a->lock);
}

/* Queue if the word is still val. */
static int q_enqueue(struct futex_table *ft, struct futex_q *q, uaddr_t addr, uint32_t val)
{
	struct futex_bucket *b = bucket_of(ft, &q->key);
	uint32_t now;
	int err;

	q->prio = ft->priority();
	atomic_fetch_add(&b->waiters, 1);
	mutex_lock(&b->lock);
	err = read_word(addr, &now);
	if (!err && now != val)
		err = -EAGAIN;
	if (err)
		atomic_fetch_sub(&b->waiters, 1);
	else
		q_insert_locked(q, b);
	mutex_unlock(&b->lock);
	return err;
}

/* Until somebody takes q off its queue (0), or -ETIMEDOUT or -EINTR and it is off. */
static int q_wait(struct futex_q *q, ktime_t deadline)
{
	pl_thread_will_block(fiber_context()->thread);
	for (;;) {
		int err = fiber_park(PARK_INTERRUPTIBLE, deadline);
		struct futex_bucket *b = q_lock(q);
		bool queued = q->queued;

		if (queued && err)
			q_remove_locked(q);
		mutex_unlock(&b->lock);
		if (!queued)
			return 0;
		if (err)
			return err;
	}
}

long futex_wait(struct futex_table *ft, uaddr_t addr, bool private_, uint32_t val, uint32_t bitset, ktime_t deadline)
{
	struct futex_q q;
	int err;

	if (!bitset)
		return -EINVAL;
	q_init(&q, bitset);
	err = get_key(addr, private_, &q.key);
	if (!err)
		err = q_enqueue(ft, &q, addr, val);
	return err ? err : q_wait(&q, deadline);
}

static int wake_locked(struct futex_bucket *b, const struct futex_key *key, int nr, uint32_t bitset)
{
	struct futex_q *q, *next;
	int n = 0;

	TAILQ_FOREACH_SAFE(q, &b->queue, link, next) {
		if (!key_eq(&q->key, key))
			continue;
		if (q->pi || q->requeue_pi)
			return -EINVAL;
		if (!(q->bitset & bitset))
			continue;
		q_wake_locked(q);
		if (++n >= nr)
			break;
	}
	return n;
}

long futex_wake(struct futex_table *ft, uaddr_t addr, bool private_, int nr, uint32_t bitset)
{
	struct futex_key key;
	struct futex_bucket *b;
	int err;

	if (!bitset)
		return -EINVAL;
	err = get_key(addr, private_, &key);
	if (err)
		return err;
	b = bucket_of(ft, &key);
	/* Pairs with q_enqueue: the guest's store to the word came before this call. */
	full_fence();
	if (!atomic_load(&b->waiters)) {
		uint32_t word; /* a shared word must be there: its file may have become shorter */

		return private_ ? 0 : read_word(addr, &word);
	}
	guard(mutex)(&b->lock);
	return wake_locked(b, &key, nr, bitset);
}

long futex_requeue(struct futex_table *ft, uaddr_t addr1, bool private1, uaddr_t addr2, bool private2, int nr_wake, int nr_requeue,
		   const uint32_t *cmp)
{
	struct futex_key k1, k2;
	struct futex_bucket *b1, *b2;
	struct futex_q *q, *next;
	long n = 0;
	int err;

	if (nr_wake < 0 || nr_requeue < 0)
		return -EINVAL;
	err = get_key(addr1, private1, &k1);
	if (!err)
		err = get_key(addr2, private2, &k2);
	if (err)
		return err;
	b1 = bucket_of(ft, &k1);
	b2 = bucket_of(ft, &k2);
	/* Whoever looks at b2 without its lock must already count those that are on their way there. */
	atomic_fetch_add(&b2->waiters, 1);
	lock_two(b1, b2);
	if (cmp) {
		uint32_t now;

		err = read_word(addr1, &now);
		if (!err && now != *cmp)
			err = -EAGAIN;
	}
	if (!err) {
		TAILQ_FOREACH_SAFE(q, &b1->queue, link, next) {
			if (!key_eq(&q->key, &k1))
				continue;
			if (q->pi || q->requeue_pi) {
				err = -EINVAL;
				break;
			}
			if (n < nr_wake) {
				q_wake_locked(q);
				n++;
				continue;
			}
			if (n - nr_wake >= nr_requeue)
				break;
			if (b1 != b2) {
				q_remove_locked(q);
				atomic_fetch_add(&b2->waiters, 1);
				q_insert_locked(q, b2);
			}
			q->key = k2;
			n++;
		}
	}
	unlock_two(b1, b2);
	atomic_fetch_sub(&b2->waiters, 1);
	return err ? err : n;
}

static int cmpxchg(uaddr_t addr, uint32_t expect, uint32_t val, uint32_t *old)
{
	return pl_cmpxchg32(fiber_context()->thread, addr, expect, val, old);
}

/* FUTEX_WAKE_OP's operation on the second word: its old value against the comparison: 0, 1 or -errno. */
static int do_wake_op(uaddr_t addr, uint32_t encoded)
{
	unsigned op = (encoded >> 28) & 7, cmp = (encoded >> 24) & 15;
	int32_t oparg = (int32_t)(encoded << 8) >> 20, cmparg = (int32_t)(encoded << 20) >> 20;
	uint32_t word, old, val;
	int err = read_word(addr, &word);

	if ((encoded >> 28) & FUTEX_OP_OPARG_SHIFT)
		oparg = (int32_t)(1U << (oparg & 31));
	if (op > FUTEX_OP_XOR)
		return -ENOSYS;
	while (!err) {
		switch (op) {
		case FUTEX_OP_SET: val = oparg; break;
		case FUTEX_OP_ADD: val = word + (uint32_t)oparg; break;
		case FUTEX_OP_OR: val = word | (uint32_t)oparg; break;
		case FUTEX_OP_ANDN: val = word & ~(uint32_t)oparg; break;
		default: val = word ^ (uint32_t)oparg; break;
		}
		err = cmpxchg(addr, word, val, &old);
		if (!err && old == word)
			break;
		word = old;
		if (!err && fiber_interrupted(PARK_KILLABLE))
			return -EINTR;
	}
	if (err)
		return err;
	switch (cmp) {
	case FUTEX_OP_CMP_EQ: return (int32_t)word == cmparg;
	case FUTEX_OP_CMP_NE: return (int32_t)word != cmparg;
	case FUTEX_OP_CMP_LT: return (int32_t)word < cmparg;
	case FUTEX_OP_CMP_GE: return (int32_t)word >= cmparg;
	case FUTEX_OP_CMP_LE: return (int32_t)word <= cmparg;
	case FUTEX_OP_CMP_GT: return (int32_t)word > cmparg;
	default: return -ENOSYS;
	}
}

long futex_wake_op(struct futex_table *ft, uaddr_t addr1, uaddr_t addr2, bool private_, int nr_wake, int nr_wake2, uint32_t op)
{
	struct futex_key k1, k2;
	struct futex_bucket *b1, *b2;
	int err, also, n;

	err = get_key(addr1, private_, &k1);
	if (!err)
		err = get_key(addr2, private_, &k2);
	if (err)
		return err;
	also = do_wake_op(addr2, op);
	if (also < 0)
		return also;
	b1 = bucket_of(ft, &k1);
	b2 = bucket_of(ft, &k2);
	lock_two(b1, b2);
	n = wake_locked(b1, &k1, nr_wake, FUTEX_BITSET_ANY);
	if (n >= 0 && also) {
		int m = wake_locked(b2, &k2, nr_wake2, FUTEX_BITSET_ANY);

		n = m < 0 ? m : n + m;
	}
	unlock_two(b1, b2);
	return n;
}

/* ---- several at once ---- */

/* Take all off; the lowest that somebody else took off already, or -1. */
static int unqueue_all(struct futex_q *q, unsigned n)
{
	int woken = -1;

	for (unsigned i = 0; i < n; i++) {
		struct futex_bucket *b = q_lock(&q[i]);

		if (q[i].queued)
			q_remove_locked(&q[i]);
		else if (woken < 0)
			woken = (int)i;
		mutex_unlock(&b->lock);
	}
	return woken;
}

static bool any_woken(struct futex_q *q, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct futex_bucket *b = q_lock(&q[i]);
		bool queued = q[i].queued;

		mutex_unlock(&b->lock);
		if (!queued)
			return true;
	}
	return false;
}

long futex_wait_multiple(struct futex_table *ft, const struct futex_vec *v, unsigned n, ktime_t deadline)
{
	__free(mem) void *mem = xcalloc(n, sizeof(struct futex_q));
	struct futex_q *q = mem;
	unsigned i;
	int err = 0, woken;

	for (i = 0; i < n && !err; i++) {
		q_init(&q[i], FUTEX_BITSET_ANY);
		err = get_key(v[i].addr, v[i].private_, &q[i].key);
	}
	for (i = 0; i < n && !err; i++) {
		err = q_enqueue(ft, &q[i], v[i].addr, v[i].val);
		if (err) {
			woken = unqueue_all(q, i);
			return woken >= 0 ? woken : err;
		}
	}
	if (err)
		return err;
	pl_thread_will_block(fiber_context()->thread);
	while (!err && !any_woken(q, n))
		err = fiber_park(PARK_INTERRUPTIBLE, deadline);
	woken = unqueue_all(q, n);
	return woken >= 0 ? woken : err;
}

/* ---- priority inheritance ---- */

/* The waiters of key have a new owner. Bucket lock. */
static void pi_set_owner_locked(struct futex_bucket *b, const struct futex_key *key, uint64_t id)
{
	struct futex_q *q;

	TAILQ_FOREACH(q, &b->queue, link)
		if (q->pi && key_eq(&q->key, key))
			q->owner_id = id;
}

static struct futex_q *pi_first_locked(struct futex_bucket *b, const struct futex_key *key)
{
	struct futex_q *q;

	TAILQ_FOREACH(q, &b->queue, link)
		if (q->pi && key_eq(&q->key, key))
			return q;
	return NULL;
}

/* Somebody waits there who does not mean a PI lock. Bucket lock. */
static bool pi_misused_locked(struct futex_bucket *b, const struct futex_key *key)
{
	struct futex_q *q;

	TAILQ_FOREACH(q, &b->queue, link)
		if (key_eq(&q->key, key))
			return !q->pi;
	return false;
}

static bool pi_misused(struct futex_table *ft, const struct futex_key *key)
{
	struct futex_bucket *b = bucket_of(ft, key);

	if (!atomic_load(&b->waiters))
		return false;
	guard(mutex)(&b->lock);
	return pi_misused_locked(b, key);
}

/* Whom the thread waits for that owner names; 0: for nobody. */
static uint64_t pi_next_owner(struct futex_table *ft, uint64_t owner)
{
	for (int i = 0; i < NBUCKETS; i++) {
		struct futex_bucket *b = &ft->buckets[i];
		struct futex_q *q;

		if (!atomic_load(&b->waiters))
			continue;
		guard(mutex)(&b->lock);
		TAILQ_FOREACH(q, &b->queue, link)
			if (q->pi && q->self.id == owner)
				return q->owner_id;
	}
	return 0;
}

#define PI_CHAIN_MAX 1024

/* q is queued: do those that it waits for wait for it? Looked at after queueing, so that of a circle the last one sees it. */
static bool pi_deadlock(struct futex_table *ft, const struct futex_q *q, uint64_t owner)
{
	int n = 0;

	if (atomic_load(&ft->pi_waiters) < 2)
		return false;
	while (owner && owner != q->self.id && n++ < PI_CHAIN_MAX)
		owner = pi_next_owner(ft, owner);
	return owner != 0;
}

/* The word was given up to nobody: those who queued between the look at the queue and that try again. */
static void pi_retry_all(struct futex_bucket *b, const struct futex_key *key)
{
	struct futex_q *q, *next;

	mutex_lock(&b->lock);
	TAILQ_FOREACH_SAFE(q, &b->queue, link, next)
		if (q->pi && key_eq(&q->key, key)) {
			q->state = PI_RETRY;
			q_wake_locked(q);
		}
	mutex_unlock(&b->lock);
}

static void pi_set_state(struct futex_q *q, enum pi_state state)
{
	struct futex_bucket *b = q_lock(q);

	q->state = state;
	fiber_wake(q->fiber);
	mutex_unlock(&b->lock);
}

/* What became of a q that was taken off its queue. */
static enum pi_state pi_wait_handoff(struct futex_q *q)
{
	for (;;) {
		struct futex_bucket *b = q_lock(q);
		enum pi_state s = q->state;

		mutex_unlock(&b->lock);
		if (s != PI_HANDOFF)
			return s;
		fiber_park(PARK_UNINTERRUPTIBLE, KTIME_MAX); /* bounded: the unlocker is in pl_cmpxchg32 */
	}
}

#define ECHANGED 1000 /* inside this file: the word changed under us */

static int pi_cmpxchg(uaddr_t addr, uint32_t expect, uint32_t val)
{
	uint32_t old;
	int err = cmpxchg(addr, expect, val, &old);

	return err ? err : old == expect ? 0 : -ECHANGED;
}

/* One step towards the lock: 0 with *owner 0: it is ours; with *owner set: q may be queued if the word is still *word. -ECHANGED: once
 * more. dead: the identity of an owner that died holding it. */
static int pi_try(struct futex_table *ft, struct futex_q *q, uaddr_t addr, bool try, uint64_t dead, uint32_t *word, uint32_t *owner)
{
	uint32_t own;
	int err = read_word(addr, word);

	*owner = 0;
	if (err)
		return err;
	own = *word & FUTEX_TID_MASK;
	if (own == q->self.tid)
		return -EDEADLK;
	if (pi_misused(ft, &q->key))
		return -EINVAL;
	if (!own)
		return pi_cmpxchg(addr, *word, q->self.tid | (*word & (FUTEX_OWNER_DIED | FUTEX_WAITERS)));
	q->owner_id = ft->owner_id(own);
	if (dead && (!q->owner_id || q->owner_id == dead))
		return pi_cmpxchg(addr, *word, q->self.tid | FUTEX_OWNER_DIED | FUTEX_WAITERS);
	if (!(*word & FUTEX_WAITERS)) { /* whatever comes of it */
		err = pi_cmpxchg(addr, *word, *word | FUTEX_WAITERS);
		if (err)
			return err;
		*word |= FUTEX_WAITERS;
	}
	if (!q->owner_id)
		return -ESRCH;
	if (try)
		return -EWOULDBLOCK;
	*owner = own;
	return 0;
}

/* Queue behind the owner and wait. 0: look at q->state. */
static int pi_wait(struct futex_table *ft, struct futex_q *q, uaddr_t addr, uint32_t word, uint32_t owner, ktime_t deadline)
{
	uint64_t id = q->owner_id;
	int err;

	q->state = PI_NONE;
	q->pi = true;
	/* Counted before it queues, and the owner is looked at again after that: either its exit finds us, or we find it exiting. */
	atomic_fetch_add(&ft->pi_waiters, 1);
	err = q_enqueue(ft, q, addr, word);
	if (err) {
		err = err == -EAGAIN ? -ECHANGED : err;
	} else if (!ft->owner_id(owner) || pi_deadlock(ft, q, id)) {
		struct futex_bucket *b = q_lock(q);

		if (q->queued) {
			q_remove_locked(q);
			err = ft->owner_id(owner) ? -EDEADLK : -ECHANGED;
		}
		mutex_unlock(&b->lock);
	} else {
		err = q_wait(q, deadline);
	}
	atomic_fetch_sub(&ft->pi_waiters, 1);
	return err;
}

static long pi_lock(struct futex_table *ft, struct futex_q *q, uaddr_t addr, bool try, ktime_t deadline)
{
	uint64_t dead = 0;

	for (;;) {
		uint32_t word, owner;
		int err = pi_try(ft, q, addr, try, dead, &word, &owner);

		if (!err && !owner) {
			struct futex_bucket *b = bucket_of(ft, &q->key);

			mutex_lock(&b->lock);
			pi_set_owner_locked(b, &q->key, q->self.id);
			mutex_unlock(&b->lock);
			return 0;
		}
		if (!err)
			err = pi_wait(ft, q, addr, word, owner, deadline);
		if (err == -ECHANGED) {
			if (fiber_interrupted(PARK_INTERRUPTIBLE))
				return -EINTR;
			continue;
		}
		if (err)
			return err;
		switch (pi_wait_handoff(q)) {
		case PI_OWNED:
			return 0;
		case PI_OWNER_DIED:
			dead = q->owner_id;
			break;
		default:
			break;
		}
	}
}

long futex_lock_pi(struct futex_table *ft, uaddr_t addr, bool private_, const struct futex_self *who, bool try, ktime_t deadline)
{
	struct futex_q q;
	int err;

	q_init(&q, FUTEX_BITSET_ANY);
	q.self = *who;
	err = get_key(addr, private_, &q.key);
	return err ? err : pi_lock(ft, &q, addr, try, deadline);
}

long futex_unlock_pi(struct futex_table *ft, uaddr_t addr, bool private_, const struct futex_self *who)
{
	struct futex_key key;
	struct futex_bucket *b;
	uint32_t word, old;
	int err = read_word(addr, &word);

	if (err)
		return err;
	if ((word & FUTEX_TID_MASK) != who->tid)
		return -EPERM;
	err = get_key(addr, private_, &key);
	if (err)
		return err;
	b = bucket_of(ft, &key);
	for (;;) {
		struct futex_q *top;
		struct futex_self next;

		err = read_word(addr, &word);
		if (err)
			return err;
		if ((word & FUTEX_TID_MASK) != who->tid)
			return -EPERM;
		mutex_lock(&b->lock);
		if (pi_misused_locked(b, &key)) {
			mutex_unlock(&b->lock);
			return -EINVAL;
		}
		top = pi_first_locked(b, &key);
		if (top) {
			top->state = PI_HANDOFF;
			next = top->self;
			q_remove_locked(top);
		}
		mutex_unlock(&b->lock);
		err = cmpxchg(addr, word, top ? next.tid | FUTEX_WAITERS : 0, &old);
		if (!err && old == word) {
			if (!top) {
				pi_retry_all(b, &key);
				return 0;
			}
			mutex_lock(&b->lock);
			pi_set_owner_locked(b, &key, next.id);
			mutex_unlock(&b->lock);
			pi_set_state(top, PI_OWNED);
			return 0;
		}
		if (top)
			pi_set_state(top, PI_RETRY);
		if (err)
			return err;
		if (fiber_interrupted(PARK_KILLABLE))
			return -EINTR;
	}
}

/* Condition variables with PI mutexes. A "requeued" waiter is let go to take the second word's lock by itself: as nobody inherits
 * a priority here, waking it early only costs time. */
long futex_wait_requeue_pi(struct futex_table *ft, uaddr_t addr1, uaddr_t addr2, bool private_, uint32_t val, uint32_t bitset,
			   const struct futex_self *who, ktime_t deadline)
{
	struct futex_q q;
	struct futex_key key2;
	int err;

	if (addr1 == addr2 || !bitset)
		return -EINVAL;
	q_init(&q, bitset);
	q.self = *who;
	q.requeue_pi = true;
	err = get_key(addr2, private_, &key2);
	if (!err)
		err = get_key(addr1, private_, &q.key);
	if (err)
		return err;
	if (key_eq(&q.key, &key2))
		return -EINVAL;
	q.requeue_key = key2;
	err = q_enqueue(ft, &q, addr1, val);
	if (!err)
		err = q_wait(&q, deadline);
	if (err)
		return err;
	if (!q.requeued)
		return -EWOULDBLOCK;
	q.requeue_pi = false;
	q.key = key2;
	err = pi_lock(ft, &q, addr2, false, deadline);
	return err == -EINTR ? -EWOULDBLOCK : err;
}

long futex_cmp_requeue_pi(struct futex_table *ft, uaddr_t addr1, uaddr_t addr2, bool private_, int nr_wake, int nr_requeue, uint32_t cmp)
{
	struct futex_key k1, k2;
	struct futex_bucket *b;
	struct futex_q *q, *next;
	uint32_t now;
	long n = 0;
	int err;

	if (addr1 == addr2 || nr_wake != 1 || nr_requeue < 0)
		return -EINVAL;
	err = get_key(addr1, private_, &k1);
	if (!err)
		err = get_key(addr2, private_, &k2);
	if (err)
		return err;
	if (key_eq(&k1, &k2))
		return -EINVAL;
	b = bucket_of(ft, &k1);
	guard(mutex)(&b->lock);
	err = read_word(addr1, &now);
	if (err || now != cmp)
		return err ? err : -EAGAIN;
	TAILQ_FOREACH_SAFE(q, &b->queue, link, next) {
		if (!key_eq(&q->key, &k1))
			continue;
		if (!q->requeue_pi || !key_eq(&q->requeue_key, &k2))
			return -EINVAL;
		if (n - nr_wake >= nr_requeue)
			break;
		q->requeued = true;
		q_wake_locked(q);
		n++;
	}
	return n;
}

/* ---- a thread ends ---- */

#define ROBUST_LIMIT 2048

static void robust_death(struct futex_table *ft, uaddr_t addr, bool pi, bool pending, const struct futex_self *who)
{
	uint32_t word, old;

	if ((addr & 3) || read_word(addr, &word))
		return;
	for (;;) {
		/* It was about to lock or unlock: whoever else was woken for it may be lost with it. */
		if (pending && !pi && !word) {
			futex_wake(ft, addr, false, 1, FUTEX_BITSET_ANY);
			return;
		}
		if ((word & FUTEX_TID_MASK) != who->tid)
			return;
		if (cmpxchg(addr, word, (word & FUTEX_WAITERS) | FUTEX_OWNER_DIED, &old))
			return;
		if (old == word)
			break;
		word = old;
	}
	if (!pi && (word & FUTEX_WAITERS))
		futex_wake(ft, addr, false, 1, FUTEX_BITSET_ANY);
}

static void robust_list_exit(struct futex_table *ft, uaddr_t head, const struct futex_self *who)
{
	struct { uint64_t next; int64_t offset; uint64_t pending; } h;
	uint64_t entry, next;

	if (copy_from_user(&h, head, sizeof(h)))
		return;
	entry = h.next;
	for (int i = 0; (entry & ~1ULL) != head && i < ROBUST_LIMIT; i++) {
		bool bad = copy_from_user(&next, entry & ~1ULL, sizeof(next)); /* before the word goes: its memory may go with it */

		if ((entry & ~1ULL) != (h.pending & ~1ULL))
			robust_death(ft, (entry & ~1ULL) + (uint64_t)h.offset, entry & 1, false, who);
		if (bad)
			return;
		entry = next;
	}
	if (h.pending & ~1ULL)
		robust_death(ft, (h.pending & ~1ULL) + (uint64_t)h.offset, h.pending & 1, true, who);
}

/* Those who wait for PI words that the thread held: one of them takes each over, with FUTEX_OWNER_DIED; the others queue behind it. */
static void pi_exit(struct futex_table *ft, const struct futex_self *who)
{
	for (int i = 0; i < NBUCKETS && atomic_load(&ft->pi_waiters); i++) {
		struct futex_bucket *b = &ft->buckets[i];
		struct futex_q *q, *next;

		if (!atomic_load(&b->waiters))
			continue;
		mutex_lock(&b->lock);
		TAILQ_FOREACH_SAFE(q, &b->queue, link, next)
			if (q->pi && q->owner_id == who->id) {
				q->state = PI_OWNER_DIED;
				q_wake_locked(q);
			}
		mutex_unlock(&b->lock);
	}
}

void futex_exit(struct futex_table *ft, uaddr_t robust_head, const struct futex_self *who)
{
	if (robust_head)
		robust_list_exit(ft, robust_head, who);
	if (unlikely(atomic_load(&ft->pi_waiters)))
		pi_exit(ft, who);
}
