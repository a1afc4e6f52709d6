/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>

#define LD(f) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, f))
#define JEQ(k, t, f) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, t, f)
#define RET(v) BPF_STMT(BPF_RET | BPF_K, v)

static long load(unsigned flags, struct sock_filter *f, unsigned n)
{
	struct sock_fprog p = { n, f };
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &p);
}
/* One call gets an action, the others pass. */
static long on(unsigned flags, int nr, unsigned action)
{
	struct sock_filter f[] = { LD(nr), JEQ(nr, 0, 1), RET(action), RET(SECCOMP_RET_ALLOW) };
	return load(flags, f, 4);
}
static int status_of(void (*fn)(void))
{
	int st;
	pid_t p = fork();
	if (!p) {
		fn();
		_exit(0);
	}
	CHECK(waitpid(p, &st, 0) == p);
	return st;
}

TEST(ret_errno)
{
	CHECK(!on(0, SYS_getppid, SECCOMP_RET_ERRNO | ENOTNAM));
	CHECK_ERRNO(syscall(SYS_getppid), ENOTNAM);
	CHECK(getpid() > 0);
	CHECK_EQ(prctl(PR_GET_SECCOMP), 2);
	/* The stricter of two wins; children inherit. */
	CHECK(!on(0, SYS_getppid, SECCOMP_RET_ALLOW));
	CHECK(!on(0, SYS_getuid, SECCOMP_RET_ERRNO | 7));
	pid_t p = fork();
	if (!p)
		_exit(syscall(SYS_getppid) == -1 && errno == ENOTNAM && syscall(SYS_getuid) == -1 && errno == 7 ? 0 : 1);
	int st;
	CHECK(waitpid(p, &st, 0) == p && st == 0);
}

TEST(ids_asked_often_before)
{
	for (int i = 0; i < 100; i++)
		CHECK(syscall(SYS_getpid) > 0);
	CHECK(!on(0, SYS_getpid, SECCOMP_RET_ERRNO | ENOTNAM));
	for (int i = 0; i < 100; i++)
		CHECK_ERRNO(syscall(SYS_getpid), ENOTNAM);
}

static void *ids_forever(void *arg)
{
	while (syscall(SYS_getpid) > 0)
		;
	return arg;
}

TEST(ids_asked_often_by_a_thread)
{
	pthread_t t;
	CHECK(!pthread_create(&t, NULL, ids_forever, NULL));
	usleep(20000);
	CHECK(!on(SECCOMP_FILTER_FLAG_TSYNC, SYS_getpid, SECCOMP_RET_ERRNO | ENOTNAM));
	CHECK(!pthread_join(t, NULL));
}

TEST(arguments)
{
	struct sock_filter f[] = {
		LD(arch), JEQ(AUDIT_ARCH_X86_64, 1, 0), RET(SECCOMP_RET_KILL_PROCESS), LD(nr), JEQ(SYS_dup, 0, 5), LD(args[0]),
		BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 3), BPF_STMT(BPF_ST, 2), BPF_STMT(BPF_LDX | BPF_MEM, 2),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_X, 0, 1, 0), RET(SECCOMP_RET_ALLOW), LD(args[0]), JEQ(77, 0, 1), RET(SECCOMP_RET_ERRNO | 33),
		RET(SECCOMP_RET_ALLOW),
	};
	CHECK(!load(0, f, sizeof f / sizeof *f));
	CHECK_ERRNO(dup(77), EDOM);
	CHECK_ERRNO(dup(78), EBADF);
}

TEST(bad_programs)
{
	struct sock_filter end[] = { LD(nr) }, jump[] = { JEQ(0, 1, 0), RET(0) }, off[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), RET(0) },
		odd[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), RET(0) }, mem[] = { BPF_STMT(BPF_LD | BPF_MEM, 1), RET(0) },
		div[] = { BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), RET(0) }, half[] = { BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 0), RET(0) },
		mod[] = { BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 2), RET(0) }, ok[] = { RET(SECCOMP_RET_ALLOW) };
	CHECK_ERRNO(load(0, end, 1), EINVAL);
	CHECK_ERRNO(load(0, jump, 2), EINVAL);
	CHECK_ERRNO(load(0, off, 2), EINVAL);
	CHECK_ERRNO(load(0, odd, 2), EINVAL);
	CHECK_ERRNO(load(0, mem, 2), EINVAL);
	CHECK_ERRNO(load(0, div, 2), EINVAL);
	CHECK_ERRNO(load(0, half, 2), EINVAL);
	CHECK_ERRNO(load(0, mod, 2), EINVAL);
	CHECK_ERRNO(load(0, ok, 0), EINVAL);
	CHECK_ERRNO(load(0, (void *)8, 1), EFAULT);
	CHECK_ERRNO(load(1 << 10, ok, 1), EINVAL);
	CHECK_ERRNO(syscall(SYS_seccomp, 99, 0, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 1, 0), EINVAL);
	CHECK_EQ(prctl(PR_GET_SECCOMP), 0);
}

static volatile int trapped_nr, trapped_errno, trapped_code;
static void on_sys(int s, siginfo_t *si, void *uc)
{
	trapped_nr = si->si_syscall;
	trapped_errno = si->si_errno;
	trapped_code = si->si_code;
}
TEST(ret_trap)
{
	struct sigaction sa = { .sa_sigaction = on_sys, .sa_flags = SA_SIGINFO };
	sigaction(SIGSYS, &sa, NULL);
	CHECK(!on(0, SYS_getppid, SECCOMP_RET_TRAP | 5));
	CHECK_EQ(syscall(SYS_getppid), SYS_getppid); /* rax is as it was */
	CHECK(trapped_nr == SYS_getppid && trapped_errno == 5 && trapped_code == 1);
}
static void trap_unhandled(void) { on(0, SYS_getppid, SECCOMP_RET_TRAP); syscall(SYS_getppid); }
static void kill_process(void) { on(0, SYS_getppid, SECCOMP_RET_KILL_PROCESS); syscall(SYS_getppid); }
static void strict_ok(void) { prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT); syscall(SYS_exit, 9); }
static void strict_kill(void) { prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT); syscall(SYS_getppid); }
static void *getppid_thread(void *x) { syscall(SYS_getppid); return x; }
static void kill_thread(void)
{
	pthread_t t;
	on(0, SYS_getppid, SECCOMP_RET_KILL_THREAD);
	pthread_create(&t, NULL, getppid_thread, NULL);
	usleep(100000);
	_exit(6);
}
TEST(kills)
{
	CHECK((status_of(trap_unhandled) & 0x7f) == SIGSYS);
	CHECK((status_of(kill_process) & 0x7f) == SIGSYS);
	CHECK(status_of(strict_ok) == 9 << 8);
	CHECK((status_of(strict_kill) & 0x7f) == SIGKILL);
	CHECK(status_of(kill_thread) == 6 << 8);
}

/* The limit on all filters of a task counts what the kernel makes of them. */
static unsigned chain(struct sock_filter *f, unsigned n)
{
	unsigned *most = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t p = fork();
	if (!p) {
		while (!load(0, f, n))
			++*most;
		_exit(errno == ENOMEM ? 0 : 1);
	}
	waitpid(p, NULL, 0);
	return *most;
}
TEST(chains)
{
	static struct sock_filter f[1000];
	static const struct { struct sock_filter insn; unsigned most; } cases[] = {
		{ BPF_STMT(BPF_LD | BPF_IMM, 0), 32 }, { BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0), 6 }, { BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 2), 32 },
		{ JEQ(1, 1, 0), 32 }, { BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 1, 0, 1), 16 }, { JEQ(-1, 1, 1), 10 }, { RET(SECCOMP_RET_ALLOW), 16 },
	};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		f[0] = (struct sock_filter)BPF_STMT(BPF_LDX | BPF_IMM, 1);
		for (unsigned k = 1; k < 998; k++)
			f[k] = cases[i].insn;
		f[998] = f[999] = (struct sock_filter)RET(SECCOMP_RET_ALLOW);
		CHECK_EQ(chain(f, 1000), cases[i].most);
	}
	CHECK_EQ(chain(f + 999, 1), 3641);
	struct sock_fprog none = { 1, NULL };
	CHECK_ERRNO(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &none), EINVAL);
}

static volatile int phase;
static void *tsync_thread(void *x)
{
	phase = 1;
	while (phase != 2)
		usleep(1000);
	return (void *)(long)(syscall(SYS_getppid) == -1 ? errno : 0);
}
TEST(tsync)
{
	pthread_t t;
	void *r;
	pthread_create(&t, NULL, tsync_thread, NULL);
	while (phase != 1)
		usleep(1000);
	CHECK(!on(SECCOMP_FILTER_FLAG_TSYNC, SYS_getppid, SECCOMP_RET_ERRNO | 44));
	phase = 2;
	CHECK(!pthread_join(t, &r) && r == (void *)44);
}

TEST(actions_and_sizes)
{
	unsigned a = SECCOMP_RET_ERRNO, bad = 0x12340000;
	struct seccomp_notif_sizes s;
	CHECK(!syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &a));
	CHECK_ERRNO(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &bad), EOPNOTSUPP);
	CHECK(!syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &s));
	CHECK(s.seccomp_notif == 80 && s.seccomp_notif_resp == 24 && s.seccomp_data == 64);
}

TEST(user_notification)
{
	int fd = on(SECCOMP_FILTER_FLAG_NEW_LISTENER, SYS_getppid, SECCOMP_RET_USER_NOTIF), st;
	CHECK(fd >= 0);
	pid_t p = fork();
	if (!p) {
		if (syscall(SYS_getppid) != 4711)
			_exit(1);
		if (syscall(SYS_getppid) != -1 || errno != EXDEV)
			_exit(2);
		if (syscall(SYS_getppid) <= 0 || syscall(SYS_getppid) == 4711)
			_exit(3);
		int got = syscall(SYS_getppid);
		_exit(got > 2 && write(got, "x", 1) == 1 ? 0 : 4);
	}
	for (int i = 0; i < 5; i++) {
		struct seccomp_notif n = { 0 };
		struct seccomp_notif_resp r = { 0 };
		struct pollfd pf = { .fd = fd, .events = POLLIN };
		CHECK(poll(&pf, 1, 5000) == 1 && pf.revents & POLLIN);
		CHECK(!ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n));
		CHECK(n.pid == (unsigned)p && n.data.instruction_pointer && n.data.nr == SYS_getppid && n.data.arch == AUDIT_ARCH_X86_64);
		CHECK(!ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id));
		r.id = n.id;
		if (i == 0)
			r.val = 4711;
		else if (i == 1)
			r.error = -EXDEV;
		else if (i < 4)
			r.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		else {
			struct seccomp_notif_addfd a = { .id = n.id, .srcfd = 1 };
			int pp[2];
			CHECK(!pipe(pp));
			a.srcfd = pp[1];
			int got = ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &a);
			CHECK(got > 2);
			r.val = got;
		}
		CHECK(!ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &r));
		CHECK(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &r) == -1 && (errno == ENOENT || errno == EINPROGRESS));
	}
	CHECK(waitpid(p, &st, 0) == p);
	CHECK_EQ(st, 0);
	/* Without a listener such calls fail. */
	close(fd);
	CHECK_ERRNO(syscall(SYS_getppid), ENOSYS);
}

/* ---- for a tracer ---- */

static pid_t filtered(void)
{
	pid_t p = fork();
	if (!p) {
		on(0, SYS_getppid, SECCOMP_RET_ERRNO | 5);
		on(SECCOMP_FILTER_FLAG_LOG, SYS_getuid, SECCOMP_RET_ALLOW);
		raise(SIGSTOP);
		_exit(syscall(SYS_getppid) == -1 ? errno : 99);
	}
	int st;
	CHECK(waitpid(p, &st, WUNTRACED) == p && WIFSTOPPED(st));
	CHECK(!ptrace(PTRACE_SEIZE, p, 0, 0) && !ptrace(PTRACE_INTERRUPT, p, 0, 0));
	CHECK(waitpid(p, &st, 0) == p && WIFSTOPPED(st));
	return p;
}

TEST(filters_are_read_back)
{
	struct sock_filter f[8];
	struct { uint64_t off, flags; } md = { 0, 7 };
	pid_t p = filtered();
	CHECK_EQ(ptrace(PTRACE_SECCOMP_GET_FILTER, p, 0, 0), 4);
	memset(f, 0, sizeof(f));
	CHECK_EQ(ptrace(PTRACE_SECCOMP_GET_FILTER, p, 0, f), 4);
	CHECK(f[0].code == (BPF_LD | BPF_W | BPF_ABS) && f[1].k == SYS_getppid && f[2].k == (SECCOMP_RET_ERRNO | 5));
	CHECK_EQ(ptrace(PTRACE_SECCOMP_GET_FILTER, p, 1, f), 4); /* the newer one */
	CHECK(f[1].k == SYS_getuid);
	CHECK_ERRNO(ptrace(PTRACE_SECCOMP_GET_FILTER, p, 2, 0), ENOENT);
	CHECK_ERRNO(ptrace(PTRACE_SECCOMP_GET_FILTER, p, 0, 8), EFAULT);
	CHECK_EQ(ptrace(PTRACE_SECCOMP_GET_METADATA, p, 16, &md), 16);
	CHECK_EQ(md.flags, 0);
	md.off = 1;
	CHECK_EQ(ptrace(PTRACE_SECCOMP_GET_METADATA, p, 32, &md), 16);
	CHECK_EQ(md.flags, SECCOMP_FILTER_FLAG_LOG);
	md.off = 2;
	CHECK_ERRNO(ptrace(PTRACE_SECCOMP_GET_METADATA, p, 16, &md), ENOENT);
	CHECK_ERRNO(ptrace(PTRACE_SECCOMP_GET_METADATA, p, 7, &md), EINVAL);
	kill(p, SIGKILL);
}

TEST(filters_are_suspended)
{
	int st;
	pid_t p = filtered();
	CHECK(!ptrace(PTRACE_SETOPTIONS, p, 0, PTRACE_O_SUSPEND_SECCOMP));
	CHECK(!ptrace(PTRACE_CONT, p, 0, 0));
	kill(p, SIGCONT);
	while (waitpid(p, &st, 0) == p && WIFSTOPPED(st))
		ptrace(PTRACE_CONT, p, 0, 0);
	CHECK(WIFEXITED(st) && WEXITSTATUS(st) == 99);
	/* Not by one who is under filters himself. */
	p = filtered();
	on(0, SYS_getuid, SECCOMP_RET_ALLOW);
	CHECK_ERRNO(ptrace(PTRACE_SETOPTIONS, p, 0, PTRACE_O_SUSPEND_SECCOMP), EPERM);
	CHECK_ERRNO(ptrace(PTRACE_SECCOMP_GET_FILTER, p, 0, 0), EACCES);
	kill(p, SIGKILL);
}
