/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox.h: the kernel process as a whole: its jail, its start, the root file system. Used by cmd/. */
#ifndef BAILEY_SANDBOX_SANDBOX_H
#define BAILEY_SANDBOX_SANDBOX_H
#include "control/protocol.h"
#include "lib/lib.h"
#include <termios.h>

enum { EXIT_BAILEY = 125, EXIT_CANNOT_EXEC = 126, EXIT_NOT_FOUND = 127 };

enum jail_tier {
	TIER_ROOT = 1, /* namespaces by privilege */
	TIER_USERNS,   /* the same through a user namespace */
	TIER_BARE,     /* seccomp and no_new_privs alone */
};

struct sandbox_bind {
	char *source, *target;
	bool ro;
	int fd;	    /* the tree */
	char *file; /* SRC is a file: its name in the tree */
};
#define WORKERS_MAX 64
struct sandbox_options {
	const char *rootfs;  /* borrowed; NULL: the host's / */
	struct sandbox_bind *binds;
	unsigned nbinds;
	const char *hostname;
	bool host_network, no_patch;
	bool persistent; /* it goes on without processes, until the control socket's other end is closed */
	uint64_t memory_limit;
	unsigned max_pids;
	unsigned workers; /* 0: the environment's BAILEY_WORKERS, or one */
	int strace_fd, events_fd; /* -1: off */
	const char *calls; /* names of system calls with commas between, which strace shows (NULL: all) and events tell of (NULL: none) */
	unsigned ncpus; /* CPUs for guests; 0: all that the caller may use */
	enum log_level log_level;
	bool tty; /* stdout is a terminal, in raw mode already */
	struct termios termios;
	/* how it is run */
	enum jail_tier tier;
	const char *tier_reason; /* why not a better one */
	uint32_t host_uid, host_gid; /* the caller's */
	int control_fd;
};

/* ---- jail.c ---- */
struct jail {
	int root_fd; /* the lower tree */
	enum jail_tier tier;
	bool mount_ns, pid_ns, net_ns;
};
/* In the launcher: fork() into the tier's namespaces. The child's pid, 0 in the child, or -errno: the next tier may do. */
pid_t jail_fork(enum jail_tier tier);
/* In the kernel process, first of all: own session, PDEATHSIG, stray descriptors, namespaces, trees. 0 or -errno; *step says where, and
 * *retry that the host forbids what this tier needs. */
int jail_enter(struct sandbox_options *o, struct jail *j, const char **step, bool *retry);
/* Once the platform is up: empty root, no capabilities, seccomp filter. */
int jail_close(const struct sandbox_options *o, struct jail *j, const char **step);
/* ---- filter.c ---- */
int jail_filter_load(bool host_network, const char **step);
struct jail_call { int nr; const char *name, *why; };
extern const struct jail_call jail_calls[]; /* ends with a NULL name; docs/security.md is checked against it */

/* ---- memory.c: --memory. prepare: while /proc is there; start: once the jail is closed. 0 or -errno ---- */
struct watch;
struct kernel;
int memory_watch_prepare(uint64_t limit, struct watch **out);
int memory_watch_start(struct watch *w, struct kernel *k);

/* ---- events.c: lines of JSON to fd, borrowed; calls: NULL or TRACE_WORDS words ---- */
void events_start(struct kernel *k, int fd, const uint64_t *calls);

/* ---- boot.c: the body of the kernel process; returns its exit status. Reports failures over o->control_fd ---- */
int sandbox_run(struct sandbox_options *o);

/* ---- launch.c: starts kernel processes ---- */
struct launch { int control_fd; pid_t pid; enum jail_tier tier; };
/* In the best jail from o->tier on that the host allows. Waits until it is up or has failed; gives up when `lifeline` (-1: none) hangs up.
 * True: l is filled. Else st has an exit status and a line. One at a time in a process without other children. */
bool sandbox_launch(struct sandbox_options *o, int lifeline, struct launch *l, struct ctl_status *st);
/* Waits for its end, whatever is left of it is ended too: its wait status. */
int sandbox_reap(const struct launch *l);

/* ---- doctor.c ---- */
int sandbox_doctor(void);

#endif
