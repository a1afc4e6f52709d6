/* SPDX-License-Identifier: Apache-2.0 */
/* platform.h: how guest code runs. The one implementation is trap/ (docs: architecture.md, "The trap platform").
 *
 * A pl_space is a guest address space: one host stub process. A pl_thread is a guest thread in it: one host thread and its
 * slot. All functions are called from the fiber that owns the thread, unless they say "any thread".
 * Everything read from a slot is copied once and then checked: guests are hostile.
 */
#ifndef BAILEY_PLATFORM_PLATFORM_H
#define BAILEY_PLATFORM_PLATFORM_H
#include "lib/lib.h"
#include "sched/sched.h"

/* Guests may map [PL_MIN_ADDR, PL_TASK_SIZE); stub, slots and host vDSO live above. */
#define PL_MIN_ADDR 0x10000UL
#define PL_TASK_SIZE 0x7fff00000000UL

struct platform;
struct pl_space;
struct pl_thread;

/* User registers, in the order of Linux's struct user_regs_struct. */
struct pl_regs {
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, orig_rax, rip, cs, eflags, rsp, ss,
		fs_base, gs_base, ds, es, fs, gs;
};

enum pl_event_kind {
	PL_SYSCALL, /* nr, args */
	PL_FAULT,   /* signo, code, addr, trapno, err: what the host reported for a guest instruction */
	PL_KICK,    /* pl_thread_kick() forced the thread in */
	PL_FRAME,   /* pl_frame_put() or pl_frame_fp() met a fault, pl_frame_fault() says which; the guest has not run on, none of both waits */
	PL_ORDER,   /* an order of the last answer failed: order_index, order_error (-errno); the guest has not run on */
	PL_SHORT,   /* the copy from a file window that the last answer stood for failed: the call (nr, args as they were) has no result yet */
	PL_DEAD,    /* the stub broke the protocol or its host process died: signo says of what, 0 = protocol */
};
struct pl_event {
	enum pl_event_kind kind;
	bool compat; /* int 0x80 or a 32-bit entry: answered with ENOSYS or SIGSEGV, never dispatched by number */
	bool inlined; /* arguments behind the call's own are not what the registers say */
	bool lent; /* the stub changed what it was lent, signal actions or the mask: they are looked at before the call */
	uint32_t nr;
	uint64_t args[6];
	int32_t signo, code;
	uint64_t addr, trapno, err;
	uint32_t order_index;
	int32_t order_error;
};

/* ---- the platform of one kernel ---- */

struct platform_options {
	struct sched *sched;
	bool no_patch;	/* leave system call sites as they are */
	bool write_at_once; /* guest memory is written by the call, not with its answer: for a trace that looks at it */
	const char *without; /* for tests: what of sync_wake, killable, addfd_send, fsgsbase is not used though the host has it; or NULL */
	int zygote_fd;	/* the zygote's ELF image (memfd), opened before the jail closed */
};
/* Before the jail is closed: starts the zygote(s). Registers itself as sched's idle source. 0 or -errno with a log line. */
int platform_create(const struct platform_options *o, struct platform **out);
void platform_destroy(struct platform *p); /* kills every stub */

bool platform_writes_at_once(struct platform *p);
/* What the stub copies in with a call of this number (built from the system call table). */
enum pl_prefetch_kind { PL_PF_NONE, PL_PF_STRING, PL_PF_SIZED /* len = args[len_arg], capped */, PL_PF_FIXED /* size bytes */ };
#define PL_PF_ARG_SP 6 /* the stack pointer instead of an argument */
struct pl_prefetch { uint8_t kind, arg, len_arg; uint16_t size; uint8_t nargs; /* of the call, if this is its only piece; else 0 */ };
void platform_set_prefetch(struct platform *p, unsigned nr, const struct pl_prefetch pf[2]);
int platform_reopen(struct platform *p, int fd); /* the file of one of our descriptors, opened anew for reading only: owned; or -errno */
void platform_dump_stats(struct platform *p); /* counters at log level debug: traps, patched, polled, notifications */

/* ---- spaces and threads ---- */

/* exec and the first process: a fresh space (empty but for the stub) with one thread, ready and waiting. May park. 0 or -errno.
 * With several workers each space belongs to one of them; so do the fibers of its threads, from pl_thread_attach on. */
int pl_space_create(struct platform *p, struct pl_space **space, struct pl_thread **thread);
/* fork: host-copies the caller's space. The new thread will start as a copy of `t`'s registers with rax = 0; change them with
 * pl_set_regs before its first run. To be called from t's fiber while t is in a system call. May park. 0 or -errno. */
int pl_space_fork(struct pl_thread *t, struct pl_space **space, struct pl_thread **thread);
/* clone(CLONE_VM), also for guest processes that share memory (vfork, posix_spawn): a thread in t's space. As above. */
int pl_thread_clone(struct pl_thread *t, struct pl_thread **thread);
/* Hand the thread over to the calling fiber, which goes on on the thread's worker (each fiber does it once before pl_thread_run). */
void pl_thread_attach(struct pl_thread *t, struct fiber *f);
/* End the host thread; the space ends (its host process is killed) with its last thread. */
void pl_thread_destroy(struct pl_thread *t);
struct pl_space *pl_thread_space(struct pl_thread *t);
int pl_space_host_pid(struct pl_space *s);
/* A reference to the record, not to the host process: mm holds one, because a reader (/proc, process_vm_readv) may keep an mm whose last thread
 * has ended. Copies then give 0 bytes (and never reach another process that got the same host pid). */
void pl_space_get(struct pl_space *s);
void pl_space_put(struct pl_space *s);
bool pl_space_alive(struct pl_space *s); /* it has a thread */
/* What the host says the stub has resident, and had at most; bytes. False: not known. It costs the host a walk over counters (some 20 us). */
/* Page faults of its threads so far, as the host counted them. False: not known. */
bool pl_space_faults(struct pl_space *s, uint64_t *minor, uint64_t *major);
struct pl_rss { uint64_t anon, file, shared, peak; };
bool pl_space_rss(struct pl_space *s, struct pl_rss *r);

/* What the host's page tables say of n pages from addr: its /proc/PID/pagemap words (PL_PAGE_ bits). How many; 0: not known. */
#define PL_PAGE_PRESENT (1ULL << 63)
#define PL_PAGE_SWAPPED (1ULL << 62)
#define PL_PAGE_FILE (1ULL << 61) /* or shared memory */
#define PL_PAGE_EXCLUSIVE (1ULL << 56)
#define PL_PAGE_SOFT_DIRTY (1ULL << 55)
size_t pl_space_pagemap(struct pl_space *s, uaddr_t addr, size_t n, uint64_t *words);

/* Run guest code until the next event. Carries the answer that was set before (result or registers) and queued orders.
 * Parks meanwhile (uninterruptibly; pl_thread_kick ends it). */
void pl_thread_run(struct pl_thread *t, struct pl_event *ev);
/* Any thread: force a thread that runs guest code into the kernel soon (event PL_KICK). Nothing if it is in the kernel: the
 * run loop looks for work itself before pl_thread_run, and a kick in between is not lost (pl_thread_run returns PL_KICK at once).
 * dies: its process comes to an end, and is not waited for as long as others. */
void pl_thread_kick(struct pl_thread *t, bool dies);
/* Any thread: before the thread runs guest code again it enters the kernel and executes a serialising instruction. done: that, or it does not run. */
void pl_thread_serialize(struct pl_thread *t);
bool pl_thread_serialized(struct pl_thread *t);
/* Any thread: has the fiber left the thread running guest code? */
bool pl_thread_in_guest(struct pl_thread *t);
/* The system call will block (about to park): lets a spinning stub go to sleep. fiber_park's callers need not call it: the
 * task layer does, once per call, before its first park. */
void pl_thread_will_block(struct pl_thread *t);

/* ---- registers: valid between an event and the next run ---- */
void pl_set_result(struct pl_thread *t, int64_t result);	   /* rax of the system call */
void pl_get_regs(struct pl_thread *t, struct pl_regs *r);	   /* copied from the slot once an event, then cached */
void pl_set_regs(struct pl_thread *t, const struct pl_regs *r);   /* sanitised: segments, flags, canonical rip */
/* FP/vector state in XSAVE layout (Linux signal frame: with the FP_XSTATE_MAGIC1 software bytes filled). */
size_t pl_xsave_size(struct platform *p);			   /* bytes incl. FP_XSTATE_MAGIC2 */
uint64_t pl_xfeatures(struct platform *p);
int pl_get_xsave(struct pl_thread *t, void *buf, size_t size);	   /* bytes or -errno; may cost a hand-off */
int pl_set_xsave(struct pl_thread *t, const void *buf, size_t size); /* hostile content allowed: 0 or -EINVAL */
void pl_set_fs_base(struct pl_thread *t, uint64_t v);		   /* carried out before the guest runs on */
int pl_set_gs_base(struct pl_thread *t, uint64_t v);		   /* turns the patched path off for the space */

/* ---- memory orders, executed by the stub thread in its own address space ---- */
enum pl_op { PL_MMAP_ANON, PL_MMAP_FD, PL_MUNMAP, PL_MPROTECT, PL_MADVISE, PL_MREMAP, PL_CLOSE, PL_RSEQ };
#define PL_KEEP 8
struct pl_order {
	enum pl_op op;
	uint32_t prot, flags;	/* host PROT_ and MAP_ flags (MAP_FIXED is implied) or advice */
	uint64_t addr, len;
	uint64_t new_addr, new_len; /* MREMAP: fixed, or in place where new_addr == addr */
	int fd;			/* PL_MMAP_FD: a descriptor of the kernel process, borrowed until the order has run */
	/* PL_MMAP_FD: 1 + one of PL_KEEP places where the stub keeps the descriptor for later orders, until PL_CLOSE of that place; 0: it does
	 * not. kept: it has it there already, so that the stub need not sleep for it. Forked spaces have copies. */
	uint8_t place;
	bool kept;
	uint64_t off;
};
/* Queue for the next pl_thread_run (run now, and wait, when the queue is full). Failures come as PL_ORDER. */
int pl_order(struct pl_thread *t, const struct pl_order *o);
/* Queue, run everything queued now and wait for it: 0 or the first -errno. May park (bounded). */
int pl_order_sync(struct pl_thread *t, const struct pl_order *o);
/* Own fiber: how many orders wait for the next pl_thread_run: 0 when all that were queued have run. PL_ORDER's order_index counts
 * from 0 in the queue that ran. Orders behind a failed one stay queued. Advice that mm sends: DONTNEED, FREE, WILLNEED, DONTFORK,
 * DOFORK, WIPEONFORK, KEEPONFORK, HUGEPAGE, NOHUGEPAGE, COLD, PAGEOUT, POPULATE_READ, POPULATE_WRITE, DONTNEED_LOCKED. */
unsigned pl_orders_queued(struct pl_thread *t);
/* rseq(2) by the host thread itself, with the answer: the caller has checked that it will do. flags: RSEQ_FLAG_UNREGISTER. A forked space's
 * thread has its parent's. Once lent, the stub answers it alone. get: what is registered, by the guest's word; len 0: nothing. */
struct pl_rseq { uint64_t addr; uint32_t len, sig; };
bool platform_has_rseq(struct platform *p);
void pl_rseq(struct pl_thread *t, const struct pl_rseq *r, uint32_t flags);
struct pl_rseq pl_rseq_get(struct pl_thread *t);
void pl_rseq_lend(struct pl_thread *t, bool lend);
/* Own fiber: run what is queued now. Any fiber: has every order handed to this thread been carried out? Waits (bounded) until so: 0, or -EIO if the stub is dead. */
int pl_orders_drain(struct pl_thread *t);

/* ---- guest memory: all-or-prefix copies; return bytes copied (may be short), never fault ---- */
size_t pl_space_read(struct pl_space *s, void *dst, uaddr_t src, size_t n);
size_t pl_space_write(struct pl_space *s, uaddr_t dst, const void *src, size_t n);
struct iovec;
size_t pl_space_readv(struct pl_space *s, void *dst, const struct iovec *guest, int cnt);
size_t pl_space_writev(struct pl_space *s, const struct iovec *guest, int cnt, const void *src);
/* What the stub copied in with this call: a pointer into a kernel-private snapshot, or NULL if [src, src+n) is not in it.
 * Gone after the first park of the call. */
const void *pl_prefetched(struct pl_thread *t, uaddr_t src, size_t n, size_t *avail);
/* Let the stub write this with the answer (the caller has checked that the range is mapped writable): false if there is no
 * room or the thread will not return directly. A fault there turns the call's result into -EFAULT. src NULL: zeroes. A thread that
 * has not run yet takes copies along as well, and makes them after its orders. */
bool pl_copy_out(struct pl_thread *t, uaddr_t dst, const void *src, size_t n);
bool pl_copies_wait(struct pl_thread *t); /* are there any for the next answer? */
/* Make them now (orders first): somebody may look, or the thread may never run again. False: at a fault; the call's result is to be -EFAULT. */
bool pl_copies_flush(struct pl_thread *t);

/* ---- file windows: parts of files that the stub has mapped to copy from. Own fiber. Not inherited by fork ---- */
#define PL_WINDOWS 8
#define PL_WINDOW_SIZE (64UL << 20)
int pl_window_map(struct pl_thread *t, unsigned k, int fd, uint64_t off); /* now: 0 or -errno, and nothing is mapped there. May park */
int pl_window_unmap(struct pl_thread *t, unsigned k, bool now); /* now, or with the next answer */
/* May number k be mapped anew? Not while another thread's answer, just under way, copies from it. */
bool pl_window_idle(struct pl_thread *t, unsigned k);
/* Let the stub copy n bytes from `at` in window k with the answer: its only copy. If that fails, which only the stub can find out, PL_SHORT
 * comes back. False: not possible now. */
bool pl_window_copy(struct pl_thread *t, uaddr_t dst, unsigned k, uint64_t at, size_t n);
/* Forget such a copy that has not been handed over: true if there was one; the call then has no result. */
bool pl_window_cancel(struct pl_thread *t);

/* Atomic compare-and-exchange on a guest word by the thread itself (for PI and robust futexes): *old receives what was there. 0 or -EFAULT. */
int pl_cmpxchg32(struct pl_thread *t, uaddr_t addr, uint32_t expect, uint32_t val, uint32_t *old);

/* ---- signal actions: own fiber, between an event and the next run ----
 * Lent to the stub, which answers rt_sigaction by itself where it only asks, or replaces SIG_DFL by SIG_DFL. While they are lent nobody
 * else may change them; a change is told with pl_actions_set(). What take() gives is the guest's word: at most flags, restorer and mask
 * of default actions may be believed. Not inherited by new threads and spaces. */
struct pl_action { uint64_t handler, flags, restorer, mask; };
void pl_actions_lend(struct pl_thread *t, const struct pl_action a[64]); /* by number - 1 */
void pl_actions_recall(struct pl_thread *t);
void pl_actions_set(struct pl_thread *t, int signo, const struct pl_action *a);
uint64_t pl_actions_take(struct pl_thread *t, struct pl_action a[64]); /* which ones (bit signo - 1); only those are written */

/* The signal mask, lent to the stub, which answers rt_sigprocmask and rt_sigreturn by itself while `busy` is not set: whoever sets it
 * and then gets the mask knows that the stub will come with any change that it makes to that one. Lend, recall and set: own fiber. What is got
 * is the guest's word. sas: the alternate stack, as of which rt_sigreturn needs nobody; set before the mask is lent. */
void pl_mask_lend(struct pl_thread *t, uint64_t mask, bool busy);
void pl_mask_recall(struct pl_thread *t);
/* What getpid and the like give: the stub answers them while the mask is lent. Own fiber. */
enum pl_id { PL_ID_PID, PL_ID_TID, PL_ID_UID, PL_ID_EUID, PL_ID_GID, PL_ID_EGID, PL_NIDS };
void pl_ids_lend(struct pl_thread *t, const uint32_t ids[PL_NIDS]);
void pl_ids_recall(struct pl_thread *t);
void pl_mask_set(struct pl_thread *t, uint64_t mask);
void pl_mask_sas(struct pl_thread *t, uint64_t sp, uint64_t size, uint32_t flags);
void pl_mask_busy(struct pl_thread *t, bool busy); /* any thread */
uint64_t pl_mask_get(struct pl_thread *t);	   /* any thread */

/* ---- signal frames: own fiber, between an event and the next run; carried out by the stub with the answer ----
 * put: data goes to at (NULL: what was put before), the FP state as signal frames have it to fp, and the guest goes on with the initial one.
 * fp: the FP state is loaded from a frame, as rt_sigreturn does (0: the initial one). A fault comes as PL_FRAME. Addresses are checked by
 * the caller. Before anybody looks at the FP state: flush, which carries them out now: 0, -EFAULT or -EIO. */
struct pl_fault { uint64_t trapno, err, addr; };
#define PL_FRAME_MAX 512
void pl_frame_put(struct pl_thread *t, uaddr_t at, const void *data, size_t n, uaddr_t fp);
void pl_frame_fp(struct pl_thread *t, uaddr_t fp);
bool pl_frame_waits(struct pl_thread *t);
int pl_frame_flush(struct pl_thread *t);
void pl_frame_fault(struct pl_thread *t, struct pl_fault *f);

/* ---- time ---- */
ktime_t pl_space_cpu_time(struct pl_space *s); /* host CPU time of the stub process, ns */
ktime_t pl_thread_cpu_time(struct pl_thread *t); /* ns; of its guest code */
/* Addresses of the host vDSO's functions in every stub (0 = not there), for Bailey's own vDSO. */
struct pl_host_vdso { uint64_t clock_gettime, gettimeofday, time, getcpu, clock_getres; };
const struct pl_host_vdso *platform_host_vdso(struct platform *p);

#endif
