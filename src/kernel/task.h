/* SPDX-License-Identifier: Apache-2.0 */
/* task.h: tasks (guest threads), thread groups (processes), and what hangs off them. Lock order: sched/rank.h.
 * Field grammar: what it is; Linux's name if it differs; who may touch it. */
#ifndef BAILEY_KERNEL_TASK_H
#define BAILEY_KERNEL_TASK_H
#include "kernel/kernel.h"
#include "kernel/pid.h"
#include "kernel/signal.h"
#include <sys/resource.h>

struct task_io { uint64_t rchar, wchar, syscr, syscw; }; /* proc_pid_io(5) */
struct syscall_args { uint64_t a[6]; };

enum exit_state { TASK_EXIT_NONE, TASK_EXIT_INITIATED, TASK_EXIT_ZOMBIE, TASK_EXIT_DEAD };
enum stop_kind { STOP_NONE, STOP_GROUP, STOP_PTRACE, STOP_EXEC, STOP_VFORK };

/* One state of the run loop: a function that returns the next state, or NULL to end the task. */
struct run_state;
typedef const struct run_state *run_fn(struct task *t);
struct run_state { const char *name; run_fn *run; };
/* How they go together (kernel/run.c). run_app serves calls until there is something to do: after_syscall, work_pending or a restart code.
 * Then t->result holds the call's result (rax too) and t->syscall_nr its number (-1: not in a call, as after a fault or a kick), and
 * run_interrupt runs: it clears work_pending and the fiber's signal interrupt, then ends the task if it was killed, serves external
 * stops, and goes on with task_deliver_signals(t). That resolves t->result when it is a restart code (pl_set_regs: rip - 2, rax =
 * syscall_nr), restores saved_mask when have_restart_mask is set and no handler runs, and returns &run_app, or &run_exit after
 * task_group_exit(). It may set work_pending again. run_app sets syscall_nr = -1 before the guest runs on. */
extern const struct run_state run_app, run_interrupt, run_syscall_enter, run_syscall_exit, run_exec, run_vfork_wait, run_exit, run_exit_main, run_exit_notify;

struct restart_block { long (*fn)(struct task *t); union { struct { int clock; ktime_t deadline; uaddr_t rmtp; } sleep;
	struct { uaddr_t uaddr; uint32_t val, bitset; ktime_t deadline; bool private_; } futex; struct { uaddr_t fds; unsigned nfds; ktime_t deadline; } poll; }; };

struct task {
	/* immutable */
	struct kernel *kernel;
	struct fiber *fiber;
	struct refcount ref;

	/* own fiber only */
	struct pl_thread *thread;	/* owned; replaced by exec */
	const struct run_state *state;	/* the run loop's next state */
	struct pl_event event;		/* of the last pl_thread_run */
	int64_t syscall_nr;		/* -1: not in a system call */
	struct syscall_args args;
	int64_t result;			/* of the system call; -ERESTART* before signal delivery */
	const struct run_state *after_syscall; /* set by a call that does not go straight back to the guest (exit, exec, vfork) */
	struct { uaddr_t stack, tls, child_tid; bool set_tls, exec, abandoned; } start; /* what a new thread does first */
	bool have_restart_mask;		/* saved_mask is to be restored after this call (sigsuspend, ppoll...) */
	sigset_k saved_mask;
	struct restart_block restart;
	uaddr_t clear_child_tid, robust_list;
	bool actions_lent;		/* to the stub, which answers rt_sigaction; own fiber */
	bool ids_lent;			/* the stub knows them, and answers getpid and the like while the mask is lent */
	bool mm_shared;			/* by a clone since exec: others may wait for clear_child_tid */
	struct { uint64_t trapno, err, cr2; } fault; /* of the last fault: sigcontext shows it */
	void *sig_scratch;		/* owned: kernel/sigframe.c builds frames in it; NULL until the first */
	bool blocked_notice;		/* pl_thread_will_block was called in this call */
	uint64_t sas_ss_sp, sas_ss_size;/* sigaltstack */
	uint32_t sas_ss_flags;
	bool no_new_privs, did_exec, is_vfork_child, sched_reset_on_fork;
	bool counted, uid_counted;	/* in task_set.ntasks, and in uids for counted_uid; task_set.lock */
	bool accounted;			/* its usage is in tg.exited; task_set.lock */
	kuid_t counted_uid;
	uint32_t pdeath_signal;
	struct vfork_done *vfork_done;	/* counted; told when this task releases its mm */
	struct vfork_done *vfork_waiting; /* counted; of the child that run_vfork_wait waits for */
	struct exec_state *exec;	/* an exec between de-threading and the new image */
	uint64_t timer_slack, timer_slack_default;
	uint32_t personality;
	uint16_t numa_mode;		/* set_mempolicy(2): kept and shown; own fiber */
	uint64_t numa_nodes;
	uint64_t maj_flt, min_flt, nvcsw, nivcsw;
	struct task_io io;
	uint64_t kernel_ticks;		/* TSC ticks that the fiber worked for this task: system time */
	uint8_t time_in, time_weight;	/* calls until one is timed again; what that one counts for */
	uint64_t missing_logged[8];	/* numbers of absent calls that the log has already */
	ktime_t past_utime;		/* of platform threads that exec left behind */
	struct sem_undo_list *sem_undo;	/* counted; NULL until it is needed: semop(2) with SEM_UNDO */

	/* immutable after creation or changed by the own fiber with task.lock; others read with it */
	struct mutex lock;		/* RANK_TASK */
	struct mm *mm;			/* counted; NULL once released */
	struct fd_table *fdt;		/* counted; NULL once released */
	struct fs_context *fs;		/* counted */
	struct cred *cred;		/* counted */
	struct mount_namespace *mnt_ns; /* counted */
	struct uts_namespace *uts;	/* counted */
	struct pid_namespace *pid_ns_for_children; /* counted */
	struct time_namespace *time_ns, *time_ns_for_children; /* counted; the own fiber reads time_ns without the lock */
	struct cgroup_namespace *cgroup_ns; /* counted */
	void *ipc_ns, *net_ns;		/* counted by their owners; ipc/ and net/ */
	char comm[16];
	uint64_t cpu_mask[16];		/* sched_setaffinity */
	int nice, sched_policy, sched_priority;
	struct io_context *ioc;		/* counted; NULL before an I/O priority was set */
	uint64_t sched_slice;		/* asked for with sched_setattr, 0 = the usual */
	struct { uint64_t runtime, deadline, period, flags; } sched_dl; /* of SCHED_DEADLINE */
	ktime_t start_time;		/* ktime_mono */
#ifdef BAILEY_KCOV
	struct kcov *kcov;		/* counted: what traces it; own fiber */
#endif

	/* task_set.lock */
	struct thread_group *tg;
	TAILQ_ENTRY(task) tg_link;	/* tg.tasks */
	struct task *parent;		/* real parent; borrowed */
	TAILQ_HEAD(, task) children;
	TAILQ_ENTRY(task) sibling;
	struct task *tracer;		/* ptrace; borrowed; signal lock too */
	TAILQ_HEAD(, task) tracees;
	TAILQ_ENTRY(task) tracee_link;
	struct ptrace_state *ptrace;	/* owned; NULL until it is first traced (kernel/ptrace.h) */
	struct pid *pid;		/* counted: the number(s) of this thread */
	enum exit_state exit_state;
	uint32_t external_stops;	/* pauses of this thread alone; task_set.lock */
	bool stopped_outside;		/* sleeps in task_wait_external_stops(); own fiber, others read it */
	bool exit_tracer_notified, exit_parent_notified, exit_tracer_acked, exit_parent_acked;

	/* signal lock (tg->sighand->lock) */
	struct sigpending pending;	/* private */
	sigset_k blocked, real_blocked;
	bool mask_lent, mask_busy;	/* to the stub; it has to ask */
	bool group_stop_pending, group_stop_acked, trap_stop_pending;
	enum stop_kind stop;		/* in an internal stop; changed only through task_set_stop() */
	uint8_t seccomp_mode;		/* SECCOMP_MODE_*; others write it by TSYNC, the own fiber reads it without the lock; so seccomp */
	uint8_t trace_calls;		/* it has a tracer: calls go by run_syscall_enter */
	bool dispatched;		/* calls are looked at by user_dispatch_check(); own fiber */
	struct user_dispatch *dispatch;	/* owned; NULL until it is asked for; own fiber */
	struct seccomp_filter *seccomp;	/* counted: the newest */
	int exit_code;			/* wait status for wait4 */
	int forced_sig;			/* a fault that nothing may ignore, not even init; 0: none */
	bool past_core;			/* on its way out: a core dump does not wait for it */
	bool killed;			/* a fatal signal was sent: SIGKILL pending */
	_Atomic bool work_pending;	/* something for run_interrupt: signals, stops, task work. Any lock; set then kick */
};

#define SCHED_DEADLINE_K 6
/* Shared by CLONE_IO. */
struct io_context { struct refcount ref; _Atomic int ioprio; };
void io_context_put(struct io_context *ioc); /* NULL is fine */
struct task_usage { ktime_t utime, stime; uint64_t maxrss /* KiB */, minflt, majflt, inblock, oublock, nvcsw, nivcsw; struct task_io io; };

enum { PR_MDWE_REFUSE_EXEC_GAIN_ = 1, PR_MDWE_NO_INHERIT_ = 2 };
/* A process that was started from outside and all that comes from it, whatever sessions they make: what a pause, a signal and an account from
 * outside may mean. Inherited by fork, never left. */
struct container {
	struct refcount ref;		/* one for each thread group, and handles */
	uint64_t id;			/* immutable */
	uint32_t stops;			/* external stops of all in it; task_set.lock */
	struct task_usage ended;	/* of its threads that ended; task_set.lock */
};
/* Who started a process from outside hears of its end: task_set.lock held, so it takes no lock above RANK_WAITQ. */
struct process_watch { /* task_set.lock */
	void (*ended)(struct process_watch *w, int status, const struct task_usage *u);
	void (*stopped)(struct process_watch *w, int sig);
};

struct pgrp_member { LIST_ENTRY(pgrp_member) link; struct thread_group *tg; };
struct thread_group {
	struct refcount ref;		/* one for each task in it, and handles */
	struct kernel *kernel;
	struct pid *pid;		/* counted, immutable: the process id (it outlives a leader that exec replaces) */
	struct container *container;	/* counted, immutable */
	bool is_init;			/* the first process of its PID namespace; immutable */
	bool immune;			/* an init that signals without a handler do not reach; immutable */
	/* task_set.lock */
	TAILQ_HEAD(, task) tasks;
	struct task *leader;
	unsigned ntasks, nlive, nactive; /* not reaped; not yet zombies; active: exit not initiated */
	struct process_group *pgrp;	/* counted */
	struct pgrp_member pgrp_member;	/* in pgrp.members */
	bool did_exec;			/* setpgid's EACCES */
	bool child_subreaper, has_child_subreaper;
	int membarriers;		/* MEMBARRIER_CMD_REGISTER_* done; signal lock to change */
	struct task *exec_task;		/* a thread that is de-threading */
	struct pid *ptracer;		/* PR_SET_PTRACER: counted */
	bool ptracer_any;
	bool thp_disabled, io_flusher, memory_merge; /* prctl(2): kept, shown, inherited; own fibers */
	uint32_t login_uid, login_session; /* /proc/PID/loginuid; own fibers */
	uint32_t coredump_filter;	/* core(5) */
	bool restore_timer_ids;		/* timer_create(2) takes the id that is there already */
	uint8_t mdwe, mce_policy;	/* PR_SET_MDWE, PR_MCE_KILL; own fibers */
	uint32_t external_stops;	/* pauses of this process; they nest */
	struct process_watch *watch;	/* borrowed; NULL: nobody */
	/* signal lock */
	struct signal_handlers *sighand; /* counted; swapped at exec only, with task_set.lock too */
	struct sigpending pending;	/* shared */
	bool exiting;
	struct core_state *core;	/* a core dump under way; borrowed from the dumper's stack */
	int exit_status;		/* wait status; immutable once exiting, but for the bit of a core that is being written */
	int group_stop_signal;
	unsigned group_stop_remaining;
	bool group_stop_dequeued, group_stop_complete, group_stop_waitable, group_cont_notify, group_cont_interrupted, group_cont_waitable;
	int termination_signal;		/* clone's low byte; 0: none */
	uint32_t exec_id, parent_exec_id; /* execs of this process; of the parent's when this one was made. task_set.lock */
	struct wait_queue child_wait;	/* wait4 and friends sleep here; woken with task_set.lock held */
	struct wait_queue exit_wait;	/* pidfd poll */
	struct wait_queue signalfd_wait;
	/* timer_lock */
	struct mutex timer_lock;	/* RANK_TG_TIMER */
	struct ktimer itimer_real;
	ktime_t itimer_real_interval;
	struct { ktime_t next, interval; } itimer_virt, itimer_prof;
	void *posix_timers;
	/* limits_lock */
	struct mutex limits_lock;	/* RANK_LEAF */
	struct rlimit64 limits[RLIM_NLIMITS];
	/* task_set.lock */
	struct task_usage exited, children;
	struct tty *tty;		/* counted; the controlling terminal. tty lock outside task_set.lock */
	struct pid *tty_old_pgrp;	/* counted; of a session leader whose terminal hung up: the foreground group then */
	_Atomic int oom_score_adj;
};

struct process_group { /* task_set.lock */
	struct refcount ref;
	struct pid *pid;	  /* counted: its number */
	struct session *session;  /* counted */
	LIST_HEAD(, pgrp_member) members; /* never empty while it is hashed (pid.pgrp) */
	LIST_ENTRY(process_group) session_link;
};
struct session { /* task_set.lock */
	struct refcount ref;
	struct pid *pid;
	struct thread_group *leader; /* borrowed; NULL once gone */
	LIST_HEAD(, process_group) groups;
	int autogroup_nice;
};

static inline struct task *current_task(void) { return fiber_context()->task; }
#define current current_task()

void task_get(struct task *t);
void task_put(struct task *t);

/* ---- identity (pid.h has struct pid) ---- */
int task_tid(struct task *t, struct pid_namespace *ns);  /* 0 if invisible there */
int task_tgid(struct task *t, struct pid_namespace *ns);
int task_ppid(struct task *t, struct pid_namespace *ns);
struct pid_namespace *task_pid_ns(struct task *t); /* borrowed */
struct task *pidns_task_with_id(struct pid_namespace *ns, int tid); /* counted, or NULL */
/* Calls fn with every task visible in ns in order of ids, without locks held across fn; tasks are counted for the call. */
int pidns_next_tgid(struct pid_namespace *ns, int from); /* the lowest process id >= from, or -1 */
int task_next_tid(struct thread_group *tg, struct pid_namespace *ns, int from);

bool task_is_active(struct task *t); /* runs, would like to, or sleeps where no signal reaches it; task_set.lock */

/* ---- blocking helpers ---- */
/* wait_event for system calls: tells the platform that the call blocks, then as wait_event(PARK_INTERRUPTIBLE). -EINTR is -ERESTARTSYS here. */
void task_will_block(struct task *t);
#define task_wait(wq, cond, deadline)                                                                                  \
	({                                                                                                             \
		int tw_ret_ = 0;                                                                                       \
		if (!(cond)) {                                                                                         \
			task_will_block(current);                                                                      \
			tw_ret_ = wait_event((wq), (cond), PARK_INTERRUPTIBLE, (deadline));                            \
			if (tw_ret_ == -EINTR)                                                                         \
				tw_ret_ = -ERESTARTSYS;                                                                \
		}                                                                                                      \
		tw_ret_;                                                                                               \
	})
/* Make t look at work_pending soon: interrupts its sleep and kicks it out of guest code. Any thread. */
void task_interrupt(struct task *t);
/* ptrace(2)'s access check (PTRACE_MODE_ATTACH_REALCREDS) without YAMA: may t look into o? */
bool task_may_access(struct task *t, struct task *o);
/* Tell the parent's process that something happened for wait(2) to look at. task_set.lock held. */
void task_wake_parent_locked(struct task *leader);
/* Install new credentials (taken over): task.lock, the fiber's context and RLIMIT_NPROC's count in step. Own fiber. */
void task_set_cred(struct task *t, struct cred *c);
void task_set_fiber_context(struct task *t, struct fiber *f); /* keep fiber_context() in step */

uint64_t task_rlimit(struct task *t, int which); /* soft */
uint64_t task_rlimit_max(struct task *t, int which);

/* ---- life ---- */
struct clone_args_k { uint64_t flags, stack, stack_size, tls, pidfd, child_tid, parent_tid, cgroup; int exit_signal; int set_tid[32]; unsigned nset_tid; };
long task_clone(struct task *t, const struct clone_args_k *a);
long task_membarrier(struct task *t, int cmd);
long task_unshare(struct task *t, uint64_t flags);
long task_setns(struct task *t, struct task *o, uint64_t flags); /* into the namespaces of o */
long task_execve(struct task *t, struct file *f /* NULL: by name */, int dfd, const char *name, char **argv, char **envv, int flags);
/* exit(2) of only this thread, and of the whole process (exit_group, fatal signals). status: as wait(2) shows it. In a system
 * call the task goes to run_exit afterwards (after_syscall is set); a run state returns &run_exit itself. Own fiber. */
void task_exit(struct task *t, int status);
/* reboot(2): the namespace's init is killed, and will have ended by signal sig. -EINVAL if there is none. Own fiber. */
long task_reboot(struct task *t, int sig);
long task_execve_user(struct task *t, int dfd, const char *name, uaddr_t argv, uaddr_t envp, int flags);
void task_group_exit(struct task *t, int status); /* exit_group, fatal signals */
void usage_add(struct task_usage *to, const struct task_usage *from); /* sums; the larger maxrss */
void task_usage(struct task *t, struct task_usage *u); /* one thread so far, without maxrss */
void group_usage(struct thread_group *tg, struct task_usage *u); /* whole process, task_set.lock taken inside */

/* ---- process groups, sessions, ttys ---- */
struct tty;
long task_setpgid(struct task *t, int pid, int pgid);
long task_getpgid(struct task *t, int pid, bool session /* getsid */);
long task_setsid(struct task *t);
void tg_get(struct thread_group *tg);
void tg_put(struct thread_group *tg);
void pgrp_get(struct process_group *pg);
void pgrp_put(struct process_group *pg);
void session_get(struct session *s);
void session_put(struct session *s);
/* No member has a parent in the same session but another group. */
bool pgrp_is_orphaned_locked(struct process_group *pg);
int pgrp_send_signal(struct process_group *pg, const siginfo_k *info); /* task_set.lock taken inside */

#endif
