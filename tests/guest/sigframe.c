/* SPDX-License-Identifier: Apache-2.0 */
/* sigframe.c: signal frames and masks where several parties have a hand in them: FP state in frames, bad frames, bad stacks, masks that
 * are changed while signals come. Most cases go round more often than it takes for calls to be answered in other ways than the first. */
#include "harness.h"
#include <pthread.h>
#include <setjmp.h>
#include <sys/ptrace.h>
#include <ucontext.h>

#define ROUNDS 60
static sigset_t set_of(int s)
{
	sigset_t m;
	sigemptyset(&m);
	if (s)
		sigaddset(&m, s);
	return m;
}
static void handle(int s, void (*fn)(int, siginfo_t *, void *), int flags)
{
	struct sigaction a = { .sa_flags = flags | SA_SIGINFO, .sa_sigaction = fn };
	CHECK(!sigaction(s, &a, NULL));
}
static void warm(void)
{
	sigset_t m = set_of(SIGUSR2);
	for (int i = 0; i < 30; i++) {
		sigprocmask(SIG_BLOCK, &m, NULL);
		sigprocmask(SIG_UNBLOCK, &m, NULL);
	}
}
static sigset_t now_blocked(void)
{
	sigset_t m;
	sigprocmask(SIG_BLOCK, NULL, &m);
	return m;
}
static unsigned long status_word(const char *path, const char *name)
{
	char line[256];
	unsigned long v = ~0UL;
	FILE *f = fopen(path, "r");
	CHECK(f);
	while (fgets(line, sizeof line, f))
		if (!strncmp(line, name, strlen(name)))
			v = strtoul(line + strlen(name) + 1, NULL, 16);
	fclose(f);
	return v;
}

static volatile int got, times;
static char alt[65536] __attribute__((aligned(4096)));
static void use_alt(void)
{
	stack_t ss = { .ss_sp = alt, .ss_size = sizeof alt };
	CHECK(!sigaltstack(&ss, NULL));
}

/* ---- FP state ---- */

struct sw { uint32_t magic1, extended_size; uint64_t xfeatures; uint32_t xstate_size, pad[7]; };
static uint8_t *fp_of(void *u) { return (uint8_t *)((ucontext_t *)u)->uc_mcontext.fpregs; }
static bool have_avx(void) { return __builtin_cpu_supports("avx"); }

/* Two words of ymm6 and MXCSR are set, the process signals itself, and they are read. */
static void through_signal(uint64_t in[2], uint64_t out[2], uint32_t *mxcsr)
{
	long pid = getpid();
	uint64_t v[4] = { in[0], 0, in[1], 0 }, w[4];
	uint32_t old;
	__asm__ volatile("stmxcsr %0" : "=m"(old));
	__asm__ volatile("ldmxcsr %[m]; vmovups %[v], %%ymm6; movl $62, %%eax; mov %[pid], %%rdi; movl $10, %%esi; syscall;"
			 "vmovups %%ymm6, %[w]; stmxcsr %[m]"
			 : [w] "=m"(w), [m] "+m"(*mxcsr) : [v] "m"(v), [pid] "r"(pid) : "rax", "rdi", "rsi", "rcx", "r11", "xmm6", "memory");
	__asm__ volatile("ldmxcsr %0" : : "m"(old));
	out[0] = w[0];
	out[1] = w[2];
}

static enum { FP_LOOK, FP_CHANGE, FP_NO_MAGIC, FP_NO_MAGIC2, FP_NULL, FP_ELSEWHERE, FP_UNUSED } fp_do;
static uint8_t elsewhere[16384] __attribute__((aligned(64)));
static void fp_handler(int s, siginfo_t *i, void *u)
{
	uint8_t *fp = fp_of(u);
	struct sw *sw = (void *)(fp + 464);
	uint64_t used, clean[4];
	uint32_t mxcsr, magic2;
	uint16_t fcw;
	__asm__ volatile("stmxcsr %0; fnstcw %1; vmovups %%ymm6, %2" : "=m"(mxcsr), "=m"(fcw), "=m"(clean));
	CHECK_EQ(mxcsr, 0x1f80);
	CHECK_EQ(fcw, 0x37f);
	CHECK(!(clean[0] | clean[2]));
	CHECK((uintptr_t)fp % 64 == 0 && sw->magic1 == 0x46505853 && sw->extended_size == sw->xstate_size + 4 && (sw->xfeatures & 7) == 7);
	memcpy(&magic2, fp + sw->xstate_size, 4);
	CHECK_EQ(magic2, 0x46505845);
	memcpy(&used, fp + 512, 8);
	CHECK((used & 7) == 7);
	for (int n = 520; n < 576; n++)
		CHECK(!fp[n]);
	switch (fp_do) {
	case FP_LOOK: break;
	case FP_CHANGE: fp[160 + 16 * 6] ^= 1; fp[576 + 16 * 6] ^= 2; *(uint32_t *)(fp + 24) = 0x9f80; break;
	case FP_NO_MAGIC: sw->magic1 = 0; break;
	case FP_NO_MAGIC2: fp[sw->xstate_size] ^= 1; break;
	case FP_NULL: ((ucontext_t *)u)->uc_mcontext.fpregs = NULL; break;
	case FP_ELSEWHERE:
		memcpy(elsewhere, fp, sw->extended_size);
		elsewhere[160 + 16 * 6] ^= 4;
		((ucontext_t *)u)->uc_mcontext.fpregs = (void *)elsewhere;
		break;
	case FP_UNUSED: *(uint64_t *)(fp + 512) = 3; break;
	}
	got++;
	(void)s, (void)i;
}
TEST(fp_state_in_frames)
{
	if (!have_avx())
		SKIP("no AVX");
	handle(SIGUSR1, fp_handler, 0);
	for (int round = 0; round < ROUNDS; round++) {
		if (round == ROUNDS / 2)
			warm();
		const struct { int what; uint64_t low, high; uint32_t mxcsr; } want[] = {
			{ FP_LOOK, 0x1111, 0x2222, 0x3f80 }, { FP_CHANGE, 0x1110, 0x2220, 0x9f80 }, { FP_NO_MAGIC, 0x1111, 0, 0x3f80 },
			{ FP_NO_MAGIC2, 0x1111, 0, 0x3f80 }, { FP_NULL, 0, 0, 0x1f80 }, { FP_ELSEWHERE, 0x1115, 0x2222, 0x3f80 },
			{ FP_UNUSED, 0x1111, 0, 0x3f80 },
		};
		for (unsigned k = 0; k < sizeof want / sizeof *want; k++) {
			uint64_t in[2] = { 0x1111, 0x2222 }, out[2];
			uint32_t mxcsr = 0x3f80;
			fp_do = want[k].what;
			through_signal(in, out, &mxcsr);
			CHECK_EQ(out[0], want[k].low);
			CHECK_EQ(out[1], want[k].high);
			CHECK_EQ(mxcsr, want[k].mxcsr);
		}
	}
	CHECK_EQ(got, 7 * ROUNDS);
}

static sigjmp_buf jb;
static ucontext_t seen;
static siginfo_t seen_info;
static void segv(int s, siginfo_t *i, void *u)
{
	memcpy(&seen, u, sizeof seen);
	seen_info = *i;
	siglongjmp(jb, s);
}
static int bad_what;
static void spoil(int s, siginfo_t *i, void *u)
{
	ucontext_t *c = u;
	uint8_t *fp = fp_of(u);
	switch (bad_what) {
	case 0: fp[24 + 3] = 0xff; break;	/* MXCSR */
	case 1: fp[512 + 16] = 1; break;	/* the header's reserved bytes */
	case 2: c->uc_mcontext.fpregs = (void *)(fp + 1); break;
	case 3: c->uc_mcontext.fpregs = (void *)0x123456789000; break;
	case 4: c->uc_mcontext.fpregs = (void *)0xffff800000000000; break;
	}
	sigaddset(&c->uc_sigmask, SIGUSR2);
	(void)s, (void)i;
}
TEST(bad_fp_state)
{
	use_alt();
	handle(SIGUSR1, spoil, 0);
	handle(SIGSEGV, segv, SA_ONSTACK);
	for (int round = 0; round < ROUNDS; round++) {
		if (round == ROUNDS / 2)
			warm();
		for (bad_what = 0; bad_what < 5; bad_what++) {
			int r = sigsetjmp(jb, 1);
			if (!r) {
				raise(SIGUSR1);
				CHECK(!"came back");
			}
			CHECK(r == SIGSEGV && seen_info.si_code == SI_KERNEL && !seen_info.si_addr);
			CHECK(sigismember(&seen.uc_sigmask, SIGUSR2)); /* what rt_sigreturn had taken back by then */
			CHECK_EQ(seen.uc_mcontext.gregs[REG_RAX], 0);
		}
	}
}

/* ---- stacks ---- */

static void count(int s, siginfo_t *i, void *u) { times++; got = s; (void)i, (void)u; }
/* Signals itself with rsp somewhere else; the rsp that the SIGSEGV handler sees. */
static void signal_on(void *sp)
{
	long pid = getpid();
	__asm__ volatile("mov %%rsp, %%rbx; mov %0, %%rsp; movl $62, %%eax; movl $10, %%esi; syscall; mov %%rbx, %%rsp"
			 : : "r"(sp), "D"(pid) : "rax", "rbx", "rsi", "rcx", "r11", "memory");
}
TEST(bad_stacks)
{
	char *m = mmap(NULL, 64 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	use_alt();
	handle(SIGUSR1, count, 0);
	handle(SIGSEGV, segv, SA_ONSTACK);
	CHECK(!mprotect(m + 4096, 4096, PROT_NONE) && !munmap(m + 10 * 4096, 4096) && !mprotect(m + 20 * 4096, 4096, PROT_READ));
	for (int round = 0; round < ROUNDS; round++) {
		if (round == ROUNDS / 2)
			warm();
		/* In holes, and just above them with part of the frame in each. */
		char *const where[] = { m + 4096 + 2000, m + 8192 + 400, m + 8192 + 700, m + 11 * 4096, m + 11 * 4096 + 300, m + 21 * 4096 + 200,
					(char *)0x7ffffffff000, (char *)0x100, (char *)-64L };
		for (unsigned k = 0; k < sizeof where / sizeof *where; k++) {
			int r = sigsetjmp(jb, 1);
			if (!r) {
				signal_on(where[k]);
				CHECK(!"came back");
			}
			CHECK(r == SIGSEGV && seen_info.si_code == SI_KERNEL);
			CHECK(seen.uc_mcontext.gregs[REG_RSP] == (greg_t)where[k] && seen.uc_mcontext.gregs[REG_RAX] == 0);
			CHECK(!sigismember(&seen.uc_sigmask, SIGUSR1));
			sigset_t b = now_blocked();
			CHECK(!sigismember(&b, SIGUSR1) && !sigismember(&b, SIGSEGV));
		}
		times = 0;
		/* Over page boundaries that are no obstacle. */
		for (int off = 0; off < 8192; off += 264)
			signal_on(m + 40 * 4096 - off);
		CHECK_EQ(times, 32);
	}
	int st;
	pid_t p = fork();
	if (!p) {
		signal(SIGSEGV, SIG_DFL);
		struct rlimit none = { 0, 0 };
		setrlimit(RLIMIT_CORE, &none);
		signal_on(m + 4096 + 2000);
		_exit(0);
	}
	CHECK(waitpid(p, &st, 0) == p && WIFSIGNALED(st) && WTERMSIG(st) == SIGSEGV);
}

TEST(growing_stack)
{
	char *m = mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *g = mmap(m + (1 << 19), 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN, -1, 0);
	CHECK(g != MAP_FAILED && !munmap(m, 1 << 19));
	handle(SIGUSR1, count, 0);
	*g = 1;
	signal_on(g + 256); /* most of the frame is below it */
	CHECK_EQ(times, 1);
	signal_on(g - 20000);
	CHECK_EQ(times, 2);
}

static int depth;
static void overflow(int s, siginfo_t *i, void *u)
{
	depth++;
	raise(SIGUSR1);
	(void)s, (void)i, (void)u;
}
TEST(alternate_stack_overflow)
{
	int st;
	pid_t p = fork();
	if (!p) {
		struct rlimit none = { 0, 0 };
		setrlimit(RLIMIT_CORE, &none);
		use_alt();
		warm();
		handle(SIGUSR1, overflow, SA_ONSTACK | SA_NODEFER);
		raise(SIGUSR1);
		_exit(0);
	}
	CHECK(waitpid(p, &st, 0) == p && WIFSIGNALED(st) && WTERMSIG(st) == SIGSEGV);
}

static volatile int disarmed;
static void look_at_stack(int s, siginfo_t *i, void *u)
{
	stack_t ss;
	sigaltstack(NULL, &ss);
	disarmed += ss.ss_flags == SS_DISABLE;
	(void)s, (void)i, (void)u;
}
TEST(autodisarm)
{
	stack_t ss = { .ss_sp = alt, .ss_size = sizeof alt, .ss_flags = (int)(1U << 31) }, o;
	warm();
	CHECK(!sigaltstack(&ss, NULL));
	handle(SIGUSR1, look_at_stack, SA_ONSTACK);
	for (int n = 0; n < ROUNDS; n++) {
		raise(SIGUSR1);
		CHECK(!sigaltstack(NULL, &o) && o.ss_sp == alt && o.ss_flags == (int)(1U << 31));
	}
	CHECK_EQ(disarmed, ROUNDS);
	/* Changed by a handler for the time after it: the frame's word counts. */
	ss.ss_flags = SS_DISABLE;
	CHECK(!sigaltstack(&ss, NULL) && !sigaltstack(NULL, &o) && o.ss_flags == SS_DISABLE);
}

/* ---- masks ---- */

static void change_mask(int s, siginfo_t *i, void *u)
{
	sigaddset(&((ucontext_t *)u)->uc_sigmask, SIGWINCH);
	sigaddset(&((ucontext_t *)u)->uc_sigmask, SIGKILL);
	(void)s, (void)i;
}
TEST(mask_by_frame)
{
	sigset_t none = set_of(0);
	handle(SIGUSR1, change_mask, 0);
	handle(SIGUSR2, count, 0);
	for (int n = 0; n < ROUNDS; n++) {
		if (n == ROUNDS / 2)
			warm();
		CHECK(!sigprocmask(SIG_SETMASK, &none, NULL));
		raise(SIGUSR1);
		sigset_t b = now_blocked();
		CHECK(sigismember(&b, SIGWINCH) && !sigismember(&b, SIGUSR1) && !sigismember(&b, SIGKILL));
		CHECK(status_word("/proc/self/status", "SigBlk:") == 1UL << (SIGWINCH - 1));
	}
}

/* A signal that waits is taken at once when rt_sigprocmask or the return of a handler lets it. */
static int in_handler;
static void send_other(int s, siginfo_t *i, void *u)
{
	in_handler = 1;
	raise(SIGUSR2);
	CHECK(!times);
	in_handler = 0;
	(void)s, (void)i, (void)u;
}
TEST(pending_is_taken_at_once)
{
	struct sigaction a = { .sa_sigaction = send_other, .sa_flags = SA_SIGINFO, .sa_mask = set_of(SIGUSR2) };
	sigset_t m = set_of(SIGUSR2), p;
	CHECK(!sigaction(SIGUSR1, &a, NULL));
	handle(SIGUSR2, count, 0);
	warm();
	for (int n = 0; n < ROUNDS; n++) {
		times = 0;
		raise(SIGUSR1);
		CHECK_EQ(times, 1);
		CHECK(!sigprocmask(SIG_BLOCK, &m, NULL));
		CHECK(!sigpending(&p) && !sigismember(&p, SIGUSR2));
		kill(getpid(), SIGUSR2);
		raise(SIGUSR2);
		CHECK(times == 1 && !sigpending(&p) && sigismember(&p, SIGUSR2));
		CHECK(!sigprocmask(SIG_UNBLOCK, &m, NULL));
		CHECK_EQ(times, 3); /* the process's and the thread's */
	}
}

TEST(mask_arguments)
{
	sigset_t m = set_of(SIGUSR1), none = set_of(0), o;
	for (int n = 0; n < ROUNDS; n++) {
		sigset_t all;
		sigfillset(&all);
		CHECK(!syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &o, 8) && !sigismember(&o, SIGUSR1));
		CHECK(!syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, &o, 8) && sigismember(&o, SIGUSR1) && !sigismember(&o, SIGKILL) && !sigismember(&o, SIGSTOP));
		CHECK(!syscall(SYS_rt_sigprocmask, 77, NULL, &o, 8));
		CHECK_ERRNO(syscall(SYS_rt_sigprocmask, 77, &m, &o, 8), EINVAL);
		CHECK_ERRNO(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &m, &o, 16), EINVAL);
		CHECK_ERRNO(syscall(SYS_rt_sigprocmask, SIG_BLOCK, 16, &o, 8), EFAULT);
		CHECK_ERRNO(syscall(SYS_rt_sigprocmask, SIG_BLOCK, -4096L, &o, 8), EFAULT);
		CHECK_ERRNO(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &m, 16, 8), EFAULT); /* and yet it is done */
		o = now_blocked();
		CHECK(sigismember(&o, SIGUSR1));
		CHECK(!syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &m, NULL, 8));
	}
}

TEST(mask_seen_by_others)
{
	sigset_t m = set_of(SIGWINCH);
	char path[64];
	int st;
	warm();
	sigprocmask(SIG_BLOCK, &m, NULL);
	pid_t p = fork();
	if (!p) {
		sigset_t b = now_blocked();
		CHECK(sigismember(&b, SIGWINCH) && !sigismember(&b, SIGUSR2));
		warm();
		m = set_of(SIGTERM);
		sigprocmask(SIG_BLOCK, &m, NULL);
		for (;;)
			__asm__ volatile("");
	}
	snprintf(path, sizeof path, "/proc/%d/status", p);
	for (int n = 0; n < 200 && status_word(path, "SigBlk:") != (1UL << (SIGWINCH - 1) | 1UL << (SIGTERM - 1)); n++)
		msleep(10);
	CHECK(status_word(path, "SigBlk:") == (1UL << (SIGWINCH - 1) | 1UL << (SIGTERM - 1)));
	CHECK(!kill(p, SIGTERM));
	msleep(20);
	CHECK(waitpid(p, &st, WNOHANG) == 0 && status_word(path, "ShdPnd:") == 1UL << (SIGTERM - 1));
	uint64_t mask = 0;
	CHECK(!ptrace(PTRACE_ATTACH, p, 0, 0) && waitpid(p, &st, 0) == p && WIFSTOPPED(st));
	CHECK(!ptrace((enum __ptrace_request)0x420a /* GETSIGMASK */, p, 8, &mask) && mask == (1UL << (SIGWINCH - 1) | 1UL << (SIGTERM - 1)));
	mask = 0;
	CHECK(!ptrace((enum __ptrace_request)0x420b, p, 8, &mask) && !ptrace(PTRACE_DETACH, p, 0, 0));
	CHECK(waitpid(p, &st, 0) == p && WIFSIGNALED(st) && WTERMSIG(st) == SIGTERM);
	/* A new program has it too. */
	p = fork();
	if (!p) {
		m = set_of(SIGTERM);
		sigprocmask(SIG_BLOCK, &m, NULL);
		execl("/bin/sh", "sh", "-c", "kill -TERM $$; exit 7", NULL);
		_exit(1);
	}
	CHECK(waitpid(p, &st, 0) == p && WIFEXITED(st) && WEXITSTATUS(st) == 7);
}

/* Signals that come while masks go up and down: none is lost, none comes while it is blocked. */
static _Thread_local volatile bool blocked_here;
static _Atomic int taken, wrong, stop;
static void take(int s, siginfo_t *i, void *u)
{
	if (blocked_here)
		wrong++;
	taken++;
	(void)s, (void)i, (void)u;
}
static void toggle_once(void)
{
	sigset_t m = set_of(SIGRTMIN + 1), o;
	sigprocmask(SIG_BLOCK, &m, &o);
	blocked_here = true;
	for (volatile int k = 0; k < 50; k++)
		;
	blocked_here = false;
	sigprocmask(SIG_SETMASK, &o, NULL);
}
static void *toggle(void *x)
{
	while (!stop)
		toggle_once();
	return x;
}
static void wait_taken(int n)
{
	for (int i = 0; i < 1000 && taken < n; i++)
		msleep(5);
	CHECK_EQ(taken, n);
}
TEST_TIMEOUT(masks_and_signals_race, 40)
{
	enum { N = 3000 };
	pthread_t t[3];
	sigset_t m = set_of(SIGRTMIN + 1), o;
	int sent = 0, st;
	handle(SIGRTMIN + 1, take, 0);
	/* To one thread, from outside and from within. */
	pthread_create(&t[0], NULL, toggle, NULL);
	sigprocmask(SIG_BLOCK, &m, &o);
	for (; sent < N; sent++) {
		while (pthread_kill(t[0], SIGRTMIN + 1))
			sched_yield();
		if (sent % 16 == 0)
			msleep(1);
	}
	wait_taken(sent);
	/* To the process: whoever may takes it. */
	pthread_create(&t[1], NULL, toggle, NULL);
	pthread_create(&t[2], NULL, toggle, NULL);
	pid_t me = getpid(), p = fork();
	if (!p) {
		for (int n = 0; n < N; n++) {
			while (sigqueue(me, SIGRTMIN + 1, (union sigval){ .sival_int = n }))
				sched_yield();
			if (n % 16 == 0)
				msleep(1);
		}
		_exit(0);
	}
	CHECK(waitpid(p, &st, 0) == p && !st);
	sent += N;
	wait_taken(sent);
	stop = 1;
	for (int n = 0; n < 3; n++)
		pthread_join(t[n], NULL);
	CHECK_EQ(wrong, 0);
	/* And to oneself. */
	sigprocmask(SIG_SETMASK, &o, NULL);
	for (int n = 0; n < 300; n++) {
		sigprocmask(SIG_BLOCK, &m, &o);
		blocked_here = true;
		sigqueue(me, SIGRTMIN + 1, (union sigval){ 0 });
		CHECK_EQ(taken, sent);
		blocked_here = false;
		sigprocmask(SIG_SETMASK, &o, NULL);
		CHECK_EQ(taken, ++sent);
		sigqueue(me, SIGRTMIN + 1, (union sigval){ 0 });
		CHECK_EQ(taken, ++sent);
	}
	CHECK_EQ(wrong, 0);
}
