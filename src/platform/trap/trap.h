/* SPDX-License-Identifier: Apache-2.0 */
/* trap.h: inside the trap platform's kernel half.
 *
 * OVERVIEW
 * struct platform has the listener (seccomp notifications of all stubs), the kernel page, and a table of threads by handle.
 * struct pl_space is a stub process; struct pl_thread a stub thread with its slot. A thread is in one of two phases: GUEST
 * (the answer has been published; the slot's line belongs to the stub) or KERNEL (an event has been taken out of the line; the
 * line belongs to the kernel). The stub itself then spins on the line or sleeps in *wait*: `nid` is the notification to answer.
 *
 * LIFECYCLE
 * Threads are created by an ordered clone of a stub thread (spawn()); the new one says HELLO with its handle and the cookie of
 * its space, which binds its host thread id. Spaces die by SIGKILL when their last thread is destroyed, or on their own
 * (reap()); the struct goes when the host process has been reaped and no thread is left.
 *
 * LANES
 * With several workers there are as many of these platforms, each with a zygote, a listener, a kernel page of its own: its lane. What is
 * forked from a zygote belongs to its lane for good, as a listener cannot be changed, and all fibers of its threads have the lane's worker
 * as their home. So nothing below is done by two workers at a time, and one more worker costs nobody anything. A process comes to another
 * lane only by exec (pl_space_create). From other workers come: kicks, looks at phases, masks, CPU times, memory, and the pool's counts.
 *
 * LOCKS
 * platform.lock (RANK_PLATFORM): thread table, active list, phases, nids, spaces by pid, the mode. Fibers are woken under it. The lane's
 * worker reads without it, and on paths that matter changes as well, what nobody else touches.
 */
#ifndef BAILEY_PLATFORM_TRAP_TRAP_H
#define BAILEY_PLATFORM_TRAP_TRAP_H
#include "platform/patch.h"
#include "platform/platform.h"
#include "platform/trap/abi.h"
#include <pthread.h>
#include <sched.h>

#define LANES_MAX 64
#define LANE_MORE 2 /* threads in guest code: then a new program goes to another lane */
#define SPACE_HASH 1024
#define MAX_LINGERING 8
#define POOL_MAX 2
#define IDLE_MAX 16 /* per space */
#define STREAK 16 /* calls of a thread in a row without blocking before a worker polls */
#define REAP_WAIT (10 * NSEC_PER_MSEC)
#define REAP_AT 8

/* Nothing in the kernel waits for a guest without a bound: patience.c. All zero at the start. */
struct patience { ktime_t step_end, user, all, asleep, blind; bool looked; };
bool patience_ends(struct pl_thread *t, struct patience *w);

enum phase { PH_KERNEL, PH_GUEST };

struct pl_thread {
	struct platform *p;   /* immutable */
	struct pl_space *space; /* immutable, counted */
	struct slot *slot;    /* immutable; SLOT_KERNEL_LEN bytes are mapped */
	uint32_t index;	      /* of the slot; immutable */
	uint32_t handle;      /* immutable */

	/* platform.lock */
	_Atomic(struct fiber *) fiber; /* woken when an event arrives; read by those who kick */
	uint32_t active_at;   /* place in platform.active + 1; 0 = not there */
	uint64_t nid;	      /* the notification in which the stub sleeps; 0 = none */
	TAILQ_ENTRY(pl_thread) sleep_link; /* platform.sleepers, while nid is set */
	bool dozing;	      /* it sleeps on its line's word instead */
	bool wanted;	      /* its fiber needs nid to stay */
	pid_t tid;	      /* host thread id; 0 until HELLO */
	bool hello;	      /* nid is the HELLO */
	uint32_t clone_ordered; /* ANS_FORK or ANS_THREAD until the child is there */
	uint32_t clones_let;  /* for this order */
	ktime_t fork_since;   /* its fork order runs, or the child's HELLO is still to come; strays_clock() */
	struct pl_thread *cloned_by; /* until its HELLO */
	_Atomic int phase;
	LIST_ENTRY(pl_thread) space_link; /* space.threads, or space.idle */
	ktime_t cpu_base;     /* CPU time of the host thread's earlier lives; own fiber */
	_Atomic ktime_t cpu_seen; /* what the host said last, all lives; 0: not known */

	bool lingers;	      /* in platform.lingering */
	bool awake;	      /* counted in platform.nawake */
	bool parked;	      /* told to sleep, and its notification has not come yet */
	bool placed;	      /* its host thread is kept off the poller's CPU; platform.lock */
	bool bound;	      /* to some CPUs only: bound_to; platform.lock */
	cpu_set_t bound_to;   /* not empty; some of platform.cpus */
	_Atomic bool kick;    /* any thread */
	_Atomic bool serialize; /* any thread: the next answer goes out by iret */
	_Atomic bool dies;    /* any thread: pl_thread_kick(); patience has other limits */
	pid_t expected;	      /* until HELLO: the host thread id that the clone's stub named */

	/* own fiber, and event_arrived() while the phase is GUEST */
	struct slot_line line; /* the event, copied once */

	/* own fiber: the answer that is being put together */
	bool regs_cached, regs_dirty, have_result, need_full;
	_Atomic bool died;
	bool set_fs, set_gs, set_xsave;
	struct pl_fault fault; /* of the last frame that failed */
	uint32_t frame; /* ANS_FPLOAD, ANS_FRAME: the slot has what they need */
	uint32_t pend; /* ANS_ flags to send again after a failed order */
	int64_t result;
	uint64_t fs_base, gs_base;
	struct pl_regs regs;
	uint32_t ncopies, copy_used, zero_at, zero_len;
	struct slot_copy copies[SLOT_MAX_COPIES];
	uint8_t small[SLOT_INLINE]; /* the beginning of the first copy: not in the buffer unless it starts at 0 there; or where in a file window it is */
	_Atomic uint8_t window; /* 1 + the file window that the last answer, or the next one, copies from; other threads of the space read it */
	uint32_t warm;	      /* bytes of the last answer's copy in the buffer, when the next one is likely to have as many */
	uint32_t norders, order_base;
	struct pl_order orders[SLOT_MAX_ORDERS];
	uint32_t orders_sent; /* batches; against slot.orders_done */
	uint32_t streak;      /* calls answered without blocking */
	uint32_t gap;	      /* how long after an answer the next call comes: see spin_for_event() */
	uint32_t nsnap;
	struct slot_copy snap_at[SLOT_MAX_COPIES];
	uint8_t *snap;	      /* SLOT_BUF_SIZE; owned; allocated with the first prefetch */
};

/* A call site as it is now; was, now: the bytes at `at`. hop, near: 0 = none. */
struct patched_site { uint64_t at, near, hop; uint64_t was, now; uint32_t len, index; };

struct pl_space {
	struct platform *p; /* immutable */
	int area_fd;	    /* owned: the slots' memory */
	uint64_t cookie;    /* immutable: knows the threads of this space; never shown to another */
	pid_t pid;	    /* set once by HELLO, before the space is handed out */
	/* platform.lock */
	LIST_HEAD(pl_thread_list, pl_thread) threads;
	struct pl_thread_list idle; /* host threads whose guest threads ended, asleep, ready for the next ones */
	unsigned nidle;
	LIST_ENTRY(pl_space) hash_link;
	_Atomic unsigned nthreads;
	uint32_t strays, stray_threads; /* its share, at most */
	bool hashed;
	_Atomic bool killed, dead; /* never taken back; read by anybody */
	int dead_signal;
	uint32_t area_slots; /* what the area's size allows */
	uint32_t next_index, nfree, *free_index; /* slots given back, oldest first */
	struct { uint64_t rip; uint32_t count; } *traps; /* TRAP_COUNTERS; owned; own threads' fibers */
	struct sleeplock patch_lock; /* text is written by one thread at a time: the stub's mprotects do not mix, and neither do choices of padding */
	uint32_t npatched; /* patch_lock */
	struct patched_site *patched; /* owned; patch_lock */
	_Atomic bool undone; /* platform_patch_undo() was called */
	bool gs_used;	     /* the guest set its GS base: its threads must not take the patched path */
	uint8_t patch_lost;  /* tables that the guest's mappings have replaced: PATCH_MOV, PATCH_HOP */
	_Atomic ktime_t cpu_time; /* at death */
};

enum mode { MODE_SYNC, MODE_POLL };

struct platform_stats { uint64_t events, polled, notifications, answers, polls_entered, polls_left, patched, faults, kicks, orders, moved, forks, clones, sites, windows, window_copies, shorts; };

struct platform {
	struct sched *sched;
	int worker;		/* immutable, as the lanes */
	struct platform **lanes; /* of all workers; owned by the first one */
	unsigned nlanes;
	bool spread;		/* of the first one: each new program on the next lane, for tests */
	_Atomic unsigned next_lane;
	bool no_patch, write_at_once, fsgsbase, has_rseq, sync_wake;
	bool no_sync_wake, no_killable, no_addfd_send; /* though the host may have it */
	unsigned ncpu;
	bool batch;	/* stubs may change between SCHED_OTHER and SCHED_BATCH; immutable */
	cpu_set_t cpus; /* that this process may use; immutable */
	int listener;
	int kpage_fd;
	struct kpage *kpage;
	int kick_fd;
	_Atomic bool kicked;
	pid_t zygote_pid; /* and process group of all stubs */
	struct pl_thread *zygote;
	struct sleeplock zygote_lock;
	/* ready spaces for exec; filled by a fiber when a worker would sleep. lock */
	struct pl_thread *pool[POOL_MAX];
	_Atomic uint32_t npool;
	struct fiber *pool_fiber;
	bool pool_wanted, pool_failed;
	uint64_t xfeatures;
	size_t xsave_size; /* without MAGIC2 */
	struct pl_host_vdso vdso;
	int proc_fd; /* the host's /proc, or -1 */

	struct mutex lock;
	/* lock */
	struct pl_thread **threads;
	uint32_t nthreads, nfree, *free_handles;
	struct pl_thread **active;
	_Atomic uint32_t nactive;
	struct patch_site_rec *sites; /* PATCH_SITES; by index */
	uint32_t nsites;
	const struct patch_ops *patch_ops; /* set once, before guests run */
	void *patch_arg;
	uint32_t active_room;
	TAILQ_HEAD(, pl_thread) sleepers; /* in notifications, the one that came first in front */
	uint32_t nsleepers;
	LIST_HEAD(, pl_space) hash[SPACE_HASH];
	/* worker */
	_Atomic int mode;
	int sync_flag; /* the listener's flags now */
	uint32_t busy_polls, streak_needed, hot_needed;
	uint64_t polled_at_entry;
	pid_t poller; /* host thread that is pinned to a CPU, while polling */
	_Atomic int poll_cpu;
	uint32_t nawake;	/* stubs that do not sleep; lock */
	struct pl_thread *lingering[MAX_LINGERING]; /* blocked, but their stubs spin on */
	uint32_t nlingering;
	/* the rate of events: windows of RATE_EVENTS */
	uint32_t rate_n, hot, slow; /* hot: windows in a row of calls that did not block and came fast; slow: that came slowly */
	ktime_t rate_since;
	bool closing;
	uint32_t strays; /* processes that nobody knows, at most; lock */
	bool strays_watched; /* lock */
	bool refused; /* the host refused a process or thread, and the user knows */
	/* direct.c */
	_Atomic int direct;
	pid_t direct_tid; /* the host thread that is there */
	pthread_t watcher;
	bool watching, watch_failed;
	int watch_fd;
	uint32_t calm; /* sleeps in a row that a notification ended */
	_Atomic uint32_t watch_armed; /* futex */
	_Atomic bool watch_end, child_died;
	_Atomic unsigned nkilled; /* stubs that were killed here and have not been reaped */
	_Atomic ktime_t watch_deadline;
	struct platform_stats stats;
};

/* made by stub/build.sh */
extern const unsigned char stub_image[];
extern const size_t stub_image_size;

/* zygote.c */
int zygote_start(struct platform *p, int image_fd);
int zygote_image(void); /* a memfd with the embedded image, or -errno */
struct pl_thread *thread_alloc(struct platform *p, struct pl_space *s, uint32_t index);
int map_slot(struct pl_thread *t);

/* listener.c */
/* Descriptors in a stub: the host gives numbers from 0, a batch of orders has 32 at most; then those that it keeps; then those that
 * travel with an answer, another one for each thread. All below what makes the host's table grow. */
static inline int kept_number(const struct pl_order *o) { return SLOT_MAX_ORDERS + o->place - 1; }
static inline int send_number(const struct pl_thread *t) { return SLOT_MAX_ORDERS + PL_KEEP + (int)(t->index % 20); }
void set_awake(struct pl_thread *t, bool on);
void confine_stub(struct pl_thread *t); /* platform.lock */
void wake_here(struct pl_thread *t, bool here);
void thread_go(struct pl_thread *t, uint32_t ans, uint64_t result);
bool thread_go_polled(struct pl_thread *t, uint32_t ans, uint64_t result);
bool spin_for_event(struct pl_thread *t);
bool drain_listener(struct platform *p);
int scan_active(struct platform *p);
void leave_polling(struct platform *p);
void space_end_locked(struct pl_space *s);
void space_kill_locked(struct pl_space *s);
void reap(struct platform *p);
extern const struct idle_ops trap_idle_ops;
/* Wait until cond(t); on a fiber by parking (the condition's maker wakes it), else by serving the listener. 0 or -ETIMEDOUT. */
int await(struct pl_thread *t, bool (*cond)(struct pl_thread *));
bool late(struct pl_thread *t, struct patience *w, bool (*cond)(struct pl_thread *));

/* sleepers.c */
void sleeps_in(struct pl_thread *t, uint64_t nid);
void sleeps_no_more(struct pl_thread *t);
void linger_end(struct pl_thread *t);
void wake_dozing(struct pl_thread *t);
int notif_send(struct platform *p, uint64_t id, int64_t val, uint32_t flags);

/* strays.c */
ktime_t strays_clock(void);
void stray_locked(struct pl_thread *t, uint32_t how); /* t may have made a child that nobody knows; how: ANS_FORK or ANS_THREAD */
bool strays_allow_locked(struct pl_thread *t, uint32_t how); /* false: there are too many for another clone */
void strays_after_order(struct pl_thread *by, struct pl_thread *child, uint32_t how); /* of more clones than one, or without a HELLO */

/* direct.c */
struct seccomp_notif;
void direct_exit(struct platform *p);
void kick_lane(struct platform *p); /* any thread */
bool direct_ready(struct platform *p, ktime_t deadline);
bool direct_receive(struct platform *p, struct seccomp_notif *n);
void direct_kick(struct platform *p);

/* space.c */
struct pl_space *space_alloc(struct platform *p);
void space_unref_locked(struct pl_space *s, struct pl_space **gone);
void space_free(struct pl_space *s);
struct pl_space *space_by_pid_locked(struct platform *p, pid_t pid);
void space_hash_locked(struct pl_space *s);

void pool_fill(void *platform); /* a fiber */

/* run.c */
void tell_to_sleep(struct pl_thread *t); /* instead of spinning: it comes with a notification */
int exchange(struct pl_thread *t, uint32_t ans, uint64_t *value); /* one answer that stays in the stub; 0, -EIO dead, or an order's -errno */
int run_orders(struct pl_thread *t);
int want_nid(struct pl_thread *t); /* 0 or -EIO */
bool orders_need_fd(const struct pl_thread *t);

/* insn.c */
enum insn_kind { INSN_OTHER, INSN_PADDING, INSN_LEAVES /* never goes on to the next one */ };
unsigned insn_length(const uint8_t *b, size_t n, enum insn_kind *kind);
int insn_find_padding(const uint8_t *b, size_t n, uint64_t at, size_t need, size_t reach);

/* patch.c */
#define TRAP_COUNTERS 256
void patch_init(struct platform *p);
void patch_trapped(struct pl_thread *t); /* in a system call that trapped */
enum { PATCH_MOV = 1, PATCH_HOP = 2 }; /* the shapes of sites, each with its table */
void patch_undo(struct pl_thread *t, uint8_t shapes);
void patch_order(struct pl_thread *t, const struct pl_order *o);
void patch_inherit(struct pl_space *child, const struct pl_space *parent);
uint64_t patch_canonical_rip(struct pl_thread *t, uint64_t rip);

static inline bool thread_is_dead(struct pl_thread *t) 
{
	return atomic_load_explicit(&t->space->dead, memory_order_relaxed) || atomic_load_explicit(&t->space->killed, memory_order_relaxed) ||
	       atomic_load_explicit(&t->died, memory_order_relaxed);
}

#endif
