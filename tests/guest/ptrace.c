/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <elf.h>
#include <linux/ptrace.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/uio.h>
#include <sys/user.h>

static long pt(long req, pid_t p, unsigned long addr, unsigned long data) { return syscall(SYS_ptrace, req, p, addr, data); }
static int wait_for(pid_t p)
{
	int st = -1;
	CHECK(waitpid(p, &st, __WALL) == p);
	return st;
}
/* A child that is traced and stopped before it runs fn. */
static pid_t traced(void (*fn)(void))
{
	pid_t p = fork();
	if (!p) {
		if (pt(PTRACE_TRACEME, 0, 0, 0))
			_exit(99);
		raise(SIGSTOP);
		fn();
		_exit(7);
	}
	CHECK_EQ(wait_for(p), SIGSTOP << 8 | 0x7f);
	CHECK(!pt(PTRACE_SETOPTIONS, p, 0, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD));
	return p;
}
static pid_t spawn(void (*fn)(void))
{
	pid_t p = fork();
	if (!p) {
		fn();
		_exit(7);
	}
	return p;
}
static void nap(void)
{
	for (;;)
		usleep(1000);
}
static volatile long word = 42;
__attribute__((noinline, noipa)) static int target(int x) { return x + 1; }
static void call_target(void) { _exit(target(4)); }
static void nothing(void) { }
static void ask(void) { _exit(syscall(SYS_getppid) == 77 ? 0 : 1); }

TEST(calls)
{
	pid_t p = traced(ask);
	struct user_regs_struct r;
	struct ptrace_syscall_info si;
	int st, seen = 0;
	do {
		CHECK(!pt(PTRACE_SYSCALL, p, 0, 0));
		st = wait_for(p);
		if (!WIFSTOPPED(st))
			break;
		CHECK_EQ(WSTOPSIG(st), SIGTRAP | 0x80);
		CHECK(!pt(PTRACE_GETREGS, p, 0, (long)&r));
		if (r.orig_rax != SYS_getppid)
			continue;
		memset(&si, 0, sizeof(si));
		if (!seen++) {
			CHECK_EQ((long)r.rax, -ENOSYS);
			CHECK_EQ(pt(PTRACE_GET_SYSCALL_INFO, p, sizeof(si), (long)&si), 80);
			CHECK(si.op == PTRACE_SYSCALL_INFO_ENTRY && si.entry.nr == SYS_getppid && si.instruction_pointer == r.rip);
		} else {
			CHECK_EQ((long)r.rax, getpid());
			CHECK_EQ(pt(PTRACE_GET_SYSCALL_INFO, p, sizeof(si), (long)&si), 33);
			CHECK(si.op == PTRACE_SYSCALL_INFO_EXIT && si.exit.rval == getpid() && !si.exit.is_error);
			CHECK(!pt(PTRACE_POKEUSR, p, offsetof(struct user_regs_struct, rax), 77));
		}
	} while (1);
	CHECK_EQ(seen, 2);
	CHECK_EQ(st, 0);
}

static struct { char small[16], big[6000]; struct stat st; struct timespec ts; } *results;
static void get_results(void)
{
	int fd = open("/proc/self/exe", O_RDONLY);
	pread(fd, results->small, sizeof(results->small), 0);
	pread(fd, results->big, sizeof(results->big), 0);
	fstat(fd, &results->st);
	_exit(0);
}
/* What a call gave is there when it ends. */
TEST(results_at_once)
{
	static typeof(*results) mine;
	struct user_regs_struct r;
	char *at, exe[6000];
	int st, fd = open("/proc/self/exe", O_RDONLY), seen = 0;
	CHECK(pread(fd, exe, sizeof(exe), 0) == sizeof(exe));
	results = mmap(NULL, sizeof(*results), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(results, 0, sizeof(*results));
	pid_t p = traced(get_results);
	for (;;) {
		CHECK(!pt(PTRACE_SYSCALL, p, 0, 0));
		st = wait_for(p);
		if (!WIFSTOPPED(st))
			break;
		CHECK(!pt(PTRACE_GETREGS, p, 0, (long)&r));
		if ((long)r.rax < 0 || (r.orig_rax != SYS_pread64 && r.orig_rax != SYS_newfstatat && r.orig_rax != SYS_fstat))
			continue;
		struct iovec l = { &mine, sizeof(mine) }, f = { results, sizeof(mine) };
		CHECK(process_vm_readv(p, &l, 1, &f, 1, 0) == sizeof(mine));
		at = r.orig_rax == SYS_pread64 ? (char *)r.rsi : NULL;
		seen++;
		if (at == results->small)
			CHECK(!memcmp(mine.small, exe, sizeof(mine.small)));
		else if (at)
			CHECK(!memcmp(mine.big, exe, sizeof(mine.big)));
		else
			CHECK(S_ISREG(mine.st.st_mode) && mine.st.st_size > 6000);
	}
	CHECK(st == 0 && seen == 3);
}

TEST(call_replaced)
{
	pid_t p = traced(ask);
	struct user_regs_struct r;
	for (;;) {
		CHECK(!pt(PTRACE_SYSEMU, p, 0, 0));
		CHECK_EQ(wait_for(p), (SIGTRAP | 0x80) << 8 | 0x7f);
		CHECK(!pt(PTRACE_GETREGS, p, 0, (long)&r));
		if (r.orig_rax == SYS_exit_group)
			break;
		if (r.orig_rax == SYS_getppid)
			r.rax = 77;
		CHECK(!pt(PTRACE_SETREGS, p, 0, (long)&r));
	}
	CHECK_EQ(r.rdi, 0);
	CHECK(!kill(p, SIGKILL));
	CHECK_EQ(wait_for(p), SIGKILL);
}

TEST(memory)
{
	pid_t p = traced(call_target);
	struct user_regs_struct r;
	siginfo_t si;
	long w = 0, text = 0;
	CHECK(!pt(PTRACE_PEEKDATA, p, (long)&word, (long)&w) && w == 42);
	CHECK(!pt(PTRACE_POKEDATA, p, (long)&word, 43));
	CHECK(!pt(PTRACE_PEEKDATA, p, (long)&word, (long)&w) && w == 43 && word == 42);
	CHECK_ERRNO(pt(PTRACE_PEEKDATA, p, 8, (long)&w), EIO);
	CHECK_ERRNO(pt(PTRACE_POKEDATA, p, 8, 0), EIO);
	/* A breakpoint in text that nobody may write. */
	CHECK(!pt(PTRACE_PEEKTEXT, p, (long)target, (long)&text) && text == *(long *)target);
	CHECK(!pt(PTRACE_POKETEXT, p, (long)target, (text & ~0xffL) | 0xcc));
	CHECK(!pt(PTRACE_CONT, p, 0, 0));
	CHECK_EQ(wait_for(p), SIGTRAP << 8 | 0x7f);
	CHECK(!pt(PTRACE_GETREGS, p, 0, (long)&r));
	CHECK_EQ(r.rip, (unsigned long)target + 1);
	CHECK(!pt(PTRACE_GETSIGINFO, p, 0, (long)&si));
	CHECK(si.si_signo == SIGTRAP && si.si_code == SI_KERNEL);
	/* The other way in. */
	char name[40];
	snprintf(name, sizeof name, "/proc/%d/mem", p);
	int fd = open(name, O_RDWR);
	CHECK(fd >= 0 && pwrite(fd, &text, 8, (long)target) == 8);
	CHECK(pread(fd, &w, 8, (long)target) == 8 && w == text);
	r.rip--;
	CHECK(!pt(PTRACE_SETREGS, p, 0, (long)&r));
	CHECK(!pt(PTRACE_CONT, p, 0, 0));
	CHECK_EQ(wait_for(p), 5 << 8);
}

TEST(single_step)
{
	pid_t p = traced(call_target);
	struct user_regs_struct r;
	siginfo_t si;
	int n = 0, in = 0, st;
	for (;;) {
		CHECK(!pt(PTRACE_SINGLESTEP, p, 0, 0));
		st = wait_for(p);
		if (!WIFSTOPPED(st))
			break;
		CHECK_EQ(st, SIGTRAP << 8 | 0x7f);
		CHECK(!pt(PTRACE_GETSIGINFO, p, 0, (long)&si) && si.si_code == TRAP_TRACE);
		CHECK(!pt(PTRACE_GETREGS, p, 0, (long)&r) && !(r.eflags & 0x100));
		in += r.rip - (unsigned long)target < 12;
		CHECK(++n < 20000);
	}
	CHECK_EQ(st, 5 << 8);
	CHECK(in > 2);
}

TEST(signals)
{
	pid_t p = traced(nap);
	siginfo_t si;
	sigset_t old;
	unsigned long mask = 1UL << (SIGUSR2 - 1), got = 0;
	CHECK(!pt(PTRACE_CONT, p, 0, 0));
	CHECK(!kill(p, SIGUSR1)); /* swallowed */
	CHECK_EQ(wait_for(p), SIGUSR1 << 8 | 0x7f);
	CHECK(!pt(PTRACE_GETSIGINFO, p, 0, (long)&si) && si.si_pid == getpid() && si.si_code == SI_USER);
	CHECK(!pt(PTRACE_SETSIGMASK, p, 8, (long)&mask) && !pt(PTRACE_GETSIGMASK, p, 8, (long)&got) && got == mask);
	CHECK_ERRNO(pt(PTRACE_SETSIGMASK, p, 4, (long)&mask), EINVAL);
	CHECK_ERRNO(pt(PTRACE_CONT, p, 0, 100), EIO);
	CHECK(!kill(p, SIGUSR2));
	struct ptrace_peeksiginfo_args pa = { 0, PTRACE_PEEKSIGINFO_SHARED, 4 };
	siginfo_t v[4];
	CHECK_EQ(pt(PTRACE_PEEKSIGINFO, p, (long)&pa, (long)v), 1);
	CHECK_EQ(v[0].si_signo, SIGUSR2);
	CHECK(!pt(PTRACE_CONT, p, 0, 0));
	CHECK_ERRNO(pt(PTRACE_PEEKDATA, p, (long)&word, (long)&old), ESRCH);
	CHECK(!kill(p, SIGHUP));
	CHECK_EQ(wait_for(p), SIGHUP << 8 | 0x7f);
	CHECK(!pt(PTRACE_CONT, p, 0, SIGTERM)); /* another one instead */
	CHECK_EQ(wait_for(p), SIGTERM);
}

TEST(attach_detach)
{
	pid_t p = spawn(nap);
	CHECK_ERRNO(pt(PTRACE_ATTACH, getpid(), 0, 0), EPERM);
	CHECK_ERRNO(pt(PTRACE_CONT, p, 0, 0), ESRCH);
	CHECK(!pt(PTRACE_ATTACH, p, 0, 0));
	CHECK_ERRNO(pt(PTRACE_ATTACH, p, 0, 0), EPERM);
	CHECK_EQ(wait_for(p), SIGSTOP << 8 | 0x7f);
	char name[40], text[4096];
	snprintf(name, sizeof name, "/proc/%d/status", p);
	int fd = open(name, O_RDONLY);
	text[read(fd, text, sizeof text - 1)] = 0;
	char *s = strstr(text, "TracerPid:\t");
	CHECK(s && atoi(s + 11) == getpid() && strstr(text, "State:\tt"));
	CHECK(!pt(PTRACE_DETACH, p, 0, 0));
	CHECK_EQ(waitpid(p, NULL, WNOHANG), 0);
	CHECK(!kill(p, SIGKILL));
	CHECK_EQ(wait_for(p), SIGKILL);
}

TEST(seize_interrupt_listen)
{
	pid_t p = spawn(nap);
	siginfo_t si;
	CHECK(!pt(PTRACE_SEIZE, p, 0, PTRACE_O_EXITKILL));
	CHECK_EQ(waitpid(p, NULL, WNOHANG | __WALL), 0);
	CHECK(!pt(PTRACE_INTERRUPT, p, 0, 0));
	CHECK_EQ(wait_for(p), (SIGTRAP | PTRACE_EVENT_STOP << 8) << 8 | 0x7f);
	CHECK(!pt(PTRACE_CONT, p, 0, 0));
	CHECK(!kill(p, SIGSTOP));
	CHECK_EQ(wait_for(p), SIGSTOP << 8 | 0x7f);
	CHECK(!pt(PTRACE_CONT, p, 0, SIGSTOP));
	CHECK_EQ(wait_for(p), (SIGSTOP | PTRACE_EVENT_STOP << 8) << 8 | 0x7f);
	CHECK(!pt(PTRACE_GETSIGINFO, p, 0, (long)&si));
	CHECK(!pt(PTRACE_LISTEN, p, 0, 0));
	CHECK_EQ(waitpid(p, NULL, WNOHANG | __WALL), 0);
	CHECK(!kill(p, SIGCONT));
	CHECK_EQ(wait_for(p), (SIGTRAP | PTRACE_EVENT_STOP << 8) << 8 | 0x7f);
	CHECK(!pt(PTRACE_CONT, p, 0, 0));
	CHECK_EQ(wait_for(p), SIGCONT << 8 | 0x7f);
	CHECK(!pt(PTRACE_DETACH, p, 0, SIGTERM));
	CHECK_EQ(wait_for(p), SIGTERM);
}

static void forks(void)
{
	pid_t p = fork();
	if (!p)
		_exit(3);
	waitpid(p, NULL, 0);
	if (!vfork())
		_exit(0);
	execl("/bin/true", "true", NULL);
}

TEST(events)
{
	pid_t p = traced(forks), kid = 0;
	int st, n[8] = { 0 }, exits = 0;
	CHECK(!pt(PTRACE_SETOPTIONS, p, 0, PTRACE_O_EXITKILL | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEVFORKDONE |
		  PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT));
	CHECK(!pt(PTRACE_CONT, p, 0, 0));
	for (;;) {
		pid_t w = waitpid(-1, &st, __WALL);
		unsigned long msg = 0;
		if (w < 0)
			break;
		if (!WIFSTOPPED(st)) {
			exits++;
			CHECK_EQ(st, w == kid ? 3 << 8 : 0);
			continue;
		}
		int ev = st >> 16, sig = WSTOPSIG(st);
		if (ev) {
			CHECK(ev < 8 && sig == SIGTRAP && !pt(PTRACE_GETEVENTMSG, w, 0, (long)&msg));
			n[ev]++;
			if (ev == PTRACE_EVENT_FORK)
				kid = msg;
			if (ev == PTRACE_EVENT_EXEC)
				CHECK_EQ(msg, p);
			if (ev == PTRACE_EVENT_EXIT && w == kid)
				CHECK_EQ(msg, 3 << 8);
			sig = 0;
		}
		CHECK(!pt(PTRACE_CONT, w, 0, sig == SIGSTOP ? 0 : sig));
	}
	CHECK_EQ(errno, ECHILD);
	CHECK(n[PTRACE_EVENT_FORK] == 1 && n[PTRACE_EVENT_VFORK] == 1 && n[PTRACE_EVENT_VFORK_DONE] == 1 && n[PTRACE_EVENT_EXEC] == 1);
	CHECK_EQ(n[PTRACE_EVENT_EXIT], 3);
	CHECK_EQ(exits, 3);
}

static void pids(void)
{
	while (syscall(SYS_getpid) > 0)
		;
}

TEST(ids_asked_often_before)
{
	pid_t p = spawn(pids);
	struct user_regs_struct r;

	usleep(20000);
	CHECK(!pt(PTRACE_ATTACH, p, 0, 0));
	CHECK_EQ(wait_for(p), SIGSTOP << 8 | 0x7f);
	CHECK(!pt(PTRACE_SETOPTIONS, p, 0, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD));
	for (int i = 0; i < 10; i++) {
		CHECK(!pt(PTRACE_SYSCALL, p, 0, 0));
		CHECK_EQ(wait_for(p), (SIGTRAP | 0x80) << 8 | 0x7f);
		CHECK(!pt(PTRACE_GETREGS, p, 0, (unsigned long)&r));
		CHECK_EQ(r.orig_rax, SYS_getpid);
	}
	CHECK(!kill(p, SIGKILL));
	CHECK_EQ(wait_for(p), SIGKILL);
}

TEST(exec_trap)
{
	pid_t p = fork();
	if (!p) {
		pt(PTRACE_TRACEME, 0, 0, 0);
		execl("/bin/true", "true", NULL);
		_exit(1);
	}
	CHECK_EQ(wait_for(p), SIGTRAP << 8 | 0x7f);
	CHECK(!pt(PTRACE_CONT, p, 0, 0));
	CHECK_EQ(wait_for(p), 0);
}

static void *thread_nap(void *a)
{
	nap();
	return a;
}
static void threads(void)
{
	pthread_t t;
	pthread_create(&t, NULL, thread_nap, NULL);
	pthread_join(t, NULL);
}

TEST(threads)
{
	pid_t p = traced(threads), tid;
	unsigned long msg = 0;
	CHECK(!pt(PTRACE_SETOPTIONS, p, 0, PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE));
	CHECK(!pt(PTRACE_CONT, p, 0, 0));
	CHECK_EQ(wait_for(p), (SIGTRAP | PTRACE_EVENT_CLONE << 8) << 8 | 0x7f);
	CHECK(!pt(PTRACE_GETEVENTMSG, p, 0, (long)&msg));
	tid = msg;
	CHECK_EQ(wait_for(tid), SIGSTOP << 8 | 0x7f);
	CHECK(!pt(PTRACE_CONT, tid, 0, 0) && !pt(PTRACE_CONT, p, 0, 0));
	CHECK(!syscall(SYS_tgkill, p, tid, SIGUSR1));
	CHECK_EQ(wait_for(tid), SIGUSR1 << 8 | 0x7f);
	CHECK(!pt(PTRACE_CONT, tid, 0, SIGKILL));
	CHECK_EQ(wait_for(tid), SIGKILL);
	CHECK_EQ(wait_for(p), SIGKILL);
}

TEST(floating_point)
{
	pid_t p = traced(nothing);
	struct user_fpregs_struct f, g;
	static char x[16384], y[16384];
	struct iovec a = { x, sizeof x }, b = { y, sizeof y };
	CHECK(!pt(PTRACE_GETFPREGS, p, 0, (long)&f));
	CHECK(f.cwd == 0x37f && (f.mxcsr & ~0x3fu) == 0x1f80);
	f.xmm_space[0] = 0x12345678;
	CHECK(!pt(PTRACE_SETFPREGS, p, 0, (long)&f));
	CHECK(!pt(PTRACE_GETFPREGS, p, 0, (long)&g) && g.xmm_space[0] == 0x12345678);
	CHECK(!pt(PTRACE_GETREGSET, p, NT_X86_XSTATE, (long)&a) && a.iov_len >= 576);
	CHECK_EQ(*(unsigned *)(x + 160), 0x12345678);
	*(unsigned *)(x + 164) = 99;
	CHECK(!pt(PTRACE_SETREGSET, p, NT_X86_XSTATE, (long)&a));
	CHECK(!pt(PTRACE_GETREGSET, p, NT_X86_XSTATE, (long)&b) && b.iov_len == a.iov_len && *(unsigned *)(y + 164) == 99);
	struct user_regs_struct r;
	struct iovec c = { &r, sizeof r };
	CHECK(!pt(PTRACE_GETREGSET, p, NT_PRSTATUS, (long)&c) && c.iov_len == sizeof r && r.cs == 0x33);
	CHECK_ERRNO(pt(PTRACE_GETREGSET, p, 0x7777, (long)&c), EINVAL);
	CHECK_ERRNO(pt(PTRACE_PEEKUSR, p, 3, (long)&r), EIO);
	CHECK_ERRNO(pt(PTRACE_PEEKUSR, p, 928 /* the kernel has two fields more */, (long)&r), EIO);
	CHECK_ERRNO(pt(0x5555, p, 0, 0), EIO);
	CHECK(!pt(PTRACE_KILL, p, 0, 0));
	CHECK_EQ(wait_for(p), SIGKILL);
}

TEST(tracer_dies)
{
	int fd[2];
	pid_t p;
	char c;
	CHECK(!prctl(PR_SET_CHILD_SUBREAPER, 1));
	for (int killed = 0; killed < 2; killed++) {
		CHECK(!pipe(fd));
		pid_t tracer = fork();
		if (!tracer) {
			p = spawn(nap);
			pt(PTRACE_SEIZE, p, 0, killed ? PTRACE_O_EXITKILL : 0);
			pt(PTRACE_INTERRUPT, p, 0, 0);
			wait_for(p);
			(void)!write(fd[1], &p, sizeof p);
			_exit(0);
		}
		CHECK_EQ(wait_for(tracer), 0);
		close(fd[1]);
		CHECK(read(fd[0], &p, sizeof p) == sizeof p);
		if (!killed)
			CHECK(!kill(p, SIGTERM));
		CHECK_EQ(wait_for(p), killed ? SIGKILL : SIGTERM);
		close(fd[0]);
	}
	(void)c;
}
