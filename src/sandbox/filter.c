/* SPDX-License-Identifier: Apache-2.0 */
/* filter.c: the seccomp filter of the kernel process: a list of what it may ask of the host, with the reason for each. Anything else
 * ends the sandbox with a line that names the call. The program is a plain list, made by hand: the host caches the verdict of every
 * number that is allowed whatever its arguments, and a library would take a quarter of the start-up's time to write the same. */
#include "sandbox/sandbox.h"
#include "syscalls/syscalls.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#ifdef __SANITIZE_THREAD__
#include <sanitizer/common_interface_defs.h>
#endif
#include <linux/sockios.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1 /* si_code of SIGSYS: the call is kept by a filter */
#endif

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif
#define C(name, why) { SYS_##name, #name, why }
const struct jail_call jail_calls[] = {
	/* the libc and its threads */
	C(brk, "memory of the kernel itself"), C(mmap, "memory, fiber stacks, slots"), C(munmap, "as mmap"),
	C(mprotect, "guard pages"), C(mremap, "realloc"), C(madvise, "giving memory back"),
	C(futex, "locks between workers"), C(set_robust_list, "starting a worker thread"), C(rseq, "starting a worker thread"),
	C(rt_sigprocmask, "starting a worker thread"), C(rt_sigreturn, "end of a handler"), C(rt_sigaction, "abort()"),
	C(sigaltstack, "handlers"), C(exit, "end of a worker thread"), C(exit_group, "end of the sandbox"), C(gettid, "abort()"),
	C(getpid, "abort(), signals"), C(tgkill, "abort()"), C(restart_syscall, "waits that were interrupted"),
	C(sched_yield, "waiting for another worker"), C(sched_getaffinity, "number of CPUs"), C(sched_setaffinity, "placing workers, binding stubs"),
	C(getcpu, "placing workers"), C(clock_gettime, "clocks (where the vDSO has none)"), C(clock_getres, "clocks"),
	C(gettimeofday, "clocks"), C(clock_nanosleep, "the monitor thread, bounded waits"), C(nanosleep, "as clock_nanosleep"),
	C(getrandom, "AT_RANDOM, /dev/urandom"), C(getrusage, "usage"), C(times, "usage"), C(sysinfo, "memory size"),
	C(getrlimit, "limits of descriptors"), C(prlimit64, "limits of descriptors"), C(uname, "version"),
	C(getuid, "credentials of the process"), C(geteuid, "as getuid"), C(getgid, "as getuid"), C(getegid, "as getuid"),
	C(membarrier, "membarrier(2) of guests"),
	/* waiting for events */
	C(epoll_create1, "poller"), C(epoll_ctl, "watching host descriptors"), C(epoll_wait, "poller"), C(epoll_pwait, "poller"),
	C(epoll_pwait2, "poller"), C(ppoll, "idle worker"), C(poll, "readiness of one descriptor"), C(eventfd2, "kicks"),
	C(timerfd_create, "idle wait"), C(timerfd_settime, "idle wait"),
	/* stubs */
	C(wait4, "stubs that ended"), C(waitid, "stubs that ended"), C(kill, "ending stubs (only they are visible)"),
	C(tkill, "kicking stub threads"), C(rt_tgsigqueueinfo, "kicking stub threads"), C(pidfd_open, "stubs"),
	C(pidfd_send_signal, "stubs"), C(process_vm_readv, "guest memory"), C(process_vm_writev, "guest memory"),
	C(memfd_create, "slots, shared memory"),
	/* files below the descriptors that the jail left */
	C(openat, "host tree"), C(openat2, "host tree"), C(close, "descriptors"), C(close_range, "descriptors"),
	C(read, "files"), C(write, "files, log"), C(readv, "files"), C(writev, "files"), C(pread64, "files"), C(pwrite64, "files"),
	C(preadv, "files"), C(pwritev, "files"), C(preadv2, "files"), C(pwritev2, "files"), C(lseek, "files"),
	C(fstat, "files"), C(newfstatat, "host tree"), C(statx, "host tree"), C(fstatfs, "host tree"), C(readlinkat, "host tree"),
	C(getdents64, "host tree"), C(faccessat2, "host tree"), C(ftruncate, "files"), C(fallocate, "files"), C(fsync, "files"),
	C(fdatasync, "files"), C(sync_file_range, "files"), C(syncfs, "files"), C(fadvise64, "files"), C(copy_file_range, "copy-up"),
	C(sendfile, "files"), C(flock, "writable binds"), C(fgetxattr, "host tree"), C(flistxattr, "host tree"),
	C(fsetxattr, "writable binds"), C(fremovexattr, "writable binds"), C(fchmod, "writable binds"), C(fchmodat, "writable binds"),
	C(fchmodat2, "writable binds"), C(fchown, "writable binds"), C(fchownat, "writable binds"), C(utimensat, "writable binds"), C(mkdirat, "writable binds"),
	C(mknodat, "writable binds"), C(symlinkat, "writable binds"), C(linkat, "writable binds"), C(unlinkat, "writable binds"),
	C(renameat, "writable binds"), C(renameat2, "writable binds"), C(fcntl, "descriptors, seals"), C(dup, "descriptors"),
	C(dup3, "descriptors"), C(mincore, "mincore(2) of the guest"), C(msync, "shared maps"),
	C(pipe2, "host pipes"), C(splice, "files"),
	/* sockets of the private network namespace */
	C(bind, "sockets"), C(connect, "sockets"), C(listen, "sockets"), C(accept4, "sockets"), C(getsockname, "sockets"),
	C(getpeername, "sockets"), C(setsockopt, "sockets"), C(getsockopt, "sockets"), C(sendto, "sockets"), C(recvfrom, "sockets"),
	C(sendmsg, "sockets"), C(recvmsg, "sockets"), C(sendmmsg, "sockets"), C(recvmmsg, "sockets"), C(shutdown, "sockets"),
	{ 0, NULL, NULL },
};

static void on_sigsys(int sig, siginfo_t *si, void *uc)
{
	const struct syscall_table *t = &syscall_table_x86_64;
	char msg[240];

	(void)sig;
	unsigned nr = (unsigned)si->si_syscall;
	int n = snprintf(msg, sizeof(msg), "bailey: jail: the kernel process made the host call %s (%u; %#lx, %#lx), which its filter does not allow\n",
			 nr < t->count && t->rows[nr].name ? t->rows[nr].name : "?", nr, (unsigned long)((ucontext_t *)uc)->uc_mcontext.gregs[REG_RDI],
			 (unsigned long)((ucontext_t *)uc)->uc_mcontext.gregs[REG_RSI]);
	(void)!write(log_fd(), msg, (size_t)n);
	_exit(EXIT_BAILEY);
}

#define PROGRAM_MAX 1024
struct program { struct sock_filter f[PROGRAM_MAX]; unsigned short n; };

static void emit(struct program *p, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
	BUG_ON(p->n == PROGRAM_MAX);
	p->f[p->n++] = (struct sock_filter){ code, jt, jf, k };
}
#define LOAD(field) emit(p, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field), 0, 0)
#define RETURN(v) emit(p, BPF_RET | BPF_K, (v), 0, 0)
#define UNLESS(v, skip) emit(p, BPF_JMP | BPF_JEQ | BPF_K, (v), 0, (skip))

/* `nr` with argument `arg` (32 bits of it) masked by `mask` equal to one of the values. The accumulator holds the number before and after. */
static void allow_arg(struct program *p, uint32_t nr, unsigned arg, uint32_t mask, const uint32_t *values, unsigned n)
{
	UNLESS(nr, (uint8_t)(3 + 2 * n));
	emit(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)(offsetof(struct seccomp_data, args) + 8 * arg), 0, 0);
	emit(p, BPF_ALU | BPF_AND | BPF_K, mask, 0, 0);
	for (unsigned i = 0; i < n; i++) {
		UNLESS(values[i], 1);
		RETURN(SECCOMP_RET_ALLOW);
	}
	RETURN(SECCOMP_RET_TRAP);
}

int jail_filter_load(bool host_network, const char **step)
{
	static const uint32_t options[] = { PR_SET_TIMERSLACK, PR_SET_NAME, 0x53564d41 /* PR_SET_VMA: names of maps */ };
	static const uint32_t policies[] = { SCHED_OTHER, SCHED_BATCH };
	static const uint32_t families[] = { AF_INET, AF_INET6, AF_NETLINK };
	/* The first two are the hot ones. */
	static const uint32_t ioctls[] = {
		(uint32_t)SECCOMP_IOCTL_NOTIF_SEND, (uint32_t)SECCOMP_IOCTL_NOTIF_RECV, (uint32_t)SECCOMP_IOCTL_NOTIF_ADDFD,
		(uint32_t)SECCOMP_IOCTL_NOTIF_ID_VALID, (uint32_t)SECCOMP_IOW(4, uint64_t) /* SET_FLAGS */, TCGETS, TIOCGWINSZ, FIONREAD, TIOCOUTQ,
		SIOCATMARK, SIOCOUTQNSD, SIOCGIFNAME, SIOCGIFCONF, SIOCGIFFLAGS, SIOCGIFADDR, SIOCGIFDSTADDR, SIOCGIFBRDADDR, SIOCGIFNETMASK,
		SIOCGIFMETRIC, SIOCGIFMTU, SIOCGIFHWADDR, SIOCGIFINDEX, SIOCGIFTXQLEN,
	};
	static const uint32_t thread[] = { CLONE_VM | CLONE_THREAD | CLONE_SIGHAND };
	struct sigaction sa = { .sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO | SA_NODEFER };
	struct program *p = new(struct program);

	(void)host_network;
	*step = "loading the seccomp filter of the kernel process";
#ifdef __SANITIZE_THREAD__
	__sanitizer_sandbox_on_notify(NULL); /* it looks at its maps while it can */
	log_info("no seccomp filter around the kernel process: the thread sanitizer makes other calls");
	return 0;
#endif
	sigaction(SIGSYS, &sa, NULL);
	LOAD(arch);
	UNLESS(AUDIT_ARCH_X86_64, 1);
	emit(p, BPF_JMP | BPF_JA, 1, 0, 0);
	RETURN(SECCOMP_RET_KILL_PROCESS);
	LOAD(nr); /* x32's numbers have bit 30 set and are not in the list */
	allow_arg(p, SYS_ioctl, 1, ~0U, ioctls, ARRAY_SIZE(ioctls));
	for (const struct jail_call *j = jail_calls; j->name; j++) {
		UNLESS((uint32_t)j->nr, 1);
		RETURN(SECCOMP_RET_ALLOW);
	}
	/* Threads of our own, nothing else. clone3's arguments lie in memory: it looks absent, and libc falls back on clone. */
	allow_arg(p, SYS_clone, 0, CLONE_VM | CLONE_THREAD | CLONE_SIGHAND | CLONE_NEWUSER | CLONE_NEWNS, thread, 1);
	allow_arg(p, SYS_sched_setscheduler, 1, ~0U, policies, ARRAY_SIZE(policies)); /* of stubs */
	allow_arg(p, SYS_prctl, 0, ~0U, options, ARRAY_SIZE(options));
	allow_arg(p, SYS_socket, 0, ~0U, families, ARRAY_SIZE(families));
	UNLESS(SYS_clone3, 1);
	RETURN(SECCOMP_RET_ERRNO | ENOSYS);
#ifdef __SANITIZE_ADDRESS__
	/* Reports come with addresses, not with names: what is mapped where is read now. */
	static const uint32_t asks[] = { SYS_open, SYS_readlink, SYS_stat, SYS_pipe };
	__sanitizer_sandbox_on_notify(NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(asks); i++) {
		UNLESS(asks[i], 1);
		RETURN(SECCOMP_RET_ERRNO | ENOENT);
	}
#endif
	RETURN(SECCOMP_RET_TRAP);
	struct sock_fprog prog = { p->n, p->f };
	int r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog) ? -errno : 0;
	free(p);
	return r;
}
