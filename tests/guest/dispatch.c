/* SPDX-License-Identifier: Apache-2.0 */
/* Syscall user dispatch: calls that become SIGSYS. */
#include "harness.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/ptrace.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/uio.h>
#include <ucontext.h>

#define DISPATCH 59 /* PR_SET_SYSCALL_USER_DISPATCH */
#define ALLOW 0
#define BLOCK 1

static volatile char selector;
static volatile int caught, last;
static siginfo_t info;
static void on_sys(int sig, siginfo_t *i, void *arg)
{
	ucontext_t *u = arg;
	selector = ALLOW;
	caught++;
	last = (int)u->uc_mcontext.gregs[REG_RAX];
	info = *i;
	if (i->si_call_addr != (void *)u->uc_mcontext.gregs[REG_RIP])
		last = -1;
	u->uc_mcontext.gregs[REG_RAX] = 4242;
}
static void prepare(void)
{
	struct sigaction a = { .sa_sigaction = on_sys, .sa_flags = SA_SIGINFO };
	CHECK(!sigaction(SIGSYS, &a, NULL));
	if (prctl(DISPATCH, 0, 0, 0, 0))
		SKIP("no syscall user dispatch");
}
static long blocked_call(long nr)
{
	selector = BLOCK;
	long r = syscall(nr, 1, 0, 0, 8);
	selector = ALLOW;
	return r;
}

TEST(arguments)
{
	prepare();
	CHECK_ERRNO(prctl(DISPATCH, 0, 1, 0, 0), EINVAL);
	CHECK_ERRNO(prctl(DISPATCH, 0, 0, 0, &selector), EINVAL);
	CHECK_ERRNO(prctl(DISPATCH, 1, 1, -1L, 0), EINVAL);
	CHECK_ERRNO(prctl(DISPATCH, 1, 5, 0, 0), EINVAL);
	CHECK_ERRNO(prctl(DISPATCH, 77, 0, 0, 0), EINVAL);
	CHECK_ERRNO(prctl(DISPATCH, 1, 0, 0, -1L), EFAULT);
	CHECK(!prctl(DISPATCH, 1, 0, 0, &selector));
}

TEST(signal_instead)
{
	prepare();
	CHECK(!prctl(DISPATCH, 1, 0, 0, &selector));
	CHECK_EQ(blocked_call(SYS_getppid), 4242);
	CHECK_EQ(caught, 1);
	CHECK_EQ(last, SYS_getppid);
	CHECK(info.si_signo == SIGSYS && info.si_code == 2 && !info.si_errno && info.si_syscall == SYS_getppid && info.si_arch == AUDIT_ARCH_X86_64);
	CHECK_EQ(syscall(SYS_getppid), getppid());
	CHECK(!prctl(DISPATCH, 0, 0, 0, 0));
	CHECK(blocked_call(SYS_getppid) == getppid() && caught == 1);
}

/* Also calls that were made so often before that they are answered on a shorter way. */
TEST(all_short_ways)
{
	static const int calls[] = { SYS_getpid, SYS_gettid, SYS_getuid, SYS_rt_sigprocmask, SYS_rt_sigaction, SYS_rseq, SYS_read, SYS_write, SYS_sched_yield };
	prepare();
	for (int i = 0; i < 200; i++) {
		sigset_t s;
		syscall(SYS_getpid), syscall(SYS_gettid), syscall(SYS_getuid);
		sigprocmask(SIG_BLOCK, NULL, &s);
		syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 8);
		syscall(SYS_sched_yield);
	}
	CHECK(!prctl(DISPATCH, 1, 0, 0, &selector));
	for (unsigned k = 0; k < 50; k++)
		for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
			int before = caught;
			CHECK_EQ(blocked_call(calls[i]), 4242);
			CHECK_EQ(last, calls[i]);
			CHECK_EQ(caught, before + 1);
			getpid(); /* allowed: on the way back to lending */
		}
}

/* The signal's own return is a call as well: from the range it may be made. */
static char *own_call(void)
{
	static const unsigned char code[] = { 0xb8, 110, 0, 0, 0, 0x0f, 0x05, 0xc3 }; /* mov $SYS_getppid, %eax; syscall; ret */
	char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memcpy(p, code, sizeof(code));
	CHECK(!mprotect(p, 4096, PROT_READ | PROT_EXEC));
	return p;
}
TEST(ranges)
{
	char *p = own_call();
	long (*call)(void) = (void *)p;
	long parent = getppid();
	prepare();
	CHECK(!prctl(DISPATCH, 1, p, 4096, &selector));
	selector = BLOCK;
	for (int i = 0; i < 50; i++)
		CHECK(call() == parent);
	CHECK(!caught);
	CHECK_EQ(blocked_call(SYS_getppid), 4242);
	/* The address is the one after the instruction. */
	CHECK(!prctl(DISPATCH, 1, p, 7, &selector));
	selector = BLOCK;
	long r = call();
	selector = ALLOW;
	CHECK_EQ(r, 4242);
	CHECK(!prctl(DISPATCH, 1, p + 7, 1, &selector));
	selector = BLOCK;
	r = call();
	selector = ALLOW;
	CHECK_EQ(r, parent);
	if (prctl(DISPATCH, 2, p, 0, &selector) && errno == EINVAL && !prctl(DISPATCH, 2, p, 4096, &selector)) {
		CHECK_EQ(blocked_call(SYS_getppid), parent);
		selector = BLOCK;
		r = call();
		selector = ALLOW;
		CHECK_EQ(r, 4242);
	}
}

static void *in_thread(void *arg)
{
	*(long *)arg = blocked_call(SYS_getppid);
	return NULL;
}
TEST(of_one_thread)
{
	pthread_t t;
	long r = 0, parent = getppid();
	prepare();
	CHECK(!prctl(DISPATCH, 1, 0, 0, &selector));
	CHECK(!pthread_create(&t, NULL, in_thread, &r));
	while (!__atomic_load_n(&r, __ATOMIC_SEQ_CST))
		;
	CHECK_EQ(r, parent);
	selector = ALLOW;
	CHECK(!pthread_join(t, NULL));
	pid_t me = getpid();
	CHECK_EQ(CHILD_STATUS({ _exit(blocked_call(SYS_getppid) == me ? 0 : 1); }), 0);
	CHECK_EQ(blocked_call(SYS_getppid), 4242);
}

TEST(bad_selectors)
{
	prepare();
	CHECK_EQ(CHILD_STATUS({
		prctl(DISPATCH, 1, 0, 0, &selector);
		selector = 7;
		syscall(SYS_getppid);
	}) & 0x7f, SIGSYS);
	CHECK_EQ(CHILD_STATUS({
		prctl(DISPATCH, 1, 0, 0, 8);
		syscall(SYS_getppid);
	}) & 0x7f, SIGSEGV);
	CHECK_EQ(CHILD_STATUS({
		signal(SIGSYS, SIG_DFL);
		prctl(DISPATCH, 1, 0, 0, 0);
		syscall(SYS_getppid);
	}) & 0x7f, SIGSYS);
}

/* Filters and tracers do not see such a call. */
static void filter(void)
{
	struct sock_filter f[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
	struct sock_fprog p = { 4, f };
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p);
}
TEST(before_filters)
{
	prepare();
	CHECK(!prctl(DISPATCH, 1, 0, 0, &selector));
	filter();
	CHECK_EQ(blocked_call(SYS_getppid), 4242);
}

struct config { uint64_t mode, selector, offset, len; };
TEST(by_a_tracer)
{
	struct config c = { 9, 9, 9, 9 };
	int st;
	prepare();
	pid_t p = fork();
	if (!p) {
		syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		_exit(blocked_call(SYS_getppid) == 4242 ? 0 : 1);
	}
	CHECK(waitpid(p, &st, 0) == p && WIFSTOPPED(st));
	if (syscall(SYS_ptrace, 0x4211, p, sizeof(c), &c) && errno == EIO)
		SKIP("no PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG");
	CHECK(!c.mode && !c.selector && !c.offset && !c.len);
	CHECK_ERRNO(syscall(SYS_ptrace, 0x4211, p, sizeof(c) - 8, &c), EINVAL);
	CHECK_ERRNO(syscall(SYS_ptrace, 0x4210, p, sizeof(c), 8), EFAULT);
	c.mode = 5;
	CHECK_ERRNO(syscall(SYS_ptrace, 0x4210, p, sizeof(c), &c), EINVAL);
	c.mode = 1;
	c.selector = (uint64_t)&selector;
	CHECK(!syscall(SYS_ptrace, 0x4210, p, sizeof(c), &c));
	memset(&c, 0, sizeof(c));
	CHECK(!syscall(SYS_ptrace, 0x4211, p, sizeof(c), &c) && c.mode == 1 && c.selector == (uint64_t)&selector);
	/* No stop at a call that becomes a signal. */
	CHECK(!syscall(SYS_ptrace, PTRACE_SYSCALL, p, 0, 0) && waitpid(p, &st, 0) == p);
	while (WIFSTOPPED(st) && WSTOPSIG(st) == SIGTRAP) {
		struct { long r[27]; } regs;
		CHECK(!syscall(SYS_ptrace, PTRACE_GETREGS, p, 0, &regs) && regs.r[15] != SYS_getppid);
		CHECK(!syscall(SYS_ptrace, PTRACE_SYSCALL, p, 0, 0) && waitpid(p, &st, 0) == p);
	}
	CHECK(WIFSTOPPED(st) && WSTOPSIG(st) == SIGSYS);
	CHECK(!syscall(SYS_ptrace, PTRACE_CONT, p, 0, SIGSYS) && waitpid(p, &st, 0) == p);
	CHECK_EQ(st, 0);
}
