/* SPDX-License-Identifier: Apache-2.0 */
/* kernel.h: one Bailey kernel. No global mutable state: everything hangs off struct kernel. */
#ifndef BAILEY_KERNEL_KERNEL_H
#define BAILEY_KERNEL_KERNEL_H
#include "auth/cred.h"
#include "lib/lib.h"
#include "platform/platform.h"
#include "sched/sched.h"
#include "vfs/vfs.h"

struct task;
struct task_usage;
struct thread_group;
struct pid_namespace;
struct syscall_table;
struct tty;
struct uid_counts;
struct trace_sink;
struct futex_table;

struct uts_namespace {
	struct refcount ref;
	struct mutex lock; /* RANK_LEAF */
	char nodename[65], domainname[65];
	struct user_namespace *user_ns; /* counted */
	uint64_t ns_ino;
};

/* All tasks of the kernel and the tree between them. */
struct task_set {
	struct mutex lock; /* RANK_TASK_SET: parents, children, tracers, pids, groups, sessions, exit states */
	struct pid_namespace *root; /* immutable */
	unsigned ntasks;	    /* live tasks; lock */
	unsigned max_tasks;	    /* --pids; 0: no bound; immutable */
	uint32_t stop_count;	    /* external stops of everything; lock */
	struct uid_counts *uids;    /* tasks by user id, for RLIMIT_NPROC; lock */
};
struct sig_users;

struct kernel {
	struct sched *sched;	   /* owned, immutable */
	struct platform *platform; /* owned, immutable */
	struct sig_users *sig_users; /* owned, immutable; kernel/sig_user.c */
	const struct syscall_table *syscalls; /* immutable; handed in, so that kernel/ does not include syscalls/ */
	struct task_set tasks;
	struct futex_table *futexes;
	struct user_namespace *root_user_ns;
	struct uts_namespace *root_uts;
	struct ipc_namespace *root_ipc;
	struct time_namespace *root_time_ns;
	struct cgroup_namespace *root_cgroup_ns;
	struct mount *pidfs, *nsfs; /* what pidfds and namespaces are files of */
	struct mount_namespace *root_mnt_ns;
	struct thread_group *init; /* the first process; borrowed, task_set.lock */
	ktime_t boot_time;	   /* CLOCK_BOOTTIME's zero on ktime_mono */
	ktime_t start_time;	   /* ktime_mono at start */
	uint64_t start_ticks;	   /* the TSC then */
	uint64_t memory_limit;	   /* bytes, 0: none */
	_Atomic uint64_t memory_used, memory_peak, oom_kills; /* as --memory's watch saw it last; 0 without a limit */
	uint64_t random_boot_id[2];
	char *hostname;
	bool persistent;	   /* immutable; see kernel_options */
	/* immutable once the first process runs; kernel/trace.h */
	bool calls_traced;	   /* any of call_trace: nothing is answered by stubs, copies are made at once */
	uint32_t trace_points;
	uint8_t call_trace[512];   /* by number: CALL_TRACE_* */
	struct trace_sink *trace_sinks;
	int ncpus;
	int nice; /* of whoever started this program: the first processes have it too */
	int speculation[3];		/* what the host says to PR_GET_SPECULATION_CTRL; -1: nothing */
	_Atomic uint64_t aio_nr, aio_max_nr; /* events that contexts of io_setup(2) may hold; fs.aio-max-nr */
	struct task_usage *ended;  /* usage of all threads that ended; owned; task_set.lock */
	_Atomic uint64_t next_ns_ino, next_unique_id, total_forks, context_switches;
	_Atomic uint32_t yama_scope, login_sessions, core_uses_pid;
	char core_pattern[128];	   /* kernel.core_pattern; task_set.lock */
	struct ktimer load_timer;
	uint64_t load[3]; /* over 1, 5, 15 minutes, with LOAD_SHIFT bits behind the point */
	void *net;  /* struct net_namespace * of the root; net/ */
	void *tty;  /* tty drivers; kernel/tty */
	_Atomic int legacy_tiocsti, ldisc_autoload; /* /proc/sys/dev/tty */
	_Atomic bool outer_jobs; /* init is a job of a shell outside: who stops can be continued */
	_Atomic int pty_max, pty_reserve, pty_count; /* /proc/sys/kernel/pty */
	void (*tty_get)(struct tty *tty); /* references of controlling terminals: set by kernel/tty when it starts */
	void (*tty_put)(struct tty *tty);
	/* A session leader is gone: its terminal is free. No locks held; set by kernel/tty */
	void (*tty_disassociate)(struct thread_group *tg, bool on_exit);
	void *priv[8]; /* spare hooks: one per subsystem that needs kernel-wide state (see enum kernel_priv) */
	_Atomic bool exiting;
	int exit_status; /* wait status of init once it is gone */
};
enum { CALL_TRACE_ENTER = 1, CALL_TRACE_EXIT = 2 };
#define LOAD_SHIFT 11
enum kernel_priv { KPRIV_VFS, KPRIV_SYSV_IPC, KPRIV_MQUEUE, KPRIV_POSIX_TIMERS, KPRIV_PROC, KPRIV_DEV, KPRIV_KEYS, KPRIV_SPARE };

struct kernel_options {
	struct sched *sched;
	struct platform *platform;
	const struct syscall_table *syscalls;
	const char *hostname;
	unsigned max_pids;
	uint64_t memory_limit;
	unsigned ncpus; /* 0: the host's */
	bool persistent; /* it goes on when its first process ends, until sched_stop() */
};
int kernel_init(const struct kernel_options *o, struct kernel **out);

struct process_watch;
struct process_options { /* kernel_create_process: strings and vectors are copied */
	const char *filename; /* resolved in cwd/PATH by the caller: a path in the root file system */
	char *const *argv;
	char *const *envv;
	const char *cwd;
	struct cred *cred;
	struct fd_table *fdt;	       /* counted reference taken over */
	struct mount_namespace *mnt_ns; /* borrowed */
	bool foreground_tty;	       /* make fd 0's tty its controlling terminal */
	bool init;		       /* process 1: with it the others end. It has to be the first. Without, numbers begin at 2 and nobody is init */
	bool second;		       /* with init: process 2, whose parent, process 1, there is only as a number */
	bool immune;		       /* as every other init: no signal without a handler, and it reaps orphans. Else it is as under a shell */
	uint64_t ignored;	       /* signals that it ignores from the start: bit 0 is signal 1 */
	uint32_t umask;
	uint32_t rlimits_set;	       /* which of rlimits count: bit 0 is RLIMIT_CPU */
	uint64_t rlimits[16][2];       /* soft, hard; as from prlimit(2) */
	struct process_watch *watch;   /* borrowed until it was called or taken off; NULL: nobody hears of the end */
};
/* A process without a parent, in a session and a container of its own. It starts at kernel_start_process(). The group is counted.
 * 0 or -errno (ENOENT, EACCES, ENOEXEC...; EBUSY: an init that is not the first; EAGAIN: too many tasks). Runs on a fiber. */
int kernel_create_process(struct kernel *k, const struct process_options *o, struct thread_group **out);
void kernel_start_process(struct thread_group *tg); /* once */

/* ---- external.c: what comes from outside; no locks held ---- */
/* A signal to init's foreground process group or to init itself (info SI_KERNEL). */
void kernel_send_external_signal(struct kernel *k, int signo, bool foreground_group);
/* A process with its threads; its process group, session or container as they are now; or, with any group of the kernel, everything. */
enum external_scope { SCOPE_PROCESS, SCOPE_GROUP, SCOPE_SESSION, SCOPE_CONTAINER, SCOPE_ALL };
/* From nobody whom the guest could see (SI_USER, pid 0). tg NULL with SCOPE_ALL. How many processes it was sent to. */
int kernel_signal_scope(struct kernel *k, struct thread_group *tg, enum external_scope scope, int signo);
/* Guests stand still from their next instruction on, whoever is paused may still be killed. SCOPE_PROCESS, SCOPE_CONTAINER, SCOPE_ALL. Each
 * nests for itself. -EINVAL: another scope, or unpaused more often than paused. */
int kernel_pause(struct kernel *k, struct thread_group *tg, enum external_scope scope);
int kernel_unpause(struct kernel *k, struct thread_group *tg, enum external_scope scope);
/* The same of one thread. -ESRCH: there is no such number. */
int kernel_pause_task(struct kernel *k, int tid);
int kernel_unpause_task(struct kernel *k, int tid);
bool tg_paused(struct thread_group *tg);
/* CPU time and, of what still runs or has been waited for, the largest process. SCOPE_PROCESS, SCOPE_CONTAINER, SCOPE_ALL. */
struct task_usage;
void kernel_usage(struct kernel *k, struct thread_group *tg, enum external_scope scope, struct task_usage *u);
uint64_t kernel_new_ns_ino(struct kernel *k);

/* Guest clocks. CLOCK_MONOTONIC and BOOTTIME of guests are the host's (vDSO) for now. */
struct timespec ktime_to_timespec(ktime_t t);
struct timeval ktime_to_timeval(ktime_t t);
bool timespec_valid(const struct timespec *ts);
ktime_t timespec_to_ktime(const struct timespec *ts); /* saturating */

#endif
