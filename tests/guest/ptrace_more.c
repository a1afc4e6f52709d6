/* SPDX-License-Identifier: Apache-2.0 */
/* Stops of several threads, exit events, requests at the edge. */
#include "harness.h"
#include <pthread.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/user.h>

static void *sleep_thread(void *arg)
{
	for (;;)
		pause();
	return arg;
}
/* A process with a second thread: its id. */
static pid_t two_threads(pid_t *second)
{
	int fds[2];
	CHECK(!pipe(fds));
	pid_t p = fork();
	if (!p) {
		pthread_t t;
		pid_t tid = 0;
		pthread_create(&t, NULL, sleep_thread, NULL);
		/* Its number is the next one that the kernel gave out in this process. */
		for (pid_t i = getpid() + 1; i < getpid() + 100 && !tid; i++)
			if (!syscall(SYS_tgkill, getpid(), i, 0))
				tid = i;
		(void)write(fds[1], &tid, sizeof(tid));
		for (;;)
			pause();
	}
	CHECK(read(fds[0], second, sizeof(*second)) == sizeof(*second) && *second);
	return p;
}
#define STOPPED(pid, sig, event) \
	do { \
		int st_; \
		CHECK_EQ(waitpid(pid, &st_, __WALL), pid); \
		CHECK(WIFSTOPPED(st_)); \
		CHECK_EQ(st_ >> 8, (sig) | (event) << 8); \
	} while (0)
static int dead(pid_t p)
{
	int st;
	CHECK_EQ(waitpid(p, &st, __WALL), p);
	return WIFSIGNALED(st) ? WTERMSIG(st) : -1;
}
static unsigned long message(pid_t p)
{
	unsigned long m = 0;
	CHECK(!ptrace(PTRACE_GETEVENTMSG, p, 0, &m));
	return m;
}

TEST(group_stop_of_threads)
{
	pid_t q, p = two_threads(&q);
	int st;
	CHECK(!ptrace(PTRACE_SEIZE, p, 0, 0) && !ptrace(PTRACE_SEIZE, q, 0, 0));
	kill(p, SIGTSTP);
	pid_t first = waitpid(-1, &st, __WALL);
	CHECK((first == p || first == q) && st >> 8 == SIGTSTP);
	CHECK(!ptrace(PTRACE_CONT, first, 0, SIGTSTP));
	STOPPED(p, SIGTSTP, PTRACE_EVENT_STOP);
	STOPPED(q, SIGTSTP, PTRACE_EVENT_STOP);
	/* They stay stopped, and tell about the end of it; meanwhile they answer nothing. */
	CHECK(!ptrace(PTRACE_LISTEN, p, 0, 0) && !ptrace(PTRACE_LISTEN, q, 0, 0));
	CHECK_EQ(waitpid(p, &st, WNOHANG | __WALL), 0);
	CHECK_ERRNO(ptrace(PTRACE_PEEKUSER, p, 0, 0), ESRCH);
	CHECK(!ptrace(PTRACE_INTERRUPT, q, 0, 0));
	STOPPED(q, SIGTSTP, PTRACE_EVENT_STOP);
	kill(p, SIGCONT);
	STOPPED(p, SIGTRAP, PTRACE_EVENT_STOP);
	kill(p, SIGKILL);
	CHECK_EQ(dead(q), SIGKILL);
	CHECK_EQ(dead(p), SIGKILL);
}

TEST(exit_events_of_the_killed)
{
	pid_t q, p = two_threads(&q);
	CHECK(!ptrace(PTRACE_SEIZE, p, 0, PTRACE_O_TRACEEXIT) && !ptrace(PTRACE_SEIZE, q, 0, PTRACE_O_TRACEEXIT));
	kill(p, SIGKILL);
	STOPPED(p, SIGTRAP, PTRACE_EVENT_EXIT);
	CHECK_EQ(message(p), SIGKILL);
	STOPPED(q, SIGTRAP, PTRACE_EVENT_EXIT);
	CHECK_EQ(message(q), SIGKILL);
	struct user_regs_struct r;
	CHECK(!ptrace(PTRACE_GETREGS, q, 0, &r)); /* its memory and registers are there still */
	errno = 0;
	(void)ptrace(PTRACE_PEEKDATA, q, r.rsp, 0);
	CHECK_EQ(errno, 0);
	CHECK(!ptrace(PTRACE_CONT, q, 0, 0));
	CHECK_EQ(dead(q), SIGKILL);
	CHECK(!ptrace(PTRACE_CONT, p, 0, 0));
	CHECK_EQ(dead(p), SIGKILL);
	/* In a stop already. */
	p = fork();
	if (!p)
		sleep_thread(NULL);
	CHECK(!ptrace(PTRACE_SEIZE, p, 0, PTRACE_O_TRACEEXIT) && !ptrace(PTRACE_INTERRUPT, p, 0, 0));
	STOPPED(p, SIGTRAP, PTRACE_EVENT_STOP);
	kill(p, SIGKILL);
	STOPPED(p, SIGTRAP, PTRACE_EVENT_EXIT);
	CHECK(!ptrace(PTRACE_DETACH, p, 0, 0));
	CHECK_EQ(dead(p), SIGKILL);
}

TEST(attach_to_a_stopped_one)
{
	int st;
	struct user_regs_struct r;
	for (int i = 0; i < 20; i++) {
		pid_t p = fork();
		if (!p) {
			raise(SIGSTOP);
			_exit(0);
		}
		CHECK(waitpid(p, &st, WUNTRACED) == p);
		CHECK(!ptrace(i & 1 ? PTRACE_SEIZE : PTRACE_ATTACH, p, 0, 0));
		CHECK(!ptrace(PTRACE_GETREGS, p, 0, &r)); /* without a wait */
		kill(p, SIGKILL);
		CHECK_EQ(dead(p), SIGKILL);
	}
}

TEST(exit_kill)
{
	int fds[2];
	char b;
	CHECK(!pipe(fds));
	pid_t p = fork();
	if (!p) {
		close(fds[0]); /* the end of its life is the end of the pipe */
		sleep_thread(NULL);
	}
	close(fds[1]);
	CHECK_EQ(CHILD_STATUS({ CHECK(!ptrace(PTRACE_SEIZE, p, 0, PTRACE_O_EXITKILL)); }), 0);
	CHECK_EQ(read(fds[0], &b, 1), 0);
	CHECK_EQ(dead(p), SIGKILL);
}

TEST(requests)
{
	pid_t p = fork();
	if (!p)
		sleep_thread(NULL);
	long v = 7, dr = offsetof(struct user, u_debugreg);
	CHECK(!ptrace(PTRACE_ATTACH, p, 0, 0));
	STOPPED(p, SIGSTOP, 0);
	CHECK_ERRNO(ptrace(PTRACE_ATTACH, p, 0, 0), EPERM);
	CHECK_ERRNO(ptrace(PTRACE_INTERRUPT, p, 0, 0), EIO);
	CHECK_ERRNO(ptrace(PTRACE_LISTEN, p, 0, 0), EIO);
	CHECK_ERRNO(ptrace(PTRACE_SETOPTIONS, p, 0, 1 << 9), EINVAL);
	CHECK_ERRNO(ptrace(12345, p, 0, 0), EIO);
	CHECK_ERRNO(ptrace(PTRACE_CONT, p, 0, 65), EIO);
	/* Debug registers that watch nothing. */
	CHECK(!ptrace(PTRACE_POKEUSER, p, dr, 0x400000));
	CHECK_ERRNO(ptrace(PTRACE_POKEUSER, p, dr, (void *)-1L), EINVAL);
	CHECK_ERRNO(ptrace(PTRACE_POKEUSER, p, dr + 32, 0), EIO);
	CHECK(!ptrace(PTRACE_POKEUSER, p, dr + 56, 0));
	CHECK(!syscall(SYS_ptrace, PTRACE_PEEKUSER, p, dr, &v));
	CHECK_EQ(v, 0x400000);
	char b[64];
	struct { void *base; size_t len; } iov = { b, sizeof(b) };
	CHECK_ERRNO(ptrace(PTRACE_GETREGSET, p, 0x201, &iov), ENXIO);
	CHECK_ERRNO(ptrace(PTRACE_GETREGSET, p, 99, &iov), EINVAL);
	kill(p, SIGKILL);
	CHECK_EQ(dead(p), SIGKILL);
	CHECK_ERRNO(ptrace(PTRACE_ATTACH, getpid(), 0, 0), EPERM);
	CHECK_ERRNO(ptrace(PTRACE_ATTACH, 4194000, 0, 0), ESRCH);
}

static volatile long watched_word;
static void __attribute__((noinline)) touched(long v)
{
	watched_word += v;
}
static long peek_dr(pid_t p, int n)
{
	long v = 0;
	CHECK(!syscall(SYS_ptrace, PTRACE_PEEKUSER, p, offsetof(struct user, u_debugreg) + 8 * n, &v));
	return v;
}
static long poke_dr(pid_t p, int n, long v) { return syscall(SYS_ptrace, PTRACE_POKEUSER, p, offsetof(struct user, u_debugreg) + 8 * n, v); }

TEST(debug_registers)
{
	siginfo_t si;
	int st;
	pid_t p = fork();
	if (!p) {
		raise(SIGSTOP);
		for (int i = 1; i <= 3; i++) {
			touched(i);
			getppid(); /* system calls between */
		}
		_exit(5);
	}
	CHECK(waitpid(p, &st, WUNTRACED) == p);
	CHECK(!ptrace(PTRACE_SEIZE, p, 0, 0));
	STOPPED(p, SIGSTOP, PTRACE_EVENT_STOP);
	if (poke_dr(p, 0, (long)&watched_word) || poke_dr(p, 7, 1 | 1 << 16 | 2 << 18))
		SKIP("none here");
	/* What is not allowed. */
	CHECK(poke_dr(p, 1, (long)&watched_word + 1) == 0);
	CHECK_ERRNO(poke_dr(p, 7, 1 | 1 << 16 | 2 << 18 | 1 << 2 | 1 << 20 | 2 << 22), EINVAL); /* not aligned */
	CHECK_ERRNO(poke_dr(p, 7, 1 | 2 << 16), EINVAL); /* ports */
	CHECK_ERRNO(poke_dr(p, 7, 1 | 3 << 18), EINVAL); /* to execute four bytes */
	CHECK_ERRNO(poke_dr(p, 0, -1), EINVAL);
	kill(p, SIGCONT);
	for (int hits = 0; hits < 2;) {
		CHECK(!ptrace(PTRACE_CONT, p, 0, 0));
		CHECK(waitpid(p, &st, 0) == p && WIFSTOPPED(st));
		if (WSTOPSIG(st) != SIGTRAP || st >> 16)
			continue;
		CHECK(!ptrace(PTRACE_GETSIGINFO, p, 0, &si) && si.si_code == TRAP_HWBKPT);
		hits++;
		CHECK_EQ(peek_dr(p, 6) & 15, 1);
		CHECK_EQ(ptrace(PTRACE_PEEKDATA, p, &watched_word, 0), hits * (hits + 1) / 2);
		CHECK(!poke_dr(p, 6, 0));
	}
	/* A breakpoint at an instruction: before it is executed. */
	CHECK(!poke_dr(p, 7, 0) && !poke_dr(p, 0, (long)touched) && !poke_dr(p, 7, 1));
	CHECK(!ptrace(PTRACE_CONT, p, 0, 0));
	STOPPED(p, SIGTRAP, 0);
	struct user_regs_struct r;
	CHECK(!ptrace(PTRACE_GETREGS, p, 0, &r));
	CHECK_EQ(r.rip, (uintptr_t)touched);
	CHECK_EQ(r.rdi, 3);
	CHECK(!ptrace(PTRACE_CONT, p, 0, 0));
	CHECK(waitpid(p, &st, 0) == p);
	CHECK(WIFEXITED(st) && WEXITSTATUS(st) == 5);
}
