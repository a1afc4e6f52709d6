/* SPDX-License-Identifier: Apache-2.0 */
/* filter.c: the seccomp filter of the kernel process: a list of what it may ask of the host, with the reason for each. Anything else
 * ends the sandbox with a line that names the call. */
#include "sandbox/sandbox.h"
#include <linux/audit.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1 /* si_code of SIGSYS: the call is kept by a filter */
#endif

const struct jail_call jail_calls[] = {
	/* the libc and its threads */
	{ "brk", "memory of the kernel itself" }, { "mmap", "memory, fiber stacks, slots" }, { "munmap", "as mmap" },
	{ "mprotect", "guard pages" }, { "mremap", "realloc" }, { "madvise", "giving memory back" },
	{ "futex", "locks between workers" }, { "set_robust_list", "starting a worker thread" }, { "rseq", "starting a worker thread" },
	{ "rt_sigprocmask", "starting a worker thread" }, { "rt_sigreturn", "end of a handler" }, { "rt_sigaction", "abort()" },
	{ "sigaltstack", "handlers" }, { "exit", "end of a worker thread" }, { "exit_group", "end of the sandbox" }, { "gettid", "abort()" },
	{ "getpid", "abort(), signals" }, { "tgkill", "abort()" }, { "restart_syscall", "waits that were interrupted" },
	{ "sched_yield", "waiting for another worker" }, { "sched_getaffinity", "number of CPUs" }, { "sched_setaffinity", "placing workers" },
	{ "getcpu", "placing workers" }, { "clock_gettime", "clocks (where the vDSO has none)" }, { "clock_getres", "clocks" },
	{ "gettimeofday", "clocks" }, { "clock_nanosleep", "the monitor thread, bounded waits" }, { "nanosleep", "as clock_nanosleep" },
	{ "getrandom", "AT_RANDOM, /dev/urandom" }, { "getrusage", "usage" }, { "times", "usage" }, { "sysinfo", "memory size" },
	{ "getrlimit", "limits of descriptors" }, { "prlimit64", "limits of descriptors" }, { "uname", "version" },
	{ "getuid", "credentials of the process" }, { "geteuid", "as getuid" }, { "getgid", "as getuid" }, { "getegid", "as getuid" },
	{ "membarrier", "workers" },
	/* waiting for events */
	{ "epoll_create1", "poller" }, { "epoll_ctl", "watching host descriptors" }, { "epoll_wait", "poller" }, { "epoll_pwait", "poller" },
	{ "epoll_pwait2", "poller" }, { "ppoll", "idle worker" }, { "poll", "readiness of one descriptor" }, { "eventfd2", "kicks" },
	{ "timerfd_create", "idle wait" }, { "timerfd_settime", "idle wait" },
	/* stubs */
	{ "wait4", "stubs that ended" }, { "waitid", "stubs that ended" }, { "kill", "ending stubs (only they are visible)" },
	{ "tkill", "kicking stub threads" }, { "rt_tgsigqueueinfo", "kicking stub threads" }, { "pidfd_open", "stubs" },
	{ "pidfd_send_signal", "stubs" }, { "process_vm_readv", "guest memory" }, { "process_vm_writev", "guest memory" },
	{ "memfd_create", "slots, shared memory" },
	/* files below the descriptors that the jail left */
	{ "openat", "host tree" }, { "openat2", "host tree" }, { "close", "descriptors" }, { "close_range", "descriptors" },
	{ "read", "files" }, { "write", "files, log" }, { "readv", "files" }, { "writev", "files" }, { "pread64", "files" }, { "pwrite64", "files" },
	{ "preadv", "files" }, { "pwritev", "files" }, { "preadv2", "files" }, { "pwritev2", "files" }, { "lseek", "files" },
	{ "fstat", "files" }, { "newfstatat", "host tree" }, { "statx", "host tree" }, { "fstatfs", "host tree" }, { "readlinkat", "host tree" },
	{ "getdents64", "host tree" }, { "faccessat2", "host tree" }, { "ftruncate", "files" }, { "fallocate", "files" }, { "fsync", "files" },
	{ "fdatasync", "files" }, { "sync_file_range", "files" }, { "syncfs", "files" }, { "fadvise64", "files" }, { "copy_file_range", "copy-up" },
	{ "sendfile", "files" }, { "flock", "writable binds" }, { "fgetxattr", "host tree" }, { "flistxattr", "host tree" },
	{ "fsetxattr", "writable binds" }, { "fremovexattr", "writable binds" }, { "fchmod", "writable binds" }, { "fchmodat", "writable binds" },
	{ "fchown", "writable binds" }, { "fchownat", "writable binds" }, { "utimensat", "writable binds" }, { "mkdirat", "writable binds" },
	{ "mknodat", "writable binds" }, { "symlinkat", "writable binds" }, { "linkat", "writable binds" }, { "unlinkat", "writable binds" },
	{ "renameat", "writable binds" }, { "renameat2", "writable binds" }, { "fcntl", "descriptors, seals" }, { "dup", "descriptors" },
	{ "dup3", "descriptors" }, { "ioctl", "notifications, terminal, sockets" }, { "mincore", "mincore(2) of the guest" }, { "msync", "shared maps" },
	{ "pipe2", "host pipes" }, { "splice", "files" },
	/* sockets of the private network namespace */
	{ "bind", "sockets" }, { "connect", "sockets" }, { "listen", "sockets" }, { "accept4", "sockets" }, { "getsockname", "sockets" },
	{ "getpeername", "sockets" }, { "setsockopt", "sockets" }, { "getsockopt", "sockets" }, { "sendto", "sockets" }, { "recvfrom", "sockets" },
	{ "sendmsg", "sockets" }, { "recvmsg", "sockets" }, { "sendmmsg", "sockets" }, { "recvmmsg", "sockets" }, { "shutdown", "sockets" },
	{ NULL, NULL },
};

static void on_sigsys(int sig, siginfo_t *si, void *uc)
{
	char *name = NULL, msg[160];

	(void)sig;
	(void)uc;
	if (si->si_code == SYS_SECCOMP)
		name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, si->si_syscall);
	int n = snprintf(msg, sizeof(msg), "bailey: jail: the kernel process made the host call %s (%d), which its filter does not allow\n",
			 name ? name : "?", si->si_syscall);
	(void)!write(log_fd(), msg, (size_t)n);
	_exit(EXIT_BAILEY);
}

static int allow(scmp_filter_ctx c, const char *name, unsigned nargs, const struct scmp_arg_cmp *args)
{
	int nr = seccomp_syscall_resolve_name(name);

	return nr == __NR_SCMP_ERROR ? 0 : seccomp_rule_add_array(c, SCMP_ACT_ALLOW, nr, nargs, args);
}

int jail_filter_load(bool host_network, const char **step)
{
	static const int options[] = { PR_SET_TIMERSLACK, PR_SET_NAME, 0x53564d41 /* PR_SET_VMA: names of maps */ };
	static const int families[] = { AF_INET, AF_INET6, AF_NETLINK };
	struct sigaction sa = { .sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO | SA_NODEFER };

	(void)host_network;
	*step = "loading the seccomp filter of the kernel process";
	sigaction(SIGSYS, &sa, NULL);
	scmp_filter_ctx c = seccomp_init(SCMP_ACT_TRAP);
	if (!c)
		return -ENOMEM;
	seccomp_attr_set(c, SCMP_FLTATR_CTL_NNP, 0); /* set already */
	seccomp_attr_set(c, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	seccomp_attr_set(c, SCMP_FLTATR_CTL_TSYNC, 1);
	seccomp_attr_set(c, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	int r = 0;
	for (const struct jail_call *j = jail_calls; j->name && !r; j++)
		r = allow(c, j->name, 0, NULL);
	/* Threads of our own, nothing else. clone3's arguments lie in memory: it looks absent, and libc falls back on clone. */
	uint64_t thread = CLONE_VM | CLONE_THREAD | CLONE_SIGHAND;
	struct scmp_arg_cmp flags = SCMP_A0_64(SCMP_CMP_MASKED_EQ, thread | CLONE_NEWUSER | CLONE_NEWNS, thread);
	if (!r)
		r = allow(c, "clone", 1, &flags);
	if (!r)
		r = seccomp_rule_add(c, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(options) && !r; i++) {
		struct scmp_arg_cmp a = SCMP_A0_64(SCMP_CMP_EQ, (scmp_datum_t)options[i]);
		r = allow(c, "prctl", 1, &a);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(families) && !r; i++) {
		struct scmp_arg_cmp a = SCMP_A0_64(SCMP_CMP_EQ, (scmp_datum_t)families[i]);
		r = allow(c, "socket", 1, &a);
	}
	if (!r)
		r = seccomp_load(c);
	seccomp_release(c);
	return r;
}
