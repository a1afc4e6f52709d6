/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h: the scheduler's own structs.
 *
 * OVERVIEW. A worker is a run queue with a number; a thread is a host thread. A thread owns at most one worker at a time and runs
 * its fibers from the scheduler loop on the thread's own stack: every switch is loop -> fiber or fiber -> loop, so a fiber is off
 * its stack whenever anything else runs on its worker. Only the owner takes from the run queue: a fiber may be queued by anybody
 * while it is still on its way off its stack, since whoever takes it has been through the loop.
 *
 * A thread that enters a blocking section (worker_block_begin) keeps its worker unless the monitor thread finds the section too
 * long; then a standby thread becomes the owner, and the first thread, when its host call is over, leaves the fiber to the
 * worker's queue and becomes a standby itself.
 *
 * LOCKS. run queue: owner only. inbox: lock-free stack. timers: sched.timer_lock. threads: sched.thread_lock. All are leaves;
 * nothing is called with them held, except a fiber's deadline, which only touches the fiber's state and queues it.
 */
#ifndef BAILEY_SCHED_INTERNAL_H
#define BAILEY_SCHED_INTERNAL_H
#include "sched/sched.h"
#include <pthread.h>

#if defined(__SANITIZE_ADDRESS__)
#define BAILEY_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BAILEY_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define BAILEY_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define BAILEY_TSAN 1
#endif
#endif
#ifdef BAILEY_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef BAILEY_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#if defined(BAILEY_ASAN) || defined(BAILEY_TSAN)
#define FIBER_STACK_SIZE (256UL << 10) /* red zones and shadow frames need room */
#else
#define FIBER_STACK_SIZE (64UL << 10)
#endif
#define FIBER_CACHE_MAX 128 /* idle stacks kept */

/* Locks that a fiber, or a thread outside fibers, holds: debug builds. */
#define HELD_MAX 24
struct held_locks {
	unsigned n;
	struct { void *lock; uint32_t rank; bool sleep; } l[HELD_MAX];
};

/* fiber.state: one word, so that park, wake, interrupt and time-out meet in one compare-and-exchange. */
enum {
	FS_PARKED = 1,	   /* whoever clears it queues the fiber */
	FS_TOKEN = 2,
	FS_SIGNAL = 4,	   /* interrupted, signal level */
	FS_KILL = 8,
	FS_ON_SIGNAL = 16, /* this park ends by FS_SIGNAL */
	FS_ON_KILL = 32,
	FS_TIMEDOUT = 64,
};

enum fiber_action { ACT_NONE, ACT_YIELD, ACT_MOVE, ACT_EXIT, ACT_LOST_WORKER };

struct fiber {
	void *sp; /* when off its stack */
	_Atomic uint32_t state;
	struct worker *worker; /* home; changed by itself only, never while it is parked */
	struct fiber *next;    /* run queue, inbox, cache */
	struct fiber_context ctx;
	void (*fn)(void *);
	void *arg;
	struct ktimer deadline;
	struct sched *sched;
	char *stack; /* lowest usable byte; the guard page is below */
	char name[16];
#ifdef BAILEY_DEBUG
	struct held_locks held;
#endif
#ifdef BAILEY_ASAN
	void *fake_stack;
#endif
#ifdef BAILEY_TSAN
	void *tsan;
#endif
};

/* worker.section: 0, or a blocking section's number << 1 | 1. Whoever changes it away from the odd value has the worker. */
struct worker {
	struct sched *sched;
	int id;
	bool host_polled;
	/* owner only */
	struct fiber *head, **tail;
	unsigned nrunnable;
	uint64_t last_clock, last_host_poll, section_count;
	_Atomic(struct ktimer *) running_timer;
	/* any thread */
	_Atomic(struct fiber *) inbox __attribute__((aligned(64)));
	_Atomic uint32_t sleeping;
	_Atomic uint64_t section __attribute__((aligned(64)));
	int eventfd; /* without idle_ops */
};

struct thread {
	struct worker *worker; /* owned; NULL inside a blocking section and when standing by */
	struct fiber *fiber;   /* running */
	void *sp;	       /* the loop's, while a fiber runs */
	struct worker *section_worker; /* inside a blocking section: the worker that was owned */
	uint64_t section;
	enum fiber_action action;
	struct sched *sched;
	_Atomic uint32_t assigned; /* futex: a standby waits for 1 */
	struct worker *next_worker;
	struct thread *next; /* standby list; thread_lock */
	struct thread *all;
	pthread_t pthread;
	bool is_main, joinable;
	_Atomic bool finished;
#ifdef BAILEY_DEBUG
	struct held_locks held;
#endif
#ifdef BAILEY_ASAN
	const void *stack_bottom;
	size_t stack_size;
	void *fake_stack;
#endif
#ifdef BAILEY_TSAN
	void *tsan;
#endif
};

struct timer_slot { ktime_t expires; struct ktimer *t; };
struct sched {
	int nworkers;
	struct worker *workers;
	const struct idle_ops *idle;
	void *idle_arg;
	_Atomic bool stop;
	_Atomic int code;
	/* timer_lock */
	struct mutex timer_lock;
	struct timer_slot *heap; /* [1..ntimers] */
	uint32_t ntimers, heap_cap;
	_Atomic ktime_t next_expiry; /* of heap[1], or KTIME_MAX; also read without */
	/* thread_lock */
	struct mutex thread_lock;
	struct thread *standby, *threads;
	bool monitor_started;
	pthread_t monitor;
	_Atomic uint32_t monitor_word; /* futex: 0 asleep, 1 watching */
	/* cache_lock */
	struct mutex cache_lock;
	struct fiber *cache;
	unsigned ncached, nstacks;
	/* host descriptors: hostpoll.c */
	int epfd;
	struct mutex poll_lock; /* RANK_HOST_POLL */
	struct poll_slot *slots;
	uint32_t nslots, free_slot;
	_Atomic uint32_t npolled;
	_Atomic bool expect_host; /* a look at the poller before the next sleep pays */
};

struct thread *thread_self(void); /* NULL on threads that are not the scheduler's */
void fiber_enqueue(struct fiber *f);
void fiber_run(struct thread *t, struct fiber *f); /* from the loop: until it parks, yields or ends */
void fiber_free(struct fiber *f);
void fiber_cache_drain(struct sched *s);
void fiber_leave(struct thread *t, struct fiber *f, enum fiber_action action);
bool fiber_deadline_locked(struct ktimer *t); /* timer_lock held */
void fiber_deadline(struct ktimer *t);
int timers_expire(struct worker *w);
void timers_init(struct sched *s);
void host_poll_init(struct sched *s);
void host_poll_exit(struct sched *s);
void monitor_poke(struct sched *s);
void worker_kick(struct worker *w);
struct held_locks *held_locks(void);
void held_check_park(const char *what);
void held_add(struct held_locks *h, void *lock, uint32_t rank, bool sleep, bool nested);
void held_del(struct held_locks *h, void *lock);

static inline uint64_t tsc(void) { return __builtin_ia32_rdtsc(); }
long futex(_Atomic uint32_t *word, int op, uint32_t val, const struct timespec *ts);

#endif
