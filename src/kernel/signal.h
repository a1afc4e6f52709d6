/* SPDX-License-Identifier: Apache-2.0 */
/* signal.h: signals as signal(7) has them. Everything here lives under "the signal lock": signal_handlers.lock. */
#ifndef BAILEY_KERNEL_SIGNAL_H
#define BAILEY_KERNEL_SIGNAL_H
#include "auth/cred.h"
#include "lib/lib.h"
#include "sched/sched.h"
#include <signal.h>

#define NSIG_K 64
typedef uint64_t sigset_k; /* bit signo-1 */
#define SIGMASK(s) (1ULL << ((s)-1))
#define SIG_UNBLOCKABLE (SIGMASK(SIGKILL) | SIGMASK(SIGSTOP))

/* The guest's siginfo_t, 128 bytes, as on x86-64. */
typedef struct siginfo_k {
	int32_t si_signo, si_errno, si_code, pad0;
	union {
		struct { int32_t pid; uint32_t uid; union { int32_t status; uint64_t value; } u; int64_t utime_, stime_; } rt; /* kill, queue */
		struct { int32_t pid; uint32_t uid; int32_t status; int32_t pad; int64_t utime, stime; } chld;
		struct { int32_t tid, overrun; uint64_t value; int32_t sys_private; } timer;
		struct { uint64_t addr; int16_t addr_lsb; int16_t pad[3]; uint64_t lower, upper; } fault;
		struct { int64_t band; int32_t fd; } poll;
		struct { uint64_t call_addr; int32_t nr; uint32_t arch; } sys;
		uint8_t raw[112];
	};
} siginfo_k;
_Static_assert(sizeof(siginfo_k) == 128, "siginfo_t");

struct sigaction_k { uint64_t handler, flags, restorer; sigset_k mask; }; /* the kernel's struct sigaction, x86-64 */
struct signal_handlers {
	struct refcount ref;
	struct mutex lock; /* RANK_SIGNAL: actions, pending sets, group stops, of all tasks that share it */
	struct sigaction_k action[NSIG_K + 1]; /* by number; [0] unused */
};

struct sigqueue {
	TAILQ_ENTRY(sigqueue) link;
	siginfo_k info;
	struct thread_group *charged; /* counts against RLIMIT_SIGPENDING of this one; NULL: preallocated (timers) */
	void (*delivered)(struct sigqueue *q); /* preallocated: called when dequeued or flushed, signal lock held */
};
struct sigpending { sigset_k set; TAILQ_HEAD(, sigqueue) queue; };

struct task;
struct thread_group;
struct process_group;
void sigpending_init(struct sigpending *p);
void signal_lock(struct task *t);   /* locks t->tg->sighand->lock, safe against exec's swap */
void signal_unlock(struct task *t);

/* Send. Checks nothing about permission. `group`: to the process (any thread), else to that thread. Takes the signal lock.
 * 0 or -EAGAIN (real-time queue full); a task that is gone swallows it: 0. */
int task_send_signal(struct task *t, const siginfo_k *info, bool group);
int task_send_signal_locked(struct task *t, const siginfo_k *info, bool group); /* signal lock held */
int tg_send_signal(struct thread_group *tg, const siginfo_k *info);
/* A fault of the guest: forced, unblockable in effect (kills if blocked or ignored). Own fiber. */
void task_force_signal(struct task *t, const siginfo_k *info);
void siginfo_user(siginfo_k *i, int signo, int code, struct task *from /* NULL: kernel */, struct task *to);
/* May `from` signal `to`? kill(2)'s rules. 0 or -EPERM */
int signal_permission(struct task *from, struct task *to, int signo);
bool signal_pending(struct task *t); /* own fiber: an unblocked signal or a stop is waiting */
/* sigprocmask's effect, with retargeting of shared signals; own fiber. */
void task_set_blocked(struct task *t, sigset_k mask);
/* For calls with a temporary mask (ppoll, epoll_pwait, sigsuspend): restored after delivery. EFAULT/EINVAL for a bad pointer or size. */
int task_set_user_sigmask(struct task *t, uaddr_t mask, uint64_t size);
void task_restore_saved_mask(struct task *t); /* on the way out without delivery (result not a restart code) */
/* Take one of `mask` from the private or shared queue (sigtimedwait, signalfd): its number or 0. */
int task_dequeue_signal(struct task *t, sigset_k mask, siginfo_k *info);
/* run_interrupt's work: take signals, stop, deliver, end. Returns the next run state. */
const struct run_state *task_deliver_signals(struct task *t);
/* Remove these signals from the queues (SIGCONT discards stops...). signal lock held. */
void sigpending_flush_mask(struct sigpending *p, sigset_k mask);

#endif
