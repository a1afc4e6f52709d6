/* SPDX-License-Identifier: Apache-2.0 */
/* bailey.h: run Linux programs that you do not trust, from a C program.
 *
 * A *kernel* is a sandbox: a jailed process of its own (and the processes of what runs in it) that is the Linux kernel for the programs inside.
 * Several kernels may be used at once; they share nothing. A kernel's files in memory, processes and network go with it.
 *
 *     struct bailey_kernel_options ko = BAILEY_KERNEL_OPTIONS_INIT;
 *     struct bailey_process_options po = BAILEY_PROCESS_OPTIONS_INIT;
 *     const char *argv[] = { "sh", "-c", "echo hello", NULL };
 *     struct bailey_fd out = { .guest = 1, .host = 1 };
 *     bailey_kernel *k;
 *     bailey_process *p;
 *     struct bailey_exit e;
 *
 *     po.argv = argv;
 *     po.fds = &out;
 *     po.nfds = 1;
 *     if (bailey_kernel_create(&ko, &k) || bailey_process_create(k, &po, &p) || bailey_process_start(p) || bailey_process_wait(p, -1, &e))
 *             fprintf(stderr, "%s\n", bailey_error());
 *     bailey_kernel_free(k);
 *
 * Results. Functions that can fail return 0, or a negative errno; then bailey_error() has a line of text. -EPIPE always means that the kernel
 * is gone (killed, or out of memory): nothing in it runs any more, and it can only be freed.
 *
 * Units. Times are in nanoseconds, sizes in bytes, timeouts in milliseconds (negative: without end). Process numbers are the guest's.
 *
 * Ownership. What is passed in is copied, or, for host descriptors, duplicated: it may go when the function has returned. Handles are yours until
 * you free them; bailey_kernel_free() also frees the handles of its processes.
 *
 * Structures begin with their size, so that programs built against an older header go on working: start from the _INIT macros. What they leave
 * zero is optional.
 *
 * Threads. Any function may be called from any thread at any time, except that a handle must not be used while, or after, it is freed. The library
 * has no threads of its own. Blocking: bailey_kernel_create() takes some 10 to 20 ms, the others the time of one round trip to the
 * kernel's process, if no timeout is given. They are not cancellation points, and are not safe in signal handlers.
 *
 * Callbacks are called by whichever thread is inside a function of this kernel and happens to read: one that waits, one that dispatches, or any
 * other. No lock is held, so they may call functions of the library, but not free what they are called for, nor the kernel. Two may run at once
 * if two threads are inside.
 *
 * Your process: the library does not print, exit, or touch signal handlers, signal masks or the working directory. Each kernel has one helper
 * process, which is a child of yours and is reaped by bailey_kernel_free() whatever you do with SIGCHLD (a wait() of yours for any child may
 * see its end). If your process ends, however, its kernels end. Do not use a kernel in the child of a fork().
 *
 * The helper is the `bailey` program: options.helper, or $BAILEY_HELPER, or where it was installed with the library.
 */
#ifndef BAILEY_H
#define BAILEY_H
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BAILEY_API __attribute__((visibility("default")))
#define BAILEY_API_VERSION 1 /* of this header; grows with what is added */

typedef struct bailey_kernel bailey_kernel;
typedef struct bailey_process bailey_process;

BAILEY_API const char *bailey_version(void); /* of the library, "1.2.3"; static */
/* Why the calling thread's last call failed: a line without its end. Until that thread's next call. Never NULL. */
BAILEY_API const char *bailey_error(void);

/* ---- kernels ---- */

enum bailey_log_level { BAILEY_LOG_ERROR, BAILEY_LOG_WARN, BAILEY_LOG_INFO, BAILEY_LOG_DEBUG };
enum bailey_network { BAILEY_NETWORK_NONE /* a private loopback */, BAILEY_NETWORK_HOST };
/* The jail of the kernel's process; docs/security.md says what each is. */
enum bailey_tier { BAILEY_TIER_BEST, BAILEY_TIER_ROOT, BAILEY_TIER_USER_NAMESPACE, BAILEY_TIER_BARE };

enum { BAILEY_BIND_READ_ONLY = 1 };
struct bailey_bind {
	const char *source; /* a file or folder of the host */
	const char *target; /* absolute; made if it is not there */
	unsigned flags;
};

struct bailey_kernel_options {
	size_t size;
	enum bailey_log_level log_level; /* of `log`; BAILEY_LOG_WARN in the _INIT macro */
	const char *rootfs; /* NULL: the host's root directory. Read-only; what guests write stays in memory */
	const struct bailey_bind *binds;
	unsigned nbinds;
	const char *hostname; /* NULL: "bailey" */
	enum bailey_network network;
	uint64_t memory_limit; /* of all guests together, files in memory, and the kernel's own heap; 0: none */
	unsigned max_tasks;    /* threads of all guests together; 0: none */
	enum bailey_tier tier; /* not a better one than this */
	const char *helper;    /* path of the bailey program; NULL: see above */
	/* A line of the kernel's log; NULL: there is none. Lines are dropped when nobody reads them for long. */
	void (*log)(void *arg, const char *line);
	/* A line for every system call of a guest, as from strace(1); NULL: off (it costs much). Lines are dropped as above. */
	void (*trace)(void *arg, const char *line);
	void *arg; /* for log, trace and event */
	/* A line of JSON for each start, clone, exec and exit of a guest, and system call that is not there; see `bailey run --events`. NULL: off. */
	void (*event)(void *arg, const char *line);
	/* Names of system calls with commas between: trace shows these only, event tells of them too. NULL: trace shows all. -EIO: an unknown name. */
	const char *calls;
	unsigned cpus; /* the guests' CPUs; 0: all that the caller may use */
};
#ifdef __cplusplus
#define BAILEY_KERNEL_OPTIONS_INIT { sizeof(struct bailey_kernel_options), BAILEY_LOG_WARN }
#else
#define BAILEY_KERNEL_OPTIONS_INIT { .size = sizeof(struct bailey_kernel_options), .log_level = BAILEY_LOG_WARN }
#endif

/* Starts a kernel, without processes. -ENOENT: no helper; -EINVAL: an option; -EIO: it could not start, bailey_error() says why. *out is NULL then. */
BAILEY_API int bailey_kernel_create(const struct bailey_kernel_options *o, bailey_kernel **out);
/* Ends it and everything in it, waits for that (some ms), and frees it and the handles of its processes. NULL is fine. */
BAILEY_API void bailey_kernel_free(bailey_kernel *k);
/* Ends it at once, without waiting: every call in it returns -EPIPE soon. Unlike all others it does not need the kernel's answer. */
BAILEY_API int bailey_kernel_kill(bailey_kernel *k);
/* Which tier it runs in. */
BAILEY_API enum bailey_tier bailey_kernel_tier(const bailey_kernel *k);
/* A descriptor that is readable (poll, epoll, select) when there is something for bailey_kernel_dispatch(). The library's: do not read or close it. */
BAILEY_API int bailey_kernel_fd(const bailey_kernel *k);
/* Handles what has come: ends of processes, log, trace. Waits up to the timeout for something. 0, -ETIMEDOUT, -EPIPE. */
BAILEY_API int bailey_kernel_dispatch(bailey_kernel *k, int timeout_ms);

/* ---- processes ---- */

struct bailey_fd { int guest, host; /* the guest's descriptor (0 to 1023) is the host's file, pipe or socket; folders and terminals as such are not handed in */ };
struct bailey_limit { int resource; /* RLIMIT_CPU... of <sys/resource.h> */ uint64_t soft, hard; /* as in setrlimit(2); UINT64_MAX: none */ };

struct bailey_usage {
	uint64_t user_ns, system_ns; /* CPU time */
	uint64_t max_rss;	     /* of the largest process */
	uint64_t memory, memory_peak; /* of the whole kernel, with memory_limit; else 0 */
	uint64_t oom_kills;	     /* processes of the kernel that were killed for memory_limit */
	unsigned tasks;		     /* threads in the whole kernel */
};
enum bailey_exit_kind {
	BAILEY_EXITED, /* value is the exit status */
	BAILEY_KILLED, /* value is the signal */
	BAILEY_LOST,   /* the kernel went first */
};
struct bailey_exit {
	enum bailey_exit_kind kind;
	int value;
	int core;		   /* the signal was one that dumps core */
	struct bailey_usage usage; /* the process and those children that it waited for */
};

enum {
	/* It is process 1 of its kernel, which has to have had none: when it ends, everything in the kernel is killed. It is not immune to signals. */
	BAILEY_PROCESS_INIT = 1,
};
struct bailey_process_options {
	size_t size;
	uint32_t umask; /* 022 in the _INIT macro */
	const char *const *argv; /* ends with NULL. argv[0] is looked up in the guest's PATH if there is no '/' in it */
	const char *const *envp; /* ends with NULL; NULL: empty, but for a PATH */
	const char *cwd;	 /* absolute; NULL: "/" */
	const struct bailey_fd *fds; /* no others are open in the guest */
	unsigned nfds;		     /* at most 249 */
	uint32_t uid, gid;	     /* in the guest */
	const uint32_t *groups;	     /* supplementary */
	unsigned ngroups;
	const struct bailey_limit *limits; /* of each process; inherited. CPU time, address space, processes of the user, file size... */
	unsigned nlimits;
	unsigned flags;
	/* When it has ended; once; NULL: none. The last use of arg. */
	void (*exited)(void *arg, bailey_process *p, const struct bailey_exit *e);
	void *arg;
};
#ifdef __cplusplus
#define BAILEY_PROCESS_OPTIONS_INIT { sizeof(struct bailey_process_options), 022 }
#else
#define BAILEY_PROCESS_OPTIONS_INIT { .size = sizeof(struct bailey_process_options), .umask = 022 }
#endif

/* A process that does not run yet: in a session of its own, without a parent. It leads a *container*: itself and all that descend from it, whatever
 * groups and sessions they make. Processes number from 2, unless one is BAILEY_PROCESS_INIT.
 * -ENOENT, -EACCES, -ENOEXEC and so on as execve(2); -EBADF: a host descriptor; -EAGAIN: max_tasks; -EBUSY: not the first. *out is NULL then. */
BAILEY_API int bailey_process_create(bailey_kernel *k, const struct bailey_process_options *o, bailey_process **out);
/* The exit status that a shell gives where bailey_process_create() failed: 127 if the program is not there, 126 if it cannot be executed, else 125. */
BAILEY_API int bailey_exit_status_of_error(int error);
BAILEY_API int bailey_process_start(bailey_process *p); /* -EALREADY: it was */
/* Waits for its end: 0 (again and again), -ETIMEDOUT. If the kernel goes, that is an end too (BAILEY_LOST). e may be NULL. */
BAILEY_API int bailey_process_wait(bailey_process *p, int timeout_ms, struct bailey_exit *e);
/* A descriptor that polls POLLHUP when bailey_process_wait() would not wait. The library's: do not read or close it. */
BAILEY_API int bailey_process_fd(const bailey_process *p);
BAILEY_API int bailey_process_pid(const bailey_process *p);	       /* in the guest */
BAILEY_API uint64_t bailey_process_container(const bailey_process *p); /* struct bailey_task has it too */
/* Frees the handle. The process goes on, if it was started. NULL is fine. */
BAILEY_API void bailey_process_free(bailey_process *p);

/* Who is meant. A container may outlive the process that led it. */
enum bailey_scope {
	BAILEY_PROCESS,	  /* the process with all its threads */
	BAILEY_GROUP,	  /* its process group */
	BAILEY_SESSION,	  /* its session */
	BAILEY_CONTAINER, /* it and its descendants */
};
/* As kill(2) from outside the guest's world (si_pid 0). -ESRCH: nobody is left. */
BAILEY_API int bailey_process_signal(bailey_process *p, int signo, enum bailey_scope scope);
/* Guests stop at their next instruction and do not see it, but for clocks, and are not charged CPU time. Pauses nest, those of BAILEY_PROCESS,
 * BAILEY_CONTAINER and of the kernel each for itself; SIGKILL works meanwhile. -EINVAL: another scope, or no pause to end. */
BAILEY_API int bailey_process_pause(bailey_process *p, enum bailey_scope scope);
BAILEY_API int bailey_process_unpause(bailey_process *p, enum bailey_scope scope);
/* BAILEY_PROCESS: it and the children it waited for; BAILEY_CONTAINER: all that ever were in it. Running or not. */
BAILEY_API int bailey_process_usage(bailey_process *p, enum bailey_scope scope, struct bailey_usage *u);

/* The same for everything in a kernel. */
BAILEY_API int bailey_kernel_signal(bailey_kernel *k, int signo);
BAILEY_API int bailey_kernel_pause(bailey_kernel *k);
BAILEY_API int bailey_kernel_unpause(bailey_kernel *k);
/* One thread, by its number; it nests for itself. -ESRCH: there is none; -EINVAL: no pause to end. */
BAILEY_API int bailey_kernel_pause_task(bailey_kernel *k, int tid);
BAILEY_API int bailey_kernel_unpause_task(bailey_kernel *k, int tid);
BAILEY_API int bailey_kernel_usage(bailey_kernel *k, struct bailey_usage *u);

struct bailey_task { /* a process */
	int pid, ppid, pgid, sid;
	unsigned threads;
	uint32_t uid;
	uint64_t container; /* of bailey_process_container() */
	char state;	    /* R, S, D, T, t, Z, X as in proc(5) */
	char paused;	    /* not 0: from outside */
	char name[30];
	uint64_t user_ns, system_ns;
	uint64_t start_ns; /* since the kernel's start */
};
/* What runs, or waits to be reaped, by number. *list is for bailey_tasks_free(). */
BAILEY_API int bailey_kernel_tasks(bailey_kernel *k, struct bailey_task **list, size_t *n);
BAILEY_API void bailey_tasks_free(struct bailey_task *list);

#ifdef __cplusplus
}
#endif
#endif
