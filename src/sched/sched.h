/* SPDX-License-Identifier: Apache-2.0 */
/* sched.h: fibers on workers; locks; wait queues; timers; host descriptors that become ready.
 *
 * A fiber is a kernel stack that runs one guest task's run loop in plain blocking style. Workers (host threads, one to
 * begin with, at most one per host CPU) run fibers. A fiber has a home worker, which only it changes (fiber_move). Parking is a property of the fiber, so
 * every floor can sleep without knowing tasks.
 *
 * Host errno is thread-local and a fiber may continue on another host thread after a park: never use errno across a
 * call that may park. Host calls are wrapped so that they return -errno.
 */
#ifndef BAILEY_SCHED_SCHED_H
#define BAILEY_SCHED_SCHED_H
#include "lib/lib.h"
#include "sched/rank.h"

typedef int64_t ktime_t; /* nanoseconds */
#define KTIME_MAX INT64_MAX
#define NSEC_PER_SEC 1000000000LL
#define NSEC_PER_MSEC 1000000LL
#define NSEC_PER_USEC 1000LL
ktime_t ktime_mono(void); /* host CLOCK_MONOTONIC: the clock of every deadline in the kernel */
ktime_t ktime_real(void);
ktime_t ktime_add_sat(ktime_t a, ktime_t b); /* saturates at KTIME_MAX; b >= 0 */

struct sched;
struct fiber;
struct mm;
struct pl_thread;

/* ---- scheduler ---- */

/* Where a worker gets its events and sleeps; the platform supplies it. */
struct idle_ops {
	/* Look once, without blocking, for guest events; wake the fibers they belong to. Returns how many were found.
	 * Called between fibers while the run queue is not empty and before going to sleep. */
	int (*poll)(void *arg, int worker);
	/* Block until an event, a host descriptor of sched_epoll_fd(), the deadline or kick(). May return early. */
	void (*wait)(void *arg, int worker, ktime_t deadline);
	/* From any thread: make wait() of that worker return (or not start). */
	void (*kick)(void *arg, int worker);
};
struct sched *sched_create(int nworkers);
void sched_set_idle(struct sched *s, const struct idle_ops *ops, void *arg); /* before sched_run */
/* Runs worker 0 on the calling thread, the others on threads of their own, until sched_stop(). Returns its code. */
int sched_run(struct sched *s);
void sched_stop(struct sched *s, int code);
void sched_destroy(struct sched *s);
/* Has the calling worker another fiber to run, or one waiting in its inbox? */
bool sched_has_runnable(void);
int sched_nworkers(struct sched *s);
int sched_worker_id(void); /* of the calling worker, or -1 */
/* The poller's epoll descriptor (for an idle wait that sleeps on several things), and: handle what is ready there now. */
int sched_epoll_fd(struct sched *s);
int sched_poll_host(struct sched *s);
int sched_look_at_host(void); /* sched_poll_host() of the running worker's scheduler, if anything is watched */
bool sched_expects_host(struct sched *s);
void sched_expect_host(void); /* what was just done makes other descriptors ready: look before sleeping (else the sleep itself tells) */
bool sched_has_host_waiters(struct sched *s); /* worth looking at the epoll descriptor before sleeping */

/* ---- fibers ---- */

enum park_mode { PARK_INTERRUPTIBLE, PARK_KILLABLE, PARK_UNINTERRUPTIBLE };
enum fiber_interrupt { INTERRUPT_SIGNAL = 1, INTERRUPT_KILL = 2 };

/* Public part: the current task's context for the floors that may not know tasks. Own fiber only. */
struct fiber_context {
	void *task;		  /* struct task, borrowed */
	struct mm *mm;		  /* the address space that user copies go to, borrowed */
	struct pl_thread *thread; /* borrowed */
	struct cred *cred;	  /* effective credentials for permission checks, borrowed */
	struct fs_context *fs;	  /* borrowed */
	struct fd_table *fdt;	  /* borrowed */
	bool no_windows;	  /* data read must be in the guest's memory when the call ends (mm/window.c) */
	/* vfs: the last read that left the copy to the stub; again: it was not made, the call comes once more */
	struct { uint64_t file; int64_t from, to; bool again; } window_read;
	bool timed;		  /* count the TSC ticks that pass in parks */
	uint64_t parked_ticks;
#ifdef BAILEY_KCOV
	_Atomic uint64_t *kcov_area; /* NULL: not traced (kernel/kcov.h) */
	uint64_t kcov_size;
#endif
};
/* Not started: fiber_wake() starts it. Runs on the worker with the given number, or the caller's (-1). */
struct fiber *fiber_create(struct sched *s, int worker, const char *name, void (*fn)(void *), void *arg);
struct fiber *fiber_self(void);		       /* NULL outside fibers */
struct fiber_context *fiber_context(void);     /* of the running fiber */
struct fiber_context *fiber_context_of(struct fiber *f);
_Noreturn void fiber_exit(void);	       /* frees the fiber once it is off its stack */
void fiber_yield(void);
/* The running fiber goes on on another worker, which is its home from now on. Returns the number of the one it was on. No mutex held. */
int fiber_move(int worker);

/* Park until a wake token arrives. Every caller loops and looks at its condition: stale tokens come. Returns 0 with the token consumed, -ETIMEDOUT after the deadline (ktime_mono), or
 * -EINTR if interrupted as the mode allows (the interrupt stays set until fiber_clear_interrupt). No mutex may be held. */
int fiber_park(enum park_mode mode, ktime_t deadline);
/* Leave a wake token (at most one is kept) and make the fiber runnable if it is parked. Any thread, any lock above RANK_SCHED. */
void fiber_wake(struct fiber *f);
/* Interrupt an interruptible (or, with KILL, killable) park, now or the next time. */
void fiber_interrupt(struct fiber *f, enum fiber_interrupt how);
void fiber_clear_interrupt(struct fiber *f); /* own fiber; SIGNAL level only, KILL stays */
void fiber_clear_kill(struct fiber *f); /* own fiber, which is about to end and may be made to wait until then */
bool fiber_is_parked(struct fiber *f); /* just now; any thread, f must not end meanwhile */
bool fiber_interrupted(enum park_mode mode); /* would a park in this mode return -EINTR now? */

/* Bracket for a blocking host call: another thread takes over this worker's run queue meanwhile. No mutex held. */
void worker_block_begin(void);
void worker_block_end(void);

/* ---- locks ---- */

struct mutex { /* held for short sections, never across a park */
	_Atomic uint32_t state;
	uint32_t rank;
#ifdef BAILEY_DEBUG
	void *owner; /* struct held_locks of the holder */
#endif
};
void mutex_init(struct mutex *m, enum lock_rank rank);
void mutex_lock_slow(struct mutex *m);
void mutex_unlock_slow(struct mutex *m);
#ifdef BAILEY_DEBUG
void mutex_lock(struct mutex *m);
void mutex_lock_nested(struct mutex *m);
bool mutex_trylock(struct mutex *m);
void mutex_unlock(struct mutex *m);
void mutex_assert_held(struct mutex *m);
#else
static inline bool mutex_trylock(struct mutex *m)
{
	uint32_t z = 0;
	return atomic_compare_exchange_strong_explicit(&m->state, &z, 1, memory_order_acquire, memory_order_relaxed);
}
static inline void mutex_lock(struct mutex *m)
{
	if (unlikely(!mutex_trylock(m)))
		mutex_lock_slow(m);
}
#define mutex_lock_nested mutex_lock
static inline void mutex_unlock(struct mutex *m)
{
	if (unlikely(atomic_exchange_explicit(&m->state, 0, memory_order_release) == 2))
		mutex_unlock_slow(m);
}
static inline void mutex_assert_held(struct mutex *m) { DEBUG_BUG_ON(!m); (void)m; }
#endif
DEFINE_GUARD(mutex, struct mutex *, mutex_lock(_l), mutex_unlock(_l));

struct wait_entry;
TAILQ_HEAD(wait_list, wait_entry);
struct wait_queue {
	struct mutex lock; /* RANK_WAITQ */
	struct wait_list entries;
};
struct sleeplock { /* may be held across blocking host I/O and parks; waiting parks the fiber (uninterruptible) */
	_Atomic uintptr_t owner; /* struct fiber *, bit 0: somebody waits. Handed over directly at unlock */
	struct mutex lock;	 /* the waiters */
	struct wait_list waiters;
	uint32_t rank;
};
void sleeplock_init(struct sleeplock *l, enum lock_rank rank);
void sleeplock_lock(struct sleeplock *l);
void sleeplock_lock_nested(struct sleeplock *l);
int sleeplock_lock_killable(struct sleeplock *l); /* 0 or -EINTR */
bool sleeplock_trylock(struct sleeplock *l);
void sleeplock_unlock(struct sleeplock *l);
bool sleeplock_is_held(struct sleeplock *l); /* by the calling fiber */
DEFINE_GUARD(sleeplock, struct sleeplock *, sleeplock_lock(_l), sleeplock_unlock(_l));

/* ---- wait queues ---- */

/* key: poll events (EPOLLIN...) of the wake-up, 0 = unspecified. Called with wq.lock held; takes no lock above RANK_WAITQ.
 * Returns true if this entry was woken (counts against an exclusive wake-up). */
typedef bool wait_func(struct wait_entry *e, unsigned key);
struct wait_entry {
	TAILQ_ENTRY(wait_entry) link;
	wait_func *func;
	void *private;
	struct fiber *fiber;
	bool exclusive, queued;
};
void wait_queue_init(struct wait_queue *q);
void wait_queue_add(struct wait_queue *q, struct wait_entry *e); /* exclusive entries at the tail; fine when queued already */
void wait_queue_del(struct wait_queue *q, struct wait_entry *e); /* fine when not queued */
/* Wake every non-exclusive waiter and at most nr_exclusive exclusive ones. */
void wait_queue_wake_nr(struct wait_queue *q, unsigned key, int nr_exclusive);
static inline void wait_queue_wake(struct wait_queue *q, unsigned key) { wait_queue_wake_nr(q, key, 1); }
static inline void wait_queue_wake_all(struct wait_queue *q, unsigned key) { wait_queue_wake_nr(q, key, INT32_MAX); }
bool wait_queue_active(struct wait_queue *q);
void wait_entry_init_fiber(struct wait_entry *e, struct fiber *f); /* func: fiber_wake */

/* Sleep until cond is true. 0, -EINTR (interrupted as mode allows) or -ETIMEDOUT. cond is evaluated without wq.lock. */
#define wait_event(wq, cond, mode, deadline)                                                                           \
	({                                                                                                             \
		int we_ret_ = 0;                                                                                       \
		if (!(cond)) {                                                                                         \
			struct wait_entry we_;                                                                         \
			wait_entry_init_fiber(&we_, fiber_self());                                                     \
			wait_queue_add((wq), &we_);                                                                    \
			while (!(cond)) {                                                                              \
				we_ret_ = fiber_park((mode), (deadline));                                              \
				if (we_ret_) {                                                                         \
					if (cond)                                                                      \
						we_ret_ = 0;                                                           \
					break;                                                                         \
				}                                                                                      \
			}                                                                                              \
			wait_queue_del((wq), &we_);                                                                    \
		}                                                                                                      \
		we_ret_;                                                                                               \
	})

/* The same for a waiter of which one is enough (accept, epoll_wait): it is taken off the queue by its wake-up, and queues anew. */
#define wait_event_exclusive(wq, cond, mode, deadline)                                                                 \
	({                                                                                                             \
		int we_ret_ = 0;                                                                                       \
		if (!(cond)) {                                                                                         \
			struct wait_entry we_;                                                                         \
			wait_entry_init_fiber(&we_, fiber_self());                                                     \
			we_.exclusive = true;                                                                          \
			for (;;) {                                                                                     \
				wait_queue_add((wq), &we_);                                                            \
				if (cond)                                                                              \
					break;                                                                         \
				we_ret_ = fiber_park((mode), (deadline));                                              \
				if (we_ret_) {                                                                         \
					if (cond)                                                                      \
						we_ret_ = 0;                                                           \
					break;                                                                         \
				}                                                                                      \
			}                                                                                              \
			wait_queue_del((wq), &we_);                                                                    \
		}                                                                                                      \
		we_ret_;                                                                                               \
	})

/* ---- timers ---- */

struct ktimer { /* one-shot; fn runs on a worker, outside fibers: it may take mutexes and wake fibers, never park */
	ktime_t expires;
	void (*fn)(struct ktimer *t);
	struct sched *sched;
	uint32_t index; /* place in the heap, 0 = not queued; sched's lock */
};
void ktimer_init(struct ktimer *t, struct sched *s, void (*fn)(struct ktimer *));
void ktimer_start(struct ktimer *t, ktime_t expires); /* (re)arm; expires is ktime_mono */
bool ktimer_cancel(struct ktimer *t);		      /* true if it was queued; fn may still be running elsewhere */
void ktimer_cancel_sync(struct ktimer *t);	      /* and waits until fn is not running; not from fn, no lock that fn takes */

/* ---- host descriptors ---- */

/* Wakes wq with EPOLL* keys when the host says that fd became ready (edge-triggered). */
struct host_poll {
	int fd;
	struct wait_queue *wq;
	struct sched *sched;
	_Atomic unsigned *ready; /* NULL, or where the events are kept too, before wq is woken */
	_Atomic uint32_t gen; /* of the place in the poller's table; 0: not there */
	uint32_t slot;
};
int host_poll_add(struct host_poll *p, struct sched *s, int fd, struct wait_queue *wq); /* 0 or -errno */
void host_poll_del(struct host_poll *p); /* before the fd is closed; afterwards no wake-up comes any more */
unsigned host_poll_now(int fd, unsigned events); /* poll(2) with timeout 0: ready EPOLL* bits */

#endif
