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

/* Does Linux know what the info of such a signal looks like? */
bool siginfo_known(int sig, int code);
enum { SIGINFO_SENDER = 1 };	/* in pad0, of kill_thread and kill_something: who sends it is filled in, as each receiver sees him */

struct sigaction_k { uint64_t handler, flags, restorer; sigset_k mask; }; /* the kernel's struct sigaction, x86-64 */
struct signal_handlers {
	struct refcount ref;
	struct mutex lock; /* RANK_SIGNAL: actions, pending sets, group stops, of all tasks that share it */
	struct sigaction_k action[NSIG_K + 1]; /* by number; [0] unused */
};

struct sigqueue {
	TAILQ_ENTRY(sigqueue) link;
	siginfo_k info;
	struct sigpending *on;	      /* the set that it is queued in; NULL: not queued */
	struct sig_user *charged;     /* counts against RLIMIT_SIGPENDING of this one; NULL: preallocated (timers) */
	bool (*delivered)(struct sigqueue *q); /* preallocated: called when dequeued or flushed, signal lock held; false: as if it never was */
};
struct sigpending { sigset_k set; TAILQ_HEAD(, sigqueue) queue; };

/* LOCKS. What signal sending reads of the process tree changes under task_set.lock *and* the signal lock, so that either is enough to
 * read it: thread_group.tasks and leader, task.exit_state, task.tg. A signal_handlers is type-stable: sighand_put() keeps freed ones on a
 * list, because signal_lock() may touch one that exec has just swapped out. task.blocked is written by the own fiber only (signal lock);
 * while the mask is lent, others read it in the slot (task_blocked_locked), and the own fiber's copy is right once an event is there.
 *
 * What the task layer calls, in a task's life:
 *   new task        task_init_signals()            (zeroed struct task; clone: then task_clone_signals())
 *   new group       tg_init_signals()
 *   exec            task_exec_signals()            (after de-threading: own fiber, no locks; sighand_reset_exec() on the new sighand)
 *   a thread exits  task_exit_signals_locked()     (sets exit_state INITIATED)
 *   the last thread tg_flush_timers()              (no locks)
 *   freeing         task_free_signals(), tg_free_signals()
 */
struct kernel;
struct task;
struct thread_group;
struct process_group;
void task_init_signals(struct task *t);
/* clone: mask and alternate stack as CLONE_VM and CLONE_VFORK want them; CLONE_THREAD into a group that stops or dies. Called with
 * task_set.lock and the signal lock of t->tg, when t->tg is set and t is in tg.tasks. */
void task_clone_signals(struct task *t, struct task *parent, uint64_t clone_flags);
void tg_init_signals(struct thread_group *tg);
/* exec: alternate stack, restart block go, POSIX timers are deleted, pending signals stay. */
void task_exec_signals(struct task *t);
void sighand_reset_exec(struct signal_handlers *h, bool all /* CLONE_CLEAR_SIGHAND: ignored ones stay only if !all */);
/* task_set.lock held; takes the signal lock: exit_state becomes INITIATED, the thread leaves group stops and hands on what it was sent.
 * Returns true when this completed a group stop: the caller then notifies the parent (CLD_STOPPED). */
bool task_exit_signals_locked(struct task *t);
void task_free_signals(struct task *t);
void tg_free_signals(struct thread_group *tg);
void tg_flush_timers(struct thread_group *tg, bool exec /* only POSIX timers */); /* kernel/timer.h's work; may wait for a timer function */
/* Signal lock held: the group dies with this wait status: every thread but `except` is killed. false if it was dying already. */
bool tg_start_exit_locked(struct thread_group *tg, int status, struct task *except);
/* Signal lock held: a private SIGKILL that nothing stops (siblings at exec and group exit). */
void task_kill_locked(struct task *t);
/* Robust futexes and PI futexes of a thread that ends or execs; own fiber, mm still there. */
void futex_exit_robust(struct task *t);
struct futex_self;
void task_futex_self(struct task *t, struct futex_self *who); /* what PI futexes know a thread by */
/* Wake one waiter of a word of t's address space, shared or private (clear_child_tid). Own fiber. */
void task_futex_wake(struct task *t, uaddr_t addr);

/* sig_user.c: counted for t's user, or NULL: that would be more than t's RLIMIT_SIGPENDING allows. */
struct sig_users *sig_users_create(void);
struct sig_user *sig_user_charge(struct task *t, bool unlimited);
void sig_user_uncharge(struct sig_user *u);
unsigned sig_user_count(struct task *t);

void sigpending_init(struct sigpending *p);
void signal_lock(struct task *t);   /* locks t->tg->sighand->lock, safe against exec's swap */
void signal_unlock(struct task *t);

#define sig_mask_default_ignore (SIGMASK(SIGCONT) | SIGMASK(SIGCHLD) | SIGMASK(SIGWINCH) | SIGMASK(SIGURG))
#define sig_mask_stop (SIGMASK(SIGSTOP) | SIGMASK(SIGTSTP) | SIGMASK(SIGTTIN) | SIGMASK(SIGTTOU))
#define sig_mask_core (SIGMASK(SIGQUIT) | SIGMASK(SIGILL) | SIGMASK(SIGTRAP) | SIGMASK(SIGABRT) | SIGMASK(SIGFPE) | SIGMASK(SIGSEGV) | \
	SIGMASK(SIGBUS) | SIGMASK(SIGSYS) | SIGMASK(SIGXCPU) | SIGMASK(SIGXFSZ))
#define sig_mask_synchronous (SIGMASK(SIGSEGV) | SIGMASK(SIGBUS) | SIGMASK(SIGILL) | SIGMASK(SIGTRAP) | SIGMASK(SIGFPE) | SIGMASK(SIGSYS))

/* Send. Checks nothing about permission. `group`: to the process (any thread), else to that thread. Takes the signal lock.
 * 0 or -EAGAIN (real-time queue full); a task that is gone swallows it: 0. */
int task_send_signal(struct task *t, const siginfo_k *info, bool group);
int task_send_signal_locked(struct task *t, const siginfo_k *info, bool group); /* signal lock held */
int tg_send_signal(struct thread_group *tg, const siginfo_k *info);
/* A fault of the guest: forced, unblockable in effect (kills if blocked or ignored). Own fiber. */
void task_force_signal(struct task *t, const siginfo_k *info);
void siginfo_user(siginfo_k *i, int signo, int code, struct task *from /* NULL: kernel */, struct task *to);
/* May `from` signal `to`? kill(2)'s rules. 0 or -EPERM. SIGCONT's session rule takes task_set.lock, _locked: the caller holds it. */
int signal_permission(struct task *from, struct task *to, int signo);
int signal_permission_locked(struct task *from, struct task *to, int signo);
/* A preallocated entry (POSIX timers); signal lock held. false: ignored or dropped, q is not queued (delivered is not called). */
bool sigqueue_send_locked(struct sigqueue *q, struct task *t, bool group);
void sigqueue_remove_locked(struct sigqueue *q, struct thread_group *tg); /* if queued; delivered is not called */
bool task_has_work(struct task *t);
void task_mask_settle(struct task *t);
bool signal_pending(struct task *t); /* own fiber: an unblocked signal or a stop is waiting */
/* sigprocmask's effect, with retargeting of shared signals; own fiber. */
void task_set_blocked(struct task *t, sigset_k mask);
/* For calls with a temporary mask (ppoll, epoll_pwait, sigsuspend): restored after delivery. EFAULT/EINVAL for a bad pointer or size. */
int task_set_user_sigmask(struct task *t, uaddr_t mask, uint64_t size);
void task_restore_saved_mask(struct task *t); /* on the way out without delivery (result not a restart code) */
/* Take one of `mask` from the private or shared queue (sigtimedwait, signalfd): its number or 0. */
int task_dequeue_signal(struct task *t, sigset_k mask, siginfo_k *info);
int signal_dequeue_locked(struct task *t, sigset_k mask, siginfo_k *info);
/* run_interrupt's work: take signals, stop, deliver, end. Returns the next run state. */
const struct run_state *task_deliver_signals(struct task *t);
/* Remove these signals from the queues (SIGCONT discards stops...). signal lock held. */
void sigpending_flush_mask(struct sigpending *p, sigset_k mask);

/* coredump.c: true: a core was written. The group exits from here on. Own fiber, no locks. */
bool task_core_dump(struct task *t, int sig, const siginfo_k *info);
void task_die(struct task *t, int sig, const siginfo_k *info); /* of a signal that no handler and no tracer sees; with a core */
void task_core_join(struct task *t); /* first step of an exit: wait while a sibling writes a core */
/* sigtimedwait(2): the number, -EAGAIN at the deadline, -EINTR. */
long task_sigtimedwait(struct task *t, sigset_k mask, siginfo_k *info, ktime_t deadline);
/* The stub may answer rt_sigaction where that needs no authority, as long as nobody else can change the actions. Own fiber. */
void task_lend_actions(struct task *t);
void task_recall_actions(struct task *t); /* before anybody else can, or when they change but by task_sigaction() */
void task_take_lent(struct task *t);   /* what it answered since: actions and mask */
void task_settle_copies(struct task *t); /* run.c: copies to its memory that wait for the answer are made */
/* As long as nobody watches its calls the stub keeps the signal mask, and answers rt_sigprocmask and rt_sigreturn by itself. */
void task_lend_mask(struct task *t);	  /* or recall it, if somebody does */
void task_lend_ids(struct task *t);	  /* and the mask; in a call that asks for one */
bool task_lends(const struct task *t); /* may its stub answer calls by itself? */
void task_recall_mask(struct task *t);
void task_recall_mask_locked(struct task *t);
void task_mask_asks_locked(struct task *t); /* any fiber, signal lock: it shall come with its next change */
sigset_k task_blocked_locked(struct task *t); /* any fiber, signal lock */
long task_sigaction(struct task *t, int signo, const struct sigaction_k *act, struct sigaction_k *old);
/* kill(2): by process, group, all. */
long kill_something(struct task *t, const siginfo_k *info, int pid);
/* One thread (tgid > 0: of that process) or, with `group`, the process of a thread. Permission is checked; signo 0 sends nothing. */
long kill_thread(struct task *t, const siginfo_k *info, int tgid, int tid, bool group);
/* stop.c */
void task_set_stop(struct task *t, int kind /* enum stop_kind */); /* signal lock; STOP_NONE resumes */
int task_stop_wait(struct task *t); /* own fiber, no locks: until the stop is over; -EINTR when killed meanwhile */
bool task_external_stopped(struct task *t);
void task_wait_external_stops(struct task *t); /* own fiber: until no pause holds it, or it is killed */
/* sigframe.c: build the frame for a handler on regs and the task's alternate stack; 0 or -EFAULT. */
struct pl_regs;
int sigframe_setup(struct task *t, struct pl_regs *regs, const struct sigaction_k *ka, const siginfo_k *info, sigset_k mask);
long sigframe_return(struct task *t); /* rt_sigreturn(2) */
void sigframe_refused(struct task *t, int sig);
/* Frames are carried out with the answer. flush: now; before another one, and before anybody looks at registers. false: it failed, and
 * SIGSEGV was sent. failed: after PL_FRAME: true: SIGSEGV was sent. */
bool sigframe_flush(struct task *t);
bool sigframe_failed(struct task *t);
struct stack_k { uint64_t ss_sp; int32_t ss_flags, pad; uint64_t ss_size; };
_Static_assert(sizeof(struct stack_k) == 24, "stack_t");
int task_sigaltstack(struct task *t, const struct stack_k *ss, struct stack_k *old, uint64_t sp, uint64_t min_size);

#endif
