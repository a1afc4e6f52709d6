/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <setjmp.h>
#include <ucontext.h>

static volatile sig_atomic_t got, order[8], norder;
static siginfo_t info;
static void on(int s) { got = s; if (norder < 8) order[norder++] = s; }
static void oninfo(int s, siginfo_t *i, void *u) { got = s; info = *i; (void)u; }
static void handle(int s, void *fn, int flags)
{
	struct sigaction a = { .sa_flags = flags };
	if (flags & SA_SIGINFO)
		a.sa_sigaction = fn;
	else
		a.sa_handler = fn;
	CHECK(!sigaction(s, &a, NULL));
}

TEST(handler_runs)
{
	handle(SIGUSR1, oninfo, SA_SIGINFO);
	CHECK(!kill(getpid(), SIGUSR1));
	CHECK(got == SIGUSR1 && info.si_code == SI_USER && info.si_pid == getpid() && info.si_uid == getuid());
	got = 0;
	CHECK(!raise(SIGUSR1));
	CHECK(got == SIGUSR1 && info.si_code == SI_TKILL);
	union sigval v = { .sival_int = 77 };
	CHECK(!sigqueue(getpid(), SIGUSR1, v));
	CHECK(info.si_code == SI_QUEUE && info.si_value.sival_int == 77);
}

TEST(blocked_and_pending)
{
	sigset_t s, p;
	handle(SIGUSR1, on, 0);
	sigemptyset(&s);
	sigaddset(&s, SIGUSR1);
	CHECK(!sigprocmask(SIG_BLOCK, &s, NULL));
	raise(SIGUSR1);
	raise(SIGUSR1);
	CHECK(!got && !sigpending(&p) && sigismember(&p, SIGUSR1));
	CHECK(!sigprocmask(SIG_UNBLOCK, &s, NULL));
	CHECK(got == SIGUSR1 && norder == 1);
}

TEST(realtime_queue_and_order)
{
	sigset_t s;
	sigfillset(&s);
	for (int i = 0; i < 3; i++)
		handle(SIGRTMIN + i, on, 0);
	CHECK(!sigprocmask(SIG_BLOCK, &s, NULL));
	raise(SIGRTMIN + 2);
	raise(SIGRTMIN);
	raise(SIGRTMIN);
	raise(SIGRTMIN + 1);
	siginfo_t si;
	sigset_t one;
	sigemptyset(&one);
	sigaddset(&one, SIGRTMIN);
	CHECK_EQ(sigwaitinfo(&one, &si), SIGRTMIN);
	CHECK_EQ(sigwaitinfo(&one, &si), SIGRTMIN);
	struct timespec z = { 0, 0 };
	CHECK_ERRNO(sigtimedwait(&one, &si, &z), EAGAIN);
	raise(SIGRTMIN);
	sigprocmask(SIG_UNBLOCK, &s, NULL);
	CHECK(norder == 3);
}

TEST(interrupt_and_restart)
{
	int p[2];
	char c;
	CHECK(!pipe(p));
	handle(SIGALRM, on, 0);
	struct itimerval it = { { 0, 0 }, { 0, 50000 } };
	setitimer(ITIMER_REAL, &it, NULL);
	CHECK_ERRNO(read(p[0], &c, 1), EINTR);
	handle(SIGALRM, on, SA_RESTART);
	if (!fork()) {
		msleep(150);
		CHECK(write(p[1], "x", 1) == 1);
		_exit(0);
	}
	setitimer(ITIMER_REAL, &it, NULL);
	CHECK_EQ(read(p[0], &c, 1), 1);
	CHECK(norder == 2);
	setitimer(ITIMER_REAL, &it, NULL);
	CHECK_ERRNO(pause(), EINTR);
	struct timespec t = { 10, 0 }, rem = { 0, 0 };
	setitimer(ITIMER_REAL, &it, NULL);
	CHECK_ERRNO(nanosleep(&t, &rem), EINTR);
	CHECK(rem.tv_sec == 9);
}

TEST(sigsuspend_and_mask)
{
	sigset_t s, none, cur;
	handle(SIGUSR1, on, 0);
	sigemptyset(&none);
	sigemptyset(&s);
	sigaddset(&s, SIGUSR1);
	sigprocmask(SIG_BLOCK, &s, NULL);
	raise(SIGUSR1);
	CHECK_ERRNO(sigsuspend(&none), EINTR);
	CHECK(got == SIGUSR1);
	sigprocmask(SIG_BLOCK, NULL, &cur);
	CHECK(sigismember(&cur, SIGUSR1) == 1);
}

static char alt[65536];
static volatile bool on_alt;
static void altfn(int s) { char x; on_alt = &x > alt && &x < alt + sizeof alt; got = s; }
TEST(alternate_stack)
{
	stack_t ss = { .ss_sp = alt, .ss_size = sizeof alt }, old;
	CHECK(!sigaltstack(&ss, NULL));
	handle(SIGUSR2, altfn, SA_ONSTACK);
	raise(SIGUSR2);
	CHECK(got && on_alt);
	CHECK(!sigaltstack(NULL, &old) && old.ss_sp == alt && old.ss_flags == 0);
	ss.ss_size = 100;
	CHECK_ERRNO(sigaltstack(&ss, NULL), ENOMEM);
}

static sigjmp_buf jb;
static void jump(int s, siginfo_t *i, void *u) { (void)u; info = *i; siglongjmp(jb, s); }
TEST(faults)
{
	handle(SIGSEGV, jump, SA_SIGINFO);
	handle(SIGBUS, jump, SA_SIGINFO);
	handle(SIGFPE, jump, SA_SIGINFO);
	handle(SIGILL, jump, SA_SIGINFO);
	handle(SIGTRAP, jump, SA_SIGINFO);
	int r = sigsetjmp(jb, 1);
	if (!r)
		*(volatile int *)0x1234 = 1;
	CHECK(r == SIGSEGV && info.si_code == SEGV_MAPERR && info.si_addr == (void *)0x1234);
	char *ro = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!(r = sigsetjmp(jb, 1)))
		*(volatile char *)ro = 1;
	CHECK(r == SIGSEGV && info.si_code == SEGV_ACCERR && info.si_addr == ro);
	volatile int zero = 0, five = 5;
	if (!(r = sigsetjmp(jb, 1)))
		zero = five / zero;
	CHECK(r == SIGFPE && info.si_code == FPE_INTDIV);
	if (!(r = sigsetjmp(jb, 1)))
		__asm__ volatile("ud2");
	CHECK(r == SIGILL && info.si_code == ILL_ILLOPN);
	if (!(r = sigsetjmp(jb, 1)))
		__asm__ volatile("int3");
	CHECK(r == SIGTRAP);
	int fd = open("empty", O_CREAT | O_RDWR, 0600);
	char *m = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(m != MAP_FAILED);
	if (!(r = sigsetjmp(jb, 1)))
		(void)*(volatile char *)m;
	CHECK(r == SIGBUS && info.si_code == BUS_ADRERR && info.si_addr == m);
}

static void setreg(int s, siginfo_t *i, void *u)
{
	ucontext_t *c = u;
	(void)i;
	got = s;
	c->uc_mcontext.gregs[REG_R12] = 0x1234567;
	CHECK(c->uc_mcontext.fpregs);
	((struct _libc_fpstate *)c->uc_mcontext.fpregs)->_xmm[5].element[0] = 99;
}
TEST(context_can_be_changed)
{
	handle(SIGUSR1, setreg, SA_SIGINFO);
	unsigned long r12;
	unsigned xmm;
	long pid = getpid();
	__asm__ volatile("xor %%r12d, %%r12d; pxor %%xmm5, %%xmm5; movl $62, %%eax; mov %2, %%rdi; movl $10, %%esi; syscall; mov %%r12, %0; movd %%xmm5, %1"
			 : "=r"(r12), "=r"(xmm) : "r"(pid) : "rax", "rdi", "rsi", "rcx", "r11", "r12", "xmm5", "memory");
	CHECK(got == SIGUSR1);
	CHECK_EQ(r12, 0x1234567);
	CHECK_EQ(xmm, 99);
}

TEST(vector_state_survives)
{
	handle(SIGALRM, on, 0);
	struct itimerval it = { { 0, 1000 }, { 0, 1000 } };
	setitimer(ITIMER_REAL, &it, NULL);
	double t = now_s();
	while (now_s() - t < 0.2) {
		unsigned x;
		__asm__ volatile("movl $0xabcdef, %%eax; movd %%eax, %%xmm7; movl $20000, %%ecx; 1: dec %%ecx; jnz 1b; movd %%xmm7, %0" : "=r"(x) : : "eax", "ecx", "xmm7");
		CHECK_EQ(x, 0xabcdef);
	}
	CHECK(got);
}

TEST(errors)
{
	struct sigaction a = { .sa_handler = on };
	CHECK_ERRNO(sigaction(SIGKILL, &a, NULL), EINVAL);
	CHECK_ERRNO(sigaction(SIGSTOP, &a, NULL), EINVAL);
	CHECK_ERRNO(kill(getpid(), 65), EINVAL);
	CHECK_ERRNO(kill(999999, 0), ESRCH);
	CHECK_ERRNO(syscall(SYS_rt_sigaction, SIGUSR1, 8, NULL, 8), EFAULT);
	CHECK_ERRNO(syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 4), EINVAL);
	CHECK_ERRNO(syscall(SYS_rt_sigprocmask, 7, &a.sa_mask, NULL, 8), EINVAL);
	CHECK_ERRNO(syscall(SYS_tgkill, -1, 1, 0), EINVAL);
}

TEST(kill_wakes_a_busy_loop)
{
	pid_t p = fork();
	if (!p)
		for (;;)
			;
	msleep(50);
	int st;
	CHECK(!kill(p, SIGTERM) && waitpid(p, &st, 0) == p && WTERMSIG(st) == SIGTERM);
}

TEST(nested_and_nodefer)
{
	handle(SIGUSR1, on, SA_RESETHAND);
	raise(SIGUSR1);
	struct sigaction a;
	sigaction(SIGUSR1, NULL, &a);
	CHECK(a.sa_handler == SIG_DFL);
}

/* RLIMIT_SIGPENDING: all of a user's, wherever they are queued; timers too; not what kill() sends. */
TEST(queue_limit_is_the_users)
{
	int st, ready[2], go[2];
	char c;
	if (getuid())
		SKIP("not root");
	CHECK(!pipe(ready) && !pipe(go));
	pid_t p = fork();
	if (!p) {
		struct rlimit five = { 5, 5 };
		sigset_t m;
		timer_t t;
		union sigval v = { 0 };
		sigemptyset(&m);
		sigaddset(&m, SIGRTMIN);
		sigaddset(&m, SIGUSR1);
		CHECK(!setrlimit(RLIMIT_SIGPENDING, &five) && !setresuid(54321, 54321, 54321) && !sigprocmask(SIG_BLOCK, &m, NULL));
		pid_t q = fork();
		if (!q) {
			for (int i = 0; i < 3; i++)
				CHECK(!sigqueue(getpid(), SIGRTMIN, v));
			CHECK(write(ready[1], "x", 1) == 1 && read(go[0], &c, 1) == 1);
			_exit(0);
		}
		CHECK(read(ready[0], &c, 1) == 1);
		CHECK(!sigqueue(getpid(), SIGRTMIN, v) && !timer_create(CLOCK_MONOTONIC, NULL, &t));
		CHECK_ERRNO(sigqueue(getpid(), SIGRTMIN, v), EAGAIN);
		CHECK_ERRNO(sigqueue(q, SIGRTMIN, v), EAGAIN);
		CHECK_ERRNO(timer_create(CLOCK_MONOTONIC, NULL, &t), EAGAIN);
		CHECK(!kill(getpid(), SIGUSR1));
		char text[8192];
		int fd = open("/proc/self/status", O_RDONLY);
		text[read(fd, text, sizeof text - 1)] = 0;
		CHECK(strstr(text, "\nSigQ:\t6/5\n"));
		CHECK(write(go[1], "x", 1) == 1 && waitpid(q, &st, 0) == q && !st);
		for (int i = 0; i < 2; i++)
			CHECK(!sigqueue(getpid(), SIGRTMIN, v));
		CHECK_ERRNO(sigqueue(getpid(), SIGRTMIN, v), EAGAIN);
		CHECK(!timer_delete(t) && !sigqueue(getpid(), SIGRTMIN, v));
		_exit(0);
	}
	CHECK(waitpid(p, &st, 0) == p && !st);
}

/* Over and over: what asks may be answered without the kernel, and must say the same. */
TEST(actions_by_hand)
{
	struct k { unsigned long handler, flags, restorer, mask; } a, o;
	const unsigned long kernel_only = 1UL << (SIGKILL - 1) | 1UL << (SIGSTOP - 1);

	for (int round = 0; round < 40; round++) {
		for (int s = 1; s <= 64; s++)
			CHECK(!syscall(SYS_rt_sigaction, s, NULL, &o, 8));
		a = (struct k){ 0, SA_RESTART | 0x4000000 | 0x10000, 0x1234, ~0UL };
		CHECK(!syscall(SYS_rt_sigaction, SIGUSR1, &a, NULL, 8));
		CHECK(!syscall(SYS_rt_sigaction, SIGUSR1, NULL, &o, 8));
		CHECK(o.handler == 0 && o.flags == (SA_RESTART | 0x4000000) && o.restorer == 0x1234 && o.mask == (~0UL & ~kernel_only));
		a.flags = 0x4000000;
		CHECK(!syscall(SYS_rt_sigaction, SIGUSR1, &a, &o, 8) && o.flags == (SA_RESTART | 0x4000000));
		pid_t p = fork();
		if (!p)
			_exit(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &o, 8) || o.flags != 0x4000000 || o.restorer != 0x1234);
		int st;
		CHECK(waitpid(p, &st, 0) == p && st == 0);
		CHECK_ERRNO(syscall(SYS_rt_sigaction, SIGKILL, &a, NULL, 8), EINVAL);
		CHECK_ERRNO(syscall(SYS_rt_sigaction, 65, NULL, NULL, 8), EINVAL);
		CHECK_ERRNO(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &o, 4), EINVAL);
		CHECK_ERRNO(syscall(SYS_rt_sigaction, SIGUSR1, (void *)8, NULL, 8), EFAULT);
		CHECK_ERRNO(syscall(SYS_rt_sigaction, SIGUSR1, NULL, (void *)8, 8), EFAULT);
		handle(SIGUSR2, on, SA_RESETHAND);
		CHECK(!syscall(SYS_rt_sigaction, SIGUSR2, NULL, &o, 8) && o.handler == (unsigned long)on);
		raise(SIGUSR2);
		CHECK(!syscall(SYS_rt_sigaction, SIGUSR2, NULL, &o, 8) && o.handler == 0);
		signal(SIGUSR1, SIG_IGN);
		CHECK(!syscall(SYS_rt_sigaction, SIGUSR1, NULL, &o, 8) && o.handler == 1);
		signal(SIGUSR1, SIG_DFL);
	}
}
