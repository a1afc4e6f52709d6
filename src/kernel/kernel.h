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
struct thread_group;
struct pid_namespace;
struct syscall_table;
struct tty;
struct uid_counts;
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

struct kernel {
	struct sched *sched;	   /* owned, immutable */
	struct platform *platform; /* owned, immutable */
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
	uint64_t random_boot_id[2];
	char *hostname;
	bool strace;
	int strace_fd;
	int ncpus;
	_Atomic uint64_t aio_nr, aio_max_nr; /* events that contexts of io_setup(2) may hold; fs.aio-max-nr */
	_Atomic uint64_t next_ns_ino, next_unique_id, total_forks, context_switches;
	_Atomic uint32_t yama_scope;
	void *net;  /* struct net_namespace * of the root; net/ */
	void *tty;  /* tty drivers; kernel/tty */
	void (*tty_get)(struct tty *tty); /* references of controlling terminals: set by kernel/tty when it starts */
	void (*tty_put)(struct tty *tty);
	/* A session leader is gone: hang up its terminal. No locks held; set by kernel/tty */
	void (*tty_disassociate)(struct thread_group *tg, bool on_exit);
	void *priv[8]; /* spare hooks: one per subsystem that needs kernel-wide state (see enum kernel_priv) */
	_Atomic bool exiting;
	int exit_status; /* wait status of init once it is gone */
};
enum kernel_priv { KPRIV_VFS, KPRIV_SYSV_IPC, KPRIV_MQUEUE, KPRIV_POSIX_TIMERS, KPRIV_PROC, KPRIV_DEV, KPRIV_KEYS, KPRIV_SPARE };

struct kernel_options {
	struct sched *sched;
	struct platform *platform;
	const struct syscall_table *syscalls;
	const char *hostname;
	unsigned max_pids;
	uint64_t memory_limit;
	int strace_fd; /* -1: off */
};
int kernel_init(const struct kernel_options *o, struct kernel **out);

struct process_options { /* kernel_create_process: strings and vectors are copied */
	const char *filename; /* resolved in cwd/PATH by the caller: a path in the root file system */
	char *const *argv;
	char *const *envv;
	const char *cwd;
	struct cred *cred;
	struct fd_table *fdt;	       /* counted reference taken over */
	struct mount_namespace *mnt_ns; /* borrowed */
	bool foreground_tty;	       /* make fd 0's tty its controlling terminal */
	bool immune;		       /* as every other init: no signal without a handler, and it reaps orphans. Else it is as under a shell */
	uint64_t ignored;	       /* signals that it ignores from the start: bit 0 is signal 1 */
	uint32_t umask;
	uint64_t rlimits[16][2];       /* soft, hard; as from prlimit(2) */
};
/* The first process (init of the root PID namespace). It starts at kernel_start(). 0 or -errno (ENOENT, EACCES, ENOEXEC...). Runs on a fiber. */
int kernel_create_process(struct kernel *k, const struct process_options *o, struct thread_group **out);
void kernel_start(struct kernel *k);
/* From any thread, async-safe towards fibers: a signal to init's foreground process group or to init itself (info SI_KERNEL/SI_USER pid 0). */
void kernel_send_external_signal(struct kernel *k, int signo, bool foreground_group);
void kernel_pause(struct kernel *k);
void kernel_unpause(struct kernel *k);
uint64_t kernel_new_ns_ino(struct kernel *k);

/* Guest clocks. CLOCK_MONOTONIC and BOOTTIME of guests are the host's (vDSO) for now. */
struct timespec ktime_to_timespec(ktime_t t);
struct timeval ktime_to_timeval(ktime_t t);
bool timespec_valid(const struct timespec *ts);
ktime_t timespec_to_ktime(const struct timespec *ts); /* saturating */

#endif
